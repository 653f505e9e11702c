//! The second half of a log-in: a login token and a code of the user's factor. Attempts are counted before a code is
//! checked: per log-in, per day, and in a row.

mod tries;

use latchkey_crypto::{LoginToken, SealContext};
use latchkey_domain::{
    App, AppId, Code, CodePurpose, Factor, RecoveryCode, TemplateName, TokenId, User, UserId, UserStatus,
};
use latchkey_storage::QuotaKey;
use time::Duration;

use crate::account::throttle::{AttemptGuard, Origin, forget_failures, note_login, record_success};
use crate::base::audit::{Action, Event};
use crate::base::caller::{AppOrUser, Call, ensure_active, find_app_of};
use crate::base::error::{Refusal, ServiceError};
use crate::base::signing::Tokens;
use crate::notify::mail::worded;
use crate::notify::sms::SmsPurpose;
use crate::protect::codes::CodeSubject;
use crate::service::Service;
use latchkey_domain::Source;
use tries::FactorTried;

/// The proof of a second factor.
#[derive(Debug, Clone)]
pub enum FactorCode {
    /// A code of an authenticator app, or one that came by SMS.
    Digits(Code),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl FactorCode {
    /// Parses what was typed: blanks and hyphens within the digits mean nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n' | '-')).collect();
        match Code::parse(&digits) {
            Ok(code) => Some(Self::Digits(code)),
            Err(_) => RecoveryCode::parse(text.trim()).map(Self::Recovery),
        }
    }

    /// A JSON integer: the zeros at its beginning were lost.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::parse(&format!("{number:06}"))
    }
}

/// The end of a log-in.
#[derive(Debug, Clone)]
pub struct CompleteLogIn {
    /// The login token.
    pub login_token: String,
    /// The code.
    pub code: FactorCode,
}

/// What such a value is sealed as.
pub(crate) const SEALED_AS: &str = "totp";

pub(crate) fn authenticator_of(app_id: AppId, user: &UserId) -> SealContext<'_> {
    SealContext { purpose: SEALED_AS, app_id, row: user.as_bytes() }
}

impl Service {
    /// Gives out a login token, and sends a code if the user's factor is a phone.
    pub(crate) async fn ask_second_factor(
        &self,
        app: &App,
        user: &User,
        source: Source,
        origin: Origin,
        counted: Option<AttemptGuard>,
        event: &Event,
    ) -> Result<String, ServiceError> {
        let now = self.inner.clock.now();
        let token = LoginToken {
            app_id: app.id,
            user_id: user.id,
            epoch: user.sessions.epoch,
            id: TokenId::generate(now, &*self.inner.entropy)?,
            issued_at: now,
            expires_at: now + self.inner.settings.factors.login_token_life,
        };
        let asks_phone = user.factors.asked(app.settings.two_factor) == Some(Factor::Phone);
        // Without an account recovery codes are left, and an operator.
        let can_send = self.sms_account(app)?.is_some();
        let phone = user.factors.sms_phone().filter(|_| asks_phone && can_send).cloned();
        let (mut slot, mut placing) = (None, None);
        if let Some(phone) = phone {
            let (app_id, locale) = (app.id, user.locale);
            let words = self.read("login.words", move |readers| {
                worded(readers.email_templates(), app_id, TemplateName::Sms, locale)
            });
            let words = words.await?;
            let subject = CodeSubject {
                app_id: app.id,
                purpose: CodePurpose::Login,
                handle: user.handle.clone(),
                id: *user.id.as_bytes(),
            };
            let source = self.code_source(app.id, source)?;
            let new_code = self.draw_code(&subject, &source, self.inner.settings.codes.sms_life)?;
            slot = self.reserve_sms(app, &phone, Some(user.id), SmsPurpose::LogIn).await?;
            let sms = self.code_sms(app, slot.as_ref(), &words, &phone, &user.handle, &new_code).await?;
            placing = Some((new_code, sms));
        }
        let asked = Event { action: Action::LoginAsked, user_id: Some(user.id), ..event.clone() };
        let entry = self.entry(&asked)?;
        let (rules, app_id, id) = (self.inner.settings.codes, app.id, user.id);
        let is_promised = self
            .transact("login.second_factor", move |repos| {
                forget_failures(repos, app_id, id, origin, counted.as_ref())?;
                let is_promised = match &placing {
                    Some((new_code, sms)) => new_code.place_and_send(repos, &rules, false, sms.as_ref())?,
                    None => false,
                };
                repos.audit().add(&entry)?;
                Ok(is_promised)
            })
            .await;
        self.settle_message(slot, is_promised).await?;
        Ok(self.key_ring().tokens().sign(&token)?)
    }

    /// Completes a log-in with the user's second factor.
    ///
    /// # Errors
    /// [`Refusal::CredentialsWrong`] for a login token that is not good here or was used, a wrong code, and
    /// where there were too many; [`Refusal::UserSuspended`]; [`Refusal::MetadataInvalid`].
    pub async fn complete_log_in(
        &self,
        call: Call<AppOrUser>,
        request: CompleteLogIn,
    ) -> Result<Tokens, ServiceError> {
        let event = Event::of_call(Action::LoginComplete, &call, None);
        self.audited(event, async |event| {
            let now = self.inner.clock.now();
            let caller = call.caller.clone();
            let app = self.read("login.complete.app", move |readers| find_app_of(readers, &caller));
            let app = app.await?;
            let wrong = || ServiceError::from(Refusal::CredentialsWrong);
            let token: LoginToken =
                self.key_ring().tokens().verify(&request.login_token, now).map_err(|_| wrong())?;
            if token.app_id != app.id {
                return Err(wrong());
            }
            let clock = &*self.inner.clock;
            let permit = self.inner.limits.reserve_failure(call.source, None, false, clock).await?;
            let event = Event { user_id: Some(token.user_id), ..event.clone() };
            let completed = self.try_completing(&app, call.source, &token, request.code, &event).await;
            if matches!(completed, Err(ServiceError::Refused(Refusal::CredentialsWrong))) {
                permit.fail(clock.now());
            }
            let (app, user) = completed?;
            let id = app.id;
            let keys = self.read("login.complete.keys", move |readers| Ok(readers.apps().keys(id)?));
            self.issue_tokens(&app, &keys.await?, &user).await
        })
        .await
    }

    /// Meets the challenge of a login token, once, and gives application and user as they are then.
    async fn try_completing(
        &self,
        app: &App,
        source: Source,
        token: &LoginToken,
        code: FactorCode,
        event: &Event,
    ) -> Result<(App, User), ServiceError> {
        let now = self.inner.clock.now();
        let (app_id, id, epoch) = (app.id, token.user_id, token.epoch);
        let challenge: [&[u8]; 1] = [token.id.as_bytes()];
        let life = self.inner.settings.factors.login_token_life + Duration::minutes(1);
        let mut used = self.counter(app_id, "factor.login.used", &challenge, life)?;
        (used.period, used.expires_at) = (0, token.expires_at + Duration::minutes(1));
        let tries = QuotaKey { kind: "factor.login.tries", ..used.clone() };
        let user = self.read("login.complete.user", move |readers| Ok(readers.users().find(app_id, id)?));
        let user =
            user.await?.filter(|user| user.sessions.epoch == epoch).ok_or(Refusal::CredentialsWrong)?;
        let attempt = self.factor_try(app, &user, source, code, Some(tries))?;
        let origin = self.origin(app_id, id, source)?;
        let entry = self.entry(event)?;
        let recovered = self.entry(&Event { detail: Some("recovery code".to_owned()), ..event.clone() })?;
        let service = self.clone();
        let tried = self
            .transact("login.complete", move |repos| {
                // Concurrent callers with the same login token wait here for the outcome.
                if !repos.quotas().reserve(&used, 1)? {
                    return Err(ServiceError::from(Refusal::CredentialsWrong));
                }
                let app = repos.apps().find(app_id)?.ok_or(Refusal::AppGone)?;
                ensure_active(&app)?;
                let user = repos.users().find(app_id, id)?.filter(|user| user.sessions.epoch == epoch);
                let user = user.ok_or(Refusal::CredentialsWrong)?;
                if user.status == UserStatus::Suspended {
                    return Err(Refusal::UserSuspended.into());
                }
                // The factor may have been disabled since: the password is required again.
                if user.factors.asked(app.settings.two_factor).is_none() {
                    return Err(Refusal::CredentialsWrong.into());
                }
                let tried = service.try_factor(repos, &user, &attempt, now)?;
                match tried {
                    FactorTried::Right { is_recovery } => {
                        record_success(repos, app_id, id, origin, None)?;
                        note_login(repos, &user, now)?;
                        repos.audit().add(if is_recovery { &recovered } else { &entry })?;
                    }
                    FactorTried::Wrong { .. } => repos.quotas().give_back(&used)?,
                }
                Ok((app, user, tried))
            })
            .await;
        let (app, user, tried) = tried?;
        self.settle_factor_try(&app, &user, tried).await?;
        Ok((app, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_033_a_code_of_an_authenticator_may_come_as_a_number_or_with_blanks() {
        let digits = |code: Option<FactorCode>| match code {
            Some(FactorCode::Digits(code)) => code.expose().to_owned(),
            _ => String::new(),
        };
        for typed in [
            "012345",
            " 012 345 ",
            "012-345",
            "0 1 2 3 4 5",
            "\u{ff10}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}",
        ] {
            assert_eq!(digits(FactorCode::parse(typed)), "012345", "{typed}");
        }
        assert_eq!(digits(FactorCode::from_number(12_345)), "012345");
        assert_eq!(digits(FactorCode::from_number(0)), "000000");
        for wrong in
            ["", "12345", "123456789", "12345a", "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}", "1e5000"]
        {
            assert!(FactorCode::parse(wrong).is_none(), "{wrong}");
        }
        assert!(FactorCode::from_number(123_456_789).is_none());
        let recovery = FactorCode::parse("ABCD-efgh-ijkl-mn23").unwrap();
        assert!(matches!(recovery, FactorCode::Recovery(code) if code.expose() == "abcdefghijklmn23"));
    }
}
