//! What one core keeps of receipts and mapped ids, and how it gets into the log and back.
//!
//! Invariants: an entry that was applied here is in the log's buffer before the turn ends; the buffer is bounded, what does
//! not fit is counted; every core keeps no more than its share of the entries, and the shares are those of the ids that
//! have their home there. Must never wait for the log.

use super::fence::Fence;
use super::gather::Gathers;
use super::held::HeldReceipts;
use super::keys::class_home;
use super::mapped::{MappedEntry, MappedIds};
use super::reading::CLASSES;
use super::record::{LoadedRecord, write_mapped, write_receipt};
use super::table::{ReceiptEntry, ReceiptTable};
use crate::core::contract::CoreIndex;
use crate::core::engine::PacketEngine;
use crate::core::home::home_among;
use crate::core::report::ReceiptReport;
use crate::core::settings::Settings;
use crate::core::time::Moment;
use bytes::BytesMut;

/// Octets of records that may wait for the shell within one turn.
const LOG_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// The receipts and mapped ids of one core.
#[derive(Debug)]
pub(in crate::core) struct Receipts {
    pub(super) table: ReceiptTable,
    pub(super) mapped: MappedIds,
    pub(in crate::core) held: HeldReceipts,
    pub(in crate::core) fence: Fence,
    pub(in crate::core) gathers: Gathers,
    log: BytesMut,
    log_records: u64,
    log_records_lost: u64,
    /// Receipts that found their submitter, and that did not.
    pub(super) matched: u64,
    pub(super) unknown: u64,
}

impl Receipts {
    pub(in crate::core) fn new(core: CoreIndex, cores: u16, settings: &Settings) -> Self {
        let store = &settings.receipts;
        let entries_max = if store.is_kept {
            share(core, cores, settings)
        } else {
            1
        };
        Self {
            table: ReceiptTable::new(entries_max, store.age_max),
            mapped: MappedIds::new(entries_max, store.age_max),
            held: HeldReceipts::default(),
            fence: Fence::default(),
            gathers: Gathers::default(),
            log: BytesMut::new(),
            log_records: 0,
            log_records_lost: 0,
            matched: 0,
            unknown: 0,
        }
    }

    pub(in crate::core) fn report(&self) -> ReceiptReport {
        ReceiptReport {
            entries: self.table.len() as u64,
            entries_evicted: self.table.evicted(),
            mapped_ids: self.mapped.len() as u64,
            mapped_ids_evicted: self.mapped.evicted(),
            octets: (self.table.octets() + self.mapped.octets()) as u64,
            held: self.held.len() as u64,
            matched: self.matched,
            unknown: self.unknown,
            log_records: self.log_records,
            log_records_lost: self.log_records_lost,
        }
    }
}

/// How many entries a core may keep: its part of the classes that numbers fall into, or of all ids, whichever is more.
fn share(core: CoreIndex, cores: u16, settings: &Settings) -> u64 {
    let classes = settings.servers.iter().flat_map(|server| {
        (0..CLASSES).map(|class| class_home(server.uid, u8::try_from(class).unwrap_or(0)))
    });
    let (mut here, mut all) = (0_u64, 0_u64);
    for home in classes {
        all += 1;
        here += u64::from(home_among(home, cores, |_| true) == Some(core));
    }
    let entries_max = settings.receipts.entries_max;
    let of_classes = (u128::from(entries_max) * u128::from(here)).div_ceil(u128::from(all.max(1)));
    let of_all = entries_max.div_ceil(u64::from(cores.max(1)));
    u64::try_from(of_classes)
        .unwrap_or(entries_max)
        .max(of_all)
        .max(1)
}

impl PacketEngine {
    /// Seconds since 1970, by the monotonic clock from the engines' start on.
    pub(super) fn seconds(&self, now: Moment) -> u64 {
        self.settings.receipts.started_at_seconds + now.since(Moment::START).as_secs()
    }

    /// An entry of the receipt table has come to its home.
    pub(in crate::core) fn keep_receipt(
        &mut self,
        now: Moment,
        home: u64,
        made_at_seconds: u64,
        entry: &ReceiptEntry,
    ) {
        self.receipts.table.insert(made_at_seconds, entry);
        self.log_entry(|buffer, _| write_receipt(buffer, made_at_seconds, home, entry));
        self.release_held_receipts(now, entry);
    }

    /// A mapped id has come to its home.
    pub(in crate::core) fn keep_mapped(&mut self, made_at_seconds: u64, entry: &MappedEntry) {
        self.receipts.mapped.insert(made_at_seconds, entry);
        self.log_entry(|buffer, settings| {
            let uid = settings.servers[usize::from(entry.server.0)].uid;
            write_mapped(buffer, made_at_seconds, uid, entry);
        });
    }

    fn log_entry(&mut self, write: impl FnOnce(&mut BytesMut, &Settings)) {
        if !self.settings.receipts.is_logged {
            return;
        }
        if self.receipts.log.len() >= LOG_OCTETS_MAX {
            self.receipts.log_records_lost += 1;
            return;
        }
        write(&mut self.receipts.log, &self.settings);
        self.receipts.log_records += 1;
    }

    /// Records for the log since the last call; `None` when there are none. [`Self::handle_log_buffer`] takes the buffer back.
    pub fn poll_receipt_log(&mut self) -> Option<BytesMut> {
        (!self.receipts.log.is_empty()).then(|| {
            let next = self.buffers.take();
            std::mem::replace(&mut self.receipts.log, next)
        })
    }

    /// A buffer of [`Self::poll_receipt_log`] was written, or could not be taken.
    pub fn handle_log_buffer(&mut self, buffer: BytesMut) {
        self.buffers.give(buffer);
    }

    /// Takes in a record of an earlier run's log, where its home is this core. Only before the first turn.
    pub fn handle_loaded(&mut self, record: &LoadedRecord) {
        let is_home = |home: u64| home_among(home, self.cores, |_| true) == Some(self.core);
        let latest = self.settings.receipts.started_at_seconds;
        match record {
            LoadedRecord::Receipt {
                made_at_seconds,
                home,
                entry,
            } if is_home(*home) => self.receipts.table.insert((*made_at_seconds).min(latest), entry),
            LoadedRecord::Mapped {
                made_at_seconds,
                entry,
            } if is_home(entry.key) => self.receipts.mapped.insert((*made_at_seconds).min(latest), entry),
            LoadedRecord::Receipt { .. } | LoadedRecord::Mapped { .. } => {}
        }
    }
}
