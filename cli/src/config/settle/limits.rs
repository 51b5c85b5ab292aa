//! Ranges of single values, and how they are told.

use super::{Settling, blame};
use crate::config::choices::Store;
use crate::config::key::Key;
use crate::config::texts::Octets;
use smppmux_engine::core::rate::RateLimit;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Requests in flight on one session at most.
pub(super) const WINDOW_MAX: u32 = 65_535;

/// Sessions towards one server at most, per core or in all.
pub(super) const CONNECTIONS_MAX: u32 = 1000;

/// Messages per second at most that can be asked for.
const RATE_MAX: u32 = 10_000_000;
/// Largest share of a server among its equals.
pub const WEIGHT_MAX: u32 = 1000;

/// Octets of a system_id or password that the wire formats of peers are known to carry at most.
pub(super) const CREDENTIAL_OCTETS_MAX: usize = 63;

/// Longest time of any timer.
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Messages, dead letters or receipts at most that may be kept.
pub(super) const KEPT_MAX: u64 = 1_000_000_000;

/// Longest time that they may be kept.
pub(super) const KEPT_AGE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Shortest time of any timer.
pub(super) const MILLISECOND: Duration = Duration::from_millis(1);

impl Settling<'_> {
    /// Reports a number outside its range.
    pub(super) fn number<T: PartialOrd + Display>(
        &mut self,
        name: &str,
        key: &Key<T>,
        range: &RangeInclusive<T>,
    ) {
        self.number_value(name, key, &key.value, range);
    }

    /// The same for a key without a default.
    pub(super) fn optional_number<T: PartialOrd + Display>(
        &mut self,
        name: &str,
        key: &Key<Option<T>>,
        range: &RangeInclusive<T>,
    ) {
        if let Some(value) = &key.value {
            self.number_value(name, key, value, range);
        }
    }

    fn number_value<K, T: PartialOrd + Display>(
        &mut self,
        name: &str,
        key: &Key<K>,
        value: &T,
        range: &RangeInclusive<T>,
    ) {
        if !range.contains(value) {
            let message = format!(
                "`{name}` is {value}; it must be from {} to {}",
                range.start(),
                range.end()
            );
            self.problem(key.origin(), message);
        }
    }

    /// Checks a rate and what may come at once, and puts them together.
    pub(super) fn rate_limit(
        &mut self,
        rate: &Key<Option<u32>>,
        burst: &Key<Option<u32>>,
    ) -> Option<RateLimit> {
        self.optional_number("rate", rate, &(1..=RATE_MAX));
        self.optional_number("burst", burst, &(1..=RATE_MAX));
        if burst.is_set() && !rate.is_set() {
            self.problem(
                burst.origin(),
                "`burst` needs `rate`: it says how far the rate may be exceeded",
            );
        }
        let plain = RateLimit::per_second(rate.value?);
        Some(RateLimit {
            burst: burst.value.unwrap_or(plain.burst),
            ..plain
        })
    }

    /// Reports a number of octets outside its range.
    pub(super) fn octets(&mut self, name: &str, key: &Key<Octets>, range: &RangeInclusive<u64>) {
        self.number_value(name, key, &key.value.0, range);
    }

    /// The same for a key without a default.
    pub(super) fn optional_octets(
        &mut self,
        name: &str,
        key: &Key<Option<Octets>>,
        range: &RangeInclusive<u64>,
    ) {
        if let Some(Octets(octets)) = &key.value {
            self.number_value(name, key, octets, range);
        }
    }

    /// Checks where a store keeps what it has; `what` is what the path names.
    pub(super) fn store_path(&mut self, path: &Key<String>, store: &Key<Store>, what: &str) {
        if path.value.is_empty() {
            self.problem(path.origin(), format!("`path` is empty; it names {what}"));
        }
        if store.value != Store::Durable && path.is_set() {
            self.warn(
                path.origin(),
                "`path` has no effect without `store = \"durable\"`",
            );
        }
    }

    /// Reports a time outside its range.
    pub(super) fn period(&mut self, name: &str, key: &Key<Duration>, range: &RangeInclusive<Duration>) {
        if !range.contains(&key.value) {
            let message = format!(
                "`{name}` is {}; it must be from {} to {}",
                shown(key.value),
                shown(*range.start()),
                shown(*range.end())
            );
            self.problem(key.origin(), message);
        }
    }

    /// Reports a time that is longer than another one, which it must not be.
    pub(super) fn not_longer(
        &mut self,
        (name, key): (&str, &Key<Duration>),
        (than, other): (&str, &Key<Duration>),
    ) {
        if key.value > other.value {
            let message = format!(
                "`{name}` ({}) is longer than `{than}` ({})",
                shown(key.value),
                shown(other.value)
            );
            self.problem(blame(key, other), message);
        }
    }

    /// Reports text that is too long for its field or holds what SMPP cannot carry in it.
    pub(super) fn field_text<K>(&mut self, name: &str, key: &Key<K>, text: &str, octets_max: usize) {
        if text.len() > octets_max {
            let message = format!("`{name}` has {} octets; {octets_max} fit", text.len());
            self.problem(key.origin(), message);
        }
        if text.contains('\0') {
            self.problem(
                key.origin(),
                format!("`{name}` holds a NUL, which ends a text in SMPP"),
            );
        }
    }
}

/// A duration in the largest unit that leaves it whole, as it is written in the file.
pub(super) fn shown(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    for (size, unit) in [
        (86_400_000_000_000_u128, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ] {
        if nanoseconds >= size && nanoseconds.is_multiple_of(size) {
            return format!("{}{unit}", nanoseconds / size);
        }
    }
    if nanoseconds == 0 {
        "0s".into()
    } else {
        format!("{nanoseconds}ns")
    }
}
