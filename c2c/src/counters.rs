//! What one endpoint has counted since it was made.
//!
//! Plain numbers, written by the core that owns the endpoint alone; a metrics reader gets a copy by message.

use crate::lane::Lane;
use crate::refusal::RefusalReason;

/// Totals of one endpoint since it was made. They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    sent: [u64; Lane::ALL.len()],
    received: [u64; Lane::ALL.len()],
    refused: [[u64; RefusalReason::ALL.len()]; Lane::ALL.len()],
    unasked_answers: u64,
    wakes: u64,
}

impl Counters {
    /// Messages that left on this lane.
    pub const fn sent(&self, lane: Lane) -> u64 {
        self.sent[lane.as_usize()]
    }

    /// Messages that were handed to the owner from this lane.
    pub const fn received(&self, lane: Lane) -> u64 {
        self.received[lane.as_usize()]
    }

    /// Messages that did not leave. On the answer lane these are lost: the core that asked has stopped.
    pub const fn refused(&self, lane: Lane, reason: RefusalReason) -> u64 {
        self.refused[lane.as_usize()][reason.as_usize()]
    }

    /// Answers that were dropped because no request of that peer was open: a fault of the caller.
    pub const fn unasked_answers(&self) -> u64 {
        self.unasked_answers
    }

    /// Sleeping cores that this one has woken.
    pub const fn wakes(&self) -> u64 {
        self.wakes
    }

    pub(crate) fn count_sent(&mut self, lane: Lane) {
        self.sent[lane.as_usize()] += 1;
    }

    pub(crate) fn count_received(&mut self, lane: Lane) {
        self.received[lane.as_usize()] += 1;
    }

    pub(crate) fn count_refused(&mut self, lane: Lane, reason: RefusalReason) {
        self.refused[lane.as_usize()][reason.as_usize()] += 1;
    }

    pub(crate) fn count_unasked_answer(&mut self) {
        self.unasked_answers += 1;
    }

    pub(crate) fn count_wake(&mut self) {
        self.wakes += 1;
    }
}
