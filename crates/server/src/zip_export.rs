//! The reference's export: five CSV files in a zip, with its columns. Objects are JSON, which the reference loses;
//! secrets are empty unless requested.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web::Bytes;
use futures_util::stream::{self, Stream};
use latchkey_domain::AppId;
use latchkey_service::operate::AppView;
use latchkey_service::transfer::Export;
use latchkey_service::{Operator, Service, ServiceError};
use latchkey_transfer::cosync::{Collection, file_name};
use latchkey_transfer::{DigestOver, Record, UserRecord};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use zip::ZipWriter;
use zip::write::{SimpleFileOptions, StreamWriter};

use crate::dto::application_json;
use crate::transfer::apart;

const APP: &str = "name,status,jwtEnabled,appPrivateKey,appPublicKey,appToken,appSecret,handle,invitationEnabled,\
    signupEnabled,signupFlow,twoFactorVerification,emailExtension,emailExtensionAPIKey,emailExtensionSenderEmail,\
    TWILIOAccountSid,TWILIOToken,TWILIOPhoneNumber,googleAppName,maxLoginAttempts,passwordFilter,passwordMinLength,\
    passwordMinUpper,passwordMinLower,passwordMinDigit,passwordMinSpecial,userJWTExpiration,realmAppId,appData,\
    metaDataInvite,metaData,metaDataEmail,locales,createdAt,updatedAt";
const USER: &str = "handle,password,status,appId,twoFactorPhoneVerification,twoFactorGoogleVerification,googleSecretKey,\
    twoFactorCode,phone,phoneVerified,phoneCode,metaData,lastLogin,locale,createdAt,updatedAt";
const SIGNUP: &str = "handle,password,status,appId,code,locale,metaData,createdAt,updatedAt";
const INVITE: &str = "handle,senderHandle,senderUserId,code,status,appId,metaData,createdAt,updatedAt";
const TEMPLATE: &str =
    "appId,subject,replyTo,templateName,htmlTemplate,locale,htmlTemplate,createdAt,updatedAt";

fn columns(collection: Collection) -> &'static str {
    match collection {
        Collection::Apps => APP,
        Collection::Users => USER,
        Collection::Signups => SIGNUP,
        Collection::Invites => INVITE,
        Collection::EmailTemplates => TEMPLATE,
    }
}

/// Where the zip is written to, and taken from piece by piece.
#[derive(Clone, Default)]
struct Pieces(Arc<Mutex<Vec<u8>>>);

impl Pieces {
    fn take(&self) -> Bytes {
        Bytes::from(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Zipping {
    service: Service,
    export: Export,
    view: AppView,
    pieces: Pieces,
    /// None once it was finished.
    writer: Option<ZipWriter<StreamWriter<Pieces>>>,
    /// Which file is being written.
    at: Option<Collection>,
}

/// Begins to export an application as a zip file.
pub(crate) async fn zip_of(
    service: Service,
    operator: Operator,
    id: AppId,
    secrets: bool,
) -> Result<impl Stream<Item = Result<Bytes, ServiceError>> + Unpin, ServiceError> {
    let view = service.find_app(id).await?;
    let export = service.begin_clear_export(operator, id, secrets).await?;
    let pieces = Pieces::default();
    let writer = Some(ZipWriter::new_stream(pieces.clone()));
    let zipping = Zipping { service, export, view, pieces, writer, at: None };
    Ok(Box::pin(stream::unfold(zipping, Zipping::next)))
}

impl Zipping {
    async fn next(self) -> Option<(Result<Bytes, ServiceError>, Self)> {
        // A panic ends the stream early, and the zip has no directory then.
        apart(self.next_piece()).await.ok().flatten()
    }

    async fn next_piece(mut self) -> Option<(Result<Bytes, ServiceError>, Self)> {
        self.writer.as_ref()?;
        let records = match self.service.next_of_export(&mut self.export).await {
            Ok(records) => records,
            Err(error) => {
                self.writer = None;
                return Some((Err(error), self));
            }
        };
        let written = match records {
            Some(records) => self.write(&records),
            None => self.finish(),
        };
        let piece =
            written.map(|()| self.pieces.take()).map_err(|error| ServiceError::Internal(error.into()));
        Some((piece, self))
    }

    /// Files follow one another in the order of the records; one that has no records is empty.
    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            let (collection, row) = match record {
                Record::App(_) => continue,
                Record::Key(key) => {
                    // The first key is the oldest; the one that signs is the application's.
                    if key.public_key != self.view.public_key.to_pem() {
                        continue;
                    }
                    (Collection::Apps, self.app_row(key.private_key.as_deref(), records))
                }
                Record::Template(template) => (
                    Collection::EmailTemplates,
                    json!({"appId": self.id(), "subject": template.subject, "replyTo": template.reply_to,
                        "templateName": template.name, "htmlTemplate": template.html, "locale": template.locale,
                        "createdAt": date(Some(template.created_at)), "updatedAt": date(Some(template.updated_at))}),
                ),
                Record::User(user) => (
                    Collection::Users,
                    json!({"handle": user.handle, "password": password_of(user), "status": user.status,
                        "appId": self.id(), "twoFactorPhoneVerification": user.phone_factor,
                        "twoFactorGoogleVerification": user.authenticator,
                        "googleSecretKey": user.authenticator_secret,
                        "phone": user.verified_phone.as_ref().or(user.phone.as_ref()),
                        "phoneVerified": user.verified_phone.is_some(),
                        "metaData": user.meta_data, "lastLogin": date(user.last_login_at), "locale": user.locale,
                        "createdAt": date(user.created_at), "updatedAt": date(user.updated_at)}),
                ),
                Record::Signup(signup) => (
                    Collection::Signups,
                    json!({"handle": signup.handle, "password": signup.password, "status": signup.status,
                        "appId": self.id(), "locale": signup.locale, "metaData": signup.meta_data,
                        "createdAt": date(Some(signup.created_at)), "updatedAt": date(signup.updated_at)}),
                ),
                Record::Invite(invite) => (
                    Collection::Invites,
                    json!({"handle": invite.handle, "senderHandle": invite.sender_handle,
                        "senderUserId": invite.sender_reference, "status": invite.status, "appId": self.id(),
                        "metaData": invite.meta_data, "createdAt": date(Some(invite.created_at)),
                        "updatedAt": date(invite.updated_at)}),
                ),
            };
            self.begin(collection)?;
            self.row(collection, &row)?;
        }
        Ok(())
    }

    fn id(&self) -> String {
        self.view.app.id.to_string()
    }

    fn app_row(&self, private_key: Option<&str>, records: &[Record]) -> Value {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let mut row = application_json(&self.view.app);
        let (mut mail, mut sms) = (None, Map::new());
        for record in records {
            if let Record::App(app) = record {
                mail.clone_from(&app.mail_account);
                let account = app.sms_account.as_deref().and_then(|text| serde_json::from_str(text).ok());
                sms = account.unwrap_or_default();
            }
        }
        if let Value::Object(row) = &mut row {
            let account = |name: &str| sms.get(name).cloned().unwrap_or(Value::Null);
            for (name, value) in [
                ("appPublicKey", self.view.public_key.to_one_line().into()),
                ("appPrivateKey", private_key.map_or(Value::Null, |pem| STANDARD.encode(pem).into())),
                ("appToken", self.view.app_token.clone().into()),
                ("emailExtensionAPIKey", mail.map_or(Value::Null, Value::from)),
                ("emailExtensionSenderEmail", self.view.app.settings.mail_sender_address.clone().into()),
                ("TWILIOAccountSid", account("sid")),
                ("TWILIOToken", account("token")),
                ("TWILIOPhoneNumber", account("number")),
                ("locales", self.locales().into()),
                ("createdAt", date(Some(self.view.app.created_at)).into()),
                ("updatedAt", date(Some(self.view.app.updated_at)).into()),
            ] {
                row.insert(name.to_owned(), value);
            }
        }
        row
    }

    fn locales(&self) -> String {
        let locales = self.view.app.settings.locales.iter().map(|locale| locale.as_str().to_owned());
        locales.collect::<Vec<_>>().join(",")
    }

    /// Goes on to a file, with its header.
    fn begin(&mut self, collection: Collection) -> io::Result<()> {
        if self.at == Some(collection) {
            return Ok(());
        }
        let begun = self.at.and_then(|at| Collection::ALL.iter().position(|known| *known == at));
        let wanted = Collection::ALL.iter().position(|known| *known == collection).unwrap_or(0);
        for next in Collection::ALL.into_iter().take(wanted + 1).skip(begun.map_or(0, |at| at + 1)) {
            let Some(writer) = &mut self.writer else { return Ok(()) };
            let options = SimpleFileOptions::default().large_file(true);
            writer.start_file(file_name(next), options).map_err(io::Error::other)?;
            writer.write_all(columns(next).as_bytes())?;
            writer.write_all(b"\n")?;
        }
        self.at = Some(collection);
        Ok(())
    }

    fn row(&mut self, collection: Collection, row: &Value) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let mut text = String::new();
        let cells: Vec<String> = columns(collection)
            .split(',')
            .map(|name| match row.get(name) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(Value::Object(members)) if members.is_empty() => String::new(),
                Some(other) => other.to_string(),
            })
            .collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        latchkey_transfer::csv_row(&mut text, &cells);
        writer.write_all(text.as_bytes())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.begin(Collection::Invites)?;
        if let Some(writer) = self.writer.take() {
            writer.finish().map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// The columns do not say what was hashed: a hash of the password itself would match no log-in.
fn password_of(user: &UserRecord) -> Option<&String> {
    user.password.as_ref().filter(|_| user.password_over == DigestOver::Md5)
}

/// A time as the reference writes it.
fn date(time: Option<OffsetDateTime>) -> String {
    let form = format_description!(
        "[weekday repr:short] [month repr:short] [day] [year] [hour]:[minute]:[second] GMT+0000 (Coordinated Universal Time)"
    );
    time.and_then(|time| time.to_offset(time::UtcOffset::UTC).format(form).ok()).unwrap_or_default()
}
