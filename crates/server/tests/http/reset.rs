//! `forgotPassword` and `resetPassword`.

use actix_web::test::TestRequest;
use latchkey_test_support::TestDatabase;
use serde_json::json;
use time::Duration;

use crate::harness::{Answer, GOOD_PASSWORD, Made, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    a_mailed_code_sets_a_new_password_once,
    checks_are_made_in_order,
    sec_008_a_reset_ends_all_sessions_and_says_so,
    sec_036_a_reset_lifts_no_suspension_and_signs_nobody_in,
    sec_037_who_is_suspended_meanwhile_resets_nothing,
    sec_031_a_reset_code_is_good_for_30_minutes,
    sec_028_one_of_50_right_reset_codes_works,
    sec_027_a_code_serves_its_own_purpose_only,
    sec_030_an_attacker_cannot_use_up_the_owners_mails,
    sec_030_ten_requests_at_once_mail_one_code,
    sec_023_a_neutral_application_answers_alike,
    sec_035_links_and_mails_ignore_the_requests_host,
    kotlins_reset_works_with_its_app_token,
);

async fn forgot(app: &TestApp, shop: &Made, handle: &str) -> Answer {
    app.as_app(shop, "forgotPassword", json!({ "handle": handle })).await
}

async fn reset(app: &TestApp, shop: &Made, handle: &str, code: &str) -> Answer {
    let body = json!({"handle": handle, "password": OTHER_PASSWORD, "code": code});
    app.as_app(shop, "resetPassword", body).await
}

async fn sec_030_ten_requests_at_once_mail_one_code(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let answers =
        futures_util::future::join_all((0..10).map(|_| forgot(&app, &shop, "ana@example.com"))).await;
    assert!(answers.iter().all(|answer| answer.text() == "true"));
    let mails = app.mails().await;
    assert_eq!(mails.iter().filter(|mail| mail.subject == "Reset your password for Shop").count(), 1);
    let code = app.code_for("ana@example.com").await;
    assert_eq!(reset(&app, &shop, "ana@example.com", &code).await.text(), "true");
}

async fn log_in(app: &TestApp, shop: &Made, password: &str) -> Answer {
    app.as_app(shop, "login", json!({"handle": "ana@example.com", "password": password})).await
}

async fn a_mailed_code_sets_a_new_password_once(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    assert_eq!(forgot(&app, &shop, "Ana@Example.com").await.text(), "true");
    assert_eq!(app.mail("Reset your password for Shop").await.to.to_string(), "ana@example.com");
    let code = app.code_for("ana@example.com").await;
    assert_eq!(reset(&app, &shop, "ana@example.com", &code).await.text(), "true");
    assert_eq!(log_in(&app, &shop, PASSWORD).await.error(), (400, 600));
    assert_eq!(log_in(&app, &shop, OTHER_PASSWORD).await.status, 200);
    assert_eq!(reset(&app, &shop, "ana@example.com", &code).await.error(), (400, 602));
    // By user name too, and with a number for a code.
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    let access = log_in(&app, &shop, OTHER_PASSWORD).await.field("access-token");
    app.as_user(&access, "setUserName", json!({"userName": "ana"})).await;
    app.clock.advance(Duration::minutes(2));
    assert_eq!(forgot(&app, &shop, "ANA").await.text(), "true");
    let code: u64 = app.code_for("ana@example.com").await.parse().unwrap();
    let body = json!({"handle": "ana", "rawPassword": "something else entirely", "code": code});
    assert_eq!(app.as_app(&shop, "resetPassword", body).await.text(), "true");
}

async fn checks_are_made_in_order(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let nobody = app.post("/api/appuser/forgotPassword", ("x", "y"), json!({"handle": "a@b.c"})).await;
    assert_eq!(nobody.error(), (400, 403));
    for (body, code) in [
        (json!({}), 403),
        (json!({"handle": ["a"]}), 602),
        (json!({"handle": "ana"}), 606),
        (json!({"handle": "nobody@example.com"}), 603),
    ] {
        assert_eq!(app.as_app(&shop, "forgotPassword", body.clone()).await.error(), (400, code), "{body}");
    }
    // Either token will do.
    assert_eq!(
        app.as_user(&access, "forgotPassword", json!({"handle": "ana@example.com"})).await.text(),
        "true"
    );
    let right = app.code_for("ana@example.com").await;
    let wrong = if right == "100000" { "100001" } else { "100000" };
    for (body, code) in [
        (json!({}), 403),
        (json!({"handle": "ana@example.com", "code": right}), 403),
        (json!({"handle": "ana@example.com", "password": PASSWORD}), 403),
        (json!({"handle": "ana@example.com", "password": "short", "code": right}), 602),
        (json!({"handle": "ana@example.com", "password": PASSWORD, "code": []}), 602),
        (json!({"handle": "ana@example.com", "password": PASSWORD, "code": wrong}), 602),
        (json!({"handle": "nobody@example.com", "password": PASSWORD, "code": right}), 602),
    ] {
        assert_eq!(app.as_app(&shop, "resetPassword", body.clone()).await.error(), (400, code), "{body}");
    }
    app.set(&shop, "refuseCommonPasswords", "refuseCommonPasswords", json!(true)).await;
    let common = json!({"handle": "ana@example.com", "password": PASSWORD, "code": right});
    assert_eq!(app.as_app(&shop, "resetPassword", common).await.error(), (400, 602));
    app.set(&shop, "status", "status", json!("suspended")).await;
    assert_eq!(forgot(&app, &shop, "ana@example.com").await.error(), (400, 402));
    assert_eq!(reset(&app, &shop, "ana@example.com", &right).await.error(), (400, 402));
    app.set(&shop, "status", "status", json!("active")).await;
    let good = json!({"handle": "ana@example.com", "password": GOOD_PASSWORD, "code": right});
    assert_eq!(app.as_user(&access, "resetPassword", good).await.text(), "true");
}

async fn sec_008_a_reset_ends_all_sessions_and_says_so(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    forgot(&app, &shop, "ana@example.com").await;
    let code = app.code_for("ana@example.com").await;
    reset(&app, &shop, "ana@example.com", &code).await;
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 405));
    app.mail("Your password for Shop was changed").await;
    // Of several live codes one resets, and the others with it are gone.
    app.clock.advance(Duration::minutes(2));
    forgot(&app, &shop, "ana@example.com").await;
    let older = app.code_for("ana@example.com").await;
    app.clock.advance(Duration::minutes(2));
    forgot(&app, &shop, "ana@example.com").await;
    let newer = app.code_for("ana@example.com").await;
    assert_ne!(older, newer);
    assert_eq!(reset(&app, &shop, "ana@example.com", &newer).await.text(), "true");
    assert_eq!(reset(&app, &shop, "ana@example.com", &older).await.error(), (400, 602));
    // A change says so too, and kills a live code.
    let access = log_in(&app, &shop, OTHER_PASSWORD).await.field("access-token");
    app.clock.advance(Duration::minutes(2));
    forgot(&app, &shop, "ana@example.com").await;
    let code = app.code_for("ana@example.com").await;
    let change = json!({"password": OTHER_PASSWORD, "newPassword": GOOD_PASSWORD});
    assert_eq!(app.as_user(&access, "changePassword", change).await.text(), "true");
    app.mail("Your password for Shop was changed").await;
    assert_eq!(reset(&app, &shop, "ana@example.com", &code).await.error(), (400, 602));
}

async fn sec_036_a_reset_lifts_no_suspension_and_signs_nobody_in(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let id = app.user_id(&shop, "ana@example.com").await;
    app.admin("user", json!({"appId": shop.id, "userId": id, "status": "suspend"})).await;
    // The right password is told of the suspension, a wrong one is not; tokens are ended.
    assert_eq!(log_in(&app, &shop, PASSWORD).await.error(), (400, 404));
    assert_eq!(log_in(&app, &shop, OTHER_PASSWORD).await.error(), (400, 600));
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 405));
    assert_eq!(forgot(&app, &shop, "ana@example.com").await.text(), "true");
    let code = app.code_for("ana@example.com").await;
    assert_eq!(reset(&app, &shop, "ana@example.com", &code).await.error(), (400, 404));
    app.admin("user", json!({"appId": shop.id, "userId": id, "status": "active"})).await;
    assert_eq!(log_in(&app, &shop, PASSWORD).await.status, 200);
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 405));
}

async fn sec_037_who_is_suspended_meanwhile_resets_nothing(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    forgot(&app, &shop, "ana@example.com").await;
    let code = app.code_for("ana@example.com").await;
    let id = app.user_id(&shop, "ana@example.com").await;
    app.admin("user", json!({"appId": shop.id, "userId": id, "status": "suspend"})).await;
    assert_eq!(reset(&app, &shop, "ana@example.com", &code).await.error(), (400, 602), "the code is gone");
    // An application that takes no sign-ups any more completes none.
    app.as_app(&shop, "signup", json!({"handle": "b@example.com", "password": PASSWORD})).await;
    let code = app.code_for("b@example.com").await;
    app.set(&shop, "signup", "signupEnabled", json!(false)).await;
    let complete = json!({"handle": "b@example.com", "code": code});
    assert_eq!(app.as_app(&shop, "completeSignup", complete).await.error(), (400, 407));
}

async fn sec_031_a_reset_code_is_good_for_30_minutes(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    for (wait, expected) in [(Duration::minutes(30), 400), (Duration::seconds(1_799), 200)] {
        app.clock.advance(Duration::hours(1));
        forgot(&app, &shop, "ana@example.com").await;
        let code = app.code_for("ana@example.com").await;
        app.clock.advance(wait);
        assert_eq!(reset(&app, &shop, "ana@example.com", &code).await.status.as_u16(), expected);
    }
}

async fn sec_028_one_of_50_right_reset_codes_works(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    forgot(&app, &shop, "ana@example.com").await;
    let code = app.code_for("ana@example.com").await;
    let racers: Vec<_> = (0..50).map(|_| reset(&app, &shop, "ana@example.com", &code)).collect();
    let answers = futures_util::future::join_all(racers).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| answer.error() == (400, 602)));
}

async fn sec_027_a_code_serves_its_own_purpose_only(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    let ana = app.user(&shop, "ana@example.com").await;
    app.user(&other, "ana@example.com").await;
    app.user(&shop, "bob@example.com").await;
    forgot(&app, &shop, "ana@example.com").await;
    let reset_code = app.code_for("ana@example.com").await;
    for (app_of, handle) in [(&other, "ana@example.com"), (&shop, "bob@example.com")] {
        forgot(&app, app_of, handle).await;
        assert_eq!(reset(&app, app_of, handle, &reset_code).await.error(), (400, 602), "{handle}");
    }
    let complete = json!({"handle": "ana@example.com", "code": reset_code});
    assert_ne!(app.as_app(&shop, "completeSignup", complete).await.status, 200);
    app.as_user(&ana, "invite", json!({"handle": "new@example.com", "senderUserId": "me"})).await;
    let invite_code = app.code_for("new@example.com").await;
    app.as_app(&shop, "signup", json!({"handle": "new@example.com", "password": PASSWORD})).await;
    let complete = json!({"handle": "new@example.com", "code": invite_code});
    assert_eq!(app.as_app(&shop, "completeSignup", complete).await.error(), (400, 602));
}

async fn sec_030_an_attacker_cannot_use_up_the_owners_mails(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.clock.advance(Duration::hours(2));
    let before = app.mails().await.len();
    for minute in 0..40 {
        let body = json!({"handle": "ana@example.com"});
        let peer = format!("198.51.100.{minute}");
        assert_eq!(app.as_app_from(&peer, &shop, "forgotPassword", body).await.text(), "true");
        app.clock.advance(Duration::seconds(61));
    }
    let spent = app.mails().await.len() - before;
    assert!(spent <= 10, "{spent} mails");
    app.clock.advance(Duration::hours(1));
    // The owner, where they usually are, still gets one, and it works whatever was tried elsewhere.
    assert_eq!(forgot(&app, &shop, "ana@example.com").await.text(), "true");
    assert_eq!(app.mails().await.len(), before + spent + 1);
    let code = app.code_for("ana@example.com").await;
    for number in 0..60 {
        let wrong = if code == "100000" { "100001" } else { "100000" };
        let body = json!({"handle": "ana@example.com", "password": PASSWORD, "code": wrong});
        let peer = format!("198.51.100.{number}");
        assert_eq!(app.as_app_from(&peer, &shop, "resetPassword", body).await.error(), (400, 602));
    }
    assert_eq!(reset(&app, &shop, "ana@example.com", &code).await.text(), "true");
}

#[actix_web::test]
async fn sec_030_the_owners_code_works_while_an_attacker_asks_every_minute() {
    let database = TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    forgot(&app, &shop, "ana@example.com").await;
    let code = app.code_for("ana@example.com").await;
    for _ in 0..25 {
        app.clock.advance(Duration::minutes(1));
        app.as_app_from("198.51.100.9", &shop, "forgotPassword", json!({"handle": "ana@example.com"})).await;
    }
    assert_eq!(reset(&app, &shop, "ana@example.com", &code).await.text(), "true");
}

async fn sec_023_a_neutral_application_answers_alike(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.set(&shop, "neutralAnswers", "neutralAnswers", json!(true)).await;
    for handle in ["ana@example.com", "nobody@example.com"] {
        let answer = forgot(&app, &shop, handle).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "true"), "{handle}");
        let body = json!({"handle": handle, "password": OTHER_PASSWORD});
        let answer = app.as_app(&shop, "signup", body).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "true"), "{handle}");
    }
    let to_ana: Vec<String> = app
        .mails()
        .await
        .into_iter()
        .filter(|mail| mail.to.to_string() == "ana@example.com")
        .map(|mail| mail.subject)
        .collect();
    assert!(to_ana.contains(&"You have an account at Shop".to_owned()), "{to_ana:?}");
    assert_eq!(log_in(&app, &shop, PASSWORD).await.status, 200, "and nothing has changed");
}

async fn sec_035_links_and_mails_ignore_the_requests_host(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "signupFlow", "signupFlow", json!("link")).await;
    let request = TestRequest::post()
        .uri("/api/appuser/signup")
        .insert_header(("app-token", shop.token.as_str()))
        .insert_header(("host", "evil.example"))
        .insert_header(("x-forwarded-host", "evil.example"))
        .insert_header(("forwarded", "host=evil.example"))
        .set_json(json!({"handle": "ana@example.com", "password": PASSWORD}));
    assert_eq!(app.send(request).await.text(), "true");
    let mail = app.mails().await.last().unwrap().clone();
    assert!(mail.text.contains("https://auth.example.com/api/appuser/completeSignup?"), "{}", mail.text);
    assert!(!mail.text.contains("evil") && !mail.html.contains("evil"));
}

async fn kotlins_reset_works_with_its_app_token(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    forgot(&app, &shop, "ana@example.com").await;
    let code = app.code_for("ana@example.com").await;
    let body = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD, "code": code});
    // It sends the app token in the header for access tokens; nowhere else is that taken.
    let elsewhere = app.post("/api/appuser/getUser", ("access-token", &shop.token), json!({})).await;
    assert_ne!(elsewhere.status, 200);
    let change = json!({"password": PASSWORD, "newPassword": OTHER_PASSWORD});
    assert_eq!(app.as_user(&shop.token, "changePassword", change).await.error(), (400, 405));
    assert_eq!(app.as_user(&shop.token, "resetPassword", body).await.text(), "true");
}
