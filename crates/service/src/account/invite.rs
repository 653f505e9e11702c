//! Invitations: a user invites another person, who registers with a mailed code.

use latchkey_domain::{
    App, AppKey, AuditEntry, Code, CodePurpose, Handle, InvalidMetadata, Invite, InviteId, InviteState,
    Locale, Source, TemplateName, User, UserId, UserStatus,
};
use latchkey_storage::Repositories;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use crate::account::names::{NewUser, client_locale, is_taken, new_user};
use crate::account::password::NewPassword;
use crate::account::throttle::record_success;
use crate::base::audit::{Action, Event};
use crate::base::caller::{AppOrUser, Call, check_session, find_app_of, find_user};
use crate::base::error::{Refusal, ServiceError};
use crate::base::signing::Tokens;
use crate::notify::mail::{check_mailable, worded};
use crate::notify::mailed_code::CodeMail;
use crate::protect::codes::{CodeSource, CodeSubject, CodeTry, Tried};
use crate::protect::rates::Rate;
use crate::service::Service;
use latchkey_crypto::AccessToken;

/// The longest text by which a client may call a sender.
pub(crate) const LONGEST_REFERENCE: usize = 254;

/// An invitation.
#[derive(Debug, Clone)]
pub struct InviteSomebody {
    /// Who is invited.
    pub handle: Handle,
    /// The client's own reference to the sender.
    pub sender_reference: String,
    /// Metadata that the sender sets for the invited user, as JSON text.
    pub metadata: Option<String>,
}

/// An invited person who becomes a user.
#[derive(Debug, Clone)]
pub struct Register {
    /// Their handle.
    pub handle: Handle,
    /// Their password.
    pub password: NewPassword,
    /// The code that was mailed to them.
    pub code: Code,
    /// Their metadata: JSON text.
    pub metadata: Option<String>,
    /// Their locale.
    pub locale: Option<String>,
}

impl Service {
    /// Invites a person. Repeating an invitation sends a new code.
    ///
    /// # Errors
    /// [`Refusal::InvitationsOff`], [`Refusal::MetadataInvalid`], [`Refusal::InvalidData`] when no mail can
    /// reach the handle, [`Refusal::HandleTaken`]; [`ServiceError::TooMany`] after too many in a day.
    pub async fn invite(&self, call: Call<AccessToken>, request: InviteSomebody) -> Result<(), ServiceError> {
        let began = Instant::now();
        let event = Event::of_call(Action::Invite, &call, Some(&request.handle));
        let result = self
            .audited(event, async |event| {
                let token = call.caller;
                let (finding, handle) = (token.clone(), request.handle.clone());
                let now = self.inner.clock.now();
                let (app, sender, is_taken, words) = self
                    .read("invite.begin", move |readers| {
                        let (app, sender) = find_user(readers, &finding)?;
                        let is_taken = is_taken(readers.users(), &app, &handle, now)?;
                        let words =
                            worded(readers.email_templates(), app.id, TemplateName::Invite, Locale::EN)?;
                        Ok((app, sender, is_taken, words))
                    })
                    .await?;
                if !app.settings.invitation_enabled {
                    return Err(Refusal::InvitationsOff.into());
                }
                let metadata = app.settings.invite_metadata.accept(request.metadata.as_deref());
                let metadata = metadata.map_err(|error| ServiceError::metadata(&error))?;
                check_mailable(&self.inner.settings.mail, &request.handle)?;
                if request.sender_reference.len() > LONGEST_REFERENCE {
                    let rule =
                        format!("invalid data: senderUserId must be at most {LONGEST_REFERENCE} bytes");
                    return Err(ServiceError::invalid(rule));
                }
                if is_taken && !app.settings.neutral_answers {
                    return Err(Refusal::HandleTaken.into());
                }
                self.take_invite(&app, &sender, call.source, now).await?;
                if is_taken {
                    return self.record(event).await;
                }
                let id = self.derived_id(
                    "invite",
                    &[app.id.as_bytes(), request.handle.as_str().as_bytes(), sender.id.as_bytes()],
                )?;
                let invite = Invite {
                    app_id: app.id,
                    id: InviteId::from_bytes(id),
                    handle: request.handle,
                    sender_id: sender.id,
                    sender_handle: sender.handle.clone(),
                    sender_reference: request.sender_reference,
                    state: InviteState::Pending,
                    locale: Locale::EN,
                    metadata,
                    created_at: now,
                    updated_at: now,
                };
                let rules = self.inner.settings.codes;
                let subject = CodeSubject {
                    app_id: app.id,
                    purpose: CodePurpose::Invite,
                    handle: invite.handle.clone(),
                    id,
                };
                // The invited person comes from somewhere else: the code belongs to the sender, wherever they are.
                let asked = CodeSource::only(
                    self.key_ring().digests().digest("invite.sender", &[sender.id.as_bytes()])?,
                );
                let slot = self.reserve_mail(app.id, &invite.handle).await?;
                let life = rules.invite_life;
                let mail =
                    CodeMail { slot: slot.as_ref(), words: &words, subject: &subject, source: &asked, life };
                let new_code = self.mailed_code(&app, mail, |_| Ok(None)).await?;
                let entry = self.entry(event)?;
                let is_sent = self
                    .transact("invite.send", move |repos| {
                        check_session(repos.users().find(token.app_id, token.user_id)?, &token)?;
                        repos.audit().add(&entry)?;
                        let is_promised = new_code.place_and_send(repos, &rules, false)?;
                        // An invitation that is never mailed would only block others of the handle.
                        if is_promised {
                            repos.invites().put(&invite)?;
                        }
                        Ok(is_promised)
                    })
                    .await;
                self.settle_message(slot, is_sent).await
            })
            .await;
        // Neutral answers must not differ in time.
        tokio::time::sleep_until(began + self.answer_floor()).await;
        result
    }

    /// Takes one of a sender's invitations of the day.
    async fn take_invite(
        &self,
        app: &App,
        sender: &User,
        source: Source,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        self.inner.limits.take(Rate::CodeRequest, source, now)?;
        let counter = self.counter(app.id, "invites", &[sender.id.as_bytes()], Duration::days(1))?;
        let limit = self.inner.settings.mail_limits.invites_a_day;
        let is_granted = self
            .transact("invite.reserve", move |repos| Ok(repos.quotas().reserve(&counter, limit)?))
            .await?;
        let until_tomorrow = 86_400 - now.unix_timestamp().rem_euclid(86_400);
        let seconds = u32::try_from(until_tomorrow).unwrap_or(86_400);
        if is_granted { Ok(()) } else { Err(ServiceError::TooMany { seconds }) }
    }

    /// Makes an invited person a user.
    ///
    /// # Errors
    /// [`Refusal::InvitationsOff`]; [`Refusal::InvalidData`] when no open invitation of the handle has this
    /// code, or for locale and password; [`Refusal::HandleTaken`]; [`Refusal::MetadataInvalid`].
    pub async fn register(&self, call: Call<AppOrUser>, request: Register) -> Result<Tokens, ServiceError> {
        let event = Event::of_call(Action::Register, &call, Some(&request.handle));
        let registered = self.audited(event, async |event| {
            let Register { handle, password, code, metadata, locale } = request;
            let (caller, wanted) = (call.caller.clone(), handle.clone());
            let now = self.inner.clock.now();
            let (app, keys, is_taken) = self
                .read("register.begin", move |readers| {
                    let app = find_app_of(readers, &caller)?;
                    let keys = readers.apps().keys(app.id)?;
                    let is_taken = is_taken(readers.users(), &app, &wanted, now)?;
                    Ok((app, keys, is_taken))
                })
                .await?;
            let code_try = CodeTry {
                app_id: app.id,
                purpose: CodePurpose::Invite,
                handle: handle.clone(),
                subjects: Vec::new(),
                code,
                source: self.code_source(app.id, call.source)?,
                is_known: false,
            };
            // The code is checked before anything expensive or revealing.
            let (service, trying) = (self.clone(), code_try.clone());
            let invite =
                self.transact("register.try", move |repos| service.find_invite(repos, &trying, now)).await?;
            // Operators may invite even if users may not. Which of them invited is not revealed before the code is right.
            let is_on =
                |invite: &Invite| app.settings.invitation_enabled || invite.sender_id == UserId::OPERATOR;
            let invite = match invite {
                Ok(invite) if is_on(&invite) => invite,
                Err(refusal) if app.settings.invitation_enabled => return Err(refusal.into()),
                Ok(_) | Err(_) => return Err(Refusal::InvitationsOff.into()),
            };
            if is_taken {
                return Err(Refusal::HandleTaken.into());
            }
            let locale = client_locale(&app, locale.as_deref());
            password.check(&app, &handle)?;
            let own = app.settings.metadata.accept(metadata.as_deref());
            let invited = app.settings.invite_metadata.still_settable(&invite.metadata);
            let metadata = own.and_then(|own| own.merged_with(&invited)).map_err(|error| match &error {
                InvalidMetadata::Missing(_)
                | InvalidMetadata::NotSettable(_)
                | InvalidMetadata::NotEditable(_) => ServiceError::metadata(&error),
                InvalidMetadata::Form(_) | InvalidMetadata::WrongKind(..) | InvalidMetadata::Unknown(..) => {
                    ServiceError::invalid(format!("invalid data: {error}"))
                }
            })?;
            let user_id = UserId::generate(now, &*self.inner.entropy)?;
            let sealed = self.hash_password(password.into_client(), app.id, user_id).await?;
            let new = NewUser { id: user_id, handle, password: Some(sealed), locale, metadata };
            let user = User { email_verified: true, ..new_user(app.id, new, now) };
            self.jwt_size().check(&app, None, &user, now)?;
            self.add_invited(&app, &keys, user, code_try, call.source, event).await
        });
        self.refuse_late(1, registered).await
    }

    async fn add_invited(
        &self,
        app: &App,
        keys: &[AppKey],
        user: User,
        code_try: CodeTry,
        source: Source,
        event: &Event,
    ) -> Result<Tokens, ServiceError> {
        let now = self.inner.clock.now();
        let tokens = self.issue_tokens(app, keys, &user).await?;
        let (slot, welcome) = self.welcomes(app, &user.handle, &[user.locale]).await?;
        let origin = self.origin(app.id, user.id, source)?;
        let entry = AuditEntry { user_id: Some(user.id), ..self.entry(event)? };
        let admission = self.admission(app, &user.handle)?;
        let service = self.clone();
        let added = self
            .transact("register.add", move |repos| {
                let invite = match service.find_invite(repos, &code_try, now)? {
                    Ok(invite) => invite,
                    Err(refusal) => return Err(refusal.into()),
                };
                if !repos.invites().verify(&invite, now)? {
                    return Err(Refusal::HandleTaken.into());
                }
                let app = repos.apps().find(user.app_id)?.ok_or(Refusal::AppGone)?;
                admission.add(repos, &app, &user, now)?;
                for code in repos.codes().list(invite.app_id, CodePurpose::Invite, invite.id.as_bytes())? {
                    repos.codes().consume(invite.app_id, code.id, now)?;
                }
                record_success(repos, user.app_id, user.id, origin, None)?;
                welcome.iter().try_for_each(|(_, mail)| repos.outbox().add(mail))?;
                Ok(repos.audit().add(&entry)?)
            })
            .await;
        self.settle_message(slot, added.map(|()| true)).await?;
        Ok(tokens)
    }

    /// The open invitation that this code is of. Tries are counted by [`Service::try_code`].
    fn find_invite(
        &self,
        repos: &mut dyn Repositories,
        code_try: &CodeTry,
        now: OffsetDateTime,
    ) -> Result<Result<Invite, Refusal>, ServiceError> {
        // Look-alike handles share a place, but not a mailbox: only what the code was mailed to is proven.
        let mut invites = repos.invites().list(code_try.app_id, &code_try.handle)?;
        invites.retain(|invite| invite.handle == code_try.handle);
        let subjects = invites.iter().map(|invite| *invite.id.as_bytes()).collect();
        let code = match self.try_code(repos, &CodeTry { subjects, ..code_try.clone() }, now)? {
            Tried::Right(code) => code,
            Tried::Used => return Ok(Err(Refusal::HandleTaken)),
            Tried::Expired | Tried::Wrong => return Ok(Err(Refusal::InvalidData)),
        };
        let invite = invites.into_iter().find(|invite| *invite.id.as_bytes() == code.subject);
        let Some(invite) = invite else { return Ok(Err(Refusal::InvalidData)) };
        if invite.state != InviteState::Pending {
            return Ok(Err(Refusal::HandleTaken));
        }
        // Invitations of suspended or removed users are no longer valid.
        let is_operators = invite.sender_id == UserId::OPERATOR;
        let sender = repos.users().find(invite.app_id, invite.sender_id)?;
        let is_good = is_operators || sender.is_some_and(|sender| sender.status == UserStatus::Active);
        Ok(if is_good { Ok(invite) } else { Err(Refusal::InvalidData) })
    }
}
