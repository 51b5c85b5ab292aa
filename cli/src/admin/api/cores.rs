//! `/api/v1/cores`: the packet engines and the traffic between them.

use super::ApiState;
use super::problem::{NoParameters, Problem};
use crate::admin::control::{Balance, Snapshot};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use smppmux_engine::core::report::Wanted;
use smppmux_engine::shell::CoreReport;
use utoipa::ToSchema;

/// The engines that answered in time, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Cores {
    /// One for each.
    pub(crate) cores: Vec<CoreRow>,
    /// How new connections are spread over them; missing where `distribution` has no buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) buckets: Option<Buckets>,
}

/// The table by which the `rss` distributions spread new connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Buckets {
    /// Whether the control core rewrites it when the engines are uneven (`rebalance`).
    pub(crate) is_automatic: bool,
    /// The engine of each bucket.
    pub(crate) cores: Vec<u16>,
    /// How often it was rewritten since the start.
    pub(crate) rewrites: u64,
    /// How many buckets were moved by that.
    pub(crate) moved_buckets: u64,
    /// How long ago the last rewrite was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seconds_since_rewrite: Option<f64>,
}

/// One packet engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct CoreRow {
    /// Its number.
    pub(crate) core: u16,
    /// Connections from clients, bound or not.
    pub(crate) client_connections: u64,
    /// Bound sessions of clients.
    pub(crate) client_sessions: u64,
    /// Bound sessions at servers.
    pub(crate) server_sessions: u64,
    /// Sockets, those that are closing included.
    pub(crate) sockets: u64,
    /// Requests from clients.
    pub(crate) client_requests: u64,
    /// deliver_sm and data_sm from servers.
    pub(crate) mobile_originated: u64,
    /// Requests that wait in a hold.
    pub(crate) held_requests: u64,
    /// Requests of other cores' sessions, or to them, that wait for their answer.
    pub(crate) core_requests_outstanding: u64,
    /// Messages to other cores.
    pub(crate) core_messages_sent: u64,
    /// Messages from other cores.
    pub(crate) core_messages_received: u64,
    /// Messages that other cores refused.
    pub(crate) core_messages_refused: u64,
    /// Clients' connections that came because it is the core of their account (`distribution = "account"`).
    #[serde(default)]
    pub(crate) connections_moved_in: u64,
    /// Sleeping cores that it has woken.
    pub(crate) core_wakes: u64,
    /// Turns of its loop.
    pub(crate) turns: u64,
    /// How long those took that had something to do.
    pub(crate) busy_milliseconds: u64,
    /// Buckets of new connections that lead to it, where `distribution` has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) buckets: Option<u64>,
    /// Its load in percent of the mean, where `rebalance` looks at it and there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) load_percent: Option<u64>,
    /// Octets read.
    pub(crate) received_octets: u64,
    /// Octets handed out for writing.
    pub(crate) transmitted_octets: u64,
}

/// The packet engines and the traffic between them.
#[utoipa::path(
    get, path = "/api/v1/cores", tag = "figures",
    responses((status = OK, body = Cores))
)]
pub(super) async fn cores(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Cores>, Problem> {
    Ok(Json(Cores::of(
        &*state.control.snapshot(Wanted::default()).await?,
    )))
}

impl Cores {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            cores: snapshot
                .reports
                .iter()
                .map(|report| CoreRow::of(report, snapshot.balance.as_ref()))
                .collect(),
            buckets: snapshot.balance.as_ref().map(Buckets::of),
        }
    }
}

impl Buckets {
    fn of(balance: &Balance) -> Self {
        let cores = balance.table.iter();
        Self {
            is_automatic: balance.is_automatic,
            cores: cores
                .map(|core| u16::try_from(core).unwrap_or(u16::MAX))
                .collect(),
            rewrites: balance.rewrites,
            moved_buckets: balance.moved_buckets,
            seconds_since_rewrite: balance.since_rewrite.map(|time| time.as_secs_f64()),
        }
    }
}

impl CoreRow {
    pub(crate) fn of(report: &CoreReport, balance: Option<&Balance>) -> Self {
        let CoreReport { engine, shell, .. } = report;
        let place = usize::from(engine.core);
        Self {
            core: engine.core,
            client_connections: engine.client_connections,
            client_sessions: engine.client_sessions,
            server_sessions: engine.servers.iter().map(|server| server.bound_sessions).sum(),
            sockets: shell.links_open,
            client_requests: engine.counters.client_requests,
            mobile_originated: engine.counters.mobile_originated,
            held_requests: engine.held_requests,
            core_requests_outstanding: engine.core_requests_outstanding,
            core_messages_sent: shell.core_messages_sent,
            core_messages_received: shell.core_messages_received,
            core_messages_refused: shell.core_messages_refused,
            connections_moved_in: shell.received_for_account,
            core_wakes: shell.core_wakes,
            turns: shell.turns,
            busy_milliseconds: u64::try_from(shell.turn_times.sum().as_millis()).unwrap_or(u64::MAX),
            buckets: balance.map(|balance| balance.table.buckets_of(place) as u64),
            load_percent: balance.and_then(|balance| *balance.loads.get(place)?),
            received_octets: engine.counters.received_octets,
            transmitted_octets: engine.counters.transmitted_octets,
        }
    }
}
