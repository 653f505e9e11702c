//! Rows and queries of messages as applications word them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use latchkey_domain::{AppId, EmailTemplate, Locale, TemplateName};
use time::PrimitiveDateTime;

use super::connection::{Unit, find_row, in_app, on_backend};
use super::convert::{Column, from_stored_time, to_stored_time};
use super::schema::email_templates;
use crate::{EmailTemplateReader, EmailTemplateRepository, StorageError};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = email_templates)]
struct TemplateRow {
    app_id: Vec<u8>,
    name: String,
    locale: String,
    subject: String,
    reply_to: String,
    html: String,
    link_text: String,
    created_at: PrimitiveDateTime,
    updated_at: PrimitiveDateTime,
}

impl TemplateRow {
    fn into_template(self) -> Result<EmailTemplate, StorageError> {
        let column = |name| Column("email_templates", name);
        Ok(EmailTemplate {
            app_id: AppId::from_bytes(column("app_id").bytes(&self.app_id)?),
            name: TemplateName::parse(&self.name).ok_or_else(|| column("name").wrong())?,
            locale: column("locale").parsed(Locale::parse(&self.locale))?,
            subject: self.subject,
            reply_to: self.reply_to,
            html: self.html,
            link_text: self.link_text,
            created_at: from_stored_time(self.created_at),
            updated_at: from_stored_time(self.updated_at),
        })
    }
}

impl EmailTemplateReader for Unit<'_> {
    fn find(
        &mut self,
        app_id: AppId,
        name: TemplateName,
        locale: Locale,
    ) -> Result<Option<EmailTemplate>, StorageError> {
        let row = find_row!(self, email_templates => TemplateRow,
            email_templates::app_id.eq(app_id.as_bytes().as_slice()),
            email_templates::name.eq(name.as_str()),
            email_templates::locale.eq(locale.as_str()))?;
        row.map(TemplateRow::into_template).transpose()
    }

    fn list(&mut self, app_id: AppId) -> Result<Vec<EmailTemplate>, StorageError> {
        let rows: Vec<TemplateRow> = on_backend!(self, conn => in_app!(email_templates, app_id)
            .order((email_templates::locale, email_templates::name))
            .select(TemplateRow::as_select())
            .load(conn))?;
        rows.into_iter().map(TemplateRow::into_template).collect()
    }

    fn size(&mut self, app_id: AppId) -> Result<u64, StorageError> {
        let bytes: i64 = on_backend!(self, conn => in_app!(email_templates, app_id)
            .select(sql::<BigInt>("COALESCE(SUM(OCTET_LENGTH(html)), 0)"))
            .get_result(conn))?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }
}

impl EmailTemplateRepository for Unit<'_> {
    fn put(&mut self, template: &EmailTemplate) -> Result<(), StorageError> {
        let row = TemplateRow {
            app_id: template.app_id.as_bytes().to_vec(),
            name: template.name.as_str().to_owned(),
            locale: template.locale.as_str().to_owned(),
            subject: template.subject.clone(),
            reply_to: template.reply_to.clone(),
            html: template.html.clone(),
            link_text: template.link_text.clone(),
            created_at: to_stored_time(template.created_at),
            updated_at: to_stored_time(template.updated_at),
        };
        on_backend!(self, conn => diesel::insert_into(email_templates::table)
            .values(&row)
            .on_conflict((email_templates::app_id, email_templates::name, email_templates::locale))
            .do_update()
            .set((
                email_templates::subject.eq(&row.subject),
                email_templates::reply_to.eq(&row.reply_to),
                email_templates::html.eq(&row.html),
                email_templates::link_text.eq(&row.link_text),
                email_templates::updated_at.eq(row.updated_at),
            ))
            .execute(conn))?;
        Ok(())
    }

    fn remove_locale(&mut self, app_id: AppId, locale: Locale) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(email_templates, app_id))
            .filter(email_templates::locale.eq(locale.as_str()))
            .execute(conn))?;
        Ok(())
    }
}
