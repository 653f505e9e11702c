//! A sender that keeps what it is given, for tests and for embedders who try things out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::message::{Email, EmailSender, NotifyError, Sending};
use crate::sms::{Sms, SmsSender};

/// Keeps every message.
#[derive(Debug, Default)]
pub struct MemorySender {
    mails: Mutex<Vec<Email>>,
    texts: Mutex<Vec<Sms>>,
    refuses_mail: AtomicBool,
}

impl MemorySender {
    /// Refuses mail from now on, or takes it again.
    pub fn refuse_mail(&self, refuse: bool) {
        self.refuses_mail.store(refuse, Ordering::Relaxed);
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
            if self.refuses_mail.load(Ordering::Relaxed) {
                return Err(NotifyError::Refused("refused".to_owned()));
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
