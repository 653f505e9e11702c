//! Sign-up: at once, with a mailed code, or with a mailed link to a confirmation page.

mod completion;

use latchkey_crypto::AppToken;
use latchkey_domain::{
    App, AppId, AppKey, AuditEntry, Code, CodePurpose, CodeRules, Handle, KeyedDigest, Locale, OutboxMessage,
    Sealed, Signup, SignupFlow, SignupId, SignupState, Source, TemplateName, User, UserId, has_passed,
};
use latchkey_notifiers::{Language, MessageKind, percent_encoded};
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use crate::account::names::{NewUser, client_locale, is_reserved, new_user};
use crate::account::password::NewPassword;
use crate::account::throttle::record_success;
use crate::base::audit::{Action, Event};
use crate::base::caller::{Call, ensure_active, find_app};
use crate::base::error::{Refusal, ServiceError};
use crate::base::signing::Tokens;
use crate::notify::mail::{
    LocalizedTemplate, SendPermit, built_in, check_local_part, check_mailable, worded,
};
use crate::notify::mailed_code::CodeMail;
use crate::protect::codes::{CodeSource, CodeSubject};
use crate::protect::rates::Rate;
use crate::service::Service;
pub use completion::{CompleteSignUp, LinkPressed, PressLink, SignUpCompleted};

/// A request to sign up.
#[derive(Debug, Clone)]
pub struct SignUp {
    /// Their handle.
    pub handle: Handle,
    /// Their password.
    pub password: NewPassword,
    /// Their metadata: JSON text.
    pub metadata: Option<String>,
    /// Their locale.
    pub locale: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum SignedUp {
    /// They are a user.
    User(Tokens),
    /// A code or link was mailed to them.
    CodeSent,
}

/// The state on which a sign-up is decided.
struct SignupContext {
    app: App,
    keys: Vec<AppKey>,
    existing: Option<User>,
    is_reserved: bool,
    attempts: Vec<Signup>,
}

/// An attempt on its way into the database, with what is mailed for it.
struct PendingSignup {
    attempt: Signup,
    source: CodeSource,
    slot: Option<SendPermit>,
    entry: AuditEntry,
    worded: LocalizedTemplate,
}

impl Service {
    /// Signs a user up.
    ///
    /// # Errors
    /// [`Refusal::SignupOff`], [`Refusal::HandleTaken`], [`Refusal::InvalidData`] (locale, password, or a
    /// handle to which no code can be mailed), [`Refusal::MetadataInvalid`]; [`ServiceError::TooMany`].
    pub async fn sign_up(&self, call: Call<AppToken>, request: SignUp) -> Result<SignedUp, ServiceError> {
        let began = Instant::now();
        let event = Event::of_call(Action::Signup, &call, Some(&request.handle));
        let result = self
            .audited(event, async |event| {
                let SignUp { handle, password, metadata, locale } = request;
                let Call { caller: token, source } = call;
                let now = self.inner.clock.now();
                let found = self.begin_sign_up(token, &handle, now).await?;
                let app = &found.app;
                if !app.settings.signup_enabled {
                    return Err(Refusal::SignupOff.into());
                }
                self.inner.limits.take(Rate::SignUp, source, now)?;
                let flow = app.settings.signup_flow;
                let is_taken = found.existing.is_some() || found.is_reserved;
                // Without a code, a neutral answer is impossible for an existing account.
                let is_neutral = app.settings.neutral_answers && flow != SignupFlow::None;
                if is_taken && !is_neutral {
                    return Err(Refusal::HandleTaken.into());
                }
                let locale = client_locale(app, locale.as_deref());
                password.check(app, &handle)?;
                let metadata = app
                    .settings
                    .metadata
                    .accept_at_signup(metadata.as_deref())
                    .map_err(|error| ServiceError::metadata(&error))?;
                // The handle must be usable: for a mail, or for a log-in.
                match flow {
                    SignupFlow::None if handle.as_str().contains('@') || app.settings.user_names => {
                        check_local_part(&self.inner.settings.mail, &handle)?;
                    }
                    SignupFlow::None | SignupFlow::Code | SignupFlow::Link => {
                        check_mailable(&self.inner.settings.mail, &handle)?;
                    }
                }
                let user_id = UserId::generate(now, &*self.inner.entropy)?;
                let new = NewUser { id: user_id, handle, password: None, locale, metadata };
                self.jwt_size().check(app, None, &new_user(app.id, new.clone(), now), now)?;
                let password = self.hash_password(password.into_client(), app.id, user_id).await?;
                if is_taken {
                    // Mail never goes to a mailbox that only looks like the typed one.
                    let owner =
                        found.existing.as_ref().filter(|user| !new.handle.only_looks_like(&user.handle));
                    return self.tell_owner(app, owner, event).await.map(|()| SignedUp::CodeSent);
                }
                if flow == SignupFlow::None {
                    let user = new_user(app.id, NewUser { password: Some(password), ..new }, now);
                    let event = Event { action: Action::SignupAtOnce, ..event.clone() };
                    // Nothing was verified: it still counts among the address's sign-ups.
                    let tokens = self.add_user(&found, user, source, &event).await?;
                    return Ok(SignedUp::User(tokens));
                }
                let source = self.code_source(app.id, source)?;
                let attempt = self.attempt(app.id, source.own.clone(), new, password, now)?;
                let name =
                    if flow == SignupFlow::Link { TemplateName::SignUpLink } else { TemplateName::SignUp };
                let (app_id, locale) = (app.id, attempt.locale);
                let worded = self
                    .read("signup.words", move |readers| {
                        worded(readers.email_templates(), app_id, name, locale)
                    })
                    .await?;
                let slot = self.reserve_mail(app.id, &attempt.handle).await?;
                let entry = self.entry(event)?;
                self.send_code(app, &found.attempts, PendingSignup { attempt, source, slot, entry, worded })
                    .await?;
                Ok(SignedUp::CodeSent)
            })
            .await;
        // Neutral answers must not differ in time.
        if matches!(result, Ok(SignedUp::CodeSent)) {
            tokio::time::sleep_until(began + self.answer_floor()).await;
        }
        result
    }

    async fn begin_sign_up(
        &self,
        token: AppToken,
        handle: &Handle,
        now: OffsetDateTime,
    ) -> Result<SignupContext, ServiceError> {
        let handle = handle.clone();
        self.read("signup.begin", move |readers| {
            let app = find_app(readers.apps(), &token)?;
            ensure_active(&app)?;
            let keys = readers.apps().keys(app.id)?;
            let existing = readers.users().find_by_handle(app.id, &handle)?;
            let is_reserved = is_reserved(readers.users(), &app, &handle, now)?;
            let attempts = readers.signups().list(app.id, &handle)?;
            Ok(SignupContext { app, keys, existing, is_reserved, attempts })
        })
        .await
    }

    /// Notifies the owner of an account, once a day, of a sign-up with its handle.
    async fn tell_owner(&self, app: &App, owner: Option<&User>, event: &Event) -> Result<(), ServiceError> {
        let Some(owner) = owner else { return self.record(event).await };
        let entry = self.entry(event)?;
        let told = self.counter(app.id, "signup.told", &[owner.id.as_bytes()], Duration::days(1))?;
        let worded = built_in(MessageKind::AccountExists, owner.locale)?;
        let slot = self.reserve_mail(app.id, &owner.handle).await?;
        let mail = self.notice(app, slot.as_ref(), &worded, &owner.handle).await?;
        let is_promised = self
            .transact("signup.tell_owner", move |repos| {
                repos.audit().add(&entry)?;
                let Some(mail) = &mail else { return Ok(false) };
                let is_first = repos.quotas().reserve(&told, 1)?;
                if is_first {
                    repos.outbox().add(mail)?;
                }
                Ok(is_first)
            })
            .await;
        self.settle_message(slot, is_promised).await
    }

    async fn add_user(
        &self,
        found: &SignupContext,
        user: User,
        source: Source,
        event: &Event,
    ) -> Result<Tokens, ServiceError> {
        let (app, now) = (&found.app, self.inner.clock.now());
        let tokens = self.issue_tokens(app, &found.keys, &user).await?;
        let (slot, welcome) = self.welcomes(app, &user.handle, &[user.locale]).await?;
        let origin = self.origin(app.id, user.id, source)?;
        let entry = self.entry(&Event { user_id: Some(user.id), ..event.clone() })?;
        let admission = self.admission(app, &user.handle)?;
        let added = self
            .transact("signup.add_user", move |repos| {
                let app = repos.apps().find(user.app_id)?.ok_or(Refusal::AppGone)?;
                admission.add(repos, &app, &user, now)?;
                record_success(repos, user.app_id, user.id, origin, None)?;
                welcome.iter().try_for_each(|(_, mail)| repos.outbox().add(mail))?;
                Ok(repos.audit().add(&entry)?)
            })
            .await;
        self.settle_message(slot, added.map(|()| true)).await?;
        Ok(tokens)
    }

    fn attempt(
        &self,
        app_id: AppId,
        source: KeyedDigest,
        new: NewUser,
        password: Sealed,
        now: OffsetDateTime,
    ) -> Result<Signup, ServiceError> {
        let NewUser { id: user_id, handle, locale, metadata, .. } = new;
        let id = self.attempt_id(app_id, &handle, &source)?;
        Ok(Signup {
            app_id,
            id,
            handle,
            source,
            user_id,
            state: SignupState::Pending,
            password,
            locale,
            metadata,
            created_at: now,
            updated_at: now,
        })
    }

    pub(crate) fn attempt_id(
        &self,
        app_id: AppId,
        handle: &Handle,
        source: &KeyedDigest,
    ) -> Result<SignupId, ServiceError> {
        let parts = [app_id.as_bytes(), handle.as_str().as_bytes(), source.as_bytes()];
        Ok(SignupId::from_bytes(self.derived_id("sign_up.attempt", &parts)?))
    }

    /// An id that follows from what it is of: a repeat is the same row.
    pub(crate) fn derived_id(&self, purpose: &str, parts: &[&[u8]]) -> Result<[u8; 16], ServiceError> {
        let digest = self.key_ring().lasting_digests().digest(purpose, parts)?;
        let mut id = [0; 16];
        id.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        Ok(id)
    }

    /// Stores a sign-up with a new code and its mail. A repeat within a minute keeps its code. If another source's
    /// sign-up is pending, the code expires earlier and its mail says so.
    async fn send_code(
        &self,
        app: &App,
        known: &[Signup],
        opening: PendingSignup,
    ) -> Result<(), ServiceError> {
        let PendingSignup { attempt, source, slot, entry, worded } = opening;
        let (rules, now) = (self.inner.settings.codes, attempt.updated_at);
        let subject = CodeSubject {
            app_id: app.id,
            purpose: CodePurpose::SignUp,
            handle: attempt.handle.clone(),
            id: *attempt.id.as_bytes(),
        };
        let has_rival = known.iter().any(|other| is_rival(other, &attempt, &rules, now));
        let life = if has_rival { rules.rival_life.min(rules.sign_up_life) } else { rules.sign_up_life };
        let mut worded = worded;
        if has_rival && let Some(language) = Language::or_english(attempt.locale) {
            worded.note = Some(language.notes.rival_attempt.clone());
        }
        let mail = CodeMail { slot: slot.as_ref(), words: &worded, subject: &subject, source: &source, life };
        let url = |code: &Code| self.confirmation_url(app, &attempt, code).map(Some);
        let new_code = self.mailed_code(app, mail, url).await?;
        let is_sent = self
            .transact("signup.send_code", move |repos| {
                if repos.users().find_by_handle(attempt.app_id, &attempt.handle)?.is_some() {
                    return Err(ServiceError::from(Refusal::HandleTaken));
                }
                repos.audit().add(&entry)?;
                let known = repos.signups().list(attempt.app_id, &attempt.handle)?;
                let is_sent = new_code.place_and_send(repos, &rules, false)?;
                // Store only attempts with a code, so that the limits of codes also limit the number of attempts.
                if is_sent || known.iter().any(|other| other.id == attempt.id) {
                    repos.signups().put(&attempt)?;
                }
                Ok(is_sent)
            })
            .await;
        self.settle_message(slot, is_sent).await
    }

    /// The page that a mailed link opens.
    fn confirmation_url(&self, app: &App, attempt: &Signup, code: &Code) -> Result<String, ServiceError> {
        Ok(format!(
            "{}/api/appuser/completeSignup?appToken={}&handle={}&code={}&locale={}&attempt={}",
            self.inner.settings.public_url,
            self.app_token(app)?,
            percent_encoded(attempt.handle.as_str()),
            code.expose(),
            attempt.locale.as_str(),
            attempt.id,
        ))
    }

    pub(crate) fn source_digest(&self, app_id: AppId, source: Source) -> Result<KeyedDigest, ServiceError> {
        let parts = [app_id.as_bytes().as_slice(), &source.to_canonical_bytes()];
        Ok(self.key_ring().digests().digest("source", &parts)?)
    }

    /// The welcome in each of these locales, if the handle is an address that may get one.
    pub(crate) async fn welcomes(
        &self,
        app: &App,
        handle: &Handle,
        locales: &[Locale],
    ) -> Result<(Option<SendPermit>, Vec<(Locale, OutboxMessage)>), ServiceError> {
        if locales.is_empty() {
            return Ok((None, Vec::new()));
        }
        let Some(slot) = self.reserve_mail(app.id, handle).await? else { return Ok((None, Vec::new())) };
        let (app_id, wanted) = (app.id, locales.to_vec());
        let words = self
            .read("signup.welcome", move |readers| {
                let words = wanted.iter().map(|locale| {
                    let name = TemplateName::SignUpSuccess;
                    Ok((*locale, worded(readers.email_templates(), app_id, name, *locale)?))
                });
                words.collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let mut welcomes = Vec::new();
        for (locale, words) in words {
            if let Some(mail) = self.notice(app, Some(&slot), &words, handle).await? {
                welcomes.push((locale, mail));
            }
        }
        Ok((Some(slot), welcomes))
    }
}

/// Whether another source's attempt of the same handle is open.
fn is_rival(other: &Signup, attempt: &Signup, rules: &CodeRules, now: OffsetDateTime) -> bool {
    // Imported sign-ups have no code: the caller may be the same person.
    other.id != attempt.id && !other.source.is_none() && is_open(other, rules, now)
}

fn is_open(attempt: &Signup, rules: &CodeRules, now: OffsetDateTime) -> bool {
    attempt.state == SignupState::Pending && !has_passed(rules.sign_up_life, attempt.updated_at, now)
}
