//! The sections of the settings, each with its defaults.

use std::path::PathBuf;

use latchkey_service::ProviderSettings;
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
    /// Wrong codes that the address that asked may send for one handle, and all others together.
    pub wrong_codes: u32,
    /// Minutes that a code for a new password is good.
    pub reset_code_minutes: u32,
    /// Days that an invitation's code is good.
    pub invite_code_days: u32,
    /// Minutes that a sign-up code is good where another address has an open attempt.
    pub rival_code_minutes: u32,
    /// Codes of one address for one handle that are good at once.
    pub live_codes: usize,
    /// Wrong codes for one handle in a day, from anywhere.
    pub wrong_codes_a_day: u32,
    /// Wrong codes in a day that known addresses have beyond that.
    pub wrong_codes_a_day_known: u32,
    /// Codes that one address may ask for one handle in an hour.
    pub handle_codes_an_hour: u32,
    /// Codes that one address may ask for one handle in a day.
    pub handle_codes_a_day: u32,
    /// Codes that all addresses together may ask for one handle in a day.
    pub handle_codes_a_day_all: u32,
    /// Codes that a known address may ask for in a day whatever others asked for.
    pub handle_codes_a_day_known: u32,
    /// Wrong passwords before waiting begins; an application may set its own number.
    pub login_attempts: u32,
    /// The first wait; each further one is twice as long.
    pub login_first_wait_seconds: u32,
    /// The longest wait.
    pub login_longest_wait_seconds: u32,
    /// Wrong passwords after which unknown addresses need a reset by mail.
    pub login_stop_after: u32,
    /// Milliseconds before which no refused log-in is answered.
    pub login_floor_ms: u64,
    /// API requests of one address in a minute.
    pub requests_a_minute: u32,
    /// Failed log-ins of one address in a minute.
    pub failed_logins_a_minute: u32,
    /// Failed log-ins of one address in an hour.
    pub failed_logins_an_hour: u32,
    /// Handles failing from one address within an hour that stop log-ins from it.
    pub sprayed_handles: usize,
    /// For how many minutes.
    pub spray_pause_minutes: u32,
    /// Open sign-ups of one IPv6 /64 in an hour.
    pub sign_ups_an_hour: u32,
    /// Unused code requests of one IPv6 /64 in an hour.
    pub code_requests_an_hour: u32,
    /// How many times as many of these two an IPv4 address has.
    pub ipv4_share: u32,
    /// How many times as much an IPv6 /48 may do as one of its /64.
    pub site_share: u32,
    /// New anonymous users of one address in an hour.
    pub anonymous_an_hour: u32,
    /// Changes that one user may make in a minute.
    pub user_writes_a_minute: u32,
    /// User names that one user may ask for in an hour.
    pub name_checks_an_hour: u32,
    /// Whether loopback is counted too where no proxy is declared.
    pub count_loopback: bool,
    /// Mails to one address in an hour, from all applications.
    pub mails_an_hour: u32,
    /// Mails to one address in a day, from all applications.
    pub mails_a_day: u32,
    /// Notices to the owner of an account in a day, which others cannot use up.
    pub notices_a_day: u32,
    /// Invitations of one user in a day.
    pub invites_a_day: u32,
    /// Minutes that a log-in waits for its second factor.
    pub login_token_minutes: u32,
    /// Minutes that a code by SMS is good, 10 at most.
    pub sms_code_minutes: u32,
    /// Wrong second factors of one log-in.
    pub wrong_factors_a_login: u32,
    /// Wrong second factors of one user in a day.
    pub wrong_factors_a_day: u32,
    /// Wrong second factors in a row after which a user needs a recovery code.
    pub wrong_factors_in_a_row: u32,
    /// Steps of 30 seconds that an authenticator may be ahead of the server: 1 or 0.
    pub authenticator_steps_ahead: u32,
    /// Minutes after a log-in in which second factors may be removed or replaced without a code.
    pub recent_login_minutes: u32,
    /// SMS to one number in an hour, from all applications.
    pub sms_number_an_hour: u32,
    /// SMS to one number in a day, from all applications.
    pub sms_number_a_day: u32,
    /// SMS to numbers with the same first seven digits in an hour.
    pub sms_range_an_hour: u32,
    /// SMS for one user in a day.
    pub sms_user_a_day: u32,
    /// SMS of the whole server in a day.
    pub sms_a_day: u32,
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
            reset_code_minutes: 30,
            invite_code_days: 7,
            rival_code_minutes: 60,
            live_codes: 3,
            wrong_codes_a_day: 60,
            wrong_codes_a_day_known: 15,
            handle_codes_an_hour: 3,
            handle_codes_a_day: 5,
            handle_codes_a_day_all: 10,
            handle_codes_a_day_known: 3,
            login_attempts: 10,
            login_first_wait_seconds: 30,
            login_longest_wait_seconds: 3_600,
            login_stop_after: 100,
            login_floor_ms: 250,
            requests_a_minute: 600,
            failed_logins_a_minute: 20,
            failed_logins_an_hour: 100,
            sprayed_handles: 30,
            spray_pause_minutes: 15,
            sign_ups_an_hour: 10,
            code_requests_an_hour: 10,
            ipv4_share: 10,
            site_share: 10,
            anonymous_an_hour: 300,
            user_writes_a_minute: 60,
            name_checks_an_hour: 120,
            count_loopback: false,
            mails_an_hour: 10,
            mails_a_day: 30,
            notices_a_day: 10,
            invites_a_day: 20,
            login_token_minutes: 10,
            sms_code_minutes: 5,
            wrong_factors_a_login: 5,
            wrong_factors_a_day: 20,
            wrong_factors_in_a_row: 100,
            authenticator_steps_ahead: 1,
            recent_login_minutes: 15,
            sms_number_an_hour: 6,
            sms_number_a_day: 12,
            sms_range_an_hour: 20,
            sms_user_a_day: 6,
            sms_a_day: 2_000,
        }
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
