//! Response times: histograms of fixed size, shared by the sessions of a thread, summed up as percentiles.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest response time that is told apart; longer ones count as this.
const LONGEST_US: u64 = 120_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Response times of one kind of request; clones of the counts are taken for reports.
#[derive(Debug)]
pub(crate) struct Latencies {
    inner: Mutex<Recorded>,
}

/// The response times of some sessions as histograms, which can be added up; percentiles cannot.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// From the write of the request to its answer, in microseconds.
    from_write: Histogram<u64>,
    /// From the moment the schedule wanted the request, in microseconds: what a paced user of the system feels.
    from_schedule: Histogram<u64>,
    /// As `from_write`, since the last live line.
    interval: Histogram<u64>,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Recorded::new()),
        }
    }

    /// Notes one answer.
    pub(crate) fn note(&self, since_write_us: u64, since_schedule_us: u64) {
        let mut recorded = self.lock();
        recorded.from_write.saturating_record(since_write_us);
        recorded.from_schedule.saturating_record(since_schedule_us);
        recorded.interval.saturating_record(since_write_us);
    }

    /// Adds everything that was recorded here to `total`.
    pub(crate) fn add_to(&self, total: &mut Recorded) {
        let recorded = self.lock();
        // Equal bounds everywhere, so adding cannot fail.
        total.from_write += &recorded.from_write;
        total.from_schedule += &recorded.from_schedule;
    }

    /// Adds what was recorded since the last call to `total`'s interval, and starts again.
    pub(crate) fn take_interval(&self, total: &mut Recorded) {
        let mut recorded = self.lock();
        total.interval += &recorded.interval;
        recorded.interval.reset();
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    pub(crate) fn new() -> Self {
        let empty = Histogram::new_with_bounds(1, LONGEST_US, SIGNIFICANT_DIGITS)
            .expect("constant bounds: low is at least 1, high is at least twice low, at most 5 digits");
        Self {
            from_write: empty.clone(),
            from_schedule: empty.clone(),
            interval: empty,
        }
    }

    /// Takes over what other sessions recorded; equal bounds everywhere, so adding cannot fail.
    pub(crate) fn add(&mut self, other: &Self) {
        self.from_write += &other.from_write;
        self.from_schedule += &other.from_schedule;
        self.interval += &other.interval;
    }

    pub(crate) fn since_write(&self) -> Percentiles {
        Percentiles::of(&self.from_write)
    }

    pub(crate) fn since_schedule(&self) -> Percentiles {
        Percentiles::of(&self.from_schedule)
    }

    pub(crate) fn interval(&self) -> Percentiles {
        Percentiles::of(&self.interval)
    }
}

impl Default for Recorded {
    fn default() -> Self {
        Self::new()
    }
}

/// Response times in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many answers.
    pub count: u64,
    /// The shortest.
    pub min_us: u64,
    /// The arithmetic mean.
    pub mean_us: f64,
    /// Half of the answers came within this time.
    pub p50_us: u64,
    /// 90 % of the answers came within this time.
    pub p90_us: u64,
    /// 99 % of the answers came within this time.
    pub p99_us: u64,
    /// 99.9 % of the answers came within this time.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Percentiles {
    fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            count: histogram.len(),
            min_us: histogram.min(),
            mean_us: (histogram.mean() * 10.0).round() / 10.0,
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
        }
    }
}

/// A number of microseconds as people read it.
pub(crate) fn readable_us(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.2} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: percentiles are right to three digits, times beyond the scale are kept as its end.
    #[test]
    fn percentiles_are_right() {
        let latencies = Latencies::new();
        for micros in 1..=10_000 {
            latencies.note(micros, u64::MAX);
        }
        let mut total = Recorded::new();
        latencies.add_to(&mut total);
        latencies.add_to(&mut total);
        let percentiles = total.since_write();
        assert_eq!((percentiles.count, percentiles.min_us), (20_000, 1));
        assert!((4_990..=5_010).contains(&percentiles.p50_us), "{percentiles:?}");
        assert!((9_890..=9_910).contains(&percentiles.p99_us), "{percentiles:?}");
        assert!(total.since_schedule().max_us >= LONGEST_US);
        latencies.take_interval(&mut total);
        latencies.take_interval(&mut total);
        assert_eq!(total.interval().count, 10_000);
    }
}
