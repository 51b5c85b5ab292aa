//! `/healthz` and `/readyz`: for load balancers and supervisors.

use super::ApiState;
use super::problem::{Problem, ProblemBody};
use crate::admin::control::{Phase, Snapshot};
use axum::extract::State;
use axum::http::StatusCode;
use smppmux_engine::core::report::Wanted;

/// Whether the process works: the control core answers, and so does every engine.
#[utoipa::path(
    get, path = "/healthz", tag = "health",
    responses(
        (status = OK, body = String, description = "It does"),
        (status = SERVICE_UNAVAILABLE, body = ProblemBody, description = "It does not; the reason"),
    )
)]
pub(super) async fn healthz(State(state): State<ApiState>) -> Result<&'static str, Problem> {
    let snapshot = state.control.snapshot(Wanted::default()).await?;
    let answering = snapshot.reports.len();
    if answering == usize::from(snapshot.cores) {
        Ok("ok\n")
    } else {
        let error = format!("{answering} of {} engines answer", snapshot.cores);
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, error))
    }
}

/// Whether new clients are welcome: smppmux has started, does not drain, and some server is bound.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = OK, body = String, description = "They are"),
        (status = SERVICE_UNAVAILABLE, body = ProblemBody, description = "They are not; the reason"),
    )
)]
pub(super) async fn readyz(State(state): State<ApiState>) -> Result<&'static str, Problem> {
    let snapshot = state.control.snapshot(Wanted::default()).await?;
    match obstacle(&snapshot) {
        None => Ok("ready\n"),
        Some(error) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, error)),
    }
}

/// Why new clients are not welcome.
pub(crate) fn obstacle(snapshot: &Snapshot) -> Option<String> {
    let mut servers = snapshot.settings.configured_servers();
    let is_some_server_bound = servers.any(|(server, _)| snapshot.is_server_bound(server));
    // With `auth = "forward"` server sessions are made for each client: there is nothing to be bound before.
    let waits_for_clients = snapshot
        .settings
        .vservers
        .iter()
        .any(|vserver| vserver.auth == smppmux_engine::core::settings::Auth::Forward);
    match snapshot.phase {
        Phase::Starting => Some("starting: the servers are not bound yet".into()),
        Phase::Draining => Some("draining".into()),
        Phase::Serving if is_some_server_bound || waits_for_clients => None,
        Phase::Serving => Some("no server is bound".into()),
    }
}
