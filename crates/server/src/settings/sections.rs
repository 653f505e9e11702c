//! The sections of the settings, each with its defaults.

use std::path::PathBuf;

use latchkey_service::account::ProviderSettings;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serializer};

use super::section::{NO_BOUND, section};

section! {
    /// `[server]`
    ServerSettings, "server" {
        /// The address to listen on. Any other than loopback needs `trusted_proxies` or `insecure_http`.
        address: String = "127.0.0.1".to_owned();
        /// The port; 0 lets the system choose.
        port: u16 = 8080, 0..=NO_BOUND;
        /// The address under which clients reach the server; empty for `http://ADDRESS:PORT`.
        public_url: String = String::new();
        /// Proxies whose forwarded headers count: addresses, networks, `loopback`, `private`.
        #[serde(deserialize_with = "list")]
        trusted_proxies: Vec<String> = Vec::new();
        /// Whether to serve plain HTTP to other machines.
        insecure_http: bool = false;
        /// Origins whose pages may call the user API; empty for all. Pages of listed origins act for their visitors: list
        /// those of your web apps.
        #[serde(deserialize_with = "list")]
        cors_origins: Vec<String> = Vec::new();
        /// Threads that serve; 0 for as many as cores.
        workers: usize = 0, 0..=NO_BOUND;
        /// `self-hosted`, or `hosted`, where applications of the type `development` have few users.
        mode: String = "self-hosted".to_owned();
        /// Seconds that requests under way may take to end at shutdown.
        shutdown_seconds: u64 = 30, 0..=NO_BOUND;
    }
}

section! {
    /// `[data]`
    DataSettings, "data" {
        /// The folder for the SQLite file, the master key and the mailbox.
        folder: PathBuf = PathBuf::from("latchkey-data");
    }
}

section! {
    /// `[database]`
    DatabaseSettings, "database" {
        /// The database's URL, `postgres://…`; empty for the SQLite file in the data folder.
        #[serde(serialize_with = "masked")]
        url: SecretString = SecretString::default();
        /// A file that holds the database's URL instead.
        url_file: PathBuf = PathBuf::new();
        /// Connections of the pool.
        connections: usize = 8, 1..=NO_BOUND;
        /// Milliseconds that a request waits for a connection.
        wait_ms: u64 = 5_000, 1..=NO_BOUND;
        /// Whether the schema is migrated at start: `auto` migrates, `check` refuses to start on an old schema.
        migrate: String = "auto".to_owned();
        /// SQLite: whether an answered write survives a power cut.
        durable: bool = true;
    }
}

section! {
    /// `[keys]`
    KeySettings, "keys" {
        /// The master key, 64 hexadecimal digits; empty for the file.
        #[serde(serialize_with = "masked")]
        master_key: SecretString = SecretString::default();
        /// The file that holds the master key; empty for `master.key` in the data folder.
        master_key_file: PathBuf = PathBuf::new();
        /// Bits of new applications' RSA keys: 2048 or 3072.
        rsa_bits: u32 = 3_072, 0..=NO_BOUND;
        /// For how long consumers may keep an application's key set, in seconds. A new key waits four times as long before
        /// it signs.
        key_set_seconds: u32 = 900, 10..=86_400;
        /// After `keys rotate-server`, the server's new keys wait so long before they are used, in seconds, and the old
        /// ones stay for so long after it: longer than a request takes, and than the clocks of several instances differ.
        rotation_seconds: u32 = 60, 5..=86_400;
    }
}

section! {
    /// `[hash]`
    HashSettings, "hash" {
        /// Memory of one argon2id hash in KiB.
        memory_kib: u32 = 19_456, 19_456..=262_144;
        /// Passes of one argon2id hash.
        passes: u32 = 2, 2..=10;
        /// Threads that hash; 0 for as many as cores.
        threads: usize = 0, 0..=NO_BOUND;
        /// How many hashes may wait; 0 for 64 a thread, at least 256.
        queue: usize = 0, 0..=NO_BOUND;
    }
}

section! {
    /// `[mail]`
    MailSettings, "mail" {
        /// The address that mail comes from.
        from: String = "Latchkey <noreply@localhost>".to_owned();
        /// What becomes of mail: `folder` writes it into a folder, for development; `smtp` sends it.
        sender: String = "folder".to_owned();
        /// The folder into which mail is written; empty for `mailbox` in the data folder.
        folder: PathBuf = PathBuf::new();
        /// The mail server's name.
        smtp_host: String = String::new();
        /// The mail server's port; 0 for the usual one: 465 with `implicit`, 587 with `starttls`, 25 with `none`.
        smtp_port: u16 = 0, 0..=NO_BOUND;
        /// How TLS to the mail server begins: `implicit`, `starttls` or `none`.
        smtp_tls: String = "starttls".to_owned();
        /// The name to log in to the mail server with; empty for no log-in.
        smtp_user: String = String::new();
        /// The password to log in to the mail server with.
        #[serde(serialize_with = "masked")]
        smtp_password: SecretString = SecretString::default();
        /// A file that holds the mail server's password instead.
        smtp_password_file: PathBuf = PathBuf::new();
        /// A file with certificates (PEM) that mail servers are trusted by, beside those of the system.
        smtp_ca_file: PathBuf = PathBuf::new();
        /// The name that Latchkey gives itself to mail servers (`EHLO`); empty for the host of `server.public_url`.
        smtp_hello: String = String::new();
        /// Whether the mail server takes addresses with non-ASCII letters before the @ (SMTPUTF8, RFC 6531). Such handles
        /// are refused otherwise.
        smtp_utf8: bool = false;
        /// Seconds that one step of a conversation with a mail server may take.
        smtp_timeout_seconds: u32 = 10, 1..=NO_BOUND;
        /// Connections to the mail server that are kept open.
        smtp_connections: u32 = 4, 1..=NO_BOUND;
        /// The relay for applications with a key of their own at the mail provider.
        relay_host: String = "smtp.sendgrid.net".to_owned();
        /// The relay's port; 0 for the usual one.
        relay_port: u16 = 0, 0..=NO_BOUND;
        /// How TLS to the relay begins: `implicit`, `starttls` or `none`.
        relay_tls: String = "starttls".to_owned();
        /// The name to log in to the relay with; the password is the application's key.
        relay_user: String = "apikey".to_owned();
    }
}

section! {
    /// `[sms]`
    SmsSettings, "sms" {
        /// What becomes of SMS: `twilio` sends them with the applications' accounts; `folder` writes them into the mailbox, for development.
        sender: String = "twilio".to_owned();
        /// Where Twilio's API is.
        twilio_url: String = "https://api.twilio.com".to_owned();
        /// Seconds that a request to Twilio may take.
        timeout_seconds: u32 = 10, 1..=300;
    }
}

section! {
    /// `[social]`
    SocialSettings, "social" {
        /// Where Apple's keys are.
        apple_keys_url: String = ProviderSettings::apple().keys_url;
        /// What Apple calls itself in tokens.
        #[serde(deserialize_with = "list")]
        apple_issuers: Vec<String> = ProviderSettings::apple().issuers;
        /// Where Google's keys are.
        google_keys_url: String = ProviderSettings::google().keys_url;
        /// What Google calls itself in tokens.
        #[serde(deserialize_with = "list")]
        google_issuers: Vec<String> = ProviderSettings::google().issuers;
        /// Seconds that fetching a provider's keys may take.
        timeout_seconds: u32 = 3, 1..=10;
    }
}

section! {
    /// `[audit]`
    AuditSettings, "audit" {
        /// Days that the audit log goes back.
        retention_days: u32 = 90, 1..=36_500;
    }
}

section! {
    /// `[outbox]`
    OutboxSettings, "outbox" {
        /// Hours that a message that does not expire is tried; messages with codes are tried until the code expires.
        retry_hours: u32 = 72, 1..=NO_BOUND;
        /// Seconds before the second attempt; each further wait is twice as long, a quarter of an hour at most.
        first_wait_seconds: u32 = 5, 0..=NO_BOUND;
        /// Seconds that one send may take. A worker that dies leaves its messages to others after three times that.
        send_seconds: u32 = 20, 1..=300;
    }
}

section! {
    /// `[log]`
    LogSettings, "log" {
        /// How log lines are written: `text`, `json`, or `auto`: text at a terminal, JSON lines elsewhere.
        format: String = "auto".to_owned();
        /// The least severe lines that are written: `error`, `warn`, `info`, `debug` or `trace`.
        level: String = "info".to_owned();
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
