//! Everything that runs in a demo: the SMSCs, the engines and the ESMEs, from their start to their books.
//!
//! The order is what keeps the verdict exact: MO starts when every client is bound, and the engines drain when every answer
//! that was due has come, while all sessions are still bound. What has not come by then is a fault, and the books show it.

use super::evidence::{Drain, Evidence};
use super::scenario::{RANGES, SERVERS, Scenario};
use super::{cast, configuration};
use crate::exit::{self, Failure};
use crate::serve::start_failure;
use crate::simulator::esme::{EsmeHandle, EsmeSimulator};
use crate::simulator::smsc::{SmscHandle, SmscSimulator};
use crate::simulator::{Recorded, Snapshot};
use smppmux_engine::core::contract::{Command, Notice};
use smppmux_engine::shell::{Event, RunningEngines, run_engines};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long everything may take to bind.
const BIND_LIMIT: Duration = Duration::from_secs(10);
/// How long the engines may take to drain; longer than their own limit.
const DRAIN_LIMIT: Duration = Duration::from_secs(8);
/// How long the engines may take to report their figures, or to stop.
const REPORT_LIMIT: Duration = Duration::from_secs(1);
/// How often is looked whether something has come about.
const TICK: Duration = Duration::from_millis(5);
/// Nothing may be under way for so long before the load counts as settled.
const QUIET: Duration = Duration::from_millis(100);
/// Notices that are kept to explain a failure.
const NOTICES_MAX: usize = 20;

/// A running demo.
pub(super) struct Stage {
    scenario: Scenario,
    smscs: Vec<SmscHandle>,
    engines: RunningEngines,
    /// In the order of the ranges.
    esmes: Vec<EsmeHandle>,
    started: Instant,
}

/// A look at a running demo.
#[derive(Clone, Debug, Default)]
pub(super) struct Glance {
    /// Counters of all ESMEs.
    pub(super) mobile_terminated: Snapshot,
    /// Counters of all SMSCs.
    pub(super) mobile_originated: Snapshot,
    /// MO messages that went to another core.
    pub(super) crossings: u64,
}

impl Stage {
    /// Starts everything and waits until all are bound; then MT and MO run.
    ///
    /// # Errors
    /// Exit code 69 when the machine lacks something, 1 when not everything could be bound.
    pub(super) fn start(scenario: Scenario, available_cpus: &[u16]) -> Result<Self, Failure> {
        let smscs = SERVERS.iter().map(|(name, _)| cast::smsc(&scenario, name));
        let smscs = start_each(smscs, SmscSimulator::start)?;
        let servers: Vec<SocketAddr> = smscs.iter().flat_map(|smsc| smsc.addresses().to_vec()).collect();
        let effective = configuration::effective(&scenario, &servers, available_cpus)?;
        let engines = run_engines(effective.process.shell, effective.settings);
        let engines = engines.map_err(|error| start_failure(&error))?;
        let sessions = u64::from(scenario.server_sessions());
        wait_for("sessions at the SMSCs", sessions, || {
            sessions_at_servers(&engines)
        })?;
        let esmes = engines.listening().iter().flat_map(|listening| {
            (0..RANGES.len()).map(|range| cast::esmes(&scenario, range, listening.address))
        });
        let esmes = start_each(esmes, EsmeSimulator::start)?;
        wait_for("ESME connections", u64::from(scenario.connections), || {
            esmes.iter().map(|esme| esme.snapshot().bound).sum()
        })?;
        // An engine that does not know of a range yet would have to refuse its MO.
        let ranges = RANGES.len() as u64 * u64::from(scenario.engines());
        wait_for("address ranges", ranges, || ranges_known(&engines))?;
        smscs.iter().for_each(SmscHandle::release_mobile_originated);
        Ok(Self {
            scenario,
            smscs,
            engines,
            esmes,
            started: Instant::now(),
        })
    }

    /// Since MT and MO run together.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A look at all counters; response times are those since the last look.
    pub(super) fn glance(&self) -> Glance {
        let (mut mt_latency, mut mo_latency) = (Recorded::new(), Recorded::new());
        let mut mt = sum(self.esmes.iter().map(|esme| esme.snapshot_into(&mut mt_latency)));
        let mut mo = sum(self.smscs.iter().map(|smsc| smsc.snapshot_into(&mut mo_latency)));
        mt.latency = mt_latency.interval();
        mo.latency = mo_latency.interval();
        let cores = self.engines.report(REPORT_LIMIT);
        Glance {
            mobile_terminated: mt,
            mobile_originated: mo,
            crossings: cores
                .iter()
                .map(|core| core.engine.counters.core_requests_sent)
                .sum(),
        }
    }
}

impl Stage {
    /// Ends the load, waits for the answers that are due, drains the engines and closes all books.
    pub(super) fn finish(self) -> Evidence {
        self.esmes.iter().for_each(EsmeHandle::stop_sending);
        self.smscs.iter().for_each(SmscHandle::stop_sending);
        let load = self.elapsed();
        self.await_answers();
        let notices = unexpected_notices(&self.engines);
        let settled = self.engines.report(REPORT_LIMIT);
        let mut drain = drain(&self.engines);
        let drained = self.engines.report(REPORT_LIMIT);
        self.esmes.iter().for_each(EsmeHandle::stop);
        self.smscs.iter().for_each(SmscHandle::stop);
        let esmes = self.esmes.into_iter().map(EsmeHandle::join).collect();
        let smscs = self.smscs.into_iter().map(SmscHandle::join).collect();
        drain.engines_stopped = stop(self.engines);
        Evidence {
            scenario: self.scenario,
            load,
            esmes,
            smscs,
            settled,
            drained,
            drain,
            notices,
        }
    }

    /// Waits until every request was answered and stayed the last one for a moment: a session that was about to send when
    /// the load ended sends once more.
    fn await_answers(&self) {
        let limit = Instant::now() + self.scenario.settle_limit();
        let mut quiet_since = None;
        while Instant::now() < limit {
            if self.awaits_answers() {
                quiet_since = None;
            } else if quiet_since.get_or_insert_with(Instant::now).elapsed() >= QUIET {
                return;
            }
            std::thread::sleep(TICK);
        }
    }

    fn awaits_answers(&self) -> bool {
        let esmes = self.esmes.iter().map(EsmeHandle::snapshot);
        let smscs = self.smscs.iter().map(SmscHandle::snapshot);
        esmes
            .chain(smscs)
            .any(|counters| counters.answered < counters.sent)
    }
}

/// Has every engine settle and unbind, and waits for that.
fn drain(engines: &RunningEngines) -> Drain {
    engines.command_all(&Command::Drain);
    let mut drain = Drain::default();
    let limit = Instant::now() + DRAIN_LIMIT;
    let mut ended = 0;
    while ended < u32::from(engines.cores()) && Instant::now() < limit {
        match engines.next_event(TICK) {
            Some(Event::Drained { settled, .. }) => {
                ended += 1;
                drain.engines_settled += u32::from(settled);
            }
            Some(Event::Stopped { .. }) => ended += 1,
            Some(Event::Notice { .. } | Event::Woken) | None => {}
        }
    }
    drain
}

/// Stops the engines; gives how many of them ended in an orderly way and in time.
fn stop(engines: RunningEngines) -> u32 {
    engines.command_all(&Command::Stop);
    let limit = Instant::now() + REPORT_LIMIT;
    let (mut stopped, mut orderly_ones) = (0, 0);
    while stopped < engines.cores() && Instant::now() < limit {
        if let Some(Event::Stopped { orderly, .. }) = engines.next_event(TICK) {
            stopped += 1;
            orderly_ones += u32::from(orderly);
        }
    }
    // Waiting for a thread that hangs would hang the demo too.
    let all_ended_well = stopped == engines.cores() && engines.join().is_ok();
    if all_ended_well { orderly_ones } else { 0 }
}

/// What the engines told and should not have had to tell: in a demo nothing is lost or refused before the drain.
fn unexpected_notices(engines: &RunningEngines) -> Vec<String> {
    let events = std::iter::from_fn(|| engines.next_event(Duration::ZERO));
    let unexpected = events.filter_map(|event| match event {
        Event::Notice {
            notice: Notice::ServerBound { .. } | Notice::ClientBound { .. },
            ..
        }
        | Event::Woken => None,
        Event::Notice { core, notice } => Some(format!("engine {}: {notice:?}", core.0)),
        Event::Drained { core, .. } | Event::Stopped { core, .. } => {
            Some(format!("engine {}: {event:?}", core.0))
        }
    });
    unexpected.take(NOTICES_MAX).collect()
}

fn start_each<A, H>(
    arguments: impl Iterator<Item = Result<A, Failure>>,
    start: impl Fn(A) -> io::Result<H>,
) -> Result<Vec<H>, Failure> {
    let unavailable = |error| Failure::new(exit::UNAVAILABLE, format!("smppmux demo: {error}"));
    arguments
        .map(|arguments| start(arguments?).map_err(unavailable))
        .collect()
}

fn wait_for(what: &str, wanted: u64, count: impl Fn() -> u64) -> Result<(), Failure> {
    let limit = Instant::now() + BIND_LIMIT;
    loop {
        let bound = count();
        if bound >= wanted {
            return Ok(());
        }
        if Instant::now() >= limit {
            let reason = format!("smppmux demo: only {bound} of {wanted} {what} were bound within 10 s");
            return Err(Failure::new(exit::FAILED, reason));
        }
        std::thread::sleep(TICK);
    }
}

fn sessions_at_servers(engines: &RunningEngines) -> u64 {
    let cores = engines.report(REPORT_LIMIT).into_iter();
    let servers = cores.flat_map(|core| core.engine.servers);
    servers.map(|server| server.bound_sessions).sum()
}

fn ranges_known(engines: &RunningEngines) -> u64 {
    engines
        .report(REPORT_LIMIT)
        .iter()
        .map(|core| core.engine.pools)
        .sum()
}

fn sum(snapshots: impl Iterator<Item = Snapshot>) -> Snapshot {
    snapshots.fold(Snapshot::default(), |total, one| Snapshot {
        connected: total.connected + one.connected,
        bound: total.bound + one.bound,
        sent: total.sent + one.sent,
        answered: total.answered + one.answered,
        received: total.received + one.received,
        failed: total.failed + one.failed,
        latency: total.latency,
    })
}
