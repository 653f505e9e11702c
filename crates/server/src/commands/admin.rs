//! Commands that change what the server knows.

use latchkey_domain::{Clock as _, SystemClock};
use latchkey_service::operate::EXPIRY_NOTICE;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::data_access::{Link, Start, perform};
use super::{AdminCommand, AppCommand, KeysCommand, TokenCommand, note, say};
use crate::control::Command;
use crate::settings::Settings;
use crate::start::StartError;

pub(super) fn app(settings: &Settings, command: AppCommand) -> Result<(), StartError> {
    match command {
        AppCommand::Create { name, compatible, signup_flow } => {
            let app = perform(settings, Command::CreateApp { name, compatible, signup_flow })?;
            say(&format!("name       {}", text(&app, "name")));
            say(&format!("app id     {}", text(&app, "appId")));
            say(&format!("app token  {}", text(&app, "appToken")));
            say(&format!("keys       {}/.well-known/jwks.json", text(&app, "issuer")));
        }
        AppCommand::SetIssuer { app, to_public_url: _ } => {
            let moved = perform(settings, Command::MoveIssuer { app })?;
            say(&format!("issuer before  {}", text(&moved, "before")));
            say(&format!("issuer         {}", text(&moved, "issuer")));
            say(&format!("keys           {}", text(&moved, "jwksUri")));
            if text(&moved, "before") == text(&moved, "issuer") {
                note("Nothing has changed: the issuer is below server.public_url already.");
                return Ok(());
            }
            note(
                "Tokens that are signed from now on carry the new issuer. Every consumer that compares `iss`, or that finds \
                 the keys by it, needs the new values: accept both issuers until the last old token has expired.",
            );
        }
        AppCommand::List => {
            let apps = perform(settings, Command::ListApps)?;
            let apps = apps.as_array().map(Vec::as_slice).unwrap_or_default();
            for app in apps {
                let (id, status, issuer) = (text(app, "appId"), text(app, "status"), text(app, "issuer"));
                say(&format!("{id}  {status:<9}  {issuer}  {}", text(app, "name")));
            }
            if apps.is_empty() {
                say(
                    "There are no applications in this data folder (data.folder). Create one: latchkey app create NAME",
                );
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
            note(&format!("This server secret is {}.", line_of(token, SystemClock.now())));
        }
        TokenCommand::Superuser { app, handle } => {
            let made = perform(settings, Command::MakeSuperTokens { app, handle })?;
            say(&format!("jwt           {}", text(&made, "jwt")));
            say(&format!("access token  {}", text(&made, "accessToken")));
            say(&format!("until         {}", text(&made, "expiresAt")));
        }
        TokenCommand::List => {
            let tokens = perform(settings, Command::ListServerSecrets)?;
            let tokens = tokens.as_array().map(Vec::as_slice).unwrap_or_default();
            for token in tokens {
                say(&line_of(token, SystemClock.now()));
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

pub(super) fn keys(settings: &Settings, command: KeysCommand) -> Result<(), StartError> {
    match command {
        KeysCommand::App { app } => {
            let keys = perform(settings, Command::RotateAppKey { app })?;
            for key in keys.as_array().map(Vec::as_slice).unwrap_or_default() {
                let (kid, state) = (text(key, "kid"), text(key, "state"));
                say(&format!("{kid}  {state:<8}  signs from {}", text(key, "signsFrom")));
            }
        }
        KeysCommand::Server { app_tokens } => rotate_server(settings, app_tokens)?,
        KeysCommand::Master { to } => {
            // A running server has another working directory.
            let to = to
                .map(std::path::absolute)
                .transpose()
                .map_err(|error| StartError::Configuration(format!("--to is no path: {error}")))?;
            let rotated = perform(settings, Command::RotateMaster { to: to.clone() })?;
            say(&format!(
                "The master key is now {}; the old one opens nothing any more.",
                text(&rotated, "masterKey")
            ));
            say(&match to {
                Some(_) => format!(
                    "Put it into the settings before the next start: it is in {}.",
                    text(&rotated, "file")
                ),
                None => format!("It is in {}.", text(&rotated, "file")),
            });
            say(
                "Keep a copy of it, apart from the data. Give it to the other instances before they start again.",
            );
        }
    }
    Ok(())
}

/// What leaked beside the server's keys, and how each is replaced.
const LEAKED_TOO: &str = "\
The server's keys are new. What leaked with them is yours to replace:
  server secrets            latchkey token server, for each that is in use
  applications' keys        regenerateAppKey, then give consumers the new public key where they do not ask for it
  authenticators' secrets   users who use one remove it and enrol a new one
  passwords                 their hashes leaked: short ones can be guessed, so ask users for new ones
  accounts at Twilio        a new token there, then updateAppSetting twoFactorVerification
  mail accounts             new keys there: mail.smtp_password in the settings, emailExtensionAPIKey of applications
  backups                   old ones open with the old keys: delete them, and make a new one
Everybody signs in again. Codes, links and invitations that were not used are asked for again. Recovery codes stay good.";

fn rotate_server(settings: &Settings, app_tokens: bool) -> Result<(), StartError> {
    settings.check()?;
    let system = actix_web::rt::System::new();
    system.block_on(async {
        let link = Link::open(settings, Start::Refused).await?;
        link.call(Command::RotateServer { app_tokens }).await?;
        let mut last = String::new();
        loop {
            let state = link.call(Command::GoOnWithKeys).await?;
            let told = match (state.get("waiting").and_then(Value::as_i64), state.get("resealed")) {
                _ if state.get("heldBy").is_some_and(|by| by == "clock") => {
                    "The old keys stay until the clock, which has jumped, is trusted: latchkey jobs run --now says that \
                     it is right."
                        .to_owned()
                }
                _ if state.get("heldBy").is_some() => {
                    "The old keys stay for an import that is not whole: finish it (latchkey import list), or remove its \
                     application."
                        .to_owned()
                }
                (Some(_), _) => "Waiting until every instance uses the new keys.".to_owned(),
                (None, Some(number)) => {
                    format!("Resealing with the new keys: {number} values so far.")
                }
                (None, None) => break,
            };
            if told != last {
                say(&told);
                last = told;
            }
            actix_web::rt::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        say(LEAKED_TOO);
        if app_tokens {
            say("App tokens ended as well: GET /api/app/appId/ID answers each application's new one.");
        }
        Ok(())
    })
}

pub(super) fn setup_link(settings: &Settings) -> Result<(), StartError> {
    let link = perform(settings, Command::SetupLink)?;
    let Some(link) = link.as_str() else {
        let text = "an administrator exists: sign in to the portal".to_owned();
        return Err(StartError::Configuration(text));
    };
    say(link);
    Ok(())
}

pub(super) fn account(settings: &Settings, command: AdminCommand) -> Result<(), StartError> {
    let password = match command {
        AdminCommand::Create { email } => perform(settings, Command::CreateAdministrator { email })?,
        AdminCommand::ResetPassword { email } => perform(settings, Command::ResetPortalPassword { email })?,
    };
    // The password alone on standard output.
    say(password.as_str().unwrap_or_default());
    note("Sign in to the portal with this password, and change it there: Account.");
    Ok(())
}

pub(super) fn run_jobs(settings: &Settings) -> Result<(), StartError> {
    let removed = perform(settings, Command::RunJobs)?;
    say(&format!("{removed} expired rows deleted."));
    Ok(())
}

fn line_of(token: &Value, now: OffsetDateTime) -> String {
    let time = |name: &str| token.get(name).and_then(Value::as_str);
    let use_ = time("lastUsedAt").map_or("never used".to_owned(), |used| format!("last used {used}"));
    let ends_at = time("expiresAt").and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let state = match time("revokedAt") {
        Some(revoked) => format!("revoked {revoked}"),
        None if ends_at.is_some_and(|ends_at| ends_at <= now) => format!("expired, {use_}"),
        None if ends_at.is_some_and(|ends_at| ends_at - now < EXPIRY_NOTICE) => {
            format!("expires soon, {use_}")
        }
        None => use_,
    };
    let app = token.get("appId").and_then(Value::as_str).unwrap_or("all applications");
    let (id, name, scopes) = (text(token, "tokenId"), text(token, "name"), text(token, "scopes"));
    format!("{id}  {name}  {scopes}  {app}  until {}  {state}", text(token, "expiresAt"))
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_server_secret_shows_whether_it_still_works() {
        let line = |now, revoked: Option<&str>| {
            let token = json!({"expiresAt": "2027-02-27T20:52:48.876Z", "revokedAt": revoked});
            line_of(&token, now)
        };
        assert!(line(datetime!(2027-02-01 0:00 UTC), None).ends_with("  never used"));
        assert!(line(datetime!(2027-02-20 0:00 UTC), None).ends_with("  expires soon, never used"));
        assert!(line(datetime!(2027-02-28 0:00 UTC), None).ends_with("  expired, never used"));
        let revoked = line(datetime!(2027-02-28 0:00 UTC), Some("2027-01-01T00:00:00.000Z"));
        assert!(revoked.ends_with("  revoked 2027-01-01T00:00:00.000Z"));
    }
}
