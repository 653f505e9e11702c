//! The sections of the settings, each with its defaults.

use std::path::PathBuf;

use latchkey_service::account::ProviderSettings;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `[server]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerSettings {
    /// The address to listen on. Any other than loopback needs `trusted_proxies` or `insecure_http`.
    pub address: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// The address under which clients reach the server; empty for `http://ADDRESS:PORT`.
    pub public_url: String,
    /// Proxies whose forwarded headers count: addresses, networks, `loopback`, `private`.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<String>,
    /// Whether to serve plain HTTP to other machines.
    pub insecure_http: bool,
    /// Origins whose pages may call the user API; empty for all. Pages of listed origins act for their visitors: list
    /// those of your web apps.
    #[serde(deserialize_with = "list")]
    pub cors_origins: Vec<String>,
    /// Threads that serve; 0 for as many as cores.
    pub workers: usize,
    /// `self-hosted` or `hosted`.
    pub mode: String,
    /// Seconds that requests under way may take to end at shutdown.
    pub shutdown_seconds: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1".to_owned(),
            port: 8080,
            public_url: String::new(),
            trusted_proxies: Vec::new(),
            insecure_http: false,
            cors_origins: Vec::new(),
            workers: 0,
            mode: "self-hosted".to_owned(),
            shutdown_seconds: 30,
        }
    }
}

/// `[data]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct DataSettings {
    /// The folder for the SQLite file, the master key and the mailbox.
    pub folder: PathBuf,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self { folder: PathBuf::from("latchkey-data") }
    }
}

/// `[database]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct DatabaseSettings {
    /// `postgres://…`; empty for the SQLite file in the data folder.
    #[serde(serialize_with = "masked")]
    pub url: SecretString,
    /// A file that holds the URL instead.
    pub url_file: PathBuf,
    /// Connections of the pool.
    pub connections: usize,
    /// Milliseconds that a request waits for a connection.
    pub wait_ms: u64,
    /// `auto` migrates at start, `check` refuses to start on an old schema.
    pub migrate: String,
    /// SQLite: whether an answered write survives a power cut.
    pub durable: bool,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: SecretString::default(),
            url_file: PathBuf::new(),
            connections: 8,
            wait_ms: 5_000,
            migrate: "auto".to_owned(),
            durable: true,
        }
    }
}

/// `[keys]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct KeySettings {
    /// The master key, 64 hexadecimal digits; empty for the file.
    #[serde(serialize_with = "masked")]
    pub master_key: SecretString,
    /// The file that holds it; empty for `master.key` in the data folder.
    pub master_key_file: PathBuf,
    /// Bits of new applications' RSA keys: 2048 or 3072.
    pub rsa_bits: u32,
    /// For how long consumers may keep an application's key set, in seconds. A new key waits four times as long before
    /// it signs.
    pub key_set_seconds: u32,
    /// After `keys rotate-server`, the server's new keys wait so long before they are used, in seconds, and the old
    /// ones stay for so long after it: longer than a request takes, and than the clocks of several instances differ. At
    /// least 5.
    pub rotation_seconds: u32,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self {
            master_key: SecretString::default(),
            master_key_file: PathBuf::new(),
            rsa_bits: 3_072,
            key_set_seconds: 900,
            rotation_seconds: 60,
        }
    }
}

/// `[hash]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct HashSettings {
    /// Memory of one argon2id hash in KiB, at least 19456.
    pub memory_kib: u32,
    /// Passes of one argon2id hash, at least 2.
    pub passes: u32,
    /// Threads that hash; 0 for as many as cores.
    pub threads: usize,
    /// How many hashes may wait; 0 for 64 a thread, at least 256.
    pub queue: usize,
}

impl Default for HashSettings {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, threads: 0, queue: 0 }
    }
}

/// `[mail]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct MailSettings {
    /// The address that mail comes from.
    pub from: String,
    /// `folder` writes mail into a folder, for development; `smtp` sends it.
    pub sender: String,
    /// The folder into which mail is written; empty for `mailbox` in the data folder.
    pub folder: PathBuf,
    /// The mail server's name.
    pub smtp_host: String,
    /// Its port; 0 for the usual one: 465 with `implicit`, 587 with `starttls`, 25 with `none`.
    pub smtp_port: u16,
    /// `implicit`, `starttls` or `none`.
    pub smtp_tls: String,
    /// The name to log in with; empty for no log-in.
    pub smtp_user: String,
    /// The password to log in with.
    #[serde(serialize_with = "masked")]
    pub smtp_password: SecretString,
    /// A file that holds the password instead.
    pub smtp_password_file: PathBuf,
    /// A file with certificates (PEM) that are trusted beside those of the system.
    pub smtp_ca_file: PathBuf,
    /// The name that the server gives itself (`EHLO`); empty for the host of `server.public_url`.
    pub smtp_hello: String,
    /// Whether the mail server takes addresses with non-ASCII letters before the @ (SMTPUTF8, RFC 6531). Such handles
    /// are refused otherwise.
    pub smtp_utf8: bool,
    /// Seconds that one step of a conversation may take.
    pub smtp_timeout_seconds: u32,
    /// Connections that are kept.
    pub smtp_connections: u32,
    /// The relay for applications with a key of their own at the mail provider.
    pub relay_host: String,
    /// Its port; 0 for the usual one.
    pub relay_port: u16,
    /// `implicit`, `starttls` or `none`.
    pub relay_tls: String,
    /// The name to log in with there; the password is the application's key.
    pub relay_user: String,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            from: "Latchkey <noreply@localhost>".to_owned(),
            sender: "folder".to_owned(),
            folder: PathBuf::new(),
            smtp_host: String::new(),
            smtp_port: 0,
            smtp_tls: "starttls".to_owned(),
            smtp_user: String::new(),
            smtp_password: SecretString::default(),
            smtp_password_file: PathBuf::new(),
            smtp_ca_file: PathBuf::new(),
            smtp_hello: String::new(),
            smtp_utf8: false,
            smtp_timeout_seconds: 10,
            smtp_connections: 4,
            relay_host: "smtp.sendgrid.net".to_owned(),
            relay_port: 0,
            relay_tls: "starttls".to_owned(),
            relay_user: "apikey".to_owned(),
        }
    }
}

/// `[sms]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct SmsSettings {
    /// `twilio` sends with the applications' accounts; `folder` writes into the mailbox, for development.
    pub sender: String,
    /// Where Twilio's API is.
    pub twilio_url: String,
    /// Seconds that a request to it may take.
    pub timeout_seconds: u32,
}

impl Default for SmsSettings {
    fn default() -> Self {
        Self {
            sender: "twilio".to_owned(),
            twilio_url: "https://api.twilio.com".to_owned(),
            timeout_seconds: 10,
        }
    }
}

/// `[social]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct SocialSettings {
    /// Where Apple's keys are.
    pub apple_keys_url: String,
    /// What Apple calls itself in tokens.
    #[serde(deserialize_with = "list")]
    pub apple_issuers: Vec<String>,
    /// Where Google's keys are.
    pub google_keys_url: String,
    /// What Google calls itself in tokens.
    #[serde(deserialize_with = "list")]
    pub google_issuers: Vec<String>,
    /// Seconds that fetching keys may take.
    pub timeout_seconds: u32,
}

impl Default for SocialSettings {
    fn default() -> Self {
        let (apple, google) = (ProviderSettings::apple(), ProviderSettings::google());
        Self {
            apple_keys_url: apple.keys_url,
            apple_issuers: apple.issuers,
            google_keys_url: google.keys_url,
            google_issuers: google.issuers,
            timeout_seconds: 3,
        }
    }
}

/// `[audit]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditSettings {
    /// Days that the audit log goes back.
    pub retention_days: u32,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { retention_days: 90 }
    }
}

/// `[outbox]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct OutboxSettings {
    /// Hours that a message that does not expire is tried; messages with codes are tried until the code expires.
    pub retry_hours: u32,
    /// Seconds before the second attempt; each further wait is twice as long, a quarter of an hour at most.
    pub first_wait_seconds: u32,
    /// Seconds that one send may take. A worker that dies leaves its messages to others after three times that.
    pub send_seconds: u32,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self { retry_hours: 72, first_wait_seconds: 5, send_seconds: 20 }
    }
}

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSettings {
    /// `text`, `json`, or `auto`: text at a terminal, JSON lines elsewhere.
    pub format: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: "auto".to_owned(), level: "info".to_owned() }
    }
}

fn masked<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if secret.expose_secret().is_empty() { "" } else { "(secret)" })
}

/// A list in a file, or one text with commas, as the environment has it.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Many(Vec<String>),
        One(String),
    }
    Ok(match List::deserialize(deserializer)? {
        List::Many(list) => list,
        List::One(text) => {
            text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
        }
    })
}
