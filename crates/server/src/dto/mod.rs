//! Domain values as JSON, in the protocol's names. What is not named here never leaves the server, and the API's
//! description has its schemas from these types.

mod answers;
mod app;
mod people;
mod records;
mod settings;

use serde::Serialize;
use serde_json::Value;

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
