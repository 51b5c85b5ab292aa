//! Starts one executor on a thread of its own, pinned to its CPU.

use super::super::accepting::Acceptor;
use super::super::clock::Clock;
use super::super::engine::Engine;
use super::super::event::{Event, EventSender};
use super::super::message::ShellMessage;
use super::super::resolve::Resolver;
use super::super::settings::ShellSettings;
use super::super::start_error::{IoUringObstacle, StartError};
use super::super::station::{Station, StationParts};
use super::super::steering::{Listener, Steering};
use super::connections::Connections;
use super::doorbell::Doorbell;
use super::{ArmedTimer, Core, GlommioAcceptor, TurnRequest};
use crate::core::contract::CoreIndex;
use crate::core::settings::Settings;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement};
use smppmux_c2c::Endpoint;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// So long that it never fires (see the module's documentation).
const PREEMPT_TIMER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What one core is started with.
pub(in super::super) struct CoreStart {
    pub(in super::super) core: CoreIndex,
    pub(in super::super) cpu: usize,
    pub(in super::super) clock: Clock,
    pub(in super::super) shell_settings: Arc<ShellSettings>,
    pub(in super::super) settings: Arc<Settings>,
    pub(in super::super) endpoint: Endpoint<ShellMessage>,
    pub(in super::super) steering: Steering,
    pub(in super::super) listeners: Vec<Listener>,
    pub(in super::super) resolver: Resolver,
    pub(in super::super) events: EventSender,
}

/// Starts a core's thread. `started` gets exactly one word: that it runs, or why not.
pub(in super::super) fn spawn<E: Engine>(
    start: CoreStart,
    make_engine: impl FnOnce(CoreIndex) -> E + Send + 'static,
    started: SyncSender<Result<(), StartError>>,
) -> Result<JoinHandle<()>, StartError> {
    let cpu = start.cpu;
    thread::Builder::new()
        .name(format!("engine-{}", start.core.0))
        .spawn(move || run_thread(start, make_engine, &started))
        .map_err(|error| StartError::CannotPin {
            cpu,
            reason: error.to_string(),
        })
}

fn run_thread<E: Engine>(
    start: CoreStart,
    make_engine: impl FnOnce(CoreIndex) -> E,
    started: &SyncSender<Result<(), StartError>>,
) {
    let executor = make_executor(&start);
    let doorbell = Doorbell::new().map_err(StartError::System);
    let (executor, doorbell) = match executor.and_then(|executor| Ok((executor, doorbell?))) {
        Ok(both) => both,
        Err(error) => {
            // The starter waits for this word; if it has gone, nobody needs it.
            drop(started.send(Err(error)));
            return;
        }
    };
    let mut farewell = Farewell {
        core: start.core,
        events: start.events.clone(),
        orderly: false,
    };
    tracing::info!(core = start.core.0, cpu = start.cpu, "engine runs on glommio");
    let engine = make_engine(start.core);
    executor.run(async {
        let core = make_core(start, engine, doorbell);
        drop(started.send(Ok(())));
        super::run(core).await;
    });
    farewell.orderly = true;
}

fn make_core<E: Engine>(start: CoreStart, engine: E, doorbell: Doorbell) -> Core<E> {
    let leftover_octets_max = start.settings.engine.max_pdu_octets as usize;
    let doorbell = doorbell.install();
    let station = Station::new(StationParts {
        core: start.core,
        engine,
        settings: start.settings,
        endpoint: start.endpoint,
        steering: start.steering,
        resolver: start.resolver.client(doorbell.waker().clone()),
        events: start.events,
    });
    Core {
        clock: start.clock,
        station,
        connections: Connections::new(
            start.shell_settings.read_buffer_octets,
            leftover_octets_max,
            start.shell_settings.turn_budget_octets,
        ),
        acceptors: start
            .listeners
            .into_iter()
            .map(|listener| GlommioAcceptor::new(Acceptor::new(listener)))
            .collect(),
        doorbell,
        timer: ArmedTimer::default(),
        turn: TurnRequest::default(),
    }
}

fn make_executor(start: &CoreStart) -> Result<LocalExecutor, StartError> {
    LocalExecutorBuilder::new(Placement::Fixed(start.cpu))
        .io_memory(start.shell_settings.io_memory_octets)
        .ring_depth(start.shell_settings.ring_depth)
        .spin_before_park(start.shell_settings.spin_before_park)
        .preempt_timer(PREEMPT_TIMER)
        .make()
        .map_err(|error| match error {
            GlommioError::IoError(error) => StartError::IoUringUnavailable(IoUringObstacle::of(&error)),
            error => StartError::CannotPin {
                cpu: start.cpu,
                reason: error.to_string(),
            },
        })
}

/// Tells the control core that this thread is over, also when a panic ends it.
struct Farewell {
    core: CoreIndex,
    events: EventSender,
    orderly: bool,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.events.tell(Event::Stopped {
            core: self.core,
            orderly: self.orderly,
        });
    }
}
