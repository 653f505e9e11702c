//! What operators do with sign-up attempts and invitations.

use latchkey_domain::{
    App, AppId, CodePurpose, Handle, Invite, InviteId, InviteState, Locale, Metadata, OutboxMessage, Signup,
    SignupId, TemplateName, UserId, masked,
};
use latchkey_storage::Store;

use crate::audit::Act;
use crate::caller::gate;
use crate::codes::{CodeSubject, NewCode};
use crate::mail::{Slot, is_mailable, worded};
use crate::new_user::offered_locale;
use crate::{Operator, Refusal, Service, ServiceError};

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
}

/// Which sign-up attempts or invitations of a handle.
#[derive(Debug, Clone)]
pub enum Which<Id> {
    /// All of them.
    All,
    /// The one with this id.
    One(Id),
}

impl<Id: PartialEq> Which<Id> {
    fn is(&self, id: &Id) -> bool {
        match self {
            Self::All => true,
            Self::One(wanted) => wanted == id,
        }
    }
}

impl<S: Store> Service<S> {
    /// Invites people in the operator's name, whether or not users may invite.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`], what an application that is not active refuses; [`Refusal::InvalidData`], explained,
    /// when no mail can reach a handle, there are too many, or the locale is not offered. Nobody is invited then.
    pub async fn invite_as_operator(
        &self,
        operator: Operator,
        app_id: AppId,
        (handles, locale): (Vec<Handle>, Option<String>),
    ) -> Result<Invited, ServiceError> {
        let mut act = Act::of_operator("createAppInvite", app_id, &operator);
        act.detail = Some(handles.iter().map(masked).collect::<Vec<_>>().join(" "));
        let invited = self.invite_all(app_id, handles, locale, &act).await;
        self.note(Some(act), invited).await
    }

    async fn invite_all(
        &self,
        app_id: AppId,
        mut handles: Vec<Handle>,
        locale: Option<String>,
        act: &Act,
    ) -> Result<Invited, ServiceError> {
        let explained = |text: String| ServiceError::Explained(Refusal::InvalidData, text);
        if handles.len() > MOST_AT_ONCE {
            return Err(explained(format!("at most {MOST_AT_ONCE} handles are invited at once")));
        }
        if let Some(handle) = handles.iter().find(|handle| !is_mailable(handle)) {
            return Err(explained(format!("no mail can reach {}", handle.as_str())));
        }
        let mut seen = std::collections::HashSet::new();
        handles.retain(|handle| seen.insert(handle.key().to_owned()));
        let (wanted, now) = (handles.clone(), self.inner.clock.now());
        let (app, is_there) = self
            .inner
            .store
            .read("invites.find", move |readers| {
                let app = readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                gate(&app)?;
                let mut is_there = Vec::new();
                for handle in &wanted {
                    let is_pending = |invite: &Invite| invite.state == InviteState::Pending;
                    is_there.push(
                        readers.users().find_by_handle(app_id, handle)?.is_some()
                            || readers.users().is_held(app_id, handle, now)?
                            || readers.invites().list(app_id, handle)?.iter().any(is_pending),
                    );
                }
                Ok::<_, ServiceError>((app, is_there))
            })
            .await?;
        let locale = offered_locale(&app, locale.as_deref())?;
        let (mut invites, mut exists) = (Vec::new(), Vec::new());
        for (handle, is_there) in handles.into_iter().zip(is_there) {
            if is_there {
                exists.push(handle);
            } else {
                let invite = self.operator_invite(&app, handle, locale)?;
                self.send_invite(&app, invite.clone(), act).await?;
                invites.push(invite);
            }
        }
        Ok(Invited { invites, exists })
    }

    fn operator_invite(&self, app: &App, handle: Handle, locale: Locale) -> Result<Invite, ServiceError> {
        let sender_id = UserId::from_bytes([0; 16]);
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

    /// Keeps an invitation and promises its mail, with a new code.
    async fn send_invite(&self, app: &App, invite: Invite, act: &Act) -> Result<(), ServiceError> {
        let (slot, new_code, mail) = self.invite_mail(app, &invite).await?;
        let mut act = act.clone();
        (act.handle, act.detail) = (Some(masked(&invite.handle)), None);
        let (entry, rules) = (self.done(&act)?, self.inner.settings.codes);
        let is_sent = self
            .inner
            .store
            .transact("invite.operator", move |repos| {
                repos.apps().find(invite.app_id)?.ok_or(Refusal::UnknownApp)?;
                repos.invites().put(&invite)?;
                repos.audit().add(&entry)?;
                new_code.place_and_send(repos, &rules, false, mail.as_ref())
            })
            .await;
        self.settle_message(slot, is_sent).await
    }

    async fn invite_mail(
        &self,
        app: &App,
        invite: &Invite,
    ) -> Result<(Option<Slot>, NewCode, Option<OutboxMessage>), ServiceError> {
        let (app_id, locale) = (app.id, invite.locale);
        let words = self.inner.store.read("invite.words", move |readers| {
            worded(readers.email_templates(), app_id, TemplateName::Invite, locale)
        });
        let words = words.await?;
        let subject = CodeSubject {
            app_id,
            purpose: CodePurpose::Invite,
            handle: invite.handle.clone(),
            id: *invite.id.as_bytes(),
        };
        let asked = self.inner.keys.digests().digest("invite.sender", &[invite.sender_id.as_bytes()])?;
        let new_code = self.draw_code(&subject, &asked, self.inner.settings.codes.invite_life)?;
        let slot = self.mail_slot(&invite.handle).await?;
        let mail = self.code_mail(app, slot.as_ref(), &words, (&invite.handle, &new_code), None)?;
        Ok((slot, new_code, mail))
    }

    /// Mails the open invitations of a handle again, each with a new code.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`], what an application that is not active refuses; [`Refusal::Unknown`], explained.
    pub async fn resend_invites(
        &self,
        operator: Operator,
        app_id: AppId,
        (handle, which): (Handle, Which<InviteId>),
    ) -> Result<(), ServiceError> {
        let act = Act::of_operator("resendAppInvite", app_id, &operator);
        let (app, mut invites) = self.invites_of(app_id, handle).await?;
        gate(&app)?;
        invites.retain(|invite| invite.state == InviteState::Pending && which.is(&invite.id));
        if invites.is_empty() {
            return Err(unknown("Invalid Invite"));
        }
        let now = self.inner.clock.now();
        for invite in invites {
            self.send_invite(&app, Invite { updated_at: now, ..invite }, &act).await?;
        }
        Ok(())
    }

    /// Removes invitations of a handle with their codes, and gives the newest of them.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::Unknown`], explained.
    pub async fn remove_invites(
        &self,
        operator: Operator,
        app_id: AppId,
        (handle, which): (Handle, Which<InviteId>),
    ) -> Result<Invite, ServiceError> {
        let mut act = Act::of_operator("removeAppInvite", app_id, &operator);
        act.handle = Some(masked(&handle));
        let entry = self.done(&act)?;
        self.inner
            .store
            .transact("invites.remove", move |repos| {
                repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                let mut invites = repos.invites().list(app_id, &handle)?;
                invites.retain(|invite| which.is(&invite.id));
                for invite in &invites {
                    repos.invites().remove(app_id, invite.id)?;
                    repos.codes().remove_all(app_id, invite.id.as_bytes())?;
                }
                let newest = invites.into_iter().next().ok_or_else(|| unknown("Invalid Invite"))?;
                repos.audit().add(&entry)?;
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
        (handle, which): (Handle, Which<SignupId>),
    ) -> Result<Signup, ServiceError> {
        let mut act = Act::of_operator("removeAppSignup", app_id, &operator);
        act.handle = Some(masked(&handle));
        let entry = self.done(&act)?;
        self.inner
            .store
            .transact("signups.remove", move |repos| {
                repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                let mut signups = repos.signups().list(app_id, &handle)?;
                signups.retain(|signup| which.is(&signup.id));
                for signup in &signups {
                    repos.signups().remove(app_id, signup.id)?;
                    repos.codes().remove_all(app_id, signup.id.as_bytes())?;
                }
                let newest = signups.into_iter().next().ok_or_else(|| unknown("Invalid Signup"))?;
                repos.audit().add(&entry)?;
                Ok(newest)
            })
            .await
    }

    async fn invites_of(&self, app_id: AppId, handle: Handle) -> Result<(App, Vec<Invite>), ServiceError> {
        self.inner
            .store
            .read("invites.of_handle", move |readers| {
                let app = readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                Ok((app, readers.invites().list(app_id, &handle)?))
            })
            .await
    }
}

fn unknown(text: &str) -> ServiceError {
    ServiceError::Explained(Refusal::Unknown, text.to_owned())
}
