//! Settings as the use cases need them.

use latchkey_domain::{BackoffPolicy, CodeRules, FactorRules, OutboxRules, RequestLimits};
use latchkey_notifiers::{SmtpServer, SmtpSettings, SmtpTls};
use latchkey_service::ServiceSettings;
use latchkey_service::account::ProviderSettings;
use latchkey_service::notify::{MailIdentity, MailLimits, SmsLimits};
use latchkey_service::protect::RateRules;
use secrecy::{ExposeSecret as _, SecretString};
use time::Duration;

use super::{Settings, ValidatedSettings};

impl ValidatedSettings {
    /// The settings of the use cases, for a server with this `public_url`.
    #[must_use]
    pub fn service_settings(&self, settings: &Settings, public_url: String) -> ServiceSettings {
        let limits = &settings.limits;
        let host = host_of(&public_url);
        ServiceSettings {
            mode: self.mode,
            codes: code_rules(settings),
            outbox: OutboxRules {
                retry_for: Duration::hours(i64::from(settings.outbox.retry_hours)),
                first_wait: seconds(settings.outbox.first_wait_seconds),
                send_timeout: seconds(settings.outbox.send_seconds),
                // Longer than any send can take, so that no other worker claims the message meanwhile.
                lease: seconds(settings.outbox.send_seconds) * 3,
            },
            key_size: self.key_size,
            key_wait: Duration::seconds(i64::from(settings.keys.rotation_seconds)),
            key_set_life: Duration::seconds(i64::from(settings.keys.key_set_seconds)),
            mail: MailIdentity { from: self.from.clone(), host, utf8: settings.mail.smtp_utf8 },
            mail_limits: MailLimits {
                an_hour: limits.mails_an_hour,
                a_day: limits.mails_a_day,
                notices_a_day: limits.notices_a_day,
                invites_a_day: limits.invites_a_day,
            },
            sms_limits: SmsLimits {
                number_an_hour: limits.sms_number_an_hour,
                number_a_day: limits.sms_number_a_day,
                range_an_hour: limits.sms_range_an_hour,
                user_a_day: limits.sms_user_a_day,
                server_a_day: limits.sms_a_day,
            },
            factors: FactorRules {
                login_token_life: minutes(limits.login_token_minutes),
                wrong_a_login: limits.wrong_factors_a_login,
                wrong_a_day: limits.wrong_factors_a_day,
                wrong_in_a_row: limits.wrong_factors_in_a_row,
                steps_ahead: u64::from(limits.authenticator_steps_ahead),
                recent_login: minutes(limits.recent_login_minutes),
            },
            apple: ProviderSettings {
                keys_url: settings.social.apple_keys_url.clone(),
                issuers: settings.social.apple_issuers.clone(),
            },
            google: ProviderSettings {
                keys_url: settings.social.google_keys_url.clone(),
                issuers: settings.social.google_issuers.clone(),
            },
            backoff: BackoffPolicy {
                free: limits.login_attempts,
                first_wait: seconds(limits.login_first_wait_seconds),
                longest_wait: seconds(limits.login_longest_wait_seconds),
                stop_after: limits.login_stop_after,
            },
            rates: RateRules {
                requests: limits.requests_a_minute,
                logins_a_minute: limits.failed_logins_a_minute,
                logins_an_hour: limits.failed_logins_an_hour,
                sign_ups: limits.sign_ups_an_hour,
                code_requests: limits.code_requests_an_hour,
                ipv4_share: limits.ipv4_share,
                site_share: limits.site_share,
                anonymous: limits.anonymous_an_hour,
                writes: limits.user_writes_a_minute,
                name_checks: limits.name_checks_an_hour,
                sprayed_handles: limits.sprayed_handles,
                spray_pause: Duration::minutes(i64::from(limits.spray_pause_minutes)),
                // The answer must be there before the request's own deadline.
                patience: std::time::Duration::from_secs(limits.request_seconds) * 2 / 3,
                skip_loopback: self.trusted_proxies.is_empty() && !limits.count_loopback,
            },
            login_floor: std::time::Duration::from_millis(limits.login_floor_ms),
            audit_days: settings.audit.retention_days,
            public_url,
        }
    }
}

fn code_rules(settings: &Settings) -> CodeRules {
    let limits = &settings.limits;
    CodeRules {
        sign_up_life: Duration::hours(i64::from(limits.signup_code_hours)),
        rival_life: Duration::minutes(i64::from(limits.rival_code_minutes)),
        invite_life: Duration::days(i64::from(limits.invite_code_days)),
        reset_life: Duration::minutes(i64::from(limits.reset_code_minutes)),
        sms_life: minutes(limits.sms_code_minutes),
        resend_after: seconds(limits.code_resend_seconds),
        live_per_subject: limits.live_codes,
        wrong_tries: limits.wrong_codes,
        wrong_a_day: limits.wrong_codes_a_day,
        wrong_a_day_known: limits.wrong_codes_a_day_known,
        requests: RequestLimits {
            an_hour: limits.handle_codes_an_hour,
            a_day: limits.handle_codes_a_day,
            subject_a_day: limits.handle_codes_a_day_all,
            known_a_day: limits.handle_codes_a_day_known,
        },
    }
}

fn minutes(minutes: u32) -> Duration {
    Duration::minutes(i64::from(minutes))
}

fn seconds(seconds: u32) -> Duration {
    Duration::seconds(i64::from(seconds))
}

impl Settings {
    /// The mail servers. The password and the certificates were read from their files already.
    pub(crate) fn smtp(
        &self,
        public_url: &str,
        password: SecretString,
        extra_roots: Option<Vec<u8>>,
    ) -> SmtpSettings {
        let mail = &self.mail;
        let has_login = !mail.smtp_user.is_empty() || !password.expose_secret().is_empty();
        SmtpSettings {
            server: smtp_server(
                &mail.smtp_host,
                mail.smtp_port,
                &mail.smtp_tls,
                has_login.then(|| (mail.smtp_user.clone(), password)),
            ),
            relay: smtp_server(
                &mail.relay_host,
                mail.relay_port,
                &mail.relay_tls,
                Some((mail.relay_user.clone(), SecretString::default())),
            ),
            extra_roots,
            hello: if mail.smtp_hello.is_empty() { host_of(public_url) } else { mail.smtp_hello.clone() },
            utf8: mail.smtp_utf8,
            timeout: std::time::Duration::from_secs(u64::from(mail.smtp_timeout_seconds)),
            connections: mail.smtp_connections,
        }
    }
}

/// The host of an address, in A-labels; that of an IP address without brackets.
fn host_of(url: &str) -> String {
    let parsed = reqwest::Url::parse(url);
    let host = parsed.ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    host.trim_matches(['[', ']']).to_owned()
}

fn smtp_server(host: &str, port: u16, tls: &str, login: Option<(String, SecretString)>) -> SmtpServer {
    let (tls, usual) = match tls {
        "implicit" => (SmtpTls::Implicit, 465),
        "none" => (SmtpTls::None, 25),
        _ => (SmtpTls::StartTls, 587),
    };
    SmtpServer { host: host.to_owned(), port: if port == 0 { usual } else { port }, tls, login }
}
