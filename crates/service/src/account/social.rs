//! Log-in, sign-up and account deletion with an identity provider's token. A user is identified by provider and
//! subject; an address counts only if the provider has verified it, and never across providers. No second factor is
//! required: the provider's own check replaces it.

use latchkey_crypto::IdToken;
use latchkey_domain::{
    App, AppId, AppKey, Handle, Named as _, Provider, SocialIdentity, SocialLogin, User, UserId, UserStatus,
};
use latchkey_storage::{QuotaKey, Readers, Repositories};
use time::Duration;

use crate::account::names::{NewUser, client_locale, is_reserved, new_user};
use crate::account::profile::remove_user;
use crate::account::throttle::{note_login, record_success};
use crate::base::audit::{Action, Event};
use crate::base::caller::{AppOrUser, Call, check_session, ensure_active, find_app, find_app_of, find_user};
use crate::base::error::{Refusal, ServiceError};
use crate::base::signing::Tokens;
use crate::notify::mail::check_mailable;
use crate::protect::rates::Rate;
use crate::service::Service;
use latchkey_crypto::AccessToken;
use latchkey_crypto::AppToken;
use latchkey_domain::Source;

/// Another service's ID token, as a client sends it.
#[derive(Clone)]
pub struct ProviderToken {
    /// Whose.
    pub provider: Provider,
    /// The token.
    pub token: String,
    /// The expected claim `nonce`, if the client requested one.
    pub nonce: Option<String>,
}

impl std::fmt::Debug for ProviderToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProviderToken({})", self.provider.name())
    }
}

/// A sign-up with an identity provider's token.
#[derive(Debug, Clone)]
pub struct SocialSignUp {
    /// The token.
    pub token: ProviderToken,
    /// Their handle: the token's address.
    pub handle: Handle,
    /// Their metadata: JSON text.
    pub metadata: Option<String>,
    /// Their locale.
    pub locale: Option<String>,
}

/// The refusal that names the way to log in to an identity's account.
fn account_exists(user: &User) -> Refusal {
    match user.social.as_ref().map(|identity| identity.provider) {
        None => Refusal::HandleAccountExists,
        Some(Provider::Apple) => Refusal::AppleAccountExists,
        Some(Provider::Google) => Refusal::GoogleAccountExists,
    }
}

/// How an application takes a provider's tokens, if it does.
fn offered(app: &App, provider: Provider) -> Result<&SocialLogin, Refusal> {
    let (login, refusal) = match provider {
        Provider::Apple => (&app.settings.apple, Refusal::NoAppleLogin),
        Provider::Google => (&app.settings.google, Refusal::NoGoogleLogin),
    };
    if login.enabled && !login.audiences.is_empty() { Ok(login) } else { Err(refusal) }
}

/// Uses a provider's token up: it starts one session.
fn use_up(repos: &mut dyn Repositories, mark: &QuotaKey) -> Result<(), ServiceError> {
    if repos.quotas().reserve(mark, 1)? { Ok(()) } else { Err(Refusal::ProviderTokenInvalid.into()) }
}

/// A new user whom a provider has identified.
struct ProvenUser {
    new: NewUser,
    identity: SocialIdentity,
    /// Of the provider's token, which makes one user only.
    mark: QuotaKey,
}

impl Service {
    /// What marks a provider's token as used, for as long as it could be sent again.
    fn mark_of(&self, app_id: AppId, id: &IdToken) -> Result<QuotaKey, ServiceError> {
        let subject = self.key_ring().lasting_digests().digest("social.token", &[&id.fingerprint])?;
        let expires_at = id.expires_at.max(self.inner.clock.now() + Duration::days(1));
        Ok(QuotaKey { app_id, kind: "social.token", subject, period: 0, expires_at })
    }

    /// Logs a user in.
    ///
    /// # Errors
    /// [`Refusal::NoAppleLogin`], [`Refusal::NoGoogleLogin`], [`Refusal::ProviderTokenInvalid`];
    /// [`Refusal::AccountUnknown`] for an unknown identity; for an account with another way to log in, its refusal;
    /// [`Refusal::UserSuspended`], [`Refusal::MetadataInvalid`]; [`ServiceError::ProviderAway`].
    pub async fn log_in_with_provider(
        &self,
        call: Call<AppOrUser>,
        token: ProviderToken,
    ) -> Result<Tokens, ServiceError> {
        let event = Event::of_call(Action::SocialLogin, &call, None);
        self.audited(event, async |event| {
            let caller = call.caller.clone();
            let (app, keys) = self
                .read("social.app", move |readers| {
                    let app = find_app_of(readers, &caller)?;
                    let keys = readers.apps().keys(app.id)?;
                    Ok((app, keys))
                })
                .await?;
            let id = self.identify_by_provider(&app, call.source, &token).await?;
            let (app_id, provider, identified) = (app.id, token.provider, id.clone());
            let found = self
                .read("social.find", move |readers| find_identity(readers, app_id, provider, &identified));
            let user = found.await?.ok_or(Refusal::AccountUnknown)?;
            if user.status == UserStatus::Suspended {
                return Err(Refusal::UserSuspended.into());
            }
            let binding = user.social.as_ref().is_some_and(|social| social.subject.is_none());
            // The provider verified the address by which the user was found.
            let user = User { email_verified: user.email_verified || binding, ..user };
            let tokens = self.issue_tokens(&app, &keys, &user).await?;
            let origin = self.origin(app_id, user.id, call.source)?;
            let detail = Some(provider.name().to_owned());
            let entry = self.entry(&Event { user_id: Some(user.id), detail, ..event.clone() })?;
            let now = self.inner.clock.now();
            let mark = self.mark_of(app_id, &id)?;
            let identity = SocialIdentity { provider, subject: Some(id.subject) };
            self.transact("social.login", move |repos| {
                // Changes while the token was verified.
                let fresh = repos.users().find(app_id, user.id)?;
                let is_same =
                    |fresh: &User| fresh.status == user.status && fresh.sessions.epoch == user.sessions.epoch;
                if !fresh.as_ref().is_some_and(is_same) {
                    return Err(Refusal::ProviderTokenInvalid.into());
                }
                use_up(repos, &mark)?;
                if binding && !repos.factors().set_subject(app_id, user.id, &identity)? {
                    return Err(ServiceError::from(Refusal::AccountUnknown));
                }
                record_success(repos, app_id, user.id, origin, None)?;
                note_login(repos, &user, now)?;
                Ok(repos.audit().add(&entry)?)
            })
            .await?;
            Ok(tokens)
        })
        .await
    }

    /// Verifies a provider's token for an application; wrong ones count against the address.
    async fn identify_by_provider(
        &self,
        app: &App,
        source: Source,
        token: &ProviderToken,
    ) -> Result<IdToken, ServiceError> {
        let login = offered(app, token.provider)?;
        let clock = &*self.inner.clock;
        let permit = self.inner.limits.reserve_failure(source, None, false, clock).await?;
        let nonce = token.nonce.as_deref();
        let verified = self.verify_provider_token(token.provider, login, &token.token, nonce).await;
        if matches!(verified, Err(ServiceError::Refused(Refusal::ProviderTokenInvalid))) {
            permit.fail(clock.now());
        }
        verified
    }

    /// Makes a user of a provider's identity.
    ///
    /// # Errors
    /// As [`Service::log_in_with_provider`]; where handle or identity have an account, how it signs in;
    /// [`Refusal::ProviderTokenInvalid`] also where the token's address is another or not verified;
    /// [`Refusal::InvalidData`] (locale), [`Refusal::MetadataInvalid`], [`Refusal::SignupOff`] where the
    /// application has all its users; [`ServiceError::TooMany`].
    pub async fn sign_up_with_provider(
        &self,
        call: Call<AppToken>,
        request: SocialSignUp,
    ) -> Result<Tokens, ServiceError> {
        let event = Event::of_call(Action::SocialSignup, &call, Some(&request.handle));
        self.audited(event, async |event| {
            let app_token = call.caller;
            let SocialSignUp { token, handle, metadata, locale } = request;
            let (now, wanted) = (self.inner.clock.now(), handle.clone());
            let (app, keys, existing, is_reserved) = self
                .read("social.sign_up.begin", move |readers| {
                    let app = find_app(readers.apps(), &app_token)?;
                    ensure_active(&app)?;
                    let keys = readers.apps().keys(app.id)?;
                    let existing = readers.users().find_by_handle(app.id, &wanted)?;
                    let is_reserved = is_reserved(readers.users(), &app, &wanted, now)?;
                    Ok((app, keys, existing, is_reserved))
                })
                .await?;
            offered(&app, token.provider)?;
            check_mailable(&self.inner.settings.mail, &handle)?;
            self.inner.limits.take(Rate::SignUp, call.source, now)?;
            let verified = self.identify_by_provider(&app, call.source, &token).await;
            if matches!(verified, Err(ServiceError::ProviderAway)) {
                self.inner.limits.give_back(Rate::SignUp, call.source);
            }
            let id = verified?;
            if !proves(&id, &handle) {
                return Err(Refusal::ProviderTokenInvalid.into());
            }
            // Only the owner of the address learns that it is taken. This is not a sign-up.
            if existing.is_some() || is_reserved {
                self.inner.limits.give_back(Rate::SignUp, call.source);
            }
            if let Some(existing) = existing {
                return Err(account_exists(&existing).into());
            }
            if is_reserved {
                return Err(Refusal::HandleAccountExists.into());
            }
            let locale = client_locale(&app, locale.as_deref());
            let metadata = app
                .settings
                .metadata
                .accept_at_signup(metadata.as_deref())
                .map_err(|error| ServiceError::metadata(&error))?;
            let mark = self.mark_of(app.id, &id)?;
            let identity = SocialIdentity { provider: token.provider, subject: Some(id.subject) };
            let id = UserId::generate(now, &*self.inner.entropy)?;
            let new = NewUser { id, handle, password: None, locale, metadata };
            let proven = ProvenUser { new, identity, mark };
            let added = self.add_social_user(&app, &keys, proven, call.source, event).await;
            if added.is_ok() {
                self.inner.limits.give_back(Rate::SignUp, call.source);
            }
            added
        })
        .await
    }

    async fn add_social_user(
        &self,
        app: &App,
        keys: &[AppKey],
        proven: ProvenUser,
        source: Source,
        event: &Event,
    ) -> Result<Tokens, ServiceError> {
        let now = self.inner.clock.now();
        let ProvenUser { new, identity, mark } = proven;
        let (id, locale) = (new.id, new.locale);
        let user =
            User { social: Some(identity.clone()), email_verified: true, ..new_user(app.id, new, now) };
        self.jwt_size().check(app, None, &user, now)?;
        let tokens = self.issue_tokens(app, keys, &user).await?;
        let (slot, welcomes) = self.welcomes(app, &user.handle, &[locale]).await?;
        let origin = self.origin(app.id, id, source)?;
        let detail = Some(identity.provider.name().to_owned());
        let entry = self.entry(&Event { user_id: Some(id), detail, ..event.clone() })?;
        let admission = self.admission(app, &user.handle)?;
        let named: [&[u8]; 2] =
            [identity.provider.name().as_bytes(), identity.subject.as_deref().unwrap_or_default().as_bytes()];
        let identity_gate = self.counter(app.id, "social.gate", &named, Duration::days(1))?;
        let added = self
            .transact("social.sign_up", move |repos| {
                repos.quotas().reserve(&identity_gate, u32::MAX)?;
                let subject = identity.subject.as_deref().unwrap_or_default();
                let by_identity = repos.users().find_by_subject(user.app_id, identity.provider, subject)?;
                let existing = match by_identity {
                    Some(other) => Some(other),
                    None => repos.users().find_by_handle(user.app_id, &user.handle)?,
                };
                if let Some(other) = existing.filter(|other| other.id != user.id) {
                    return Err(ServiceError::from(account_exists(&other)));
                }
                let app = repos.apps().find(user.app_id)?.ok_or(Refusal::AppGone)?;
                match admission.add(repos, &app, &user, now) {
                    // Perhaps by another identity of the same address, since we looked.
                    Err(ServiceError::Refused(Refusal::HandleTaken)) => {
                        let other = repos.users().find_by_handle(user.app_id, &user.handle)?;
                        let refusal = other.as_ref().map_or(Refusal::HandleAccountExists, account_exists);
                        return Err(refusal.into());
                    }
                    added => added?,
                }
                use_up(repos, &mark)?;
                record_success(repos, user.app_id, user.id, origin, None)?;
                // A pending sign-up with this address and a password has lost the race for it.
                for attempt in repos.signups().list(user.app_id, &user.handle)? {
                    repos.codes().remove_all(user.app_id, attempt.id.as_bytes())?;
                    repos.signups().remove(user.app_id, attempt.id)?;
                }
                welcomes.iter().try_for_each(|(_, mail)| repos.outbox().add(mail))?;
                Ok(repos.audit().add(&entry)?)
            })
            .await;
        self.settle_message(slot, added.map(|()| true)).await?;
        Ok(tokens)
    }

    /// Removes the caller's account; the token must be of the caller's own identity.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] for an account that logs in otherwise, [`Refusal::ProviderTokenInvalid`] also for the
    /// token of another user; as [`Service::log_in_with_provider`].
    pub async fn delete_account_with_provider(
        &self,
        call: Call<AccessToken>,
        token: String,
        nonce: Option<String>,
    ) -> Result<(), ServiceError> {
        let event = Event::of_call(Action::DeleteAccount, &call, None);
        self.audited(event, async |event| {
            let access = call.caller;
            let now = self.inner.clock.now();
            self.inner.limits.take_for(Rate::Write, access.app_id, access.user_id, now)?;
            let reading = access.clone();
            let found = self.read("social.delete.find", move |readers| find_user(readers, &reading));
            let (app, user) = found.await?;
            let Some(social) = user.social else { return Err(Refusal::InvalidData.into()) };
            let token = ProviderToken { provider: social.provider, token, nonce };
            let id = self.identify_by_provider(&app, call.source, &token).await?;
            if social.subject.as_deref() != Some(id.subject.as_str()) {
                return Err(Refusal::ProviderTokenInvalid.into());
            }
            let entry = self.entry(event)?;
            let recipient = self.recipient(&user.handle)?;
            self.transact("social.delete", move |repos| {
                let user = check_session(repos.users().find(access.app_id, access.user_id)?, &access)?;
                remove_user(repos, &app, &user, &recipient, now)?;
                Ok(repos.audit().add(&entry)?)
            })
            .await
        })
        .await
    }
}

/// Whether a token's verified address is this handle.
fn proves(id: &IdToken, handle: &Handle) -> bool {
    id.verified_email.as_deref().is_some_and(|email| handle.is_mailbox(email))
}

/// The user of an identity: by its subject; or by its verified address, where the user signs in with the same
/// provider and no subject was known.
fn find_identity(
    readers: &mut dyn Readers,
    app_id: AppId,
    provider: Provider,
    id: &IdToken,
) -> Result<Option<User>, ServiceError> {
    if let Some(user) = readers.users().find_by_subject(app_id, provider, &id.subject)? {
        return Ok(Some(user));
    }
    let handle = id.verified_email.as_deref().and_then(|email| Handle::parse(email).ok());
    let Some(handle) = handle else { return Ok(None) };
    let by_address = readers.users().find_by_handle(app_id, &handle)?.filter(|user| proves(id, &user.handle));
    let Some(user) = by_address else { return Ok(None) };
    match &user.social {
        Some(social) if social.provider == provider && social.subject.is_none() => Ok(Some(user)),
        // The address belongs to another user now.
        Some(social) if social.provider == provider => Ok(None),
        Some(_) | None => Err(account_exists(&user).into()),
    }
}
