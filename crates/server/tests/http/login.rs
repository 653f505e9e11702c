//! `login`.

use latchkey_storage::Store;
use serde_json::json;

use crate::harness::{OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    the_right_password_gives_both_tokens,
    checks_are_made_in_order,
    sec_005_the_plain_field_logs_in_too,
    sec_022_a_pending_account_is_told_to_who_knows_its_password,
);

async fn the_right_password_gives_both_tokens<S: Store>(app: TestApp<S>) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let answer =
        app.as_app(&shop, "login", json!({"handle": " ANA@example.com ", "password": PASSWORD})).await;
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["access-token", "jwt"]);
    let claims = app.claims(&shop, &answer.field("jwt")).await;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 24 * 3_600);
    let user = app.get("/api/appuser/getUser", ("access-token", &answer.field("access-token"))).await;
    assert_eq!(user.field("handle"), "ana@example.com");
}

async fn checks_are_made_in_order<S: Store>(app: TestApp<S>) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let with_access = app.post("/api/appuser/login", ("access-token", &access), json!({})).await;
    assert_eq!(with_access.error(), (400, 400));
    for (body, code) in [
        (json!({}), 403),
        (json!({"handle": "ana@example.com", "password": ""}), 403),
        (json!({"password": PASSWORD}), 403),
        (json!({"handle": {"$ne": null}, "password": PASSWORD}), 602),
        (json!({"handle": "ana", "password": PASSWORD}), 606),
        (json!({"handle": "ana@example.com", "password": OTHER_PASSWORD}), 600),
        (json!({"handle": "ana@example.com", "password": 1}), 600),
        (json!({"handle": "ana@example.com", "password": "short"}), 600),
        (json!({"handle": "nobody@example.com", "password": PASSWORD}), 600),
    ] {
        assert_eq!(app.as_app(&shop, "login", body.clone()).await.error(), (400, code), "{body}");
    }
    // Who is unknown and who is wrong get the same bytes.
    let wrong =
        app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": OTHER_PASSWORD})).await;
    let unknown =
        app.as_app(&shop, "login", json!({"handle": "nobody@example.com", "password": PASSWORD})).await;
    assert_eq!(wrong.body, unknown.body);
}

async fn sec_005_the_plain_field_logs_in_too<S: Store>(app: TestApp<S>) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let login = |body| app.as_app(&shop, "login", body);
    assert_eq!(login(json!({"handle": "ana@example.com", "rawPassword": "password123"})).await.status, 200);
    for wrong in ["password124", " password123", "PASSWORD123"] {
        let answer = login(json!({"handle": "ana@example.com", "rawPassword": wrong})).await;
        assert_eq!(answer.error(), (400, 600), "{wrong}");
    }
}

async fn sec_022_a_pending_account_is_told_to_who_knows_its_password<S: Store>(app: TestApp<S>) {
    let shop = app.app("Shop").await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let login =
        |password| app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": password}));
    assert_eq!(login(OTHER_PASSWORD).await.error(), (400, 600));
    assert_eq!(login(PASSWORD).await.error(), (400, 608));
}
