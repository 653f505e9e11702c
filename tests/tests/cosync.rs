//! A Cosync JWT server moves in: a dump as its database would give it, made here from what is known of it, sealed with the
//! key of the check vector.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bson::{Bson, Document, doc};
use latchkey_crypto::{RsaSize, SigningKey};
use latchkey_tests::{PASSWORD, Place};
use serde_json::{Value, json};

const ENCRYPT_KEY: &str = "correct horse";
const APP: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

/// As the old server seals a field.
fn sealed(text: &str, number: u8) -> String {
    let key = latchkey_crypto::sha256(ENCRYPT_KEY.as_bytes());
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, &key).unwrap()).unwrap();
    let iv = [number; 16];
    let mut body = text.as_bytes().to_vec();
    key.less_safe_encrypt(&mut body, EncryptionContext::Iv128(FixedLength::from(&iv))).unwrap();
    STANDARD.encode([iv.as_slice(), &body].concat())
}

/// A token as the old server signs them: no `kid`.
fn signed(key: &SigningKey, claims: &Value) -> String {
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    let random = aws_lc_rs::rand::SystemRandom::new();
    pair.sign(&aws_lc_rs::signature::RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// PKCS#1, as the old server keeps private keys: the inner half of PKCS#8.
fn pkcs1_pem(key: &SigningKey) -> String {
    let der = key.to_pkcs8().unwrap();
    let inner = &der[26..];
    let text = STANDARD.encode(inner);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"))
}

fn at(seconds: i64) -> bson::DateTime {
    bson::DateTime::from_millis((1_700_000_000 + seconds) * 1_000)
}

fn app(id: &str, name: &str, key: &SigningKey) -> Document {
    doc! {
        "_id": bson::oid::ObjectId::new(), "appId": id, "name": name, "status": "active", "type": "commercial",
        "jwtEnabled": true, "userNamesEnabled": true, "appPublicKey": sealed(&STANDARD.encode(key.public().to_pem()), 1),
        "appPrivateKey": sealed(&STANDARD.encode(pkcs1_pem(key)), 2), "appSecret": sealed("x", 3), "appToken": "old",
        "handle": "email", "invitationEnabled": true, "signupEnabled": true, "signupFlow": "none",
        "twoFactorVerification": "google", "googleAppName": "Our shop", "maxUsers": 0, "maxLoginAttempts": "7",
        "passwordFilter": true, "passwordMinLength": 6, "userJWTExpiration": 48_i64, "realmAppId": "realm-abc",
        "emailExtension": false, "emailExtensionAPIKey": sealed("SG.old", 4),
        "emailExtensionSenderEmail": "shop@example.com", "appData": {"CosyncJWTVersion": "1.0.1", "theme": "dark"},
        "TWILIOAccountSid": sealed("ACold", 5), "TWILIOToken": sealed("old", 6),
        "TWILIOPhoneNumber": sealed("+4915112345678", 7),
        "metaData": [
            {"id": 1, "path": "user_data.name", "fieldName": "name", "required": true, "canEdit": true},
            {"id": 2, "path": "sub", "fieldName": "sub", "required": false, "canEdit": true},
            {"id": 3, "path": "acr", "fieldName": "acr", "required": false, "canEdit": false},
            {"id": 4, "path": "profile.isAdmin", "fieldName": "isAdmin", "required": false, "canEdit": false},
        ],
        "metaDataInvite": [{"id": 1, "path": "team", "fieldName": "team", "required": false}],
        "metaDataEmail": true, "locales": ["EN", "fr", "XX"], "createdAt": at(0), "updatedAt": at(5), "__v": 0,
    }
}

fn user(app: &str, handle: &str, more: Document) -> Document {
    let mut user = doc! {
        "_id": bson::oid::ObjectId::new(), "handle": handle, "appId": app, "status": "active",
        "password": bcrypt::hash(PASSWORD, 4).unwrap(), "locale": "FR", "metaData": {"user_data": {"name": "Ana"}},
        "createdAt": at(10), "updatedAt": at(11), "lastLogin": at(12), "loginProvider": "", "__v": 0,
    };
    user.extend(more);
    user
}

struct Dump {
    key: SigningKey,
    server: SigningKey,
    collections: Vec<(&'static str, Vec<Document>)>,
}

fn dump() -> Dump {
    let key = SigningKey::generate(RsaSize::Rsa2048).unwrap();
    let other = SigningKey::generate(RsaSize::Rsa2048).unwrap();
    let server = SigningKey::generate(RsaSize::Rsa3072).unwrap();
    let mut users = vec![
        user(APP, "ana@example.com", doc! {"userName": "ana"}),
        user(
            APP,
            "Bob@Example.com",
            doc! {"status": "suspend", "phone": "+4915187654321", "phoneVerified": true},
        ),
        user(
            APP,
            "cyd@example.com",
            doc! {
                "twoFactorGoogleVerification": true, "googleSecretKey": "gezd gnbv gy3t qojq gezd gnbv gy3t qojq",
            },
        ),
        user(
            APP,
            "dan@example.com",
            doc! {"loginProvider": "apple", "socialUserId": "001.a", "password": Bson::Null},
        ),
        user(APP, "eve@example.com", doc! {"phone": "not a number", "locale": "XX", "userName": "ana"}),
        user("00000000000000000000000000000000", "nobody@example.com", doc! {}),
        user(OTHER, "ana@example.com", doc! {}),
    ];
    users.extend((0..300).map(|n| user(APP, &format!("user{n}@example.com"), doc! {})));
    let pending = |handle: &str, status: &str| {
        doc! {"appId": APP, "handle": handle, "password": bcrypt::hash(PASSWORD, 4).unwrap(), "code": 123_456,
        "status": status, "locale": "EN", "metaData": {}, "createdAt": at(1), "updatedAt": at(2)}
    };
    let template = |name: &str, locale: &str| {
        doc! {"_id": bson::oid::ObjectId::new(), "appId": APP, "templateName": name, "locale": locale,
        "subject": "Ours for %APP_NAME%", "replyTo": "", "htmlTemplate": "<p>%HANDLE% %CODE%</p>",
        "createdAt": at(0), "updatedAt": at(0)}
    };
    let collections = vec![
        ("apps", vec![app(APP, "Old shop", &key), app(OTHER, "Other shop", &other)]),
        ("users", users),
        ("signups", vec![pending("new@example.com", "pending"), pending("ana@example.com", "verified")]),
        (
            "invites",
            vec![doc! {"appId": APP, "handle": "friend@example.com", "senderHandle": "ana@example.com",
            "senderUserId": "x", "code": 654_321, "status": "pending", "metaData": {"team": "red"},
            "createdAt": at(1), "updatedAt": at(2)}],
        ),
        (
            "emailtemplates",
            vec![template("signUp", "EN"), template("signUp", "EN"), template("unknown", "EN")],
        ),
    ];
    Dump { key, server, collections }
}

impl Dump {
    fn as_bson(&self, folder: &Path) {
        for (name, documents) in &self.collections {
            let mut bytes = Vec::new();
            documents.iter().for_each(|document| document.to_writer(&mut bytes).unwrap());
            fs::write(folder.join(format!("{name}.bson")), bytes).unwrap();
        }
    }

    fn as_json_lines(&self, folder: &Path) {
        for (name, documents) in &self.collections {
            let lines: Vec<String> = documents
                .iter()
                .map(|document| extended(&Bson::Document(document.clone())).to_string())
                .collect();
            fs::write(folder.join(format!("{name}.json")), lines.join("\n")).unwrap();
        }
    }
}

/// A value as `mongoexport` writes it.
fn extended(value: &Bson) -> Value {
    match value {
        Bson::String(text) => json!(text),
        Bson::Boolean(flag) => json!(flag),
        Bson::Int32(number) => json!(number),
        Bson::Int64(number) => json!({"$numberLong": number.to_string()}),
        Bson::ObjectId(id) => json!({"$oid": id.to_hex()}),
        Bson::DateTime(time) => json!({"$date": {"$numberLong": time.timestamp_millis().to_string()}}),
        Bson::Array(items) => items.iter().map(extended).collect(),
        Bson::Document(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), extended(value))).collect())
        }
        _ => Value::Null,
    }
}

fn folder_in(place: &Place, name: &str) -> PathBuf {
    let _ = place.printed(&["app", "list"]);
    let folder = place.data().join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

async fn moves_in(place: Place, write: impl Fn(&Dump, &Path)) {
    let native = place.printed(&["app", "create", "Another", "--signup-flow", "none"]);
    let old = dump();
    let folder = folder_in(&place, "dump");
    write(&old, &folder);
    let key = written(&place.data(), "encrypt.key", &format!("{ENCRYPT_KEY}\n"));
    let server_key = written(&place.data(), "publickey.pem", old.server.public().to_pem());
    let dump = folder.to_str().unwrap();
    let import = ["import", "cosync", dump, "--encrypt-key-file", &key, "--server-public-key", &server_key];
    let dry = place.printed(&[&import[..], &["--dry-run"]].concat());
    for told in [
        "The application Old shop (0123456789abcdef0123456789abcdef), with its key and 1 message.",
        "306 users, 1 sign-up, 1 invitation",
        "skipped 1 documents of applications that are not imported",
        "skipped 1 completed sign-ups",
        "skipping metadata field \"sub\"",
        "users may set the field acr of metaData",
        "users may set the field profile.isAdmin of metaData",
        "unknown locale \"XX\"",
        "invalid phone number \"not a number\"",
        "the user name \"ana\" is invalid or taken",
    ] {
        assert!(dry.contains(told), "{told} in {dry}");
    }
    assert_eq!(place.printed(&["app", "list"]).lines().count(), 1, "a dry run changes nothing");

    let server = place.start();
    let told = place.printed(&import);
    assert!(
        told.contains("Old shop (0123456789abcdef0123456789abcdef) is imported, with 307 records."),
        "{told}"
    );
    let again = place.printed(&import);
    assert!(
        again.contains(
            "Old shop (0123456789abcdef0123456789abcdef) exists already; nothing of it was imported."
        ),
        "{again}"
    );

    // The app token that ships in the clients, signed by the old server, goes on working; nothing else of it does.
    let app_token = signed(&old.server, &json!({"appId": APP, "scope": "app", "iat": 1_700_000_000}));
    let mut logged_in = server.log_in(&app_token, "ana@example.com").await.unwrap();
    for _ in 0..50 {
        if logged_in.0 == 200 {
            break;
        }
        // On PostgreSQL the command told the database; the server looks there every other second.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        logged_in = server.log_in(&app_token, "ana@example.com").await.unwrap();
    }
    let (status, answer) = logged_in;
    assert_eq!(status, 200, "{answer}");
    let secret = signed(&old.server, &json!({"name": "old", "scope": "server", "iat": 1_700_000_000}));
    assert_eq!(server.get("/api/app/allApps", ("server-secret", &secret)).await.unwrap().0, 403);
    let native = native.lines().find_map(|line| line.strip_prefix("app id")).unwrap().trim();
    let foreign = signed(&old.server, &json!({"appId": native, "scope": "app", "iat": 1_700_000_000}));
    let (status, told) = server.log_in(&foreign, "ana@example.com").await.unwrap();
    assert_eq!(
        (status.as_u16(), &told["code"]),
        (400, &json!(400)),
        "its own applications take no such token"
    );
    let access =
        signed(&old.server, &json!({"handle": "ana@example.com", "appId": APP, "scope": "user", "iat": 1}));
    assert_eq!(server.get("/api/appuser/getUser", ("access-token", &access)).await.unwrap().0, 400);

    // A user's old JWT verifies with the key that the application publishes now, and so does a new one.
    let (_, keys) = server.get(&format!("/apps/{APP}/.well-known/jwks.json"), ("x", "")).await.unwrap();
    let published = latchkey_crypto::PublicKey::from_jwk(&keys["keys"][0]).unwrap();
    assert_eq!(published.kid(), old.key.public().kid());
    let jwt = answer["jwt"].as_str().unwrap();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("ana@example.com"), &json!("realm-abc")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 48 * 3_600);
    assert_eq!(claims["user_data"]["name"], "Ana");
    let old_jwt =
        signed(&old.key, &json!({"sub": "ana@example.com", "aud": "realm-abc", "exp": 4_000_000_000_i64}));
    verifies(&old_jwt, &published);

    // Everybody is who they were.
    for (handle, expected) in [
        ("Bob@Example.com", json!({"code": 404})),
        ("cyd@example.com", json!({"login-token": true})),
        ("user299@example.com", json!({"jwt": true})),
    ] {
        let (_, answer) = server.log_in(&app_token, handle).await.unwrap();
        let member = expected.as_object().unwrap().keys().next().unwrap();
        assert!(answer.get(member).is_some(), "{handle}: {answer}");
        assert!(member != "code" || answer["code"] == 404, "{handle}: {answer}");
    }
    let own = place.printed(&["token", "server"]);
    let (_, seen) = server.get(&format!("/api/app/appId/{APP}"), ("server-secret", &own)).await.unwrap();
    for (field, value) in [
        ("type", json!("commercial")),
        ("maxLoginAttempts", json!("7")),
        ("passwordMinLength", json!(6)),
        ("googleAppName", json!("Our shop")),
        ("locales", json!(["EN", "FR"])),
        ("hasSmsAccount", json!(true)),
        ("emailExtensionSenderEmail", json!("shop@example.com")),
        ("appData", json!({"theme": "dark"})),
        ("createdAt", json!("2023-11-14T22:13:20.000Z")),
    ] {
        assert_eq!(seen[field], value, "{field}");
    }
    assert_eq!(seen["metaData"].as_array().unwrap().len(), 3);

    // The bcrypt digest was replaced at the log-in; the others wait for theirs.
    let out = place.printed(&["export", "archive", APP]);
    let of =
        |handle: &str| out.lines().find(|line| line.contains(&format!("\"handle\":\"{handle}\""))).unwrap();
    assert!(of("ana@example.com").contains("$argon2id$") && of("user1@example.com").contains("$2b$"));
    assert!(of("dan@example.com").contains("\"providerSubject\":\"001.a\""));
    assert!(of("friend@example.com").contains("\"team\":\"red\""));
    assert!(out.contains("Ours for %APP_NAME%"));

    // A new app token ends the old one.
    let body = json!({"appId": APP});
    assert_eq!(
        server.post("/api/app/regenerateAppToken", ("server-secret", &own), body).await.unwrap().0,
        200
    );
    assert_eq!(server.log_in(&app_token, "ana@example.com").await.unwrap().0, 400);
}

fn verifies(jwt: &str, key: &latchkey_crypto::PublicKey) {
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    let der = key.to_pem().lines().filter(|line| !line.starts_with("-----")).collect::<String>();
    let der = STANDARD.decode(der).unwrap();
    let key =
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, der);
    key.verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bson_dump_moves_into_sqlite() {
    moves_in(Place::sqlite(), Dump::as_bson).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_json_dump_moves_into_postgres() {
    moves_in(Place::postgres(), Dump::as_json_lines).await;
}

fn refused_in(place: &Place, arguments: &[&str], words: &[&str]) {
    let output = place.run(arguments);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(65), "{said}");
    for word in words {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert!(!said.contains("panicked"));
    assert_eq!(place.printed(&["app", "list"]).lines().count(), 1);
    assert!(place.printed(&["import", "list"]).starts_with("no unfinished imports"));
}

#[test]
fn a_dump_that_does_not_open_imports_nothing() {
    let first = Place::sqlite();
    let place = &first;
    let _ = place.printed(&["app", "create", "Another"]);
    let old = dump();
    let folder = folder_in(place, "dump");
    old.as_bson(&folder);
    let path = folder.to_str().unwrap();
    let refused = |arguments: &[&str], words: &[&str]| refused_in(place, arguments, words);
    let wrong = written(&place.data(), "wrong.key", "another horse\n");
    refused(&["import", "cosync", path, "--encrypt-key-file", &wrong], &["encryptKey", "Old shop"]);
    refused(&["import", "cosync", path], &["encryptKey"]);
    let key = written(&place.data(), "encrypt.key", ENCRYPT_KEY);
    let import = ["import", "cosync", path, "--encrypt-key-file", &key];
    refused(&[&import[..], &["--app", "unknown"]].concat(), &["unknown is not in the dump"]);
    let sample =
        written(&place.data(), "no.pem", "-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n");
    refused(&[&import[..], &["--dry-run", "--server-public-key", &sample]].concat(), &["key"]);
    let _ = place.printed(&["app", "create", "Other shop"]);
    let pem = written(&place.data(), "publickey.pem", old.server.public().to_pem());
    let output = place.run(&[&import[..], &["--server-public-key", &pem]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(65) && said.contains("App 'Other shop' already exists"), "{said}");
    assert!(place.printed(&["import", "list"]).starts_with("no unfinished imports"));
    let place = Place::sqlite();
    let _ = place.printed(&["app", "create", "Another"]);
    let refused = |arguments: &[&str], words: &[&str]| refused_in(&place, arguments, words);
    let users = fs::read(folder.join("users.bson")).unwrap();
    fs::write(folder.join("users.bson"), &users[..users.len() - 10]).unwrap();
    refused(&import, &["users.bson, line 307", "cut off"]);
    fs::write(folder.join("users.bson"), b"PK\x03\x04 a zip file").unwrap();
    refused(&import, &["users.bson, line 1", "no BSON"]);
    let mut twice = Vec::new();
    for handle in ["ana@example.com", "ANA@example.com", "no\u{202e}body@example.com"] {
        user(APP, handle, doc! {}).to_writer(&mut twice).unwrap();
    }
    fs::write(folder.join("users.bson"), &twice).unwrap();
    refused(&import, &["line 2: users: duplicate handle \"ANA@example.com\"", "line 3"]);
    let told = place.printed(&[&import[..], &["--skip-refused"]].concat());
    assert!(told.contains("is imported, with 3 records"), "{told}");
    let empty = folder_in(&place, "empty");
    let output = place.run(&["import", "cosync", empty.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no apps.bson"));
}
