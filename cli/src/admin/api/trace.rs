//! Calls that show the PDUs of a server or account while they come and go.
#![allow(
    unused_qualifications,
    reason = "the macro that describes parameters writes them in full"
)]

use super::ApiState;
use super::problem::{Asked, Problem, ProblemBody};
use crate::admin::control::TraceOf;
use crate::admin::trace::{TraceBody, TraceFormat};
use axum::body;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

/// Seconds that a trace may last, and that it lasts where nobody says.
const SECONDS_MAX: u64 = 86_400;
const SECONDS: u64 = 60;

/// How a trace is shown.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TraceQuery {
    /// `text` or `pcapng`.
    #[serde(default)]
    format: TraceFormat,
    /// It ends after so many seconds (60), or when nobody reads on.
    seconds: Option<u64>,
}

/// The PDUs of a server's sessions as they come and go, without passwords.
#[utoipa::path(
    post, path = "/api/v1/servers/{name}/trace", tag = "changes",
    params(("name" = String, Path, description = "Name of the server"), TraceQuery),
    responses(
        (status = OK, body = String, description = "Goes on until the time is over or nobody reads on"),
        (status = NOT_FOUND, body = ProblemBody, description = "There is no such server"),
        (status = CONFLICT, body = ProblemBody, description = "There are too many traces"),
    )
)]
pub(super) async fn trace_server(
    State(state): State<ApiState>,
    Asked(Path(name)): Asked<Path<String>>,
    Asked(Query(query)): Asked<Query<TraceQuery>>,
) -> Result<Response, Problem> {
    trace(&state, TraceOf::Server(name), query).await
}

/// The PDUs of an account's sessions as they come and go.
#[utoipa::path(
    post, path = "/api/v1/clients/{system_id}/trace", tag = "changes",
    params(("system_id" = String, Path, description = "The account"), TraceQuery),
    responses(
        (status = OK, body = String, description = "Goes on until the time is over or nobody reads on"),
        (status = NOT_FOUND, body = ProblemBody, description = "There is no such account"),
        (status = CONFLICT, body = ProblemBody, description = "There are too many traces"),
    )
)]
pub(super) async fn trace_client(
    State(state): State<ApiState>,
    Asked(Path(system_id)): Asked<Path<String>>,
    Asked(Query(query)): Asked<Query<TraceQuery>>,
) -> Result<Response, Problem> {
    trace(&state, TraceOf::Client(system_id), query).await
}

async fn trace(state: &ApiState, of: TraceOf, query: TraceQuery) -> Result<Response, Problem> {
    let seconds = query.seconds.unwrap_or(SECONDS);
    if !(1..=SECONDS_MAX).contains(&seconds) {
        let error = format!("`seconds` is {seconds}; it must be from 1 to {SECONDS_MAX}");
        return Err(Problem::bad_request(error));
    }
    let traced = state.control.trace(of, Duration::from_secs(seconds)).await??;
    let body = TraceBody::new(traced, query.format);
    let head = [(CONTENT_TYPE, query.format.content_type())];
    Ok((head, body::Body::new(body)).into_response())
}
