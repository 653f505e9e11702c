//! Keys and app tokens of an application change while tokens are out.

use latchkey_domain::Clock as _;
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_066_a_key_is_published_before_it_signs_and_after,
    a_second_rotation_waits_for_the_first,
    a_leaked_key_goes_at_once,
    a_longer_life_of_tokens_keeps_the_old_key,
    sec_066_a_shorter_life_of_tokens_keeps_the_key_of_long_ones,
    a_new_app_token_ends_the_old_one,
);

async fn kids(app: &TestApp, shop: &Made) -> Vec<String> {
    let keys = app.get(&format!("/apps/{}/.well-known/jwks.json", shop.id), ("x", "")).await.json();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn states(app: &TestApp, shop: &Made) -> Vec<String> {
    let keys = app.admin_get(&format!("appKeys?appId={}", shop.id)).await.json();
    keys["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
}

async fn jwt(app: &TestApp, shop: &Made) -> String {
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    app.as_app(shop, "login", login).await.field("jwt")
}

fn kid_of(jwt: &str) -> String {
    use base64::Engine as _;
    let header = jwt.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn sec_066_a_key_is_published_before_it_signs_and_after(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let old = kids(&app, &shop).await;
    let rotated = app.admin("rotateAppKey", json!({"appId": shop.id})).await.json();
    assert_eq!(rotated["keys"].as_array().unwrap().len(), 2);
    assert_eq!(states(&app, &shop).await, ["current", "next"]);
    // Every quarter of an hour, for three days: what a consumer fetched at most 15 minutes ago verifies all tokens
    // that are alive.
    let (mut cached, mut live) = (kids(&app, &shop).await, Vec::new());
    let mut signers = std::collections::BTreeSet::new();
    assert_eq!(cached.first(), old.first(), "the one that signs comes first");
    for _ in 0..(3 * 24 * 4) {
        let token = jwt(&app, &shop).await;
        signers.insert(kid_of(&token));
        live.push((app.clock.now(), kid_of(&token)));
        live.retain(|(made, _)| app.clock.now() - *made < Duration::hours(24));
        for (_, kid) in &live {
            assert!(cached.contains(kid), "a live token does not verify with a key set of 15 minutes ago");
        }
        cached = kids(&app, &shop).await;
        app.clock.advance(Duration::minutes(15));
    }
    assert_eq!(signers.len(), 2);
    assert_eq!(states(&app, &shop).await, ["retired", "current"]);
    assert_eq!(kids(&app, &shop).await.len(), 1);
    assert_ne!(kids(&app, &shop).await, old);
    app.service.purge_if_due().await.unwrap();
    assert_eq!(states(&app, &shop).await, ["current"], "its private half is gone");
    let seen = app.admin_get(&format!("appId/{}", shop.id)).await.field("appPublicKey");
    let keys = app.admin_get(&format!("appKeys?appId={}", shop.id)).await.json();
    assert_eq!(keys["keys"][0]["publicKey"], seen);
}

async fn a_second_rotation_waits_for_the_first(app: TestApp) {
    let shop = app.app("Shop").await;
    let rotate = async || app.admin("rotateAppKey", json!({"appId": shop.id})).await;
    assert_eq!(rotate().await.status, 200);
    assert_eq!(rotate().await.error(), (409, 602));
    app.clock.advance(Duration::minutes(61));
    assert_eq!(rotate().await.status, 200);
    assert_eq!(states(&app, &shop).await, ["retiring", "current", "next"]);
    for name in ["rotateAppKey", "regenerateAppKey", "regenerateAppToken"] {
        assert_eq!(app.admin(name, json!({})).await.error(), (400, 403));
        assert_eq!(app.admin(name, json!({"appId": "0".repeat(32)})).await.error(), (404, 401));
    }
    assert_eq!(app.admin_get("appKeys").await.error(), (400, 403));
    assert_eq!(app.admin_get("appKeys?appId=x").await.error(), (404, 401));
}

async fn a_leaked_key_goes_at_once(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.admin("rotateAppKey", json!({"appId": shop.id})).await;
    let old = kids(&app, &shop).await;
    assert_eq!(app.admin("regenerateAppKey", json!({"appId": shop.id})).await.status, 200);
    assert_eq!(states(&app, &shop).await, ["current"]);
    let new = kids(&app, &shop).await;
    assert!(new.len() == 1 && !old.contains(&new[0]));
    let token = jwt(&app, &shop).await;
    assert_eq!(kid_of(&token), new[0]);
    app.claims(&shop, &token).await;
}

async fn a_longer_life_of_tokens_keeps_the_old_key(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.admin("rotateAppKey", json!({"appId": shop.id})).await;
    app.set(&shop, "userJWTExpiration", "userJWTExpiration", json!(100)).await;
    let token = jwt(&app, &shop).await;
    app.clock.advance(Duration::hours(99));
    assert!(kids(&app, &shop).await.contains(&kid_of(&token)));
    app.claims(&shop, &token).await;
}

async fn sec_066_a_shorter_life_of_tokens_keeps_the_key_of_long_ones(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.set(&shop, "userJWTExpiration", "userJWTExpiration", json!(720)).await;
    let token = jwt(&app, &shop).await;
    app.set(&shop, "userJWTExpiration", "userJWTExpiration", json!(1)).await;
    app.admin("rotateAppKey", json!({"appId": shop.id})).await;
    app.clock.advance(Duration::hours(719));
    assert!(kids(&app, &shop).await.contains(&kid_of(&token)));
    app.claims(&shop, &token).await;
}

async fn a_new_app_token_ends_the_old_one(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let token = app.admin("regenerateAppToken", json!({"appId": shop.id})).await.field("appToken");
    assert_ne!(token, shop.token);
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "login", login.clone()).await.error(), (400, 400));
    let renewed = Made { id: shop.id.clone(), token };
    assert_eq!(app.as_app(&renewed, "login", login).await.status, 200);
    assert_eq!(app.admin_get(&format!("appId/{}", shop.id)).await.field("appToken"), renewed.token);
}
