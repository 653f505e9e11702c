//! Common parts of administration requests: the operator, the application, the user, paging.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use latchkey_domain::{AppId, Named, UserId};
use latchkey_service::operate::{MOST_ON_A_PAGE, Page};
use latchkey_service::{Operator, Refusal, ServiceError};

use crate::http::{ApiError, Fields, WrongField};

/// The application that a request is about, if it is within the operator's reach.
pub(crate) fn app_of(operator: &Operator, fields: &Fields) -> Result<AppId, ApiError> {
    app_within(operator, fields.required("appId")?)
}

/// The application of this id, if it is within reach.
pub(crate) fn app_within(operator: &Operator, id: &str) -> Result<AppId, ApiError> {
    let id = id.parse().ok().filter(|id| *id != AppId::NONE);
    let id = id.ok_or(Refusal::UnknownApp)?;
    operator.reaches(id)?;
    Ok(id)
}

/// The user that a request is about, with their application.
pub(crate) fn user_of(operator: &Operator, fields: &Fields) -> Result<(AppId, UserId), ApiError> {
    let app_id = app_of(operator, fields)?;
    let id = fields.required("userId")?;
    Ok((app_id, id.parse().map_err(|_| Refusal::UnknownUser)?))
}

/// One of the values that a field may have, by its name.
pub(crate) fn one_of<T: Named>(fields: &Fields, name: &str) -> Result<T, ServiceError> {
    let sent = fields.choice(name)?.ok_or_else(|| WrongField::missing(name))?;
    T::from_name(sent).ok_or_else(|| ServiceError::invalid(format!("{name} is one of {}", T::names())))
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
