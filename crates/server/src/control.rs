//! The control socket: how commands reach a server that is running on an SQLite file, which only one process
//! may write. HTTP over a socket in the data folder; whoever may open the socket is the operator.

use std::os::unix::net::UnixListener;
use std::path::Path;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data, Json};
use actix_web::{App, HttpResponse, HttpServer};
use latchkey_domain::{AppName, Preset, SignupFlow, TokenName};
use latchkey_service::{NewApp, Refusal, Service, ServiceError};
use latchkey_storage::diesel::Database;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::Duration;

use crate::dto::admin_app_json;
use crate::http::iso;
use crate::start::{StartError, control_socket};

/// How people who sign up prove their handle, as it is typed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flow {
    /// By a code that is mailed to it
    Code,
    /// By a link that is mailed to it
    Link,
    /// Not at all: the account exists at once
    None,
}

/// What a command asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    /// Make an application.
    CreateApp {
        /// Its name.
        name: String,
        /// Whether it begins with the reference's settings.
        compatible: bool,
        /// How people who sign up prove their handle.
        signup_flow: Flow,
    },
    /// List the applications.
    ListApps,
    /// Make a server secret.
    MintServerSecret {
        /// The name under which it is known.
        name: String,
        /// How long it lives.
        days: u32,
    },
}

/// What a command answers: a value, or one clear sentence.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Done(Value),
    Failed(String),
}

/// Does what a command asks for, wherever it runs.
pub(crate) async fn execute(service: &Service<Database>, command: Command) -> Outcome {
    match perform(service, command).await {
        Ok(value) => Outcome::Done(value),
        Err(ServiceError::Refused(Refusal::AppNameTaken)) => {
            Outcome::Failed("an application of this name already exists".to_owned())
        }
        Err(ServiceError::Refused(Refusal::InvalidData)) => {
            Outcome::Failed("a name has 1 to 100 characters and no control characters".to_owned())
        }
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

async fn perform(service: &Service<Database>, command: Command) -> Result<Value, ServiceError> {
    match command {
        Command::CreateApp { name, compatible, signup_flow } => {
            let name = AppName::parse(&name).map_err(|_| Refusal::InvalidData)?;
            let preset = if compatible { Preset::Compatible } else { Preset::Recommended };
            let signup_flow = match signup_flow {
                Flow::Code => SignupFlow::Code,
                Flow::Link => SignupFlow::Link,
                Flow::None => SignupFlow::None,
            };
            let view = service.create_app(NewApp { name, preset, jwt_enabled: true, signup_flow }).await?;
            Ok(admin_app_json(&view))
        }
        Command::ListApps => {
            let views = service.list_apps().await?;
            Ok(Value::Array(views.iter().map(admin_app_json).collect()))
        }
        Command::MintServerSecret { name, days } => {
            let name = TokenName::parse(&name).map_err(|_| Refusal::InvalidData)?;
            let minted = service.mint_server_secret(name, Duration::days(i64::from(days))).await?;
            Ok(json!({
                "name": minted.name.as_str(), "secret": minted.secret, "expiresAt": iso(minted.expires_at),
            }))
        }
    }
}

/// Takes commands.
pub(crate) fn serve(listener: UnixListener, service: Service<Database>) -> Result<ServerHandle, StartError> {
    let server = HttpServer::new(move || {
        App::new().app_data(Data::new(service.clone())).route("/command", web::post().to(handle))
    })
    .workers(1)
    .disable_signals()
    .listen_uds(listener)
    .map_err(|error| StartError::CannotWrite(format!("the control socket cannot be used: {error}")))?
    .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}

async fn handle(service: Data<Service<Database>>, command: Json<Command>) -> HttpResponse {
    HttpResponse::Ok().json(execute(&service, command.into_inner()).await)
}

/// Sends a command to the server that holds the folder.
pub(crate) async fn send(folder: &Path, command: &Command) -> Result<Outcome, StartError> {
    let path = control_socket(folder);
    let unreachable = |error: reqwest::Error| {
        StartError::Unavailable(format!("the running server does not answer on {}: {error}", path.display()))
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .unix_socket(path.as_path())
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .map_err(unreachable)?;
    let answer = client.post("http://latchkey/command").json(command).send().await.map_err(unreachable)?;
    answer.json().await.map_err(unreachable)
}
