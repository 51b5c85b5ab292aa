//! Whether any configured account may claim a destination.

use super::address_range::{AddressRange, RangeKind};
use super::index::RangeIndex;

/// All ranges that the accounts of a vserver may claim: a destination outside is refused at once with ESME_RINVDSTADR.
///
/// Built once from the configuration and read by all cores.
#[derive(Debug)]
pub struct AllowedIndex {
    ranges: RangeIndex<()>,
}

impl AllowedIndex {
    /// Gathers ranges; repeats cost nothing. `seed` is a random number from outside.
    pub fn new<'a>(seed: u64, ranges: impl IntoIterator<Item = &'a AddressRange>) -> Self {
        let mut index = RangeIndex::new(seed);
        for range in ranges {
            // An empty configured range grants nothing that could be claimed.
            if range.kind() != RangeKind::Empty {
                index.insert(0, 0, range, ());
            }
        }
        Self { ranges: index }
    }

    /// Whether some account may claim `address`, whatever its TON and NPI.
    pub fn may_be_claimed(&self, address: &[u8]) -> bool {
        self.ranges.best(0, 0, address).is_some()
    }
}
