//! A million address ranges: what a deliver_sm costs beside ten, how long they take to load, and what they take in memory.
//!
//! ```text
//! target/release/examples/ranges [RANGES]
//! ```
//!
//! One account may claim all of them and binds with an empty address_range. Every message goes to another one of them, so that
//! the index is as cold as it is in use. The two engines take turns in one run, so that what else the machine does hits both;
//! the median of their rounds counts.

use smppmux_benches::{Destinations, RoundTrip, TwoCores, prefix, settings_with_ranges};
use smppmux_engine::core::range::AddressRange;
use smppmux_engine::core::settings::Settings;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 101;
const MESSAGES_PER_ROUND: usize = 2_000;

fn main() {
    let many = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let (mut few, mut engine) = (Loaded::new(10), Loaded::new(many));
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_few.push(few.round());
        of_many.push(engine.round());
    }
    let (few, many) = (median(of_few), median(of_many));
    println!(
        "a deliver_sm and its answer: {few:.0} ns with 10 ranges, {many:.0} ns with many, {:.2} times",
        many / few
    );
}

/// An engine whose client has bound for so many ranges.
struct Loaded {
    engine: RoundTrip,
    destinations: Destinations,
}

impl Loaded {
    fn new(count: u64) -> Self {
        let octets = || memory_octets() as f64 / 1_048_576.0;
        let (before, started_at) = (octets(), Instant::now());
        let ranges: Vec<AddressRange> = (0..count)
            .map(|number| AddressRange::parse(&prefix(number)).expect("a prefix"))
            .collect();
        let settings: Arc<Settings> = Arc::new(settings_with_ranges(ranges));
        let (configured, configured_seconds) = (octets(), started_at.elapsed().as_secs_f64());
        let engine = RoundTrip::with_settings(Arc::clone(&settings), b"");
        let (one, bound_seconds) = (octets(), started_at.elapsed().as_secs_f64());
        let two_cores = TwoCores::with_settings(&settings, b"");
        println!(
            "{count} ranges: configuration {:.1} MiB in {configured_seconds:.2} s, bound in {:.3} s, \
             an engine {:.1} MiB more, two that talk {:.1} MiB more",
            configured - before,
            bound_seconds - configured_seconds,
            one - configured,
            octets() - one
        );
        drop(two_cores);
        Self {
            engine,
            destinations: Destinations::below(count),
        }
    }

    fn round(&mut self) -> Duration {
        let started_at = Instant::now();
        for _ in 0..MESSAGES_PER_ROUND {
            let (_, destination) = self.destinations.draw();
            black_box(self.engine.deliver_to(&destination));
        }
        started_at.elapsed()
    }
}

fn median(mut rounds: Vec<Duration>) -> f64 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2].as_nanos() as f64 / MESSAGES_PER_ROUND as f64
}

/// Resident memory of this process.
fn memory_octets() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: i64 = text
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("resident pages");
    pages * 4_096
}
