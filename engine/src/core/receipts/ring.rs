//! Entries in the order of their arrival: new ones at the back, the oldest leave at the front.
//!
//! Kept in blocks, so that growing moves nothing and a long line of entries that have left gives its memory back.
//! Invariants: a position names the same entry until that has left; at most one block is empty and kept for re-use.
//! Must never move an entry.

use std::collections::VecDeque;

/// Entries of one block.
const BLOCK: usize = 4096;

/// A first-in first-out line with positions.
#[derive(Debug)]
pub(super) struct Ring<T> {
    blocks: VecDeque<Vec<T>>,
    /// The position of the first entry of the first block.
    base: u32,
    /// Entries of the first block that have left.
    left: usize,
    length: usize,
    spare: Option<Vec<T>>,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            blocks: VecDeque::new(),
            base: 0,
            left: 0,
            length: 0,
            spare: None,
        }
    }
}

impl<T> Ring<T> {
    /// More entries than this would give two of them the same position.
    pub(super) const ENTRIES_MAX: usize = 1 << 30;

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Adds an entry at the back.
    pub(super) fn push(&mut self, entry: T) -> u32 {
        if self.blocks.back().is_none_or(|block| block.len() == BLOCK) {
            let block = self.spare.take();
            self.blocks
                .push_back(block.unwrap_or_else(|| Vec::with_capacity(BLOCK)));
        }
        let before = self.blocks.len() - 1;
        let block = &mut self.blocks[before];
        block.push(entry);
        let place = before * BLOCK + block.len() - 1;
        self.length += 1;
        self.base.wrapping_add(place as u32)
    }

    pub(super) fn get(&self, position: u32) -> Option<&T> {
        let place = position.wrapping_sub(self.base) as usize;
        if place < self.left {
            return None;
        }
        self.blocks.get(place / BLOCK)?.get(place % BLOCK)
    }

    /// The oldest entry and its position.
    pub(super) fn front(&self) -> Option<(u32, &T)> {
        let entry = self.blocks.front()?.get(self.left)?;
        Some((self.base.wrapping_add(self.left as u32), entry))
    }

    /// Lets the oldest entry leave.
    pub(super) fn drop_front(&mut self) {
        if self.length == 0 {
            return;
        }
        self.length -= 1;
        self.left += 1;
        if self.left == BLOCK || self.length == 0 {
            // Positions go on, also behind a block that was not full.
            if let Some(mut block) = self.blocks.pop_front() {
                self.base = self.base.wrapping_add(block.len() as u32);
                block.clear();
                self.spare = Some(block);
            }
            self.left = 0;
        }
    }

    /// Entries from the oldest on.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten().skip(self.left)
    }

    /// Octets of memory.
    pub(super) fn octets(&self) -> usize {
        let blocks: usize = self
            .blocks
            .iter()
            .chain(&self.spare)
            .map(|block| block.capacity() * size_of::<T>())
            .sum();
        blocks + self.blocks.capacity() * size_of::<Vec<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Goal: the ring is a queue whose positions stay good until their entry leaves, over block borders and over the
        /// wrap of positions. Method: against a VecDeque of (position, value).
        #[test]
        fn it_is_a_queue_with_positions(start in prop_oneof![Just(0_u32), Just(u32::MAX - 5_000)], steps in proptest::collection::vec((0_u32..6_000, 0_u32..6_000), 1..8)) {
            let mut ring = Ring { base: start, ..Ring::default() };
            let mut model = VecDeque::new();
            let mut value = 0_u64;
            for (pushes, drops) in steps {
                for _ in 0..pushes {
                    value += 1;
                    model.push_back((ring.push(value), value));
                }
                for _ in 0..drops {
                    ring.drop_front();
                    if let Some((position, _)) = model.pop_front() {
                        prop_assert_eq!(ring.get(position), None);
                    }
                }
                prop_assert_eq!(ring.len(), model.len());
                prop_assert_eq!(ring.front().map(|(position, value)| (position, *value)), model.front().copied());
                for (position, value) in &model {
                    prop_assert_eq!(ring.get(*position), Some(value));
                }
                prop_assert!(ring.iter().eq(model.iter().map(|(_, value)| value)));
            }
        }
    }
}
