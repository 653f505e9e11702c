//! Failures around the server: full disk, replaced database file, unreachable mail server, misconfigured proxy, bad requests.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use latchkey_tests::{PASSWORD, Place, Server, app_token_in};
use reqwest::StatusCode;
use serde_json::json;

async fn is_ready(server: &Server) -> bool {
    server.get("/health/ready", ("x", "y")).await.unwrap().0 == StatusCode::OK
}

/// Signs up, and returns the status and whether the answer says when to try again.
async fn sign_up(server: &Server, token: &str, handle: &str) -> (u16, bool) {
    let body = json!({"handle": handle, "password": PASSWORD});
    let request = server.client.post(format!("{}/api/appuser/signup", server.url)).header("app-token", token);
    let answer = request.json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_503_and_not_ready_until_there_is_room() {
    let place = Place::sqlite().with_file_errors();
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let server = place.start();
    assert_eq!(sign_up(&server, &token, "before@example.com").await, (200, false));
    assert!(is_ready(&server).await);
    server.limit_files("0");
    for number in 0..3 {
        assert_eq!(sign_up(&server, &token, &format!("full{number}@example.com")).await, (503, true));
        assert!(!is_ready(&server).await, "{number}");
    }
    server.limit_files("unlimited");
    assert!(is_ready(&server).await);
    assert_eq!(sign_up(&server, &token, "full0@example.com").await, (200, false));
    assert_eq!(server.log_in(&token, "before@example.com").await.unwrap().0, StatusCode::OK);
    let log = server.log();
    for once in ["the database cannot write", "the database writes again"] {
        assert_eq!(log.matches(once).count(), 1, "{log}");
    }
}

#[test]
fn a_start_names_the_log_of_another_database() {
    let place = Place::sqlite();
    let _ = place.printed(&["app", "create", "Shop"]);
    let (file, log) = (place.data().join("latchkey.db"), place.data().join("latchkey.db-wal"));
    let content = std::fs::read(&file).unwrap();
    let write = |path: &std::path::Path, bytes: &[u8]| {
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(&log, b"left over");
    write(&file, &[&content[..100], &[7; 20_000]].concat());
    let failed = place.run(&["app", "list"]);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success() && said.contains("latchkey.db-wal did not belong to it"), "{said}");
    std::fs::remove_file(&file).unwrap();
    write(&log, b"left over");
    let failed = place.run(&["app", "create", "Other"]);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("latchkey.db is missing, but") && !file.exists(), "{said}");
    write(&file, &content);
    std::fs::remove_file(&log).unwrap();
    assert!(place.printed(&["app", "list"]).contains("Shop"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_file_that_was_replaced_or_deleted_stops_all_answers() {
    let place = Place::sqlite();
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let server = place.start();
    assert_eq!(sign_up(&server, &token, "ana@example.com").await, (200, false));
    let (file, aside) = (place.data().join("latchkey.db"), place.data().join("aside.db"));
    std::fs::rename(&file, &aside).unwrap();
    for is_replaced in [false, true] {
        if is_replaced {
            std::fs::copy(&aside, &file).unwrap();
        }
        assert_eq!(sign_up(&server, &token, "bo@example.com").await, (503, true), "{is_replaced}");
        assert_eq!(
            server.log_in(&token, "ana@example.com").await.unwrap().0,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert!(!is_ready(&server).await);
    }
    assert!(server.log().contains("was replaced, moved or deleted"), "{}", server.log());
    std::fs::rename(&aside, &file).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(is_ready(&server).await);
    assert_eq!(sign_up(&server, &token, "bo@example.com").await, (200, false));
    assert_eq!(server.log_in(&token, "ana@example.com").await.unwrap().0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_database_file_serves_one_process_by_whatever_name() {
    let place = Place::sqlite();
    let _ = place.printed(&["app", "create", "Shop"]);
    let server = place.start();
    for is_symbolic in [true, false] {
        let other = Place::sqlite();
        let _ = other.printed(&["app", "create", "Other"]);
        let (file, link) = (place.data().join("latchkey.db"), other.data().join("latchkey.db"));
        std::fs::remove_file(&link).unwrap();
        std::fs::copy(place.data().join("master.key"), other.data().join("master.key")).unwrap();
        if is_symbolic {
            std::os::unix::fs::symlink(&file, &link).unwrap();
        } else {
            std::fs::hard_link(&file, &link).unwrap();
        }
        let refused = other.run(&["app", "list"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(69), "{said}");
        assert!(said.contains("latchkey.db is in use by another latchkey"), "{said}");
    }
    assert!(is_ready(&server).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_logged_and_does_not_wait_for_a_mail_server_that_hangs() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let place = Place::sqlite()
        .with("LATCHKEY__LOG__FORMAT", "text")
        .with("LATCHKEY__MAIL__SENDER", "smtp")
        .with("LATCHKEY__MAIL__FROM", "noreply@example.com")
        .with("LATCHKEY__MAIL__SMTP_HOST", "127.0.0.1")
        .with("LATCHKEY__MAIL__SMTP_PORT", &port)
        .with("LATCHKEY__MAIL__SMTP_TLS", "none")
        .with("LATCHKEY__MAIL__SMTP_TIMEOUT_SECONDS", "60")
        .with("LATCHKEY__OUTBOX__SEND_SECONDS", "60")
        .with("LATCHKEY__SERVER__SHUTDOWN_SECONDS", "60");
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let mut server = place.start();
    assert_eq!(sign_up(&server, &token, "ana@example.com").await, (200, false));
    let (_stream, _) = silent.accept().unwrap();
    assert_eq!(server.terminate(), Some(0));
    let log = server.log();
    for expected in ["stopping", "messages that are still being sent are sent again", "stopped"] {
        assert!(log.contains(expected), "{expected} in {log}");
    }
    assert!(!log.contains('\u{1b}'), "no colours in files: {log:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_are_not_errors_of_the_server() {
    let place = Place::sqlite();
    let server = place.start();
    let address = server.url.trim_start_matches("http://").to_owned();
    let long = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; 200_000]].concat();
    let requests: [&[u8]; 10] = [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /api/appuser/login HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST /api/appuser/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/appuser/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        &long,
    ];
    for request in requests {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    assert!(is_ready(&server).await, "{}", server.log());
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_without_x_forwarded_for_is_reported_once() {
    let place = Place::sqlite().with("LATCHKEY__SERVER__TRUSTED_PROXIES", "loopback");
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let server = place.start();
    assert!(is_ready(&server).await);
    assert!(!server.log().contains("X-Forwarded-For"), "monitoring asks without a proxy");
    for number in 0..3 {
        assert_eq!(sign_up(&server, &token, &format!("user{number}@example.com")).await.0, 200);
    }
    let log = server.log();
    assert_eq!(log.matches("proxy_set_header X-Forwarded-For $remote_addr;").count(), 1, "{log}");
}
