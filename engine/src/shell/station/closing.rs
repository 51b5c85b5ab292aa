//! How connections end without losing the last answer.
//!
//! After `Action::Close` with `after_writing` the link writes what was handed out, sends its FIN, and then reads and
//! discards until the peer's FIN: closing a socket with unread bytes would send a reset, and a reset may destroy an
//! answer that the peer has not read yet. Each step has a time limit.

use super::super::driver::Driver;
use super::super::engine::Engine;
use super::super::link::{LinkId, Phase};
use super::Station;
use crate::core::contract::{ConnectionId, Unsent};
use crate::core::time::Moment;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::time::Duration;

/// How long a peer may take to read what is left for it.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// How long a peer may take to close its side when ours is closed.
const LINGER_LIMIT: Duration = Duration::from_secs(1);
/// Links that may linger at once; one more is closed without waiting.
const LINGERING_MAX: usize = 1024;

impl<E: Engine> Station<E> {
    /// `Action::Close`: the engine's handle is dead, the link may live on for a while.
    pub(super) fn close(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        connection: ConnectionId,
        after_writing: bool,
    ) {
        let Some(id) = self.link_of(connection) else {
            return;
        };
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if !after_writing || !matches!(link.phase, Phase::Open(_)) {
            self.release(driver, id);
            return;
        }
        link.phase = Phase::Flushing;
        link.deadline = now + FLUSH_LIMIT;
        let leftover = std::mem::take(&mut link.leftover);
        let paused = std::mem::take(&mut link.paused) && !link.read_finished;
        let transmitting = link.transmitting;
        self.leftovers.give_back(leftover);
        self.links.forget_connection(connection);
        let transmitting = transmitting || !self.say_farewell(now, driver, id);
        if paused {
            // The peer's FIN stands behind bytes that nobody wants any more.
            driver.resume_reading(id);
        }
        if transmitting {
            self.awaits_transmitted = true;
            self.deadlines.add(now + FLUSH_LIMIT, id);
        } else {
            self.linger(now, driver, id);
        }
    }

    /// All is written: our FIN goes out, and the peer's is awaited.
    pub(super) fn linger(&mut self, now: Moment, driver: &mut impl Driver, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.read_finished || self.lingering >= LINGERING_MAX {
            self.release(driver, id);
            return;
        }
        link.phase = Phase::Lingering;
        link.deadline = now + LINGER_LIMIT;
        self.lingering += 1;
        self.deadlines.add(now + LINGER_LIMIT, id);
        driver.finish_writing(id);
    }

    /// Ends a link at once. What the driver had not written comes back.
    pub(super) fn release(&mut self, driver: &mut impl Driver, id: LinkId) -> Option<Unsent> {
        let link = self.links.remove(id)?;
        self.leftovers.give_back(link.leftover);
        match link.phase {
            Phase::Lingering => self.lingering -= 1,
            Phase::Greeting(greeting) => self.uncount_greeting(greeting.stage),
            _ => {}
        }
        if link.counts_as_flow {
            self.steering.count_closed();
        }
        link.in_driver.then(|| driver.release(id)).flatten()
    }

    /// A link's own time is up.
    pub(super) fn link_timed_out(&mut self, now: Moment, driver: &mut impl Driver, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.deadline > now {
            return;
        }
        match link.phase {
            Phase::Connecting(..) => self.give_up_connecting(now, driver, id, io::ErrorKind::TimedOut),
            Phase::Flushing | Phase::Lingering => {
                if link.tls.is_some() {
                    // Why it ends: an alert may wait.
                    self.flush_secured(now, driver, id);
                }
                self.release(driver, id);
            }
            Phase::Greeting(_) => self.give_up_greeting(now, driver, id),
            Phase::Open(_) => {}
        }
    }
}

/// When links' phases end. A link that is gone or has a later deadline by then is passed over.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Moment, LinkId)>>,
}

impl Deadlines {
    pub(super) fn add(&mut self, deadline: Moment, id: LinkId) {
        self.heap.push(Reverse((deadline, id)));
    }

    pub(super) fn next(&self) -> Moment {
        self.heap
            .peek()
            .map_or(Moment::NEVER, |Reverse((deadline, _))| *deadline)
    }

    pub(super) fn pop_due(&mut self, now: Moment) -> Option<LinkId> {
        if self.next() > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, id))| id)
    }
}
