//! What all ways to become a user share.

use latchkey_crypto::is_common_password;
use latchkey_domain::{
    App, AppId, ClientPassword, Factors, Handle, KeyedDigest, Locale, LoginRecord, Metadata, Sealed,
    Sessions, User, UserId, UserStatus,
};
use latchkey_storage::{QuotaKey, Repositories};
use time::{Duration, OffsetDateTime};

use crate::{Refusal, ServiceError};

/// Adds a user, if the application may have one more.
pub(crate) fn add_within_limit(
    repos: &mut dyn Repositories,
    user: &User,
    limit: Option<u32>,
    now: OffsetDateTime,
) -> Result<(), ServiceError> {
    if let Some(limit) = limit {
        // Whoever counts must be alone: this row is written first, so that the next one waits for our commit.
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

/// A user who has shown that the handle is theirs.
pub(crate) fn new_user(
    app_id: AppId,
    handle: Handle,
    (id, password, locale, metadata): (UserId, Option<Sealed>, Locale, Metadata),
    now: OffsetDateTime,
) -> User {
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
        factors: Factors::default(),
        is_administrator: false,
        social: None,
    }
}

/// The locale that was asked for, if the application offers it.
pub(crate) fn offered_locale(app: &App, wanted: Option<&str>) -> Result<Locale, ServiceError> {
    let wanted = wanted.filter(|text| !text.is_empty()).map_or(Ok(Locale::EN), Locale::parse);
    let is_offered = |locale: &Locale| *locale == Locale::EN || app.settings.locales.contains(locale);
    wanted.ok().filter(is_offered).ok_or_else(|| ServiceError::invalid("the app does not offer this locale"))
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
