//! The length of users' JWTs, which grows with their metadata.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use latchkey_crypto::RsaSize;
use latchkey_domain::{App, AppId, MAX_JWT_BYTES, User, WARN_JWT_BYTES, jwt_bytes, user_claims};
use time::OffsetDateTime;

use crate::base::error::{Refusal, ServiceError};

/// The lengths of users' JWTs, for keys of the size that new applications get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JwtSize {
    signature_bytes: usize,
}

impl JwtSize {
    pub(crate) fn new(size: RsaSize) -> Self {
        Self { signature_bytes: size.signature_bytes() }
    }

    /// Refuses a change of metadata that makes a user's JWT longer than [`MAX_JWT_BYTES`]. Longer ones may become shorter.
    pub(crate) fn check(
        self,
        app: &App,
        before: Option<&User>,
        after: &User,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let Some(length) = self.of(app, after, now).filter(|length| *length > MAX_JWT_BYTES) else {
            return Ok(());
        };
        if before.and_then(|before| self.of(app, before, now)).is_some_and(|before| length <= before) {
            return Ok(());
        }
        let fields = app.settings.metadata.iter().chain(app.settings.invite_metadata.iter());
        let sizes = fields.filter_map(|field| {
            let value = field.path.find(after.metadata.values())?;
            let is_new = before.is_none_or(|before| field.path.find(before.metadata.values()) != Some(value));
            is_new.then(|| (value.to_string().len(), field.path.to_string()))
        });
        let path = sizes.max().map_or_else(|| "metaData".to_owned(), |(_, path)| path);
        let text = format!(
            "invalid metadata: with the field {path} the token has {length} bytes, more than {MAX_JWT_BYTES}"
        );
        Err(ServiceError::Explained(Refusal::MetadataInvalid, text))
    }

    /// Returns a warning for a user whose JWT is long.
    pub(crate) fn warning(self, app: &App, user: &User, now: OffsetDateTime) -> Option<String> {
        let length = self.of(app, user, now).filter(|length| *length > WARN_JWT_BYTES)?;
        Some(format!(
            "the token has {length} bytes: many servers refuse headers above {WARN_JWT_BYTES} to {MAX_JWT_BYTES} bytes"
        ))
    }

    /// Users without a required value get no JWT.
    fn of(self, app: &App, user: &User, now: OffsetDateTime) -> Option<usize> {
        user_claims(app, user, now).ok().map(|claims| jwt_bytes(&claims, self.signature_bytes))
    }
}

/// Applications whose long tokens were logged.
#[derive(Default)]
pub(crate) struct LongTokens(Mutex<HashSet<AppId>>);

impl LongTokens {
    /// Logs a token that is long, once for each application.
    pub(crate) fn report(&self, app_id: AppId, jwt: &str) {
        const KEPT: usize = 1_000;
        if jwt.len() <= WARN_JWT_BYTES {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        if known.insert(app_id) {
            tracing::warn!(app = %app_id, bytes = jwt.len(), "a user's token is long: many servers refuse such headers");
        }
    }
}
