//! What operators do: applications, their settings, keys and users, server secrets, logs, periodic work.

pub(crate) mod app_changes;
pub(crate) mod apps;
pub(crate) mod email_templates;
pub(crate) mod invites;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod logs;
pub(crate) mod metadata_fields;
pub(crate) mod server_keys;
pub(crate) mod settings;
pub(crate) mod tokens;
pub(crate) mod upkeep;
pub(crate) mod user_details;
pub(crate) mod users;

pub use app_changes::{AppFilter, AppUpdate};
pub use apps::{AppView, Discovery, NewApp};
pub use email_templates::TemplateUpdate;
pub use invites::{Invited, Selection};
pub use keys::{KeyView, SuperTokens};
pub use latchkey_storage::AuditStart;
pub use listing::{Found, Listed, MOST_ON_A_PAGE, MOST_SCANNED, MOST_SKIPPED, Member, Page};
pub use logs::{MOST_DAYS, PendingMessage, is_action};
pub use metadata_fields::FieldList;
pub use server_keys::KeyRotation;
pub use settings::{AccountChange, SettingChange};
pub use tokens::{EXPIRY_NOTICE, MintedToken, NewOperatorToken};
pub use user_details::UserDetails;
pub use users::AddUser;
