//! A program with sign-up and log-in of its own: users in an SQLite file, mail kept in memory, no HTTP. Run it with
//! `cargo run --example embed`.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use latchkey_crypto::{MasterKey, verify_user_jwt};
use latchkey_domain::{AppName, Handle, Preset, SignupFlow, Source};
use latchkey_notifiers::{MailAddress, MemorySender};
use latchkey_service::account::{LogIn, LoggedIn, LoginName, NewPassword, SignUp, SignedUp};
use latchkey_service::notify::MailIdentity;
use latchkey_service::operate::NewApp;
use latchkey_service::{Operator, Service, ServiceSettings};
use latchkey_storage::diesel::{Database, DatabaseLocation, DatabaseSettings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let location = DatabaseLocation::File(folder.path().join("users.db"));
    Database::migrate(&location)?;
    let store = Database::open(&location, &DatabaseSettings::default())?;

    let from = MailAddress::parse("Shop <shop@example.com>")?;
    let identity = MailIdentity { from, host: "example.com".to_owned(), utf8: false };
    let settings = ServiceSettings::new("https://auth.example.com".to_owned(), identity);
    let mail = Arc::new(MemorySender::default());
    // A real program reads the key from where it keeps secrets: data that it encrypted opens with no other.
    let key = || Ok(MasterKey::from_hex(&"5a".repeat(32))?);
    let service = Service::builder(store, settings, mail.clone()).open(Arc::new(key)).await?;

    let name = AppName::parse("Shop")?;
    let new = NewApp { name, preset: Preset::Recommended, jwt_enabled: true, signup_flow: SignupFlow::None };
    let app = service.create_app(Operator::command_line(), new).await?;
    let call = service.client(&app.app_token, Source::at("127.0.0.1".parse()?))?;

    let (handle, password) = ("ana@example.com", "correct horse battery staple");
    let typed = || NewPassword::parse(None, Some(password));
    let sign_up = SignUp { handle: Handle::parse(handle)?, password: typed()?, metadata: None, locale: None };
    assert!(matches!(service.sign_up(call.clone(), sign_up).await?, SignedUp::User(_)));

    let log_in = LogIn { name: LoginName::parse(handle)?, password: Some(typed()?.into_client()) };
    let LoggedIn::Tokens(tokens) = service.log_in(call, log_in).await? else {
        return Err("more is required".into());
    };
    let (issuer, audience) = (&app.app.issuer, app.app.id.to_string());
    let claims = verify_user_jwt(&tokens.jwt, &[app.public_key], issuer, &audience, service.now())?;
    Ok(writeln!(std::io::stdout(), "{handle} is logged in: {claims:?}")?)
}
