//! `/health/live` and `/health/ready`.

use actix_web::HttpResponse;

use super::State;
use crate::dto::Health;
use crate::http::{Answer, json};
use crate::openapi::{Answers, DEFAULT, Operation, shape};

pub(crate) const LIVE: Operation =
    Operation { summary: "Liveness check", answers: Answers::Json(&[shape::<Health>]), ..DEFAULT };

pub(crate) async fn live() -> HttpResponse {
    json(&Health { status: "live" })
}

pub(crate) const READY: Operation = Operation { summary: "Readiness check, including the database", ..LIVE };

pub(crate) async fn ready(state: State) -> Answer {
    state.service.check_database().await?;
    Ok(json(&Health { status: "ready" }))
}
