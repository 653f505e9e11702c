//! Domain values as JSON, in the protocol's names. What is not named here never leaves the server.

mod app;
mod people;
mod records;

pub(crate) use app::{admin_app_json, application_json, created_app_json, template_json};
pub(crate) use people::{invite_json, own_user_json, signup_json, user_json};
pub(crate) use records::{entry_json, key_json, operator_token_json, waiting_json};
