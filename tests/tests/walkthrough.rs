//! From a fresh folder to a verified token, and what happens when the server ends and starts again.

use latchkey_tests::{Place, app_token_in};
use serde_json::json;

async fn first_token(place: Place) {
    let mut server = place.start();
    // Beside the running server, as its operator does.
    let secret = place.printed(&["token", "server", "--name", "test"]);
    let (status, app) =
        server.post("/api/app", ("server-secret", &secret), json!({"name": "Shop"})).await.unwrap();
    assert_eq!(status, 200, "{app}");
    let token = app["appToken"].as_str().unwrap().to_owned();
    assert_eq!(server.sign_up(&token, "ana@example.com").await.unwrap().1, json!(true));
    let code = server.code_for("ana@example.com").await;
    let complete = json!({"handle": "ana@example.com", "code": code});
    let (status, _) =
        server.post("/api/appuser/completeSignup", ("app-token", &token), complete).await.unwrap();
    assert_eq!(status, 200);
    let (_, tokens) = server.log_in(&token, "ana@example.com").await.unwrap();
    let access = tokens["access-token"].as_str().unwrap().to_owned();

    assert!(place.printed(&["app", "list"]).contains("Shop"));
    assert_eq!(server.terminate(), Some(0));

    // The same data, another process, and as its port is another one, another address: tokens and passwords are as good as before.
    let server = place.start();
    let (status, user) = server.get("/api/appuser/getUser", ("access-token", &access)).await.unwrap();
    assert_eq!((status.as_u16(), user["handle"].as_str()), (200, Some("ana@example.com")));
    assert_eq!(server.log_in(&token, "ana@example.com").await.unwrap().0, 200);
    assert!(server.has_logged("their tokens keep the old issuer").await, "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_gives_a_first_token_and_survives_a_restart() {
    first_token(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_gives_a_first_token_and_survives_a_restart() {
    first_token(Place::postgres()).await;
}

#[test]
fn ten_demonstrations_in_a_row_hold_on_one_server() {
    let place = Place::sqlite();
    let server = place.start();
    let secret = place.data().join("secret");
    std::fs::write(&secret, place.printed(&["token", "server"])).unwrap();
    let mailbox = place.data().join("mailbox");
    for _ in 0..10 {
        let printed = place.printed(&[
            "demo",
            "--url",
            &server.url,
            "--server-secret-file",
            secret.to_str().unwrap(),
            "--mailbox",
            mailbox.to_str().unwrap(),
        ]);
        assert!(printed.contains("All of it held"), "{printed}");
    }
}

#[test]
fn the_demonstration_brings_its_own_server() {
    let printed = Place::sqlite().printed(&["demo"]);
    assert!(printed.contains("All of it held"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_work_with_and_without_a_running_server() {
    let place = Place::sqlite();
    let token = app_token_in(&place.printed(&["app", "create", "Before", "--signup-flow", "none"]));
    let server = place.start();
    let (status, answer) = server.sign_up(&token, "ana@example.com").await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let _ = place.printed(&["app", "create", "During"]);
    let taken = place.run(&["app", "create", "During"]);
    assert!(!taken.status.success());
    assert!(String::from_utf8_lossy(&taken.stderr).contains("already exists"));
    let listed = place.printed(&["app", "list"]);
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(names, ["During", "Before"]);
}
