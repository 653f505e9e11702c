//! Forged, expired and foreign ID tokens, and key sets that cannot be trusted.

use serde_json::json;

use super::*;
use crate::app_key::{RsaSize, SigningKey};

const NOW: i64 = 1_700_000_000;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://accounts.google.com", "aud": "client-1", "sub": "1234567890", "iat": NOW - 10,
        "exp": NOW + 3_600, "email": "ana@example.com", "email_verified": true, "nonce": "n-1",
    })
}

fn key() -> SigningKey {
    static KEY: std::sync::OnceLock<SigningKey> = std::sync::OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(RsaSize::Rsa2048).unwrap()).clone()
}

fn set(jwks: &[Value]) -> Result<ProviderKeys, CryptoError> {
    ProviderKeys::parse(json!({ "keys": jwks }).to_string().as_bytes())
}

fn check(token: &str, nonce: Option<&str>) -> Result<IdToken, TokenError> {
    let issuers = ["https://accounts.google.com".to_owned(), "accounts.google.com".to_owned()];
    let audiences = ["client-0".to_owned(), "client-1".to_owned()];
    let rules = IdTokenRules { issuers: &issuers, audiences: &audiences, nonce };
    verify_id_token(token, &set(&[key().public().to_jwk()]).unwrap(), rules, now())
}

fn signed(claims: &Value) -> String {
    key().sign(claims.as_object().unwrap()).unwrap()
}

fn with(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    signed(&claims)
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    signed(&claims)
}

#[test]
fn sec_092_a_right_token_says_who_it_is() {
    let id = check(&signed(&claims()), None).unwrap();
    assert_eq!((id.subject.as_str(), id.verified_email.as_deref()), ("1234567890", Some("ana@example.com")));
    assert!(check(&with("aud", json!(["client-1"])), None).is_ok());
    assert!(check(&with("iss", json!("accounts.google.com")), None).is_ok());
}

#[test]
fn sec_092_every_claim_that_is_not_as_demanded_is_refused() {
    for (name, wrong) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!("https://accounts.google.com/")),
        ("iss", json!(["https://accounts.google.com"])),
        ("aud", json!("client-2")),
        ("aud", json!("client-0,client-1")),
        ("aud", json!(["client-1", "client-2"])),
        ("aud", json!([])),
        ("aud", json!(null)),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("a\u{0}b")),
        ("sub", json!("\u{212A}")),
        ("sub", json!("x".repeat(256))),
        ("exp", json!(NOW - 60)),
        ("exp", json!("never")),
        ("iat", json!(NOW + 61)),
        ("iat", json!("now")),
        ("nbf", json!(NOW + 61)),
    ] {
        assert!(check(&with(name, wrong.clone()), None).is_err(), "{name}: {wrong}");
    }
    for name in ["iss", "aud", "sub", "exp", "iat"] {
        assert!(check(&without(name), None).is_err(), "{name}");
    }
}

#[test]
fn sec_057_a_providers_clock_may_be_a_minute_off() {
    assert!(check(&with("exp", json!(NOW - 59)), None).is_ok());
    assert!(check(&with("iat", json!(NOW + 60)), None).is_ok());
}

#[test]
fn sec_092_a_nonce_counts_where_the_client_sends_one() {
    assert!(check(&signed(&claims()), Some("n-1")).is_ok());
    let right: String = digest(&SHA256, b"n-1").as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(check(&with("nonce", json!(&right)), Some("n-1")).is_ok());
    assert!(check(&with("nonce", json!(&right[..32])), Some("n-1")).is_err());
    assert!(check(&signed(&claims()), Some("n-2")).is_err());
    assert!(check(&without("nonce"), Some("n-1")).is_err());
    assert!(check(&without("nonce"), None).is_ok());
}

#[test]
fn sec_093_an_address_counts_only_where_it_is_verified() {
    for (value, expected) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!("false"), false),
        (json!("TRUE"), false),
        (json!(1), false),
        (json!(null), false),
    ] {
        let id = check(&with("email_verified", value.clone()), None).unwrap();
        assert_eq!(id.verified_email.is_some(), expected, "{value}");
    }
    assert!(check(&without("email_verified"), None).unwrap().verified_email.is_none());
}

/// The bypass Q3 of the reference: an HMAC keyed with the provider's public key.
#[test]
fn sec_092_the_algorithm_is_the_keys_never_the_tokens() {
    let jwk = key().public().to_jwk();
    let kid = jwk["kid"].as_str().unwrap().to_owned();
    let body = URL_SAFE_NO_PAD.encode(claims().to_string());
    let pem = key().public().to_pem().to_owned();
    for alg in ["none", "None", "HS256", "HS384", "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256"] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": kid, "typ": "JWT"}).to_string());
        let message = format!("{header}.{body}");
        let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, pem.as_bytes());
        let forged = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&hmac, message.as_bytes()));
        let (_, own) = signed(&claims()).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        for signature in ["", &forged, &own] {
            assert!(check(&format!("{message}.{signature}"), None).is_err(), "{alg}");
        }
    }
    // Another's key under the right name.
    let stranger = SigningKey::generate(RsaSize::Rsa2048).unwrap();
    let theirs = stranger.sign(claims().as_object().unwrap()).unwrap();
    assert_eq!(check(&theirs, None), Err(TokenError::UnknownKey));
    let (_, rest) = theirs.split_once('.').unwrap();
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "RS256", "kid": kid}).to_string());
    assert_eq!(check(&format!("{header}.{rest}"), None), Err(TokenError::Signature));
}

#[test]
fn sec_092_a_token_of_p_256_is_verified_with_es256_only() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": "e", "use": "sig",
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
    });
    let sign = |alg: &'static str| {
        jwt::join(alg, "JWT", "e", claims().as_object().unwrap(), |message| {
            Ok(pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
        })
        .unwrap()
    };
    let mut of_another_curve = jwk.clone();
    of_another_curve["crv"] = json!("secp256k1");
    assert!(set(&[of_another_curve]).is_err());
    let keys = set(&[jwk]).unwrap();
    let issuers = ["https://accounts.google.com".to_owned()];
    let audiences = ["client-1".to_owned()];
    let rules = IdTokenRules { issuers: &issuers, audiences: &audiences, nonce: None };
    assert!(verify_id_token(&sign("ES256"), &keys, rules, now()).is_ok());
    assert_eq!(verify_id_token(&sign("RS256"), &keys, rules, now()), Err(TokenError::Kind));
}

#[test]
fn keys_that_cannot_be_trusted_are_passed_over() {
    let good = key().public().to_jwk();
    let change = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        jwk
    };
    let short = json!({"kty": "RSA", "kid": "short", "n": URL_SAFE_NO_PAD.encode([0xff; 64]), "e": "AQAB"});
    let padded = json!({
        "kty": "RSA", "kid": "padded", "e": "AQAB",
        "n": URL_SAFE_NO_PAD.encode([vec![0; 192], vec![0xff; 64]].concat()),
    });
    for unusable in [
        short,
        padded,
        change("use", json!("enc")),
        change("alg", json!("RS512")),
        change("alg", json!("HS256")),
        change("kty", json!("oct")),
        change("kid", json!(7)),
        change("e", json!("AQ")),
        change("key_ops", json!(["encrypt"])),
        json!({"kty": "EC", "crv": "P-256", "kid": "off", "x": URL_SAFE_NO_PAD.encode([1; 32]),
            "y": URL_SAFE_NO_PAD.encode([1; 32])}),
        change("n", json!("not base64!")),
        json!("text"),
    ] {
        assert!(set(std::slice::from_ref(&unusable)).is_err(), "{unusable}");
        assert!(set(&[unusable, change("kid", json!("other"))]).is_ok());
    }
    assert!(set(&[good.clone(), good.clone()]).is_err(), "a duplicate name is ambiguous");
    let twin = json!({"kty": "EC", "crv": "P-256", "kid": good["kid"], "use": "enc"});
    assert!(set(&[good.clone(), twin]).is_ok(), "a twin that is not used is no twin");
    assert!(set(&[]).is_err());
    for body in [&b""[..], b"<html></html>", b"[]", b"{\"keys\":{}}", b"{\"keys\":7}", b"\xff"] {
        assert!(ProviderKeys::parse(body).is_err());
    }
}

#[test]
fn sec_092_a_set_of_more_than_a_hundred_keys_is_none() {
    let of = |others: usize| {
        let mut keys = vec![json!({"kty": "oct", "kid": "x"}); others];
        keys.push(key().public().to_jwk());
        set(&keys)
    };
    assert_eq!(format!("{:?}", of(99).unwrap()), "ProviderKeys(1)");
    for others in [100, 101, 150] {
        assert!(of(others).is_err(), "{others}");
    }
}

#[test]
fn nonsense_is_no_reason_to_fetch_keys() {
    assert!(may_be_id_token(&signed(&claims())));
    for nonsense in ["", "x.y.z", "a.b", "garbage"] {
        assert!(!may_be_id_token(nonsense), "{nonsense}");
    }
}
