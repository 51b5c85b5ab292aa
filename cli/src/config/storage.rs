//! `[queue]` and `[receipts]`: what is kept, where, how much of it, and how long.

use super::choices::Store;
use super::key::Key;
use super::section::Section;
use super::texts::Octets;
use serde::Deserialize;
use std::time::Duration;

/// Three days: as long as SMSCs commonly keep a message.
const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 3600);

/// The keys of `[queue]`: MO that nobody can take now.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct QueueSection {
    /// Where it is kept. Default: `"durable"`; `"memory"` when flags make up the configuration.
    pub store: Key<Store>,
    /// File of the durable store. Default: `"smppmux.redb"`.
    pub path: Key<String>,
    /// Messages at most. Default: 1000000.
    pub max_count: Key<u64>,
    /// Octets at most. Default: `"1GiB"`.
    pub max_bytes: Key<Octets>,
    /// How long a message is kept. Default: `"3d"`.
    pub max_age: Key<Duration>,
    /// Messages that wait for one account at most. Default: `max-count`.
    pub account_max_count: Key<Option<u64>>,
    /// Octets of messages that wait for one account at most. Default: `max-bytes`.
    pub account_max_bytes: Key<Option<Octets>>,
    /// Dead letters that are kept; the oldest go first. Default: 10000.
    pub max_dead_letters: Key<u64>,
}

impl Section for QueueSection {
    const NAME: &'static str = "[queue]";
}

impl Default for QueueSection {
    fn default() -> Self {
        Self {
            store: Key::by_default(Store::Durable),
            path: Key::by_default("smppmux.redb".into()),
            max_count: Key::by_default(1_000_000),
            max_bytes: Key::by_default(Octets(1 << 30)),
            max_age: Key::by_default(THREE_DAYS),
            account_max_count: Key::unset(),
            account_max_bytes: Key::unset(),
            max_dead_letters: Key::by_default(10_000),
        }
    }
}

/// The keys of `[receipts]`: which account waits for which receipt.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReceiptsSection {
    /// Folder of the durable store. Default: `"smppmux.receipts"`.
    pub path: Key<String>,
    /// Entries at most. Default: 1000000.
    pub max_count: Key<u64>,
    /// How long an entry is kept. Default: `"3d"`.
    pub max_age: Key<Duration>,
    /// Where they are kept. Default: `"durable"`; `"memory"` when flags make up the configuration.
    pub store: Key<Store>,
}

impl Section for ReceiptsSection {
    const NAME: &'static str = "[receipts]";
}

impl Default for ReceiptsSection {
    fn default() -> Self {
        Self {
            path: Key::by_default("smppmux.receipts".into()),
            max_count: Key::by_default(1_000_000),
            max_age: Key::by_default(THREE_DAYS),
            store: Key::by_default(Store::Durable),
        }
    }
}
