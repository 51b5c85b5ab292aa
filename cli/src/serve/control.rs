//! The control core's loop: signals in, orders out, events to the log, and the end.
//!
//! ```text
//! serving --SIGTERM/SIGINT--> draining --all drained--> stopping --> exit 0
//!                                 |--second signal----> stopping --> exit 0 if nothing was under way, else
//! 75
//! ```
//!
//! Every wait has a limit: an engine that is stuck cannot keep the process from ending.

use super::answering::Answering;
use super::notice_log::NoticeLog;
use super::readiness::Readiness;
use super::rebalancing::Rebalancing;
use super::reload::Reloader;
use super::supervisor::Supervisor;
use super::traces::Traces;
use crate::admin::Doors;
use crate::config::Effective;
use crate::exit::{self, Failure};
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;
use smppmux_engine::core::contract::{Command, CoreIndex, Notice};
use smppmux_engine::core::settings::Settings;
use smppmux_engine::shell::{CoreReport, Event, RunningEngines};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// How long one wait for events is: a signal is seen this late at most.
const TURN: Duration = Duration::from_millis(50);

/// How much longer than the drain-timeout the engines may take to report the end of their drain.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// How long engines may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// How long engines may take to report their figures.
pub(super) const REPORT_LIMIT: Duration = Duration::from_millis(200);

/// The thread beside the engines.
#[derive(Debug)]
pub(super) struct ControlCore {
    pub(super) settings: Arc<Settings>,
    pub(super) engines: RunningEngines,
    signals: Signals,
    drain_timeout: Duration,
    log: NoticeLog,
    pub(super) readiness: Readiness,
    pub(super) answering: Answering,
    pub(super) reloader: Reloader,
    pub(super) rebalancing: Option<Rebalancing>,
    pub(super) traces: Traces,
    pub(super) supervisor: Supervisor,
    pub(super) drain: Option<Drain>,
    stopped: HashSet<CoreIndex>,
    failed: bool,
}

/// A drain that is under way.
#[derive(Debug)]
pub(super) struct Drain {
    deadline: Instant,
    drained: HashSet<CoreIndex>,
    settled: bool,
}

impl ControlCore {
    /// Takes charge of running engines, and answers who calls through the open doors.
    pub(super) fn new(
        effective: Effective,
        engines: RunningEngines,
        signals: Signals,
        doors: Doors,
        reloader: Reloader,
    ) -> Self {
        let now = Instant::now();
        let settings = effective.settings;
        let answering = Answering::start(doors, &engines, now);
        Self {
            answering,
            reloader,
            rebalancing: Rebalancing::new(&effective.process, now),
            traces: Traces::default(),
            supervisor: Supervisor::new(now),
            settings: Arc::clone(&settings),
            readiness: Readiness::new(&settings, engines.cores(), now),
            drain_timeout: settings.engine.drain_timeout,
            log: NoticeLog::new(settings, now),
            engines,
            signals,
            drain: None,
            stopped: HashSet::new(),
            failed: false,
        }
    }

    /// Runs until a signal or a fault ends the engines.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        loop {
            if let Some(event) = self.engines.next_event(TURN) {
                self.handle_event(&event);
            }
            let now = Instant::now();
            self.handle_calls(now);
            if self.failed {
                return self.stop(Err(failure_of_engine()));
            }
            if let Some(outcome) = self.handle_signals(now) {
                return self.stop(outcome);
            }
            if let Some(drain) = &self.drain {
                if drain.drained.len() == usize::from(self.engines.cores()) {
                    info!(settled = drain.settled, "drained");
                    return self.stop(Ok(()));
                }
                if now >= drain.deadline {
                    warn!("an engine did not report the end of its drain");
                    return self.stop(Ok(()));
                }
            } else if self.readiness.tell(now) {
                self.supervisor.tell_ready();
            }
            let engines = &self.engines;
            self.supervisor.give_sign_of_life(now, || {
                engines.report(REPORT_LIMIT).len() == usize::from(engines.cores())
            });
            self.look_at_load(now);
            self.log.turn_second(now);
            self.end_unread_traces(now);
        }
    }

    fn handle_event(&mut self, event: &Event) {
        match event {
            Event::Notice {
                core,
                notice: Notice::Traced(pdus),
            } => self.traces.pass(*core, pdus),
            Event::Notice { core, notice } => {
                self.readiness.note(*core, notice);
                self.log.log(Instant::now(), *core, notice);
            }
            Event::Drained { core, settled } => {
                if let Some(drain) = &mut self.drain {
                    drain.drained.insert(*core);
                    drain.settled &= settled;
                }
            }
            Event::Stopped { core, orderly } => {
                self.stopped.insert(*core);
                if !orderly {
                    error!(core = core.0, "an engine failed");
                    self.failed = true;
                }
            }
            Event::Woken => {}
        }
    }

    /// `Some`: end now, with this outcome.
    fn handle_signals(&mut self, now: Instant) -> Option<Result<(), Failure>> {
        for signal in self.signals.pending().collect::<Vec<_>>() {
            if signal == SIGHUP {
                // What came of it stands in the log.
                let _ = self.reload();
            } else if self.drain.is_some() {
                warn!("second signal: ending at once");
                return Some(self.outcome_at_once());
            } else {
                self.start_drain(now);
            }
        }
        None
    }

    /// From now on these settings are what is shown and logged.
    pub(super) fn use_settings(&mut self, settings: &Arc<Settings>) {
        self.settings = Arc::clone(settings);
        self.drain_timeout = settings.engine.drain_timeout;
        self.log.use_settings(Arc::clone(settings));
    }

    pub(super) fn start_drain(&mut self, now: Instant) {
        info!(drain_timeout = ?self.drain_timeout, "draining: no new requests, waiting for answers that are due");
        self.supervisor.tell_stopping();
        self.engines.command_all(&Command::Drain);
        self.drain = Some(Drain {
            deadline: now + self.drain_timeout + DRAIN_GRACE,
            drained: HashSet::new(),
            settled: true,
        });
    }

    fn outcome_at_once(&self) -> Result<(), Failure> {
        let reports = self.engines.report(REPORT_LIMIT);
        let is_settled =
            reports.len() == usize::from(self.engines.cores()) && reports.iter().all(nothing_under_way);
        if is_settled {
            Ok(())
        } else {
            Err(Failure::new(
                exit::UNFINISHED,
                "smppmux: ended with messages under way",
            ))
        }
    }

    fn stop(mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        self.supervisor.tell_stopping();
        self.engines.command_all(&Command::Stop);
        let deadline = Instant::now() + STOP_LIMIT;
        let cores = usize::from(self.engines.cores());
        while self.stopped.len() < cores && Instant::now() < deadline {
            if let Some(event) = self.engines.next_event(TURN) {
                self.handle_event(&event);
            }
        }
        if self.stopped.len() < cores {
            warn!("not every engine has stopped in time");
        } else if self.engines.join().is_err() {
            return outcome.and(Err(failure_of_engine()));
        }
        info!("stopped");
        outcome
    }
}

fn failure_of_engine() -> Failure {
    Failure::new(
        exit::SOFTWARE,
        "smppmux: an engine ended by a fault of smppmux itself",
    )
}

/// Whether an engine waits for no answer and owes none.
fn nothing_under_way(report: &CoreReport) -> bool {
    let engine = &report.engine;
    engine.held_requests == 0
        && engine.core_requests_outstanding == 0
        && engine.servers.iter().all(|server| server.outstanding == 0)
        && engine.counters.mobile_originated == engine.counters.mobile_originated_answers
}
