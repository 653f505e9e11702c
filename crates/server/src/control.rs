//! The control socket: how commands reach a running server whose SQLite file only one process may write. HTTP over a
//! Unix socket in the data folder; access to the socket authorizes the operator.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes, Data, Json, JsonConfig};
use actix_web::{App, HttpResponse, HttpServer};
use futures_util::{Stream, TryStreamExt as _};
use latchkey_domain::{
    AppId, AppName, Entropy, Handle, Preset, Scopes, SignupFlow, TokenId, TokenName, portal_address,
};
use latchkey_service::operate::{AppFilter, KeyRotation, NewApp, NewOperatorToken, Page};
use latchkey_service::portal::PortalToken;
use latchkey_service::{Operator, Refusal, Service, ServiceError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::Duration;

use crate::dto::{admin_app_json, iso, key_json, operator_token_json};
use crate::start::{MasterKeyStore, StartError, control_socket};
use crate::transfer::{ExportRequest, ImportRequest, apart, run_export, run_import};

/// The longest command: some hundreds of records.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// The longest list of server secrets.
const MOST_LISTED: u32 = 1_000;

/// The sign-up flow, as typed.
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

/// A command.
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
    /// Move an application's issuer below the server's address.
    MoveIssuer {
        /// Its id.
        app: String,
    },
    /// Make a server secret.
    MintServerSecret {
        /// The name under which it is known.
        name: String,
        /// Its lifetime.
        days: u32,
        /// What it opens.
        scopes: String,
        /// The one application that it reaches.
        app: Option<String>,
    },
    /// List the server secrets.
    ListServerSecrets,
    /// Make an application's next key.
    RotateAppKey {
        /// Its id.
        app: String,
    },
    /// Make tokens for an administrator of an application.
    MakeSuperTokens {
        /// The application's id.
        app: String,
        /// The administrator's handle.
        handle: String,
    },
    /// Replace the master key.
    RotateMaster {
        /// The file for the new key, if the present one is in the settings.
        to: Option<PathBuf>,
    },
    /// Replace the server's keys under the master key.
    RotateServer {
        /// Whether app tokens end as well.
        app_tokens: bool,
    },
    /// Continue a rotation and report its progress.
    GoOnWithKeys,
    /// Do the periodic jobs now.
    RunJobs,
    /// Make a link to the set-up page of the portal.
    SetupLink,
    /// Create an administrator of the portal.
    CreateAdministrator {
        /// Their address.
        email: String,
    },
    /// Give an account of the portal a new password.
    ResetPortalPassword {
        /// Its address.
        email: String,
    },
    /// Say what server it is that carries commands out.
    About,
    /// Bring something in.
    Import(ImportRequest),
    /// Revoke a server secret.
    RevokeServerSecret {
        /// Its id.
        id: String,
    },
}

/// The answer to a command: a value or an error message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Done(Value),
    /// Invalid input.
    Refused(String),
    Failed(String),
}

/// Runs a command, in the server's process or another.
pub(crate) async fn execute(
    service: &Service,
    key_place: &MasterKeyStore,
    entropy: &dyn Entropy,
    command: Command,
) -> Outcome {
    if let Command::RotateMaster { to } = command {
        return match rotate_master(service, key_place, entropy, to.as_deref()).await {
            Ok((fingerprint, file)) => Outcome::Done(json!({ "masterKey": fingerprint, "file": file })),
            Err(error) => Outcome::Failed(error.to_string()),
        };
    }
    match perform(service, command).await {
        Ok(value) => Outcome::Done(value),
        Err(error) => Outcome::of(&error),
    }
}

impl Outcome {
    fn of(error: &ServiceError) -> Self {
        match error {
            ServiceError::Refused(_) | ServiceError::Explained(..) => Self::Refused(failure(error)),
            _ => Self::Failed(failure(error)),
        }
    }

    /// What it gave.
    ///
    /// # Errors
    /// [`StartError::BadInput`] when it was refused, [`StartError::Internal`] when it failed.
    pub(crate) fn done(self) -> Result<Value, StartError> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused(reason) => Err(StartError::BadInput(reason)),
            Self::Failed(reason) => Err(StartError::Internal(reason)),
        }
    }
}

/// The message of a failed use case.
pub(crate) fn failure(error: &ServiceError) -> String {
    match error {
        ServiceError::Refused(Refusal::AppNameTaken) => {
            "an application of this name already exists: choose another name".to_owned()
        }
        ServiceError::Explained(_, text) => text.clone(),
        ServiceError::Refused(Refusal::UnknownApp) => "application not found".to_owned(),
        ServiceError::Refused(Refusal::Unknown) => "not found".to_owned(),
        other => other.to_string(),
    }
}

/// The new key is on the disk first, then everything is wrapped with it, then it takes the name of the old one:
/// wherever this is stopped, one of the two that are there opens the data.
async fn rotate_master(
    service: &Service,
    key_place: &MasterKeyStore,
    entropy: &dyn Entropy,
    to: Option<&Path>,
) -> Result<(String, Option<PathBuf>), StartError> {
    let old = key_place.read(true, entropy)?;
    // A key that opens nothing must not leave a file behind.
    if to.is_some_and(|path| !path.exists()) && !service.opens_with(&old).await? {
        let text = "the master key in the settings does not decrypt the data".to_owned();
        return Err(StartError::Configuration(text));
    }
    let new = key_place.begin(to, entropy)?;
    service.rotate_master(Operator::command_line(), &old, &new).await?;
    key_place.finish()?;
    Ok((new.fingerprint(), to.or(key_place.file()).map(Path::to_owned)))
}

async fn perform(service: &Service, command: Command) -> Result<Value, ServiceError> {
    let operator = Operator::command_line();
    match command {
        Command::CreateApp { name, compatible, signup_flow } => {
            let name = AppName::parse(&name).map_err(|error| ServiceError::invalid(error.to_string()))?;
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
        Command::MoveIssuer { app } => {
            let id: AppId = app.parse().map_err(|_| Refusal::UnknownApp)?;
            let before = service.move_issuer(operator, id).await?;
            let after = service.discovery(id).await?;
            Ok(json!({"before": before, "issuer": after.issuer, "jwksUri": after.jwks_uri}))
        }
        Command::ListApps => {
            let listed = service.list_apps(operator, AppFilter::All, Page::ALL).await?;
            Ok(Value::Array(listed.items.iter().map(admin_app_json).collect()))
        }
        Command::MintServerSecret { name, days, scopes, app } => {
            let only_app = app.map(|id| id.parse::<AppId>()).transpose().map_err(|_| Refusal::UnknownApp)?;
            let new = NewOperatorToken {
                name: TokenName::parse(&name).map_err(|error| ServiceError::invalid(error.to_string()))?,
                life: Duration::days(i64::from(days)),
                scopes: Scopes::parse(&scopes).map_err(|error| ServiceError::invalid(error.to_string()))?,
                only_app,
            };
            let minted = service.mint_operator_token(operator, new).await?;
            Ok(json!({"secret": minted.secret, "token": operator_token_json(&minted.token)}))
        }
        Command::ListServerSecrets => {
            let tokens = service.list_operator_tokens(operator, None, MOST_LISTED).await?;
            Ok(Value::Array(tokens.iter().map(operator_token_json).collect()))
        }
        Command::RotateAppKey { app } => {
            let id = app.parse().map_err(|_| Refusal::UnknownApp)?;
            let keys = service.rotate_key(operator, id).await?;
            Ok(Value::Array(keys.iter().map(key_json).collect()))
        }
        Command::MakeSuperTokens { app, handle } => {
            let id: AppId = app.parse().map_err(|_| Refusal::UnknownApp)?;
            let handle = Handle::parse(&handle).map_err(|error| ServiceError::invalid(error.to_string()))?;
            let tokens = service.make_super_tokens_of(operator, id, handle).await?;
            Ok(json!({
                "jwt": tokens.jwt, "accessToken": tokens.access_token, "expiresAt": iso(tokens.expires_at),
            }))
        }
        Command::RotateServer { app_tokens } => {
            service.rotate_server_keys(operator, app_tokens).await?;
            Ok(Value::Null)
        }
        Command::GoOnWithKeys => Ok(match service.go_on_with_keys().await? {
            KeyRotation::Waiting(time) => json!({"waiting": time.whole_seconds() + 1}),
            KeyRotation::Resealing(number) => json!({ "resealed": number }),
            KeyRotation::HeldByClock => json!({"heldBy": "clock"}),
            KeyRotation::HeldByImport => json!({"heldBy": "import"}),
            KeyRotation::Done => json!({"done": true}),
        }),
        Command::RunJobs => Ok(json!(service.run_jobs(operator).await?)),
        Command::SetupLink => Ok(json!(setup_link(service).await?)),
        Command::CreateAdministrator { email } => {
            Ok(json!(service.create_administrator(operator, account(&email)?).await?))
        }
        Command::ResetPortalPassword { email } => {
            Ok(json!(service.reset_portal_password(operator, account(&email)?).await?))
        }
        Command::About => Ok(json!({ "publicUrl": service.public_url() })),
        Command::Import(what) => {
            let service = service.clone();
            apart(async move { run_import(&service, what).await }).await?
        }
        Command::RotateMaster { .. } => Err(ServiceError::Internal("it is not the service's".into())),
        Command::RevokeServerSecret { id } => {
            let id: TokenId = id.parse().map_err(|_| Refusal::Unknown)?;
            service.revoke_operator_token(operator, id).await?;
            Ok(Value::Null)
        }
    }
}

fn account(email: &str) -> Result<Handle, ServiceError> {
    portal_address(email).map_err(|error| ServiceError::invalid(error.to_string()))
}

/// A new link to the set-up page of the portal; none when an administrator exists.
pub(crate) async fn setup_link(service: &Service) -> Result<Option<String>, ServiceError> {
    let link = |token: PortalToken| {
        format!("{}{}/setup/{}", service.public_url(), latchkey_portal::PATH, token.reveal())
    };
    Ok(service.new_setup_link().await?.map(link))
}

/// Takes commands.
pub(crate) fn serve(
    listener: UnixListener,
    service: Service,
    key_place: MasterKeyStore,
    entropy: Arc<dyn Entropy>,
) -> Result<ServerHandle, StartError> {
    let server = HttpServer::new(move || {
        let keys = Data::new((key_place.clone(), Arc::clone(&entropy)));
        App::new()
            .app_data(Data::new(service.clone()))
            .app_data(keys)
            .app_data(JsonConfig::default().limit(MOST_BYTES))
            .route("/command", web::post().to(handle))
            .route("/leave", web::post().to(leave_by_socket))
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

type Keys = (MasterKeyStore, Arc<dyn Entropy>);

async fn handle(service: Data<Service>, keys: Data<Keys>, command: Json<Command>) -> HttpResponse {
    // Runs to its end, even if the client disconnects.
    let doing = async move { execute(&service, &keys.0, &*keys.1, command.into_inner()).await };
    match actix_web::rt::spawn(doing).await {
        Ok(outcome) => HttpResponse::Ok().json(outcome),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// Streams an export.
async fn leave_by_socket(service: Data<Service>, leaving: Json<ExportRequest>) -> HttpResponse {
    let service = service.get_ref().clone();
    match run_export(service, Operator::command_line(), leaving.into_inner()).await {
        Ok(pieces) => HttpResponse::Ok().streaming(pieces),
        Err(error) => HttpResponse::BadRequest().json(Outcome::of(&error)),
    }
}

/// The server that holds the folder, as commands reach it.
pub(crate) struct Remote {
    client: reqwest::Client,
    path: PathBuf,
}

impl Remote {
    /// The server that holds this folder.
    pub(crate) fn new(folder: &Path) -> Result<Self, StartError> {
        let path = control_socket(folder);
        // Between two pieces of an answer, not for the whole of it.
        let client = reqwest::Client::builder()
            .no_proxy()
            .unix_socket(path.as_path())
            .read_timeout(std::time::Duration::from_secs(60))
            .build();
        match client {
            Ok(client) => Ok(Self { client, path }),
            Err(error) => Err(unreachable(&path, &error)),
        }
    }

    /// Has a command carried out.
    pub(crate) async fn send(&self, command: &Command) -> Result<Outcome, StartError> {
        let failed = |error: reqwest::Error| unreachable(&self.path, &error);
        let sent = self.client.post("http://latchkey/command").json(command).send().await.map_err(failed)?;
        if sent.status() == reqwest::StatusCode::BAD_REQUEST {
            let text = "the running server does not know this command: it is of another version, restart it";
            return Err(StartError::Unavailable(text.to_owned()));
        }
        sent.json().await.map_err(failed)
    }

    /// Has something handed out.
    pub(crate) async fn run_export(
        &self,
        leaving: &ExportRequest,
    ) -> Result<impl Stream<Item = Result<Bytes, StartError>> + use<>, StartError> {
        let failed = |error: reqwest::Error| unreachable(&self.path, &error);
        let answer = self.client.post("http://latchkey/leave").json(leaving).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            let outcome: Outcome = answer.json().await.map_err(failed)?;
            let nonsense = || StartError::Internal("the server answered nonsense".to_owned());
            return Err(outcome.done().err().unwrap_or_else(nonsense));
        }
        let path = self.path.clone();
        Ok(answer.bytes_stream().map_err(move |error| unreachable(&path, &error)))
    }
}

fn unreachable(path: &Path, error: &reqwest::Error) -> StartError {
    StartError::Unavailable(format!("the running server does not answer on {}: {error}", path.display()))
}
