//! Enrolling and removing second factors. Removing or replacing a protection requires a recent log-in or a code, if the
//! application demands it.

use latchkey_crypto::{AccessToken, TotpSecret};
use latchkey_domain::{
    App, Authenticator, Code, CodePurpose, Factor, Factors, Handle, KeyedDigest, Named as _, OutboxMessage,
    RECOVERY_CODES, RecoveryCode, Sealed, TemplateName, TwoFactorMode, User, UserKey, has_passed,
};
use latchkey_notifiers::{MessageKind, authenticator_uri, qr_png};
use latchkey_storage::Repositories;
use time::{Duration, OffsetDateTime};

use crate::account::second_factor::{FactorCode, authenticator_of};
use crate::base::audit::{Action, Event};
use crate::base::caller::{Call, check_session, ensure_active, find_user};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::base::retry::retry;
use crate::notify::mail::{Notice, built_in, worded};
use crate::protect::rates::Rate;
use crate::service::Service;

/// How long a mailed picture may wait for a mail server.
const PICTURE_LIFE: Duration = Duration::hours(1);
/// How long after the proof that it took a new authenticator may be confirmed.
const LATE_CONFIRMATION: Duration = Duration::hours(1);
/// Wrong first codes of a new authenticator in a day.
const WRONG_CONFIRMATIONS: u32 = 20;

/// A change of the caller's second factors.
#[derive(Debug, Clone)]
pub struct ChangeFactor {
    /// Whether to enrol or to remove.
    pub enrol: bool,
    /// Which; none for the one of the application's mode, or, to remove, for all.
    pub factor: Option<Factor>,
    /// A current code, as an alternative to a recent log-in.
    pub code: Option<FactorCode>,
    /// Which of the two endpoints was called: it decides how a refusal is called.
    pub endpoint: Factor,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Enrolled {
    /// The secret of a new authenticator, in groups of four, and its QR code (PNG).
    Secret(String, Vec<u8>),
    /// Nothing that is to be shown.
    Done,
}

/// The subject of a change.
pub(crate) enum Changed {
    Factors,
    RecoveryCodes(Vec<KeyedDigest>),
}

/// A new secret with everything that is made of it.
struct NewSecret {
    sealed: Sealed,
    groups: String,
    picture: Vec<u8>,
}

/// The proof that it is the user who changes their factors.
#[derive(Clone)]
pub(crate) struct Proof {
    pub(crate) token: AccessToken,
    is_good: bool,
}

impl Proof {
    /// Refuses to change a user's protection without sufficient proof.
    pub(crate) fn check(&self, app: &App) -> Result<(), Refusal> {
        let is_needed = app.settings.factor_change_needs_login;
        if is_needed && !self.is_good { Err(Refusal::AccessTokenInvalid) } else { Ok(()) }
    }
}

fn not_offered(factor: Factor) -> Refusal {
    match factor {
        Factor::Authenticator => Refusal::NoAuthenticator,
        Factor::Phone => Refusal::NoPhoneFactor,
    }
}

impl Service {
    /// Enrols a second factor of the caller, or removes it.
    ///
    /// # Errors
    /// [`Refusal::NoAuthenticator`] or [`Refusal::NoPhoneFactor`] where the application offers none;
    /// [`Refusal::PhoneNotVerified`]; [`Refusal::AccessTokenInvalid`] where the log-in is too long ago and no
    /// code was sent; [`Refusal::CredentialsWrong`] for a wrong one.
    pub async fn change_factor(
        &self,
        call: Call<AccessToken>,
        change: ChangeFactor,
    ) -> Result<Enrolled, ServiceError> {
        let action = match change.endpoint {
            Factor::Authenticator => Action::SetTwoFactorGoogleVerification,
            Factor::Phone => Action::SetTwoFactorPhoneVerification,
        };
        let event = Event::of_call(action, &call, None);
        self.audited(event, async |event| {
            let (app, user, proof) = self.begin_change(&call, change.code.clone()).await?;
            let ChangeFactor { enrol, factor, endpoint, .. } = change;
            let default = match app.settings.two_factor {
                TwoFactorMode::None => return Err(not_offered(endpoint).into()),
                TwoFactorMode::Authenticator => Factor::Authenticator,
                TwoFactorMode::Phone => Factor::Phone,
            };
            let mut event = event.clone();
            event.detail =
                Some(format!("{} {}", if enrol { "on" } else { "off" }, factor.unwrap_or(default).name()));
            if !enrol {
                self.change_factors(&app, &user, proof, &event, Vec::new(), move |_, _, factors| {
                    if factor != Some(Factor::Phone) {
                        factors.authenticator = None;
                        factors.pending_authenticator = None;
                    }
                    if factor != Some(Factor::Authenticator) {
                        factors.wants_sms = false;
                    }
                    Ok(Changed::Factors)
                })
                .await?;
                return Ok(Enrolled::Done);
            }
            match factor.unwrap_or(default) {
                Factor::Phone => {
                    self.change_factors(&app, &user, proof, &event, Vec::new(), move |_, app, factors| {
                        if !app.settings.two_factor.offers(Factor::Phone) {
                            return Err(Refusal::NoPhoneFactor.into());
                        }
                        if !factors.is_phone_verified() {
                            return Err(Refusal::PhoneNotVerified.into());
                        }
                        factors.wants_sms = true;
                        Ok(Changed::Factors)
                    })
                    .await?;
                    Ok(Enrolled::Done)
                }
                Factor::Authenticator => {
                    let new = self.new_secret(&app, &user).await?;
                    let (is_live, sealed) = (!app.settings.two_factor_confirm, new.sealed);
                    let picture = if app.settings.qr_code_mail { Some(new.picture.clone()) } else { None };
                    self.enrol_authenticator(&app, &user, proof, &event, picture, move |_, app, factors| {
                        if !app.settings.two_factor.offers(Factor::Authenticator) {
                            return Err(Refusal::NoAuthenticator.into());
                        }
                        if is_live {
                            factors.authenticator =
                                Some(Authenticator { secret: sealed.clone(), last_step: None });
                            factors.pending_authenticator = None;
                        } else {
                            factors.pending_authenticator = Some(sealed.clone());
                        }
                        Ok(Changed::Factors)
                    })
                    .await?;
                    Ok(Enrolled::Secret(new.groups, new.picture))
                }
            }
        })
        .await
    }

    /// Draws a secret: it is shown once.
    async fn new_secret(&self, app: &App, user: &User) -> Result<NewSecret, ServiceError> {
        let entropy = &*self.inner.entropy;
        let secret = TotpSecret::generate(entropy)?;
        let context = authenticator_of(app.id, &user.id);
        let sealed = self.key_ring().seal(&context, secret.as_bytes(), entropy)?;
        let key = secret.to_base32();
        let issuer = app.settings.authenticator_heading.as_deref().unwrap_or(app.name.as_str());
        let uri = authenticator_uri(issuer, user.handle.as_str(), &key);
        let drawing = move || qr_png(&uri).map_err(|error| ServiceError::Internal(error.into()));
        let picture = self.off_thread(drawing).await?;
        let letters: Vec<char> = key.to_lowercase().chars().collect();
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        Ok(NewSecret { sealed, groups: groups.join(" "), picture })
    }

    /// Changes the factors, and mails the picture of a new secret where there is one.
    async fn enrol_authenticator(
        &self,
        app: &App,
        user: &User,
        proof: Proof,
        event: &Event,
        picture: Option<Vec<u8>>,
        change: impl Fn(&mut dyn Repositories, &App, &mut Factors) -> Result<Changed, ServiceError>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), ServiceError> {
        let Some(picture) = picture else {
            return self.change_factors(app, user, proof, event, Vec::new(), change).await;
        };
        let (app_id, locale) = (app.id, user.locale);
        let words = self.read("factor.words", move |readers| {
            worded(readers.email_templates(), app_id, TemplateName::QrCode, locale)
        });
        let words = words.await?;
        let slot = self.reserve_mail(app.id, &user.handle).await?;
        let expires_at = self.inner.clock.now() + PICTURE_LIFE;
        let mail = self.picture_mail(app, slot.as_ref(), &words, &user.handle, picture, expires_at).await?;
        let is_promised = mail.is_some();
        let mails = mail.into_iter().collect();
        let changed = self.change_factors(app, user, proof, event, mails, change).await;
        self.settle_message(slot, changed.map(|()| is_promised)).await
    }

    /// Confirms a new authenticator with its first code: from now on it is required.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] for a wrong code, or where nothing waits for one; [`Refusal::AccessTokenInvalid`] where
    /// the log-in is too long ago.
    pub async fn confirm_authenticator(
        &self,
        call: Call<AccessToken>,
        code: Code,
    ) -> Result<(), ServiceError> {
        let event = Event::of_call(Action::ConfirmTwoFactorGoogleVerification, &call, None);
        self.audited(event, async |event| {
            let (app, user, proof) = self.begin_change(&call, None).await?;
            let pending = user.factors.pending_authenticator.clone().ok_or(Refusal::InvalidData)?;
            let counter = self.counter(app.id, "factor.confirm", &[user.id.as_bytes()], Duration::days(1))?;
            let reserved = counter.clone();
            let may_try = self.transact("factor.confirm.count", move |repos| {
                Ok(repos.quotas().reserve(&reserved, WRONG_CONFIRMATIONS)?)
            });
            let step = if may_try.await? {
                self.authenticator_step(&user, &pending, &code, self.inner.clock.now())?
            } else {
                None
            };
            let step = step.ok_or(Refusal::InvalidData)?;
            // Requesting the secret required the proof; its first code may follow an hour later.
            let longest = self.inner.settings.factors.recent_login + LATE_CONFIRMATION;
            let is_late = has_passed(longest, proof.token.issued_at, self.inner.clock.now());
            let proof = Proof { is_good: proof.is_good || !is_late, ..proof };
            self.change_factors(&app, &user, proof, event, Vec::new(), move |repos, app, factors| {
                if !app.settings.two_factor.offers(Factor::Authenticator) {
                    return Err(Refusal::NoAuthenticator.into());
                }
                let waiting = factors.pending_authenticator.take().filter(|sealed| *sealed == pending);
                let secret = waiting.ok_or(Refusal::InvalidData)?;
                // Its first code is used up by this.
                factors.authenticator = Some(Authenticator { secret, last_step: Some(step) });
                repos.quotas().reset(&counter)?;
                Ok(Changed::Factors)
            })
            .await
        })
        .await
    }

    /// Draws new recovery codes: the older ones are worth nothing then.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] where no factor is enrolled, [`Refusal::AccessTokenInvalid`] where the log-in is
    /// too long ago and no code was sent, [`Refusal::CredentialsWrong`] for a wrong one.
    pub async fn new_recovery_codes(
        &self,
        call: Call<AccessToken>,
        code: Option<FactorCode>,
    ) -> Result<Vec<RecoveryCode>, ServiceError> {
        let event = Event::of_call(Action::NewRecoveryCodes, &call, None);
        self.audited(event, async |event| {
            let (app, user, proof) = self.begin_change(&call, code).await?;
            let entropy = &*self.inner.entropy;
            let drawn = (0..RECOVERY_CODES).map(|_| RecoveryCode::generate(entropy));
            let codes = drawn.collect::<Result<Vec<_>, _>>()?;
            let digests = codes.iter().map(|code| self.recovery_digest(&user, code));
            let digests = digests.collect::<Result<Vec<_>, _>>()?;
            self.change_factors(&app, &user, proof, event, Vec::new(), move |_, app, factors| {
                if factors.asked(app.settings.two_factor).is_none() {
                    return Err(Refusal::InvalidData.into());
                }
                Ok(Changed::RecoveryCodes(digests.clone()))
            })
            .await?;
            Ok(codes)
        })
        .await
    }

    /// Removes a user's second factors and recovery codes, for an operator who helps a user who lost them. The number
    /// stays verified, and the owner is notified.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`] when the application has no such user.
    pub async fn reset_factors(
        &self,
        operator: Operator,
        UserKey { app_id, id }: UserKey,
    ) -> Result<(), ServiceError> {
        let mut event = Event::of_operator(Action::ResetSecondFactor, app_id, &operator);
        event.user_id = Some(id);
        self.audited(event, async |event| {
            let found = self.read("factor.reset.find", move |readers| {
                let app = readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                let user = readers.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
                Ok((app, user))
            });
            let (app, user) = found.await?;
            let (now, entry, counters) =
                (self.inner.clock.now(), self.entry(event)?, self.factor_counters(app_id, &user)?);
            let slot = self.reserve_notice(app_id, &user.handle, Notice::Change).await?;
            let words = built_in(MessageKind::FactorChanged, user.locale)?;
            let notice = self.notice(&app, slot.as_ref(), &words, &user.handle).await?;
            let is_told = self
                .transact("factor.reset", move |repos| {
                    retry(|| {
                        let user = repos.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
                        let mut to = user.factors.clone();
                        (to.authenticator, to.pending_authenticator, to.wants_sms) = (None, None, false);
                        if !write_factors(repos, &user, &to, Some(&[]), now)? {
                            return Ok(None);
                        }
                        counters.iter().try_for_each(|counter| repos.quotas().reset(counter))?;
                        let is_told = user.factors.protect();
                        if is_told {
                            notice.iter().try_for_each(|mail| repos.outbox().add(mail))?;
                        }
                        repos.audit().add(&entry)?;
                        Ok(Some(is_told && notice.is_some()))
                    })
                })
                .await;
            self.settle_message(slot, is_told).await
        })
        .await
    }

    pub(crate) fn recovery_digest(
        &self,
        user: &User,
        code: &RecoveryCode,
    ) -> Result<KeyedDigest, ServiceError> {
        let parts: [&[u8]; 3] = [user.app_id.as_bytes(), user.id.as_bytes(), code.expose().as_bytes()];
        Ok(self.key_ring().lasting_digests().digest("recovery", &parts)?)
    }

    /// Who wants to change their factors, and what they have shown. A code is used up by this.
    pub(crate) async fn begin_change(
        &self,
        call: &Call<AccessToken>,
        code: Option<FactorCode>,
    ) -> Result<(App, User, Proof), ServiceError> {
        let token = call.caller.clone();
        let now = self.inner.clock.now();
        self.inner.limits.take_for(Rate::Write, token.app_id, token.user_id, now)?;
        let reading = token.clone();
        let found = self.read("factor.user", move |readers| find_user(readers, &reading));
        let (app, user) = found.await?;
        // Their handle is their only secret, and no second factor is required.
        if user.handle.is_anonymous() {
            return Err(Refusal::InvalidData.into());
        }
        let mut is_good = !has_passed(self.inner.settings.factors.recent_login, token.issued_at, now);
        // Who has no factor has nothing to show, and nothing to guess at.
        let has_factor = user.factors.has(Factor::Authenticator) || user.factors.has(Factor::Phone);
        if let Some(code) = code.filter(|_| has_factor) {
            let attempt = self.factor_try(&app, &user, call.source, code, None)?;
            let (service, trying) = (self.clone(), token.clone());
            let tried = self.transact("factor.prove", move |repos| {
                let user = check_session(repos.users().find(trying.app_id, trying.user_id)?, &trying)?;
                service.try_factor(repos, &user, &attempt, now)
            });
            let tried = tried.await?;
            self.settle_factor_try(&app, &user, tried).await?;
            is_good = true;
        }
        Ok((app, user, Proof { token, is_good }))
    }

    /// Changes the caller's factors as they are in the database, with the messages that belong to it, and
    /// tells the owner of what protects the account otherwise than before.
    pub(crate) async fn change_factors(
        &self,
        app: &App,
        user: &User,
        proof: Proof,
        event: &Event,
        messages: Vec<OutboxMessage>,
        change: impl Fn(&mut dyn Repositories, &App, &mut Factors) -> Result<Changed, ServiceError>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), ServiceError> {
        let now = self.inner.clock.now();
        let slot = self.reserve_notice(app.id, &user.handle, Notice::Change).await?;
        let words = built_in(MessageKind::FactorChanged, user.locale)?;
        let handle: &Handle = &user.handle;
        let notice = self.notice(app, slot.as_ref(), &words, handle).await?;
        let entry = self.entry(event)?;
        let is_told = self
            .transact("factor.change", move |repos| {
                let token = &proof.token;
                let app = repos.apps().find(token.app_id)?.ok_or(Refusal::AppGone)?;
                ensure_active(&app)?;
                retry(|| {
                    let user = check_session(repos.users().find(token.app_id, token.user_id)?, token)?;
                    let mut to = user.factors.clone();
                    let changed = change(repos, &app, &mut to)?;
                    let new_codes = match changed {
                        Changed::Factors => None,
                        Changed::RecoveryCodes(digests) => Some(digests),
                    };
                    let (had, has) = (user.factors.protect(), to.protect());
                    if to != user.factors || new_codes.is_some() {
                        proof.check(&app)?;
                        // Whose secret waited while nothing was protected, has not shown who they are.
                        if !had && has && user.factors.pending_authenticator == to.pending_authenticator {
                            to.pending_authenticator = None;
                        }
                        if !write_factors(repos, &user, &to, new_codes.as_deref(), now)? {
                            return Ok(None);
                        }
                    }
                    let is_told =
                        new_codes.is_some() || is_worth_telling(&user.factors, &to, !messages.is_empty());
                    messages.iter().try_for_each(|message| repos.outbox().add(message))?;
                    if is_told {
                        notice.iter().try_for_each(|mail| repos.outbox().add(mail))?;
                    }
                    repos.audit().add(&entry)?;
                    Ok(Some(is_told && notice.is_some()))
                })
            })
            .await;
        self.settle_message(slot, is_told).await
    }
}

/// Replaces a user's factors together with dependent data: recovery codes without a factor are removed or replaced, and
/// so are codes sent to another phone. Returns `false`, and changes nothing, if the factors have changed since they
/// were read: concurrent callers wait here, one succeeds, and the others start again.
pub(crate) fn write_factors(
    repos: &mut dyn Repositories,
    user: &User,
    to: &Factors,
    new_codes: Option<&[KeyedDigest]>,
    now: OffsetDateTime,
) -> Result<bool, ServiceError> {
    if !repos.factors().change(user, to, now)? {
        return Ok(false);
    }
    if new_codes.is_some() || user.factors.protect() != to.protect() {
        repos.factors().replace_recovery_codes(user.app_id, user.id, new_codes.unwrap_or_default())?;
    }
    if user.factors.sms_phone() != to.sms_phone() {
        forget_login_codes(repos, user)?;
    }
    Ok(true)
}

/// Codes sent for log-ins are useless once their phone is no longer the user's factor.
fn forget_login_codes(repos: &mut dyn Repositories, user: &User) -> Result<(), ServiceError> {
    for code in repos.codes().list(user.app_id, CodePurpose::Login, user.id.as_bytes())? {
        repos.codes().remove(user.app_id, code.id)?;
    }
    Ok(())
}

/// Whether the factor required at log-ins has changed. A first factor whose QR code is mailed needs no notice.
fn is_worth_telling(from: &Factors, to: &Factors, has_message: bool) -> bool {
    let asked = |factors: &Factors| {
        let secret = factors.authenticator.as_ref().map(|own| own.secret.clone());
        (secret, factors.sms_phone().cloned())
    };
    asked(from) != asked(to) && (from.protect() || !has_message)
}
