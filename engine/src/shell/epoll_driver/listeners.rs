//! The listeners of one core in its epoll set. One that failed for want of room leaves the set for a while.

use super::super::accepting::{Accepted, Acceptor};
use super::super::engine::Engine;
use super::super::station::Station;
use super::{EpollDriver, Source};
use crate::core::time::Moment;
use rustix::event::epoll::{self, EventFlags};
use std::os::fd::{AsFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Listeners {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    acceptor: Acceptor,
    /// When it goes (back) into the set; [`Moment::NEVER`] while it is there.
    rest_until: Moment,
}

impl Listeners {
    /// They go into the set when they are woken for the first time.
    pub(super) fn new(acceptors: Vec<Acceptor>) -> Self {
        let rested = |acceptor| Place {
            acceptor,
            rest_until: Moment::START,
        };
        Self {
            places: acceptors.into_iter().map(rested).collect(),
        }
    }

    /// Puts those into the set whose rest is over.
    pub(super) fn wake_rested(&mut self, now: Moment, epoll: impl AsFd) {
        for (index, place) in (0..).zip(&mut self.places) {
            if place.rest_until > now {
                continue;
            }
            let data = Source::Listener(index).data();
            // Without room in the set it rests on, as for any other want of room.
            place.rest_until = match epoll::add(&epoll, &place.acceptor.listener.socket, data, EventFlags::IN)
            {
                Ok(()) => Moment::NEVER,
                Err(_) => now + Acceptor::REST,
            };
        }
    }

    pub(super) fn next_deadline(&self) -> Moment {
        let rests = self.places.iter().map(|place| place.rest_until);
        rests.min().unwrap_or(Moment::NEVER)
    }

    /// The sockets close with their owner, which also takes them out of the set.
    pub(super) fn close(&mut self) {
        self.places.clear();
    }
}

impl EpollDriver {
    /// Somebody may wait at a listener.
    pub(super) fn accept<E: Engine>(&mut self, now: Moment, station: &mut Station<E>, index: u32) {
        let index = index as usize;
        if index >= self.listeners.places.len() {
            return;
        }
        // Out of its place for the call: what it accepts becomes a connection of this driver.
        let mut place = self.listeners.places.swap_remove(index);
        if let Accepted::RestUntil(until) = place.acceptor.accept(now, station, self) {
            place.rest_until = until;
            let socket: &OwnedFd = &place.acceptor.listener.socket;
            // It is in the set.
            let _ = epoll::delete(&self.epoll, socket);
        }
        self.listeners.places.push(place);
        let last = self.listeners.places.len() - 1;
        self.listeners.places.swap(index, last);
    }
}
