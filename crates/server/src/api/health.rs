//! `/health/live` and `/health/ready`.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::AppState;
use crate::dto::Health;
use crate::http::{Answer, json};

pub(crate) async fn live() -> HttpResponse {
    json(&Health { status: "live" })
}

pub(crate) async fn ready(state: Data<AppState>) -> Answer {
    state.service.check_database().await?;
    Ok(json(&Health { status: "ready" }))
}
