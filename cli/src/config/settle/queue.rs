//! `[queue]`: checked, and turned into what the store takes.

use super::limits::{KEPT_AGE_MAX, KEPT_MAX, MILLISECOND};
use super::{Settling, blame};
use crate::config::choices::Store;
use crate::config::key::Key;
use crate::config::storage::QueueSection;
use crate::config::texts::Octets;
use smppmux_engine::store::StoreSettings;
use std::ops::RangeInclusive;

/// Octets that may be configured.
const OCTETS: RangeInclusive<u64> = 1024..=1 << 50;

impl Settling<'_> {
    /// What the store takes; `None` where nothing is queued.
    pub(super) fn store_settings(&mut self) -> Option<StoreSettings> {
        let queue = &self.configuration.queue.section;
        self.number("max-count", &queue.max_count, &(1..=KEPT_MAX));
        self.octets("max-bytes", &queue.max_bytes, &OCTETS);
        self.period("max-age", &queue.max_age, &(MILLISECOND..=KEPT_AGE_MAX));
        self.optional_number("account-max-count", &queue.account_max_count, &(1..=KEPT_MAX));
        self.optional_octets("account-max-bytes", &queue.account_max_bytes, &OCTETS);
        self.number("max-dead-letters", &queue.max_dead_letters, &(0..=KEPT_MAX));
        self.check_account_limits(queue);
        self.store_path(&queue.path, &queue.store, "the queue's file");
        let account_octets = queue.account_max_bytes.value.unwrap_or(queue.max_bytes.value);
        (queue.store.value != Store::Off).then(|| StoreSettings {
            path: (queue.store.value == Store::Durable).then(|| queue.path.value.clone().into()),
            count_max: queue.max_count.value,
            octets_max: queue.max_bytes.value.0,
            account_count_max: queue.account_max_count.value.unwrap_or(queue.max_count.value),
            account_octets_max: account_octets.0,
            age_max: queue.max_age.value,
            dead_letters_max: queue.max_dead_letters.value,
        })
    }

    fn check_account_limits(&mut self, queue: &QueueSection) {
        let count = queue.account_max_count.value;
        if count.is_some_and(|count| count > queue.max_count.value) {
            self.exceeds(
                "account-max-count",
                &queue.account_max_count,
                "max-count",
                &queue.max_count,
            );
        }
        let octets = queue.account_max_bytes.value;
        if octets.is_some_and(|Octets(octets)| octets > queue.max_bytes.value.0) {
            self.exceeds(
                "account-max-bytes",
                &queue.account_max_bytes,
                "max-bytes",
                &queue.max_bytes,
            );
        }
    }

    fn exceeds<T, U>(&mut self, name: &str, key: &Key<T>, limit_name: &str, limit: &Key<U>) {
        self.problem(
            blame(key, limit),
            format!("`{name}` must not exceed `{limit_name}`"),
        );
    }
}
