//! Composing text messages: with whose account, how many, and the one that an operator sends to try it out.
//! Sending those that carry codes is the outbox's.

use latchkey_crypto::SealContext;
use latchkey_domain::{
    App, AppId, CallingCode, Channel, Code, CodeLength, Handle, Locale, MessageId, MessageState,
    OutboxMessage, Phone, Sealed, TemplateName, UserId,
};
use latchkey_notifiers::{NotifyError, Sms, SmsAccount, SmsOrigin, Values, render};
use latchkey_storage::QuotaKey;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use time::Duration;

use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::notify::mail::{LocalizedTemplate, worded};
use crate::notify::payload::{SmsPayload, payload_of};
use crate::protect::codes::NewCode;
use crate::protect::quotas::{give_back_all, reserve_all};
use crate::service::Service;

/// Limits of text messages. The application sets its own daily limit.
#[derive(Debug, Clone, Copy)]
pub struct SmsLimits {
    /// To one number in an hour: log-in codes of one application, or what all send to numbers that are to be verified.
    pub number_an_hour: u32,
    /// The same in a day.
    pub number_a_day: u32,
    /// To numbers with the same first seven digits in an hour, counted likewise.
    pub range_an_hour: u32,
    /// For one user in a day.
    pub user_a_day: u32,
    /// Of the whole server in a day; half of it for numbers that are to be verified.
    pub server_a_day: u32,
}

impl Default for SmsLimits {
    fn default() -> Self {
        Self { number_an_hour: 6, number_a_day: 12, range_an_hour: 20, user_a_day: 6, server_a_day: 2_000 }
    }
}

/// An application's account, before it is sealed.
#[derive(Serialize, Deserialize)]
struct StoredAccount {
    sid: String,
    token: String,
    #[serde(default)]
    number: Option<String>,
    #[serde(default)]
    service: Option<String>,
}

/// The right to send one text message, taken before the unit of work that promises it.
#[derive(Clone)]
pub(crate) struct SmsSlot(Vec<QuotaKey>);

impl From<SmsSlot> for Vec<QuotaKey> {
    fn from(slot: SmsSlot) -> Self {
        slot.0
    }
}

/// How many messages in a day each application has beyond what all together may send.
const OF_EACH: u32 = 20;
/// How many of these to one new number in a day.
const OF_EACH_TO_NUMBER: u32 = 2;
/// How many of these to new numbers of one range in an hour.
const OF_EACH_TO_RANGE: u32 = 5;
/// How many times as much a user has who brings the codes back.
const WITH_REFUNDS: u32 = 4;

/// The purpose of a text message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SmsPurpose {
    NewNumber,
    LogIn,
    Test,
}

impl SmsPurpose {
    fn name(self) -> &'static [u8] {
        match self {
            Self::NewNumber => b"new",
            Self::LogIn => b"login",
            Self::Test => b"test",
        }
    }
}

/// A text message that an operator sends to try the account out.
#[derive(Debug, Clone)]
pub struct TestSms {
    /// Where it goes.
    pub phone: Phone,
    /// Whom it names.
    pub handle: Option<Handle>,
    /// In which language.
    pub locale: Locale,
}

/// Serializes an account for sealing.
pub(crate) fn account_json(sid: &str, token: &str, number: &Phone) -> Result<String, String> {
    let number = Some(number.as_str().to_owned());
    let account = StoredAccount { sid: sid.to_owned(), token: token.to_owned(), number, service: None };
    serde_json::to_string(&account).map_err(|error| error.to_string())
}

pub(crate) fn account_of(app_id: AppId) -> SealContext<'static> {
    SealContext { purpose: "sms-account", app_id, row: b"provider" }
}

/// Parses a sealed account; `None` if invalid.
pub(crate) fn parsed_account(json: &[u8]) -> Option<SmsAccount> {
    let stored: StoredAccount = serde_json::from_slice(json).ok()?;
    let origin = match (stored.number, stored.service) {
        (Some(number), _) => SmsOrigin::Number(Phone::from_stored(&number).ok()?),
        (None, service) => SmsOrigin::Service(service?),
    };
    Some(SmsAccount { sid: stored.sid, token: SecretString::from(stored.token), origin })
}

impl Service {
    /// Seals an application's account.
    pub(crate) fn seal_sms_account(
        &self,
        app_id: AppId,
        account: &SmsAccount,
    ) -> Result<Sealed, ServiceError> {
        let (number, service) = match &account.origin {
            SmsOrigin::Number(phone) => (Some(phone.as_str().to_owned()), None),
            SmsOrigin::Service(service) => (None, Some(service.clone())),
        };
        let token = account.token.expose_secret().to_owned();
        let stored = StoredAccount { sid: account.sid.clone(), token, number, service };
        let json = serde_json::to_vec(&stored).map_err(|error| ServiceError::Internal(error.into()))?;
        Ok(self.key_ring().seal(&account_of(app_id), &json, &*self.inner.entropy)?)
    }

    /// An application's account, if it has one.
    pub(crate) fn sms_account(&self, app: &App) -> Result<Option<SmsAccount>, ServiceError> {
        let Some(sealed) = &app.settings.sms_account else { return Ok(None) };
        let json = self.key_ring().open_sealed(&account_of(app.id), sealed)?;
        let account = parsed_account(&json);
        account.map(Some).ok_or_else(|| ServiceError::Internal("a stored SMS account is malformed".into()))
    }

    /// Refuses a number to which the application sends nothing, and every number where it cannot send.
    pub(crate) fn check_phone(&self, app: &App, phone: &Phone) -> Result<(), ServiceError> {
        let account = self.sms_account(app)?.ok_or(Refusal::SmsFailed)?;
        let countries = countries(app, &account);
        if phone.is_allowed(&countries) {
            Ok(())
        } else {
            Err(ServiceError::invalid(
                "invalid data: phone is in a country to which the application sends no SMS",
            ))
        }
    }

    /// The counters of one text message, with their limits. Codes for log-ins, which require the password, have
    /// separate shares that verifications of new numbers cannot use up.
    fn sms_counters(
        &self,
        app: &App,
        phone: &Phone,
        user: Option<UserId>,
        purpose: SmsPurpose,
    ) -> Result<Vec<(QuotaKey, u32)>, ServiceError> {
        let everywhere = AppId::NONE;
        let limits = self.inner.settings.sms_limits;
        let (hour, day) = (Duration::hours(1), Duration::days(1));
        let a_while = self.inner.settings.codes.resend_after;
        let whose = if purpose == SmsPurpose::LogIn { app.id } else { everywhere };
        let number: [&[u8]; 2] = [purpose.name(), phone.as_str().as_bytes()];
        let range: [&[u8]; 2] = [purpose.name(), phone.range().as_bytes()];
        let mut counters = Vec::new();
        if let Some(user) = user {
            let user: [&[u8]; 1] = [user.as_bytes()];
            let most = limits.user_a_day.saturating_mul(WITH_REFUNDS);
            counters.push((self.counter(app.id, "sms.user", &user, day)?, limits.user_a_day));
            counters.push((self.counter(app.id, "sms.user.all", &user, day)?, most));
            counters.push((self.counter(whose, "sms.number.minute", &number, a_while)?, 1));
        }
        counters.push((self.counter(whose, "sms.number.hour", &number, hour)?, limits.number_an_hour));
        counters.push((self.counter(whose, "sms.number.day", &number, day)?, limits.number_a_day));
        counters.push((self.counter(whose, "sms.range", &range, hour)?, limits.range_an_hour));
        if purpose == SmsPurpose::NewNumber {
            let half = |most: u32| most.div_ceil(2);
            counters.push((self.counter(app.id, "sms.app.new", &[], day)?, half(app.settings.sms_a_day)));
            counters.push((self.counter(everywhere, "sms.server.new", &[], day)?, half(limits.server_a_day)));
        }
        counters.push((self.counter(app.id, "sms.app", &[], day)?, app.settings.sms_a_day));
        counters.push((self.counter(everywhere, "sms.server", &[], day)?, limits.server_a_day));
        Ok(counters)
    }

    /// The counters that are restored when the code of a message is confirmed, within limits.
    pub(crate) fn sms_refunds(
        &self,
        app: &App,
        phone: &Phone,
        user: UserId,
        purpose: SmsPurpose,
    ) -> Result<Vec<QuotaKey>, ServiceError> {
        let counters =
            self.sms_counters(app, phone, Some(user), purpose)?.into_iter().map(|(counter, _)| counter);
        let is_refunded = |counter: &QuotaKey| match counter.kind {
            "sms.user" | "sms.number.hour" | "sms.number.day" => true,
            // The owner of a range of new numbers could confirm every code.
            "sms.number.minute" | "sms.range" => purpose == SmsPurpose::LogIn,
            _ => false,
        };
        Ok(counters.filter(is_refunded).collect())
    }

    /// Reserves one text message to a number. `None` if the number, its range, the user, the application or the server
    /// has reached its limit; the last two are recorded in the audit log, once a day.
    pub(crate) async fn reserve_sms(
        &self,
        app: &App,
        phone: &Phone,
        user: Option<UserId>,
        purpose: SmsPurpose,
    ) -> Result<Option<SmsSlot>, ServiceError> {
        let mut wanted = self.sms_counters(app, phone, user, purpose)?;
        let reserve = async |wanted: &[(QuotaKey, u32)]| {
            let wanted = wanted.to_vec();
            self.transact("sms.reserve", move |repos| reserve_all(repos.quotas(), &wanted)).await
        };
        let mut full = reserve(&wanted).await?;
        let is_shared = |kind: &str| {
            let of_numbers = matches!(kind, "sms.number.hour" | "sms.number.day" | "sms.range");
            kind.starts_with("sms.server") || (of_numbers && purpose == SmsPurpose::NewNumber)
        };
        if full.is_some_and(is_shared) {
            // What other applications have sent must not leave this one's users without their first codes.
            wanted.retain(|(counter, _)| !is_shared(counter.kind));
            let (hour, day) = (Duration::hours(1), Duration::days(1));
            wanted.push((self.counter(app.id, "sms.app.first", &[], day)?, OF_EACH));
            let (number, range) = ([phone.as_str().as_bytes()], [phone.range().as_bytes()]);
            wanted.push((self.counter(app.id, "sms.app.number", &number, day)?, OF_EACH_TO_NUMBER));
            wanted.push((self.counter(app.id, "sms.app.range", &range, hour)?, OF_EACH_TO_RANGE));
            if reserve(&wanted).await?.is_none() {
                full = None;
            }
        }
        let Some(limit) = full else {
            return Ok(Some(SmsSlot(wanted.into_iter().map(|(counter, _)| counter).collect())));
        };
        tracing::warn!(app = %app.id, to = %phone.masked(), limit, "an SMS was withheld");
        if limit.starts_with("sms.app") || limit.starts_with("sms.server") {
            let told = self.counter(app.id, "sms.told", &[limit.as_bytes()], Duration::days(1))?;
            let mut event = Event::of_server(Action::SmsWithheld, app.id);
            event.detail = Some(limit.to_owned());
            let entry = self.entry(&event)?;
            self.transact("sms.withheld", move |repos| {
                if repos.quotas().reserve(&told, 1)? {
                    repos.audit().add(&entry)?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(None)
    }

    /// The message that carries a code; none without a right to send it. It is worth nothing once the code has
    /// expired.
    pub(crate) async fn code_sms(
        &self,
        app: &App,
        slot: Option<&SmsSlot>,
        words: &LocalizedTemplate,
        phone: &Phone,
        handle: &Handle,
        new_code: &NewCode,
    ) -> Result<Option<OutboxMessage>, ServiceError> {
        if slot.is_none() {
            return Ok(None);
        }
        let (now, entropy) = (self.inner.clock.now(), &*self.inner.entropy);
        let id = MessageId::generate(now, entropy)?;
        let text = self.sms_text(app, words, handle.as_str(), &new_code.code).await?;
        let payload = SmsPayload { to: phone.as_str().to_owned(), text };
        let json = serde_json::to_vec(&payload).map_err(|error| ServiceError::Internal(error.into()))?;
        Ok(Some(OutboxMessage {
            app_id: app.id,
            id,
            channel: Channel::Sms,
            recipient: Some(self.recipient(handle)?),
            payload: self.key_ring().seal(&payload_of(app.id, &id), &json, entropy)?,
            attempts: 0,
            due_at: now,
            expires_at: Some(new_code.stored.expires_at),
            state: MessageState::Due,
            last_error: None,
            created_at: now,
        }))
    }

    async fn sms_text(
        &self,
        app: &App,
        words: &LocalizedTemplate,
        handle: &str,
        code: &Code,
    ) -> Result<String, ServiceError> {
        let (app_name, handle) = (app.name.as_str().to_owned(), handle.to_owned());
        let (words, code) = (words.clone(), code.clone());
        self.off_thread(move || {
            let values = Values {
                app_name: &app_name,
                handle: &handle,
                code: Some(code.expose()),
                ..Values::default()
            };
            Ok(render(&words.template(), &values).text.trim().to_owned())
        })
        .await
    }

    /// Sends a test message immediately, with a code that opens nothing, and returns the code.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::InvalidData`] for a number in a country that is not listed;
    /// [`Refusal::SmsFailed`] with the provider's answer, or without an account;
    /// [`ServiceError::TooMany`] over the limits.
    pub async fn send_test_sms(
        &self,
        operator: Operator,
        id: AppId,
        test: TestSms,
    ) -> Result<Code, ServiceError> {
        let mut event = Event::of_operator(Action::TestAppTwilio, id, &operator);
        event.detail = Some(test.phone.masked());
        self.audited(event, async |event| {
            let locale = test.locale;
            let (app, words) = self
                .read("sms.test", move |readers| {
                    let app = readers.apps().find(id)?.ok_or(Refusal::UnknownApp)?;
                    let words = worded(readers.email_templates(), id, TemplateName::Sms, locale)?;
                    Ok((app, words))
                })
                .await?;
            let failed = |text: String| ServiceError::Explained(Refusal::SmsFailed, text);
            let account = self.sms_account(&app)?;
            let account = account.ok_or_else(|| failed("the application has no SMS account".to_owned()))?;
            if !test.phone.is_allowed(&countries(&app, &account)) {
                let text =
                    "the number is in no country that the application lists, or costs extra".to_owned();
                return Err(ServiceError::invalid(text));
            }
            let slot = self.reserve_sms(&app, &test.phone, None, SmsPurpose::Test).await?;
            let slot = slot.ok_or(ServiceError::TooMany { seconds: 3_600 })?;
            let (now, entropy) = (self.inner.clock.now(), &*self.inner.entropy);
            let code = Code::generate(entropy, CodeLength::Six)?;
            let sms = Sms {
                id: MessageId::generate(now, entropy)?.to_string(),
                to: test.phone,
                text: self
                    .sms_text(&app, &words, test.handle.as_ref().map_or("", Handle::as_str), &code)
                    .await?,
                account,
                valid_for: None,
            };
            match self.within_send_time(self.inner.outside.sms.send_sms(&sms), NotifyError::Unanswered).await
            {
                Ok(()) => self.record(event).await.map(|()| code),
                // It may have left, and costs then.
                Err(error @ NotifyError::Unanswered(_)) => Err(failed(error.to_string())),
                Err(error) => {
                    let counters = slot.0;
                    self.transact("sms.release", move |repos| give_back_all(repos.quotas(), &counters))
                        .await?;
                    Err(failed(error.to_string()))
                }
            }
        })
        .await
    }

    /// No send takes longer than the outbox allows for.
    pub(crate) async fn within_send_time(
        &self,
        sending: impl Future<Output = Result<(), NotifyError>>,
        otherwise: impl FnOnce(String) -> NotifyError,
    ) -> Result<(), NotifyError> {
        let limit = self.inner.settings.outbox.send_timeout.unsigned_abs();
        tokio::time::timeout(limit, sending)
            .await
            .unwrap_or_else(|_| Err(otherwise("it took too long".to_owned())))
    }
}

/// To which countries an application sends: those that it lists, else the one of its own number.
pub(crate) fn countries(app: &App, account: &SmsAccount) -> Vec<CallingCode> {
    if !app.settings.sms_countries.is_empty() {
        return app.settings.sms_countries.clone();
    }
    match &account.origin {
        SmsOrigin::Number(phone) => phone.calling_code().into_iter().collect(),
        SmsOrigin::Service(_) => Vec::new(),
    }
}
