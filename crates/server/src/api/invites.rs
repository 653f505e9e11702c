//! `/api/app`: sign-up attempts and invitations.

use actix_web::HttpRequest;
use actix_web::web::Data;
use latchkey_domain::{Handle, Invite, Signup};
use latchkey_service::{Refusal, ServiceError, Which};

use super::operator::operator_and_app;
use super::users::{search, stored_handle_of};
use super::{AppState, run};
use crate::dto::{Invited, invite_json, invited_body, signup_json};
use crate::http::{Answer, ApiError, Family, Fields, OperatorCall, WrongField, json, ok_true};

pub(crate) async fn search_signups(
    state: Data<AppState>,
    caller: OperatorCall,
    request: HttpRequest,
) -> Answer {
    search::<Signup>(state, caller, request, signup_json).await
}

pub(crate) async fn search_invites(
    state: Data<AppState>,
    caller: OperatorCall,
    request: HttpRequest,
) -> Answer {
    search::<Invite>(state, caller, request, invite_json).await
}

pub(crate) async fn remove_signup(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
    let wanted = (named(&fields, "Invalid Signup")?, which(&fields, "Invalid Signup")?);
    let service = state.service.clone();
    let removing = async move { service.remove_signups(operator, id, wanted).await };
    Ok(json(&signup_json(&run(Family::Admin, removing).await?)))
}

pub(crate) async fn create_invites(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
    let handles = handles_of(&fields).map_err(ApiError::admin)?;
    let locale = fields.owned("locale").map_err(ApiError::admin)?;
    let service = state.service.clone();
    let inviting = async move { service.invite_as_operator(operator, id, (handles, locale)).await };
    let invited = run(Family::Admin, inviting).await?;
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

pub(crate) async fn resend_invite(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
    let wanted = (named(&fields, "Invalid Invite")?, which(&fields, "Invalid Invite")?);
    let service = state.service.clone();
    run(Family::Admin, async move { service.resend_invites(operator, id, wanted).await }).await?;
    Ok(ok_true())
}

pub(crate) async fn remove_invite(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
    let wanted = (named(&fields, "Invalid Invite")?, which(&fields, "Invalid Invite")?);
    let service = state.service.clone();
    let removing = async move { service.remove_invites(operator, id, wanted).await };
    Ok(json(&invite_json(&run(Family::Admin, removing).await?)))
}

/// The handle; one that can be nobody's is as unknown as any.
fn named(fields: &Fields, otherwise: &str) -> Result<Handle, ApiError> {
    stored_handle_of(fields).map_err(|error| match error {
        ServiceError::Refused(Refusal::UnknownUser) => ApiError::admin(unknown(otherwise)),
        other => ApiError::admin(other),
    })
}

/// All of a handle, or the one with an id.
fn which<Id: std::str::FromStr>(fields: &Fields, otherwise: &str) -> Result<Which<Id>, ApiError> {
    match fields.text("_id").map_err(ApiError::admin)? {
        None => Ok(Which::All),
        Some(id) => id.parse().map(Which::One).map_err(|_| ApiError::admin(unknown(otherwise))),
    }
}

fn unknown(text: &str) -> ServiceError {
    ServiceError::Explained(Refusal::Unknown, text.to_owned())
}
