//! Address ranges: which destinations a client serves.
//!
//! Owns the reading of an `address_range` (SMPP v3.4 section 5.2.7, v5.0 section 4.7.2), the question whether an account
//! that was granted one range may claim another, and the indexes that find the most specific range for a destination.
//!
//! Invariants: an [`AddressRange`] always holds a text that parses; two ranges are equal exactly when their normal forms
//! are; matching takes time linear in the address; no look-up costs more with a million prefixes than with ten, or allocates.
//!
//! Must never: judge policy (what an empty range gets is the engine's question), or normalise an address: a leading `+` is
//! a character like any other.

mod address_range;
mod allowed;
mod expression;
mod index;
mod literal_index;
mod literal_table;
mod matcher;
mod numbering;

pub use address_range::{AddressRange, RANGE_OCTETS_MAX, RangeError, RangeKind};
pub use allowed::AllowedIndex;
pub use index::RangeIndex;
pub use literal_index::LiteralRank;
pub use matcher::RangeMatcher;
pub(super) use numbering::NumberingMap;

use super::settings::{ClientIndex, VserverIndex};
use super::wire::Address;

/// What names a pool: the sessions of one vserver that claim the same addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// Where the clients bound.
    pub vserver: VserverIndex,
    /// addr_ton of the bind; 0 matches every dest_addr_ton.
    pub addr_ton: u8,
    /// addr_npi of the bind; 0 matches every dest_addr_npi.
    pub addr_npi: u8,
    /// What its sessions get.
    pub claim: Claim,
}

/// What the sessions of a pool get.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// Messages to these addresses.
    Range(AddressRange),
    /// Messages to all that only this account may claim, of the ranges that are plain literals: one pool, however many they
    /// are ([`AllowedIndex`]).
    Allowed(ClientIndex),
    /// The receipts of this account; addr_ton and addr_npi are 0.
    Receipts(ClientIndex),
}

impl PoolKey {
    /// How specific its range is, where that is a literal.
    pub(super) fn literal_rank(&self) -> Option<LiteralRank> {
        match &self.claim {
            Claim::Range(range) => range.literal_rank(),
            Claim::Allowed(_) | Claim::Receipts(_) => None,
        }
    }

    /// How well its TON and NPI match a destination that they do match: the higher, the better.
    pub(super) fn numbering_rank(&self, destination: Address<'_>) -> (bool, bool) {
        (self.addr_ton == destination.ton, self.addr_npi == destination.npi)
    }
}
