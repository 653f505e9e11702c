//! Limits on guessing passwords: an attempt is counted in the database before the password is verified, and reset when
//! it was right. Sources where the user has logged in are counted separately from all others.

use std::sync::Arc;

use latchkey_crypto::Verdict;
use latchkey_domain::{
    App, AppId, BackoffPolicy, ClientPassword, Failures, Source, SourceMark, SourceTrust, User, UserId,
    has_passed,
};
use latchkey_notifiers::MessageKind;
use latchkey_storage::Repositories;
use time::{Duration, OffsetDateTime};
use tokio::sync::OwnedSemaphorePermit;

use crate::base::audit::{Action, Event};
use crate::base::error::ServiceError;
use crate::base::retry::retry;
use crate::notify::mail::{Notice, built_in};
use crate::service::Service;

/// An attempt that was counted. The user's next one has its turn when this one is settled and dropped.
#[derive(Debug, Clone)]
pub(crate) struct AttemptGuard {
    side: SourceTrust,
    /// Its number among the consecutive failures.
    number: u32,
    _turn: Arc<OwnedSemaphorePermit>,
}

/// The identity of a source in the user's row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) mark: SourceMark,
    pub(crate) day: u32,
    /// Whether anybody may be behind the source, so that it is never known.
    is_anybody: bool,
}

impl Origin {
    pub(crate) fn familiarity(self, user: &User) -> SourceTrust {
        if self.is_known(user) { SourceTrust::Known } else { SourceTrust::Unknown }
    }

    /// Whether the user is known to log in from this source.
    pub(crate) fn is_known(self, user: &User) -> bool {
        !self.is_anybody && user.login.sources.knows(&self.mark, self.day)
    }
}

/// The number of passwords of one user that are verified at once: fewer than the free attempts, so that concurrent
/// right ones are not taken for guesses.
const AT_ONCE: u32 = 4;

impl Service {
    /// How a user's row knows a source.
    pub(crate) fn origin(&self, app_id: AppId, user: UserId, source: Source) -> Result<Origin, ServiceError> {
        let parts: [&[u8]; 3] = [app_id.as_bytes(), user.as_bytes(), &source.to_canonical_bytes()];
        let digest = self.key_ring().lasting_digests().digest("user.source", &parts)?;
        let mut mark = [0; 16];
        mark.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        let day = u32::try_from(self.inner.clock.now().unix_timestamp() / 86_400).unwrap_or(0);
        Ok(Origin { mark, day, is_anybody: self.inner.limits.is_shared(source) })
    }

    pub(crate) fn backoff(&self, app: &App) -> BackoffPolicy {
        let mut rules = self.inner.settings.backoff;
        if let Some(free) = app.settings.max_login_attempts {
            rules.free = free;
        }
        rules
    }

    /// Counts an attempt. `None` if none is allowed now.
    pub(crate) async fn count_attempt(
        &self,
        app: &App,
        user: &User,
        origin: Origin,
    ) -> Result<Option<AttemptGuard>, ServiceError> {
        let (rules, now) = (self.backoff(app), self.inner.clock.now());
        let (app_id, id) = (user.app_id, user.id);
        let turn = Arc::new(self.inner.in_flight.enter((app_id, id), AT_ONCE.min(rules.free)).await?);
        // Who has to wait anyway costs no write. The row is read in one's turn: others may have settled.
        let is_open = self
            .read("login.is_open", move |readers| {
                let user = readers.users().find(app_id, id)?;
                Ok(user.is_some_and(|user| {
                    let side = origin.familiarity(&user);
                    rules.allows(user.login.failures(side), side, now)
                }))
            })
            .await?;
        if !is_open {
            return Ok(None);
        }
        self.transact("login.count", move |repos| {
            retry(|| {
                let Some(user) = repos.users().find(app_id, id)? else { return Ok(Some(None)) };
                let side = origin.familiarity(&user);
                let from = user.login.failures(side);
                if !rules.allows(from, side, now) {
                    return Ok(Some(None));
                }
                let number = from.count.saturating_add(1);
                let to = Failures { count: number, last_at: Some(now) };
                let is_counted = repos.users().count_failures(app_id, id, side, from, to)?;
                Ok(is_counted.then(|| Some(AttemptGuard { side, number, _turn: Arc::clone(&turn) })))
            })
        })
        .await
    }

    /// Verifies a user's password, counted. A wrong one and one that may not be tried are the same: `Wrong`,
    /// at the same cost.
    pub(crate) async fn try_password(
        &self,
        app: &App,
        user: &User,
        password: ClientPassword,
        origin: Origin,
    ) -> Result<(Verdict, Option<AttemptGuard>), ServiceError> {
        let Some(counted) = self.count_attempt(app, user, origin).await? else {
            self.verify_password(app.id, password, None).await?;
            return Ok((Verdict::Wrong, None));
        };
        let digest = user.password.clone().map(|sealed| (user.id, sealed));
        let verdict = match self.verify_password(app.id, password, digest).await {
            Ok(verdict) => verdict,
            // A password that was never verified was not a guess.
            Err(error) => {
                self.uncount(user, &counted).await?;
                return Err(error);
            }
        };
        if verdict == Verdict::Wrong {
            self.tell_of_lock(app, user, &counted).await?;
        }
        Ok((verdict, Some(counted)))
    }

    /// Resets the failures of a source that knew the password, if nothing else is written. If more than the password is
    /// required, the source does not become known.
    pub(crate) async fn reset_failures(
        &self,
        user: &User,
        origin: Origin,
        counted: Option<AttemptGuard>,
        is_remembered: bool,
    ) -> Result<(), ServiceError> {
        let (app_id, id) = (user.app_id, user.id);
        self.transact("login.forgive", move |repos| {
            if is_remembered {
                record_success(repos, app_id, id, origin, counted.as_ref())
            } else {
                forget_failures(repos, app_id, id, origin, counted.as_ref())
            }
        })
        .await
    }

    /// Takes one attempt back.
    async fn uncount(&self, user: &User, counted: &AttemptGuard) -> Result<(), ServiceError> {
        let (app_id, id, side) = (user.app_id, user.id, counted.side);
        self.transact("login.uncount", move |repos| {
            retry(|| {
                let Some(user) = repos.users().find(app_id, id)? else { return Ok(Some(())) };
                let from = user.login.failures(side);
                let to = Failures { count: from.count.saturating_sub(1), ..from };
                Ok(repos.users().count_failures(app_id, id, side, from, to)?.then_some(()))
            })
        })
        .await
    }

    /// Notes that waiting has begun, and tells the owner, once a day.
    async fn tell_of_lock(&self, app: &App, user: &User, counted: &AttemptGuard) -> Result<(), ServiceError> {
        let rules = self.backoff(app);
        if counted.number < rules.free {
            return Ok(());
        }
        let (now, day) = (self.inner.clock.now(), Duration::days(1));
        let begins = counted.number == rules.free;
        let is_told = user.login.lock_mailed_at.is_some_and(|mailed| !has_passed(day, mailed, now));
        if !begins && (is_told || counted.side == SourceTrust::Known) {
            return Ok(());
        }
        let slot =
            if is_told { None } else { self.reserve_notice(app.id, &user.handle, Notice::Attack).await? };
        let worded = built_in(MessageKind::LoginLocked, user.locale)?;
        let mail = self.notice(app, slot.as_ref(), &worded, &user.handle).await?;
        let mut event = Event::of_server(Action::LoginLocked, app.id);
        event.user_id = Some(user.id);
        let entry = self.entry(&event)?;
        let (app_id, id) = (user.app_id, user.id);
        let is_promised = self
            .transact("login.tell", move |repos| {
                let is_first = mail.is_some() && repos.users().note_lock_mail(app_id, id, now, now - day)?;
                if let (true, Some(mail)) = (is_first, &mail) {
                    repos.outbox().add(mail)?;
                }
                if is_first || begins {
                    repos.audit().add(&entry)?;
                }
                Ok(is_first)
            })
            .await;
        self.settle_message(slot, is_promised).await
    }
}

/// Resets the failures of one kind of source, and makes the source known: the user is there.
pub(crate) fn record_success(
    repos: &mut dyn Repositories,
    app_id: AppId,
    id: UserId,
    origin: Origin,
    counted: Option<&AttemptGuard>,
) -> Result<(), ServiceError> {
    forget_failures(repos, app_id, id, origin, counted)?;
    if origin.is_anybody {
        return Ok(());
    }
    retry(|| {
        let Some(user) = repos.users().find(app_id, id)? else { return Ok(Some(())) };
        let known = &user.login.sources;
        let Some(sources) = known.after_login(&origin.mark, origin.day) else { return Ok(Some(())) };
        Ok(repos.users().note_sources(app_id, id, known, &sources)?.then_some(()))
    })
}

/// Resets the failures of one kind of source: the password was right, but more is required.
pub(crate) fn forget_failures(
    repos: &mut dyn Repositories,
    app_id: AppId,
    id: UserId,
    origin: Origin,
    counted: Option<&AttemptGuard>,
) -> Result<(), ServiceError> {
    retry(|| {
        let Some(user) = repos.users().find(app_id, id)? else { return Ok(Some(())) };
        let side = counted.map_or_else(|| origin.familiarity(&user), |counted| counted.side);
        let from = user.login.failures(side);
        let is_done =
            from.count == 0 || repos.users().count_failures(app_id, id, side, from, Failures::default())?;
        Ok(is_done.then_some(()))
    })
}

/// Notes a sign-in, at most one an hour.
pub(crate) fn note_login(
    repos: &mut dyn Repositories,
    user: &User,
    now: OffsetDateTime,
) -> Result<(), ServiceError> {
    if user.notes_login_at(now) {
        repos.users().note_login(user.app_id, user.id, now)?;
    }
    Ok(())
}
