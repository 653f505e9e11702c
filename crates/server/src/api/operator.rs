//! Common parts of administration requests: the operator, the application, the user, paging.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use latchkey_domain::{AppId, UserId};
use latchkey_service::{MOST_ON_A_PAGE, Operator, Page, Refusal, ServiceError};

use super::AppState;
use crate::http::{ApiError, Fields, OperatorCall};

/// Demands a server secret with the scope that the route needs.
pub(crate) async fn authorize(state: &AppState, caller: OperatorCall) -> Result<Operator, ServiceError> {
    state.service.authorize_operator(caller.call, caller.needs).await
}

/// Most routes are about one application, which must be within the operator's reach.
pub(crate) async fn operator_and_app(
    state: &AppState,
    caller: OperatorCall,
    fields: &Fields,
) -> Result<(Operator, AppId), ApiError> {
    let operator = authorize(state, caller).await?;
    let id = fields.required("appId")?;
    let id = app_within(&operator, id)?;
    Ok((operator, id))
}

/// The application of this id, if it is within reach.
pub(crate) fn app_within(operator: &Operator, id: &str) -> Result<AppId, ApiError> {
    let id = id.parse().ok().filter(|id| *id != AppId::NONE);
    let id = id.ok_or(Refusal::UnknownApp)?;
    operator.reaches(id)?;
    Ok(id)
}

/// Some are about one user of it.
pub(crate) async fn operator_and_user(
    state: &AppState,
    caller: OperatorCall,
    fields: &Fields,
) -> Result<(Operator, (AppId, UserId)), ApiError> {
    let (operator, app_id) = operator_and_app(state, caller, fields).await?;
    let id = fields.required("userId")?;
    let id = id.parse().map_err(|_| Refusal::UnknownUser)?;
    Ok((operator, (app_id, id)))
}

/// One of the values that a field may have, by its name.
pub(crate) fn one_of<T: Copy>(fields: &Fields, name: &str, values: &[(&str, T)]) -> Result<T, ServiceError> {
    let text = fields.required(name)?;
    let found = values.iter().find(|(value, _)| *value == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let allowed: Vec<&str> = values.iter().map(|(value, _)| *value).collect();
        ServiceError::invalid(format!("{name} is one of {}", allowed.join(", ")))
    })
}

/// The requested part of a list: `offset` counts pages of `limit`, `after` is the cursor of the previous page.
pub(crate) fn page_of(query: &Fields, usual: u32, least: u32) -> Result<Page, ServiceError> {
    let limit = query.number("limit")?.unwrap_or(usual).clamp(least, MOST_ON_A_PAGE);
    let offset = query.number("offset")?.unwrap_or(0);
    Page::new(u64::from(offset) * u64::from(limit), query.text("after")?, limit)
}

/// A list whose body has no place for its total: that is in the headers, with where the next page begins.
pub(crate) fn paged(mut answer: HttpResponse, total: u64, next: Option<&str>) -> HttpResponse {
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("x-total-count"), HeaderValue::from(total));
    if let Some(next) = next.and_then(|next| HeaderValue::from_str(next).ok()) {
        headers.insert(HeaderName::from_static("x-next"), next);
    }
    answer
}
