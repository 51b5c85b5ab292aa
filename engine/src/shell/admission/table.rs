//! What is known of addresses that connect: how many connections each has, how fast they come, how many of its binds failed.
//!
//! One table for all cores, of a fixed size. It is read and written by single atomic operations when a connection begins or
//! ends and when a bind fails, never for a message; nobody waits for anybody. An entry is kept while it has connections, a
//! ban, or failures that are not forgotten; any other may make room for a new address.
//!
//! Invariants: the count of an entry is exact while it has connections (its place cannot be taken then); a ban is never lost
//! before its end. Where all places of a bucket are taken, the next address is not tracked, which is counted: the table never
//! refuses somebody for want of room.

use crate::core::time::Moment;
use ahash::RandomState;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Addresses that fit: 2 MiB in all.
const PLACES: usize = 1 << 16;
/// Places that one address may have; the hash chooses the bucket.
const BUCKET: usize = 8;
/// Bits of the count of connections beside the tag.
const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// Bits of the moment beside the number of failures: milliseconds for 34 years.
const MOMENT_BITS: u32 = 40;
const MOMENT_MASK: u64 = (1 << MOMENT_BITS) - 1;
/// How often a place that another core took meanwhile is looked for again.
const TRIES: usize = 8;

/// The table.
#[derive(Debug)]
pub(super) struct AddressTable {
    places: Box<[Place]>,
    /// Keyed, so that nobody outside can aim at a bucket.
    hasher: RandomState,
    /// Failures are forgotten when none followed for so long (the longest of all vservers).
    memory: Duration,
    untracked: AtomicU64,
}

#[derive(Debug, Default)]
struct Place {
    /// A tag of the address, 44 bits, and how many connections it has. 0: free.
    owner: AtomicU64,
    /// How many binds failed, and when the last one did (milliseconds).
    failures: AtomicU64,
    /// No connection is accepted until then (nanoseconds).
    barred_until: AtomicU64,
    /// When the next connection would come if they came at the allowed pace (nanoseconds).
    next_expected: AtomicU64,
}

/// An address in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    place: usize,
    tag: u64,
}

impl AddressTable {
    pub(super) fn new(seed: u64, memory: Duration) -> Self {
        Self::with_places(PLACES, seed, memory)
    }

    fn with_places(places: usize, seed: u64, memory: Duration) -> Self {
        Self {
            places: (0..places).map(|_| Place::default()).collect(),
            hasher: RandomState::with_seeds(seed, 0x6164_6D69, 0x7373_696F, seed.rotate_left(32)),
            memory,
            untracked: AtomicU64::new(0),
        }
    }

    /// Connections and failures of addresses for which there was no room.
    #[cfg(test)]
    fn untracked(&self) -> u64 {
        self.untracked.load(Ordering::Relaxed)
    }

    /// The entry of an address, made when there is none. `None`: there is no room.
    pub(super) fn entry(&self, now: Moment, key: impl Hash) -> Option<Entry> {
        let (bucket, tag) = self.bucket_and_tag(key);
        for _ in 0..TRIES {
            if let Some(place) = self.find(bucket, tag) {
                return Some(Entry { place, tag });
            }
            let Some((place, owner)) = self.idle_place(now, bucket) else {
                break;
            };
            if self.take(place, owner, tag) {
                // Another core may have taken another place for the same address: the first of the bucket counts.
                match self.find(bucket, tag) {
                    Some(first) if first != place => {
                        let own = tag << COUNT_BITS;
                        let place = &self.places[place].owner;
                        // When it fails somebody has found this one and uses it: then both stay.
                        let _ = place.compare_exchange(own, 0, Ordering::AcqRel, Ordering::Acquire);
                        return Some(Entry { place: first, tag });
                    }
                    _ => return Some(Entry { place, tag }),
                }
            }
        }
        self.untracked.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// The entry of an address, if there is one.
    pub(super) fn known(&self, key: impl Hash) -> Option<Entry> {
        let (bucket, tag) = self.bucket_and_tag(key);
        self.find(bucket, tag).map(|place| Entry { place, tag })
    }

    fn bucket_and_tag(&self, key: impl Hash) -> (usize, u64) {
        let hash = self.hasher.hash_one(key);
        let buckets = self.places.len() / BUCKET;
        let bucket = usize::try_from(hash % (buckets as u64)).unwrap_or_default() * BUCKET;
        (bucket, (hash >> COUNT_BITS).max(1))
    }

    fn find(&self, bucket: usize, tag: u64) -> Option<usize> {
        (bucket..bucket + BUCKET)
            .find(|place| self.places[*place].owner.load(Ordering::Acquire) >> COUNT_BITS == tag)
    }

    /// A place that is free, or else one whose owner is not worth remembering; and the owner.
    fn idle_place(&self, now: Moment, bucket: usize) -> Option<(usize, u64)> {
        let owner_of = |place: usize| (place, self.places[place].owner.load(Ordering::Acquire));
        let places = bucket..bucket + BUCKET;
        let free = places.clone().map(owner_of).find(|(_, owner)| *owner == 0);
        free.or_else(|| {
            places
                .map(owner_of)
                .find(|(place, owner)| self.may_be_taken(now, *place, *owner))
        })
    }

    fn may_be_taken(&self, now: Moment, place: usize, owner: u64) -> bool {
        let place = &self.places[place];
        let (failures, last_ms) = unpack(place.failures.load(Ordering::Acquire));
        owner & COUNT_MASK == 0
            && place.barred_until.load(Ordering::Acquire) <= now.as_nanoseconds()
            && place.next_expected.load(Ordering::Acquire) <= now.as_nanoseconds()
            && (failures == 0 || self.is_forgotten(now, last_ms))
    }

    /// What the last owner left says nothing any more, so it does no harm that it is cleared a moment later.
    fn take(&self, place: usize, owner: u64, tag: u64) -> bool {
        let place = &self.places[place];
        let taken = place
            .owner
            .compare_exchange(owner, tag << COUNT_BITS, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if taken {
            place.failures.store(0, Ordering::Release);
            place.barred_until.store(0, Ordering::Release);
            place.next_expected.store(0, Ordering::Release);
        }
        taken
    }

    /// Counts one more connection; false when the address has `max` already. An entry that was given up meanwhile is let
    /// through, uncounted: `None`.
    pub(super) fn connect(&self, entry: Entry, max: u32) -> Option<bool> {
        let owner = &self.places[entry.place].owner;
        let mut seen = owner.load(Ordering::Acquire);
        loop {
            if seen >> COUNT_BITS != entry.tag {
                return None;
            }
            if seen & COUNT_MASK >= u64::from(max).min(COUNT_MASK) {
                return Some(false);
            }
            match owner.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(true),
                Err(now) => seen = now,
            }
        }
    }

    /// A connection that was counted has ended.
    pub(super) fn disconnect(&self, entry: Entry) {
        self.places[entry.place].owner.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether the address may not connect now.
    pub(super) fn is_barred(&self, now: Moment, entry: Entry) -> bool {
        self.places[entry.place].barred_until.load(Ordering::Acquire) > now.as_nanoseconds()
    }

    /// Whether one more connection is within `per_second`; as many may come at once.
    pub(super) fn is_within_rate(&self, now: Moment, entry: Entry, per_second: u32) -> bool {
        let interval_ns = 1_000_000_000 / u64::from(per_second.max(1));
        let now_ns = now.as_nanoseconds();
        let next_expected = &self.places[entry.place].next_expected;
        let update = next_expected.fetch_update(Ordering::AcqRel, Ordering::Acquire, |next| {
            let start = next.max(now_ns);
            (start - now_ns + interval_ns <= 1_000_000_000).then_some(start + interval_ns)
        });
        update.is_ok()
    }

    /// Counts a failed bind; gives how many there are that are not forgotten.
    pub(super) fn fail(&self, now: Moment, entry: Entry) -> u32 {
        let failures = &self.places[entry.place].failures;
        let mut count = 0;
        let update = failures.fetch_update(Ordering::AcqRel, Ordering::Acquire, |packed| {
            let (before, last_ms) = unpack(packed);
            count = if self.is_forgotten(now, last_ms) {
                1
            } else {
                before.saturating_add(1).min((1 << (64 - MOMENT_BITS)) - 1)
            };
            Some(u64::from(count) << MOMENT_BITS | milliseconds(now))
        });
        debug_assert!(update.is_ok(), "the update always gives a value");
        count
    }

    /// The address may not connect before `until`.
    pub(super) fn bar(&self, entry: Entry, until: Moment) {
        let place = &self.places[entry.place];
        // Nobody is banned for the failure of who had the place before.
        if place.owner.load(Ordering::Acquire) >> COUNT_BITS == entry.tag {
            place
                .barred_until
                .fetch_max(until.as_nanoseconds(), Ordering::AcqRel);
        }
    }

    fn is_forgotten(&self, now: Moment, last_ms: u64) -> bool {
        let memory_ms = u64::try_from(self.memory.as_millis()).unwrap_or(u64::MAX);
        milliseconds(now).saturating_sub(last_ms) > memory_ms
    }
}

fn unpack(failures: u64) -> (u32, u64) {
    let count = u32::try_from(failures >> MOMENT_BITS).unwrap_or(u32::MAX);
    (count, failures & MOMENT_MASK)
}

fn milliseconds(moment: Moment) -> u64 {
    (moment.as_nanoseconds() / 1_000_000).min(MOMENT_MASK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::thread;

    const MEMORY: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    proptest! {
        /// Goal: with fewer addresses than a bucket has places, the table says of each what a plain map says: connections,
        /// failures that are not forgotten, bans.
        #[test]
        fn agrees_with_a_plain_map(
            steps in proptest::collection::vec((0_u8..6, 0_u8..4, 0_u64..8), 0..200),
        ) {
            #[derive(Default)]
            struct Known { connections: u32, failures: u32, failed_at: Option<Moment>, barred_until: Moment }
            let table = AddressTable::with_places(BUCKET, 7, MEMORY);
            let mut model: HashMap<u8, Known> = HashMap::new();
            let mut now = at(1);
            for (address, step, pause_s) in steps {
                now += Duration::from_secs(pause_s);
                let entry = table.entry(now, address).expect("there is room for six");
                let known = model.entry(address).or_default();
                match step {
                    0 => {
                        let may = table.connect(entry, 3);
                        prop_assert_eq!(may, Some(known.connections < 3));
                        known.connections += u32::from(may == Some(true));
                    }
                    1 if known.connections > 0 => {
                        table.disconnect(entry);
                        known.connections -= 1;
                    }
                    2 => {
                        let forgotten = known.failed_at.is_none_or(|at| now.since(at) > MEMORY);
                        known.failures = if forgotten { 1 } else { known.failures + 1 };
                        known.failed_at = Some(now);
                        prop_assert_eq!(table.fail(now, entry), known.failures);
                    }
                    3 => {
                        known.barred_until = known.barred_until.max(now + Duration::from_secs(5));
                        table.bar(entry, now + Duration::from_secs(5));
                    }
                    _ => {}
                }
                prop_assert_eq!(table.is_barred(now, entry), known.barred_until > now);
            }
        }
    }

    /// Goal: a full bucket leaves newcomers untracked and counts them, never pushes out who is connected or banned, and has
    /// room again when bans end.
    #[test]
    fn who_is_banned_stays_when_there_is_no_room() {
        let table = AddressTable::with_places(BUCKET, 7, MEMORY);
        for address in 0..8 {
            let entry = table.entry(at(1), address).unwrap();
            if address % 2 == 0 {
                table.bar(entry, at(100));
            } else {
                assert_eq!(table.connect(entry, 1), Some(true));
            }
        }
        for stranger in 100..200 {
            assert_eq!(table.entry(at(50), stranger), None);
        }
        assert_eq!(table.untracked(), 100);
        let banned = table.entry(at(99), 0).unwrap();
        assert!(table.is_barred(at(99), banned));
        assert!(table.entry(at(100), 100).is_some(), "the bans are over");
    }

    /// Goal: a rate lets so many through in each second, whatever comes.
    #[test]
    fn a_rate_holds() {
        let table = AddressTable::with_places(BUCKET, 7, MEMORY);
        let entry = table.entry(at(1), 1).unwrap();
        for second in 1..5 {
            let passed = (0..100)
                .filter(|step| {
                    let now = at(second) + Duration::from_millis(step * 10);
                    table.is_within_rate(now, entry, 10)
                })
                .count();
            let most = if second == 1 { 20 } else { 11 };
            assert!((10..=most).contains(&passed), "{passed} in second {second}");
        }
    }

    /// Goal: connections of many threads from few addresses are counted exactly.
    #[test]
    fn threads_count_exactly() {
        let table = Arc::new(AddressTable::with_places(BUCKET, 7, MEMORY));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let table = Arc::clone(&table);
                thread::spawn(move || {
                    for round in 0..2_000 {
                        let entry = table.entry(at(1), round % 4).unwrap();
                        if table.connect(entry, 2) == Some(true) {
                            thread::yield_now();
                            table.disconnect(entry);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let counts = table
            .places
            .iter()
            .map(|place| place.owner.load(Ordering::Acquire) & COUNT_MASK);
        assert_eq!(counts.sum::<u64>(), 0);
    }
}
