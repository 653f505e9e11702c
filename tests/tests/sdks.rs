//! The Swift, React and Kotlin SDKs as they speak, byte for byte: encodings, headers, order of calls.

use latchkey_tests::{PASSWORD, Place, Server};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

const OTHER: &str = "f9a8ffd33895d8f1d205c38a55011f3e";

/// An application as a team has it that comes from the reference: compatible, with what the SDKs know.
struct App {
    server: Server,
    token: String,
    id: String,
    secret: String,
}

async fn app(place: &Place) -> App {
    let server = place.start();
    let secret = place.printed(&["token", "server", "--name", "test"]);
    let header = ("server-secret", secret.as_str());
    let made = server.post("/api/app", header, json!({"name": "Shop"})).await.unwrap().1;
    let id = made["appId"].as_str().unwrap().to_owned();
    let field = |path: &str, required: bool| json!({"path": path, "fieldName": path, "required": required, "canEdit": true});
    for (name, body) in [
        ("updateAppSetting", json!({"appId": id, "setting": "userNamesEnabled", "userNamesEnabled": true})),
        ("updateAppSetting", json!({"appId": id, "setting": "anonLogin", "anonymousLoginEnabled": true})),
        (
            "updateAppMetaData",
            json!({"appId": id, "metaData": [field("user_data.name", true), field("note", false)]}),
        ),
        ("updateAppInviteMetaData", json!({"appId": id, "metaDataInvite": [field("team", true)]})),
        ("addRemoveAppLocale", json!({"appId": id, "locales": ["FR"]})),
    ] {
        assert_eq!(server.post(&format!("/api/app/{name}"), header, body).await.unwrap().0, 200);
    }
    let token = made["appToken"].as_str().unwrap().to_owned();
    App { server, token, id, secret }
}

impl App {
    /// What came back, as text: the SDKs compare `true` so.
    async fn send(&self, name: &str, header: (&str, &str), kind: &str, body: String) -> (u16, String) {
        let url = format!("{}/api/appuser/{name}", self.server.url);
        let request = self.server.client.post(url).header(header.0, header.1).header(CONTENT_TYPE, kind);
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Swift: the query text as it is, for a body.
    async fn form(&self, name: &str, header: (&str, &str), body: &str) -> (u16, String) {
        self.send(name, header, "application/x-www-form-urlencoded", body.to_owned()).await
    }

    async fn json(&self, name: &str, header: (&str, &str), body: Value) -> (u16, String) {
        self.send(name, header, "application/json", body.to_string()).await
    }

    async fn set_mode(&self, mode: &str) {
        let body = json!({"appId": self.id, "setting": "twoFactorVerification", "twoFactorVerification": mode,
            "TWILIOAccountSid": "AC1", "TWILIOToken": "t", "TWILIOPhoneNumber": "+4930123456789"});
        let header = ("server-secret", self.secret.as_str());
        assert_eq!(self.server.post("/api/app/updateAppSetting", header, body).await.unwrap().0, 200);
    }

    fn as_app(&self) -> (&str, &str) {
        ("app-token", &self.token)
    }
}

fn tokens((status, text): (u16, String)) -> String {
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(status, 200, "{text}");
    assert!(body.get("code").is_none() && body["jwt"].is_string(), "{text}");
    body["access-token"].as_str().unwrap().to_owned()
}

fn login_token((status, text): (u16, String)) -> String {
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(status, 200, "{text}");
    assert_eq!(body.as_object().unwrap().len(), 1, "{text}");
    body["login-token"].as_str().unwrap().to_owned()
}

fn is_true(answer: &(u16, String)) {
    assert_eq!((answer.0, answer.1.as_str()), (200, "true"));
}

fn code((status, text): &(u16, String)) -> i64 {
    assert_eq!(*status, 400, "{text}");
    let body: Value = serde_json::from_str(text).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 2, "exactly code and message: {text}");
    body["code"].as_i64().unwrap()
}

async fn swift(place: Place) {
    let app = app(&place).await;
    // It casts what it reads strictly.
    let told = app.server.get("/api/appuser/getApplication", app.as_app()).await.unwrap().1;
    for flag in [
        "signupEnabled",
        "invitationEnabled",
        "anonymousLoginEnabled",
        "userNamesEnabled",
        "googleLoginEnabled",
        "appleLoginEnabled",
        "passwordFilter",
    ] {
        assert!(told[flag].is_boolean(), "{flag}: {told}");
    }
    for number in [
        "passwordMinLength",
        "passwordMinUpper",
        "passwordMinLower",
        "passwordMinDigit",
        "passwordMinSpecial",
    ] {
        assert!(told[number].is_u64(), "{number}: {told}");
    }
    for text in ["name", "signupFlow", "twoFactorVerification"] {
        assert!(told[text].is_string(), "{text}: {told}");
    }

    // Nothing is escaped but the plus in a handle.
    let data = r#"{"user_data":{"name":"O'Neil; \"A\" = 100% 😀 ü {x}"}, "note": "a=b;c%zz"}"#;
    let body = format!("handle=a%2Bb@example.com&password={PASSWORD}&metaData={data}&locale=FR");
    is_true(&app.form("signup", app.as_app(), &body).await);
    let mailed_at_first = app.server.code_for("a+b@example.com").await;
    let body = format!("handle=a%2Bb@example.com&code={mailed_at_first}");
    tokens(app.form("completeSignup", app.as_app(), &body).await);
    let login = format!("handle=a%2Bb@example.com&password={PASSWORD}");
    let access = tokens(app.form("login", app.as_app(), &login).await);
    let user = ("access-token", access.as_str());
    let me = app.server.get("/api/appuser/getUser", user).await.unwrap().1;
    assert_eq!(
        me["metaData"],
        json!({"user_data": {"name": "O'Neil; \"A\" = 100% 😀 ü {x}"}, "note": "a=b;c%zz"})
    );
    for text in ["handle", "loginProvider", "locale", "appId", "lastLogin"] {
        assert!(me[text].is_string(), "{text}: {me}");
    }
    assert!(me["twoFactorPhoneVerification"].is_boolean() && me["twoFactorGoogleVerification"].is_boolean());
    let date = me["lastLogin"].as_str().unwrap();
    assert!(date.len() == 24 && date.ends_with('Z') && date.as_bytes()[19] == b'.', "{date}");

    // The double slash that it sends for some paths.
    let twice = format!("{}//api/appuser/setLocale", app.server.url);
    let request = app.server.client.post(twice).header(user.0, user.1);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body("locale=EN");
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "true");
    is_true(&app.form("setUserMetadata", user, r#"metaData={"user_data":{"name":"B 100%+"}}"#).await);
    let me = app.server.get("/api/appuser/getUser", user).await.unwrap().1;
    assert_eq!(me["metaData"], json!({"user_data": {"name": "B 100%"}}), "an unescaped plus is a blank");
    let free = app.server.get("/api/appuser/userNameAvailable?userName=ana", user).await.unwrap().1;
    assert_eq!(free, json!({"available": true}));
    is_true(&app.form("setUserName", user, "userName=Ana").await);

    let body = r#"handle=bob%2Bx@example.com&senderUserId=ana&metaData={"team":"red; blue"}"#;
    is_true(&app.form("invite", user, body).await);
    let mailed = app.server.code_for("bob+x@example.com").await;
    let body = format!(
        r#"handle=bob%2Bx@example.com&password={PASSWORD}&code={mailed}&metaData={{"user_data":{{"name":"Bob"}}}}&locale=EN"#
    );
    tokens(app.form("register", app.as_app(), &body).await);

    is_true(&app.form("changePassword", user, &format!("newPassword={OTHER}&password={PASSWORD}")).await);
    is_true(&app.form("forgotPassword", app.as_app(), "handle=a%2Bb@example.com").await);
    let mailed = app.server.code_after("a+b@example.com", &mailed_at_first).await;
    let body = format!("handle=a%2Bb@example.com&password={PASSWORD}&code={mailed}");
    is_true(&app.form("resetPassword", app.as_app(), &body).await);
    assert_eq!(code(&app.form("setLocale", user, "locale=EN").await), 405, "the reset ended its session");
    let access = tokens(app.form("login", app.as_app(), &format!("handle=ana&password={PASSWORD}")).await);
    // Second factors: a plus that is not escaped, two slashes, texts for truths.
    app.set_mode("phone").await;
    let user = ("access-token", access.as_str());
    is_true(&app.form("setPhone", user, "phone=+4915112345678").await);
    let sent = app.server.code_by_sms("+4915112345678", "").await;
    is_true(&app.form("verifyPhone", user, &format!("code={sent}")).await);
    is_true(&app.form("/setTwoFactorPhoneVerification", user, "twoFactor=true").await);
    let me = app.server.get("/api/appuser/getUser", user).await.unwrap().1;
    assert_eq!((&me["phone"], &me["phoneVerified"]), (&json!("+4915112345678"), &json!(true)));
    let login = format!("handle=ana&password={PASSWORD}");
    let half = login_token(app.form("login", app.as_app(), &login).await);
    let sent = app.server.code_by_sms("+4915112345678", &sent).await;
    let body = format!("loginToken={half}&code={sent}");
    tokens(app.form("loginComplete", app.as_app(), &body).await);
    is_true(&app.form("setTwoFactorPhoneVerification", user, "twoFactor=false").await);
    app.set_mode("google").await;
    let (status, text) = app.form("/setTwoFactorGoogleVerification", user, "twoFactor=true").await;
    let enrolled: Value = serde_json::from_str(&text).unwrap();
    assert!(status == 200 && enrolled["googleSecretKey"].is_string() && enrolled["QRDataImage"].is_string());
    assert_eq!(code(&app.form("socialLogin", app.as_app(), "token=x.y.z&provider=google").await), 416);
    let body = format!("handle=a%2Bb@example.com&password={PASSWORD}");
    is_true(&app.form("deleteAccount", ("access-token", &access), &body).await);
    let login = format!("handle=a%2Bb@example.com&password={PASSWORD}");
    assert_eq!(code(&app.form("login", app.as_app(), &login).await), 600);
    tokens(app.form("loginAnonymous", app.as_app(), "handle=ANON_3F2504E0-4F89").await);
}

async fn react(place: Place) {
    let app = app(&place).await;
    let none = json!(null);
    let body = json!({"handle": "ana@example.com", "password": PASSWORD, "locale": none,
        "metaData": json!({"user_data": {"name": "Ana"}}).to_string()});
    is_true(&app.json("signup", app.as_app(), body).await);
    let mailed = app.server.code_for("ana@example.com").await;
    // Codes are what the app passes on: here a number.
    let body = json!({"handle": "ana@example.com", "code": mailed.parse::<u64>().unwrap()});
    let access = tokens(app.json("completeSignup", app.as_app(), body).await);
    // From now on it sends its access token instead of the app token, on every call.
    let user = ("access-token", access.as_str());
    let told = app.server.get("/api/appuser/getApplication", user).await.unwrap().1;
    assert!(told.get("code").is_none() && told["name"] == "Shop", "{told}");
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(code(&app.json("login", user, login.clone()).await), 400, "it must log out first");
    let body = json!({"handle": "bob@example.com", "senderUserId": "ana", "metaData": json!({"team": "red"}).to_string()});
    is_true(&app.json("invite", user, body).await);
    let mailed_to_bob = app.server.code_for("bob@example.com").await;
    let body = json!({"handle": "bob@example.com", "password": PASSWORD, "code": mailed_to_bob, "locale": "FR",
        "metaData": json!({"user_data": {"name": "Bob"}}).to_string()});
    let bob = tokens(app.json("register", user, body).await);
    let me = app.server.get("/api/appuser/getUser", ("access-token", &bob)).await.unwrap().1;
    assert_eq!(me["metaData"], json!({"user_data": {"name": "Bob"}, "team": "red"}));
    is_true(
        &app.json(
            "setUserMetadata",
            user,
            json!({"metaData": json!({"user_data": {"name": "B"}}).to_string()}),
        )
        .await,
    );
    is_true(&app.json("setLocale", user, json!({"locale": "FR"})).await);
    is_true(&app.json("forgotPassword", user, json!({"handle": "ana@example.com"})).await);
    let mailed = app.server.code_after("ana@example.com", &mailed).await;
    let body = json!({"handle": "ana@example.com", "password": OTHER, "code": mailed});
    is_true(&app.json("resetPassword", user, body).await);
    assert_eq!(
        code(&app.json("changePassword", user, json!({"password": OTHER, "newPassword": PASSWORD})).await),
        405
    );
    let login = json!({"handle": "ana@example.com", "password": OTHER});
    let access = tokens(app.json("login", app.as_app(), login).await);
    let body = json!({"password": OTHER, "newPassword": PASSWORD});
    is_true(&app.json("changePassword", ("access-token", &access), body).await);
    // It has one call for both factors, and sends its access token along with a login token.
    let user = ("access-token", access.as_str());
    app.set_mode("google").await;
    let (status, text) = app.json("setTwoFactorGoogleVerification", user, json!({"twoFactor": true})).await;
    assert!(status == 200 && text.contains("googleSecretKey"), "{text}");
    is_true(&app.json("setTwoFactorGoogleVerification", user, json!({"twoFactor": false})).await);
    app.set_mode("phone").await;
    is_true(&app.json("setPhone", user, json!({"phone": "+4915112345678"})).await);
    let sent = app.server.code_by_sms("+4915112345678", "").await;
    is_true(&app.json("verifyPhone", user, json!({"code": sent.parse::<u64>().unwrap()})).await);
    is_true(&app.json("setTwoFactorGoogleVerification", user, json!({"twoFactor": true})).await);
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    let half = login_token(app.json("login", app.as_app(), login).await);
    let sent = app.server.code_by_sms("+4915112345678", &sent).await;
    let body = json!({"loginToken": half, "code": sent.parse::<u64>().unwrap()});
    tokens(app.json("loginComplete", user, body).await);
    // What fails has a number and a text, and nothing else.
    assert_eq!(
        code(&app.json("login", app.as_app(), json!({"handle": "x@example.com", "password": OTHER})).await),
        600
    );
    assert_eq!(
        code(&app.json("forgotPassword", app.as_app(), json!({"handle": "x@example.com"})).await),
        603
    );
}

async fn kotlin(place: Place) {
    let app = app(&place).await;
    // What is null is left out.
    let data = json!({"user_data": {"name": "Ana"}}).to_string();
    let body = json!({"handle": "ana@example.com", "password": PASSWORD, "metaData": data});
    is_true(&app.json("signup", app.as_app(), body).await);
    let mailed = app.server.code_for("ana@example.com").await;
    let body = json!({"handle": "ana@example.com", "code": mailed});
    let access = tokens(app.json("completeSignup", app.as_app(), body).await);
    let user = ("access-token", access.as_str());
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    tokens(app.json("login", app.as_app(), login.clone()).await);
    is_true(&app.json("setUserMetadata", user, json!({"metaData": data})).await);
    is_true(&app.json("setUserName", user, json!({"userName": "ana"})).await);
    is_true(&app.json("forgotPassword", app.as_app(), json!({"handle": "ana@example.com"})).await);
    let mailed = app.server.code_after("ana@example.com", &mailed).await;
    // It sends its app token in the header for access tokens here; the reference answers 405, we are kind.
    let body = json!({"handle": "ana@example.com", "password": OTHER, "code": mailed});
    is_true(&app.json("resetPassword", ("access-token", &app.token), body).await);
    let body = json!({"password": OTHER, "newPassword": PASSWORD});
    assert_eq!(code(&app.json("changePassword", ("access-token", &app.token), body).await), 405);
    // An invitation without a sender cannot be.
    let body = json!({"handle": "bob@example.com", "senderUserId": "ana", "metaData": json!({"team": "red"}).to_string()});
    assert_eq!(code(&app.json("invite", app.as_app(), body).await), 403);
    let login = json!({"handle": "ana@example.com", "password": OTHER});
    let access = tokens(app.json("login", app.as_app(), login.clone()).await);
    let user = ("access-token", access.as_str());
    app.set_mode("phone").await;
    is_true(&app.json("setPhone", user, json!({"phone": "+4915112345678"})).await);
    let sent = app.server.code_by_sms("+4915112345678", "").await;
    is_true(&app.json("verifyPhone", user, json!({"code": sent})).await);
    is_true(&app.json("setTwoFactorPhoneVerification", user, json!({"twoFactor": "true"})).await);
    let half = login_token(app.json("login", app.as_app(), login.clone()).await);
    let sent = app.server.code_by_sms("+4915112345678", &sent).await;
    tokens(app.json("loginComplete", app.as_app(), json!({"loginToken": half, "code": sent})).await);
    is_true(&app.json("setTwoFactorPhoneVerification", user, json!({"twoFactor": "false"})).await);
    is_true(&app.json("deleteAccount", ("access-token", &access), login).await);
    tokens(app.json("loginAnonymous", app.as_app(), json!({"handle": "ANON_1"})).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_swift_sdk_works_unmodified_on_sqlite() {
    swift(Place::sqlite().with("LATCHKEY__SMS__SENDER", "folder")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_swift_sdk_works_unmodified_on_postgres() {
    swift(Place::postgres().with("LATCHKEY__SMS__SENDER", "folder")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_react_sdk_works_unmodified_on_sqlite() {
    react(Place::sqlite().with("LATCHKEY__SMS__SENDER", "folder")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_react_sdk_works_unmodified_on_postgres() {
    react(Place::postgres().with("LATCHKEY__SMS__SENDER", "folder")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kotlin_sdk_works_unmodified_on_sqlite() {
    kotlin(Place::sqlite().with("LATCHKEY__SMS__SENDER", "folder")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kotlin_sdk_works_unmodified_on_postgres() {
    kotlin(Place::postgres().with("LATCHKEY__SMS__SENDER", "folder")).await;
}
