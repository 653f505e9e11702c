//! An SMTP sender (RFC 5321): with implicit TLS, STARTTLS (RFC 3207) or none, with or without a log-in. Connections are
//! reused. Retries are decided elsewhere.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::{Error, response::Response};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::message::{Email, EmailSender, NotifyError, Sending};

mod reply;

use reply::{Stage, describe, outcome_of};

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
    /// The name for `EHLO`: a fully qualified domain name, or the text of an IP address.
    pub hello: String,
    /// Whether mail to local parts with non-ASCII letters is sent, which needs servers with SMTPUTF8 (RFC 6531).
    pub utf8: bool,
    /// How long one step of a conversation may take.
    pub timeout: Duration,
    /// How many connections are kept for each server.
    pub connections: u32,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSmtp(String);

/// How many applications' own senders are kept open.
const KEPT_RELAYS: usize = 100;
/// How long a connection is kept for the next message.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// Time limit for `QUIT`.
const QUIT_TIME: Duration = Duration::from_secs(2);

/// Sends by SMTP.
pub struct SmtpSender {
    settings: SmtpSettings,
    own: Arc<Connections>,
    relays: Mutex<HashMap<String, Arc<Connections>>>,
}

impl SmtpSender {
    /// Creates a sender without connecting.
    ///
    /// # Errors
    /// [`InvalidSmtp`] when the certificates cannot be read.
    pub fn new(settings: SmtpSettings) -> Result<Self, InvalidSmtp> {
        let own = Connections::new(settings.server.clone(), &settings)?;
        Ok(Self { settings, own: Arc::new(own), relays: Mutex::default() })
    }

    /// The connections for a message: those of its application's own account, or those to the operator's server.
    fn connections_for(&self, email: &Email) -> Result<Arc<Connections>, NotifyError> {
        let Some(key) = &email.relay_key else { return Ok(Arc::clone(&self.own)) };
        let mut relays = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = relays.get(key.expose_secret()) {
            return Ok(Arc::clone(kept));
        }
        let mut server = self.settings.relay.clone();
        if let Some((_, password)) = &mut server.login {
            *password = key.clone();
        }
        let made = Connections::new(server, &self.settings)
            .map_err(|error| NotifyError::Unavailable(error.to_string()))?;
        let made = Arc::new(made);
        if relays.len() >= KEPT_RELAYS {
            relays.clear();
        }
        relays.insert(key.expose_secret().to_owned(), Arc::clone(&made));
        Ok(made)
    }

    async fn hand_over(&self, email: &Email) -> Result<(), NotifyError> {
        let message = email.to_message()?;
        if !is_ascii(message.envelope()) && !self.settings.utf8 {
            return Err(NotifyError::Refused(
                "the address has non-ASCII letters before the @, and mail.smtp_utf8 is false".to_owned(),
            ));
        }
        let connections = self.connections_for(email)?;
        let mut connection = connections.take().await?;
        let sent = connections.deliver(&mut connection, &message).await;
        match &sent {
            Ok(()) => connections.keep(connection),
            Err(_) => quit(connection).await,
        }
        sent
    }
}

/// The connections to one mail server with one account.
struct Connections {
    server: SmtpServer,
    tls: Option<TlsParameters>,
    hello: ClientId,
    timeout: Duration,
    most: usize,
    idle: Mutex<Vec<(Instant, AsyncSmtpConnection)>>,
}

impl Connections {
    fn new(server: SmtpServer, settings: &SmtpSettings) -> Result<Self, InvalidSmtp> {
        let tls = || {
            let mut parameters = TlsParameters::builder(server.host.clone());
            if let Some(pem) = &settings.extra_roots {
                let roots = Certificate::from_pem(pem).map_err(|error| InvalidSmtp(error.to_string()))?;
                parameters = parameters.add_root_certificate(roots);
            }
            parameters.build().map_err(|error| InvalidSmtp(error.to_string()))
        };
        let tls = if server.tls == SmtpTls::None { None } else { Some(tls()?) };
        let hello = match settings.hello.parse() {
            Ok(std::net::IpAddr::V4(address)) => ClientId::Ipv4(address),
            Ok(std::net::IpAddr::V6(address)) => ClientId::Ipv6(address),
            Err(_) => ClientId::Domain(settings.hello.clone()),
        };
        let most = usize::try_from(settings.connections).unwrap_or(usize::MAX);
        Ok(Self { server, tls, hello, timeout: settings.timeout, most, idle: Mutex::default() })
    }

    /// Takes a kept connection that still works, or opens one.
    async fn take(&self) -> Result<AsyncSmtpConnection, NotifyError> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((_, mut connection)) = kept else { break };
            if tokio::time::timeout(self.timeout, connection.test_connected()).await.unwrap_or(false) {
                return Ok(connection);
            }
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, NotifyError> {
        let SmtpServer { host, port, tls, login } = &self.server;
        let implicit = self.tls.clone().filter(|_| *tls == SmtpTls::Implicit);
        let connecting = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), *port),
            Some(self.timeout),
            &self.hello,
            implicit,
            None,
        );
        let mut connection = self.step(connecting).await?;
        if let (SmtpTls::StartTls, Some(parameters)) = (tls, &self.tls) {
            self.step(connection.starttls(parameters.clone(), &self.hello)).await?;
        }
        if let Some((name, password)) = login {
            let credentials = Credentials::new(name.clone(), password.expose_secret().to_owned());
            self.step(connection.auth(DEFAULT_MECHANISMS, &credentials)).await?;
        }
        Ok(connection)
    }

    /// Sends one message (RFC 5321 section 3.3).
    async fn deliver(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &lettre::Message,
    ) -> Result<(), NotifyError> {
        let (envelope, content) = (message.envelope(), message.formatted());
        let mut options = Vec::new();
        for (is_needed, extension, option) in [
            (!is_ascii(envelope), Extension::SmtpUtfEight, MailParameter::SmtpUtfEight),
            (
                !content.is_ascii(),
                Extension::EightBitMime,
                MailParameter::Body(MailBodyParameter::EightBitMime),
            ),
        ] {
            if is_needed && !connection.server_info().supports_feature(extension) {
                let text = format!("the mail server does not offer {extension}");
                return Err(NotifyError::Unavailable(text));
            }
            options.extend(is_needed.then_some(option));
        }
        let from = envelope.from().cloned();
        self.step(connection.command(Mail::new(from, options))).await?;
        for recipient in envelope.to() {
            let command = connection.command(Rcpt::new(recipient.clone(), Vec::new()));
            self.reply(command, Stage::Recipient, envelope.to()).await?;
        }
        self.step(connection.command(Data)).await?;
        self.reply(connection.message(&content), Stage::Content, envelope.to()).await
    }

    /// Runs a step that concerns the server or the account. Its failures are temporary for the message.
    async fn step<T>(&self, step: impl Future<Output = Result<T, Error>>) -> Result<T, NotifyError> {
        let answer = tokio::time::timeout(self.timeout, step).await.map_err(|_| self.too_late())?;
        answer.map_err(|error| NotifyError::Unavailable(describe(&error, &[])))
    }

    /// Runs a step that concerns the recipient or the content of the message. Its failures may be final.
    async fn reply(
        &self,
        step: impl Future<Output = Result<Response, Error>>,
        stage: Stage,
        recipients: &[lettre::Address],
    ) -> Result<(), NotifyError> {
        let answer = tokio::time::timeout(self.timeout, step).await.map_err(|_| self.too_late())?;
        answer.map(|_| ()).map_err(|error| outcome_of(stage, &error, recipients))
    }

    fn too_late(&self) -> NotifyError {
        NotifyError::Unavailable(format!("no reply of the mail server within {} s", self.timeout.as_secs()))
    }

    /// Keeps a connection for a while.
    fn keep(self: &Arc<Self>, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.most {
            idle.push((Instant::now(), connection));
            tokio::spawn(Arc::clone(self).close_unused());
        } else {
            tokio::spawn(quit(connection));
        }
    }

    /// Closes idle connections.
    async fn close_unused(self: Arc<Self>) {
        tokio::time::sleep(KEPT_FOR).await;
        let old: Vec<_> = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.extract_if(.., |(since, _)| since.elapsed() >= KEPT_FOR).collect()
        };
        for (_, connection) in old {
            quit(connection).await;
        }
    }
}

fn is_ascii(envelope: &Envelope) -> bool {
    envelope.from().into_iter().chain(envelope.to()).all(|address| AsRef::<str>::as_ref(address).is_ascii())
}

/// Sends `QUIT`, without waiting long for the reply.
async fn quit(mut connection: AsyncSmtpConnection) {
    let _ = tokio::time::timeout(QUIT_TIME, connection.quit()).await;
}

impl EmailSender for SmtpSender {
    fn send<'a>(&'a self, email: &'a Email) -> Sending<'a> {
        Box::pin(self.hand_over(email))
    }

    fn name(&self) -> &str {
        &self.settings.server.host
    }
}

#[cfg(test)]
mod tests;
