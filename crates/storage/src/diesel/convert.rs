//! Rows to domain values and back. A value that this program would never have written is an error that
//! names its column, not a panic and not a guess.

use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

pub(super) use crate::column::{Column, name_of};

pub(super) fn to_stored_time(time: OffsetDateTime) -> PrimitiveDateTime {
    let utc = time.to_offset(UtcOffset::UTC);
    PrimitiveDateTime::new(utc.date(), utc.time())
}

pub(super) fn from_stored_time(time: PrimitiveDateTime) -> OffsetDateTime {
    time.assume_utc()
}
