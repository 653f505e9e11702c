//! Every route with every token: generated from the table of routes, so that no route escapes.

use latchkey_server::routes::{Auth, description, table};
use serde_json::json;
use time::Duration;

use crate::harness::{TestApp, request};
use crate::on_every_store;

on_every_store!(
    sec_054_only_the_right_kind_in_the_right_carrier_passes,
    sec_055_tokens_of_one_app_reach_nothing_of_another,
    who_is_not_active_is_refused_by_every_route,
    sec_089_no_token_or_an_expired_one_is_refused_everywhere,
);

const CARRIERS: [&str; 3] = ["server-secret", "app-token", "access-token"];

async fn status_of(app: &TestApp, method: &str, path: &str, id: &str, header: (&str, &str)) -> (u16, i64) {
    // No route is to remove the application that the others are about.
    let id = if method == "DELETE" { &"0".repeat(32) } else { id };
    let path = path.replace("{app_id}", id).replace("{file}", "index.html");
    let mut sent = request(method, &path).insert_header(header);
    if method != "GET" {
        sent = sent.set_json(json!({}));
    }
    let answer = app.send(sent).await;
    let is_page = answer.headers.get("content-type").is_some_and(|kind| kind == "text/html; charset=utf-8");
    let code = if answer.status.is_success() || answer.status.is_redirection() || is_page {
        0
    } else {
        answer.error().1
    };
    let status = answer.status.as_u16();
    // Told apart elsewhere; here refusals are compared with those of other routes.
    (if status == refusal_on(&path) { 400 } else { status }, code)
}

/// The status of what a route of the user API refuses.
fn refusal_on(path: &str) -> u16 {
    if path == "/api/appuser/check" { 401 } else { 400 }
}

/// Whether an answer says that the token is not the one that the route takes.
fn is_refusal_of_token(auth: Auth, answered: (u16, i64)) -> bool {
    match auth {
        Auth::Nothing | Auth::Page => false,
        Auth::Operator(_) => matches!(answered, (403, 400 | 500) | (400, 400 | 405)),
        Auth::AppToken => matches!(answered, (400, 400 | 405 | 500)),
        // These routes answer an absent token with what the reference answers.
        Auth::AccessToken | Auth::SuperUser => matches!(answered, (400, 405 | 602 | 403 | 400 | 500)),
        Auth::Either => matches!(answered, (400, 400 | 405 | 403 | 602 | 500)),
    }
}

async fn sec_054_only_the_right_kind_in_the_right_carrier_passes(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let login = json!({"handle": "ana@example.com", "password": crate::harness::PASSWORD});
    let jwt = app.as_app(&shop, "login", login).await.field("jwt");
    let superuser = app.super_token(&shop, "root@example.com").await;
    let kinds =
        [app.server_secret.clone(), shop.token.clone(), access, jwt, "nonsense".to_owned(), superuser];
    for entry in table() {
        for (carrier_at, carrier) in CARRIERS.iter().enumerate() {
            for (kind_at, token) in kinds.iter().enumerate() {
                let answered = status_of(&app, entry.method, entry.path, &shop.id, (carrier, token)).await;
                let is_diagonal = carrier_at == kind_at;
                // The one exception: the Kotlin SDK's reset.
                let is_kotlins =
                    entry.path == "/api/appuser/resetPassword" && (carrier_at, kind_at) == (2, 1);
                let is_superusers = (carrier_at, kind_at) == (2, 5);
                let fits = (is_diagonal || is_kotlins || is_superusers)
                    && match entry.auth {
                        Auth::Nothing | Auth::Page => true,
                        Auth::Operator(_) => kind_at == 0,
                        Auth::AppToken => kind_at == 1,
                        Auth::AccessToken => kind_at == 2,
                        Auth::Either => kind_at == 1 || kind_at == 2,
                        Auth::SuperUser => kind_at == 5,
                    };
                let what =
                    format!("{} {} {carrier} with kind {kind_at}: {answered:?}", entry.method, entry.path);
                if entry.auth == Auth::Page {
                    assert_eq!(answered.0, 400, "{what}");
                } else if entry.auth == Auth::Nothing {
                    assert!(matches!(answered.0, 200 | 303), "{what}");
                } else if !fits {
                    assert!(is_refusal_of_token(entry.auth, answered), "{what}");
                } else {
                    assert!(!matches!(answered, (403, _) | (400, 400 | 405 | 500)), "{what}");
                }
            }
        }
    }
}

async fn sec_055_tokens_of_one_app_reach_nothing_of_another(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    let access = app.user(&shop, "ana@example.com").await;
    // No route takes an application's id beside its token, so what a token reaches is its own application.
    let user = app.get("/api/appuser/getUser", ("access-token", &access)).await;
    assert_eq!(user.field("appId"), shop.id);
    let login = json!({"handle": "ana@example.com", "password": crate::harness::PASSWORD});
    assert_eq!(app.as_app(&other, "login", login).await.error(), (400, 600));
    let seen = app.get("/api/appuser/getApplication", ("app-token", &other.token)).await;
    assert_eq!(seen.field("name"), "Other");
    // A sign-up code of one application completes nothing in another.
    app.as_app(&shop, "signup", json!({"handle": "b@example.com", "password": crate::harness::PASSWORD}))
        .await;
    let code = app.code_for("b@example.com").await;
    let complete = json!({"handle": "b@example.com", "code": code});
    assert_eq!(app.as_app(&other, "completeSignup", complete).await.error(), (400, 602));
}

async fn sec_089_no_token_or_an_expired_one_is_refused_everywhere(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let secret = app.server_secret.clone();
    for entry in table().into_iter().filter(|e| !matches!(e.auth, Auth::Nothing | Auth::Page)) {
        let answered = status_of(&app, entry.method, entry.path, &shop.id, ("x-nothing", "")).await;
        assert!(is_refusal_of_token(entry.auth, answered), "{} {answered:?}", entry.path);
    }
    app.clock.advance(Duration::days(366));
    for entry in table() {
        let header = match entry.auth {
            Auth::Operator(_) => ("server-secret", secret.as_str()),
            Auth::AccessToken | Auth::Either | Auth::SuperUser => ("access-token", access.as_str()),
            Auth::AppToken | Auth::Nothing | Auth::Page => continue,
        };
        let answered = status_of(&app, entry.method, entry.path, &shop.id, header).await;
        assert!(is_refusal_of_token(entry.auth, answered), "{} {answered:?}", entry.path);
    }
}

/// Asks every route of the user API for what the API's description shows as its example.
async fn who_is_not_active_is_refused_by_every_route(app: TestApp) {
    let shop = app.app("Shop").await;
    for (setting, field) in [
        ("anonLogin", "anonymousLoginEnabled"),
        ("userNamesEnabled", "userNamesEnabled"),
        ("appleLogin", "appleLoginEnabled"),
        ("googleLogin", "googleLoginEnabled"),
    ] {
        app.set(&shop, setting, field, json!(true)).await;
    }
    let access = app.user(&shop, "ana@example.com").await;
    let superuser = app.super_token(&shop, "root@example.com").await;
    let described = description("https://auth.example.com");
    let codes = async |wanted: i64, as_user: bool| {
        for entry in table().iter().filter(|entry| entry.path.starts_with("/api/appuser/")) {
            let header = match entry.auth {
                Auth::AppToken | Auth::Either if !as_user => ("app-token", &shop.token),
                Auth::AccessToken | Auth::Either => ("access-token", &access),
                Auth::SuperUser if !as_user => ("access-token", &superuser),
                _ => continue,
            };
            let operation = &described["paths"][entry.path][entry.method.to_lowercase()];
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            let query = if entry.path.ends_with("userNameAvailable") { "?userName=ana" } else { "" };
            let mut sent = request(entry.method, &format!("{}{query}", entry.path))
                .insert_header((header.0, header.1.as_str()));
            if entry.method == "POST" {
                sent = sent.set_json(example);
            }
            assert_eq!(
                app.send(sent).await.error(),
                (refusal_on(entry.path), wanted),
                "{} {example}",
                entry.path
            );
        }
    };
    for (status, code) in [("suspended", 402), ("migrated", 413)] {
        app.set(&shop, "status", "status", json!(status)).await;
        codes(code, false).await;
    }
    app.set(&shop, "status", "status", json!("active")).await;
    let id = app.user_id(&shop, "ana@example.com").await;
    app.admin("user", json!({"appId": shop.id, "userId": id, "status": "suspend"})).await;
    // Their sessions end with it.
    codes(405, true).await;
}
