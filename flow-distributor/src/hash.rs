//! The two keyed hashes of a flow.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use ahash::RandomState;

use crate::flow::{Flow, Tuple, TupleOctets};
use crate::key::RssKey;
use crate::toeplitz::toeplitz;

/// Which hash: `--rss-hash`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RssHash {
    /// Fast and hard to steer without the key. Its values differ between kinds of CPU, which only matters to whoever
    /// compares them between machines.
    #[default]
    Ahash,
    /// The hash of network cards: with the card's own key a connection stays on the core that the card chose.
    Toeplitz,
}

/// A text that names no hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRssHash(pub String);

/// A hash with its key. Copies with the same key give the same values on every core of the process.
#[derive(Clone)]
pub struct FlowHasher {
    flows: FlowHash,
    /// Toeplitz reaches no further than 36 octets of input, so accounts take this one whatever the flows take.
    accounts: RandomState,
}

#[derive(Clone)]
enum FlowHash {
    Ahash(RandomState),
    Toeplitz(RssKey),
}

impl RssHash {
    /// As the flag spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ahash => "ahash",
            Self::Toeplitz => "toeplitz",
        }
    }

    /// The key that is used when none is configured: Microsoft's for `toeplitz`, a random one for `ahash`.
    pub fn default_key(self) -> RssKey {
        match self {
            Self::Ahash => RssKey::random(),
            Self::Toeplitz => RssKey::MICROSOFT,
        }
    }
}

impl FlowHasher {
    /// This hash with this key.
    pub fn new(hash: RssHash, key: &RssKey) -> Self {
        let accounts = keyed_ahash(key);
        let flows = match hash {
            RssHash::Ahash => FlowHash::Ahash(accounts.clone()),
            RssHash::Toeplitz => FlowHash::Toeplitz(*key),
        };
        Self { flows, accounts }
    }

    /// The hash of a flow's addresses, with the ports if `tuple` says so.
    pub(crate) fn flow(&self, flow: &Flow<'_>, tuple: Tuple) -> u32 {
        let octets = TupleOctets::of(flow, tuple);
        match &self.flows {
            FlowHash::Ahash(state) => low_half(state.hash_one(octets.as_slice())),
            FlowHash::Toeplitz(key) => toeplitz(key, octets.as_slice()),
        }
    }

    /// The hash of an account's system_id.
    pub(crate) fn account(&self, system_id: &[u8]) -> u32 {
        low_half(self.accounts.hash_one(system_id))
    }
}

impl FromStr for RssHash {
    type Err = UnknownRssHash;

    fn from_str(text: &str) -> Result<Self, UnknownRssHash> {
        [Self::Ahash, Self::Toeplitz]
            .into_iter()
            .find(|hash| hash.name() == text)
            .ok_or_else(|| UnknownRssHash(text.to_owned()))
    }
}

impl fmt::Display for RssHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for UnknownRssHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is no hash: ahash or toeplitz", self.0)
    }
}

impl Error for UnknownRssHash {}

fn keyed_ahash(key: &RssKey) -> RandomState {
    let mut seeds = key.octets().chunks_exact(size_of::<u64>()).map(|chunk| {
        chunk
            .iter()
            .fold(0_u64, |seed, octet| seed << 8 | u64::from(*octet))
    });
    let mut next_seed = || seeds.next().unwrap_or_default();
    RandomState::with_seeds(next_seed(), next_seed(), next_seed(), next_seed())
}

fn low_half(hash: u64) -> u32 {
    (hash & u64::from(u32::MAX)) as u32
}
