//! The world outside: who takes mail and text messages, and who fetches key sets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use latchkey_notifiers::{EmailSender, FolderSender, SmsSender, SmtpSender, TwilioSender};
use latchkey_service::ExternalServices;

use super::key_sets::HttpKeySets;
use super::{StartError, refuse_foreign_writers, secret_or_file};
use crate::settings::Settings;

/// Creates the external services named in the settings, without connecting to them.
pub(super) fn external_services(
    settings: &Settings,
    public_url: &str,
    mailbox: &Path,
) -> Result<ExternalServices, StartError> {
    let timeout = Duration::from_secs(u64::from(settings.social.timeout_seconds));
    Ok(ExternalServices {
        mail: mail_sender(settings, public_url, mailbox)?,
        sms: sms_sender(settings, mailbox),
        key_sets: Arc::new(HttpKeySets::new(timeout)),
    })
}

fn sms_sender(settings: &Settings, mailbox: &Path) -> Arc<dyn SmsSender> {
    let sms = &settings.sms;
    if sms.sender == "folder" {
        return Arc::new(FolderSender::new(mailbox.to_owned()));
    }
    let timeout = Duration::from_secs(u64::from(sms.timeout_seconds));
    Arc::new(TwilioSender::new(sms.twilio_url.trim_end_matches('/'), timeout))
}

/// Creates the mail sender that the settings describe.
///
/// # Errors
/// [`StartError`] when a password or certificates cannot be used.
pub(super) fn mail_sender(
    settings: &Settings,
    public_url: &str,
    mailbox: &Path,
) -> Result<Arc<dyn EmailSender>, StartError> {
    let mail = &settings.mail;
    if mail.sender == "folder" {
        return Ok(Arc::new(FolderSender::new(mailbox.to_owned())));
    }
    let password = secret_or_file(&mail.smtp_password, &mail.smtp_password_file, "mail.smtp_password")?;
    let roots = if mail.smtp_ca_file.as_os_str().is_empty() {
        None
    } else {
        refuse_foreign_writers(&mail.smtp_ca_file)?;
        Some(std::fs::read(&mail.smtp_ca_file).map_err(|error| {
            let file = mail.smtp_ca_file.display();
            StartError::Configuration(format!("mail.smtp_ca_file: cannot read {file}: {error}"))
        })?)
    };
    let sender = SmtpSender::new(settings.smtp(public_url, password, roots))
        .map_err(|error| StartError::Configuration(format!("mail: {error}")))?;
    Ok(Arc::new(sender))
}
