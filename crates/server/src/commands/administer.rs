//! Commands that change what the server knows. On SQLite they go through the running server, if there is one;
//! else, and always on PostgreSQL, they open the database themselves.

use std::time::Duration;

use latchkey_storage::diesel::DatabaseLocation;
use serde_json::Value;

use super::{AppCommand, TokenCommand, say};
use crate::control::{Command, Outcome, execute, send};
use crate::settings::{Checked, Settings};
use crate::start::{Purpose, StartError, is_served, location, open};

pub(super) fn app(settings: &Settings, command: AppCommand) -> Result<(), StartError> {
    match command {
        AppCommand::Create { name, compatible, signup_flow } => {
            let app = perform(settings, Command::CreateApp { name, compatible, signup_flow })?;
            say(&format!("name       {}", text(&app, "name")));
            say(&format!("app id     {}", text(&app, "appId")));
            say(&format!("app token  {}", text(&app, "appToken")));
            say(&format!("keys       {}/.well-known/jwks.json", text(&app, "issuer")));
        }
        AppCommand::List => {
            let apps = perform(settings, Command::ListApps)?;
            let apps = apps.as_array().map(Vec::as_slice).unwrap_or_default();
            for app in apps {
                say(&format!("{}  {:<9}  {}", text(app, "appId"), text(app, "status"), text(app, "name")));
            }
            if apps.is_empty() {
                say("There are no applications. Make one: latchkey app create NAME");
            }
        }
    }
    Ok(())
}

pub(super) fn token(settings: &Settings, command: TokenCommand) -> Result<(), StartError> {
    match command {
        TokenCommand::Server { name, days, scopes, app } => {
            let minted = perform(settings, Command::MintServerSecret { name, days, scopes, app })?;
            // The secret alone on standard output, so that it can be kept in a variable or a file.
            say(text(&minted, "secret"));
            let token = minted.get("token").unwrap_or(&Value::Null);
            let (name, scopes, end) = (text(token, "name"), text(token, "scopes"), text(token, "expiresAt"));
            let note = format!("{name} opens {scopes} until {end}");
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{note}\n"));
        }
        TokenCommand::List => {
            let tokens = perform(settings, Command::ListServerSecrets)?;
            let tokens = tokens.as_array().map(Vec::as_slice).unwrap_or_default();
            for token in tokens {
                say(&line_of(token));
            }
            if tokens.is_empty() {
                say("There are no server secrets. Make one: latchkey token server");
            }
        }
        TokenCommand::Revoke { id } => {
            perform(settings, Command::RevokeServerSecret { id })?;
            say("The server secret opens nothing any more.");
        }
    }
    Ok(())
}

fn line_of(token: &Value) -> String {
    let state = match (
        token.get("revokedAt").and_then(Value::as_str),
        token.get("lastUsedAt").and_then(Value::as_str),
    ) {
        (Some(revoked), _) => format!("revoked {revoked}"),
        (None, Some(used)) => format!("last used {used}"),
        (None, None) => "never used".to_owned(),
    };
    let app = token.get("appId").and_then(Value::as_str).unwrap_or("all applications");
    let (id, name, scopes) = (text(token, "tokenId"), text(token, "name"), text(token, "scopes"));
    format!("{id}  {name}  {scopes}  {app}  until {}  {state}", text(token, "expiresAt"))
}

fn perform(settings: &Settings, command: Command) -> Result<Value, StartError> {
    let checked = settings.check()?;
    let system = actix_web::rt::System::new();
    match system.block_on(carry_out(settings, &checked, command))? {
        Outcome::Done(value) => Ok(value),
        Outcome::Failed(reason) => Err(StartError::Internal(reason)),
    }
}

/// A server that is running is asked; one that is starting, or another command, is waited for.
async fn carry_out(settings: &Settings, checked: &Checked, command: Command) -> Result<Outcome, StartError> {
    const TRIES: usize = 50;
    let folder = &settings.data.folder;
    let public_url = settings.public_url(checked.listen);
    if let (DatabaseLocation::File(path), Command::ListApps | Command::ListServerSecrets) =
        (location(settings)?, &command)
        && !path.exists()
    {
        return Ok(Outcome::Done(Value::Array(Vec::new())));
    }
    let mut tries = 1;
    loop {
        if is_served(folder) {
            return send(folder, &command).await;
        }
        match open(settings, checked, public_url.clone(), Purpose::Command).await {
            Err(StartError::InUse(_)) if tries < TRIES => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => return Ok(execute(&opened?.service, command).await),
        }
        tries += 1;
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
