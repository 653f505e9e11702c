//! Every rate under three hundred requests at once: none is overshot, and an office behind one address gets in.

use futures_util::future::join_all;
use latchkey_domain::Preset;
use latchkey_service::Operator;
use latchkey_transfer::UserRecord;
use serde_json::{Value, json};

use crate::harness::{Answer, GOOD_PASSWORD, Made, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_120_loopback_makes_nobody_known_and_a_hidden_proxy_ends_its_exemption,
    sec_018_three_hundred_log_ins_at_once_fail_as_often_as_one_after_the_other,
    sec_018_an_office_behind_one_address_logs_in_at_once,
    sec_018_right_log_ins_wait_for_wrong_ones_and_not_for_ever,
    sec_018_second_factors_and_provider_tokens_fail_no_more_often_at_once,
    sign_ups_codes_and_anonymous_users_at_once_are_as_many_as_allowed,
    calls_of_a_user_at_once_are_as_many_as_allowed,
);

const OFFICE: &str = "198.51.100.7";

/// An application with this many users, who all have one password.
async fn crowd(app: &TestApp, number: usize) -> Made {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let body = json!({"handle": "first@example.com", "password": GOOD_PASSWORD});
    assert_eq!(app.as_app(&shop, "signup", body).await.status, 200);
    let csv = app.admin_get(&format!("exportUsers?appId={}", shop.id)).await.text();
    let hash = csv.lines().nth(1).unwrap();
    let hash = &hash[hash.find("$argon2id").unwrap()..];
    let hash = hash[..hash.find('"').unwrap_or(hash.len())].to_owned();
    let records = (0..number).map(|n| UserRecord {
        handle: format!("u{n}@example.com"),
        password: Some(hash.clone()),
        ..UserRecord::default()
    });
    let id = shop.id.parse().unwrap();
    app.service.import_users(Operator::command_line(), id, records.collect()).await.unwrap();
    shop
}

async fn log_in(app: &TestApp, shop: &Made, name: &str, password: &str) -> Answer {
    let body = json!({"handle": format!("{name}@example.com"), "password": password});
    app.as_app_from(OFFICE, shop, "login", body).await
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

async fn sec_018_three_hundred_log_ins_at_once_fail_as_often_as_one_after_the_other(app: TestApp) {
    let shop = app.app("Shop").await;
    let names: Vec<String> = (0..300).map(|n| format!("nobody{n}")).collect();
    let answers = join_all(names.iter().map(|name| log_in(&app, &shop, name, OTHER_PASSWORD))).await;
    assert_eq!((count(&answers, 400), count(&answers, 429)), (20, 280));
    assert!(answers.iter().filter(|a| a.status == 429).all(|a| a.headers.contains_key("retry-after")));
    // Over hours, the handles that one address tries are bounded too.
    let mut failed = 20;
    for round in 1..4 {
        app.clock.advance(time::Duration::minutes(2));
        let names: Vec<String> = (0..300).map(|n| format!("nobody{round}x{n}")).collect();
        let answers = join_all(names.iter().map(|name| log_in(&app, &shop, name, OTHER_PASSWORD))).await;
        failed += count(&answers, 400);
    }
    assert_eq!(failed, 30, "different handles");
}

async fn sec_018_an_office_behind_one_address_logs_in_at_once(app: TestApp) {
    let shop = crowd(&app, 60).await;
    let names: Vec<String> = (0..60).map(|n| format!("u{n}")).collect();
    let answers = join_all(names.iter().map(|name| log_in(&app, &shop, name, GOOD_PASSWORD))).await;
    assert_eq!(count(&answers, 200), 60);
    // None of them left anything behind.
    let answers = join_all(names.iter().map(|name| log_in(&app, &shop, name, OTHER_PASSWORD))).await;
    assert_eq!(count(&answers, 400), 20);
}

async fn sec_018_right_log_ins_wait_for_wrong_ones_and_not_for_ever(app: TestApp) {
    let shop = crowd(&app, 40).await;
    let asked: Vec<(String, &str)> =
        (0..40).map(|n| (format!("u{n}"), if n % 4 == 0 { OTHER_PASSWORD } else { GOOD_PASSWORD })).collect();
    let answers = join_all(asked.iter().map(|(name, password)| log_in(&app, &shop, name, password))).await;
    assert_eq!((count(&answers, 200), count(&answers, 400)), (30, 10), "ten wrong ones keep nobody out");
}

async fn sec_018_second_factors_and_provider_tokens_fail_no_more_often_at_once(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "googleLogin", "googleLoginEnabled", json!(true)).await;
    app.set(&shop, "googleClientId", "googleClientId", json!("client.apps.googleusercontent.com")).await;
    let nonsense = json!({"provider": "google", "token": "e30.e30.e30"});
    let calls = (0..300).map(|_| app.as_app_from(OFFICE, &shop, "socialLogin", nonsense.clone()));
    let answers = join_all(calls).await;
    assert_eq!((count(&answers, 400), count(&answers, 429)), (20, 280), "{}", answers[0].text());
}

async fn sign_ups_codes_and_anonymous_users_at_once_are_as_many_as_allowed(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    let ask = async |name: &str, body: &(dyn Fn(usize) -> Value + Sync)| {
        let calls = (0..300).map(|n| app.as_app_from("2001:db8::1", &shop, name, body(n)));
        let answers = join_all(calls).await;
        (answers.len() - count(&answers, 429), count(&answers, 429))
    };
    let sign_up = |n: usize| json!({"handle": format!("u{n}@example.com"), "password": PASSWORD});
    assert_eq!(ask("signup", &sign_up).await, (10, 290));
    let forgot = |n: usize| json!({"handle": format!("u{n}@example.com")});
    assert_eq!(ask("forgotPassword", &forgot).await, (10, 290));
    let anonymous = |n: usize| json!({"handle": format!("ANON_{n}")});
    assert_eq!(ask("loginAnonymous", &anonymous).await, (300, 0));
    let anonymous = |n: usize| json!({"handle": format!("ANON_x{n}")});
    assert_eq!(ask("loginAnonymous", &anonymous).await, (0, 300));
}

async fn calls_of_a_user_at_once_are_as_many_as_allowed(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    let body = json!({"handle": "ana@example.com", "password": GOOD_PASSWORD});
    let access = app.as_app(&shop, "signup", body).await.field("access-token");
    let locale = json!({"locale": "EN"});
    let answers = join_all((0..300).map(|_| app.as_user(&access, "setLocale", locale.clone()))).await;
    assert_eq!((count(&answers, 200), count(&answers, 429)), (60, 240));
    let path = "/api/appuser/userNameAvailable?userName=ana";
    let answers = join_all((0..300).map(|_| app.get(path, ("access-token", &access)))).await;
    assert_eq!((count(&answers, 200), count(&answers, 429)), (120, 180));
}

async fn sec_120_loopback_makes_nobody_known_and_a_hidden_proxy_ends_its_exemption(app: TestApp) {
    let shop = crowd(&app, 40).await;
    let log_in = async |peer: &str, name: &str, password: &str| {
        let body = json!({"handle": format!("{name}@example.com"), "password": password});
        app.as_app_from(peer, &shop, "login", body).await
    };
    // A log-in through a proxy on this machine does not make its address known.
    assert_eq!(log_in("127.0.0.1", "u0", GOOD_PASSWORD).await.status, 200);
    for number in 0..10 {
        assert_eq!(log_in(&format!("198.51.100.{number}"), "u0", OTHER_PASSWORD).await.status, 400);
    }
    assert_eq!(log_in("127.0.0.1", "u0", GOOD_PASSWORD).await.error(), (400, 600), "a stranger has to wait");
    // Loopback is not counted while nothing speaks of a proxy.
    let wrong = async |from: usize| {
        let calls: Vec<String> = (from..from + 30).map(|n| format!("nobody{n}")).collect();
        let answers = join_all(calls.iter().map(|name| log_in("127.0.0.1", name, OTHER_PASSWORD))).await;
        count(&answers, 400)
    };
    assert_eq!(wrong(0).await, 30);
    let request = actix_web::test::TestRequest::get()
        .uri("/api/appuser/getApplication")
        .insert_header(("app-token", shop.token.as_str()))
        .insert_header(("x-forwarded-for", "203.0.113.1"));
    assert_eq!(app.send_from("127.0.0.1", request).await.status, 200);
    assert_eq!(wrong(100).await, 20);
}
