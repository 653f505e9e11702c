//! What every request meets before a handler does.

use actix_web::test::TestRequest;
use latchkey_server::routes::table;
use latchkey_test_support::{TestDatabase, broken};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, TestApp, request};
use crate::on_every_store;

on_every_store!(
    every_route_answers_every_method,
    unknown_paths_are_404,
    sec_078_bodies_and_headers_are_bounded,
    sec_079_what_stands_twice_is_refused,
    sec_080_forbidden_characters_are_400_in_every_field,
    sec_085_a_panic_is_a_500_and_the_next_request_works,
    sec_087_nothing_secret_is_in_any_answer,
    pages_of_other_origins_may_call_the_user_api,
);

async fn every_route_answers_every_method(app: TestApp) {
    let all = table();
    for entry in &all {
        let path = entry.path.replace("{app_id}", &"0".repeat(32));
        let is_taken = |method: &str| all.iter().any(|e| e.path == entry.path && e.method == method);
        for method in ["GET", "POST", "PUT", "DELETE", "TRACE", "PATCH"] {
            let answer = app.send(request(method, &path)).await;
            if is_taken(method) {
                assert_ne!(answer.status, 405, "{method} {path}");
            } else {
                assert_eq!(answer.error(), (405, 602), "{method} {path}");
                let allowed = answer.headers.get("allow").unwrap().to_str().unwrap();
                assert!(
                    all.iter().filter(|e| e.path == entry.path).all(|e| allowed.contains(e.method)),
                    "{allowed}"
                );
            }
            for header in ["server", "x-powered-by"] {
                assert!(!answer.headers.contains_key(header), "{header}");
            }
            assert!(answer.headers.contains_key("x-request-id"));
        }
    }
}

async fn unknown_paths_are_404(app: TestApp) {
    for path in
        ["/api", "/api/appuser", "/api/appuser/nothing", "/api/app/nothing", "/apps/x", "/api/appuserlogin"]
    {
        assert_eq!(app.send(TestRequest::get().uri(path)).await.error(), (404, 602), "{path}");
    }
    for same in ["//API//AppUser/getApplication/", "/api/appuser/GETAPPLICATION"] {
        assert_eq!(app.send(TestRequest::get().uri(same)).await.error(), (400, 602), "{same}");
    }
}

async fn sec_078_bodies_and_headers_are_bounded(app: TestApp) {
    let shop = app.app("Shop").await;
    let login = |length: usize| {
        let rest = format!(r#"{{"handle":"a@example.com","password":"{PASSWORD}","x":""#).len() + 2;
        let body = format!(
            r#"{{"handle":"a@example.com","password":"{PASSWORD}","x":"{}"}}"#,
            "a".repeat(length - rest)
        );
        let request = TestRequest::post()
            .uri("/api/appuser/login")
            .insert_header(("app-token", shop.token.as_str()))
            .insert_header(("content-type", "application/json"))
            .set_payload(body);
        app.send(request)
    };
    assert_eq!(login(65_536).await.error(), (400, 600));
    assert_eq!(login(65_537).await.error(), (413, 602));
    let headers = |length: usize| {
        app.send(TestRequest::get().uri("/health/live").insert_header(("x", "a".repeat(length))))
    };
    assert_eq!(headers(16_000).await.status, 200);
    assert_eq!(headers(16_384).await.error(), (413, 602));
    let preflight = request("OPTIONS", "/api/appuser/login")
        .insert_header(("origin", "https://shop.example"))
        .insert_header(("access-control-request-method", "POST"))
        .insert_header(("x", "a".repeat(16_384)));
    assert_eq!(app.send(preflight).await.error(), (413, 602));
    let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
    let request = TestRequest::post()
        .uri("/api/appuser/login")
        .insert_header(("app-token", shop.token.as_str()))
        .insert_header(("content-type", "application/json"))
        .set_payload(deep);
    assert_eq!(app.send(request).await.error(), (400, 602));
}

async fn sec_079_what_stands_twice_is_refused(app: TestApp) {
    let shop = app.app("Shop").await;
    let login = |kind: &'static str, body: String| {
        let request = TestRequest::post()
            .uri("/api/appuser/login")
            .insert_header(("app-token", shop.token.as_str()))
            .insert_header(("content-type", kind))
            .set_payload(body);
        app.send(request)
    };
    let json = format!(r#"{{"handle":"a@b.c","handle":"d@e.f","password":"{PASSWORD}"}}"#);
    assert_eq!(login("application/json", json).await.error(), (400, 602));
    let form = format!("handle=a@b.c&handle=d@e.f&password={PASSWORD}");
    assert_eq!(login("application/x-www-form-urlencoded", form).await.error(), (400, 602));
    let twice = TestRequest::get()
        .uri("/api/appuser/getApplication")
        .append_header(("app-token", shop.token.as_str()))
        .append_header(("app-token", shop.token.as_str()));
    assert_eq!(app.send(twice).await.error(), (400, 400));
    let uri = format!("/api/appuser/getApplication?appToken={0}&appToken={0}", shop.token);
    assert_eq!(app.send(TestRequest::get().uri(&uri)).await.error(), (400, 400));
}

async fn sec_080_forbidden_characters_are_400_in_every_field(app: TestApp) {
    let shop = app.app("Shop").await;
    let base = json!({"handle": "a@example.com", "password": PASSWORD, "code": "123456", "metaData": "{}", "locale": "EN"});
    for name in ["signup", "completeSignup", "login"] {
        for field in ["handle", "password", "code", "metaData", "locale"] {
            for bad in ["\\u0000", "\\ud800", "a\\u0000b"] {
                let mut text = base.to_string();
                let value = base[field].to_string();
                text = text.replacen(&format!("\"{field}\":{value}"), &format!("\"{field}\":\"{bad}\""), 1);
                let request = TestRequest::post()
                    .uri(&format!("/api/appuser/{name}"))
                    .insert_header(("app-token", shop.token.as_str()))
                    .insert_header(("content-type", "application/json"))
                    .set_payload(text);
                assert_eq!(app.send(request).await.error(), (400, 602), "{name} {field} {bad}");
            }
        }
        for bad in
            ["a\r\nBcc: b@example.com", "a\u{1b}@example.com", "a\u{202e}@example.com", "a\u{7}@example.com"]
        {
            let mut body = base.clone();
            body["handle"] = bad.into();
            assert_eq!(app.as_app(&shop, name, body).await.error(), (400, 602), "{name} {bad:?}");
        }
    }
    assert!(app.mails().await.is_empty());
}

async fn sec_085_a_panic_is_a_500_and_the_next_request_works(app: TestApp) {
    let answer = app.send(TestRequest::get().uri("/panics")).await;
    assert_eq!(answer.error(), (500, 500));
    assert!(!answer.text().contains("canary"));
    assert_eq!(app.send(TestRequest::get().uri("/health/ready")).await.status, 200);
}

async fn sec_087_nothing_secret_is_in_any_answer(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let operator = app.server_secret.clone();
    let mut answers = Vec::new();
    for (path, header) in [
        ("/api/app/allApps".to_owned(), ("server-secret", operator.as_str())),
        (format!("/api/app/appId/{}", shop.id), ("server-secret", operator.as_str())),
        ("/api/appuser/getApplication".to_owned(), ("app-token", shop.token.as_str())),
        ("/api/appuser/getUser".to_owned(), ("access-token", access.as_str())),
        (format!("/apps/{}/.well-known/jwks.json", shop.id), ("x", "y")),
    ] {
        let answer = app.get(&path, header).await;
        assert_eq!(answer.status, 200);
        answers.push((path, answer));
    }
    for (path, answer) in answers {
        let text = answer.text();
        for secret in [PASSWORD, "argon2", "PRIVATE", "password\":", "epoch", "sealed", "digest"] {
            assert!(!text.contains(secret), "{secret} in {path}: {text}");
        }
        if path.contains("well-known") {
            continue;
        }
        assert_eq!(answer.headers.get("cache-control").unwrap(), "no-store", "{path}");
    }
    let client = app.get("/api/appuser/getApplication", ("app-token", &shop.token)).await.json();
    for operators_only in ["appToken", "appPublicKey", "appId", "type"] {
        assert_eq!(client.get(operators_only), None::<&Value>, "{operators_only}");
    }
}

async fn pages_of_other_origins_may_call_the_user_api(app: TestApp) {
    let preflight = |path: &'static str| {
        request("OPTIONS", path)
            .insert_header(("origin", "https://shop.example"))
            .insert_header(("access-control-request-method", "POST"))
            .insert_header(("access-control-request-headers", "app-token, content-type"))
    };
    let answer = app.send(preflight("/api/appuser/login")).await;
    assert!(answer.status.is_success(), "{}", answer.status);
    assert_eq!(answer.headers.get("access-control-allow-origin").unwrap(), "*");
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    let allowed =
        answer.headers.get("access-control-allow-headers").unwrap().to_str().unwrap().to_lowercase();
    assert!(allowed.contains("app-token"), "{allowed}");
    let admin = app.send(preflight("/api/app")).await;
    assert!(!admin.headers.contains_key("access-control-allow-origin"));
}

#[actix_web::test]
async fn sec_107_a_database_that_is_away_is_a_503_that_says_nothing_of_it() {
    let database = TestDatabase::sqlite();
    let working = TestApp::over(database.store()).await;
    let shop = working.app("Shop").await;
    let broken = TestApp::broken(broken(), &database.store()).await;
    for (path, header) in [
        ("/health/ready", ("x", "y")),
        ("/api/appuser/getApplication", ("app-token", shop.token.as_str())),
        ("/api/app/allApps", ("server-secret", working.server_secret.as_str())),
    ] {
        let answer = broken.get(path, header).await;
        assert_eq!(answer.error(), (503, 500), "{path}");
        assert_eq!(answer.headers.get("retry-after").unwrap(), "2");
        let id = answer.headers.get("x-request-id").unwrap().to_str().unwrap();
        assert!(answer.text().contains(id) && !answer.text().contains("canary"), "{}", answer.text());
    }
    assert_eq!(broken.get("/health/live", ("x", "y")).await.status, 200);
    let of_a_page = request("GET", "/api/appuser/getApplication")
        .insert_header(("app-token", shop.token.as_str()))
        .insert_header(("origin", "https://shop.example"));
    let answer = broken.send(of_a_page).await;
    assert_eq!(answer.error(), (503, 500));
    assert_eq!(answer.headers.get("access-control-allow-origin").unwrap(), "*", "a page can read it");
}
