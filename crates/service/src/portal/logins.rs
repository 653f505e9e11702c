//! Log-ins of the portal. A cookie holds 256 random bits; the database holds their digest (SEC-068).

use data_encoding::HEXLOWER;
use latchkey_crypto::{Verdict, client_password};
use latchkey_domain::{
    AppId, Developer, DeveloperId, DeveloperRole, DeveloperStatus, Entropy, EntropyError, Handle,
    KeyedDigest, LoginStage, PortalLogin, RawPassword, Sealed, Source, UserId,
};
use latchkey_storage::QuotaKey;
use secrecy::{ExposeSecret as _, SecretBox};
use time::Duration;

use super::accounts::PortalPassword;
use crate::base::audit::Action;
use crate::base::error::{Refusal, ServiceError};
use crate::base::hashing::PORTAL_PASSWORDS;
use crate::base::operator::Operator;
use crate::service::Service;

/// Attempts to sign in to one account from one address in a quarter of an hour, and from all addresses in an hour.
const ATTEMPTS_FROM_ONE: u32 = 10;
const ATTEMPTS_FROM_ALL: u32 = 60;
const WINDOW_OF_ONE: Duration = Duration::minutes(15);
const WINDOW_OF_ALL: Duration = Duration::hours(1);
/// The longest name of a browser that is kept, in characters.
const LONGEST_AGENT: usize = 200;

/// 256 random bits: the value of a cookie, or of a link.
#[derive(Clone)]
pub struct PortalToken(std::sync::Arc<SecretBox<[u8; 32]>>);

impl std::fmt::Debug for PortalToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PortalToken")
    }
}

impl PortalToken {
    pub(super) fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let bytes: [u8; 32] = entropy.bytes()?;
        Ok(Self(std::sync::Arc::new(SecretBox::new(Box::new(bytes)))))
    }

    /// The token with these 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?;
        Some(Self(std::sync::Arc::new(SecretBox::new(Box::new(bytes)))))
    }

    /// Its 64 hexadecimal digits, for the cookie or the link.
    #[must_use]
    pub fn reveal(&self) -> String {
        HEXLOWER.encode(self.as_bytes())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

/// Where a browser is, and how it names itself.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Where the request comes from.
    pub source: Source,
    /// The header `User-Agent`.
    pub agent: String,
}

/// A log-in that begins: the value for its cookie, and what is stored.
#[derive(Debug, Clone)]
pub struct NewLogin {
    /// The cookie's value.
    pub token: PortalToken,
    /// The log-in.
    pub login: PortalLogin,
}

/// A developer who is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The account.
    pub developer: Developer,
    /// The log-in.
    pub login: PortalLogin,
}

/// An account whose password was right, and the counters that its attempt is given back to once it is done.
pub(super) struct CheckedPassword {
    pub(super) developer: Developer,
    pub(super) from_one: QuotaKey,
    pub(super) from_all: QuotaKey,
}

impl SignedIn {
    /// Whether they are an administrator.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        self.developer.role == DeveloperRole::Administrator
    }

    pub(super) fn operator(&self, source: Source, only_app: Option<AppId>) -> Operator {
        Operator::developer(&self.developer, source, only_app)
    }
}

impl Service {
    /// Signs in. Unknown accounts and wrong passwords get the same answer after the same work. The log-in that the browser
    /// had before, by its cookie `previous`, ends.
    ///
    /// # Errors
    /// [`Refusal::CredentialsWrong`]; [`Refusal::UserSuspended`] for a blocked account, only after the right password;
    /// [`ServiceError::TooMany`]; [`ServiceError::Busy`].
    pub async fn portal_sign_in(
        &self,
        email: Handle,
        password: RawPassword,
        previous: &PortalToken,
        browser: Browser,
    ) -> Result<NewLogin, ServiceError> {
        let failure = self
            .inner
            .limits
            .reserve_failure(browser.source, Some(&email), false, &*self.inner.clock)
            .await?;
        let done = self.refuse_late(1, self.try_sign_in(&email, password, previous, &browser)).await;
        if done.as_ref().is_err_and(|error| error.refusal() == Some(Refusal::CredentialsWrong)) {
            failure.fail(self.inner.clock.now());
        }
        done
    }

    async fn try_sign_in(
        &self,
        email: &Handle,
        password: RawPassword,
        previous: &PortalToken,
        browser: &Browser,
    ) -> Result<NewLogin, ServiceError> {
        let previous = self.login_digest(previous)?;
        let now = self.inner.clock.now();
        let attempt = self.check_portal_password(email, password, browser.source).await?;
        let CheckedPassword { developer, from_one, from_all } = attempt;
        if developer.status == DeveloperStatus::Blocked {
            return Err(Refusal::UserSuspended.into());
        }
        let made = self.new_login(LoginStage::Full(developer.id), browser)?;
        let signed_in = SignedIn { developer, login: made.login.clone() };
        let entry = self.entry(&signed_in.event(Action::PortalSignIn, AppId::NONE, browser.source))?;
        let (login, id, password_at) =
            (made.login.clone(), signed_in.developer.id, signed_in.developer.password_at);
        self.transact("portal.sign_in", move |repos| {
            let portal = repos.portal();
            if !portal.note_sign_in(id, password_at, now)? {
                return Err(Refusal::CredentialsWrong.into());
            }
            portal.remove_login(&previous)?;
            portal.add_login(&login)?;
            repos.quotas().give_back(&from_one)?;
            repos.quotas().give_back(&from_all)?;
            Ok(repos.audit().add(&entry)?)
        })
        .await?;
        Ok(made)
    }

    /// Compares the password of an account. The attempt is counted before, and for an unknown account as well.
    pub(super) async fn check_portal_password(
        &self,
        email: &Handle,
        password: RawPassword,
        source: Source,
    ) -> Result<CheckedPassword, ServiceError> {
        let (key, now) = (email.key().to_owned(), self.inner.clock.now());
        let prefix = source.prefix().to_canonical_bytes();
        let parts: [&[u8]; 2] = [key.as_bytes(), &prefix];
        let from_one = self.counter(AppId::NONE, "portal.sign_in", &parts, WINDOW_OF_ONE)?;
        let from_all = self.counter(AppId::NONE, "portal.sign_in.all", &[key.as_bytes()], WINDOW_OF_ALL)?;
        let (one, all) = (from_one.clone(), from_all.clone());
        let found = self
            .transact("portal.sign_in.count", move |repos| {
                if !repos.quotas().reserve(&one, ATTEMPTS_FROM_ONE)? {
                    return Ok(Err(WINDOW_OF_ONE));
                }
                if !repos.quotas().reserve(&all, ATTEMPTS_FROM_ALL)? {
                    return Ok(Err(WINDOW_OF_ALL));
                }
                Ok::<_, ServiceError>(Ok(repos.portal().find_by_email(&key)?))
            })
            .await?;
        let found = match found {
            Ok(found) => found,
            Err(window) => {
                let left = window.whole_seconds() - now.unix_timestamp().rem_euclid(window.whole_seconds());
                return Err(ServiceError::TooMany { seconds: u32::try_from(left).unwrap_or(1) });
            }
        };
        let raw = password.normalized().unwrap_or(password);
        let digest = found
            .as_ref()
            .map(|developer| (UserId::from_bytes(*developer.id.as_bytes()), developer.password.clone()));
        let verdict = self.verify_password(PORTAL_PASSWORDS, client_password(&raw)?, digest).await?;
        match found {
            Some(developer) if verdict != Verdict::Wrong => {
                Ok(CheckedPassword { developer, from_one, from_all })
            }
            _ => Err(Refusal::CredentialsWrong.into()),
        }
    }

    /// The developer whose cookie this is. None when the log-in has ended, or was only begun.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn signed_in(&self, cookie: &PortalToken) -> Result<Option<SignedIn>, ServiceError> {
        let (digest, now) = (self.login_digest(cookie)?, self.inner.clock.now());
        let found = self
            .read("portal.signed_in", move |readers| {
                let portal = readers.portal();
                let Some(login) = portal.find_login(&digest)?.filter(|login| login.is_open(now)) else {
                    return Ok::<_, ServiceError>(None);
                };
                let LoginStage::Full(id) = login.stage else { return Ok(None) };
                let developer = portal.find_developer(id)?;
                let developer = developer.filter(|developer| developer.status == DeveloperStatus::Active);
                Ok(developer.map(|developer| SignedIn { developer, login }))
            })
            .await?;
        let Some(signed_in) = found else { return Ok(None) };
        if signed_in.login.notes_use_at(now) {
            let digest = signed_in.login.digest.clone();
            let noted =
                self.transact("portal.used", move |repos| Ok(repos.portal().note_use(&digest, now)?));
            if !noted.await? {
                return Ok(None);
            }
        }
        Ok(Some(signed_in))
    }

    /// Ends a log-in.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn portal_sign_out(&self, signed_in: &SignedIn, source: Source) -> Result<(), ServiceError> {
        let event = signed_in.event(Action::PortalSignOut, AppId::NONE, source);
        let digest = signed_in.login.digest.clone();
        self.audited_unit(event, "portal.sign_out", move |repos| {
            repos.portal().remove_login(&digest)?;
            Ok(())
        })
        .await
    }

    /// What forms of this cookie must carry, so that no other site can send them (SEC-073).
    ///
    /// # Errors
    /// [`ServiceError::Internal`], which cannot happen.
    pub fn form_token(&self, cookie: &PortalToken) -> Result<String, ServiceError> {
        let digest = self.key_ring().digests().digest("portal.form", &[cookie.as_bytes()])?;
        Ok(HEXLOWER.encode(digest.as_bytes()))
    }

    /// A token for the cookie of someone who is not signed in, so that their forms have one, too.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when there is no randomness.
    pub fn new_visitor(&self) -> Result<PortalToken, ServiceError> {
        Ok(PortalToken::generate(&*self.inner.entropy)?)
    }

    pub(super) fn new_login(&self, stage: LoginStage, browser: &Browser) -> Result<NewLogin, ServiceError> {
        let (token, now) = (PortalToken::generate(&*self.inner.entropy)?, self.inner.clock.now());
        let login = PortalLogin {
            digest: self.login_digest(&token)?,
            stage,
            address: browser.source.address(),
            agent: browser.agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect(),
            created_at: now,
            used_at: now,
            confirmed_at: now,
        };
        Ok(NewLogin { token, login })
    }

    pub(super) fn login_digest(&self, token: &PortalToken) -> Result<KeyedDigest, ServiceError> {
        Ok(self.key_ring().digests().digest("portal.login", &[token.as_bytes()])?)
    }

    pub(super) async fn hash_portal_password(
        &self,
        password: PortalPassword,
        id: DeveloperId,
    ) -> Result<Sealed, ServiceError> {
        let client = client_password(&password.into_raw())?;
        self.hash_password(client, PORTAL_PASSWORDS, UserId::from_bytes(*id.as_bytes())).await
    }
}
