//! Starts one executor on a thread of its own, pinned to its CPU.

use super::super::core_start::{CoreStart, Started};
use super::super::engine::Engine;
use super::super::start_error::{IoUringObstacle, StartError};
use super::connections::Connections;
use super::doorbell::Doorbell;
use super::{ArmedTimer, Core, GlommioAcceptor, TurnRequest};
use crate::core::contract::CoreIndex;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement};
use std::time::Duration;

/// So long that it never fires (see the module's documentation).
const PREEMPT_TIMER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One core's life on the calling thread. `started` gets exactly one word: that it runs, or why not.
pub(in super::super) fn run_thread<E: Engine>(
    start: CoreStart,
    make_engine: impl FnOnce(CoreIndex) -> E,
    started: &Started,
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
    let farewell = start.farewell();
    tracing::info!(core = start.core.0, cpu = start.cpu, "engine runs on glommio");
    let engine = make_engine(start.core);
    executor.run(async {
        let core = make_core(start, engine, doorbell);
        drop(started.send(Ok(())));
        super::run(core).await;
    });
    farewell.say();
}

fn make_core<E: Engine>(start: CoreStart, engine: E, doorbell: Doorbell) -> Core<E> {
    let doorbell = doorbell.install();
    let parts = start.into_parts(engine, doorbell.waker().clone());
    Core {
        clock: parts.clock,
        station: parts.station,
        connections: Connections::new(
            parts.shell_settings.read_buffer_octets,
            parts.leftover_octets_max,
            parts.shell_settings.turn_budget_octets,
        ),
        acceptors: parts.acceptors.into_iter().map(GlommioAcceptor::new).collect(),
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
