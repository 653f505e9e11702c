//! Lists of an application's members: pages with totals, and searches of bounded cost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_domain::{AppId, AuditFilter, Invite, Signup, User, search_key};
use latchkey_storage::{Listing, PageStart, Position, Readers, ScanBounds};
use time::{Duration, OffsetDateTime};

use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Reader;
use crate::service::Service;

/// The most members of a page.
pub const MOST_ON_A_PAGE: u32 = 200;
/// The most rows that may be passed over to reach a page; further on, a cursor leads.
pub const MOST_SKIPPED: u32 = 10_000;
/// The most that a search gives.
pub(crate) const MOST_FOUND: usize = 200;
/// The number of members, newest first, in which a search looks for a text anywhere.
pub const MOST_SCANNED: u32 = 100_000;
/// How many of them in one unit of work, so that other readers get their turn.
const SCANNED_AT_ONCE: u32 = 5_000;
/// Totals above this are kept for a while.
const LARGE: u64 = 10_000;
/// For how long.
const KEPT_FOR: Duration = Duration::seconds(60);

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    start: PageStart,
    size: u32,
}

impl Page {
    /// The page after `skipped` rows, or after a cursor.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`], explained, when the cursor is invalid, or too many rows would be skipped.
    pub fn new(skipped: u64, cursor: Option<&str>, size: u32) -> Result<Self, ServiceError> {
        let size = size.clamp(1, MOST_ON_A_PAGE);
        let start = match cursor {
            Some(cursor) => PageStart::After(
                position_of(cursor)
                    .ok_or_else(|| ServiceError::invalid("after is no cursor of this server"))?,
            ),
            None => {
                PageStart::Skip(u32::try_from(skipped).ok().filter(|rows| *rows <= MOST_SKIPPED).ok_or_else(
                    || ServiceError::invalid(format!("a page begins within {MOST_SKIPPED} rows; further on, send after, where the list takes it")),
                )?)
            }
        };
        Ok(Self { start, size })
    }

    /// All there is, for a list that is short enough to be seen whole.
    pub const ALL: Self = Self { start: PageStart::Skip(0), size: u32::MAX };

    pub(crate) fn size(self) -> u32 {
        self.size
    }

    /// How many rows are passed over; none where a cursor leads.
    pub(crate) fn skipped(self) -> u32 {
        match self.start {
            PageStart::Skip(rows) => rows,
            PageStart::After(_) => 0,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The members, newest first.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: u64,
    /// How many of these are anonymous.
    pub anonymous: u64,
    /// Where the next page begins, if this one was full.
    pub next: Option<String>,
}

/// The matches of a search.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// The members, by handle.
    pub items: Vec<T>,
    /// Whether these are all: nothing was left unseen.
    pub is_complete: bool,
}

/// A member of an application that people look for.
pub trait Member: Clone + Send + 'static {
    #[doc(hidden)]
    const KIND: &'static str;
    #[doc(hidden)]
    fn listing(readers: &mut dyn Readers) -> &mut dyn Listing<Self>;
    #[doc(hidden)]
    fn position(&self) -> Position;
    #[doc(hidden)]
    fn name(&self) -> &str;
}

macro_rules! member {
    ($type:ty, $kind:literal, $readers:ident) => {
        impl Member for $type {
            const KIND: &'static str = $kind;
            fn listing(readers: &mut dyn Readers) -> &mut dyn Listing<Self> {
                readers.$readers()
            }
            fn position(&self) -> Position {
                Position { created_at: self.created_at, id: *self.id.as_bytes() }
            }
            fn name(&self) -> &str {
                self.handle.as_str()
            }
        }
    };
}

member!(User, "users", users);
member!(Signup, "signups", signups);
member!(Invite, "invites", invites);

const CURSOR_VERSION: u8 = 1;

fn cursor_of(position: Position) -> String {
    let mut bytes = vec![CURSOR_VERSION];
    let micros = position.created_at.unix_timestamp_nanos() / 1_000;
    bytes.extend(i64::try_from(micros).unwrap_or(0).to_be_bytes());
    bytes.extend(position.id);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn position_of(cursor: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (micros, id) = rest.split_at_checked(8)?;
    if *version != CURSOR_VERSION {
        return None;
    }
    let micros = i128::from(i64::from_be_bytes(micros.try_into().ok()?));
    let created_at = OffsetDateTime::from_unix_timestamp_nanos(micros * 1_000).ok()?;
    Some(Position { created_at, id: id.try_into().ok()? })
}

/// A list that was counted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum CountedList {
    /// Of members of this kind.
    Members(&'static str),
    /// Of what a filter leaves of the log.
    Log(AuditFilter),
}

type Counted = (u64, u64);

/// Totals of large applications, and until when they are kept.
#[derive(Default)]
pub(crate) struct Totals(Mutex<HashMap<(AppId, CountedList), (OffsetDateTime, Counted)>>);

impl Totals {
    pub(crate) fn get(&self, key: &(AppId, CountedList), now: OffsetDateTime) -> Option<Counted> {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.get(key).filter(|(until, _)| now < *until).map(|(_, total)| *total)
    }

    /// Keeps a total that is large enough to have been much work.
    pub(crate) fn keep(&self, key: (AppId, CountedList), now: OffsetDateTime, total: Counted) {
        if total.0 <= LARGE {
            return;
        }
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.retain(|_, (until, _)| now < *until);
        totals.insert(key, (now + KEPT_FOR, total));
    }

    /// Forgets an application that was emptied.
    pub(crate) fn forget(&self, app_id: AppId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _), _| *id != app_id);
    }
}

impl Service {
    /// A page of an application's users, sign-up attempts or invitations.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn list<T: Member>(
        &self,
        reader: Reader,
        app_id: AppId,
        page: Page,
        without_anonymous: bool,
    ) -> Result<Listed<T>, ServiceError> {
        let now = self.inner.clock.now();
        let key = (app_id, CountedList::Members(T::KIND));
        let _turn = self.turn_to_read(reader, app_id).await?;
        let kept = self.inner.totals.get(&key, now);
        let (items, counted) = self
            .read("listing.page", move |readers| {
                readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                let listing = T::listing(readers);
                let items = listing.page(app_id, page.start, page.size, without_anonymous)?;
                let counted = kept.map_or_else(|| listing.count(app_id), Ok)?;
                Ok((items, counted))
            })
            .await?;
        let (total, anonymous) = counted;
        if kept.is_none() {
            self.inner.totals.keep(key, now, counted);
        }
        let is_full = items.len() >= usize::try_from(page.size).unwrap_or(usize::MAX);
        let next = items.last().filter(|_| is_full).map(|last| cursor_of(last.position()));
        Ok(Listed { items, total, anonymous, next })
    }

    /// Finds users, sign-ups or invitations by a text in the handle or user name: first those that start with it,
    /// through an index; then, among the newest [`MOST_SCANNED`], those that contain it. Ignores letter case; the text
    /// is literal.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn search<T: Member>(
        &self,
        reader: Reader,
        app_id: AppId,
        text: &str,
        without_anonymous: bool,
    ) -> Result<Found<T>, ServiceError> {
        let key = search_key(text);
        let most = u32::try_from(MOST_FOUND).unwrap_or(u32::MAX).saturating_add(1);
        let beginning = key.clone();
        let _turn = self.turn_to_read(reader, app_id).await?;
        let mut items: Vec<T> = self
            .read("listing.beginning", move |readers| {
                readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                Ok(T::listing(readers).beginning_with(app_id, &beginning, most)?)
            })
            .await?;
        let is_wanted =
            |item: &T| !(without_anonymous && item.name().starts_with(latchkey_domain::ANONYMOUS_PREFIX));
        items.retain(is_wanted);
        let (mut after, mut scanned) = (None, 0);
        let is_complete = loop {
            let rows = SCANNED_AT_ONCE.min(MOST_SCANNED.saturating_sub(scanned));
            let bounds = ScanBounds { rows, found: MOST_FOUND + 1, without_anonymous };
            if items.len() > MOST_FOUND || rows == 0 {
                break false;
            }
            let text = key.clone();
            let step = self
                .read("listing.scan", move |readers| {
                    T::listing(readers).scan(app_id, after, bounds, &text).map_err(ServiceError::from)
                })
                .await?;
            for item in step.found {
                if items.iter().all(|known| known.position().id != item.position().id) {
                    items.push(item);
                }
            }
            scanned = scanned.saturating_add(step.looked_at);
            after = step.next;
            if after.is_none() {
                break items.len() <= MOST_FOUND;
            }
        };
        items.sort_by(|a, b| a.name().cmp(b.name()));
        items.truncate(MOST_FOUND);
        Ok(Found { items, is_complete })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_nonsense_does_not() {
        let position = Position {
            created_at: OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
                + Duration::microseconds(7),
            id: [9; 16],
        };
        assert_eq!(position_of(&cursor_of(position)), Some(position));
        for wrong in ["", "x", "AQ", "////", &cursor_of(position)[1..], &format!("{}A", cursor_of(position))]
        {
            assert_eq!(position_of(wrong), None, "{wrong}");
        }
        assert!(Page::new(10_000, None, 25).is_ok());
        assert!(Page::new(10_001, None, 25).is_err());
        assert!(Page::new(u64::MAX, None, 25).is_err());
        assert_eq!(Page::new(0, None, 9_999).unwrap().size(), MOST_ON_A_PAGE);
    }
}
