//! A sender that keeps what it is given, for tests and for embedders who try things out.

use std::sync::{Mutex, PoisonError};

use crate::message::{Email, EmailSender, NotifyError, Sending};
use crate::sms::{Sms, SmsSender};

/// Keeps every message.
#[derive(Debug, Default)]
pub struct MemorySender {
    mails: Mutex<Vec<Email>>,
    texts: Mutex<Vec<Sms>>,
    mail_fault: Mutex<Option<NotifyError>>,
}

impl MemorySender {
    /// Fails with this error for all mail from now on, or takes mail again.
    pub fn fail_mail(&self, fault: Option<NotifyError>) {
        *self.mail_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The mails so far, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<Email> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The text messages so far, oldest first.
    #[must_use]
    pub fn sent_texts(&self) -> Vec<Sms> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EmailSender for MemorySender {
    fn send<'a>(&'a self, email: &'a Email) -> Sending<'a> {
        Box::pin(async move {
            if let Some(fault) = self.mail_fault.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                return Err(fault);
            }
            self.mails.lock().unwrap_or_else(PoisonError::into_inner).push(email.clone());
            Ok(())
        })
    }

    fn name(&self) -> &str {
        "memory"
    }
}

impl SmsSender for MemorySender {
    fn send_sms<'a>(&'a self, sms: &'a Sms) -> Sending<'a> {
        Box::pin(async move {
            self.texts.lock().unwrap_or_else(PoisonError::into_inner).push(sms.clone());
            Ok(())
        })
    }

    fn name(&self) -> &str {
        "memory"
    }
}
