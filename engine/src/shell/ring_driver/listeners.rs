//! The listeners of one core: each has one request with the kernel that accepts connection after connection.

use super::super::accepting::Acceptor;
use super::super::engine::Engine;
use super::super::station::Station;
use super::RingDriver;
use super::operation::Operation;
use super::uring::{Completion, Uring};
use crate::core::time::Moment;

pub(super) struct Listeners {
    places: Vec<Place>,
}

struct Place {
    /// None once it is closed.
    acceptor: Option<Acceptor>,
    /// The kernel accepts for it.
    accepting: bool,
    /// Not before this moment, after an error.
    rest_until: Moment,
}

impl Listeners {
    pub(super) fn new(acceptors: Vec<Acceptor>) -> Self {
        let place = |acceptor| Place {
            acceptor: Some(acceptor),
            accepting: false,
            rest_until: Moment::START,
        };
        Self {
            places: acceptors.into_iter().map(place).collect(),
        }
    }

    /// When a rest is over.
    pub(super) fn next_deadline(&self) -> Moment {
        let resting = self
            .places
            .iter()
            .filter(|place| place.acceptor.is_some() && !place.accepting);
        resting
            .map(|place| place.rest_until)
            .min()
            .unwrap_or(Moment::NEVER)
    }

    /// Closes all; the kernel lets go of a socket when its request is given up.
    pub(super) fn close(&mut self, uring: &mut Uring<'_>) {
        for (index, place) in (0..).zip(&mut self.places) {
            if place.acceptor.take().is_some() && place.accepting {
                uring.cancel(Operation::Accept(index));
            }
        }
    }
}

impl RingDriver<'_> {
    /// Has the kernel accept for every listener that does not rest.
    pub(super) fn wake_listeners(&mut self, now: Moment) {
        for (index, place) in (0..).zip(&mut self.listeners.places) {
            if let Some(acceptor) = &place.acceptor
                && !place.accepting
                && place.rest_until <= now
            {
                place.accepting = true;
                self.uring
                    .accept(&acceptor.listener.socket, Operation::Accept(index));
            }
        }
    }

    /// The kernel accepted a connection, or could not.
    pub(super) fn accepted<E: Engine>(
        &mut self,
        now: Moment,
        station: &mut Station<E>,
        index: u32,
        completion: Completion,
    ) {
        let goes_on = completion.more();
        // A connection of a listener that is closed is closed with it.
        let accepted = completion.accepted();
        let Some(place) = self.listeners.places.get_mut(index as usize) else {
            return;
        };
        place.accepting = goes_on;
        // Out of its place for the call: what it accepted becomes a socket of this driver.
        let Some(mut acceptor) = place.acceptor.take() else {
            return;
        };
        let rest_until = match accepted {
            Ok(socket) => {
                acceptor.accepted(now, station, self, socket);
                None
            }
            Err(error) => acceptor.failed(now, station, error),
        };
        if let Some(place) = self.listeners.places.get_mut(index as usize) {
            place.acceptor = Some(acceptor);
            place.rest_until = rest_until.unwrap_or(place.rest_until);
        }
    }
}
