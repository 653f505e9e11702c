//! An application's own e-mail templates, and the built-in ones where it has none.

use latchkey_domain::{AppId, EmailTemplate, Locale, TemplateName, has_forbidden_characters};
use latchkey_notifiers::{Language, MailAddress, MessageKind, check_html, check_secrets, text_of};
use time::OffsetDateTime;

use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::{Operator, Reader};
use crate::service::Service;

/// Longer subjects are cut by mail programs anyway.
const LONGEST_SUBJECT: usize = 200;
/// In bytes.
const LONGEST_HTML: usize = 128 * 1024;

/// Bytes of HTML of all messages of an application.
const MOST_HTML: u64 = 4 * 1024 * 1024;

/// Why an application cannot have so many bytes of messages of its own, if it cannot.
pub(crate) fn too_many_words(bytes: u64) -> Option<String> {
    (bytes > MOST_HTML).then(|| format!("the app's own messages are longer than {MOST_HTML} bytes together"))
}

/// A new text of a template.
#[derive(Debug, Clone)]
pub struct TemplateUpdate {
    /// The application.
    pub app_id: AppId,
    /// Which message.
    pub name: TemplateName,
    /// In which locale.
    pub locale: Locale,
    /// The subject.
    pub subject: String,
    /// Where answers go; empty for nowhere else.
    pub reply_to: String,
    /// The message as HTML.
    pub html: String,
    /// What its link is called; none leaves it.
    pub link_text: Option<String>,
}

/// Why a message cannot be worded like this, if it cannot.
pub(crate) fn wrong_words(subject: &str, reply_to: &str, html: &str) -> Option<String> {
    if has_forbidden_characters(subject) || subject.trim().is_empty() {
        return Some("the subject must be a single non-empty line".to_owned());
    }
    if subject.chars().count() > LONGEST_SUBJECT {
        return Some(format!("the subject is longer than {LONGEST_SUBJECT} characters"));
    }
    if !reply_to.is_empty() && MailAddress::parse(reply_to).is_err() {
        return Some("invalid reply-to address".to_owned());
    }
    if html.len() > LONGEST_HTML {
        return Some("the HTML is longer than 128 KiB".to_owned());
    }
    if html.trim().is_empty() || html.contains('\0') {
        return Some("the HTML must not be empty or contain NUL".to_owned());
    }
    check_html(html).err().map(|error| error.to_string())
}

impl Service {
    /// All messages of an application in a locale: as it words them, or as they are built in.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn email_templates(
        &self,
        reader: Reader,
        id: AppId,
        locale: Locale,
    ) -> Result<Vec<EmailTemplate>, ServiceError> {
        let _turn = self.turn_to_read(reader, id).await?;
        self.read("templates.list", move |readers| {
            let app = readers.apps().find(id)?.ok_or(Refusal::UnknownApp)?;
            let of = TemplateName::ALL.into_iter().map(|name| {
                let own = readers.email_templates().find(id, name, locale)?;
                own.map_or_else(|| built_in(id, name, locale, app.created_at), Ok)
            });
            of.collect()
        })
        .await
    }

    /// Replaces a template.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::InvalidData`] if the locale is not offered, the subject is empty, too long
    /// or more than one line, the reply address is invalid, or the HTML is nested too deeply or exceeds the
    /// application's limit.
    pub async fn update_template(
        &self,
        operator: Operator,
        words: TemplateUpdate,
    ) -> Result<EmailTemplate, ServiceError> {
        if let Some(what) = wrong_words(&words.subject, &words.reply_to, &words.html) {
            return Err(ServiceError::invalid(what));
        }
        if let Err(misplaced) = check_secrets(&words.html, self.public_url()) {
            return Err(ServiceError::invalid(misplaced.to_string()));
        }
        if !hands_over(&words) {
            let text = "the template must contain %CODE%, or %LINK% where the message may carry a link";
            return Err(ServiceError::invalid(text));
        }
        let mut event = Event::of_operator(Action::UpdateEmailTemplate, words.app_id, &operator);
        event.detail = Some(format!("{}-{}", words.name.as_str(), words.locale.as_str()));
        let (now, wanted) = (self.inner.clock.now(), words.clone());
        // The application's revision moves with its templates: of two changes that build on one text, neither is lost.
        self.change_app(event, move |repos, app| {
            let (app_id, name, locale) = (words.app_id, words.name, words.locale);
            if !app.settings.locales.contains(&locale) {
                return Err(ServiceError::invalid(format!(
                    "the app does not offer the locale {}",
                    locale.as_str()
                )));
            }
            let before = repos.email_templates().size(app_id)?;
            let old = repos.email_templates().find(app_id, name, locale)?;
            let old = old.map_or_else(|| built_in(app_id, name, locale, app.created_at), Ok)?;
            let template = EmailTemplate {
                subject: words.subject.clone(),
                reply_to: words.reply_to.clone(),
                html: words.html.clone(),
                link_text: words.link_text.clone().unwrap_or(old.link_text),
                updated_at: now,
                ..old
            };
            repos.email_templates().put(&template)?;
            // An older version may have taken more.
            let size = repos.email_templates().size(app_id)?;
            match too_many_words(size).filter(|_| size > before) {
                Some(what) => Err(ServiceError::invalid(what)),
                None => Ok(()),
            }
        })
        .await?;
        let stored = self.read("templates.find", move |readers| {
            readers
                .email_templates()
                .find(wanted.app_id, wanted.name, wanted.locale)
                .map_err(ServiceError::from)
        });
        stored.await?.ok_or_else(|| Refusal::UnknownApp.into())
    }
}

/// Whether a message that is there to hand a code or a link over does so: one with a slip in its mark would leave
/// people waiting. Subjects do not count: codes and links are not filled in there.
fn hands_over(words: &TemplateUpdate) -> bool {
    let says = |mark: &str| words.html.contains(mark);
    match words.name {
        TemplateName::SignUp | TemplateName::SignUpLink => says("%CODE%") || says("%LINK%"),
        TemplateName::ResetPassword | TemplateName::Invite => says("%CODE%"),
        // It has no subject, and of its HTML only the text.
        TemplateName::Sms => text_of(&words.html).contains("%CODE%"),
        TemplateName::ClickThrough | TemplateName::SignUpSuccess | TemplateName::QrCode => true,
    }
}

fn built_in(
    app_id: AppId,
    name: TemplateName,
    locale: Locale,
    created_at: OffsetDateTime,
) -> Result<EmailTemplate, ServiceError> {
    let language =
        Language::or_english(locale).ok_or_else(|| ServiceError::Internal("there is no English".into()))?;
    let message = language.message(MessageKind::Named(name));
    Ok(EmailTemplate {
        app_id,
        name,
        locale,
        subject: message.subject,
        reply_to: String::new(),
        html: message.html,
        link_text: language.notes.link_text.clone(),
        created_at,
        updated_at: created_at,
    })
}
