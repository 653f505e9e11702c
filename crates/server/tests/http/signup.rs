//! `signup` and `completeSignup`.

use actix_web::test::TestRequest;
use latchkey_domain::{Handle, Preset};
use latchkey_storage::Store;
use serde_json::json;
use time::Duration;

use crate::harness::{OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    a_code_makes_a_user_once,
    checks_are_made_in_order,
    sec_031_a_code_expires_after_24_hours,
    sec_028_one_of_50_right_codes_succeeds,
    a_repeat_within_a_minute_sends_nothing,
    older_codes_of_ones_own_go_on_working,
    sec_126_a_strangers_password_never_gets_in,
    sec_137_sign_ups_that_others_began_deny_nobody_theirs,
    sec_029_wrong_codes_are_counted_before_they_are_looked_at,
    the_swift_sdks_form_bodies_work,
    sec_058_nothing_in_a_body_changes_who_one_is,
    a_fourth_source_gets_in_however_often_the_first_three_ask,
    without_a_code_the_account_exists_at_once,
    sec_061_the_recommended_preset_names_users_by_id,
    one_of_64_sign_ups_of_one_handle_makes_the_user,
);

async fn a_code_makes_a_user_once(app: TestApp) {
    let shop = app.app("Shop").await;
    let body = json!({"handle": " Ana@Example.com", "password": PASSWORD});
    let answer = app.as_app(&shop, "signup", body.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, b"true".as_slice()));
    let mails = app.mails().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(
        (mails[0].to.to_string().as_str(), mails[0].subject.as_str()),
        ("ana@example.com", "Verify your email for Shop")
    );

    let code = app.code_for("ana@example.com").await;
    let complete = json!({"handle": "ANA@example.com", "code": code.parse::<u64>().unwrap()});
    let tokens = app.as_app(&shop, "completeSignup", complete.clone()).await;
    let claims = app.claims(&shop, &tokens.field("jwt")).await;
    assert_eq!((&claims["sub"], &claims["email"]), (&json!("ana@example.com"), &json!("ana@example.com")));
    assert_eq!(app.mails().await.last().unwrap().subject, "Welcome to Shop");

    assert_eq!(app.as_app(&shop, "completeSignup", complete).await.error(), (400, 601));
    assert_eq!(app.as_app(&shop, "signup", body).await.error(), (400, 601));
}

async fn checks_are_made_in_order(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    // A wrong scope comes before a missing field, and that before a wrong one.
    let missing = app.post("/api/appuser/signup", ("access-token", &access), json!({})).await;
    assert_eq!(missing.error(), (400, 400));
    for (body, code) in [
        (json!({}), 403),
        (json!({"handle": "", "password": PASSWORD}), 403),
        (json!({"handle": "b@example.com"}), 403),
        (json!({"handle": "b@example.com", "password": ""}), 403),
        (json!({"handle": "b@example.com", "password": "short"}), 602),
        (json!({"handle": "b@example.com", "password": PASSWORD.to_uppercase()}), 602),
        (json!({"handle": ["b@example.com"], "password": PASSWORD}), 602),
        (json!({"handle": "b@example.com", "password": PASSWORD, "rawPassword": "other"}), 602),
        (json!({"handle": "ana@example.com", "password": PASSWORD, "locale": "XX"}), 601),
        (json!({"handle": "b@example.com", "password": PASSWORD, "locale": 1}), 602),
        (json!({"handle": "\u{e4}nne@example.com", "password": PASSWORD}), 602),
        (json!({"handle": "b@example.com", "password": PASSWORD, "metaData": "nonsense"}), 604),
        (json!({"handle": "b@example.com", "password": PASSWORD, "metaData": [1]}), 604),
        (json!({"handle": "ana@example.com", "password": PASSWORD, "metaData": 1}), 601),
        (json!({"handle": "not an address", "password": PASSWORD}), 602),
    ] {
        assert_eq!(app.as_app(&shop, "signup", body.clone()).await.error(), (400, code), "{body}");
    }
    for (body, code) in [
        (json!({}), 403),
        (json!({"handle": "ana@example.com"}), 403),
        (json!({"handle": "ana@example.com", "code": "x"}), 602),
        (json!({"handle": "ana@example.com", "code": []}), 602),
        (json!({"handle": "b@example.com", "code": "123456"}), 602),
    ] {
        assert_eq!(app.as_app(&shop, "completeSignup", body.clone()).await.error(), (400, code), "{body}");
    }
    let nobody = app.send(TestRequest::post().uri("/api/appuser/completeSignup").set_json(json!({}))).await;
    assert_eq!(nobody.error(), (400, 403));
}

async fn sec_031_a_code_expires_after_24_hours(app: TestApp) {
    let shop = app.app("Shop").await;
    for (handle, wait, expected) in [
        ("early@example.com", Duration::hours(24) - Duration::seconds(1), None),
        ("late@example.com", Duration::hours(24), Some((400, 411))),
    ] {
        app.as_app(&shop, "signup", json!({"handle": handle, "password": PASSWORD})).await;
        let code = app.code_for(handle).await;
        app.clock.advance(wait);
        let answer = app.as_app(&shop, "completeSignup", json!({"handle": handle, "code": code})).await;
        match expected {
            None => assert_eq!(answer.status, 200),
            Some(error) => assert_eq!(answer.error(), error),
        }
    }
    // A code that has expired before it could be sent is not sent.
    app.as_app(&shop, "signup", json!({"handle": "never@example.com", "password": PASSWORD})).await;
    app.clock.advance(Duration::hours(25));
    assert!(app.mails().await.iter().all(|mail| mail.to.to_string() != "never@example.com"));
}

async fn sec_028_one_of_50_right_codes_succeeds(app: TestApp) {
    let shop = app.app("Shop").await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let code = app.code_for("ana@example.com").await;
    let body = json!({"handle": "ana@example.com", "code": code});
    let racers: Vec<_> = (0..50)
        .map(|number| {
            let request = TestRequest::post()
                .uri("/api/appuser/completeSignup")
                .insert_header(("app-token", shop.token.as_str()))
                .set_json(&body);
            app.send_from(&format!("192.0.2.{number}"), request)
        })
        .collect();
    let answers = futures_util::future::join_all(racers).await;
    let winners = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(winners, 1);
    assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| answer.error() == (400, 601)));
}

async fn a_repeat_within_a_minute_sends_nothing(app: TestApp) {
    let shop = app.app("Shop").await;
    let ask =
        |password| app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": password}));
    assert_eq!(ask(PASSWORD).await.text(), "true");
    app.clock.advance(Duration::seconds(59));
    assert_eq!(ask(OTHER_PASSWORD).await.text(), "true");
    assert_eq!(app.mails().await.len(), 1);
    // The newest password counts, the code is the one that was sent.
    let code = app.code_for("ana@example.com").await;
    app.as_app(&shop, "completeSignup", json!({"handle": "ana@example.com", "code": code}))
        .await
        .field("jwt");
    let login =
        |password| app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": password}));
    assert_eq!(login(PASSWORD).await.error(), (400, 600));
    assert_eq!(login(OTHER_PASSWORD).await.status, 200);
}

async fn older_codes_of_ones_own_go_on_working(app: TestApp) {
    let shop = app.app("Shop").await;
    let body = json!({"handle": "ana@example.com", "password": PASSWORD});
    let mut codes = Vec::new();
    for _ in 0..4 {
        app.as_app(&shop, "signup", body.clone()).await;
        codes.push(app.code_for("ana@example.com").await);
        app.clock.advance(Duration::minutes(25));
    }
    assert_eq!(app.mails().await.len(), 4);
    let complete = |code: &String| {
        app.as_app(&shop, "completeSignup", json!({"handle": "ana@example.com", "code": code}))
    };
    // Three are live at once; the oldest went first.
    assert_eq!(complete(&codes[0]).await.error(), (400, 602));
    assert_eq!(complete(&codes[1]).await.status, 200);
    assert_ne!(complete(&codes[2]).await.status, 200);
}

async fn sec_126_a_strangers_password_never_gets_in(app: TestApp) {
    let shop = app.app("Shop").await;
    let ask = |peer: &'static str, password: &'static str| {
        let request = TestRequest::post()
            .uri("/api/appuser/signup")
            .insert_header(("app-token", shop.token.as_str()))
            .set_json(json!({"handle": "victim@example.com", "password": password}));
        app.send_from(peer, request)
    };
    assert_eq!(ask("192.0.2.1", PASSWORD).await.text(), "true");
    let victims_code = app.code_for("victim@example.com").await;
    app.clock.advance(Duration::minutes(5));
    assert_eq!(ask("198.51.100.7", OTHER_PASSWORD).await.text(), "true");
    assert_eq!(app.mails().await.len(), 2, "each attempt has a code of its own");
    let complete = json!({"handle": "victim@example.com", "code": victims_code});
    app.as_app(&shop, "completeSignup", complete).await.field("jwt");
    let login =
        |password| app.as_app(&shop, "login", json!({"handle": "victim@example.com", "password": password}));
    assert_eq!(login(PASSWORD).await.status, 200);
    assert_eq!(login(OTHER_PASSWORD).await.error(), (400, 600));
}

async fn sec_029_wrong_codes_are_counted_before_they_are_looked_at(app: TestApp) {
    let shop = app.app("Shop").await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let code = app.code_for("ana@example.com").await;
    let wrong = if code == "100000" { "100001" } else { "100000" };
    let try_from = |peer: &'static str, code: &str| {
        let request = TestRequest::post()
            .uri("/api/appuser/completeSignup")
            .insert_header(("app-token", shop.token.as_str()))
            .set_json(json!({"handle": "ana@example.com", "code": code}));
        app.send_from(peer, request)
    };
    for _ in 0..5 {
        assert_eq!(try_from("198.51.100.7", wrong).await.error(), (400, 602));
    }
    // The right one no longer helps the stranger; the owner, elsewhere, is not touched.
    assert_eq!(try_from("198.51.100.7", &code).await.error(), (400, 602));
    assert_eq!(try_from("192.0.2.1", &code).await.status, 200);
    // Who has spent his own tries gets a new code at once, and new tries with it.
    let ask = json!({"handle": "bob@example.com", "password": PASSWORD});
    app.as_app(&shop, "signup", ask.clone()).await;
    let complete = |code: String| {
        app.as_app(&shop, "completeSignup", json!({"handle": "bob@example.com", "code": code}))
    };
    for _ in 0..5 {
        assert_ne!(complete(wrong.to_owned()).await.status, 200);
    }
    let mails = app.mails().await.len();
    app.as_app(&shop, "signup", ask).await;
    assert_eq!(app.mails().await.len(), mails + 1);
    let code = app.code_for("bob@example.com").await;
    assert_eq!(complete(code).await.status, 200);
}

async fn a_fourth_source_gets_in_however_often_the_first_three_ask(app: TestApp) {
    let shop = app.app("Shop").await;
    let ask = |peer: &'static str| {
        let request = TestRequest::post()
            .uri("/api/appuser/signup")
            .insert_header(("app-token", shop.token.as_str()))
            .set_json(json!({"handle": "victim@example.com", "password": PASSWORD}));
        app.send_from(peer, request)
    };
    let crowd = ["198.51.100.1", "198.51.100.2", "198.51.100.3"];
    for _ in 0..2 {
        for peer in crowd {
            assert_eq!(ask(peer).await.text(), "true");
        }
        app.clock.advance(Duration::minutes(16));
    }
    let before = app.mails().await.len();
    assert_eq!(ask("192.0.2.1").await.text(), "true");
    assert_eq!(app.mails().await.len(), before + 1);
}

async fn sec_137_sign_ups_that_others_began_deny_nobody_theirs(app: TestApp) {
    let shop = app.app("Shop").await;
    let ask = async |peer: &str| {
        let body = json!({"handle": "victim@example.com", "password": PASSWORD});
        assert_eq!(app.as_app_from(peer, &shop, "signup", body).await.text(), "true");
    };
    for number in 0..8 {
        ask(&format!("2001:db8:1:{number}::1")).await;
    }
    let before = app.mails().await.len();
    ask("192.0.2.1").await;
    assert_eq!(app.mails().await.len(), before + 1);
    let complete = json!({"handle": "victim@example.com", "code": app.code_for("victim@example.com").await});
    assert_eq!(app.as_app_from("192.0.2.1", &shop, "completeSignup", complete).await.status, 200);
    // Nobody fills the database with sign-ups for which no code went out.
    for number in 0..60 {
        let body = json!({"handle": "new@example.com", "password": PASSWORD});
        app.as_app_from(&format!("198.51.100.{number}"), &shop, "signup", body).await;
    }
    let (id, handle) = (shop.id.parse().unwrap(), Handle::parse("new@example.com").unwrap());
    let kept =
        app.store.read("test", move |readers| readers.signups().list(id, &handle)).await.unwrap().len();
    assert!((10..=30).contains(&kept), "{kept}");
}

async fn the_swift_sdks_form_bodies_work(app: TestApp) {
    let shop = app.app("Shop").await;
    let form = |path: &'static str, body: String| {
        let request = TestRequest::post()
            .uri(path)
            .insert_header(("app-token", shop.token.as_str()))
            .insert_header(("content-type", "application/x-www-form-urlencoded; charset=utf-8"))
            .set_payload(body);
        app.send(request)
    };
    let handle = "a+b@example.com";
    let body = format!("handle=a%2Bb@example.com&password={PASSWORD}&metaData={{\"x\":\"100% ü; y\"}}");
    assert_eq!(form("//api/appuser/signup", body).await.text(), "true");
    let code = app.code_for(handle).await;
    let done = form("/api/appuser/completesignup/", format!("handle=a%2Bb@example.com&code={code}")).await;
    assert_eq!(app.claims(&shop, &done.field("jwt")).await["sub"], handle);
}

async fn sec_058_nothing_in_a_body_changes_who_one_is(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    let mut extra = json!({
        "owner": "server", "scope": "server", "appId": other.id, "userId": "x", "status": "suspend", "uid": "y",
        "phoneVerified": true, "epoch": 99,
    });
    let mut with = |fields: serde_json::Value| {
        for (name, value) in fields.as_object().unwrap() {
            extra[name] = value.clone();
        }
        extra.clone()
    };
    app.as_app(&shop, "signup", with(json!({"handle": "ana@example.com", "password": PASSWORD}))).await;
    let code = app.code_for("ana@example.com").await;
    let tokens =
        app.as_app(&shop, "completeSignup", with(json!({"handle": "ana@example.com", "code": code}))).await;
    let access = tokens.field("access-token");
    let user = app.get("/api/appuser/getUser", ("access-token", &access)).await;
    assert_eq!((user.field("appId"), user.field("status")), (shop.id.clone(), "active".to_owned()));
    assert_eq!(app.get("/api/app/allApps", ("server-secret", &access)).await.error(), (403, 500));
    let login =
        app.as_app(&shop, "login", with(json!({"handle": "ana@example.com", "password": PASSWORD}))).await;
    assert_eq!(
        app.get("/api/app/allApps", ("server-secret", &login.field("access-token"))).await.error(),
        (403, 500)
    );
}

async fn without_a_code_the_account_exists_at_once(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let body = json!({"handle": "ana@example.com", "password": PASSWORD});
    let answer = app.as_app(&shop, "signup", body.clone()).await;
    assert_eq!(answer.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["access-token", "jwt"]);
    assert_eq!(app.claims(&shop, &answer.field("jwt")).await["sub"], "ana@example.com");
    assert_eq!(app.mails().await[0].subject, "Welcome to Shop");
    assert_eq!(app.as_app(&shop, "signup", body.clone()).await.error(), (400, 601));
    assert_eq!(app.as_app(&shop, "login", body).await.status, 200);
    // A handle that is no address is good where one can sign in with it; there is only nothing to mail to.
    let plain = json!({"handle": "ana", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "signup", plain.clone()).await.error(), (400, 602));
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    assert_eq!(app.as_app(&shop, "signup", plain.clone()).await.status, 200);
    assert_eq!(app.as_app(&shop, "login", plain).await.status, 200);
    assert_eq!(app.mails().await.len(), 1);
}

async fn sec_061_the_recommended_preset_names_users_by_id(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Recommended).await;
    let weak = json!({"handle": "ana@example.com", "rawPassword": "seven77"});
    assert_eq!(app.as_app(&shop, "signup", weak).await.error(), (400, 602));
    let body = json!({"handle": "ana@example.com", "rawPassword": "eight888"});
    let answer = app.as_app(&shop, "signup", body).await;
    let claims = app.claims_for(&shop, &answer.field("jwt"), &shop.id).await;
    assert_eq!(claims["iss"], format!("https://auth.example.com/apps/{}", shop.id));
    let sub = claims["sub"].as_str().unwrap();
    assert!(sub.len() == 32 && sub.bytes().all(|b| b.is_ascii_hexdigit()), "{sub}");
    let served = app.get("/api/appuser/getApplication", ("app-token", &shop.token)).await.json();
    assert_eq!((&served["passwordMinLength"], &served["passwordFilter"]), (&json!(8), &json!(true)));
}

async fn one_of_64_sign_ups_of_one_handle_makes_the_user(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let body = json!({"handle": "ana@example.com", "password": PASSWORD});
    let racers = (0..64).map(|_| app.as_app(&shop, "signup", body.clone()));
    let answers = futures_util::future::join_all(racers).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| answer.error() == (400, 601)));
    // None, if those who lost held the address's right to mail when the winner asked for it.
    assert!(app.mails().await.len() <= 1);
}

/// However many come at once.
async fn a_hosted_application_has_50_users(store: Store) {
    let app = TestApp::with(store, |settings| settings.server.mode = "hosted".to_owned()).await;
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let people = (0..60).map(|number| {
        let body = json!({"handle": format!("u{number}@example.com"), "password": PASSWORD});
        app.as_app(&shop, "signup", body)
    });
    let answers = futures_util::future::join_all(people).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 50);
    assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| answer.error() == (400, 407)));
}

#[actix_web::test]
async fn sqlite_lets_50_users_into_a_hosted_application() {
    let database = latchkey_test_support::TestDatabase::sqlite();
    a_hosted_application_has_50_users(database.store()).await;
}

#[actix_web::test]
async fn postgres_lets_50_users_into_a_hosted_application() {
    let database = latchkey_test_support::TestDatabase::postgres();
    a_hosted_application_has_50_users(database.store()).await;
}
