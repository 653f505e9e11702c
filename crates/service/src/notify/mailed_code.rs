//! Codes that are mailed: in two lengths, of which one is stored and sent.

use latchkey_domain::{
    App, Code, CodeLength, CodePurpose, CodeRules, Handle, Named as _, OutboxMessage, StoredCode,
};
use latchkey_storage::{QuotaKey, Repositories};
use time::Duration;

use crate::base::error::ServiceError;
use crate::notify::mail::{LocalizedTemplate, SendPermit};
use crate::protect::codes::{CodeSource, CodeSubject, NewCode, is_of_one_source};
use crate::service::Service;

/// A code that is mailed, in two lengths with a mail each: which one goes out is decided where it is placed.
pub(crate) struct MailedCode {
    variants: Vec<(NewCode, Option<OutboxMessage>)>,
    handle: Handle,
    gate: QuotaKey,
    /// The day's wrong tries at codes of six digits, with their limit.
    wrong: (QuotaKey, u32),
}

impl MailedCode {
    /// Stores one of the codes and its mail, both or neither; see [`NewCode::place`]. The code has eight digits if
    /// another source's six-digit code is valid for the same handle and purpose, since one guess must not be compared
    /// with many, or if half of the day's wrong attempts at six-digit codes are used up.
    pub(crate) fn place_and_send(
        &self,
        repos: &mut dyn Repositories,
        rules: &CodeRules,
        is_known: bool,
    ) -> Result<bool, ServiceError> {
        // Of two who come at once, the second one sees what the first one has placed.
        repos.quotas().reserve(&self.gate, u32::MAX)?;
        let [(short, _), ..] = self.variants.as_slice() else { return Ok(false) };
        let (wrong, limit) = &self.wrong;
        let is_attacked = repos.quotas().used(wrong)? >= limit / 2;
        let is_long = is_attacked || self.is_crowded(repos, &short.stored)?;
        let wanted = if is_long { CodeLength::Eight } else { CodeLength::Six };
        let chosen = self.variants.iter().find(|(code, _)| code.stored.length == wanted);
        let Some((code, mail)) = chosen else { return Ok(false) };
        code.place_and_send(repos, rules, is_known, mail.as_ref())
    }

    fn is_crowded(&self, repos: &mut dyn Repositories, own: &StoredCode) -> Result<bool, ServiceError> {
        let (app_id, purpose) = (own.app_id, own.purpose);
        let subjects: Vec<[u8; 16]> = match purpose {
            CodePurpose::SignUp => {
                let attempts = repos.signups().list(app_id, &self.handle)?;
                attempts.iter().map(|attempt| *attempt.id.as_bytes()).collect()
            }
            CodePurpose::Invite => {
                let invites = repos.invites().list(app_id, &self.handle)?;
                invites.iter().map(|invite| *invite.id.as_bytes()).collect()
            }
            CodePurpose::Reset | CodePurpose::Phone | CodePurpose::Login => vec![own.subject],
        };
        for subject in subjects {
            let codes = repos.codes().list(app_id, purpose, &subject)?;
            let is_others = |code: &StoredCode| subject != own.subject || !is_of_one_source(code, own);
            let is_in_the_way = |code: &StoredCode| {
                code.length == CodeLength::Six
                    && code.consumed_at.is_none()
                    && !code.is_expired(own.created_at)
                    && is_others(code)
            };
            if codes.iter().any(is_in_the_way) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A code to be mailed.
pub(crate) struct CodeMail<'m> {
    /// `None` if no mail can or may be sent.
    pub(crate) slot: Option<&'m SendPermit>,
    pub(crate) words: &'m LocalizedTemplate,
    pub(crate) subject: &'m CodeSubject,
    /// Where the code is requested.
    pub(crate) source: &'m CodeSource,
    pub(crate) life: Duration,
}

impl Service {
    /// Generates a mailed code with its mail: one with six digits, one with eight if another source's code is valid.
    /// `url` is the page that the mail links to, if any.
    pub(crate) async fn mailed_code(
        &self,
        app: &App,
        mail: CodeMail<'_>,
        url: impl Fn(&Code) -> Result<Option<String>, ServiceError>,
    ) -> Result<MailedCode, ServiceError> {
        let CodeMail { slot, words, subject, source, life } = mail;
        let mut variants = Vec::with_capacity(2);
        for length in [CodeLength::Six, CodeLength::Eight] {
            let new = self.draw(subject, source, life, length)?;
            let url = url(&new.code)?;
            let mail = self.code_mail(app, slot, words, &subject.handle, &new, url.as_deref()).await?;
            variants.push((new, mail));
        }
        let parts = [subject.purpose.name().as_bytes(), subject.handle.key().as_bytes()];
        let gate = self.counter(subject.app_id, "codes.gate", &parts, Duration::days(1))?;
        let [wrong, ..] = self.budgets(subject.app_id, subject.purpose, &subject.handle)?;
        Ok(MailedCode { variants, handle: subject.handle.clone(), gate, wrong })
    }
}
