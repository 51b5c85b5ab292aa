//! `/api/v1/route`: what the rules that hold now would do with a message.

use super::ApiState;
use super::problem::{Asked, Problem, ProblemBody};
use crate::arguments::MessageArguments;
use crate::route::{Explanation, ServerState};
use axum::Json;
use axum::extract::{Query, State};
use smppmux_engine::core::report::Wanted;

/// What the routing rules would do with a message. Nothing is sent.
#[utoipa::path(
    get, path = "/api/v1/route", tag = "figures",
    params(MessageArguments),
    responses(
        (status = OK, body = Explanation),
        (status = NOT_FOUND, body = ProblemBody, description = "There is no such account, server or vserver"),
    )
)]
pub(super) async fn route(
    State(state): State<ApiState>,
    Asked(Query(message)): Asked<Query<MessageArguments>>,
) -> Result<Json<Explanation>, Problem> {
    if message.client.is_some() && message.server.is_some() {
        return Err(Problem::bad_request(
            "a message has one sender: a client or a server",
        ));
    }
    let snapshot = state.control.snapshot(Wanted::default()).await?;
    let state_of = |server| {
        Some(ServerState {
            is_bound: snapshot.is_server_bound(server),
            is_draining: snapshot.is_server_draining(server),
        })
    };
    let explanation = Explanation::of(&snapshot.settings, &message, &state_of);
    explanation
        .map(Json)
        .map_err(|unknown| Problem::not_found(format!("there is no {unknown}")))
}
