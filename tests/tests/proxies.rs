//! Runs nginx, Caddy and HAProxy with the configurations from docs/proxies.md.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_tests::documented::{Background, blocks, free_port};
use latchkey_tests::{PASSWORD, Place, Server, app_id_in, app_token_in};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const AUTH: &str = "auth.example.com";
const APP: &str = "app.example.com";
/// Where the client is: the proxies themselves connect from 127.0.0.1.
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 5));

/// A proxy, ended when it is dropped.
struct Proxy {
    port: u16,
    _program: Background,
    _folder: tempfile::TempDir,
}

/// A certificate for both names: PEM files of the chain, of the key, and of both.
fn certificate(folder: &Path) {
    let status = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=auth.example.com",
        ])
        .args(["-addext", "subjectAltName=DNS:auth.example.com,DNS:app.example.com"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    std::fs::write(folder.join("both.pem"), read("cert.pem") + &read("key.pem")).unwrap();
}

/// Starts a proxy with the configuration of the page, with the addresses of this test instead of the page's.
fn start(language: &str, (latchkey, backend): (u16, u16), app_id: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let port = free_port();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let text = blocks("proxies.md", language)
        .join("\n")
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{latchkey}"))
        .replace("127.0.0.1:3000", &format!("127.0.0.1:{backend}"))
        .replace("APP_ID", app_id)
        .replace("/etc/ssl/auth.example.com.pem", &file("cert.pem"))
        .replace("/etc/ssl/auth.example.com.key", &file("key.pem"))
        .replace("/etc/ssl/auth.example.com.both.pem", &file("both.pem"));
    let config = file("config");
    let (program, arguments, text) = match language {
        "nginx" => {
            let text = text.replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"));
            let folder = folder.path().display();
            let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {folder}/{name};"));
            let text = format!(
                "daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n\
                 http {{ access_log off; {}\n{text} }}",
                paths.join(" ")
            );
            ("nginx", vec!["-c".to_owned(), config.clone()], text)
        }
        "caddy" => {
            let tls = format!(" {{\n    tls {} {}\n", file("cert.pem"), file("key.pem"));
            let mut text = text;
            for site in [AUTH, APP] {
                text = text.replace(&format!("{site} {{\n"), &format!("{site}:{port}{tls}"));
            }
            let options = "{\n    admin off\n    auto_https disable_redirects\n    skip_install_trust\n}\n";
            let arguments =
                ["run", "--adapter", "caddyfile", "--config", &config].map(str::to_owned).to_vec();
            ("caddy", arguments, format!("{options}{text}"))
        }
        _ => {
            let text = text.replace("bind :443", &format!("bind 127.0.0.1:{port}"));
            ("haproxy", vec!["-f".to_owned(), config.clone()], text)
        }
    };
    std::fs::write(&config, text).unwrap();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = Background::start(program, &arguments, folder.path());
    Proxy { port, _program: program, _folder: folder }
}

/// A client at an address of its own that finds both names at the proxy.
fn client(proxy: &Proxy) -> Client {
    let address = SocketAddr::from(([127, 0, 0, 1], proxy.port));
    Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .local_address(CLIENT)
        .resolve(AUTH, address)
        .resolve(APP, address)
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

async fn until_it_answers(client: &Client, proxy: &Proxy) {
    for _ in 0..200 {
        let answer = client.get(format!("https://{AUTH}:{}/health/ready", proxy.port)).send().await;
        if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the proxy does not answer");
}

/// A server, where it listens, and an application's id and token.
fn latchkey() -> (Place, Server, u16, (String, String)) {
    let port = free_port();
    let place = Place::sqlite()
        .with("LATCHKEY__SERVER__PORT", &port.to_string())
        .with("LATCHKEY__SERVER__PUBLIC_URL", "https://auth.example.com")
        .with("LATCHKEY__SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let printed = place.printed(&["app", "create", "Shop", "--signup-flow", "none"]);
    let app = (app_id_in(&printed), app_token_in(&printed));
    let mut server = place.start();
    // It prints its public address.
    server.url = format!("http://127.0.0.1:{port}");
    (place, server, port, app)
}

/// Signs up through the proxy as a client that claims to be somebody else, and returns the access token.
async fn sign_up(client: &Client, proxy: &Proxy, token: &str) -> String {
    let request = client
        .post(format!("https://{AUTH}:{}/api/appuser/signup", proxy.port))
        .header("app-token", token)
        .header("x-forwarded-for", "203.0.113.9")
        .header("forwarded", "for=203.0.113.9")
        .json(&json!({"handle": "ana@example.com", "password": PASSWORD}));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["access-token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn assert_client_is_known(server: &Server) {
    // The answer may be here before its line is in the log.
    let is_written = |_: &usize| {
        std::thread::sleep(Duration::from_millis(50));
        server.log().contains("/api/appuser/signup")
    };
    assert!((0..200).find(is_written).is_some(), "no line of the sign-up: {}", server.log());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("/api/appuser/signup")).unwrap();
    assert!(line.contains(&format!("\"client\":\"{CLIENT}\"")), "{line}");
    assert!(!log.contains("203.0.113.9"), "{log}");
}

/// A service behind the gateway: answers 200 and remembers the headers of its requests.
async fn backend() -> (u16, Arc<Mutex<Vec<HashMap<String, String>>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            let mut buffer = [0; 1_024];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer).await {
                    Ok(length @ 1..) => head.extend_from_slice(&buffer[..length]),
                    _ => break,
                }
            }
            let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let headers = text.lines().filter_map(|line| line.split_once(": "));
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            kept.lock().unwrap().push(headers);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                .await;
        }
    });
    (port, seen)
}

async fn a_proxy_names_its_client(language: &str) {
    let (_place, server, port, (id, token)) = latchkey();
    let proxy = start(language, (port, 1), &id);
    let client = client(&proxy);
    until_it_answers(&client, &proxy).await;
    sign_up(&client, &proxy, &token).await;
    assert_client_is_known(&server);
    let docs = client.get(format!("https://{AUTH}:{}/docs/index.html", proxy.port)).send().await.unwrap();
    assert_eq!(docs.status(), StatusCode::OK);
}

async fn a_gateway_lets_users_in(language: &str) {
    let (place, server, port, (id, token)) = latchkey();
    let (backend, seen) = backend().await;
    let proxy = start(language, (port, backend), &id);
    let client = client(&proxy);
    until_it_answers(&client, &proxy).await;
    let access = sign_up(&client, &proxy, &token).await;
    let ask = async |token: Option<&str>| {
        let mut request = client
            .get(format!("https://{APP}:{}/orders", proxy.port))
            .header("x-latchkey-user", "0123456789abcdef0123456789abcdef")
            .header("x-latchkey-app", "forged")
            .header("x-latchkey-handle", "forged")
            .header("x-latchkey-user-name", "forged");
        if let Some(token) = token {
            request = request.header("access-token", token);
        }
        request.send().await.unwrap().status()
    };
    let other = app_token_in(&place.printed(&["app", "create", "Other", "--signup-flow", "none"]));
    let stranger = server.sign_up(&other, "eve@example.com").await.unwrap().1["access-token"].clone();
    let stranger = stranger.as_str().unwrap();
    for wrong in [None, Some("garbage"), Some(&access[..access.len() - 2]), Some(stranger)] {
        assert_eq!(ask(wrong).await, StatusCode::UNAUTHORIZED, "{wrong:?}");
    }
    assert!(seen.lock().unwrap().is_empty());
    assert_eq!(ask(Some(&access)).await, StatusCode::OK);
    let checked = server.get("/api/appuser/check", ("access-token", &access)).await.unwrap().1;
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0]["x-latchkey-user"], checked["userId"].as_str().unwrap());
        assert_eq!(seen[0]["x-latchkey-handle"], "ana@example.com");
        assert!(seen[0].values().all(|value| value != "forged"), "{:?}", seen[0]);
        assert_eq!(seen[0].get("access-token").filter(|token| !token.is_empty()), None);
    }
    let body = json!({"password": PASSWORD, "newPassword": "0f1e2d3c4b5a69788796a5b4c3d2e1f0"});
    let other = server.log_in(&token, "ana@example.com").await.unwrap().1["access-token"].clone();
    let changed = server.post("/api/appuser/changePassword", ("access-token", other.as_str().unwrap()), body);
    assert_eq!(changed.await.unwrap().0, StatusCode::OK);
    assert_eq!(ask(Some(&access)).await, StatusCode::UNAUTHORIZED, "the session has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_names_its_client() {
    a_proxy_names_its_client("nginx").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_names_its_client() {
    a_proxy_names_its_client("caddy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_names_its_client() {
    a_proxy_names_its_client("haproxy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_lets_users_in_as_a_gateway() {
    a_gateway_lets_users_in("nginx").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_lets_users_in_as_a_gateway() {
    a_gateway_lets_users_in("caddy").await;
}
