//! `setPhone`, `verifyPhone`, the limits of text messages, and the operator's test message.

use actix_web::test::TestRequest;
use latchkey_test_support::TestDatabase;
use serde_json::{Value, json};
use time::Duration;

use crate::factors::{OTHER_PHONE, PHONE, SENDER};
use crate::harness::{Answer, Made, TestApp};
use crate::on_every_store;

on_every_store!(
    a_number_is_given_and_verified,
    checks_are_made_in_order,
    sec_027_a_code_verifies_the_number_that_it_was_sent_to,
    sec_030_a_repeat_within_a_minute_sends_nothing,
    sec_031_a_code_is_good_for_five_minutes_and_not_sent_later,
    sec_029_five_wrong_codes_end_a_code,
    sec_047_only_countries_that_the_application_lists,
    a_verified_number_belongs_to_one_user,
    an_operator_sends_a_test_message,
    mode_phone_needs_an_account_and_a_country,
    a_user_who_is_there_may_log_in_as_often_as_they_like,
    a_number_that_was_stored_stays_readable,
    sec_044_an_old_access_token_gives_no_first_number,
    sec_013_strangers_cannot_spend_the_tries_of_a_code_by_sms,
    a_number_that_was_mistyped_can_be_taken_back,
    what_waits_is_not_sent_for_an_application_that_no_longer_sends,
);

const ANA: &str = "ana@example.com";

impl TestApp {
    pub(crate) async fn set_phone(&self, access: &str, phone: impl Into<Value>) -> Answer {
        self.as_user(access, "setPhone", json!({"phone": phone.into()})).await
    }

    pub(crate) async fn verify_phone(&self, access: &str, code: impl Into<Value>) -> Answer {
        self.as_user(access, "verifyPhone", json!({"code": code.into()})).await
    }

    async fn phone_of(&self, access: &str) -> (String, bool) {
        let user = self.get("/api/appuser/getUser", ("access-token", access)).await.json();
        (user["phone"].as_str().unwrap().to_owned(), user["phoneVerified"].as_bool().unwrap())
    }
}

async fn a_number_is_given_and_verified(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    let user = app.get("/api/appuser/getUser", ("access-token", &access)).await.json();
    assert!(user.get("phone").is_none() && user.get("phoneVerified").is_none());
    assert_eq!(app.set_phone(&access, "+49 (0)151 / 1234-5678").await.text(), "true");
    assert_eq!(app.phone_of(&access).await, (PHONE.to_owned(), false));
    let texts = app.texts().await;
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].account.sid, "AC0123456789");
    let code: u64 = app.code_at(PHONE).await.parse().unwrap();
    // Another number in the field is not looked at.
    let body = json!({"code": code, "phone": {"$regex": "^+1"}});
    assert_eq!(app.as_user(&access, "verifyPhone", body).await.text(), "true");
    assert_eq!(app.phone_of(&access).await, (PHONE.to_owned(), true));
    assert_eq!(app.verify_phone(&access, code).await.error(), (400, 602), "once");
    // The Swift SDK does not escape the plus, which arrives as a blank.
    let request = TestRequest::post()
        .uri("/api/appuser/setPhone")
        .insert_header(("access-token", access.as_str()))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload("phone=+4915112345679");
    assert_eq!(app.send(request).await.text(), "true");
    assert_eq!(app.phone_of(&access).await, (OTHER_PHONE.to_owned(), false));
    let log = app.audit(&shop).await;
    assert!(log.iter().all(|entry| !format!("{entry:?}").contains("15112345")), "SEC-103");
    assert!(log.iter().any(|entry| entry.detail.as_deref() == Some("+49***78")));
}

async fn sec_044_an_old_access_token_gives_no_first_number(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    app.set(&shop, "factorChangeNeedsLogin", "factorChangeNeedsLogin", json!(true)).await;
    let access = app.user(&shop, ANA).await;
    app.clock.advance(Duration::minutes(16));
    assert_eq!(app.set_phone(&access, PHONE).await.error(), (400, 405));
    assert!(app.texts().await.is_empty());
    // After a recent log-in the number is accepted, and the owner is notified by mail.
    let access = app.log_in(&shop, ANA).await.field("access-token");
    assert_eq!(app.set_phone(&access, PHONE).await.text(), "true");
    let mails = app.mails().await.len();
    let code = app.code_at(PHONE).await;
    assert_eq!(app.verify_phone(&access, code).await.text(), "true");
    assert_eq!(app.mails().await.len(), mails + 1);
}

async fn checks_are_made_in_order(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, ANA).await;
    for route in ["setPhone", "verifyPhone"] {
        let body = json!({"phone": PHONE, "code": "123456"});
        assert_eq!(app.as_app(&shop, route, body.clone()).await.error(), (400, 602));
        let nobody = app.post(&format!("/api/appuser/{route}"), ("x", "y"), body.clone()).await;
        assert_eq!(nobody.error(), (400, 602));
        assert_eq!(app.as_user(&access, route, json!({})).await.error(), (400, 403));
        assert_eq!(app.as_user(&access, route, body).await.error(), (400, 409), "{route}");
    }
    app.set_mode(&shop, "google").await;
    assert_eq!(app.set_phone(&access, PHONE).await.error(), (400, 409));
    app.set_mode(&shop, "phone").await;
    for (phone, code) in [
        (json!(""), 403),
        (json!(null), 403),
        (json!("015112345678"), 602),
        (json!("+49"), 602),
        (json!(4_915_112_345_678_u64), 602),
        (json!({"$regex": "^+1"}), 602),
        (json!([PHONE]), 602),
    ] {
        assert_eq!(app.set_phone(&access, phone.clone()).await.error(), (400, code), "{phone}");
    }
    assert_eq!(app.verify_phone(&access, "123456").await.error(), (400, 602), "no number was given");
    app.set_phone(&access, PHONE).await;
    for (code, number) in [(json!("x"), 602), (json!([]), 602), (json!(""), 403), (json!("000000"), 602)] {
        assert_eq!(app.verify_phone(&access, code.clone()).await.error(), (400, number), "{code}");
    }
    // What is switched off in the middle stops there.
    let code = app.code_at(PHONE).await;
    app.set_mode(&shop, "none").await;
    assert_eq!(app.verify_phone(&access, code.clone()).await.error(), (400, 409));
    app.set_mode(&shop, "phone").await;
    app.set(&shop, "status", "status", json!("inactive")).await;
    assert_eq!(app.verify_phone(&access, code).await.error(), (400, 402));
    assert_eq!(app.set_phone(&access, PHONE).await.error(), (400, 402));
}

async fn sec_027_a_code_verifies_the_number_that_it_was_sent_to(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    app.set_phone(&access, PHONE).await;
    let own = app.code_at(PHONE).await;
    app.set_phone(&access, OTHER_PHONE).await;
    let other = app.code_at(OTHER_PHONE).await;
    assert_eq!(app.verify_phone(&access, own.clone()).await.error(), (400, 602));
    // Another user's, of the same number.
    let bob = app.user(&shop, "bob@example.com").await;
    app.set_phone(&bob, PHONE).await;
    assert_eq!(app.verify_phone(&bob, own.clone()).await.error(), (400, 602));
    // Instead of another code.
    let reset = json!({"handle": ANA, "password": "9cc2ae8a1ba7a93da39b46fc1019c481", "code": other});
    assert_eq!(app.as_app(&shop, "resetPassword", reset).await.error(), (400, 602));
    app.set_phone(&access, PHONE).await;
    assert_eq!(app.verify_phone(&access, own).await.text(), "true");
}

async fn sec_030_a_repeat_within_a_minute_sends_nothing(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    for _ in 0..3 {
        assert_eq!(app.set_phone(&access, PHONE).await.text(), "true");
    }
    assert_eq!(app.texts().await.len(), 1);
    let first = app.code_at(PHONE).await;
    app.clock.advance(Duration::seconds(60));
    assert_eq!(app.set_phone(&access, PHONE).await.text(), "true");
    assert_eq!(app.texts().await.len(), 2);
    assert_eq!(app.verify_phone(&access, first).await.text(), "true", "a slow first message still works");
}

async fn sec_031_a_code_is_good_for_five_minutes_and_not_sent_later(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    app.set_phone(&access, PHONE).await;
    let code = app.code_at(PHONE).await;
    assert!(app.texts().await[0].valid_for.is_some_and(|left| left.as_secs() == 300));
    app.clock.advance(Duration::minutes(5));
    assert_eq!(app.verify_phone(&access, code).await.error(), (400, 602));
    app.set_phone(&access, PHONE).await;
    app.clock.advance(Duration::minutes(5));
    assert_eq!(app.texts().await.len(), 1, "the second was not sent any more");
    let acts = app.audit(&shop).await;
    assert!(acts.iter().any(|entry| entry.action == "sms.sent"));
    assert!(acts.iter().any(|entry| entry.action == "sms.expired"));
}

async fn sec_029_five_wrong_codes_end_a_code(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    app.set_phone(&access, PHONE).await;
    let code = app.code_at(PHONE).await;
    let wrong = if code == "100000" { "100001" } else { "100000" };
    for _ in 0..5 {
        assert_eq!(app.verify_phone(&access, wrong).await.error(), (400, 602));
    }
    assert_eq!(app.verify_phone(&access, code).await.error(), (400, 602));
}

async fn sec_047_only_countries_that_the_application_lists(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    // By default the country of the sender's number, and never what costs extra.
    for refused in ["+12025550123", "+18765550123", "+4990031234567", "+49900123456", "+491371234567"] {
        assert_eq!(app.set_phone(&access, refused).await.error(), (400, 602), "{refused}");
    }
    assert_eq!(app.texts().await.len(), 0);
    app.set(&shop, "smsCountries", "smsCountries", json!(["+1"])).await;
    assert_eq!(app.set_phone(&access, PHONE).await.error(), (400, 602));
    assert_eq!(app.set_phone(&access, "+18765550123").await.error(), (400, 602), "an island of its own");
    assert_eq!(app.set_phone(&access, "+19005550123").await.error(), (400, 602));
    assert_eq!(app.set_phone(&access, "+12025550123").await.text(), "true");
    for wrong in [json!(["0"]), json!(["49", "x"]), json!("49;1"), json!([{}]), json!(true)] {
        let body = json!({"appId": shop.id, "setting": "smsCountries", "smsCountries": wrong});
        assert_eq!(app.admin("updateAppSetting", body).await.status, 400, "{wrong}");
    }
}

async fn a_verified_number_belongs_to_one_user(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let (ana, bob) = (app.user(&shop, ANA).await, app.user(&shop, "bob@example.com").await);
    app.set_phone(&bob, PHONE).await;
    let bobs = app.code_at(PHONE).await;
    app.clock.advance(Duration::seconds(61));
    app.verify(&ana, PHONE).await;
    assert_eq!(app.verify_phone(&bob, bobs).await.error(), (400, 412), "somebody was faster");
    assert_eq!(app.set_phone(&bob, PHONE).await.error(), (400, 412));
    assert_eq!(app.set_phone(&ana, PHONE).await.error(), (400, 412), "one's own too");
    // Another application has users of its own.
    app.clock.advance(Duration::seconds(61));
    let other = app.app_with_mode("Other", "phone").await;
    let eve = app.user(&other, "eve@example.com").await;
    app.verify(&eve, PHONE).await;
    // Asking whose numbers are verified is limited: 120 an hour.
    let mut refused = 0;
    for _ in 0..3 {
        for _ in 0..50 {
            refused += usize::from(app.set_phone(&bob, PHONE).await.status == 429);
        }
        app.clock.advance(Duration::minutes(2));
    }
    assert!(refused >= 30, "SEC-024: {refused}");
}

async fn an_operator_sends_a_test_message(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let test = |body: Value| app.admin("testAppTwilio", body);
    let answer = test(json!({"appId": shop.id, "phone": PHONE})).await;
    let code = answer.json()["twoFactorCode"].as_u64().unwrap();
    let texts = app.texts().await;
    assert_eq!((texts.len(), texts[0].to.as_str()), (1, PHONE));
    assert_eq!(texts[0].text, format!("{code} is your code for Shop."));
    let none = app.app("None").await;
    for (body, status, number) in [
        (json!({"appId": shop.id}), 400, 403),
        (json!({"appId": shop.id, "phone": "x"}), 400, 602),
        (json!({"appId": shop.id, "phone": "+12025550123"}), 400, 602),
        (json!({"appId": shop.id, "phone": PHONE, "locale": "XX"}), 400, 602),
        (json!({"appId": none.id, "phone": PHONE}), 400, 500),
        (json!({"appId": "f".repeat(32), "phone": PHONE}), 404, 401),
    ] {
        assert_eq!(test(body.clone()).await.error(), (status, number), "{body}");
    }
    let body = json!({"appId": shop.id, "phone": PHONE});
    assert_eq!(app.post("/api/app/testAppTwilio", ("x", "y"), body.clone()).await.error(), (403, 400));
    // The limits of numbers hold for operators too.
    for _ in 0..5 {
        assert_eq!(test(body.clone()).await.status, 200);
    }
    assert_eq!(test(body).await.status, 429);
    assert_eq!(app.texts().await.len(), 6);
}

async fn mode_phone_needs_an_account_and_a_country(app: TestApp) {
    let shop = app.app("Shop").await;
    let set = |body: Value| {
        let mut whole = json!({
            "appId": shop.id, "setting": "twoFactorVerification", "twoFactorVerification": "phone",
        });
        for (name, value) in body.as_object().unwrap() {
            whole[name] = value.clone();
        }
        app.admin("updateAppSetting", whole)
    };
    for wrong in [
        json!({}),
        json!({"TWILIOAccountSid": "AC1", "TWILIOToken": "t"}),
        json!({"TWILIOAccountSid": "AC1", "TWILIOPhoneNumber": SENDER}),
        json!({"TWILIOToken": "t", "TWILIOPhoneNumber": SENDER}),
        json!({"TWILIOAccountSid": "AC/../1", "TWILIOToken": "t", "TWILIOPhoneNumber": SENDER}),
        json!({"TWILIOAccountSid": "AC1", "TWILIOToken": "t", "TWILIOPhoneNumber": "030 123"}),
        json!({"TWILIOAccountSid": "AC1", "TWILIOToken": "t", "TWILIOMessagingServiceSid": "MG1"}),
        json!({"TWILIOAccountSid": "AC1", "TWILIOToken": "a b", "TWILIOPhoneNumber": SENDER}),
        json!({"TWILIOAccountSid": "XX1", "TWILIOToken": "t", "TWILIOPhoneNumber": SENDER}),
        json!({"twoFactorVerification": "carrier pigeon"}),
    ] {
        let answer = set(wrong.clone()).await;
        assert_eq!(answer.error(), (400, 602), "{wrong}");
    }
    app.set(&shop, "smsCountries", "smsCountries", json!(["49"])).await;
    let service =
        json!({"TWILIOAccountSid": "AC1", "TWILIOToken": "token-canary", "TWILIOMessagingServiceSid": "MG1"});
    let answer = set(service).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("canary") && !answer.text().contains("AC1"), "SEC-087");
    assert_eq!(answer.json()["hasSmsAccount"], true);
    assert_eq!(set(json!({})).await.status, 200, "the account stays");
    let access = app.user(&shop, ANA).await;
    assert_eq!(app.set_phone(&access, PHONE).await.text(), "true");
    assert_eq!(app.texts().await.len(), 1);
    // It can go again, but not from under the mode.
    assert_eq!(set(json!({"removeSmsAccount": true})).await.error(), (400, 602));
    let answer = set(json!({"twoFactorVerification": "google", "removeSmsAccount": true})).await;
    assert_eq!(answer.json()["hasSmsAccount"], false);
}

async fn a_user_who_is_there_may_log_in_as_often_as_they_like(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let ana = app.user(&shop, ANA).await;
    app.enrol_phone(&ana, PHONE).await;
    for _ in 0..15 {
        // Phone and tablet one after the other.
        app.clock.advance(Duration::seconds(5));
        let login_token = app.login_token(&shop, ANA).await;
        let code = app.code_at(PHONE).await;
        assert_eq!(app.complete(&shop, &login_token, code).await.status, 200);
    }
    // Codes that nobody brings back are counted.
    let sent = app.texts().await.len();
    for _ in 0..9 {
        app.clock.advance(Duration::seconds(61));
        app.login_token(&shop, ANA).await;
        app.texts().await;
    }
    assert_eq!(app.texts().await.len(), sent + 6);
}

async fn a_number_that_was_stored_stays_readable(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let ana = app.user(&shop, ANA).await;
    let (app_id, id) = (shop.id.parse().unwrap(), app.user_id(&shop, ANA).await.parse().unwrap());
    let stored: Result<bool, latchkey_storage::StorageError> = app
        .store
        .transact("test", move |repos| {
            let user = repos.users().find(app_id, id)?.unwrap();
            let given = latchkey_domain::Phone::from_stored("+4901511234567").ok();
            let to = latchkey_domain::Factors { given_phone: given, ..user.factors.clone() };
            repos.factors().change(&user, &to, user.created_at)
        })
        .await;
    assert!(stored.unwrap());
    assert_eq!(app.phone_of(&ana).await.0, "+4901511234567");
    assert_eq!(app.log_in(&shop, ANA).await.status, 200);
}

async fn sec_013_strangers_cannot_spend_the_tries_of_a_code_by_sms(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let ana = app.user(&shop, ANA).await;
    app.enrol_phone(&ana, PHONE).await;
    app.clock.advance(Duration::minutes(2));
    for number in 0..12 {
        let source = format!("203.0.113.{}", number + 1);
        app.as_app_from(&source, &shop, "forgotPassword", json!({"handle": ANA})).await;
        for _ in 0..6 {
            let body =
                json!({"handle": ANA, "password": "9cc2ae8a1ba7a93da39b46fc1019c481", "code": "000000"});
            app.as_app_from(&source, &shop, "resetPassword", body).await;
        }
    }
    let login = json!({"handle": ANA, "password": crate::harness::PASSWORD});
    let half = app.as_app_from("198.51.100.9", &shop, "login", login).await.field("login-token");
    let body = json!({"loginToken": half, "code": app.code_at(PHONE).await});
    assert_eq!(app.as_app_from("198.51.100.9", &shop, "loginComplete", body).await.status, 200);
}

async fn a_number_that_was_mistyped_can_be_taken_back(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let ana = app.user(&shop, ANA).await;
    app.verify(&ana, PHONE).await;
    let sent = app.texts().await.len();
    app.set_phone(&ana, OTHER_PHONE).await;
    assert_eq!(app.phone_of(&ana).await, (OTHER_PHONE.to_owned(), false));
    assert_eq!(app.set_phone(&ana, PHONE).await.text(), "true");
    assert_eq!(app.phone_of(&ana).await, (PHONE.to_owned(), true));
    assert_eq!(app.texts().await.len(), sent + 1, "for the other one");
    // A code that went to the old number is worth nothing once it is replaced.
    app.as_user(&ana, "setTwoFactorPhoneVerification", json!({"twoFactor": true})).await;
    app.clock.advance(Duration::minutes(2));
    let login_token = app.login_token(&shop, ANA).await;
    let code = app.code_at(PHONE).await;
    app.verify(&ana, OTHER_PHONE).await;
    assert_eq!(app.complete(&shop, &login_token, code).await.error(), (400, 600));
}

async fn what_waits_is_not_sent_for_an_application_that_no_longer_sends(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let ana = app.user(&shop, ANA).await;
    app.set_phone(&ana, PHONE).await;
    app.set_mode(&shop, "none").await;
    assert_eq!(app.texts().await.len(), 0);
    assert!(app.audit(&shop).await.iter().any(|entry| entry.action == "sms.dead"));
}

/// A hundred at once, of one user: the provider sees no more than the limit.
async fn at_once(app: TestApp) {
    let shop: Made = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    app.clock.advance(Duration::minutes(2));
    let asks = (0..55).map(|number| app.set_phone(&access, format!("+4917{number:02}2345678")));
    let answers = futures_util::future::join_all(asks).await;
    for answer in &answers {
        assert!(answer.text() == "true" || answer.status == 503, "{}", answer.text());
    }
    let sent = app.texts().await.len();
    assert!((1..=6).contains(&sent), "{sent}");
}

#[actix_web::test]
async fn sec_048_many_at_once_are_reserved_before_they_are_sent_on_sqlite() {
    let database = TestDatabase::sqlite();
    at_once(TestApp::over(database.store()).await).await;
}

#[actix_web::test]
async fn sec_048_many_at_once_are_reserved_before_they_are_sent_on_postgres() {
    let database = TestDatabase::postgres();
    at_once(TestApp::over(database.store()).await).await;
}
