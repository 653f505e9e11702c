//! Converts documents of a Cosync JWT server to records. The only file that knows what they mean. Values without a
//! place here are reported.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use latchkey_crypto::{OldSeal, TotpSecret, sha256};
use latchkey_domain::{
    AppId, AppStatus, Handle, Locale, Named as _, Phone, TemplateName, UserName, UserStatus,
};
use latchkey_storage::settings_to_json;
use latchkey_transfer::cosync::Document;
use latchkey_transfer::{
    AppRecord, DigestOver, InviteRecord, KeyRecord, Record, SignupRecord, TemplateRecord, UserRecord,
};
use secrecy::SecretString;
use time::OffsetDateTime;

use super::cosync_settings::{kept, settings_of, without_field};
use super::from_record::{lost_words, without_words};
use crate::account::invite::LONGEST_REFERENCE;
use crate::base::error::ServiceError;
use crate::notify::sms::account_json;
use crate::operate::email_templates::wrong_words;
use crate::transfer::duplicates::Seen;
use crate::transfer::import::ImportManifest;

/// What became of a document.
#[derive(Debug)]
pub enum Mapped {
    /// It is a record of this application, with what was lost on the way.
    Record(String, Box<Record>, Vec<String>),
    /// It has no place here: why.
    LeftAway(String),
    /// It cannot be taken: why.
    Refused(String),
}

/// User data that a zip file may contain, by field.
const OF_USERS: [(&str, &str); 4] = [
    ("userName", "user names"),
    ("loginProvider", "accounts at Apple and Google"),
    ("administrator", "administrators: set them again"),
    ("emailVerified", "verified addresses: email_verified is false until a reset"),
];

/// Reads documents of an old server, and detects duplicates.
pub struct CosyncReader {
    seal: OldSeal,
    takes_old_app_tokens: bool,
    public_url: String,
    apps: HashSet<String>,
    seen: Seen,
    /// Whether it was said what a zip file lacks of users.
    has_told_of_users: bool,
}

impl CosyncReader {
    /// A reader of a dump, for a server with this public URL. Applications keep their ids, which are in the app tokens
    /// in use.
    #[must_use]
    pub fn of_dump(seal: OldSeal, public_url: String) -> Self {
        Self {
            seal,
            takes_old_app_tokens: true,
            public_url,
            apps: HashSet::new(),
            seen: Seen::default(),
            has_told_of_users: false,
        }
    }

    /// A reader of a zip file, whose values are in clear, and whose application gets an id that is new.
    ///
    /// # Errors
    /// [`ServiceError`] when a cipher cannot be made.
    pub fn of_zip(public_url: String) -> Result<Self, ServiceError> {
        let seal = OldSeal::new(&SecretString::from(""))?;
        Ok(Self { takes_old_app_tokens: false, ..Self::of_dump(seal, public_url) })
    }

    /// Forgets whom it has seen, to read the same documents again.
    pub fn start_again(&mut self) {
        self.seen.clear();
    }

    /// An application with its key and lost values.
    ///
    /// # Errors
    /// The problem: a value, or the `encryptKey`.
    pub fn app(&mut self, document: &Document) -> Result<(ImportManifest, Vec<String>), String> {
        let mut notes = Vec::new();
        let app_id = required(document, "appId")?;
        app_id
            .parse::<AppId>()
            .ok()
            .filter(|id| *id != AppId::NONE)
            .ok_or_else(|| format!("appId {app_id:?} is not 32 hexadecimal digits, or all of them are 0"))?;
        let (settings, lost) = settings_of(document, &app_id)?;
        notes.extend(lost);
        if !self.takes_old_app_tokens {
            notes.extend(without_field(document, &settings));
        }
        let created_at = born(document)?;
        let status = document.text("status")?.unwrap_or_else(|| "active".to_owned());
        let known = AppStatus::from_name(&status);
        if known.is_none() {
            notes.push(format!("unknown status {status:?}; importing as inactive"));
        }
        let status = known.unwrap_or(AppStatus::Inactive).name().to_owned();
        let kind = document.text("type")?.filter(|kind| kind == "commercial");
        let key = self.key(document, created_at)?;
        let app = AppRecord {
            issuer: format!("{}/apps/{app_id}", self.public_url),
            name: required(document, "name")?,
            kind: kind.unwrap_or_else(|| "development".to_owned()),
            status,
            settings: settings_to_json(&settings).map_err(|error| error.to_string())?,
            mail_account: self.opened(document, "emailExtensionAPIKey")?,
            sms_account: self.sms_account(document, &mut notes)?,
            created_at,
            updated_at: document.time("updatedAt")?.unwrap_or(created_at),
            app_id: app_id.clone(),
        };
        self.apps.insert(app_id);
        let head = ImportManifest {
            source: [0; 32],
            app,
            keys: vec![key],
            templates: Vec::new(),
            takes_old_app_tokens: self.takes_old_app_tokens,
        };
        Ok((head, notes))
    }

    fn opened(&self, document: &Document, name: &str) -> Result<Option<String>, String> {
        let Some(stored) = document.text(name)? else { return Ok(None) };
        self.seal.open(&stored).map_err(|_| format!("{name} cannot be decrypted: wrong encryptKey?"))
    }

    /// The application's key pair. That its public half makes sense shows that the key of the seal is the right one.
    fn key(&self, document: &Document, created_at: OffsetDateTime) -> Result<KeyRecord, String> {
        let pem = |name: &str| -> Result<Option<String>, String> {
            let Some(text) = self.opened(document, name)? else { return Ok(None) };
            let wrong = || format!("{name} cannot be decrypted: wrong encryptKey?");
            let pem = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
            let pem = String::from_utf8(pem).map_err(|_| wrong())?;
            if pem.trim_start().starts_with("-----BEGIN ") { Ok(Some(pem)) } else { Err(wrong()) }
        };
        Ok(KeyRecord {
            public_key: pem("appPublicKey")?.ok_or("appPublicKey is missing")?,
            private_key: pem("appPrivateKey")?,
            created_at,
            signs_from: created_at,
            published_until: None,
            tokens_until: None,
        })
    }

    fn sms_account(&self, document: &Document, notes: &mut Vec<String>) -> Result<Option<String>, String> {
        let account = ["TWILIOAccountSid", "TWILIOToken", "TWILIOPhoneNumber"];
        let [sid, token, number] = account.map(|name| self.opened(document, name));
        let (Some(sid), Some(token), Some(number)) = (sid?, token?, number?) else { return Ok(None) };
        match Phone::parse(&number) {
            Ok(number) => Ok(Some(account_json(&sid, &token, &number)?)),
            Err(_) => {
                notes.push(
                    "invalid Twilio number; it needs + and the country code; skipping the SMS account"
                        .to_owned(),
                );
                Ok(None)
            }
        }
    }

    /// A template of an application.
    ///
    /// # Errors
    /// The problem.
    pub fn template(&self, document: &Document) -> Mapped {
        self.map(document, |this| {
            let name = required(document, "templateName")?;
            let locale = document.text("locale")?.unwrap_or_else(|| "EN".to_owned());
            let html = required(document, "htmlTemplate")?;
            let Some(known) = TemplateName::parse(&name) else {
                return Ok(Err("templates with an unknown name".to_owned()));
            };
            let Ok(parsed) = Locale::parse(&locale) else {
                return Ok(Err("templates in an unknown locale".to_owned()));
            };
            let subject = document.text("subject")?.unwrap_or_else(|| "%APP_NAME%".to_owned());
            let reply_to = document.text("replyTo")?.unwrap_or_default();
            let created_at = born(document)?;
            let wrong = wrong_words(&subject, &reply_to, &html);
            let record = TemplateRecord {
                name: known.as_str().to_owned(),
                locale: parsed.as_str().to_owned(),
                subject,
                reply_to,
                html,
                link_text: document.text("localeLinkText")?.unwrap_or_default(),
                created_at,
                updated_at: document.time("updatedAt")?.unwrap_or(created_at),
            };
            let wrong = wrong.map(|what| without_words(&record, what));
            Ok(match wrong.or_else(|| lost_words(&record, &this.public_url)) {
                Some(lost) => Err(lost),
                None => Ok((Record::Template(record), Vec::new())),
            })
        })
    }

    /// A user.
    pub fn user(&mut self, document: &Document) -> Mapped {
        let mut lost = Vec::new();
        if !self.takes_old_app_tokens && !self.has_told_of_users {
            self.has_told_of_users = true;
            let missing = OF_USERS.iter().filter(|(field, _)| !document.has(field));
            lost.extend(missing.map(|(_, what)| format!("the file does not contain {what}")));
        }
        let record = self.user_record(document, &mut lost);
        self.map(document, |_| record.map(|record| Ok((Record::User(record), lost))))
    }

    fn user_record(&mut self, document: &Document, lost: &mut Vec<String>) -> Result<UserRecord, String> {
        let app_id = required(document, "appId")?;
        let typed = required(document, "handle")?;
        let handle = Handle::parse_anonymous(&typed).or_else(|_| Handle::parse(&typed));
        let handle = handle.map_err(|error| format!("{typed:?}: {error}"))?;
        if !self.seen.is_new(&app_id, "handle", handle.key()) {
            return Err(format!("duplicate handle {typed:?}"));
        }
        let status = document.text("status")?.unwrap_or_else(|| "active".to_owned());
        if UserStatus::from_name(&status).is_none() {
            lost.push(format!("{typed}: unknown status {status:?}; importing as suspended"));
        }
        let mut user_name = document.text("userName")?;
        if let Some(name) = &user_name {
            let parsed = UserName::parse(name).ok();
            let is_new = parsed.is_some_and(|name| self.seen.is_new(&app_id, "name", name.as_str()));
            if !is_new {
                lost.push(format!("{typed}: the user name {name:?} is invalid or taken"));
                user_name = None;
            }
        }
        let mut phone = document.text("phone")?;
        let parsed = phone.as_deref().and_then(|text| Phone::from_stored(text).ok());
        if let (Some(text), None) = (&phone, &parsed) {
            lost.push(format!("{typed}: invalid phone number {text:?}"));
        }
        phone = parsed.as_ref().map(|phone| phone.as_str().to_owned());
        let mut verified = parsed.filter(|_| document.flag("phoneVerified") == Ok(true));
        if let Some(number) = &verified
            && !self.seen.is_new(&app_id, "phone", number.as_str())
        {
            lost.push(format!("{typed}: another user verified the same number"));
            verified = None;
        }
        let provider = document.text("loginProvider")?.filter(|name| name == "apple" || name == "google");
        let mut subject = document.text("socialUserId")?.filter(|_| provider.is_some());
        if let (Some(name), Some(text)) = (&provider, &subject)
            && !self.seen.is_new(&app_id, name, text)
        {
            lost.push(format!("{typed}: another user has the same {name} account"));
            subject = None;
        }
        let wants_sms = document.flag("twoFactorPhoneVerification")?;
        if wants_sms && verified.is_none() {
            lost.push(format!(
                "{typed}: a second factor by SMS, without a number of theirs that is verified"
            ));
        }
        let has_authenticator = document.flag("twoFactorGoogleVerification")?;
        let secret = document.text("googleSecretKey")?.filter(|_| has_authenticator);
        let secret = secret.filter(|text| match TotpSecret::from_base32(text) {
            Ok(_) => true,
            Err(_) => {
                lost.push(format!("{typed}: the authenticator's secret is invalid or too short"));
                false
            }
        });
        let created_at = document.time("createdAt")?;
        let mut values = Vec::new();
        let meta_data = document.object("metaData", &mut values)?;
        lost.extend(values.into_iter().map(|value| format!("{typed}: {value}")));
        Ok(UserRecord {
            handle: typed,
            id: None,
            user_name,
            status: Some(if status == "active" { status } else { "suspend".to_owned() }),
            password: document.text("password")?,
            password_over: DigestOver::Md5,
            locale: self.locale(document, lost)?,
            meta_data,
            phone,
            phone_factor: wants_sms && verified.is_some(),
            verified_phone: verified.map(|number| number.as_str().to_owned()),
            authenticator: has_authenticator,
            authenticator_secret: secret,
            provider_subject: subject,
            provider,
            administrator: false,
            email_verified: false,
            created_at,
            updated_at: document.time("updatedAt")?.or(created_at),
            last_login_at: document.time("lastLogin")?,
        })
    }

    fn locale(&self, document: &Document, lost: &mut Vec<String>) -> Result<Option<String>, String> {
        let Some(text) = document.text("locale")? else { return Ok(None) };
        Ok(match Locale::parse(&text) {
            Ok(locale) => Some(locale.as_str().to_owned()),
            Err(_) => {
                lost.push(format!("unknown locale {text:?}; using English"));
                None
            }
        })
    }

    /// A pending sign-up. Completed ones, and ones that never started, are skipped.
    pub fn signup(&mut self, document: &Document) -> Mapped {
        self.map(document, |this| {
            let handle = required(document, "handle")?;
            if document.text("status")?.is_some_and(|status| status != "pending") {
                return Ok(Err("completed sign-ups".to_owned()));
            }
            let Some(password) = document.text("password")? else {
                return Ok(Err("sign-ups without a password".to_owned()));
            };
            let created_at = born(document)?;
            let mut lost = Vec::new();
            let app_id = required(document, "appId")?;
            let record = SignupRecord {
                id: this.id_for(&app_id, &format!("signup.{created_at}"), &handle),
                user_id: this.id_for(&app_id, &format!("signup.user.{created_at}"), &handle),
                status: "pending".to_owned(),
                password,
                locale: this.locale(document, &mut lost)?.unwrap_or_else(|| "EN".to_owned()),
                meta_data: document.object("metaData", &mut lost)?,
                created_at,
                // Waiting ends here after some weeks, and there never: it begins when they come.
                updated_at: None,
                handle,
            };
            Ok(Ok((Record::Signup(record), lost)))
        })
    }

    /// A pending invitation.
    pub fn invite(&mut self, document: &Document) -> Mapped {
        self.map(document, |this| {
            let handle = required(document, "handle")?;
            if document.text("status")?.is_some_and(|status| status != "pending") {
                return Ok(Err("invitations that are done".to_owned()));
            }
            let created_at = born(document)?;
            let mut lost = Vec::new();
            let sender = document.text("senderHandle")?.unwrap_or_else(|| "superuser".to_owned());
            let app_id = required(document, "appId")?;
            let reference = document.text("senderUserId")?;
            let is_reference = |text: &str| text.len() <= LONGEST_REFERENCE && !text.contains('\0');
            let record = InviteRecord {
                id: this.id_for(&app_id, &format!("invite.{sender}"), &handle),
                sender_id: "0".repeat(32),
                sender_handle: sender,
                sender_reference: kept(reference, "senderUserId", is_reference, &mut lost)
                    .unwrap_or_default(),
                status: "pending".to_owned(),
                locale: "EN".to_owned(),
                meta_data: document.object("metaData", &mut lost)?,
                created_at,
                // Waiting ends here after some weeks, and there never: it begins when they come.
                updated_at: None,
                handle,
            };
            Ok(Ok((Record::Invite(record), lost)))
        })
    }

    /// An id that follows from where something stands: the same at every time.
    fn id_for(&self, app_id: &str, what: &str, handle: &str) -> String {
        let text = format!("latchkey/v1/cosync/{app_id}/{what}/{handle}");
        HEXLOWER.encode(&sha256(text.as_bytes())).chars().take(32).collect()
    }

    fn map(
        &self,
        document: &Document,
        read: impl FnOnce(&Self) -> Result<Result<(Record, Vec<String>), String>, String>,
    ) -> Mapped {
        let app_id = match required(document, "appId") {
            Ok(app_id) => app_id,
            Err(reason) => return Mapped::Refused(reason),
        };
        if !self.apps.contains(&app_id) {
            return Mapped::LeftAway("documents of applications that are not imported".to_owned());
        }
        match read(self) {
            Ok(Ok((record, lost))) => Mapped::Record(app_id, Box::new(record), lost),
            Ok(Err(why)) => Mapped::LeftAway(why),
            Err(reason) => Mapped::Refused(reason),
        }
    }
}

/// The creation time of a document: its field, else the time in its id, else a fixed time, so that every reading gives
/// the same.
fn born(document: &Document) -> Result<OffsetDateTime, String> {
    let time = document.time("createdAt")?.or_else(|| document.time_of_id());
    Ok(time.unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

fn required(document: &Document, name: &str) -> Result<String, String> {
    document.text(name)?.ok_or_else(|| format!("{name} is missing"))
}
