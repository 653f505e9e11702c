//! `kill -9` in the middle of every use case: either all of it is there afterwards, or none. The audit log is
//! written in the same unit of work as what it tells of, so the two must agree to the row.
//! `LATCHKEY_KILL_ROUNDS` sets how often.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use latchkey_tests::{PASSWORD, Place, Server};
use serde_json::{Value, json};

const OTHER: &str = "f9a8ffd33895d8f1d205c38a55011f3e";

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

fn count(place: &Place, query: &str) -> i64 {
    let rows: Vec<Number> = match place.database() {
        None => {
            let path = place.data().join("latchkey.db");
            let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
            diesel::sql_query(query).load(&mut connection).unwrap()
        }
        Some(database) => diesel::sql_query(query).load(&mut database.sql().unwrap()).unwrap(),
    };
    rows[0].number
}

/// What must never be, each with what it would mean.
const NEVER: [(&str, &str); 15] = [
    (
        "a user without the audit entry that says who made them",
        "SELECT COUNT(*) AS number FROM users u WHERE NOT EXISTS (SELECT 1 FROM audit_log a WHERE a.app_id = u.app_id
         AND a.user_id = u.id AND a.result = 'ok'
         AND a.action IN ('signup.atOnce', 'completeSignup', 'register', 'loginAnonymous'))",
    ),
    (
        "an audit entry of a new user who is not there",
        "SELECT COUNT(*) AS number FROM audit_log a WHERE a.result = 'ok' AND a.user_id IS NOT NULL
         AND a.action IN ('signup.atOnce', 'completeSignup', 'register', 'loginAnonymous')
         AND NOT EXISTS (SELECT 1 FROM users u WHERE u.app_id = a.app_id AND u.id = a.user_id)
         AND NOT EXISTS (SELECT 1 FROM audit_log d WHERE d.app_id = a.app_id AND d.user_id = a.user_id
         AND d.action = 'deleteAccount' AND d.result = 'ok')",
    ),
    (
        "a deleted user who is still there",
        "SELECT COUNT(*) AS number FROM users u JOIN audit_log a ON a.app_id = u.app_id AND a.user_id = u.id
         WHERE a.action = 'deleteAccount' AND a.result = 'ok'",
    ),
    (
        "a change of password without its end of sessions",
        "SELECT COUNT(*) AS number FROM users u WHERE u.epoch - 1 <> (SELECT COUNT(*) FROM audit_log a
         WHERE a.app_id = u.app_id AND a.user_id = u.id AND a.result = 'ok'
         AND a.action IN ('changePassword', 'resetPassword'))",
    ),
    (
        "a verified attempt without its user",
        "SELECT COUNT(*) AS number FROM signups s WHERE s.state = 'verified' AND NOT EXISTS (SELECT 1 FROM users u
         WHERE u.app_id = s.app_id AND u.id = s.user_id)",
    ),
    (
        "an open attempt whose user is there",
        "SELECT COUNT(*) AS number FROM signups s JOIN users u ON u.app_id = s.app_id AND u.id = s.user_id
         WHERE s.state = 'pending'",
    ),
    (
        "a used invitation without its user",
        "SELECT COUNT(*) AS number FROM invites i WHERE i.state = 'verified' AND NOT EXISTS (SELECT 1 FROM users u
         WHERE u.app_id = i.app_id AND u.handle_key = i.handle_key)",
    ),
    (
        "a user name that nobody has set, or one that was set and is gone",
        "SELECT COUNT(*) AS number FROM users u WHERE (u.user_name IS NOT NULL) <> EXISTS (SELECT 1 FROM audit_log a
         WHERE a.app_id = u.app_id AND a.user_id = u.id AND a.action = 'setUserName' AND a.result = 'ok')",
    ),
    (
        "metadata that nobody has set, or that were set and are gone",
        "SELECT COUNT(*) AS number FROM users u WHERE (CAST(u.metadata AS TEXT) <> '{}') <> EXISTS (SELECT 1 FROM audit_log a
         WHERE a.app_id = u.app_id AND a.user_id = u.id AND a.action = 'setUserMetadata' AND a.result = 'ok')",
    ),
    (
        "a locale that nobody has set, or that was set and is gone",
        "SELECT COUNT(*) AS number FROM users u WHERE (u.locale = 'FR') <> EXISTS (SELECT 1 FROM audit_log a
         WHERE a.app_id = u.app_id AND a.user_id = u.id AND a.action = 'setLocale' AND a.result = 'ok')",
    ),
    (
        "a code of a user who is gone",
        "SELECT COUNT(*) AS number FROM codes c WHERE c.purpose = 'reset' AND NOT EXISTS (SELECT 1 FROM users u
         WHERE u.app_id = c.app_id AND u.id = c.subject)",
    ),
    (
        "a verified number that nobody verified, or that was verified and is gone",
        "SELECT COUNT(*) AS number FROM users u WHERE (u.verified_phone IS NOT NULL) <> EXISTS (SELECT 1 FROM audit_log a
         WHERE a.app_id = u.app_id AND a.user_id = u.id AND a.action = 'verifyPhone' AND a.result = 'ok')",
    ),
    (
        "a second factor that nobody enrolled, or that was enrolled and is gone",
        "SELECT COUNT(*) AS number FROM users u WHERE u.wants_sms <> EXISTS (SELECT 1 FROM audit_log a
         WHERE a.app_id = u.app_id AND a.user_id = u.id AND a.action = 'setTwoFactorPhoneVerification'
         AND a.result = 'ok')",
    ),
    (
        "a completed log-in whose code is still good",
        "SELECT COUNT(*) AS number FROM codes c JOIN audit_log a ON a.app_id = c.app_id AND a.user_id = c.subject
         WHERE c.purpose = 'login' AND c.consumed_at IS NULL AND a.action = 'loginComplete' AND a.result = 'ok'",
    ),
    (
        "a message that was promised and is nowhere, or one that nobody promised",
        "SELECT (SELECT COUNT(*) FROM outbox)
         + (SELECT COUNT(*) FROM audit_log WHERE action IN ('mail.sent', 'sms.sent'))
         - (SELECT COUNT(*) FROM audit_log WHERE result = 'ok' AND (action IN ('signup', 'signup.atOnce', 'completeSignup',
         'register', 'login.asked', 'invite', 'forgotPassword', 'changePassword', 'resetPassword', 'setPhone', 'verifyPhone', 'setTwoFactorPhoneVerification'))) AS number",
    ),
];

/// One life, from sign-up to deletion, as far as it gets. `None` when the server is gone.
async fn live(server: &Server, (at_once, with_code): (&str, &str), name: &str, phone: &str) -> Option<()> {
    let call = |path: &'static str, header: (&'static str, String), body: Value| async move {
        let (status, answer) =
            server.post(&format!("/api/appuser/{path}"), (header.0, &header.1), body).await?;
        assert_eq!(status, 200, "{path}: {answer}");
        Some(answer)
    };
    let app = || ("app-token", at_once.to_owned());
    let handle = format!("{name}@example.com");
    let own = json!({"handle": handle, "password": PASSWORD});
    let code = async |handle: &str, old: &str| {
        for _ in 0..100 {
            if let Some(code) = server.newest_code(handle).filter(|code| code != old) {
                return Some(code);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    };
    let sms = async |old: &str| {
        for _ in 0..100 {
            if let Some(code) = server.newest_sms(phone).filter(|code| code != old) {
                return Some(code);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    };
    let tokens = call("signup", app(), own.clone()).await?;
    let user = || ("access-token", tokens["access-token"].as_str().unwrap_or_default().to_owned());
    call("setUserName", user(), json!({"userName": name})).await?;
    call("setLocale", user(), json!({"locale": "FR"})).await?;
    call("setUserMetadata", user(), json!({"metaData": r#"{"colour":"red"}"#})).await?;
    call("changePassword", user(), json!({"password": PASSWORD, "newPassword": OTHER})).await?;
    call("setPhone", user(), json!({ "phone": phone })).await?;
    let verifying = sms("").await?;
    call("verifyPhone", user(), json!({ "code": verifying })).await?;
    call("setTwoFactorPhoneVerification", user(), json!({"twoFactor": true})).await?;
    let invited = format!("{name}i@example.com");
    call("invite", user(), json!({"handle": invited, "senderUserId": "me"})).await?;
    call("forgotPassword", app(), json!({"handle": handle})).await?;
    call("loginAnonymous", app(), json!({"handle": format!("ANON_{name}")})).await?;
    let coded = format!("{name}c@example.com");
    let other = || ("app-token", with_code.to_owned());
    call("signup", other(), json!({"handle": coded, "password": PASSWORD})).await?;
    let register = json!({"handle": invited, "password": PASSWORD, "code": code(&invited, "").await?});
    call("register", app(), register).await?;
    call("completeSignup", other(), json!({"handle": coded, "code": code(&coded, "").await?})).await?;
    let reset = json!({"handle": handle, "password": PASSWORD, "code": code(&handle, "").await?});
    call("resetPassword", app(), reset).await?;
    let half = call("login", app(), own.clone()).await?;
    let complete = json!({"loginToken": half["login-token"], "code": sms(&verifying).await?});
    let tokens = call("loginComplete", app(), complete).await?;
    let user = ("access-token", tokens["access-token"].as_str()?.to_owned());
    call("deleteAccount", user, own).await?;
    Some(())
}

async fn all_or_nothing(place: Place) {
    let rounds = std::env::var("LATCHKEY_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let place = place.with("LATCHKEY__OUTBOX__SEND_SECONDS", "2").with("LATCHKEY__SMS__SENDER", "folder");
    let mut server = Arc::new(place.start());
    let secret = place.printed(&["token", "server", "--name", "test"]);
    let header = ("server-secret", secret.as_str());
    let mut apps = Vec::new();
    for name in ["At once", "With code"] {
        let app = server.post("/api/app", header, json!({"name": name})).await.unwrap().1;
        apps.push((app["appId"].as_str().unwrap().to_owned(), app["appToken"].as_str().unwrap().to_owned()));
    }
    let id = &apps[0].0;
    for (name, body) in [
        ("updateAppSetting", json!({"appId": id, "setting": "signupFlow", "signupFlow": "none"})),
        ("updateAppSetting", json!({"appId": id, "setting": "userNamesEnabled", "userNamesEnabled": true})),
        ("updateAppSetting", json!({"appId": id, "setting": "anonLogin", "anonymousLoginEnabled": true})),
        ("updateAppSetting", json!({"appId": id, "setting": "smsADay", "smsADay": 100_000})),
        (
            "updateAppSetting",
            json!({"appId": id, "setting": "twoFactorVerification", "twoFactorVerification": "phone",
                "TWILIOAccountSid": "AC1", "TWILIOToken": "t", "TWILIOPhoneNumber": "+4930123456789"}),
        ),
        ("updateAppMetaData", json!({"appId": id, "metaData": [{"path": "colour", "canEdit": true}]})),
        ("addRemoveAppLocale", json!({"appId": id, "locales": ["FR"]})),
    ] {
        assert_eq!(server.post(&format!("/api/app/{name}"), header, body).await.unwrap().0, 200);
    }
    for round in 0..rounds {
        let lives: Vec<_> = (0..40)
            .map(|number| {
                let (server, at_once, with_code) =
                    (Arc::clone(&server), apps[0].1.clone(), apps[1].1.clone());
                let (name, phone) =
                    (format!("r{round}n{number}"), format!("+49151{number:02}{round:02}12345"));
                tokio::spawn(async move { live(&server, (&at_once, &with_code), &name, &phone).await })
            })
            .collect();
        let moment = 500 + RandomState::new().build_hasher().finish() % 5_000;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        let pid = server.pid().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        for life in lives {
            life.await.unwrap();
        }
        Arc::get_mut(&mut server).unwrap().kill();
        for (what, query) in NEVER {
            assert_eq!(count(&place, query), 0, "round {round}, killed after {moment} ms: {what}");
        }
        server = Arc::new(place.start());
    }
    // One run without a kill, so that every use case is known to have been among those that were killed.
    let tokens = (apps[0].1.as_str(), apps[1].1.as_str());
    assert_eq!(live(&server, tokens, "last", "+4917012345678").await, Some(()));
    Arc::get_mut(&mut server).unwrap().kill();
    for (what, query) in NEVER {
        assert_eq!(count(&place, query), 0, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_all_of_a_use_case_or_none() {
    all_or_nothing(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_all_of_a_use_case_or_none() {
    all_or_nothing(Place::postgres()).await;
}
