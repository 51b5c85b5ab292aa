//! What waits to be written to one connection, and where in the stream each PDU stands.
//!
//! The engine appends to `pending`; the shell takes it whole, writes it and gives it back. Positions are counted from the
//! connection's start, so that after a loss it is known which PDUs the kernel had never got whole.
//! Invariant: at most one buffer is in the shell's hands.

use super::contract::Unsent;
use super::retention::Retention;
use bytes::BytesMut;

/// Empty buffers for re-use, so that no message allocates. Bounded in octets, each and all of a kind together.
///
/// Small and large ones are kept apart. If every output took any buffer, then in time each of the many buffers that go
/// round among clients would have served a busy server once, and have grown to what that one needs. And after a burst of
/// messages that waited, each in a small one, there would be no room for what the busy servers give back.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Small ones, large ones.
    free: [Vec<BytesMut>; 2],
    kept_octets: [usize; 2],
}

const KIND_KEPT_OCTETS_MAX: usize = 8 * 1024 * 1024;
const BUFFER_KEPT_OCTETS_MAX: usize = 256 * 1024;
const SMALL_BUFFER_OCTETS_MAX: usize = 4 * 1024;

impl Buffers {
    /// The memory of all that are kept.
    pub(super) const fn kept_octets(&self) -> usize {
        let [small, large] = self.kept_octets;
        small + large
    }

    /// An empty small buffer, with memory of an earlier use if there is one.
    pub(super) fn take(&mut self) -> BytesMut {
        self.take_sized(false)
    }

    #[inline]
    fn take_sized(&mut self, is_large: bool) -> BytesMut {
        let kind = usize::from(is_large);
        let buffer = self.free[kind].pop().unwrap_or_default();
        self.kept_octets[kind] -= buffer.capacity();
        buffer
    }

    /// A copy of a PDU, in a small buffer where it fits one.
    #[inline]
    pub(super) fn copy_of(&mut self, pdu: &[u8]) -> BytesMut {
        let mut copy = self.take_sized(pdu.len() > SMALL_BUFFER_OCTETS_MAX);
        copy.extend_from_slice(pdu);
        copy
    }

    /// Takes a buffer back.
    #[inline]
    pub(super) fn give(&mut self, mut buffer: BytesMut) {
        let octets = buffer.capacity();
        let kind = usize::from(octets > SMALL_BUFFER_OCTETS_MAX);
        let fits = (1..=BUFFER_KEPT_OCTETS_MAX).contains(&octets);
        if fits && self.kept_octets[kind] + octets <= KIND_KEPT_OCTETS_MAX {
            self.kept_octets[kind] += octets;
            buffer.clear();
            self.free[kind].push(buffer);
        }
    }

    /// Takes a buffer back that was read from its start, which has moved: all of its memory counts, not what is left.
    pub(super) fn give_consumed(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        // Nothing has to be moved for it. False only where the start has not moved.
        let _ = buffer.try_reclaim(buffer.capacity() + 1);
        self.give(buffer);
    }

    pub(super) fn check_invariants(&self) {
        for octets in self.kept_octets {
            assert!(octets <= KIND_KEPT_OCTETS_MAX, "{octets} octets of spare buffers");
        }
    }
}

/// One connection's output.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Not yet taken by the shell. Without memory while it is empty.
    pending: BytesMut,
    /// Octets in the shell's hands.
    in_flight_octets: usize,
    in_flight: bool,
    /// It stands in the engine's list of connections with bytes to write.
    pub(super) listed: bool,
    /// It has filled a large buffer once, and starts with one from then on.
    needs_large: bool,
    /// Octets that were ever handed to the shell.
    handed_octets: u64,
    /// Written requests that may have to be sent again; `None` where none ever is.
    retention: Option<Box<Retention>>,
}

impl Output {
    /// Where to append; an empty output gets memory of an earlier use.
    #[inline(always)]
    pub(super) fn open(&mut self, buffers: &mut Buffers) -> &mut BytesMut {
        if self.pending.capacity() == 0 {
            let buffer = buffers.take_sized(self.needs_large);
            // What has no memory needs no drop.
            std::mem::forget(std::mem::replace(&mut self.pending, buffer));
        }
        &mut self.pending
    }

    /// Overwrites a range of the last `octets` octets that were appended; what lies outside is left alone.
    pub(super) fn overwrite_last(&mut self, octets: usize, range: std::ops::Range<usize>, with: &[u8]) {
        let Some(start) = self.pending.len().checked_sub(octets) else {
            return;
        };
        if let Some(place) = self.pending[start..].get_mut(range)
            && place.len() == with.len()
        {
            place.copy_from_slice(with);
        }
    }

    /// Octets that have not reached the kernel as far as we know.
    #[inline]
    pub(super) fn waiting_octets(&self) -> usize {
        self.pending.len() + self.in_flight_octets
    }

    /// The stream position behind the last pending octet.
    #[inline]
    pub(super) fn stream_end(&self) -> u64 {
        self.handed_octets + self.pending.len() as u64
    }

    /// The stream position up to which the kernel has all, as far as we know.
    pub(super) const fn written_end(&self) -> u64 {
        self.handed_octets - self.in_flight_octets as u64
    }

    /// What was appended since the stream ended there, of what the shell has not taken.
    pub(super) fn since(&self, stream_end: u64) -> &[u8] {
        let before = usize::try_from(stream_end.saturating_sub(self.handed_octets)).unwrap_or(usize::MAX);
        self.pending.get(before..).unwrap_or_default()
    }

    /// Whether the shell may take a buffer now.
    #[inline]
    pub(super) fn may_hand_out(&self) -> bool {
        !self.in_flight && !self.pending.is_empty()
    }

    /// Everything was written.
    pub(super) fn is_idle(&self) -> bool {
        !self.in_flight && self.pending.is_empty()
    }

    /// From here on written requests are kept until they are settled, up to so many octets.
    pub(super) fn retain_requests(&mut self, octets_max: usize) {
        match &mut self.retention {
            Some(retention) => retention.set_limit(octets_max),
            None => self.retention = Some(Box::new(Retention::new(octets_max, self.stream_end()))),
        }
    }

    /// Nothing is kept any more.
    pub(super) fn forget_requests(&mut self, buffers: &mut Buffers) {
        if let Some(retention) = self.retention.take() {
            retention.recycle(buffers);
        }
    }

    /// A request has been appended.
    #[inline]
    pub(super) fn request_appended(&mut self) {
        if self.retention.is_some() {
            self.count_appended_request();
        }
    }

    #[cold]
    fn count_appended_request(&mut self) {
        if let Some(retention) = &mut self.retention {
            retention.request_appended();
        }
    }

    #[cold]
    fn retain_handed_out(&mut self) {
        if let Some(retention) = &mut self.retention {
            retention.handed_out();
        }
    }

    #[cold]
    fn retain_written(&mut self, buffer: BytesMut, buffers: &mut Buffers) {
        let free = match &mut self.retention {
            Some(retention) => retention.written(self.handed_octets, buffer),
            None => Some(buffer),
        };
        if let Some(buffer) = free {
            buffers.give(buffer);
        }
    }

    /// Another request could be kept, or none has to be.
    #[inline]
    pub(super) fn may_retain_more(&self) -> bool {
        self.retention
            .as_ref()
            .is_none_or(|retention| retention.has_room())
    }

    /// The request that ends at `stream_end` has been answered, or nobody waits for its answer any more.
    pub(super) fn settle_request(&mut self, stream_end: u64, buffers: &mut Buffers) {
        let in_flight_start = self.written_end();
        if let Some(retention) = &mut self.retention {
            retention.settle(stream_end, in_flight_start, self.handed_octets, buffers);
        }
    }

    /// A written request that was kept.
    pub(super) fn retained(&self, stream_end: u64, octets: u32) -> Option<&[u8]> {
        self.retention.as_ref()?.find(stream_end, octets)
    }

    /// What is kept, for a session that ends in order and still writes its last octets.
    pub(super) fn take_retention(&mut self) -> Option<Remains> {
        let retention = self.retention.take()?;
        Some(Remains {
            in_flight: BytesMut::new(),
            in_flight_start: self.handed_octets,
            pending: BytesMut::new(),
            pending_start: self.handed_octets,
            // All the rest is still going to be written.
            written_end: u64::MAX,
            retention: Some(retention),
        })
    }

    /// `requests` says how many requests that end behind a position have no answer.
    pub(super) fn check_invariants(&self, requests: impl FnOnce(u64) -> u32) {
        if let Some(retention) = &self.retention {
            retention.check_invariants();
            assert_eq!(
                retention.requests(),
                requests(retention.start()),
                "a request without an answer is kept"
            );
        }
    }

    /// Takes all pending bytes for the shell.
    pub(super) fn hand_out(&mut self) -> BytesMut {
        if self.retention.is_some() {
            self.retain_handed_out();
        }
        let octets = std::mem::take(&mut self.pending);
        self.needs_large |= octets.capacity() > SMALL_BUFFER_OCTETS_MAX;
        self.in_flight = true;
        self.in_flight_octets = octets.len();
        self.handed_octets += octets.len() as u64;
        octets
    }

    /// The shell has written what it had.
    pub(super) fn transmitted(&mut self, buffer: BytesMut, buffers: &mut Buffers) {
        self.in_flight = false;
        self.in_flight_octets = 0;
        if self.retention.is_some() {
            return self.retain_written(buffer, buffers);
        }
        buffers.give(buffer);
    }

    /// Ends the stream: what remains of it, for requests that may move elsewhere.
    pub(super) fn into_remains(self, unsent: Option<Unsent>) -> Remains {
        let (in_flight, written_octets) = match unsent {
            Some(unsent) => (unsent.octets, unsent.written_octets),
            // The shell lost track of the buffer: count it as written, which never duplicates a message.
            None => (BytesMut::new(), self.in_flight_octets),
        };
        let in_flight_start = self.written_end();
        let written_end = in_flight_start + written_octets.min(self.in_flight_octets) as u64;
        Remains {
            in_flight,
            in_flight_start,
            pending: self.pending,
            pending_start: self.handed_octets,
            written_end,
            retention: self.retention,
        }
    }
}

/// The end of a lost connection's output stream.
#[derive(Debug)]
pub(super) struct Remains {
    in_flight: BytesMut,
    in_flight_start: u64,
    pending: BytesMut,
    pending_start: u64,
    written_end: u64,
    retention: Option<Box<Retention>>,
}

impl Remains {
    /// The PDU of `octets` octets that ends at `stream_end`, if the kernel never got all of it: the peer can't have acted on it.
    pub(super) fn unwritten(&self, stream_end: u64, octets: u32) -> Option<&[u8]> {
        if stream_end <= self.written_end {
            return None;
        }
        self.at(stream_end, octets)
    }

    /// The PDU that ends at `stream_end`, written or not, where requests are kept.
    pub(super) fn retained(&self, stream_end: u64, octets: u32) -> Option<&[u8]> {
        let retention = self.retention.as_ref()?;
        retention
            .find(stream_end, octets)
            .or_else(|| self.at(stream_end, octets))
    }

    fn at(&self, stream_end: u64, octets: u32) -> Option<&[u8]> {
        let start = stream_end.checked_sub(u64::from(octets))?;
        let (buffer, buffer_start) = if start >= self.pending_start {
            (&self.pending, self.pending_start)
        } else {
            (&self.in_flight, self.in_flight_start)
        };
        let from = usize::try_from(start.checked_sub(buffer_start)?).ok()?;
        buffer.get(from..from + octets as usize)
    }

    /// Gives the memory back.
    pub(super) fn recycle(self, buffers: &mut Buffers) {
        buffers.give(self.in_flight);
        buffers.give(self.pending);
        if let Some(retention) = self.retention {
            retention.recycle(buffers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a few busy outputs do not make all buffers large in time. Method: 200 clients whose buffers are small and one
    /// server whose output is large, which all take and give their buffers in an order that changes.
    #[test]
    fn buffers_of_clients_stay_small() {
        let mut buffers = Buffers::default();
        let mut outputs: Vec<_> = (0..201).map(|_| Output::default()).collect();
        for turn in 0..1_000_usize {
            let order = |step: usize| (step * 7 + turn * 13) % 201;
            for step in 0..201 {
                let place = order(step);
                let octets = if place == 0 { 100_000 } else { 300 };
                outputs[place]
                    .open(&mut buffers)
                    .extend_from_slice(&vec![0; octets]);
            }
            for step in 0..201 {
                let octets = outputs[order(step)].hand_out();
                outputs[order(step)].transmitted(octets, &mut buffers);
            }
        }
        assert!(
            buffers.kept_octets() < 400_000,
            "{} octets are kept",
            buffers.kept_octets()
        );
    }

    fn octets_in(buffers: &Buffers) -> [usize; 2] {
        [0, 1].map(|kind| buffers.free[kind].iter().map(BytesMut::capacity).sum())
    }

    /// Goal: after a burst of small messages a busy server's buffer is still kept, and all that is kept is counted and bounded.
    /// Method: more small buffers than are kept come back, then large ones.
    #[test]
    fn many_small_buffers_leave_room_for_large_ones() {
        let mut buffers = Buffers::default();
        for _ in 0..100_000 {
            buffers.give(BytesMut::from(&[0; 135][..]));
        }
        let small_octets = buffers.kept_octets();
        assert!((KIND_KEPT_OCTETS_MAX - 135..=KIND_KEPT_OCTETS_MAX).contains(&small_octets));
        for _ in 0..40 {
            buffers.give(BytesMut::with_capacity(BUFFER_KEPT_OCTETS_MAX));
        }
        assert_eq!(buffers.kept_octets() - small_octets, KIND_KEPT_OCTETS_MAX);
        assert_eq!(octets_in(&buffers), buffers.kept_octets);
        assert_eq!(buffers.take_sized(true).capacity(), BUFFER_KEPT_OCTETS_MAX);
        assert_eq!(octets_in(&buffers), buffers.kept_octets);
    }

    /// Goal: a buffer that was read from its start counts with all its memory, and among those of its size.
    /// Method: a large one of which all but a few octets were consumed.
    #[test]
    fn what_was_consumed_counts() {
        let mut buffers = Buffers::default();
        let mut held = BytesMut::with_capacity(100_000);
        held.extend_from_slice(&[0; 100_000]);
        bytes::Buf::advance(&mut held, 99_900);
        buffers.give_consumed(held);
        assert_eq!(octets_in(&buffers), [0, 100_000]);
        assert_eq!(buffers.kept_octets, [0, 100_000]);
    }

    /// Goal: after a loss exactly the PDUs that the kernel had not got whole are found, octet for octet.
    /// Method: three PDUs, two of them handed out; every possible count of written octets.
    #[test]
    fn only_whole_written_pdus_are_gone() {
        for written_octets in 0..=7 {
            let mut buffers = Buffers::default();
            let mut output = Output::default();
            output.open(&mut buffers).extend_from_slice(b"aaa");
            let first_end = output.stream_end();
            output.open(&mut buffers).extend_from_slice(b"bbbb");
            let second_end = output.stream_end();
            let octets = output.hand_out();
            output.open(&mut buffers).extend_from_slice(b"cc");
            let third_end = output.stream_end();
            let remains = output.into_remains(Some(Unsent {
                octets,
                written_octets,
            }));
            assert_eq!(
                remains.unwritten(first_end, 3),
                (written_octets < 3).then_some(&b"aaa"[..])
            );
            assert_eq!(
                remains.unwritten(second_end, 4),
                (written_octets < 7).then_some(&b"bbbb"[..])
            );
            assert_eq!(remains.unwritten(third_end, 2), Some(&b"cc"[..]));
        }
    }
}
