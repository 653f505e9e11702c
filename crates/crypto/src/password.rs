//! Password hashes: argon2id over the 32 digits that clients send, two engines that agree, and the
//! verification of hashes that were imported. Sealing the result and throttling guesses is done elsewhere.

mod engine;
mod phc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use data_encoding::HEXLOWER;
use latchkey_domain::{ClientPassword, RawPassword};
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use engine::Engine;

use crate::error::CryptoError;
use phc::Phc;

/// The cost of a hash: argon2id with one lane (RFC 9106 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    memory_kib: u32,
    passes: u32,
}

impl HashCost {
    /// The least that is accepted for new hashes, and the default: 19 MiB, 2 passes.
    pub const LEAST: Self = Self { memory_kib: 19_456, passes: 2 };

    /// A cost in KiB and passes.
    ///
    /// # Errors
    /// [`CryptoError::Hash`] when it is below [`HashCost::LEAST`] or beyond reason.
    pub fn new(memory_kib: u32, passes: u32) -> Result<Self, CryptoError> {
        if memory_kib < Self::LEAST.memory_kib || passes < Self::LEAST.passes {
            return Err(CryptoError::Hash("argon2id needs at least 19456 KiB and 2 passes"));
        }
        if memory_kib > phc::MAX_MEMORY_KIB || passes > phc::MAX_PASSES {
            return Err(CryptoError::Hash("argon2id may use at most 262144 KiB and 10 passes"));
        }
        Ok(Self { memory_kib, passes })
    }
}

impl Default for HashCost {
    fn default() -> Self {
        Self::LEAST
    }
}

/// What verifying a stored hash costs, beside a new hash of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredCost {
    /// How many of our hashes take as long, rounded up.
    pub in_own_hashes: u64,
    /// Whether a hash of this cost may come in with an import: one that takes at most five times as long as our own, or
    /// bcrypt of a cost up to 12, which most other systems use.
    pub is_importable: bool,
}

/// How many of our hashes an imported one may cost.
const MOST_OWN_HASHES: u64 = 5;
/// The highest cost of bcrypt that may be imported.
const HIGHEST_BCRYPT: u32 = 12;
/// KiB times passes of argon2id that take as long as one round of bcrypt. Measured on x86-64: bcrypt of cost 12 (4,096
/// rounds) takes as long as about 20 hashes of 19,456 KiB and 2 passes.
const WORK_OF_BCRYPT_ROUND: u64 = 200;

/// The costliest hash that may be imported: bcrypt, or argon2id with our memory and so many passes.
#[derive(Debug, PartialEq)]
enum Costliest {
    Bcrypt,
    Argon2id { passes: u32 },
}

/// The number of bytes of a password that bcrypt compares. A longer input that matches may be a different password, so
/// it must not replace the hashed one.
const BCRYPT_BYTES: usize = 72;

/// Whether a password is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is not.
    Wrong,
    /// It is.
    Right,
    /// It matches, and should be replaced: its algorithm or cost is outdated.
    RightButOutdated,
}

/// Hashes and verifies passwords.
#[derive(Debug, Clone)]
pub struct PasswordHasher {
    engine: Engine,
    cost: HashCost,
    nobody: String,
}

impl PasswordHasher {
    /// A hasher that makes new hashes at this cost.
    ///
    /// # Errors
    /// [`CryptoError::OutOfMemory`] or [`CryptoError::Library`].
    pub fn new(engine: Engine, cost: HashCost) -> Result<Self, CryptoError> {
        let hasher = Self { engine, cost, nobody: String::new() };
        let nobody = hasher.hash_text("", &[0; 16])?;
        Ok(Self { nobody: nobody.to_string(), ..hasher })
    }

    /// Hashes a password: a PHC string with a 32-byte output.
    ///
    /// # Errors
    /// [`CryptoError::OutOfMemory`] or [`CryptoError::Library`].
    pub fn hash(&self, password: &ClientPassword, salt: &[u8; 16]) -> Result<Zeroizing<String>, CryptoError> {
        self.hash_text(password.expose(), salt)
    }

    fn hash_text(&self, password: &str, salt: &[u8; 16]) -> Result<Zeroizing<String>, CryptoError> {
        let HashCost { memory_kib, passes } = self.cost;
        let mut output = Zeroizing::new([0; 32]);
        self.engine.argon2id(password.as_bytes(), salt, memory_kib, passes, 1, output.as_mut())?;
        let (salt, output) =
            (STANDARD_NO_PAD.encode(salt), Zeroizing::new(STANDARD_NO_PAD.encode(output.as_ref())));
        Ok(Zeroizing::new(format!("$argon2id$v=19$m={memory_kib},t={passes},p=1${salt}${}", output.as_str())))
    }

    /// Whether this is the password behind a stored hash: argon2id, or imported bcrypt. A hash that was computed over
    /// the password itself ([`OVER_RAW`]) is compared where the client sent that.
    ///
    /// # Errors
    /// [`CryptoError::Hash`] when the stored text is not a hash, or too costly;
    /// [`CryptoError::OutOfMemory`].
    pub fn verify(&self, password: &ClientPassword, stored: &str) -> Result<Verdict, CryptoError> {
        let Some(stored) = stored.strip_prefix(OVER_RAW) else {
            return self.verify_text(password.expose(), stored);
        };
        match password.raw() {
            Some(raw) => Ok(match self.verify_text(raw.expose(), stored)? {
                Verdict::Wrong => Verdict::Wrong,
                Verdict::Right | Verdict::RightButOutdated => {
                    let may_be_cut = matches!(Phc::parse(stored)?, Phc::Bcrypt { .. })
                        && raw.expose().len() >= BCRYPT_BYTES;
                    // Else, from now on either form of the password logs in.
                    if may_be_cut { Verdict::Right } else { Verdict::RightButOutdated }
                }
            }),
            // Only the password itself can be compared. The same work is done for nothing.
            None => self.verify_text(password.expose(), stored).map(|_| Verdict::Wrong),
        }
    }

    fn verify_text(&self, password: &str, stored: &str) -> Result<Verdict, CryptoError> {
        match Phc::parse(stored)? {
            Phc::Bcrypt { .. } => {
                let right =
                    bcrypt::verify(password, stored).map_err(|_| CryptoError::Hash("not a bcrypt hash"))?;
                Ok(if right { Verdict::RightButOutdated } else { Verdict::Wrong })
            }
            Phc::Argon2id { memory_kib, passes, lanes, salt, output } => {
                let mut computed = Zeroizing::new(vec![0; output.len()]);
                self.engine.argon2id(password.as_bytes(), &salt, memory_kib, passes, lanes, &mut computed)?;
                let right: bool = computed.ct_eq(&output).into();
                let current = (memory_kib, passes, lanes, output.len())
                    == (self.cost.memory_kib, self.cost.passes, 1, 32);
                Ok(match (right, current) {
                    (false, _) => Verdict::Wrong,
                    (true, true) => Verdict::Right,
                    (true, false) => Verdict::RightButOutdated,
                })
            }
        }
    }

    /// The cost of verifying a stored hash, which is only parsed.
    ///
    /// # Errors
    /// [`CryptoError::Hash`] when the text is not a supported hash.
    pub fn stored_cost(&self, stored: &str) -> Result<StoredCost, CryptoError> {
        let own = self.own_work();
        let (work, is_importable) = match Phc::parse(stored.strip_prefix(OVER_RAW).unwrap_or(stored))? {
            Phc::Bcrypt { cost } => (WORK_OF_BCRYPT_ROUND << cost, cost <= HIGHEST_BCRYPT),
            Phc::Argon2id { memory_kib, passes, .. } => {
                let work = u64::from(memory_kib) * u64::from(passes);
                (work, work <= MOST_OWN_HASHES * own)
            }
        };
        Ok(StoredCost { in_own_hashes: work.div_ceil(own), is_importable })
    }

    /// Does the work of verifying the costliest hash that may be imported.
    ///
    /// # Errors
    /// [`CryptoError::OutOfMemory`] or [`CryptoError::Library`].
    pub fn verify_costliest(&self) -> Result<(), CryptoError> {
        match self.costliest() {
            Costliest::Bcrypt => {
                let computed = bcrypt::hash_with_salt(b"", HIGHEST_BCRYPT, [0; 16]);
                computed.map(|_| ()).map_err(|_| CryptoError::Library("bcrypt"))
            }
            Costliest::Argon2id { passes } => {
                let mut output = Zeroizing::new([0; 32]);
                self.engine.argon2id(b"", &[0; 16], self.cost.memory_kib, passes, 1, output.as_mut())
            }
        }
    }

    fn costliest(&self) -> Costliest {
        let most = MOST_OWN_HASHES * self.own_work();
        if WORK_OF_BCRYPT_ROUND << HIGHEST_BCRYPT > most {
            return Costliest::Bcrypt;
        }
        Costliest::Argon2id {
            passes: u32::try_from(most / u64::from(self.cost.memory_kib)).unwrap_or(u32::MAX),
        }
    }

    /// KiB times passes of a hash of ours.
    fn own_work(&self) -> u64 {
        u64::from(self.cost.memory_kib) * u64::from(self.cost.passes)
    }

    /// Does the same work as [`PasswordHasher::verify`], for an unknown handle.
    ///
    /// # Errors
    /// [`CryptoError::OutOfMemory`].
    pub fn verify_nobody(&self, password: &ClientPassword) -> Result<(), CryptoError> {
        self.verify(password, &self.nobody).map(|_| ())
    }
}

/// How a stored hash begins that was computed over the password itself, not over the digits that clients send.
pub const OVER_RAW: &str = "raw:";

/// The digits that a client sends for this password: the MD5 of its normalized text (RFC 8265 section 4.2.2). Where the
/// text was typed in another form, that form's digits are [`ClientPassword::as_typed`].
///
/// # Errors
/// [`CryptoError::Library`], which cannot happen.
pub fn client_password(raw: &RawPassword) -> Result<ClientPassword, CryptoError> {
    match raw.normalized() {
        None => digits_of(raw),
        Some(normalized) => Ok(digits_of(&normalized)?.with_typed(digits_of(raw)?)),
    }
}

fn digits_of(raw: &RawPassword) -> Result<ClientPassword, CryptoError> {
    let text = Zeroizing::new(HEXLOWER.encode(&Md5::digest(raw.expose().as_bytes())));
    let client = ClientPassword::parse(&text).map_err(|_| CryptoError::Library("MD5"))?;
    Ok(client.with_raw(raw.clone()))
}

#[cfg(test)]
mod tests;
