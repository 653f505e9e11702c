//! One entry of the audit log per act. A success is written in the unit of work that it tells of; a refusal
//! in one of its own.

use latchkey_domain::{Actor, AppId, AuditEntry, AuditId, Handle, Named as _, Source, UserId, masked};
use latchkey_storage::Repositories;
use time::Duration;

use crate::base::caller::{Call, Identity};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::service::Service;

/// What is logged. The names are stored, and frozen by a test: those of endpoints are as their paths have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "camelCase")]
pub(crate) enum Action {
    AddRemoveLocaleEmailTemplate,
    AddUser,
    ChangePassword,
    CompleteSignup,
    ConfirmTwoFactorGoogleVerification,
    Create,
    CreateAppInvite,
    CreateOperatorToken,
    Delete,
    DeleteAccount,
    DeleteMetadata,
    ExportAppDatabase,
    ExportLogs,
    ForgotPassword,
    ImportDatabase,
    ImportUsers,
    Invite,
    Login,
    LoginAnonymous,
    LoginComplete,
    NewRecoveryCodes,
    RegenerateAppKey,
    RegenerateAppToken,
    Register,
    RemoveAppInvite,
    RemoveAppSignup,
    RemoveUser,
    ResendAppInvite,
    ResetApp,
    ResetPassword,
    ResetSecondFactor,
    ResetUserPassword,
    RetryMessage,
    RetryMessages,
    RevokeOperatorToken,
    RotateAppKey,
    RotateMasterKey,
    RotateServerKeys,
    RunJobs,
    SetAdministrator,
    SetAppData,
    SetIssuer,
    SetLocale,
    SetPhone,
    SetTwoFactorGoogleVerification,
    SetTwoFactorPhoneVerification,
    SetUserMetadata,
    SetUserName,
    SignOutUser,
    Signup,
    SocialLogin,
    SocialSignup,
    SuperUserToken,
    TestAppTwilio,
    TestExtensionService,
    TrustOldServer,
    UnlockUser,
    Update,
    #[strum(serialize = "updateAppInviteMetaData")]
    UpdateAppInviteMetadata,
    #[strum(serialize = "updateAppMetaData")]
    UpdateAppMetadata,
    UpdateAppSetting,
    UpdateAppUser,
    #[strum(serialize = "updateAppUserMetaData")]
    UpdateAppUserMetadata,
    UpdateEmailTemplate,
    VerifyPhone,
    #[strum(serialize = "factor.disabled")]
    FactorDisabled,
    #[strum(serialize = "login.asked")]
    LoginAsked,
    #[strum(serialize = "login.locked")]
    LoginLocked,
    #[strum(serialize = "login.spray")]
    LoginSpray,
    #[strum(serialize = "mail.sent")]
    MailSent,
    #[strum(serialize = "mail.expired")]
    MailExpired,
    #[strum(serialize = "mail.dead")]
    MailDead,
    #[strum(serialize = "portal.createAdministrator")]
    PortalCreateAdministrator,
    #[strum(serialize = "portal.endLogin")]
    PortalEndLogin,
    #[strum(serialize = "portal.passwordChange")]
    PortalPasswordChange,
    #[strum(serialize = "portal.passwordReset")]
    PortalPasswordReset,
    #[strum(serialize = "portal.setup")]
    PortalSetup,
    #[strum(serialize = "portal.signIn")]
    PortalSignIn,
    #[strum(serialize = "portal.signOut")]
    PortalSignOut,
    #[strum(serialize = "rotateServerKeys.done")]
    RotateServerKeysDone,
    #[strum(serialize = "signup.atOnce")]
    SignupAtOnce,
    #[strum(serialize = "sms.sent")]
    SmsSent,
    #[strum(serialize = "sms.expired")]
    SmsExpired,
    #[strum(serialize = "sms.dead")]
    SmsDead,
    #[strum(serialize = "sms.withheld")]
    SmsWithheld,
}

/// An action that is about to happen.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) action: Action,
    pub(crate) app_id: AppId,
    pub(crate) actor: Actor,
    pub(crate) actor_name: Option<String>,
    pub(crate) user_id: Option<UserId>,
    pub(crate) handle: Option<String>,
    pub(crate) source: Option<Source>,
    pub(crate) detail: Option<String>,
}

impl Event {
    /// An action of a client or a user.
    pub(crate) fn of_call(action: Action, call: &Call<impl Identity>, handle: Option<&Handle>) -> Self {
        let user_id = call.caller.user_id();
        Self {
            actor: if user_id.is_some() { Actor::User } else { Actor::Client },
            user_id,
            handle: handle.map(masked),
            source: Some(call.source),
            ..Self::of_server(action, call.caller.app_id())
        }
    }

    /// An action of an operator.
    pub(crate) fn of_operator(action: Action, app_id: AppId, operator: &Operator) -> Self {
        Self {
            actor: Actor::Operator,
            actor_name: Some(operator.name.clone()),
            source: operator.source,
            ..Self::of_server(action, app_id)
        }
    }

    /// An action of the server itself.
    pub(crate) fn of_server(action: Action, app_id: AppId) -> Self {
        Self {
            action,
            app_id,
            actor: Actor::Server,
            actor_name: None,
            user_id: None,
            handle: None,
            source: None,
            detail: None,
        }
    }
}

/// How many refusals of one address are listed in an hour for an application: the log must not grow with what strangers
/// send.
const MOST_REFUSALS: u32 = 200;

impl Service {
    /// The audit entry of a completed action, to be added in its unit of work.
    pub(crate) fn entry(&self, event: &Event) -> Result<AuditEntry, ServiceError> {
        self.entry_with(event, "ok")
    }

    fn entry_with(&self, event: &Event, result: &str) -> Result<AuditEntry, ServiceError> {
        let now = self.inner.clock.now();
        Ok(AuditEntry {
            app_id: event.app_id,
            id: AuditId::generate(now, &*self.inner.entropy)?,
            action: event.action.name().to_owned(),
            result: result.to_owned(),
            actor: event.actor,
            actor_name: event.actor_name.clone(),
            user_id: event.user_id,
            handle: event.handle.clone(),
            address: event.source.map(Source::address),
            detail: event.detail.clone(),
            created_at: now,
        })
    }

    /// Runs an action, which adds its own entry, and records its refusal in the audit log.
    pub(crate) async fn audited<T>(
        &self,
        event: Event,
        work: impl AsyncFnOnce(&Event) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let result = work(&event).await;
        if let Some(refusal) = result.as_ref().err().and_then(ServiceError::refusal) {
            self.record_refusal(&event, refusal).await?;
        }
        result
    }

    /// Runs an action that is one unit of work, and adds its entry to that unit, or records its refusal.
    pub(crate) async fn audited_unit<T: Send + 'static>(
        &self,
        event: Event,
        name: &'static str,
        work: impl Fn(&mut dyn Repositories) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let entry = self.entry(&event)?;
        let unit = self.transact(name, move |repos| {
            let done = work(repos)?;
            repos.audit().add(&entry)?;
            Ok(done)
        });
        self.audited(event, async |_| unit.await).await
    }

    /// Adds the entry of an action that needs no unit of its own.
    pub(crate) async fn record(&self, event: &Event) -> Result<(), ServiceError> {
        let entry = self.entry(event)?;
        self.transact("audit.record", move |repos| Ok(repos.audit().add(&entry)?)).await
    }

    /// Adds the entry of a refusal. Throttled calls are not recorded, since the log would grow with them; neither are
    /// more than [`MOST_REFUSALS`] of one address. A failure to write the entry is only logged.
    async fn record_refusal(&self, event: &Event, refusal: Refusal) -> Result<(), ServiceError> {
        // Nothing is known of an application that is not there.
        if matches!(refusal, Refusal::AppGone | Refusal::UnknownApp) {
            return Ok(());
        }
        let entry = self.entry_with(event, refusal.name())?;
        let address = event.source.map(|source| source.prefix().to_canonical_bytes());
        let counter = address.map(|address| {
            self.counter(event.app_id, "audit.refusals", &[address.as_slice()], Duration::hours(1))
        });
        let counter = counter.transpose()?;
        let written = self.transact("audit.refusal", move |repos| {
            let mut entry = entry.clone();
            if let Some(counter) = &counter {
                if !repos.quotas().reserve(counter, MOST_REFUSALS)? {
                    return Ok(());
                }
                if repos.quotas().used(counter)? == MOST_REFUSALS {
                    let told = "further refusals of this address are not listed for up to an hour";
                    entry.detail =
                        Some(entry.detail.map_or(told.to_owned(), |detail| format!("{detail}; {told}")));
                }
            }
            Ok(repos.audit().add(&entry)?)
        });
        if let Err(error) = written.await {
            tracing::warn!(%error, "a refusal could not be logged");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_actions_are_frozen_since_they_are_stored() {
        assert_eq!(
            Action::names(),
            "addRemoveLocaleEmailTemplate, addUser, changePassword, completeSignup, \
             confirmTwoFactorGoogleVerification, create, createAppInvite, createOperatorToken, delete, \
             deleteAccount, deleteMetadata, exportAppDatabase, exportLogs, forgotPassword, importDatabase, \
             importUsers, invite, login, loginAnonymous, loginComplete, newRecoveryCodes, regenerateAppKey, \
             regenerateAppToken, register, removeAppInvite, removeAppSignup, removeUser, resendAppInvite, \
             resetApp, resetPassword, resetSecondFactor, resetUserPassword, retryMessage, retryMessages, \
             revokeOperatorToken, rotateAppKey, rotateMasterKey, rotateServerKeys, runJobs, \
             setAdministrator, setAppData, setIssuer, setLocale, setPhone, setTwoFactorGoogleVerification, \
             setTwoFactorPhoneVerification, setUserMetadata, setUserName, signOutUser, signup, socialLogin, \
             socialSignup, superUserToken, testAppTwilio, testExtensionService, trustOldServer, unlockUser, \
             update, updateAppInviteMetaData, updateAppMetaData, updateAppSetting, updateAppUser, \
             updateAppUserMetaData, updateEmailTemplate, verifyPhone, factor.disabled, login.asked, \
             login.locked, login.spray, mail.sent, mail.expired, mail.dead, portal.createAdministrator, \
             portal.endLogin, portal.passwordChange, portal.passwordReset, portal.setup, portal.signIn, \
             portal.signOut, rotateServerKeys.done, signup.atOnce, sms.sent, sms.expired, sms.dead, sms.withheld"
        );
    }
}
