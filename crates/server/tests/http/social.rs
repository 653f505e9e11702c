//! `socialLogin`, `socialSignup`, and `deleteAccount` with a provider's token.

use actix_web::test::TestRequest;
use latchkey_domain::{Handle, Provider, SocialIdentity};
use latchkey_test_support::TestDatabase;
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{Answer, Made, PASSWORD, TestApp};
use crate::on_every_store;
use crate::provider::{APPLE, GOOGLE, KeySet, claims, key, signed, token};

on_every_store!(
    sec_095_a_token_starts_one_session,
    sec_095_one_of_twenty_at_once_starts_a_session,
    a_google_user_signs_up_and_in,
    an_apple_user_signs_up_and_in,
    log_in_checks_are_made_in_order,
    sign_up_checks_are_made_in_order,
    sec_092_a_token_that_is_not_right_opens_nothing,
    sec_093_a_user_is_provider_and_subject,
    sec_093_a_strangers_token_deletes_nobody,
    an_imported_user_without_a_subject_is_bound_by_the_verified_address,
    no_second_factor_is_asked,
    metadata_and_limits_hold_as_at_a_sign_up,
    sec_094_keys_are_fetched_as_seldom_as_possible,
    a_provider_that_is_away_is_a_clear_answer,
);

const ANA: &str = "ana@example.com";

pub(crate) async fn shop(app: &TestApp) -> Made {
    let shop = app.app("Shop").await;
    take_providers(app, &shop).await;
    shop
}

/// Lets users of an application sign in with both providers.
pub(crate) async fn take_providers(app: &TestApp, shop: &Made) {
    app.set(shop, "googleLogin", "googleLoginEnabled", json!(true)).await;
    app.set(shop, "googleClientId", "googleClientId", json!("client-0, client-1")).await;
    app.set(shop, "appleLogin", "appleLoginEnabled", json!(true)).await;
    app.set(shop, "appleBundleId", "appleBundleId", json!("client-1")).await;
}

impl TestApp {
    pub(crate) async fn social_login(&self, app: &Made, provider: &str, token: &str) -> Answer {
        self.as_app(app, "socialLogin", json!({"provider": provider, "token": token})).await
    }

    pub(crate) async fn social_signup(
        &self,
        app: &Made,
        provider: &str,
        token: &str,
        handle: &str,
    ) -> Answer {
        let body = json!({"provider": provider, "token": token, "handle": handle});
        self.as_app(app, "socialSignup", body).await
    }
}

async fn a_google_user_signs_up_and_in(app: TestApp) {
    let shop = shop(&app).await;
    let token = token(GOOGLE, "g-1", ANA);
    assert_eq!(app.social_login(&shop, "google", &token).await.error(), (400, 603));
    let answer = app.social_signup(&shop, "google", &token, " Ana@Example.com ").await;
    assert_eq!(app.claims(&shop, &answer.field("jwt")).await["sub"], ANA);
    let user = app.get("/api/appuser/getUser", ("access-token", &answer.field("access-token"))).await.json();
    assert_eq!((user["handle"].as_str(), user["loginProvider"].as_str()), (Some(ANA), Some("google")));
    app.mail("Welcome to Shop").await;
    let answer = app.social_login(&shop, "google", &crate::provider::token(GOOGLE, "g-1", ANA)).await;
    assert_eq!(app.claims(&shop, &answer.field("jwt")).await["sub"], ANA);
    // There is no password.
    let login = app.as_app(&shop, "login", json!({"handle": ANA, "password": PASSWORD})).await;
    assert_eq!(login.error(), (400, 600));
    // The token is nowhere in the log.
    assert!(app.audit(&shop).await.iter().all(|entry| !format!("{entry:?}").contains(&token[..40])));
    assert!(app.audit(&shop).await.iter().any(|entry| entry.detail.as_deref() == Some("google")));
    // The Swift SDK does not escape the plus of an address.
    let plus = crate::provider::token(GOOGLE, "g-2", "a+b@example.com");
    let request = TestRequest::post()
        .uri("/api/appuser/socialSignup")
        .insert_header(("app-token", shop.token.as_str()))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(format!("handle=a+b@example.com&provider=google&token={plus}"));
    let answer = app.send(request).await;
    assert_eq!(app.claims(&shop, &answer.field("jwt")).await["sub"], "a+b@example.com");
}

async fn an_apple_user_signs_up_and_in(app: TestApp) {
    let shop = shop(&app).await;
    let mut apples = claims(APPLE, "001.a", ANA);
    apples["email_verified"] = json!("true");
    let token = signed(&apples);
    let answer = app.social_signup(&shop, "apple", &token, ANA).await;
    let access = answer.field("access-token");
    assert_eq!(app.social_login(&shop, "apple", &signed(&apples)).await.status, 200);
    // Later tokens of Apple's carry no address.
    apples.as_object_mut().unwrap().remove("email");
    assert_eq!(app.social_login(&shop, "apple", &signed(&apples)).await.status, 200);
    // A client that holds an access token sends that one.
    let body = json!({"provider": "apple", "token": signed(&apples)});
    assert_eq!(app.as_user(&access, "socialLogin", body).await.status, 200);
}

async fn log_in_checks_are_made_in_order(app: TestApp) {
    let shop = shop(&app).await;
    let token = token(GOOGLE, "g-1", ANA);
    let right = json!({"provider": "google", "token": token});
    let nobody = app.post("/api/appuser/socialLogin", ("x", "y"), right.clone()).await;
    assert_eq!(nobody.error(), (400, 403));
    for (body, code) in [
        (json!({"provider": "google"}), 403),
        (json!({"token": token}), 403),
        (json!({"provider": "myspace", "token": token}), 602),
        (json!({"provider": ["google"], "token": token}), 602),
        (json!({"provider": "google", "token": {"a": 1}}), 602),
        (json!({"provider": "google", "token": "garbage"}), 613),
        (json!({"provider": "apple", "token": token}), 613),
        (right.clone(), 603),
    ] {
        assert_eq!(app.as_app(&shop, "socialLogin", body.clone()).await.error(), (400, code), "{body}");
    }
    // How the account of the address signs in.
    app.user(&shop, ANA).await;
    assert_eq!(app.as_app(&shop, "socialLogin", right.clone()).await.error(), (400, 610));
    let bob = crate::provider::token(APPLE, "001.b", "bob@example.com");
    assert_eq!(app.social_signup(&shop, "apple", &bob, "bob@example.com").await.status, 200);
    let as_google = crate::provider::token(GOOGLE, "g-b", "bob@example.com");
    assert_eq!(app.social_login(&shop, "google", &as_google).await.error(), (400, 611));
    let eve = crate::provider::token(GOOGLE, "g-e", "eve@example.com");
    assert_eq!(app.social_signup(&shop, "google", &eve, "eve@example.com").await.status, 200);
    let as_apple = crate::provider::token(APPLE, "001.e", "eve@example.com");
    assert_eq!(app.social_login(&shop, "apple", &as_apple).await.error(), (400, 612));
    // A suspended user stays outside.
    let id = app.user_id(&shop, "eve@example.com").await;
    let suspend = json!({"appId": shop.id, "userId": id, "status": "suspend"});
    assert_eq!(app.admin("user", suspend).await.text(), "true");
    assert_eq!(app.social_login(&shop, "google", &eve).await.error(), (400, 404));
    // Off, or without a client.
    app.set(&shop, "googleLogin", "googleLoginEnabled", json!(false)).await;
    assert_eq!(app.social_login(&shop, "google", &eve).await.error(), (400, 416));
    app.set(&shop, "appleLogin", "appleLoginEnabled", json!(false)).await;
    assert_eq!(app.social_login(&shop, "apple", &bob).await.error(), (400, 415));
    let bare = app.app("Bare").await;
    app.set(&bare, "googleLogin", "googleLoginEnabled", json!(true)).await;
    assert_eq!(app.social_login(&bare, "google", &eve).await.error(), (400, 416));
    app.set(&shop, "status", "status", json!("inactive")).await;
    assert_eq!(app.social_login(&shop, "google", &eve).await.error(), (400, 402));
}

async fn sign_up_checks_are_made_in_order(app: TestApp) {
    let shop = shop(&app).await;
    let token = token(GOOGLE, "g-1", ANA);
    let right = json!({"provider": "google", "token": token, "handle": ANA});
    let access = app.user(&shop, "bob@example.com").await;
    assert_eq!(app.as_user(&access, "socialSignup", right.clone()).await.error(), (400, 400));
    let with = |name: &str, value: Value| {
        let mut body = right.clone();
        body[name] = value;
        body
    };
    for (body, code) in [
        (with("handle", json!(null)), 403),
        (with("token", json!("")), 403),
        (with("provider", json!(null)), 403),
        (with("provider", json!("myspace")), 602),
        (with("handle", json!({"$ne": null})), 602),
        (with("locale", json!(["DE"])), 602),
        (with("handle", json!("no address")), 602),
        (with("handle", json!("bob@example.com")), 613),
        (with("handle", json!("other@example.com")), 613),
        (with("token", json!("garbage")), 613),
    ] {
        assert_eq!(app.as_app(&shop, "socialSignup", body.clone()).await.error(), (400, code), "{body}");
    }
    // What is taken is told to whom the address belongs.
    let bobs = crate::provider::token(GOOGLE, "g-b", "bob@example.com");
    assert_eq!(app.social_signup(&shop, "google", &bobs, "bob@example.com").await.error(), (400, 610));
    // A letter that is made small into another is another mailbox.
    let kelvin = crate::provider::token(GOOGLE, "g-k", "\u{212A}im@example.com");
    assert_eq!(app.social_signup(&shop, "google", &kelvin, "kim@example.com").await.error(), (400, 613));
    assert_eq!(app.as_app(&shop, "socialSignup", right.clone()).await.status, 200);
    assert_eq!(app.as_app(&shop, "socialSignup", right.clone()).await.error(), (400, 612));
    // The same identity under another address.
    let moved = crate::provider::token(GOOGLE, "g-1", "new@example.com");
    assert_eq!(app.social_signup(&shop, "google", &moved, "new@example.com").await.error(), (400, 612));
    assert_eq!(app.social_login(&shop, "google", &moved).await.status, 200, "who moves stays who they are");
    // An address that the provider has not verified.
    let mut unverified = claims(GOOGLE, "g-3", "eve@example.com");
    for value in [json!(false), json!("false"), json!(null), json!(1)] {
        unverified["email_verified"] = value;
        let answer = app.social_signup(&shop, "google", &signed(&unverified), "eve@example.com").await;
        assert_eq!(answer.error(), (400, 613));
    }
    app.set(&shop, "appleLogin", "appleLoginEnabled", json!(false)).await;
    assert_eq!(app.social_signup(&shop, "apple", &token, "x@example.com").await.error(), (400, 415));
    app.set(&shop, "status", "status", json!("migrated")).await;
    assert_eq!(app.as_app(&shop, "socialSignup", right).await.error(), (400, 413));
}

/// What `latchkey-crypto` tests of tokens is not repeated: that each refusal reaches the wire is.
async fn sec_092_a_token_that_is_not_right_opens_nothing(app: TestApp) {
    let shop = shop(&app).await;
    let right = claims(GOOGLE, "g-1", ANA);
    assert_eq!(app.social_signup(&shop, "google", &signed(&right), ANA).await.status, 200);
    let with = |name: &str, value: Value| {
        let mut claims = right.clone();
        claims[name] = value;
        signed(&claims)
    };
    for token in [
        with("iss", json!("https://evil.example")),
        with("iss", json!(APPLE)),
        with("aud", json!("client-2")),
        with("exp", json!(1_600_000_000)),
        with("iat", json!(1_700_000_000 + 3_600)),
        key(1).sign(right.as_object().unwrap()).unwrap(),
        String::new() + &signed(&right) + "x",
    ] {
        assert_eq!(app.social_login(&shop, "google", &token).await.error(), (400, 613));
    }
    // An hour later by our clock, as long as it has not expired.
    app.clock.advance(Duration::hours(1));
    assert_eq!(app.social_login(&shop, "google", &signed(&right)).await.status, 200);
    app.clock.advance(Duration::hours(-2));
    let early = app.social_login(&shop, "google", &with("iat", json!(1_700_000_000 - 3_600))).await;
    assert_eq!(early.status, 200, "an app token is good whatever the clock was when it was made");
    app.clock.advance(Duration::hours(1));
    // A nonce, as it is or as its digest.
    let nonce = |token: String, nonce: &str| {
        let body = json!({"provider": "google", "token": token, "nonce": nonce});
        app.as_app(&shop, "socialLogin", body)
    };
    assert_eq!(nonce(with("nonce", json!("n-1")), "n-1").await.status, 200);
    assert_eq!(nonce(with("nonce", json!("n-2")), "n-1").await.error(), (400, 613));
    assert_eq!(nonce(signed(&right), "n-1").await.error(), (400, 613));
}

async fn sec_093_a_user_is_provider_and_subject(app: TestApp) {
    let shop = shop(&app).await;
    assert_eq!(app.social_signup(&shop, "google", &token(GOOGLE, "g-1", ANA), ANA).await.status, 200);
    // The address has come to somebody else at the same provider (Q31).
    assert_eq!(app.social_login(&shop, "google", &token(GOOGLE, "g-2", ANA)).await.error(), (400, 603));
    assert_eq!(app.social_signup(&shop, "google", &token(GOOGLE, "g-2", ANA), ANA).await.error(), (400, 612));
    // The same subject at another provider is somebody else.
    let other = token(APPLE, "g-1", "x@example.com");
    assert_eq!(app.social_login(&shop, "apple", &other).await.error(), (400, 603));
    // An address that is not verified says nothing, not even that there is an account.
    let mut unverified = claims(GOOGLE, "g-3", ANA);
    unverified["email_verified"] = json!(false);
    assert_eq!(app.social_login(&shop, "google", &signed(&unverified)).await.error(), (400, 603));
    // An address that only looks like a handle is another mailbox.
    for twin in ["\u{ff41}na@example.com", "ana@ex\u{307}ample.com"] {
        assert_eq!(app.social_login(&shop, "google", &token(GOOGLE, "g-4", twin)).await.error(), (400, 603));
        assert_eq!(app.social_login(&shop, "apple", &token(APPLE, "a-4", twin)).await.error(), (400, 603));
    }
    app.user(&shop, "bob@example.com").await;
    unverified["email"] = json!("bob@example.com");
    assert_eq!(app.social_login(&shop, "google", &signed(&unverified)).await.error(), (400, 603));
}

async fn sec_093_a_strangers_token_deletes_nobody(app: TestApp) {
    let shop = shop(&app).await;
    let (anas, bobs) = (token(GOOGLE, "g-1", ANA), token(GOOGLE, "g-2", "bob@example.com"));
    let ana = app.social_signup(&shop, "google", &anas, ANA).await.field("access-token");
    let bob = app.social_signup(&shop, "google", &bobs, "bob@example.com").await.field("access-token");
    let plain = app.user(&shop, "eve@example.com").await;
    let delete = |access: &str, token: &str| {
        let (access, body) = (access.to_owned(), json!({ "token": token }));
        let app = &app;
        async move { app.as_user(&access, "deleteAccount", body).await }
    };
    assert_eq!(delete(&ana, &bobs).await.error(), (400, 613), "Q32");
    assert_eq!(delete(&ana, "garbage").await.error(), (400, 613));
    assert_eq!(delete(&ana, &token(APPLE, "g-1", ANA)).await.error(), (400, 613));
    assert_eq!(delete(&plain, &anas).await.error(), (400, 602));
    assert_eq!(delete(&ana, &anas).await.text(), "true");
    assert_eq!(delete(&ana, &anas).await.error(), (400, 405));
    assert_eq!(app.social_login(&shop, "google", &anas).await.error(), (400, 603));
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &bob)).await.status, 200);
    // A new sign-up with it is another user.
    let again = token(GOOGLE, "g-1", ANA);
    let again = app.social_signup(&shop, "google", &again, ANA).await.field("access-token");
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &again)).await.status, 200);
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &ana)).await.error(), (400, 405));
}

async fn an_imported_user_without_a_subject_is_bound_by_the_verified_address(app: TestApp) {
    let shop = shop(&app).await;
    app.user(&shop, ANA).await;
    // As an import leaves a user of whom the old server knew the provider only.
    let (id, handle) = (shop.id.parse().unwrap(), Handle::from_stored(ANA).unwrap());
    let find = app.store.read("test", move |readers| readers.users().find_by_handle(id, &handle));
    let mut user = find.await.unwrap().unwrap();
    user.social = Some(SocialIdentity { provider: Provider::Google, subject: None });
    app.replace_user(user).await;
    let mut unverified = claims(GOOGLE, "g-1", ANA);
    unverified["email_verified"] = json!(false);
    assert_eq!(app.social_login(&shop, "google", &signed(&unverified)).await.error(), (400, 603));
    let twin = token(GOOGLE, "g-1", "\u{ff41}na@example.com");
    assert_eq!(app.social_login(&shop, "google", &twin).await.error(), (400, 603));
    assert_eq!(app.social_login(&shop, "apple", &token(APPLE, "001", ANA)).await.error(), (400, 612));
    assert_eq!(app.social_login(&shop, "google", &token(GOOGLE, "g-1", ANA)).await.status, 200);
    assert_eq!(app.social_login(&shop, "google", &token(GOOGLE, "g-2", ANA)).await.error(), (400, 603));
    assert_eq!(
        app.social_login(&shop, "google", &token(GOOGLE, "g-1", "moved@example.com")).await.status,
        200
    );
}

async fn no_second_factor_is_asked(app: TestApp) {
    let shop = shop(&app).await;
    app.set_mode(&shop, "google").await;
    let anas = token(GOOGLE, "g-1", ANA);
    let access = app.social_signup(&shop, "google", &anas, ANA).await.field("access-token");
    app.enrol(&access).await;
    let again = token(GOOGLE, "g-1", ANA);
    assert!(app.social_login(&shop, "google", &again).await.json().get("jwt").is_some());
}

async fn metadata_and_limits_hold_as_at_a_sign_up(app: TestApp) {
    let shop = shop(&app).await;
    let fields = json!([{"path": "name", "fieldName": "name", "required": true, "canEdit": true}]);
    let body = json!({"appId": shop.id, "metaData": fields});
    assert_eq!(app.admin("updateAppMetaData", body).await.status, 200);
    let anas = token(GOOGLE, "g-1", ANA);
    // Q16 of the reference: this request hung forever.
    assert_eq!(app.social_signup(&shop, "google", &anas, ANA).await.error(), (400, 604));
    let sign_up = |meta: Value| {
        let body = json!({"provider": "google", "token": anas, "handle": ANA, "metaData": meta});
        app.as_app(&shop, "socialSignup", body)
    };
    assert_eq!(sign_up(json!("{broken")).await.error(), (400, 604));
    app.set(&shop, "maxUsers", "maxUsers", json!(1)).await;
    let answer = sign_up(json!(r#"{"name": "Ana", "sub": "victim"}"#)).await;
    let claims = app.claims(&shop, &answer.field("jwt")).await;
    assert_eq!((claims["name"].as_str(), claims["sub"].as_str()), (Some("Ana"), Some(ANA)));
    let body = json!({
        "provider": "google", "token": token(GOOGLE, "g-2", "bob@example.com"), "handle": "bob@example.com",
        "metaData": r#"{"name": "Bob"}"#,
    });
    assert_eq!(app.as_app(&shop, "socialSignup", body).await.error(), (400, 407));
}

async fn sec_094_keys_are_fetched_as_seldom_as_possible(app: TestApp) {
    let shop = shop(&app).await;
    let anas = token(GOOGLE, "g-1", ANA);
    assert_eq!(app.social_signup(&shop, "google", &anas, ANA).await.status, 200);
    assert_eq!(app.social_login(&shop, "google", &token(GOOGLE, "g-1", ANA)).await.status, 200);
    let google = "https://www.googleapis.com/oauth2/v3/certs";
    assert_eq!(app.provider.fetched(), [google]);
    // A thousand tokens of unknown keys, some of which name an address of their own: one fetch a minute.
    app.clock.advance(Duration::minutes(2));
    let unknown = key(1).sign(claims(GOOGLE, "g-1", ANA).as_object().unwrap()).unwrap();
    for number in 0..1_000 {
        let body = json!({"provider": "google", "token": unknown});
        let source = format!("198.51.{}.{}", number / 250, number % 250 + 1);
        let answer = app.as_app_from(&source, &shop, "socialLogin", body).await;
        assert_eq!(answer.error(), (400, 613));
    }
    assert_eq!(app.provider.fetched(), [google, google]);
    // The provider changes its key.
    app.provider.answers(KeySet::Keys(vec![key(1).public().to_jwk(), key(0).public().to_jwk()]));
    assert_eq!(app.social_login(&shop, "google", &unknown).await.error(), (400, 613), "not yet");
    app.clock.advance(Duration::minutes(1));
    assert_eq!(app.social_login(&shop, "google", &unknown).await.status, 200);
    assert_eq!(app.provider.fetched().len(), 3);
    // Its life is over.
    app.clock.advance(Duration::minutes(10));
    assert_eq!(app.social_login(&shop, "google", &token(GOOGLE, "g-1", ANA)).await.status, 200);
    assert_eq!(app.provider.fetched().len(), 4);
}

async fn a_provider_that_is_away_is_a_clear_answer(app: TestApp) {
    let shop = shop(&app).await;
    let anas = token(GOOGLE, "g-1", ANA);
    let huge = [vec![b' '; 2_000_000], b"{}".to_vec()].concat();
    let short =
        json!({"keys": [{"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"}]}).to_string().into_bytes();
    let double =
        json!({"keys": [key(0).public().to_jwk(), key(0).public().to_jwk()]}).to_string().into_bytes();
    for set in [
        KeySet::Away,
        KeySet::Bytes(b"<html>Please try again</html>".to_vec()),
        KeySet::Bytes(huge),
        KeySet::Bytes(short),
        KeySet::Bytes(double),
        KeySet::Keys(Vec::new()),
    ] {
        app.provider.answers(set);
        let answer = app.social_login(&shop, "google", &anas).await;
        assert_eq!(answer.error(), (503, 500));
        assert_eq!(answer.headers.get("retry-after").unwrap(), "5");
        let asked = app.provider.fetched().len();
        assert_eq!(app.social_login(&shop, "google", &anas).await.error(), (503, 500));
        assert_eq!(app.social_login(&shop, "google", "x.y.z").await.error(), (400, 613), "no token at all");
        assert_eq!(app.provider.fetched().len(), asked, "asked no sooner");
        app.clock.advance(Duration::seconds(5));
    }
    app.provider.answers(KeySet::Keys(vec![key(0).public().to_jwk()]));
    assert_eq!(app.social_signup(&shop, "google", &anas, ANA).await.status, 200);
    // What was fetched is used for its ten minutes and a day more.
    app.provider.answers(KeySet::Away);
    app.clock.advance(Duration::hours(23));
    assert_eq!(app.social_login(&shop, "google", &token(GOOGLE, "g-1", ANA)).await.status, 200);
    app.clock.advance(Duration::minutes(71));
    assert_eq!(app.social_login(&shop, "google", &anas).await.error(), (503, 500));
}

async fn racing_sign_ups_make_one_user(app: TestApp) {
    let shop = shop(&app).await;
    // Two identities of one address, and one identity under two addresses.
    let wanted: Vec<_> = (0..12)
        .map(|n| match n % 3 {
            0 => ("g-0", ANA),
            1 => ("g-1", ANA),
            _ => ("g-0", "moved@example.com"),
        })
        .map(|(subject, email)| (token(GOOGLE, subject, email), email))
        .collect();
    let racers = wanted.iter().map(|(token, email)| app.social_signup(&shop, "google", token, email));
    let answers = futures_util::future::join_all(racers).await;
    for answer in &answers {
        assert!(answer.status == 200 || answer.error() == (400, 612), "{}", answer.text());
    }
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((1..=2).contains(&made), "{made}");
    assert_eq!(app.provider.fetched().len(), 1, "one asks, the others wait for its answer");
}

#[actix_web::test]
async fn of_racing_sign_ups_one_makes_the_user_on_sqlite() {
    let database = TestDatabase::sqlite();
    racing_sign_ups_make_one_user(TestApp::over(database.store()).await).await;
}

#[actix_web::test]
async fn of_racing_sign_ups_one_makes_the_user_on_postgres() {
    let database = TestDatabase::postgres();
    racing_sign_ups_make_one_user(TestApp::over(database.store()).await).await;
}

async fn sec_095_a_token_starts_one_session(app: TestApp) {
    let (shop, other) = (shop(&app).await, app.app("Other").await);
    app.set(&other, "googleLogin", "googleLoginEnabled", json!(true)).await;
    app.set(&other, "googleClientId", "googleClientId", json!("client-1")).await;
    // A log-in that finds nobody, and the sign-up after it, are one token's.
    let first = token(GOOGLE, "g-1", ANA);
    for _ in 0..3 {
        assert_eq!(app.social_login(&shop, "google", &first).await.error(), (400, 603));
    }
    assert_eq!(app.social_signup(&shop, "google", &first, ANA).await.status, 200);
    assert_eq!(app.social_login(&shop, "google", &first).await.error(), (400, 613));
    // So is a log-in, for as long as the token lives.
    let second = token(GOOGLE, "g-1", ANA);
    assert_eq!(app.social_login(&shop, "google", &second).await.status, 200);
    assert_eq!(app.social_login(&shop, "google", &second).await.error(), (400, 613));
    app.clock.advance(Duration::days(9));
    app.service.purge_if_due().await.unwrap();
    assert_eq!(app.social_login(&shop, "google", &second).await.error(), (400, 613));
    // What was refused for another reason is not used up.
    let third = token(GOOGLE, "g-1", ANA);
    let suspend = async |status: &str| {
        let id = app.user_id(&shop, ANA).await;
        app.admin("user", json!({"appId": shop.id, "userId": id, "status": status})).await
    };
    suspend("suspend").await;
    assert_eq!(app.social_login(&shop, "google", &third).await.error(), (400, 404));
    suspend("active").await;
    assert_eq!(app.social_login(&shop, "google", &third).await.status, 200);
    // Another application of the same client has sessions of its own.
    let fourth = token(GOOGLE, "g-1", ANA);
    assert_eq!(app.social_login(&shop, "google", &fourth).await.status, 200);
    assert_eq!(app.social_signup(&other, "google", &fourth, ANA).await.status, 200);
}

async fn sec_095_one_of_twenty_at_once_starts_a_session(app: TestApp) {
    let shop = shop(&app).await;
    let first = token(GOOGLE, "g-1", ANA);
    assert_eq!(app.social_signup(&shop, "google", &first, ANA).await.status, 200);
    let again = token(GOOGLE, "g-1", ANA);
    let calls = (0..20).map(|_| app.social_login(&shop, "google", &again));
    let answers = futures_util::future::join_all(calls).await;
    let started = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(started, 1);
}
