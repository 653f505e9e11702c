//! Domain values as JSON, in the protocol's names. What is not named here never leaves the server, and the API's
//! description has its schemas from these types.

mod answers;
mod app;
mod people;
mod records;
mod settings;

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

pub(crate) use answers::{
    Available, CheckedToken, Claims, Day, Discovery, FactorSecret, Health, ImportedApp, Invited, KeySet,
    Keys, Locales, LogPage, LoginToken, Outbox, RecoveryCodes, Retried, Stat, Statistics, SuperTokens,
    TestCode, TokensBody, Version,
};
pub(crate) use app::{
    AdminApplication, Application, CreatedApp, TemplateBody, admin_app_json, application_json,
    created_app_json, template_json,
};
pub(crate) use people::{
    InviteBody, OwnUser, SignupBody, UserBody, invite_json, invited_body, own_user_json, signup_json,
    user_json,
};
pub(crate) use records::{
    Entry, KeyBody, MintedBody, TokenBody, WaitingBody, entry_json, key_json, operator_token_json,
    waiting_json,
};

/// A value of ours always has a JSON form: its names are texts, its numbers are finite.
pub(crate) fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// A time as the SDKs parse it: UTC, three fractional digits, `Z`.
pub(crate) fn iso(time: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time.to_offset(time::UtcOffset::UTC).format(form).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let time =
            OffsetDateTime::from_unix_timestamp(1_682_936_430).unwrap() + time::Duration::microseconds(7);
        assert_eq!(iso(time), "2023-05-01T10:20:30.000Z");
    }
}
