//! ID tokens of other services (OpenID Connect Core 1.0 section 2) and the key sets that verify them
//! (RFC 7517 section 5). Fetching a key set is the caller's business, and so is what an identity may do.

use data_encoding::HEXLOWER;
use std::collections::HashMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
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

/// Whether a token could name its subject so (OpenID Connect Core 1.0, section 2: at most 255 ASCII characters).
#[must_use]
pub fn is_subject(text: &str) -> bool {
    (1..=MAX_SUBJECT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
/// Accepted values of the header's `typ`.
const ID_TOKEN_TYPES: [Option<&str>; 2] = [Some("JWT"), None];
/// No provider has more keys than this.
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
        let mut keys: Vec<_> = jwks.iter().filter_map(verifying_key).collect();
        let mut times = HashMap::new();
        for key in &keys {
            *times.entry(key.kid.clone()).or_insert(0) += 1;
        }
        keys.retain(|key| times.get(&key.kid) == Some(&1));
        if keys.is_empty() { Err(CryptoError::Key("a JWKS without a usable key")) } else { Ok(Self(keys)) }
    }
}

/// Whether a text could be an ID token at all, whatever key it names: worth fetching keys for.
#[must_use]
pub fn may_be_id_token(token: &str) -> bool {
    jwt::verify(token, &[], &ID_TOKEN_TYPES) == Err(TokenError::UnknownKey)
}

impl std::fmt::Debug for ProviderKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProviderKeys({})", self.0.len())
    }
}

fn verifying_key(jwk: &Value) -> Option<VerifyingKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let kid = text("kid")?.to_owned();
    let operations = jwk.get("key_ops").and_then(Value::as_array);
    let verifies =
        operations.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    let signs = matches!(text("use"), None | Some("sig")) && verifies;
    match (text("kty")?, text("alg"), signs) {
        ("RSA", None | Some("RS256"), true) => {
            let part = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
            let part = |name: &str| -> Option<Vec<u8>> {
                Some(part(name)?.into_iter().skip_while(|byte| *byte == 0).collect())
            };
            let (n, e) = (part("n")?, part("e")?);
            let is_odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte % 2 == 1);
            let is_sound = (256..=1_024).contains(&n.len())
                && is_odd(&n)
                && (1..=4).contains(&e.len())
                && is_odd(&e)
                && e != [1];
            let is_key = is_sound
                && RsaPublicKeyComponents { n: &n, e: &e }
                    .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                    .is_ok();
            is_key.then(|| VerifyingKey::rs256(kid, &n, &e))
        }
        ("EC", None | Some("ES256"), true) if text("crv") == Some("P-256") => {
            let (x, y) = (text("x")?, text("y")?);
            let coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32);
            let point = [vec![4], coordinate(x)?, coordinate(y)?].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
            VerifyingKey::es256(kid, x, y)
        }
        _ => None,
    }
}

/// The requirements on an ID token.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenRules<'a> {
    /// The provider's names in `iss`.
    pub issuers: &'a [String],
    /// The clients whose tokens are taken.
    pub audiences: &'a [String],
    /// What `nonce` must be, or the hexadecimal SHA-256 of; whatever it is where the client sends none.
    pub nonce: Option<&'a str>,
}

/// The identity in a verified ID token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdToken {
    /// The claim `sub`: the provider's name for them, never reused.
    pub subject: String,
    /// Their address, only where the provider has verified it.
    pub verified_email: Option<String>,
    /// SHA-256 of what was signed: tells this token from every other one, however its signature is written.
    pub fingerprint: [u8; 32],
    /// When the token ends for us: its `exp` with the leeway.
    pub expires_at: OffsetDateTime,
}

/// Verifies an ID token: signature by the provider's key and that key's algorithm, `iss`, `aud`, `exp`, `iat`
/// (60 s of leeway), and `nonce` where one is wanted.
///
/// # Errors
/// [`TokenError`] with the reason. After [`TokenError::UnknownKey`] the provider may have newer keys.
pub fn verify_id_token(
    token: &str,
    keys: &ProviderKeys,
    rules: IdTokenRules<'_>,
    now: OffsetDateTime,
) -> Result<IdToken, TokenError> {
    let claims = jwt::verify(token, &keys.0, &ID_TOKEN_TYPES)?;
    jwt::check_times(&claims, now, LEEWAY_SECONDS, true, LEEWAY_SECONDS)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let is_one_of = |value: Option<&str>, allowed: &[String]| {
        value.is_some_and(|value| allowed.iter().any(|allowed| allowed == value))
    };
    let is_ours = is_one_of(text("iss"), rules.issuers) && is_one_of(audience(&claims), rules.audiences);
    let subject = text("sub").filter(|subject| is_subject(subject));
    let (true, true, Some(subject)) = (is_ours, claims.contains_key("iat"), subject) else {
        return Err(TokenError::Claims);
    };
    if let Some(nonce) = rules.nonce {
        let hashed = HEXLOWER.encode(digest(&SHA256, nonce.as_bytes()).as_ref());
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
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let exp = claims.get("exp").and_then(Value::as_i64).ok_or(TokenError::Claims)?;
    let expires_at = OffsetDateTime::from_unix_timestamp(exp.saturating_add(LEEWAY_SECONDS));
    Ok(IdToken {
        subject: subject.to_owned(),
        verified_email,
        fingerprint: crate::sha256(signed.as_bytes()),
        expires_at: expires_at.map_err(|_| TokenError::Claims)?,
    })
}

/// One audience, or a list of exactly one: a token for several audiences could be used by another one.
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
