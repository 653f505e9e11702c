//! The audit log: one entry per act, with who, from where, and what came of it, and no secret in it.

use latchkey_domain::Actor;
use serde_json::json;
use time::Duration;

use crate::harness::{GOOD_PASSWORD, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;
use crate::provider::{GOOGLE, token};

on_every_store!(
    sec_104_every_act_has_one_entry,
    sec_104_entries_of_a_provider_name_it_and_the_user,
    entries_go_when_their_time_is_over,
);

async fn sec_104_entries_of_a_provider_name_it_and_the_user(app: TestApp) {
    let shop = crate::social::shop(&app).await;
    let id_token = |subject: &str| token(GOOGLE, subject, "ana@example.com");
    assert_eq!(app.social_signup(&shop, "google", &id_token("g-1"), "ana@example.com").await.status, 200);
    let id = app.user_id(&shop, "ana@example.com").await;
    app.clock.advance(Duration::seconds(1));
    assert_eq!(app.social_login(&shop, "google", &id_token("g-1")).await.status, 200);
    for action in ["socialSignup", "socialLogin"] {
        let entries = app.audit(&shop).await;
        let entry = entries.iter().find(|entry| entry.action == action).unwrap();
        let user = entry.user_id.map(|user| user.to_string());
        assert_eq!((user, entry.detail.as_deref()), (Some(id.clone()), Some("google")), "{action}");
    }
}

async fn sec_104_every_act_has_one_entry(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    let fields = json!([{"path": "colour", "canEdit": true}]);
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await;
    let ana = app.user(&shop, "ana@example.com").await;
    let own = json!({"handle": "ana@example.com", "password": PASSWORD});
    app.as_app(&shop, "login", own.clone()).await;
    app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": OTHER_PASSWORD})).await;
    app.as_app(&shop, "loginAnonymous", json!({"handle": "ANON_1"})).await;
    app.as_user(&ana, "setLocale", json!({"locale": "EN"})).await;
    app.as_user(&ana, "setUserName", json!({"userName": "ana"})).await;
    app.as_user(&ana, "setUserMetadata", json!({"metaData": r#"{"colour":"canary-value"}"#})).await;
    app.as_user(&ana, "invite", json!({"handle": "bob@example.com", "senderUserId": "me"})).await;
    let invite_code = app.code_for("bob@example.com").await;
    let register = json!({"handle": "bob@example.com", "password": PASSWORD, "code": invite_code});
    app.as_app(&shop, "register", register).await;
    app.as_app(&shop, "forgotPassword", json!({"handle": "ana@example.com"})).await;
    let code = app.code_for("ana@example.com").await;
    let reset = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD, "code": code});
    app.as_app(&shop, "resetPassword", reset.clone()).await;
    app.as_app(&shop, "resetPassword", reset).await;
    let login = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD});
    let ana = app.as_app(&shop, "login", login).await.field("access-token");
    let change = json!({"password": OTHER_PASSWORD, "newPassword": GOOD_PASSWORD});
    app.as_user(&ana, "changePassword", change).await;
    let delete = json!({"handle": "ana@example.com", "password": GOOD_PASSWORD});
    app.as_user(&ana, "deleteAccount", delete).await;
    app.as_app(&shop, "signup", json!({"handle": "bob@example.com", "password": PASSWORD})).await;
    // What never reached a use case leaves nothing.
    app.as_app(&shop, "login", json!({})).await;
    app.post("/api/appuser/login", ("app-token", "nonsense"), own).await;

    let entries = app.audit(&shop).await;
    // Within one moment, entries have no order.
    let mut acts: Vec<String> = entries
        .iter()
        .filter(|entry| !entry.action.starts_with("mail."))
        .map(|entry| {
            let actor = match entry.actor {
                Actor::Client => "client",
                Actor::User => "user",
                Actor::Operator => "operator",
                Actor::Server => "server",
            };
            let about = if entry.user_id.is_some() { " about a user" } else { "" };
            format!(
                "{} {} by {actor}{about} {}",
                entry.action,
                entry.result,
                entry.handle.clone().unwrap_or_default()
            )
        })
        .collect();
    acts.sort();
    insta::assert_snapshot!("audit", acts.join("\n"));
    assert!(entries.iter().filter(|entry| entry.action == "mail.sent").count() >= 5);
    let address = Some("192.0.2.1".parse().unwrap());
    assert!(
        entries
            .iter()
            .filter(|e| e.actor != Actor::Server && e.action != "create")
            .all(|entry| entry.address == address)
    );
    let all = format!("{entries:?}");
    for canary in [
        "canary",
        PASSWORD,
        OTHER_PASSWORD,
        GOOD_PASSWORD,
        &code,
        &invite_code,
        &ana,
        &shop.token,
        "ana@example.com",
    ] {
        assert!(!all.contains(canary), "{canary}");
    }
}

async fn entries_go_when_their_time_is_over(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    assert!(!app.audit(&shop).await.is_empty());
    app.clock.advance(Duration::days(91));
    assert!(app.service.purge_if_due().await.unwrap() > 0);
    assert!(app.audit(&shop).await.is_empty());
    // The account is still there, of course.
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "login", login).await.status, 200);
}
