//! `invite` and `register`.

use latchkey_domain::Preset;
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{GOOD_PASSWORD, Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_029_many_inviters_do_not_make_a_code_easier_to_guess,
    sec_029_many_who_ask_for_codes_do_not_make_one_easier_to_guess,
    an_invited_person_becomes_a_user,
    checks_of_invite_are_made_in_order,
    checks_of_register_are_made_in_order,
    sec_028_one_of_20_right_invitation_codes_registers,
    an_invitation_is_good_for_a_week,
    sec_110_a_user_sends_20_invitations_a_day,
    sec_037_who_is_suspended_or_gone_lets_nobody_in,
);

async fn invite(app: &TestApp, access: &str, handle: &str) {
    let body = json!({"handle": handle, "senderUserId": "me"});
    let answer = app.as_user(access, "invite", body).await;
    assert_eq!(answer.text(), "true");
}

async fn register(app: &TestApp, shop: &Made, handle: &str, code: &str) -> crate::harness::Answer {
    app.as_app(shop, "register", json!({"handle": handle, "password": PASSWORD, "code": code})).await
}

async fn an_invited_person_becomes_a_user(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    let fields = json!([{"path": "team.name", "fieldName": "team", "required": true}]);
    app.admin("updateAppInviteMetaData", json!({"appId": shop.id, "metaDataInvite": fields})).await;
    let own = json!([{"path": "team.role", "fieldName": "x", "canEdit": true}]);
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": own})).await;
    let body = json!({
        "handle": " Bob@Example.com", "senderUserId": "me", "metaData": r#"{"team":{"name":" Red "}}"#,
    });
    assert_eq!(app.as_user(&ana, "invite", body).await.text(), "true");
    assert_eq!(app.mail("Account invitation for Shop").await.to.to_string(), "bob@example.com");
    let code = app.code_for("bob@example.com").await;
    // Sign-ups may be off: invitations do not depend on them.
    app.set(&shop, "signup", "signupEnabled", json!(false)).await;
    let body = json!({
        "handle": "BOB@example.com", "password": PASSWORD, "code": code,
        "metaData": r#"{"team":{"role":"keeper","name":"Blue"}}"#,
    });
    let tokens = app.as_app(&shop, "register", body).await;
    let claims = app.claims(&shop, &tokens.field("jwt")).await;
    assert_eq!(claims["team"], json!({"role": "keeper", "name": "Red"}), "the invitation's values win");
    let welcomed = app.mails().await.iter().filter(|mail| mail.subject == "Welcome to Shop").count();
    assert_eq!(welcomed, 2);
    let login = app.as_app(&shop, "login", json!({"handle": "bob@example.com", "password": PASSWORD})).await;
    assert_eq!(login.status, 200);
    assert_eq!(register(&app, &shop, "bob@example.com", &code).await.error(), (400, 601));
    let again = app
        .as_user(
            &ana,
            "invite",
            json!({"handle": "bob@example.com", "senderUserId": "x",
        "metaData": r#"{"team":{"name":"Red"}}"#}),
        )
        .await;
    assert_eq!(again.error(), (400, 601));
    // What the invitation brought stays, whatever its bearer sends later.
    let bob = login.field("access-token");
    assert_eq!(app.as_user(&bob, "setUserMetadata", json!({"metaData": "{}"})).await.text(), "true");
    let user = app.get("/api/appuser/getUser", ("access-token", &bob)).await.json();
    assert_eq!(user["metaData"], json!({"team": {"name": "Red"}}));
}

async fn checks_of_invite_are_made_in_order(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    let fields = json!([{"path": "team", "fieldName": "team", "required": true}]);
    app.admin("updateAppInviteMetaData", json!({"appId": shop.id, "metaDataInvite": fields})).await;
    let full = |data: Value| json!({"handle": "b@example.com", "senderUserId": "me", "metaData": data});
    // The Kotlin SDK sends its app token here, which names no sender.
    assert_eq!(app.as_app(&shop, "invite", full(json!("{}"))).await.error(), (400, 403));
    for (body, code) in [
        (json!({}), 403),
        (json!({"handle": "b@example.com"}), 403),
        (json!({"handle": 1, "senderUserId": "me"}), 602),
        (full(json!(null)), 604),
        (full(json!("nonsense")), 604),
        (full(json!(r#"{"team":1}"#)), 604),
        (json!({"handle": "no address", "senderUserId": "me", "metaData": r#"{"team":"a"}"#}), 602),
    ] {
        assert_eq!(app.as_user(&ana, "invite", body.clone()).await.error(), (400, code), "{body}");
    }
    app.set(&shop, "invite", "invitationEnabled", json!(false)).await;
    assert_eq!(app.as_user(&ana, "invite", full(json!(null))).await.error(), (400, 406));
    app.set(&shop, "status", "status", json!("inactive")).await;
    assert_eq!(app.as_user(&ana, "invite", full(json!(null))).await.error(), (400, 402));
}

async fn checks_of_register_are_made_in_order(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    invite(&app, &ana, "bob@example.com").await;
    let code = app.code_for("bob@example.com").await;
    let fields = json!([{"path": "name", "fieldName": "n", "required": true}]);
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await;
    let full = |extra: Value| {
        let mut body = json!({"handle": "bob@example.com", "password": PASSWORD, "code": code});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let wrong = if code == "100000" { "100001" } else { "100000" };
    for (body, expected) in [
        (json!({}), 403),
        (full(json!({"password": null})), 403),
        (full(json!({"code": ""})), 403),
        (full(json!({"password": "short"})), 602),
        (full(json!({"code": " "})), 602),
        (full(json!({"code": wrong})), 602),
        (full(json!({"handle": "other@example.com"})), 602),
        (full(json!({"locale": ["FR"]})), 602),
        (full(json!({})), 604),
        (full(json!({"metaData": "nonsense"})), 602),
        (full(json!({"metaData": r#"{"name":1}"#})), 602),
    ] {
        assert_eq!(app.as_app(&shop, "register", body.clone()).await.error(), (400, expected), "{body}");
    }
    let body = full(json!({}));
    let nobody = app.post("/api/appuser/register", ("x", "y"), body.clone()).await;
    assert_eq!(nobody.error(), (400, 403));
    app.set(&shop, "invite", "invitationEnabled", json!(false)).await;
    assert_eq!(app.as_app(&shop, "register", body).await.error(), (400, 406));
    app.set(&shop, "invite", "invitationEnabled", json!(true)).await;
    // An existing user is told so, and the invitation's code is not used up.
    app.as_app(
        &shop,
        "signup",
        json!({"handle": "bob@example.com", "password": GOOD_PASSWORD,
        "metaData": r#"{"name":"B"}"#}),
    )
    .await;
    let signup_code = app.code_for("bob@example.com").await;
    app.as_app(&shop, "completeSignup", json!({"handle": "bob@example.com", "code": signup_code}))
        .await
        .field("jwt");
    let body = full(json!({"metaData": r#"{"name":"B"}"#}));
    assert_eq!(app.as_app(&shop, "register", body).await.error(), (400, 601));
}

async fn sec_028_one_of_20_right_invitation_codes_registers(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    invite(&app, &ana, "bob@example.com").await;
    let code = app.code_for("bob@example.com").await;
    let racers: Vec<_> = (0..20).map(|_| register(&app, &shop, "bob@example.com", &code)).collect();
    let answers = futures_util::future::join_all(racers).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        // Too many at once look like too many tries; nobody else gets in either way.
        assert!(matches!(answer.error(), (400, 601 | 602)), "{}", answer.text());
    }
}

async fn an_invitation_is_good_for_a_week(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    for (handle, wait, expected) in [
        ("early@example.com", Duration::days(7) - Duration::seconds(1), 200),
        ("late@example.com", Duration::days(7), 400),
    ] {
        invite(&app, &ana, handle).await;
        let code = app.code_for(handle).await;
        app.clock.advance(wait);
        assert_eq!(register(&app, &shop, handle, &code).await.status.as_u16(), expected, "{handle}");
    }
}

async fn sec_037_who_is_suspended_or_gone_lets_nobody_in(app: TestApp) {
    let shop = app.app("Shop").await;
    let (ana, bo) = (app.user(&shop, "ana@example.com").await, app.user(&shop, "bo@example.com").await);
    let ana_id = app.user_id(&shop, "ana@example.com").await;
    for (access, handle) in [(&ana, "a1@example.com"), (&ana, "a2@example.com"), (&bo, "b1@example.com")] {
        invite(&app, access, handle).await;
    }
    let try_to_register = async |handle: &str| {
        let code = app.code_for(handle).await;
        register(&app, &shop, handle, &code).await
    };
    let status = |status: &str| json!({"appId": shop.id, "userId": ana_id, "status": status});
    app.admin("user", status("suspend")).await;
    app.admin("removeUser", json!({"appId": shop.id, "handle": "bo@example.com"})).await;
    assert_eq!(try_to_register("a1@example.com").await.error(), (400, 602));
    assert_eq!(try_to_register("b1@example.com").await.error(), (400, 602));
    app.admin("user", status("active")).await;
    assert_eq!(try_to_register("a2@example.com").await.status, 200);
}

async fn sec_110_a_user_sends_20_invitations_a_day(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    for number in 0..20 {
        invite(&app, &ana, &format!("u{number}@example.com")).await;
    }
    let body = json!({"handle": "last@example.com", "senderUserId": "me"});
    let refused = app.as_user(&ana, "invite", body.clone()).await;
    assert_eq!(refused.error(), (429, 500));
    app.clock.advance(Duration::days(1));
    assert_eq!(app.as_user(&ana, "invite", body).await.text(), "true");
}

/// The codes that were mailed to a handle, the short ones first.
async fn codes_for(app: &TestApp, handle: &str) -> Vec<String> {
    let mails = app.mails().await;
    let own = mails.iter().filter(|mail| mail.to.to_string() == handle);
    let code = |text: &str| {
        let digits: String = text.chars().map(|c| if c.is_ascii_digit() { c } else { ' ' }).collect();
        digits.split(' ').find(|word| word.len() >= 6).map(str::to_owned)
    };
    let mut codes: Vec<String> = own.filter_map(|mail| code(&mail.text)).collect();
    codes.sort_by_key(String::len);
    codes
}

/// How many wrong codes are compared in a day, each from another address. After so many, the right one is refused.
async fn guesses(app: &TestApp, shop: &Made, (handle, right): (&str, &str)) -> u32 {
    let body = |code: &str| json!({"handle": handle, "password": PASSWORD, "code": code});
    for number in 0..100_u32 {
        let peer = format!("203.0.113.{number}");
        // The right code is told by what is refused after it: a required field has no value.
        let answer = app.as_app_from(&peer, shop, "register", body(right)).await;
        if answer.text() == app.as_app_from(&peer, shop, "register", body("111111")).await.text() {
            return number;
        }
    }
    panic!("guessing never ends");
}

async fn sec_029_many_inviters_do_not_make_a_code_easier_to_guess(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    for number in 0..10 {
        let body = json!({"handle": format!("u{number}@example.com"), "password": GOOD_PASSWORD});
        let access = app.as_app(&shop, "signup", body).await.field("access-token");
        invite(&app, &access, "cyd@example.com").await;
    }
    let fields = json!([{"path": "nick", "required": true, "canEdit": true}]);
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await;
    let codes = codes_for(&app, "cyd@example.com").await;
    let lengths: Vec<usize> = codes.iter().map(String::len).collect();
    assert_eq!(lengths, [6, 8, 8, 8, 8, 8, 8, 8, 8, 8]);
    let body = |code: &str| json!({"handle": "cyd@example.com", "password": PASSWORD, "code": code, "metaData": {"nick": "C"}});
    let guesses = f64::from(guesses(&app, &shop, ("cyd@example.com", &codes[0])).await);
    // Section 3 of the security bar: sixty wrong tries a day for one subject, 6.7e-5. One guess is at the code of six
    // digits or at the nine of eight.
    let of_six = guesses / 900_000.0;
    let of_eight = guesses * 9.0 / 90_000_000.0;
    assert!(of_six.max(of_eight) <= 6.7e-5, "{guesses} guesses: {of_six} {of_eight}");
    assert!(guesses >= 45.0, "typing errors are still forgiven: {guesses}");
    // A day later every live invitation works: the last one and the first.
    app.clock.advance(Duration::days(1));
    let last = app.as_app_from("203.0.114.1", &shop, "register", body(&codes[9])).await;
    assert_eq!(last.status, 200, "{}", last.text());
}

async fn sec_029_many_who_ask_for_codes_do_not_make_one_easier_to_guess(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    for number in 0..5 {
        let peer = format!("198.51.100.{number}");
        let asked =
            app.as_app_from(&peer, &shop, "forgotPassword", json!({"handle": "ana@example.com"})).await;
        assert_eq!(asked.text(), "true");
    }
    let codes = codes_for(&app, "ana@example.com").await;
    let lengths: Vec<_> = codes.iter().map(String::len).collect();
    assert_eq!(lengths, [6, 6, 8, 8, 8, 8], "one of the sign-up, one of the reset");
    // The same of open sign-ups.
    for number in 0..3 {
        let body = json!({"handle": "dan@example.com", "password": PASSWORD});
        app.as_app_from(&format!("198.51.100.{number}"), &shop, "signup", body).await;
        // Each mail leaves before the next is written: whose code is whose follows from their order.
        app.mails().await;
    }
    let codes = codes_for(&app, "dan@example.com").await;
    assert_eq!(codes.iter().map(String::len).collect::<Vec<_>>(), [6, 8, 8]);
    let body = json!({"handle": "dan@example.com", "code": codes[2]});
    assert_eq!(app.as_app_from("198.51.100.2", &shop, "completeSignup", body).await.status, 200);
}
