//! `POST /api/appuser/login`.

use actix_web::HttpRequest;
use actix_web::web::Data;
use latchkey_service::{LogIn, LoginName, Refusal, ServiceError};
use latchkey_storage::Store;

use super::{AppState, run, tokens_json};
use crate::http::{Answer, ApiError, Family, Fields, Identity, json, source_of};

pub(crate) async fn login<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    request: HttpRequest,
    fields: Fields,
) -> Answer {
    let token = identity.0.app().map_err(ApiError::user)?;
    let login = parse(&fields, &request)?;
    let service = state.service.clone();
    let tokens = run(Family::User, async move { service.log_in(token, login).await }).await?;
    Ok(json(&tokens_json(&tokens)))
}

fn parse(fields: &Fields, request: &HttpRequest) -> Result<LogIn, ApiError> {
    let name = fields.required("handle").map_err(ApiError::user)?;
    // A password that cannot be one is a wrong one; that it is missing is told.
    let password = match fields.password("password", "rawPassword") {
        Err(ServiceError::Refused(Refusal::InvalidData)) => None,
        other => Some(other.map_err(ApiError::user)?.into_client()),
    };
    let name = LoginName::parse(name).map_err(|_| ApiError::user(Refusal::InvalidData))?;
    Ok(LogIn { name, password, source: source_of(request) })
}
