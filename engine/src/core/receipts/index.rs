//! From a hash to the positions of the entries that have it.
//!
//! A fixed number of small segments, chosen by the hash's upper bits; in each the next 16 bits, sorted, with the positions
//! beside them. Six octets an entry and nothing that is free but a little slack: a segment grows by an eighth, which moves
//! a few kibibytes, so no insertion ever has to move the whole. Invariants: a segment's tags are sorted; tags and
//! positions are of the same length. What it finds are candidates: the caller compares the entry's own hash.

/// Entries of a segment when the index is as full as it may be.
const SEGMENT_ENTRIES: usize = 512;
const TAG_BITS: u32 = u16::BITS;

/// The index.
#[derive(Debug)]
pub(super) struct Index {
    segments: Box<[Segment]>,
    /// log2 of their number.
    segment_bits: u32,
}

#[derive(Clone, Debug, Default)]
struct Segment {
    tags: Vec<u16>,
    positions: Vec<u32>,
}

impl Index {
    /// An index for about `entries_max` entries. Without any it takes 48 octets for every 512 of these.
    pub(super) fn new(entries_max: usize) -> Self {
        let segments = entries_max.div_ceil(SEGMENT_ENTRIES).next_power_of_two();
        Self {
            segments: vec![Segment::default(); segments].into(),
            segment_bits: segments.trailing_zeros(),
        }
    }

    pub(super) fn insert(&mut self, hash: u64, position: u32) {
        let (segment, tag) = self.place(hash);
        let segment = &mut self.segments[segment];
        let at = segment.first_of(tag);
        if segment.tags.len() == segment.tags.capacity() {
            let more = segment.tags.len() / 8 + 4;
            segment.tags.reserve_exact(more);
            segment.positions.reserve_exact(more);
        }
        segment.tags.insert(at, tag);
        segment.positions.insert(at, position);
    }

    /// Takes out the pair; `false` when it is not there.
    pub(super) fn remove(&mut self, hash: u64, position: u32) -> bool {
        let (segment, tag) = self.place(hash);
        let segment = &mut self.segments[segment];
        let from = segment.first_of(tag);
        let found = (from..segment.tags.len())
            .take_while(|at| segment.tags[*at] == tag)
            .find(|at| segment.positions[*at] == position);
        let Some(at) = found else { return false };
        segment.tags.remove(at);
        segment.positions.remove(at);
        true
    }

    /// Positions of entries that may have this hash.
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let (segment, tag) = self.place(hash);
        let segment = &self.segments[segment];
        let from = segment.first_of(tag);
        (from..segment.tags.len())
            .take_while(move |at| segment.tags[*at] == tag)
            .map(|at| segment.positions[at])
    }

    /// Octets of memory.
    pub(super) fn octets(&self) -> usize {
        let lists: usize = self
            .segments
            .iter()
            .map(|segment| {
                segment.tags.capacity() * size_of::<u16>() + segment.positions.capacity() * size_of::<u32>()
            })
            .sum();
        lists + self.segments.len() * size_of::<Segment>()
    }

    fn place(&self, hash: u64) -> (usize, u16) {
        let rest = hash.checked_shl(self.segment_bits).unwrap_or(0);
        let segment = hash.checked_shr(u64::BITS - self.segment_bits).unwrap_or(0);
        (segment as usize, (rest >> (u64::BITS - TAG_BITS)) as u16)
    }
}

impl Segment {
    /// Where the first tag that is not smaller stands. Tags are spread evenly, so it is near where its share of the range
    /// says; from there it is a few steps.
    fn first_of(&self, tag: u16) -> usize {
        let mut at = (self.tags.len() * usize::from(tag)) >> TAG_BITS;
        while at > 0 && self.tags[at - 1] >= tag {
            at -= 1;
        }
        while at < self.tags.len() && self.tags[at] < tag {
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Goal: the index holds exactly the pairs that were put in and not taken out, also where hashes, or their used
        /// bits, are equal.
        #[test]
        fn it_holds_what_was_put_in(
            entries_max in prop_oneof![Just(0_usize), Just(1), Just(5_000)],
            steps in vec((any::<bool>(), 0_u64..40, any::<bool>(), 0_u32..30), 0..400),
        ) {
            let mut index = Index::new(entries_max);
            let mut model = BTreeSet::new();
            let hash = |low: u64, spread: bool| if spread { low.wrapping_mul(0x9E37_79B9_7F4A_7C15) } else { low };
            for (insert, low, spread, position) in steps {
                let hash = hash(low, spread);
                if insert {
                    if model.insert((hash, position)) {
                        index.insert(hash, position);
                    }
                } else if model.remove(&(hash, position)) {
                    prop_assert!(index.remove(hash, position));
                }
            }
            for (hash, position) in &model {
                prop_assert!(index.candidates(*hash).any(|found| found == *position));
            }
            let held: usize = index.segments.iter().map(|segment| segment.tags.len()).sum();
            prop_assert_eq!(held, model.len());
            for segment in &index.segments {
                prop_assert!(segment.tags.is_sorted() && segment.tags.len() == segment.positions.len());
            }
        }
    }
}
