//! What moves out: everything of an application, piece by piece, in an order that is the same at every time and place.

use std::sync::Arc;

use latchkey_crypto::PassphraseKey;
use latchkey_domain::{AppId, Invite, Signup, User};
use latchkey_storage::{PageStart, Position};
use latchkey_transfer::Record;

use super::secret_form::SecretForm;
use super::to_record::{invite_record, template_record};
use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::{Operator, Reader};
use crate::operate::listing::Member;
use crate::service::Service;

/// How many members are read at once.
const AT_ONCE: u32 = 500;

/// An export under way.
#[derive(Debug, Clone)]
pub struct Export {
    reader: Reader,
    app_id: AppId,
    secrets: SecretForm,
    stage: Stage,
}

#[derive(Debug, Clone)]
enum Stage {
    Head,
    Users(PageStart),
    Signups(PageStart),
    Invites(PageStart),
    Done,
}

impl Service {
    /// Begins to export an application: with what must stay secret, sealed to a passphrase, or without.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn begin_export(
        &self,
        operator: Operator,
        app_id: AppId,
        key: Option<PassphraseKey>,
    ) -> Result<Export, ServiceError> {
        let secrets = key.map_or(SecretForm::Absent, |key| SecretForm::Sealed(Arc::new(key)));
        self.begin_export_with(operator, app_id, secrets).await
    }

    /// The same, with what must stay secret in clear, or without it.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn begin_clear_export(
        &self,
        operator: Operator,
        app_id: AppId,
        with_secrets: bool,
    ) -> Result<Export, ServiceError> {
        let secrets = if with_secrets { SecretForm::Clear } else { SecretForm::Absent };
        self.begin_export_with(operator, app_id, secrets).await
    }

    async fn begin_export_with(
        &self,
        operator: Operator,
        app_id: AppId,
        secrets: SecretForm,
    ) -> Result<Export, ServiceError> {
        let mut event = Event::of_operator(Action::ExportAppDatabase, app_id, &operator);
        event.detail = match &secrets {
            SecretForm::Absent => None,
            SecretForm::Sealed(_) => Some("with secrets, sealed".to_owned()),
            SecretForm::Clear => Some("with secrets, in clear".to_owned()),
        };
        let entry = self.entry(&event)?;
        let reader = operator.reader();
        self.transact("export.begin", move |repos| {
            repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            Ok(repos.audit().add(&entry)?)
        })
        .await?;
        Ok(Export { reader, app_id, secrets, stage: Stage::Head })
    }

    /// The next records of an export; none at its end.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`] when the application was removed meanwhile.
    pub async fn next_of_export(&self, export: &mut Export) -> Result<Option<Vec<Record>>, ServiceError> {
        let secrets = export.secrets.clone();
        loop {
            let records = match export.stage.clone() {
                Stage::Head => {
                    export.stage = Stage::Users(PageStart::Skip(0));
                    self.head_records(export, &secrets).await?
                }
                Stage::Users(start) => {
                    let (users, next) = self.members::<User>(export, start).await?;
                    export.stage = next.map_or(Stage::Signups(PageStart::Skip(0)), Stage::Users);
                    let records = users.iter().map(|user| self.user_record(user, &secrets).map(Record::User));
                    records.collect::<Result<_, _>>()?
                }
                Stage::Signups(start) => {
                    let (signups, next) = self.members::<Signup>(export, start).await?;
                    export.stage = next.map_or(Stage::Invites(PageStart::Skip(0)), Stage::Signups);
                    let records = signups.iter().map(|signup| self.signup_record(signup).map(Record::Signup));
                    records.collect::<Result<_, _>>()?
                }
                Stage::Invites(start) => {
                    let (invites, next) = self.members::<Invite>(export, start).await?;
                    export.stage = next.map_or(Stage::Done, Stage::Invites);
                    invites.iter().map(|invite| Record::Invite(invite_record(invite))).collect()
                }
                Stage::Done => return Ok(None),
            };
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
    }

    async fn head_records(&self, export: &Export, secrets: &SecretForm) -> Result<Vec<Record>, ServiceError> {
        let app_id = export.app_id;
        let (app, keys) = self.app_with_keys(app_id).await?;
        let _turn = self.turn_to_read(export.reader, app_id).await?;
        let templates =
            self.read("export.templates", move |readers| Ok(readers.email_templates().list(app_id)?));
        let mut templates = templates.await?;
        templates.sort_by_key(|template| (template.name.as_str(), template.locale.as_str().to_owned()));
        let mut records = vec![Record::App(self.app_record(&app, secrets)?)];
        for app_key in &keys {
            records.push(Record::Key(self.key_record(app_key, secrets)?));
        }
        records.extend(templates.iter().map(|template| Record::Template(template_record(template))));
        Ok(records)
    }

    async fn members<T: Member>(
        &self,
        export: &Export,
        start: PageStart,
    ) -> Result<(Vec<T>, Option<PageStart>), ServiceError> {
        let app_id = export.app_id;
        let _turn = self.turn_to_read(export.reader, app_id).await?;
        let members = self
            .read("export.members", move |readers| {
                readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                T::listing(readers).page(app_id, start, AT_ONCE, false).map_err(ServiceError::from)
            })
            .await?;
        let is_full = members.len() >= usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
        let next: Option<Position> = members.last().filter(|_| is_full).map(Member::position);
        Ok((members, next.map(PageStart::After)))
    }
}
