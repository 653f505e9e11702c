//! The control socket: how commands reach a server that is running on an SQLite file, which only one process
//! may write. HTTP over a socket in the data folder; whoever may open the socket is the operator.

use std::os::unix::net::UnixListener;
use std::path::Path;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data, Json};
use actix_web::{App, HttpResponse, HttpServer};
use latchkey_domain::{AppId, AppName, Preset, Scopes, SignupFlow, TokenId, TokenName};
use latchkey_service::{
    AppFilter, MOST_ON_A_PAGE, NewApp, NewOperatorToken, Operator, Page, Refusal, Service, ServiceError,
};
use latchkey_storage::diesel::Database;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::Duration;

use crate::dto::{admin_app_json, operator_token_json};
use crate::start::{StartError, control_socket};

/// The longest list of server secrets.
const MOST_LISTED: u32 = 1_000;

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
        /// What it opens.
        scopes: String,
        /// The one application that it reaches.
        app: Option<String>,
    },
    /// List the server secrets.
    ListServerSecrets,
    /// Revoke a server secret.
    RevokeServerSecret {
        /// Its id.
        id: String,
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
        Err(ServiceError::Explained(_, text)) => Outcome::Failed(text),
        Err(ServiceError::Refused(Refusal::UnknownApp)) => {
            Outcome::Failed("there is no such application".to_owned())
        }
        Err(ServiceError::Refused(Refusal::Unknown)) => Outcome::Failed("there is no such thing".to_owned()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

async fn perform(service: &Service<Database>, command: Command) -> Result<Value, ServiceError> {
    let operator = Operator::command_line();
    match command {
        Command::CreateApp { name, compatible, signup_flow } => {
            let name = AppName::parse(&name).map_err(explained)?;
            let preset = if compatible { Preset::Compatible } else { Preset::Recommended };
            let signup_flow = match signup_flow {
                Flow::Code => SignupFlow::Code,
                Flow::Link => SignupFlow::Link,
                Flow::None => SignupFlow::None,
            };
            let view =
                service.create_app(operator, NewApp { name, preset, jwt_enabled: true, signup_flow }).await?;
            Ok(admin_app_json(&view))
        }
        Command::ListApps => {
            let mut apps = Vec::new();
            for page in 0.. {
                let skipped = page * u64::from(MOST_ON_A_PAGE);
                let page = Page::new(skipped, None, MOST_ON_A_PAGE)?;
                let listed = service.list_apps(operator.clone(), AppFilter::All, page).await?;
                apps.extend(listed.items.iter().map(admin_app_json));
                if listed.items.is_empty() {
                    break;
                }
            }
            Ok(Value::Array(apps))
        }
        Command::MintServerSecret { name, days, scopes, app } => {
            let only_app = app.map(|id| id.parse::<AppId>()).transpose().map_err(|_| Refusal::UnknownApp)?;
            let new = NewOperatorToken {
                name: TokenName::parse(&name).map_err(explained)?,
                life: Duration::days(i64::from(days)),
                scopes: Scopes::parse(&scopes).map_err(explained)?,
                only_app,
            };
            let minted = service.mint_operator_token(operator, new).await?;
            Ok(json!({"secret": minted.secret, "token": operator_token_json(&minted.token)}))
        }
        Command::ListServerSecrets => {
            let tokens = service.list_operator_tokens(operator, None, MOST_LISTED).await?;
            Ok(Value::Array(tokens.iter().map(operator_token_json).collect()))
        }
        Command::RevokeServerSecret { id } => {
            let id: TokenId = id.parse().map_err(|_| Refusal::Unknown)?;
            service.revoke_operator_token(operator, id).await?;
            Ok(Value::Null)
        }
    }
}

fn explained(error: impl std::error::Error) -> ServiceError {
    ServiceError::Explained(Refusal::InvalidData, error.to_string())
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
