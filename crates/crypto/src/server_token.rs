//! The server's own tokens: Ed25519 (RFC 8037), one type and audience per kind, so that none passes for
//! another. Whether a token has been revoked since is the service's business.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_domain::{AppId, TokenId, UserId};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::app_key::thumbprint;
use crate::error::CryptoError;
use crate::jwt::{self, TokenError, VerifyingKey};
use crate::{FUTURE_SECONDS, LEEWAY_SECONDS};

/// Identifies the application of a client. It ships in clients and is not secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppToken {
    /// The application.
    pub app_id: AppId,
    /// The generation of its tokens: older ones are refused.
    pub generation: i64,
    /// When this generation began.
    pub issued_at: OffsetDateTime,
}

/// Says that its bearer signed in as a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The application.
    pub app_id: AppId,
    /// The user.
    pub user_id: UserId,
    /// The user's handle at that time, for clients that look into the token.
    pub handle: String,
    /// The epoch in which it was made.
    pub epoch: i64,
    /// Its own id.
    pub id: TokenId,
    /// When it was made.
    pub issued_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// Says that its bearer knew a user's password, and that a second factor is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginToken {
    /// The application.
    pub app_id: AppId,
    /// The user.
    pub user_id: UserId,
    /// The user's epoch at that time: a changed password ends the log-in.
    pub epoch: i64,
    /// The challenge: it is met once.
    pub id: TokenId,
    /// When it was made.
    pub issued_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// Says that its bearer administers an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuperToken {
    /// The application.
    pub app_id: AppId,
    /// The administrator among its users.
    pub user_id: UserId,
    /// The user's epoch at that time.
    pub epoch: i64,
    /// Its own id.
    pub id: TokenId,
    /// When it was made.
    pub issued_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// Opens the administration API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSecretToken {
    /// Its own id.
    pub id: TokenId,
    /// The name under which it is known.
    pub name: String,
    /// When it was made.
    pub issued_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// A kind of token: how its claims are written and read, and what sets it apart.
pub trait ServerToken: Sized {
    /// The header's `typ` (RFC 8725 section 3.11).
    const TYP: &'static str;
    /// The claim `scope`.
    const SCOPE: &'static str;
    /// Whether it must have an `exp`.
    const MUST_EXPIRE: bool;
    /// Whether it stays valid when its key is replaced: it ships in clients and is not secret.
    const OUTLIVES_ITS_KEY: bool = false;
    #[doc(hidden)]
    fn to_claims(&self) -> Value;
    #[doc(hidden)]
    fn from_claims(claims: &Map<String, Value>) -> Option<Self>;
}

impl ServerToken for AppToken {
    const TYP: &'static str = "lk-app+jwt";
    const SCOPE: &'static str = "app";
    const MUST_EXPIRE: bool = false;
    const OUTLIVES_ITS_KEY: bool = true;

    fn to_claims(&self) -> Value {
        let iat = self.issued_at.unix_timestamp();
        json!({"appId": self.app_id.to_string(), "generation": self.generation, "iat": iat})
    }

    fn from_claims(claims: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            app_id: text(claims, "appId")?.parse().ok()?,
            generation: claims.get("generation")?.as_i64()?,
            issued_at: moment(claims, "iat")?,
        })
    }
}

impl ServerToken for AccessToken {
    const TYP: &'static str = "lk-access+jwt";
    const SCOPE: &'static str = "user";
    const MUST_EXPIRE: bool = true;

    fn to_claims(&self) -> Value {
        json!({
            "appId": self.app_id.to_string(), "uid": self.user_id.to_string(), "handle": self.handle,
            "epoch": self.epoch, "jti": self.id.to_string(),
            "iat": self.issued_at.unix_timestamp(), "exp": self.expires_at.unix_timestamp(),
        })
    }

    fn from_claims(claims: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            app_id: text(claims, "appId")?.parse().ok()?,
            user_id: text(claims, "uid")?.parse().ok()?,
            handle: text(claims, "handle")?.to_owned(),
            epoch: claims.get("epoch")?.as_i64()?,
            id: text(claims, "jti")?.parse().ok()?,
            issued_at: moment(claims, "iat")?,
            expires_at: moment(claims, "exp")?,
        })
    }
}

impl ServerToken for LoginToken {
    const TYP: &'static str = "lk-login+jwt";
    const SCOPE: &'static str = "login";
    const MUST_EXPIRE: bool = true;

    fn to_claims(&self) -> Value {
        json!({
            "appId": self.app_id.to_string(), "uid": self.user_id.to_string(), "epoch": self.epoch,
            "jti": self.id.to_string(), "iat": self.issued_at.unix_timestamp(),
            "exp": self.expires_at.unix_timestamp(),
        })
    }

    fn from_claims(claims: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            app_id: text(claims, "appId")?.parse().ok()?,
            user_id: text(claims, "uid")?.parse().ok()?,
            epoch: claims.get("epoch")?.as_i64()?,
            id: text(claims, "jti")?.parse().ok()?,
            issued_at: moment(claims, "iat")?,
            expires_at: moment(claims, "exp")?,
        })
    }
}

impl ServerToken for SuperToken {
    const TYP: &'static str = "lk-super+jwt";
    const SCOPE: &'static str = "superuser";
    const MUST_EXPIRE: bool = true;

    fn to_claims(&self) -> Value {
        json!({
            "appId": self.app_id.to_string(), "uid": self.user_id.to_string(), "epoch": self.epoch,
            "jti": self.id.to_string(), "iat": self.issued_at.unix_timestamp(),
            "exp": self.expires_at.unix_timestamp(),
        })
    }

    fn from_claims(claims: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            app_id: text(claims, "appId")?.parse().ok()?,
            user_id: text(claims, "uid")?.parse().ok()?,
            epoch: claims.get("epoch")?.as_i64()?,
            id: text(claims, "jti")?.parse().ok()?,
            issued_at: moment(claims, "iat")?,
            expires_at: moment(claims, "exp")?,
        })
    }
}

impl ServerToken for ServerSecretToken {
    const TYP: &'static str = "lk-server+jwt";
    const SCOPE: &'static str = "server";
    const MUST_EXPIRE: bool = true;

    fn to_claims(&self) -> Value {
        json!({
            "name": self.name, "jti": self.id.to_string(),
            "iat": self.issued_at.unix_timestamp(), "exp": self.expires_at.unix_timestamp(),
        })
    }

    fn from_claims(claims: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            id: text(claims, "jti")?.parse().ok()?,
            name: text(claims, "name")?.to_owned(),
            issued_at: moment(claims, "iat")?,
            expires_at: moment(claims, "exp")?,
        })
    }
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str()
}

fn moment(claims: &Map<String, Value>, name: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(claims.get(name)?.as_i64()?).ok()
}

/// The server's token keys. One signs; it verifies, and so do newer ones, with which other instances may sign already.
/// Older ones verify only what outlives them.
pub struct TokenKeys {
    signer: Ed25519KeyPair,
    /// The one that signs first, then newer ones.
    verifiers: Vec<VerifyingKey>,
    older: Vec<VerifyingKey>,
}

impl TokenKeys {
    /// The keys with these seeds: the one that signs, newer ones, and older ones.
    pub(crate) fn from_seeds(
        signs: &Zeroizing<[u8; 32]>,
        newer: &[Zeroizing<[u8; 32]>],
        older: &[Zeroizing<[u8; 32]>],
    ) -> Result<Self, CryptoError> {
        let pair = |seed: &Zeroizing<[u8; 32]>| {
            Ed25519KeyPair::from_seed_unchecked(seed.as_ref())
                .map_err(|_| CryptoError::Key("an Ed25519 seed is 32 bytes"))
        };
        let verifier = |seed| {
            let pair = pair(seed)?;
            let public = pair.public_key().as_ref();
            Ok::<_, CryptoError>(VerifyingKey::ed25519(okp_thumbprint(public), public))
        };
        let verifiers = std::iter::once(signs).chain(newer).map(verifier).collect::<Result<_, _>>()?;
        let older = older.iter().map(verifier).collect::<Result<_, _>>()?;
        Ok(Self { signer: pair(signs)?, verifiers, older })
    }

    /// Signs a token. The same token gives the same text: Ed25519 draws nothing.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn sign<T: ServerToken>(&self, token: &T) -> Result<String, CryptoError> {
        let Value::Object(mut claims) = token.to_claims() else { return Err(CryptoError::Library("JSON")) };
        claims.insert("scope".to_owned(), T::SCOPE.into());
        claims.insert("aud".to_owned(), audience::<T>().into());
        let kid = self.verifiers.first().map_or("", |key| key.kid.as_str());
        jwt::join("EdDSA", T::TYP, kid, &claims, |message| {
            self.signer
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| CryptoError::Library("Ed25519"))
        })
    }

    /// Verifies a token of this kind: type, key, algorithm, signature, audience, scope, times (30 s of leeway).
    ///
    /// # Errors
    /// [`TokenError`] with the reason.
    pub fn verify<T: ServerToken>(&self, token: &str, now: OffsetDateTime) -> Result<T, TokenError> {
        let claims = jwt::verify(token, &self.verifiers, &[Some(T::TYP)]).or_else(|error| {
            let older = if T::OUTLIVES_ITS_KEY { self.older.as_slice() } else { &[] };
            jwt::verify(token, older, &[Some(T::TYP)]).map_err(|_| error)
        })?;
        // Tokens without an expiry are revoked by their generation.
        let future = if T::MUST_EXPIRE { FUTURE_SECONDS } else { i64::MAX };
        jwt::check_times(&claims, now, LEEWAY_SECONDS, T::MUST_EXPIRE, future)?;
        if text(&claims, "scope") != Some(T::SCOPE) || text(&claims, "aud") != Some(&audience::<T>()) {
            return Err(TokenError::Kind);
        }
        T::from_claims(&claims).ok_or(TokenError::Claims)
    }
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKeys({})", self.verifiers.len())
    }
}

fn audience<T: ServerToken>() -> String {
    format!("latchkey/{}", T::SCOPE)
}

/// RFC 7638 with the members that RFC 8037 section 2 requires.
fn okp_thumbprint(public: &[u8]) -> String {
    thumbprint(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(public)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seed: u8) -> TokenKeys {
        TokenKeys::from_seeds(&Zeroizing::new([seed; 32]), &[], &[]).unwrap()
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn app() -> AppToken {
        AppToken { app_id: AppId::from_bytes([1; 16]), generation: 1, issued_at: at(1_000) }
    }

    #[test]
    fn sec_054_audience_and_scope_count_each_by_itself() {
        let keys = keys(1);
        let (kid, Value::Object(claims)) = (keys.verifiers[0].kid.clone(), app().to_claims()) else {
            panic!()
        };
        let verified = |audience: &str, scope: &str| {
            let mut claims = claims.clone();
            claims.extend([("aud".to_owned(), audience.into()), ("scope".to_owned(), scope.into())]);
            let sign = |message: &[u8]| Ok(keys.signer.sign(message).as_ref().to_vec());
            keys.verify::<AppToken>(
                &jwt::join("EdDSA", AppToken::TYP, &kid, &claims, sign).unwrap(),
                at(1_000),
            )
        };
        assert_eq!(verified("latchkey/app", "app"), Ok(app()));
        assert_eq!(verified("latchkey/user", "app"), Err(TokenError::Kind));
        assert_eq!(verified("latchkey/app", "user"), Err(TokenError::Kind));
        assert_eq!(format!("{keys:?}"), "TokenKeys(1)");
    }

    fn access() -> AccessToken {
        AccessToken {
            app_id: AppId::from_bytes([1; 16]),
            user_id: UserId::from_bytes([2; 16]),
            handle: "ana@example.com".to_owned(),
            epoch: 1,
            id: TokenId::from_bytes([3; 16]),
            issued_at: at(1_000),
            expires_at: at(2_000),
        }
    }

    fn login() -> LoginToken {
        LoginToken {
            app_id: AppId::from_bytes([1; 16]),
            user_id: UserId::from_bytes([2; 16]),
            epoch: 1,
            id: TokenId::from_bytes([5; 16]),
            issued_at: at(1_000),
            expires_at: at(2_000),
        }
    }

    fn superuser() -> SuperToken {
        SuperToken {
            app_id: AppId::from_bytes([1; 16]),
            user_id: UserId::from_bytes([2; 16]),
            epoch: 1,
            id: TokenId::from_bytes([6; 16]),
            issued_at: at(1_000),
            expires_at: at(2_000),
        }
    }

    fn server() -> ServerSecretToken {
        let id = TokenId::from_bytes([4; 16]);
        ServerSecretToken { id, name: "ci".to_owned(), issued_at: at(1_000), expires_at: at(2_000) }
    }

    #[test]
    fn rfc_8037_appendix_a_key_thumbprint_and_signature() {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        assert_eq!(okp_thumbprint(pair.public_key().as_ref()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert_eq!(
            URL_SAFE_NO_PAD.encode(pair.sign(message)),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn every_kind_comes_back_as_it_was_and_is_deterministic() {
        let keys = keys(7);
        assert_eq!(keys.verify::<AppToken>(&keys.sign(&app()).unwrap(), at(1_500)), Ok(app()));
        assert_eq!(keys.verify::<AccessToken>(&keys.sign(&access()).unwrap(), at(1_500)), Ok(access()));
        assert_eq!(keys.verify::<ServerSecretToken>(&keys.sign(&server()).unwrap(), at(1_500)), Ok(server()));
        assert_eq!(keys.verify::<LoginToken>(&keys.sign(&login()).unwrap(), at(1_500)), Ok(login()));
        assert_eq!(keys.verify::<SuperToken>(&keys.sign(&superuser()).unwrap(), at(1_500)), Ok(superuser()));
        assert_eq!(keys.sign(&app()).unwrap(), keys.sign(&app()).unwrap());
    }

    #[test]
    fn sec_054_no_kind_passes_for_another() {
        let keys = keys(7);
        let tokens = [
            keys.sign(&app()),
            keys.sign(&access()),
            keys.sign(&server()),
            keys.sign(&login()),
            keys.sign(&superuser()),
        ]
        .map(Result::unwrap);
        for (at_index, token) in tokens.iter().enumerate() {
            let passes = [
                keys.verify::<AppToken>(token, at(1_500)).is_ok(),
                keys.verify::<AccessToken>(token, at(1_500)).is_ok(),
                keys.verify::<ServerSecretToken>(token, at(1_500)).is_ok(),
                keys.verify::<LoginToken>(token, at(1_500)).is_ok(),
                keys.verify::<SuperToken>(token, at(1_500)).is_ok(),
            ];
            assert_eq!(passes.iter().filter(|passed| **passed).count(), 1);
            assert!(passes[at_index]);
        }
    }

    #[test]
    fn expiry_other_keys_and_changed_bits_are_refused() {
        let (ours, others) = (keys(7), keys(8));
        let token = ours.sign(&access()).unwrap();
        assert_eq!(ours.verify::<AccessToken>(&token, at(2_030)), Err(TokenError::Expired));
        assert_eq!(others.verify::<AccessToken>(&token, at(900)), Err(TokenError::UnknownKey));
        assert_eq!(others.verify::<AccessToken>(&token, at(1_500)), Err(TokenError::UnknownKey));
        for bit in 0..token.len() * 8 {
            let mut bytes = token.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(ours.verify::<AccessToken>(&changed, at(1_500)).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn sec_057_tokens_of_ours_may_come_from_a_clock_that_was_ahead_by_a_day() {
        let (keys, day) = (keys(7), 86_400);
        let made = at(10 * day);
        let token = AccessToken { issued_at: made, expires_at: made + time::Duration::days(30), ..access() };
        let text = keys.sign(&token).unwrap();
        assert_eq!(keys.verify::<AccessToken>(&text, at(9 * day)), Ok(token));
        assert_eq!(keys.verify::<AccessToken>(&text, at(9 * day - 1)), Err(TokenError::NotYet));
        // An app token is valid by its generation.
        let token = AppToken { issued_at: made, ..app() };
        assert_eq!(keys.verify::<AppToken>(&keys.sign(&token).unwrap(), at(0)), Ok(token));
    }

    #[test]
    fn an_older_key_goes_on_verifying_app_tokens() {
        let token = keys(7).sign(&app()).unwrap();
        let [new, old] = [Zeroizing::new([9; 32]), Zeroizing::new([7; 32])];
        let rotated = TokenKeys::from_seeds(&new, &[], &[old]).unwrap();
        assert_eq!(rotated.verify::<AppToken>(&token, at(1_500)), Ok(app()));
        assert_ne!(rotated.sign(&app()).unwrap(), token);
    }
}
