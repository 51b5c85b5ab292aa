//! One core's end of the mesh: it sends, receives, rings and parks.
//!
//! Invariants: `credits ≤ capacity.requests` and `owed_answers ≤ capacity.requests` for each peer; a lane is never sent
//! to beyond the room that its rule reserves. It must never wait.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::Waker;

use crate::channel::{Sender, TrySendError};
use crate::core_index::CoreIndex;
use crate::counters::Counters;
use crate::lane::Lane;
use crate::mesh::MeshCapacity;
use crate::peer::Peer;
use crate::refusal::{RefusalReason, Refused};
use crate::seat::Seat;

#[cfg(all(test, loom))]
mod loom_tests;
mod receive;

/// One core's end of the mesh. Owned by one thread at a time: `Send`, not `Sync`.
///
/// In each turn: [`drain`](Self::drain) the inbox and [`poll_departed`](Self::poll_departed), send, then
/// [`ring_bells`](Self::ring_bells) once. Before sleeping: [`prepare_to_park`](Self::prepare_to_park); after waking:
/// [`unpark`](Self::unpark). A message is in its receiver's inbox as soon as it was sent; `ring_bells` only matters to a
/// receiver that sleeps.
///
/// ```compile_fail
/// fn shared_between_threads<T: Sync>() {}
/// shared_between_threads::<smppmux_c2c::Endpoint<u8>>();
/// ```
pub struct Endpoint<M> {
    core: CoreIndex,
    seats: Arc<[Seat]>,
    /// One row for each core; the own row is empty.
    peers: Vec<Option<Peer<M>>>,
    capacity: MeshCapacity,
    counters: Counters,
    /// The peer that the next drain starts with.
    first_peer: usize,
    /// Peers with something posted since the bells were last rung.
    posted: Vec<CoreIndex>,
    not_sync: PhantomData<Cell<()>>,
}

/// Whether the owner may sleep now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Park {
    /// Do not sleep: something lies in the inbox, or a peer has gone. The endpoint counts as awake.
    MessagesWaiting,
    /// Sleep: the waker is called for the next message. Call [`Endpoint::unpark`] when awake again.
    MayPark,
}

impl<M: Send> Endpoint<M> {
    pub(crate) fn new(
        core: CoreIndex,
        seats: Arc<[Seat]>,
        peers: Vec<Option<Peer<M>>>,
        capacity: MeshCapacity,
    ) -> Self {
        let posted = Vec::with_capacity(peers.len());
        Self {
            core,
            seats,
            peers,
            capacity,
            counters: Counters::default(),
            first_peer: 0,
            posted,
            not_sync: PhantomData,
        }
    }

    /// The core that this end belongs to.
    pub fn core(&self) -> CoreIndex {
        self.core
    }

    /// How many cores the mesh was made with, this one included.
    pub fn cores(&self) -> usize {
        self.peers.len()
    }

    /// Sends a request, and with it reserves the room for its answer.
    ///
    /// # Errors
    /// [`RefusalReason::NoCredit`] is back-pressure; `PeerGone` and `NoSuchPeer` are final.
    pub fn try_request(&mut self, to: CoreIndex, message: M) -> Result<(), Refused<M>> {
        let result = match self.peers.get_mut(to.as_usize()).and_then(Option::as_mut) {
            None => Err(Refused {
                reason: RefusalReason::NoSuchPeer,
                message,
            }),
            Some(peer) if peer.credits == 0 => {
                let gone = !self.seats[to.as_usize()].is_occupied();
                let reason = if gone {
                    RefusalReason::PeerGone
                } else {
                    RefusalReason::NoCredit
                };
                Err(Refused { reason, message })
            }
            Some(peer) => {
                let sent = try_send(&peer.outlet.requests, message);
                peer.credits -= usize::from(sent.is_ok());
                sent
            }
        };
        self.account(to, Lane::Request, result)
    }

    /// Answers one request of `to`. It always has room, and it must be called exactly once for each request received.
    ///
    /// When `to` has stopped meanwhile the answer is dropped and counted as refused. An answer without an open request
    /// is a fault of the caller: it is dropped and counted in [`Counters::unasked_answers`].
    pub fn answer(&mut self, to: CoreIndex, message: M) {
        let result = match self.peer_mut(to) {
            None => Err(Refused {
                reason: RefusalReason::NoSuchPeer,
                message,
            }),
            Some(peer) if peer.owed_answers == 0 => {
                self.counters.count_unasked_answer();
                return;
            }
            Some(peer) => {
                peer.owed_answers -= 1;
                try_send(&peer.outlet.answers, message)
            }
        };
        // Nobody is left to hear it, and the count is kept: the message may go.
        drop(self.account(to, Lane::Answer, result));
    }

    /// Sends a change that every core must see, or the acknowledgement of one.
    ///
    /// The caller counts: at most `control` changes to a peer that it has not acknowledged, and one acknowledgement for
    /// each change received. The lane has room for both.
    ///
    /// # Errors
    /// [`RefusalReason::LaneFull`] only when the caller broke that rule; `PeerGone` and `NoSuchPeer` are final.
    pub fn try_control(&mut self, to: CoreIndex, message: M) -> Result<(), Refused<M>> {
        let result = match self.peer_mut(to) {
            None => Err(Refused {
                reason: RefusalReason::NoSuchPeer,
                message,
            }),
            Some(peer) => try_send(&peer.outlet.control, message),
        };
        self.account(to, Lane::Control, result)
    }

    /// Requests that may be sent to `to` now. 0 for a core that does not exist.
    pub fn credits(&self, to: CoreIndex) -> usize {
        self.peer(to).map_or(0, |peer| peer.credits)
    }

    /// Requests to `to` whose answers did not arrive yet. When `to` has departed these will never arrive.
    pub fn unanswered(&self, to: CoreIndex) -> usize {
        self.peer(to)
            .map_or(0, |peer| self.capacity.requests - peer.credits)
    }

    /// Wakes every core that was sent something since the last call and that sleeps or is about to. Once for each turn.
    pub fn ring_bells(&mut self) {
        while let Some(core) = self.posted.pop() {
            if let Some(peer) = self.peer_mut(core) {
                peer.posted = false;
            }
            if self.seats[core.as_usize()].bell.ring() {
                self.counters.count_wake();
            }
        }
    }

    /// Announces that the owner is about to sleep, and takes a second look at the inbox.
    ///
    /// Anything that a peer sends after a [`Park::MayPark`] calls `waker` when the peer rings its bells. `waker` may be
    /// called late or without need, as wakers may.
    pub fn prepare_to_park(&mut self, waker: &Waker) -> Park {
        let may_park = self
            .seat()
            .bell
            .prepare_to_park(waker, || self.anything_waiting());
        if may_park {
            Park::MayPark
        } else {
            Park::MessagesWaiting
        }
    }

    /// The owner is awake: until the next [`prepare_to_park`](Self::prepare_to_park) nobody needs to wake it.
    pub fn unpark(&mut self) {
        self.seat().bell.unpark();
    }

    /// What this endpoint has counted since it was made.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts what became of a message, and remembers whose bell to ring.
    fn account(
        &mut self,
        to: CoreIndex,
        lane: Lane,
        result: Result<(), Refused<M>>,
    ) -> Result<(), Refused<M>> {
        match &result {
            Ok(()) => {
                self.counters.count_sent(lane);
                if let Some(Some(peer)) = self.peers.get_mut(to.as_usize())
                    && !peer.posted
                {
                    peer.posted = true;
                    self.posted.push(to);
                }
            }
            Err(refused) => self.counters.count_refused(lane, refused.reason),
        }
        result
    }

    fn seat(&self) -> &Seat {
        &self.seats[self.core.as_usize()]
    }

    fn peer(&self, core: CoreIndex) -> Option<&Peer<M>> {
        self.peers.get(core.as_usize()).and_then(Option::as_ref)
    }

    fn peer_mut(&mut self, core: CoreIndex) -> Option<&mut Peer<M>> {
        self.peers.get_mut(core.as_usize()).and_then(Option::as_mut)
    }
}

impl<M> Drop for Endpoint<M> {
    fn drop(&mut self) {
        // The lanes close before the seat is freed, and the seat is free before the peers are woken to see it.
        self.peers.clear();
        self.seats[self.core.as_usize()].free();
        for seat in self.seats.iter() {
            seat.bell.ring();
        }
    }
}

fn try_send<M>(lane: &Sender<M>, message: M) -> Result<(), Refused<M>> {
    lane.try_send(message).map_err(|error| match error {
        TrySendError::Full(message) => Refused {
            reason: RefusalReason::LaneFull,
            message,
        },
        TrySendError::Disconnected(message) => Refused {
            reason: RefusalReason::PeerGone,
            message,
        },
    })
}
