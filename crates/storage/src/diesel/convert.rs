//! Rows to domain values and back. A value that this program would never have written is an error that
//! names its column, not a panic and not a guess.

use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::StorageError;

/// Where a value stands, for the error that says that it is wrong.
#[derive(Clone, Copy)]
pub(super) struct Column(pub(super) &'static str, pub(super) &'static str);

impl Column {
    pub(super) fn wrong(self) -> StorageError {
        StorageError::Inconsistent { table: self.0, column: self.1 }
    }

    pub(super) fn bytes<const N: usize>(self, stored: &[u8]) -> Result<[u8; N], StorageError> {
        stored.try_into().map_err(|_| self.wrong())
    }

    pub(super) fn parsed<T, E>(self, result: Result<T, E>) -> Result<T, StorageError> {
        result.map_err(|_| self.wrong())
    }

    pub(super) fn named<T: Copy>(self, names: &[(T, &str)], stored: &str) -> Result<T, StorageError> {
        names.iter().find(|(_, name)| *name == stored).map(|(value, _)| *value).ok_or_else(|| self.wrong())
    }
}

/// The stored name of a value.
pub(super) fn name_of<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|(candidate, _)| candidate == value).map_or("", |(_, name)| name)
}

pub(super) fn to_stored_time(time: OffsetDateTime) -> PrimitiveDateTime {
    let utc = time.to_offset(UtcOffset::UTC);
    PrimitiveDateTime::new(utc.date(), utc.time())
}

pub(super) fn from_stored_time(time: PrimitiveDateTime) -> OffsetDateTime {
    time.assume_utc()
}
