//! Guessing: passwords, codes, handles, and mail as a weapon.

use latchkey_domain::Preset;
use latchkey_test_support::TestDatabase;
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{Answer, Made, OTHER_PASSWORD, PASSWORD, TestApp, request};
use crate::on_every_store;

on_every_store!(
    sec_011_parallel_guesses_are_counted_before_they_are_looked_at,
    sec_012_the_owners_login_leaves_the_strangers_count,
    sec_013_a_stranger_cannot_keep_the_owner_out,
    sec_014_after_a_hundred_failures_a_reset_lets_strangers_try_again,
    sec_019_the_owner_hears_of_a_lock_once_a_day,
    sec_013_a_neighbour_does_not_keep_out_who_is_known_at_an_address,
    sec_021_attempts_under_way_do_not_tell_who_is_known_at_an_address,
    sec_018_an_address_that_tries_many_handles_has_to_wait,
    sec_021_refusals_are_alike_to_the_byte,
    sec_022_what_an_account_is_takes_the_right_password,
    sec_110_mails_to_an_address_are_bounded_and_leave_other_applications_theirs,
    the_applications_own_number_of_free_attempts_counts,
    guessing_a_pending_password_is_limited_too,
    failed_logins_of_an_address_are_limited,
    sign_ups_that_prove_nothing_are_limited,
);

async fn log_in(app: &TestApp, peer: &str, shop: &Made, password: &str) -> Answer {
    app.as_app_from(peer, shop, "login", json!({"handle": "ana@example.com", "password": password})).await
}

async fn fail(app: &TestApp, shop: &Made, times: usize) {
    for number in 0..times {
        let peer = format!("198.51.{}.{}", number / 200, number % 200);
        assert_eq!(log_in(app, &peer, shop, OTHER_PASSWORD).await.error(), (400, 600));
    }
}

async fn failures(app: &TestApp, shop: &Made) -> (u32, u32) {
    let (id, handle) = (shop.id.parse().unwrap(), latchkey_domain::Handle::parse("ana@example.com").unwrap());
    let find = app.store.read("test", move |readers| readers.users().find_by_handle(id, &handle));
    let login = find.await.unwrap().unwrap().login;
    (login.unknown.count, login.known.count)
}

async fn sec_011_parallel_guesses_are_counted_before_they_are_looked_at(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let guesses: Vec<_> = (0..60)
        .map(|number| {
            let (app, shop) = (&app, &shop);
            async move { log_in(app, &format!("198.51.100.{number}"), shop, OTHER_PASSWORD).await }
        })
        .collect();
    let answers = futures_util::future::join_all(guesses).await;
    assert!(answers.iter().all(|answer| answer.error() == (400, 600)));
    assert_eq!(failures(&app, &shop).await, (10, 0), "ten were looked at, no more");
    // Nor does the right password help a stranger now; when the wait is over, it does.
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.error(), (400, 600));
    app.clock.advance(Duration::seconds(30));
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.status, 200);
    assert_eq!(failures(&app, &shop).await, (0, 0));
}

async fn sec_012_the_owners_login_leaves_the_strangers_count(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    fail(&app, &shop, 9).await;
    assert_eq!(log_in(&app, "192.0.2.1", &shop, PASSWORD).await.status, 200);
    assert_eq!(failures(&app, &shop).await, (9, 0));
    assert_eq!(log_in(&app, "192.0.2.1", &shop, OTHER_PASSWORD).await.error(), (400, 600));
    assert_eq!(failures(&app, &shop).await, (9, 1));
}

async fn sec_013_a_stranger_cannot_keep_the_owner_out(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    fail(&app, &shop, 30).await;
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.error(), (400, 600), "a stranger waits");
    assert_eq!(log_in(&app, "192.0.2.1", &shop, PASSWORD).await.status, 200, "the owner does not");
    // From somewhere else, a reset by mail works meanwhile and ends the waiting.
    let forgot = json!({"handle": "ana@example.com"});
    assert_eq!(app.as_app_from("203.0.113.9", &shop, "forgotPassword", forgot).await.text(), "true");
    let code = app.code_for("ana@example.com").await;
    let reset = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD, "code": code});
    assert_eq!(app.as_app_from("203.0.113.9", &shop, "resetPassword", reset).await.text(), "true");
    assert_eq!(log_in(&app, "203.0.113.9", &shop, OTHER_PASSWORD).await.status, 200);
}

async fn sec_014_after_a_hundred_failures_a_reset_lets_strangers_try_again(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    for number in 0..100 {
        let peer = format!("198.51.100.{number}");
        assert_eq!(log_in(&app, &peer, &shop, OTHER_PASSWORD).await.error(), (400, 600));
        app.clock.advance(Duration::hours(1));
    }
    assert_eq!(failures(&app, &shop).await.0, 100);
    app.clock.advance(Duration::days(30));
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.error(), (400, 600));
    app.as_app_from("203.0.113.1", &shop, "forgotPassword", json!({"handle": "ana@example.com"})).await;
    let code = app.code_for("ana@example.com").await;
    let reset = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD, "code": code});
    assert_eq!(app.as_app_from("203.0.113.1", &shop, "resetPassword", reset).await.text(), "true");
    assert_eq!(log_in(&app, "203.0.113.2", &shop, OTHER_PASSWORD).await.status, 200);
}

async fn sec_019_the_owner_hears_of_a_lock_once_a_day(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let told =
        async || app.mails().await.iter().filter(|mail| mail.subject == "Failed log-ins to Shop").count();
    fail(&app, &shop, 9).await;
    assert_eq!(told().await, 0);
    fail(&app, &shop, 20).await;
    assert_eq!(told().await, 1);
    for number in 0..5 {
        app.clock.advance(Duration::hours(1));
        log_in(&app, &format!("198.51.100.{number}"), &shop, OTHER_PASSWORD).await;
    }
    assert_eq!(told().await, 1);
    app.clock.advance(Duration::days(1));
    log_in(&app, "198.51.100.77", &shop, OTHER_PASSWORD).await;
    assert_eq!(told().await, 2);
    let locked = app.audit(&shop).await.iter().filter(|entry| entry.action == "login.locked").count();
    assert_eq!(locked, 2);
}

async fn sec_018_an_address_that_tries_many_handles_has_to_wait(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let spray = async |number: usize| {
        let body = json!({"handle": format!("u{number}@example.com"), "password": OTHER_PASSWORD});
        app.as_app_from("198.51.100.7", &shop, "login", body).await
    };
    for number in 0..30 {
        assert_eq!(spray(number).await.error(), (400, 600));
        app.clock.advance(Duration::seconds(10));
    }
    let refused = spray(30).await;
    assert_eq!(refused.error(), (429, 500));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(log_in(&app, "198.51.100.8", &shop, PASSWORD).await.status, 200, "others are not touched");
    app.clock.advance(Duration::minutes(16));
    assert_eq!(spray(31).await.error(), (400, 600));
    // A user who is known there still logs in.
    assert_eq!(log_in(&app, "198.51.100.7", &shop, PASSWORD).await.status, 200);
    for number in 100..131 {
        app.clock.advance(Duration::seconds(10));
        spray(number).await;
    }
    let refused = spray(200).await;
    assert_eq!(refused.error(), (429, 500));
    // A wrong password is answered alike: nobody learns who is known there.
    let wrong = log_in(&app, "198.51.100.7", &shop, OTHER_PASSWORD).await;
    assert_eq!((wrong.status, wrong.text()), (refused.status, refused.text()));
    assert_eq!(wrong.headers.get("retry-after"), refused.headers.get("retry-after"));
    assert_eq!(log_in(&app, "198.51.100.7", &shop, PASSWORD).await.status, 200);
}

async fn sec_021_refusals_are_alike_to_the_byte(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.user(&shop, "gone@example.com").await;
    let id = app.user_id(&shop, "gone@example.com").await;
    app.admin("user", json!({"appId": shop.id, "userId": id, "status": "suspend"})).await;
    app.as_app(&shop, "signup", json!({"handle": "pending@example.com", "password": PASSWORD})).await;
    fail(&app, &shop, 12).await;
    let mut bodies = std::collections::BTreeSet::new();
    for (handle, password) in [
        ("nobody@example.com", PASSWORD),
        ("ana@example.com", PASSWORD),
        ("gone@example.com", OTHER_PASSWORD),
        ("pending@example.com", OTHER_PASSWORD),
        ("nobody@example.com", "short"),
    ] {
        let body = json!({"handle": handle, "password": password});
        let answer = app.as_app_from("203.0.113.5", &shop, "login", body).await;
        assert_eq!(answer.status, 400);
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        bodies.insert((answer.body, names));
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

async fn sec_022_what_an_account_is_takes_the_right_password(app: TestApp) {
    let shop = app.app("Shop").await;
    // Two attempts are open; exactly one digest is looked at, the one's own.
    let ask = async |peer: &str, password: &str| {
        let body = json!({"handle": "ana@example.com", "password": password});
        app.as_app_from(peer, &shop, "signup", body).await
    };
    ask("192.0.2.1", PASSWORD).await;
    assert!(!app.mail("Verify your email for Shop").await.text.contains("another address"));
    app.clock.advance(Duration::minutes(1));
    ask("198.51.100.7", OTHER_PASSWORD).await;
    assert_eq!(log_in(&app, "192.0.2.1", &shop, PASSWORD).await.error(), (400, 608));
    assert_eq!(log_in(&app, "192.0.2.1", &shop, OTHER_PASSWORD).await.error(), (400, 600));
    assert_eq!(log_in(&app, "203.0.113.1", &shop, OTHER_PASSWORD).await.error(), (400, 608), "the newest");
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.error(), (400, 600));
    // The second attempt's mail says that another is open, and its code lives an hour.
    assert!(app.mail("Verify your email for Shop").await.text.contains("another address"));
}

async fn guessing_a_pending_password_is_limited_too(app: TestApp) {
    let shop = app.app("Shop").await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    fail(&app, &shop, 10).await;
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.error(), (400, 600));
    app.clock.advance(Duration::days(1));
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.error(), (400, 608));
}

async fn sec_110_mails_to_an_address_are_bounded_and_leave_other_applications_theirs(app: TestApp) {
    let flood = app.app_without_code("Flood", Preset::Compatible).await;
    let to_ana = async || {
        let mails = app.mails().await;
        mails.iter().filter(|mail| mail.to.to_string() == "ana@example.com").count()
    };
    for number in 0..15 {
        let peer = format!("198.51.100.{number}");
        let body = json!({"handle": format!("u{number}@example.com"), "password": PASSWORD});
        let access = app.as_app_from(&peer, &flood, "signup", body).await.field("access-token");
        let invite = json!({"handle": "ana@example.com", "senderUserId": "me"});
        assert_eq!(app.as_user(&access, "invite", invite).await.text(), "true", "the answer is as usual");
    }
    assert_eq!(to_ana().await, 13, "ten an hour of all, and three of this application");
    // Another tenant's people get their code all the same.
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    assert!((14..=15).contains(&to_ana().await), "a code and a welcome");
    let body = json!({"handle": "bob@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&flood, "signup", body).await.status, 200, "another address is not touched");
}

async fn the_applications_own_number_of_free_attempts_counts(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.set(&shop, "maxLoginAttempts", "maxLoginAttempts", json!("3")).await;
    fail(&app, &shop, 5).await;
    assert_eq!(failures(&app, &shop).await.0, 3);
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.error(), (400, 600));
    app.set(&shop, "maxLoginAttempts", "maxLoginAttempts", json!(0)).await;
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.status, 200);
}

async fn sign_ups_that_prove_nothing_are_limited(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let sign_up = async |peer: &str, number: usize| {
        let body = json!({"handle": format!("u{number}@example.com"), "password": PASSWORD});
        app.as_app_from(peer, &shop, "signup", body).await
    };
    let mut number = 0;
    while sign_up("2001:db8::1", number).await.status == 200 {
        number += 1;
        assert!(number < 100);
    }
    assert_eq!(sign_up("2001:db8::2", number).await.error(), (429, 500));
    assert_eq!(sign_up("2001:db8:ffff::1", number).await.status, 200, "nobody else is concerned");
}

async fn failed_logins_of_an_address_are_limited(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    for _ in 0..30 {
        assert_eq!(
            log_in(&app, "192.0.2.1", &shop, PASSWORD).await.status,
            200,
            "right ones are no failures"
        );
    }
    for _ in 0..20 {
        assert_eq!(log_in(&app, "203.0.113.1", &shop, OTHER_PASSWORD).await.error(), (400, 600));
    }
    let refused = log_in(&app, "203.0.113.1", &shop, OTHER_PASSWORD).await;
    assert_eq!(refused.error(), (429, 500));
}

async fn sec_013_a_neighbour_does_not_keep_out_who_is_known_at_an_address(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.status, 200);
    for number in 0..20 {
        let body = json!({"handle": format!("u{}@example.com", number % 5), "password": OTHER_PASSWORD});
        assert_eq!(app.as_app_from("203.0.113.1", &shop, "login", body).await.error(), (400, 600));
    }
    let body = json!({"handle": "nobody@example.com", "password": OTHER_PASSWORD});
    let refused = app.as_app_from("203.0.113.1", &shop, "login", body).await;
    assert_eq!(refused.error(), (429, 500));
    let wrong = log_in(&app, "203.0.113.1", &shop, OTHER_PASSWORD).await;
    assert_eq!((wrong.status, wrong.text()), (refused.status, refused.text()), "nobody learns who is known");
    assert_eq!(log_in(&app, "203.0.113.1", &shop, PASSWORD).await.status, 200);
}

async fn sec_021_attempts_under_way_do_not_tell_who_is_known_at_an_address(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    app.user(&shop, "ana@example.com").await;
    for number in 1..=5 {
        let address = format!("203.0.113.{number}");
        assert_eq!(log_in(&app, &address, &shop, PASSWORD).await.status, 200);
        let wrong = |app_of, handle: String| {
            let body = json!({"handle": handle, "password": OTHER_PASSWORD});
            app.as_app_from(&address, app_of, "login", body)
        };
        let invented = (0..40).map(|number| wrong(&other, format!("u{}@example.com", number % 5)));
        let both = futures_util::future::join(
            wrong(&shop, "ana@example.com".to_owned()),
            wrong(&shop, "nobody@example.com".to_owned()),
        );
        let (_, (ana, nobody)) =
            futures_util::future::join(futures_util::future::join_all(invented), both).await;
        // On a busy machine, it may come before the attempts that use the rate up.
        if nobody.error() == (429, 500) {
            assert_eq!(ana.error(), (429, 500));
            return;
        }
    }
    panic!("the attempts under way never used the rate up");
}

#[actix_web::test]
async fn sec_015_refusals_of_an_address_are_429_and_of_a_subject_as_usual() {
    let database = TestDatabase::sqlite();
    let app = TestApp::with(database.store(), |settings| settings.limits.requests_a_minute = 5).await;
    let answers = async |path: &str| -> Vec<Value> {
        let mut answers = Vec::new();
        for _ in 0..8 {
            let answer = app.get(path, ("app-token", "nonsense")).await;
            let retry = answer.headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            answers.push(json!([answer.status.as_u16(), answer.json(), retry.is_some()]));
        }
        answers
    };
    app.clock.advance(Duration::minutes(3));
    let first = answers("/api/appuser/getApplication").await;
    let expected = json!([429, {"code": 500, "message": "too many requests, try again later"}, true]);
    assert_eq!(first[7], expected);
    assert_eq!(first.iter().filter(|answer| **answer == expected).count(), 3);
    assert_eq!(app.get("/health/live", ("x", "y")).await.status, 200);
    // A page of another origin can read that it has to wait, and its browser may ask whether it can.
    let of_a_page = |method: &str| {
        request(method, "/api/appuser/getApplication")
            .insert_header(("origin", "https://shop.example"))
            .insert_header(("access-control-request-method", "GET"))
    };
    let refused = app.send(of_a_page("GET")).await;
    assert_eq!(refused.error(), (429, 500));
    assert_eq!(refused.headers.get("access-control-allow-origin").unwrap(), "*");
    assert_eq!(refused.headers.get("access-control-expose-headers").unwrap(), "retry-after");
    assert_eq!(app.send(of_a_page("OPTIONS")).await.status, 200);
    for path in ["/api/app", "/api/appuserx", "/api/appuser", "/nothing", "/openapi.json"] {
        let other = app.get(path, ("origin", "https://shop.example")).await;
        assert_eq!(other.error(), (429, 500), "{path}");
        assert_eq!(other.headers.contains_key("access-control-allow-origin"), path == "/api/appuser");
    }
}

#[actix_web::test]
async fn sec_017_every_spelling_of_a_path_is_in_one_bucket() {
    let database = TestDatabase::sqlite();
    let app = TestApp::with(database.store(), |settings| settings.limits.requests_a_minute = 6).await;
    app.clock.advance(Duration::minutes(3));
    let spellings = [
        "/api/appuser/getApplication",
        "//api//appuser//getApplication",
        "/API/APPUSER/GETAPPLICATION/",
        "/api/appuser/getapplication?x=1",
        "/%61pi/appuser/%67etApplication",
    ];
    let mut statuses = Vec::new();
    for spelling in spellings.iter().cycle().take(12) {
        statuses.push(app.get(spelling, ("app-token", "nonsense")).await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 6);
    assert!(statuses.iter().skip(6).all(|status| *status == 429), "{statuses:?}");
}

#[actix_web::test]
async fn sec_120_a_proxy_that_names_no_client_is_nobodys_known_source() {
    let database = TestDatabase::sqlite();
    // The address from which the harness comes.
    let app = TestApp::with(database.store(), |settings| {
        settings.server.trusted_proxies = vec!["192.0.2.1".to_owned()];
    })
    .await;
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    assert_eq!(log_in(&app, "192.0.2.1", &shop, PASSWORD).await.status, 200);
    fail(&app, &shop, 12).await;
    assert_eq!(log_in(&app, "192.0.2.1", &shop, PASSWORD).await.error(), (400, 600), "anybody may be there");
}
