//! `/api/v1/servers`: the SMSCs.

use super::ApiState;
use super::problem::{Problem, ProblemBody};
use crate::admin::control::Snapshot;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use smppmux_engine::core::report::ServerReport;
use smppmux_engine::core::settings::ServerSettings;
use utoipa::ToSchema;

/// All servers, in configured order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Servers {
    /// One for each.
    pub(crate) servers: Vec<ServerRow>,
}

/// One SMSC, over all cores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServerRow {
    /// Its name.
    pub(crate) name: String,
    /// Its two characters in message ids.
    pub(crate) uid: String,
    /// Where it is.
    pub(crate) addresses: Vec<String>,
    /// Its priority group, 0 first.
    pub(crate) priority: u32,
    /// Its share in its group.
    pub(crate) weight: u32,
    /// Bound sessions.
    pub(crate) sessions: u64,
    /// Cores with a bound session.
    pub(crate) cores: u64,
    /// Requests that wait for its answer.
    pub(crate) outstanding: u64,
    /// Requests that were written to it.
    pub(crate) requests: u64,
    /// Its answers.
    pub(crate) answers: u64,
    /// Answers that were not ESME_ROK.
    pub(crate) errors: u64,
    /// deliver_sm and data_sm from it.
    pub(crate) mobile_originated: u64,
}

/// The SMSCs.
#[utoipa::path(
    get, path = "/api/v1/servers", tag = "figures",
    responses((status = OK, body = Servers), (status = SERVICE_UNAVAILABLE, body = ProblemBody))
)]
pub(super) async fn servers(State(state): State<ApiState>) -> Result<Json<Servers>, Problem> {
    Ok(Json(Servers::of(&*state.control.snapshot().await?)))
}

impl Servers {
    fn of(snapshot: &Snapshot) -> Self {
        let row = |(place, settings): (usize, &ServerSettings)| {
            let reports = snapshot.reports.iter();
            let reports = reports.filter_map(|report| report.engine.servers.get(place));
            ServerRow::of(settings, &reports.collect::<Vec<_>>())
        };
        Self {
            servers: snapshot.settings.servers.iter().enumerate().map(row).collect(),
        }
    }
}

impl ServerRow {
    fn of(settings: &ServerSettings, reports: &[&ServerReport]) -> Self {
        let sum = |figure: fn(&ServerReport) -> u64| reports.iter().map(|report| figure(report)).sum();
        Self {
            name: settings.name.clone(),
            uid: settings.uid.iter().copied().map(char::from).collect(),
            addresses: settings.addresses.clone(),
            priority: settings.priority,
            weight: settings.weight,
            sessions: sum(|report| report.bound_sessions),
            cores: reports.iter().filter(|report| report.bound_sessions > 0).count() as u64,
            outstanding: sum(|report| report.outstanding),
            requests: sum(|report| report.requests),
            answers: sum(|report| report.answers),
            errors: sum(|report| report.errors),
            mobile_originated: sum(|report| report.mobile_originated),
        }
    }
}
