//! How much each line has, and what the limits say. In memory; read from the backend when that is opened.

use super::StoreSettings;
use super::backend::{LineKey, Times};
use crate::core::queue::{Line, QueueKey};
use crate::core::range::{AddressRange, RangeIndex, RangeKind};
use crate::core::settings::{ClientIndex, Settings, VserverIndex};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Messages and their octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) count: u64,
    pub(super) octets: u64,
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineBook {
    pub(super) amount: Amount,
    /// No message of it expires before this, in milliseconds since 1970.
    due_ms: u64,
    /// No message of it came before this.
    oldest_ms: u64,
    account: Option<ClientIndex>,
}

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) lines: BTreeMap<LineKey, LineBook>,
    pub(super) total: Amount,
    accounts: HashMap<ClientIndex, Amount>,
    due: BTreeSet<(u64, LineKey)>,
    arrived: BTreeSet<(u64, LineKey)>,
}

impl Amount {
    fn add(&mut self, octets: u64) {
        self.count += 1;
        self.octets += octets;
    }

    fn subtract(&mut self, octets: u64) {
        self.count = self.count.saturating_sub(1);
        self.octets = self.octets.saturating_sub(octets);
    }

    const fn has_room(self, octets: u64, count_max: u64, octets_max: u64) -> bool {
        self.count < count_max && self.octets + octets <= octets_max
    }
}

impl Book {
    /// Whether one more message is within all limits.
    pub(super) fn has_room(
        &self,
        settings: &StoreSettings,
        account: Option<ClientIndex>,
        octets: u64,
    ) -> bool {
        let of_account = account.and_then(|account| self.accounts.get(&account).copied());
        self.total
            .has_room(octets, settings.count_max, settings.octets_max)
            && of_account.unwrap_or_default().has_room(
                octets,
                settings.account_count_max,
                settings.account_octets_max,
            )
    }

    pub(super) fn add(&mut self, key: &LineKey, account: Option<ClientIndex>, octets: u64, times: Times) {
        let Times {
            arrived_ms,
            expires_ms,
        } = times;
        self.total.add(octets);
        if let Some(account) = account {
            self.accounts.entry(account).or_default().add(octets);
        }
        if let Some(line) = self.lines.get_mut(key) {
            line.amount.add(octets);
            if expires_ms < line.due_ms {
                let earlier = std::mem::replace(&mut line.due_ms, expires_ms);
                self.due.remove(&(earlier, key.clone()));
                self.due.insert((expires_ms, key.clone()));
            }
            return;
        }
        let mut amount = Amount::default();
        amount.add(octets);
        let line = LineBook {
            amount,
            due_ms: expires_ms,
            oldest_ms: arrived_ms,
            account,
        };
        self.lines.insert(key.clone(), line);
        self.due.insert((expires_ms, key.clone()));
        self.arrived.insert((arrived_ms, key.clone()));
    }

    pub(super) fn remove(&mut self, key: &LineKey, octets: u64) {
        let Some(line) = self.lines.get_mut(key) else {
            return;
        };
        line.amount.subtract(octets);
        self.total.subtract(octets);
        if let Some(account) = line.account
            && let Some(amount) = self.accounts.get_mut(&account)
        {
            amount.subtract(octets);
            if amount.count == 0 {
                self.accounts.remove(&account);
            }
        }
        if line.amount.count == 0 {
            self.due.remove(&(line.due_ms, key.clone()));
            self.arrived.remove(&(line.oldest_ms, key.clone()));
            self.lines.remove(key);
        }
    }

    /// A line in which something may have expired by now.
    pub(super) fn first_due(&self, now_ms: u64) -> Option<LineKey> {
        let (due_ms, key) = self.due.first()?;
        (*due_ms <= now_ms).then(|| key.clone())
    }

    /// When something may expire next.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    /// A line was looked through: nothing that stays expires before `due_ms`.
    pub(super) fn set_due(&mut self, key: &LineKey, due_ms: u64) {
        if let Some(line) = self.lines.get_mut(key) {
            let earlier = std::mem::replace(&mut line.due_ms, due_ms);
            self.due.remove(&(earlier, key.clone()));
            self.due.insert((due_ms, key.clone()));
        }
    }

    /// The line that may have the oldest message, and when that came at the earliest: the line may have lost it since.
    pub(super) fn oldest(&self) -> Option<(u64, LineKey)> {
        self.arrived.first().cloned()
    }

    /// A line was looked at: its oldest message came then.
    pub(super) fn set_oldest(&mut self, key: &LineKey, oldest_ms: u64) {
        if let Some(line) = self.lines.get_mut(key) {
            let earlier = std::mem::replace(&mut line.oldest_ms, oldest_ms);
            self.arrived.remove(&(earlier, key.clone()));
            self.arrived.insert((oldest_ms, key.clone()));
        }
    }

    /// Lines behind a key, in order.
    pub(super) fn lines_after(&self, after: Option<&[u8]>) -> impl Iterator<Item = (&LineKey, &LineBook)> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.lines.range::<[u8], _>((from, Bound::Unbounded))
    }
}

/// Whose messages count for which account: for a destination, the account whose ranges name it most precisely (of two with
/// the same range, the first in the configuration).
#[derive(Debug)]
pub(super) struct Claimants {
    vservers: Vec<RangeIndex<ClientIndex>>,
}

impl Claimants {
    /// Without limits for accounts nothing is built, and nobody is found.
    pub(super) fn new(store: &StoreSettings, settings: &Settings, seed: u64) -> Self {
        let is_needed =
            store.account_count_max < store.count_max || store.account_octets_max < store.octets_max;
        let vservers = (0..).map(VserverIndex).zip(&settings.vservers);
        let vservers = vservers.filter(|_| is_needed).map(|(vserver, _)| {
            let mut index = RangeIndex::new(seed);
            let accounts = (0..).map(ClientIndex).zip(&settings.clients);
            for (client, account) in accounts.filter(|(client, _)| !settings.is_retired_client(*client)) {
                let is_here = account.may_bind_at(vserver);
                let names_something = |range: &&AddressRange| range.kind() != RangeKind::Empty;
                for range in account
                    .address_ranges
                    .iter()
                    .filter(|_| is_here)
                    .filter(names_something)
                {
                    if index.value(0, 0, range).is_none() {
                        index.insert(0, 0, range, client);
                    }
                }
            }
            index
        });
        Self {
            vservers: vservers.collect(),
        }
    }

    pub(super) fn of(&self, key: &QueueKey) -> Option<ClientIndex> {
        match &key.line {
            Line::Account(client) => Some(*client),
            Line::Destination(destination) => {
                let index = self.vservers.get(usize::from(key.vserver.0))?;
                index.best(0, 0, destination.address().addr)
            }
        }
    }
}
