//! `/api/v1/clients`: the accounts that ESMEs bind with.
#![allow(
    unused_qualifications,
    reason = "the macro that describes parameters writes them in full"
)]

use super::ApiState;
use super::problem::{Asked, Problem};
use crate::admin::control::Snapshot;
use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use smppmux_engine::core::report::{ClientReport, Wanted};
use smppmux_engine::core::settings::ClientIndex;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Figures with a row for each account.
pub(crate) const WITH_ACCOUNTS: Wanted = Wanted {
    clients: true,
    pools_max: 0,
};

/// Rows of an answer unless others are asked for.
const ROWS: usize = 1000;

/// Which accounts.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClientsQuery {
    /// Only those whose system_id starts so.
    #[serde(default)]
    pub(crate) prefix: String,
    /// Also those that have had no session since the start.
    #[serde(default)]
    pub(crate) idle: bool,
    /// So many rows at most; 1000 unless said.
    pub(crate) limit: Option<usize>,
}

/// Accounts, by system_id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Clients {
    /// One for each.
    pub(crate) clients: Vec<ClientRow>,
    /// Accounts that were left out because of the limit.
    pub(crate) left_out: u64,
}

/// One account, over all cores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ClientRow {
    /// Its system_id; empty for all whom a server knows alone (`auth = "forward"`).
    pub(crate) system_id: String,
    /// Bound sessions.
    pub(crate) sessions: u64,
    /// Bound sessions among them that may receive.
    pub(crate) receiving_sessions: u64,
    /// Cores with a bound session.
    pub(crate) cores: u64,
    /// It is drained: its sessions are being ended, and it may not bind.
    pub(crate) is_draining: bool,
    /// Its requests without an answer.
    pub(crate) outstanding: u64,
    /// Room in its windows for those.
    pub(crate) window: u64,
    /// Messages to it without an answer.
    pub(crate) deliveries_outstanding: u64,
    /// Requests that wait in a hold.
    pub(crate) held_requests: u64,
    /// Its requests.
    pub(crate) requests: u64,
    /// Answers to those.
    pub(crate) answers: u64,
    /// Answers that were not ESME_ROK.
    pub(crate) errors: u64,
    /// Messages to it.
    pub(crate) deliveries: u64,
    /// Its answers to those.
    pub(crate) delivery_answers: u64,
    /// Its answers that were not ESME_ROK.
    pub(crate) delivery_errors: u64,
}

/// The accounts that have, or have had, a session.
#[utoipa::path(
    get, path = "/api/v1/clients", tag = "figures",
    params(ClientsQuery),
    responses((status = OK, body = Clients))
)]
pub(super) async fn clients(
    State(state): State<ApiState>,
    Asked(Query(query)): Asked<Query<ClientsQuery>>,
) -> Result<Json<Clients>, Problem> {
    let snapshot = state.control.snapshot(WITH_ACCOUNTS).await?;
    Ok(Json(Clients::of(&snapshot, &query)))
}

/// Joins the rows of all cores, by account.
pub(crate) fn joined(snapshot: &Snapshot) -> BTreeMap<Option<ClientIndex>, Vec<&ClientReport>> {
    let mut rows: BTreeMap<_, Vec<&ClientReport>> = BTreeMap::new();
    for row in snapshot.reports.iter().flat_map(|report| &report.engine.clients) {
        rows.entry(row.client).or_default().push(row);
    }
    rows
}

/// The account's system_id; empty for all whom a server knows alone.
fn name(snapshot: &Snapshot, client: Option<ClientIndex>) -> &str {
    let settings = client.and_then(|index| snapshot.settings.clients.get(index.0 as usize));
    settings.map_or("", |settings| settings.system_id.as_str())
}

impl Clients {
    fn of(snapshot: &Snapshot, query: &ClientsQuery) -> Self {
        let mut rows = joined(snapshot);
        if query.idle {
            let all = (0..).map(ClientIndex).zip(&snapshot.settings.clients);
            for (index, _) in all.filter(|(index, _)| !snapshot.settings.is_retired_client(*index)) {
                rows.entry(Some(index)).or_default();
            }
        }
        let mut clients: Vec<ClientRow> = rows
            .iter()
            .filter(|(client, _)| name(snapshot, **client).starts_with(&query.prefix))
            .map(|(client, reports)| ClientRow::of(name(snapshot, *client), reports))
            .collect();
        clients.sort_by(|one, other| one.system_id.cmp(&other.system_id));
        let limit = query.limit.unwrap_or(ROWS);
        let left_out = clients.len().saturating_sub(limit) as u64;
        clients.truncate(limit);
        Self { clients, left_out }
    }
}

impl ClientRow {
    /// The accounts that have, or have had, a session, by system_id.
    pub(crate) fn all(snapshot: &Snapshot) -> Vec<(Option<ClientIndex>, Self)> {
        let row = |(client, reports): (Option<ClientIndex>, Vec<&ClientReport>)| {
            (client, Self::of(name(snapshot, client), &reports))
        };
        let mut rows: Vec<_> = joined(snapshot).into_iter().map(row).collect();
        rows.sort_by(|(_, one), (_, other)| one.system_id.cmp(&other.system_id));
        rows
    }

    fn of(system_id: &str, reports: &[&ClientReport]) -> Self {
        let sum = |figure: fn(&ClientReport) -> u64| reports.iter().map(|report| figure(report)).sum();
        Self {
            system_id: system_id.to_owned(),
            sessions: sum(|report| report.sessions),
            receiving_sessions: sum(|report| report.receiving_sessions),
            cores: sum(|report| u64::from(report.sessions > 0)),
            is_draining: reports.iter().any(|report| report.is_draining),
            outstanding: sum(|report| report.outstanding),
            window: sum(|report| report.window),
            deliveries_outstanding: sum(|report| report.deliveries_outstanding),
            held_requests: sum(|report| report.held_requests),
            requests: sum(|report| report.exchanges.requests(false)),
            answers: sum(|report| report.exchanges.answers(false)),
            errors: sum(|report| report.exchanges.failed(false)),
            deliveries: sum(|report| report.exchanges.requests(true)),
            delivery_answers: sum(|report| report.exchanges.answers(true)),
            delivery_errors: sum(|report| report.exchanges.failed(true)),
        }
    }
}
