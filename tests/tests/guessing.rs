//! Guessing against the real binary: what survives a kill, how long a refusal takes, what a client that goes
//! away leaves behind, and how fast another server knows it.

use std::time::{Duration, Instant};

use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use latchkey_tests::{PASSWORD, Place, Server, app_token_in};
use serde_json::{Value, json};

const WRONG: &str = "f9a8ffd33895d8f1d205c38a55011f3e";

#[derive(diesel::QueryableByName)]
struct Failures {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    failed: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    logins: i64,
}

fn failures(place: &Place) -> (i64, i64) {
    let path = place.data().join("latchkey.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let query = "SELECT MAX(failed_unknown + failed_known) AS failed,
        (SELECT COUNT(*) FROM audit_log WHERE action = 'login' AND result = 'ok') AS logins FROM users";
    let found: Failures = diesel::sql_query(query).get_result(&mut connection).unwrap();
    (found.failed, found.logins)
}

async fn log_in(server: &Server, token: &str, handle: &str, password: &str) -> (u16, Value) {
    let body = json!({"handle": handle, "password": password});
    let (status, answer) = server.post("/api/appuser/login", ("app-token", token), body).await.unwrap();
    (status.as_u16(), answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_020_failures_survive_a_kill() {
    let place = Place::sqlite();
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let mut server = place.start();
    server.sign_up(&token, "ana@example.com").await.unwrap();
    for _ in 0..9 {
        assert_eq!(log_in(&server, &token, "ana@example.com", WRONG).await.0, 400);
    }
    server.kill();
    let server = place.start();
    assert_eq!(failures(&place).0, 9);
    assert_eq!(log_in(&server, &token, "ana@example.com", WRONG).await.0, 400);
    assert_eq!(log_in(&server, &token, "ana@example.com", PASSWORD).await.0, 400, "the tenth locked it");
}

/// The middle of what it took, in milliseconds.
fn median(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_021_refusals_take_the_same_time_whoever_is_asked_for() {
    let place = Place::sqlite();
    let token =
        app_token_in(&place.printed(&["app", "create", "Shop", "--compatible", "--signup-flow", "none"]));
    let secret = place.printed(&["token", "server"]);
    let server = place.start();
    let header = ("server-secret", secret.as_str());
    let app = server.get("/api/app/allApps", header).await.unwrap().1[0]["appId"].clone();
    let set = async |body: Value| {
        assert_eq!(server.post("/api/app/updateAppSetting", header, body).await.unwrap().0, 200)
    };
    for name in ["ana", "locked"] {
        server.sign_up(&token, &format!("{name}@example.com")).await.unwrap();
    }
    set(json!({"appId": app, "setting": "anonLogin", "anonymousLoginEnabled": true})).await;
    set(json!({"appId": app, "setting": "signupFlow", "signupFlow": "code"})).await;
    server.sign_up(&token, "pending@example.com").await.unwrap();
    for _ in 0..10 {
        log_in(&server, &token, "locked@example.com", WRONG).await;
    }
    let handles = ["nobody@example.com", "ana@example.com", "locked@example.com", "pending@example.com"];
    let mut times = vec![Vec::new(); handles.len()];
    let mut bodies = std::collections::BTreeSet::new();
    for _ in 0..8 {
        for (times, handle) in times.iter_mut().zip(handles) {
            let began = Instant::now();
            let answer = log_in(&server, &token, handle, WRONG).await;
            times.push(began.elapsed().as_millis());
            bodies.insert((answer.0, answer.1.to_string()));
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let fastest = times.iter().flatten().min().unwrap();
    assert!(*fastest >= 250, "{fastest} ms: nothing is told before the floor");
    let medians: Vec<u128> = times.into_iter().map(median).collect();
    let spread = medians.iter().max().unwrap() - medians.iter().min().unwrap();
    // The floor is far above what the work takes, so that the work does not show.
    assert!(spread <= 25, "{medians:?} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_in_the_middle_leaves_no_attempt_counted() {
    let place = Place::sqlite();
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let mut server = place.start();
    server.sign_up(&token, "ana@example.com").await.unwrap();
    // One after the other, each reset a little later than the one before: at every await of a log-in.
    for delay in 0..60 {
        let call = log_in(&server, &token, "ana@example.com", PASSWORD);
        let _ = tokio::time::timeout(Duration::from_millis(delay), call).await;
    }
    // What arrived is done before it ends; nothing is left hanging, so the next wrong one is the first.
    assert_eq!(server.terminate(), Some(0));
    let (failed, logins) = failures(&place);
    assert_eq!(failed, 0);
    assert!(logins >= 20, "too few arrived: {logins}");
    let server = place.start();
    log_in(&server, &token, "ana@example.com", WRONG).await;
    assert_eq!(failures(&place).0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_062_what_ends_a_session_on_one_postgres_server_ends_it_on_the_other() {
    let place = Place::postgres();
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let secret = place.printed(&["token", "server"]);
    let first = place.start();
    let place_of_second = place.second();
    let second = place_of_second.start();
    let app = first.get("/api/app/allApps", ("server-secret", &secret)).await.unwrap().1[0]["appId"].clone();
    let post = async |path: &str, header: (&str, &str), body: Value| {
        let (status, answer) = first.post(path, header, body).await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
    };
    for event in ["change", "reset", "suspend", "delete"] {
        let handle = format!("{event}@example.com");
        first.sign_up(&token, &handle).await.unwrap();
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let answer = first.log_in(&token, &handle).await.unwrap().1;
            tokens.push(answer["access-token"].as_str().unwrap().to_owned());
        }
        let (own, other) = (("access-token", tokens[0].as_str()), ("access-token", tokens[1].as_str()));
        assert_eq!(second.get("/api/appuser/getUser", other).await.unwrap().0, 200);
        let as_app = ("app-token", token.as_str());
        match event {
            "change" => {
                let body = json!({"password": PASSWORD, "newPassword": WRONG});
                post("/api/appuser/changePassword", own, body).await;
                assert_eq!(
                    second.get("/api/appuser/getUser", own).await.unwrap().0,
                    200,
                    "the caller's own stays"
                );
            }
            "reset" => {
                post("/api/appuser/forgotPassword", as_app, json!({"handle": handle})).await;
                // Either server may have sent it.
                let code = loop {
                    if let Some(code) = first.newest_code(&handle).or_else(|| second.newest_code(&handle)) {
                        break code;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                };
                let body = json!({"handle": handle, "password": WRONG, "code": code});
                post("/api/appuser/resetPassword", as_app, body).await;
            }
            "suspend" => {
                let body = json!({"appId": app, "userId": user_id(&place, &handle), "status": "suspend"});
                post("/api/app/user", ("server-secret", &secret), body).await;
            }
            _ => {
                post("/api/appuser/deleteAccount", own, json!({"handle": handle, "password": PASSWORD})).await
            }
        }
        let (status, answer) = second.get("/api/appuser/getUser", other).await.unwrap();
        assert_eq!((status.as_u16(), &answer["code"]), (400, &json!(405)), "{event}");
    }
}

#[derive(diesel::QueryableByName)]
struct Id {
    #[diesel(sql_type = diesel::sql_types::Text)]
    id: String,
}

fn user_id(place: &Place, handle: &str) -> String {
    let query = diesel::sql_query("SELECT encode(id, 'hex') AS id FROM users WHERE handle = $1")
        .bind::<diesel::sql_types::Text, _>(handle);
    let found: Id = query.get_result(&mut place.database().unwrap().sql().unwrap()).unwrap();
    found.id
}
