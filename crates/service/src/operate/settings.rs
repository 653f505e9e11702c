//! Changing an application: its settings and locales.

use latchkey_domain::{
    App, AppId, AppSettings, AppStatus, Audience, CallingCode, FixedClaims, Locale, Named as _, PlainSetting,
    PlainValue, Provider, Sealed, SocialLogin, TwoFactorMode, UserIdFormat,
};
use latchkey_notifiers::{MailAddress, SmsAccount};
use latchkey_storage::Repositories;
use secrecy::{ExposeSecret as _, SecretString};

use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::notify::sms::countries;
use crate::operate::apps::AppView;
use crate::operate::keys::{publish_for_longer, remember_tokens};
use crate::operate::metadata_fields::check_together;
use crate::service::Service;

/// The most failed log-ins before waiting begins.
pub(crate) const MOST_LOGIN_ATTEMPTS: u32 = 100;

/// A change of an account.
#[derive(Debug, Clone)]
pub enum AccountChange {
    /// Keeps the account, if there is one.
    Keep,
    /// Replaces it.
    Set(SmsAccount),
    /// Removes the account.
    Remove,
}

/// One setting and its new value.
#[derive(Debug, Clone)]
pub enum SettingChange {
    /// Whether the application answers.
    Status(AppStatus),
    /// Settings with one value each.
    Plain(Vec<(&'static PlainSetting, PlainValue)>),
    /// Failed log-ins before waiting begins; none for the server's number.
    MaxLoginAttempts(Option<u32>),
    /// The claim `aud`.
    Audience(Audience),
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
        /// What authenticator apps show above the code; `None` keeps it.
        heading: Option<String>,
    },
    /// What authenticator apps show above the code; the application's name if empty.
    AuthenticatorHeading(String),
    /// The countries to which SMS are sent; if empty, the country of the sender's number.
    SmsCountries(Vec<CallingCode>),
    /// The clients whose tokens of a provider are accepted.
    SocialAudiences(Provider, Vec<String>),
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
        let (hours, format) = (app.settings.user_jwt_hours, app.settings.user_id_format);
        let now = service.inner.clock.now();
        self.change.apply(service, self.sealed.as_ref(), app)?;
        if app.settings.user_id_format != format
            && app.settings.user_id_format == UserIdFormat::HandleUnderscore
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
        let settings = &mut app.settings;
        match self {
            Self::Status(status) => app.status = *status,
            Self::Plain(changes) => {
                for (setting, value) in changes {
                    setting.set(settings, *value).map_err(ServiceError::invalid)?;
                }
            }
            Self::MaxLoginAttempts(free) => {
                if free.is_some_and(|free| !(1..=MOST_LOGIN_ATTEMPTS).contains(&free)) {
                    let text = format!(
                        "maxLoginAttempts is 1 to {MOST_LOGIN_ATTEMPTS}, or 0 for the server's number"
                    );
                    return Err(ServiceError::invalid(text));
                }
                settings.max_login_attempts = *free;
            }
            Self::Audience(audience) => settings.audience = audience.clone(),
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
            Self::SmsCountries(countries) => {
                settings.sms_countries = each_once(countries.clone());
                check_sms(service, app)?;
            }
            Self::SocialAudiences(provider, audiences) => {
                social(settings, *provider).audiences.clone_from(audiences);
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
        name: String,
        change: SettingChange,
    ) -> Result<AppView, ServiceError> {
        let mut event = Event::of_operator(Action::UpdateAppSetting, id, &operator);
        event.detail = Some(match &change {
            SettingChange::TwoFactor { mode, .. } => format!("{name} {}", mode.name()),
            _ => name,
        });
        let (service, change) = (self.clone(), SealedChange::of(self, id, change)?);
        self.update_app(event, move |repos, app| change.apply(&service, repos, app)).await
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
        let event = Event::of_operator(Action::AddRemoveLocaleEmailTemplate, id, &operator);
        self.update_app(event, move |repos, app| {
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
        event: Event,
        change: impl Fn(&mut dyn Repositories, &mut App) -> Result<(), ServiceError> + Send + Sync + 'static,
    ) -> Result<AppView, ServiceError> {
        let (id, now) = (event.app_id, self.inner.clock.now());
        self.audited_unit(event, "app.update", move |repos| {
            // Lock the row before reading anything that the change depends on, such as keys.
            let before = repos.apps().hold(id)?.ok_or(Refusal::UnknownApp)?;
            let mut app = before.clone();
            change(repos, &mut app)?;
            if app == before {
                return Ok(());
            }
            write_held(repos, &App { updated_at: now, ..app })?;
            Ok(())
        })
        .await?;
        self.find_app(id).await
    }
}

impl Service {
    /// Changes rows that belong to an application, such as keys and templates. The application's row is locked first,
    /// so a concurrent change waits and then reads the new state.
    pub(crate) async fn change_app(
        &self,
        event: Event,
        change: impl Fn(&mut dyn Repositories, &App) -> Result<(), ServiceError> + Send + Sync + 'static,
    ) -> Result<(), ServiceError> {
        let (id, now) = (event.app_id, self.inner.clock.now());
        self.audited_unit(event, "app.change", move |repos| {
            let held = repos.apps().hold(id)?.ok_or(Refusal::UnknownApp)?;
            change(repos, &held)?;
            write_held(repos, &App { updated_at: now, ..held })?;
            Ok(())
        })
        .await
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
    let missing = "Invalid Twilio Account: the application has none, send it with twoFactorVerification";
    let account = service.sms_account(app)?.ok_or_else(|| ServiceError::invalid(missing))?;
    if countries(app, &account).is_empty() {
        return Err(ServiceError::invalid("a messaging service names no country: set smsCountries first"));
    }
    Ok(())
}
