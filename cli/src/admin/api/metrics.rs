//! `/metrics`: for Prometheus and whatever reads its formats.

use super::ApiState;
use super::clients::WITH_ACCOUNTS;
use super::problem::Problem;
use super::queue;
use crate::admin::metrics::{Format, write};
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

/// All figures as OpenMetrics where the reader accepts that, else in Prometheus' text format 0.0.4.
#[utoipa::path(
    get, path = "/metrics", tag = "figures",
    responses((status = OK, body = String))
)]
pub(super) async fn metrics(State(state): State<ApiState>, headers: HeaderMap) -> Result<Response, Problem> {
    let (snapshot, queue) = tokio::join!(state.control.snapshot(WITH_ACCOUNTS), queue::figures(&state));
    let accepts = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let format = if accepts
        .into_iter()
        .any(|value| value.contains("application/openmetrics-text"))
    {
        Format::OpenMetrics
    } else {
        Format::Prometheus
    };
    let text = write(snapshot?, queue, format)
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the figures cannot be written"))?;
    Ok(([(CONTENT_TYPE, format.content_type())], text).into_response())
}
