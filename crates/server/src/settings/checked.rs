//! Settings parsed into what they mean. What cannot mean anything is named, all at once, before anything is
//! opened.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use latchkey_crypto::{HashCost, MasterKey, RsaSize};
use latchkey_domain::ServerMode;
use latchkey_notifiers::MailAddress;
use secrecy::ExposeSecret as _;

use super::section::Described;
use super::source::fields_of;
use super::{ConfigErrors, Settings};
use crate::http::TrustedProxies;

mod mail;

/// The error of an invalid database URL.
pub(crate) const BAD_URL: &str =
    "database.url begins with postgres://, or is empty for the SQLite file in the data folder";

/// The settings, parsed.
#[derive(Debug, Clone)]
pub struct ValidatedSettings {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) hash_cost: HashCost,
    pub(crate) hash_threads: usize,
    pub(crate) hash_queue: usize,
    pub(crate) workers: usize,
    pub(super) mode: ServerMode,
    pub(super) key_size: RsaSize,
    pub(super) from: MailAddress,
}

impl Settings {
    /// Parses the settings into what they mean.
    ///
    /// # Errors
    /// [`ConfigErrors`], all of them at once.
    pub fn check(&self) -> Result<ValidatedSettings, ConfigErrors> {
        let mut mistakes = Vec::new();
        let address = self.address(&mut mistakes);
        let trusted_proxies = TrustedProxies::parse(&self.server.trusted_proxies).unwrap_or_else(|wrong| {
            mistakes.push(format!("server.trusted_proxies: {wrong}"));
            TrustedProxies::default()
        });
        let is_exposed = !address.is_loopback() && trusted_proxies.is_empty() && !self.server.insecure_http;
        if is_exposed && mistakes.is_empty() {
            mistakes.push(format!(
                "server.address is {address}: other machines would send passwords in clear. \
                 Declare the proxy that speaks TLS in server.trusted_proxies, or set server.insecure_http = true"
            ));
        }
        let has_hidden_proxy =
            address.is_loopback() && trusted_proxies.is_empty() && !self.limits.count_loopback;
        if has_hidden_proxy && self.server.public_url.starts_with("https://") {
            mistakes.push(
                "server.public_url is https, so a proxy speaks it: name that proxy in server.trusted_proxies \
                 ([\"loopback\"] on this machine). Without it all clients have one address, and nothing limits one of them"
                    .to_owned(),
            );
        }
        self.check_public_url(&mut mistakes);
        for origin in self.server.cors_origins.iter().filter(|origin| !is_origin(origin)) {
            mistakes.push(format!(
                "server.cors_origins: \"{origin}\" is no origin such as https://shop.example.com, without a path or a slash at its end"
            ));
        }
        let mode = match self.server.mode.as_str() {
            "self-hosted" => ServerMode::SelfHosted,
            "hosted" => ServerMode::Hosted,
            _ => {
                mistakes.push("server.mode is self-hosted or hosted".to_owned());
                ServerMode::SelfHosted
            }
        };
        let key_size = match self.keys.rsa_bits {
            2_048 => RsaSize::Rsa2048,
            3_072 => RsaSize::Rsa3072,
            _ => {
                mistakes.push("keys.rsa_bits is 2048 or 3072".to_owned());
                RsaSize::default()
            }
        };
        // What is out of its bounds is a mistake below.
        let hash_cost = HashCost::new(self.hash.memory_kib, self.hash.passes).unwrap_or_default();
        let mut one_of = |key: &str, value: &str, allowed: &[&str]| {
            if !allowed.contains(&value) {
                mistakes.push(format!("{key} is one of {}", allowed.join(", ")));
            }
        };
        one_of("database.migrate", &self.database.migrate, &["auto", "check"]);
        one_of("mail.sender", &self.mail.sender, &["folder", "smtp"]);
        one_of("sms.sender", &self.sms.sender, &["twilio", "folder"]);
        one_of("mail.smtp_tls", &self.mail.smtp_tls, &["implicit", "starttls", "none"]);
        one_of("mail.relay_tls", &self.mail.relay_tls, &["implicit", "starttls", "none"]);
        one_of("log.format", &self.log.format, &["auto", "text", "json"]);
        one_of("log.level", &self.log.level, &["error", "warn", "info", "debug", "trace"]);
        self.check_outside(&mut mistakes);
        self.check_mail(&mut mistakes);
        self.check_secrets(&mut mistakes);
        mistakes.extend(self.described().iter().filter_map(Described::mistake));
        self.check_times(&mut mistakes);
        let from = MailAddress::parse(&self.mail.from);
        if from.is_err() {
            mistakes.push("mail.from is no address such as \"Shop <noreply@example.com>\"".to_owned());
        }
        let (Ok(from), true) = (from, mistakes.is_empty()) else { return Err(ConfigErrors(mistakes)) };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let or = |wanted: usize, otherwise: usize| if wanted == 0 { otherwise } else { wanted };
        let hash_threads = or(self.hash.threads, cores);
        Ok(ValidatedSettings {
            listen: SocketAddr::new(address, self.server.port),
            trusted_proxies,
            hash_cost,
            hash_threads,
            hash_queue: or(self.hash.queue, (64 * hash_threads).max(256)),
            workers: or(self.server.workers, cores),
            mode,
            key_size,
            from,
        })
    }

    fn address(&self, mistakes: &mut Vec<String>) -> IpAddr {
        match self.server.address.as_str() {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            text => text.parse().unwrap_or_else(|_| {
                mistakes.push(format!("server.address: \"{text}\" is no IP address"));
                IpAddr::from([127, 0, 0, 1])
            }),
        }
    }

    /// Secrets go to these addresses, and keys come from them.
    fn check_outside(&self, mistakes: &mut Vec<String>) {
        for (name, url) in [
            ("sms.twilio_url", &self.sms.twilio_url),
            ("social.apple_keys_url", &self.social.apple_keys_url),
            ("social.google_keys_url", &self.social.google_keys_url),
        ] {
            let is_api = name == "sms.twilio_url";
            if !is_outside(url, is_api) {
                mistakes.push(format!(
                    "{name} is \"{url}\": it begins with https://, or with http:// and this machine, and names a host"
                ));
            }
        }
        for (name, issuers) in [
            ("social.apple_issuers", &self.social.apple_issuers),
            ("social.google_issuers", &self.social.google_issuers),
        ] {
            if issuers.is_empty() || issuers.iter().any(|issuer| issuer.trim().is_empty()) {
                mistakes.push(format!("{name} names who issues the tokens"));
            }
        }
    }

    fn check_secrets(&self, mistakes: &mut Vec<String>) {
        let (url, key) = (self.database.url.expose_secret(), self.keys.master_key.expose_secret());
        for (name, is_set, file) in [
            ("database.url", !url.is_empty(), &self.database.url_file),
            ("keys.master_key", !key.is_empty(), &self.keys.master_key_file),
            (
                "mail.smtp_password",
                !self.mail.smtp_password.expose_secret().is_empty(),
                &self.mail.smtp_password_file,
            ),
        ] {
            if is_set && !file.as_os_str().is_empty() {
                mistakes.push(format!("{name} and {name}_file are both set: remove one"));
            }
        }
        if !url.is_empty() && !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            mistakes.push(BAD_URL.to_owned());
        }
        if !key.is_empty() && MasterKey::from_hex(key).is_err() {
            mistakes.push("keys.master_key does not hold 64 hexadecimal digits".to_owned());
        }
    }

    /// Longer times than ten years are slips of the hand, and reach beyond what a calendar can hold.
    fn check_times(&self, mistakes: &mut Vec<String>) {
        const UNITS: [(&str, u64); 5] = [
            ("_ms", 1),
            ("_seconds", 1_000),
            ("_minutes", 60_000),
            ("_hours", 3_600_000),
            ("_days", 86_400_000),
        ];
        const MOST: u64 = 3_650 * 86_400_000;
        for (section, fields) in fields_of(self) {
            for (name, value) in fields.as_object().into_iter().flatten() {
                let unit = UNITS.iter().find(|(suffix, _)| name.ends_with(suffix));
                let length = unit.zip(value.as_u64()).map(|((_, unit), value)| value.saturating_mul(*unit));
                if length.is_some_and(|length| length > MOST) {
                    mistakes.push(format!("{section}.{name} is at most ten years"));
                }
            }
        }
    }

    fn check_public_url(&self, mistakes: &mut Vec<String>) {
        let url = self.server.public_url.as_str();
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let is_good = rest.is_some_and(|rest| {
            !rest.is_empty() && !rest.ends_with('/') && !rest.contains(['?', '#', '"', '\\', ' ', '@'])
        });
        if !url.is_empty() && !is_good {
            mistakes.push(
                "server.public_url is like https://auth.example.com, without a slash at its end".to_owned(),
            );
        }
    }

    /// The address under which clients reach a server that listens here.
    pub(crate) fn public_url(&self, listening: SocketAddr) -> String {
        if self.server.public_url.is_empty() {
            format!("http://{listening}")
        } else {
            self.server.public_url.clone()
        }
    }

    /// The folder that mails are written to, with the data in this one.
    pub(crate) fn mail_folder(&self, data: &Path) -> PathBuf {
        let named = &self.mail.folder;
        if named.as_os_str().is_empty() { data.join("mailbox") } else { named.clone() }
    }

    /// The development mailbox; none where mail is really sent.
    pub(crate) fn mailbox(&self) -> Option<PathBuf> {
        (self.mail.sender == "folder").then(|| self.mail_folder(&self.data.folder))
    }
}

/// Whether this is an origin as browsers send it (RFC 6454 section 6.2): scheme, host, and a port that is not the usual
/// one.
fn is_origin(text: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(text) else { return false };
    ["http", "https"].contains(&url.scheme())
        && !text.contains('*')
        && url.origin().ascii_serialization() == text
}

/// Whether secrets may go to an address, and keys come from it. One of an API has no query to which a path could be
/// added.
fn is_outside(url: &str, is_api: bool) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let has_rest = url.fragment().is_some() || !url.username().is_empty() || url.password().is_some();
    let Some(host) = url.host_str() else { return false };
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    is_safe && !has_rest && !(is_api && url.query().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(change: impl Fn(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check().map_or_else(|mistakes| mistakes.to_string(), |_| String::new())
    }

    #[test]
    fn sec_119_other_machines_need_tls_somewhere() {
        assert_eq!(mistakes(|_| {}), "");
        let exposed = |settings: &mut Settings| settings.server.address = "0.0.0.0".to_owned();
        assert!(mistakes(exposed).contains("server.insecure_http"));
        for allow in [
            (|settings: &mut Settings| settings.server.insecure_http = true) as fn(&mut Settings),
            |settings| settings.server.trusted_proxies = vec!["10.0.0.1".to_owned()],
            |settings| settings.server.address = "::1".to_owned(),
        ] {
            let both = |settings: &mut Settings| {
                exposed(settings);
                allow(settings);
            };
            assert_eq!(mistakes(both), "");
        }
    }

    #[test]
    fn sec_001_weaker_hashes_stop_the_start() {
        assert!(mistakes(|settings| settings.hash.memory_kib = 8_192).contains("19456"));
        for (memory_kib, passes) in
            [(19_456, 2), (19_455, 2), (19_456, 1), (262_144, 10), (262_145, 10), (262_144, 11)]
        {
            let found = mistakes(|settings| {
                (settings.hash.memory_kib, settings.hash.passes) = (memory_kib, passes);
            });
            assert_eq!(
                found.is_empty(),
                HashCost::new(memory_kib, passes).is_ok(),
                "{memory_kib} {passes}: {found}"
            );
        }
    }

    #[test]
    fn sec_094_keys_and_secrets_travel_in_https_or_not_at_all() {
        for good in [
            "https://appleid.apple.com/auth/keys",
            "HTTPS://example.com/keys?version=3",
            "http://127.0.0.1:8081/keys",
            "http://127.0.0.2/keys",
            "http://[::1]:9/keys",
            "http://localhost/keys",
        ] {
            assert!(is_outside(good, false), "{good}");
        }
        for wrong in [
            "",
            "https://",
            "https://a:99999/",
            "https://a|b/",
            "http://example.com/",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "ftp://127.0.0.1/",
            "https://user:secret@example.com/",
        ] {
            assert!(!is_outside(wrong, false), "{wrong}");
        }
        assert!(!is_outside("https://api.twilio.com/?x=1", true));
    }

    #[test]
    fn origins_are_taken_as_browsers_send_them() {
        for good in
            ["https://shop.example.com", "http://localhost:3000", "http://127.0.0.1:8081", "https://[::1]"]
        {
            assert!(is_origin(good), "{good}");
        }
        for wrong in [
            "",
            "*",
            "null",
            "shop.example.com",
            "https://shop.example.com/",
            "https://shop.example.com/path",
            "https://shop.example.com:443",
            "https://Shop.example.com",
            "https://*.example.com",
            "https://user@shop.example.com",
            "file:///index.html",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
            let told = mistakes(|settings| settings.server.cors_origins = vec![wrong.to_owned()]);
            assert!(told.contains("is no origin"), "{wrong}: {told}");
        }
    }

    #[test]
    fn sec_120_a_proxy_that_speaks_tls_is_declared() {
        let with = |proxies: &[&str]| {
            let mut settings = Settings::default();
            settings.server.public_url = "https://auth.example.com".to_owned();
            settings.server.trusted_proxies = proxies.iter().map(|proxy| (*proxy).to_owned()).collect();
            settings.check()
        };
        assert!(with(&["loopback"]).is_ok());
        assert!(with(&[]).unwrap_err().to_string().contains("trusted_proxies"));
    }

    #[test]
    fn no_time_is_longer_than_ten_years() {
        let told = mistakes(|settings| {
            settings.limits.spray_pause_minutes = u32::MAX;
            settings.limits.request_seconds = u64::MAX;
            settings.audit.retention_days = 3_651;
            settings.database.wait_ms = 3_650 * 86_400_000;
        });
        for name in ["limits.spray_pause_minutes", "limits.request_seconds", "audit.retention_days"] {
            assert!(told.contains(&format!("{name} is at most ten years")), "{told}");
        }
        assert!(!told.contains("wait_ms"), "{told}");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let told = mistakes(|settings| {
            settings.server.address = "here".to_owned();
            settings.server.public_url = "auth.example.com/".to_owned();
            settings.server.trusted_proxies = vec!["everybody".to_owned()];
            settings.server.mode = "other".to_owned();
            settings.keys.rsa_bits = 4_096;
            settings.mail.from = "nobody".to_owned();
            settings.log.format = "xml".to_owned();
            settings.outbox.send_seconds = 301;
            settings.limits.wrong_codes = 0;
            settings.sms.twilio_url = "http://127.0.0.1.evil.example".to_owned();
            settings.social.apple_keys_url = "http://appleid.apple.com".to_owned();
            settings.social.google_issuers = Vec::new();
            settings.limits.sms_code_minutes = 11;
            settings.keys.master_key = "abc".into();
            settings.database.url = "mysql://x".into();
            settings.database.url_file = "x".into();
        });
        assert_eq!(told.lines().count(), 16, "{told}");
    }
}
