//! Whose turn it is: the lines that could be drained, one ring for each pool, and what shall be looked at again later.
//!
//! A ring is served one message of each line in turn, whenever its clients may have room. Towards members on other cores, whose
//! windows are not seen from here, a ring has as many messages under way as were not refused.

use super::LineAt;
use crate::core::pool::PoolIndex;
use crate::core::time::Moment;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Which ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::core) struct RingKey(pub(in crate::core) u32);

impl RingKey {
    pub(in crate::core) const fn of(pool: PoolIndex) -> Self {
        Self(pool.0)
    }

    pub(in crate::core) const fn pool(self) -> PoolIndex {
        PoolIndex(self.0)
    }
}

/// Messages of one ring under way to other cores: at first, and at most. A refusal says how many are too many; from there on
/// so many windows have to be taken before one more is tried. A few are always allowed, since one that waits there for a client that
/// is stuck must not keep all others here.
const REMOTE_ALLOWED_FIRST: u32 = 64;
const REMOTE_ALLOWED_LEAST: u32 = 8;
const REMOTE_ALLOWED_MAX: u32 = 256;
const WINDOWS_BEFORE_ONE_MORE: u32 = 8;

/// Who has a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Entry {
    /// A line of this core: place and stamp; an entry with an old stamp is void.
    Line(u32, u32),
    /// A line of another core, whose messages wait here (`guests`), and its stamp there; the same holds.
    Guest(LineAt, u32),
}

/// The lines that one pool serves.
#[derive(Debug)]
pub(in crate::core) struct Ring {
    pub(in crate::core) lines: VecDeque<Entry>,
    /// Messages under way to other cores' members.
    pub(in crate::core) remote_in_flight: u32,
    remote_allowed: u32,
    taken_in_a_row: u32,
    /// Nothing goes to other cores before this moment: one had no room.
    pub(in crate::core) remote_closed_until: Moment,
    /// It stands among the wakes.
    pub(in crate::core) is_to_wake: bool,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            lines: VecDeque::new(),
            remote_in_flight: 0,
            remote_allowed: REMOTE_ALLOWED_FIRST,
            taken_in_a_row: 0,
            remote_closed_until: Moment::START,
            is_to_wake: false,
        }
    }
}

impl Ring {
    pub(in crate::core) fn may_send_to_other_cores(&self, now: Moment) -> bool {
        self.remote_in_flight < self.remote_allowed && self.remote_closed_until <= now
    }

    /// A message to another core has come to its end.
    pub(in crate::core) fn remote_settled(&mut self, was_taken: bool) {
        self.remote_in_flight = self.remote_in_flight.saturating_sub(1);
        if !was_taken {
            self.taken_in_a_row = 0;
            self.remote_allowed = self.remote_in_flight.max(REMOTE_ALLOWED_LEAST);
            return;
        }
        self.taken_in_a_row += 1;
        if self.taken_in_a_row >= self.remote_allowed * WINDOWS_BEFORE_ONE_MORE {
            self.taken_in_a_row = 0;
            self.remote_allowed = (self.remote_allowed + 1).min(REMOTE_ALLOWED_MAX);
        }
    }
}

/// What is looked at again at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::core) enum Wake {
    /// A line's pause is over: its place and stamp.
    Line(u32, u32),
    /// A ring had lines and no room.
    Ring(RingKey),
}

/// All rings of a core.
#[derive(Debug, Default)]
pub(in crate::core) struct Rings {
    rings: HashMap<RingKey, Ring>,
    pub(in crate::core) wakes: BTreeSet<(Moment, Wake)>,
}

impl Rings {
    #[inline]
    pub(in crate::core) fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    pub(in crate::core) fn get_mut(&mut self, key: RingKey) -> Option<&mut Ring> {
        self.rings.get_mut(&key)
    }

    /// The ring; it comes into being with its first line.
    pub(in crate::core) fn open(&mut self, key: RingKey) -> &mut Ring {
        self.rings.entry(key).or_default()
    }

    /// Forgets a ring that has nothing.
    pub(in crate::core) fn close_if_empty(&mut self, key: RingKey) {
        let is_empty = |ring: &Ring| ring.lines.is_empty() && ring.remote_in_flight == 0 && !ring.is_to_wake;
        if self.rings.get(&key).is_some_and(is_empty) {
            self.rings.remove(&key);
        }
    }

    /// The next thing to look at, if it is due.
    pub(in crate::core) fn pop_due(&mut self, now: Moment) -> Option<Wake> {
        let (at, _) = self.wakes.first()?;
        if *at > now {
            return None;
        }
        self.wakes.pop_first().map(|(_, wake)| wake)
    }
}
