//! Which account waits for the receipt of which message.
//!
//! Owns the entries (server, id) → account of one core: in the order in which they were made, so that the oldest leave
//! first, and an index by a hash of server and id. Invariants: at most `entries_max` entries, none older than `age_max`;
//! an entry takes 20 octets and its place in the index a little over 6, at most 32 in all once there are some thousands.
//! An entry is never taken out by a receipt: a server may repeat a final one. Must never allocate for a single entry, nor
//! move the whole when it grows.

use super::index::Index;
use super::message_id::IdForm;
use super::reading::{READINGS_MAX, Spelling};
use super::ring::Ring;
use crate::core::settings::{ClientIndex, VserverIndex};
use std::time::Duration;

/// One entry, as it is made, sent to its home core, and kept in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptEntry {
    /// Hash of the server's uid and the id's canonical form.
    pub(crate) key: u64,
    /// How the id is spelled beyond that.
    pub(in crate::core) spelling: Spelling,
    /// Who submitted.
    pub(crate) account: ClientIndex,
    /// Where; `None`: the log of an earlier version does not say.
    pub(in crate::core) vserver: Option<VserverIndex>,
    /// Hash of the submit's destination; 0 where it had several.
    pub(in crate::core) destination: u16,
    /// How the client got the id.
    pub(in crate::core) form: IdForm,
}

/// What a receipt says of the message that it reports on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct ReceiptQuery {
    /// Hashes of the server's uid and each reading of the id; the first is the id as it stands.
    pub(in crate::core) keys: [Option<u64>; READINGS_MAX],
    pub(in crate::core) spelling: Spelling,
    /// Hash of the receipt's source address.
    pub(in crate::core) source: u16,
    /// Only an entry whose destination is the source counts: nothing but its text says that it is a receipt.
    pub(in crate::core) needs_source: bool,
}

/// The entry that a receipt belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundReceipt {
    /// Who submitted, and where.
    pub(in crate::core) account: ClientIndex,
    pub(in crate::core) vserver: Option<VserverIndex>,
    pub(in crate::core) form: IdForm,
    /// Which reading of the receipt's id it was found by, and how the id was spelled in the submit's answer.
    pub(in crate::core) reading: u8,
    pub(in crate::core) spelling: Spelling,
}

/// 20 octets: what takes 64 bits is in halves, so that nothing is lost to alignment.
#[derive(Clone, Copy, Debug)]
struct Slot {
    key: [u32; 2],
    /// From below: the spelling, the form, the vserver's number and one (0: unknown), the account.
    details: [u32; 2],
    /// In units of the table, modulo 65536.
    made_at: u16,
    destination: u16,
}

const _: () = assert!(size_of::<Slot>() == 20);

const FORM_BITS: u32 = 2;
/// There are at most 1,000 vservers.
const VSERVER_BITS: u32 = 10;
const VSERVER_SHIFT: u32 = Spelling::BITS + FORM_BITS;
/// 28 bits are left: more accounts than any memory holds.
const ACCOUNT_SHIFT: u32 = VSERVER_SHIFT + VSERVER_BITS;

/// The greatest age in units: a quarter of what a slot can tell apart.
const AGE_UNITS_MAX: u64 = 1 << 14;

/// The entries of one core.
#[derive(Debug)]
pub struct ReceiptTable {
    ring: Ring<Slot>,
    index: Index,
    entries_max: usize,
    unit_seconds: u64,
    age_units_max: u16,
    /// The newest time that it was told, in units.
    now_units: u64,
    evicted: u64,
}

impl ReceiptTable {
    /// A table of at most `entries_max` entries, each for `age_max` at most.
    pub fn new(entries_max: u64, age_max: Duration) -> Self {
        let entries_max = usize::try_from(entries_max)
            .unwrap_or(usize::MAX)
            .clamp(1, Ring::<Slot>::ENTRIES_MAX);
        let unit_seconds = age_max.as_secs().div_ceil(AGE_UNITS_MAX).max(1);
        let age_units_max = age_max.as_secs().div_ceil(unit_seconds).clamp(1, AGE_UNITS_MAX);
        Self {
            ring: Ring::default(),
            index: Index::new(entries_max),
            entries_max,
            unit_seconds,
            age_units_max: u16::try_from(age_units_max).unwrap_or(u16::MAX),
            now_units: 0,
            evicted: 0,
        }
    }

    /// Entries that it holds.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that had to leave before their age because the table was full.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Octets of memory that it takes, everything included.
    pub fn octets(&self) -> usize {
        size_of::<Self>() + self.ring.octets() + self.index.octets()
    }

    /// Adds an entry that was made at `made_at_seconds`; when the table is full, the oldest leaves.
    pub fn insert(&mut self, made_at_seconds: u64, entry: &ReceiptEntry) {
        self.expire(made_at_seconds);
        if self.ring.len() == self.entries_max {
            self.drop_oldest();
            self.evicted += 1;
        }
        let slot = Slot {
            key: halves(entry.key),
            details: halves(details_of(entry)),
            made_at: (made_at_seconds / self.unit_seconds) as u16,
            destination: entry.destination,
        };
        let position = self.ring.push(slot);
        self.index.insert(entry.key, position);
    }

    /// The entry that a receipt belongs to: the newest whose id is the same octet for octet; else the newest that has
    /// another reading of it and whose destination is the receipt's source. Where two readings name messages of different
    /// accounts, none: the receipt must not reach the wrong one.
    pub(in crate::core) fn find(&mut self, now_seconds: u64, query: &ReceiptQuery) -> Option<FoundReceipt> {
        self.expire(now_seconds);
        let mut exact: Option<((bool, u16), FoundReceipt)> = None;
        let mut others: [Option<(u16, FoundReceipt)>; READINGS_MAX] = [None; READINGS_MAX];
        for ((reading, key), other) in (0_u8..).zip(query.keys).zip(&mut others) {
            let Some(key) = key else { continue };
            for position in self.index.candidates(key) {
                let Some(slot) = self.ring.get(position).filter(|slot| slot.key() == key) else {
                    continue;
                };
                let is_exact = reading == 0 && slot.spelling() == query.spelling;
                let is_from_destination = slot.destination != 0 && slot.destination == query.source;
                if !is_from_destination && (!is_exact || query.needs_source) {
                    continue;
                }
                let youth = u16::MAX - self.age_of(slot);
                if is_exact {
                    keep_better(&mut exact, (is_from_destination, youth), slot.found(reading));
                } else {
                    keep_better(other, youth, slot.found(reading));
                }
            }
        }
        if let Some((_, found)) = exact {
            return Some(found);
        }
        let mut newest = None;
        for (youth, found) in others.into_iter().flatten() {
            keep_better(&mut newest, youth, found);
        }
        let (_, newest) = newest?;
        let mut found = others.iter().flatten();
        found
            .all(|(_, other)| other.account == newest.account)
            .then_some(newest)
    }

    /// The account that submitted the message with exactly this id; the newest if there are several.
    pub(in crate::core) fn owner(
        &mut self,
        now_seconds: u64,
        key: u64,
        spelling: Spelling,
    ) -> Option<ClientIndex> {
        let query = ReceiptQuery {
            keys: [Some(key), None, None],
            spelling,
            source: 0,
            needs_source: false,
        };
        self.find(now_seconds, &query).map(|found| found.account)
    }

    /// Lets entries leave whose age is over. Time that goes back counts as no time.
    pub fn expire(&mut self, now_seconds: u64) {
        let now = (now_seconds / self.unit_seconds).max(self.now_units);
        let passed = now - self.now_units;
        self.now_units = now;
        // After so long a silence the slots' own ages would be ambiguous; but then all of them are over.
        let is_silence = passed > AGE_UNITS_MAX * 2;
        while let Some((_, slot)) = self.ring.front() {
            if !is_silence && self.age_of(slot) <= self.age_units_max {
                break;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((position, slot)) = self.ring.front() {
            let was_there = self.index.remove(slot.key(), position);
            debug_assert!(was_there, "every entry has its place in the index");
            self.ring.drop_front();
        }
    }

    /// In units. An entry that was loaded from another run may be a little newer than now.
    fn age_of(&self, slot: &Slot) -> u16 {
        let age = (self.now_units as u16).wrapping_sub(slot.made_at);
        if age > u16::MAX - 1024 { 0 } else { age }
    }

    /// Panics where the entries and their index contradict each other.
    #[cfg(test)]
    fn check_invariants(&self) {
        assert!(self.ring.len() <= self.entries_max);
        for slot in self.ring.iter() {
            assert!(self.age_of(slot) <= self.age_units_max);
            assert!(self.index.candidates(slot.key()).any(|position| {
                self.ring
                    .get(position)
                    .is_some_and(|other| other.key() == slot.key())
            }));
        }
    }
}

/// The first of equals stays.
fn keep_better<R: PartialOrd>(best: &mut Option<(R, FoundReceipt)>, rank: R, found: FoundReceipt) {
    if best.as_ref().is_none_or(|(best, _)| rank > *best) {
        *best = Some((rank, found));
    }
}

impl Slot {
    const fn key(&self) -> u64 {
        whole(self.key)
    }

    const fn spelling(&self) -> Spelling {
        Spelling::from_bits(self.details[1])
    }

    fn found(&self, reading: u8) -> FoundReceipt {
        let details = whole(self.details);
        let vserver = (details >> VSERVER_SHIFT) as u16 & VSERVER_MASK;
        FoundReceipt {
            account: ClientIndex((details >> ACCOUNT_SHIFT) as u32),
            vserver: vserver.checked_sub(1).map(VserverIndex),
            form: IdForm::from_code((details >> Spelling::BITS) as u8),
            reading,
            spelling: self.spelling(),
        }
    }
}

const VSERVER_MASK: u16 = (1 << VSERVER_BITS) - 1;

/// What a slot says of an entry beside its key. A vserver whose number does not fit counts as unknown.
fn details_of(entry: &ReceiptEntry) -> u64 {
    let number = entry.vserver.map_or(0, |vserver| vserver.0.saturating_add(1));
    let vserver = if number > VSERVER_MASK { 0 } else { number };
    u64::from(entry.spelling.bits())
        | u64::from(entry.form.code()) << Spelling::BITS
        | u64::from(vserver) << VSERVER_SHIFT
        | u64::from(entry.account.0) << ACCOUNT_SHIFT
}

const fn halves(value: u64) -> [u32; 2] {
    [(value >> 32) as u32, value as u32]
}

const fn whole([upper, lower]: [u32; 2]) -> u64 {
    (upper as u64) << 32 | lower as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn entry(key: u64, account: u32, destination: u16, spelling: u32) -> ReceiptEntry {
        ReceiptEntry {
            key,
            spelling: Spelling::from_bits(spelling),
            account: ClientIndex(account),
            destination,
            form: IdForm::Tagged,
            vserver: None,
        }
    }

    fn query(keys: &[u64], spelling: u32, source: u16) -> ReceiptQuery {
        let mut all = [None; READINGS_MAX];
        for (place, key) in all.iter_mut().zip(keys) {
            *place = Some(*key);
        }
        ReceiptQuery {
            keys: all,
            spelling: Spelling::from_bits(spelling),
            source,
            needs_source: false,
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert {
            key: u64,
            destination: u16,
            spelling: u32,
        },
        Find {
            keys: Vec<u64>,
            source: u16,
            spelling: u32,
            needs_source: bool,
        },
        Wait(u64),
    }

    /// Few keys, so that they repeat, spread over the index.
    fn key() -> impl Strategy<Value = u64> {
        (0_u64..30).prop_map(|key| key.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (key(), 0_u16..4, 0_u32..3).prop_map(|(key, destination, spelling)| Step::Insert { key, destination, spelling }),
            4 => (vec(key(), 1..=3), 1_u16..4, 0_u32..3, any::<bool>())
                .prop_map(|(keys, source, spelling, needs_source)| Step::Find { keys, source, spelling, needs_source }),
            1 => prop_oneof![0_u64..40, Just(10_000_000)].prop_map(Step::Wait),
        ]
    }

    /// The same as a plain list: (made at, entry), oldest first.
    struct Model {
        entries: Vec<(u64, ReceiptEntry)>,
        entries_max: usize,
        age_max: u64,
    }

    impl Model {
        fn expire(&mut self, now: u64) {
            self.entries.retain(|(made_at, _)| now - made_at <= self.age_max);
        }

        fn find(&self, query: &ReceiptQuery) -> Option<ClientIndex> {
            let newest = |wanted: &dyn Fn(&ReceiptEntry) -> bool| {
                let found = self.entries.iter().filter(|(_, entry)| wanted(entry));
                found
                    .max_by_key(|(made_at, _)| *made_at)
                    .map(|(made_at, entry)| (*made_at, entry.account))
            };
            let is_exact =
                |entry: &ReceiptEntry| Some(entry.key) == query.keys[0] && entry.spelling == query.spelling;
            let is_from = |entry: &ReceiptEntry| entry.destination != 0 && entry.destination == query.source;
            let exact_from = |entry: &ReceiptEntry| is_exact(entry) && is_from(entry);
            let exact = |entry: &ReceiptEntry| is_exact(entry) && !query.needs_source;
            for wanted in [&exact_from as &dyn Fn(&ReceiptEntry) -> bool, &exact] {
                if let Some(found) = newest(wanted) {
                    return Some(found.1);
                }
            }
            let readings = query.keys.iter().flatten();
            let newest_of_each = readings
                .filter_map(|key| newest(&|entry: &ReceiptEntry| entry.key == *key && is_from(entry)));
            let newest_of_each: Vec<_> = newest_of_each.collect();
            let (_, account) = *newest_of_each.iter().max_by_key(|(made_at, _)| *made_at)?;
            let is_certain = newest_of_each.iter().all(|(_, other)| *other == account);
            is_certain.then_some(account)
        }
    }

    proptest! {
        /// Goal: the table is a list bounded by count and age, whose receipts go to the exact id first, and to another
        /// reading only where the source is the destination and no third one disagrees. Method: against a plain list, every second an event.
        #[test]
        fn it_is_a_bounded_list(entries_max in 1_usize..40, age_max in 1_u64..60, steps in vec(step(), 1..200)) {
            let mut table = ReceiptTable::new(entries_max as u64, Duration::from_secs(age_max));
            let mut model = Model { entries: Vec::new(), entries_max, age_max };
            let mut now = 1_700_000_000;
            for (account, step) in (0_u32..).zip(steps) {
                now += 1;
                match step {
                    Step::Insert { key, destination, spelling } => {
                        let new = entry(key, account, destination, spelling);
                        table.insert(now, &new);
                        model.expire(now);
                        if model.entries.len() == model.entries_max {
                            model.entries.remove(0);
                        }
                        model.entries.push((now, new));
                    }
                    Step::Find { keys, source, spelling, needs_source } => {
                        let query = ReceiptQuery { needs_source, ..query(&keys, spelling, source) };
                        model.expire(now);
                        let found = table.find(now, &query).map(|found| found.account);
                        prop_assert_eq!(found, model.find(&query));
                    }
                    Step::Wait(seconds) => now += seconds,
                }
                table.expire(now);
                model.expire(now);
                prop_assert_eq!(table.len(), model.entries.len());
                table.check_invariants();
            }
        }
    }

    proptest! {
        /// Goal: a slot gives back all that an entry says of its submit, next to each other as it stands there.
        #[test]
        fn a_slot_forgets_nothing(
            account in 0_u32..1 << 28, vserver in proptest::option::of(0_u16..1_000), form in 0_u8..4, spelling in 0_u32..1 << 24,
        ) {
            let entry = ReceiptEntry {
                form: IdForm::from_code(form),
                vserver: vserver.map(VserverIndex),
                ..entry(7, account, 1, spelling)
            };
            let mut table = ReceiptTable::new(1, Duration::from_secs(60));
            table.insert(1, &entry);
            let found = table.find(1, &query(&[7], spelling, 1)).expect("it is there");
            prop_assert_eq!(
                (found.account, found.vserver, found.form, found.spelling),
                (entry.account, entry.vserver, entry.form, entry.spelling)
            );
        }
    }

    /// Goal: an entry takes at most 32 octets of memory, everything included, wherever the growth of the lists has come to.
    /// Method: half a million entries (the bench has the ten million), measured at many sizes; and a full table stays as
    /// large as it is.
    #[test]
    fn an_entry_takes_at_most_32_octets() {
        let count = 500_000_u64;
        let mut table = ReceiptTable::new(count, Duration::from_secs(3 * 24 * 3600));
        let hash = |number: u64| {
            number
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(17)
                .wrapping_mul(0xD6E8_FEB8_6659_FD93)
        };
        for number in 0..count * 3 {
            table.insert(1_700_000_000 + number / 10_000, &entry(hash(number), 7, 9, 1));
            if number >= 100_000 && number % 10_007 == 0 {
                let each = table.octets() as f64 / table.len() as f64;
                assert!(
                    each <= 32.0,
                    "{each} octets an entry with {} entries",
                    table.len()
                );
            }
        }
        assert_eq!((table.len() as u64, table.evicted()), (count, count * 2));
    }
}
