//! How an endpoint empties its inbox: fairly among the peers, urgent lanes first, within a budget.

use super::Endpoint;
use crate::core_index::CoreIndex;
use crate::lane::Lane;

/// How many messages one peer may hand over before the next one has its turn.
const BURST_MESSAGES: usize = 16;

/// Lanes that are emptied before requests: they free windows and credits, and finish what was begun.
const URGENT: &[Lane] = &[Lane::Answer, Lane::Control];

impl<M: Send> Endpoint<M> {
    /// Takes at most `budget` messages from all peers, and says how many it took.
    ///
    /// Peers take turns of a few messages and each call starts with another peer. Answers and control come before
    /// requests, but a quarter of the budget is kept for requests while there are any.
    pub fn drain(&mut self, budget: usize, mut handler: impl FnMut(CoreIndex, Lane, M)) -> usize {
        let urgent_budget = budget - budget / 4;
        let urgent = self.drain_lanes(URGENT, urgent_budget, &mut handler);
        let mut taken = urgent + self.drain_lanes(&[Lane::Request], budget - urgent, &mut handler);
        if urgent == urgent_budget && taken < budget {
            // The requests left some of their share.
            taken += self.drain_lanes(URGENT, budget - taken, &mut handler);
        }
        self.first_peer = if self.first_peer + 1 < self.cores() {
            self.first_peer + 1
        } else {
            0
        };
        taken
    }

    /// The next peer that has stopped and from which everything was received; each is named once.
    ///
    /// Nothing more comes from it, the [`unanswered`](Self::unanswered) requests included.
    pub fn poll_departed(&mut self) -> Option<CoreIndex> {
        let seats = &self.seats;
        (0..=u16::MAX)
            .map(CoreIndex)
            .zip(self.peers.iter_mut())
            .find_map(|(core, peer)| {
                let peer = peer.as_mut()?;
                // In this order: once the seat is free nothing can be added to the lanes.
                let departed = !peer.departure_reported
                    && !seats[core.as_usize()].is_occupied()
                    && peer.inlet.is_empty();
                peer.departure_reported |= departed;
                departed.then_some(core)
            })
    }

    /// Messages that lie in this core's inbox on `lane`, from all peers. A gauge: senders add to it meanwhile.
    pub fn depth(&self, lane: Lane) -> usize {
        self.peers
            .iter()
            .flatten()
            .map(|peer| peer.inlet.lane(lane).len())
            .sum()
    }

    fn drain_lanes(
        &mut self,
        lanes: &[Lane],
        budget: usize,
        handler: &mut impl FnMut(CoreIndex, Lane, M),
    ) -> usize {
        let cores = self.cores();
        let mut taken = 0;
        let mut more = true;
        while more && taken < budget {
            more = false;
            for offset in 0..cores {
                let from = (self.first_peer + offset) % cores;
                for lane in lanes {
                    let burst = BURST_MESSAGES.min(budget - taken);
                    let got = self.take_burst(from, *lane, burst, handler);
                    taken += got;
                    more |= got == BURST_MESSAGES;
                }
            }
        }
        taken
    }

    fn take_burst(
        &mut self,
        from: usize,
        lane: Lane,
        burst: usize,
        handler: &mut impl FnMut(CoreIndex, Lane, M),
    ) -> usize {
        let (Some(Some(peer)), Ok(index)) = (self.peers.get_mut(from), u16::try_from(from)) else {
            return 0;
        };
        // To ask for the length is much cheaper than to receive from an empty lane, and most lanes are empty.
        let available = peer.inlet.lane(lane).len().min(burst);
        let mut got = 0;
        while got < available {
            let Ok(message) = peer.inlet.lane(lane).try_recv() else {
                break;
            };
            match lane {
                Lane::Request => peer.owed_answers += 1,
                Lane::Answer => peer.credits += 1,
                Lane::Control => {}
            }
            self.counters.count_received(lane);
            handler(CoreIndex(index), lane, message);
            got += 1;
        }
        debug_assert!(peer.credits <= self.capacity.requests && peer.owed_answers <= self.capacity.requests);
        got
    }

    /// Something to receive, or a departure to report.
    pub(super) fn anything_waiting(&self) -> bool {
        self.peers.iter().zip(self.seats.iter()).any(|(peer, seat)| {
            peer.as_ref().is_some_and(|peer| {
                !peer.inlet.is_empty() || (!peer.departure_reported && !seat.is_occupied())
            })
        })
    }
}
