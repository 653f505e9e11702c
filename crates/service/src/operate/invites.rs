//! What operators do with sign-up attempts and invitations.

use latchkey_domain::{
    App, AppId, CodePurpose, Handle, Invite, InviteId, InviteState, Locale, Metadata, Signup, SignupId,
    TemplateName, UserId, masked,
};

use crate::account::names::{is_taken, offered_locale};
use crate::base::audit::{Action, Event};
use crate::base::caller::ensure_active;
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::notify::mail::{SendPermit, is_mailable, worded};
use crate::notify::mailed_code::{CodeMail, MailedCode};
use crate::operate::users::not_sent;
use crate::protect::codes::{CodeSource, CodeSubject};
use crate::service::Service;

/// The most handles that are invited at once.
const MOST_AT_ONCE: usize = 100;
/// Whom invitations of operators are from.
const SENDER: &str = "superuser";

/// What became of the handles that an operator invited.
#[derive(Debug, Clone)]
pub struct Invited {
    /// The invitations that went out.
    pub invites: Vec<Invite>,
    /// Those who are users, or invited already.
    pub exists: Vec<Handle>,
    /// Handles whose mail was throttled: they are not invited.
    pub not_sent: Vec<Handle>,
}

/// What became of one invitation.
enum InviteOutcome {
    Sent,
    Exists,
    NotSent,
}

/// Sign-up attempts or invitations of a handle.
#[derive(Debug, Clone)]
pub struct Selection<Id> {
    /// The handle.
    pub handle: Handle,
    /// The only one, if not all of them.
    pub only: Option<Id>,
}

impl<Id: PartialEq> Selection<Id> {
    fn takes(&self, id: &Id) -> bool {
        self.only.as_ref().is_none_or(|only| only == id)
    }
}

impl Service {
    /// Invites people in the operator's name, whether or not users may invite.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`], the refusals of an inactive application; [`Refusal::InvalidData`], explained, when a
    /// handle is not an address, there are too many, or the locale is not offered. Nobody is invited then.
    pub async fn invite_as_operator(
        &self,
        operator: Operator,
        app_id: AppId,
        handles: Vec<Handle>,
        locale: Option<String>,
    ) -> Result<Invited, ServiceError> {
        let mut event = Event::of_operator(Action::CreateAppInvite, app_id, &operator);
        event.detail = Some(handles.iter().map(masked).collect::<Vec<_>>().join(" "));
        self.audited(event, async |event| self.invite_all(app_id, handles, locale, event).await).await
    }

    async fn invite_all(
        &self,
        app_id: AppId,
        mut handles: Vec<Handle>,
        locale: Option<String>,
        event: &Event,
    ) -> Result<Invited, ServiceError> {
        if handles.len() > MOST_AT_ONCE {
            return Err(ServiceError::invalid(format!("at most {MOST_AT_ONCE} handles are invited at once")));
        }
        let is_unreachable = |handle: &&Handle| !is_mailable(&self.inner.settings.mail, handle);
        if let Some(handle) = handles.iter().find(is_unreachable) {
            return Err(ServiceError::invalid(format!("no mail can reach {}", handle.as_str())));
        }
        let mut seen = std::collections::HashSet::new();
        handles.retain(|handle| seen.insert(handle.key().to_owned()));
        let app = self.find_app(app_id).await?.app;
        ensure_active(&app)?;
        let locale = offered_locale(&app, locale.as_deref())?;
        let mut invited = Invited { invites: Vec::new(), exists: Vec::new(), not_sent: Vec::new() };
        for handle in handles {
            let invite = self.operator_invite(&app, handle.clone(), locale)?;
            match self.send_invite(&app, invite.clone(), event, true).await? {
                InviteOutcome::Sent => invited.invites.push(invite),
                InviteOutcome::Exists => invited.exists.push(handle),
                InviteOutcome::NotSent => invited.not_sent.push(handle),
            }
        }
        Ok(invited)
    }

    fn operator_invite(&self, app: &App, handle: Handle, locale: Locale) -> Result<Invite, ServiceError> {
        let sender_id = UserId::OPERATOR;
        let parts = [app.id.as_bytes(), handle.as_str().as_bytes(), sender_id.as_bytes().as_slice()];
        let now = self.inner.clock.now();
        Ok(Invite {
            app_id: app.id,
            id: InviteId::from_bytes(self.derived_id("invite", &parts)?),
            handle,
            sender_id,
            sender_handle: Handle::parse(SENDER).map_err(|error| ServiceError::Internal(Box::new(error)))?,
            sender_reference: SENDER.to_owned(),
            state: InviteState::Pending,
            locale,
            metadata: Metadata::default(),
            created_at: now,
            updated_at: now,
        })
    }

    /// Stores an invitation and its mail with a new code, both or neither. A new one must not belong to an existing
    /// user; an old one must still be pending.
    async fn send_invite(
        &self,
        app: &App,
        invite: Invite,
        event: &Event,
        is_new: bool,
    ) -> Result<InviteOutcome, ServiceError> {
        let (slot, new_code) = self.invite_mail(app, &invite).await?;
        let mut event = event.clone();
        (event.handle, event.detail) = (Some(masked(&invite.handle)), None);
        let (entry, rules) = (self.entry(&event)?, self.inner.settings.codes);
        let fate = self
            .transact("invite.operator", move |repos| {
                let (app_id, handle) = (invite.app_id, &invite.handle);
                let app = repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                ensure_active(&app)?;
                let mut open = repos.invites().list(app_id, handle)?;
                open.retain(|invite| invite.state == InviteState::Pending);
                let exists = if is_new {
                    !open.is_empty() || is_taken(repos.users(), &app, handle, invite.created_at)?
                } else {
                    open.iter().all(|open| open.id != invite.id)
                };
                if exists {
                    return Ok(InviteOutcome::Exists);
                }
                if !new_code.place_and_send(repos, &rules, false)? {
                    return Ok(InviteOutcome::NotSent);
                }
                repos.invites().put(&invite)?;
                repos.audit().add(&entry)?;
                Ok(InviteOutcome::Sent)
            })
            .await;
        let is_sent = fate.as_ref().map(|fate| matches!(fate, InviteOutcome::Sent));
        self.settle_message(slot, Ok(is_sent.unwrap_or(false))).await?;
        fate
    }

    async fn invite_mail(
        &self,
        app: &App,
        invite: &Invite,
    ) -> Result<(Option<SendPermit>, MailedCode), ServiceError> {
        let (app_id, locale) = (app.id, invite.locale);
        let words = self.read("invite.words", move |readers| {
            worded(readers.email_templates(), app_id, TemplateName::Invite, locale)
        });
        let words = words.await?;
        let subject = CodeSubject {
            app_id,
            purpose: CodePurpose::Invite,
            handle: invite.handle.clone(),
            id: *invite.id.as_bytes(),
        };
        let asked = CodeSource::only(
            self.key_ring().digests().digest("invite.sender", &[invite.sender_id.as_bytes()])?,
        );
        let slot = self.reserve_mail(app.id, &invite.handle).await?;
        let life = self.inner.settings.codes.invite_life;
        let mail = CodeMail { slot: slot.as_ref(), words: &words, subject: &subject, source: &asked, life };
        let new_code = self.mailed_code(app, mail, |_| Ok(None)).await?;
        Ok((slot, new_code))
    }

    /// Mails the open invitations of a handle again, each with a new code.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`], what an application that is not active refuses; [`Refusal::Unknown`], explained;
    /// [`ServiceError::TooMany`] when none of them may be mailed now.
    pub async fn resend_invites(
        &self,
        operator: Operator,
        app_id: AppId,
        selection: Selection<InviteId>,
    ) -> Result<(), ServiceError> {
        let mut event = Event::of_operator(Action::ResendAppInvite, app_id, &operator);
        event.handle = Some(masked(&selection.handle));
        self.audited(event, async |event| self.resend_all(app_id, selection, event).await).await
    }

    async fn resend_all(
        &self,
        app_id: AppId,
        selection: Selection<InviteId>,
        event: &Event,
    ) -> Result<(), ServiceError> {
        let (app, mut invites) = self.invites_of(app_id, selection.handle.clone()).await?;
        ensure_active(&app)?;
        invites.retain(|invite| invite.state == InviteState::Pending && selection.takes(&invite.id));
        if invites.is_empty() {
            return Err(unknown("Invalid Invite"));
        }
        let now = self.inner.clock.now();
        let (mut sent, mut withheld) = (0, 0);
        for invite in invites {
            match self.send_invite(&app, Invite { updated_at: now, ..invite }, event, false).await? {
                InviteOutcome::Sent => sent += 1,
                InviteOutcome::Exists => {}
                InviteOutcome::NotSent => withheld += 1,
            }
        }
        match (sent, withheld) {
            (0, 0) => Err(unknown("Invalid Invite")),
            (0, _) => Err(not_sent()),
            _ => Ok(()),
        }
    }

    /// Removes invitations of a handle with their codes, and gives the newest of them.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::Unknown`], explained.
    pub async fn remove_invites(
        &self,
        operator: Operator,
        app_id: AppId,
        selection: Selection<InviteId>,
    ) -> Result<Invite, ServiceError> {
        let mut event = Event::of_operator(Action::RemoveAppInvite, app_id, &operator);
        event.handle = Some(masked(&selection.handle));
        self.audited_unit(event, "invites.remove", move |repos| {
            repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            let mut invites = repos.invites().list(app_id, &selection.handle)?;
            invites.retain(|invite| selection.takes(&invite.id));
            for invite in &invites {
                repos.invites().remove(app_id, invite.id)?;
                repos.codes().remove_all(app_id, invite.id.as_bytes())?;
            }
            let newest = invites.into_iter().next().ok_or_else(|| unknown("Invalid Invite"))?;
            Ok(newest)
        })
        .await
    }

    /// Removes sign-up attempts of a handle with their codes, and gives the newest of them.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::Unknown`], explained.
    pub async fn remove_signups(
        &self,
        operator: Operator,
        app_id: AppId,
        selection: Selection<SignupId>,
    ) -> Result<Signup, ServiceError> {
        let mut event = Event::of_operator(Action::RemoveAppSignup, app_id, &operator);
        event.handle = Some(masked(&selection.handle));
        self.audited_unit(event, "signups.remove", move |repos| {
            repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            let mut signups = repos.signups().list(app_id, &selection.handle)?;
            signups.retain(|signup| selection.takes(&signup.id));
            for signup in &signups {
                repos.signups().remove(app_id, signup.id)?;
                repos.codes().remove_all(app_id, signup.id.as_bytes())?;
            }
            let newest = signups.into_iter().next().ok_or_else(|| unknown("Invalid Signup"))?;
            Ok(newest)
        })
        .await
    }

    async fn invites_of(&self, app_id: AppId, handle: Handle) -> Result<(App, Vec<Invite>), ServiceError> {
        self.read("invites.of_handle", move |readers| {
            let app = readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            Ok((app, readers.invites().list(app_id, &handle)?))
        })
        .await
    }
}

fn unknown(text: &str) -> ServiceError {
    ServiceError::Explained(Refusal::Unknown, text.to_owned())
}
