//! Composing mail: which wording, for whom, under whose name. Sending it is the outbox's.

use latchkey_domain::{
    App, AppId, Channel, Handle, KeyedDigest, Locale, MessageId, MessageState, OutboxMessage, SourceMark,
    TemplateName,
};
use latchkey_notifiers::{Language, Link, MailAddress, MessageKind, Template, Values, render};
use latchkey_storage::{EmailTemplateReader, QuotaKey};
use time::{Duration, OffsetDateTime};

use crate::base::error::ServiceError;
use crate::notify::outbox::MailIdentity;
use crate::notify::payload::{MailPayload, payload_of};
use crate::protect::codes::NewCode;
use crate::protect::quotas::{give_back_all, reserve_all};
use crate::service::Service;

/// How much mail one address gets, and one user causes.
#[derive(Debug, Clone, Copy)]
pub struct MailLimits {
    /// Mails to one address in an hour, from all applications.
    pub an_hour: u32,
    /// Mails to one address in a day, from all applications.
    pub a_day: u32,
    /// Notices to the owner of an account in a day, which others cannot use up.
    pub notices_a_day: u32,
    /// Invitations of one user in a day.
    pub invites_a_day: u32,
}

impl Default for MailLimits {
    fn default() -> Self {
        Self { an_hour: 10, a_day: 30, notices_a_day: 10, invites_a_day: 20 }
    }
}

/// How many times as many notices all applications together send to one address.
const NOTICES_OF_ALL: u32 = 10;
/// How many mails to one address in a day each application has beyond what all together may send.
const OF_EACH: u32 = 3;

/// The subject of a notice: each has a separate limit, so that none can use up another's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Notice {
    /// Wrong passwords or codes.
    Attack,
    /// Something was changed.
    Change,
}

/// A message in the words that were found for it.
#[derive(Debug, Clone)]
pub(crate) struct LocalizedTemplate {
    words: Words,
    /// A paragraph at the end, which no template has.
    pub(crate) note: Option<String>,
    pub(crate) reply_to: String,
    pub(crate) link_text: String,
}

#[derive(Debug, Clone)]
enum Words {
    BuiltIn(Template),
    /// As stored. Making plain text of it takes a while: not while a connection is held.
    Own {
        subject: String,
        html: String,
    },
}

impl LocalizedTemplate {
    /// The message, with the plain text that belongs to its HTML.
    pub(crate) fn template(&self) -> Template {
        let template = match &self.words {
            Words::BuiltIn(template) => template.clone(),
            Words::Own { subject, html } => Template::from_html(subject, html),
        };
        match &self.note {
            Some(note) => template.with_note(note),
            None => template,
        }
    }

    /// Its HTML alone.
    pub(crate) fn into_html(self) -> String {
        match self.words {
            Words::BuiltIn(template) => template.html,
            Words::Own { html, .. } => html,
        }
    }
}

/// The values of a message.
#[derive(Debug, Clone)]
struct Filling {
    app_name: String,
    handle: String,
    code: Option<String>,
    url: Option<String>,
}

impl Filling {
    fn new(app: &App, handle: &Handle) -> Self {
        let (app_name, handle) = (app.name.as_str().to_owned(), handle.as_str().to_owned());
        Self { app_name, handle, code: None, url: None }
    }
}

/// Finds the template of a message: the application's own in this locale, else the built-in one in it, else the
/// application's English one, else the built-in English one.
pub(crate) fn worded<R: EmailTemplateReader + ?Sized>(
    templates: &mut R,
    app_id: AppId,
    name: TemplateName,
    locale: Locale,
) -> Result<LocalizedTemplate, ServiceError> {
    for candidate in [locale, Locale::EN] {
        if let Some(own) = templates.find(app_id, name, candidate)? {
            let language = Language::or_english(candidate);
            let default = || language.map_or_else(String::new, |language| language.notes.link_text.clone());
            return Ok(LocalizedTemplate {
                words: Words::Own { subject: own.subject, html: own.html },
                note: None,
                reply_to: own.reply_to,
                link_text: if own.link_text.is_empty() { default() } else { own.link_text },
            });
        }
        if Language::of(candidate).is_some() {
            return built_in(MessageKind::Named(name), candidate);
        }
    }
    built_in(MessageKind::Named(name), Locale::EN)
}

/// The built-in words.
pub(crate) fn built_in(kind: MessageKind, locale: Locale) -> Result<LocalizedTemplate, ServiceError> {
    let language =
        Language::or_english(locale).ok_or_else(|| ServiceError::Internal("there is no English".into()))?;
    Ok(LocalizedTemplate {
        words: Words::BuiltIn(language.message(kind)),
        note: None,
        reply_to: String::new(),
        link_text: language.notes.link_text.clone(),
    })
}

/// Whether mail can go to a handle.
pub(crate) fn is_mailable(by: &MailIdentity, handle: &Handle) -> bool {
    address_of(by, handle).is_some()
}

/// Refuses a handle to which no mail can be sent.
pub(crate) fn check_mailable(by: &MailIdentity, handle: &Handle) -> Result<(), ServiceError> {
    check_local_part(by, handle)?;
    if is_mailable(by, handle) {
        Ok(())
    } else {
        Err(ServiceError::invalid("invalid data: handle must be an e-mail address, such as ana@example.com"))
    }
}

/// Refuses an address that needs SMTPUTF8 (RFC 6531) where the operator has not turned it on.
pub(crate) fn check_local_part(by: &MailIdentity, handle: &Handle) -> Result<(), ServiceError> {
    if by.utf8 || handle.mailbox().is_none_or(str::is_ascii) {
        Ok(())
    } else {
        Err(ServiceError::invalid("invalid data: handle must have only ASCII characters before the @"))
    }
}

fn address_of(by: &MailIdentity, handle: &Handle) -> Option<MailAddress> {
    MailAddress::of(handle).filter(|address| by.utf8 || address.bare().is_ascii())
}

/// The right to send one mail to an address, taken before the unit of work that promises it.
#[derive(Clone)]
pub(crate) struct SendPermit {
    pub(crate) address: MailAddress,
    recipient: KeyedDigest,
    counters: Vec<QuotaKey>,
}

impl From<SendPermit> for Vec<QuotaKey> {
    fn from(slot: SendPermit) -> Self {
        slot.counters
    }
}

impl Service {
    /// Reserves one mail to a handle. `None` if it is not an address, or has reached its limit.
    pub(crate) async fn reserve_mail(
        &self,
        app_id: AppId,
        handle: &Handle,
    ) -> Result<Option<SendPermit>, ServiceError> {
        self.mail_slot_for(app_id, handle, None).await
    }

    /// Reserves a security notice to the owner of an account. Its limit is separate, so that nobody else can use it up.
    pub(crate) async fn reserve_notice(
        &self,
        app_id: AppId,
        handle: &Handle,
        about: Notice,
    ) -> Result<Option<SendPermit>, ServiceError> {
        let Some(address) = address_of(&self.inner.settings.mail, handle) else { return Ok(None) };
        let recipient = self.recipient(handle)?;
        let everywhere = AppId::NONE;
        let (day, key, most) =
            (Duration::days(1), handle.key().as_bytes(), self.inner.settings.mail_limits.notices_a_day);
        let own = self.counter(app_id, "mail.notice", &[&[about as u8], key], day)?;
        // Other applications may hold accounts of the same address, which are not their owner's.
        let all = self.counter(everywhere, "mail.notices", &[key], day)?;
        let wanted = vec![(own, most), (all, most.saturating_mul(NOTICES_OF_ALL))];
        let taking = wanted.clone();
        let full = self.transact("mail.notice", move |repos| reserve_all(repos.quotas(), &taking));
        let counters = wanted.into_iter().map(|(counter, _)| counter).collect();
        Ok(full.await?.is_none().then_some(SendPermit { address, recipient, counters }))
    }

    /// As [`Service::reserve_mail`]; a source where the user logs in has an additional limit, which nobody else can use
    /// up.
    pub(crate) async fn mail_slot_for(
        &self,
        app_id: AppId,
        handle: &Handle,
        known: Option<SourceMark>,
    ) -> Result<Option<SendPermit>, ServiceError> {
        let Some(address) = address_of(&self.inner.settings.mail, handle) else { return Ok(None) };
        let recipient = self.recipient(handle)?;
        let everywhere = AppId::NONE;
        let parts = [handle.key().as_bytes()];
        let an_hour = self.counter(everywhere, "mail.hour", &parts, Duration::hours(1))?;
        let a_day = self.counter(everywhere, "mail.day", &parts, Duration::days(1))?;
        // The mails of one application must not keep another one's users from their codes.
        let of_app = self.counter(app_id, "mail.app", &parts, Duration::days(1))?;
        let own = known.map(|mark| {
            let parts = [handle.key().as_bytes(), mark.as_slice()];
            self.counter(everywhere, "mail.known", &parts, Duration::days(1))
        });
        let own = own.transpose()?;
        let (limits, known_a_day) =
            (self.inner.settings.mail_limits, self.inner.settings.codes.requests.known_a_day);
        let counters = self
            .transact("mail.reserve", move |repos| {
                let usual = [(an_hour.clone(), limits.an_hour), (a_day.clone(), limits.a_day)];
                if reserve_all(repos.quotas(), &usual)?.is_none() {
                    return Ok(Some(vec![an_hour.clone(), a_day.clone()]));
                }
                if repos.quotas().reserve(&of_app, OF_EACH)? {
                    return Ok(Some(vec![of_app.clone()]));
                }
                if let Some(own) = &own
                    && repos.quotas().reserve(own, known_a_day)?
                {
                    return Ok(Some(vec![own.clone()]));
                }
                Ok(None)
            })
            .await?;
        if counters.is_none() {
            tracing::warn!("a mail was withheld: its address has had enough");
        }
        Ok(counters.map(|counters| SendPermit { address, recipient, counters }))
    }

    /// Gives the right back: nothing was sent.
    async fn release(&self, slot: Option<impl Into<Vec<QuotaKey>>>) -> Result<(), ServiceError> {
        let Some(slot) = slot else { return Ok(()) };
        let counters = slot.into();
        self.transact("outbox.release", move |repos| give_back_all(repos.quotas(), &counters)).await
    }

    /// Ends a unit of work that may have promised a message: the worker is woken if it has, and the right to
    /// send is given back if not, or if the unit failed.
    pub(crate) async fn settle_message(
        &self,
        slot: Option<impl Into<Vec<QuotaKey>>>,
        is_promised: Result<bool, ServiceError>,
    ) -> Result<(), ServiceError> {
        match is_promised {
            Ok(true) => {
                self.outbox_has_messages();
                Ok(())
            }
            Ok(false) => self.release(slot).await,
            Err(error) => {
                self.release(slot).await?;
                Err(error)
            }
        }
    }

    /// Whose a message is, for when they are removed.
    pub(crate) fn recipient(&self, handle: &Handle) -> Result<KeyedDigest, ServiceError> {
        Ok(self.key_ring().lasting_digests().digest("recipient", &[handle.key().as_bytes()])?)
    }

    /// A message to be added within the unit of work that promises it.
    async fn mail(
        &self,
        app_id: AppId,
        slot: &SendPermit,
        worded: &LocalizedTemplate,
        filling: Filling,
        expires_at: Option<OffsetDateTime>,
        picture: Option<Vec<u8>>,
    ) -> Result<OutboxMessage, ServiceError> {
        let now = self.inner.clock.now();
        let id = MessageId::generate(now, &*self.inner.entropy)?;
        let (service, worded, to) = (self.clone(), worded.clone(), slot.address.bare());
        let payload = self.off_thread(move || {
            let values = Values {
                app_name: &filling.app_name,
                handle: &filling.handle,
                code: filling.code.as_deref(),
                link: filling.url.as_deref().map(|url| Link { url, text: &worded.link_text }),
            };
            let rendered = render(&worded.template(), &values);
            let payload = MailPayload {
                to,
                reply_to: worded.reply_to,
                subject: rendered.subject,
                text: rendered.text,
                html: rendered.html,
                picture,
            };
            let json = serde_json::to_vec(&payload).map_err(|error| ServiceError::Internal(error.into()))?;
            Ok(service.key_ring().seal(&payload_of(app_id, &id), &json, &*service.inner.entropy)?)
        });
        Ok(OutboxMessage {
            app_id,
            id,
            channel: Channel::Mail,
            recipient: Some(slot.recipient.clone()),
            payload: payload.await?,
            attempts: 0,
            due_at: now,
            expires_at,
            state: MessageState::Due,
            last_error: None,
            created_at: now,
        })
    }

    /// The message that carries a code, and the page it leads to where there is one; none without a right to
    /// send it. It is worth nothing once the code has expired.
    pub(crate) async fn code_mail(
        &self,
        app: &App,
        slot: Option<&SendPermit>,
        worded: &LocalizedTemplate,
        handle: &Handle,
        new_code: &NewCode,
        url: Option<&str>,
    ) -> Result<Option<OutboxMessage>, ServiceError> {
        let Some(slot) = slot else { return Ok(None) };
        let code = Some(new_code.code.expose().to_owned());
        let filling = Filling { code, url: url.map(str::to_owned), ..Filling::new(app, handle) };
        self.mail(app.id, slot, worded, filling, Some(new_code.stored.expires_at), None).await.map(Some)
    }

    /// A notice with only names in it. `None` if the handle is not an address.
    pub(crate) async fn notice(
        &self,
        app: &App,
        slot: Option<&SendPermit>,
        worded: &LocalizedTemplate,
        handle: &Handle,
    ) -> Result<Option<OutboxMessage>, ServiceError> {
        let Some(slot) = slot else { return Ok(None) };
        self.mail(app.id, slot, worded, Filling::new(app, handle), None, None).await.map(Some)
    }

    /// The message that carries the picture of an authenticator's secret, for as long as it may wait.
    pub(crate) async fn picture_mail(
        &self,
        app: &App,
        slot: Option<&SendPermit>,
        worded: &LocalizedTemplate,
        handle: &Handle,
        picture: Vec<u8>,
        expires_at: OffsetDateTime,
    ) -> Result<Option<OutboxMessage>, ServiceError> {
        let Some(slot) = slot else { return Ok(None) };
        // A template that asks for the secret gets none: the secret leaves the server once, in the answer.
        let filling = Filling { code: Some(String::new()), ..Filling::new(app, handle) };
        self.mail(app.id, slot, worded, filling, Some(expires_at), Some(picture)).await.map(Some)
    }
}
