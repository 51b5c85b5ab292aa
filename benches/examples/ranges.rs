//! A million address ranges: what a deliver_sm costs beside ten, how long they take to load, and what they take in memory.
//!
//! ```text
//! target/release/examples/ranges [RANGES]
//! ```
//!
//! One account may claim all of them and binds with an empty address_range, so that an engine has a pool for each. The two engines take
//! turns in one run, so that what else the machine does hits both; the median of their rounds counts.

use smppmux_benches::RoundTrip;
use smppmux_engine::core::range::AddressRange;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 101;
const MESSAGES_PER_ROUND: usize = 2_000;

fn main() {
    let many = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let (mut few, _) = loaded(10);
    let (mut engine, seconds) = loaded(many);
    println!("{many} ranges: parsed, indexed and bound in {seconds:.2} s");
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_few.push(round(&mut few));
        of_many.push(round(&mut engine));
    }
    let (few, many) = (median(of_few), median(of_many));
    println!(
        "a deliver_sm and its answer: {few:.0} ns with 10 ranges, {many:.0} ns with many, {:.2} times",
        many / few
    );
}

fn loaded(count: usize) -> (RoundTrip, f64) {
    let before = memory_octets();
    let started_at = Instant::now();
    // The destination of the bench lies in the first one.
    let prefixes = (1..count).map(|number| format!("4{:09}", number * 7_919 % 1_000_000_007));
    let ranges: Vec<AddressRange> = std::iter::once("888765".to_owned())
        .chain(prefixes)
        .map(|prefix| AddressRange::parse(prefix.as_bytes()).expect("a prefix"))
        .collect();
    let parsed = memory_octets();
    let engine = RoundTrip::with_ranges(ranges);
    let seconds = started_at.elapsed().as_secs_f64();
    let bound = memory_octets();
    println!(
        "{count} ranges: {} octets each in the configuration, {} more with the index of what may be claimed and one engine's pools",
        (parsed - before) / count as i64,
        (bound - parsed) / count as i64
    );
    (engine, seconds)
}

fn round(engine: &mut RoundTrip) -> Duration {
    let started_at = Instant::now();
    for _ in 0..MESSAGES_PER_ROUND {
        black_box(engine.deliver());
    }
    started_at.elapsed()
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
