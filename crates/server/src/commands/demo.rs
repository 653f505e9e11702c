//! `latchkey demo`: everything once, over HTTP as a client does it, with each call printed. It fails unless
//! all of it held.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_crypto::{PublicKey, SystemEntropy, client_password, verify_user_jwt};
use latchkey_domain::{Clock as _, Entropy as _, RawPassword, SystemClock, meaning_of_claim};
use latchkey_notifiers::Mailbox;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::say;
use crate::control::{Command, Remote};
use crate::server::Server;
use crate::settings::Settings;
use crate::start::StartError;

const PASSWORD: &str = "correct horse battery staple";

/// Which server the demonstration talks to.
pub(super) enum Target {
    /// One that is started for it.
    OwnServer,
    /// One that is running.
    Running { url: String, secret_file: PathBuf, mailbox: PathBuf },
}

pub(super) fn run(target: Target) -> Result<(), StartError> {
    match target {
        Target::OwnServer => with_own_server(),
        Target::Running { url, secret_file, mailbox } => {
            let secret = std::fs::read_to_string(&secret_file).map_err(|error| {
                StartError::Configuration(format!("{} cannot be read: {error}", secret_file.display()))
            })?;
            let demo = Demo::new(url.trim_end_matches('/').to_owned(), secret.trim().to_owned(), mailbox)?;
            actix_web::rt::System::new().block_on(demo.play())?;
            say("The application of the demonstration stays; DELETE /api/app/APP_ID removes it.");
            Ok(())
        }
    }
}

fn with_own_server() -> Result<(), StartError> {
    let folder = tempfile::tempdir()
        .map_err(|error| StartError::CannotWrite(format!("no temporary folder can be made: {error}")))?;
    let mut settings = Settings::default();
    settings.data.folder = folder.path().join("data");
    settings.server.port = 0;
    let (data, (started, has_started)) = (settings.data.folder.clone(), std::sync::mpsc::channel());
    let serving = std::thread::spawn(move || {
        let server = Server::start(settings)?;
        let url = server.greeting().public_url;
        server.run_with(|handle| {
            let _ = started.send((url, handle));
        })
    });
    let Ok((url, handle)) = has_started.recv() else {
        return serving
            .join()
            .unwrap_or_else(|_| Err(StartError::Internal("the server panicked".to_owned())));
    };
    say(&format!("A temporary server at {url}."));
    let played = actix_web::rt::System::new().block_on(async {
        let mint = Command::MintServerSecret {
            name: "demo".to_owned(),
            days: 1,
            scopes: "everything".to_owned(),
            app: None,
        };
        let minted = Remote::new(&data)?.send(&mint).await?.done()?;
        let secret = text(&minted, "secret")?.to_owned();
        let played = Demo::new(url, secret, data.join("mailbox"))?.play().await;
        handle.stop(true).await;
        played
    });
    let served =
        serving.join().unwrap_or_else(|_| Err(StartError::Internal("the server panicked".to_owned())));
    played.and(served)
}

struct Demo {
    client: Client,
    url: String,
    secret: String,
    mailbox: Mailbox,
}

/// A result that a step needed and did not get.
fn failed(what: impl std::fmt::Display) -> StartError {
    StartError::Internal(format!("the demonstration failed: {what}"))
}

/// An error with what caused it: a refused connection says so in its last cause only.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Demo {
    fn new(url: String, secret: String, mailbox: PathBuf) -> Result<Self, StartError> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().map_err(failed)?;
        Ok(Self { client, url, secret, mailbox: Mailbox::new(mailbox) })
    }

    async fn play(&self) -> Result<(), StartError> {
        let mut number = [0; 4];
        SystemEntropy::new().fill(&mut number).map_err(failed)?;
        let number = u32::from_le_bytes(number);
        let handle = format!("ana.{number:08x}@example.com");
        let password = RawPassword::parse(PASSWORD)
            .and_then(|raw| client_password(&raw).map_err(|_| latchkey_domain::InvalidPassword::Form));
        let password = password.map_err(failed)?;

        let step = "1. The operator creates an application";
        let name = format!("Demo {number:08x}");
        let app = self
            .call(
                step,
                Method::POST,
                "/api/app",
                Some(("server-secret", &self.secret)),
                Some(json!({"name": name})),
            )
            .await?;
        let (app_id, app_token) = (text(&app, "appId")?, text(&app, "appToken")?);
        let as_app = Some(("app-token", app_token));

        let step = "2. A user signs up; clients send the MD5 of the password";
        let body = json!({"handle": handle, "password": password.expose()});
        let sent = self.call(step, Method::POST, "/api/appuser/signup", as_app, Some(body.clone())).await?;
        expect(sent == Value::Bool(true), "the sign-up is answered with true")?;

        let code = self.code_for(&handle).await?;
        say(&format!("\n   The mail to {handle} carries the code {code}."));

        let step = "3. The code comes back: the account exists";
        let complete = json!({"handle": handle, "code": code});
        let tokens =
            self.call(step, Method::POST, "/api/appuser/completeSignup", as_app, Some(complete)).await?;
        text(&tokens, "jwt")?;

        let step = "4. The user logs in";
        let tokens = self.call(step, Method::POST, "/api/appuser/login", as_app, Some(body)).await?;
        let (jwt, access) = (text(&tokens, "jwt")?, text(&tokens, "access-token")?);

        let step = "5. The access token gives access to the account";
        let user = self
            .call(step, Method::GET, "/api/appuser/getUser", Some(("access-token", access)), None)
            .await?;
        expect(text(&user, "handle")? == handle, "getUser tells the handle")?;

        let step = "6. A backend fetches the public keys";
        let path = format!("/apps/{app_id}/.well-known/openid-configuration");
        let discovery = self.call(step, Method::GET, &path, None, None).await?;
        let path = format!("/apps/{app_id}/.well-known/jwks.json");
        let jwks = self.call("", Method::GET, &path, None, None).await?;
        self.verify(jwt, &jwks, text(&discovery, "issuer")?, &handle)
    }

    fn verify(&self, jwt: &str, jwks: &Value, issuer: &str, handle: &str) -> Result<(), StartError> {
        let keys = jwks.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let keys = keys.iter().map(PublicKey::from_jwk).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let claims = verify_user_jwt(jwt, &keys, issuer, "none", SystemClock.now()).map_err(failed)?;
        expect(claims.get("sub").and_then(Value::as_str) == Some(handle), "the subject is the handle")?;
        let forged = tampered(jwt);
        let refused = verify_user_jwt(&forged, &keys, issuer, "none", SystemClock.now()).is_err();
        expect(refused, "a changed token is refused")?;

        say("\n7. The backend verifies the token with the public key of its kid, and reads its claims");
        for (claim, value) in &claims {
            say(&format!("   {claim:<14} {:<68} {}", value.to_string(), meaning_of_claim(claim)));
        }
        say("\nAll of it held: the token verifies with the public keys, and a changed one does not.");
        Ok(())
    }

    /// One call, printed as it goes out and as it comes back.
    async fn call(
        &self,
        step: &str,
        method: Method,
        path: &str,
        token: Option<(&str, &str)>,
        body: Option<Value>,
    ) -> Result<Value, StartError> {
        if !step.is_empty() {
            say(&format!("\n{step}"));
        }
        say(&format!("   > {method} {path}"));
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some((name, value)) = token {
            say(&format!("   > {name}: {}", shortened(value)));
            request = request.header(name, value);
        }
        if let Some(body) = body {
            say(&format!("   > {body}"));
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| failed(with_causes(&error)))?;
        let status = response.status();
        let value: Value = response.json().await.map_err(failed)?;
        say(&format!("   < {} {}", status.as_u16(), shortened(&value.to_string())));
        if status.is_success() {
            Ok(value)
        } else {
            Err(failed(format!("{path} answered {status}: {value}")))
        }
    }

    /// The code in the newest mail to this handle.
    async fn code_for(&self, handle: &str) -> Result<String, StartError> {
        for _ in 0..200 {
            let code = self.mailbox.newest_to(handle).and_then(|mail| mail.code);
            if let Some(code) = code {
                return Ok(code);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(failed(format!("no mail to {handle} came into {}", self.mailbox.folder().display())))
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, StartError> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| failed(format!("the answer has no {name}")))
}

fn expect(held: bool, what: &str) -> Result<(), StartError> {
    if held { Ok(()) } else { Err(failed(format!("it did not hold that {what}"))) }
}

/// The token with another subject and its old signature.
fn tampered(jwt: &str) -> String {
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, _, signature] = parts.as_slice() else { return String::new() };
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"eve@example.com"}"#);
    format!("{header}.{claims}.{signature}")
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 96 {
        text.to_owned()
    } else {
        format!("{}...", text.chars().take(93).collect::<String>())
    }
}
