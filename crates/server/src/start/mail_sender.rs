//! Which sender takes the mail.

use std::path::Path;
use std::sync::Arc;

use latchkey_notifiers::{EmailSender, FolderSender, SmtpSender};

use super::{StartError, secret_or_file};
use crate::settings::Settings;

/// The sender that the settings name. Connects to nobody yet.
pub(crate) fn mail_sender(settings: &Settings, mailbox: &Path) -> Result<Arc<dyn EmailSender>, StartError> {
    let mail = &settings.mail;
    if mail.sender == "folder" {
        return Ok(Arc::new(FolderSender::new(mailbox.to_owned())));
    }
    let password = secret_or_file(&mail.smtp_password, &mail.smtp_password_file, "mail.smtp_password")?;
    let roots = if mail.smtp_ca_file.as_os_str().is_empty() {
        None
    } else {
        Some(std::fs::read(&mail.smtp_ca_file).map_err(|error| {
            let file = mail.smtp_ca_file.display();
            StartError::Configuration(format!("mail.smtp_ca_file: {file} cannot be read: {error}"))
        })?)
    };
    let sender = SmtpSender::new(settings.smtp(password, roots))
        .map_err(|error| StartError::Configuration(format!("mail: {error}")))?;
    Ok(Arc::new(sender))
}
