//! The claim `email_verified`, by the way in which a user was made.

use latchkey_domain::{Handle, Provider, SocialIdentity, User};
use serde_json::{Value, json};

use crate::harness::{Made, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;
use crate::provider::{GOOGLE, token};
use crate::social::shop;

on_every_store!(
    sec_140_what_proves_an_address_verifies_it,
    sec_140_a_sign_up_without_proof_is_not_verified_until_a_reset,
    sec_140_a_provider_verifies_the_address_of_an_imported_user,
);

async fn verified(app: &TestApp, shop: &Made, jwt: &str) -> [Value; 2] {
    let claims = app.claims(shop, jwt).await;
    ["email", "email_verified"].map(|name| claims.get(name).cloned().unwrap_or_default())
}

async fn log_in(app: &TestApp, shop: &Made, handle: &str, password: &str) -> String {
    app.as_app(shop, "login", json!({"handle": handle, "password": password})).await.field("jwt")
}

async fn sec_140_what_proves_an_address_verifies_it(app: TestApp) {
    let shop = shop(&app).await;
    let ana = app.user(&shop, "ana@example.com").await;
    let jwt = log_in(&app, &shop, "ana@example.com", PASSWORD).await;
    assert_eq!(verified(&app, &shop, &jwt).await, [json!("ana@example.com"), json!(true)], "code");

    let body = json!({"handle": "bob@example.com", "senderUserId": "me"});
    assert_eq!(app.as_user(&ana, "invite", body).await.text(), "true");
    let code = app.code_for("bob@example.com").await;
    let body = json!({"handle": "bob@example.com", "password": PASSWORD, "code": code});
    let jwt = app.as_app(&shop, "register", body).await.field("jwt");
    assert_eq!(verified(&app, &shop, &jwt).await, [json!("bob@example.com"), json!(true)], "invitation");

    let id_token = token(GOOGLE, "g-1", "cy@example.com");
    let jwt = app.social_signup(&shop, "google", &id_token, "cy@example.com").await.field("jwt");
    assert_eq!(verified(&app, &shop, &jwt).await, [json!("cy@example.com"), json!(true)], "provider");
    let users = app.admin_get(&format!("searchUser?appId={}&value=example", shop.id)).await.json();
    let told: Vec<_> = users.as_array().unwrap().iter().map(|user| user["emailVerified"].clone()).collect();
    assert_eq!(told, vec![json!(true); 3]);
}

async fn sec_140_a_sign_up_without_proof_is_not_verified_until_a_reset(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "signupFlow", "signupFlow", json!("none")).await;
    let body = json!({"handle": "ana@example.com", "password": PASSWORD});
    let jwt = app.as_app(&shop, "signup", body).await.field("jwt");
    assert_eq!(verified(&app, &shop, &jwt).await, [json!("ana@example.com"), json!(false)]);
    let body = json!({"appId": shop.id, "handle": "bob@example.com", "password": PASSWORD});
    app.admin("addUser", body).await;
    // Neither an operator who adds a user nor one who sets a password proves anything.
    for handle in ["ana@example.com", "bob@example.com"] {
        let id = app.user_id(&shop, handle).await;
        let body = json!({"appId": shop.id, "userId": id, "hashValue": OTHER_PASSWORD});
        let set = app.admin("resetUserPassword", body).await;
        assert_eq!(set.status, 200, "{}", set.text());
        let jwt = log_in(&app, &shop, handle, OTHER_PASSWORD).await;
        assert_eq!(verified(&app, &shop, &jwt).await, [json!(handle), json!(false)]);
        let body = json!({"appId": shop.id, "userId": id, "hashValue": PASSWORD});
        assert_eq!(app.admin("resetUserPassword", body).await.status, 200);
    }
    for (handle, other) in [("ana@example.com", "bob@example.com"), ("bob@example.com", "ana@example.com")] {
        let before = log_in(&app, &shop, other, if other < handle { OTHER_PASSWORD } else { PASSWORD }).await;
        let [_, of_other] = verified(&app, &shop, &before).await;
        assert_eq!(app.as_app(&shop, "forgotPassword", json!({ "handle": handle })).await.text(), "true");
        let code = app.code_for(handle).await;
        let body = json!({"handle": handle, "password": OTHER_PASSWORD, "code": code});
        assert_eq!(app.as_app(&shop, "resetPassword", body).await.text(), "true");
        let jwt = log_in(&app, &shop, handle, OTHER_PASSWORD).await;
        assert_eq!(verified(&app, &shop, &jwt).await, [json!(handle), json!(true)]);
        let after = log_in(&app, &shop, other, if other < handle { OTHER_PASSWORD } else { PASSWORD }).await;
        assert_eq!(verified(&app, &shop, &after).await[1], of_other, "a reset verifies one address only");
    }

    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    let jwt = app.as_app(&shop, "loginAnonymous", json!({"handle": "ANON_1"})).await.field("jwt");
    assert_eq!(verified(&app, &shop, &jwt).await, [Value::Null, Value::Null]);
}

async fn sec_140_a_provider_verifies_the_address_of_an_imported_user(app: TestApp) {
    let shop = shop(&app).await;
    app.user(&shop, "ana@example.com").await;
    let (id, handle) = (shop.id.parse().unwrap(), Handle::parse("ana@example.com").unwrap());
    let find = app.store.read("test", move |readers| readers.users().find_by_handle(id, &handle));
    let social = Some(SocialIdentity { provider: Provider::Google, subject: None });
    // As an import leaves a user of whom only the provider was known.
    let user = User { social, email_verified: false, ..find.await.unwrap().unwrap() };
    app.replace_user(user).await;
    for attempt in ["binds", "comes back"] {
        let jwt =
            app.social_login(&shop, "google", &token(GOOGLE, "g-1", "ana@example.com")).await.field("jwt");
        assert_eq!(verified(&app, &shop, &jwt).await[1], json!(true), "{attempt}");
        app.clock.advance(time::Duration::seconds(1));
    }
}
