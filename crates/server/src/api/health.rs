//! `/health/live` and `/health/ready`.

use actix_web::HttpResponse;

use super::State;
use crate::dto::Health;
use crate::http::{Answer, json};

pub(crate) async fn live() -> HttpResponse {
    json(&Health { status: "live" })
}

pub(crate) async fn ready(state: State) -> Answer {
    state.service.check_database().await?;
    Ok(json(&Health { status: "ready" }))
}
