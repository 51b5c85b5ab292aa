//! What the control core answers the admin interface: figures, and orders carried out.

use super::control::{ControlCore, REPORT_LIMIT};
use crate::admin::control::{Call, Order, Phase, Refusal, Snapshot, call_channel};
use crate::admin::{Doors, SocketFileGuard};
use crate::config::WEIGHT_MAX;
use smppmux_engine::core::contract::Command;
use smppmux_engine::core::report::Wanted;
use smppmux_engine::core::settings::{ClientIndex, ServerIndex};
use smppmux_engine::shell::RunningEngines;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tracing::{info, warn};

fn no_such(what: &str, name: &str) -> Refusal {
    Refusal::NoSuchThing(format!("there is no {what} {name:?}"))
}

/// Figures that are no older than this are given again: however many ask, the engines report so often at most, and once more for
/// each kind of details that was not wanted before.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_millis(100);

/// The control core's end of the admin interface.
#[derive(Debug)]
pub(super) struct Answering {
    calls: Receiver<Call>,
    started_at: Instant,
    last: Option<(Instant, Arc<Snapshot>)>,
    _socket_file: Option<SocketFileGuard>,
}

impl Answering {
    /// Starts to serve through the doors.
    pub(super) fn start(doors: Doors, engines: &RunningEngines, now: Instant) -> Self {
        let (control, calls) = call_channel(engines.waker(), engines.store());
        Self {
            calls,
            started_at: now,
            last: None,
            _socket_file: doors.serve(control),
        }
    }
}

impl ControlCore {
    /// Answers those who have called.
    pub(super) fn handle_calls(&mut self, now: Instant) {
        let (mut carried_out, mut awaits) = (Vec::new(), false);
        while let Ok(call) = self.answering.calls.try_recv() {
            // Who has hung up meanwhile gets no answer.
            match call {
                Call::Snapshot(wanted, reply) => drop(reply.send(self.snapshot(now, wanted))),
                Call::Order(order, reply) => {
                    let outcome = self.carry_out(now, &order);
                    // A reload has waited itself.
                    awaits |= outcome.is_ok() && !matches!(order, Order::Reload);
                    carried_out.push((reply, outcome));
                }
                Call::Trace(of, limit, reply) => drop(reply.send(self.start_trace(now, &of, limit))),
            }
        }
        if awaits {
            self.await_obeyed();
        }
        for (reply, outcome) in carried_out {
            drop(reply.send(outcome));
        }
    }

    fn snapshot(&mut self, now: Instant, mut wanted: Wanted) -> Arc<Snapshot> {
        if let Some((taken_at, snapshot)) = &self.answering.last
            && now.saturating_duration_since(*taken_at) <= SNAPSHOT_AGE_MAX
        {
            if snapshot.wanted.covers(wanted) {
                return Arc::clone(snapshot);
            }
            // So that two who want different details do not have the engines report to each in turn.
            wanted = wanted.and(snapshot.wanted);
        }
        let snapshot = Arc::new(Snapshot {
            settings: Arc::clone(&self.settings),
            listening: self.engines.listening().to_vec(),
            phase: self.phase(),
            uptime: now.saturating_duration_since(self.answering.started_at),
            message_log: self.reloader.message_log.figures(),
            cores: self.engines.cores(),
            reports: self.engines.detailed_report(REPORT_LIMIT, wanted),
            balance: self
                .rebalancing
                .as_ref()
                .map(|rebalancing| rebalancing.balance(now)),
            wanted,
        });
        self.answering.last = Some((now, Arc::clone(&snapshot)));
        snapshot
    }

    fn phase(&self) -> Phase {
        if self.drain.is_some() {
            Phase::Draining
        } else if self.readiness.is_told() {
            Phase::Serving
        } else {
            Phase::Starting
        }
    }

    /// Who is told that an order is carried out may rely on it with the next message. Reports come behind what was ordered before.
    pub(super) fn await_obeyed(&self) {
        let engines = self.engines.report(REPORT_LIMIT).len();
        if engines < usize::from(self.engines.cores()) {
            warn!(engines, "not every engine has confirmed the order");
        }
    }

    fn carry_out(&mut self, now: Instant, order: &Order) -> Result<String, Refusal> {
        info!(?order, "ordered by the admin interface");
        // What is shown next is what holds from now on.
        self.answering.last = None;
        match order {
            Order::DrainAll if self.drain.is_some() => Err(Refusal::NotNow("smppmux drains already".into())),
            Order::DrainAll => {
                self.start_drain(now);
                Ok("smppmux drains, and ends when all is settled".into())
            }
            Order::Reload => self.reload(),
            Order::DrainServer { name, drains } => {
                let server = self.server(name)?;
                Ok(if *drains {
                    self.engines.command_all(&Command::DrainServer(server));
                    format!("{name} gets no new submits; what is under way there goes on")
                } else {
                    self.engines.command_all(&Command::UndrainServer(server));
                    format!("{name} gets submits again")
                })
            }
            Order::DrainClient { system_id, drains } => {
                let client = self.client(system_id)?;
                Ok(if *drains {
                    self.engines.command_all(&Command::DrainClient(client));
                    format!("{system_id} may not bind, and its sessions end when all is answered")
                } else {
                    self.engines.command_all(&Command::UndrainClient(client));
                    format!("{system_id} may bind again")
                })
            }
            Order::SetWeight { name, weight } => {
                let (server, weight) = (self.server(name)?, *weight);
                if !(1..=WEIGHT_MAX).contains(&weight) {
                    let error = format!("the weight is {weight}; it must be from 1 to {WEIGHT_MAX}");
                    return Err(Refusal::Wrong(error));
                }
                self.engines.command_all(&Command::SetWeight { server, weight });
                Ok(format!(
                    "the weight of {name} is {weight} until the configuration is read again"
                ))
            }
        }
    }

    pub(super) fn client(&self, system_id: &str) -> Result<ClientIndex, Refusal> {
        let client = self.settings.account(system_id.as_bytes());
        client.ok_or_else(|| no_such("account", system_id))
    }

    pub(super) fn server(&self, name: &str) -> Result<ServerIndex, Refusal> {
        let mut servers = self.settings.configured_servers();
        let found = servers.find(|(_, server)| server.name == name);
        found
            .map(|(index, _)| index)
            .ok_or_else(|| no_such("server", name))
    }
}
