//! Token buckets: how many messages may pass in a time.
//!
//! Owns only arithmetic. A bucket holds whole tokens and the parts of the next one exactly (no rounding adds up), starts
//! full, and never gives more than its capacity at once. Time comes from outside.

use super::time::Moment;
use std::time::Duration;

/// Parts of one token: a rate in tokens per second fills so many parts each nanosecond.
const PARTS: i64 = 1_000_000_000;

/// A limit on messages in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Messages per second, from 1.
    pub per_second: u32,
    /// Messages that may come at once, from 1.
    pub burst: u32,
}

impl RateLimit {
    /// So many per second; a tenth of a second's worth may come at once, and one at least.
    pub const fn per_second(per_second: u32) -> Self {
        let tenth = per_second / 10;
        Self {
            per_second,
            burst: if tenth == 0 { 1 } else { tenth },
        }
    }

    /// What one core is lent at once: a twentieth of a second's worth, and one at least.
    pub const fn lease(self) -> u32 {
        let twentieth = self.per_second / 20;
        if twentieth == 0 { 1 } else { twentieth }
    }

    /// What one core is lent in advance of an account's rate: nothing where only one message may come at once, because a token that
    /// lies at one core would be missing at the others.
    pub(super) const fn lease_in_advance(self) -> u32 {
        if self.burst == 1 { 0 } else { self.lease() }
    }
}

/// A bucket of tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Below 0 where tokens are owed.
    parts: i64,
    parts_max: i64,
    /// Tokens per second; also parts per nanosecond.
    per_second: u64,
    filled_at: Moment,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(limit: RateLimit, now: Moment) -> Self {
        // At most 2^32 tokens of 10^9 parts, which is below 2^63.
        let parts_max = i64::from(limit.burst.max(1)) * PARTS;
        Self {
            parts: parts_max,
            parts_max,
            per_second: u64::from(limit.per_second.max(1)),
            filled_at: now,
        }
    }

    /// Takes up to `wanted` tokens; how many there were.
    pub(super) fn take(&mut self, now: Moment, wanted: u32) -> u32 {
        self.fill(now);
        // The capacity fits a u32.
        let taken = u32::try_from(self.parts.max(0) / PARTS)
            .unwrap_or(u32::MAX)
            .min(wanted);
        self.parts -= i64::from(taken) * PARTS;
        taken
    }

    /// Books tokens that were spent before they were asked for; the bucket may owe them.
    pub(super) fn owe(&mut self, now: Moment, tokens: u32) {
        self.fill(now);
        self.parts = self.parts.saturating_sub(i64::from(tokens) * PARTS);
    }

    /// Goes on with another limit; what is in it stays, as far as it fits.
    pub(super) fn set_limit(&mut self, now: Moment, limit: RateLimit) {
        self.fill(now);
        let empty = Self::new(limit, now);
        (self.parts_max, self.per_second) = (empty.parts_max, empty.per_second);
        self.parts = self.parts.min(self.parts_max);
    }

    /// How long until there is a token.
    pub(super) fn time_to_next(&mut self, now: Moment) -> Duration {
        self.fill(now);
        let missing = u64::try_from(PARTS.saturating_sub(self.parts)).unwrap_or(0);
        Duration::from_nanos(missing.div_ceil(self.per_second))
    }

    fn fill(&mut self, now: Moment) {
        let nanoseconds = u64::try_from(now.since(self.filled_at).as_nanos()).unwrap_or(u64::MAX);
        self.filled_at = self.filled_at.max(now);
        let added = nanoseconds.saturating_mul(self.per_second);
        let added = i64::try_from(added).unwrap_or(i64::MAX);
        self.parts = self.parts.saturating_add(added).min(self.parts_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Goal: in any span of time a bucket gives at most its capacity and what the rate adds, and it gives all of that to
        /// who asks often enough. Method: takes at random moments, against exact arithmetic.
        #[test]
        fn gives_the_rate_and_no_more(
            per_second in prop_oneof![1_u32..20, 1_u32..2_000_000],
            burst in 1_u32..50,
            steps in proptest::collection::vec((0_u64..400_000_000, 0_u32..60), 1..200),
        ) {
            let mut bucket = Bucket::new(RateLimit { per_second, burst }, Moment::START);
            let mut now = Moment::START;
            let mut model = u128::from(burst) * PARTS as u128;
            let mut given = 0_u128;
            for (pause, wanted) in steps {
                now += Duration::from_nanos(pause);
                model = (model + u128::from(pause) * u128::from(per_second)).min(u128::from(burst) * PARTS as u128);
                let taken = bucket.take(now, wanted);
                prop_assert_eq!(u128::from(taken), (model / PARTS as u128).min(u128::from(wanted)));
                model -= u128::from(taken) * PARTS as u128;
                given += u128::from(taken);
                let allowed = u128::from(burst)
                    + u128::from(now.as_nanoseconds()) * u128::from(per_second) / PARTS as u128;
                prop_assert!(given <= allowed);
            }
            // The time that it names is the first at which there is one.
            let wait = bucket.time_to_next(now);
            let mut early = bucket;
            prop_assert!(wait.is_zero() || early.take(now + wait - Duration::from_nanos(1), 1) == 0);
            prop_assert_eq!(bucket.take(now + wait, 1), 1);
        }
    }

    /// Goal: what was spent on credit is paid before there is another token.
    #[test]
    fn what_is_owed_is_paid_first() {
        let mut bucket = Bucket::new(
            RateLimit {
                per_second: 10,
                burst: 1,
            },
            Moment::START,
        );
        bucket.owe(Moment::START, 3);
        assert_eq!(bucket.take(Moment::START, 1), 0);
        assert_eq!(bucket.time_to_next(Moment::START), Duration::from_millis(300));
        assert_eq!(bucket.take(Moment::START + Duration::from_millis(299), 1), 0);
        assert_eq!(bucket.take(Moment::START + Duration::from_millis(300), 1), 1);
    }
}
