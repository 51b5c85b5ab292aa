//! Written requests that are kept until they are answered, so that they can be sent again.
//!
//! Nothing is copied: the output buffers themselves stay, each for as long as one of its requests waits for an answer.
//! Invariants: a buffer is kept only while it has such a request; the octets of all kept buffers are counted, and a session
//! whose count is over its limit takes no more requests (so the limit is passed by the buffers of one turn at most).

use super::output::Buffers;
use bytes::BytesMut;
use std::collections::VecDeque;

/// What one session keeps. Positions are those of its output stream.
#[derive(Debug)]
pub(super) struct Retention {
    /// In the order of the stream.
    kept: VecDeque<Kept>,
    octets: usize,
    octets_max: usize,
    /// Requests that end here or before are none of its business: nothing was kept yet.
    start: u64,
    /// Requests without an answer in the buffer that is in the shell's hands.
    in_flight_requests: u32,
    /// Requests without an answer in what the shell has not taken yet.
    pending_requests: u32,
}

#[derive(Debug)]
struct Kept {
    /// The stream position behind its last octet.
    end: u64,
    /// Its requests without an answer; never 0.
    requests: u32,
    octets: BytesMut,
}

impl Retention {
    pub(super) const fn new(octets_max: usize, start: u64) -> Self {
        Self {
            kept: VecDeque::new(),
            octets: 0,
            octets_max,
            start,
            in_flight_requests: 0,
            pending_requests: 0,
        }
    }

    pub(super) const fn set_limit(&mut self, octets_max: usize) {
        self.octets_max = octets_max;
    }

    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// More requests may be kept.
    pub(super) const fn has_room(&self) -> bool {
        self.octets <= self.octets_max
    }

    pub(super) const fn request_appended(&mut self) {
        self.pending_requests += 1;
    }

    /// The shell takes what was pending.
    pub(super) const fn handed_out(&mut self) {
        self.in_flight_requests = self.pending_requests;
        self.pending_requests = 0;
    }

    /// A buffer has been written whole; it ends at `end`. Gives back what need not be kept.
    pub(super) fn written(&mut self, end: u64, octets: BytesMut) -> Option<BytesMut> {
        let requests = std::mem::take(&mut self.in_flight_requests);
        if requests == 0 {
            return Some(octets);
        }
        self.octets += octets.len();
        self.kept.push_back(Kept {
            end,
            requests,
            octets,
        });
        None
    }

    /// A request that ends at `stream_end` need not be kept any more. `in_flight_start` and `in_flight_end` are those of the
    /// buffer in the shell's hands.
    pub(super) fn settle(
        &mut self,
        stream_end: u64,
        in_flight_start: u64,
        in_flight_end: u64,
        buffers: &mut Buffers,
    ) {
        if stream_end <= self.start {
            return;
        }
        if stream_end > in_flight_end {
            self.pending_requests = self.pending_requests.saturating_sub(1);
        } else if stream_end > in_flight_start {
            self.in_flight_requests = self.in_flight_requests.saturating_sub(1);
        } else {
            let place = self.kept.partition_point(|kept| kept.end < stream_end);
            let Some(kept) = self.kept.get_mut(place) else {
                return;
            };
            kept.requests -= 1;
            if kept.requests == 0
                && let Some(kept) = self.kept.remove(place)
            {
                self.octets -= kept.octets.len();
                buffers.give(kept.octets);
            }
        }
    }

    /// The request of `octets` octets that ends at `stream_end`, if its buffer is kept.
    pub(super) fn find(&self, stream_end: u64, octets: u32) -> Option<&[u8]> {
        let place = self.kept.partition_point(|kept| kept.end < stream_end);
        let kept = self.kept.get(place)?;
        let behind = usize::try_from(kept.end - stream_end).ok()?;
        let end = kept.octets.len().checked_sub(behind)?;
        kept.octets.get(end.checked_sub(octets as usize)?..end)
    }

    /// Gives the memory back.
    pub(super) fn recycle(self, buffers: &mut Buffers) {
        for kept in self.kept {
            buffers.give(kept.octets);
        }
    }

    /// Requests that are kept or will be, for the invariants.
    pub(super) fn requests(&self) -> u32 {
        let kept: u32 = self.kept.iter().map(|kept| kept.requests).sum();
        kept + self.in_flight_requests + self.pending_requests
    }

    pub(super) fn check_invariants(&self) {
        assert!(
            self.kept.iter().all(|kept| kept.requests > 0),
            "a buffer is kept for a request"
        );
        let octets: usize = self.kept.iter().map(|kept| kept.octets.len()).sum();
        assert_eq!(self.octets, octets, "kept octets");
    }
}
