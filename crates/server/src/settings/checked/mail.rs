//! Checks of `[mail]`.

use std::net::IpAddr;

use latchkey_notifiers::MailAddress;
use secrecy::ExposeSecret as _;

use crate::settings::Settings;

impl Settings {
    /// A mail server is named, and its password does not go over the network in clear.
    pub(super) fn check_mail(&self, mistakes: &mut Vec<String>) {
        if self.mail.sender != "smtp" {
            return;
        }
        if self.mail.smtp_host.is_empty() {
            mistakes
                .push("mail.smtp_host names the mail server that mail.sender = \"smtp\" needs".to_owned());
        }
        let has_password = !self.mail.smtp_password.expose_secret().is_empty()
            || !self.mail.smtp_password_file.as_os_str().is_empty();
        if self.mail.smtp_user.is_empty() == has_password {
            mistakes.push(
                "mail.smtp_user and mail.smtp_password (or mail.smtp_password_file) must be set together"
                    .to_owned(),
            );
        }
        if MailAddress::parse(&self.mail.from).is_ok_and(|from| !from.is_of_a_host()) {
            mistakes.push(format!(
                "mail.from must be an address that mail servers accept, such as \"Shop <noreply@example.com>\", not {:?}",
                self.mail.from
            ));
        }
        if !self.mail.smtp_hello.is_empty() && !is_host_or_address(&self.mail.smtp_hello) {
            mistakes.push(
                "mail.smtp_hello must be a host name such as auth.example.com, or an IP address".to_owned(),
            );
        }
        for (prefix, host, tls, user) in [
            ("smtp", &self.mail.smtp_host, &self.mail.smtp_tls, &self.mail.smtp_user),
            ("relay", &self.mail.relay_host, &self.mail.relay_tls, &self.mail.relay_user),
        ] {
            let name = host.trim_matches(['[', ']']).trim_end_matches('.');
            let is_here = name.eq_ignore_ascii_case("localhost")
                || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
            if tls == "none" && !user.is_empty() && !is_here {
                mistakes.push(format!(
                    "mail.{prefix}_tls is \"none\", and the password would go over the network to {host}: use \"starttls\" or \"implicit\""
                ));
            }
        }
    }
}

/// Whether a mail server takes the text as a client's name (RFC 5321 section 4.1.2).
fn is_host_or_address(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && is_edge(label.chars().next())
            && is_edge(label.chars().last())
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 255 && text.split('.').all(is_label))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::settings::MailSettings;

    fn mistakes(change: impl FnOnce(&mut MailSettings)) -> String {
        let mut settings = Settings::default();
        let mail = &mut settings.mail;
        (mail.sender, mail.from) = ("smtp".to_owned(), "noreply@example.com".to_owned());
        mail.smtp_host = "mail.example.com".to_owned();
        change(mail);
        settings.check().err().map(|mistakes| mistakes.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_mail_servers_password_does_not_go_over_the_network_in_clear() {
        let mail = |host: &str, user: &str| {
            mistakes(|mail| {
                mail.smtp_tls = "none".to_owned();
                (mail.smtp_host, mail.smtp_user) = (host.to_owned(), user.to_owned());
                mail.smtp_password = SecretString::from(user);
            })
        };
        assert!(mail("mail.example.com", "shop").contains("mail.smtp_tls is \"none\""));
        for here in ["localhost", "LOCALHOST.", "127.0.0.1", "[::1]"] {
            assert_eq!(mail(here, "shop"), "", "{here}");
        }
        assert_eq!(mail("mailpit", ""), "", "no password, no secret");
    }

    #[test]
    fn a_mail_server_needs_a_sender_and_a_whole_login() {
        assert_eq!(mistakes(|_| ()), "");
        for from in ["Latchkey <noreply@localhost>", "noreply@[192.0.2.1]", "noreply@shop"] {
            let found = mistakes(|mail| mail.from = from.to_owned());
            assert!(found.contains("mail.from"), "{from}: {found}");
        }
        let name_only = mistakes(|mail| mail.smtp_user = "shop".to_owned());
        let password_only = mistakes(|mail| mail.smtp_password = SecretString::from("x"));
        let file_only = mistakes(|mail| mail.smtp_password_file = "/etc/password".into());
        for found in [name_only, password_only, file_only] {
            assert!(found.contains("mail.smtp_user and mail.smtp_password"), "{found}");
        }
        let with_file = mistakes(|mail| {
            (mail.smtp_user, mail.smtp_password_file) = ("shop".to_owned(), "/etc/password".into());
        });
        assert_eq!(with_file, "");
    }

    #[test]
    fn the_client_name_is_a_host_or_an_address() {
        for good in ["auth.example.com", "AUTH", "192.0.2.7", "2001:db8::7", "xn--bcher-kva.example"] {
            assert_eq!(mistakes(|mail| mail.smtp_hello = good.to_owned()), "", "{good}");
        }
        for wrong in [
            "auth example",
            "-auth.example",
            "auth..example",
            "auth.example.",
            "b\u{fc}cher.example",
            "a\r\nb",
        ] {
            assert!(
                mistakes(|mail| mail.smtp_hello = wrong.to_owned()).contains("mail.smtp_hello"),
                "{wrong}"
            );
        }
    }
}
