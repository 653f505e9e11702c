//! How a command reaches the data: through the server that runs on it, if there is one, else by itself.

use std::path::PathBuf;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use latchkey_service::{Operator, ServiceError};
use latchkey_storage::diesel::DatabaseLocation;
use serde_json::Value;

use super::note;
use crate::control::{Command, Remote, execute, failure};
use crate::settings::Settings;
use crate::start::{Opened, Purpose, StartError, is_served, location, open};
use crate::transfer::{ExportRequest, ImportRequest, run_export};

/// A way to the data.
pub(super) enum Link {
    /// The server that holds the folder.
    Server(Remote),
    /// The data, opened by this process.
    Own(Box<Opened>),
}

/// Whether a command can be the first thing that happens to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It may make the database.
    Allowed,
    /// What it is about must exist already.
    Refused,
}

impl Link {
    /// Finds the way. A server that is starting, or another command, is waited for.
    pub(super) async fn open(settings: &Settings, start: Start) -> Result<Self, StartError> {
        const TRIES: usize = 50;
        let checked = settings.check()?;
        if let (DatabaseLocation::File(path), Start::Refused) = (location(settings)?, start)
            && !path.exists()
        {
            return Err(StartError::NoInput(format!(
                "there is no database {}: LATCHKEY__DATA__FOLDER names the data folder; nothing was made",
                path.display()
            )));
        }
        let public_url = settings.public_url(checked.listen);
        let folder = &settings.data.folder;
        for tries in 1.. {
            if is_served(folder) {
                return Remote::new(folder).map(Self::Server);
            }
            match open(settings, &checked, public_url.clone(), Purpose::Command).await {
                Err(StartError::InUse(_)) if tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                opened => {
                    let opened = opened?;
                    if opened.is_new {
                        note(&format!(
                            "There was no server yet: one was made, with its data in {}.",
                            opened.database
                        ));
                    }
                    return Ok(Self::Own(Box::new(opened)));
                }
            }
        }
        Err(StartError::InUse("the data folder is in use".to_owned()))
    }

    /// Carries a command out.
    pub(super) async fn call(&self, command: Command) -> Result<Value, StartError> {
        let outcome = match self {
            Self::Server(remote) => remote.send(&command).await?,
            Self::Own(opened) => execute(&opened.service, &opened.key_place, &*opened.entropy, command).await,
        };
        outcome.done()
    }

    /// Has something handed out, piece by piece.
    pub(super) async fn run_export(
        &self,
        leaving: ExportRequest,
    ) -> Result<impl Stream<Item = Result<Bytes, StartError>> + Unpin, StartError> {
        let told = |error: ServiceError| match error {
            ServiceError::Refused(_) | ServiceError::Explained(..) => StartError::BadInput(failure(&error)),
            _ => StartError::Internal(failure(&error)),
        };
        Ok(match self {
            Self::Server(remote) => remote.run_export(&leaving).await?.boxed_local(),
            Self::Own(opened) => {
                let pieces = run_export(opened.service.clone(), Operator::command_line(), leaving).await;
                pieces.map_err(told)?.map_err(told).boxed_local()
            }
        })
    }
}

/// Carries one command out.
pub(super) fn perform(settings: &Settings, command: Command) -> Result<Value, StartError> {
    settings.check()?;
    // To list what is there makes nothing.
    let lists = matches!(
        command,
        Command::ListApps | Command::ListServerSecrets | Command::Import(ImportRequest::List)
    );
    if let (DatabaseLocation::File(path), true) = (location(settings)?, lists)
        && !path.exists()
    {
        return Ok(Value::Array(Vec::new()));
    }
    let start = match command {
        Command::CreateApp { .. }
        | Command::MintServerSecret { .. }
        | Command::CreateAdministrator { .. }
        | Command::Import(ImportRequest::CheckServer { .. } | ImportRequest::TrustServer { .. }) => {
            Start::Allowed
        }
        _ => Start::Refused,
    };
    let system = actix_web::rt::System::new();
    system.block_on(async { Link::open(settings, start).await?.call(command).await })
}

/// A secret that is the first line of a file, or of standard input.
pub(super) fn secret_in(file: &PathBuf) -> Result<String, StartError> {
    let failed = |error: std::io::Error| StartError::no_input(file, &error);
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).map_err(failed)?
    } else {
        std::fs::read_to_string(file).map_err(failed)?
    };
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
