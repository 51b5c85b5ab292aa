//! What has grown between two snapshots, in a second.

use crate::admin::control::Snapshot;
use smppmux_engine::core::figures::Latency;
use smppmux_engine::shell::CoreReport;

/// Two snapshots and the time between them. An engine that one of them lacks (it did not answer in time) has not grown.
#[derive(Debug)]
pub(super) struct Growth<'a> {
    /// An engine before, and now.
    cores: Vec<(&'a CoreReport, &'a CoreReport)>,
    seconds: f64,
}

impl<'a> Growth<'a> {
    pub(super) fn between(before: &'a Snapshot, now: &'a Snapshot) -> Self {
        let earlier = |core| before.reports.iter().find(|report| report.engine.core == core);
        let pair = |report: &'a CoreReport| Some((earlier(report.engine.core)?, report));
        Self {
            cores: now.reports.iter().filter_map(pair).collect(),
            seconds: now.uptime.saturating_sub(before.uptime).as_secs_f64(),
        }
    }

    /// The time between the two.
    pub(super) const fn seconds(&self) -> f64 {
        self.seconds
    }

    /// How much a counter of the engines grows in a second, all together.
    pub(super) fn rate(&self, figure: impl Fn(&CoreReport) -> u64) -> f64 {
        let pairs = self.cores.iter();
        self.per_second(
            pairs
                .map(|(before, now)| figure(now).saturating_sub(figure(before)))
                .sum(),
        )
    }

    /// The same of one engine.
    pub(super) fn rate_of(&self, core: u16, figure: impl Fn(&CoreReport) -> u64) -> f64 {
        let pair = self.cores.iter().find(|(_, now)| now.engine.core == core);
        self.per_second(pair.map_or(0, |(before, now)| figure(now).saturating_sub(figure(before))))
    }

    /// The engines that both have, before and now.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'a CoreReport, &'a CoreReport)> {
        self.cores.iter().copied()
    }

    /// The times that were measured meanwhile.
    pub(super) fn times(&self, figure: impl Fn(&CoreReport) -> Latency) -> Times {
        let mut times = Times::default();
        for (before, now) in &self.cores {
            let (before, now) = (figure(before), figure(now));
            for ((sum, now), before) in times.buckets.iter_mut().zip(now.buckets()).zip(before.buckets()) {
                *sum += now.saturating_sub(before);
            }
        }
        times
    }

    /// So much in the time between the two, per second.
    pub(super) fn per_second(&self, growth: u64) -> f64 {
        if self.seconds > 0.0 {
            rounded(growth as f64 / self.seconds)
        } else {
            0.0
        }
    }
}

/// Three decimals: more says nothing, and makes every event longer.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// A histogram of the times of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    buckets: [u64; Latency::BUCKETS + 1],
}

impl Times {
    /// The time that so large a part of them (0 to 1) did not exceed, in seconds: estimated inside its bucket, whose bounds lie
    /// a factor of two apart. `None` when there are none.
    pub(super) fn quantile(&self, part: f64) -> Option<f64> {
        let count: u64 = self.buckets.iter().sum();
        if count == 0 {
            return None;
        }
        let rank = part * count as f64;
        let mut below = 0.0;
        for (place, in_bucket) in self.buckets.iter().enumerate() {
            let in_bucket = *in_bucket as f64;
            if in_bucket > 0.0 && below + in_bucket >= rank {
                // What lies beyond the last bound is told as that bound.
                let upper = bound(place.min(Latency::BUCKETS - 1));
                let lower = place.checked_sub(1).map_or(0.0, bound);
                let inside = ((rank - below) / in_bucket).clamp(0.0, 1.0);
                let seconds = lower + (upper - lower) * inside;
                return Some((seconds * 1e6).round() / 1e6);
            }
            below += in_bucket;
        }
        None
    }
}

fn bound(place: usize) -> f64 {
    Latency::bound(place).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(counts: &[(usize, u64)]) -> Times {
        let mut times = Times::default();
        for (place, count) in counts {
            times.buckets[*place] = *count;
        }
        times
    }

    /// Goal: a quantile lies inside the bucket that has it, and there is none of nothing.
    #[test]
    fn quantiles_lie_in_their_buckets() {
        assert_eq!(Times::default().quantile(0.5), None);
        let some = times(&[(0, 90), (3, 10)]);
        let (median, high) = (
            some.quantile(0.5).expect("some"),
            some.quantile(0.99).expect("some"),
        );
        assert!(median > 0.0 && median <= bound(0), "{median}");
        assert!(high > bound(2) && high <= bound(3), "{high}");
        let beyond = times(&[(Latency::BUCKETS, 1)]);
        assert_eq!(
            beyond.quantile(0.5),
            Some((bound(Latency::BUCKETS - 1) * 1e6).round() / 1e6)
        );
    }
}
