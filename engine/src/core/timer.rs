//! Deadlines: one heap for a whole engine, with at most one entry that counts for each key.
//!
//! A session's deadlines move with every message; re-sorting a heap for each would cost more than forwarding. So an entry
//! is only a promise to look again: the owner remembers the time it is armed for, arms anew only for an earlier time, and
//! works out what is really due when an entry fires. Entries that no longer count are dropped when they come up; there are
//! at most as many as arms within the longest deadline.

use super::contract::{ConnectionId, CoreIndex};
use super::settings::{ServerIndex, VserverIndex};
use super::time::Moment;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// A session: bind, enquire_link, answers due, closing.
    Session(ConnectionId),
    /// A server: time to connect again.
    Server(ServerIndex),
    /// A server: its pace lets the next message through.
    Pacing(ServerIndex),
    /// A server that is left out, or on trial.
    Health(ServerIndex),
    /// A server: the next step of its slow start.
    SlowStart(ServerIndex),
    /// A vserver: the oldest held request.
    Hold(VserverIndex),
    /// Requests under way to another core.
    Core(CoreIndex),
    /// Identities that nobody uses any more (`auth = "forward"`).
    Identities,
    /// Receipts that wait for the answer of their submit.
    Receipts,
    /// Operations that wait for what other cores know of their ids.
    Fence,
    /// The queue: pauses that are over, appends without an answer.
    Queue,
    /// Concatenated messages whose time is over.
    Pins,
    /// The end of a drain.
    Drain,
}

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Moment, TimerKey)>>,
}

impl Timers {
    /// Promises to look at `key` at `at`, unless it is armed for that time or an earlier one; `armed` is the owner's note.
    #[inline]
    pub(super) fn arm(&mut self, armed: &mut Moment, at: Moment, key: TimerKey) {
        if at < *armed {
            *armed = at;
            self.heap.push(Reverse((at, key)));
        }
    }

    /// When the first entry fires.
    pub(super) fn next(&self) -> Moment {
        self.heap.peek().map_or(Moment::NEVER, |Reverse((at, _))| *at)
    }

    /// The next entry that is due, with the time it was armed for: it counts only if the owner's note says the same.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<(Moment, TimerKey)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: only an earlier deadline makes a new entry, and entries come up in order, none before its time.
    #[test]
    fn earlier_deadlines_win() {
        let mut timers = Timers::default();
        let mut armed = Moment::NEVER;
        for at in [50, 70, 30, 60] {
            timers.arm(&mut armed, Moment::from_nanoseconds(at), TimerKey::Drain);
        }
        assert_eq!(armed, Moment::from_nanoseconds(30));
        assert_eq!(timers.pop_due(Moment::from_nanoseconds(29)), None);
        assert_eq!(
            timers.pop_due(Moment::from_nanoseconds(100)),
            Some((Moment::from_nanoseconds(30), TimerKey::Drain))
        );
        assert_eq!(
            timers.pop_due(Moment::from_nanoseconds(100)),
            Some((Moment::from_nanoseconds(50), TimerKey::Drain))
        );
        assert_eq!(timers.next(), Moment::NEVER);
    }
}
