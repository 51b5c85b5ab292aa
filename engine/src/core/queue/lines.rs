//! The lines whose home is this core, and of those that are being drained the first messages.
//!
//! A line without loaded messages is one entry of fixed size: no heap memory of its own. What stands behind the loaded
//! messages is known only to the store. Invariants: a line exists while it has (or may have) messages; a message that is in
//! flight stays in the head until it is settled; numbers in a head rise.

use super::QueueKey;
use super::rings::RingKey;
use crate::core::contract::{ConnectionId, CoreIndex};
use crate::core::core_message::PoolHandle;
use crate::core::store_message::StoredMessage;
use crate::core::time::Moment;
use bytes::BytesMut;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// No place: the end of a chain.
const NONE: u32 = u32::MAX;

/// One line.
#[derive(Debug)]
pub(in crate::core) struct QueueLine {
    pub(in crate::core) key: QueueKey,
    pub(in crate::core) key_hash: u64,
    next_of_same_hash: u32,
    /// Messages on their way into the store.
    pub(in crate::core) appending: u32,
    /// The store may have messages behind the loaded ones.
    pub(in crate::core) has_more: bool,
    pub(in crate::core) is_loading: bool,
    pub(in crate::core) standing: Standing,
    /// Changes with `standing`: what refers to an earlier one is void.
    pub(in crate::core) stamp: u32,
    /// Temporary failures in a row.
    pub(in crate::core) failures: u32,
    /// The store's messages up to this number are loaded or settled.
    pub(in crate::core) loaded_to: u64,
    pub(in crate::core) head: Option<Box<Head>>,
}

/// What a line waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Standing {
    /// A client that serves it, a load, or nothing: all that it has is in flight.
    Idle,
    /// Its turn.
    InRing(RingKey),
    /// The end of the pause after a temporary failure.
    Paused,
}

/// The first messages of a line, loaded.
#[derive(Debug, Default)]
pub(in crate::core) struct Head {
    pub(in crate::core) messages: VecDeque<Waiting>,
    pub(in crate::core) in_flight: u32,
    /// Where those in flight went; the next goes there too, so that they arrive in order.
    pub(in crate::core) way: Option<Way>,
    /// See [`QueuedLine::run`](crate::core::core_message::QueuedLine::run).
    pub(in crate::core) run: u32,
    /// Messages of the run that were sent.
    pub(in crate::core) run_steps: u32,
    /// One found no room: the next leaves when none is in flight, as the first of a new run.
    pub(in crate::core) is_run_broken: bool,
}

/// One loaded message.
#[derive(Debug)]
pub(in crate::core) struct Waiting {
    pub(in crate::core) number: u64,
    pub(in crate::core) pdu: BytesMut,
    pub(in crate::core) expires_at: Moment,
    pub(in crate::core) in_flight: bool,
}

/// Where a line is being drained to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Way {
    Session(ConnectionId),
    /// The member of another core's pool that the line stands for; the ring that counts it.
    Core(CoreIndex, PoolHandle, RingKey),
}

impl Way {
    /// The session, where it stands on this core.
    pub(in crate::core) const fn session(self) -> Option<ConnectionId> {
        match self {
            Self::Session(connection) => Some(connection),
            Self::Core(..) => None,
        }
    }
}

impl QueueLine {
    /// Nothing is left of it, as far as this core knows.
    pub(in crate::core) fn is_done(&self) -> bool {
        !self.has_more && !self.is_loading && self.appending == 0 && self.head.is_none()
    }

    /// Something of it is not in flight.
    pub(in crate::core) fn has_unsent(&self) -> bool {
        self.has_more
            || self
                .head
                .as_ref()
                .is_some_and(|head| head.messages.iter().any(|waiting| !waiting.in_flight))
    }

    /// Whether `stamp` is of what it is doing now.
    pub(in crate::core) const fn is_current(&self, stamp: u32) -> bool {
        self.stamp == stamp
    }

    pub(in crate::core) const fn stand(&mut self, standing: Standing) -> u32 {
        self.standing = standing;
        self.stamp = self.stamp.wrapping_add(1);
        self.stamp
    }
}

/// All lines of this core.
#[derive(Debug, Default)]
pub(in crate::core) struct Lines {
    places: Vec<Option<QueueLine>>,
    free: Vec<u32>,
    first_of_hash: HashMap<u64, u32, BuildHasherDefault<HashedAlready>>,
    /// Octets of all loaded messages.
    head_octets: usize,
    heads: usize,
}

impl Lines {
    pub(in crate::core) const fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    #[inline]
    pub(in crate::core) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Places, free ones included.
    pub(in crate::core) fn places(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(NONE)
    }

    pub(in crate::core) const fn head_octets(&self) -> usize {
        self.head_octets
    }

    pub(in crate::core) const fn heads(&self) -> usize {
        self.heads
    }

    pub(in crate::core) fn get(&self, place: u32) -> Option<&QueueLine> {
        self.places.get(place as usize)?.as_ref()
    }

    pub(in crate::core) fn get_mut(&mut self, place: u32) -> Option<&mut QueueLine> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    pub(in crate::core) fn find(&self, key: &QueueKey, key_hash: u64) -> Option<u32> {
        let mut place = *self.first_of_hash.get(&key_hash)?;
        while let Some(line) = self.get(place) {
            if line.key == *key {
                return Some(place);
            }
            place = line.next_of_same_hash;
        }
        None
    }

    /// A line that was not there.
    pub(in crate::core) fn insert(&mut self, key: QueueKey, key_hash: u64) -> u32 {
        let next_of_same_hash = self.first_of_hash.get(&key_hash).copied().unwrap_or(NONE);
        let line = QueueLine {
            key,
            key_hash,
            next_of_same_hash,
            appending: 0,
            has_more: false,
            is_loading: false,
            standing: Standing::Idle,
            stamp: 0,
            failures: 0,
            loaded_to: 0,
            head: None,
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places() - 1
        });
        self.places[place as usize] = Some(line);
        self.first_of_hash.insert(key_hash, place);
        place
    }

    /// Takes a line out that is done.
    pub(in crate::core) fn remove(&mut self, place: u32) -> Option<QueueLine> {
        let line = self.places.get_mut(place as usize)?.take()?;
        self.free.push(place);
        let first = self.first_of_hash.get(&line.key_hash).copied()?;
        if first != place {
            let mut before = first;
            while let Some(other) = self.get_mut(before) {
                if other.next_of_same_hash == place {
                    other.next_of_same_hash = line.next_of_same_hash;
                    break;
                }
                before = other.next_of_same_hash;
            }
        } else if line.next_of_same_hash == NONE {
            self.first_of_hash.remove(&line.key_hash);
        } else {
            self.first_of_hash.insert(line.key_hash, line.next_of_same_hash);
        }
        if self.is_empty() {
            // The memory of a large backlog goes with it.
            *self = Self::default();
        }
        Some(line)
    }

    /// Puts messages from the store behind those that are loaded.
    pub(in crate::core) fn load(&mut self, place: u32, now: Moment, messages: Vec<StoredMessage>) {
        let Some(Some(line)) = self.places.get_mut(place as usize) else {
            return;
        };
        let loaded_to = line.loaded_to;
        for message in messages.into_iter().filter(|it| it.number > loaded_to) {
            line.loaded_to = message.number;
            self.head_octets += message.pdu.len();
            let head = line.head.get_or_insert_with(|| {
                self.heads += 1;
                Box::default()
            });
            head.messages.push_back(Waiting {
                number: message.number,
                pdu: message.pdu,
                expires_at: now + message.expires_in,
                in_flight: false,
            });
        }
    }

    /// Takes a settled message out of a line's head; also the head, when it was the last.
    pub(in crate::core) fn settle(&mut self, place: u32, number: u64) -> Option<Waiting> {
        let line = self.places.get_mut(place as usize)?.as_mut()?;
        let head = line.head.as_mut()?;
        let at = head
            .messages
            .iter()
            .position(|waiting| waiting.number == number)?;
        let waiting = head.messages.remove(at)?;
        head.in_flight -= u32::from(waiting.in_flight);
        if head.messages.is_empty() {
            line.head = None;
            self.heads -= 1;
        }
        self.head_octets -= waiting.pdu.len();
        Some(waiting)
    }

    /// Forgets the loaded messages of a line that has none in flight: the store still has them. Not while more are being
    /// loaded, which would leave a gap.
    pub(in crate::core) fn unload(&mut self, place: u32, mut give: impl FnMut(BytesMut)) {
        let Some(Some(line)) = self.places.get_mut(place as usize) else {
            return;
        };
        let may_unload = !line.is_loading;
        let Some(head) = line.head.take_if(|head| may_unload && head.in_flight == 0) else {
            return;
        };
        self.heads -= 1;
        line.has_more = true;
        line.loaded_to = head.messages.front().map_or(0, |first| first.number - 1);
        for waiting in head.messages {
            self.head_octets -= waiting.pdu.len();
            give(waiting.pdu);
        }
    }

    /// Panics where the books contradict each other; for debug builds.
    pub(in crate::core) fn check_invariants(&self) {
        let lines = || self.places.iter().flatten();
        let heads = || lines().filter_map(|line| line.head.as_ref());
        assert_eq!(self.len(), lines().count(), "lines");
        assert_eq!(self.heads, heads().count(), "heads");
        let octets = heads()
            .flat_map(|head| &head.messages)
            .map(|waiting| waiting.pdu.len());
        assert_eq!(self.head_octets, octets.sum::<usize>(), "octets of heads");
        for line in lines() {
            assert!(!line.is_done(), "a line that is done: {line:?}");
            assert!(
                self.find(&line.key, line.key_hash).is_some(),
                "a lost line: {line:?}"
            );
        }
        for head in heads() {
            let in_flight = head.messages.iter().filter(|waiting| waiting.in_flight).count();
            assert_eq!(head.in_flight as usize, in_flight, "in flight");
            assert!(!head.messages.is_empty(), "an empty head");
            let numbers = head.messages.iter().map(|waiting| waiting.number);
            assert!(numbers.is_sorted(), "numbers rise");
        }
    }
}

/// The keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct HashedAlready(u64);

impl Hasher for HashedAlready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::settings::VserverIndex;
    use crate::core::wire::Address;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(number: u8) -> QueueKey {
        let address = Address {
            ton: 1,
            npi: 1,
            addr: &[b'0' + number],
        };
        QueueKey::of_destination(VserverIndex(0), address).unwrap()
    }

    proptest! {
        /// Goal: the table finds exactly the lines that are in it, also where hashes collide. Method: random inserts and
        /// removes of few keys with fewer hashes, against a set.
        #[test]
        fn finds_what_is_there(steps in proptest::collection::vec((any::<bool>(), 0..8_u8), 1..200)) {
            let mut lines = Lines::default();
            let mut model = BTreeSet::new();
            for (insert, number) in steps {
                let hash = u64::from(number % 3);
                match (insert, lines.find(&key(number), hash)) {
                    (true, None) => {
                        let place = lines.insert(key(number), hash);
                        lines.get_mut(place).unwrap().has_more = true;
                        model.insert(number);
                    }
                    (false, Some(place)) => {
                        lines.remove(place);
                        model.remove(&number);
                    }
                    _ => {}
                }
                lines.check_invariants();
                for number in 0..8 {
                    let found = lines.find(&key(number), u64::from(number % 3));
                    prop_assert_eq!(found.is_some(), model.contains(&number));
                }
            }
        }
    }

    /// Goal: what is unloaded is loaded again from the same place; settled messages are not.
    #[test]
    fn unloading_forgets_nothing() {
        let mut lines = Lines::default();
        let place = lines.insert(key(1), 1);
        let message = |number| StoredMessage {
            number,
            pdu: BytesMut::from(&b"pdu"[..]),
            expires_in: std::time::Duration::from_secs(1),
        };
        lines.load(place, Moment::START, (5..9).map(message).collect());
        assert!(lines.settle(place, 5).is_some() && lines.settle(place, 5).is_none());
        lines.unload(place, drop);
        let line = lines.get(place).unwrap();
        assert_eq!((line.loaded_to, line.has_more, lines.head_octets()), (5, true, 0));
        lines.load(place, Moment::START, (6..9).map(message).collect());
        assert_eq!(lines.head_octets(), 9);
        lines.check_invariants();
    }
}
