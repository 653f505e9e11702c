//! `/apps/{appId}/.well-known/`.

use actix_web::test::TestRequest;
use serde_json::json;

use crate::harness::{PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_065_keys_are_public_members_only,
    sec_035_addresses_come_from_the_settings,
    everything_follows_the_path_of_the_public_url,
);

async fn sec_065_keys_are_public_members_only(app: TestApp) {
    let shop = app.app("Shop").await;
    let answer = app.send(TestRequest::get().uri(&format!("/apps/{}/.well-known/jwks.json", shop.id))).await;
    assert_eq!(answer.headers.get("cache-control").unwrap(), "public, max-age=900");
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["keys"]);
    let key = body["keys"][0].as_object().unwrap();
    assert_eq!(key.keys().collect::<Vec<_>>(), ["alg", "e", "kid", "kty", "n", "use"]);
    for unknown in ["0".repeat(32), "nonsense".to_owned()] {
        let answer =
            app.send(TestRequest::get().uri(&format!("/apps/{unknown}/.well-known/jwks.json"))).await;
        assert_eq!(answer.error(), (404, 602));
    }
}

async fn sec_035_addresses_come_from_the_settings(app: TestApp) {
    let shop = app.app("Shop").await;
    let uri = format!("/apps/{}/.well-known/openid-configuration", shop.id);
    let hostile = TestRequest::get()
        .uri(&uri)
        .insert_header(("host", "evil.example"))
        .insert_header(("x-forwarded-host", "evil.example"))
        .insert_header(("x-forwarded-proto", "http"))
        .insert_header(("forwarded", "host=evil.example"));
    let answer = app.send(hostile).await;
    assert_eq!(answer.field("issuer"), format!("https://auth.example.com/apps/{}", shop.id));
    assert_eq!(
        answer.field("jwks_uri"),
        format!("https://auth.example.com/apps/{}/.well-known/jwks.json", shop.id)
    );
    assert!(!answer.text().contains("evil"));
}

async fn everything_follows_the_path_of_the_public_url(app: TestApp) {
    const BASE: &str = "https://gateway.example/Auth/v1";
    let app = TestApp::with(app.store.clone(), |settings| settings.server.public_url = BASE.to_owned()).await;
    let shop = app.app("Shop").await;
    app.set(&shop, "signupFlow", "signupFlow", json!("link")).await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let mails = app.mails().await;
    let (_, after) = mails[0].text.split_once(BASE).unwrap();
    let path: String = after.chars().take_while(|c| !c.is_whitespace()).collect();
    let get = async |path: &str| app.send(TestRequest::get().uri(path)).await;
    // It does not matter whether the proxy strips the path.
    for prefix in ["", "/Auth/v1", "/auth/v1"] {
        let page = get(&format!("{prefix}{path}")).await.text();
        assert!(page.contains("action=\"/Auth/v1/api/appuser/completeSignup/confirm\""), "{page}");
        let docs = get(&format!("{prefix}/docs")).await;
        assert_eq!(docs.headers.get("location").unwrap(), "/Auth/v1/docs/index.html");
        let script = get(&format!("{prefix}/docs/swagger-initializer.js")).await.text();
        assert!(script.contains("\"/Auth/v1/openapi.json\""), "{script}");
        let described = get(&format!("{prefix}/openapi.json")).await.json();
        assert_eq!(described["servers"], json!([{"url": BASE}]));
        let found = get(&format!("{prefix}/apps/{}/.well-known/openid-configuration", shop.id)).await;
        assert_eq!(found.field("issuer"), format!("{BASE}/apps/{}", shop.id));
        let keys = found.field("jwks_uri");
        let keys = keys.strip_prefix("https://gateway.example").unwrap().replacen("/Auth/v1", prefix, 1);
        assert!(get(&keys).await.json()["keys"].is_array());
        assert_eq!(get(&format!("{prefix}/health/ready")).await.status, 200);
    }
    let (_, query) = path.split_once('?').unwrap();
    let confirm = TestRequest::post()
        .uri("/Auth/v1/api/appuser/completeSignup/confirm")
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(query.to_owned());
    assert_eq!(app.send(confirm).await.status, 200);
    let body = json!({"handle": "ana@example.com", "password": PASSWORD});
    let log_in = app.post("/auth/v1/api/appuser/login", ("app-token", &shop.token), body).await;
    assert_eq!(log_in.status, 200, "{}", log_in.text());
    assert_eq!(get("/auth/api/appuser/getUser").await.error(), (404, 602));
}
