//! SMS through a fake Twilio and sign-in through a fake identity provider, on good days and bad ones.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_crypto::{RsaSize, SigningKey};
use latchkey_tests::{Place, Server, now};
use serde_json::{Value, json};
use wiremock::matchers::{basic_auth, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

const PHONE: &str = "+4915112345678";
const ANA: &str = "ana@example.com";

/// Answers one request after the other; the last answer stays. Keeps the messages.
#[derive(Clone)]
struct Twilio {
    answers: Arc<Vec<ResponseTemplate>>,
    asked: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Respond for Twilio {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.bodies.lock().unwrap().push(String::from_utf8_lossy(&request.body).into_owned());
        let at = self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers[at.min(self.answers.len() - 1)].clone()
    }
}

impl Twilio {
    async fn start(answers: Vec<ResponseTemplate>) -> (MockServer, Self) {
        let server = MockServer::start().await;
        let twilio = Self { answers: Arc::new(answers), asked: Arc::default(), bodies: Arc::default() };
        Mock::given(method("POST"))
            .and(path("/2010-04-01/Accounts/AC0123/Messages.json"))
            .and(basic_auth("AC0123", "token-canary"))
            .respond_with(twilio.clone())
            .mount(&server)
            .await;
        (server, twilio)
    }

    /// The code of the message that came as this one, counted from one; waits for it.
    async fn code(&self, number: usize) -> String {
        for _ in 0..600 {
            if let Some(body) = self.bodies.lock().unwrap().get(number - 1) {
                assert!(body.contains("To=%2B4915112345678"), "{body}");
                let (_, text) = body.split_once("Body=").unwrap();
                return text.chars().take(6).collect();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("message {number} never came");
    }
}

fn problem(status: u16, code: u32) -> ResponseTemplate {
    let body = json!({"code": code, "message": "canary of the provider", "status": status});
    ResponseTemplate::new(status).set_body_json(body)
}

struct Shop {
    id: String,
    token: String,
    secret: String,
    access: String,
}

/// An application with a user who signed up.
async fn shop(place: &Place, server: &Server) -> Shop {
    let secret = place.printed(&["token", "server"]);
    let (_, app) =
        server.post("/api/app", ("server-secret", &secret), json!({"name": "Shop"})).await.unwrap();
    let text = |name: &str| app[name].as_str().unwrap().to_owned();
    let (id, token) = (text("appId"), text("appToken"));
    let flow = json!({"appId": id, "setting": "signupFlow", "signupFlow": "none"});
    server.post("/api/app/updateAppSetting", ("server-secret", &secret), flow).await.unwrap();
    let (_, tokens) = server.sign_up(&token, ANA).await.unwrap();
    Shop { id, token, secret, access: tokens["access-token"].as_str().unwrap().to_owned() }
}

impl Shop {
    async fn set(&self, server: &Server, setting: &str, fields: Value) {
        let mut body = json!({"appId": self.id, "setting": setting});
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, answer) =
            server.post("/api/app/updateAppSetting", ("server-secret", &self.secret), body).await.unwrap();
        assert_eq!(status, 200, "{answer}");
    }

    async fn use_sms(&self, server: &Server) {
        let account = json!({"twoFactorVerification": "phone", "TWILIOAccountSid": "AC0123",
            "TWILIOToken": "token-canary", "TWILIOPhoneNumber": "+4930123456789"});
        self.set(server, "twoFactorVerification", account).await;
    }

    async fn as_user(&self, server: &Server, name: &str, body: Value) -> Value {
        let path = format!("/api/appuser/{name}");
        server.post(&path, ("access-token", &self.access), body).await.unwrap().1
    }

    async fn as_app(&self, server: &Server, name: &str, body: Value) -> (u16, Value) {
        let path = format!("/api/appuser/{name}");
        let (status, body) = server.post(&path, ("app-token", &self.token), body).await.unwrap();
        (status.as_u16(), body)
    }
}

async fn a_log_in_with_sms_from_the_number_to_the_token(place: Place) {
    let (provider, twilio) = Twilio::start(vec![ResponseTemplate::new(201)]).await;
    let place = place.with("LATCHKEY__SMS__TWILIO_URL", &provider.uri());
    let server = place.start();
    let shop = shop(&place, &server).await;
    shop.use_sms(&server).await;
    assert_eq!(shop.as_user(&server, "setPhone", json!({"phone": "+49 151 12345678"})).await, json!(true));
    let code = twilio.code(1).await;
    assert_eq!(shop.as_user(&server, "verifyPhone", json!({ "code": code })).await, json!(true));
    let on = json!({"twoFactor": "true"});
    assert_eq!(shop.as_user(&server, "setTwoFactorPhoneVerification", on).await, json!(true));
    let (_, half) = server.log_in(&shop.token, ANA).await.unwrap();
    let login_token = half["login-token"].as_str().unwrap();
    let complete = |code: Value| json!({"loginToken": login_token, "code": code});
    let (status, refused) = shop.as_app(&server, "loginComplete", complete(json!("000000"))).await;
    assert_eq!((status, refused["code"].as_i64()), (400, Some(600)));
    let code: u64 = twilio.code(2).await.parse().unwrap();
    let (status, tokens) = shop.as_app(&server, "loginComplete", complete(json!(code))).await;
    assert_eq!(status, 200, "{tokens}");
    assert!(tokens["jwt"].is_string() && tokens["access-token"].is_string());
    assert_eq!(twilio.bodies.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_with_sms_from_the_number_to_the_token_on_sqlite() {
    a_log_in_with_sms_from_the_number_to_the_token(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_with_sms_from_the_number_to_the_token_on_postgres() {
    a_log_in_with_sms_from_the_number_to_the_token(Place::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_busy_slow_or_broken_gets_the_message_again() {
    let answers = vec![
        problem(429, 20_429),
        problem(500, 20_500),
        ResponseTemplate::new(201).set_delay(Duration::from_secs(30)),
        ResponseTemplate::new(201),
    ];
    let (provider, twilio) = Twilio::start(answers).await;
    let place = Place::sqlite()
        .with("LATCHKEY__SMS__TWILIO_URL", &provider.uri())
        .with("LATCHKEY__SMS__TIMEOUT_SECONDS", "1")
        .with("LATCHKEY__OUTBOX__FIRST_WAIT_SECONDS", "1");
    let server = place.start();
    let shop = shop(&place, &server).await;
    shop.use_sms(&server).await;
    assert_eq!(shop.as_user(&server, "setPhone", json!({ "phone": PHONE })).await, json!(true));
    let code = twilio.code(4).await;
    assert_eq!(code, twilio.code(1).await, "the same message");
    assert_eq!(shop.as_user(&server, "verifyPhone", json!({ "code": code })).await, json!(true));
    let log = server.log();
    assert!(
        log.contains("20429") && log.contains("20500") && log.contains("did not answer in time"),
        "{log}"
    );
    assert!(!log.contains("canary") && !log.contains("15112345678"), "{log}");
}

/// Each message costs, and nobody can ask Twilio whether it has taken one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_048_a_message_that_may_have_left_is_sent_once_more_and_no_oftener() {
    let slow = || ResponseTemplate::new(201).set_delay(Duration::from_secs(30));
    // That it may have left once is not forgotten over another answer.
    let (provider, twilio) = Twilio::start(vec![slow(), problem(503, 20_503), slow(), slow()]).await;
    let place = Place::sqlite()
        .with("LATCHKEY__SMS__TWILIO_URL", &provider.uri())
        .with("LATCHKEY__SMS__TIMEOUT_SECONDS", "1")
        .with("LATCHKEY__OUTBOX__FIRST_WAIT_SECONDS", "1");
    let server = place.start();
    let shop = shop(&place, &server).await;
    shop.use_sms(&server).await;
    assert_eq!(shop.as_user(&server, "setPhone", json!({ "phone": PHONE })).await, json!(true));
    twilio.code(3).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(twilio.bodies.lock().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_051_a_refused_account_is_in_the_log_with_its_number_and_nowhere_else() {
    let (provider, twilio) = Twilio::start(vec![problem(401, 20_003)]).await;
    let place = Place::sqlite().with("LATCHKEY__SMS__TWILIO_URL", &provider.uri());
    let mut server = place.start();
    let shop = shop(&place, &server).await;
    shop.use_sms(&server).await;
    let answer = shop.as_user(&server, "setPhone", json!({ "phone": PHONE })).await;
    assert_eq!(answer, json!(true), "the client does not learn of it");
    twilio.code(1).await;
    // An operator who tests the account gets the number without the text.
    let body = json!({"appId": shop.id, "phone": PHONE});
    let (status, answer) =
        server.post("/api/app/testAppTwilio", ("server-secret", &shop.secret), body).await.unwrap();
    assert_eq!((status.as_u16(), answer["code"].as_i64()), (400, Some(500)));
    let told = answer["message"].as_str().unwrap();
    assert!(told.contains("20003") && told.contains("401") && !told.contains("canary"), "{told}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(twilio.bodies.lock().unwrap().len(), 2, "a refusal is final");
    assert_eq!(server.terminate(), Some(0));
    let bytes = std::fs::read(place.data().join("latchkey.db")).unwrap();
    let file = String::from_utf8_lossy(&bytes).into_owned();
    assert!(file.contains("sms.dead") && file.contains("Twilio error 20003 (HTTP 401)"));
    assert!(!file.contains("canary of the provider") && !server.log().contains("canary"));
}

/// SEC-020: what was counted is still counted after `kill -9`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_020_wrong_second_factors_survive_kill_9() {
    let place = Place::sqlite()
        .with("LATCHKEY__SMS__SENDER", "folder")
        .with("LATCHKEY__LIMITS__WRONG_FACTORS_A_DAY", "5");
    let mut server = place.start();
    let shop = shop(&place, &server).await;
    shop.use_sms(&server).await;
    shop.as_user(&server, "setPhone", json!({ "phone": PHONE })).await;
    let code = server.code_by_sms(PHONE, "").await;
    assert_eq!(shop.as_user(&server, "verifyPhone", json!({ "code": code })).await, json!(true));
    shop.as_user(&server, "setTwoFactorPhoneVerification", json!({"twoFactor": true})).await;
    let (_, half) = server.log_in(&shop.token, ANA).await.unwrap();
    let code = server.code_by_sms(PHONE, &code).await;
    let wrong = if code == "100000" { "100001" } else { "100000" };
    let complete = |code: &str| json!({"loginToken": half["login-token"], "code": code});
    for _ in 0..4 {
        assert_eq!(shop.as_app(&server, "loginComplete", complete(wrong)).await.1["code"], 600);
    }
    server.kill();
    let server = place.start();
    assert_eq!(shop.as_app(&server, "loginComplete", complete(wrong)).await.1["code"], 600);
    assert_eq!(
        shop.as_app(&server, "loginComplete", complete(&code)).await.1["code"],
        600,
        "five were counted"
    );
}

/// A token of a provider; no two are the same.
fn id_token(key: &SigningKey, subject: &str, email: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let claims = json!({
        "jti": NUMBER.fetch_add(1, Ordering::Relaxed).to_string(),
        "iss": "https://accounts.google.com", "aud": "client-1", "sub": subject, "email": email,
        "email_verified": true, "iat": now(), "exp": now() + 3_600,
    });
    key.sign(claims.as_object().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_094_a_providers_keys_are_fetched_over_http_on_good_days_and_bad() {
    let (key, other) =
        (SigningKey::generate(RsaSize::Rsa2048).unwrap(), SigningKey::generate(RsaSize::Rsa2048).unwrap());
    let provider = MockServer::start().await;
    let good = json!({"keys": [key.public().to_jwk()]});
    let bad_days = [
        ResponseTemplate::new(503),
        ResponseTemplate::new(200).set_body_string("<html>Sign in to the Wi-Fi</html>"),
        ResponseTemplate::new(200).set_body_bytes(vec![b' '; 2_000_000]),
        ResponseTemplate::new(200).set_body_json(&good).set_delay(Duration::from_secs(20)),
        ResponseTemplate::new(302).insert_header("location", format!("{}/elsewhere", provider.uri())),
    ];
    for (day, answer) in bad_days.into_iter().enumerate() {
        Mock::given(path(format!("/bad/{day}"))).respond_with(answer).mount(&provider).await;
    }
    Mock::given(path("/elsewhere"))
        .respond_with(ResponseTemplate::new(200).set_body_json(&good))
        .expect(0)
        .mount(&provider)
        .await;
    let fetched =
        ResponseTemplate::new(200).set_body_json(&good).insert_header("cache-control", "max-age=3600");
    Mock::given(path("/keys")).respond_with(fetched).expect(1..=2).mount(&provider).await;
    for day in 0..5 {
        let keys = format!("{}/bad/{day}", provider.uri());
        let place = Place::sqlite()
            .with("LATCHKEY__SOCIAL__GOOGLE_KEYS_URL", &keys)
            .with("LATCHKEY__SOCIAL__TIMEOUT_SECONDS", "1");
        let server = place.start();
        let shop = shop(&place, &server).await;
        shop.set(&server, "googleClientId", json!({"googleClientId": "client-1"})).await;
        shop.set(&server, "googleLogin", json!({"googleLoginEnabled": true})).await;
        let body = json!({"provider": "google", "token": id_token(&key, "g-1", "bob@example.com")});
        let (status, answer) = shop.as_app(&server, "socialLogin", body).await;
        assert_eq!((status, answer["code"].as_i64()), (503, Some(500)), "day {day}: {answer}");
        let is_logged = server.has_logged("the keys of a provider could not be fetched").await;
        assert!(is_logged, "day {day}");
    }
    let place =
        Place::sqlite().with("LATCHKEY__SOCIAL__GOOGLE_KEYS_URL", &format!("{}/keys", provider.uri()));
    let server = place.start();
    let shop = shop(&place, &server).await;
    shop.set(&server, "googleClientId", json!({"googleClientId": "client-1"})).await;
    shop.set(&server, "googleLogin", json!({"googleLoginEnabled": true})).await;
    let sign_up = json!({
        "provider": "google", "token": id_token(&key, "g-1", "bob@example.com"), "handle": "bob@example.com",
    });
    let (status, tokens) = shop.as_app(&server, "socialSignup", sign_up).await;
    assert_eq!(status, 200, "{tokens}");
    let log_in =
        |key: &SigningKey| json!({"provider": "google", "token": id_token(key, "g-1", "bob@example.com")});
    for _ in 0..20 {
        assert_eq!(shop.as_app(&server, "socialLogin", log_in(&key)).await.0, 200);
    }
    for _ in 0..15 {
        assert_eq!(shop.as_app(&server, "socialLogin", log_in(&other)).await.1["code"], 613);
    }
    // A token that names an address of its own: nothing is asked there, and it is no token.
    let elsewhere = format!("{}/elsewhere", provider.uri());
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "x", "jku": elsewhere, "x5u": elsewhere});
    let token = id_token(&other, "g-1", "bob@example.com");
    let (_, rest) = token.split_once('.').unwrap();
    let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
    let body = json!({"provider": "google", "token": forged});
    assert_eq!(shop.as_app(&server, "socialLogin", body).await.1["code"], 613);
    let own = json!({"token": id_token(&key, "g-1", "bob@example.com")});
    let access = tokens["access-token"].as_str().unwrap();
    let (status, answer) =
        server.post("/api/appuser/deleteAccount", ("access-token", access), own).await.unwrap();
    assert_eq!((status.as_u16(), answer), (200, json!(true)), "Q17 of the reference");
    assert_eq!(shop.as_app(&server, "socialLogin", log_in(&key)).await.1["code"], 603);
}
