//! Exact and prefix ranges: the longest literal that a destination starts with.
//!
//! A look-up asks one hash table for each length that occurs, longest first, so its cost depends on how many different
//! lengths there are and not on how many ranges. docs/decisions/0001-range-index.md has the measurements.
//!
//! Invariant: `lengths` counts exactly the entries of both tables, and holds no numbering without entries.

use super::address_range::RANGE_OCTETS_MAX;
use super::literal_table::{LiteralKey, LiteralKind, LiteralTable, PACKED_SYMBOLS_MAX, PackedLiteral};
use super::numbering::matching_numberings;
use ahash::RandomState;
use std::collections::HashMap;

/// Literals by TON, NPI and kind, with a value for each.
#[derive(Debug)]
pub(super) struct LiteralIndex<V> {
    /// Literals that can be packed: nearly all.
    packed: LiteralTable<V>,
    /// The others, by [`OtherKey`]: more than 16 characters, or letters.
    others: HashMap<Box<[u8]>, V, RandomState>,
    /// Which lengths occur, for each TON and NPI that occurs, in their order: a few as a rule.
    lengths: Vec<(Numbering, Lengths)>,
}

/// How specific a literal range is: an exact address beats every prefix, a longer prefix a shorter one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiteralRank {
    is_exact: bool,
    octets: usize,
}

impl LiteralRank {
    pub(super) const fn exact(octets: usize) -> Self {
        Self {
            is_exact: true,
            octets,
        }
    }

    pub(super) const fn prefix(octets: usize) -> Self {
        Self {
            is_exact: false,
            octets,
        }
    }
}

/// TON and NPI.
type Numbering = (u8, u8);

/// One literal.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiteralEntry<'a> {
    pub(super) addr_ton: u8,
    pub(super) addr_npi: u8,
    pub(super) kind: LiteralKind,
    pub(super) literal: &'a [u8],
}

/// How many literals there are of each length; the masks have a bit for each length that occurs.
#[derive(Debug, Default)]
struct Lengths {
    packed_prefixes: u128,
    other_prefixes: u128,
    exact_literals: u32,
    counts: Box<LengthCounts>,
}

/// Prefixes by length, `[packed, others]`.
#[derive(Debug)]
struct LengthCounts([[u32; RANGE_OCTETS_MAX + 1]; 2]);

/// Numberings that match one destination, the best first: at most four.
type Candidates<'a> = [(Numbering, &'a Lengths)];

impl<V: Copy> LiteralIndex<V> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            packed: LiteralTable::new(seed),
            others: HashMap::with_hasher(RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 1)),
            lengths: Vec::new(),
        }
    }

    pub(super) fn reserve(&mut self, literals: usize) {
        self.packed.reserve(literals);
    }

    pub(super) fn len(&self) -> usize {
        self.packed.len() + self.others.len()
    }

    pub(super) fn memory_octets(&self) -> usize {
        self.packed.memory_octets()
            + self
                .others
                .keys()
                .map(|key| 2 * key.len() + size_of::<V>())
                .sum::<usize>()
    }

    pub(super) fn insert(&mut self, entry: LiteralEntry<'_>, value: V) -> Option<V> {
        let packed = entry.packed();
        let old = match packed {
            Some(key) => self.packed.insert(key, value),
            None => {
                let mut buffer = OtherKey::default();
                self.others.insert(buffer.of(entry).into(), value)
            }
        };
        if old.is_none() {
            let numbering = (entry.addr_ton, entry.addr_npi);
            let at = self.lengths_at(numbering).unwrap_or_else(|at| {
                self.lengths.insert(at, (numbering, Lengths::default()));
                at
            });
            self.lengths[at].1.add(entry, packed.is_some());
        }
        old
    }

    pub(super) fn remove(&mut self, entry: LiteralEntry<'_>) -> Option<V> {
        let packed = entry.packed();
        let old = match packed {
            Some(key) => self.packed.remove(&key),
            None => self.others.remove(OtherKey::default().of(entry)),
        }?;
        let numbering = (entry.addr_ton, entry.addr_npi);
        if let Ok(at) = self.lengths_at(numbering) {
            let lengths = &mut self.lengths[at].1;
            lengths.take_out(entry, packed.is_some());
            if lengths.is_empty() {
                self.lengths.remove(at);
            }
        }
        Some(old)
    }

    pub(super) fn get(&self, entry: LiteralEntry<'_>) -> Option<V> {
        match entry.packed() {
            Some(key) => self.packed.get(&key),
            None => self.others.get(OtherKey::default().of(entry)).copied(),
        }
    }

    /// The value of the exact literal, or else of the longest prefix of `address`; between equal literals the TON and NPI
    /// decide as [`matching_numberings`] says.
    #[inline]
    pub(super) fn best(&self, dest_ton: u8, dest_npi: u8, address: &[u8]) -> Option<V> {
        self.best_of(dest_ton, dest_npi, address, |value, _| Some(value))
    }

    /// The same among those values that `accept` makes something of; it is told how long the literal is.
    #[inline]
    pub(super) fn best_of<R>(
        &self,
        dest_ton: u8,
        dest_npi: u8,
        address: &[u8],
        accept: impl FnMut(V, LiteralRank) -> Option<R>,
    ) -> Option<R> {
        match self.lengths.as_slice() {
            [] => None,
            // The common case: nobody claims ranges of one numbering plan only.
            [((0, 0), lengths)] => self.best_among(&[((0, 0), lengths)], address, accept),
            _ => self.best_of_several(dest_ton, dest_npi, address, accept),
        }
    }

    #[inline(never)]
    fn best_of_several<R>(
        &self,
        dest_ton: u8,
        dest_npi: u8,
        address: &[u8],
        accept: impl FnMut(V, LiteralRank) -> Option<R>,
    ) -> Option<R> {
        let mut candidates = [((0, 0), &self.lengths.first()?.1); 4];
        let mut count = 0;
        for numbering in matching_numberings(dest_ton, dest_npi) {
            if let Ok(at) = self.lengths_at(numbering) {
                candidates[count] = (numbering, &self.lengths[at].1);
                count += 1;
            }
        }
        self.best_among(&candidates[..count], address, accept)
    }

    #[inline(always)]
    fn best_among<R>(
        &self,
        candidates: &Candidates<'_>,
        address: &[u8],
        mut accept: impl FnMut(V, LiteralRank) -> Option<R>,
    ) -> Option<R> {
        self.best_exact(candidates, address, &mut accept)
            .or_else(|| self.best_prefix(candidates, address, &mut accept))
    }

    /// Where a numbering's lengths stand, or else where they belong.
    fn lengths_at(&self, numbering: Numbering) -> Result<usize, usize> {
        self.lengths
            .binary_search_by_key(&numbering, |(numbering, _)| *numbering)
    }

    #[inline(always)]
    fn best_exact<R>(
        &self,
        candidates: &Candidates<'_>,
        address: &[u8],
        accept: &mut impl FnMut(V, LiteralRank) -> Option<R>,
    ) -> Option<R> {
        if address.len() > RANGE_OCTETS_MAX {
            return None;
        }
        let with_exact = candidates
            .iter()
            .filter(|(_, lengths)| lengths.exact_literals > 0);
        with_exact.into_iter().find_map(|((addr_ton, addr_npi), _)| {
            let value = self.get(LiteralEntry {
                addr_ton: *addr_ton,
                addr_npi: *addr_npi,
                kind: LiteralKind::Exact,
                literal: address,
            })?;
            accept(value, LiteralRank::exact(address.len()))
        })
    }

    #[inline(always)]
    fn best_prefix<R>(
        &self,
        candidates: &Candidates<'_>,
        address: &[u8],
        accept: &mut impl FnMut(V, LiteralRank) -> Option<R>,
    ) -> Option<R> {
        let (packed, packed_octets) = PackedLiteral::pack_front(address);
        let packed_lengths = lengths_up_to(packed_octets);
        let all_lengths = lengths_up_to(address.len());
        let mut wanted = 0;
        for (_, lengths) in candidates {
            wanted |= lengths.packed_prefixes & packed_lengths | lengths.other_prefixes & all_lengths;
        }
        while wanted != 0 {
            let octets = wanted.ilog2() as usize;
            wanted ^= 1 << octets;
            for ((addr_ton, addr_npi), lengths) in candidates {
                if octets <= packed_octets && lengths.packed_prefixes >> octets & 1 == 1 {
                    let key = LiteralKey {
                        literal: packed.front(octets),
                        addr_ton: *addr_ton,
                        addr_npi: *addr_npi,
                        kind: LiteralKind::Prefix,
                    };
                    if let Some(value) = self.packed.get(&key)
                        && let Some(accepted) = accept(value, LiteralRank::prefix(octets))
                    {
                        return Some(accepted);
                    }
                }
                if lengths.other_prefixes >> octets & 1 == 1
                    && let Some(value) = self.other_prefix(*addr_ton, *addr_npi, &address[..octets])
                    && let Some(accepted) = accept(value, LiteralRank::prefix(octets))
                {
                    return Some(accepted);
                }
            }
        }
        None
    }

    #[cold]
    fn other_prefix(&self, addr_ton: u8, addr_npi: u8, literal: &[u8]) -> Option<V> {
        let entry = LiteralEntry {
            addr_ton,
            addr_npi,
            kind: LiteralKind::Prefix,
            literal,
        };
        self.others.get(OtherKey::default().of(entry)).copied()
    }
}

impl LiteralEntry<'_> {
    fn packed(&self) -> Option<LiteralKey> {
        Some(LiteralKey {
            literal: PackedLiteral::pack(self.literal)?,
            addr_ton: self.addr_ton,
            addr_npi: self.addr_npi,
            kind: self.kind,
        })
    }
}

impl Lengths {
    fn add(&mut self, entry: LiteralEntry<'_>, is_packed: bool) {
        match entry.kind {
            LiteralKind::Exact => self.exact_literals += 1,
            LiteralKind::Prefix => {
                *self.count_of(entry, is_packed) += 1;
                *self.mask_of(is_packed) |= 1 << entry.literal.len();
            }
        }
    }

    fn take_out(&mut self, entry: LiteralEntry<'_>, is_packed: bool) {
        match entry.kind {
            LiteralKind::Exact => self.exact_literals -= 1,
            LiteralKind::Prefix => {
                let count = self.count_of(entry, is_packed);
                *count -= 1;
                if *count == 0 {
                    *self.mask_of(is_packed) &= !(1 << entry.literal.len());
                }
            }
        }
    }

    const fn is_empty(&self) -> bool {
        self.packed_prefixes == 0 && self.other_prefixes == 0 && self.exact_literals == 0
    }

    fn count_of(&mut self, entry: LiteralEntry<'_>, is_packed: bool) -> &mut u32 {
        &mut self.counts.0[usize::from(!is_packed)][entry.literal.len()]
    }

    const fn mask_of(&mut self, is_packed: bool) -> &mut u128 {
        if is_packed {
            &mut self.packed_prefixes
        } else {
            &mut self.other_prefixes
        }
    }
}

impl Default for LengthCounts {
    fn default() -> Self {
        Self([[0; RANGE_OCTETS_MAX + 1]; 2])
    }
}

/// The key of a literal that cannot be packed: TON, NPI, kind, then the literal; put together without an allocation.
struct OtherKey([u8; RANGE_OCTETS_MAX + 3]);

impl Default for OtherKey {
    fn default() -> Self {
        Self([0; RANGE_OCTETS_MAX + 3])
    }
}

impl OtherKey {
    /// `entry.literal` has at most [`RANGE_OCTETS_MAX`] octets.
    fn of(&mut self, entry: LiteralEntry<'_>) -> &[u8] {
        let end = 3 + entry.literal.len();
        self.0[..3].copy_from_slice(&[entry.addr_ton, entry.addr_npi, entry.kind as u8]);
        self.0[3..end].copy_from_slice(entry.literal);
        &self.0[..end]
    }
}

/// A mask of the lengths 0 to `octets`.
#[inline]
const fn lengths_up_to(octets: usize) -> u128 {
    let octets = if octets > RANGE_OCTETS_MAX {
        RANGE_OCTETS_MAX
    } else {
        octets
    };
    (2 << octets) - 1
}

const _: () = assert!(RANGE_OCTETS_MAX < 127 && PACKED_SYMBOLS_MAX <= RANGE_OCTETS_MAX);
