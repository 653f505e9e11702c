//! Operator tokens: what each opens, where, for how long; and that every route asks for its scope.

use latchkey_domain::Scope;
use latchkey_server::routes::{Auth, table};
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{Answer, PASSWORD, TestApp, request};
use crate::on_every_store;

on_every_store!(
    what_an_inactive_application_does_not_do_for_operators,
    sec_086_every_route_asks_for_its_scope,
    sec_088_a_token_of_one_app_finds_no_other,
    sec_089_a_revoked_token_opens_nothing,
    sec_086_a_revoked_token_takes_along_what_it_made,
    a_token_is_told_once_and_shows_its_use,
    a_token_makes_none_that_reaches_further,
    sec_089_a_token_makes_none_that_outlives_it,
    tokens_that_cannot_be_are_not_made,
    an_expired_token_is_reported_as_expired,
);

async fn made(app: &TestApp, scopes: &str, only: Option<&str>) -> (String, String) {
    let body = json!({"name": "ci", "scopes": scopes, "appId": only});
    let answer = app.admin("createOperatorToken", body).await;
    (answer.field("secret"), answer.field("tokenId"))
}

async fn sent(app: &TestApp, method: &str, path: &str, secret: &str, body: &Value) -> Answer {
    let mut sent = request(method, path).insert_header(("server-secret", secret));
    if method != "GET" {
        sent = sent.set_json(body);
    }
    app.send(sent).await
}

async fn sec_086_every_route_asks_for_its_scope(app: TestApp) {
    let shop = app.app("Shop").await;
    for (held, name) in Scope::ALL {
        let (secret, _) = made(&app, name, None).await;
        for entry in table() {
            let Auth::Operator(needed) = entry.auth else { continue };
            let path = entry.path.replace("{app_id}", "00000000000000000000000000000000");
            let answer = sent(&app, entry.method, &path, &secret, &json!({"appId": "unknown"})).await;
            let is_open = held == needed || held == Scope::Everything;
            let what = format!("{name} at {} {}: {}", entry.method, entry.path, answer.text());
            assert_eq!(answer.status != 403, is_open, "{what}");
            if !is_open {
                assert_eq!(answer.error(), (403, 400), "{what}");
                assert!(answer.text().contains(needed.name()), "{what}");
            }
        }
    }
    assert_eq!(
        app.get(&format!("/api/app/appId/{}", shop.id), ("server-secret", &app.server_secret)).await.status,
        200
    );
}

async fn sec_088_a_token_of_one_app_finds_no_other(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    let (secret, _) = made(&app, "everything", Some(&shop.id)).await;
    let all = app.get("/api/app/allApps", ("server-secret", &secret)).await.json();
    let ids: Vec<_> = all.as_array().unwrap().iter().map(|app| app["appId"].as_str().unwrap()).collect();
    assert_eq!(ids, [shop.id.as_str()]);
    let absent = "0".repeat(32);
    for entry in table() {
        if !matches!(entry.auth, Auth::Operator(_)) {
            continue;
        }
        let mut answers = Vec::new();
        for id in [&other.id, &absent] {
            let path = format!("{}?appId={id}", entry.path.replace("{app_id}", id));
            let body = json!({"appId": id, "userId": absent, "setting": "invite", "invitationEnabled": true,
                "metaData": [], "metaDataInvite": [], "name": "x", "scopes": "read"});
            answers.push(sent(&app, entry.method, &path, &secret, &body).await);
        }
        let [theirs, nobodys] = [&answers[0], &answers[1]];
        assert_eq!((theirs.status, theirs.text()), (nobodys.status, nobodys.text()), "{}", entry.path);
        if entry.path.contains("{app_id}") {
            assert_eq!(theirs.error(), (404, 401), "{}", entry.path);
        }
    }
    let seen = app.get(&format!("/api/app/appId/{}", other.id), ("server-secret", &app.server_secret)).await;
    assert_eq!(seen.field("name"), "Other");
    let answer = sent(&app, "POST", "/api/app", &secret, &json!({"name": "Third"})).await;
    assert_eq!(answer.error(), (403, 400));
}

async fn sec_089_a_revoked_token_opens_nothing(app: TestApp) {
    let (secret, id) = made(&app, "everything", None).await;
    let revoke = json!({"tokenId": id});
    assert_eq!(app.admin("revokeOperatorToken", revoke.clone()).await.text(), "true");
    assert_eq!(app.admin("revokeOperatorToken", revoke).await.text(), "true");
    assert_eq!(
        app.admin("revokeOperatorToken", json!({"tokenId": "0".repeat(32)})).await.error(),
        (404, 602)
    );
    assert_eq!(app.admin("revokeOperatorToken", json!({})).await.error(), (400, 403));
    for entry in table() {
        if matches!(entry.auth, Auth::Operator(_)) {
            let path = entry.path.replace("{app_id}", &"0".repeat(32));
            let answer = sent(&app, entry.method, &path, &secret, &json!({})).await;
            assert_eq!(answer.error(), (403, 500), "{}", entry.path);
        }
    }
}

async fn sec_086_a_revoked_token_takes_along_what_it_made(app: TestApp) {
    let (root, root_id) = made(&app, "everything", None).await;
    let make = async |secret: &str| {
        let body = json!({"name": "ci", "scopes": "everything"});
        let answer = sent(&app, "POST", "/api/app/createOperatorToken", secret, &body).await;
        (answer.field("secret"), answer.field("tokenId"))
    };
    let (child, child_id) = make(&root).await;
    let (grandchild, grandchild_id) = make(&child).await;
    let opens =
        async |secret: &str| app.get("/api/app/allApps", ("server-secret", secret)).await.status == 200;
    assert!(opens(&grandchild).await);
    let listed = app.admin_get("operatorTokens").await.json();
    let maker_of = |id: &str| {
        let token = listed.as_array().unwrap().iter().find(|token| token["tokenId"] == *id).unwrap();
        token["madeBy"].clone()
    };
    assert_eq!(maker_of(&child_id), json!(root_id));
    assert_eq!(maker_of(&grandchild_id), json!(child_id));
    let (other, _) = made(&app, "everything", None).await;
    app.admin("revokeOperatorToken", json!({"tokenId": root_id})).await;
    for secret in [&root, &child, &grandchild] {
        assert!(!opens(secret).await);
    }
    assert!(opens(&other).await && opens(&app.server_secret).await);
    let log = app.admin_get("logs?appId=server&filterAction=revokeOperatorToken").await.text();
    assert!(log.contains("and 2 made with it"), "{log}");
}

async fn a_token_is_told_once_and_shows_its_use(app: TestApp) {
    let (secret, id) = made(&app, "read,users", None).await;
    let listed = async || {
        let list = app.get("/api/app/operatorTokens", ("server-secret", &app.server_secret)).await;
        assert!(!list.text().contains(&secret), "{}", list.text());
        list.json().as_array().unwrap().iter().find(|token| token["tokenId"] == *id).unwrap().clone()
    };
    let token = listed().await;
    assert_eq!((token["name"].as_str(), token["scopes"].as_str()), (Some("ci"), Some("read,users")));
    assert_eq!(
        (&token["lastUsedAt"], &token["revokedAt"], &token["appId"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(token["createdAt"], "2023-11-14T22:13:20.000Z");
    assert_eq!(token["expiresAt"], "2024-02-12T22:13:20.000Z");
    app.clock.advance(Duration::minutes(5));
    assert_eq!(app.get("/api/app/allApps", ("server-secret", &secret)).await.status, 200);
    app.clock.advance(Duration::seconds(30));
    assert_eq!(app.get("/api/app/allApps", ("server-secret", &secret)).await.status, 200);
    assert_eq!(listed().await["lastUsedAt"], "2023-11-14T22:18:20.000Z");
    // The log names the token.
    let shop = app.app("Shop").await;
    app.set(&shop, "invite", "invitationEnabled", json!(false)).await;
    let entries = app.audit(&shop).await;
    assert!(entries.iter().all(|entry| entry.actor_name.as_deref() == Some("test")), "{entries:?}");
}

async fn a_token_makes_none_that_reaches_further(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    let (secret, id) = made(&app, "everything", Some(&shop.id)).await;
    let make = async |only: Option<&str>| {
        let body = json!({"name": "next", "scopes": "read", "appId": only});
        sent(&app, "POST", "/api/app/createOperatorToken", &secret, &body).await
    };
    assert_eq!(make(None).await.error(), (403, 400));
    assert_eq!(make(Some(&other.id)).await.error(), (404, 401));
    let own = make(Some(&shop.id)).await;
    assert_eq!(own.status, 200);
    let (_, others) = made(&app, "read", Some(&other.id)).await;
    let revoke = async |id: &str| {
        sent(&app, "POST", "/api/app/revokeOperatorToken", &secret, &json!({"tokenId": id})).await
    };
    assert_eq!(revoke(&others).await.error(), (404, 602));
    let list = app.get("/api/app/operatorTokens", ("server-secret", &secret)).await.json();
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
    assert_eq!(revoke(&own.field("tokenId")).await.status, 200);
    assert_eq!(revoke(&id).await.status, 200, "one may give one's own away");
    assert_eq!(make(Some(&shop.id)).await.error(), (403, 500));
}

async fn sec_089_a_token_makes_none_that_outlives_it(app: TestApp) {
    let maker = json!({"name": "maker", "scopes": "everything", "days": 2});
    let maker = app.admin("createOperatorToken", maker).await.json();
    let secret = maker["secret"].as_str().unwrap();
    let body = json!({"name": "longer", "scopes": "everything", "days": 300});
    let made = sent(&app, "POST", "/api/app/createOperatorToken", secret, &body).await.json();
    assert_eq!(made["expiresAt"], maker["expiresAt"]);
    let lost = json!({"name": "lost", "scopes": "read", "appId": ""});
    assert_eq!(app.admin("createOperatorToken", lost).await.error(), (400, 602), "not all applications");
    let misspelt = json!({"name": "short", "scopes": "read", "day": 1});
    assert_eq!(app.admin("createOperatorToken", misspelt).await.error(), (400, 602), "not for ninety days");
}

async fn tokens_that_cannot_be_are_not_made(app: TestApp) {
    for (body, error) in [
        (json!({"scopes": "read"}), (400, 403)),
        (json!({"name": "ci"}), (400, 403)),
        (json!({"name": "ci", "scopes": "root"}), (400, 602)),
        (json!({"name": "a\nb", "scopes": "read"}), (400, 602)),
        (json!({"name": "ci", "scopes": "read", "days": 0}), (400, 602)),
        (json!({"name": "ci", "scopes": "read", "days": 366}), (400, 602)),
        (json!({"name": "ci", "scopes": "read", "days": "soon"}), (400, 602)),
        (json!({"name": "ci", "scopes": "read", "appId": "0".repeat(32)}), (404, 401)),
        (json!({"name": "ci", "scopes": "read", "appId": "x"}), (404, 401)),
    ] {
        let answer = app.admin("createOperatorToken", body.clone()).await;
        assert_eq!(answer.error(), error, "{body}");
    }
    let list = app.get("/api/app/operatorTokens?after=x", ("server-secret", &app.server_secret)).await;
    assert_eq!(list.error(), (400, 602));
}

async fn what_an_inactive_application_does_not_do_for_operators(app: TestApp) {
    let shop = app.app("Shop").await;
    let root =
        json!({"appId": shop.id, "handle": "root@example.com", "password": PASSWORD, "administrator": true});
    let root = app.admin("addUser", root).await.field("_id");
    let invited = app.admin("createAppInvite", json!({"appId": shop.id, "handle": "bob@example.com"})).await;
    assert_eq!(invited.status, 200);
    let tokens = async || app.admin("superUserToken", json!({"appId": shop.id, "userId": root})).await;
    for (status, code) in [("suspended", 402), ("inactive", 402), ("blocked", 402), ("migrated", 413)] {
        app.set(&shop, "status", "status", json!(status)).await;
        let invite = json!({"appId": shop.id, "handle": "cyd@example.com"});
        assert_eq!(app.admin("createAppInvite", invite).await.error(), (400, code), "{status}");
        let again = json!({"appId": shop.id, "handle": "bob@example.com"});
        assert_eq!(app.admin("resendAppInvite", again).await.error(), (400, code), "{status}");
        assert_eq!(tokens().await.error(), (400, code), "{status}");
    }
    app.set(&shop, "status", "status", json!("active")).await;
    assert_eq!(tokens().await.status, 200);
    let needed = json!([{"path": "city", "fieldName": "city", "required": true}]);
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": needed})).await;
    assert_eq!(tokens().await.error(), (400, 604), "no JWT lacks a required field");
}

async fn an_expired_token_is_reported_as_expired(app: TestApp) {
    let secret = app.operator_secret("year", "read").await;
    let all = async || app.get("/api/app/allApps", ("server-secret", &secret)).await;
    app.clock.advance(Duration::days(364));
    assert_eq!(all().await.status, 200);
    app.clock.advance(Duration::days(1));
    assert_eq!(all().await.error(), (403, 500));
    assert!(all().await.text().contains("server secret expired"), "{}", all().await.text());
}
