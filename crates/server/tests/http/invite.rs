//! `invite` and `register`.

use latchkey_storage::Store;
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{GOOD_PASSWORD, Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    an_invited_person_becomes_a_user,
    checks_of_invite_are_made_in_order,
    checks_of_register_are_made_in_order,
    sec_028_one_of_20_right_invitation_codes_registers,
    an_invitation_is_good_for_a_week,
    sec_110_a_user_sends_20_invitations_a_day,
);

async fn invite<S: Store>(app: &TestApp<S>, access: &str, handle: &str) {
    let body = json!({"handle": handle, "senderUserId": "me"});
    let answer = app.as_user(access, "invite", body).await;
    assert_eq!(answer.text(), "true");
}

async fn register<S: Store>(
    app: &TestApp<S>,
    shop: &Made,
    handle: &str,
    code: &str,
) -> crate::harness::Answer {
    app.as_app(shop, "register", json!({"handle": handle, "password": PASSWORD, "code": code})).await
}

async fn an_invited_person_becomes_a_user<S: Store>(app: TestApp<S>) {
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

async fn checks_of_invite_are_made_in_order<S: Store>(app: TestApp<S>) {
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

async fn checks_of_register_are_made_in_order<S: Store>(app: TestApp<S>) {
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
        (full(json!({"locale": "FR"})), 602),
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
    // Whoever is a user already keeps the invitation's code unburnt and hears why.
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

async fn sec_028_one_of_20_right_invitation_codes_registers<S: Store>(app: TestApp<S>) {
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

async fn an_invitation_is_good_for_a_week<S: Store>(app: TestApp<S>) {
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

async fn sec_110_a_user_sends_20_invitations_a_day<S: Store>(app: TestApp<S>) {
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
