//! `login` and `loginComplete` with a second factor.

use actix_web::test::TestRequest;
use serde_json::json;
use time::Duration;

use crate::factors::{OTHER_PHONE, PHONE, code_at};
use crate::harness::{GOOD_PASSWORD, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    an_authenticator_completes_a_log_in,
    a_code_by_sms_completes_a_log_in,
    checks_are_made_in_order,
    sec_033_a_code_that_begins_with_zero_is_right_as_text_and_as_number,
    sec_040_each_step_works_once,
    sec_042_five_wrong_codes_end_a_log_in_and_twenty_a_day,
    sec_042_a_hundred_wrong_codes_disable_the_factor_until_it_is_recovered,
    an_operator_lets_in_who_has_lost_the_factor,
    sec_045_nobody_with_a_factor_gets_in_without_it,
    sec_019_the_third_wrong_code_of_a_day_is_mailed_to_the_owner,
    sec_036_a_reset_keeps_the_second_factor,
    sec_037_what_is_disabled_meanwhile_ends_the_log_in,
    sec_050_codes_go_to_the_verified_number_only,
    sec_063_a_login_token_is_nothing_but_itself,
    a_source_that_knows_the_password_alone_becomes_no_known_one,
    an_anonymous_user_has_no_second_factor,
);

const ANA: &str = "ana@example.com";

async fn an_authenticator_completes_a_log_in(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    assert!(app.log_in(&shop, ANA).await.json().get("jwt").is_some(), "nothing is enrolled yet");
    let secret = app.enrol(&access).await;
    assert_eq!(app.flags(&access).await, (true, false));
    let answer = app.log_in(&shop, ANA).await;
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["login-token"]);
    let login_token = answer.field("login-token");
    assert_eq!(app.complete(&shop, &login_token, app.wrong_code(&secret)).await.error(), (400, 600));
    let answer = app.complete(&shop, &login_token, app.code_now(&secret)).await;
    assert_eq!(app.claims(&shop, &answer.field("jwt")).await["sub"], ANA);
    let user = app.get("/api/appuser/getUser", ("access-token", &answer.field("access-token"))).await;
    assert_eq!(user.status, 200);
    let acts: Vec<_> = app.audit(&shop).await.into_iter().map(|entry| (entry.action, entry.result)).collect();
    assert!(acts.contains(&("loginComplete".to_owned(), "ok".to_owned())));
    assert!(acts.contains(&("loginComplete".to_owned(), "CredentialsWrong".to_owned())));
}

async fn a_code_by_sms_completes_a_log_in(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    app.enrol_phone(&access, PHONE).await;
    let sent = app.texts().await.len();
    let login_token = app.login_token(&shop, ANA).await;
    let texts = app.texts().await;
    assert_eq!(texts.len(), sent + 1);
    let text = texts.last().unwrap();
    assert_eq!(text.to.as_str(), PHONE);
    assert!(text.text.ends_with("is your code for Shop."), "{}", text.text);
    let code = app.code_at(PHONE).await;
    let wrong = if code == "100000" { "100001" } else { "100000" };
    assert_eq!(app.complete(&shop, &login_token, wrong).await.error(), (400, 600));
    let number: u64 = code.parse().unwrap();
    let answer = app.complete(&shop, &login_token, number).await;
    assert_eq!(app.claims(&shop, &answer.field("jwt")).await["sub"], ANA);
    // Neither the code nor the token a second time.
    let another = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &another, code.clone()).await.error(), (400, 600));
    assert_eq!(app.complete(&shop, &login_token, code).await.error(), (400, 600));
}

async fn checks_are_made_in_order(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let login_token = app.login_token(&shop, ANA).await;
    let nobody = app.post("/api/appuser/loginComplete", ("x", "y"), json!({"loginToken": "x", "code": "1"}));
    assert_eq!(nobody.await.error(), (400, 403));
    for (body, code) in [
        (json!({}), 403),
        (json!({"loginToken": login_token}), 403),
        (json!({"code": "123456"}), 403),
        (json!({"loginToken": login_token, "code": ""}), 403),
        (json!({"loginToken": login_token, "code": null}), 403),
        (json!({"loginToken": login_token, "code": "abc"}), 602),
        (json!({"loginToken": login_token, "code": "12345"}), 602),
        (json!({"loginToken": login_token, "code": []}), 602),
        (json!({"loginToken": login_token, "code": {}}), 602),
        (json!({"loginToken": login_token, "code": true}), 602),
        (json!({"loginToken": login_token, "code": -1}), 602),
        (json!({"loginToken": login_token, "code": 1.5}), 602),
        (json!({"loginToken": ["x"], "code": "123456"}), 602),
        (json!({"loginToken": "garbage", "code": "123456"}), 600),
        (json!({"loginToken": "a.b.c", "code": "123456"}), 600),
    ] {
        assert_eq!(app.as_app(&shop, "loginComplete", body.clone()).await.error(), (400, code), "{body}");
    }
    app.set(&shop, "status", "status", json!("inactive")).await;
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.error(), (400, 402));
    app.set(&shop, "status", "status", json!("active")).await;
    // A client that holds an access token sends that one instead of its app token.
    let body = json!({"loginToken": login_token, "code": app.code_now(&secret)});
    assert_eq!(app.as_user(&access, "loginComplete", body).await.status, 200);
}

async fn sec_033_a_code_that_begins_with_zero_is_right_as_text_and_as_number(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    for as_number in [false, true] {
        while !app.code_now(&secret).starts_with('0') {
            app.clock.advance(Duration::seconds(30));
        }
        let (code, login_token) = (app.code_now(&secret), app.login_token(&shop, ANA).await);
        let answer = if as_number {
            app.complete(&shop, &login_token, code.parse::<u64>().unwrap()).await
        } else {
            app.complete(&shop, &login_token, format!(" {} {} ", &code[..3], &code[3..])).await
        };
        assert_eq!(answer.status, 200, "{code} {}", answer.text());
        app.clock.advance(Duration::seconds(30));
    }
}

async fn sec_040_each_step_works_once(app: TestApp) {
    use latchkey_domain::Clock as _;
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let now = app.clock.now();
    let (older, present, next) = (
        code_at(&secret, now - Duration::seconds(30)),
        code_at(&secret, now),
        code_at(&secret, now + Duration::seconds(30)),
    );
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, present.clone()).await.status, 200);
    for used in [&present, &older] {
        let login_token = app.login_token(&shop, ANA).await;
        assert_eq!(app.complete(&shop, &login_token, used.clone()).await.error(), (400, 600));
    }
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, next).await.status, 200);
    // Clocks that are an hour off open nothing.
    for hours in [-1, 1] {
        let login_token = app.login_token(&shop, ANA).await;
        let elsewhen = code_at(&secret, now + Duration::hours(hours));
        assert_eq!(app.complete(&shop, &login_token, elsewhen).await.error(), (400, 600));
    }
}

async fn sec_042_five_wrong_codes_end_a_log_in_and_twenty_a_day(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    for login in 0..4 {
        let login_token = app.login_token(&shop, ANA).await;
        for wrong in 0..5 {
            let source = format!("198.51.100.{}", login * 5 + wrong + 1);
            let body = json!({"loginToken": login_token, "code": app.wrong_code(&secret)});
            let answer = app.as_app_from(&source, &shop, "loginComplete", body).await;
            assert_eq!(answer.error(), (400, 600));
        }
        // The sixth of one log-in is not looked at.
        let answer = app.complete(&shop, &login_token, app.code_now(&secret)).await;
        assert_eq!(answer.error(), (400, 600), "log-in {login}");
    }
    let login_token = app.login_token(&shop, ANA).await;
    let answer = app.complete(&shop, &login_token, app.code_now(&secret)).await;
    assert_eq!(answer.error(), (400, 600), "twenty of a day are spent");
    app.clock.advance(Duration::days(1));
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200);
}

async fn sec_042_a_hundred_wrong_codes_disable_the_factor_until_it_is_recovered(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let answer = app.as_user(&access, "newRecoveryCodes", json!({})).await;
    let recovery = answer.json()["recoveryCodes"][0].as_str().unwrap().to_owned();
    let mut wrong = 0;
    while wrong < 100 {
        let login_token = app.login_token(&shop, ANA).await;
        for _ in 0..5 {
            assert_eq!(app.complete(&shop, &login_token, app.wrong_code(&secret)).await.error(), (400, 600));
            wrong += 1;
        }
        app.clock.advance(Duration::hours(7));
    }
    app.clock.advance(Duration::days(2));
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.error(), (400, 600));
    let acts = app.audit(&shop).await;
    assert_eq!(
        acts.iter().filter(|entry| entry.action == "factor.disabled").count(),
        1,
        "at the last of them"
    );
    assert_eq!(app.complete(&shop, &login_token, recovery).await.status, 200);
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200);
}

async fn an_operator_lets_in_who_has_lost_the_factor(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let codes = app.as_user(&access, "newRecoveryCodes", json!({})).await.json();
    for _ in 0..4 {
        let login_token = app.login_token(&shop, ANA).await;
        for _ in 0..5 {
            app.complete(&shop, &login_token, app.wrong_code(&secret)).await;
        }
        app.clock.advance(Duration::minutes(2));
    }
    let id = app.user_id(&shop, ANA).await;
    let reset =
        |app_id: &str, user: &str| app.admin("resetSecondFactor", json!({"appId": app_id, "userId": user}));
    let other = app.app("Other").await;
    assert_eq!(reset(&other.id, &id).await.error(), (404, 603));
    assert_eq!(reset(&shop.id, "x").await.error(), (404, 603));
    assert_eq!(reset(&shop.id, &id).await.text(), "true");
    app.mail("Your second factor for Shop was changed").await;
    let answer = app.log_in(&shop, ANA).await;
    assert!(answer.json().get("jwt").is_some());
    // A new one starts from zero, and nothing of the old one is left.
    let secret = app.enrol(&answer.field("access-token")).await;
    let login_token = app.login_token(&shop, ANA).await;
    let old = codes["recoveryCodes"][0].as_str().unwrap();
    assert_eq!(app.complete(&shop, &login_token, old).await.error(), (400, 600));
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200);
    assert!(app.audit(&shop).await.iter().any(|entry| entry.action == "resetSecondFactor"));
}

/// Every mode, every combination of what a user may have, whether the given number is the verified one.
async fn sec_045_nobody_with_a_factor_gets_in_without_it(app: TestApp) {
    for (has_authenticator, has_phone, given_another) in [
        (false, false, false),
        (true, false, false),
        (false, true, false),
        (true, true, false),
        (false, true, true),
        (true, true, true),
    ] {
        let shop = app
            .app_with_mode(&format!("Shop {has_authenticator} {has_phone} {given_another}"), "phone")
            .await;
        let access = app.user(&shop, ANA).await;
        // Numbers and users have limits of their own.
        app.clock.advance(Duration::days(1));
        if has_phone {
            app.enrol_phone(&access, PHONE).await;
        }
        if given_another {
            assert_eq!(app.as_user(&access, "setPhone", json!({"phone": OTHER_PHONE})).await.text(), "true");
        }
        if has_authenticator {
            let body = json!({"twoFactor": true, "factor": "google"});
            let answer = app.as_user(&access, "setTwoFactorGoogleVerification", body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_eq!(app.flags(&access).await, (has_authenticator, has_phone));
        for mode in ["phone", "google", "none", "google", "phone"] {
            app.clock.advance(Duration::minutes(2));
            assert_eq!(app.set_mode(&shop, mode).await.status, 200);
            let sent = app.texts().await.len();
            let body = app.log_in(&shop, ANA).await.json();
            let (texts, what) = (app.texts().await, format!("{mode} {has_authenticator} {has_phone}"));
            let is_asked = mode != "none" && (has_authenticator || has_phone);
            assert_eq!(body.get("login-token").is_some(), is_asked, "{what}: {body}");
            assert_eq!(body.get("jwt").is_some(), !is_asked, "{what}: {body}");
            let goes_by_sms = is_asked && has_phone && (mode == "phone" || !has_authenticator);
            assert_eq!(texts.len() - sent, usize::from(goes_by_sms), "{what}");
            assert!(texts.iter().skip(sent).all(|text| text.to.as_str() == PHONE), "{what}");
        }
    }
}

async fn sec_019_the_third_wrong_code_of_a_day_is_mailed_to_the_owner(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let told = || async {
        let subject = "Wrong codes at a log-in to Shop";
        app.mails().await.iter().filter(|mail| mail.subject == subject).count()
    };
    for expected in [1, 2] {
        for wrong in 1..=5 {
            let login_token = app.login_token(&shop, ANA).await;
            assert_eq!(app.complete(&shop, &login_token, app.wrong_code(&secret)).await.error(), (400, 600));
            assert_eq!(told().await, expected - usize::from(wrong < 3), "{wrong}");
        }
        app.clock.advance(Duration::days(1));
    }
}

/// Q11 of the reference: a reset by mail must not take the second factor away.
async fn sec_036_a_reset_keeps_the_second_factor(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    app.clock.advance(Duration::minutes(2));
    assert_eq!(app.as_app(&shop, "forgotPassword", json!({"handle": ANA})).await.text(), "true");
    let code = app.code_for(ANA).await;
    let body = json!({"handle": ANA, "password": OTHER_PASSWORD, "code": code});
    assert_eq!(app.as_app(&shop, "resetPassword", body).await.text(), "true");
    let answer = app.as_app(&shop, "login", json!({"handle": ANA, "password": OTHER_PASSWORD})).await;
    let login_token = answer.field("login-token");
    assert_eq!(app.complete(&shop, &login_token, "000000").await.error(), (400, 600));
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200);
}

async fn sec_037_what_is_disabled_meanwhile_ends_the_log_in(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let id = app.user_id(&shop, ANA).await;
    // The mode: Q4 and Q30 of the reference let anybody in then, whatever the code.
    let login_token = app.login_token(&shop, ANA).await;
    app.set_mode(&shop, "none").await;
    for code in ["000000".to_owned(), app.code_now(&secret)] {
        assert_eq!(app.complete(&shop, &login_token, code).await.error(), (400, 600));
    }
    app.set_mode(&shop, "google").await;
    // The user.
    let status = |status: &str| json!({"appId": shop.id, "userId": id, "status": status});
    assert_eq!(app.admin("user", status("suspend")).await.text(), "true");
    let answer = app.complete(&shop, &login_token, app.code_now(&secret)).await;
    assert_eq!(answer.error(), (400, 600), "their log-ins were ended");
    assert_eq!(app.admin("user", status("active")).await.text(), "true");
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.error(), (400, 600));
    // The password.
    let login_token = app.login_token(&shop, ANA).await;
    let other = app.login_token(&shop, ANA).await;
    let access = app.complete(&shop, &other, app.code_now(&secret)).await.field("access-token");
    let change = json!({"password": PASSWORD, "newPassword": GOOD_PASSWORD});
    assert_eq!(app.as_user(&access, "changePassword", change).await.text(), "true");
    app.clock.advance(Duration::seconds(30));
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.error(), (400, 600));
    // The factor.
    let answer = app.as_app(&shop, "login", json!({"handle": ANA, "password": GOOD_PASSWORD})).await;
    let login_token = answer.field("login-token");
    let off = app.as_user(&access, "setTwoFactorGoogleVerification", json!({"twoFactor": false})).await;
    assert_eq!(off.text(), "true");
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.error(), (400, 600));
}

/// Q26 of the reference: a number that was given and not verified gets no code.
async fn sec_050_codes_go_to_the_verified_number_only(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    app.as_user(&access, "setPhone", json!({"phone": OTHER_PHONE})).await;
    let enable = json!({"twoFactor": true});
    let early = app.as_user(&access, "setTwoFactorPhoneVerification", enable.clone()).await;
    assert_eq!(early.error(), (400, 410));
    assert!(app.log_in(&shop, ANA).await.json().get("jwt").is_some());
    app.enrol_phone(&access, PHONE).await;
    app.as_user(&access, "setPhone", json!({"phone": OTHER_PHONE})).await;
    let user = app.get("/api/appuser/getUser", ("access-token", &access)).await.json();
    assert_eq!((user["phone"].as_str(), user["phoneVerified"].as_bool()), (Some(OTHER_PHONE), Some(false)));
    let sent = app.texts().await.len();
    let login_token = app.login_token(&shop, ANA).await;
    let texts = app.texts().await;
    assert_eq!(texts.iter().skip(sent).map(|text| text.to.as_str()).collect::<Vec<_>>(), [PHONE]);
    let code = app.code_at(PHONE).await;
    assert_eq!(app.complete(&shop, &login_token, code).await.status, 200);
    // Nor without the right password.
    let sent = app.texts().await.len();
    let wrong = json!({"handle": ANA, "password": OTHER_PASSWORD});
    assert_eq!(app.as_app(&shop, "login", wrong).await.error(), (400, 600));
    assert_eq!(app.texts().await.len(), sent);
}

/// Q4 of the reference: any token of the server was accepted, of any application, forever and repeatedly.
async fn sec_063_a_login_token_is_nothing_but_itself(app: TestApp) {
    let (shop, other) =
        (app.app_with_mode("Shop", "google").await, app.app_with_mode("Other", "google").await);
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let theirs = app.user(&other, ANA).await;
    let their_secret = app.enrol(&theirs).await;
    for token in [&access, &shop.token, &app.server_secret] {
        assert_eq!(app.complete(&shop, token, app.code_now(&secret)).await.error(), (400, 600));
    }
    let login_token = app.login_token(&shop, ANA).await;
    // Instead of other tokens.
    let user = app.get("/api/appuser/getUser", ("access-token", &login_token)).await;
    assert_eq!(user.error(), (400, 405));
    let as_app =
        TestRequest::post().uri("/api/appuser/login").insert_header(("app-token", login_token.as_str()));
    let as_app = as_app.set_json(json!({"handle": ANA, "password": PASSWORD}));
    assert_eq!(app.send(as_app).await.error(), (400, 400));
    // For another application, with either's code.
    for secret in [&secret, &their_secret] {
        assert_eq!(app.complete(&other, &login_token, app.code_now(secret)).await.error(), (400, 600));
    }
    // Once.
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200);
    app.clock.advance(Duration::seconds(30));
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.error(), (400, 600));
    // Ten minutes, and the clock's half minute.
    let login_token = app.login_token(&shop, ANA).await;
    app.clock.advance(Duration::minutes(10) + Duration::seconds(31));
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.error(), (400, 600));
    let login_token = app.login_token(&shop, ANA).await;
    app.clock.advance(Duration::minutes(9));
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200);
    app.clock.advance(Duration::hours(2));
    // A clock that jumped: what is more than a day from the future, and what is an hour old, is no token.
    for hours in [-25, 1] {
        let login_token = app.login_token(&shop, ANA).await;
        app.clock.advance(Duration::hours(hours));
        assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.error(), (400, 600));
    }
}

async fn a_source_that_knows_the_password_alone_becomes_no_known_one(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let sources = || async {
        let (id, handle) = (shop.id.parse().unwrap(), latchkey_domain::Handle::from_stored(ANA).unwrap());
        let find = app.store.read("test", move |readers| readers.users().find_by_handle(id, &handle));
        find.await.unwrap().unwrap().login.sources
    };
    let before = sources().await;
    let login = json!({"handle": ANA, "password": PASSWORD});
    let answer = app.as_app_from("203.0.113.7", &shop, "login", login).await;
    let login_token = answer.field("login-token");
    assert_eq!(sources().await, before);
    let body = json!({"loginToken": login_token, "code": app.code_now(&secret)});
    assert_eq!(app.as_app_from("203.0.113.7", &shop, "loginComplete", body).await.status, 200);
    assert_ne!(sources().await, before);
}

async fn an_anonymous_user_has_no_second_factor(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    let login = || app.as_app(&shop, "loginAnonymous", json!({"handle": "ANON_0123456789"}));
    let access = login().await.field("access-token");
    let answer = app.as_user(&access, "setTwoFactorGoogleVerification", json!({"twoFactor": true})).await;
    assert_eq!(answer.error(), (400, 602));
    assert!(login().await.json().get("jwt").is_some());
}
