//! The final figures of a demo: what the table shows and `--json` prints.

use super::evidence::{Direction, Evidence};
use super::scenario::{CLIENTS_PER_RANGE, RANGES, SERVERS};
use super::verdict::{self, Check};
use crate::simulator::{Percentiles, Recorded};
use serde::Serialize;
use smppmux_engine::core::report::ServerReport;

/// Everything that a demo has to say at its end.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    /// CPU of each engine.
    pub(super) cpus: Vec<u16>,
    /// ESME connections.
    pub(super) connections: u32,
    /// Unanswered requests on each connection at most.
    pub(super) window: u32,
    /// Messages per second in each direction that were asked for.
    pub(super) rate: Option<f64>,
    /// How long MT and MO ran together.
    pub(super) load_seconds: f64,
    /// From the ESMEs to the SMSCs.
    pub(super) mobile_terminated: Flow,
    /// From the SMSCs to the ESMEs.
    pub(super) mobile_originated: Flow,
    /// MO messages between cores.
    pub(super) crossings: Crossings,
    /// Each engine.
    pub(super) cores: Vec<Core>,
    /// Each SMSC.
    pub(super) servers: Vec<Server>,
    /// Each address range.
    pub(super) ranges: Vec<Range>,
    /// The verdict, check by check.
    pub(super) checks: Vec<Check>,
    /// What the engines told and should not have had to.
    pub(super) notices: Vec<String>,
    /// The verdict: every check passed.
    pub(super) passed: bool,
}

/// One direction.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Flow {
    /// Requests that its senders sent.
    pub(super) sent: u64,
    /// Requests that got their one answer.
    pub(super) answered: u64,
    /// Answers with ESME_ROK.
    pub(super) accepted: u64,
    /// Distinct messages at the receivers.
    pub(super) received: u64,
    /// Answers per second.
    pub(super) per_second: f64,
    /// From the write of a request to its answer.
    pub(super) latency: Percentiles,
}

/// MO messages between cores.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Crossings {
    /// Messages that went to another core.
    pub(super) messages: u64,
    /// Their share of all MO messages, in percent.
    pub(super) percent: f64,
    /// Messages that found no room towards another core.
    pub(super) refused: u64,
}

/// One engine.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Core {
    /// Its number.
    pub(super) core: u16,
    /// Its CPU.
    pub(super) cpu: u16,
    /// Clients' sessions.
    pub(super) client_sessions: u64,
    /// Connections that another core's listener had accepted.
    pub(super) received_by_hand_over: u64,
    /// MT requests.
    pub(super) mobile_terminated: u64,
    /// MO requests.
    pub(super) mobile_originated: u64,
    /// MO messages to other cores.
    pub(super) crossings_out: u64,
    /// MO messages from other cores.
    pub(super) crossings_in: u64,
}

/// One SMSC.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Server {
    /// Its name.
    pub(super) name: &'static str,
    /// Its uid in tagged message ids.
    pub(super) uid: &'static str,
    /// Sessions of smppmux.
    pub(super) sessions: u64,
    /// MT requests that smppmux sent it.
    pub(super) requests: u64,
    /// Its answers, by smppmux's count.
    pub(super) answers: u64,
    /// Answers among them with an error.
    pub(super) errors: u64,
    /// MT messages, by the SMSC's own count.
    pub(super) received: u64,
    /// MO requests, by the SMSC's own count.
    pub(super) mobile_originated: u64,
    /// From the write of an MO request to its answer.
    pub(super) mo_latency: Percentiles,
}

/// One address range.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Range {
    /// The prefix.
    pub(super) range: &'static str,
    /// Its clients.
    pub(super) clients: u32,
    /// Their connections.
    pub(super) connections: u32,
    /// MT requests.
    pub(super) mobile_terminated: u64,
    /// MO messages that reached its clients.
    pub(super) mobile_originated: u64,
    /// MO messages of other ranges that reached its clients.
    pub(super) misrouted: u64,
    /// From the write of an MT request to its answer.
    pub(super) mt_latency: Percentiles,
}

impl Figures {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let scenario = &evidence.scenario;
        let (mt, mo) = (evidence.mobile_terminated(), evidence.mobile_originated());
        let checks = verdict::checks(evidence);
        let load_seconds = evidence.load.as_secs_f64();
        let messages = evidence.counted(|counters| counters.core_requests_sent);
        let mt_per_second = evidence.esmes.iter().map(|esme| esme.answers_per_second).sum();
        let mo_per_second = mo.answers.answered as f64 / load_seconds;
        Self {
            cpus: scenario.cpus.clone(),
            connections: scenario.connections,
            window: scenario.window,
            rate: scenario.rate,
            load_seconds: rounded(load_seconds, 1000.0),
            mobile_terminated: flow(
                &mt,
                mt_per_second,
                evidence.esmes.iter().map(|esme| &esme.recorded),
            ),
            mobile_originated: flow(
                &mo,
                mo_per_second,
                evidence.smscs.iter().map(|smsc| &smsc.recorded),
            ),
            crossings: Crossings {
                messages,
                percent: rounded(100.0 * messages as f64 / mo.answers.sent.max(1) as f64, 10.0),
                refused: evidence.counted(|counters| counters.core_requests_refused),
            },
            cores: cores(evidence),
            servers: servers(evidence),
            ranges: ranges(evidence),
            passed: checks.iter().all(|check| check.passed),
            checks,
            notices: evidence.notices.clone(),
        }
    }
}

fn flow<'a>(direction: &Direction, per_second: f64, recorded: impl Iterator<Item = &'a Recorded>) -> Flow {
    let mut total = Recorded::new();
    recorded.for_each(|one| total.add(one));
    Flow {
        sent: direction.answers.sent,
        answered: direction.answers.answered,
        accepted: direction.answers.accepted,
        received: direction.books.received,
        per_second: rounded(per_second, 10.0),
        latency: total.since_write(),
    }
}

fn cores(evidence: &Evidence) -> Vec<Core> {
    let cores = evidence.settled.iter().map(|report| {
        let counters = &report.engine.counters;
        let cpu = evidence.scenario.cpus.get(usize::from(report.engine.core));
        Core {
            core: report.engine.core,
            cpu: cpu.copied().unwrap_or_default(),
            client_sessions: report.engine.client_sessions,
            received_by_hand_over: report.shell.received_by_hand_over,
            mobile_terminated: counters.client_requests,
            mobile_originated: counters.mobile_originated,
            crossings_out: counters.core_requests_sent,
            crossings_in: counters.core_requests_received,
        }
    });
    cores.collect()
}

fn servers(evidence: &Evidence) -> Vec<Server> {
    let servers = SERVERS.iter().zip(&evidence.smscs).enumerate();
    let rows = servers.map(|(place, ((name, uid), smsc))| {
        let total = |of: fn(&ServerReport) -> u64| {
            let rows = evidence
                .settled
                .iter()
                .filter_map(|core| core.engine.servers.get(place));
            rows.map(of).sum()
        };
        Server {
            name,
            uid,
            sessions: total(|server| server.bound_sessions),
            requests: total(|server| server.requests),
            answers: total(|server| server.answers),
            errors: total(|server| server.errors),
            received: smsc.received.received,
            mobile_originated: smsc.mobile_originated.sent,
            mo_latency: smsc.mo_latency,
        }
    });
    rows.collect()
}

fn ranges(evidence: &Evidence) -> Vec<Range> {
    let rows = RANGES.iter().zip(&evidence.esmes).map(|(range, esme)| Range {
        range,
        clients: CLIENTS_PER_RANGE,
        connections: esme.connections,
        mobile_terminated: esme.answers.sent,
        mobile_originated: esme.received.received,
        misrouted: esme.received.outside_range,
        mt_latency: esme.latency,
    });
    rows.collect()
}

fn rounded(number: f64, steps: f64) -> f64 {
    (number * steps).round() / steps
}
