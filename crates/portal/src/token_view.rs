//! A JWT as people read it: its three parts, and each claim with what it means.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_crypto::PublicKey;
use latchkey_domain::meaning_of_claim;
use serde_json::{Map, Value};

/// A decoded token.
pub(crate) struct TokenView {
    pub(crate) parts: [String; 3],
    pub(crate) header: String,
    pub(crate) claims: Vec<ClaimView>,
    /// The id of the key that its header names.
    pub(crate) kid: String,
}

/// A claim.
pub(crate) struct ClaimView {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) meaning: &'static str,
}

impl TokenView {
    /// Decodes a token (RFC 7519 section 7.2, without verifying). None where it is malformed.
    pub(crate) fn of(jwt: &str) -> Option<Self> {
        let parts: [&str; 3] = jwt.split('.').collect::<Vec<_>>().try_into().ok()?;
        let [header, claims, _] = parts;
        let (header, claims) = (object(header)?, object(claims)?);
        Some(Self {
            parts: parts.map(str::to_owned),
            kid: header.get("kid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            header: serde_json::to_string_pretty(&header).ok()?,
            claims: claims
                .iter()
                .map(|(name, value)| ClaimView {
                    name: name.clone(),
                    value: value.to_string(),
                    meaning: meaning_of_claim(name),
                })
                .collect(),
        })
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// The keys of a key set (RFC 7517 section 5).
pub(crate) fn keys_of(jwks: &Value) -> Vec<PublicKey> {
    let keys = jwks.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    keys.iter().filter_map(|key| PublicKey::from_jwk(key).ok()).collect()
}
