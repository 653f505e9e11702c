//! Rows and queries of the audit log.

use diesel::prelude::*;
use latchkey_domain::{Actor, AppId, AuditEntry, AuditFilter, AuditId, UsageDay, UsageKind, UserId, day_of};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, in_app, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::schema::{audit_log, usage_days};
use crate::{AuditReader, AuditRepository, AuditStart, StorageError};

const ACTORS: [(Actor, &str); 4] = [
    (Actor::Client, "client"),
    (Actor::User, "user"),
    (Actor::Operator, "operator"),
    (Actor::Server, "server"),
];

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log)]
struct EntryRow {
    app_id: Vec<u8>,
    id: Vec<u8>,
    action: String,
    result: String,
    actor: String,
    user_id: Option<Vec<u8>>,
    handle: Option<String>,
    address: Option<String>,
    detail: Option<String>,
    created_at: PrimitiveDateTime,
    actor_name: Option<String>,
}

impl EntryRow {
    fn into_entry(self) -> Result<AuditEntry, StorageError> {
        let column = |name| Column("audit_log", name);
        let user_id = self.user_id.map(|id| column("user_id").bytes(&id)).transpose()?;
        Ok(AuditEntry {
            app_id: AppId::from_bytes(column("app_id").bytes(&self.app_id)?),
            id: AuditId::from_bytes(column("id").bytes(&self.id)?),
            action: self.action,
            result: self.result,
            actor: column("actor").named(&ACTORS, &self.actor)?,
            actor_name: self.actor_name,
            user_id: user_id.map(UserId::from_bytes),
            handle: self.handle,
            address: column("address").parsed(self.address.as_deref().map(str::parse).transpose())?,
            detail: self.detail,
            created_at: from_stored_time(self.created_at),
        })
    }
}

/// The entries of an application that a filter lets through. Times are those of the ids, which the primary key orders.
macro_rules! filtered {
    ($app_id:expr, $filter:expr) => {{
        let mut query =
            audit_log::table.filter(audit_log::app_id.eq($app_id.as_bytes().to_vec())).into_boxed();
        if let Some(is_administration) = $filter.is_administration {
            let actors = if is_administration { ["operator", "server"] } else { ["client", "user"] };
            query = query.filter(audit_log::actor.eq_any(actors));
        }
        match $filter.is_success {
            Some(true) => query = query.filter(audit_log::result.eq("ok")),
            Some(false) => query = query.filter(audit_log::result.ne("ok")),
            None => {}
        }
        if let Some(from) = $filter.from {
            query = query.filter(audit_log::id.ge(AuditId::first_at(from).as_bytes().to_vec()));
        }
        if let Some(until) = $filter.until {
            query = query.filter(audit_log::id.lt(AuditId::first_at(until).as_bytes().to_vec()));
        }
        if !$filter.actions.is_empty() {
            query = query.filter(audit_log::action.eq_any($filter.actions.clone()));
        }
        if let Some(id) = $filter.user_id {
            query = query.filter(audit_log::user_id.eq(id.as_bytes().to_vec()));
        }
        query
    }};
}

impl AuditReader for Unit<'_> {
    fn list(&mut self, app_id: AppId, limit: u32) -> Result<Vec<AuditEntry>, StorageError> {
        let rows: Vec<EntryRow> = on_backend!(self, conn => in_app!(audit_log, app_id)
            .order(audit_log::id.desc())
            .limit(i64::from(limit))
            .select(EntryRow::as_select())
            .load(conn))?;
        rows.into_iter().map(EntryRow::into_entry).collect()
    }

    fn search(
        &mut self,
        app_id: AppId,
        filter: &AuditFilter,
        start: AuditStart,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StorageError> {
        let rows: Vec<EntryRow> = on_backend!(self, conn => {
            let query = filtered!(app_id, filter)
                .order(audit_log::id.desc())
                .limit(i64::from(limit))
                .select(EntryRow::as_select());
            match start {
                AuditStart::Skip(rows) => query.offset(i64::from(rows)).load(conn),
                AuditStart::After(id) => query.filter(audit_log::id.lt(id.as_bytes().to_vec())).load(conn),
            }
        })?;
        rows.into_iter().map(EntryRow::into_entry).collect()
    }

    fn count(&mut self, app_id: AppId, filter: &AuditFilter) -> Result<u64, StorageError> {
        let number: i64 = on_backend!(self, conn => filtered!(app_id, filter).count().get_result(conn))?;
        Ok(u64::try_from(number).unwrap_or(0))
    }

    fn usage(&mut self, app_id: AppId, from: i64, until: i64) -> Result<Vec<UsageDay>, StorageError> {
        let rows: Vec<(i64, String, i64)> = on_backend!(self, conn => in_app!(usage_days, app_id)
            .filter(usage_days::day.ge(from))
            .filter(usage_days::day.lt(until))
            .order((usage_days::day, usage_days::kind))
            .select((usage_days::day, usage_days::kind, usage_days::number))
            .load(conn))?;
        rows.into_iter()
            .map(|(day, kind, number)| {
                let kind = Column("usage_days", "kind").named(&UsageKind::ALL, &kind)?;
                Ok(UsageDay { day, kind, number: u64::try_from(number).unwrap_or(0) })
            })
            .collect()
    }

    fn count_usage(
        &mut self,
        app_id: AppId,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<UsageDay>, StorageError> {
        let rows: Vec<(String, String, i64)> = on_backend!(self, conn => in_app!(audit_log, app_id)
            .filter(audit_log::id.ge(AuditId::first_at(from).as_bytes().to_vec()))
            .filter(audit_log::id.lt(AuditId::first_at(until).as_bytes().to_vec()))
            .group_by((audit_log::action, audit_log::result))
            .select((audit_log::action, audit_log::result, diesel::dsl::count_star()))
            .load(conn))?;
        let day = day_of(from);
        let mut usage: Vec<UsageDay> = Vec::new();
        for (action, result, number) in rows {
            let number = u64::try_from(number).unwrap_or(0);
            for kind in UsageKind::of(&action, &result).iter().copied() {
                match usage.iter_mut().find(|known| known.kind == kind) {
                    Some(known) => known.number += number,
                    None => usage.push(UsageDay { day, kind, number }),
                }
            }
        }
        Ok(usage)
    }
}

impl AuditRepository for Unit<'_> {
    fn add(&mut self, entry: &AuditEntry) -> Result<(), StorageError> {
        let row = EntryRow {
            app_id: entry.app_id.as_bytes().to_vec(),
            id: entry.id.as_bytes().to_vec(),
            action: entry.action.clone(),
            result: entry.result.clone(),
            actor: name_of(&ACTORS, &entry.actor).to_owned(),
            user_id: entry.user_id.map(|id| id.as_bytes().to_vec()),
            handle: entry.handle.clone(),
            address: entry.address.map(|address| address.to_string()),
            detail: entry.detail.clone(),
            created_at: to_stored_time(entry.created_at),
            actor_name: entry.actor_name.clone(),
        };
        on_backend!(self, conn => diesel::insert_into(audit_log::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(())
    }

    fn put_usage(&mut self, app_id: AppId, day: i64, usage: &[UsageDay]) -> Result<(), StorageError> {
        for UsageDay { kind, number, .. } in usage {
            let number = i64::try_from(*number).unwrap_or(i64::MAX);
            on_backend!(self, conn => diesel::insert_into(usage_days::table)
                .values((
                    usage_days::app_id.eq(app_id.as_bytes().as_slice()),
                    usage_days::day.eq(day),
                    usage_days::kind.eq(name_of(&UsageKind::ALL, kind)),
                    usage_days::number.eq(number),
                ))
                .on_conflict((usage_days::app_id, usage_days::day, usage_days::kind))
                .do_update()
                .set(usage_days::number.eq(number))
                .execute(conn))?;
        }
        Ok(())
    }
}
