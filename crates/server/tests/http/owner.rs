//! What strangers cannot do to an owner, and what bad luck must not.

use latchkey_domain::Preset;
use latchkey_test_support::TestDatabase;
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{Answer, Made, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_081_a_code_proves_only_the_mailbox_that_it_was_sent_to,
    sec_081_mail_goes_to_no_mailbox_that_only_looks_like_the_typed_one,
    sec_081_no_handle_is_invisible_or_of_this_machine,
    sec_008_strangers_cannot_switch_the_notice_off,
    a_name_is_a_handle_or_a_user_name_in_a_race_too,
    sec_030_mail_of_strangers_leaves_the_owner_some,
    sec_023_the_owner_of_an_account_hears_of_a_sign_up_once_a_day,
    wrong_codes_cost_their_victim_no_mail,
    a_handle_cannot_be_somebodys_user_name,
    sec_011_a_right_password_is_no_failure_whatever_else_is_in_the_way,
    sec_029_strangers_cannot_kill_an_invitation,
    many_right_logins_at_once_are_no_guesses,
    a_completed_sign_up_gets_its_tokens_or_stays_open,
    one_anonymous_handle_twice_at_once_is_one_user,
    a_user_name_is_set_once_however_fast,
    who_is_suspended_in_a_race_stays_out,
    sec_023_a_neutral_application_tells_nothing_at_log_in,
);

async fn log_in(app: &TestApp, shop: &Made, peer: &str, password: &str) -> Answer {
    app.as_app_from(peer, shop, "login", json!({"handle": "ana@example.com", "password": password})).await
}

async fn mails_to_ana(app: &TestApp, subject: &str) -> usize {
    let mails = app.mails().await;
    mails.iter().filter(|mail| mail.to.to_string() == "ana@example.com" && mail.subject == subject).count()
}

async fn sec_030_mail_of_strangers_leaves_the_owner_some(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    // Ten other applications fill the hour of the address.
    for number in 0..10 {
        let other = app.app(&format!("Other {number}")).await;
        app.as_app_from(
            "198.51.100.9",
            &other,
            "signup",
            json!({"handle": "ana@example.com", "password": PASSWORD}),
        )
        .await;
    }
    let forgot = json!({"handle": "ana@example.com"});
    let subject = "Reset your password for Shop";
    for number in 1..=4 {
        app.as_app_from(&format!("203.0.113.{number}"), &shop, "forgotPassword", forgot.clone()).await;
    }
    assert_eq!(mails_to_ana(&app, subject).await, 3, "a fourth stranger's is withheld");
    assert_eq!(app.as_app(&shop, "forgotPassword", forgot).await.text(), "true");
    assert_eq!(mails_to_ana(&app, subject).await, 4, "the owner's, from where they log in, is not");
}

async fn sec_023_the_owner_of_an_account_hears_of_a_sign_up_once_a_day(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.set(&shop, "neutralAnswers", "neutralAnswers", json!(true)).await;
    for _ in 0..12 {
        let body = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD});
        assert_eq!(app.as_app_from("198.51.100.9", &shop, "signup", body).await.text(), "true");
    }
    assert_eq!(mails_to_ana(&app, "You have an account at Shop").await, 1);
    app.as_app_from("203.0.113.1", &shop, "forgotPassword", json!({"handle": "ana@example.com"})).await;
    assert_eq!(mails_to_ana(&app, "Reset your password for Shop").await, 1, "there is room for others");
}

async fn wrong_codes_cost_their_victim_no_mail(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let guesses = (0..45).map(|number| {
        let body = json!({"handle": "ana@example.com", "code": "123456"});
        let peer = format!("198.51.100.{number}");
        let (app, shop) = (&app, &shop);
        async move { app.as_app_from(&peer, shop, "completeSignup", body).await }
    });
    let answers = futures_util::future::join_all(guesses).await;
    assert!(answers.iter().all(|answer| answer.status == 400));
    // Nor do sign-ups that come too late.
    let late = (0..14)
        .map(|_| app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})));
    futures_util::future::join_all(late).await;
    app.as_app_from("203.0.113.1", &shop, "forgotPassword", json!({"handle": "ana@example.com"})).await;
    assert_eq!(mails_to_ana(&app, "Reset your password for Shop").await, 1);
}

async fn a_handle_cannot_be_somebodys_user_name(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    let sign_up =
        |handle: &'static str| app.as_app(&shop, "signup", json!({"handle": handle, "password": PASSWORD}));
    let ana = sign_up("ana@example.com").await.field("access-token");
    assert_eq!(app.as_user(&ana, "setUserName", json!({"userName": "bob"})).await.text(), "true");
    assert_eq!(sign_up("Bob").await.error(), (400, 601));
    let carl = sign_up("carl").await.field("access-token");
    let dora = sign_up("dora@example.com").await.field("access-token");
    assert_eq!(app.as_user(&dora, "setUserName", json!({"userName": "carl"})).await.error(), (400, 605));
    assert_eq!(app.as_user(&carl, "setUserName", json!({"userName": "carlo"})).await.text(), "true");
    let by_name = json!({"handle": "bob", "password": PASSWORD});
    let jwt = app.as_app(&shop, "login", by_name).await.field("jwt");
    assert_eq!(app.claims(&shop, &jwt).await["sub"], "ana@example.com");
}

async fn sec_011_a_right_password_is_no_failure_whatever_else_is_in_the_way(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let id = app.user_id(&shop, "ana@example.com").await;
    let set =
        |status: &'static str| app.admin("user", json!({"appId": shop.id, "userId": id, "status": status}));
    set("suspend").await;
    for _ in 0..14 {
        assert_eq!(log_in(&app, &shop, "198.51.100.9", PASSWORD).await.error(), (400, 404));
    }
    set("active").await;
    let fields = json!([{"path": "name", "required": true, "canEdit": true}]);
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await;
    for _ in 0..14 {
        assert_eq!(log_in(&app, &shop, "198.51.100.9", PASSWORD).await.error(), (400, 604));
    }
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": []})).await;
    assert_eq!(log_in(&app, &shop, "203.0.113.1", PASSWORD).await.status, 200);
}

async fn sec_029_strangers_cannot_kill_an_invitation(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    app.as_user(&ana, "invite", json!({"handle": "bob@example.com", "senderUserId": "me"})).await;
    let code = app.code_for("bob@example.com").await;
    let wrong = if code == "100000" { "100001" } else { "100000" };
    let register = |peer: &'static str, code: &str| {
        let body = json!({"handle": "bob@example.com", "password": PASSWORD, "code": code});
        app.as_app_from(peer, &shop, "register", body)
    };
    for _ in 0..6 {
        assert_eq!(register("198.51.100.9", wrong).await.error(), (400, 602));
    }
    assert_eq!(register("198.51.100.9", &code).await.error(), (400, 602), "five are enough");
    assert_eq!(register("203.0.113.1", &code).await.status, 200, "and touch nobody else");
}

async fn many_right_logins_at_once_are_no_guesses(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    app.set(&shop, "maxLoginAttempts", "maxLoginAttempts", json!(1)).await;
    let logins: Vec<_> = (0..40).map(|_| log_in(&app, &shop, "198.51.100.9", PASSWORD)).collect();
    let answers = futures_util::future::join_all(logins).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{:?}",
        answers.iter().find(|a| a.status != 200)
    );
}

async fn a_completed_sign_up_gets_its_tokens_or_stays_open(app: TestApp) {
    let shop = app.app("Shop").await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let code = app.code_for("ana@example.com").await;
    let define =
        |fields: Value| app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields}));
    define(json!([{"path": "name", "required": true, "canEdit": true}])).await;
    let complete = || app.as_app(&shop, "completeSignup", json!({"handle": "ana@example.com", "code": code}));
    assert_eq!(complete().await.error(), (400, 604));
    define(json!([])).await;
    assert_eq!(complete().await.status, 200, "the code was not used up");
}

async fn one_anonymous_handle_twice_at_once_is_one_user(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    let taps: Vec<_> =
        (0..12).map(|_| app.as_app(&shop, "loginAnonymous", json!({"handle": "ANON_1"}))).collect();
    let answers = futures_util::future::join_all(taps).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

async fn a_user_name_is_set_once_however_fast(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    let ana = app.user(&shop, "ana@example.com").await;
    for round in 0..3 {
        let user = app.user(&shop, &format!("u{round}@example.com")).await;
        let asks: Vec<_> = (0..8)
            .map(|number| {
                app.as_user(&user, "setUserName", json!({"userName": format!("n{round}x{number}")}))
            })
            .collect();
        let answers = futures_util::future::join_all(asks).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    }
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &ana)).await.status, 200);
}

async fn who_is_suspended_in_a_race_stays_out(app: TestApp) {
    let shop = app.app("Shop").await;
    for round in 0..4 {
        let handle = format!("u{round}@example.com");
        let access = app.user(&shop, &handle).await;
        let id = app.user_id(&shop, &handle).await;
        let change = json!({"password": PASSWORD, "newPassword": OTHER_PASSWORD});
        let suspend = json!({"appId": shop.id, "userId": id, "status": "suspend"});
        let (_, suspended) =
            tokio::join!(app.as_user(&access, "changePassword", change), app.admin("user", suspend));
        assert_eq!(suspended.text(), "true");
        app.admin("user", json!({"appId": shop.id, "userId": id, "status": "active"})).await;
        assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 405));
    }
}

async fn sec_023_a_neutral_application_tells_nothing_at_log_in(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.set(&shop, "neutralAnswers", "neutralAnswers", json!(true)).await;
    for handle in ["ana@example.com", "nobody@example.com"] {
        let own = json!({"handle": handle, "password": OTHER_PASSWORD});
        app.as_app(&shop, "signup", own.clone()).await;
        assert_eq!(app.as_app(&shop, "login", own).await.error(), (400, 600), "{handle}");
    }
}

#[actix_web::test]
async fn taken_handles_are_asked_for_within_the_rate_of_sign_ups() {
    let database = TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.clock.advance(Duration::hours(3));
    let mut statuses = Vec::new();
    for _ in 0..130 {
        let body = json!({"handle": "ana@example.com", "password": PASSWORD});
        statuses.push(app.as_app(&shop, "signup", body).await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 100);
    assert!(statuses.iter().skip(100).all(|status| *status == 429));
}

#[actix_web::test]
async fn a_template_that_costs_more_than_its_length_is_refused() {
    let database = TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    let nested: String = (0..2_000).map(|n| format!("<b a={n}>")).collect();
    let html = nested + &"<p>x".repeat(2_000);
    let body = json!({"appId": shop.id, "_id": "signUp-EN", "subject": "s", "htmlTemplate": html});
    assert_eq!(app.admin("updateEmailTemplate", body).await.error(), (400, 602));
    for wrong in [3_651_u64, 4_294_967_295, 4_294_967_296] {
        let body = json!({"appId": shop.id, "setting": "anonymousPurgeDays", "anonymousPurgeDays": wrong});
        assert_eq!(app.admin("updateAppSetting", body).await.error(), (400, 602), "{wrong}");
    }
}

async fn sec_081_a_code_proves_only_the_mailbox_that_it_was_sent_to(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    for (owned, wanted) in [
        ("admin@g\u{131}thub.example", "admin@github.example"),
        ("boss@stra\u{df}e.example", "boss@strasse.example"),
        ("x@ko\u{3c2}.example", "x@ko\u{3c3}.example"),
    ] {
        let sign_up = |handle: &'static str| {
            app.as_app(&shop, "signup", json!({"handle": handle, "password": PASSWORD}))
        };
        assert_eq!(sign_up(owned).await.text(), "true");
        let code = app.code_for(owned).await;
        assert_eq!(sign_up(wanted).await.text(), "true");
        let complete = |handle: &'static str| {
            app.as_app(&shop, "completeSignup", json!({"handle": handle, "code": code}))
        };
        assert_eq!(complete(wanted).await.error(), (400, 602), "{wanted}");
        let tokens = complete(owned).await;
        assert_eq!(app.claims(&shop, &tokens.field("jwt")).await["email"], owned);
        app.clock.advance(Duration::hours(2));
    }
    app.as_user(&ana, "invite", json!({"handle": "carl@stra\u{df}e.example", "senderUserId": "me"})).await;
    let code = app.code_for("carl@stra\u{df}e.example").await;
    let register = |handle: &'static str| {
        app.as_app(&shop, "register", json!({"handle": handle, "password": PASSWORD, "code": code}))
    };
    assert_eq!(register("carl@strasse.example").await.error(), (400, 602));
    assert_eq!(register("carl@stra\u{df}e.example").await.status, 200);
}

async fn sec_081_mail_goes_to_no_mailbox_that_only_looks_like_the_typed_one(app: TestApp) {
    let app = TestApp::with(app.store.clone(), |settings| settings.mail.smtp_utf8 = true).await;
    let shop = app.app("Shop").await;
    app.set(&shop, "neutralAnswers", "neutralAnswers", json!(true)).await;
    // An account exists whose address looks like kiss@example.com.
    app.user(&shop, "ki\u{df}@example.com").await;
    app.mail("Welcome to Shop").await;
    let count = app.mails().await.len();
    let forgot = app.as_app(&shop, "forgotPassword", json!({"handle": "kiss@example.com"})).await;
    assert_eq!(forgot.text(), "true");
    let body = json!({"handle": "kiss@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "signup", body).await.text(), "true");
    assert_eq!(app.mails().await.len(), count, "no mail is sent");
    // The same mailbox in another spelling is the user's own.
    app.as_app(&shop, "forgotPassword", json!({"handle": "KI\u{df}@EXAMPLE.com"})).await;
    assert_eq!(app.mails().await.len(), count + 1);
    app.set(&shop, "neutralAnswers", "neutralAnswers", json!(false)).await;
    let forgot = app.as_app(&shop, "forgotPassword", json!({"handle": "kiss@example.com"})).await;
    assert_eq!(forgot.error(), (400, 603));
}

async fn sec_081_no_handle_is_invisible_or_of_this_machine(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    let count = app.mails().await.len();
    for wrong in [
        "an\u{200d}a@example.com",
        "ana@exam\u{ad}ple.com",
        "ana\u{3164}@example.com",
        "root@localhost",
        "root@127.0.0.1",
        "root@[127.0.0.1]",
        "root@mailhost",
    ] {
        let body = json!({"handle": wrong, "password": PASSWORD});
        assert_eq!(app.as_app(&shop, "signup", body).await.error(), (400, 602), "{wrong}");
        let body = json!({"handle": wrong, "senderUserId": "me"});
        assert_eq!(app.as_user(&ana, "invite", body).await.error(), (400, 602), "{wrong}");
    }
    let anonymous = app.as_app(&shop, "loginAnonymous", json!({"handle": "ANON_a\u{200d}"})).await;
    assert_ne!(anonymous.status, 200);
    assert_eq!(app.mails().await.len(), count);
}

async fn sec_008_strangers_cannot_switch_the_notice_off(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    for number in 0..11 {
        let other = app.app(&format!("Other {number}")).await;
        let body = json!({"handle": "ana@example.com", "password": PASSWORD});
        app.as_app_from("198.51.100.9", &other, "signup", body).await;
    }
    let change = json!({"password": PASSWORD, "newPassword": OTHER_PASSWORD});
    assert_eq!(app.as_user(&access, "changePassword", change).await.text(), "true");
    assert_eq!(mails_to_ana(&app, "Your password for Shop was changed").await, 1);
}

async fn a_name_is_a_handle_or_a_user_name_in_a_race_too(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    for round in 0..5 {
        let body = json!({"handle": format!("u{round}@example.com"), "password": PASSWORD});
        let access = app.as_app(&shop, "signup", body).await.field("access-token");
        let name = format!("racer{round}");
        let sign_up = app.as_app(&shop, "signup", json!({"handle": name, "password": OTHER_PASSWORD}));
        let set = async {
            tokio::time::sleep(std::time::Duration::from_millis(round * 8)).await;
            app.as_user(&access, "setUserName", json!({"userName": name})).await
        };
        let (signed_up, set) = tokio::join!(sign_up, set);
        let both = (signed_up.status.as_u16(), set.status.as_u16());
        assert!(both == (200, 400) || both == (400, 200), "{both:?}");
    }
}
