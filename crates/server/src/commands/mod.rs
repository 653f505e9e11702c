//! The command line: what can be typed, and what it does. Wrong flags are errors that name the right ones.

mod administer;
mod batches;
mod cosync;
mod demo;
mod leaving;
mod link;
mod moving;
mod report;
mod settings;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::control::Flow;
use crate::settings::Settings;
use crate::start::{StartError, refuse_foreign_writers};
use crate::{Greeting, Server, start, telemetry};

const DEFAULT_FILE: &str = "/etc/latchkey/latchkey.toml";

/// A self-hosted JWT authentication server.
///
/// Without a command, it serves: on http://127.0.0.1:8080, with its data in ./latchkey-data.
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
    /// Run the server (what happens without a command)
    Serve,
    /// Show everything once: make an application, sign a user up, log in, verify the token
    ///
    /// Starts a server of its own on a free port with throw-away data, unless --url names a running one.
    Demo(DemoArgs),
    /// Applications
    #[command(subcommand)]
    App(AppCommand),
    /// Tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Periodic jobs
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Bring users or applications in
    ///
    /// Everything is looked at first, and a report is printed; nothing goes in while something is wrong.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Take an application, or its users, out
    #[command(subcommand)]
    Export(ExportCommand),
    /// Bring the database schema up to date
    ///
    /// The server does so itself at start, unless database.migrate is "check".
    Migrate,
    /// Settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Use the server at this address instead of starting one
    #[arg(long, requires_all = ["server_secret_file", "mailbox"])]
    url: Option<String>,
    /// A file that holds a server secret of that server (latchkey token server)
    #[arg(long, value_name = "FILE")]
    server_secret_file: Option<PathBuf>,
    /// The folder into which that server writes its mail
    #[arg(long, value_name = "FOLDER")]
    mailbox: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum AppCommand {
    /// Make an application and print its id and app token
    Create {
        /// Its name
        name: String,
        /// Begin with the settings of the Cosync JWT server, for clients that were written against it:
        /// the token's subject is the handle, its audience "none"
        #[arg(long)]
        compatible: bool,
        /// How people who sign up prove their handle
        #[arg(long, value_enum, default_value_t = Flow::Code)]
        signup_flow: Flow,
    },
    /// List the applications, newest first
    List,
    /// Move an application's issuer (the claim `iss`) below the present server.public_url
    SetIssuer {
        /// The application's id
        app: String,
        /// The only issuer that can be set: server.public_url/apps/APP_ID
        #[arg(long, required = true)]
        to_public_url: bool,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a server secret, which opens the administration API, and print it
    Server {
        /// The name under which it will be known
        #[arg(long, default_value = "operator")]
        name: String,
        /// How many days it is good
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
        /// What it opens: one or more of read, users, settings, keys, export, with commas between them, or
        /// everything
        #[arg(long, default_value = "everything", value_name = "SCOPES")]
        scopes: String,
        /// The id of the one application that it reaches [default: all]
        #[arg(long, value_name = "APP_ID")]
        app: Option<String>,
    },
    /// Make tokens for an administrator of an application, good for an hour, and print them
    Superuser {
        /// The application's id
        app: String,
        /// The administrator's handle
        handle: String,
    },
    /// List the server secrets, newest first
    List,
    /// Revoke a server secret: from then on it opens nothing
    Revoke {
        /// Its id, as the list shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make an application's next key: published now, signing in an hour
    #[command(name = "rotate-app")]
    App {
        /// The application's id
        app: String,
    },
    /// Replace the master key, while the server runs or not
    ///
    /// If it is stopped in the middle, run it again, or start the server: either finishes it.
    #[command(name = "rotate-master")]
    Master {
        /// The file into which the new key goes, where the present one stands in the settings themselves
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Replace the server's own keys: for when the database and the master key have leaked
    ///
    /// While the server runs or not. Replace the master key first, else who has it opens the new keys too. Access tokens,
    /// login tokens, super-user tokens and server secrets end; so do codes, links and invitations that were sent and not
    /// used. If it is stopped in the middle, the server goes on by itself, and so does this command when it is run again.
    #[command(name = "rotate-server")]
    Server {
        /// End the app tokens too, which ship in clients
        #[arg(long)]
        app_tokens: bool,
    },
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// Delete what has expired, as the server does every hour
    ///
    /// After the clock jumped, the server deletes nothing for an hour. This says that the clock is right.
    Run {
        /// Run at once, and trust the clock
        #[arg(long, required = true)]
        now: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Bring users into an application, from a .csv file or a .jsonl file
    Users {
        /// The application's id
        app: String,
        /// The file
        file: PathBuf,
        /// Look and report only
        #[arg(long)]
        dry_run: bool,
        /// Leave away what cannot be imported, and bring the others in
        #[arg(long)]
        skip_refused: bool,
        /// A file for the whole report, as JSON lines
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Bring an application in, from an archive that `latchkey export archive` wrote
    ///
    /// Nobody sees the application until it is whole. An import that was stopped goes on where it was.
    Archive {
        /// The file
        file: PathBuf,
        /// The name that the application gets [default: the one that it had]
        #[arg(long)]
        name: Option<String>,
        /// A file whose first line is the passphrase that the archive's secrets are sealed to; - for standard input
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// Look and report only
        #[arg(long)]
        dry_run: bool,
        /// A file for the whole report, as JSON lines
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Move a Cosync JWT server in, from a folder that mongodump or mongoexport wrote, or a zip file that it exported
    ///
    /// Applications keep their ids and keys, so that users' JWTs go on being verified; users keep their passwords. Nobody sees an
    /// application until it is whole; an import that was stopped goes on where it was.
    Cosync {
        /// The folder with apps.bson or apps.json, users.bson and so on; or the zip file
        source: PathBuf,
        /// The name that a zip file's application gets [default: the one that it had]
        #[arg(long)]
        name: Option<String>,
        /// A file whose first line is the old server's encryptKey; - for standard input
        #[arg(long, value_name = "FILE")]
        encrypt_key_file: Option<PathBuf>,
        /// The old server's publickey.pem: app tokens that ship in clients stay good
        #[arg(long, value_name = "FILE")]
        server_public_key: Option<PathBuf>,
        /// Only this application, and others that are named so
        #[arg(long, value_name = "APP_ID")]
        app: Vec<String>,
        /// Look and report only
        #[arg(long)]
        dry_run: bool,
        /// Leave away what cannot be imported, and bring the others in
        #[arg(long)]
        skip_refused: bool,
        /// A file for the whole report, as JSON lines
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// List imports that were stopped before they were whole
    List,
    /// Remove what an import brought in that was stopped
    Discard {
        /// The application's id, as the list shows it
        app: String,
    },
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Everything of an application as JSON lines
    ///
    /// It holds password digests. Private keys, authenticators' secrets and accounts at providers are in it only with a
    /// passphrase, sealed to it.
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
    /// An application's users as CSV, with their password digests
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
    /// Check the settings and name every mistake
    Check,
    /// Print every setting with its value (secrets masked) and where it came from
    Show,
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
        Command::App(command) => administer::app(&load()?, command),
        Command::Token(command) => administer::token(&load()?, command),
        Command::Keys(command) => administer::keys(&load()?, command),
        Command::Jobs(JobsCommand::Run { now: _ }) => administer::run_jobs(&load()?),
        Command::Import(command) => moving::import(&load()?, command),
        Command::Export(command) => leaving::export(&load()?, command),
        Command::Migrate => migrate(&load()?),
        Command::Config(ConfigCommand::Check) => settings::check(&load()?),
        Command::Config(ConfigCommand::Show) => settings::show(file.as_deref(), &environment),
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
    let Greeting { public_url, database, master_key, mail, is_new } = greeting;
    tracing::info!(%public_url, %database, %master_key, %mail, "listening");
    let first_steps = if *is_new {
        "\n  First steps, in another terminal:\n    \
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
         keys      sealed with master key {master_key}: keep a copy of it, apart from the data\n{first_steps}"
    ));
}

fn migrate(settings: &Settings) -> Result<(), StartError> {
    settings.check()?;
    let (applied, location) = start::migrate(settings)?;
    say(&match applied {
        0 => format!("{location}: the schema is up to date"),
        applied => format!("{location}: {applied} migrations applied"),
    });
    Ok(())
}

/// Prints a line beside what a command gives.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line for a person. A closed pipe is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
