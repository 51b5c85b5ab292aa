//! The driver that uses one io_uring for each core directly.
//!
//! A turn is one system call: it hands over all sends of the turn and every other request, and waits for the next
//! completions. Connections are accepted and octets received by requests that go on by themselves (multishot), octets into
//! one ring of buffers for all sockets of the core, each of which goes back as soon as the engine has seen it. A send that
//! wrote everything at once, as nearly all do, tells nothing, so it does not end the wait that it was handed over with.
//!
//! Invariants:
//! - A place in [`Sockets`] is used again only when no request of it is in the kernel's hands, so a completion's place
//!   tells the socket. The link is forgotten at [`release`](Driver::release); what comes afterwards is only counted.
//! - A buffer that is being sent stays in its place until the send is over, also when its link is gone.
//! - All memory that the kernel may touch is freed behind [`Uring::settle`] alone, or not at all.
//!
//! It must never wait elsewhere than in [`Uring::enter`].

mod features;
mod listeners;
mod operation;
mod provided_buffers;
mod sockets;
mod uring;

pub(super) use features::{RingFeatures, probe};

use super::accepting::Acceptor;
use super::core_start::{CoreStart, Started};
use super::driver::{Detached, Driver, Transmission};
use super::engine::Engine;
use super::event_bell::EventBell;
use super::link::LinkId;
use super::settings::ShellSettings;
use super::start_error::{IoUringObstacle, StartError};
use super::station::Station;
use super::turn_loop::{self, LoopDriver, News, Wait};
use crate::core::contract::{CoreIndex, Unsent};
use crate::core::time::Moment;
use bytes::BytesMut;
use io_uring::IoUring;
use listeners::Listeners;
use operation::Operation;
use provided_buffers::ProvidedBuffers;
use sockets::Sockets;
use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::time::Duration;
use uring::{Completion, Uring};

/// Buffers that the kernel may fill before we look. Together with their size they bound what one turn can find.
const RECEIVE_BUFFERS: u16 = 128;
/// The most that one buffer takes, whatever `read-buffer` allows: more would only spread the traffic over more memory.
const RECEIVE_BUFFER_OCTETS_MAX: usize = 16 * 1024;
/// Quiet sends do not end a wait: where something follows from their success, the ring does not wait. What nobody waits for, a
/// buffer that comes back, has time, but not for ever. Longer than a tick of the kernel, or each wait would program a timer.
const QUIET_SENDS_CHECK: Duration = Duration::from_millis(25);
/// How long the end waits for the kernel to give everything up.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// One core's sockets on its io_uring.
struct RingDriver<'ring> {
    uring: Uring<'ring>,
    features: RingFeatures,
    /// What the kernel may touch; freed only when it cannot any more.
    memory: ManuallyDrop<Memory>,
    bell: EventBell,
    listeners: Listeners,
    /// What the kernel told and the station has not heard yet.
    arrived: VecDeque<Completion>,
    /// Places with a quiet send that is not known to be over.
    quiet_sends: Vec<u32>,
    /// How many of these are over.
    quiet_sends_over: usize,
    /// Something waits for them.
    hurries: bool,
    /// Links that read on behind a pause in which their peer's end was read.
    resumed_ends: Vec<LinkId>,
    turn_budget_octets: usize,
}

/// What requests point to.
struct Memory {
    buffers: ProvidedBuffers,
    sockets: Sockets,
    bell_count: Box<[u8; 8]>,
}

/// What a core's thread needs of the kernel before its engine is made.
pub(super) struct OpenRing {
    ring: IoUring,
    bell: EventBell,
    features: RingFeatures,
}

/// Pins the calling thread and opens its ring.
///
/// # Errors
/// `IoUringUnavailable` where the kernel has no ring for this core, though others may have got theirs.
pub(super) fn open(features: RingFeatures, start: &CoreStart) -> Result<OpenRing, StartError> {
    start.pin_thread()?;
    let depth = u32::try_from(start.shell_settings.ring_depth).unwrap_or(u32::MAX);
    let ring = uring::build(depth, features.task_run)
        .map_err(|error| StartError::IoUringUnavailable(IoUringObstacle::of(&error)))?;
    let bell = EventBell::new().map_err(StartError::System)?;
    Ok(OpenRing { ring, bell, features })
}

/// One core's life on the calling thread. `started` gets exactly one word: that it runs, or why not.
pub(super) fn run_thread<E: Engine>(
    open: OpenRing,
    start: CoreStart,
    make_engine: impl FnOnce(CoreIndex) -> E,
    started: &Started,
) {
    let OpenRing {
        mut ring,
        bell,
        features,
    } = open;
    run_on(&mut ring, bell, features, start, make_engine, started);
}

fn run_on<E: Engine>(
    ring: &mut IoUring,
    bell: EventBell,
    features: RingFeatures,
    start: CoreStart,
    make_engine: impl FnOnce(CoreIndex) -> E,
    started: &Started,
) {
    let farewell = start.farewell();
    tracing::info!(
        core = start.core.0,
        cpu = start.cpu,
        ?features,
        "engine runs on ring"
    );
    let engine = make_engine(start.core);
    let waker = bell.waker();
    let parts = start.into_parts(engine, waker.clone());
    let spin = parts.shell_settings.spin_before_park;
    let mut station = parts.station;
    let driver = RingDriver::new(ring, features, bell, parts.acceptors, &parts.shell_settings);
    let mut driver = match driver {
        Ok(driver) => driver,
        Err(error) => {
            let obstacle = IoUringObstacle::of(&error);
            drop(started.send(Err(StartError::IoUringUnavailable(obstacle))));
            return;
        }
    };
    drop(started.send(Ok(())));
    match turn_loop::run(parts.clock, &mut station, &mut driver, &waker, spin) {
        Ok(()) => farewell.say(),
        Err(error) => tracing::error!(%error, "io_uring has failed, this engine ends"),
    }
}

impl<'ring> RingDriver<'ring> {
    fn new(
        ring: &'ring mut IoUring,
        features: RingFeatures,
        bell: EventBell,
        acceptors: Vec<Acceptor>,
        settings: &ShellSettings,
    ) -> io::Result<Self> {
        let octets = settings.read_buffer_octets.clamp(1, RECEIVE_BUFFER_OCTETS_MAX);
        let mut driver = Self {
            uring: Uring::new(ring),
            features,
            memory: ManuallyDrop::new(Memory {
                buffers: ProvidedBuffers::new(RECEIVE_BUFFERS, octets),
                sockets: Sockets::default(),
                bell_count: Box::default(),
            }),
            bell,
            listeners: Listeners::new(acceptors),
            // As many as one turn finds as a rule: they shall not grow by the first turn that finds more.
            arrived: VecDeque::with_capacity(usize::from(RECEIVE_BUFFERS)),
            quiet_sends: Vec::with_capacity(usize::from(RECEIVE_BUFFERS)),
            quiet_sends_over: 0,
            hurries: false,
            resumed_ends: Vec::new(),
            turn_budget_octets: settings.turn_budget_octets,
        };
        driver.uring.register_buffers(&mut driver.memory.buffers)?;
        driver.listen_to_bell();
        Ok(driver)
    }

    fn listen_to_bell(&mut self) {
        let count = &mut self.memory.bell_count;
        // SAFETY: the count is part of `memory`, which is freed only when the kernel has let go.
        unsafe { self.uring.read_count(&self.bell, Operation::Bell, count) };
    }

    /// Takes over what the kernel told.
    fn collect(&mut self) {
        while let Some(completion) = self.uring.next_completion() {
            match completion.operation {
                Operation::Ignored => {}
                // Now, because silence means success.
                Operation::QuietSend(place) => self.memory.sockets.keep_quiet_failure(place, &completion),
                _ => self.arrived.push_back(completion),
            }
        }
    }

    /// Tells the station one thing; gives the octets that were read.
    fn tell<E: Engine>(&mut self, now: Moment, station: &mut Station<E>, completion: Completion) -> usize {
        match completion.operation {
            Operation::Ignored | Operation::QuietSend(_) => {}
            Operation::Bell => self.listen_to_bell(),
            Operation::Accept(place) => self.accepted(now, station, place, completion),
            Operation::Connect(place) => self.connect_ended(now, station, place),
            Operation::Receive(place) => return self.received(now, station, place, &completion),
            Operation::HangUp(place) => self.hung_up(now, station, place),
            Operation::Send(place) => self.send_ended(now, station, place, &completion),
        }
        0
    }
}

impl LoopDriver for RingDriver<'_> {
    fn take_news<E: Engine>(&mut self, now: Moment, station: &mut Station<E>) -> News {
        let any = self.quiet_sends_over > 0 || !self.arrived.is_empty() || !self.resumed_ends.is_empty();
        self.end_quiet_sends(now, station);
        while let Some(link) = self.resumed_ends.pop() {
            station.read_finished(now, self, link);
        }
        let mut budget_octets = self.turn_budget_octets;
        while budget_octets > 0
            && let Some(completion) = self.arrived.pop_front()
        {
            let octets = self.tell(now, station, completion);
            budget_octets = budget_octets.saturating_sub(octets);
        }
        self.wake_listeners(now);
        News {
            any,
            more: !self.arrived.is_empty(),
        }
    }

    fn wait(&mut self, wait: Wait, awaits_transmitted: bool) -> io::Result<()> {
        self.hurries |= awaits_transmitted;
        let news = (self.hurries && !self.quiet_sends.is_empty())
            || !self.arrived.is_empty()
            || !self.resumed_ends.is_empty();
        self.uring.enter(match wait {
            _ if news => Wait::Not,
            Wait::Not => Wait::Not,
            _ if self.quiet_sends.is_empty() => wait,
            Wait::AtMost(wait) => Wait::AtMost(wait.min(QUIET_SENDS_CHECK)),
            Wait::ForEver => Wait::AtMost(QUIET_SENDS_CHECK),
        })?;
        self.collect();
        while self.uring.overflowed() {
            self.uring.enter(Wait::Not)?;
            self.collect();
        }
        if self.uring.all_handed_over() {
            self.quiet_sends_over = self.quiet_sends.len();
            self.hurries = false;
        }
        Ok(())
    }

    fn close_listeners(&mut self) {
        self.listeners.close(&mut self.uring);
    }

    fn next_deadline(&self) -> Moment {
        self.listeners.next_deadline()
    }
}

impl Driver for RingDriver<'_> {
    fn adopt(&mut self, link: LinkId, socket: OwnedFd) {
        let place = self.memory.sockets.insert(link, socket, false);
        self.go_on(place);
    }

    fn await_connected(&mut self, link: LinkId, socket: OwnedFd) {
        let place = self.memory.sockets.insert(link, socket, true);
        self.go_on(place);
    }

    fn transmit(&mut self, link: LinkId, octets: BytesMut) -> Transmission {
        self.begin_send(link, octets)
    }

    fn pause_reading(&mut self, link: LinkId) {
        self.pause(link);
    }

    fn resume_reading(&mut self, link: LinkId) {
        self.resume(link);
    }

    fn finish_writing(&mut self, link: LinkId) {
        self.memory.sockets.finish_writing(link);
    }

    fn detach(&mut self, link: LinkId) -> Detached {
        self.begin_to_leave(link)
    }

    fn release(&mut self, link: LinkId) -> Option<Unsent> {
        self.forget(link);
        // A buffer that is being sent cannot come back at once. The station asks for it only behind `lost`, and that is
        // told when no send is under way.
        None
    }
}

impl Drop for RingDriver<'_> {
    fn drop(&mut self) {
        self.listeners.close(&mut self.uring);
        self.uring.cancel(Operation::Bell);
        for link in self.memory.sockets.links() {
            self.forget(link);
        }
        // A ring that has failed hands nothing over, and then its memory is not freed.
        let _ = self.wait(Wait::Not, false);
        for place in self.quiet_sends.drain(..self.quiet_sends_over) {
            if !self.memory.sockets.has_quiet_failure(place) {
                self.uring.count_quiet_success();
            }
        }
        self.arrived.drain(..).for_each(Completion::discard);
        if self.uring.settle(SETTLE_LIMIT) {
            // SAFETY: dropped once, here; and the kernel has let go.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        } else {
            tracing::error!("io_uring holds on to its buffers, which are given up");
        }
    }
}
