//! Every field of every endpoint with everything that does not belong there: generated from the table of
//! routes, so that a new endpoint is covered without anybody remembering.

use latchkey_server::routes::{Auth, Endpoint, table};
use serde_json::{Value, json};

use crate::harness::{Answer, Made, PASSWORD, TestApp, request};

/// Every value goes to every field of every route on one of the stores: to all of them on each would take too long.
const STORES: usize = 3;

mod nothing_that_does_not_belong_gets_in {
    use latchkey_test_support::{TestDatabase, twice};

    use crate::harness::TestApp;

    #[actix_web::test]
    async fn on_sqlite() {
        let database = TestDatabase::sqlite();
        super::nothing_that_does_not_belong_gets_in(TestApp::over(database.store()).await, 0).await;
    }

    #[actix_web::test]
    async fn on_postgres() {
        let database = TestDatabase::postgres();
        super::nothing_that_does_not_belong_gets_in(TestApp::over(database.store()).await, 1).await;
    }

    #[actix_web::test]
    async fn on_sqlite_twice() {
        let database = TestDatabase::sqlite();
        let store = twice(database.store());
        super::nothing_that_does_not_belong_gets_in(TestApp::over(store).await, 2).await;
    }
}

/// All fields that any endpoint knows, but the free text of an application's name. One that an endpoint does
/// not know must not matter to it.
const FIELDS: [&str; 51] = [
    "scopes",
    "days",
    "tokenId",
    "messageId",
    "index",
    "type",
    "case",
    "rawValue",
    "hashValue",
    "addedMetadata",
    "administrator",
    "passwordMinLength",
    "twoFactorConfirm",
    "handle",
    "password",
    "rawPassword",
    "newPassword",
    "newRawPassword",
    "code",
    "metaData",
    "metaDataInvite",
    "locale",
    "locales",
    "userName",
    "senderUserId",
    "token",
    "appToken",
    "appId",
    "setting",
    "status",
    "userId",
    "_id",
    "subject",
    "replyTo",
    "htmlTemplate",
    "localeLinkText",
    "jwtEnabled",
    "signupFlow",
    "maxUsers",
    "loginToken",
    "phone",
    "twoFactor",
    "factor",
    "provider",
    "nonce",
    "twoFactorVerification",
    "TWILIOAccountSid",
    "TWILIOPhoneNumber",
    "googleAppName",
    "smsCountries",
    "googleClientId",
];

fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(""),
        json!(" "),
        json!(0),
        json!(-1.5),
        json!(true),
        json!([]),
        json!(["ana@example.com"]),
        json!({}),
        json!({"$ne": null}),
        json!("a\r\nBcc: eve@example.com"),
        json!("\u{212A}\u{202E}\u{0430}na@example.com"),
        json!("{\"$gt\":\"\"}"),
        json!("' OR 1=1 --"),
        json!("x".repeat(60_000)),
    ]
}

/// Bodies that are wrong as a whole.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let json_type = "application/json";
    let form_type = "application/x-www-form-urlencoded";
    vec![
        (json_type, b"".to_vec()),
        (json_type, b"{".to_vec()),
        (json_type, b"[1,2]".to_vec()),
        (json_type, b"null".to_vec()),
        (json_type, br#"{"handle":"\u0000"}"#.to_vec()),
        (json_type, br#"{"handle":"\ud800"}"#.to_vec()),
        (json_type, br#"{"handle":"a","handle":"b"}"#.to_vec()),
        (json_type, b"handle=ana@example.com&password=x".to_vec()),
        (json_type, format!("{{\"handle\":\"{}\"}}", "a".repeat(1_000_000)).into_bytes()),
        (form_type, br#"{"handle":"ana@example.com"}"#.to_vec()),
        (form_type, b"handle=%00".to_vec()),
        (form_type, b"handle=%ff".to_vec()),
        (form_type, b"handle=a&handle=b".to_vec()),
        ("text/plain", b"handle=ana@example.com".to_vec()),
        ("multipart/form-data; boundary=x", b"--x--".to_vec()),
    ]
}

struct Tokens {
    secret: String,
    app: String,
    access: String,
    superuser: String,
}

fn header_of(entry: &Endpoint, tokens: &Tokens) -> (&'static str, String) {
    match entry.auth {
        Auth::Operator(_) => ("server-secret", tokens.secret.clone()),
        Auth::AppToken | Auth::Either => ("app-token", tokens.app.clone()),
        Auth::AccessToken => ("access-token", tokens.access.clone()),
        Auth::SuperUser => ("access-token", tokens.superuser.clone()),
        Auth::Nothing | Auth::Page => ("x-nothing", String::new()),
    }
}

/// A client error with a body that says so, whatever was sent.
fn is_clean(answer: &Answer, what: &str) {
    let status = answer.status.as_u16();
    if matches!(status, 200 | 303) {
        // Nothing that was wrong was looked at, for instance a field that the endpoint does not know.
        return;
    }
    assert!((400..500).contains(&status) || status == 501, "{what}: {status} {}", answer.text());
    let is_page = answer.headers.get("content-type").is_some_and(|kind| kind == "text/html; charset=utf-8");
    if !is_page {
        answer.error();
    }
    assert!(!answer.text().contains("evil-canary"), "{what}: {}", answer.text());
}

async fn state(app: &TestApp, shop: &Made, access: &str) -> (String, String, usize) {
    let one = app.get(&format!("/api/app/appId/{}", shop.id), ("server-secret", &app.server_secret)).await;
    let user = app.get("/api/appuser/getUser", ("access-token", access)).await;
    let apps = app.get("/api/app/allApps", ("server-secret", &app.server_secret)).await;
    (one.text(), user.text(), apps.json().as_array().unwrap().len())
}

async fn nothing_that_does_not_belong_gets_in(app: TestApp, share: usize) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let mut tokens = Tokens {
        secret: app.server_secret.clone(),
        app: shop.token.clone(),
        access: access.clone(),
        superuser: String::new(),
    };
    let before = state(&app, &shop, &access).await;
    let mails = app.mails().await.len();
    for (route, entry) in table().into_iter().enumerate() {
        // It would rightly remove the application that all this is about.
        let id = if entry.method == "DELETE" { "f".repeat(32) } else { shop.id.clone() };
        let path = entry.path.replace("{app_id}", &id);
        if entry.auth == Auth::SuperUser {
            tokens.superuser = app.super_token(&shop, "root@example.com").await;
        }
        let (name, token) = header_of(&entry, &tokens);
        for (number, (kind, body)) in bodies().into_iter().enumerate() {
            let sent = request(entry.method, &path)
                .insert_header((name, token.as_str()))
                .insert_header(("content-type", kind))
                .set_payload(body);
            let answer = app.send(sent).await;
            is_clean(&answer, &format!("{} {path} body {number}", entry.method));
        }
        for query in
            ["handle[$ne]=1", "appId[]=x", "userName=%00", "userName=%ff", "code=%20&handle=%0d%0a", "%"]
        {
            let answer = app
                .send(request("GET", &format!("{path}?{query}")).insert_header((name, token.as_str())))
                .await;
            is_clean(&answer, &format!("GET {path}?{query}"));
        }
        if entry.method != "POST" {
            continue;
        }
        // A body that is right but for one field. What is right would succeed only where it is harmless. An
        // unknown setting is named in the answer, so that a typo can be seen; nothing else that was sent is.
        let right = json!({
            "handle": "nobody@example.com", "password": PASSWORD, "newPassword": PASSWORD, "code": "000000",
            "senderUserId": "evil-canary", "userName": "evil-canary", "locale": "XX", "metaData": "evil-canary",
            "appId": "f".repeat(32), "setting": "signUp", "status": "evil-canary", "userId": "evil-canary",
        });
        for (at, field) in FIELDS.into_iter().enumerate() {
            let ours = |number: &usize| (route + at + number) % STORES == share;
            for (_, value) in values().into_iter().enumerate().filter(|(number, _)| ours(number)) {
                let mut body = right.clone();
                body[field] = value.clone();
                let what =
                    format!("{path} {field}={}", value.to_string().chars().take(60).collect::<String>());
                let sent = request("POST", &path).insert_header((name, token.as_str())).set_json(&body);
                is_clean(&app.send(sent).await, &what);
            }
        }
        app.clock.advance(time::Duration::hours(2));
    }
    assert_eq!(state(&app, &shop, &access).await, before, "nothing was stored");
    let after = app.mails().await;
    assert!(after.iter().skip(mails).all(|mail| mail.to.to_string() == "nobody@example.com"), "{after:?}");
}
