//! Changing an application: its settings and locales.

use latchkey_domain::{
    App, AppId, AppSettings, AppStatus, Audience, CallingCode, FixedClaims, LinkAsksPassword, Locale,
    Provider, Sealed, SignupFlow, SocialLogin, TwoFactorMode, UserIdFormat,
};
use latchkey_notifiers::{MailAddress, SmsAccount};
use latchkey_storage::Repositories;
use secrecy::{ExposeSecret as _, SecretString};

use crate::audit::Act;
use crate::keys::{publish_for_longer, remember_tokens};
use crate::metadata_fields::check_together;
use crate::sms::countries;
use crate::{AppView, Operator, Refusal, Service, ServiceError};

/// The longest life of a user's JWT, in hours.
const MOST_JWT_HOURS: u32 = 720;
/// The longest life of an access token, in days.
pub(crate) const MOST_TOKEN_DAYS: u32 = 365;
/// The longest time for which a handle is held, and an unused anonymous user kept, in days.
pub(crate) const MOST_HOLD_DAYS: u32 = 3_650;
/// The most SMS of an application in a day.
pub(crate) const MOST_SMS_A_DAY: u32 = 1_000_000;

/// A change of an account.
#[derive(Debug, Clone)]
pub enum AccountChange {
    /// Keeps the account, if there is one.
    Keep,
    /// It is replaced by this one.
    Set(SmsAccount),
    /// It goes.
    Remove,
}

/// One setting and its new value.
#[derive(Debug, Clone)]
pub enum SettingChange {
    /// Whether the application answers.
    Status(AppStatus),
    /// Whether users may invite.
    Invitations(bool),
    /// Whether people may sign up.
    Signup(bool),
    /// How they prove their handle.
    SignupFlow(SignupFlow),
    /// Kept for consoles.
    JwtEnabled(bool),
    /// Whether users may have user names.
    UserNames(bool),
    /// Whether anonymous users may sign in.
    AnonymousLogin(bool),
    /// The most users; 0 for no limit.
    MaxUsers(u32),
    /// Failed log-ins before waiting begins; none for the server's number.
    MaxLoginAttempts(Option<u32>),
    /// The claim `aud`.
    Audience(Audience),
    /// Life of users' JWTs in hours.
    UserJwtHours(u32),
    /// Life of access tokens in days.
    AccessTokenDays(u32),
    /// Whether the password minima apply.
    PasswordFilter(bool),
    /// The password minima: length, upper, lower, digit, special. `None` keeps a value.
    PasswordMinima([Option<u32>; 5]),
    /// Whether passwords that everybody uses are refused.
    RefuseCommonPasswords(bool),
    /// Whether the JWT carries the claim `email`.
    MetadataEmail(bool),
    /// Whether mail goes out under the application's own sender.
    OwnMailSender(bool),
    /// The application's account at the mail provider.
    MailAccount {
        /// Its key.
        key: SecretString,
        /// The address that mail comes from.
        sender: MailAddress,
    },
    /// Which second factor users may enrol, with the account that SMS need and the heading of authenticators.
    TwoFactor {
        /// Which.
        mode: TwoFactorMode,
        /// The change of the account at the SMS provider.
        account: AccountChange,
        /// What authenticator apps show above the code; what is there stays if none is given.
        heading: Option<String>,
    },
    /// What authenticator apps show above the code; the application's name if empty.
    AuthenticatorHeading(String),
    /// Whether a new authenticator must prove its first code.
    TwoFactorConfirm(bool),
    /// Whether the picture of a new authenticator's secret is mailed.
    QrCodeMail(bool),
    /// Whether removing or replacing a factor needs a recent log-in or a code.
    FactorChangeNeedsLogin(bool),
    /// The countries to which SMS are sent; if empty, the country of the sender's number.
    SmsCountries(Vec<CallingCode>),
    /// The most SMS in a day.
    SmsADay(u32),
    /// Whether a provider's tokens sign users in.
    SocialLogin(Provider, bool),
    /// The clients whose tokens of a provider are taken.
    SocialAudiences(Provider, Vec<String>),
    /// The claim `sub`.
    UserIdFormat(UserIdFormat),
    /// When the page behind a sign-up's link requires the password.
    LinkAsksPassword(LinkAsksPassword),
    /// For how many days the handle of a deleted user stays taken.
    HandleHoldDays(u32),
    /// Whether sign-up and reset answer alike for known and unknown handles.
    NeutralAnswers(bool),
    /// After how many days unused anonymous users go.
    AnonymousPurgeDays(u32),
    /// Claims that every user's JWT carries.
    FixedClaims(FixedClaims),
}

/// A prepared change. Sealing a value needs randomness, so it happens before the unit of work, which may run twice.
#[derive(Debug, Clone)]
pub(crate) struct SealedChange {
    change: SettingChange,
    sealed: Option<Sealed>,
}

impl SealedChange {
    pub(crate) fn of(service: &Service, app_id: AppId, change: SettingChange) -> Result<Self, ServiceError> {
        let sealed = match &change {
            SettingChange::MailAccount { key, .. } => {
                Some(service.seal_mail_key(app_id, key.expose_secret())?)
            }
            SettingChange::TwoFactor { account: AccountChange::Set(account), .. } => {
                Some(service.seal_sms_account(app_id, account)?)
            }
            _ => None,
        };
        Ok(Self { change, sealed })
    }

    pub(crate) fn apply(
        &self,
        service: &Service,
        repos: &mut dyn Repositories,
        app: &mut App,
    ) -> Result<(), ServiceError> {
        let (hours, now) = (app.settings.user_jwt_hours, service.inner.clock.now());
        self.change.apply(service, self.sealed.as_ref(), app)?;
        if matches!(self.change, SettingChange::UserIdFormat(UserIdFormat::HandleUnderscore))
            && let Some(subject) = repos.users().shared_underscored(app.id)?
        {
            let text = format!("two users would have the sub {subject:?}: userIdFormat handle_underscore");
            return Err(ServiceError::invalid(text));
        }
        if app.settings.user_jwt_hours < hours {
            remember_tokens(repos, app.id, hours, now)?;
        } else if app.settings.user_jwt_hours > hours {
            publish_for_longer(repos, app, now)?;
        }
        Ok(())
    }
}

impl SettingChange {
    fn apply(&self, service: &Service, sealed: Option<&Sealed>, app: &mut App) -> Result<(), ServiceError> {
        let within = |name: &str, value: u32, least: u32, most: u32| {
            let text = || format!("{name} is {least} to {most}");
            if (least..=most).contains(&value) { Ok(value) } else { Err(ServiceError::invalid(text())) }
        };
        let settings = &mut app.settings;
        match self {
            Self::Status(status) => app.status = *status,
            Self::Invitations(on) => settings.invitation_enabled = *on,
            Self::Signup(on) => settings.signup_enabled = *on,
            Self::SignupFlow(flow) => settings.signup_flow = *flow,
            Self::JwtEnabled(on) => settings.jwt_enabled = *on,
            Self::UserNames(on) => settings.user_names = *on,
            Self::AnonymousLogin(on) => settings.anonymous_login = *on,
            Self::MaxUsers(most) => settings.max_users = *most,
            Self::MaxLoginAttempts(free) => {
                settings.max_login_attempts =
                    free.map(|free| within("maxLoginAttempts", free, 1, 100)).transpose()?;
            }
            Self::Audience(audience) => settings.audience = audience.clone(),
            Self::UserJwtHours(hours) => {
                settings.user_jwt_hours = within("userJWTExpiration", *hours, 1, MOST_JWT_HOURS)?;
            }
            Self::AccessTokenDays(days) => {
                settings.access_token_days = within("accessTokenDays", *days, 1, MOST_TOKEN_DAYS)?;
            }
            Self::PasswordFilter(on) => settings.password.filter = *on,
            Self::PasswordMinima([length, upper, lower, digit, special]) => {
                let policy = &mut settings.password;
                for (field, value) in [
                    (&mut policy.min_length, length),
                    (&mut policy.min_upper, upper),
                    (&mut policy.min_lower, lower),
                    (&mut policy.min_digit, digit),
                    (&mut policy.min_special, special),
                ] {
                    if let Some(value) = value {
                        *field = within("each of the minima", *value, 0, 128)?;
                    }
                }
            }
            Self::RefuseCommonPasswords(on) => settings.password.refuse_common = *on,
            Self::MetadataEmail(on) => settings.metadata_email = *on,
            Self::OwnMailSender(on) => settings.own_mail_sender = *on,
            Self::MailAccount { sender, .. } => {
                settings.mail_api_key = sealed.cloned();
                settings.mail_sender_address = Some(sender.bare());
            }
            Self::TwoFactor { mode, account, heading } => {
                settings.two_factor = *mode;
                match account {
                    AccountChange::Keep => {}
                    AccountChange::Set(_) => settings.sms_account = sealed.cloned(),
                    AccountChange::Remove => settings.sms_account = None,
                }
                if let Some(heading) = heading {
                    settings.authenticator_heading = Some(heading.clone()).filter(|text| !text.is_empty());
                }
                check_sms(service, app)?;
            }
            Self::AuthenticatorHeading(heading) => {
                settings.authenticator_heading = Some(heading.clone()).filter(|text| !text.is_empty());
            }
            Self::TwoFactorConfirm(on) => settings.two_factor_confirm = *on,
            Self::QrCodeMail(on) => settings.qr_code_mail = *on,
            Self::FactorChangeNeedsLogin(on) => settings.factor_change_needs_login = *on,
            Self::SmsCountries(countries) => {
                settings.sms_countries = each_once(countries.clone());
                check_sms(service, app)?;
            }
            Self::SmsADay(most) => {
                settings.sms_a_day = within("smsADay", *most, 0, MOST_SMS_A_DAY)?;
            }
            Self::SocialLogin(provider, on) => social(settings, *provider).enabled = *on,
            Self::SocialAudiences(provider, audiences) => {
                social(settings, *provider).audiences.clone_from(audiences);
            }
            Self::LinkAsksPassword(asks) => settings.link_asks_password = *asks,
            Self::UserIdFormat(format) => settings.user_id_format = *format,
            Self::HandleHoldDays(days) => {
                settings.handle_hold_days = within("handleHoldDays", *days, 0, MOST_HOLD_DAYS)?;
            }
            Self::NeutralAnswers(on) => settings.neutral_answers = *on,
            Self::AnonymousPurgeDays(days) => {
                settings.anonymous_purge_days = within("anonymousPurgeDays", *days, 0, MOST_HOLD_DAYS)?;
            }
            Self::FixedClaims(claims) => {
                settings.fixed_claims = claims.clone();
                check_together(app)?;
            }
        }
        Ok(())
    }
}

impl Service {
    /// Changes one setting. Setting what is set already changes nothing.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::InvalidData`] when the value is out of its bounds.
    pub async fn change_setting(
        &self,
        operator: Operator,
        id: AppId,
        (name, change): (String, SettingChange),
    ) -> Result<AppView, ServiceError> {
        let mut act = Act::of_operator("updateAppSetting", id, &operator);
        act.detail = Some(match &change {
            SettingChange::TwoFactor { mode, .. } => format!("{name} {mode:?}"),
            _ => name,
        });
        let (service, change) = (self.clone(), SealedChange::of(self, id, change)?);
        self.update_app(act, move |repos, app| change.apply(&service, repos, app)).await
    }

    /// Sets the locales that are offered: English always is. Messages in a locale that goes, go with it.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn set_locales(
        &self,
        operator: Operator,
        id: AppId,
        wanted: Vec<Locale>,
    ) -> Result<AppView, ServiceError> {
        let mut locales = Vec::new();
        if !wanted.contains(&Locale::EN) {
            locales.push(Locale::EN);
        }
        for locale in wanted {
            if !locales.contains(&locale) {
                locales.push(locale);
            }
        }
        let act = Act::of_operator("addRemoveLocaleEmailTemplate", id, &operator);
        self.update_app(act, move |repos, app| {
            for template in repos.email_templates().list(id)? {
                if !locales.contains(&template.locale) {
                    repos.email_templates().remove_locale(id, template.locale)?;
                }
            }
            app.settings.locales = locales.clone();
            Ok(())
        })
        .await
    }

    /// Changes an application's current row and increments its revision.
    pub(crate) async fn update_app(
        &self,
        act: Act,
        change: impl Fn(&mut dyn Repositories, &mut App) -> Result<(), ServiceError> + Send + Sync + 'static,
    ) -> Result<AppView, ServiceError> {
        let (id, now, entry) = (act.app_id, self.inner.clock.now(), self.done(&act)?);
        let done = self
            .inner
            .store
            .transact("app.update", move |repos| {
                // Lock the row before reading anything that the change depends on, such as keys.
                let before = repos.apps().hold(id)?.ok_or(Refusal::UnknownApp)?;
                let mut app = before.clone();
                change(repos, &mut app)?;
                if app == before {
                    return Ok(());
                }
                write_held(repos, &App { updated_at: now, ..app })?;
                repos.audit().add(&entry).map_err(ServiceError::from)
            })
            .await;
        self.note(Some(act), done).await?;
        self.find_app(id).await
    }
}

impl Service {
    /// Changes rows that belong to an application, such as keys and templates. The application's row is locked first,
    /// so a concurrent change waits and then reads the new state.
    pub(crate) async fn change_app(
        &self,
        act: Act,
        change: impl Fn(&mut dyn Repositories, &App) -> Result<(), ServiceError> + Send + Sync + 'static,
    ) -> Result<(), ServiceError> {
        let (id, now, entry) = (act.app_id, self.inner.clock.now(), self.done(&act)?);
        let done = self
            .inner
            .store
            .transact("app.change", move |repos| {
                let held = repos.apps().hold(id)?.ok_or(Refusal::UnknownApp)?;
                change(repos, &held)?;
                write_held(repos, &App { updated_at: now, ..held })?;
                repos.audit().add(&entry).map_err(ServiceError::from)
            })
            .await;
        self.note(Some(act), done).await
    }
}

/// Writes an application whose row this unit of work has locked with `hold`.
pub(crate) fn write_held(repos: &mut dyn Repositories, app: &App) -> Result<(), ServiceError> {
    if repos.apps().update(app, app.revision)? {
        return Ok(());
    }
    Err(ServiceError::Internal("an application was changed while it was held".into()))
}

/// Removes duplicates and keeps the order.
pub(crate) fn each_once<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut once = Vec::new();
    for item in list {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}

fn social(settings: &mut AppSettings, provider: Provider) -> &mut SocialLogin {
    match provider {
        Provider::Apple => &mut settings.apple,
        Provider::Google => &mut settings.google,
    }
}

/// Mode `phone` can send: there is an account, and a country to which it sends.
fn check_sms(service: &Service, app: &App) -> Result<(), ServiceError> {
    if app.settings.two_factor != TwoFactorMode::Phone {
        return Ok(());
    }
    let account =
        service.sms_account(app)?.ok_or_else(|| ServiceError::invalid("Invalid Twilio Account."))?;
    if countries(app, &account).is_empty() {
        return Err(ServiceError::invalid("a messaging service names no country: set smsCountries first"));
    }
    Ok(())
}
