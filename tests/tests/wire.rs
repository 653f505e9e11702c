//! Raw sockets against the real binary: slow, hostile and broken clients harm nobody else.

use std::time::{Duration, Instant};

use latchkey_tests::{PASSWORD, Place, Server, app_token_in};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap()
}

/// Sends bytes and reads until the server closes.
async fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server).await;
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// What [`trickle`] adds to the answer of a connection that the server has not closed.
const STILL_OPEN: &str = "[still open]";

/// Sends bytes, then a piece five times a second until the server closes, and gives what it answered.
async fn trickle(server: &Server, bytes: String, piece: &str) -> String {
    let (mut reading, mut writing) = connect(server).await.into_split();
    let mut answer = Vec::new();
    let sending = async {
        let _ = writing.write_all(bytes.as_bytes()).await;
        for _ in 0..100 {
            if writing.write_all(piece.as_bytes()).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let is_closed = tokio::select! {
        _ = reading.read_to_end(&mut answer) => true,
        () = sending => false,
    };
    let ending = if is_closed { "" } else { STILL_OPEN };
    format!("{}{ending}", String::from_utf8_lossy(&answer))
}

async fn is_well(server: &Server) {
    let (status, _) = server.get("/health/ready", ("x", "y")).await.expect("an answer");
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_083_a_hidden_second_request_never_runs() {
    let place = Place::sqlite();
    let server = place.start();
    let hidden = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    for head in [
        "POST /api/appuser/login HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n".to_owned(),
        "POST /api/appuser/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "POST /api/appuser/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
        "POST /api/appuser/login HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n".to_owned(),
    ] {
        let answer = exchange(&server, format!("{head}{hidden}").as_bytes()).await;
        assert!(!answer.contains("\"live\""), "{head} {answer}");
    }
    for request in
        ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\u{1} HTTP/1.1\r\n\r\n"]
    {
        let answer = exchange(&server, request.as_bytes()).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    is_well(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_117_slow_and_idle_clients_are_closed_and_others_served() {
    let place = Place::sqlite()
        .with("LATCHKEY__LIMITS__HEAD_SECONDS", "1")
        .with("LATCHKEY__LIMITS__BODY_SECONDS", "1")
        .with("LATCHKEY__LIMITS__IDLE_SECONDS", "1");
    let server = place.start();
    let head = exchange(&server, b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    // Without a token no body is read.
    let token = app_token_in(&place.printed(&["app", "create", "Shop"]));
    let slow_body = format!(
        "POST /api/appuser/login HTTP/1.1\r\nHost: x\r\napp-token: {token}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{"
    );
    let began = Instant::now();
    let body = exchange(&server, slow_body.as_bytes());
    let idle = exchange(&server, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
    let whole = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    let second_head = trickle(&server, format!("{whole}GET /health/live HTTP/1.1\r\nX-Slow: "), "x");
    let one_byte = exchange(&server, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nG");
    let chunked = |path: &str| {
        let head =
            "HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        trickle(&server, format!("POST {path} {head}"), "1\r\nx\r\n")
    };
    let refused = async {
        // Where there is nothing, where there is no body, and where a token is missing.
        let paths = ["/nope", "/health/live", "/api/app/importDatabase", "/api/appuser/login"];
        for answer in futures_util::future::join_all(paths.map(chunked)).await {
            assert!(answer.contains("HTTP/1.1 ") && !answer.contains(STILL_OPEN), "{answer}");
        }
    };
    let others = async {
        for _ in 0..10 {
            is_well(&server).await;
        }
    };
    let (head, body, idle, second_head, one_byte, (), ()) =
        tokio::join!(head, body, idle, second_head, one_byte, refused, others);
    for answer in [second_head, one_byte] {
        assert!(answer.contains("\"live\"") && !answer.contains(STILL_OPEN), "{answer}");
    }
    assert!(!head.contains(" 200 "), "{head}");
    assert!(body.contains(" 408 ") && body.contains("602"), "{body}");
    assert!(idle.contains("\"live\""), "{idle}");
    // All three were closed by the server, not by this test's patience.
    assert!(began.elapsed() < Duration::from_secs(19));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_117_connections_of_one_address_are_bounded() {
    let place = Place::sqlite()
        .with("LATCHKEY__LIMITS__CONNECTIONS_PER_ADDRESS", "10")
        .with("LATCHKEY__SERVER__TRUSTED_PROXIES", "192.0.2.1");
    let server = place.start();
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut stream = connect(&server).await;
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        held.push(stream);
    }
    let mut refused = String::new();
    for _ in 0..100 {
        refused =
            exchange(&server, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        if refused.contains(" 429 ") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(refused.contains(" 429 ") && refused.to_lowercase().contains("retry-after"), "{refused}");
    drop(held);
    for _ in 0..200 {
        if server.get("/health/live", ("x", "y")).await.is_some_and(|(status, _)| status == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the places were not given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_117_the_server_takes_as_many_open_files_as_it_is_given() {
    let place = Place::sqlite().with_open_files(200);
    let server = place.start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    assert_eq!(numbers[0], numbers[1].min(65_536), "{line}");
    assert!(numbers[0] > 200);
    is_well(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_its_connection_loses_nothing() {
    let place = Place::sqlite();
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let server = place.start();
    for number in 0..20 {
        let body = json!({"handle": format!("u{number}@example.com"), "password": PASSWORD}).to_string();
        let request = format!(
            "POST /api/appuser/signup HTTP/1.1\r\nHost: x\r\napp-token: {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let stream = connect(&server).await;
        let mut stream = stream;
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(number)).await;
        // Lingering for no time at all makes the close a reset.
        stream.set_zero_linger().unwrap();
        drop(stream);
    }
    is_well(&server).await;
    // Whatever had arrived was done to its end: each handle is free or belongs to a whole user.
    let mut whole = 0;
    for number in 0..20 {
        let handle = format!("u{number}@example.com");
        // Each try costs a hash, which a busy machine feels.
        for _ in 0..10 {
            let (status, answer) = server.log_in(&token, &handle).await.unwrap();
            if status == 200 {
                whole += 1;
                break;
            }
            assert_eq!(answer["code"], 600);
            if number < 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    assert!(whole >= 10, "{whole} {}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_116_more_logins_than_the_pool_holds_are_refused_at_once() {
    let place = Place::sqlite().with("LATCHKEY__HASH__QUEUE", "40").with("LATCHKEY__HASH__THREADS", "2");
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let server = place.start();
    assert_eq!(server.sign_up(&token, "ana@example.com").await.unwrap().0, 200);
    let (idle, _) = server.memory_kib();
    // Of nobody, each costs a hash all the same; of one user, ten at once would be enough.
    let logins = (0..500).map(|number| {
        server
            .client
            .post(format!("{}/api/appuser/login", server.url))
            .header("app-token", &token)
            .json(&json!({"handle": format!("u{number}@example.com"), "password": PASSWORD}))
            .send()
    });
    let meanwhile = async {
        for _ in 0..20 {
            is_well(&server).await;
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(logins), meanwhile);
    let (mut served, mut refused) = (0, 0);
    for answer in answers {
        let answer = answer.unwrap();
        match answer.status().as_u16() {
            400 => served += 1,
            503 => {
                assert!(answer.headers().contains_key("retry-after"));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(served >= 40 && refused >= 100, "{served} served, {refused} refused");
    let (_, highest) = server.memory_kib();
    // Two hashes of 19 MiB each, and room for 500 connections.
    assert!(highest < idle + 2 * 20 * 1_024 + 60 * 1_024, "{idle} KiB idle, {highest} KiB at most");
    assert_eq!(server.log_in(&token, "ana@example.com").await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_120_a_forwarded_header_from_nobody_special_changes_nothing() {
    let place = Place::sqlite();
    let token = app_token_in(&place.printed(&["app", "create", "Shop"]));
    let server = place.start();
    let spoofed = server
        .client
        .post(format!("{}/api/appuser/signup", server.url))
        .header("app-token", &token)
        .header("x-forwarded-for", "203.0.113.9")
        .json(&json!({"handle": "ana@example.com", "password": PASSWORD}));
    assert_eq!(spoofed.send().await.unwrap().status(), 200);
    assert!(server.has_logged("127.0.0.1").await);
    assert!(!server.log().contains("203.0.113.9"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_117_an_upload_may_be_longer_than_a_request_but_not_pause() {
    let place = Place::sqlite()
        .with("LATCHKEY__LIMITS__REQUEST_SECONDS", "1")
        .with("LATCHKEY__LIMITS__BODY_SECONDS", "3");
    let secret = place.printed(&["token", "server"]);
    let server = place.start();
    let body = "--XX\r\ncontent-disposition: form-data; name=\"appName\"\r\n\r\nShop\r\n--XX\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n\r\nno zip at all\r\n--XX--\r\n";
    let head = format!(
        "POST /api/app/importDatabase HTTP/1.1\r\nHost: x\r\nConnection: close\r\nserver-secret: {secret}\r\n\
         Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = connect(&server).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in body.as_bytes().chunks(body.len() / 20) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        // It may answer before the last line break.
        let _ = stream.write_all(piece).await;
    }
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.contains(" 400 ") && answer.contains("no zip file"), "{answer} {}", server.log());
    let paused = exchange(&server, format!("{head}--XX").as_bytes()).await;
    assert!(paused.contains(" 408 "), "{paused}");
    // What is around the parts counts too, and the next request is served.
    let endless = head.replace("boundary=XX", "boundary=YY").replace("Content-Length", "x-length");
    let endless = endless.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut stream = connect(&server).await;
    stream.write_all(endless.as_bytes()).await.unwrap();
    let lines = [&[b'x'; 1023], b"\n".as_slice()].concat().repeat(1024);
    let chunk = [b"100000\r\n", lines.as_slice(), b"\r\n"].concat();
    for _ in 0..66 {
        stream.write_all(&chunk).await.unwrap();
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"HTTP/1.1 413");
    drop(stream);
    let last = exchange(&server, format!("{head}{body}").as_bytes()).await;
    assert!(last.contains(" 400 ") && last.contains("no zip file"), "{last}");
}
