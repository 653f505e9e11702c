//! Signing in with another service's token. Verifying one is the business of `latchkey-crypto`.

/// A service whose ID tokens (OpenID Connect Core 1.0 section 2) sign users in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Sign in with Apple.
    Apple,
    /// Sign in with Google.
    Google,
}

impl Provider {
    /// Its name on the wire and in storage.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apple => "apple",
            Self::Google => "google",
        }
    }

    /// The provider of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Apple, Self::Google].into_iter().find(|provider| provider.name() == name)
    }
}

/// Who a user is to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocialIdentity {
    /// The provider.
    pub provider: Provider,
    /// The claim `sub` of its tokens. `None` if an import did not have it.
    pub subject: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_found_by_its_name() {
        for (provider, name) in [(Provider::Apple, "apple"), (Provider::Google, "google")] {
            assert_eq!((provider.name(), Provider::from_name(name)), (name, Some(provider)));
        }
        assert_eq!(Provider::from_name("Apple"), None);
    }
}
