//! What a run has counted, and its report.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::processes::Used;

const LONGEST_NS: u64 = 120_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Counts answers and their times.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) answered: u64,
    pub(crate) receipts: u64,
    times_ns: Histogram<u64>,
    faults: BTreeMap<String, u64>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            answered: 0,
            receipts: 0,
            times_ns: Histogram::new_with_bounds(1, LONGEST_NS, SIGNIFICANT_DIGITS)
                .expect("constant bounds: low is at least 1, high is at least twice low, at most 5 digits"),
            faults: BTreeMap::new(),
        }
    }

    /// Begins to count; faults stay.
    pub(crate) fn restart(&mut self) {
        self.answered = 0;
        self.receipts = 0;
        self.times_ns.reset();
    }

    pub(crate) fn note(&mut self, time_ns: u64) {
        self.answered += 1;
        self.times_ns.saturating_record(time_ns);
    }

    pub(crate) fn fault(&mut self, what: impl Into<String>) {
        *self.faults.entry(what.into()).or_default() += 1;
    }
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) meter: Meter,
    /// No message was to be answered.
    pub(crate) is_idle: bool,
    pub(crate) elapsed: Duration,
    pub(crate) before: Used,
    pub(crate) after: Used,
    /// submit_sm that reached the SMSCs meanwhile: who answers by himself may be behind.
    pub(crate) arrived: u64,
    pub(crate) resident_kib: u64,
    /// Sessions bound at the SMSCs.
    pub(crate) server_sessions: usize,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.meter.faults.is_empty() && (self.is_idle || self.meter.answered > 0)
    }
}

impl fmt::Display for Report {
    /// One line of JSON.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Meter {
            answered,
            receipts,
            times_ns,
            faults,
        } = &self.meter;
        let microseconds = |quantile| times_ns.value_at_quantile(quantile) as f64 / 1e3;
        write!(
            formatter,
            r#"{{"messages": {answered}, "receipts": {receipts}, "elapsed_s": {:.6}, "#,
            self.elapsed.as_secs_f64()
        )?;
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            write!(formatter, r#""{name}_us": {:.1}, "#, microseconds(quantile))?;
        }
        for (name, before, after) in [
            ("proxy", self.before.proxies, self.after.proxies),
            ("load", self.before.load, self.after.load),
            ("spinner", self.before.spinners, self.after.spinners),
        ] {
            let used = after.saturating_sub(before).as_secs_f64();
            write!(formatter, r#""{name}_cpu_s": {used:.6}, "#)?;
        }
        write!(
            formatter,
            r#""arrived": {}, "resident_kib": {}, "server_sessions": {}, "faults": {{"#,
            self.arrived, self.resident_kib, self.server_sessions
        )?;
        for (number, (what, count)) in faults.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(formatter, r#"{comma}"{what}": {count}"#)?;
        }
        formatter.write_str("}}")
    }
}
