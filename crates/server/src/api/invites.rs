//! `/api/app`: sign-up attempts and invitations.

use latchkey_domain::{Handle, Invite, Signup};
use latchkey_service::operate::Selection;
use latchkey_service::{Refusal, ServiceError};

use super::State;
use super::operator::{APP_ID, app_of};
use super::users::{HANDLE, LOCALE, SEARCH_USERS, VALUE, search, stored_handle_of};
use crate::dto::{InviteBody, Invited, SignupBody, invite_json, invited_body, signup_json};
use crate::http::field::{Field, text};
use crate::http::{Answer, ByOperator, Fields, Query, Verified, WrongField, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, list_of, shape};

pub(crate) const SEARCH_SIGNUPS: Operation = Operation {
    summary: "Search sign-ups by handle",
    fields: &[APP_ID, VALUE],
    answers: Answers::Json(&[list_of::<SignupBody>]),
    ..SEARCH_USERS
};

pub(crate) async fn search_signups(
    state: State,
    Verified(operator): ByOperator,
    Query(query): Query,
) -> Answer {
    search::<Signup>(&state, &operator, &query, signup_json).await
}

pub(crate) const SEARCH_INVITES: Operation = Operation {
    summary: "Search invitations by handle",
    answers: Answers::Json(&[list_of::<InviteBody>]),
    ..SEARCH_SIGNUPS
};

pub(crate) async fn search_invites(
    state: State,
    Verified(operator): ByOperator,
    Query(query): Query,
) -> Answer {
    search::<Invite>(&state, &operator, &query, invite_json).await
}

const WHICH: Field =
    text("_id", "018bcfe5680074dfbb7eac258b172229", "Only this one; by default all of the handle.");

pub(crate) const REMOVE_SIGNUP: Operation = Operation {
    summary: "Remove sign-ups of a handle",
    answers: Answers::Json(&[shape::<SignupBody>]),
    ..REMOVE_INVITE
};

pub(crate) async fn remove_signup(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let selection = selection_of(&fields, "Invalid Signup")?;
    Ok(json(&signup_json(&state.service.remove_signups(operator, id, selection).await?)))
}

const HANDLES: Field =
    text("handle", "bob@example.com", "One or several, separated by commas: at most 100.").required();

pub(crate) const CREATE_INVITES: Operation = Operation {
    summary: "Invite people",
    fields: &[APP_ID, HANDLES, LOCALE],
    answers: Answers::Json(&[shape::<Invited>]),
    refuses: &[Refusal::AppSuspended, Refusal::AppMigrated],
    ..DEFAULT
};

pub(crate) async fn create_invites(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let handles = handles_of(&fields)?;
    let locale = fields.owned(LOCALE)?;
    let invited = state.service.invite_as_operator(operator, id, handles, locale).await?;
    let texts = |handles: &[Handle]| handles.iter().map(|handle| handle.as_str().to_owned()).collect();
    Ok(json(&Invited {
        invites: invited.invites.iter().map(invited_body).collect(),
        exists: texts(&invited.exists),
        not_sent: texts(&invited.not_sent),
    }))
}

/// One handle, or several with commas between them.
fn handles_of(fields: &Fields) -> Result<Vec<Handle>, ServiceError> {
    let parts = fields.required(HANDLES)?.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parsed = parts.map(|part| {
        Handle::parse(part).map_err(|error| ServiceError::invalid(format!("{part:?} is no handle: {error}")))
    });
    let handles = parsed.collect::<Result<Vec<_>, _>>()?;
    if handles.is_empty() { Err(WrongField::missing(HANDLES).into()) } else { Ok(handles) }
}

pub(crate) const RESEND_INVITE: Operation = Operation {
    summary: "Resend pending invitations, each with a new code",
    fields: &[APP_ID, HANDLE, WHICH],
    refuses: &[Refusal::Unknown, Refusal::AppSuspended, Refusal::AppMigrated],
    ..DEFAULT
};

pub(crate) async fn resend_invite(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let selection = selection_of(&fields, "Invalid Invite")?;
    state.service.resend_invites(operator, id, selection).await?;
    Ok(ok_true())
}

pub(crate) const REMOVE_INVITE: Operation = Operation {
    summary: "Remove invitations of a handle",
    fields: &[APP_ID, HANDLE, WHICH],
    answers: Answers::Json(&[shape::<InviteBody>]),
    refuses: &[Refusal::Unknown],
    ..DEFAULT
};

pub(crate) async fn remove_invite(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let selection = selection_of(&fields, "Invalid Invite")?;
    Ok(json(&invite_json(&state.service.remove_invites(operator, id, selection).await?)))
}

/// All of a handle, or the one with an id. Impossible ones are reported like unknown ones.
fn selection_of<Id: std::str::FromStr>(
    fields: &Fields,
    otherwise: &str,
) -> Result<Selection<Id>, ServiceError> {
    let handle = stored_handle_of(fields).map_err(|error| match error {
        ServiceError::Refused(Refusal::UnknownUser) => unknown(otherwise),
        other => other,
    })?;
    let only = fields.text(WHICH)?.map(str::parse).transpose().map_err(|_| unknown(otherwise))?;
    Ok(Selection { handle, only })
}

fn unknown(text: &str) -> ServiceError {
    ServiceError::Explained(Refusal::Unknown, text.to_owned())
}
