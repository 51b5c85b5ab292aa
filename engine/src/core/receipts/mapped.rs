//! The way back from the short ids that clients got instead of tagged ones.
//!
//! Owns the entries mapped id → (server, its own id, account) of one core, oldest first, bounded by count and age. An entry
//! takes 84 octets and its place in the index. Invariants: those of the receipt table. An entry is found by all 64 bits of
//! a keyed hash of the mapped id; where two messages share a mapped id, which takes a collision of 41 bits, the newer one
//! has it.

use super::index::Index;
use super::reading::IdText;
use super::ring::Ring;
use crate::core::settings::{ClientIndex, ServerIndex};
use crate::core::tag::MESSAGE_ID_OCTETS_MAX;
use std::time::Duration;

/// What a mapped id stands for, as it is made, sent to its home core, and kept in the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MappedEntry {
    /// Hash of the mapped id.
    pub(in crate::core) key: u64,
    pub(in crate::core) server: ServerIndex,
    /// Who may use it; `None` for a client that is no configured account (`auth = "forward"`).
    pub(in crate::core) account: Option<ClientIndex>,
    /// The server's own id.
    pub(super) id: IdText,
}

impl MappedEntry {
    /// `None`: the id is longer than any message_id may be.
    pub(in crate::core) fn new(
        key: u64,
        server: ServerIndex,
        account: Option<ClientIndex>,
        id: &[u8],
    ) -> Option<Self> {
        Some(Self {
            key,
            server,
            account,
            id: IdText::new(id)?,
        })
    }

    pub(in crate::core) fn id(&self) -> &[u8] {
        self.id.as_slice()
    }
}

impl std::fmt::Debug for MappedEntry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "MappedEntry({:?}, {})",
            self.server,
            self.id().escape_ascii()
        )
    }
}

/// No account: indices of accounts are far below.
const NO_ACCOUNT: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    key: [u32; 2],
    account: u32,
    made_at_seconds: u32,
    server: u16,
    id_octets: u8,
    id: [u8; MESSAGE_ID_OCTETS_MAX],
}

/// The mapped ids of one core.
#[derive(Debug)]
pub struct MappedIds {
    ring: Ring<Slot>,
    index: Index,
    entries_max: usize,
    age_max_seconds: u64,
    evicted: u64,
}

impl MappedIds {
    /// A table of at most `entries_max` entries, each for `age_max` at most.
    pub fn new(entries_max: u64, age_max: Duration) -> Self {
        let entries_max = usize::try_from(entries_max)
            .unwrap_or(usize::MAX)
            .clamp(1, Ring::<Slot>::ENTRIES_MAX);
        Self {
            ring: Ring::default(),
            index: Index::new(entries_max),
            entries_max,
            age_max_seconds: age_max.as_secs(),
            evicted: 0,
        }
    }

    /// Entries that it holds.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that had to leave before their age because the table was full.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Octets of memory that it takes.
    pub fn octets(&self) -> usize {
        size_of::<Self>() + self.ring.octets() + self.index.octets()
    }

    /// Adds an entry; when the table is full, the oldest leaves.
    pub fn insert(&mut self, made_at_seconds: u64, entry: &MappedEntry) {
        self.expire(made_at_seconds);
        if self.ring.len() == self.entries_max {
            self.drop_oldest();
            self.evicted += 1;
        }
        let mut slot = Slot {
            key: [(entry.key >> 32) as u32, entry.key as u32],
            account: entry.account.map_or(NO_ACCOUNT, |account| account.0),
            made_at_seconds: u32::try_from(made_at_seconds).unwrap_or(u32::MAX),
            server: entry.server.0,
            id_octets: 0,
            id: [0; MESSAGE_ID_OCTETS_MAX],
        };
        let id = entry.id();
        slot.id[..id.len()].copy_from_slice(id);
        slot.id_octets = u8::try_from(id.len()).unwrap_or(0);
        let position = self.ring.push(slot);
        self.index.insert(entry.key, position);
    }

    /// What a mapped id stands for, and whose it is.
    pub(in crate::core) fn find(&mut self, now_seconds: u64, key: u64) -> Option<MappedEntry> {
        self.expire(now_seconds);
        let newest = self
            .index
            .candidates(key)
            .filter_map(|position| self.ring.get(position))
            .filter(|slot| slot.key() == key)
            .max_by_key(|slot| slot.made_at_seconds)?;
        let account = (newest.account != NO_ACCOUNT).then_some(ClientIndex(newest.account));
        let id = newest.id.get(..usize::from(newest.id_octets))?;
        MappedEntry::new(key, ServerIndex(newest.server), account, id)
    }

    /// Lets entries leave whose age is over.
    pub fn expire(&mut self, now_seconds: u64) {
        let age_max_seconds = self.age_max_seconds;
        let is_over = |slot: &Slot| u64::from(slot.made_at_seconds) + age_max_seconds < now_seconds;
        while self.ring.front().is_some_and(|(_, slot)| is_over(slot)) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((position, slot)) = self.ring.front() {
            let was_there = self.index.remove(slot.key(), position);
            debug_assert!(was_there, "every entry has its place in the index");
            self.ring.drop_front();
        }
    }
}

impl Slot {
    fn key(&self) -> u64 {
        u64::from(self.key[0]) << 32 | u64::from(self.key[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        /// Goal: a mapped id leads to what it was made for last, until that is too old or too many came after it.
        #[test]
        fn it_is_a_bounded_map(entries_max in 1_usize..20, age_max in 1_u64..30, steps in vec((0_u64..12, any::<bool>(), 0_u64..4), 1..150)) {
            let mut ids = MappedIds::new(entries_max as u64, Duration::from_secs(age_max));
            let mut model: Vec<(u64, u64, String)> = Vec::new();
            let mut now = 1_700_000_000;
            for (number, (key, is_insert, wait)) in steps.into_iter().enumerate() {
                now += 1 + wait;
                model.retain(|(made_at, ..)| made_at + age_max >= now);
                if is_insert {
                    let id = format!("{number}");
                    let entry = MappedEntry::new(key, ServerIndex(1), Some(ClientIndex(2)), id.as_bytes()).expect("short");
                    ids.insert(now, &entry);
                    if model.len() == entries_max {
                        model.remove(0);
                    }
                    model.push((now, key, id));
                } else {
                    let found = ids.find(now, key).map(|entry| entry.id().to_vec());
                    let expected = model.iter().rev().find(|(_, other, _)| *other == key);
                    prop_assert_eq!(found, expected.map(|(.., id)| id.as_bytes().to_vec()));
                    prop_assert_eq!(ids.len(), model.len());
                }
            }
        }
    }
}
