//! Enums whose variants have names on the wire or in storage: each name is stated once, at its variant.

use strum::VariantArray;

/// An enum with a name for each variant. Implemented by deriving [`strum::IntoStaticStr`] and [`strum::VariantArray`].
pub trait Named: Copy + Into<&'static str> + VariantArray {
    /// The name of a variant.
    #[must_use]
    fn name(self) -> &'static str {
        self.into()
    }

    /// The variant with this name.
    #[must_use]
    fn from_name(name: &str) -> Option<Self> {
        Self::VARIANTS.iter().copied().find(|variant| variant.name() == name)
    }

    /// All variants, in their order.
    #[must_use]
    fn all() -> &'static [Self] {
        Self::VARIANTS
    }

    /// All names, separated by commas, for texts that list them.
    #[must_use]
    fn names() -> String {
        Self::VARIANTS.iter().map(|variant| variant.name()).collect::<Vec<_>>().join(", ")
    }
}

impl<T: Copy + Into<&'static str> + VariantArray> Named for T {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserStatus;

    #[test]
    fn a_variant_is_found_by_its_name() {
        assert_eq!(UserStatus::from_name("suspend"), Some(UserStatus::Suspended));
        assert_eq!(UserStatus::from_name("Suspended"), None);
        assert_eq!((UserStatus::Active.name(), UserStatus::names().as_str()), ("active", "active, suspend"));
    }
}
