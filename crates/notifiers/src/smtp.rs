//! A sender that speaks SMTP (RFC 5321): with TLS from the first byte, with STARTTLS (RFC 3207) or without, with
//! a log-in or without. Connections are kept and used again. How often a message is tried is not decided here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use crate::message::{Email, EmailSender, NotifyError, Sending};

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// TLS from the first byte, usually on port 465.
    Implicit,
    /// STARTTLS, which must succeed; usually on port 587.
    StartTls,
    /// None: for a server on the same machine.
    None,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    /// Its name, which its certificate must carry.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How connections are protected.
    pub tls: SmtpTls,
    /// Name and password, if it wants a log-in.
    pub login: Option<(String, SecretString)>,
}

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The operator's server.
    pub server: SmtpServer,
    /// The mail provider's relay, for applications that have a key of their own there.
    pub relay: SmtpServer,
    /// Certificates (PEM) that are trusted beside those of the system.
    pub extra_roots: Option<Vec<u8>>,
    /// How long one step of a conversation may take.
    pub timeout: Duration,
    /// How many connections are kept for each server.
    pub connections: u32,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSmtp(String);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// How many applications' own senders are kept open.
const KEPT_RELAYS: usize = 100;

/// Sends by SMTP.
pub struct SmtpSender {
    settings: SmtpSettings,
    own: Transport,
    relays: Mutex<HashMap<String, Transport>>,
}

impl SmtpSender {
    /// A sender. Connects to nobody yet. Must be made within a Tokio runtime.
    ///
    /// # Errors
    /// [`InvalidSmtp`] when the certificates cannot be read.
    pub fn new(settings: SmtpSettings) -> Result<Self, InvalidSmtp> {
        let own = transport(&settings.server, &settings)?;
        Ok(Self { settings, own, relays: Mutex::default() })
    }

    /// The transport for a message: its application's own account, or the operator's server.
    fn transport_for(&self, email: &Email) -> Result<Transport, NotifyError> {
        let Some(key) = &email.relay_key else { return Ok(self.own.clone()) };
        let mut relays = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = relays.get(key.expose_secret()) {
            return Ok(kept.clone());
        }
        let mut server = self.settings.relay.clone();
        if let Some((_, password)) = &mut server.login {
            *password = key.clone();
        }
        let made =
            transport(&server, &self.settings).map_err(|error| NotifyError::Refused(error.to_string()))?;
        if relays.len() >= KEPT_RELAYS {
            relays.clear();
        }
        relays.insert(key.expose_secret().to_owned(), made.clone());
        Ok(made)
    }

    async fn hand_over(&self, email: &Email) -> Result<(), NotifyError> {
        let transport = self.transport_for(email)?;
        transport.send(email.to_message()?).await.map(|_| ()).map_err(|error| classify(&error))
    }
}

fn transport(server: &SmtpServer, settings: &SmtpSettings) -> Result<Transport, InvalidSmtp> {
    let tls = || {
        let mut parameters = TlsParameters::builder(server.host.clone());
        if let Some(pem) = &settings.extra_roots {
            let roots = Certificate::from_pem(pem).map_err(|error| InvalidSmtp(error.to_string()))?;
            parameters = parameters.add_root_certificate(roots);
        }
        parameters.build().map_err(|error| InvalidSmtp(error.to_string()))
    };
    let tls = match server.tls {
        SmtpTls::Implicit => Tls::Wrapper(tls()?),
        SmtpTls::StartTls => Tls::Required(tls()?),
        SmtpTls::None => Tls::None,
    };
    let pool = PoolConfig::new().max_size(settings.connections).idle_timeout(Duration::from_secs(30));
    let mut builder = Transport::builder_dangerous(&server.host)
        .port(server.port)
        .tls(tls)
        .timeout(Some(settings.timeout))
        .pool_config(pool);
    if let Some((name, password)) = &server.login {
        builder = builder.credentials(Credentials::new(name.clone(), password.expose_secret().to_owned()));
    }
    Ok(builder.build())
}

/// A permanent reply (RFC 5321 section 4.2.1) is about the message, unless it is about our log-in
/// (RFC 4954 section 6), which the operator can mend.
fn classify(error: &Error) -> NotifyError {
    let code = error.status().map(u16::from);
    let is_about_login = matches!(code, Some(530 | 534 | 535 | 538));
    if error.is_permanent() && !is_about_login {
        NotifyError::Refused(reason(error))
    } else {
        NotifyError::Unavailable(reason(error))
    }
}

/// The cause as one short line. Of a reply only its codes are told (RFC 5321 section 4.2, RFC 3463): its text may
/// quote the recipient.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        // Some say what their cause says.
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    if let Some(code) = error.status() {
        let is_enhanced = |word: &&str| {
            let parts: Vec<&str> = word.split('.').collect();
            parts.len() == 3 && parts.iter().all(|part| part.len() <= 3 && part.parse::<u16>().is_ok())
        };
        let enhanced = text.split_ascii_whitespace().find(is_enhanced).unwrap_or_default();
        return format!("the mail server answered {code} {enhanced}").trim_end().to_owned();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

impl EmailSender for SmtpSender {
    fn send<'a>(&'a self, email: &'a Email) -> Sending<'a> {
        Box::pin(self.hand_over(email))
    }

    fn name(&self) -> &str {
        &self.settings.server.host
    }
}
