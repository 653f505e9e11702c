//! Compact JWS (RFC 7515 section 7.1): strict parsing, verification that pins algorithm, key and type, and
//! serialization. The only user of `jsonwebtoken`; `app_key` and `server_token` define the claims.
//!
//! Never used: the header members `jku jwk x5u x5c`. Refused: every header member except `alg`, `typ` and `kid`, the
//! JSON serializations, text that is not canonical base64url.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::error::CryptoError;

/// The maximum length of a token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Why a token is refused. For logs: clients are not given the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a compact JWS in canonical form, or with header members that are not allowed.
    #[error("malformed")]
    Malformed,
    /// Another algorithm or type than the key and the carrier demand.
    #[error("of another kind")]
    Kind,
    /// Signed with a key that is not known.
    #[error("signed with an unknown key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("wrongly signed")]
    Signature,
    /// It has expired.
    #[error("expired")]
    Expired,
    /// It was issued, or becomes valid, in the future.
    #[error("not good yet")]
    NotYet,
    /// A claim is absent or has not the type or value that it must have.
    #[error("its claims are wrong")]
    Claims,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
}

/// One key with the one algorithm that it may be used with.
pub(crate) struct VerifyingKey {
    pub(crate) kid: String,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    pub(crate) fn rs256(kid: String, modulus: &[u8], exponent: &[u8]) -> Self {
        let key = DecodingKey::from_rsa_raw_components(modulus, exponent);
        Self { kid, algorithm: Algorithm::RS256, key }
    }

    /// Coordinates as base64url (RFC 7518 section 6.2.1). `None` if the text is malformed.
    pub(crate) fn es256(kid: String, x: &str, y: &str) -> Option<Self> {
        let key = DecodingKey::from_ec_components(x, y).ok()?;
        Some(Self { kid, algorithm: Algorithm::ES256, key })
    }

    pub(crate) fn ed25519(kid: String, public: &[u8]) -> Self {
        Self { kid, algorithm: Algorithm::EdDSA, key: DecodingKey::from_ed_der(public) }
    }
}

/// Verifies a token of one of these types against the one key of `keys` that it names, and gives its claims.
/// Times are not checked here: see [`check_times`].
pub(crate) fn verify(
    token: &str,
    keys: &[VerifyingKey],
    types: &[Option<&str>],
) -> Result<Map<String, Value>, TokenError> {
    let header = parse(token)?;
    if !types.contains(&header.typ.as_deref()) {
        return Err(TokenError::Kind);
    }
    let key = keys.iter().find(|key| header.kid.as_ref() == Some(&key.kid)).ok_or(TokenError::UnknownKey)?;
    verify_with(token, &header, key)
}

/// Verifies a token that names no key against each of `keys`, as [`verify`] does.
pub(crate) fn verify_unnamed(
    token: &str,
    keys: &[VerifyingKey],
    types: &[Option<&str>],
) -> Result<Map<String, Value>, TokenError> {
    let header = parse(token)?;
    if !types.contains(&header.typ.as_deref()) || header.kid.is_some() {
        return Err(TokenError::Kind);
    }
    let mut refused = TokenError::UnknownKey;
    for key in keys {
        match verify_with(token, &header, key) {
            Ok(claims) => return Ok(claims),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn verify_with(token: &str, header: &Header, key: &VerifyingKey) -> Result<Map<String, Value>, TokenError> {
    if header.alg != name(key.algorithm) {
        return Err(TokenError::Kind);
    }
    let mut validation = Validation::new(key.algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    match jsonwebtoken::decode::<Map<String, Value>>(token, &key.key, &validation) {
        Ok(data) => Ok(data.claims),
        Err(error) if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::Json(_)) => {
            Err(TokenError::Claims)
        }
        Err(_) => Err(TokenError::Signature),
    }
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        _ => "EdDSA",
    }
}

fn parse(token: &str) -> Result<Header, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Malformed);
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return Err(TokenError::Malformed) };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);
    decode(claims)?;
    decode(signature)?;
    serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)
}

/// Checks `exp`, `nbf` and `iat` (RFC 7519 section 4.1) as whole seconds: `exp` with a leeway, the two others at most
/// `future` seconds ahead.
///
/// # Errors
/// [`TokenError::Claims`] when one is not an integer or a required `exp` is missing, else
/// [`TokenError::Expired`] or [`TokenError::NotYet`].
pub(crate) fn check_times(
    claims: &Map<String, Value>,
    now: OffsetDateTime,
    leeway: i64,
    must_expire: bool,
    future: i64,
) -> Result<(), TokenError> {
    let seconds = |name: &str| match claims.get(name) {
        None => Ok(None),
        // The year 9999; beyond it arithmetic on dates ends.
        Some(value) => match value.as_i64() {
            Some(seconds @ 0..=253_402_300_799) => Ok(Some(seconds)),
            _ => Err(TokenError::Claims),
        },
    };
    let now = now.unix_timestamp();
    match seconds("exp")? {
        Some(exp) if exp + leeway <= now => return Err(TokenError::Expired),
        None if must_expire => return Err(TokenError::Claims),
        Some(_) | None => {}
    }
    for name in ["nbf", "iat"] {
        if seconds(name)?.is_some_and(|from| from > now.saturating_add(future)) {
            return Err(TokenError::NotYet);
        }
    }
    Ok(())
}

/// Joins a token: header and claims as base64url, and what `sign` makes of them.
pub(crate) fn join(
    algorithm: &'static str,
    typ: &str,
    kid: &str,
    claims: &Map<String, Value>,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, CryptoError>,
) -> Result<String, CryptoError> {
    let failed = |_| CryptoError::Library("JSON");
    let header = serde_json::json!({"alg": algorithm, "typ": typ, "kid": kid});
    let mut token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).map_err(failed)?);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims).map_err(failed)?, &mut token);
    let signature = sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(claims: Value, now: i64, must_expire: bool) -> Result<(), TokenError> {
        let Value::Object(claims) = claims else { panic!("an object") };
        check_times(&claims, OffsetDateTime::from_unix_timestamp(now).unwrap(), 30, must_expire, 30)
    }

    #[test]
    fn sec_056_times_are_integers_or_the_token_is_refused() {
        for claim in ["exp", "nbf", "iat"] {
            for wrong in [
                json!("1000"),
                json!(1000.5),
                json!(-1),
                json!(1e30),
                json!(null),
                json!([1]),
                json!(u64::MAX),
            ] {
                let claims = json!({"exp": 5_000, claim: wrong});
                assert_eq!(at(claims, 1_000, true), Err(TokenError::Claims), "{claim}: {wrong}");
            }
        }
        assert_eq!(at(json!({}), 1_000, true), Err(TokenError::Claims));
        assert_eq!(at(json!({}), 1_000, false), Ok(()));
    }

    #[test]
    fn sec_057_the_leeway_is_thirty_seconds_to_the_second() {
        assert_eq!(at(json!({"exp": 971}), 1_000, true), Ok(()));
        assert_eq!(at(json!({"exp": 970}), 1_000, true), Err(TokenError::Expired));
        for claim in ["nbf", "iat"] {
            assert_eq!(at(json!({"exp": 5_000, claim: 1_030}), 1_000, true), Ok(()));
            assert_eq!(at(json!({"exp": 5_000, claim: 1_031}), 1_000, true), Err(TokenError::NotYet));
        }
    }

    #[test]
    fn sec_054_the_type_in_the_header_counts_by_itself() {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key = [VerifyingKey::ed25519("k".to_owned(), pair.public_key().as_ref())];
        let signed = |typ, kid| {
            join("EdDSA", typ, kid, &Map::new(), |message| Ok(pair.sign(message).as_ref().to_vec())).unwrap()
        };
        assert!(verify(&signed("a", "k"), &key, &[Some("a")]).is_ok());
        assert_eq!(verify(&signed("b", "k"), &key, &[Some("a"), None]), Err(TokenError::Kind));
        assert_eq!(verify(&signed("a", "l"), &key, &[Some("a")]), Err(TokenError::UnknownKey));
    }

    #[test]
    fn sec_053_the_longest_token_is_looked_at_and_a_longer_one_is_not() {
        let padding = |claims: usize| format!("e30.{}.AAAA", "A".repeat(claims));
        let longest = padding(MAX_TOKEN_BYTES - "e30..AAAA".len());
        assert_eq!(longest.len(), 8_192);
        // It has no algorithm, so it is malformed anyway: only its parts matter here.
        let parsed = |token: &str| parse(&token.replacen("e30", "eyJhbGciOiJ4In0", 1)).is_ok();
        let room = "eyJhbGciOiJ4In0".len() - "e30".len();
        assert!(parsed(&padding(MAX_TOKEN_BYTES - "e30..AAAA".len() - room)));
        assert!(!parsed(&padding(MAX_TOKEN_BYTES - "e30..AAAA".len() - room + 4)));
    }

    #[test]
    fn sec_053_claims_that_are_no_object_are_wrong_claims_not_a_wrong_signature() {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key = [VerifyingKey::ed25519("k".to_owned(), pair.public_key().as_ref())];
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","typ":"a","kid":"k"}"#);
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode("[1]"));
        let signed = |signature: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
        let right = signed(pair.sign(message.as_bytes()).as_ref());
        assert_eq!(verify(&right, &key, &[Some("a")]), Err(TokenError::Claims));
        assert_eq!(verify(&signed(&[1; 64]), &key, &[Some("a")]), Err(TokenError::Signature));
    }

    proptest! {
        #[test]
        fn sec_053_nonsense_is_refused_without_a_panic(token in "\\PC{0,200}") {
            prop_assert!(verify(&token, &[], &[Some("JWT"), None]).is_err());
        }

        #[test]
        fn sec_053_three_parts_of_nonsense_are_refused(token in "[A-Za-z0-9_=+/-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
            prop_assert!(verify(&token, &[], &[Some("JWT"), None]).is_err());
        }
    }
}
