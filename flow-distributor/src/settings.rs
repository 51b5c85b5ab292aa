//! Everything that a distributor is made from. One copy, checked once at the start, serves all cores.

use std::error::Error;
use std::fmt;

use crate::core_set::CORES_MAX;
use crate::hash::RssHash;
use crate::indirection::{IndirectionTable, RssBits, TableError};
use crate::key::RssKey;
use crate::pin_rule::PinRule;
use crate::scheme::Scheme;

/// What the flags and the configuration say about distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many engines there are; cores are counted from 0.
    pub cores: usize,
    /// How a core is picked: `--distribution`.
    pub scheme: Scheme,
    /// Which hash: `--rss-hash`.
    pub hash: RssHash,
    /// The hash's key, the same on all cores: `--rss-key`, else [`RssHash::default_key`], drawn once.
    pub key: RssKey,
    /// How many bits of the hash index the table: `--rss-bits`.
    pub bits: RssBits,
    /// Asked in this order before the scheme; the first that matches counts.
    pub pins: Vec<PinRule>,
}

/// Which rule the settings break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// No core, or more than [`CORES_MAX`].
    CoreCount {
        /// How many there were.
        cores: usize,
    },
    /// The distributor's own core does not exist.
    OwnCore {
        /// The core it was made for.
        own_core: usize,
        /// How many cores there are.
        cores: usize,
    },
    /// The table cannot serve these cores.
    Table(TableError),
    /// A rule names a core that does not exist.
    PinBeyondCores {
        /// The rule, as it is written.
        rule: String,
        /// How many cores there are.
        cores: usize,
    },
}

impl Settings {
    /// The defaults for `cores` engines: `rss` by `ahash` with a random key over 128 buckets.
    pub fn for_cores(cores: usize) -> Self {
        let hash = RssHash::default();
        Self {
            cores,
            scheme: Scheme::default(),
            hash,
            key: hash.default_key(),
            bits: RssBits::default(),
            pins: Vec::new(),
        }
    }

    /// Checks the settings and gives the table that they start with.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn table(&self) -> Result<IndirectionTable, SettingsError> {
        let cores = self.cores;
        if cores == 0 || cores > CORES_MAX {
            return Err(SettingsError::CoreCount { cores });
        }
        if let Some(rule) = self.pins.iter().find(|rule| rule.cores.highest() >= cores) {
            return Err(SettingsError::PinBeyondCores {
                rule: rule.to_string(),
                cores,
            });
        }
        IndirectionTable::round_robin(self.bits, cores).map_err(SettingsError::Table)
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoreCount { cores } => write!(formatter, "{cores} cores: there can be 1 to {CORES_MAX}"),
            Self::OwnCore { own_core, cores } => {
                write!(formatter, "there is no core {own_core} among {cores}")
            }
            Self::Table(error) => error.fmt(formatter),
            Self::PinBeyondCores { rule, cores } => {
                write!(
                    formatter,
                    "the pin {rule} names a core beyond the last one, {}",
                    cores - 1
                )
            }
        }
    }
}

impl Error for SettingsError {}
