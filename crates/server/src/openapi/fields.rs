//! Fields and headers that many routes of the administration have.

use super::operation::{Field, number, text};

pub(super) const APP_ID: Field =
    text("appId", "0123456789abcdef0123456789abcdef", "The application.").required();
pub(super) const LIMIT: Field = number("limit", (25, 200), "How many on a page: 25 if none.");
pub(super) const LIMIT_OF_APPS: Field = number("limit", (1, 200), "How many on a page: 200 if none.");
pub(super) const OFFSET: Field =
    number("offset", (0, 10_000), "Which page, from 0 on: pages that begin within 10,000 rows.");
pub(super) const TOTAL: (&str, &str) = ("X-Total-Count", "How many there are in all.");
pub(super) const USER_ID: Field =
    text("userId", "018bcfe5680074dfbb7eac258b172229", "The user's `_id`.").required();

/// An MD5 as SDKs send it.
pub(super) const MD5: &str = "^[0-9a-f]{32}$";
