//! Signing up: at once, or with a code that comes back from a mailbox.

use latchkey_crypto::{AppToken, digests_match};
use latchkey_domain::{
    App, AppId, AppKey, Code, CodeId, CodePurpose, CodeRules, Handle, KeyedDigest, Locale, Metadata,
    OPEN_ATTEMPTS, OutboxMessage, Sealed, Sessions, Signup, SignupFlow, SignupId, SignupState, SourcePrefix,
    StoredCode, User, UserId, UserStatus, max_users,
};
use latchkey_notifiers::{MailAddress, MessageKind, Values};
use latchkey_storage::{QuotaKey, Repositories, Store};
use time::{Duration, OffsetDateTime};

use crate::caller::{find_app, find_app_of, gate};
use crate::{Caller, NewPassword, Refusal, Service, ServiceError, Tokens};

/// How old the oldest of three open attempts must be to give way to a fourth.
const GIVES_WAY_AFTER: Duration = Duration::minutes(30);

/// Somebody who wants to become a user.
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
    /// Where the request comes from.
    pub source: SourcePrefix,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum SignedUp {
    /// They are a user.
    User(Tokens),
    /// A code was mailed to them.
    CodeSent,
}

/// A code that comes back.
#[derive(Debug, Clone)]
pub struct CompleteSignUp {
    /// The handle.
    pub handle: Handle,
    /// The code.
    pub code: Code,
    /// Where the request comes from.
    pub source: SourcePrefix,
}

impl<S: Store> Service<S> {
    /// Signs somebody up.
    ///
    /// # Errors
    /// [`Refusal::SignupOff`], [`Refusal::HandleTaken`], [`Refusal::InvalidData`] (locale, password, or a
    /// handle to which no code can be mailed), [`Refusal::MetadataInvalid`].
    pub async fn sign_up(&self, token: AppToken, request: SignUp) -> Result<SignedUp, ServiceError> {
        let SignUp { handle, password, metadata, locale, source } = request;
        let wanted = handle.clone();
        let (app, keys, is_taken) = self
            .inner
            .store
            .read("signup.begin", move |readers| {
                let app = find_app(readers.apps(), &token)?;
                gate(&app)?;
                let keys = readers.apps().keys(app.id)?;
                let is_taken = readers.users().find_by_handle(app.id, &wanted)?.is_some();
                Ok::<_, ServiceError>((app, keys, is_taken))
            })
            .await?;
        if !app.settings.signup_enabled {
            return Err(Refusal::SignupOff.into());
        }
        if is_taken {
            return Err(Refusal::HandleTaken.into());
        }
        let locale = offered_locale(&app, locale.as_deref())?;
        password.check(&app)?;
        let metadata =
            app.settings.metadata.accept(metadata.as_deref()).map_err(|_| Refusal::MetadataInvalid)?;
        let user_id = UserId::generate(self.inner.clock.now(), &*self.inner.entropy)?;
        let password = self.hash_password(password.into_client(), app.id, user_id).await?;
        let now = self.inner.clock.now();
        match app.settings.signup_flow {
            SignupFlow::None => {
                let user = new_user(app.id, handle, (user_id, password), (locale, metadata), now);
                Ok(SignedUp::User(self.add_user(&app, &keys, user).await?))
            }
            // The page behind a mailed link is not built: the code that the mail carries completes either way.
            SignupFlow::Code | SignupFlow::Link => {
                let source = self.source_digest(app.id, source)?;
                let attempt =
                    self.attempt(app.id, handle, source, (user_id, password), (locale, metadata), now)?;
                self.send_code(&app, attempt).await?;
                Ok(SignedUp::CodeSent)
            }
        }
    }

    async fn add_user(&self, app: &App, keys: &[AppKey], user: User) -> Result<Tokens, ServiceError> {
        let tokens = self.issue_tokens(app, keys, &user)?;
        let welcome = self.welcome(app, &user.handle)?;
        let limit = max_users(app, self.inner.settings.mode);
        self.inner
            .store
            .transact("signup.add_user", move |repos| {
                add_within_limit(repos, &user, limit)?;
                welcome.iter().try_for_each(|mail| repos.outbox().add(mail))?;
                Ok::<_, ServiceError>(())
            })
            .await?;
        self.outbox_has_mail();
        Ok(tokens)
    }

    fn attempt(
        &self,
        app_id: AppId,
        handle: Handle,
        source: KeyedDigest,
        (user_id, password): (UserId, Sealed),
        (locale, metadata): (Locale, Metadata),
        now: OffsetDateTime,
    ) -> Result<Signup, ServiceError> {
        let parts = [app_id.as_bytes().as_slice(), handle.key().as_bytes(), source.as_bytes()];
        let digest = self.inner.keys.digests().digest("sign_up.attempt", &parts)?;
        let mut id = [0; 16];
        id.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        Ok(Signup {
            app_id,
            id: SignupId::from_bytes(id),
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

    /// Stores an attempt with a new code and its mail. A repeat within a minute keeps the code it has.
    async fn send_code(&self, app: &App, attempt: Signup) -> Result<(), ServiceError> {
        let entropy = &*self.inner.entropy;
        let (rules, now) = (self.inner.settings.codes, attempt.updated_at);
        let address = MailAddress::parse_bare(attempt.handle.as_str()).map_err(|_| Refusal::InvalidData)?;
        let code = Code::generate(entropy)?;
        let stored = StoredCode {
            id: CodeId::generate(now, entropy)?,
            app_id: app.id,
            purpose: CodePurpose::SignUp,
            subject: *attempt.id.as_bytes(),
            digest: self.code_digest(&attempt, &code)?,
            created_at: now,
            expires_at: now + rules.sign_up_life,
            consumed_at: None,
        };
        let values = Values {
            app_name: app.name.as_str(),
            handle: attempt.handle.as_str(),
            code: Some(code.expose()),
        };
        let mail = self.mail(app.id, &address, MessageKind::SignUp, &values, Some(stored.expires_at))?;
        let tries = self.wrong_tries(&attempt.handle, app.id, &attempt.source)?;
        self.inner
            .store
            .transact("signup.send_code", move |repos| {
                if repos.users().find_by_handle(attempt.app_id, &attempt.handle)?.is_some() {
                    return Err(ServiceError::from(Refusal::HandleTaken));
                }
                if !make_room(repos, &attempt, &rules, now)? {
                    return Ok(());
                }
                repos.signups().put(&attempt)?;
                let mut live = repos.codes().list(attempt.app_id, CodePurpose::SignUp, &stored.subject)?;
                live.retain(|code| code.consumed_at.is_none() && !code.is_expired(now));
                let is_fresh =
                    live.first().is_some_and(|newest| now - newest.created_at < rules.resend_after);
                // A code whose tries are spent is never kept: it would help nobody.
                if is_fresh && repos.quotas().used(&tries)? < rules.wrong_tries {
                    return Ok(());
                }
                for old in live.iter().skip(rules.live_per_subject.saturating_sub(1)) {
                    repos.codes().remove(attempt.app_id, old.id)?;
                }
                repos.codes().add(&stored)?;
                repos.quotas().reset(&tries)?;
                repos.outbox().add(&mail)?;
                Ok(())
            })
            .await?;
        self.outbox_has_mail();
        Ok(())
    }

    /// Completes a sign-up with the code that was mailed.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] when no open attempt of the handle has this code, or too many wrong ones came
    /// from here; [`Refusal::CodeExpired`]; [`Refusal::HandleTaken`] when it was completed before.
    pub async fn complete_sign_up(
        &self,
        caller: Caller,
        request: CompleteSignUp,
    ) -> Result<Tokens, ServiceError> {
        let (app, keys) = self
            .inner
            .store
            .read("signup.complete.app", move |readers| {
                let app = find_app_of(readers, &caller)?;
                let keys = readers.apps().keys(app.id)?;
                Ok::<_, ServiceError>((app, keys))
            })
            .await?;
        if !app.settings.signup_enabled {
            return Err(Refusal::SignupOff.into());
        }
        let (service, completed_app) = (self.clone(), app.clone());
        let now = self.inner.clock.now();
        let source = self.source_digest(app.id, request.source)?;
        let tries = self.wrong_tries(&request.handle, app.id, &source)?;
        let welcome = self.welcome(&app, &request.handle)?;
        let limit = max_users(&app, self.inner.settings.mode);
        let allowed = self.inner.settings.codes.wrong_tries;
        let completed = self
            .inner
            .store
            .transact("signup.complete", move |repos| {
                let attempts = repos.signups().list(completed_app.id, &request.handle)?;
                // The try is counted before the code is looked at, and the count is kept when it is wrong.
                if attempts.is_empty() || !repos.quotas().reserve(&tries, allowed)? {
                    return Ok(Err(Refusal::InvalidData));
                }
                let attempt = match service.find_attempt(repos, &attempts, &request.code, now)? {
                    Ok(attempt) => attempt,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let Signup { handle, user_id, password, locale, metadata, .. } = attempt;
                let user = new_user(completed_app.id, handle, (user_id, password), (locale, metadata), now);
                add_within_limit(repos, &user, limit)?;
                repos.quotas().reset(&tries)?;
                welcome.iter().try_for_each(|mail| repos.outbox().add(mail))?;
                Ok::<_, ServiceError>(Ok(user))
            })
            .await??;
        self.outbox_has_mail();
        self.issue_tokens(&app, &keys, &completed)
    }

    /// The attempt that this code completes, marked as verified, its other codes and rivals gone.
    fn find_attempt(
        &self,
        repos: &mut dyn Repositories,
        attempts: &[Signup],
        code: &Code,
        now: OffsetDateTime,
    ) -> Result<Result<Signup, Refusal>, ServiceError> {
        for attempt in attempts {
            let app_id = attempt.app_id;
            let digest = self.code_digest(attempt, code)?;
            let codes = repos.codes().list(app_id, CodePurpose::SignUp, attempt.id.as_bytes())?;
            let Some(code) = codes.into_iter().find(|code| digests_match(&code.digest, &digest)) else {
                continue;
            };
            if attempt.state == SignupState::Verified || code.consumed_at.is_some() {
                return Ok(Err(Refusal::HandleTaken));
            }
            if code.is_expired(now) {
                return Ok(Err(Refusal::CodeExpired));
            }
            if !repos.signups().verify(app_id, attempt.id, now)?
                || !repos.codes().consume(app_id, code.id, now)?
            {
                return Ok(Err(Refusal::HandleTaken));
            }
            for other in attempts {
                repos.codes().remove_unconsumed(app_id, other.id.as_bytes())?;
                if other.id != attempt.id {
                    repos.signups().remove(app_id, other.id)?;
                }
            }
            return Ok(Ok(attempt.clone()));
        }
        Ok(Err(Refusal::InvalidData))
    }

    fn code_digest(&self, attempt: &Signup, code: &Code) -> Result<KeyedDigest, ServiceError> {
        let parts = [attempt.app_id.as_bytes().as_slice(), attempt.id.as_bytes(), code.expose().as_bytes()];
        Ok(self.inner.keys.digests().digest(&format!("code/{}", CodePurpose::SignUp.name()), &parts)?)
    }

    /// Counts the wrong codes that one source sent for one handle.
    fn wrong_tries(
        &self,
        handle: &Handle,
        app_id: AppId,
        source: &KeyedDigest,
    ) -> Result<QuotaKey, ServiceError> {
        let parts = [handle.key().as_bytes(), source.as_bytes().as_slice()];
        let subject = self.inner.keys.digests().digest("sign_up.wrong", &parts)?;
        Ok(QuotaKey { app_id, kind: "sign_up.wrong", subject, period: 0 })
    }

    pub(crate) fn source_digest(
        &self,
        app_id: AppId,
        source: SourcePrefix,
    ) -> Result<KeyedDigest, ServiceError> {
        let parts = [app_id.as_bytes().as_slice(), &source.to_canonical_bytes()];
        Ok(self.inner.keys.digests().digest("source", &parts)?)
    }

    /// The welcome, if the handle is an address.
    fn welcome(&self, app: &App, handle: &Handle) -> Result<Option<OutboxMessage>, ServiceError> {
        let Ok(address) = MailAddress::parse_bare(handle.as_str()) else { return Ok(None) };
        let values = Values { app_name: app.name.as_str(), handle: handle.as_str(), code: None };
        self.mail(app.id, &address, MessageKind::SignUpSuccess, &values, None).map(Some)
    }
}

/// Whether an attempt may be opened. From three other sources on, only in the place of an old one.
fn make_room(
    repos: &mut dyn Repositories,
    attempt: &Signup,
    rules: &CodeRules,
    now: OffsetDateTime,
) -> Result<bool, ServiceError> {
    let mut others = repos.signups().list(attempt.app_id, &attempt.handle)?;
    others.retain(|other| {
        other.id != attempt.id
            && other.state == SignupState::Pending
            && now - other.updated_at < rules.sign_up_life
    });
    if others.len() < OPEN_ATTEMPTS {
        return Ok(true);
    }
    // By when it was opened: whoever repeats his attempt does not keep his place by that.
    let oldest = others.iter().min_by_key(|other| other.created_at);
    match oldest.filter(|oldest| now - oldest.created_at > GIVES_WAY_AFTER) {
        Some(oldest) => {
            repos.signups().remove(oldest.app_id, oldest.id)?;
            repos.codes().remove_unconsumed(oldest.app_id, oldest.id.as_bytes())?;
            Ok(true)
        }
        None => Ok(false),
    }
}

fn add_within_limit(
    repos: &mut dyn Repositories,
    user: &User,
    limit: Option<u32>,
) -> Result<(), ServiceError> {
    if let Some(limit) = limit {
        // Whoever counts must be alone: this row is written first, so that the next one waits for our commit.
        let subject = KeyedDigest::from_bytes([0; 32]);
        let gate = QuotaKey { app_id: user.app_id, kind: "users.gate", subject, period: 0 };
        repos.quotas().reserve(&gate, u32::MAX)?;
        let is_there = repos.users().find(user.app_id, user.id)?.is_some();
        if !is_there && repos.users().are_at_least(user.app_id, limit)? {
            return Err(Refusal::SignupOff.into());
        }
    }
    if repos.users().add(user)? { Ok(()) } else { Err(Refusal::HandleTaken.into()) }
}

fn new_user(
    app_id: AppId,
    handle: Handle,
    (id, password): (UserId, Sealed),
    (locale, metadata): (Locale, Metadata),
    now: OffsetDateTime,
) -> User {
    User {
        app_id,
        id,
        handle,
        user_name: None,
        status: UserStatus::Active,
        password: Some(password),
        locale,
        metadata,
        sessions: Sessions::FIRST,
        created_at: now,
        updated_at: now,
        last_login_at: Some(now),
    }
}

fn offered_locale(app: &App, wanted: Option<&str>) -> Result<Locale, Refusal> {
    let wanted = wanted.filter(|text| !text.is_empty()).map_or(Ok(Locale::EN), Locale::parse);
    let wanted = wanted.map_err(|_| Refusal::InvalidData)?;
    if wanted == Locale::EN || app.settings.locales.contains(&wanted) {
        Ok(wanted)
    } else {
        Err(Refusal::InvalidData)
    }
}
