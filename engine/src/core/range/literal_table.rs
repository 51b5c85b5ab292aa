//! A hash table of literals, for short digit strings: open addressing, linear probing, one cache line for most look-ups.
//!
//! Invariants: at most three quarters of the slots are taken; between an entry's home slot and its slot no slot is free;
//! an entry's home depends on its whole key, TON, NPI and kind included, so that nobody can pile entries up on one slot
//! without knowing the seed. Must never allocate outside of `insert`.

/// Symbols of a literal that fits into a [`PackedLiteral`].
pub(super) const PACKED_SYMBOLS_MAX: usize = 16;

const BITS_OF_A_SYMBOL: usize = 4;

const SLOTS_MIN: usize = 8;

/// Up to 16 characters `0`-`9`, `+`, `*`, `#`, four bits each, the first one on top; 0 is behind the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedLiteral(u64);

impl PackedLiteral {
    /// Packs the front of `text` as far as it can be packed; gives how many octets that are.
    #[inline]
    pub(super) fn pack_front(text: &[u8]) -> (Self, usize) {
        let mut packed = 0;
        let mut octets = 0;
        while octets < PACKED_SYMBOLS_MAX
            && let Some(digits) = text[octets..].first_chunk().copied().and_then(pack_digits)
        {
            packed = packed << (DIGITS_AT_ONCE * BITS_OF_A_SYMBOL) | digits;
            octets += DIGITS_AT_ONCE;
        }
        for octet in text[octets..].iter().take(PACKED_SYMBOLS_MAX - octets) {
            let symbol = match octet {
                b'0'..=b'9' => u64::from(octet - b'0') + 1,
                b'+' => 11,
                b'*' => 12,
                b'#' => 13,
                _ => break,
            };
            packed = packed << BITS_OF_A_SYMBOL | symbol;
            octets += 1;
        }
        (Self(packed).shifted_to_top(octets), octets)
    }

    /// Packs a literal; `None` when it is too long or has other characters.
    pub(super) fn pack(literal: &[u8]) -> Option<Self> {
        let (packed, octets) = Self::pack_front(literal);
        (octets == literal.len()).then_some(packed)
    }

    /// Its first `octets` symbols, at most 16.
    #[inline]
    pub(super) fn front(self, octets: usize) -> Self {
        let cut_bits = (PACKED_SYMBOLS_MAX - octets) * BITS_OF_A_SYMBOL;
        Self((self.0).checked_shr(cut_bits as u32).unwrap_or(0)).shifted_to_top(octets)
    }

    #[inline]
    fn shifted_to_top(self, octets: usize) -> Self {
        let free_bits = (PACKED_SYMBOLS_MAX - octets) * BITS_OF_A_SYMBOL;
        Self(self.0.checked_shl(free_bits as u32).unwrap_or(0))
    }
}

const DIGITS_AT_ONCE: usize = 8;

/// Packs eight octets if all of them are digits.
#[inline]
fn pack_digits(octets: [u8; DIGITS_AT_ONCE]) -> Option<u64> {
    const HIGH_HALVES: u64 = u64::from_ne_bytes([0xF0; DIGITS_AT_ONCE]);
    const DIGITS: u64 = u64::from_ne_bytes([b'0'; DIGITS_AT_ONCE]);
    const ABOVE_NINE: u64 = u64::from_ne_bytes([6; DIGITS_AT_ONCE]);
    const ONES: u64 = u64::from_ne_bytes([1; DIGITS_AT_ONCE]);
    let word = u64::from_be_bytes(octets);
    if word & HIGH_HALVES != DIGITS || (word + ABOVE_NINE) & HIGH_HALVES != DIGITS {
        return None;
    }
    // One symbol in each octet; three steps close the gaps between them.
    let symbols = (word & !HIGH_HALVES) + ONES;
    let pairs = (symbols | symbols >> 4) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs | pairs >> 8) & 0x0000_FFFF_0000_FFFF;
    Some((fours | fours >> 16) & 0xFFFF_FFFF)
}

/// What a literal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum LiteralKind {
    Prefix = 1,
    Exact = 2,
}

/// What an entry is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LiteralKey {
    pub(super) literal: PackedLiteral,
    pub(super) addr_ton: u8,
    pub(super) addr_npi: u8,
    pub(super) kind: LiteralKind,
}

/// Entries by their literal.
#[derive(Debug)]
pub(super) struct LiteralTable<V> {
    slots: Vec<Option<Entry<V>>>,
    entries: usize,
    seeds: [u64; 2],
}

/// A [`LiteralKey`] and its value, flat: so the fields share one stretch of padding.
#[derive(Clone, Copy, Debug)]
struct Entry<V> {
    literal: PackedLiteral,
    value: V,
    addr_ton: u8,
    addr_npi: u8,
    kind: LiteralKind,
}

impl<V: Copy> Entry<V> {
    const fn new(key: LiteralKey, value: V) -> Self {
        Self {
            literal: key.literal,
            value,
            addr_ton: key.addr_ton,
            addr_npi: key.addr_npi,
            kind: key.kind,
        }
    }

    const fn key(&self) -> LiteralKey {
        LiteralKey {
            literal: self.literal,
            addr_ton: self.addr_ton,
            addr_npi: self.addr_npi,
            kind: self.kind,
        }
    }
}

impl<V: Copy> LiteralTable<V> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            entries: 0,
            seeds: [scramble(seed), scramble(!seed) | 1],
        }
    }

    /// Makes room for so many more entries.
    pub(super) fn reserve(&mut self, entries: usize) {
        let slots = slots_for(self.entries.saturating_add(entries));
        if slots > self.slots.len() {
            self.rebuild(slots);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// Memory that the table takes, in octets.
    pub(super) fn memory_octets(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Entry<V>>>()
    }

    #[inline]
    pub(super) fn get(&self, key: &LiteralKey) -> Option<V> {
        let at = self.find(key).ok()?;
        self.slots.get(at)?.as_ref().map(|entry| entry.value)
    }

    /// Adds an entry, or replaces its value and returns the old one.
    pub(super) fn insert(&mut self, key: LiteralKey, value: V) -> Option<V> {
        let mut at = match self.find(&key) {
            Ok(at) => {
                return self.slots[at]
                    .replace(Entry::new(key, value))
                    .map(|entry| entry.value);
            }
            Err(at) => at,
        };
        if slots_for(self.entries + 1) > self.slots.len() {
            self.rebuild(slots_for(self.entries + self.entries / 2 + 1));
            at = self.find(&key).unwrap_or_else(|free| free);
        }
        self.slots[at] = Some(Entry::new(key, value));
        self.entries += 1;
        None
    }

    pub(super) fn remove(&mut self, key: &LiteralKey) -> Option<V> {
        let mut free = self.find(key).ok()?;
        let removed = self.slots[free].take()?;
        self.entries -= 1;
        // Entries behind the gap move up where the gap lies between their home and their slot.
        let mut at = self.behind(free);
        while let Some(entry) = self.slots[at] {
            let home = self.home(&entry.key());
            if self.distance(home, at) >= self.distance(free, at) {
                self.slots[free] = self.slots[at].take();
                free = at;
            }
            at = self.behind(at);
        }
        Some(removed.value)
    }

    /// Where the entry stands, or else the free slot where its search ends.
    #[inline]
    fn find(&self, key: &LiteralKey) -> Result<usize, usize> {
        let mut at = self.home(key);
        while let Some(Some(entry)) = self.slots.get(at) {
            if entry.key() == *key {
                return Ok(at);
            }
            at = self.behind(at);
        }
        Err(at)
    }

    #[inline]
    fn home(&self, key: &LiteralKey) -> usize {
        let rest = u64::from_le_bytes([key.addr_ton, key.addr_npi, key.kind as u8, 0, 0, 0, 0, 0]);
        // A packed literal of digits leaves no pattern that this rotation could collide with systematically.
        let hash = folded_product(
            key.literal.0 ^ rest.rotate_left(40) ^ self.seeds[0],
            self.seeds[1],
        );
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    #[inline]
    fn behind(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.slots.len() - from
        }
    }

    fn rebuild(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![None; slots]);
        for entry in old.into_iter().flatten() {
            if let Err(free) = self.find(&entry.key()) {
                self.slots[free] = Some(entry);
            }
        }
    }
}

/// The fewest slots that hold so many entries with a quarter of them free.
const fn slots_for(entries: usize) -> usize {
    let slots = entries.saturating_add(entries / 3).saturating_add(1);
    if slots < SLOTS_MIN { SLOTS_MIN } else { slots }
}

/// Both halves of a 128-bit product: every bit of the inputs reaches every bit of the result.
#[inline]
fn folded_product(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product >> 64) as u64 ^ product as u64
}

/// Spreads a seed over all bits (the finaliser of splitmix64).
fn scramble(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Keys from a small set, so that they meet.
    fn any_key() -> impl Strategy<Value = LiteralKey> {
        ("[0-2+]{0,3}", 0_u8..2, 0_u8..2, any::<bool>()).prop_map(
            |(literal, addr_ton, addr_npi, is_exact)| LiteralKey {
                literal: PackedLiteral::pack(literal.as_bytes()).expect("it can be packed"),
                addr_ton,
                addr_npi,
                kind: if is_exact {
                    LiteralKind::Exact
                } else {
                    LiteralKind::Prefix
                },
            },
        )
    }

    proptest! {
        /// Goal: the table does what a map does, over any inserts and removes, whatever the seed.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((any_key(), any::<Option<u32>>()), 0..400), seed: u64) {
            let mut table = LiteralTable::new(seed);
            let mut model = HashMap::new();
            for (key, value) in steps {
                let name = (key.literal.0, key.addr_ton, key.addr_npi, key.kind as u8);
                match value {
                    Some(value) => prop_assert_eq!(table.insert(key, value), model.insert(name, value)),
                    None => prop_assert_eq!(table.remove(&key), model.remove(&name)),
                }
                prop_assert_eq!(table.get(&key), model.get(&name).copied());
                prop_assert_eq!(table.len(), model.len());
            }
        }

        /// Goal: packing keeps literals apart, and a front of a packed text is the packed front of the text.
        #[test]
        fn packing_keeps_the_literal(left in "[0-9+*#]{0,16}", right in "[0-9+*#]{0,16}", behind in "[a-z]?[0-9]{0,8}") {
            let pack = |text: &str| PackedLiteral::pack(text.as_bytes());
            prop_assert_eq!(pack(&left) == pack(&right), left == right);
            let text = format!("{left}{behind}");
            let (packed, octets) = PackedLiteral::pack_front(text.as_bytes());
            for octets in 0..=octets {
                prop_assert_eq!(Some(packed.front(octets)), pack(&text[..octets]));
            }
            prop_assert_eq!(pack(&text).is_some(), octets == text.len());
        }
    }

    /// Goal: a search looks at as many slots with a hundred thousand entries as with a hundred, whether it finds something
    /// or not; even digits in a row, the worst pattern for a weak hash. Method: counts slots, so that no clock is asked.
    #[test]
    fn searches_stay_short() {
        for entries in [100_usize, 100_000] {
            let mut table = LiteralTable::new(42);
            let key = |number: usize| LiteralKey {
                literal: PackedLiteral::pack(number.to_string().as_bytes()).expect("it can be packed"),
                addr_ton: 1,
                addr_npi: 1,
                kind: LiteralKind::Prefix,
            };
            (0..entries)
                .for_each(|number| assert_eq!(table.insert(key(447_900_000_000 + number), number), None));
            let slots_seen = |number: usize| {
                let (Ok(end) | Err(end)) = table.find(&key(number));
                1 + table.distance(table.home(&key(number)), end)
            };
            let hits: usize = (0..entries)
                .map(|number| slots_seen(447_900_000_000 + number))
                .sum();
            let misses: usize = (0..entries)
                .map(|number| slots_seen(447_800_000_000 + number))
                .sum();
            // Three quarters full, linear probing is expected to look at 2.5 slots for a hit and 8.5 for a miss at worst.
            assert!(
                hits <= 3 * entries && misses <= 10 * entries,
                "{entries}: {hits}, {misses}"
            );
            assert!(table.memory_octets() <= 64 * entries, "{}", table.memory_octets());
        }
    }

    /// Goal: an entry with a value of four octets takes sixteen, as the memory figures assume.
    #[test]
    fn a_slot_takes_sixteen_octets() {
        assert_eq!(size_of::<Option<Entry<u32>>>(), 16);
    }
}
