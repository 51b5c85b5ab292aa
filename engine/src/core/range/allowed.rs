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

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a destination may be claimed exactly when some configured range holds it; the empty range grants nothing.
    #[test]
    fn only_granted_destinations_may_be_claimed() {
        let texts = ["888765", "^4479$", "99$", ""];
        let ranges = texts.map(|text| AddressRange::parse(text.as_bytes()).expect("a good range"));
        let index = AllowedIndex::new(1, &ranges);
        for address in ["888765", "8887651", "4479", "1199"] {
            assert!(index.may_be_claimed(address.as_bytes()), "{address}");
        }
        for address in ["88876", "44791", "1", ""] {
            assert!(!index.may_be_claimed(address.as_bytes()), "{address}");
        }
    }
}
