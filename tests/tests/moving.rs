//! Moving in and out with the real binary: beside a running server and without one, killed in the middle, and with
//! everything that is no archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_tests::{PASSWORD, Place, app_id_in, app_token_in};
use serde_json::{Value, json};

/// The digest of [`PASSWORD`] as the reference would keep it, at a cost that tests can afford.
fn bcrypt_digest() -> String {
    bcrypt::hash(PASSWORD, 4).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn list_of_users(number: usize) -> String {
    let digest = bcrypt_digest();
    let mut text = "handle,password,createdAt,metaData,emailVerified\n".to_owned();
    for n in 0..number {
        let seconds = n % 60;
        text.push_str(&format!(
            "user{n}@example.com,{digest},2024-01-02T03:04:{seconds:02}Z,\"{{\"\"n\"\":{n}}}\",{}\n",
            n % 2 == 1
        ));
    }
    text
}

/// Exports everything of an application.
fn exported(place: &Place, app: &str, passphrase: Option<&Path>) -> String {
    let mut arguments = vec!["export", "archive", app];
    if let Some(file) = passphrase {
        arguments.extend(["--passphrase-file", path(file)]);
    }
    place.printed(&arguments)
}

async fn users_move_in(place: Place, served: bool) {
    let printed = place.printed(&["app", "create", "Shop", "--signup-flow", "none"]);
    let (app, token) = (app_id_in(&printed), app_token_in(&printed));
    let file = place.written("users.csv", &list_of_users(1_500));
    let server = served.then(|| place.start());
    let dry = place.printed(&["import", "users", &app, path(&file), "--dry-run"]);
    assert!(dry.contains("1500 users: 1500 new, 0 existing") && dry.contains("dry run"), "{dry}");
    let told = place.printed(&["import", "users", &app, path(&file)]);
    assert!(told.contains("1500 users imported, 0 existed already"), "{told}");
    let again = place.printed(&["import", "users", &app, path(&file)]);
    assert!(again.contains("1500 users: 0 new, 1500 existing"), "{again}");
    assert!(again.contains("0 users imported, 1500 existed already"), "{again}");
    let server = server.unwrap_or_else(|| place.start());
    let log = server.client.get(format!("{}/api/app/logs?appId={app}&action=importUsers", server.url));
    let secret = place.printed(&["token", "server"]);
    let log = log.header("server-secret", secret.trim()).send().await.unwrap().text().await.unwrap();
    assert!(log.contains("1000 users") && log.contains("500 users") && !log.contains("\"0 users"), "{log}");
    let (status, answer) = server.log_in(&token, "user1499@example.com").await.unwrap();
    assert_eq!(status, 200, "{answer}");
    // The bcrypt digest was replaced when its user logged in.
    let out = exported(&place, &app, None);
    let digest_of = |handle: &str| -> String {
        let line = out.lines().find(|line| line.contains(&format!("\"{handle}\""))).unwrap();
        let user: Value = serde_json::from_str(line).unwrap();
        user["user"]["password"].as_str().unwrap().to_owned()
    };
    assert!(digest_of("user1499@example.com").starts_with("$argon2id$"));
    assert!(digest_of("user1@example.com").starts_with("$2b$"));
    assert!(!out.contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_move_in_beside_a_server_on_sqlite() {
    users_move_in(Place::sqlite(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_move_in_without_a_server_on_sqlite() {
    users_move_in(Place::sqlite(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_move_in_on_postgres() {
    users_move_in(Place::postgres(), true).await;
}

/// An application with one of everything, as an archive that is sealed to a passphrase.
async fn archive_of_a_shop(place: &Place) -> (String, PathBuf, String) {
    let printed = place.printed(&["app", "create", "Shop", "--compatible"]);
    let (app, token) = (app_id_in(&printed), app_token_in(&printed));
    let secret = place.printed(&["token", "server"]);
    let server = place.start();
    let admin = async |name: &str, body: Value| {
        let (status, answer) =
            server.post(&format!("/api/app/{name}"), ("server-secret", &secret), body).await.unwrap();
        assert_eq!(status, 200, "{name}: {answer}");
        answer
    };
    let fields = json!([{"path": "city", "canEdit": true}, {"path": "role", "default": "user"}]);
    admin("updateAppMetaData", json!({"appId": app, "metaData": fields})).await;
    let claims = json!([{"path": r"https://hasura\.io/jwt/claims.x-hasura-user-id", "source": "userId"},
        {"path": "scopes", "source": "texts", "value": ["read", "write"]}]);
    admin("updateAppSetting", json!({"appId": app, "setting": "fixedClaims", "fixedClaims": claims})).await;
    admin(
        "updateAppSetting",
        json!({"appId": app, "setting": "emailExtensionAPIKey",
        "emailExtensionAPIKey": "SG.canary", "emailExtensionSenderEmail": "shop@example.com"}),
    )
    .await;
    admin(
        "updateAppSetting",
        json!({"appId": app, "setting": "twoFactorVerification",
        "twoFactorVerification": "google"}),
    )
    .await;
    admin(
        "updateEmailTemplate",
        json!({"appId": app, "_id": "invite-EN", "subject": "=Ours",
        "htmlTemplate": "<p>%CODE%</p>"}),
    )
    .await;
    for n in 0..1_200 {
        if n % 300 == 0 {
            admin(
                "addUser",
                json!({"appId": app, "handle": format!("u{n}@example.com"), "password": PASSWORD,
                "administrator": n == 0, "metaData": {"city": "Bern"}}),
            )
            .await;
        }
    }
    admin("createAppInvite", json!({"appId": app, "handle": "friend@example.com"})).await;
    assert_eq!(server.sign_up(&token, "pending@example.com").await.unwrap().0, 200);
    let (_, login) = server.log_in(&token, "u0@example.com").await.unwrap();
    let access = login["access-token"].as_str().unwrap().to_owned();
    let body = json!({"twoFactor": true});
    let enrolled = server
        .post("/api/appuser/setTwoFactorGoogleVerification", ("access-token", &access), body)
        .await
        .unwrap();
    assert_eq!(enrolled.0, 200, "{}", enrolled.1);
    drop(server);
    let list = place.written("more.csv", &list_of_users(2_300));
    let told = place.printed(&["import", "users", &app, path(&list)]);
    assert!(told.contains("2300 users imported"), "{told}");
    let passphrase = place.written("passphrase", "correct horse battery staple\n");
    let archive = exported(place, &app, Some(&passphrase));
    assert!(!archive.contains("SG.canary") && !archive.contains("PRIVATE KEY"));
    (app, passphrase, archive)
}

async fn an_archive_moves(from: Place, to: Place) {
    let (app, passphrase, archive) = archive_of_a_shop(&from).await;
    assert_eq!(exported(&from, &app, Some(&passphrase)), archive, "the same at every time");
    let _ = to.printed(&["app", "list"]);
    let _ = to.printed(&["app", "create", "Another"]);
    let file = to.written("shop.jsonl", &archive);
    let import = ["import", "archive", path(&file), "--passphrase-file", path(&passphrase)];

    // Killed at a few moments: nobody sees it, and it goes on where it was.
    for round in 0..4 {
        let mut command = to.command(&import).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(400 + 250 * round)).await;
        let _ = command.kill();
        let _ = command.wait();
        let list = to.printed(&["app", "list"]);
        assert!(list.contains("Shop") || list.lines().count() == 1, "{list}");
    }
    let told = to.printed(&import);
    assert!(told.contains("is imported, with") || told.contains("exists already"), "{told}");
    assert!(to.printed(&import).contains("exists already; nothing was imported"));
    assert!(to.printed(&["import", "list"]).starts_with("no unfinished imports"));
    assert_eq!(exported(&to, &app, Some(&passphrase)), archive, "what comes in goes out");

    // Users, authenticators and keys are what they were; tokens of the old server are not this one's.
    let list = to.printed(&["app", "list"]);
    assert!(list.contains(&app), "{list}");
    let secret = to.printed(&["token", "server"]);
    let server = to.start();
    let (_, seen) = server.get(&format!("/api/app/appId/{app}"), ("server-secret", &secret)).await.unwrap();
    let token = seen["appToken"].as_str().unwrap().to_owned();
    assert_eq!(seen["name"], "Shop");
    assert_eq!(
        (&seen["fixedClaims"][1]["value"], &seen["metaData"][1]["default"]),
        (&json!(["read", "write"]), &json!("user"))
    );
    let (status, answer) = server.log_in(&token, "user7@example.com").await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let payload = answer["jwt"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!((&claims["role"], &claims["email_verified"]), (&json!("user"), &json!(true)));
    let (status, answer) = server.log_in(&token, "u0@example.com").await.unwrap();
    assert!(status == 200 && answer["login-token"].is_string(), "the authenticator is asked: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_moves_from_sqlite_to_postgres() {
    an_archive_moves(Place::sqlite(), Place::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_moves_from_postgres_to_sqlite() {
    an_archive_moves(Place::postgres(), Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_passphrase_an_application_gets_a_new_key() {
    let (from, to) = (Place::sqlite(), Place::sqlite());
    let (app, passphrase, archive) = archive_of_a_shop(&from).await;
    let _ = to.printed(&["app", "create", "Another"]);
    // A key whose tokens once lived for very long: it is published for as long.
    let (key, rest) = archive.split_once("{\"key\":{").unwrap();
    let long = format!("{key}{{\"key\":{{\"tokensUntil\":\"2099-01-01T00:00:00Z\",{rest}");
    let lines: Vec<&str> = archive.lines().filter(|line| line.starts_with("{\"key\"")).collect();
    assert!(lines.len() == 1 && !lines[0].contains("tokensUntil"), "{lines:?}");
    let file = to.written("shop.jsonl", &long);
    let dry = to.printed(&["import", "archive", path(&file), "--dry-run"]);
    assert!(dry.contains("gets a new key") && dry.contains("1 user without their authenticator"), "{dry}");
    let told = to.printed(&["import", "archive", path(&file)]);
    assert!(told.contains("is imported, with"), "{told}");
    let again = exported(&to, &app, None);
    assert!(again.contains("\"publishedUntil\":\"2099-01-01T01:00:00"), "{again}");
    let people = |text: &str| -> Vec<String> {
        let lines =
            text.lines().filter(|line| line.starts_with("{\"user\"") || line.starts_with("{\"invite\""));
        lines.filter(|line| !line.contains("u0@example.com")).map(str::to_owned).collect()
    };
    assert_eq!(people(&again), people(&archive));
    let wrong = to.written("wrong", "another horse battery staple\n");
    let refused = Place::sqlite();
    let _ = refused.printed(&["app", "create", "Another"]);
    let output = refused.run(&["import", "archive", path(&file), "--passphrase-file", path(&wrong)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(
        said.contains("line 2") && said.contains("passphrase") && said.contains("nothing was imported"),
        "{said}"
    );
    assert_eq!(refused.printed(&["app", "list"]).lines().count(), 1);
    drop(passphrase);
}

#[test]
fn what_is_no_list_or_archive_imports_nothing_and_names_the_line() {
    let place = Place::sqlite();
    let app = app_id_in(&place.printed(&["app", "create", "Shop"]));
    let good = "{\"archive\":{\"format\":\"latchkey\",\"version\":1,\"secrets\":false}}\n";
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a.csv", b"".to_vec(), "handle is missing"),
        ("b.csv", b"handle,role\n".to_vec(), "no column \"role\""),
        ("c.csv", b"PK\x03\x04zip".to_vec(), "zip file"),
        ("d.csv", b"handle\n\xff\xfe\n".to_vec(), "line 2: it is not UTF-8"),
        (
            "e.csv",
            "handle\nok@example.com\nno\u{202e}@example.com\n".as_bytes().to_vec(),
            "1 record cannot be imported",
        ),
        ("f.csv", b"handle,password\na@example.com,$2b$31$x\n".to_vec(), "1 record cannot be imported"),
        (
            "g.jsonl",
            b"{\"handle\":\"a@example.com\",\"isAdmin\":true}\n".to_vec(),
            "line 1: user: unknown field `isAdmin`",
        ),
        ("h.jsonl", b"{\"handle\":\"a@example.com\"}\n{\n".to_vec(), "line 2"),
        ("i.jsonl", vec![b'x'; 2_000_000], "line 1: longer than"),
        ("j.txt", b"handle\n".to_vec(), "a list of users is a .csv file"),
    ];
    for (name, bytes, word) in cases {
        let file = place.data().join(name);
        fs::write(&file, bytes).unwrap();
        let output = place.run(&["import", "users", &app, path(&file)]);
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success() && said.contains(word), "{name}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    for (name, text, word) in [
        ("a.arc", String::new(), "line 1: the file is empty"),
        ("b.arc", "{}\n".to_owned(), "line 1: this is no archive"),
        ("c.arc", good.to_owned(), "cut off"),
        ("d.arc", format!("{good}{{\"end\":{{\"records\":0}}}}\n"), "holds no application"),
        ("e.arc", format!("{good}{{\"user\":{{\"handle\":\"a@b.ch\"}}}}\n"), "line 2: user before"),
    ] {
        let file = place.data().join(name);
        fs::write(&file, text).unwrap();
        let output = place.run(&["import", "archive", path(&file)]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(65), "{name}: {said}");
        assert!(said.contains(word) && said.contains("nothing was imported"), "{name}: {said}");
    }
    let out = exported(&place, &app, None);
    assert!(!out.contains("{\"user\""), "{out}");
    let skipping = place.data().join("e.csv");
    let told = place.printed(&["import", "users", &app, path(&skipping), "--skip-refused"]);
    assert!(told.contains("1 user imported"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_of_the_password_itself_is_upgraded_by_the_password_itself() {
    let place = Place::sqlite();
    let printed = place.printed(&["app", "create", "Shop", "--signup-flow", "none"]);
    let (app, token) = (app_id_in(&printed), app_token_in(&printed));
    let raw = "correct horse battery staple";
    let digest = bcrypt::hash(raw, 4).unwrap();
    let line = json!({"handle": "ana@example.com", "password": digest, "passwordOver": "raw"});
    let file = place.written("raw.jsonl", &format!("{line}\n"));
    let report = place.data().join("report.jsonl");
    let told = place.printed(&["import", "users", &app, path(&file), "--report", path(&report)]);
    assert!(
        told.contains("1 has a hash of the password itself") && told.contains("ana@example.com"),
        "{told}"
    );
    assert!(fs::read_to_string(&report).unwrap().contains("rawPassword"));
    let server = place.start();
    assert_eq!(
        server.log_in(&token, "ana@example.com").await.unwrap().0,
        400,
        "the digits alone cannot be compared"
    );
    let body = json!({"handle": "ana@example.com", "rawPassword": raw});
    assert_eq!(server.post("/api/appuser/login", ("app-token", &token), body).await.unwrap().0, 200);
    assert_eq!(
        server.log_in(&token, "ana@example.com").await.unwrap().0,
        200,
        "and from then on either will do"
    );
}
