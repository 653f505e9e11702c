//! The two engines for argon2id. Both give the same output; libsodium is the faster one and knows only one
//! lane and 16-byte salts.

use crate::error::CryptoError;

/// Which library computes argon2id (RFC 9106, version 0x13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The `argon2` crate: pure Rust.
    Argon2,
    /// libsodium, which needs a C compiler to build.
    #[cfg(feature = "sodium")]
    Sodium,
}

impl Default for Engine {
    /// The fastest one that was built in.
    fn default() -> Self {
        #[cfg(feature = "sodium")]
        return Self::Sodium;
        #[cfg(not(feature = "sodium"))]
        return Self::Argon2;
    }
}

impl Engine {
    pub(crate) fn argon2id(
        self,
        password: &[u8],
        salt: &[u8],
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        match self {
            Self::Argon2 => pure(password, salt, memory_kib, passes, lanes, output),
            #[cfg(feature = "sodium")]
            Self::Sodium if lanes == 1 && salt.len() == 16 => {
                sodium(password, salt, memory_kib, passes, output)
            }
            #[cfg(feature = "sodium")]
            Self::Sodium => pure(password, salt, memory_kib, passes, lanes, output),
        }
    }
}

fn pure(
    password: &[u8],
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    output: &mut [u8],
) -> Result<(), CryptoError> {
    let params = argon2::Params::new(memory_kib, passes, lanes, Some(output.len()))
        .map_err(|_| CryptoError::Hash("impossible argon2id parameters"))?;
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(password, salt, output)
        .map_err(|error| match error {
            argon2::Error::OutOfMemory => CryptoError::OutOfMemory,
            _ => CryptoError::Library("argon2"),
        })
}

#[cfg(feature = "sodium")]
fn sodium(
    password: &[u8],
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    output: &mut [u8],
) -> Result<(), CryptoError> {
    use libsodium_rs::{crypto_pwhash, ensure_init};
    use zeroize::Zeroizing;

    ensure_init().map_err(|_| CryptoError::Library("libsodium"))?;
    let bytes = usize::try_from(memory_kib).unwrap_or(usize::MAX).saturating_mul(1_024);
    // With acceptable parameters, the one thing that can fail is getting the memory.
    let computed = crypto_pwhash::pwhash(
        output.len(),
        password,
        salt,
        u64::from(passes),
        bytes,
        crypto_pwhash::ALG_ARGON2ID13,
    )
    .map(Zeroizing::new)
    .map_err(|_| CryptoError::OutOfMemory)?;
    for (to, from) in output.iter_mut().zip(computed.iter()) {
        *to = *from;
    }
    Ok(())
}
