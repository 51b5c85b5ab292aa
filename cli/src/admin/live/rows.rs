//! The rows of an event: those of the API with what happens in a second, as many as fit.

use super::growth::Growth;
use crate::admin::api::clients::ClientRow;
use crate::admin::api::cores::CoreRow;
use crate::admin::api::servers::ServerRow;
use crate::admin::control::Snapshot;
use serde::{Deserialize, Serialize};
use smppmux_engine::core::report::{ClientReport, ServerReport};
use smppmux_engine::core::settings::{ClientIndex, ServerIndex};
use smppmux_engine::shell::CoreReport;
use std::cmp::Reverse;
use std::collections::HashMap;
use utoipa::ToSchema;

/// A server, and what happens there in a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LiveServer {
    /// As in `/api/v1/servers`.
    #[serde(flatten)]
    pub(crate) row: ServerRow,
    /// Requests written to it.
    pub(crate) requests_per_second: f64,
    /// Its answers that are not ESME_ROK.
    pub(crate) errors_per_second: f64,
    /// deliver_sm and data_sm from it.
    pub(crate) mobile_originated_per_second: f64,
    /// Half of its answers came in so many seconds; none when there were none.
    pub(crate) response_seconds_p50: Option<f64>,
    /// 99 of 100 answers came in so many seconds.
    pub(crate) response_seconds_p99: Option<f64>,
}

/// An account, and what it does in a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LiveClient {
    /// As in `/api/v1/clients`.
    #[serde(flatten)]
    pub(crate) row: ClientRow,
    /// Its requests.
    pub(crate) requests_per_second: f64,
    /// Answers to those that are not ESME_ROK.
    pub(crate) errors_per_second: f64,
    /// Messages to it.
    pub(crate) deliveries_per_second: f64,
}

/// A packet engine, and what it does in a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LiveCore {
    /// As in `/api/v1/cores`.
    #[serde(flatten)]
    pub(crate) row: CoreRow,
    /// The part of its time in which it had something to do, from 0 to 1.
    pub(crate) load: f64,
    /// Messages of other cores that wait for it.
    pub(crate) mailbox_messages: u64,
    /// Requests from clients.
    pub(crate) client_requests_per_second: f64,
    /// deliver_sm and data_sm from servers.
    pub(crate) mobile_originated_per_second: f64,
    /// Messages to other cores.
    pub(crate) core_messages_sent_per_second: f64,
    /// Messages from other cores.
    pub(crate) core_messages_received_per_second: f64,
}

/// What an engine says of a server.
pub(super) fn of_server(core: &CoreReport, ServerIndex(server): ServerIndex) -> Option<&ServerReport> {
    core.engine.servers.get(usize::from(server))
}

/// The servers of a snapshot.
pub(super) fn servers(snapshot: &Snapshot, growth: &Growth<'_>) -> Vec<(ServerIndex, LiveServer)> {
    let row = |(index, row)| {
        let rate =
            |figure: fn(&ServerReport) -> u64| growth.rate(|core| of_server(core, index).map_or(0, figure));
        let times =
            growth.times(|core| of_server(core, index).map_or_else(Default::default, |one| one.latency));
        let live = LiveServer {
            row,
            requests_per_second: rate(|server| server.requests),
            errors_per_second: rate(|server| server.errors),
            mobile_originated_per_second: rate(|server| server.mobile_originated),
            response_seconds_p50: times.quantile(0.5),
            response_seconds_p99: times.quantile(0.99),
        };
        (index, live)
    };
    ServerRow::all(snapshot).map(row).collect()
}

/// How much the counters of the accounts have grown on each engine, if both snapshots know.
#[derive(Debug, Default)]
pub(super) struct ClientGrowth(HashMap<u16, HashMap<Option<ClientIndex>, Counts>>);

/// Requests, errors among their answers, and deliveries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) deliveries: u64,
}

impl Counts {
    fn of(report: &ClientReport) -> Self {
        let exchanges = &report.exchanges;
        Self {
            requests: exchanges.requests(false),
            errors: exchanges.failed(false),
            deliveries: exchanges.requests(true),
        }
    }

    const fn since(self, then: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(then.requests),
            errors: self.errors.saturating_sub(then.errors),
            deliveries: self.deliveries.saturating_sub(then.deliveries),
        }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            errors: self.errors + other.errors,
            deliveries: self.deliveries + other.deliveries,
        }
    }
}

impl ClientGrowth {
    /// Nothing where the earlier snapshot has no rows of accounts.
    pub(super) fn of(before: &Snapshot, growth: &Growth<'_>) -> Self {
        if !before.wanted.clients {
            return Self::default();
        }
        let of_engine = |(then, now): (&CoreReport, &CoreReport)| {
            let then: HashMap<_, _> = then
                .engine
                .clients
                .iter()
                .map(|row| (row.client, Counts::of(row)))
                .collect();
            // An account without a row had no session before: it started from nothing.
            let grown = |row: &ClientReport| {
                Counts::of(row).since(then.get(&row.client).copied().unwrap_or_default())
            };
            let rows = now.engine.clients.iter().map(|row| (row.client, grown(row)));
            (now.engine.core, rows.collect())
        };
        Self(growth.pairs().map(of_engine).collect())
    }

    /// On one engine.
    pub(super) fn on(&self, core: u16) -> impl Iterator<Item = (Option<ClientIndex>, Counts)> {
        self.0
            .get(&core)
            .into_iter()
            .flatten()
            .map(|(client, counts)| (*client, *counts))
    }

    fn of_client(&self, client: Option<ClientIndex>) -> Counts {
        let engines = self.0.values().filter_map(|rows| rows.get(&client));
        engines.fold(Counts::default(), |sum, counts| sum.plus(*counts))
    }
}

/// The accounts of a snapshot, by system_id.
pub(super) fn clients(
    now: &Snapshot,
    growth: &Growth<'_>,
    grown: &ClientGrowth,
) -> Vec<(Option<ClientIndex>, LiveClient)> {
    let row = |(index, row)| {
        let counts = grown.of_client(index);
        let live = LiveClient {
            row,
            requests_per_second: growth.per_second(counts.requests),
            errors_per_second: growth.per_second(counts.errors),
            deliveries_per_second: growth.per_second(counts.deliveries),
        };
        (index, live)
    };
    ClientRow::all(now).into_iter().map(row).collect()
}

/// The engines of a snapshot.
pub(super) fn cores(snapshot: &Snapshot, growth: &Growth<'_>) -> Vec<LiveCore> {
    let row = |report: &CoreReport| {
        let core = report.engine.core;
        let busy_nanoseconds = growth.rate_of(core, |core| core.shell.turn_times.sum().as_nanos() as u64);
        LiveCore {
            row: CoreRow::of(report, snapshot.balance.as_ref()),
            load: super::growth::rounded((busy_nanoseconds / 1e9).clamp(0.0, 1.0)),
            mailbox_messages: report.shell.mailbox_messages,
            client_requests_per_second: growth.rate_of(core, |core| core.engine.counters.client_requests),
            mobile_originated_per_second: growth.rate_of(core, |core| core.engine.counters.mobile_originated),
            core_messages_sent_per_second: growth.rate_of(core, |core| core.shell.core_messages_sent),
            core_messages_received_per_second: growth.rate_of(core, |core| core.shell.core_messages_received),
        }
    };
    snapshot.reports.iter().map(row).collect()
}

/// What decides which rows are shown where there are too many: how it is, then how much it does now, then how much it has done.
/// A rate counts by its power of two only, so that the choice does not change with every breath.
type Importance = (u8, u32, u64);

impl LiveServer {
    pub(super) fn importance(&self) -> Importance {
        let is_down = self.row.sessions == 0;
        let rate = self.requests_per_second + self.mobile_originated_per_second;
        let alarm = if is_down {
            2
        } else {
            u8::from(self.row.is_draining || self.row.ejected_cores > 0)
        };
        (alarm, magnitude(rate), self.row.requests)
    }
}

impl LiveClient {
    pub(super) fn importance(&self) -> Importance {
        let rate = self.requests_per_second + self.deliveries_per_second;
        (
            u8::from(self.row.sessions > 0),
            magnitude(rate),
            self.row.requests + self.row.deliveries,
        )
    }
}

fn magnitude(rate: f64) -> u32 {
    u64::BITS - (rate.round() as u64).leading_zeros()
}

/// The most important ones, in the order in which they came, and how many were left out.
pub(super) fn most_important<T>(
    rows: Vec<T>,
    limit: usize,
    importance: impl Fn(&T) -> Importance,
) -> (Vec<T>, u64) {
    let left_out = rows.len().saturating_sub(limit);
    if left_out == 0 {
        return (rows, 0);
    }
    let mut ranked: Vec<(usize, T)> = rows.into_iter().enumerate().collect();
    ranked.sort_by_key(|(_, row)| Reverse(importance(row)));
    ranked.truncate(limit);
    ranked.sort_by_key(|(place, _)| *place);
    (ranked.into_iter().map(|(_, row)| row).collect(), left_out as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: of too many rows the most important stay, in their order, and the others are counted.
    #[test]
    fn the_most_important_rows_stay() {
        let rate = |row: &f64| (0, magnitude(*row), 0);
        let (rows, left_out) = most_important(vec![3.0, 900.0, 0.0, 40.0, 5000.0], 3, rate);
        assert_eq!((rows, left_out), (vec![900.0, 40.0, 5000.0], 2));
        let (rows, left_out) = most_important(vec![1.0, 2.0], 3, rate);
        assert_eq!((rows, left_out), (vec![1.0, 2.0], 0));
        assert_eq!([0.0, 1.0, 2.0, 1000.0].map(magnitude), [0, 1, 2, 10]);
    }
}
