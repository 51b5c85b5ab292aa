//! Calls that change something. Each answers with a sentence on what has happened.

use super::ApiState;
use super::problem::{Asked, NoParameters, Problem, ProblemBody};
use crate::admin::control::Order;
use axum::Json;
use axum::extract::{Path, State};
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
        (status = CONFLICT, body = ProblemBody, description = "It drains already"),
    )
)]
pub(super) async fn drain(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Changed>, Problem> {
    carry_out(&state, Order::DrainAll).await
}

/// Reads the configuration file again, as SIGHUP does. All or nothing: what is wrong, or needs a restart, is told and changes
/// nothing.
#[utoipa::path(
    post, path = "/api/v1/reload", tag = "changes",
    responses(
        (status = OK, body = Changed, description = "What was different"),
        (status = BAD_REQUEST, body = ProblemBody, description = "The file is wrong, or the call takes no parameters; where, and how"),
        (status = CONFLICT, body = ProblemBody, description = "It needs a restart; why"),
    )
)]
pub(super) async fn reload(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Changed>, Problem> {
    carry_out(&state, Order::Reload).await
}

/// A server's share among its equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWeight {
    /// From 1.
    pub(crate) weight: u32,
}

/// Sends no new submits to a server. Operations on messages that it has, its answers, messages and receipts go on.
#[utoipa::path(
    post, path = "/api/v1/servers/{name}/drain", tag = "changes",
    params(("name" = String, Path, description = "Name of the server")),
    responses((status = OK, body = Changed), (status = NOT_FOUND, body = ProblemBody, description = "There is no such server"))
)]
pub(super) async fn drain_server(
    State(state): State<ApiState>,
    Asked(Path(name)): Asked<Path<String>>,
    _: NoParameters,
) -> Result<Json<Changed>, Problem> {
    carry_out(&state, Order::DrainServer { name, drains: true }).await
}

/// Sends submits to a server again.
#[utoipa::path(
    post, path = "/api/v1/servers/{name}/undrain", tag = "changes",
    params(("name" = String, Path, description = "Name of the server")),
    responses((status = OK, body = Changed), (status = NOT_FOUND, body = ProblemBody, description = "There is no such server"))
)]
pub(super) async fn undrain_server(
    State(state): State<ApiState>,
    Asked(Path(name)): Asked<Path<String>>,
    _: NoParameters,
) -> Result<Json<Changed>, Problem> {
    carry_out(&state, Order::DrainServer { name, drains: false }).await
}

/// Changes a server's share among its equals, until the configuration is read again.
#[utoipa::path(
    post, path = "/api/v1/servers/{name}/weight", tag = "changes", request_body = NewWeight,
    params(("name" = String, Path, description = "Name of the server")),
    responses(
        (status = OK, body = Changed),
        (status = BAD_REQUEST, body = ProblemBody, description = "The weight is none, or more than a weight is asked"),
        (status = NOT_FOUND, body = ProblemBody, description = "There is no such server"),
    )
)]
pub(super) async fn set_weight(
    State(state): State<ApiState>,
    Asked(Path(name)): Asked<Path<String>>,
    _: NoParameters,
    Asked(Json(NewWeight { weight })): Asked<Json<NewWeight>>,
) -> Result<Json<Changed>, Problem> {
    carry_out(&state, Order::SetWeight { name, weight }).await
}

/// Accepts no binds of an account, refuses its new requests, and unbinds its sessions when all that is under way is answered.
#[utoipa::path(
    post, path = "/api/v1/clients/{system_id}/drain", tag = "changes",
    params(("system_id" = String, Path, description = "The account")),
    responses((status = OK, body = Changed), (status = NOT_FOUND, body = ProblemBody, description = "There is no such account"))
)]
pub(super) async fn drain_client(
    State(state): State<ApiState>,
    Asked(Path(system_id)): Asked<Path<String>>,
    _: NoParameters,
) -> Result<Json<Changed>, Problem> {
    carry_out(
        &state,
        Order::DrainClient {
            system_id,
            drains: true,
        },
    )
    .await
}

/// Lets an account bind again.
#[utoipa::path(
    post, path = "/api/v1/clients/{system_id}/undrain", tag = "changes",
    params(("system_id" = String, Path, description = "The account")),
    responses((status = OK, body = Changed), (status = NOT_FOUND, body = ProblemBody, description = "There is no such account"))
)]
pub(super) async fn undrain_client(
    State(state): State<ApiState>,
    Asked(Path(system_id)): Asked<Path<String>>,
    _: NoParameters,
) -> Result<Json<Changed>, Problem> {
    carry_out(
        &state,
        Order::DrainClient {
            system_id,
            drains: false,
        },
    )
    .await
}

async fn carry_out(state: &ApiState, order: Order) -> Result<Json<Changed>, Problem> {
    let done = state.control.order(order).await??;
    Ok(Json(Changed { done }))
}

#[cfg(test)]
mod tests {
    use super::NewWeight;

    /// Goal: what somebody wants besides a weight is not passed over.
    #[test]
    fn a_weight_is_a_weight_and_nothing_else() {
        let read = |text| serde_json::from_str::<NewWeight>(text).ok();
        assert_eq!(read(r#"{"weight": 3}"#), Some(NewWeight { weight: 3 }));
        assert_eq!(read(r#"{"weight": 3, "priority": 1}"#), None);
    }
}
