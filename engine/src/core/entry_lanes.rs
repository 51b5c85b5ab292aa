//! Map entries on their way to their home cores: bounded, batched, never refused.
//!
//! Owns what waits for each other core. Invariants: at most one batch is under way to each core, so the control lane has
//! room for it by construction; entries for one core arrive in the order they were put; what waits is bounded. The vector
//! of a batch comes back with its acknowledgement and is filled again: nothing is allocated in a steady state.
//! It must never know what an entry means, nor drop one whose core is alive and whose lane has room.

use super::contract::CoreIndex;

/// Entries that may wait for one core while a batch is under way. Beyond it they are lost.
pub(super) const WAITING_ENTRIES_MAX: usize = 65_536;

/// An entry with the hash of its key, which names its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyedEntry<E> {
    /// Hash of the key that the entry belongs to.
    pub key_hash: u64,
    /// What it says.
    pub entry: E,
}

/// What waits for, and is under way to, each core. The own core's row stays empty.
#[derive(Debug)]
pub(super) struct EntryLanes<E> {
    lanes: Vec<Lane<E>>,
    /// A batch may be ready: nobody has looked since something came.
    may_have_batch: bool,
    waiting_max: usize,
}

#[derive(Debug)]
struct Lane<E> {
    waiting: Vec<KeyedEntry<E>>,
    /// The vector of the last batch that was acknowledged.
    spare: Vec<KeyedEntry<E>>,
    is_under_way: bool,
    /// The core has asked for our word: it goes with the next batch, behind all that waits now.
    owes_word: bool,
}

impl<E> EntryLanes<E> {
    pub(super) fn new(cores: u16, waiting_max: usize) -> Self {
        let lane = |_| Lane {
            waiting: Vec::new(),
            spare: Vec::new(),
            is_under_way: false,
            owes_word: false,
        };
        Self {
            lanes: (0..cores).map(lane).collect(),
            may_have_batch: false,
            waiting_max,
        }
    }

    /// Puts an entry behind the others for `home`. `false`: as many wait there as may, and the entry is lost.
    pub(super) fn put(&mut self, home: CoreIndex, entry: KeyedEntry<E>) -> bool {
        let lane = &mut self.lanes[home.as_usize()];
        let fits = lane.waiting.len() < self.waiting_max;
        if fits {
            self.may_have_batch = true;
            lane.waiting.push(entry);
        }
        fits
    }

    /// Entries that wait, for all cores together.
    pub(super) fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting.len()).sum()
    }

    /// A core wants to know when all that waits for it now is there.
    pub(super) fn owe_word(&mut self, core: CoreIndex) {
        if let Some(lane) = self.lanes.get_mut(core.as_usize()) {
            self.may_have_batch = true;
            lane.owes_word = true;
        }
    }

    /// Whether it is worth looking for the next batch.
    #[inline]
    pub(super) const fn may_have_batch(&self) -> bool {
        self.may_have_batch
    }

    /// The next batch to send, and whether it brings our word with it; `None` when nothing waits for a core that is done with
    /// its last one.
    pub(super) fn next_batch(&mut self) -> Option<(CoreIndex, Vec<KeyedEntry<E>>, bool)> {
        let is_due = |(_, lane): &(u16, &mut Lane<E>)| {
            !lane.is_under_way && (lane.owes_word || !lane.waiting.is_empty())
        };
        let Some((core, lane)) = (0_u16..).zip(&mut self.lanes).find(is_due) else {
            self.may_have_batch = false;
            return None;
        };
        lane.is_under_way = true;
        let batch = std::mem::replace(&mut lane.waiting, std::mem::take(&mut lane.spare));
        Some((CoreIndex(core), batch, std::mem::take(&mut lane.owes_word)))
    }

    /// A core has taken its batch in; the vector comes back.
    pub(super) fn taken(&mut self, core: CoreIndex, mut batch: Vec<KeyedEntry<E>>) {
        if let Some(lane) = self.lanes.get_mut(core.as_usize()) {
            batch.clear();
            lane.spare = batch;
            lane.is_under_way = false;
            self.may_have_batch = true;
        }
    }

    /// A batch found no way, which is so when its core is gone: it waits, with the rest, for [`Self::forget_core`].
    pub(super) fn came_back(&mut self, core: CoreIndex, mut batch: Vec<KeyedEntry<E>>) {
        if let Some(lane) = self.lanes.get_mut(core.as_usize()) {
            batch.append(&mut lane.waiting);
            batch.truncate(self.waiting_max);
            lane.waiting = batch;
        }
    }

    /// A core is gone: what waited for it, to be put again for its new home.
    pub(super) fn forget_core(&mut self, core: CoreIndex) -> Vec<KeyedEntry<E>> {
        let Some(lane) = self.lanes.get_mut(core.as_usize()) else {
            return Vec::new();
        };
        (lane.is_under_way, lane.owes_word) = (false, false);
        self.may_have_batch = true;
        std::mem::take(&mut lane.waiting)
    }

    /// Panics where a bound does not hold; for debug builds.
    pub(super) fn check_invariants(&self) {
        assert!(
            self.lanes
                .iter()
                .all(|lane| lane.waiting.len() <= self.waiting_max && lane.spare.is_empty()),
            "entries within their bound"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOME: CoreIndex = CoreIndex(1);

    fn keyed(entry: u32) -> KeyedEntry<u32> {
        KeyedEntry {
            key_hash: u64::from(entry) << 32,
            entry,
        }
    }

    /// Goal: what waits is bounded; a lost entry is told of.
    #[test]
    fn what_waits_is_bounded() {
        let mut lanes = EntryLanes::new(2, 4);
        let kept = (0..6).filter(|entry| lanes.put(HOME, keyed(*entry))).count();
        assert_eq!((kept, lanes.waiting()), (4, 4));
        let (core, batch, _) = lanes.next_batch().unwrap();
        assert_eq!((core, batch.len(), lanes.waiting()), (HOME, 4, 0));
        assert!(
            lanes.put(HOME, keyed(9)),
            "room again while the batch is under way"
        );
        assert!(lanes.next_batch().is_none(), "one batch at a time");
        lanes.taken(HOME, batch);
        assert_eq!(lanes.next_batch().unwrap().1, [keyed(9)]);
        lanes.put(HOME, keyed(10));
        lanes.came_back(HOME, vec![keyed(9)]);
        assert!(lanes.next_batch().is_none(), "not again to a core that is gone");
        assert_eq!(
            lanes.forget_core(HOME),
            [keyed(9), keyed(10)],
            "what never left can go elsewhere"
        );
    }

    /// Goal: a word comes behind every entry that was put before it was asked for, also those of a batch that is under way,
    /// and once.
    #[test]
    fn a_word_comes_behind_what_was_put_before() {
        let mut lanes = EntryLanes::new(2, 4);
        lanes.put(HOME, keyed(1));
        let (_, first, is_word) = lanes.next_batch().unwrap();
        assert!(!is_word);
        lanes.put(HOME, keyed(2));
        lanes.owe_word(HOME);
        assert!(lanes.next_batch().is_none(), "the first batch is still under way");
        lanes.taken(HOME, first);
        let (_, second, is_word) = lanes.next_batch().unwrap();
        assert_eq!((&second[..], is_word), (&[keyed(2)][..], true));
        lanes.taken(HOME, second);
        assert!(lanes.next_batch().is_none());
        lanes.owe_word(HOME);
        assert!(
            lanes
                .next_batch()
                .is_some_and(|(_, empty, is_word)| empty.is_empty() && is_word)
        );
    }

    proptest! {
        /// Goal: every entry that was taken on arrives once and in order, whatever the rhythm of batches and
        /// acknowledgements. Method: random puts and turns against a plain list.
        #[test]
        fn entries_arrive_once_and_in_order(steps in proptest::collection::vec(0_u8..3, 1..300)) {
            let mut lanes = EntryLanes::new(2, 16);
            let (mut put, mut arrived, mut under_way) = (Vec::new(), Vec::new(), None);
            let deliver = |lanes: &mut EntryLanes<u32>, arrived: &mut Vec<u32>, batch: Vec<KeyedEntry<u32>>| {
                arrived.extend(batch.iter().map(|keyed| keyed.entry));
                lanes.taken(HOME, batch);
            };
            for (number, step) in (0_u32..).zip(steps) {
                match step {
                    0 if lanes.put(HOME, keyed(number)) => put.push(number),
                    1 if under_way.is_none() => under_way = lanes.next_batch().map(|(_, batch, _)| batch),
                    2 => if let Some(batch) = under_way.take() { deliver(&mut lanes, &mut arrived, batch) },
                    _ => {}
                }
                lanes.check_invariants();
            }
            if let Some(batch) = under_way { deliver(&mut lanes, &mut arrived, batch); }
            while let Some((_, batch, _)) = lanes.next_batch() { deliver(&mut lanes, &mut arrived, batch); }
            prop_assert_eq!(arrived, put);
        }
    }
}
