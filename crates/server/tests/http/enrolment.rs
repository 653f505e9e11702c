//! `setTwoFactorGoogleVerification`, `setTwoFactorPhoneVerification`, the confirmation and recovery codes.

use latchkey_domain::Preset;
use serde_json::{Value, json};
use time::Duration;

use crate::factors::{OTHER_PHONE, PHONE, secret_of};
use crate::harness::{GOOD_PASSWORD, Made, TestApp};
use crate::on_every_store;

on_every_store!(
    both_endpoints_do_what_the_mode_says,
    checks_are_made_in_order,
    a_new_secret_is_shown_once_and_as_the_sdks_read_it,
    sec_043_the_picture_is_mailed_where_the_application_wants_it,
    a_new_authenticator_may_have_to_prove_its_first_code,
    sec_044_a_first_factor_needs_a_recent_log_in,
    sec_044_taking_a_factor_away_needs_a_recent_log_in_or_a_code,
    sec_044_the_compatible_preset_asks_for_nothing_and_tells,
    sec_044_a_secret_that_waited_from_before_proves_nothing,
    sec_044_a_secret_waits_an_hour_for_its_first_code,
    sec_046_a_recovery_code_works_once,
    sec_046_of_racing_requests_one_set_of_recovery_codes_is_left,
    sec_050_an_authenticator_can_be_enrolled_beside_sms,
);

const ANA: &str = "ana@example.com";
const GOOGLE: &str = "setTwoFactorGoogleVerification";
const PHONE_ROUTE: &str = "setTwoFactorPhoneVerification";

async fn both_endpoints_do_what_the_mode_says(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    for route in [GOOGLE, PHONE_ROUTE] {
        for yes in [json!(true), json!("true")] {
            let answer = app.as_user(&access, route, json!({ "twoFactor": yes })).await;
            assert_eq!(secret_of(&answer.field("googleSecretKey")).len(), 20, "{route}");
            assert_eq!(app.flags(&access).await, (true, false));
        }
        for no in [json!(false), json!("false")] {
            app.as_user(&access, route, json!({"twoFactor": true})).await;
            let answer = app.as_user(&access, route, json!({ "twoFactor": no })).await;
            assert_eq!(answer.text(), "true", "{route} {no}");
            assert_eq!(app.flags(&access).await, (false, false));
        }
        // Nothing else removes a factor.
        app.as_user(&access, route, json!({"twoFactor": true})).await;
        for wrong in [json!("yes"), json!(1), json!([true]), json!("False"), json!({})] {
            let answer = app.as_user(&access, route, json!({ "twoFactor": wrong })).await;
            assert_eq!(answer.error(), (400, 602), "{route} {wrong}");
        }
        for missing in [json!({}), json!({"twoFactor": null}), json!({"twoFactr": true})] {
            assert_eq!(app.as_user(&access, route, missing).await.error(), (400, 403), "{route}");
        }
        assert_eq!(app.flags(&access).await, (true, false));
        app.as_user(&access, route, json!({"twoFactor": false})).await;
        app.clock.advance(Duration::minutes(1));
    }
    app.set_mode(&shop, "phone").await;
    app.verify(&access, PHONE).await;
    for route in [GOOGLE, PHONE_ROUTE] {
        // The React SDK has only one of them.
        assert_eq!(app.as_user(&access, route, json!({"twoFactor": "true"})).await.text(), "true");
        assert_eq!(app.flags(&access).await, (false, true));
        assert_eq!(app.as_user(&access, route, json!({"twoFactor": "false"})).await.text(), "true");
        assert_eq!(app.flags(&access).await, (false, false));
    }
    // The Swift SDK asks with two slashes.
    let path = format!("//api/appuser/{PHONE_ROUTE}");
    let answer = app.post(&path, ("access-token", &access), json!({"twoFactor": "true"}));
    assert_eq!(answer.await.text(), "true");
}

async fn checks_are_made_in_order(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, ANA).await;
    for route in [GOOGLE, PHONE_ROUTE, "confirmTwoFactorGoogleVerification", "newRecoveryCodes"] {
        let body = json!({"twoFactor": true, "code": "123456"});
        assert_eq!(app.as_app(&shop, route, body.clone()).await.error(), (400, 602), "{route}");
        assert_eq!(app.as_user("garbage", route, body).await.error(), (400, 405), "{route}");
    }
    for on in [true, false] {
        assert_eq!(app.as_user(&access, GOOGLE, json!({ "twoFactor": on })).await.error(), (400, 408));
        assert_eq!(app.as_user(&access, PHONE_ROUTE, json!({ "twoFactor": on })).await.error(), (400, 409));
    }
    app.set_mode(&shop, "google").await;
    for (body, code) in [
        (json!({"twoFactor": true, "factor": "phone"}), 409),
        (json!({"twoFactor": true, "factor": "carrier pigeon"}), 602),
        (json!({"twoFactor": true, "factor": ["google"]}), 602),
        (json!({"twoFactor": true, "code": "x"}), 602),
    ] {
        assert_eq!(app.as_user(&access, GOOGLE, body.clone()).await.error(), (400, code), "{body}");
    }
    for (body, code) in [(json!({}), 403), (json!({"code": "x"}), 602), (json!({"code": "123456"}), 602)] {
        let answer = app.as_user(&access, "confirmTwoFactorGoogleVerification", body.clone()).await;
        assert_eq!(answer.error(), (400, code), "{body}");
    }
    assert_eq!(app.as_user(&access, "newRecoveryCodes", json!({})).await.error(), (400, 602));
    app.set_mode(&shop, "phone").await;
    for route in [GOOGLE, PHONE_ROUTE] {
        assert_eq!(app.as_user(&access, route, json!({"twoFactor": true})).await.error(), (400, 410));
        assert_eq!(app.as_user(&access, route, json!({"twoFactor": false})).await.text(), "true");
    }
    app.set(&shop, "status", "status", json!("migrated")).await;
    assert_eq!(app.as_user(&access, GOOGLE, json!({"twoFactor": true})).await.error(), (400, 413));
}

async fn a_new_secret_is_shown_once_and_as_the_sdks_read_it(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let answer = app.as_user(&access, GOOGLE, json!({"twoFactor": true})).await;
    let key = answer.field("googleSecretKey");
    assert_eq!(key.len(), 39);
    assert!(key.split(' ').all(|group| group.len() == 4), "{key}");
    assert!(key.bytes().all(|b| matches!(b, b' ' | b'a'..=b'z' | b'2'..=b'7')), "{key}");
    assert!(answer.field("QRDataImage").starts_with("data:image/png;base64,iVBORw0KGgo"));
    let another = app.as_user(&access, GOOGLE, json!({"twoFactor": true})).await.field("googleSecretKey");
    assert_ne!(key, another);
    // The older secret opens nothing.
    let login_token = app.login_token(&shop, ANA).await;
    let code = app.code_now(&secret_of(&key));
    assert_eq!(app.complete(&shop, &login_token, code).await.error(), (400, 600));
    let code = app.code_now(&secret_of(&another));
    assert_eq!(app.complete(&shop, &login_token, code).await.status, 200);
    for secret in [&key, &another] {
        let bare = secret.replace(' ', "");
        for answer in [
            app.get("/api/appuser/getUser", ("access-token", &access)).await,
            app.get("/api/appuser/getApplication", ("access-token", &access)).await,
            app.get(&format!("/api/app/appId/{}", shop.id), ("server-secret", &app.server_secret)).await,
        ] {
            let text = answer.text().to_lowercase();
            assert!(!text.contains(&bare) && !text.contains(secret.as_str()), "{text}");
        }
        for mail in app.mails().await {
            let text = format!("{} {} {}", mail.subject, mail.text, mail.html).to_lowercase();
            assert!(!text.contains(&bare) && !text.contains(secret.as_str()), "SEC-043: {text}");
        }
        for entry in app.audit(&shop).await {
            assert!(!format!("{entry:?}").to_lowercase().contains(&bare));
        }
    }
}

async fn sec_043_the_picture_is_mailed_where_the_application_wants_it(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let answer = app.as_user(&access, GOOGLE, json!({"twoFactor": true})).await;
    let subject = "QR Code for login two step verification of Shop";
    let mail = app.mail(subject).await;
    let attachment = mail.attachment.unwrap();
    assert_eq!(attachment.name, "QRCode.png");
    use base64::Engine as _;
    let shown = answer.field("QRDataImage");
    let shown = shown.strip_prefix("data:image/png;base64,").unwrap();
    assert_eq!(attachment.png, base64::engine::general_purpose::STANDARD.decode(shown).unwrap());
    // A template that asks for the secret gets none.
    let words =
        json!({"appId": shop.id, "_id": "qrCode-EN", "subject": "Yours", "htmlTemplate": "<p>[%CODE%]</p>"});
    assert_eq!(app.admin("updateEmailTemplate", words).await.status, 200);
    app.as_user(&access, GOOGLE, json!({"twoFactor": true})).await;
    assert!(app.mail("Yours").await.html.contains("[]"));
    app.set(&shop, "qrCodeMail", "qrCodeMail", json!(false)).await;
    let before = app.mails().await.iter().filter(|mail| mail.attachment.is_some()).count();
    app.as_user(&access, GOOGLE, json!({"twoFactor": true})).await;
    let after = app.mails().await;
    assert_eq!(after.iter().filter(|mail| mail.attachment.is_some()).count(), before);
}

async fn a_new_authenticator_may_have_to_prove_its_first_code(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    app.set(&shop, "twoFactorConfirm", "twoFactorConfirm", json!(true)).await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    assert_eq!(app.flags(&access).await, (false, false));
    assert!(app.log_in(&shop, ANA).await.json().get("jwt").is_some());
    let confirm =
        |code: Value| app.as_user(&access, "confirmTwoFactorGoogleVerification", json!({ "code": code }));
    assert_eq!(confirm(json!(app.wrong_code(&secret))).await.error(), (400, 602));
    assert_eq!(confirm(json!(app.code_now(&secret))).await.text(), "true");
    assert_eq!(app.flags(&access).await, (true, false));
    assert_eq!(confirm(json!(app.code_now(&secret))).await.error(), (400, 602), "nothing waits any more");
    // Its first code is used up.
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.error(), (400, 600));
    app.clock.advance(Duration::seconds(30));
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200);
    // Until another one is proven, the old one is asked for.
    let other = app.enrol(&access).await;
    app.clock.advance(Duration::seconds(30));
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&other)).await.error(), (400, 600));
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200);
    // Guessing a first code ends after twenty.
    for _ in 0..20 {
        assert_eq!(confirm(json!(app.wrong_code(&other))).await.error(), (400, 602));
    }
    assert_eq!(confirm(json!(app.code_now(&other))).await.error(), (400, 602));
}

async fn recommended(app: &TestApp) -> (Made, String) {
    let shop = app.app_without_code("Shop", Preset::Recommended).await;
    assert_eq!(app.set_mode(&shop, "phone").await.status, 200);
    app.set(&shop, "twoFactorConfirm", "twoFactorConfirm", json!(false)).await;
    let body = json!({"handle": ANA, "password": GOOD_PASSWORD});
    let access = app.as_app(&shop, "signup", body).await.field("access-token");
    (shop, access)
}

async fn sec_044_taking_a_factor_away_needs_a_recent_log_in_or_a_code(app: TestApp) {
    let (shop, access) = recommended(&app).await;
    let enable = json!({"twoFactor": true, "factor": "google"});
    let answer = app.as_user(&access, GOOGLE, enable.clone()).await;
    app.clock.advance(Duration::minutes(16));
    let secret = secret_of(&answer.field("googleSecretKey"));
    let off = json!({"twoFactor": false});
    for (route, body) in [
        (GOOGLE, off.clone()),
        (PHONE_ROUTE, off.clone()),
        (GOOGLE, enable.clone()),
        ("newRecoveryCodes", json!({})),
        ("setPhone", json!({"phone": PHONE})),
    ] {
        let answer = app.as_user(&access, route, body.clone()).await;
        // New recovery codes change no factor, and open every door.
        assert_eq!(answer.error(), (400, 405), "{route} {body}");
    }
    // A code instead of a log-in, for a number too; wrong ones there do not count against log-ins.
    for _ in 0..25 {
        let body = json!({"phone": PHONE, "code": app.wrong_code(&secret)});
        assert_eq!(app.as_user(&access, "setPhone", body).await.error(), (400, 600));
        app.clock.advance(Duration::minutes(1));
    }
    app.clock.advance(Duration::days(1));
    let body = json!({"phone": PHONE, "code": app.code_now(&secret)});
    assert_eq!(app.as_user(&access, "setPhone", body).await.text(), "true");
    app.clock.advance(Duration::minutes(1));
    assert_eq!(app.flags(&access).await, (true, false));
    // With a wrong code, with a right one.
    let with = |body: &Value, code: &str| {
        let mut body = body.clone();
        body["code"] = json!(code);
        body
    };
    let wrong = with(&off, &app.wrong_code(&secret));
    assert_eq!(app.as_user(&access, GOOGLE, wrong).await.error(), (400, 600));
    let right = with(&enable, &app.code_now(&secret));
    let answer = app.as_user(&access, GOOGLE, right).await;
    let secret = secret_of(&answer.field("googleSecretKey"));
    assert_eq!(app.as_user(&access, GOOGLE, with(&off, &app.code_now(&secret))).await.text(), "true");
    assert_eq!(app.flags(&access).await, (false, false));
    app.mail("Your second factor for Shop was changed").await;
    // With a recent log-in: fifteen minutes, to the second.
    let login = json!({"handle": ANA, "password": GOOD_PASSWORD});
    let access = app.as_app(&shop, "login", login.clone()).await.field("access-token");
    let secret = app.enrol_authenticator(&access).await;
    let login_token = app.as_app(&shop, "login", login.clone()).await.field("login-token");
    app.clock.advance(Duration::seconds(30));
    let fresh = app.complete(&shop, &login_token, app.code_now(&secret)).await.field("access-token");
    app.clock.advance(Duration::minutes(15) - Duration::seconds(1));
    assert_eq!(app.as_user(&fresh, "newRecoveryCodes", json!({})).await.status, 200);
    app.clock.advance(Duration::seconds(1));
    assert_eq!(app.as_user(&fresh, GOOGLE, off.clone()).await.error(), (400, 405));
    let login_token = app.as_app(&shop, "login", login).await.field("login-token");
    let fresh = app.complete(&shop, &login_token, app.code_now(&secret)).await.field("access-token");
    assert_eq!(app.as_user(&fresh, GOOGLE, off).await.text(), "true");
}

async fn sec_044_a_first_factor_needs_a_recent_log_in(app: TestApp) {
    let (shop, old) = recommended(&app).await;
    app.verify(&old, PHONE).await;
    app.clock.advance(Duration::minutes(16));
    let by_app = json!({"twoFactor": true, "factor": "google"});
    let by_phone = json!({"twoFactor": true, "factor": "phone"});
    for confirm in [false, true] {
        app.set(&shop, "twoFactorConfirm", "twoFactorConfirm", json!(confirm)).await;
        for (route, body) in [(GOOGLE, &by_app), (PHONE_ROUTE, &by_phone)] {
            let answer = app.as_user(&old, route, body.clone()).await;
            assert_eq!(answer.error(), (400, 405), "{route} {confirm}");
        }
    }
    assert_eq!(app.flags(&old).await, (false, false));
    // The owner has lost nothing: the password alone lets them in, and then they enrol.
    let login = json!({"handle": ANA, "password": GOOD_PASSWORD});
    let fresh = app.as_app(&shop, "login", login).await.field("access-token");
    assert_eq!(app.as_user(&fresh, PHONE_ROUTE, by_phone).await.text(), "true");
    assert_eq!(app.flags(&fresh).await, (false, true));
}

async fn sec_044_a_secret_that_waited_from_before_proves_nothing(app: TestApp) {
    let (shop, access) = recommended(&app).await;
    app.set(&shop, "twoFactorConfirm", "twoFactorConfirm", json!(true)).await;
    // A thief with a stolen token asks for a secret while nothing protects the account.
    let planted = app.enrol_authenticator(&access).await;
    // The owner enrols a phone; a verified number alone takes no proof to switch on.
    app.verify(&access, PHONE).await;
    let on = json!({"twoFactor": true, "factor": "phone"});
    assert_eq!(app.as_user(&access, PHONE_ROUTE, on).await.text(), "true");
    let body = json!({"code": app.code_now(&planted)});
    let confirmed = app.as_user(&access, "confirmTwoFactorGoogleVerification", body).await;
    assert_eq!(confirmed.error(), (400, 602));
    assert_eq!(app.flags(&access).await, (false, true));
}

async fn sec_044_a_secret_waits_an_hour_for_its_first_code(app: TestApp) {
    let (shop, access) = recommended(&app).await;
    app.set(&shop, "twoFactorConfirm", "twoFactorConfirm", json!(true)).await;
    let secret = app.enrol_authenticator(&access).await;
    let confirm = async |access: &str| {
        let body = json!({"code": app.code_now(&secret)});
        app.as_user(access, "confirmTwoFactorGoogleVerification", body).await
    };
    app.clock.advance(Duration::minutes(76));
    assert_eq!(confirm(&access).await.error(), (400, 405), "the token alone is no proof any more");
    let login = json!({"handle": ANA, "password": GOOD_PASSWORD});
    let fresh = app.as_app(&shop, "login", login).await.field("access-token");
    app.clock.advance(Duration::minutes(74));
    assert_eq!(confirm(&fresh).await.text(), "true");
}

async fn sec_046_of_racing_requests_one_set_of_recovery_codes_is_left(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    app.enrol(&access).await;
    let racers = (0..8).map(|_| app.as_user(&access, "newRecoveryCodes", json!({})));
    let answers = futures_util::future::join_all(racers).await;
    let mut works = 0;
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        let code = answer.json()["recoveryCodes"][0].as_str().unwrap().to_owned();
        let login_token = app.login_token(&shop, ANA).await;
        works += usize::from(app.complete(&shop, &login_token, code).await.status == 200);
    }
    assert_eq!(works, 1);
    app.mail("A recovery code for Shop was used").await;
    assert!(app.audit(&shop).await.iter().any(|entry| entry.detail.as_deref() == Some("recovery code")));
}

impl TestApp {
    async fn enrol_authenticator(&self, access: &str) -> Vec<u8> {
        let enable = json!({"twoFactor": true, "factor": "google"});
        secret_of(&self.as_user(access, GOOGLE, enable).await.field("googleSecretKey"))
    }
}

async fn sec_044_the_compatible_preset_asks_for_nothing_and_tells(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let changed = "Your second factor for Shop was changed";
    let told = || async { app.mails().await.iter().filter(|mail| mail.subject == changed).count() };
    app.enrol(&access).await;
    assert_eq!(told().await, 0, "the mailed picture says it");
    app.clock.advance(Duration::hours(5));
    app.enrol(&access).await;
    assert_eq!(told().await, 1, "replaced");
    assert_eq!(app.as_user(&access, GOOGLE, json!({"twoFactor": false})).await.text(), "true");
    assert_eq!(told().await, 2, "removed");
    assert_eq!(app.as_user(&access, GOOGLE, json!({"twoFactor": false})).await.text(), "true");
    assert_eq!(told().await, 2, "nothing changed");
}

async fn sec_046_a_recovery_code_works_once(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    app.enrol(&access).await;
    let new_codes = || async {
        let codes = app.as_user(&access, "newRecoveryCodes", json!({})).await.json();
        let codes: Vec<String> = serde_json::from_value(codes["recoveryCodes"].clone()).unwrap();
        codes
    };
    let (old, codes) = (new_codes().await, new_codes().await);
    assert_eq!(codes.len(), 10);
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, old[0].clone()).await.error(), (400, 600));
    let typed = codes[0].to_uppercase().replace('-', " ");
    assert_eq!(app.complete(&shop, &login_token, typed).await.status, 200);
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, codes[0].clone()).await.error(), (400, 600));
    assert_eq!(app.complete(&shop, &login_token, codes[1].clone()).await.status, 200);
    // Nobody else's.
    let bob = app.user(&shop, "bob@example.com").await;
    app.enrol(&bob).await;
    let login_token = app.login_token(&shop, "bob@example.com").await;
    assert_eq!(app.complete(&shop, &login_token, codes[2].clone()).await.error(), (400, 600));
    // They go with the factor.
    app.as_user(&access, GOOGLE, json!({"twoFactor": false})).await;
    app.enrol(&access).await;
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, codes[2].clone()).await.error(), (400, 600));
    // Guesses are limited, whatever the log-in: twenty a day.
    let codes = new_codes().await;
    for guess in 0..25 {
        let login_token = app.login_token(&shop, ANA).await;
        let body = json!({"loginToken": login_token, "code": format!("aaaa-aaaa-aaaa-aaa{}", char::from(b'a' + guess))});
        let answer =
            app.as_app_from(&format!("198.51.100.{}", guess + 1), &shop, "loginComplete", body).await;
        assert_eq!(answer.error(), (400, 600));
    }
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, codes[3].clone()).await.error(), (400, 600));
}

async fn sec_050_an_authenticator_can_be_enrolled_beside_sms(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    app.enrol_phone(&access, PHONE).await;
    let secret = app.enrol_authenticator(&access).await;
    assert_eq!(app.flags(&access).await, (true, true));
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200, "either will do");
    app.clock.advance(Duration::minutes(2));
    let login_token = app.login_token(&shop, ANA).await;
    let code = app.code_at(PHONE).await;
    assert_eq!(app.complete(&shop, &login_token, code).await.status, 200);
    // One goes, the other stays.
    let off = json!({"twoFactor": false, "factor": "phone"});
    assert_eq!(app.as_user(&access, PHONE_ROUTE, off).await.text(), "true");
    assert_eq!(app.flags(&access).await, (true, false));
    let sent = app.texts().await.len();
    app.login_token(&shop, ANA).await;
    assert_eq!(app.texts().await.len(), sent);
    assert_eq!(app.as_user(&access, "setPhone", json!({"phone": OTHER_PHONE})).await.text(), "true");
}
