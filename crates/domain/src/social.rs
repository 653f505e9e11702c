//! Signing in with another service's token. Verifying one is the business of `latchkey-crypto`.

/// A service whose ID tokens (OpenID Connect Core 1.0 section 2) sign users in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
pub enum Provider {
    /// Sign in with Apple.
    #[strum(serialize = "apple")]
    Apple,
    /// Sign in with Google.
    #[strum(serialize = "google")]
    Google,
}

/// Who a user is to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocialIdentity {
    /// The provider.
    pub provider: Provider,
    /// The claim `sub` of its tokens. `None` if an import did not have it.
    pub subject: Option<String>,
}
