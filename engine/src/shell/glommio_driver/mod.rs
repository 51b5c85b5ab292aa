//! The driver on glommio: one executor on each core's thread.
//!
//! The turn is one task; each socket and each listener has a task of its own that does nothing but pass on what the
//! kernel says and ask for a turn. glommio runs tasks in the order they were woken, and the turn is woken by the first
//! socket of a batch, so it runs behind the rest of the batch and writes each connection once.
//!
//! What glommio 0.9 needs to be treated with, each measured:
//! - it may park with runnable tasks when an interruption of its latency ring comes between its last look at the rings
//!   and the first task. So the preempt timer is so long that it never fires, no queue has `Latency::Matters`, other
//!   threads wake the executor by a socket ([`doorbell`]), and a heartbeat bounds what remains (a burst of completions
//!   as large as the ring interrupts too);
//! - `yield_now` does not reach the reactor: a turn that has more to do awaits a timer of a few microseconds.
//!
//! It must never block, and hold no borrow of [`Core`] over an await.

mod connections;
mod doorbell;
mod executor;
mod raw;
mod readiness;

pub(super) use executor::run_thread;

use super::accepting::{Accepted, Acceptor};
use super::clock::Clock;
use super::engine::Engine;
use super::link::LinkId;
use super::station::Station;
use crate::core::time::Moment;
use connections::Connections;
use doorbell::InstalledDoorbell;
use glommio::timer::Timer;
use readiness::Readiness;
use smppmux_c2c::Park;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The pause in which the reactor gets its turn.
const YIELD: Duration = Duration::from_micros(3);
/// An executor that was parked by mistake wakes up after this long. Nothing relies on it: 50,000 wake-ups on a busy
/// machine needed it not once.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Everything of one core. Tasks borrow it for one poll at a time.
struct Core<E> {
    clock: Clock,
    station: Station<E>,
    connections: Connections,
    acceptors: Vec<GlommioAcceptor>,
    doorbell: InstalledDoorbell,
    timer: ArmedTimer,
    turn: TurnRequest,
}

type SharedCore<E> = Rc<RefCell<Core<E>>>;

/// Asks for a turn, at most once before it comes.
#[derive(Default)]
struct TurnRequest {
    requested: bool,
    waker: Option<Waker>,
}

/// A listener and what its task waits for.
struct GlommioAcceptor {
    acceptor: Acceptor,
    readiness: Readiness,
    rest: Option<Timer>,
    waker: Option<Waker>,
}

/// The one timer of the core.
#[derive(Default)]
struct ArmedTimer {
    armed: Option<(Moment, Timer)>,
}

/// Runs one core until it has stopped.
async fn run<E: Engine>(core: Core<E>) {
    let core = Rc::new(RefCell::new(core));
    let listeners = core.borrow().acceptors.len();
    for index in 0..listeners {
        spawn_listener_task(&core, index);
    }
    poll_fn(|context| {
        let poll = core.borrow_mut().poll_turn(context);
        let newcomers: Vec<LinkId> = core.borrow_mut().connections.newcomers().collect();
        for link in newcomers {
            spawn_connection_task(&core, link);
        }
        poll
    })
    .await;
    core.borrow_mut().close_listeners();
    // The last tasks see that their sockets are gone, and the ring lets go of these.
    Timer::new(Duration::from_millis(1)).await;
}

fn spawn_connection_task<E: Engine>(core: &SharedCore<E>, link: LinkId) {
    let core = Rc::clone(core);
    glommio::spawn_local(poll_fn(move |context| {
        core.borrow_mut().poll_connection(context, link)
    }))
    .detach();
}

fn spawn_listener_task<E: Engine>(core: &SharedCore<E>, index: usize) {
    let core = Rc::clone(core);
    glommio::spawn_local(poll_fn(move |context| {
        core.borrow_mut().poll_listener(context, index)
    }))
    .detach();
}

impl<E: Engine> Core<E> {
    /// One turn. Ready when the core has stopped.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = self.clock.now();
        self.station.unpark();
        self.turn.begin(context);
        self.doorbell.listen(context);
        self.connections.begin_turn();
        let more_messages = self.station.take_inbox(now, &mut self.connections).more;
        self.station.handle_timeouts(now, &mut self.connections);
        let more_wishes = self.station.end_turn(now, &mut self.connections);
        if self.station.is_finished(now) {
            self.station.abandon(&mut self.connections);
            return Poll::Ready(());
        }
        if !self.station.wants_connections() {
            self.close_listeners();
        }
        let more = more_messages || more_wishes || self.connections.has_deferred();
        self.station.count_turn_time(self.clock.now().since(now));
        if more || self.station.prepare_to_park(self.doorbell.waker()) == Park::MessagesWaiting {
            self.timer.arm(context, &self.clock, now + YIELD);
        } else {
            let deadline = self.station.next_deadline().min(now + HEARTBEAT);
            self.timer.arm(context, &self.clock, deadline);
        }
        Poll::Pending
    }

    fn poll_connection(&mut self, context: &mut Context<'_>, link: LinkId) -> Poll<()> {
        let now = self.clock.now();
        self.turn.request();
        self.connections.poll(context, now, &mut self.station, link)
    }

    fn poll_listener(&mut self, context: &mut Context<'_>, index: usize) -> Poll<()> {
        let Some(listener) = self.acceptors.get_mut(index) else {
            return Poll::Ready(());
        };
        listener.remember_task(context);
        let now = self.clock.now();
        while listener.poll_ready(context).is_ready() {
            self.turn.request();
            let accepted = listener
                .acceptor
                .accept(now, &mut self.station, &mut self.connections);
            match accepted {
                // Both ask the kernel for readiness again, which takes a pass of the reactor.
                Accepted::All | Accepted::Some => {}
                Accepted::RestUntil(until) => {
                    let rest = self.clock.until(until).unwrap_or_default();
                    listener.rest = Some(Timer::new(rest));
                }
            }
        }
        Poll::Pending
    }

    /// No connection is accepted any more; those that wait in the kernel's queue are refused.
    fn close_listeners(&mut self) {
        for listener in self.acceptors.drain(..) {
            if let Some(waker) = listener.waker {
                waker.wake();
            }
        }
    }
}

impl TurnRequest {
    fn begin(&mut self, context: &Context<'_>) {
        self.requested = false;
        if self.waker.is_none() {
            self.waker = Some(context.waker().clone());
        }
    }

    fn request(&mut self) {
        if let Some(waker) = &self.waker
            && !std::mem::replace(&mut self.requested, true)
        {
            waker.wake_by_ref();
        }
    }
}

impl GlommioAcceptor {
    fn new(acceptor: Acceptor) -> Self {
        Self {
            acceptor,
            readiness: Readiness::default(),
            rest: None,
            waker: None,
        }
    }

    fn remember_task(&mut self, context: &Context<'_>) {
        if self.waker.is_none() {
            self.waker = Some(context.waker().clone());
        }
    }

    /// Ready when there may be somebody to accept, or when the wait for that failed, which accept will name.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(rest) = &mut self.rest {
            if Pin::new(rest).poll(context).is_pending() {
                return Poll::Pending;
            }
            self.rest = None;
        }
        self.readiness
            .poll_readable(context, &self.acceptor.listener.socket)
            .map(drop)
    }
}

impl ArmedTimer {
    /// Wakes `context` at `deadline` or earlier. A timer that fires early costs less than moving it with each message.
    fn arm(&mut self, context: &mut Context<'_>, clock: &Clock, deadline: Moment) {
        let now = clock.now();
        if self
            .armed
            .as_ref()
            .is_some_and(|(armed, _)| *armed > now && *armed <= deadline)
        {
            return;
        }
        let Some(wait) = clock.until(deadline) else {
            self.armed = None;
            return;
        };
        let mut timer = Timer::new(wait);
        if Pin::new(&mut timer).poll(context).is_ready() {
            context.waker().wake_by_ref();
            self.armed = None;
            return;
        }
        self.armed = Some((deadline, timer));
    }
}
