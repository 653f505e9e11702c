//! `kill -9` at random moments under load: whatever was answered is there afterwards.
//! `LATCHKEY_KILL_ROUNDS` sets how often.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use latchkey_tests::{Place, app_token_in};
use serde_json::json;
use tokio::sync::Mutex;

#[derive(diesel::QueryableByName)]
struct Check {
    #[diesel(sql_type = diesel::sql_types::Text)]
    integrity_check: String,
}

fn rounds() -> usize {
    std::env::var("LATCHKEY_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

async fn survives(place: Place) {
    // What the killed process was about to send belongs to it for three times this long.
    let place = place.with("LATCHKEY__OUTBOX__SEND_SECONDS", "2");
    let with_code = app_token_in(&place.printed(&["app", "create", "With code"]));
    let at_once = app_token_in(&place.printed(&["app", "create", "At once", "--signup-flow", "none"]));
    for round in 0..rounds() {
        let mut server = Arc::new(place.start());
        let answered = Arc::new(Mutex::new((BTreeSet::new(), BTreeSet::new())));
        let mut signups = Vec::new();
        for number in 0..500 {
            let (server, answered) = (Arc::clone(&server), Arc::clone(&answered));
            let (token, is_coded) =
                if number % 2 == 0 { (with_code.clone(), true) } else { (at_once.clone(), false) };
            signups.push(tokio::spawn(async move {
                let handle = format!("r{round}.n{number}@example.com");
                let Some((status, _)) = server.sign_up(&token, &handle).await else { return };
                if status == 200 {
                    let mut answered = answered.lock().await;
                    if is_coded {
                        answered.0.insert(handle)
                    } else {
                        answered.1.insert(handle)
                    };
                }
            }));
        }
        let moment = RandomState::new().build_hasher().finish() % 1_500;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        let pid = server.pid().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        futures_util::future::join_all(signups).await;
        Arc::get_mut(&mut server).unwrap().kill();
        drop(server);

        if place.database().is_none() {
            let path = place.data().join("latchkey.db");
            let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
            let check: Check =
                diesel::sql_query("PRAGMA integrity_check").get_result(&mut connection).unwrap();
            assert_eq!(check.integrity_check, "ok");
        }
        let server = place.start();
        let (coded, users) = &*answered.lock().await;
        for handle in users {
            let (status, answer) = server.log_in(&at_once, handle).await.unwrap();
            assert_eq!(status, 200, "round {round}: {handle} was answered and is gone: {answer}");
        }
        for handle in coded {
            let complete = json!({"handle": handle, "code": server.code_for(handle).await});
            let answer =
                server.post("/api/appuser/completeSignup", ("app-token", &with_code), complete).await;
            assert_eq!(answer.unwrap().0, 200, "round {round}: {handle}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_what_was_answered() {
    survives(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_what_was_answered() {
    survives(Place::postgres()).await;
}
