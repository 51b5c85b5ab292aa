//! The driver on epoll, for hosts where io_uring cannot be used.
//!
//! Level-triggered: what a turn leaves in a socket is told again, so nothing must be remembered between turns. A turn is
//! one epoll_wait, one recv for each readable socket and one send for each with output.
//!
//! Invariants:
//! - A socket is in the epoll set exactly for what is wanted of it, and not at all when nothing is: an error cannot be
//!   masked, and would be told again and again.
//! - An event names its link, generation included, so that one for a socket that a turn has closed finds nothing.

mod connections;
mod listeners;

use super::core_start::{CoreParts, CoreStart, Started};
use super::driver::{Detached, Driver, Transmission};
use super::engine::Engine;
use super::event_bell::EventBell;
use super::link::LinkId;
use super::start_error::StartError;
use super::station::Station;
use super::turn_loop::{self, LoopDriver, News, Wait};
use crate::core::contract::{CoreIndex, Unsent};
use crate::core::time::Moment;
use bytes::BytesMut;
use connections::Connections;
use listeners::Listeners;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io;
use std::os::fd::OwnedFd;

/// Events that one wait takes at most; the kernel keeps the rest for the next one.
const EVENTS_MAX: usize = 512;

/// One core's sockets on epoll.
struct EpollDriver {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    /// The first of `events` that was not looked at.
    next_event: usize,
    bell: EventBell,
    listeners: Listeners,
    connections: Connections,
    turn_budget_octets: usize,
}

/// What an event is about, as the 64 bits that epoll hands back. Links number their places from 0, so the highest numbers
/// are free for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Bell,
    Listener(u32),
    Link(LinkId),
}

/// One core's life on the calling thread. `started` gets exactly one word: that it runs, or why not.
pub(super) fn run_thread<E: Engine>(
    start: CoreStart,
    make_engine: impl FnOnce(CoreIndex) -> E,
    started: &Started,
) {
    let made = start
        .pin_thread()
        .and_then(|()| open_epoll().map_err(StartError::System));
    let (epoll, bell) = match made {
        Ok(made) => made,
        Err(error) => {
            // The starter waits for this word; if it has gone, nobody needs it.
            drop(started.send(Err(error)));
            return;
        }
    };
    let farewell = start.farewell();
    tracing::info!(core = start.core.0, cpu = start.cpu, "engine runs on epoll");
    let engine = make_engine(start.core);
    let waker = bell.waker();
    let parts = start.into_parts(engine, waker.clone());
    let (clock, spin) = (parts.clock, parts.shell_settings.spin_before_park);
    let (mut station, mut driver) = EpollDriver::new(epoll, bell, parts);
    drop(started.send(Ok(())));
    match turn_loop::run(clock, &mut station, &mut driver, &waker, spin) {
        Ok(()) => farewell.say(),
        Err(error) => tracing::error!(%error, "epoll has failed, this engine ends"),
    }
}

/// The epoll set, with the bell in it.
fn open_epoll() -> io::Result<(OwnedFd, EventBell)> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let bell = EventBell::new()?;
    epoll::add(&epoll, &bell, Source::Bell.data(), EventFlags::IN)?;
    Ok((epoll, bell))
}

impl EpollDriver {
    fn new<E: Engine>(epoll: OwnedFd, bell: EventBell, parts: CoreParts<E>) -> (Station<E>, Self) {
        let settings = &parts.shell_settings;
        let driver = Self {
            epoll,
            events: Vec::with_capacity(EVENTS_MAX),
            next_event: 0,
            bell,
            listeners: Listeners::new(parts.acceptors),
            connections: Connections::new(settings.read_buffer_octets, parts.leftover_octets_max),
            turn_budget_octets: settings.turn_budget_octets,
        };
        (parts.station, driver)
    }
}

impl LoopDriver for EpollDriver {
    fn take_news<E: Engine>(&mut self, now: Moment, station: &mut Station<E>) -> News {
        let any = self.next_event < self.events.len();
        let mut budget_octets = self.turn_budget_octets;
        while let Some(event) = self.events.get(self.next_event).copied()
            && budget_octets > 0
        {
            self.next_event += 1;
            match Source::of(event.data) {
                Source::Bell => self.bell.reset(),
                Source::Listener(index) => self.accept(now, station, index),
                Source::Link(link) => {
                    let octets = self.serve(now, station, link, event.flags);
                    budget_octets = budget_octets.saturating_sub(octets);
                }
            }
        }
        self.listeners.wake_rested(now, &self.epoll);
        News {
            any,
            more: self.next_event < self.events.len(),
        }
    }

    fn wait(&mut self, wait: Wait, _awaits_transmitted: bool) -> io::Result<()> {
        if self.next_event < self.events.len() {
            return Ok(());
        }
        self.events.clear();
        self.next_event = 0;
        let timeout = match wait {
            Wait::ForEver => None,
            Wait::Not => Some(Timespec::default()),
            // A wait that the kernel cannot count is as good as a very long one.
            Wait::AtMost(wait) => Some(Timespec::try_from(wait).unwrap_or(Timespec {
                tv_sec: 1 << 30,
                tv_nsec: 0,
            })),
        };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn close_listeners(&mut self) {
        self.listeners.close();
    }

    fn next_deadline(&self) -> Moment {
        self.listeners.next_deadline()
    }
}

impl Driver for EpollDriver {
    fn adopt(&mut self, link: LinkId, socket: OwnedFd) {
        self.connections.insert(&self.epoll, link, socket, false);
    }

    fn await_connected(&mut self, link: LinkId, socket: OwnedFd) {
        self.connections.insert(&self.epoll, link, socket, true);
    }

    fn transmit(&mut self, link: LinkId, octets: BytesMut) -> Transmission {
        self.connections.transmit(&self.epoll, link, octets)
    }

    fn pause_reading(&mut self, link: LinkId) {
        self.connections.set_reading(&self.epoll, link, false);
    }

    fn resume_reading(&mut self, link: LinkId) {
        self.connections.set_reading(&self.epoll, link, true);
    }

    fn finish_writing(&mut self, link: LinkId) {
        self.connections.finish_writing(link);
    }

    fn detach(&mut self, link: LinkId) -> Detached {
        self.connections.detach(&self.epoll, link)
    }

    fn release(&mut self, link: LinkId) -> Option<Unsent> {
        // The socket closes with its owner, which also takes it out of the epoll set.
        self.connections.take(link)?.output
    }
}

impl Source {
    const BELL: u64 = u32::MAX as u64;

    fn data(self) -> EventData {
        EventData::new_u64(match self {
            Self::Bell => Self::BELL,
            Self::Listener(index) => Self::BELL | (u64::from(index) + 1) << 32,
            Self::Link(link) => link.to_bits(),
        })
    }

    fn of(data: EventData) -> Self {
        let bits = data.u64();
        if bits & Self::BELL != Self::BELL {
            return Self::Link(LinkId::from_bits(bits));
        }
        match u32::try_from(bits >> 32).unwrap_or_default().checked_sub(1) {
            Some(index) => Self::Listener(index),
            None => Self::Bell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every source is found again in the 64 bits that epoll keeps for it.
    #[test]
    fn sources_survive_epoll() {
        for source in [
            Source::Bell,
            Source::Listener(0),
            Source::Listener(u32::MAX - 1),
            Source::Link(LinkId::from_bits(0)),
            Source::Link(LinkId::from_bits(u64::MAX - 1)),
            Source::Link(LinkId::from_bits(7 << 32 | 9)),
        ] {
            assert_eq!(Source::of(source.data()), source);
        }
    }
}
