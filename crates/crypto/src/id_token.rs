//! ID tokens of other services (OpenID Connect Core 1.0 section 2) and the key sets that verify them
//! (RFC 7517 section 5). Fetching a key set is the caller's business, and so is what an identity may do.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::error::CryptoError;
use crate::jwt::{self, TokenError, VerifyingKey};

/// How far a provider's clock may be from ours, in seconds.
const LEEWAY_SECONDS: i64 = 60;
/// The longest `sub` (OpenID Connect Core 1.0 section 2).
const MAX_SUBJECT: usize = 255;
/// More keys than this are no provider's.
const MAX_KEYS: usize = 100;

/// A provider's keys, each with the one algorithm that it may be used with: RS256, or ES256 over P-256.
pub struct ProviderKeys(Vec<VerifyingKey>);

impl ProviderKeys {
    /// Reads a JWKS. Keys that cannot be used are passed over: of another kind or algorithm, for encryption,
    /// without a `kid`, shorter than 2,048 bits, and those that share their `kid` with another.
    ///
    /// # Errors
    /// [`CryptoError::Key`] when it is no JWKS, or no key of it can be used.
    pub fn parse(body: &[u8]) -> Result<Self, CryptoError> {
        let malformed = CryptoError::Key("not a JWKS");
        let Ok(set) = serde_json::from_slice::<Value>(body) else { return Err(malformed) };
        let Some(jwks) = set.get("keys").and_then(Value::as_array) else { return Err(malformed) };
        if jwks.len() > MAX_KEYS {
            return Err(malformed);
        }
        let mut times = HashMap::new();
        for kid in jwks.iter().filter_map(|jwk| jwk.get("kid")?.as_str()) {
            *times.entry(kid).or_insert(0) += 1;
        }
        let is_alone = |key: &VerifyingKey| times.get(key.kid.as_str()) == Some(&1);
        let keys: Vec<_> = jwks.iter().filter_map(verifying_key).filter(is_alone).collect();
        if keys.is_empty() { Err(CryptoError::Key("a JWKS without a usable key")) } else { Ok(Self(keys)) }
    }
}

impl std::fmt::Debug for ProviderKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProviderKeys({})", self.0.len())
    }
}

fn verifying_key(jwk: &Value) -> Option<VerifyingKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let kid = text("kid")?.to_owned();
    let signs = matches!(text("use"), None | Some("sig"));
    match (text("kty")?, text("alg"), signs) {
        ("RSA", None | Some("RS256"), true) => {
            let part = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
            let (n, e) = (part("n")?, part("e")?);
            let n: Vec<u8> = n.into_iter().skip_while(|byte| *byte == 0).collect();
            (256..=1_024).contains(&n.len()).then(|| VerifyingKey::rs256(kid, &n, &e))
        }
        ("EC", None | Some("ES256"), true) if text("crv") == Some("P-256") => {
            VerifyingKey::es256(kid, text("x")?, text("y")?)
        }
        _ => None,
    }
}

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenRules<'a> {
    /// The provider's names in `iss`.
    pub issuers: &'a [String],
    /// The clients whose tokens are taken.
    pub audiences: &'a [String],
    /// What `nonce` must be, or the hexadecimal SHA-256 of; whatever it is where the client sends none.
    pub nonce: Option<&'a str>,
}

/// Who a verified ID token says that somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdToken {
    /// The claim `sub`: the provider's name for them, never reused.
    pub subject: String,
    /// Their address, only where the provider has verified it.
    pub verified_email: Option<String>,
}

/// Verifies an ID token: signature by the provider's key and that key's algorithm, `iss`, `aud`, `exp`, `iat`
/// (60 s of leeway), and `nonce` where one is wanted.
///
/// # Errors
/// [`TokenError`] says why not; [`TokenError::UnknownKey`] may mean that the provider has newer keys.
pub fn verify_id_token(
    token: &str,
    keys: &ProviderKeys,
    rules: IdTokenRules<'_>,
    now: OffsetDateTime,
) -> Result<IdToken, TokenError> {
    let claims = jwt::verify(token, &keys.0, &[Some("JWT"), None])?;
    jwt::check_times(&claims, now, LEEWAY_SECONDS, true)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let is_one_of = |value: Option<&str>, allowed: &[String]| {
        value.is_some_and(|value| allowed.iter().any(|allowed| allowed == value))
    };
    let is_ours = is_one_of(text("iss"), rules.issuers) && is_one_of(audience(&claims), rules.audiences);
    let subject = text("sub").filter(|subject| (1..=MAX_SUBJECT).contains(&subject.len()));
    let (true, true, Some(subject)) = (is_ours, claims.contains_key("iat"), subject) else {
        return Err(TokenError::Claims);
    };
    if let Some(nonce) = rules.nonce {
        let hashed: String =
            digest(&SHA256, nonce.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if !text("nonce").is_some_and(|claimed| claimed == nonce || claimed == hashed) {
            return Err(TokenError::Claims);
        }
    }
    // Apple writes this truth as text.
    let is_verified = match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(verified)) => verified == "true",
        _ => false,
    };
    let verified_email = text("email").filter(|_| is_verified).map(str::to_owned);
    Ok(IdToken { subject: subject.to_owned(), verified_email })
}

/// One audience; a list only where it has one member, since a token for several is for somebody else as well.
fn audience(claims: &Map<String, Value>) -> Option<&str> {
    match claims.get("aud")? {
        Value::Array(list) => match list.as_slice() {
            [one] => one.as_str(),
            _ => None,
        },
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests;
