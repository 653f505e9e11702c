//! Runs HAProxy and Dovecot with the configurations from docs/consumers.md.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey_tests::documented::{Background, blocks, free_port};
use latchkey_tests::{PASSWORD, Place, Server, app_id_in, app_token_in};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// An application whose tokens a consumer accepts.
struct Issuer {
    server: Server,
    secret: String,
    id: String,
    token: String,
    issuer: String,
    kid: String,
    pem: Vec<u8>,
    _place: Place,
}

impl Issuer {
    /// Starts a server, and makes an application with an audience.
    async fn with_audience(audience: &str) -> Self {
        let place = Place::sqlite();
        let printed = place.printed(&["app", "create", "Shop", "--compatible", "--signup-flow", "none"]);
        let secret = place.printed(&["token", "server"]).trim().to_owned();
        let (id, token) = (app_id_in(&printed), app_token_in(&printed));
        let server = place.start();
        let body = json!({"appId": id, "setting": "realmAppId", "realmAppId": audience});
        let app = server.post("/api/app/updateAppSetting", ("server-secret", &secret), body).await.unwrap();
        assert_eq!(app.0, StatusCode::OK, "{}", app.1);
        let pem = STANDARD.decode(app.1["appPublicKey"].as_str().unwrap()).unwrap();
        let keys =
            server.get(&format!("/apps/{id}/.well-known/jwks.json"), ("accept", "*/*")).await.unwrap().1;
        let kid = keys["keys"][0]["kid"].as_str().unwrap().to_owned();
        let issuer = app.1["issuer"].as_str().unwrap().to_owned();
        Self { server, secret, id, token, issuer, kid, pem, _place: place }
    }

    async fn sign_up(&self, handle: &str) -> String {
        let (status, answer) = self.server.sign_up(&self.token, handle).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["jwt"].as_str().unwrap().to_owned()
    }

    /// The token of another application for another user.
    async fn of_another_app(&self) -> String {
        let header = ("server-secret", self.secret.as_str());
        let body = json!({"name": "Other"});
        let other = self.server.post("/api/app/", header, body).await.unwrap().1;
        for (setting, field, value) in
            [("signupFlow", "signupFlow", json!("none")), ("realmAppId", "realmAppId", json!("my-backend"))]
        {
            let body = json!({"appId": other["appId"], "setting": setting, field: value});
            assert_eq!(
                self.server.post("/api/app/updateAppSetting", header, body).await.unwrap().0,
                StatusCode::OK
            );
        }
        let token = other["appToken"].as_str().unwrap();
        let answer = self.server.sign_up(token, "ana@example.com").await.unwrap().1;
        answer["jwt"].as_str().unwrap().to_owned()
    }
}

/// The same token with another signature.
fn forged(jwt: &str) -> String {
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let reversed: String = signature.chars().rev().collect();
    format!("{signed}.{reversed}")
}

async fn connected(port: u16) -> TcpStream {
    for _ in 0..200 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing listens on port {port}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_verifies_tokens() {
    let app = Issuer::with_audience("my-backend").await;
    let folder = tempfile::tempdir().unwrap();
    let (port, backend) = (free_port(), wiremock::MockServer::start().await);
    wiremock::Mock::given(wiremock::matchers::any())
        .respond_with(wiremock::ResponseTemplate::new(200))
        .mount(&backend)
        .await;
    let file = |name: &str| folder.path().join(name).display().to_string();
    for state in ["current", "other"] {
        std::fs::write(file(&format!("latchkey-{state}.pem")), &app.pem).unwrap();
    }
    let text = blocks("consumers.md", "haproxy")
        .join("\n")
        .replace("https://auth.example.com/apps/APP_ID", &app.issuer)
        .replace("/etc/haproxy/latchkey-", &file("latchkey-"))
        .replace("bind :443 ssl crt /etc/ssl/app.example.com.both.pem", &format!("bind 127.0.0.1:{port}"))
        .replace("127.0.0.1:3000", &backend.address().to_string());
    std::fs::write(file("config"), text).unwrap();
    let _haproxy = Background::start("haproxy", &["-f", &file("config")], folder.path());
    drop(connected(port).await);
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    let ask = async |token: Option<&str>| {
        let mut request = client.get(format!("http://127.0.0.1:{port}/orders")).header("x-user", "root");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap().status()
    };
    let jwt = app.sign_up("ana@example.com").await;
    for wrong in [None, Some("garbage"), Some(&*forged(&jwt)), Some(&*app.of_another_app().await)] {
        assert_eq!(ask(wrong).await, StatusCode::UNAUTHORIZED, "{wrong:?}");
    }
    let body = json!({"appId": app.id, "setting": "realmAppId", "realmAppId": "elsewhere"});
    let set =
        app.server.post("/api/app/updateAppSetting", ("server-secret", &app.secret), body).await.unwrap();
    assert_eq!(set.0, StatusCode::OK);
    let elsewhere = app.sign_up("bob@example.com").await;
    assert_eq!(ask(Some(&elsewhere)).await, StatusCode::UNAUTHORIZED, "another audience");
    assert_eq!(ask(Some(&jwt)).await, StatusCode::OK);
    let seen = backend.received_requests().await.unwrap();
    assert_eq!(seen.len(), 1);
    let claims: Value = {
        let payload = jwt.split('.').nth(1).unwrap();
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap())
            .unwrap()
    };
    assert_eq!(seen[0].headers["x-user"].to_str().unwrap(), claims["sub"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dovecot_verifies_tokens() {
    let app = Issuer::with_audience("mail").await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    start_dovecot_files(&app, folder.path(), port);
    let config = folder.path().join("dovecot.conf").display().to_string();
    let _dovecot = Background::start("dovecot", &["-F", "-c", &config], folder.path());
    let jwt = app.sign_up("ana@example.com").await;
    assert!(!logs_in(port, "ana@example.com", &jwt).await, "the address is not verified");
    let header = ("app-token", app.token.as_str());
    let forgot =
        app.server.post("/api/appuser/forgotPassword", header, json!({"handle": "ana@example.com"})).await;
    assert_eq!(forgot.unwrap().0, StatusCode::OK);
    let code = app.server.code_for("ana@example.com").await;
    let body = json!({"handle": "ana@example.com", "password": PASSWORD, "code": code});
    assert_eq!(app.server.post("/api/appuser/resetPassword", header, body).await.unwrap().0, StatusCode::OK);
    let jwt =
        app.server.log_in(&app.token, "ana@example.com").await.unwrap().1["jwt"].as_str().unwrap().to_owned();
    assert!(logs_in(port, "ana@example.com", &jwt).await);
    let body = json!({"appId": app.id, "setting": "realmAppId", "realmAppId": "elsewhere"});
    let set =
        app.server.post("/api/app/updateAppSetting", ("server-secret", &app.secret), body).await.unwrap();
    assert_eq!(set.0, StatusCode::OK);
    let login = app.server.log_in(&app.token, "ana@example.com").await.unwrap().1;
    let elsewhere = login["jwt"].as_str().unwrap().to_owned();
    for (user, token) in [
        ("ana@example.com", elsewhere),
        ("bob@example.com", jwt.clone()),
        ("ana@example.com", forged(&jwt)),
        ("ana@example.com", app.of_another_app().await),
    ] {
        assert!(!logs_in(port, user, &token).await, "{user}");
    }
}

/// The page's files, within a configuration that listens on a port of this test.
fn start_dovecot_files(app: &Issuer, folder: &Path, port: u16) {
    use std::os::unix::fs::PermissionsExt as _;
    let home = folder.display();
    let keys = folder.join("keys/default/RS256");
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::write(keys.join(&app.kid), &app.pem).unwrap();
    // Dovecot reads keys and delivers mail under accounts of its own.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let external = blocks("consumers.md", "dovecot-oauth2")
        .join("\n")
        .replace("/etc/dovecot/latchkey/", &format!("{home}/keys/"))
        .replace("https://auth.example.com/apps/APP_ID", &app.issuer);
    std::fs::write(folder.join("latchkey.conf.ext"), external).unwrap();
    let block = blocks("consumers.md", "dovecot")
        .join("\n")
        .replace("/etc/dovecot/latchkey.conf.ext", &format!("{home}/latchkey.conf.ext"));
    let around = format!(
        "base_dir = {home}/run\nstate_dir = {home}/run\nprotocols = imap\nlisten = 127.0.0.1\nssl = no\n\
         disable_plaintext_auth = no\nlog_path = {home}/log\nfirst_valid_uid = 1\nauth_failure_delay = 0\n\
         mail_location = maildir:{home}/mail/%u\nservice imap-login {{\n  inet_listener imap {{\n    port = {port}\n  }}\n\
         \x20 chroot =\n}}\nuserdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={home}/mail/%u\n}}\n"
    );
    std::fs::create_dir_all(folder.join("mail")).unwrap();
    std::fs::set_permissions(folder.join("mail"), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::write(folder.join("dovecot.conf"), around + &block).unwrap();
}

/// Logs in over IMAP with SASL OAUTHBEARER (RFC 7628).
async fn logs_in(port: u16, user: &str, token: &str) -> bool {
    let mut stream = BufReader::new(connected(port).await);
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let message = format!("n,a={user},\x01host=localhost\x01port={port}\x01auth=Bearer {token}\x01\x01");
    let command = format!("a AUTHENTICATE OAUTHBEARER {}\r\n", STANDARD.encode(message));
    stream.write_all(command.as_bytes()).await.unwrap();
    line.clear();
    stream.read_line(&mut line).await.unwrap();
    line.starts_with("a OK")
}
