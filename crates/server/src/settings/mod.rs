//! Settings: defaults in code, then a file, then the environment (`LATCHKEY__SECTION__KEY`). An unknown key is an error
//! with the nearest known name; all errors are reported at once.

mod checked;
mod limits;
mod rules;
mod section;
mod sections;
mod source;

pub(crate) use checked::BAD_URL;
pub use checked::ValidatedSettings;
pub use limits::LimitSettings;
use section::Section;
pub use section::{Bounds, Described};
pub use sections::{
    AuditSettings, DataSettings, DatabaseSettings, HashSettings, KeySettings, LogSettings, MailSettings,
    OutboxSettings, ServerSettings, SmsSettings, SocialSettings,
};
pub(crate) use source::nearest;
pub use source::{ConfigErrors, DisplaySettings};

use serde::Serialize;

/// All settings of a server.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Settings {
    /// Where and how it listens.
    pub server: ServerSettings,
    /// Where its files are.
    pub data: DataSettings,
    /// Where its database is.
    pub database: DatabaseSettings,
    /// Its keys.
    pub keys: KeySettings,
    /// What password hashes cost.
    pub hash: HashSettings,
    /// What it refuses.
    pub limits: LimitSettings,
    /// Who mail comes from.
    pub mail: MailSettings,
    /// How text messages leave.
    pub sms: SmsSettings,
    /// Where the keys of identity providers are.
    pub social: SocialSettings,
    /// How messages are tried again.
    pub outbox: OutboxSettings,
    /// The audit log.
    pub audit: AuditSettings,
    /// What it writes about itself.
    pub log: LogSettings,
}

impl Settings {
    /// Every setting with its meaning, value and bounds.
    #[must_use]
    pub fn described(&self) -> Vec<Described> {
        let sections: [&dyn Section; 12] = [
            &self.server,
            &self.data,
            &self.database,
            &self.keys,
            &self.hash,
            &self.limits,
            &self.mail,
            &self.sms,
            &self.social,
            &self.outbox,
            &self.audit,
            &self.log,
        ];
        sections.into_iter().flat_map(Section::described).collect()
    }
}
