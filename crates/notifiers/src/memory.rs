//! A sender that keeps what it is given, for tests and for embedders who try things out.

use std::sync::{Mutex, PoisonError};

use crate::message::{Email, EmailSender, Sending};

/// Keeps every message.
#[derive(Debug, Default)]
pub struct MemorySender(Mutex<Vec<Email>>);

impl MemorySender {
    /// The messages so far, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<Email> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EmailSender for MemorySender {
    fn send<'a>(&'a self, email: &'a Email) -> Sending<'a> {
        Box::pin(async move {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(email.clone());
            Ok(())
        })
    }

    fn name(&self) -> &str {
        "memory"
    }
}
