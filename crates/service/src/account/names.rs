//! Adding users: the rules and the one unit of work that every way to become a user shares.

use latchkey_crypto::is_common_password;
use latchkey_domain::{
    App, AppId, ClientPassword, Factors, Handle, KeyedDigest, Locale, LoginRecord, Metadata, Sealed,
    Sessions, User, UserId, UserIdFormat, UserName, UserStatus, max_users,
};
use latchkey_storage::{QuotaKey, Repositories, UserReader};
use time::{Duration, OffsetDateTime};

use crate::base::error::{Refusal, ServiceError};
use crate::service::Service;

/// Whether an unused handle is taken anyway: held for a deleted user, equal to a user name (both would log in with the
/// same text), or giving the `sub` of another user's tokens.
pub(crate) fn is_reserved(
    users: &mut (impl UserReader + ?Sized),
    app: &App,
    handle: &Handle,
    now: OffsetDateTime,
) -> Result<bool, ServiceError> {
    if users.is_held(app.id, handle, now)? {
        return Ok(true);
    }
    // By the key: look-alike spellings of a user name are found as well.
    if let Ok(name) = UserName::parse(handle.key())
        && users.find_by_user_name(app.id, &name)?.is_some()
    {
        return Ok(true);
    }
    subject_owner(users, app, handle).map(|owner| owner.is_some())
}

/// Whether a handle cannot be given to a new user. Use cases look before they do expensive work; [`Admission::add`] decides.
pub(crate) fn is_taken(
    users: &mut (impl UserReader + ?Sized),
    app: &App,
    handle: &Handle,
    now: OffsetDateTime,
) -> Result<bool, ServiceError> {
    Ok(users.find_by_handle(app.id, handle)?.is_some() || is_reserved(users, app, handle, now)?)
}

/// The user whose tokens have the `sub` that this handle would give, where two handles can give the same one.
pub(crate) fn subject_owner(
    users: &mut (impl UserReader + ?Sized),
    app: &App,
    handle: &Handle,
) -> Result<Option<User>, ServiceError> {
    match app.settings.user_id_format {
        UserIdFormat::HandleUnderscore => Ok(users.find_by_underscored(app.id, &handle.underscored())?),
        UserIdFormat::Handle | UserIdFormat::Uid => Ok(None),
    }
}

/// What adding a user needs, computed before the unit of work.
pub(crate) struct Admission {
    gates: Vec<QuotaKey>,
    limit: Option<u32>,
}

impl Service {
    /// Prepares to add a user with this handle.
    pub(crate) fn admission(&self, app: &App, handle: &Handle) -> Result<Admission, ServiceError> {
        let mut gates = vec![self.name_gate(app.id, handle.key())?];
        if app.settings.user_id_format == UserIdFormat::HandleUnderscore {
            let subject = handle.underscored();
            gates.push(self.counter(app.id, "subs.gate", &[subject.as_bytes()], Duration::days(1))?);
        }
        Ok(Admission { gates, limit: max_users(app, self.inner.settings.mode) })
    }

    /// The counter that is written before a text is taken as handle or user name, so that concurrent callers wait.
    pub(crate) fn name_gate(&self, app_id: AppId, text: &str) -> Result<QuotaKey, ServiceError> {
        self.counter(app_id, "names.gate", &[text.as_bytes()], Duration::days(1))
    }
}

impl Admission {
    /// Adds a user, whichever use case makes them. `app` was read in this unit of work.
    ///
    /// # Errors
    /// [`Refusal::HandleTaken`]; [`Refusal::SignupOff`] when the application has all its users.
    pub(crate) fn add(
        &self,
        repos: &mut dyn Repositories,
        app: &App,
        user: &User,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        for gate in &self.gates {
            repos.quotas().reserve(gate, u32::MAX)?;
        }
        if is_reserved(repos.users(), app, &user.handle, now)? {
            return Err(Refusal::HandleTaken.into());
        }
        if let Some(limit) = self.limit {
            // Counting must be exclusive: this row is written first, so that concurrent callers wait for the commit.
            let subject = KeyedDigest::from_bytes([0; 32]);
            let expires_at = now + Duration::days(1);
            let gate = QuotaKey { app_id: user.app_id, kind: "users.gate", subject, period: 0, expires_at };
            repos.quotas().reserve(&gate, u32::MAX)?;
            let is_there = repos.users().find(user.app_id, user.id)?.is_some();
            if !is_there && repos.users().are_at_least(user.app_id, limit)? {
                return Err(Refusal::SignupOff.into());
            }
        }
        if repos.users().add(user)? { Ok(()) } else { Err(Refusal::HandleTaken.into()) }
    }
}

/// What is known of a new user.
#[derive(Clone)]
pub(crate) struct NewUser {
    pub(crate) id: UserId,
    pub(crate) handle: Handle,
    pub(crate) password: Option<Sealed>,
    pub(crate) locale: Locale,
    pub(crate) metadata: Metadata,
}

/// A new user whose address is not verified.
pub(crate) fn new_user(app_id: AppId, new: NewUser, now: OffsetDateTime) -> User {
    let NewUser { id, handle, password, locale, metadata } = new;
    User {
        app_id,
        id,
        handle,
        user_name: None,
        status: UserStatus::Active,
        password,
        locale,
        metadata,
        sessions: Sessions::FIRST,
        created_at: now,
        updated_at: now,
        last_login_at: Some(now),
        login: LoginRecord::default(),
        email_verified: false,
        factors: Factors::default(),
        is_administrator: false,
        social: None,
        revision: 0,
    }
}

/// The requested locale, if the application offers it.
pub(crate) fn offered_locale(app: &App, wanted: Option<&str>) -> Result<Locale, ServiceError> {
    let wanted = wanted.filter(|text| !text.is_empty()).map_or(Ok(Locale::EN), Locale::parse);
    let is_offered = |locale: &Locale| *locale == Locale::EN || app.settings.locales.contains(locale);
    wanted.ok().filter(is_offered).ok_or_else(|| ServiceError::invalid("the app does not offer this locale"))
}

/// The locale of a client's device, such as `en-US` or `zh-Hans` (RFC 5646): its language if the application offers it,
/// else English.
pub(crate) fn client_locale(app: &App, sent: Option<&str>) -> Locale {
    let language = sent.and_then(|text| text.trim().split(['-', '_', '.', '@']).next());
    let language = language.and_then(|language| Locale::parse(language).ok());
    language.filter(|locale| app.settings.locales.contains(locale)).unwrap_or(Locale::EN)
}

/// Whether a password is one that everybody uses, or made of names.
pub(crate) fn is_guessable(password: &ClientPassword, app: &App, handle: &Handle) -> bool {
    let mut words = vec![app.name.as_str(), handle.as_str()];
    words.extend(handle.as_str().split(['@', '.', '+', '-', '_']).filter(|part| !part.is_empty()));
    if let Some((local, domain)) = handle.as_str().split_once('@') {
        words.extend([local, domain]);
    }
    is_common_password(password, &words)
}
