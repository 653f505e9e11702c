//! `/api/app`: the users of an application, as operators see and change them.

use actix_web::web::Data;
use latchkey_domain::UserStatus;
use latchkey_storage::Store;

use super::operator::{one_of, operator_and_user};
use super::{AppState, run};
use crate::http::{Answer, ApiError, Family, Fields, OperatorCall, ok_true};

pub(crate) async fn set_user_status<S: Store>(
    state: Data<AppState<S>>,
    caller: OperatorCall,
    fields: Fields,
) -> Answer {
    let (operator, user) = operator_and_user(&state, caller, &fields).await?;
    let statuses = [("active", UserStatus::Active), ("suspend", UserStatus::Suspended)];
    let status = one_of(&fields, "status", &statuses).map_err(ApiError::admin)?;
    let service = state.service.clone();
    run(Family::Admin, async move { service.set_user_status(operator, user, status).await }).await?;
    Ok(ok_true())
}

pub(crate) async fn reset_second_factor<S: Store>(
    state: Data<AppState<S>>,
    caller: OperatorCall,
    fields: Fields,
) -> Answer {
    let (operator, user) = operator_and_user(&state, caller, &fields).await?;
    let service = state.service.clone();
    run(Family::Admin, async move { service.reset_factors(operator, user).await }).await?;
    Ok(ok_true())
}
