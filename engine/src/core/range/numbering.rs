//! Values by TON and NPI, for one range: the small part of the look-up that is about numbering plans.

use std::collections::BTreeMap;

/// The TON and NPI pairs of a range that match a destination's, the best first: both equal, then the equal TON, then the
/// equal NPI, then neither. 0 in a range matches every value of a destination (SMPP v3.4 section 4.1.1, "set to NULL").
#[inline]
pub(super) fn matching_numberings(dest_ton: u8, dest_npi: u8) -> impl Iterator<Item = (u8, u8)> {
    let pairs = [(dest_ton, dest_npi), (dest_ton, 0), (0, dest_npi), (0, 0)];
    // A destination's own 0 is both the equal value and the one that matches all: once is enough.
    let wanted = [true, dest_npi != 0, dest_ton != 0, dest_ton != 0 && dest_npi != 0];
    pairs
        .into_iter()
        .zip(wanted)
        .filter_map(|(pair, wanted)| wanted.then_some(pair))
}

/// Values by TON and NPI.
#[derive(Debug)]
pub(in crate::core) struct NumberingMap<V> {
    values: BTreeMap<(u8, u8), V>,
}

impl<V: Copy> NumberingMap<V> {
    pub(in crate::core) const fn new() -> Self {
        Self {
            values: BTreeMap::new(),
        }
    }

    pub(in crate::core) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(in crate::core) fn len(&self) -> usize {
        self.values.len()
    }

    pub(in crate::core) fn insert(&mut self, addr_ton: u8, addr_npi: u8, value: V) -> Option<V> {
        self.values.insert((addr_ton, addr_npi), value)
    }

    pub(in crate::core) fn remove(&mut self, addr_ton: u8, addr_npi: u8) -> Option<V> {
        self.values.remove(&(addr_ton, addr_npi))
    }

    pub(in crate::core) fn get(&self, addr_ton: u8, addr_npi: u8) -> Option<V> {
        self.values.get(&(addr_ton, addr_npi)).copied()
    }

    /// The value that matches a destination best.
    pub(in crate::core) fn best(&self, dest_ton: u8, dest_npi: u8) -> Option<V> {
        if self.values.is_empty() {
            return None;
        }
        matching_numberings(dest_ton, dest_npi).find_map(|(ton, npi)| self.get(ton, npi))
    }
}
