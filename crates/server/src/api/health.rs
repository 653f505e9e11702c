//! `/health/live` and `/health/ready`: state and nothing else.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::{AppState, run};
use crate::dto::Health;
use crate::http::{Answer, Family, json};

pub(crate) async fn live() -> HttpResponse {
    json(&Health { status: "live" })
}

pub(crate) async fn ready(state: Data<AppState>) -> Answer {
    let service = state.service.clone();
    run(Family::User, async move { service.check_database().await }).await?;
    Ok(json(&Health { status: "ready" }))
}
