//! `/api/v1/events`: the figures of every second, pushed.
#![allow(
    unused_qualifications,
    reason = "the macro that describes parameters writes them in full"
)]

use super::ApiState;
use super::problem::{Asked, Problem};
use crate::admin::live::{HangUp, Live};
use axum::Extension;
use axum::body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

/// How long to watch.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// It ends after so many events behind the history. Without it, it goes on until nobody reads on.
    count: Option<u64>,
}

/// The figures of every second, as server-sent events: first `history`, with the minutes before as far as somebody watched; then
/// `live` every second, whose schema this is, or `problem` where the control core does not answer. 32 can watch at once; who does
/// not read is cut off.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "figures",
    params(EventsQuery),
    responses((status = OK, body = Live, content_type = "text/event-stream", description = "Goes on until nobody reads on"))
)]
pub(super) async fn events(
    State(state): State<ApiState>,
    Extension(hang_up): Extension<HangUp>,
    Asked(Query(query)): Asked<Query<EventsQuery>>,
) -> Result<Response, Problem> {
    let Some(watching) = state.feed.watch(hang_up, query.count) else {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many watch already",
        ));
    };
    let head = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((head, body::Body::new(watching)).into_response())
}
