//! One event: the figures of a moment, and what has happened in the second before it.

use super::flows::Flows;
use super::growth::Growth;
use super::rows::{self, ClientGrowth, LiveClient, LiveCore, LiveServer, most_important};
use crate::admin::api::pools::{PoolRow, Pools};
use crate::admin::api::queue::Queue;
use crate::admin::api::status::Status;
use crate::admin::control::Snapshot;
use serde::{Deserialize, Serialize};
use smppmux_engine::core::figures::Latency;
use smppmux_engine::shell::CoreReport;
use utoipa::ToSchema;

/// Rows of servers, accounts and pools in an event.
pub(super) const ROWS_MAX: usize = 200;

/// Seconds that the history goes back.
pub(crate) const HISTORY_MAX: usize = 300;

/// The figures of a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Live {
    /// What went on in the second before.
    pub(crate) point: Point,
    /// As in `/api/v1/status`.
    pub(crate) status: Status,
    /// Servers: of more than 200 those that are not well and those that do most.
    pub(crate) servers: Vec<LiveServer>,
    /// Servers that were left out.
    pub(crate) servers_left_out: u64,
    /// Accounts that have, or have had, a session: of more than 200 those that do most.
    pub(crate) clients: Vec<LiveClient>,
    /// Accounts that were left out.
    pub(crate) clients_left_out: u64,
    /// The engines that answered in time.
    pub(crate) cores: Vec<LiveCore>,
    /// Address ranges that have receiving sessions: 200 at most, of at most 1,000 that each core tells of. A core that has sessions
    /// in more leaves out any of them, and its sessions there are not in these sums.
    pub(crate) pools: Vec<PoolRow>,
    /// Pools that were left out.
    pub(crate) pools_left_out: u64,
    /// As in `/api/v1/queue`, with its 100 longest lines; none where nothing is queued, and where the store does not answer.
    pub(crate) queue: Option<Queue>,
    /// Who exchanges how much with which core.
    pub(crate) flows: Flows,
}

/// The minutes before, second by second, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct History {
    /// At most 300.
    pub(crate) points: Vec<Point>,
}

/// What went on in a second, over all cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Point {
    /// When it ended, since the engines started.
    pub(crate) uptime_seconds: f64,
    /// How long it was; the first one of a watch has no length and no rates.
    pub(crate) seconds: f64,
    /// Requests from clients.
    pub(crate) client_requests_per_second: f64,
    /// deliver_sm and data_sm from servers.
    pub(crate) mobile_originated_per_second: f64,
    /// Answers of servers that were not ESME_ROK.
    pub(crate) server_errors_per_second: f64,
    /// Answers to clients that smppmux made itself: the request was wrong, refused or throttled, nobody could take it, or nobody
    /// answered it.
    pub(crate) own_answers_per_second: f64,
    /// Requests answered ESME_RTHROTTLED.
    pub(crate) throttled_per_second: f64,
    /// Requests that the far side did not answer in time.
    pub(crate) timeouts_per_second: f64,
    /// PDUs that broke a rule.
    pub(crate) violations_per_second: f64,
    /// Messages between cores.
    pub(crate) core_messages_per_second: f64,
    /// Octets read.
    pub(crate) received_octets_per_second: f64,
    /// Octets handed out for writing.
    pub(crate) transmitted_octets_per_second: f64,
    /// Half of the servers' answers came in so many seconds; none when there were none. Estimated: the bounds of what is measured
    /// lie a factor of two apart.
    pub(crate) response_seconds_p50: Option<f64>,
    /// 99 of 100 answers came in so many seconds.
    pub(crate) response_seconds_p99: Option<f64>,
}

impl Point {
    pub(super) fn of(now: &Snapshot, growth: &Growth<'_>) -> Self {
        let times = growth.times(response_times);
        let rate = |figure: fn(&CoreReport) -> u64| growth.rate(figure);
        Self {
            uptime_seconds: super::growth::rounded(now.uptime.as_secs_f64()),
            seconds: super::growth::rounded(growth.seconds()),
            client_requests_per_second: rate(|core| core.engine.counters.client_requests),
            mobile_originated_per_second: rate(|core| core.engine.counters.mobile_originated),
            server_errors_per_second: rate(|core| core.engine.servers.iter().map(|one| one.errors).sum()),
            own_answers_per_second: rate(|core| core.engine.counters.client_answers_own),
            throttled_per_second: rate(|core| core.engine.counters.throttled),
            timeouts_per_second: rate(|core| core.engine.counters.timeouts),
            violations_per_second: rate(|core| core.engine.counters.violations),
            core_messages_per_second: rate(|core| core.shell.core_messages_sent),
            received_octets_per_second: rate(|core| core.engine.counters.received_octets),
            transmitted_octets_per_second: rate(|core| core.engine.counters.transmitted_octets),
            response_seconds_p50: times.quantile(0.5),
            response_seconds_p99: times.quantile(0.99),
        }
    }
}

fn response_times(core: &CoreReport) -> Latency {
    let mut sum = Latency::default();
    for server in &core.engine.servers {
        sum.add(&server.latency);
    }
    sum
}

impl Live {
    /// `before` is the snapshot of a second ago; the same as `now` where there is none.
    pub(crate) fn of(before: &Snapshot, now: &Snapshot, queue: Option<Queue>) -> Self {
        let growth = Growth::between(before, now);
        let servers = rows::servers(now, &growth);
        let grown = ClientGrowth::of(before, &growth);
        let clients = rows::clients(now, &growth, &grown);
        let flows = Flows::of(now, &growth, &grown, &servers, &clients);
        let (servers, servers_left_out) = most_important(servers, ROWS_MAX, |(_, row)| row.importance());
        let (clients, clients_left_out) = most_important(clients, ROWS_MAX, |(_, row)| row.importance());
        let Pools { mut pools, total } = Pools::of(now);
        pools.truncate(ROWS_MAX);
        Self {
            point: Point::of(now, &growth),
            status: Status::of(now),
            servers: servers.into_iter().map(|(_, row)| row).collect(),
            servers_left_out,
            clients: clients.into_iter().map(|(_, row)| row).collect(),
            clients_left_out,
            cores: rows::cores(now, &growth),
            pools_left_out: total.saturating_sub(pools.len() as u64),
            pools,
            queue,
            flows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smppmux_engine::core::report::{ClientReport, Counters, Report, ServerReport};
    use smppmux_engine::core::settings::{ClientIndex, ServerIndex};
    use std::time::Duration;

    const CONFIGURATION: &str = "[[vserver]]\nname = \"v\"\nlisten = [\"127.0.0.1:2775\"]\n\
        [[server]]\nname = \"a\"\nuid = \"0A\"\naddress = \"h:1\"\nsystem-id = \"m\"\npassword = \"x\"\n\
        [[client]]\nsystem-id = \"app\"\npassword = \"x\"\n";

    fn report(core: u16, requests: u64) -> Report {
        Report {
            core,
            counters: Counters {
                client_requests: requests,
                ..Counters::default()
            },
            servers: vec![ServerReport {
                server: ServerIndex(0),
                bound_sessions: 1,
                requests,
                ..ServerReport::default()
            }],
            clients: vec![ClientReport {
                client: Some(ClientIndex(0)),
                sessions: 1,
                ..ClientReport::default()
            }],
            ..Report::default()
        }
    }

    fn snapshot(uptime: u64, reports: Vec<Report>) -> Snapshot {
        let mut snapshot = Snapshot::of(CONFIGURATION, 0, reports);
        snapshot.uptime = Duration::from_secs(uptime);
        snapshot.wanted = crate::admin::api::clients::WITH_ACCOUNTS;
        snapshot
    }

    /// Goal: rates are what the counters have grown by in the time between, and an engine that did not answer once counts for
    /// nothing in both intervals: it is neither a fall nor a leap.
    #[test]
    fn rates_are_growth() {
        let before = snapshot(10, vec![report(0, 100), report(1, 1_000_000)]);
        let without = snapshot(12, vec![report(0, 300)]);
        let after = snapshot(14, vec![report(0, 500), report(1, 2_000_000)]);
        for (then, now, rate) in [
            (&before, &without, 100.0),
            (&without, &after, 100.0),
            (&after, &after, 0.0),
        ] {
            let live = Live::of(then, now, None);
            assert_eq!(live.point.client_requests_per_second, rate);
            assert_eq!(live.servers[0].requests_per_second, rate);
        }
        let live = Live::of(&before, &after, None);
        assert_eq!(live.flows.servers[0].mobile_terminated, [100.0, 250_000.0]);
        assert_eq!(live.flows.clients[0].name.as_deref(), Some("app"));
        assert_eq!((live.servers_left_out, live.clients_left_out), (0, 0));
    }

    /// Goal: an event has a bounded number of rows and flows, however many servers there are, and says what it lacks; all traffic
    /// is in the flows, and a server that is down is not left out.
    #[test]
    fn an_event_is_bounded() {
        let server = |number: usize| {
            format!(
                "[[server]]\nname = \"s{number}\"\nuid = \"{}{}\"\naddress = \"h:1\"\nsystem-id = \"m\"\npassword = \"x\"\n",
                char::from(b'A' + (number / 26) as u8),
                char::from(b'A' + (number % 26) as u8)
            )
        };
        let text: String = "[[vserver]]\nname = \"v\"\nlisten = [\"127.0.0.1:2775\"]\n".to_owned()
            + &(0..400).map(server).collect::<String>();
        let report = |requests: u64| Report {
            servers: (0..400)
                .map(|index| ServerReport {
                    server: ServerIndex(index),
                    bound_sessions: u64::from(index != 399),
                    requests,
                    ..ServerReport::default()
                })
                .collect(),
            ..Report::default()
        };
        let at = |uptime, requests| {
            let mut snapshot = Snapshot::of(&text, 0, vec![report(requests)]);
            snapshot.uptime = Duration::from_secs(uptime);
            snapshot
        };
        let live = Live::of(&at(0, 0), &at(1, 7), None);
        assert_eq!((live.servers.len(), live.servers_left_out), (ROWS_MAX, 200));
        assert!(live.servers.iter().any(|server| server.row.name == "s399"));
        assert_eq!(live.flows.servers.len(), 9);
        let parties: u64 = live.flows.servers.iter().map(|flow| flow.parties).sum();
        let rates: f64 = live
            .flows
            .servers
            .iter()
            .map(|flow| flow.mobile_terminated[0])
            .sum();
        assert_eq!((parties, rates), (400, 2800.0));
        assert!(serde_json::to_string(&live).is_ok_and(|text| text.len() < 256 * 1024));
    }
}
