//! Imports of whole applications, which become visible when complete. They run in batches and can be resumed. Imports of
//! users into an existing application are in `user_import`.

use latchkey_crypto::OLD_GENERATION;
use latchkey_domain::{
    App, AppId, AppKey, EmailTemplate, ImportProgress, Invite, KEY_TAIL, Signup, User, UserIdFormat,
};
use latchkey_storage::{QuotaKey, Repositories, RowOutcome};
use latchkey_transfer::{AppRecord, KeyRecord, Record, TemplateRecord};
use serde::{Deserialize, Serialize};
use time::Duration;

use super::bounds::MOST_KEYS;
use super::from_record::{app_of, count_of_arrival, lost_words, template_of};
use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::notify::sms::{account_of, parsed_account};
use crate::operate::email_templates::too_many_words;
use crate::operate::metadata_fields::check_together;
use crate::service::Service;

/// The application to import, before its users. Secrets are decrypted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportManifest {
    /// SHA-256 of what it is made from: the same source is the same import.
    pub source: [u8; 32],
    /// The application.
    pub app: AppRecord,
    /// Its keys.
    pub keys: Vec<KeyRecord>,
    /// Its messages.
    pub templates: Vec<TemplateRecord>,
    /// Whether it comes from an old server, whose app tokens are in its clients.
    pub takes_old_app_tokens: bool,
}

/// How an import begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportStart {
    /// The number of records after which an import resumes; 0 for a new one.
    At(i64),
    /// Not at all: the application is there, whole.
    AlreadyThere,
}

/// The outcome of one imported user or record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordOutcome {
    /// It is there now.
    Added,
    /// It exists now: what was lost, or why it is not needed.
    Partly(String),
    /// It was there already.
    Known,
    /// It was not taken, for this reason.
    Refused(String),
}

/// What became of a batch.
pub type BatchOutcome = Vec<RecordOutcome>;

enum Arrival {
    User(Box<User>),
    Signup(Box<Signup>),
    Invite(Box<Invite>),
    /// Records that have no use here.
    Nothing,
}

impl Service {
    /// Validates an application for an import, and changes nothing.
    ///
    /// # Errors
    /// As [`Self::begin_import`].
    pub async fn check_import(&self, head: ImportManifest) -> Result<ImportStart, ServiceError> {
        let (app, _, _) = self.head_of(&head)?;
        let source = head.source;
        let issuer_gate = self.issuer_gate(&app)?;
        self.transact("import.look", move |repos| {
            let begun = begun_of(repos, &app, &source)?;
            if begun.is_none() {
                check_issuer(repos, &app, &issuer_gate)?;
            }
            let is_others = |mark: &ImportProgress| mark.app_id == app.id && mark.source != source;
            if begun.is_none() && repos.imports().list()?.iter().any(is_others) {
                return Err(another_import());
            }
            Ok(begun.unwrap_or(ImportStart::At(0)))
        })
        .await
    }

    /// Validates the records of an archive, and changes nothing.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`], explained, when the application itself is invalid.
    pub async fn check_records(
        &self,
        app: &AppRecord,
        records: &[Record],
    ) -> Result<BatchOutcome, ServiceError> {
        let id = self.id_of(app)?;
        let now = self.inner.clock.now();
        let checked = records.iter().map(|record| {
            let lost = match record {
                Record::App(app) => app_of(app, id).map(|_| None),
                Record::Key(key) => self.key_of(id, key).map(|_| None),
                Record::Template(template) => {
                    template_of(template, id).map(|_| lost_words(template, self.public_url()))
                }
                Record::User(user) => self.user_of(id, user, now).map(|_| self.lost_of(user, None)),
                Record::Signup(signup) => self.signup_of(id, signup, now).map(|_| self.lost_signup(signup)),
                Record::Invite(invite) => self.invite_of(id, invite, now).map(|_| None),
            };
            match lost {
                Err(reason) => RecordOutcome::Refused(reason),
                Ok(Some(lost)) => RecordOutcome::Partly(lost),
                Ok(None) => RecordOutcome::Added,
            }
        });
        Ok(checked.collect())
    }

    fn id_of(&self, app: &AppRecord) -> Result<AppId, ServiceError> {
        let id = app.app_id.parse().ok().filter(|id| *id != AppId::NONE);
        id.ok_or_else(|| {
            ServiceError::invalid("the application's id is not 32 hexadecimal digits, or all of them are 0")
        })
    }

    /// Starts or resumes the import of an application.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`], explained, when a value is invalid; [`Refusal::AppNameTaken`];
    /// [`Refusal::Conflict`], explained, when another import creates the same application.
    pub async fn begin_import(
        &self,
        operator: Operator,
        head: ImportManifest,
    ) -> Result<ImportStart, ServiceError> {
        operator.reaches_all()?;
        let (app, keys, templates) = self.arriving(&head).await?;
        let now = self.inner.clock.now();
        let issuer_gate = self.issuer_gate(&app)?;
        let mark =
            ImportProgress { app_id: app.id, source: head.source, done: 0, began_at: now, updated_at: now };
        self.transact("import.begin", move |repos| {
            if let Some(begun) = begun_of(repos, &app, &mark.source)? {
                return Ok(begun);
            }
            check_issuer(repos, &app, &issuer_gate)?;
            if !repos.imports().begin(&app, &mark)? {
                return Err(another_import());
            }
            keys.iter().try_for_each(|key| repos.apps().put_key(key))?;
            templates.iter().try_for_each(|template| repos.email_templates().put(template))?;
            Ok(ImportStart::At(0))
        })
        .await
    }

    /// The counter that imports of one issuer write first, so that each sees what the one before has taken.
    fn issuer_gate(&self, app: &App) -> Result<QuotaKey, ServiceError> {
        self.counter(AppId::NONE, "issuer.gate", &[app.issuer.as_bytes()], Duration::days(1))
    }

    /// The application with its keys and templates, as in the source.
    fn head_of(&self, head: &ImportManifest) -> Result<(App, Vec<AppKey>, Vec<EmailTemplate>), ServiceError> {
        let id = self.id_of(&head.app)?;
        let (mut app, mail, sms) = app_of(&head.app, id).map_err(ServiceError::invalid)?;
        check_together(&app)?;
        // Every application of this server, also one to come, has its issuer below this address.
        let below = format!("{}/apps/", self.inner.settings.public_url);
        if app.issuer.strip_prefix(&below).is_some_and(|rest| rest != id.to_string()) {
            return Err(ServiceError::issuer_taken(&app.issuer));
        }
        if head.takes_old_app_tokens {
            app.token_generation = OLD_GENERATION;
        }
        if let Some(mail) = mail {
            app.settings.mail_api_key = Some(self.seal_mail_key(id, &mail)?);
        }
        if let Some(sms) = sms {
            parsed_account(sms.as_bytes())
                .ok_or_else(|| ServiceError::invalid("the SMS account is malformed"))?;
            let context = account_of(id);
            app.settings.sms_account =
                Some(self.key_ring().seal(&context, sms.as_bytes(), &*self.inner.entropy)?);
        }
        if head.keys.len() > MOST_KEYS {
            return Err(ServiceError::invalid(format!("it has more than {MOST_KEYS} keys")));
        }
        let keys = head.keys.iter().map(|key| self.key_of(id, key).map_err(ServiceError::invalid));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let bytes: usize = head.templates.iter().map(|template| template.html.len()).sum();
        if let Some(what) = too_many_words(u64::try_from(bytes).unwrap_or(u64::MAX)) {
            return Err(ServiceError::invalid(what));
        }
        let safe = head.templates.iter().filter(|record| lost_words(record, self.public_url()).is_none());
        let templates = safe.map(|record| template_of(record, id).map_err(ServiceError::invalid));
        Ok((app, keys, templates.collect::<Result<_, _>>()?))
    }

    /// The same, adapted to this server. Without its private keys it gets a new one, and the old ones stay published as
    /// long as their tokens may be valid.
    async fn arriving(
        &self,
        head: &ImportManifest,
    ) -> Result<(App, Vec<AppKey>, Vec<EmailTemplate>), ServiceError> {
        let (mut app, mut keys, templates) = self.head_of(head)?;
        let now = self.inner.clock.now();
        // An app token of the future would be refused; one that ended here must not begin again.
        app.token_issued_at = app.token_issued_at.min(now);
        if !head.takes_old_app_tokens {
            app.token_generation = count_of_arrival(now);
        }
        let present =
            keys.iter().filter(|key| key.signs_from <= now).max_by_key(|key| (key.signs_from, &key.kid));
        let signs_here = present.is_some_and(|key| key.private.is_some() && key.is_published(now));
        let until = now + Duration::hours(i64::from(app.settings.user_jwt_hours.max(1))) + KEY_TAIL;
        for key in keys.iter_mut().filter(|key| !signs_here || key.private.is_none()) {
            key.signs_from = key.signs_from.min(now - Duration::SECOND);
            // A key that retires already goes when it would have. Tokens of a longer life before may be about.
            let last = key.tokens_until.map_or(until, |last| until.max(last + KEY_TAIL));
            key.published_until = key.published_until.or(Some(last));
        }
        if !signs_here {
            keys.push(self.new_key(app.id, now).await?);
        }
        Ok((app, keys, templates))
    }

    /// Brings the next records of an application in that is not whole yet. `from` is how many were before.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`], explained, with the number of the record that cannot be taken;
    /// [`Refusal::Conflict`], explained, when the import is elsewhere.
    pub async fn import_batch(
        &self,
        operator: Operator,
        source: [u8; 32],
        from: i64,
        records: Vec<Record>,
    ) -> Result<(), ServiceError> {
        operator.reaches_all()?;
        let now = self.inner.clock.now();
        let mark = self.import_of(source).await?;
        let app_id = mark.app_id;
        let mut arrivals = Vec::with_capacity(records.len());
        for (number, record) in (from + 1..).zip(&records) {
            let arrival = match record {
                Record::User(user) => {
                    self.user_of(app_id, user, now).map(|user| Arrival::User(Box::new(user)))
                }
                Record::Signup(signup) if self.lost_signup(signup).is_some() => Ok(Arrival::Nothing),
                Record::Signup(signup) => {
                    self.signup_of(app_id, signup, now).map(|it| Arrival::Signup(Box::new(it)))
                }
                Record::Invite(invite) => {
                    self.invite_of(app_id, invite, now).map(|it| Arrival::Invite(Box::new(it)))
                }
                other => Err(format!("a second {} stands among the users", other.kind())),
            };
            arrivals.push(arrival.map_err(|text| ServiceError::invalid(format!("record {number}: {text}")))?);
        }
        let to = from + i64::try_from(arrivals.len()).unwrap_or(0);
        self.transact("import.batch", move |repos| {
                if !repos.imports().advance(app_id, from, to, now)? {
                    let text = "the import is elsewhere: another one goes on with it".to_owned();
                    return Err(ServiceError::Explained(Refusal::Conflict, text));
                }
                for (number, arrival) in (from + 1..).zip(&arrivals) {
                    match arrival {
                        Arrival::User(user) => {
                            if repos.imports().add_user(user)? != RowOutcome::Added {
                                let name = user.handle.as_str();
                                return Err(ServiceError::invalid(format!(
                                    "record {number}: {name} has a handle, id, name, number or identity of another"
                                )));
                            }
                        }
                        Arrival::Signup(signup) => repos.signups().put(signup)?,
                        Arrival::Invite(invite) => repos.invites().put(invite)?,
                        Arrival::Nothing => {}
                    }
                }
                Ok(())
            })
            .await
    }

    pub(super) async fn import_of(&self, source: [u8; 32]) -> Result<ImportProgress, ServiceError> {
        let found = self.transact("import.find", move |repos| Ok(repos.imports().find(&source)?));
        let none = || ServiceError::Explained(Refusal::Unknown, "there is no such import".to_owned());
        found.await?.ok_or_else(none)
    }

    /// Makes a complete application visible: `records` were imported.
    ///
    /// # Errors
    /// [`Refusal::Conflict`], explained, when it is incomplete; [`Refusal::AppNameTaken`].
    pub async fn finish_import(
        &self,
        operator: Operator,
        head: ImportManifest,
        records: i64,
    ) -> Result<(), ServiceError> {
        operator.reaches_all()?;
        let mark = self.import_of(head.source).await?;
        let (app, _, _) = app_of(&head.app, mark.app_id).map_err(ServiceError::invalid)?;
        let mut event = Event::of_operator(Action::ImportDatabase, app.id, &operator);
        event.detail = Some(format!("{records} records"));
        let entry = self.entry(&event)?;
        self.transact("import.finish", move |repos| {
            let found = repos.imports().find(&mark.source)?;
            if found.is_none_or(|found| found.done != records) {
                let text = "the import is not whole".to_owned();
                return Err(ServiceError::Explained(Refusal::Conflict, text));
            }
            name_is_free(repos, &app)?;
            if app.settings.user_id_format == UserIdFormat::HandleUnderscore
                && let Some(subject) = repos.users().shared_underscored(app.id)?
            {
                return Err(ServiceError::invalid(format!("two users would have the sub {subject:?}")));
            }
            repos.imports().reveal(&app)?;
            Ok(repos.audit().add(&entry)?)
        })
        .await
    }

    /// Imports that are not whole.
    pub async fn list_imports(&self) -> Result<Vec<ImportProgress>, ServiceError> {
        self.transact("import.list", |repos| Ok(repos.imports().list()?)).await
    }

    /// Removes an unfinished import.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], explained.
    pub async fn discard_import(&self, operator: Operator, app_id: AppId) -> Result<(), ServiceError> {
        operator.reaches_all()?;
        self.transact("import.discard", move |repos| {
            if repos.imports().list()?.iter().all(|mark| mark.app_id != app_id) {
                let text = "there is no such import".to_owned();
                return Err(ServiceError::Explained(Refusal::Unknown, text));
            }
            Ok(repos.apps().remove(app_id)?)
        })
        .await
    }
}

/// Where an import is, if it was begun, or is not needed.
fn begun_of(
    repos: &mut dyn Repositories,
    app: &App,
    source: &[u8; 32],
) -> Result<Option<ImportStart>, ServiceError> {
    if repos.apps().find(app.id)?.is_some() {
        return Ok(Some(ImportStart::AlreadyThere));
    }
    name_is_free(repos, app)?;
    Ok(repos.imports().find(source)?.map(|begun| ImportStart::At(begun.done)))
}

fn another_import() -> ServiceError {
    let text = "another import makes this application: finish it, or discard it";
    ServiceError::Explained(Refusal::Conflict, text.to_owned())
}

fn name_is_free(repos: &mut dyn Repositories, app: &App) -> Result<(), ServiceError> {
    if repos.apps().find_by_name(app.owner, &app.name)?.is_none() {
        return Ok(());
    }
    Err(ServiceError::app_name_taken(&app.name))
}

/// Refuses an issuer that another application of this server has: with it, one's tokens would pass for the other's.
fn check_issuer(repos: &mut dyn Repositories, app: &App, gate: &QuotaKey) -> Result<(), ServiceError> {
    repos.quotas().reserve(gate, u32::MAX)?;
    match repos.apps().find_by_issuer(&app.issuer)? {
        Some(other) if other != app.id => Err(ServiceError::issuer_taken(&app.issuer)),
        _ => Ok(()),
    }
}
