//! The command line.

mod admin;
mod batches;
mod cosync;
mod data_access;
mod demo;
mod export;
mod import;
mod import_run;
mod report;
mod settings;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::control::Flow;
use crate::server::{Greeting, Server};
use crate::settings::Settings;
use crate::start::{self, StartError, refuse_foreign_writers};
use crate::telemetry;

const DEFAULT_FILE: &str = "/etc/latchkey/latchkey.toml";

/// A self-hosted JWT authentication server.
///
/// Without a command, it runs the server on http://127.0.0.1:8080, with its data in ./latchkey-data.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version, propagate_version = true)]
pub struct Cli {
    /// The settings file [default: /etc/latchkey/latchkey.toml, if it exists]
    #[arg(long, global = true, env = "LATCHKEY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default command)
    Serve,
    /// Run a tour: create an application, sign a user up, log in, verify the token
    ///
    /// Starts a temporary server on a free port, unless --url names a running one.
    Demo(DemoArgs),
    /// Manage applications
    #[command(subcommand)]
    App(AppCommand),
    /// Manage tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Rotate keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Run periodic jobs
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Import users or applications
    ///
    /// An import first validates everything and prints a report. It imports nothing while there are errors.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Export an application or its users
    #[command(subcommand)]
    Export(ExportCommand),
    /// Print a new link to the page where the portal's first account is created
    ///
    /// It is valid for an hour and ends the links before it. The server prints one at each start until the account exists.
    SetupLink,
    /// Create administrators of the portal, and reset their passwords
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Migrate the database schema
    ///
    /// The server does so at start, unless database.migrate is "check".
    Migrate,
    /// Check or show the settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Create an administrator of the portal and print the password
    Create {
        /// The e-mail address
        email: String,
    },
    /// Give an account of the portal a new password, print it, and end its log-ins
    ResetPassword {
        /// The account's e-mail address
        email: String,
    },
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Use the server at this address instead of starting one
    #[arg(long, requires_all = ["server_secret_file", "mailbox"])]
    url: Option<String>,
    /// A file with a server secret of that server (latchkey token server)
    #[arg(long, value_name = "FILE")]
    server_secret_file: Option<PathBuf>,
    /// That server's mailbox folder
    #[arg(long, value_name = "FOLDER")]
    mailbox: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum AppCommand {
    /// Create an application and print its id and app token
    Create {
        /// Its name
        name: String,
        /// Start with the settings of the Cosync JWT server, for existing clients:
        /// the token's subject is the handle, its audience "none"
        #[arg(long)]
        compatible: bool,
        /// How new users prove their handle
        #[arg(long, value_enum, default_value_t = Flow::Code)]
        signup_flow: Flow,
    },
    /// List the applications, newest first
    List,
    /// Change an application's issuer (the claim `iss`) to the current server.public_url
    SetIssuer {
        /// The application's id
        app: String,
        /// Required: the only possible issuer is server.public_url/apps/APP_ID
        #[arg(long, required = true)]
        to_public_url: bool,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create a server secret for the administration API and print it
    Server {
        /// The name shown in the audit log
        #[arg(long, default_value = "operator")]
        name: String,
        /// Days until it expires
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
        /// Scopes: one or more of read, users, settings, keys, export, separated by commas, or everything
        #[arg(long, default_value = "everything", value_name = "SCOPES")]
        scopes: String,
        /// Restrict it to the application with this id [default: all]
        #[arg(long, value_name = "APP_ID")]
        app: Option<String>,
    },
    /// Create tokens for an administrator of an application, valid for an hour, and print them
    Superuser {
        /// The application's id
        app: String,
        /// The administrator's handle
        handle: String,
    },
    /// List the server secrets, newest first
    List,
    /// Revoke a server secret
    Revoke {
        /// Its id, as listed
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Create an application's next key: published now, signing in an hour
    #[command(name = "rotate-app")]
    App {
        /// The application's id
        app: String,
    },
    /// Replace the master key, whether the server runs or not
    ///
    /// If it is interrupted, run it again or start the server to complete it.
    #[command(name = "rotate-master")]
    Master {
        /// The file for the new key, if the current one is in the settings
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Replace the server's own keys after the database and the master key have leaked
    ///
    /// Works whether the server runs or not. Replace the master key first, since the leaked one would decrypt the new
    /// keys. Access tokens, login tokens, super-user tokens, server secrets, and unused codes, links and invitations
    /// become invalid. If it is interrupted, the server continues by itself; so does this command when you run it
    /// again.
    #[command(name = "rotate-server")]
    Server {
        /// Also invalidate app tokens, which ship in clients
        #[arg(long)]
        app_tokens: bool,
    },
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// Delete what has expired, as the server does every hour
    ///
    /// After the clock has jumped, the server deletes nothing for an hour. This command confirms the clock.
    Run {
        /// Run now and trust the clock
        #[arg(long, required = true)]
        now: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Import users into an application from a .csv or .jsonl file
    Users {
        /// The application's id
        app: String,
        /// The file
        file: PathBuf,
        /// Validate only; change nothing
        #[arg(long)]
        dry_run: bool,
        /// Skip invalid records and import the rest
        #[arg(long)]
        skip_refused: bool,
        /// Write the whole report to a new file, as JSON lines
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Import an application from an archive of `latchkey export archive`
    ///
    /// The application becomes visible when it is complete. An interrupted import continues where it stopped.
    Archive {
        /// The file
        file: PathBuf,
        /// The application's new name [default: its old name]
        #[arg(long)]
        name: Option<String>,
        /// A file whose first line is the passphrase of the archive's secrets; - for standard input
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// Validate only; change nothing
        #[arg(long)]
        dry_run: bool,
        /// Write the whole report to a new file, as JSON lines
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Import a Cosync JWT server from a folder of mongodump or mongoexport, or from its zip export
    ///
    /// Applications keep their ids and keys, so users' JWTs stay valid; users keep their passwords. An application
    /// becomes visible when it is complete. An interrupted import continues where it stopped.
    Cosync {
        /// The folder with apps.bson or apps.json, users.bson and so on; or the zip file
        source: PathBuf,
        /// The new name of a zip file's application [default: its old name]
        #[arg(long)]
        name: Option<String>,
        /// A file whose first line is the old server's encryptKey; - for standard input
        #[arg(long, value_name = "FILE")]
        encrypt_key_file: Option<PathBuf>,
        /// The old server's publickey.pem, to keep the app tokens in shipped clients valid
        #[arg(long, value_name = "FILE")]
        server_public_key: Option<PathBuf>,
        /// Import only this application; may be repeated
        #[arg(long, value_name = "APP_ID")]
        app: Vec<String>,
        /// Validate only; change nothing
        #[arg(long)]
        dry_run: bool,
        /// Skip invalid records and import the rest
        #[arg(long)]
        skip_refused: bool,
        /// Write the whole report to a new file, as JSON lines
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// List unfinished imports
    List,
    /// Remove an unfinished import
    Discard {
        /// The application's id, as listed
        app: String,
    },
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Export everything of an application as JSON lines
    ///
    /// Contains password hashes. Private keys, authenticators' secrets and accounts at providers are included only with
    /// a passphrase, encrypted with it.
    Archive {
        /// The application's id
        app: String,
        /// The file [default: standard output]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// A file whose first line is the passphrase; - for standard input
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Export an application's users as CSV, with their password hashes
    Users {
        /// The application's id
        app: String,
        /// The file [default: standard output]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the settings and report every error
    Check,
    /// Print every setting with its value (secrets masked) and origin
    Show,
    /// Print every setting with its meaning, default and bounds
    Reference,
}

/// Runs the command line and gives the exit code.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("latchkey: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), StartError> {
    let file = cli.config.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let load = || {
        file.as_deref().map_or(Ok(()), refuse_foreign_writers)?;
        Ok::<_, StartError>(Settings::load(file.as_deref(), &environment)?)
    };
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(load()?),
        Command::Demo(arguments) => demo::run(arguments.into()),
        Command::App(command) => admin::app(&load()?, command),
        Command::Token(command) => admin::token(&load()?, command),
        Command::Keys(command) => admin::keys(&load()?, command),
        Command::Jobs(JobsCommand::Run { now: _ }) => admin::run_jobs(&load()?),
        Command::Import(command) => import::import(&load()?, command),
        Command::Export(command) => export::export(&load()?, command),
        Command::SetupLink => admin::setup_link(&load()?),
        Command::Admin(command) => admin::account(&load()?, command),
        Command::Migrate => migrate(&load()?),
        Command::Config(ConfigCommand::Check) => settings::check(&load()?),
        Command::Config(ConfigCommand::Show) => settings::show(file.as_deref(), &environment),
        Command::Config(ConfigCommand::Reference) => {
            settings::reference();
            Ok(())
        }
    }
}

impl From<DemoArgs> for demo::Target {
    fn from(arguments: DemoArgs) -> Self {
        match (arguments.url, arguments.server_secret_file, arguments.mailbox) {
            (Some(url), Some(secret_file), Some(mailbox)) => Self::Running { url, secret_file, mailbox },
            _ => Self::OwnServer,
        }
    }
}

fn serve(settings: Settings) -> Result<(), StartError> {
    telemetry::begin(&settings.log);
    let server = Server::start(settings)?;
    greet(&server.greeting());
    server.run()
}

fn greet(greeting: &Greeting) {
    let Greeting { public_url, database, master_key, mail, is_new, setup_link } = greeting;
    tracing::info!(%public_url, %database, %master_key, %mail, "listening");
    let setup = setup_link.as_ref().map_or(String::new(), |link| {
        format!("\n  Open this link within an hour to create the administrator's account:\n    {link}\n")
    });
    let first_steps = if *is_new {
        "\n  Or, in another terminal:\n    \
         latchkey app create \"My app\"     make an application\n    \
         latchkey token server            make a server secret for the administration API\n    \
         latchkey demo                    watch a sign-up and a log-in\n"
    } else {
        ""
    };
    say(&format!(
        "\nLatchkey is ready at {public_url}\n  \
         data      {database}\n  \
         mail      {mail}\n  \
         keys      sealed with master key {master_key}: keep a copy of it, apart from the data\n{setup}{first_steps}"
    ));
}

fn migrate(settings: &Settings) -> Result<(), StartError> {
    settings.check()?;
    let (applied, location) = start::migrate(settings)?;
    say(&match applied {
        0 => format!("{location}: the schema is up to date"),
        applied => format!("{location}: migrations applied: {applied}"),
    });
    Ok(())
}

/// Prints a line beside what a command gives.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line. A closed pipe is not an error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
