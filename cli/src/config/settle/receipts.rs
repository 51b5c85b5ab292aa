//! `[receipts]`: checked, and turned into what the engines take. The folder of the durable store is opened when they start.

use super::Settling;
use super::limits::{KEPT_AGE_MAX, KEPT_MAX};
use crate::config::choices::Store;
use smppmux_engine::core::receipts::{ID_KEY_OCTETS, IdKeys};
use smppmux_engine::core::settings::ReceiptStore;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

impl Settling<'_> {
    /// What the engines remember of message ids. The durable store brings its own key along.
    pub(super) fn receipts(&mut self) -> ReceiptStore {
        let section = &self.configuration.receipts.section;
        self.number("max-count", &section.max_count, &(1..=KEPT_MAX));
        self.period(
            "max-age",
            &section.max_age,
            &(Duration::from_secs(1)..=KEPT_AGE_MAX),
        );
        self.store_path(&section.path, &section.store, "the folder of the receipts");
        ReceiptStore {
            is_kept: section.store.value != Store::Off,
            is_logged: false,
            entries_max: section.max_count.value,
            age_max: section.max_age.value,
            keys: IdKeys::new(&random_key()),
            started_at_seconds: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }
    }
}

/// The standard library's keys come from the operating system's random numbers.
fn random_key() -> [u8; ID_KEY_OCTETS] {
    let mut key = [0; ID_KEY_OCTETS];
    for (half, number) in key.chunks_exact_mut(size_of::<u64>()).zip(0_u8..) {
        half.copy_from_slice(&RandomState::new().hash_one(number).to_ne_bytes());
    }
    key
}
