//! After a full run, no secret is where it must not be: not in what the server wrote, not in its database,
//! not in its process list. Only the mailbox may hold a code.

use std::process::Command;

use latchkey_tests::{PASSWORD, Place, Server};
use serde_json::{Value, json};

/// A full run; gives every secret that passed through it.
async fn run(place: &Place, server: &Server) -> Vec<(&'static str, String)> {
    let secret = place.printed(&["token", "server"]);
    let (_, app) =
        server.post("/api/app", ("server-secret", &secret), json!({"name": "Shop"})).await.unwrap();
    let token = app["appToken"].as_str().unwrap().to_owned();
    server.sign_up(&token, "ana.canary@example.com").await.unwrap();
    let code = server.code_for("ana.canary@example.com").await;
    let complete = json!({"handle": "ana.canary@example.com", "code": code});
    let (_, tokens) =
        server.post("/api/appuser/completeSignup", ("app-token", &token), complete).await.unwrap();
    let access = tokens["access-token"].as_str().unwrap().to_owned();
    let raw = json!({"handle": "ana.canary@example.com", "rawPassword": "correct horse battery staple"});
    let (status, login) = server.post("/api/appuser/login", ("app-token", &token), raw).await.unwrap();
    assert_eq!(status, 200);
    let change = json!({"password": PASSWORD, "newRawPassword": "canary of a new password"});
    let changed =
        server.post("/api/appuser/changePassword", ("access-token", &access), change).await.unwrap();
    assert_eq!(changed.1, Value::Bool(true));
    // A reset, an invitation, and the application's key at a mail provider.
    let forgot = json!({"handle": "ana.canary@example.com"});
    server.post("/api/appuser/forgotPassword", ("app-token", &token), forgot).await.unwrap();
    let reset_code = server.code_after("ana.canary@example.com", &code).await;
    let invite = json!({"handle": "bob.canary@example.com", "senderUserId": "me"});
    server.post("/api/appuser/invite", ("access-token", &access), invite).await.unwrap();
    let invite_code = server.code_for("bob.canary@example.com").await;
    let reset = json!({"handle": "ana.canary@example.com", "rawPassword": "canary of a third password",
        "code": reset_code});
    let reset = server.post("/api/appuser/resetPassword", ("app-token", &token), reset).await.unwrap();
    assert_eq!(reset.1, Value::Bool(true));
    let key = json!({"appId": app["appId"], "setting": "emailExtensionAPIKey",
        "emailExtensionAPIKey": "SG.canary-of-a-key", "emailExtensionSenderEmail": "shop@example.com"});
    server.post("/api/app/updateAppSetting", ("server-secret", &secret), key).await.unwrap();
    // Second factors: an account for SMS, an authenticator's secret, recovery codes, a code by SMS.
    let account = json!({"appId": app["appId"], "setting": "twoFactorVerification",
        "twoFactorVerification": "phone", "TWILIOAccountSid": "ACcanaryofasid",
        "TWILIOToken": "canary-of-an-sms-token", "TWILIOPhoneNumber": "+4930123456789"});
    let (status, _) =
        server.post("/api/app/updateAppSetting", ("server-secret", &secret), account).await.unwrap();
    assert_eq!(status, 200);
    let raw = json!({"handle": "ana.canary@example.com", "rawPassword": "canary of a third password"});
    let (_, again) = server.post("/api/appuser/login", ("app-token", &token), raw.clone()).await.unwrap();
    let second = again["access-token"].as_str().unwrap().to_owned();
    let post = |path: &'static str, body: Value| server.post(path, ("access-token", &second), body);
    post("/api/appuser/setPhone", json!({"phone": "+4915112345678"})).await.unwrap();
    let sms_code = server.code_by_sms("+4915112345678", "").await;
    let verified = post("/api/appuser/verifyPhone", json!({"code": sms_code})).await.unwrap();
    assert_eq!(verified.1, Value::Bool(true));
    let on = json!({"twoFactor": true, "factor": "google"});
    let (_, enrolled) = post("/api/appuser/setTwoFactorGoogleVerification", on).await.unwrap();
    let (_, recovery) = post("/api/appuser/newRecoveryCodes", json!({})).await.unwrap();
    let (_, half) = server.post("/api/appuser/login", ("app-token", &token), raw).await.unwrap();
    let recovery = recovery["recoveryCodes"][0].as_str().unwrap().to_owned();
    let complete = json!({"loginToken": half["login-token"], "code": recovery});
    let (status, _) =
        server.post("/api/appuser/loginComplete", ("app-token", &token), complete).await.unwrap();
    assert_eq!(status, 200);
    let social = json!({"provider": "google", "token": "canary.of.a.provider-token"});
    server.post("/api/appuser/socialLogin", ("app-token", &token), social).await.unwrap();
    // Wrong ones too, of every kind.
    let wrong = json!({"handle": "ana.canary@example.com", "password": "0123456789abcdef0123456789abcdef"});
    server.post("/api/appuser/login", ("app-token", &token), wrong).await.unwrap();
    server.post("/api/appuser/login", ("app-token", "canary.of.a.token"), json!({})).await.unwrap();
    server.get("/api/appuser/getApplication?appToken=canary.of.a.query", ("x", "y")).await.unwrap();
    let forged = json!({"handle": "x\r\n{\"level\":\"ERROR\",\"canary\":\"line\"}", "password": PASSWORD});
    server.post("/api/appuser/login", ("app-token", &token), forged).await.unwrap();
    let master = std::fs::read_to_string(place.data().join("master.key")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    vec![
        ("the MD5 of the password", PASSWORD.to_owned()),
        ("a wrong MD5", "0123456789abcdef0123456789abcdef".to_owned()),
        ("the password", "correct horse battery".to_owned()),
        ("the new password", "canary of a new password".to_owned()),
        ("the third password", "canary of a third".to_owned()),
        ("the code", code),
        ("the code of the reset", reset_code),
        ("the code of the invitation", invite_code),
        ("the key at the mail provider", "canary-of-a-key".to_owned()),
        ("the code by SMS", sms_code),
        ("the SMS account's token", "canary-of-an-sms-token".to_owned()),
        ("the SMS account's name", "ACcanaryofasid".to_owned()),
        ("the authenticator's secret", text(&enrolled["googleSecretKey"])),
        (
            "the authenticator's secret in capitals",
            text(&enrolled["googleSecretKey"]).replace(' ', "").to_uppercase(),
        ),
        ("a recovery code", recovery.clone()),
        ("a recovery code without hyphens", recovery.replace('-', "")),
        ("the login token", text(&half["login-token"])),
        ("the server secret", secret),
        ("the access token", access),
        ("the JWT", text(&login["jwt"])),
        ("a bad token", "canary.of.a".to_owned()),
        ("a private key", "PRIVATE KEY".to_owned()),
        ("a hash", "$argon2id$".to_owned()),
        ("the master key", master.trim().to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_009_no_password_is_mailed() {
    let place = Place::sqlite().with("LATCHKEY__SMS__SENDER", "folder");
    let server = place.start();
    let secrets = run(&place, &server).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mails = std::fs::read_dir(place.data().join("mailbox")).unwrap().flatten();
    let mails: Vec<Vec<u8>> = mails.map(|mail| std::fs::read(mail.path()).unwrap()).collect();
    assert!(mails.len() >= 5, "{}", mails.len());
    for (name, secret) in secrets.iter().filter(|(name, _)| !name.starts_with("the code")) {
        assert!(mails.iter().all(|mail| !contains(mail, secret)), "{name} is in a mail");
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_103_no_secret_is_in_the_log_the_database_or_the_process_list() {
    let place = Place::sqlite()
        .with("LATCHKEY__LOG__LEVEL", "debug")
        .with("LATCHKEY__LOG__FORMAT", "json")
        .with("LATCHKEY__SMS__SENDER", "folder");
    let mut server = place.start();
    let secrets = run(&place, &server).await;
    let processes = Command::new("ps").args(["axww", "-o", "args"]).output().unwrap().stdout;
    let log = server.log();
    assert_eq!(server.terminate(), Some(0));
    for (name, secret) in &secrets {
        assert!(!contains(log.as_bytes(), secret), "{name} is in the log");
        assert!(!contains(&processes, secret), "{name} is in the process list");
        for file in ["latchkey.db", "latchkey.db-wal"] {
            let bytes = std::fs::read(place.data().join(file)).unwrap_or_default();
            assert!(!contains(&bytes, secret), "{name} is in {file}");
        }
    }
    assert!(!log.contains("ana.canary@example.com"), "handles are not logged");
    assert!(!log.contains("15112345678"), "nor are numbers");
    assert!(log.contains("\"route\":\"/api/appuser/login\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_106_every_line_of_the_log_is_one_json_object() {
    let place = Place::sqlite()
        .with("LATCHKEY__LOG__LEVEL", "debug")
        .with("LATCHKEY__LOG__FORMAT", "json")
        .with("LATCHKEY__SMS__SENDER", "folder");
    let mut server = place.start();
    run(&place, &server).await;
    assert_eq!(server.terminate(), Some(0));
    let log = server.log();
    let (mut requests, mut refusals) = (0, 0);
    for line in log.lines().filter(|line| !line.starts_with("# ")) {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(parsed["level"].is_string() && parsed.get("canary").is_none(), "{line}");
        requests += usize::from(parsed["message"] == "request");
        if parsed["message"] == "token refused" {
            assert!(parsed["span"]["request_id"].is_string(), "a line within a request names it: {line}");
            refusals += 1;
        }
    }
    assert!(requests >= 8 && refusals >= 1, "{log}");
}

fn dump(url: &str) -> Vec<u8> {
    let output = Command::new("pg_dump").arg(url).output().expect("pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_dumps_hold_no_secret() {
    let place = Place::postgres().with("LATCHKEY__SMS__SENDER", "folder");
    let server = place.start();
    let secrets = run(&place, &server).await;
    let Some(latchkey_test_support::DatabaseLocation::Server(url)) = place.database().map(|d| d.location())
    else {
        panic!("a server");
    };
    let dump = dump(url);
    assert!(contains(&dump, "ana.canary@example.com"), "the dump is whole");
    for (name, secret) in &secrets {
        assert!(!contains(&dump, secret), "{name} is in the dump");
    }
}
