//! Which account may claim what, by the configuration.
//!
//! Built once for all cores. It lets a session claim all that its account may have without an entry for each range: a range
//! that is a plain literal and that one account alone may claim needs none; only the others (expressions, and what several
//! accounts share) are claimed one by one, so that all who claim the same take turns in one pool.

use super::address_range::{AddressRange, RangeKind};
use super::index::RangeIndex;
use super::literal_index::LiteralRank;
use crate::core::settings::ClientIndex;
use ahash::RandomState;
use std::collections::HashMap;

/// All ranges that the accounts of a vserver may claim, with those accounts.
#[derive(Debug)]
pub struct AllowedIndex {
    ranges: RangeIndex<PackedHolders>,
    /// The accounts of ranges that several may claim.
    shared: Vec<Vec<ClientIndex>>,
    /// What an account that claims everything it may claims one by one.
    apart: HashMap<ClientIndex, Vec<AddressRange>, RandomState>,
}

/// Who may claim a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holders {
    One(ClientIndex),
    /// A place in `shared`.
    Several(u32),
}

/// The same in four octets, so that an entry of the index takes sixteen and lies in one cache line.
#[derive(Clone, Copy, Debug)]
struct PackedHolders(u32);

impl PackedHolders {
    const SEVERAL: u32 = 1 << 31;

    const fn new(holders: Holders) -> Self {
        match holders {
            Holders::One(client) => Self(client.0),
            Holders::Several(place) => Self(place | Self::SEVERAL),
        }
    }

    #[inline]
    const fn unpack(self) -> Holders {
        if self.0 & Self::SEVERAL == 0 {
            Holders::One(ClientIndex(self.0))
        } else {
            Holders::Several(self.0 & !Self::SEVERAL)
        }
    }
}

impl AllowedIndex {
    /// Gathers ranges and who may claim them; repeats cost nothing. `seed` is a random number from outside.
    pub fn new<'a>(
        seed: u64,
        grants: impl IntoIterator<Item = (ClientIndex, &'a AddressRange)> + Clone,
    ) -> Self {
        let mut index = Self {
            ranges: RangeIndex::new(seed),
            shared: Vec::new(),
            apart: HashMap::with_hasher(RandomState::with_seeds(seed, 4, 5, 6)),
        };
        // An empty configured range grants nothing that could be claimed.
        let is_named = |(_, range): &(ClientIndex, &AddressRange)| range.kind() != RangeKind::Empty;
        for (client, range) in grants.clone().into_iter().filter(is_named) {
            index.grant(client, range);
        }
        for (client, range) in grants.into_iter().filter(is_named) {
            if index.only_holder(range).is_none() {
                index.apart.entry(client).or_default().push(range.clone());
            }
        }
        for ranges in index.apart.values_mut() {
            ranges.sort_unstable_by(|one, other| one.text().cmp(other.text()));
            ranges.dedup();
        }
        index
    }

    fn grant(&mut self, client: ClientIndex, range: &AddressRange) {
        let holders = match self.holders(range) {
            None => Holders::One(client),
            Some(Holders::One(other)) if other == client => return,
            Some(Holders::One(other)) => {
                self.shared.push(vec![other, client]);
                Holders::Several(u32::try_from(self.shared.len() - 1).unwrap_or(u32::MAX))
            }
            Some(Holders::Several(place)) => {
                if let Some(clients) = self.shared.get_mut(place as usize)
                    && !clients.contains(&client)
                {
                    clients.push(client);
                }
                return;
            }
        };
        self.ranges.insert(0, 0, range, PackedHolders::new(holders));
    }

    fn holders(&self, range: &AddressRange) -> Option<Holders> {
        self.ranges.value(0, 0, range).map(PackedHolders::unpack)
    }

    /// Whether some account may claim `address`, whatever its TON and NPI.
    pub fn may_be_claimed(&self, address: &[u8]) -> bool {
        self.ranges.best(0, 0, address).is_some()
    }

    /// Whether an account may claim just this range, not only one that it is a part of.
    pub(in crate::core) fn may_claim(&self, client: ClientIndex, range: &AddressRange) -> bool {
        match self.holders(range) {
            Some(Holders::One(holder)) => holder == client,
            Some(Holders::Several(place)) => {
                let clients = self.shared.get(place as usize);
                clients.is_some_and(|clients| clients.contains(&client))
            }
            None => false,
        }
    }

    /// The account that alone may claim a literal range.
    pub(in crate::core) fn only_holder(&self, range: &AddressRange) -> Option<ClientIndex> {
        range.literal_rank()?;
        match self.holders(range)? {
            Holders::One(client) => Some(client),
            Holders::Several(_) => None,
        }
    }

    /// What a session that claims all that its account may have claims one by one.
    pub(in crate::core) fn apart(&self, client: ClientIndex) -> &[AddressRange] {
        self.apart.get(&client).map_or(&[], Vec::as_slice)
    }

    /// What `found` makes of an account that may claim the most specific literal range which holds `address`, of those accounts
    /// of which it makes something. A range of several is there for the moment in which it has just become one.
    #[inline]
    pub(in crate::core) fn best_holder<R>(
        &self,
        address: &[u8],
        mut found: impl FnMut(ClientIndex) -> Option<R>,
    ) -> Option<(LiteralRank, R)> {
        self.ranges.best_literal(0, 0, address, |holders, rank| {
            let found = match holders.unpack() {
                Holders::One(client) => found(client),
                Holders::Several(place) => {
                    let clients = self.shared.get(place as usize)?;
                    clients.iter().find_map(|client| found(*client))
                }
            }?;
            Some((rank, found))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        AddressRange::parse(text.as_bytes()).expect("a good range")
    }

    /// Goal: a destination may be claimed exactly when some configured range holds it; the empty range grants nothing.
    #[test]
    fn only_granted_destinations_may_be_claimed() {
        let ranges = ["888765", "^4479$", "99$", ""].map(range);
        let index = AllowedIndex::new(1, ranges.iter().map(|range| (ClientIndex(0), range)));
        for address in ["888765", "8887651", "4479", "1199"] {
            assert!(index.may_be_claimed(address.as_bytes()), "{address}");
        }
        for address in ["88876", "44791", "1", ""] {
            assert!(!index.may_be_claimed(address.as_bytes()), "{address}");
        }
    }

    /// Goal: what one account alone may claim needs no claim of its own; what several share, and expressions, do. The most
    /// specific range counts whose account is there.
    #[test]
    fn only_shared_ranges_and_expressions_are_claimed_one_by_one() {
        let grants = [
            (0, "88"),
            (1, "8887"),
            (0, "8887"),
            (1, "^888765$"),
            (1, "^888765$"),
            (1, "[12]$"),
            (1, "8887.*"),
            (1, "[12]$"),
        ]
        .map(|(client, text)| (ClientIndex(client), range(text)));
        let index = AllowedIndex::new(1, grants.iter().map(|(client, range)| (*client, range)));
        assert_eq!(index.apart(ClientIndex(0)), [range("8887")]);
        assert_eq!(index.apart(ClientIndex(1)), [range("8887"), range("[12]$")]);
        assert_eq!(index.only_holder(&range("88")), Some(ClientIndex(0)));
        assert_eq!(index.only_holder(&range("^888765$")), Some(ClientIndex(1)));
        assert_eq!(index.only_holder(&range("8887")), None);
        assert_eq!(index.only_holder(&range("[12]$")), None);
        let best = |address: &str, there: &[u32]| {
            let found = index.best_holder(address.as_bytes(), |client| {
                there.contains(&client.0).then_some(client.0)
            });
            found.map(|(_, client)| client)
        };
        assert_eq!(best("888765", &[0, 1]), Some(1));
        assert_eq!(best("888765", &[0]), Some(0));
        assert_eq!(best("8899", &[0, 1]), Some(0));
        assert_eq!(best("8899", &[1]), None);
    }
}
