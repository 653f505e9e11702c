//! The RSA key pair of an application: generation, PEM, JWK, signing and verification of users' JWTs.
//! When a key is published and when it signs is the service's business.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::error::CryptoError;
use crate::jwt::{self, TokenError, VerifyingKey};

/// The size of an application's key. Larger ones crash the Swift SDK, smaller ones are not safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RsaSize {
    /// 2,048 bits.
    Rsa2048,
    /// 3,072 bits.
    #[default]
    Rsa3072,
}

impl RsaSize {
    /// Length of a signature in bytes.
    #[must_use]
    pub fn signature_bytes(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
        }
    }
}

/// The private half, parsed once: a signature with it costs half of one that parses first.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<KeyPair>,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a new key pair, exponent 65537. Takes a good part of a second: not for a request's thread.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn generate(size: RsaSize) -> Result<Self, CryptoError> {
        let size = match size {
            RsaSize::Rsa2048 => KeySize::Rsa2048,
            RsaSize::Rsa3072 => KeySize::Rsa3072,
        };
        Self::new(KeyPair::generate(size).map_err(|_| CryptoError::Library("RSA key generation"))?)
    }

    /// Parses a private key of 2,048 or 3,072 bits (PKCS#8 DER, RFC 5208).
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        Self::new(KeyPair::from_pkcs8(der).map_err(|_| CryptoError::Key("not an RSA private key in PKCS#8"))?)
    }

    /// Parses a PEM text: PKCS#8 (RFC 7468 section 10), or PKCS#1 (`RSA PRIVATE KEY`), without a passphrase.
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn from_pem(text: &str) -> Result<Self, CryptoError> {
        let malformed = CryptoError::Key("not an RSA private key in PEM");
        let Ok(block) = pem::parse(text) else { return Err(malformed) };
        let pair = match block.tag() {
            "PRIVATE KEY" => KeyPair::from_pkcs8(block.contents()),
            "RSA PRIVATE KEY" => KeyPair::from_der(block.contents()),
            _ => return Err(malformed),
        };
        Self::new(pair.map_err(|_| malformed)?)
    }

    fn new(pair: KeyPair) -> Result<Self, CryptoError> {
        let public = pair.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
        let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
        if !matches!(modulus.len(), 256 | 384) {
            return Err(CryptoError::Key("an RSA key has 2048 or 3072 bits"));
        }
        let der: PublicKeyX509Der<'_> = public.as_der().map_err(|_| CryptoError::Library("SPKI"))?;
        let public = PublicKey::new(modulus, exponent, der.as_ref());
        Ok(Self { pair: Arc::new(pair), public })
    }

    /// The private half (PKCS#8 DER), to be sealed.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| CryptoError::Library("PKCS#8"))?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The private half as PEM (RFC 7468 section 10).
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn to_pem(&self) -> Result<Zeroizing<String>, CryptoError> {
        let der = self.to_pkcs8()?;
        Ok(Zeroizing::new(pem_text("PRIVATE KEY", &der)))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs claims under any header; for tests of what is refused.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    #[cfg(test)]
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> Result<String, CryptoError> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        self.pair
            .sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
            .map_err(|_| CryptoError::Library("RS256"))?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Signs a user's JWT: RS256, `typ` `JWT`, `kid` the key's thumbprint.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, CryptoError> {
        jwt::join("RS256", "JWT", &self.public.kid, claims, |message| {
            let mut signature = vec![0; self.pair.public_modulus_len()];
            let random = aws_lc_rs::rand::SystemRandom::new();
            self.pair
                .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                .map_err(|_| CryptoError::Library("RS256"))?;
            Ok(signature)
        })
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public.kid)
    }
}

/// The public half of an application's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    pem: String,
    kid: String,
}

impl PublicKey {
    fn new(modulus: Vec<u8>, exponent: Vec<u8>, der: &[u8]) -> Self {
        let (n, e) = (URL_SAFE_NO_PAD.encode(&modulus), URL_SAFE_NO_PAD.encode(&exponent));
        Self { kid: rsa_thumbprint(&n, &e), pem: pem_text("PUBLIC KEY", der), modulus, exponent }
    }

    pub(crate) fn verifying(&self) -> VerifyingKey {
        VerifyingKey::rs256(self.kid.clone(), &self.modulus, &self.exponent)
    }

    /// Parses a PEM text (SPKI, RFC 7468 section 13).
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn from_pem(text: &str) -> Result<Self, CryptoError> {
        let malformed = CryptoError::Key("not an RSA public key in PEM");
        let Ok(block) = pem::parse(text) else { return Err(malformed) };
        let Ok(key) = aws_lc_rs::rsa::PublicKey::from_der(block.contents()) else { return Err(malformed) };
        if block.tag() != "PUBLIC KEY" {
            return Err(malformed);
        }
        let modulus = key.modulus().big_endian_without_leading_zero().to_vec();
        let exponent = key.exponent().big_endian_without_leading_zero().to_vec();
        Ok(Self::new(modulus, exponent, block.contents()))
    }

    /// Parses a JWK (RFC 7517) of an RSA key, as a JWKS holds it.
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn from_jwk(jwk: &Value) -> Result<Self, CryptoError> {
        let malformed = CryptoError::Key("not an RSA public key in JWK");
        let part = |name: &str| {
            jwk.get(name).and_then(Value::as_str).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        };
        let (Some("RSA"), Some(n), Some(e)) = (jwk.get("kty").and_then(Value::as_str), part("n"), part("e"))
        else {
            return Err(malformed);
        };
        let parsed = aws_lc_rs::signature::RsaPublicKeyComponents { n: &n, e: &e }
            .to_parsed_public_key(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| CryptoError::Key("not an RSA public key in JWK"))?;
        let der: PublicKeyX509Der<'_> = parsed.as_der().map_err(|_| malformed)?;
        Ok(Self::new(n, e, der.as_ref()))
    }

    /// The key as PEM with lines of 64 characters.
    #[must_use]
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// The key as one line: the base64 of its PEM text, as the SDKs' consoles show it.
    #[must_use]
    pub fn to_one_line(&self) -> String {
        STANDARD.encode(&self.pem)
    }

    /// The thumbprint (RFC 7638) by which tokens name the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key's size in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.modulus.len() * 8
    }

    /// The key as JWK (RFC 7517 section 4), public members only.
    #[must_use]
    pub fn to_jwk(&self) -> Value {
        serde_json::json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
            "n": URL_SAFE_NO_PAD.encode(&self.modulus), "e": URL_SAFE_NO_PAD.encode(&self.exponent),
        })
    }
}

/// A set of keys as JWKS (RFC 7517 section 5).
#[must_use]
pub fn jwks<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> Value {
    serde_json::json!({ "keys": keys.into_iter().map(PublicKey::to_jwk).collect::<Vec<_>>() })
}

/// Verifies a user's JWT as a consumer should: RS256 with one of these keys, `iss` and `aud` as expected,
/// neither expired nor from the future (30 s of leeway).
///
/// # Errors
/// [`TokenError`] with the reason.
pub fn verify_user_jwt(
    token: &str,
    keys: &[PublicKey],
    issuer: &str,
    audience: &str,
    now: OffsetDateTime,
) -> Result<Map<String, Value>, TokenError> {
    let keys: Vec<_> = keys.iter().map(PublicKey::verifying).collect();
    let claims = jwt::verify(token, &keys, &[Some("JWT")])?;
    jwt::check_times(&claims, now, crate::LEEWAY_SECONDS, true, crate::LEEWAY_SECONDS)?;
    let is = |name: &str, wanted: &str| claims.get(name).and_then(Value::as_str) == Some(wanted);
    if is("iss", issuer) && is("aud", audience) { Ok(claims) } else { Err(TokenError::Claims) }
}

fn pem_text(tag: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, der), config)
}

/// RFC 7638 section 3: SHA-256 over the required members in lexicographic order.
fn rsa_thumbprint(n: &str, e: &str) -> String {
    thumbprint(&format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#))
}

pub(crate) fn thumbprint(canonical_jwk: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical_jwk.as_bytes()))
}

/// Checks an RS256 signature over a message; for test vectors.
#[cfg(test)]
fn verifies(modulus: &[u8], exponent: &[u8], message: &[u8], signature: &[u8]) -> bool {
    aws_lc_rs::signature::RsaPublicKeyComponents { n: modulus, e: exponent }
        .verify(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
        .is_ok()
}

#[cfg(test)]
mod tests;
