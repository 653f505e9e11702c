//! Rows and queries of the portal's accounts and log-ins.

use diesel::prelude::*;
use latchkey_domain::{
    Developer, DeveloperId, DeveloperRole, DeveloperStatus, Handle, KeyedDigest, LoginStage, PortalLogin,
    Sealed, SetupLink,
};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, find_row, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::schema::{developers, portal_logins, setup_links};
use crate::{PortalReader, PortalRepository, StorageError};

const ROLES: [(DeveloperRole, &str); 2] =
    [(DeveloperRole::Developer, "developer"), (DeveloperRole::Administrator, "administrator")];
const STATUSES: [(DeveloperStatus, &str); 2] =
    [(DeveloperStatus::Active, "active"), (DeveloperStatus::Blocked, "blocked")];

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = developers)]
#[diesel(treat_none_as_null = true)]
struct DeveloperRow {
    id: Vec<u8>,
    email: String,
    email_key: String,
    role: String,
    status: String,
    password: Vec<u8>,
    password_at: PrimitiveDateTime,
    created_at: PrimitiveDateTime,
    updated_at: PrimitiveDateTime,
    last_sign_in_at: Option<PrimitiveDateTime>,
    revision: i64,
}

impl DeveloperRow {
    fn of(developer: &Developer) -> Self {
        Self {
            id: developer.id.as_bytes().to_vec(),
            email: developer.email.as_str().to_owned(),
            email_key: developer.email.key().to_owned(),
            role: name_of(&ROLES, &developer.role).to_owned(),
            status: name_of(&STATUSES, &developer.status).to_owned(),
            password: developer.password.as_bytes().to_vec(),
            password_at: to_stored_time(developer.password_at),
            created_at: to_stored_time(developer.created_at),
            updated_at: to_stored_time(developer.updated_at),
            last_sign_in_at: developer.last_sign_in_at.map(to_stored_time),
            revision: developer.revision,
        }
    }

    fn into_developer(self) -> Result<Developer, StorageError> {
        let column = |name| Column("developers", name);
        Ok(Developer {
            id: DeveloperId::from_bytes(column("id").bytes(&self.id)?),
            email: column("email").parsed(Handle::from_stored(&self.email))?,
            role: column("role").named(&ROLES, &self.role)?,
            status: column("status").named(&STATUSES, &self.status)?,
            password: Sealed::from_bytes(self.password),
            password_at: from_stored_time(self.password_at),
            created_at: from_stored_time(self.created_at),
            updated_at: from_stored_time(self.updated_at),
            last_sign_in_at: self.last_sign_in_at.map(from_stored_time),
            revision: self.revision,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = portal_logins)]
struct LoginRow {
    digest: Vec<u8>,
    developer_id: Option<Vec<u8>>,
    stage: String,
    address: String,
    agent: String,
    created_at: PrimitiveDateTime,
    used_at: PrimitiveDateTime,
    confirmed_at: PrimitiveDateTime,
}

impl LoginRow {
    fn of(login: &PortalLogin) -> Self {
        let (stage, developer_id) = match &login.stage {
            LoginStage::Setup => ("setup", None),
            LoginStage::Code(id) => ("code", Some(id)),
            LoginStage::Full(id) => ("full", Some(id)),
        };
        Self {
            digest: login.digest.as_bytes().to_vec(),
            developer_id: developer_id.map(|id| id.as_bytes().to_vec()),
            stage: stage.to_owned(),
            address: login.address.to_string(),
            agent: login.agent.clone(),
            created_at: to_stored_time(login.created_at),
            used_at: to_stored_time(login.used_at),
            confirmed_at: to_stored_time(login.confirmed_at),
        }
    }

    fn into_login(self) -> Result<PortalLogin, StorageError> {
        let column = |name| Column("portal_logins", name);
        let developer = self.developer_id.map(|id| column("developer_id").bytes(&id)).transpose()?;
        let stage = match (self.stage.as_str(), developer.map(DeveloperId::from_bytes)) {
            ("setup", None) => LoginStage::Setup,
            ("code", Some(id)) => LoginStage::Code(id),
            ("full", Some(id)) => LoginStage::Full(id),
            _ => return Err(column("stage").wrong()),
        };
        Ok(PortalLogin {
            digest: KeyedDigest::from_bytes(column("digest").bytes(&self.digest)?),
            stage,
            address: column("address").parsed(self.address.parse())?,
            agent: self.agent,
            created_at: from_stored_time(self.created_at),
            used_at: from_stored_time(self.used_at),
            confirmed_at: from_stored_time(self.confirmed_at),
        })
    }
}

impl PortalReader for Unit<'_> {
    fn find_developer(&mut self, id: DeveloperId) -> Result<Option<Developer>, StorageError> {
        let row: Option<DeveloperRow> = find_row!(self, developers => DeveloperRow,
            developers::id.eq(id.as_bytes().as_slice()))?;
        row.map(DeveloperRow::into_developer).transpose()
    }

    fn find_by_email(&mut self, email_key: &str) -> Result<Option<Developer>, StorageError> {
        let row: Option<DeveloperRow> = find_row!(self, developers => DeveloperRow,
            developers::email_key.eq(email_key))?;
        row.map(DeveloperRow::into_developer).transpose()
    }

    fn has_administrator(&mut self) -> Result<bool, StorageError> {
        let found: Option<Vec<u8>> = on_backend!(self, conn => developers::table
            .filter(developers::role.eq(name_of(&ROLES, &DeveloperRole::Administrator)))
            .filter(developers::status.eq(name_of(&STATUSES, &DeveloperStatus::Active)))
            .limit(1)
            .select(developers::id)
            .get_result(conn)
            .optional())?;
        Ok(found.is_some())
    }

    fn find_login(&mut self, digest: &KeyedDigest) -> Result<Option<PortalLogin>, StorageError> {
        let row: Option<LoginRow> = find_row!(self, portal_logins => LoginRow,
            portal_logins::digest.eq(digest.as_bytes().as_slice()))?;
        row.map(LoginRow::into_login).transpose()
    }

    fn logins(&mut self, developer_id: DeveloperId) -> Result<Vec<PortalLogin>, StorageError> {
        let rows: Vec<LoginRow> = on_backend!(self, conn => portal_logins::table
            .filter(portal_logins::developer_id.eq(developer_id.as_bytes().as_slice()))
            .order((portal_logins::used_at.desc(), portal_logins::digest))
            .select(LoginRow::as_select())
            .load(conn))?;
        rows.into_iter().map(LoginRow::into_login).collect()
    }

    fn find_setup_link(&mut self, digest: &KeyedDigest) -> Result<Option<SetupLink>, StorageError> {
        let created_at: Option<PrimitiveDateTime> = on_backend!(self, conn => setup_links::table
            .filter(setup_links::digest.eq(digest.as_bytes().as_slice()))
            .select(setup_links::created_at)
            .get_result(conn)
            .optional())?;
        let link = |at| SetupLink { digest: digest.clone(), created_at: from_stored_time(at) };
        Ok(created_at.map(link))
    }
}

impl PortalRepository for Unit<'_> {
    fn add_developer(&mut self, developer: &Developer) -> Result<bool, StorageError> {
        let row = DeveloperRow::of(developer);
        let added = on_backend!(self, conn => diesel::insert_into(developers::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        // A unit that runs again after a lost answer finds its own row.
        Ok(added == 1 || self.find_developer(developer.id)?.is_some())
    }

    fn update_developer(&mut self, developer: &Developer, from_revision: i64) -> Result<bool, StorageError> {
        let row = DeveloperRow::of(developer);
        let changed = on_backend!(self, conn => diesel::update(developers::table)
            .filter(developers::id.eq(&row.id))
            .filter(developers::revision.eq(from_revision))
            .set(&row)
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn note_sign_in(
        &mut self,
        id: DeveloperId,
        password_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(developers::table)
            .filter(developers::id.eq(id.as_bytes().as_slice()))
            .filter(developers::status.eq(name_of(&STATUSES, &DeveloperStatus::Active)))
            .filter(developers::password_at.eq(to_stored_time(password_at)))
            .set(developers::last_sign_in_at.eq(to_stored_time(now)))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn add_login(&mut self, login: &PortalLogin) -> Result<(), StorageError> {
        let row = LoginRow::of(login);
        on_backend!(self, conn => diesel::insert_into(portal_logins::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(())
    }

    fn note_use(&mut self, digest: &KeyedDigest, now: OffsetDateTime) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(portal_logins::table)
            .filter(portal_logins::digest.eq(digest.as_bytes().as_slice()))
            .set(portal_logins::used_at.eq(to_stored_time(now)))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn remove_login(&mut self, digest: &KeyedDigest) -> Result<bool, StorageError> {
        let removed = on_backend!(self, conn => diesel::delete(portal_logins::table)
            .filter(portal_logins::digest.eq(digest.as_bytes().as_slice()))
            .execute(conn))?;
        Ok(removed == 1)
    }

    fn remove_logins_of(
        &mut self,
        developer_id: DeveloperId,
        except: Option<&KeyedDigest>,
    ) -> Result<usize, StorageError> {
        // No log-in has the digest of nothing.
        let except = except.unwrap_or(&KeyedDigest::NONE);
        let removed = on_backend!(self, conn => diesel::delete(portal_logins::table)
            .filter(portal_logins::developer_id.eq(developer_id.as_bytes().as_slice()))
            .filter(portal_logins::digest.ne(except.as_bytes().as_slice()))
            .execute(conn))?;
        Ok(removed)
    }

    fn replace_setup_links(&mut self, link: Option<&SetupLink>) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(setup_links::table).execute(conn))?;
        if let Some(link) = link {
            let row = (
                setup_links::digest.eq(link.digest.as_bytes().as_slice()),
                setup_links::created_at.eq(to_stored_time(link.created_at)),
            );
            on_backend!(self, conn => diesel::insert_into(setup_links::table).values(row).execute(conn))?;
        }
        Ok(())
    }
}
