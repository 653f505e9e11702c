//! Common parts of administration requests: the operator, the application, the user, paging.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use latchkey_domain::{AppId, Named, UserKey};
use latchkey_service::operate::{MOST_ON_A_PAGE, Page};
use latchkey_service::{Operator, Refusal, ServiceError};

use crate::http::field::{Field, FieldName, number, text};
use crate::http::{ApiError, Fields, WrongField};

pub(super) const APP_ID: Field =
    text("appId", "0123456789abcdef0123456789abcdef", "The application.").required();
pub(super) const USER_ID: Field =
    text("userId", "018bcfe5680074dfbb7eac258b172229", "The user's `_id`.").required();
pub(super) const LIMIT: Field = number("limit", 25, 200, "How many on a page: 25 if none.");
pub(super) const OFFSET: Field =
    number("offset", 0, 10_000, "Which page, from 0 on: pages that begin within 10,000 rows.");
pub(super) const AFTER: Field =
    text("after", "018bcfe5680074dfbb7eac258b172229", "The cursor of the previous page.");
pub(super) const TOTAL: (&str, &str) = ("X-Total-Count", "How many there are in all.");

/// The application that a request is about, if it is within the operator's reach.
pub(crate) fn app_of(operator: &Operator, fields: &Fields) -> Result<AppId, ApiError> {
    app_within(operator, fields.required(APP_ID)?)
}

/// The application of this id, if it is within reach.
pub(crate) fn app_within(operator: &Operator, id: &str) -> Result<AppId, ApiError> {
    let id = id.parse().ok().filter(|id| *id != AppId::NONE);
    let id = id.ok_or(Refusal::UnknownApp)?;
    operator.reaches(id)?;
    Ok(id)
}

/// The user that a request is about, with their application.
pub(crate) fn user_of(operator: &Operator, fields: &Fields) -> Result<UserKey, ApiError> {
    let app_id = app_of(operator, fields)?;
    let id = fields.required(USER_ID)?;
    Ok(UserKey { app_id, id: id.parse().map_err(|_| Refusal::UnknownUser)? })
}

/// One of the values that a field may have, by its name.
pub(crate) fn one_of<T: Named>(fields: &Fields, name: impl FieldName) -> Result<T, ServiceError> {
    let sent = fields.choice(name)?.ok_or_else(|| WrongField::missing(name))?;
    T::from_name(sent)
        .ok_or_else(|| ServiceError::invalid(format!("{} is one of {}", name.name(), T::names())))
}

/// The requested part of a list: `offset` counts pages of `limit`, `after` is the cursor of the previous page.
pub(crate) fn page_of(query: &Fields, usual: u32, least: u32) -> Result<Page, ServiceError> {
    let limit = query.number(LIMIT)?.unwrap_or(usual).clamp(least, MOST_ON_A_PAGE);
    let offset = query.number(OFFSET)?.unwrap_or(0);
    Page::new(u64::from(offset) * u64::from(limit), query.text(AFTER)?, limit)
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
