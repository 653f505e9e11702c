//! The sections of the settings, each with its defaults.

use std::path::PathBuf;

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
    /// Origins whose pages may call the user API; empty for all.
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
}

impl Default for KeySettings {
    fn default() -> Self {
        Self { master_key: SecretString::default(), master_key_file: PathBuf::new(), rsa_bits: 3_072 }
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

/// `[limits]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitSettings {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of all headers and the path.
    pub header_bytes: usize,
    /// Depth of a JSON body.
    pub json_depth: usize,
    /// Fields of a form.
    pub form_fields: usize,
    /// Seconds for the head of a request.
    pub head_seconds: u64,
    /// Seconds for the body of a request.
    pub body_seconds: u64,
    /// Seconds for a whole request.
    pub request_seconds: u64,
    /// Seconds that an idle connection stays open.
    pub idle_seconds: u64,
    /// Connections from one address (IPv6: one /64).
    pub connections_per_address: usize,
    /// Hours that a sign-up code is good.
    pub signup_code_hours: u32,
    /// Seconds within which a repeated request sends no new code.
    pub code_resend_seconds: u32,
    /// Wrong codes that one address may send for one handle.
    pub wrong_codes: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1_024,
            header_bytes: 16 * 1_024,
            json_depth: 32,
            form_fields: 1_000,
            head_seconds: 5,
            body_seconds: 10,
            request_seconds: 30,
            idle_seconds: 5,
            connections_per_address: 100,
            signup_code_hours: 24,
            code_resend_seconds: 60,
            wrong_codes: 5,
        }
    }
}

/// `[mail]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct MailSettings {
    /// The address that mail comes from.
    pub from: String,
    /// The folder into which mail is written; empty for `mailbox` in the data folder.
    pub folder: PathBuf,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self { from: "Latchkey <noreply@localhost>".to_owned(), folder: PathBuf::new() }
    }
}

/// `[outbox]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct OutboxSettings {
    /// How often a message is tried.
    pub attempts: u32,
    /// Seconds before the second attempt; each further wait is twice as long.
    pub first_wait_seconds: u32,
    /// Seconds that one send may take. A worker that dies leaves its messages to others after three times that.
    pub send_seconds: u32,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self { attempts: 10, first_wait_seconds: 5, send_seconds: 20 }
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
