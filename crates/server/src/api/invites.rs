//! `/api/app`: sign-up attempts and invitations.

use actix_web::HttpRequest;
use latchkey_domain::{Handle, Invite, Signup};
use latchkey_service::operate::Selection;
use latchkey_service::{Refusal, ServiceError};

use super::State;
use super::operator::app_of;
use super::users::{search, stored_handle_of};
use crate::dto::{Invited, invite_json, invited_body, signup_json};
use crate::http::{Answer, ByOperator, Fields, Verified, WrongField, json, ok_true};

pub(crate) async fn search_signups(
    state: State,
    Verified(operator): ByOperator,
    request: HttpRequest,
) -> Answer {
    search::<Signup>(&state, &operator, &request, signup_json).await
}

pub(crate) async fn search_invites(
    state: State,
    Verified(operator): ByOperator,
    request: HttpRequest,
) -> Answer {
    search::<Invite>(&state, &operator, &request, invite_json).await
}

pub(crate) async fn remove_signup(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let wanted = (named(&fields, "Invalid Signup")?, which(&fields, "Invalid Signup")?);
    Ok(json(&signup_json(&state.service.remove_signups(operator, id, wanted).await?)))
}

pub(crate) async fn create_invites(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let handles = handles_of(&fields)?;
    let locale = fields.owned("locale")?;
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
    let parts = fields.required("handle")?.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parsed = parts.map(|part| {
        Handle::parse(part).map_err(|error| ServiceError::invalid(format!("{part:?} is no handle: {error}")))
    });
    let handles = parsed.collect::<Result<Vec<_>, _>>()?;
    if handles.is_empty() { Err(WrongField::missing("handle").into()) } else { Ok(handles) }
}

pub(crate) async fn resend_invite(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let wanted = (named(&fields, "Invalid Invite")?, which(&fields, "Invalid Invite")?);
    state.service.resend_invites(operator, id, wanted).await?;
    Ok(ok_true())
}

pub(crate) async fn remove_invite(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let wanted = (named(&fields, "Invalid Invite")?, which(&fields, "Invalid Invite")?);
    Ok(json(&invite_json(&state.service.remove_invites(operator, id, wanted).await?)))
}

/// The handle. An impossible one is reported like an unknown one.
fn named(fields: &Fields, otherwise: &str) -> Result<Handle, ServiceError> {
    stored_handle_of(fields).map_err(|error| match error {
        ServiceError::Refused(Refusal::UnknownUser) => unknown(otherwise),
        other => other,
    })
}

/// All of a handle, or the one with an id.
fn which<Id: std::str::FromStr>(fields: &Fields, otherwise: &str) -> Result<Selection<Id>, ServiceError> {
    match fields.text("_id")? {
        None => Ok(Selection::All),
        Some(id) => id.parse().map(Selection::One).map_err(|_| unknown(otherwise)),
    }
}

fn unknown(text: &str) -> ServiceError {
    ServiceError::Explained(Refusal::Unknown, text.to_owned())
}
