//! The messages of other cores' lines that wait on this core, by line.
//!
//! Owns the bounds on their number and octets. Invariant: a line is there as long as one of its messages waits. A line that comes
//! into being gets a stamp, by which its entry in a ring knows it. No memory is taken for a message as long as there were as many before.

use super::super::concatenation::PinId;
use super::super::contract::{ConnectionId, CoreIndex};
use super::super::core_message::PoolHandle;
use super::super::time::Moment;
use super::LineAt;
use bytes::BytesMut;
use std::collections::HashMap;

/// Messages that wait on one core at most, and their octets; the next one is given back at once.
const GUESTS_MAX: usize = 4_096;
const GUEST_OCTETS_MAX: usize = 8 * 1024 * 1024;
/// No place: the end of a line.
const NONE: u32 = u32::MAX;

/// All that wait on this core, by their lines.
#[derive(Debug, Default)]
pub(in crate::core) struct Guests {
    lines: HashMap<LineAt, GuestLine>,
    places: Vec<Place>,
    free: Vec<u32>,
    octets: usize,
    last_stamp: u32,
    /// When those that have waited for too long are looked for again.
    pub(super) look_at: Moment,
}

/// Those of one line, first to last; there is at least one.
#[derive(Debug)]
struct GuestLine {
    /// Names its entry in the ring: an older one is void.
    stamp: u32,
    first: u32,
    last: u32,
}

#[derive(Debug)]
struct Place {
    guest: Option<Guest>,
    /// The next of its line.
    next: u32,
}

/// A message of another core that waits.
#[derive(Debug)]
pub(super) struct Guest {
    /// Names its request at that core.
    pub(super) reference: u32,
    /// The pool that it was sent to, and the session there that gets the messages of its run.
    pub(super) handle: PoolHandle,
    pub(super) to: ConnectionId,
    pub(super) run: u32,
    /// Its run follows a segment to the place of its message, which may be in another pool by now.
    pub(super) is_pinned: bool,
    /// The message that it is a segment of, as its core names it.
    pub(super) message: Option<PinId>,
    pub(super) pdu: BytesMut,
    pub(super) until: Moment,
}

impl Guests {
    pub(in crate::core) fn check_invariants(&self) {
        let mut octets = 0;
        let mut count = 0;
        for line in self.lines.values() {
            let mut at = line.first;
            assert!(self.guest(at).is_some(), "an empty line of guests");
            while let Some(guest) = self.guest(at) {
                (octets, count) = (octets + guest.pdu.len(), count + 1);
                assert_eq!(self.places[at as usize].next == NONE, at == line.last, "the last");
                at = self.places[at as usize].next;
            }
        }
        assert_eq!(
            (self.len(), self.octets),
            (count, octets),
            "guests and their octets"
        );
        assert!(count <= GUESTS_MAX, "guests are bounded");
    }

    pub(super) const fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn guest(&self, at: u32) -> Option<&Guest> {
        self.places.get(at as usize)?.guest.as_ref()
    }

    pub(super) fn first(&self, line: LineAt) -> Option<&Guest> {
        self.guest(self.lines.get(&line)?.first)
    }

    pub(super) fn first_mut(&mut self, line: LineAt) -> Option<&mut Guest> {
        let first = self.lines.get(&line)?.first;
        self.places.get_mut(first as usize)?.guest.as_mut()
    }

    /// An entry of a ring is that of the line as it stands.
    pub(super) fn is_current(&self, line: LineAt, stamp: u32) -> bool {
        self.lines.get(&line).is_some_and(|line| line.stamp == stamp)
    }

    pub(super) const fn has_room_for(&self, octets: usize) -> bool {
        self.len() < GUESTS_MAX && self.octets + octets <= GUEST_OCTETS_MAX
    }

    /// Puts a guest behind the others of its line. The answer is the line's new stamp, when it is the first.
    pub(super) fn push(&mut self, line: LineAt, guest: Guest) -> Option<u32> {
        self.octets += guest.pdu.len();
        let place = Place {
            guest: Some(guest),
            next: NONE,
        };
        let at = if let Some(at) = self.free.pop() {
            self.places[at as usize] = place;
            at
        } else {
            self.places.push(place);
            // Bounded by `GUESTS_MAX`.
            u32::try_from(self.places.len() - 1).unwrap_or(NONE)
        };
        if let Some(line) = self.lines.get_mut(&line) {
            let before = std::mem::replace(&mut line.last, at);
            self.places[before as usize].next = at;
            return None;
        }
        self.last_stamp = self.last_stamp.wrapping_add(1);
        let stamp = self.last_stamp;
        let (first, last) = (at, at);
        self.lines.insert(line, GuestLine { stamp, first, last });
        Some(stamp)
    }

    /// Takes out the first of a line; also the line, when it was the last.
    pub(super) fn pop(&mut self, key: LineAt) -> Option<Guest> {
        let line = self.lines.get_mut(&key)?;
        let at = line.first;
        let place = self.places.get_mut(at as usize)?;
        let guest = place.guest.take()?;
        line.first = place.next;
        if line.first == NONE {
            self.lines.remove(&key);
        }
        self.free.push(at);
        self.octets -= guest.pdu.len();
        Some(guest)
    }

    /// The lines whose first guest meets a condition, in an order that is the same in each run of the program.
    pub(super) fn lines_where(&self, wanted: impl Fn(LineAt, &Guest) -> bool) -> Vec<LineAt> {
        let is_wanted = |line: &LineAt| self.first(*line).is_some_and(|guest| wanted(*line, guest));
        let mut lines: Vec<_> = self.lines.keys().copied().filter(is_wanted).collect();
        lines.sort_unstable();
        lines
    }

    /// A core is gone: nobody waits for its messages.
    pub(in crate::core) fn forget_core(&mut self, gone: CoreIndex) {
        for line in self.lines_where(|(core, _), _| core == gone) {
            while self.pop(line).is_some() {}
        }
    }

    /// Places, free ones included.
    #[cfg(test)]
    pub(super) const fn places(&self) -> usize {
        self.places.len()
    }
}
