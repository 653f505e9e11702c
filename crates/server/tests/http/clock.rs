//! A clock that is set, forward or back, while the server runs or while it does not.

use latchkey_domain::Preset;
use latchkey_service::Operator;
use serde_json::json;
use time::Duration;

use crate::harness::{GOOD_PASSWORD, Made, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_130_a_clock_that_is_ahead_for_a_moment_deletes_nothing,
    sec_130_a_clock_that_stays_ahead_is_believed_after_an_hour,
    sec_130_an_operator_can_say_that_the_clock_is_right,
    sec_130_an_hour_back_locks_nobody_out,
    sec_130_tokens_of_a_clock_that_was_ahead_are_taken,
    sec_130_mail_of_a_clock_that_was_ahead_is_sent,
    instances_whose_clocks_differ_use_new_keys_at_once,
);

const JUMP: Duration = Duration::days(91);

/// An application with something old and something that would be old in 91 days.
async fn shop(app: &TestApp) -> Made {
    let shop = app.app_without_code("Shop", Preset::Recommended).await;
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    app.as_app(&shop, "loginAnonymous", json!({"handle": "ANON_1"})).await;
    shop
}

async fn is_complete(app: &TestApp, shop: &Made) -> bool {
    let (id, handle) = (shop.id.parse().unwrap(), latchkey_domain::Handle::from_stored("ANON_1").unwrap());
    let find = app.store.read("test", move |readers| readers.users().find_by_handle(id, &handle));
    let log = app.audit(shop).await;
    find.await.unwrap().is_some() && log.iter().any(|entry| entry.action == "create")
}

async fn sec_130_a_clock_that_is_ahead_for_a_moment_deletes_nothing(app: TestApp) {
    let shop = shop(&app).await;
    let purge = async || app.service.purge_if_due().await.unwrap();
    purge().await;
    app.clock.jump(JUMP);
    assert_eq!(purge().await, 0);
    app.clock.advance(Duration::seconds(2));
    assert_eq!(purge().await, 0);
    app.clock.jump(-JUMP);
    purge().await;
    assert!(is_complete(&app, &shop).await);
    // Nor does it keep the next purge away.
    app.clock.advance(Duration::days(100));
    assert!(purge().await > 0);
    assert!(!is_complete(&app, &shop).await);
}

async fn sec_130_a_clock_that_stays_ahead_is_believed_after_an_hour(app: TestApp) {
    let shop = shop(&app).await;
    app.service.purge_if_due().await.unwrap();
    app.clock.jump(JUMP);
    for _ in 0..59 {
        app.service.purge_if_due().await.unwrap();
        app.clock.advance(Duration::minutes(1));
    }
    assert!(is_complete(&app, &shop).await);
    app.clock.advance(Duration::minutes(2));
    app.service.purge_if_due().await.unwrap();
    assert!(!is_complete(&app, &shop).await);
}

async fn sec_130_an_operator_can_say_that_the_clock_is_right(app: TestApp) {
    let shop = shop(&app).await;
    app.service.purge_if_due().await.unwrap();
    app.clock.jump(JUMP);
    assert_eq!(app.service.purge_if_due().await.unwrap(), 0);
    assert!(app.service.run_jobs(Operator::command_line()).await.unwrap() > 0);
    assert!(!is_complete(&app, &shop).await);
}

async fn sec_130_an_hour_back_locks_nobody_out(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let log_in = async |password: &str| {
        app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": password})).await
    };
    // From somewhere that the user does not know, ten failures make everybody wait.
    for number in 0..10 {
        let body = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD});
        app.as_app_from(&format!("198.51.100.{number}"), &shop, "login", body).await;
    }
    let stranger = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_app_from("203.0.113.1", &shop, "login", stranger.clone()).await.error(), (400, 600));
    app.clock.jump(Duration::hours(-1));
    assert_eq!(app.as_app_from("203.0.113.1", &shop, "login", stranger).await.status, 200);
    assert_eq!(log_in(PASSWORD).await.status, 200);
    // A code that was asked for by the clock before does not keep the next one away.
    let forgot = json!({"handle": "ana@example.com"});
    app.as_app(&shop, "forgotPassword", forgot.clone()).await;
    let before = app.mails().await.len();
    app.clock.jump(Duration::hours(-1));
    app.as_app(&shop, "forgotPassword", forgot).await;
    assert_eq!(app.mails().await.len(), before + 1);
}

async fn sec_130_tokens_of_a_clock_that_was_ahead_are_taken(app: TestApp) {
    app.clock.jump(Duration::hours(1));
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let body = json!({"handle": "ana@example.com", "password": GOOD_PASSWORD});
    let access = app.as_app(&shop, "signup", body.clone()).await.field("access-token");
    app.clock.jump(Duration::hours(-1));
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.status, 200);
    assert_eq!(app.as_app(&shop, "login", body.clone()).await.status, 200);
    // An application that was made three months ahead works as well.
    app.clock.jump(JUMP);
    let other = app.app_without_code("Other", Preset::Compatible).await;
    app.clock.jump(-JUMP);
    assert_eq!(app.get("/api/appuser/getApplication", ("app-token", &other.token)).await.status, 200);
}

async fn sec_130_mail_of_a_clock_that_was_ahead_is_sent(app: TestApp) {
    let shop = app.app("Shop").await;
    app.service.purge_if_due().await.unwrap();
    let sign_up = async |name: &str| {
        let body = json!({"handle": format!("{name}@example.com"), "password": PASSWORD});
        assert_eq!(app.as_app(&shop, "signup", body).await.text(), "true");
    };
    // Promised while the clock was ahead, sent when it was set back.
    app.clock.jump(JUMP);
    sign_up("ahead").await;
    app.clock.jump(-JUMP);
    app.code_for("ahead@example.com").await;
    // Promised before, looked at while the clock was ahead: it is sent, not thrown away.
    sign_up("before").await;
    app.clock.jump(JUMP);
    let code = app.code_for("before@example.com").await;
    app.clock.jump(-JUMP);
    let body = json!({"handle": "before@example.com", "code": code});
    assert_eq!(app.as_app(&shop, "completeSignup", body).await.status, 200);
}

async fn instances_whose_clocks_differ_use_new_keys_at_once(slow: TestApp) {
    let fast = TestApp::with(slow.store.clone(), |_| ()).await;
    fast.clock.jump(Duration::seconds(20));
    let shop = fast.app_without_code("Shop", Preset::Compatible).await;
    let sign_up = async |handle: &str| {
        let body = json!({"handle": handle, "password": PASSWORD});
        slow.as_app(&shop, "signup", body).await
    };
    let answer = sign_up("ana@example.com").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(slow.claims(&shop, &answer.field("jwt")).await["email"], "ana@example.com");
    let renewed = fast.admin("regenerateAppKey", json!({"appId": shop.id})).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    let answer = sign_up("bo@example.com").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(fast.claims(&shop, &answer.field("jwt")).await["email"], "bo@example.com");
}
