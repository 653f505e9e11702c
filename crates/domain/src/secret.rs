//! Opaque carriers of what `latchkey-crypto` makes: this crate moves them and never looks inside.

/// A secret under authenticated encryption, bound to its row.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Wraps sealed bytes.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The sealed bytes, as they are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A keyed one-way digest (HMAC-SHA256) of something that is only ever compared.
///
/// It has no equality on purpose: comparing is `latchkey-crypto`'s, in constant time.
///
/// ```compile_fail
/// # use latchkey_domain::KeyedDigest;
/// let _ = KeyedDigest::from_bytes([0; 32]) == KeyedDigest::from_bytes([0; 32]);
/// ```
#[derive(Clone)]
pub struct KeyedDigest([u8; 32]);

impl KeyedDigest {
    /// The digest of nothing that is known.
    pub const NONE: Self = Self([0; 32]);

    /// Whether it is of nothing that is known.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 == [0; 32]
    }

    /// Wraps a digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest as stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for KeyedDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyedDigest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_carry_their_bytes_and_do_not_print_them() {
        let sealed = Sealed::from_bytes(vec![7, 8, 9]);
        assert_eq!(
            (sealed.as_bytes(), format!("{sealed:?}")),
            (&[7, 8, 9][..], "Sealed(3 bytes)".to_owned())
        );
        let digest = KeyedDigest::from_bytes([7; 32]);
        assert_eq!((digest.as_bytes(), format!("{digest:?}")), (&[7; 32], "KeyedDigest".to_owned()));
        assert!(KeyedDigest::NONE.is_none() && !digest.is_none());
    }
}
