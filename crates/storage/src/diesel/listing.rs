//! Lists and searches, once for users, sign-up attempts and invitations.

/// The last character there is: it ends the range of all texts with one beginning.
pub(super) const LAST: char = '\u{10FFFF}';

/// Implements [`Listing`](crate::Listing) for a table with `app_id`, `id`, `handle_key` and `created_at`. `$newest`
/// is the order of its lists, and `$passed` what lies after a position in it. `$name` is a second column that
/// is searched.
macro_rules! listing {
    (
        $table:ident, $row:ty => $item:ty, $into:path,
        newest: $newest:expr, after($position:ident): $after:expr, name: $name:expr
    ) => {
        impl $crate::Listing<$item> for Unit<'_> {
            fn page(
                &mut self,
                app_id: AppId,
                start: $crate::PageStart,
                limit: u32,
                without_anonymous: bool,
            ) -> Result<Vec<$item>, StorageError> {
                let skipped = match start {
                    $crate::PageStart::Skip(rows) => i64::from(rows),
                    $crate::PageStart::After(_) => 0,
                };
                let is_hidden = $table::handle_key
                    .ge(latchkey_domain::ANONYMOUS_PREFIX)
                    .and($table::handle_key.lt("ANON`"));
                let rows: Vec<$row> = on_backend!(self, conn => {
                    let mut query = $table::table
                        .filter($table::app_id.eq(app_id.as_bytes().as_slice()))
                        .order($newest)
                        .offset(skipped)
                        .limit(i64::from(limit))
                        .select(<$row>::as_select())
                        .into_boxed();
                    if let $crate::PageStart::After($position) = start {
                        query = query.filter($after);
                    }
                    if without_anonymous {
                        query = query.filter(diesel::dsl::not(is_hidden));
                    }
                    query.load(conn)
                })?;
                rows.into_iter().map($into).collect()
            }

            fn count(&mut self, app_id: AppId) -> Result<(u64, u64), StorageError> {
                let all: i64 = on_backend!(self, conn => $table::table
                    .filter($table::app_id.eq(app_id.as_bytes().as_slice()))
                    .count()
                    .get_result(conn))?;
                let anonymous: i64 = on_backend!(self, conn => $table::table
                    .filter($table::app_id.eq(app_id.as_bytes().as_slice()))
                    .filter($table::handle_key.ge(latchkey_domain::ANONYMOUS_PREFIX))
                    .filter($table::handle_key.lt("ANON`"))
                    .count()
                    .get_result(conn))?;
                Ok((u64::try_from(all).unwrap_or(0), u64::try_from(anonymous).unwrap_or(0)))
            }

            fn beginning_with(
                &mut self,
                app_id: AppId,
                text: &str,
                limit: u32,
            ) -> Result<Vec<$item>, StorageError> {
                let end = format!("{text}{}", $crate::diesel::listing::LAST);
                let mut rows: Vec<$row> = on_backend!(self, conn => $table::table
                    .filter($table::app_id.eq(app_id.as_bytes().as_slice()))
                    .filter($table::handle_key.ge(text))
                    .filter($table::handle_key.lt(&end))
                    .order($table::handle_key)
                    .limit(i64::from(limit))
                    .select(<$row>::as_select())
                    .load(conn))?;
                let named: Vec<$row> = on_backend!(self, conn => $table::table
                    .filter($table::app_id.eq(app_id.as_bytes().as_slice()))
                    .filter($name.ge(text))
                    .filter($name.lt(&end))
                    .order($name)
                    .limit(i64::from(limit))
                    .select(<$row>::as_select())
                    .load(conn))?;
                for row in named {
                    if rows.iter().all(|known| known.id != row.id) {
                        rows.push(row);
                    }
                }
                rows.into_iter().map($into).collect()
            }

            fn scan(
                &mut self,
                app_id: AppId,
                after: Option<$crate::Position>,
                bounds: $crate::ScanBounds,
                text: &str,
            ) -> Result<$crate::Scan<$item>, StorageError> {
                let passed: Vec<(Vec<u8>, PrimitiveDateTime, String, Option<String>)> =
                    on_backend!(self, conn => {
                        let mut query = $table::table
                            .filter($table::app_id.eq(app_id.as_bytes().as_slice()))
                            .order($newest)
                            .limit(i64::from(bounds.rows))
                            .select(($table::id, $table::created_at, $table::handle_key, $name))
                            .into_boxed();
                        if let Some($position) = after {
                            query = query.filter($after);
                        }
                        query.load(conn)
                    })?;
                let is_end = passed.len() < usize::try_from(bounds.rows).unwrap_or(usize::MAX);
                // Anonymous handles are kept as they were sent.
                let lower = text.to_lowercase();
                let has_text = |handle: &String, name: &Option<String>| {
                    let is_anonymous = handle.starts_with(latchkey_domain::ANONYMOUS_PREFIX);
                    !(is_anonymous && bounds.without_anonymous)
                        && (handle.contains(text)
                            || name.as_ref().is_some_and(|name| name.contains(text))
                            || is_anonymous && handle.to_lowercase().contains(&lower))
                };
                let (mut found, mut looked_at) = (Vec::new(), 0_u32);
                let mut last = None;
                for row in &passed {
                    if found.len() >= bounds.found {
                        break;
                    }
                    (looked_at, last) = (looked_at + 1, Some(row));
                    let (id, _, handle, name) = row;
                    if has_text(handle, name) {
                        let row: Option<$row> = on_backend!(self, conn => $table::table
                            .filter($table::app_id.eq(app_id.as_bytes().as_slice()))
                            .filter($table::id.eq(id))
                            .select(<$row>::as_select())
                            .get_result(conn)
                            .optional())?;
                        found.extend(row.map($into).transpose()?);
                    }
                }
                let looked_at_all = usize::try_from(looked_at).is_ok_and(|rows| rows == passed.len());
                let next = match last {
                    Some((id, created_at, ..)) if !(is_end && looked_at_all) => Some($crate::Position {
                        created_at: from_stored_time(*created_at),
                        id: Column(stringify!($table), "id").bytes(id)?,
                    }),
                    _ => None,
                };
                Ok($crate::Scan { found, next, looked_at })
            }
        }
    };
}
pub(super) use listing;
