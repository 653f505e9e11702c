//! Columns of users that hold second factors and social identities, and the table of recovery codes.

use diesel::prelude::*;
use latchkey_domain::{
    AppId, Authenticator, Factors, KeyedDigest, Named as _, Phone, Provider, Sealed, SocialIdentity, User,
    UserId,
};
use time::OffsetDateTime;

use super::connection::{Unit, in_app, on_backend};
use super::convert::{Column, to_stored_time};
use super::schema::{recovery_codes, users};
use crate::{FactorRepository, StorageError};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub(super) struct FactorColumns {
    given_phone: Option<String>,
    verified_phone: Option<String>,
    wants_sms: bool,
    totp_secret: Option<Vec<u8>>,
    totp_step: Option<i64>,
    totp_pending: Option<Vec<u8>>,
    factor_revision: i64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub(super) struct SocialColumns {
    provider: Option<String>,
    provider_subject: Option<String>,
}

impl FactorColumns {
    pub(super) fn of(factors: &Factors) -> Self {
        let bytes = |sealed: &Sealed| sealed.as_bytes().to_vec();
        let authenticator = factors.authenticator.as_ref();
        Self {
            given_phone: factors.given_phone.as_ref().map(|phone| phone.as_str().to_owned()),
            verified_phone: factors.verified_phone.as_ref().map(|phone| phone.as_str().to_owned()),
            wants_sms: factors.wants_sms,
            totp_secret: authenticator.map(|authenticator| bytes(&authenticator.secret)),
            totp_step: authenticator.and_then(|authenticator| stored_step(authenticator.last_step?)),
            totp_pending: factors.pending_authenticator.as_ref().map(bytes),
            factor_revision: factors.revision,
        }
    }

    pub(super) fn into_factors(self) -> Result<Factors, StorageError> {
        let phone = |name, text: Option<String>| {
            Column("users", name).parsed(text.as_deref().map(Phone::from_stored).transpose())
        };
        let last_step = self.totp_step.and_then(|step| u64::try_from(step).ok());
        Ok(Factors {
            given_phone: phone("given_phone", self.given_phone)?,
            verified_phone: phone("verified_phone", self.verified_phone)?,
            wants_sms: self.wants_sms,
            authenticator: self
                .totp_secret
                .map(|secret| Authenticator { secret: Sealed::from_bytes(secret), last_step }),
            pending_authenticator: self.totp_pending.map(Sealed::from_bytes),
            revision: self.factor_revision,
        })
    }
}

impl SocialColumns {
    pub(super) fn of(social: Option<&SocialIdentity>) -> Self {
        Self {
            provider: social.map(|identity| identity.provider.name().to_owned()),
            provider_subject: social.and_then(|identity| identity.subject.clone()),
        }
    }

    pub(super) fn into_identity(self) -> Result<Option<SocialIdentity>, StorageError> {
        let Some(name) = self.provider else { return Ok(None) };
        let provider = Provider::from_name(&name).ok_or_else(|| Column("users", "provider").wrong())?;
        Ok(Some(SocialIdentity { provider, subject: self.provider_subject }))
    }
}

fn stored_step(step: u64) -> Option<i64> {
    i64::try_from(step).ok()
}

impl FactorRepository for Unit<'_> {
    fn change(&mut self, user: &User, to: &Factors, now: OffsetDateTime) -> Result<bool, StorageError> {
        let (from, columns) = (&user.factors, FactorColumns::of(to));
        let changed = on_backend!(self, conn => diesel::update(in_app!(users, user.app_id))
            .filter(users::id.eq(user.id.as_bytes().as_slice()))
            .filter(users::factor_revision.eq(from.revision))
            .filter(users::epoch.eq(user.sessions.epoch))
            .set((
                users::given_phone.eq(&columns.given_phone),
                users::verified_phone.eq(&columns.verified_phone),
                users::wants_sms.eq(columns.wants_sms),
                users::totp_pending.eq(&columns.totp_pending),
                users::factor_revision.eq(from.revision + 1),
                users::updated_at.eq(to_stored_time(now)),
            ))
            .execute(conn))?;
        let secret = |factors: &Factors| factors.authenticator.as_ref().map(|own| own.secret.clone());
        if changed == 1 && secret(from) != secret(to) {
            on_backend!(self, conn => diesel::update(in_app!(users, user.app_id))
                .filter(users::id.eq(user.id.as_bytes().as_slice()))
                .set((
                    users::totp_secret.eq(&columns.totp_secret),
                    users::totp_step.eq(columns.totp_step),
                ))
                .execute(conn))?;
        }
        Ok(changed == 1)
    }

    fn accept_step(
        &mut self,
        app_id: AppId,
        id: UserId,
        secret: &Sealed,
        step: u64,
    ) -> Result<bool, StorageError> {
        let Some(step) = stored_step(step) else { return Ok(false) };
        let changed = on_backend!(self, conn => diesel::update(in_app!(users, app_id))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .filter(users::totp_secret.eq(secret.as_bytes()))
            .filter(users::totp_step.is_null().or(users::totp_step.lt(step)))
            .set(users::totp_step.eq(step))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn replace_recovery_codes(
        &mut self,
        app_id: AppId,
        id: UserId,
        digests: &[KeyedDigest],
    ) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(recovery_codes, app_id))
            .filter(recovery_codes::user_id.eq(id.as_bytes().as_slice()))
            .execute(conn))?;
        for digest in digests {
            on_backend!(self, conn => diesel::insert_into(recovery_codes::table)
                .values((
                    recovery_codes::app_id.eq(app_id.as_bytes().as_slice()),
                    recovery_codes::user_id.eq(id.as_bytes().as_slice()),
                    recovery_codes::digest.eq(digest.as_bytes().as_slice()),
                ))
                .on_conflict_do_nothing()
                .execute(conn))?;
        }
        Ok(())
    }

    fn use_recovery_code(
        &mut self,
        app_id: AppId,
        id: UserId,
        digest: &KeyedDigest,
    ) -> Result<bool, StorageError> {
        let used = on_backend!(self, conn => diesel::delete(in_app!(recovery_codes, app_id))
            .filter(recovery_codes::user_id.eq(id.as_bytes().as_slice()))
            .filter(recovery_codes::digest.eq(digest.as_bytes().as_slice()))
            .execute(conn))?;
        Ok(used == 1)
    }

    fn set_subject(
        &mut self,
        app_id: AppId,
        id: UserId,
        identity: &SocialIdentity,
    ) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(in_app!(users, app_id))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .filter(users::provider.eq(identity.provider.name()))
            .filter(users::provider_subject.is_null())
            .set((users::provider_subject.eq(&identity.subject), users::email_verified.eq(true)))
            .execute(conn))?;
        Ok(changed == 1)
    }
}
