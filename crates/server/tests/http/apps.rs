//! `/api/app`.

use actix_web::test::TestRequest;
use latchkey_domain::{App, Preset};
use latchkey_server::routes::table;
use latchkey_service::{Operator, Refusal};
use serde_json::json;

use crate::harness::{PASSWORD, TestApp, request};
use crate::on_every_store;

on_every_store!(
    an_application_is_made_found_and_listed,
    a_taken_name_is_409,
    what_is_wrong_is_told,
    an_issuer_moves_when_an_operator_says_so,
    sec_088_an_unknown_application_is_a_404_on_every_route,
);

async fn an_application_is_made_found_and_listed(app: TestApp) {
    let secret = app.server_secret.clone();
    let operator = ("server-secret", secret.as_str());
    let created = app.post("/api/app/", operator, json!({"name": "Shop", "jwtEnabled": true})).await;
    let body = created.json();
    let id = created.field("appId");
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
    let mut redacted = body.clone();
    for secret in ["appId", "appToken", "appPublicKey"] {
        redacted[secret] = format!("[{secret}]").into();
    }
    insta::assert_json_snapshot!("created", redacted);

    let found = app.get(&format!("/api/app/appId/{id}"), operator).await.json();
    for same in ["appId", "appToken", "appPublicKey", "name"] {
        assert_eq!(found[same], body[same]);
    }
    let mut redacted = found.clone();
    for secret in ["appId", "appToken", "appPublicKey", "issuer"] {
        redacted[secret] = format!("[{secret}]").into();
    }
    insta::assert_json_snapshot!("found", redacted);

    app.app("Second").await;
    let all = app.get("/api/app/allApps", operator).await.json();
    let names: Vec<&str> = all.as_array().unwrap().iter().map(|app| app["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Second", "Shop"]);
}

async fn a_taken_name_is_409(app: TestApp) {
    app.app("Shop").await;
    let again = app.post("/api/app/", ("server-secret", &app.server_secret), json!({"name": " Shop "})).await;
    assert_eq!(again.error(), (409, 602));
    assert_eq!(again.json()["status"], "Fails");
}

async fn what_is_wrong_is_told(app: TestApp) {
    let operator = ("server-secret", app.server_secret.as_str());
    for (body, code) in [
        (json!({}), 403),
        (json!({"name": ""}), 403),
        (json!({"name": 1}), 602),
        (json!({"name": {"$gt": ""}}), 602),
        (json!({"name": "a\nb"}), 602),
        (json!({"name": "x".repeat(101)}), 602),
        (json!({"name": "Shop", "jwtEnabled": "maybe"}), 602),
    ] {
        assert_eq!(app.post("/api/app", operator, body.clone()).await.error(), (400, code), "{body}");
    }
    for unknown in ["0".repeat(32), "nonsense".to_owned(), "0".repeat(31)] {
        assert_eq!(app.get(&format!("/api/app/appId/{unknown}"), operator).await.error(), (404, 401));
    }
}

async fn sec_088_an_unknown_application_is_a_404_on_every_route(app: TestApp) {
    let shop = app.app("Shop").await;
    for entry in table().into_iter().filter(|entry| entry.path.contains("{app_id}")) {
        let ask = |id: &str| {
            let path = entry.path.replace("{app_id}", id);
            app.send(
                request(entry.method, &path).insert_header(("server-secret", app.server_secret.as_str())),
            )
        };
        assert_eq!(ask(&shop.id).await.status, 200, "{}", entry.path);
        let (unknown, malformed) = (ask(&"0".repeat(32)).await, ask("nonsense").await);
        assert_eq!((unknown.status.as_u16(), &unknown.body), (404, &malformed.body), "{}", entry.path);
    }
}

async fn an_issuer_moves_when_an_operator_says_so(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let moved = TestApp::with(app.store.clone(), |settings| {
        settings.server.public_url = "https://new.example/auth".to_owned();
    })
    .await;
    let issuer = async |handle: &str| {
        let body = json!({"handle": handle, "password": PASSWORD});
        let jwt = moved.as_app(&shop, "signup", body).await.field("jwt");
        moved.claims(&shop, &jwt).await["iss"].as_str().unwrap().to_owned()
    };
    let (before, after) = (
        format!("https://auth.example.com/apps/{}", shop.id),
        format!("https://new.example/auth/apps/{}", shop.id),
    );
    assert_eq!(issuer("ana@example.com").await, before);
    assert_eq!(moved.service.count_other_issuers().await.unwrap(), 1);
    let id = shop.id.parse().unwrap();
    assert_eq!(moved.service.move_issuer(Operator::command_line(), id).await.unwrap(), before);
    assert_eq!(issuer("bo@example.com").await, after);
    assert_eq!(moved.service.count_other_issuers().await.unwrap(), 0);
    let discovery = format!("/apps/{}/.well-known/openid-configuration", shop.id);
    assert_eq!(moved.send(TestRequest::get().uri(&discovery)).await.field("issuer"), after);
    let log = moved.audit(&shop).await;
    assert!(log.iter().any(|entry| entry.action == "setIssuer" && entry.result == "ok"));
    // An issuer that another application uses is refused: their tokens would be interchangeable.
    let other = moved.app("Other").await;
    let (id, others) = (shop.id.parse().unwrap(), other.id.parse().unwrap());
    let seized = moved.store.transact("test", move |repos| {
        let held = repos.apps().hold(others)?.unwrap();
        let issuer = "https://auth.example.com/apps/".to_owned() + &held.id.to_string();
        let first = repos.apps().hold(id)?.unwrap();
        repos.apps().update(&App { issuer: held.issuer.clone(), ..first.clone() }, first.revision)?;
        repos.apps().update(&App { issuer, ..held.clone() }, held.revision)
    });
    assert!(seized.await.unwrap());
    let refused = moved.service.move_issuer(Operator::command_line(), others).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::InvalidData));
}
