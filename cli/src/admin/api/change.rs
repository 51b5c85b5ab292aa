//! Calls that change something. Each answers with a sentence on what has happened.

use super::ApiState;
use super::problem::{Problem, ProblemBody};
use crate::admin::control::Order;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a change has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Changed {
    /// In words.
    pub(crate) done: String,
}

/// Drains smppmux and ends it, as SIGTERM does.
#[utoipa::path(
    post, path = "/api/v1/drain", tag = "changes",
    responses(
        (status = OK, body = Changed, description = "The drain has begun"),
        (status = UNAUTHORIZED, body = ProblemBody),
        (status = FORBIDDEN, body = ProblemBody),
        (status = CONFLICT, body = ProblemBody, description = "It drains already"),
        (status = SERVICE_UNAVAILABLE, body = ProblemBody),
    )
)]
pub(super) async fn drain(State(state): State<ApiState>) -> Result<Json<Changed>, Problem> {
    carry_out(&state, Order::DrainAll).await
}

async fn carry_out(state: &ApiState, order: Order) -> Result<Json<Changed>, Problem> {
    let done = state.control.order(order).await??;
    Ok(Json(Changed { done }))
}
