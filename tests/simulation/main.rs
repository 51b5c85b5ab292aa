//! The simulation (`lib.rs`) as a test. `SMPPMUX_SIM_SEED=n` replays one seed with a trace, `SMPPMUX_SIM_RUNS=n` runs that
//! many seeds, `SMPPMUX_SIM_FIRST_SEED=n` says where they start.

use smppmux_simulation::{Plan, Summary, Trace, run};
use std::rc::Rc;

const RUNS: u64 = 200;

/// Goal: in no run is a promise broken, whatever goes wrong.
#[test]
fn promises_hold_in_every_run() {
    if let Some(seed) = number("SMPPMUX_SIM_SEED") {
        return replay(seed);
    }
    let first = number("SMPPMUX_SIM_FIRST_SEED").unwrap_or(0);
    let runs = number("SMPPMUX_SIM_RUNS").unwrap_or(RUNS);
    let mut total = Summary::default();
    let mut failed = Vec::new();
    for seed in first..first + runs {
        match run(&Plan::of(seed), &Trace::Off) {
            Ok(summary) => total += summary,
            Err(reason) => failed.push((seed, reason)),
        }
    }
    println!(
        "{runs} runs, {} events, {} requests, {} messages, {} concatenated, {} failed",
        total.events,
        total.requests,
        total.messages,
        total.concatenated,
        failed.len()
    );
    println!("{}", total.exercised.describe());
    for (seed, reason) in &failed {
        println!("seed {seed}: {reason}");
    }
    assert!(failed.is_empty(), "replay with SMPPMUX_SIM_SEED={}", failed[0].0);
    if (first, runs) == (0, RUNS) {
        let too_rare = total.exercised.too_rare();
        assert!(too_rare.is_empty(), "kind, how often, at least: {too_rare:?}");
    }
}

/// Goal: a seed is a whole run: twice the same seed gives twice the same events.
#[test]
fn a_seed_repeats_its_run() {
    let trace = |seed| {
        let lines = Rc::default();
        let outcome = run(&Plan::of(seed), &Trace::Kept(Rc::clone(&lines)));
        (outcome.is_ok(), lines.take())
    };
    for seed in 0..3 {
        assert!(
            trace(seed) == trace(seed),
            "seed {seed} ran differently the second time"
        );
    }
}

fn replay(seed: u64) {
    if let Err(reason) = run(&Plan::of(seed), &Trace::Printed) {
        panic!("seed {seed}: {reason}");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
