//! Converts records to domain values. An invalid value is reported in one sentence.

use latchkey_crypto::{OVER_RAW, PassphraseKey, PublicKey, SealContext, SigningKey, TotpSecret, is_subject};
use latchkey_domain::{
    ANONYMOUS_PREFIX, App, AppId, AppKey, AppName, AppSettings, Authenticator, EmailTemplate, Factors,
    Handle, Invite, InviteId, KeyedDigest, Locale, LoginRecord, MAX_METADATA_BYTES, Metadata, Named, Owner,
    Phone, Preset, Sealed, Sessions, Signup, SignupId, SocialIdentity, TemplateName, User, UserId, UserName,
    UserStatus, has_forbidden_characters,
};
use latchkey_notifiers::check_secrets;
use latchkey_storage::{settings_from_json, settings_to_json};
use latchkey_transfer::{
    AppRecord, DigestOver, InviteRecord, KeyRecord, Record, SignupRecord, TemplateRecord, UserRecord,
};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::bounds::{is_storable, within_bounds};
use crate::account::invite::LONGEST_REFERENCE;
use crate::account::second_factor::authenticator_of;
use crate::base::error::ServiceError;
use crate::base::hashing;
use crate::base::signing::private_key_of;
use crate::operate::email_templates::wrong_words;
use crate::service::Service;

fn named<T: Named>(text: &str, what: &str) -> Result<T, String> {
    T::from_name(text).ok_or_else(|| format!("the {what} is one of {}, not {text:?}", T::names()))
}

/// The maximum length of texts without another limit, in bytes: that of a request's body.
const LONGEST_TEXT: usize = 128 * 1024;

/// The reason against a password hash whose verification takes too long: `HashCost` in `latchkey-crypto` has the bound.
const TOO_COSTLY: &str = "the password hash costs more than five times ours (bcrypt: more than cost 12)";

/// What counts tokens of a user or an application that arrives begins here: above all that was counted before, as they
/// may have been here already, and tokens that ended then must not begin again.
pub(super) fn count_of_arrival(now: OffsetDateTime) -> i64 {
    i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX / 2)
}

/// Where something secret of a record stands, for the passphrase that seals it.
pub(super) fn place(kind: &str, id: &str) -> String {
    format!("{kind}/{id}")
}

/// A record with its secrets decrypted with the passphrase. Without one, they are dropped.
///
/// # Errors
/// The problem: the passphrase, or the record.
pub fn opened(record: Record, key: Option<&PassphraseKey>) -> Result<Record, String> {
    let open = |place: &str, sealed: Option<String>| -> Result<Option<String>, String> {
        let (Some(key), Some(sealed)) = (key, sealed) else { return Ok(None) };
        let text = key.open(place, &sealed).map_err(|_| "decryption failed: wrong passphrase?".to_owned())?;
        String::from_utf8(text.to_vec()).map(Some).map_err(|_| "what was sealed is no text".to_owned())
    };
    Ok(match record {
        Record::App(app) => Record::App(AppRecord {
            mail_account: open(&place("mail", &app.app_id), app.mail_account)?,
            sms_account: open(&place("sms", &app.app_id), app.sms_account)?,
            ..app
        }),
        Record::Key(record) => {
            let public = PublicKey::from_pem(&record.public_key).map_err(|error| error.to_string())?;
            let private_key = open(&place("key", public.kid()), record.private_key)?;
            Record::Key(KeyRecord { private_key, ..record })
        }
        Record::User(user) => {
            let id = user.id.clone().unwrap_or_default();
            let authenticator_secret = open(&place("authenticator", &id), user.authenticator_secret)?;
            Record::User(UserRecord { authenticator_secret, ..user })
        }
        other => other,
    })
}

/// Settings, and what of them is secret.
type AppParts = (App, Option<String>, Option<String>);

/// An application from its record: without accounts, which are sealed for it later.
pub(super) fn app_of(record: &AppRecord, id: AppId) -> Result<AppParts, String> {
    let settings =
        settings_from_json(record.settings.clone()).map_err(|_| wrong_setting(&record.settings))?;
    let mut settings = within_bounds(settings)?;
    (settings.mail_api_key, settings.sms_account) = (None, None);
    let name = AppName::parse(&record.name).map_err(|error| error.to_string())?;
    let is_web = ["https://", "http://"].iter().any(|scheme| record.issuer.starts_with(scheme));
    if !is_web || record.issuer.len() > 1_024 || has_forbidden_characters(&record.issuer) {
        return Err("the issuer is no address".to_owned());
    }
    let app = App {
        id,
        owner: Owner::Server,
        name,
        kind: named(&record.kind, "type")?,
        status: named(&record.status, "status")?,
        issuer: record.issuer.clone(),
        token_generation: 1,
        token_issued_at: record.created_at,
        revision: 1,
        settings,
        created_at: record.created_at,
        updated_at: record.updated_at,
    };
    Ok((app, record.mail_account.clone(), record.sms_account.clone()))
}

/// Names the setting that cannot be read: each is tried alone, among those of a new application.
fn wrong_setting(settings: &Value) -> String {
    let usual = settings_to_json(&AppSettings::preset(Preset::Compatible)).unwrap_or_default();
    let is_wrong = |name: &str, value: &Value| {
        let mut one = usual.clone();
        one.as_object_mut().is_some_and(|members| {
            members.insert(name.to_owned(), value.clone());
            settings_from_json(Value::Object(members.clone())).is_err()
        })
    };
    let members = settings.as_object().into_iter().flatten();
    match members.into_iter().find(|(name, value)| is_wrong(name, value)) {
        Some((name, _)) => {
            format!(
                "the setting {name:?} has a value that this version does not take, or a list that is too long"
            )
        }
        None => "settings are missing that this version needs".to_owned(),
    }
}

pub(super) fn template_of(record: &TemplateRecord, app_id: AppId) -> Result<EmailTemplate, String> {
    let wrong = |what: &str| format!("the message has no {what}");
    if let Some(what) = wrong_words(&record.subject, &record.reply_to, &record.html) {
        return Err(format!("the message {}: {what}", record.name));
    }
    Ok(EmailTemplate {
        app_id,
        name: TemplateName::parse(&record.name).ok_or_else(|| wrong("name that is known"))?,
        locale: Locale::parse(&record.locale).map_err(|_| wrong("locale that is known"))?,
        subject: record.subject.clone(),
        reply_to: record.reply_to.clone(),
        html: record.html.clone(),
        link_text: short_text(&record.link_text, LONGEST_TEXT, "linkText")?,
        created_at: record.created_at,
        updated_at: record.updated_at,
    })
}

/// Reported when a template would send its secret to another host: the application uses the built-in one.
pub(super) fn lost_words(record: &TemplateRecord, public_url: &str) -> Option<String> {
    check_secrets(&record.html, public_url).err().map(|misplaced| without_words(record, misplaced))
}

/// Reports that a template is not used, and why.
pub(super) fn without_words(record: &TemplateRecord, why: impl std::fmt::Display) -> String {
    format!("the message {} in {}: {why}; the built-in words are used", record.name, record.locale)
}

/// A text that could be set here.
fn short_text(text: &str, most: usize, what: &str) -> Result<String, String> {
    if text.len() > most || text.contains('\0') {
        return Err(format!("{what} is no text of at most {most} bytes"));
    }
    Ok(text.to_owned())
}

fn metadata_of(values: &Map<String, Value>) -> Result<Metadata, String> {
    if Value::Object(values.clone()).to_string().len() > MAX_METADATA_BYTES {
        return Err(format!("the metadata are longer than {MAX_METADATA_BYTES} bytes"));
    }
    if !is_storable(values) {
        return Err("the metadata lie too deep in one another, or hold a NUL".to_owned());
    }
    Ok(Metadata::from_stored(values.clone()))
}

fn handle_of(text: &str) -> Result<Handle, String> {
    Handle::parse_anonymous(text)
        .or_else(|_| Handle::parse(text))
        .map_err(|error| format!("the handle: {error}"))
}

fn locale_of(text: Option<&str>) -> Result<Locale, String> {
    let unknown =
        |text| format!("the locale {text:?} is unknown: it is two letters of ISO 639-1, such as EN or DE");
    let parse = |text| Locale::parse(text).map_err(|_| unknown(text));
    text.map_or(Ok(Locale::EN), parse)
}

/// The problems of one record, all of them.
struct Problems(Vec<String>);

impl Problems {
    fn note<T>(&mut self, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.0.push(problem)).ok()
    }
}

fn user_id_in(text: &str) -> Result<UserId, String> {
    match text.parse() {
        Ok(UserId::OPERATOR) => Err("the id is the one of operators".to_owned()),
        Ok(id) => Ok(id),
        Err(_) => Err("the id is not 32 hexadecimal digits".to_owned()),
    }
}

fn phone_of(text: Option<&str>, what: &str) -> Result<Option<Phone>, String> {
    text.map(Phone::from_stored).transpose().map_err(|error| format!("{what}: {error}"))
}

fn social_of(record: &UserRecord) -> Result<Option<SocialIdentity>, String> {
    let Some(name) = &record.provider else {
        let is_alone = record.provider_subject.is_some();
        return if is_alone { Err("providerSubject needs a provider".to_owned()) } else { Ok(None) };
    };
    let subject = match record.provider_subject.as_deref() {
        None | Some("") => None,
        Some(text) if is_subject(text) => Some(text.to_owned()),
        Some(_) => return Err("invalid providerSubject".to_owned()),
    };
    Ok(Some(SocialIdentity { provider: named(name, "provider")?, subject }))
}

impl Service {
    /// A user from a record, for an application. Whether handle and names are free is seen when the row is written.
    pub(super) fn user_of(
        &self,
        app_id: AppId,
        record: &UserRecord,
        now: OffsetDateTime,
    ) -> Result<User, String> {
        let mut problems = Problems(Vec::new());
        let handle = problems.note(handle_of(&record.handle));
        let id = match (&record.id, &handle) {
            (Some(id), _) => problems.note(user_id_in(id)),
            (None, Some(handle)) => {
                let id = self.user_id_of(app_id, handle, record.created_at);
                problems.note(id.map_err(|error| error.to_string()))
            }
            (None, None) => None,
        };
        let user_name = record.user_name.as_deref().map(UserName::parse).transpose();
        let user_name = problems.note(
            user_name.map_err(|error| format!("the user name (a letter, then letters and digits): {error}")),
        );
        let status = record.status.as_deref();
        let status = status.map_or(Ok(UserStatus::Active), |status| named(status, "status"));
        let status = problems.note(status);
        let locale = problems.note(locale_of(record.locale.as_deref()));
        let metadata = problems.note(metadata_of(&record.meta_data));
        let given_phone = problems.note(phone_of(record.phone.as_deref(), "phone"));
        let verified_phone = problems.note(phone_of(record.verified_phone.as_deref(), "verifiedPhone"));
        let social = problems.note(social_of(record));
        // Secrets are sealed for the row, so that they need its id.
        let some_id = id.unwrap_or(UserId::OPERATOR);
        let password = problems.note(self.digest_of(app_id, some_id, record));
        let authenticator = problems.note(self.authenticator_from(app_id, some_id, record));
        let created_at = record.created_at.unwrap_or(now);
        let (
            Some(handle),
            Some(id),
            Some(user_name),
            Some(status),
            Some(locale),
            Some(metadata),
            Some(given_phone),
            Some(verified_phone),
            Some(social),
            Some(password),
            Some(authenticator),
        ) = (
            handle,
            id,
            user_name,
            status,
            locale,
            metadata,
            given_phone,
            verified_phone,
            social,
            password,
            authenticator,
        )
        else {
            return Err(problems.0.join("; "));
        };
        Ok(User {
            app_id,
            id,
            user_name,
            status,
            password,
            locale,
            metadata,
            sessions: Sessions { epoch: count_of_arrival(now), spared: None },
            created_at,
            updated_at: record.updated_at.unwrap_or(created_at),
            last_login_at: record.last_login_at,
            login: LoginRecord::default(),
            email_verified: record.email_verified,
            factors: Factors {
                given_phone,
                verified_phone,
                wants_sms: record.phone_factor,
                authenticator,
                pending_authenticator: None,
                revision: 0,
            },
            is_administrator: record.administrator,
            social,
            revision: 0,
            handle,
        })
    }

    /// The id of a user who brings none: it follows from application, handle and time, so that a second import finds
    /// the first one's row.
    fn user_id_of(
        &self,
        app_id: AppId,
        handle: &Handle,
        created_at: Option<OffsetDateTime>,
    ) -> Result<UserId, ServiceError> {
        let seed = self.derived_id("import.user", &[app_id.as_bytes(), handle.key().as_bytes()])?;
        Ok(UserId::at(created_at.unwrap_or(OffsetDateTime::UNIX_EPOCH), seed))
    }

    fn digest_of(&self, app_id: AppId, id: UserId, record: &UserRecord) -> Result<Option<Sealed>, String> {
        let Some(digest) = record.password.as_deref().filter(|digest| !digest.is_empty()) else {
            return Ok(None);
        };
        if !self.is_importable(digest)? {
            // Without a password, the handle alone would log in.
            if record.handle.starts_with(ANONYMOUS_PREFIX) {
                return Err(TOO_COSTLY.to_owned());
            }
            return Ok(None);
        }
        let stored = match record.password_over {
            DigestOver::Md5 => digest.to_owned(),
            DigestOver::Raw => format!("{OVER_RAW}{digest}"),
        };
        let context = SealContext { purpose: hashing::SEALED_AS, app_id, row: id.as_bytes() };
        self.sealed(&context, stored.as_bytes()).map(Some)
    }

    /// Whether a password hash may come in: verifying it must not cost much more than verifying ours.
    fn is_importable(&self, digest: &str) -> Result<bool, String> {
        let cost = self.inner.hasher.stored_cost(digest).map_err(|error| error.to_string())?;
        Ok(cost.is_importable)
    }

    /// Reported for a user who is imported with something missing, or of no use: a costly password hash, a second
    /// factor without its number, metadata that the fields in these settings do not take.
    pub(super) fn lost_of(&self, record: &UserRecord, settings: Option<&AppSettings>) -> Option<String> {
        let digest = record.password.as_deref().filter(|digest| !digest.is_empty());
        let is_costly = digest.is_some_and(|digest| self.is_importable(digest) == Ok(false));
        let password = is_costly.then(|| format!("{TOO_COSTLY}: must reset the password"));
        let has_no_number = record.phone_factor && record.verified_phone.is_none();
        let factor = has_no_number.then(|| "phoneFactor without a verifiedPhone has no effect".to_owned());
        let metadata = Metadata::from_stored(record.meta_data.clone());
        let metadata =
            settings.and_then(|settings| settings.metadata.misfit(&settings.invite_metadata, &metadata));
        let metadata = metadata.map(|misfit| format!("metaData: {misfit}"));
        let is_stuck = record.provider.is_some()
            && digest.is_none()
            && record.provider_subject.as_deref().is_none_or(str::is_empty)
            && !record.handle.contains('@');
        let provider = is_stuck.then(|| {
            "a provider without providerSubject, and a handle that is no address: nobody can log in"
                .to_owned()
        });
        let lost: Vec<String> = [password, factor, provider, metadata].into_iter().flatten().collect();
        (!lost.is_empty()).then(|| format!("{}: {}", record.handle, lost.join("; ")))
    }

    /// Why a pending sign-up is not imported whose password hash is too costly.
    pub(super) fn lost_signup(&self, record: &SignupRecord) -> Option<String> {
        let is_lost = self.is_importable(&record.password) == Ok(false);
        is_lost.then(|| format!("{}: {TOO_COSTLY}: must sign up again", record.handle))
    }

    fn authenticator_from(
        &self,
        app_id: AppId,
        id: UserId,
        record: &UserRecord,
    ) -> Result<Option<Authenticator>, String> {
        let Some(text) = &record.authenticator_secret else { return Ok(None) };
        let secret = TotpSecret::from_base32(text).map_err(|error| format!("the authenticator: {error}"))?;
        let secret = self.sealed(&authenticator_of(app_id, &id), secret.as_bytes())?;
        Ok(Some(Authenticator { secret, last_step: None }))
    }

    pub(super) fn sealed(&self, context: &SealContext<'_>, text: &[u8]) -> Result<Sealed, String> {
        self.key_ring().seal(context, text, &*self.inner.entropy).map_err(|error| error.to_string())
    }

    pub(super) fn key_of(&self, app_id: AppId, record: &KeyRecord) -> Result<AppKey, String> {
        let public = PublicKey::from_pem(&record.public_key).map_err(|error| error.to_string())?;
        let private = match &record.private_key {
            None => None,
            Some(pem) => {
                let key = SigningKey::from_pem(pem).map_err(|error| error.to_string())?;
                if key.public().kid() != public.kid() {
                    return Err("the private key belongs to another public key".to_owned());
                }
                let der = key.to_pkcs8().map_err(|error| error.to_string())?;
                Some(self.sealed(&private_key_of(app_id, public.kid()), &der)?)
            }
        };
        Ok(AppKey {
            app_id,
            kid: public.kid().to_owned(),
            public_pem: public.to_pem().to_owned(),
            private,
            created_at: record.created_at,
            signs_from: record.signs_from,
            published_until: record.published_until,
            tokens_until: record.tokens_until,
        })
    }

    pub(super) fn signup_of(
        &self,
        app_id: AppId,
        record: &SignupRecord,
        now: OffsetDateTime,
    ) -> Result<Signup, String> {
        let id = |text: &str| text.parse().map_err(|_| "the id is not 32 hexadecimal digits".to_owned());
        let user_id: UserId = id(&record.user_id)?;
        // A costly hash is no error: such a sign-up is left out, and the report says so.
        self.is_importable(&record.password)?;
        let context = SealContext { purpose: hashing::SEALED_AS, app_id, row: user_id.as_bytes() };
        let signup_id: UserId = id(&record.id)?;
        Ok(Signup {
            app_id,
            id: SignupId::from_bytes(*signup_id.as_bytes()),
            handle: handle_of(&record.handle)?,
            // The address of a sign-up elsewhere is not known here.
            source: KeyedDigest::NONE,
            user_id,
            state: named(&record.status, "status")?,
            password: self.sealed(&context, record.password.as_bytes())?,
            locale: locale_of(Some(&record.locale))?,
            metadata: metadata_of(&record.meta_data)?,
            created_at: record.created_at,
            updated_at: record.updated_at.unwrap_or(now),
        })
    }

    pub(super) fn invite_of(
        &self,
        app_id: AppId,
        record: &InviteRecord,
        now: OffsetDateTime,
    ) -> Result<Invite, String> {
        let id = |text: &str| -> Result<UserId, String> {
            text.parse().map_err(|_| "the id is not 32 hexadecimal digits".to_owned())
        };
        Ok(Invite {
            app_id,
            id: InviteId::from_bytes(*id(&record.id)?.as_bytes()),
            handle: handle_of(&record.handle)?,
            sender_id: id(&record.sender_id)?,
            sender_handle: handle_of(&record.sender_handle)?,
            sender_reference: short_text(&record.sender_reference, LONGEST_REFERENCE, "senderReference")?,
            state: named(&record.status, "status")?,
            locale: locale_of(Some(&record.locale))?,
            metadata: metadata_of(&record.meta_data)?,
            created_at: record.created_at,
            updated_at: record.updated_at.unwrap_or(now),
        })
    }
}
