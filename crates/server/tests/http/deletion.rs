//! `deleteAccount`, and what a deleted handle leaves behind.

use latchkey_domain::Preset;
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    checks_are_made_in_order,
    sec_038_a_deleted_handle_passes_nothing_on,
    sec_038_a_deleted_handle_can_stay_taken,
    sec_091_a_removed_user_takes_waiting_messages_along,
);

async fn checks_are_made_in_order(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    app.user(&shop, "bob@example.com").await;
    let own = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "deleteAccount", own.clone()).await.error(), (400, 403));
    for (body, code) in [
        (json!({}), 403),
        (json!({"handle": "ana@example.com"}), 602),
        (json!({"password": PASSWORD}), 602),
        (json!({"token": "x"}), 602),
        (json!({"handle": "bob@example.com", "password": PASSWORD}), 600),
        (json!({"handle": "ana", "password": PASSWORD}), 606),
        (json!({"handle": "ana@example.com", "password": OTHER_PASSWORD}), 600),
        (json!({"handle": "ana@example.com", "password": "short"}), 600),
        (json!({"handle": "ana@example.com", "password": 1}), 600),
    ] {
        assert_eq!(app.as_user(&ana, "deleteAccount", body.clone()).await.error(), (400, code), "{body}");
    }
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    assert_eq!(
        app.as_user(&ana, "deleteAccount", json!({"handle": "bob", "password": PASSWORD})).await.error(),
        (400, 600)
    );
    app.as_user(&ana, "setUserName", json!({"userName": "ana"})).await;
    app.set(&shop, "status", "status", json!("inactive")).await;
    assert_eq!(app.as_user(&ana, "deleteAccount", own.clone()).await.error(), (400, 402));
    app.set(&shop, "status", "status", json!("active")).await;
    let by_name = json!({"handle": " ANA ", "password": PASSWORD});
    assert_eq!(app.as_user(&ana, "deleteAccount", by_name).await.text(), "true");
    assert_eq!(app.as_app(&shop, "login", own).await.error(), (400, 600));
}

async fn sec_038_a_deleted_handle_passes_nothing_on(app: TestApp) {
    let shop = app.app("Shop").await;
    let fields = json!([{"path": "colour", "fieldName": "c", "canEdit": true}]);
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await;
    let old = app.user(&shop, "ana@example.com").await;
    app.as_user(&old, "setUserMetadata", json!({"metaData": r#"{"colour":"red"}"#})).await;
    let old_id = app.user_id(&shop, "ana@example.com").await;
    app.as_app(&shop, "forgotPassword", json!({"handle": "ana@example.com"})).await;
    let old_code = app.code_for("ana@example.com").await;
    app.clock.advance(Duration::minutes(2));
    let own = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_user(&old, "deleteAccount", own).await.text(), "true");
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &old)).await.error(), (400, 405));

    let new = app.user(&shop, "ana@example.com").await;
    assert_ne!(app.user_id(&shop, "ana@example.com").await, old_id);
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &old)).await.error(), (400, 405));
    let user = app.get("/api/appuser/getUser", ("access-token", &new)).await.json();
    assert_eq!(user.get("metaData"), None::<&Value>);
    let reset = json!({"handle": "ana@example.com", "password": OTHER_PASSWORD, "code": old_code});
    assert_eq!(app.as_app(&shop, "resetPassword", reset).await.error(), (400, 602));
}

async fn sec_038_a_deleted_handle_can_stay_taken(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "handleHoldDays", "handleHoldDays", json!(30)).await;
    let own = json!({"handle": "kiss@example.com", "password": PASSWORD});
    let access = app.as_app(&shop, "signup", own.clone()).await.field("access-token");
    assert_eq!(app.as_user(&access, "deleteAccount", own.clone()).await.text(), "true");
    let look_alike = json!({"handle": "\u{212A}iss@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "signup", look_alike).await.error(), (400, 601));
    app.clock.advance(Duration::days(30));
    assert_eq!(app.as_app(&shop, "signup", own).await.status, 200);
}

async fn sec_091_a_removed_user_takes_waiting_messages_along(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    for handle in ["bob@example.com", "eve@example.com"] {
        app.user(&shop, handle).await;
    }
    let sent = app.mails().await.len();
    for handle in ["ana@example.com", "bob@example.com", "eve@example.com"] {
        let asked = app.as_app(&shop, "forgotPassword", json!({ "handle": handle })).await;
        assert_eq!(asked.text(), "true", "{handle}");
    }
    let own = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_user(&ana, "deleteAccount", own).await.text(), "true");
    let removed = app.admin("removeUser", json!({"appId": shop.id, "handle": "BOB@example.com"})).await;
    assert_eq!(removed.status, 200);
    let mails = app.mails().await;
    let to: Vec<_> = mails.iter().skip(sent).map(|mail| mail.to.bare()).collect();
    assert_eq!(to, ["eve@example.com"]);
}
