//! How often codes may be guessed and asked for, and that nobody spends what is somebody else's.

use latchkey_test_support::TestDatabase;
use serde_json::json;
use time::Duration;

use crate::harness::{Made, OTHER_PASSWORD, PASSWORD, TestApp};

/// What is counted of wrong codes for a handle: those of today.
async fn wrong_codes(app: &TestApp, shop: &Made, kind: &'static str) -> u32 {
    hundredths(app, shop, kind).await / 100
}

/// The same in hundredths: a guess at an eight-digit code is one.
async fn hundredths(app: &TestApp, shop: &Made, kind: &'static str) -> u32 {
    let (keys, _) = TestApp::keys_of(&app.store).await;
    // What known addresses have beyond a budget is counted beside it.
    let budget = if kind == "code.wrong.known" { "code.wrong.long" } else { kind };
    let subject = keys.digests().digest(budget, &[b"mail".as_slice(), b"ana@example.com"]).unwrap();
    use latchkey_domain::Clock as _;
    let now = app.clock.now();
    let key = latchkey_storage::QuotaKey {
        app_id: shop.id.parse().unwrap(),
        kind,
        subject,
        period: now.unix_timestamp() / 86_400,
        expires_at: now,
    };
    app.store
        .transact("test", move |repos| repos.quotas().used(&key))
        .await
        .unwrap_or_else(|_: latchkey_storage::StorageError| panic!("no counter"))
}

#[actix_web::test]
async fn sec_029_codes_are_longer_where_several_are_live_or_many_were_guessed() {
    let database = TestDatabase::sqlite();
    let app = TestApp::with(database.store(), |settings| settings.limits.wrong_codes_a_day = 5).await;
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let length = async |peer: &'static str| {
        app.clock.advance(Duration::seconds(61));
        let _ = app.mails().await;
        app.as_app_from(peer, &shop, "forgotPassword", json!({"handle": "ana@example.com"})).await;
        app.code_for("ana@example.com").await.len()
    };
    let guess = async |peer: &'static str, code: &str| {
        let body = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD, "code": code});
        assert_eq!(app.as_app_from(peer, &shop, "resetPassword", body).await.error(), (400, 602));
    };
    assert_eq!(length("203.0.113.1").await, 6, "the only one");
    assert_eq!(length("203.0.113.1").await, 6, "its own earlier one is in nobody's way");
    assert_eq!(length("203.0.113.2").await, 8, "one guess would be compared with both");
    assert_eq!(length("203.0.113.1").await, 6, "another's long one is in nobody's way");
    guess("203.0.113.2", "10000000").await;
    assert_eq!(hundredths(&app, &shop, "code.wrong.long").await, 1, "compared with the one long code");
    assert_eq!(hundredths(&app, &shop, "code.wrong.anywhere").await, 0);
    app.clock.advance(Duration::minutes(31));
    guess("203.0.113.1", "100000").await;
    assert_eq!(hundredths(&app, &shop, "code.wrong").await, 0, "all codes have expired: nothing was guessed");
    assert_eq!(length("203.0.113.3").await, 6, "those that expired are in nobody's way");
    guess("203.0.113.3", "100000").await;
    assert_eq!(length("203.0.113.3").await, 6, "one of four tries a day");
    guess("203.0.113.3", "100000").await;
    assert!(hundredths(&app, &shop, "code.wrong").await >= 200, "half of the day's tries");
    assert_eq!(length("203.0.113.3").await, 8);
}

#[actix_web::test]
async fn sec_029_long_codes_that_are_used_from_anywhere_have_a_budget_of_their_own() {
    let database = TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    for sender in ["bo@example.com", "cy@example.com"] {
        let access = app.user(&shop, sender).await;
        let invite = json!({"handle": "ana@example.com", "senderUserId": "x"});
        assert_eq!(app.as_user(&access, "invite", invite).await.text(), "true");
    }
    let body = json!({"handle": "ana@example.com", "password": PASSWORD, "code": "10000000"});
    assert_eq!(app.as_app(&shop, "register", body).await.error(), (400, 602));
    assert_eq!(hundredths(&app, &shop, "code.wrong.anywhere").await, 1);
    assert_eq!(hundredths(&app, &shop, "code.wrong.long").await, 0);
}

#[actix_web::test]
async fn sec_029_ten_thousand_wrong_codes_are_five_guesses() {
    let database = TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let code = app.code_for("ana@example.com").await;
    let right: u32 = code.parse().unwrap();
    let mut refused = 0;
    for number in 0..10_000_u32 {
        let wrong = 100_000 + (right - 100_000 + 1 + number) % 900_000;
        let peer = format!("2001:db8:{:x}:{:x}::1", number / 5_000, number);
        let body = json!({"handle": "ana@example.com", "code": wrong.to_string()});
        let answer = app.as_app_from(&peer, &shop, "completeSignup", body).await;
        refused += usize::from(answer.error() == (400, 602));
    }
    assert_eq!(refused, 10_000);
    assert_eq!(wrong_codes(&app, &shop, "code.wrong").await, 5, "so many were compared, and no more");
    let complete = |peer: &'static str| {
        let body = json!({"handle": "ana@example.com", "code": code});
        app.as_app_from(peer, &shop, "completeSignup", body)
    };
    assert_eq!(complete("203.0.113.1").await.error(), (400, 602), "closed to all others");
    assert_eq!(complete("192.0.2.1").await.status, 200, "the source that asked can still use it");
}

#[actix_web::test]
async fn sec_137_two_addresses_deny_nobody_the_sign_up() {
    let database = TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    let ask = async |peer: String| {
        let before = app.mails().await.len();
        let body = json!({"handle": "ana@example.com", "password": PASSWORD});
        assert_eq!(app.as_app_from(&peer, &shop, "signup", body).await.status, 200);
        app.mails().await.len() > before
    };
    // Two strangers ask for all that they get, from the morning on.
    app.clock.advance(Duration::hours(2));
    let mut sent = 0;
    for _ in 0..40 {
        for peer in ["203.0.113.7", "203.0.113.8"] {
            sent += u32::from(ask(peer.to_owned()).await);
        }
        app.clock.advance(Duration::minutes(11));
    }
    assert_eq!(sent, 10, "five for each");
    assert!(ask("192.0.2.1".to_owned()).await, "the owner's first one comes");
    let code = app.code_for("ana@example.com").await;
    let complete = json!({"handle": "ana@example.com", "code": code});
    assert_eq!(app.as_app(&shop, "completeSignup", complete).await.status, 200);

    // Many addresses are stopped all the same: a mailbox is not flooded.
    let mut sent = 0;
    for number in 1..=60 {
        app.clock.advance(Duration::minutes(2));
        let body = json!({"handle": "bo@example.com", "password": PASSWORD});
        let before = app.mails().await.len();
        app.as_app_from(&format!("198.51.100.{number}"), &shop, "signup", body).await;
        sent += u32::from(app.mails().await.len() > before);
    }
    assert!(sent <= 30, "{sent}");
}

/// Exhausting the guesses at a handle's codes does not block the owner's next code.
#[actix_web::test]
async fn sec_137_two_addresses_that_guess_deny_nobody_the_sign_up_or_the_reset() {
    let database = TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    app.user(&shop, "bo@example.com").await;
    let strangers = ["203.0.113.1", "203.0.113.2"];
    for (handle, ask, complete) in [
        ("ana@example.com", "signup", "completeSignup"),
        ("bo@example.com", "forgotPassword", "resetPassword"),
    ] {
        let body = json!({"handle": handle, "password": OTHER_PASSWORD});
        let bring = async |peer: &str, code: &str| {
            let body = json!({"handle": handle, "password": OTHER_PASSWORD, "code": code});
            app.as_app_from(peer, &shop, complete, body).await.status
        };
        for _ in 0..3 {
            for peer in strangers {
                assert_eq!(app.as_app_from(peer, &shop, ask, body.clone()).await.text(), "true");
                for _ in 0..6 {
                    assert_eq!(bring(peer, "100000").await, 400);
                }
            }
            app.clock.advance(Duration::seconds(61));
        }
        let _ = app.mails().await;
        // From an address that nobody has seen yet.
        app.as_app_from("198.51.100.99", &shop, ask, body).await;
        let code = app.code_for(handle).await;
        assert_eq!(code.len(), 8, "{handle}");
        assert_eq!(bring("198.51.100.99", &code).await, 200, "{handle}");
    }
}

/// A code that an operator asked for is used from anywhere: each address has tries of its own.
#[actix_web::test]
async fn sec_029_strangers_tries_do_not_end_the_code_that_an_operator_sent() {
    let database = TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let user = json!({"appId": shop.id, "userId": app.user_id(&shop, "ana@example.com").await});
    assert_eq!(app.admin("resetUserPassword", user).await.text(), "true");
    let code = app.code_for("ana@example.com").await;
    let wrong = if code == "100000" { "100001" } else { "100000" };
    let reset = async |peer: &str, code: &str| {
        let body = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD, "code": code});
        app.as_app_from(peer, &shop, "resetPassword", body).await
    };
    for number in 0..6 {
        for _ in 0..6 {
            assert_eq!(reset(&format!("203.0.113.{number}"), wrong).await.error(), (400, 602));
        }
    }
    assert_eq!(wrong_codes(&app, &shop, "code.wrong").await, 30, "five for each address");
    assert_eq!(reset("203.0.113.0", &code).await.error(), (400, 602));
    assert_eq!(reset("198.51.100.99", &code).await.text(), "true");
}

#[actix_web::test]
async fn sec_029_a_new_code_does_not_reset_the_days_count() {
    let database = TestDatabase::sqlite();
    // So many new codes are asked for that only the count of the day can stop the guessing.
    let app = TestApp::with(database.store(), |settings| {
        settings.limits.wrong_codes_a_day = 20;
        settings.limits.handle_codes_an_hour = 1_000;
        settings.limits.handle_codes_a_day = 1_000;
        settings.limits.handle_codes_a_day_all = 1_000;
        settings.limits.mails_an_hour = 1_000;
        settings.limits.mails_a_day = 1_000;
    })
    .await;
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let ask = |peer: &'static str| {
        app.as_app_from(peer, &shop, "forgotPassword", json!({"handle": "ana@example.com"}))
    };
    let reset = |peer: &'static str, code: &str| {
        let body = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD, "code": code});
        app.as_app_from(peer, &shop, "resetPassword", body)
    };
    let mut lengths = std::collections::BTreeSet::new();
    for _ in 0..80 {
        assert_eq!(ask("203.0.113.7").await.text(), "true");
        let code = app.code_for("ana@example.com").await;
        lengths.insert(code.len());
        let wrong = if code.starts_with('1') { "2" } else { "1" }.repeat(code.len());
        for _ in 0..4 {
            assert_eq!(reset("203.0.113.7", &wrong).await.error(), (400, 602));
        }
        app.clock.advance(Duration::seconds(61));
    }
    assert_eq!(lengths, [6, 8].into(), "after many wrong ones, codes are longer");
    let spent =
        [wrong_codes(&app, &shop, "code.wrong").await, wrong_codes(&app, &shop, "code.wrong.long").await];
    assert!((8..=16).contains(&spent[0]) && (1..=2).contains(&spent[1]), "{spent:?}");
    assert_eq!(wrong_codes(&app, &shop, "code.wrong.known").await, 0);
    ask("203.0.113.7").await;
    let code = app.code_for("ana@example.com").await;
    assert_eq!(reset("203.0.113.7", &code).await.error(), (400, 602), "the day's tries are spent");
    // The owner, at a known source, has tries of their own.
    ask("192.0.2.1").await;
    let code = app.code_for("ana@example.com").await;
    let wrong = if code.starts_with('1') { "2" } else { "1" }.repeat(code.len());
    for _ in 0..3 {
        assert_eq!(reset("192.0.2.1", &wrong).await.error(), (400, 602));
    }
    assert!(hundredths(&app, &shop, "code.wrong.known").await > 0);
    assert_eq!(reset("192.0.2.1", &code).await.text(), "true");
}

/// The log does not grow with what strangers send.
#[actix_web::test]
async fn sec_104_refusals_of_one_address_are_listed_up_to_a_bound() {
    let database = TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    let send = async |peer: &str| {
        let body = json!({"handle": "ana@example.com", "code": "123456"});
        assert_eq!(app.as_app_from(peer, &shop, "completeSignup", body).await.error(), (400, 602));
    };
    for _ in 0..250 {
        send("203.0.113.1").await;
    }
    send("203.0.113.2").await;
    let log = app.audit(&shop).await;
    let refused: Vec<_> = log.iter().filter(|entry| entry.action == "completeSignup").collect();
    assert_eq!(refused.len(), 201, "and the other address's");
    let told = refused
        .iter()
        .filter(|entry| entry.detail.as_deref().is_some_and(|text| text.contains("not listed")));
    assert_eq!(told.count(), 1);
    app.clock.advance(Duration::hours(1));
    send("203.0.113.1").await;
    assert_eq!(app.audit(&shop).await.len(), log.len() + 1);
}

#[actix_web::test]
async fn sec_048_one_application_does_not_spend_the_messages_of_all() {
    let database = TestDatabase::sqlite();
    let app = TestApp::with(database.store(), |settings| settings.limits.sms_a_day = 6).await;
    let set_phone =
        async |access: &str, phone: String| app.as_user(access, "setPhone", json!({ "phone": phone })).await;
    let flood = app.app_with_mode("Flood", "phone").await;
    app.set(&flood, "smsADay", "smsADay", json!(1_000)).await;
    for number in 0..30 {
        let user = app.user(&flood, &format!("u{number}@example.com")).await;
        assert_eq!(set_phone(&user, format!("+4917{number:02}2345678")).await.text(), "true");
    }
    assert_eq!(app.texts().await.len(), 23, "half of all, and twenty of its own");
    let shop = app.app_with_mode("Shop", "phone").await;
    let ana = app.user(&shop, "ana@example.com").await;
    assert_eq!(set_phone(&ana, "+4915112345678".to_owned()).await.text(), "true");
    assert_eq!(app.texts().await.len(), 24);
}
