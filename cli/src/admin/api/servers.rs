//! `/api/v1/servers`: the SMSCs.

use super::ApiState;
use super::problem::{NoParameters, Problem};
use crate::admin::control::Snapshot;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use smppmux_engine::core::health::HealthState;
use smppmux_engine::core::report::{ServerReport, Wanted};
use smppmux_engine::core::settings::{ServerIndex, ServerSettings};
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
    /// It is drained: it gets no new submits.
    pub(crate) is_draining: bool,
    /// Cores that have ejected it for its answers: it gets no new submits there while another server can have them.
    pub(crate) ejected_cores: u64,
    /// Cores that try it out after that.
    pub(crate) trial_cores: u64,
    /// How often cores have ejected it.
    pub(crate) ejections: u64,
    /// How much of its weight counts, in percent: less than 100 in its slow start. Of the core where it has come the least far.
    pub(crate) share_percent: u32,
    /// Room in the windows of its sessions.
    pub(crate) window: u64,
    /// Sessions that were bound since the start.
    pub(crate) binds: u64,
    /// Sessions that were lost or could not be made.
    pub(crate) losses: u64,
    /// Binds that it refused.
    pub(crate) refused_binds: u64,
    /// Sessions that it asked for by outbind.
    pub(crate) outbinds: u64,
    /// Connections for an outbind, and outbinds, that were refused.
    pub(crate) refused_outbinds: u64,
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
    responses((status = OK, body = Servers))
)]
pub(super) async fn servers(
    State(state): State<ApiState>,
    _: NoParameters,
) -> Result<Json<Servers>, Problem> {
    Ok(Json(Servers::of(
        &*state.control.snapshot(Wanted::default()).await?,
    )))
}

impl Servers {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            servers: ServerRow::all(snapshot).map(|(_, row)| row).collect(),
        }
    }
}

impl ServerRow {
    /// All servers, in configured order.
    pub(crate) fn all(snapshot: &Snapshot) -> impl Iterator<Item = (ServerIndex, Self)> {
        let row = |(index, settings): (ServerIndex, &ServerSettings)| {
            let reports: Vec<_> = snapshot.reports_of(index).collect();
            (index, Self::of(settings, &reports))
        };
        let servers = (0..).map(ServerIndex).zip(&snapshot.settings.servers);
        // One that was removed is shown until its last session is gone.
        let is_shown = |index: ServerIndex| {
            snapshot.is_server_bound(index) || !snapshot.settings.is_retired_server(index)
        };
        servers.filter(move |(index, _)| is_shown(*index)).map(row)
    }

    fn of(settings: &ServerSettings, reports: &[&ServerReport]) -> Self {
        let in_state = |state| reports.iter().filter(|report| report.health == state).count() as u64;
        let sum = |figure: fn(&ServerReport) -> u64| reports.iter().map(|report| figure(report)).sum();
        Self {
            name: settings.name.clone(),
            uid: settings.uid.iter().copied().map(char::from).collect(),
            addresses: settings.addresses.clone(),
            priority: settings.priority,
            // As it was last set; the same on every core.
            weight: reports.first().map_or(settings.weight, |report| report.weight),
            is_draining: reports.iter().any(|report| report.is_draining),
            ejected_cores: in_state(HealthState::Ejected),
            trial_cores: in_state(HealthState::Trial),
            ejections: sum(|report| report.ejections.iter().sum()),
            share_percent: reports
                .iter()
                .map(|report| report.share_percent)
                .min()
                .unwrap_or(100),
            window: sum(|report| report.window),
            binds: sum(|report| report.binds),
            losses: sum(|report| report.losses),
            refused_binds: sum(|report| report.refused_binds),
            outbinds: sum(|report| report.outbinds),
            refused_outbinds: sum(|report| report.refused_outbinds),
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
