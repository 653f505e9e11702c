//! Keys of imported Cosync JWT servers. App tokens are compiled into shipped clients, so they stay valid; no other
//! token of such a server is accepted.

use latchkey_domain::AppId;
use serde_json::Value;
use time::OffsetDateTime;

use crate::LEEWAY_SECONDS;
use crate::app_key::PublicKey;
use crate::error::CryptoError;
use crate::jwt::{self, TokenError, VerifyingKey};
use crate::server_token::AppToken;

/// Thumbprints (RFC 7638) of sample keys that were published with the server's source: everybody has their private
/// halves.
const SAMPLES: [&str; 2] =
    ["p1wN9aVvV1a8M_6QJnhjzp1xDkLu39VV2jHn7q7y8Cw", "YYBquIlT0RQcfItKG-AM7TjAeDxDAUYeXVmypl0Rj2U"];

/// Reads the public key of an old server (PEM).
///
/// # Errors
/// [`CryptoError::Key`] when it is not a key, or its private half is public.
pub fn old_server_key(pem: &str) -> Result<PublicKey, CryptoError> {
    let key = PublicKey::from_pem(pem)?;
    if SAMPLES.contains(&key.kid()) {
        return Err(CryptoError::Key(
            "this is a published sample key: anybody could impersonate clients with it",
        ));
    }
    Ok(key)
}

/// The generation of old servers' app tokens. Applications that are made here begin with 1, so that none of them takes
/// such a token.
pub const OLD_GENERATION: i64 = 0;

/// The old servers' keys that are trusted for app tokens.
#[derive(Default)]
pub struct OldServerKeys(Vec<VerifyingKey>);

impl OldServerKeys {
    /// These keys.
    #[must_use]
    pub fn new(keys: &[PublicKey]) -> Self {
        Self(keys.iter().map(PublicKey::verifying).collect())
    }

    /// Verifies an app token of an old server: RS256, without a `kid`, of scope `app`. It is of
    /// [`OLD_GENERATION`], so that a new app token ends it.
    ///
    /// # Errors
    /// [`TokenError`] with the reason.
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<AppToken, TokenError> {
        let claims = jwt::verify_unnamed(token, &self.0, &[Some("JWT"), None])?;
        jwt::check_times(&claims, now, LEEWAY_SECONDS, false, LEEWAY_SECONDS)?;
        if claims.get("scope").and_then(Value::as_str) != Some("app") {
            return Err(TokenError::Kind);
        }
        let app_id: Option<AppId> =
            claims.get("appId").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let issued_at = claims.get("iat").and_then(Value::as_i64).unwrap_or(0);
        Ok(AppToken {
            app_id: app_id.ok_or(TokenError::Claims)?,
            generation: OLD_GENERATION,
            issued_at: OffsetDateTime::from_unix_timestamp(issued_at).map_err(|_| TokenError::Claims)?,
        })
    }
}

impl std::fmt::Debug for OldServerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OldServerKeys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;
    use crate::{RsaSize, SigningKey};

    fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
        key.sign_as(header, claims).unwrap()
    }

    #[test]
    fn sec_067_an_old_server_key_verifies_app_tokens_and_nothing_else() {
        let (old, other) = (
            SigningKey::generate(RsaSize::Rsa2048).unwrap(),
            SigningKey::generate(RsaSize::Rsa2048).unwrap(),
        );
        let keys = OldServerKeys::new(&[old.public().clone()]);
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let header = json!({"alg": "RS256", "typ": "JWT"});
        let id = "0123456789abcdef0123456789abcdef";
        let app = json!({"appId": id, "scope": "app", "iat": 1_600_000_000});
        let found = keys.verify(&signed(&old, &header, &app), now).unwrap();
        assert_eq!(format!("{keys:?}"), "OldServerKeys(1)");
        assert_eq!((found.app_id.to_string().as_str(), found.generation), (id, OLD_GENERATION));
        for (what, token) in [
            ("a server secret", signed(&old, &header, &json!({"name": "x", "scope": "server", "iat": 1}))),
            ("an app secret", signed(&old, &header, &json!({"appId": id, "scope": "appSecret", "iat": 1}))),
            (
                "an access token",
                signed(&old, &header, &json!({"handle": "a", "appId": id, "scope": "user", "iat": 1})),
            ),
            ("one without scope", signed(&old, &header, &json!({"appId": id, "iat": 1}))),
            (
                "one with a list of scopes",
                signed(&old, &header, &json!({"appId": id, "scope": ["app"], "iat": 1})),
            ),
            (
                "one from the future",
                signed(&old, &header, &json!({"appId": id, "scope": "app", "iat": 1_800_000_000})),
            ),
            (
                "one with a kid",
                signed(&old, &json!({"alg": "RS256", "typ": "JWT", "kid": old.public().kid()}), &app),
            ),
            ("another algorithm", signed(&old, &json!({"alg": "RS384", "typ": "JWT"}), &app)),
            ("another server's", signed(&other, &header, &app)),
            (
                "one without an application",
                signed(&old, &header, &json!({"appId": "x", "scope": "app", "iat": 1})),
            ),
        ] {
            assert!(keys.verify(&token, now).is_err(), "{what}");
        }
        let unsigned = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#),
            URL_SAFE_NO_PAD.encode(app.to_string())
        );
        assert!(keys.verify(&unsigned, now).is_err());
        assert!(OldServerKeys::default().verify(&signed(&old, &header, &app), now).is_err());
    }

    #[test]
    fn sec_067_the_published_sample_key_is_refused() {
        let sample = "-----BEGIN PUBLIC KEY-----\n\
            MIIBojANBgkqhkiG9w0BAQEFAAOCAY8AMIIBigKCAYEAybyey/wQcsEAZJ4QQQmG\n\
            BnvJKIgskuh+L8SAyaWlkKjxC6kjokCbJB/6jPBoztF6q4vX04NaMSis8K5NtLpS\n\
            8B7mFDmee5vKzYpP1iteZ9OxbLtSQGlrwpNiidO1sMC22ai/XYmV8EMxm4/DjS1J\n\
            7Cg+L/O1Ixn+ez7pVztyrwgVLB6XgXUW245q3MmV1rqbG+VFNx8E7AskxBjaftyG\n\
            DpdU1ezQ8H+wX6UO/T+dphmlWIwqgGZi4v5vKWZbv0vg3Iv1Ag5OP+hhj5RMXlsY\n\
            njL649AqK71sTgjEkWCNMr/td7yK2qrSt1h25XJq0bqPLnYM68KDKfCGlCOAW0kX\n\
            TlpB8o8ApXlCVsd1+Wcjn5uVaA9TdK8n9xjOGJWGNpWrYGrOmGz++Drh/8SN9r8T\n\
            I1WdKztBNglDJbRjrsjWRqjBH1Uq0iKJoed5NyODHJJoKa0K180hygVqQUgSE4xQ\n\
            RF7zIFqX3Fm9UJFVGjfWQ9PWrWScXPUYJXWLOzRTb56bAgMBAAE=\n\
            -----END PUBLIC KEY-----\n";
        let error = old_server_key(sample).unwrap_err();
        assert!(error.to_string().contains("sample"), "{error}");
        let own = SigningKey::generate(RsaSize::Rsa2048).unwrap();
        assert!(old_server_key(own.public().to_pem()).is_ok());
        assert!(old_server_key("nonsense").is_err());
    }
}
