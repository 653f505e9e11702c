//! `getUser`, `getApplication`, `changePassword`.

use latchkey_domain::Preset;
use latchkey_server::routes::table;
use serde_json::json;

use crate::harness::{OTHER_PASSWORD, PASSWORD, TestApp, request};
use crate::on_every_store;

on_every_store!(
    get_user_tells_what_is_set,
    get_application_tells_what_clients_need_and_nothing_secret,
    check_answers_gateways_with_the_user_or_401,
    sec_138_no_form_of_another_page_changes_anything,
    sec_062_a_changed_password_ends_all_tokens_but_the_callers,
    change_password_answers_602_to_whatever_is_wrong,
);

async fn get_user_tells_what_is_set(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let mut user = app.get("/api/appuser/getUser", ("access-token", &access)).await.json();
    user["appId"] = "[appId]".into();
    insta::assert_json_snapshot!("user", user);
    assert_eq!(app.get("/api/appuser/getUser", ("app-token", &shop.token)).await.error(), (400, 602));
}

async fn get_application_tells_what_clients_need_and_nothing_secret(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let answer = app.get("/api/appuser/getApplication", ("app-token", &shop.token)).await;
    insta::assert_json_snapshot!("application", answer.json());
    let either = app.get("/api/appuser/getApplication", ("access-token", &access)).await;
    assert_eq!(either.body, answer.body);
    let in_query = app.get(&format!("/api/appuser/getApplication?appToken={}", shop.token), ("x", "y")).await;
    assert_eq!(in_query.body, answer.body);
    assert_eq!(app.get("/api/appuser/getApplication", ("x", "y")).await.error(), (400, 602));
}

async fn check_answers_gateways_with_the_user_or_401(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let body = json!({"handle": "50%\u{fc}@example.com", "password": PASSWORD});
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    let taking = TestApp::with(app.store.clone(), |settings| settings.mail.smtp_utf8 = true).await;
    let access = taking.as_app(&shop, "signup", body).await.field("access-token");
    app.as_user(&access, "setUserName", json!({"userName": "ana"})).await;
    let check = async |token: &str| app.get("/api/appuser/Check", ("access-token", token)).await;
    let good = check(&access).await;
    assert_eq!(good.status, 200, "{}", good.text());
    let header = |name: &str| good.headers.get(name).unwrap().to_str().unwrap().to_owned();
    let user = app.get("/api/appuser/getUser", ("access-token", &access)).await.json();
    assert_eq!(header("x-latchkey-app"), shop.id);
    assert_eq!(header("x-latchkey-user"), good.field("userId"));
    assert_eq!(header("x-latchkey-handle"), "50%25%C3%BC@example.com");
    assert_eq!(
        (header("x-latchkey-user-name"), good.json()["handle"].clone()),
        ("ana".into(), user["handle"].clone())
    );
    let refused = async |token: &str, code: i64| {
        let answer = check(token).await;
        assert_eq!(answer.error(), (401, code), "{}", answer.text());
        assert_eq!(answer.headers.get("www-authenticate").unwrap(), "Bearer");
        assert!(!answer.headers.contains_key("x-latchkey-user"));
    };
    refused("garbage", 405).await;
    refused(&access[..access.len() - 2], 405).await;
    let without = app.get("/api/appuser/check", ("x", "y")).await;
    assert_eq!(without.error(), (401, 405));
    let as_app = app.get("/api/appuser/check", ("app-token", &shop.token)).await;
    assert_eq!(as_app.error(), (401, 405));
    let bo = json!({"handle": "bo@example.com", "password": PASSWORD});
    let second = app.as_app(&shop, "signup", bo).await.field("access-token");
    let suspend = json!({"appId": shop.id, "userId": good.field("userId"), "status": "suspend"});
    assert_eq!(app.admin("user", suspend).await.status, 200);
    refused(&access, 405).await;
    assert_eq!(check(&second).await.status, 200);
    app.set(&shop, "status", "status", json!("suspended")).await;
    refused(&second, 402).await;
    let other = app.get("/api/appuser/getUser", ("access-token", "garbage")).await;
    assert_eq!(other.error(), (400, 405), "all others stay 400");
}

async fn sec_138_no_form_of_another_page_changes_anything(app: TestApp) {
    let shop = app.app("Shop").await;
    for entry in
        table().iter().filter(|entry| entry.path.starts_with("/api/appuser/") && entry.method != "GET")
    {
        let uri = format!("{}?appToken={}", entry.path, shop.token);
        let form = [
            ("handle", "ana@example.com"),
            ("password", PASSWORD),
            ("senderUserId", "x"),
            ("code", "123456"),
        ];
        let request = request(entry.method, &uri).set_form(form);
        let answer = app.send(request).await;
        assert_eq!(answer.status, 400, "{}: {}", entry.path, answer.text());
    }
    assert!(app.mails().await.is_empty());
    let listed = app.audit(&shop).await;
    assert!(listed.iter().all(|entry| entry.action == "create"), "{listed:?}");
}

async fn sec_062_a_changed_password_ends_all_tokens_but_the_callers(app: TestApp) {
    let shop = app.app("Shop").await;
    let first = app.user(&shop, "ana@example.com").await;
    let login =
        |password| app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": password}));
    let second = login(PASSWORD).await.field("access-token");
    let change = json!({"password": PASSWORD, "newPassword": OTHER_PASSWORD});
    let changed = app.post("/api/appuser/changePassword", ("access-token", &second), change).await;
    assert_eq!(changed.text(), "true");
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &first)).await.error(), (400, 405));
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &second)).await.status, 200);
    assert_eq!(login(PASSWORD).await.error(), (400, 600));
    let third = login(OTHER_PASSWORD).await.field("access-token");
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &third)).await.status, 200);
    app.clock.advance(time::Duration::days(366));
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &third)).await.error(), (400, 405));
}

async fn change_password_answers_602_to_whatever_is_wrong(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    for body in [
        json!({}),
        json!({"password": PASSWORD}),
        json!({"newPassword": OTHER_PASSWORD}),
        json!({"password": PASSWORD, "newPassword": PASSWORD}),
        json!({"password": PASSWORD, "newPassword": "short"}),
        json!({"password": OTHER_PASSWORD, "newPassword": "0".repeat(32)}),
        json!({"password": [PASSWORD], "newPassword": OTHER_PASSWORD}),
    ] {
        let answer = app.post("/api/appuser/changePassword", ("access-token", &access), body.clone()).await;
        assert_eq!(answer.error(), (400, 602), "{body}");
    }
    let change = json!({"password": PASSWORD, "newPassword": OTHER_PASSWORD});
    let with_app = app.post("/api/appuser/changePassword", ("app-token", &shop.token), change).await;
    assert_eq!(with_app.error(), (400, 602));
}
