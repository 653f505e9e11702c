//! Passwords that are set: the two forms in which they arrive, the application's demands, and the change.

use latchkey_crypto::{Verdict, client_password};
use latchkey_domain::{App, ClientPassword, InvalidPassword, RawPassword};
use latchkey_storage::Store;

use crate::caller::{accepted, find_user};
use crate::{Caller, Refusal, Service, ServiceError};

/// A password that is to be set, in the form or forms in which it was sent.
#[derive(Debug, Clone)]
pub struct NewPassword {
    client: ClientPassword,
    raw: Option<RawPassword>,
}

impl NewPassword {
    /// Takes what was sent: the client's digits, the password itself, or both if they agree.
    ///
    /// # Errors
    /// [`Refusal::MissingParameter`] without either, [`Refusal::InvalidData`] when a form is wrong or the two
    /// disagree.
    pub fn parse(client: Option<&str>, raw: Option<&str>) -> Result<Self, ServiceError> {
        let invalid = |_: InvalidPassword| Refusal::InvalidData;
        let raw = raw.map(RawPassword::parse).transpose().map_err(invalid)?;
        let computed = raw.as_ref().map(client_password).transpose()?;
        let client = match (client, computed) {
            (None, None) => return Err(Refusal::MissingParameter.into()),
            (None, Some(computed)) => computed,
            (Some(sent), computed) => {
                let sent = ClientPassword::parse(sent).map_err(invalid)?;
                if computed.is_some_and(|computed| computed.expose() != sent.expose()) {
                    return Err(Refusal::InvalidData.into());
                }
                sent
            }
        };
        Ok(Self { client, raw })
    }

    /// The form in which passwords are hashed.
    #[must_use]
    pub fn into_client(self) -> ClientPassword {
        self.client
    }

    /// Refuses a password that the application's filter does not allow, where it can be seen.
    pub(crate) fn check(&self, app: &App) -> Result<(), Refusal> {
        let allowed = self.raw.as_ref().is_none_or(|raw| app.settings.password.allows(raw));
        if allowed { Ok(()) } else { Err(Refusal::InvalidData) }
    }

    fn is_same_as(&self, other: &ClientPassword) -> bool {
        self.client.expose() == other.expose()
    }
}

/// A change of password.
#[derive(Debug, Clone)]
pub struct ChangePassword {
    /// The present one.
    pub current: ClientPassword,
    /// The new one.
    pub new: NewPassword,
}

impl<S: Store> Service<S> {
    /// Changes the caller's password and ends all other access tokens of theirs.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] when the present password is wrong, the new one is the same or not allowed,
    /// or somebody else changed it meanwhile; [`Refusal::AccessTokenInvalid`] when the token was ended.
    pub async fn change_password(&self, caller: Caller, change: ChangePassword) -> Result<(), ServiceError> {
        let token = caller.user(Refusal::InvalidData)?;
        if change.new.is_same_as(&change.current) {
            return Err(Refusal::InvalidData.into());
        }
        let reading = token.clone();
        let (app, user) =
            self.inner.store.read("password.user", move |readers| find_user(readers, &reading)).await?;
        change.new.check(&app)?;
        let old = user.password.clone().ok_or(Refusal::InvalidData)?;
        let digest = Some((app.id, user.id, old.clone()));
        if self.verify_password(change.current, digest).await? == Verdict::Wrong {
            return Err(Refusal::InvalidData.into());
        }
        let new = self.hash_password(change.new.into_client(), app.id, user.id).await?;
        let now = self.inner.clock.now();
        self.inner
            .store
            .transact("password.change", move |repos| {
                let user = accepted(repos.users().find(token.app_id, token.user_id)?, &token)?;
                let (from, to) = (user.sessions, user.sessions.end_all_but(token.id));
                let users = repos.users();
                if users.replace_password(user.app_id, user.id, &old, &new)?
                    && users.change_sessions(user.app_id, user.id, from, to, now)?
                {
                    Ok(())
                } else {
                    Err(ServiceError::from(Refusal::InvalidData))
                }
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_005_both_forms_are_one_password_and_must_agree() {
        let md5 = "482c811da5d5b4bc6d497ffa98491e38";
        let parsed = |client, raw| NewPassword::parse(client, raw).map(|new| new.client.expose().to_owned());
        assert_eq!(parsed(Some(md5), None).unwrap(), md5);
        assert_eq!(parsed(None, Some("password123")).unwrap(), md5);
        assert_eq!(parsed(Some(md5), Some("password123")).unwrap(), md5);
        for (client, raw, refusal) in [
            (None, None, Refusal::MissingParameter),
            (Some(md5), Some("password124"), Refusal::InvalidData),
            (Some("482C811DA5D5B4BC6D497FFA98491E38"), None, Refusal::InvalidData),
            (None, Some(""), Refusal::InvalidData),
        ] {
            assert!(matches!(parsed(client, raw), Err(ServiceError::Refused(found)) if found == refusal));
        }
    }
}
