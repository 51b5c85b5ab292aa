//! Deterministic simulation: packet engines of several cores, their SMSCs and ESMEs and the network between them, in one
//! thread, under one virtual clock, from one seed.
//!
//! The engines are the real ones; all else is simulated, and things go wrong. A shadow model (`ledger`, `routes`) knows what
//! each peer sent and saw, and fails the run when a promise is broken. `SMPPMUX_SIM_SEED=n` replays one seed with a trace,
//! `SMPPMUX_SIM_RUNS=n` runs that many seeds, `SMPPMUX_SIM_FIRST_SEED=n` says where they start.

mod esme;
mod event;
mod faults;
mod host;
mod ledger;
mod link;
mod network;
mod pdu;
mod peer;
mod phases;
mod random;
mod ranges;
mod routes;
mod scenario;
mod smsc;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use trace::Trace;
use world::{Summary, World};

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
        match run(seed, &Trace::Off) {
            Ok(summary) => {
                total.events += summary.events;
                total.requests += summary.requests;
                total.messages += summary.messages;
            }
            Err(reason) => failed.push((seed, reason)),
        }
    }
    println!(
        "{runs} runs, {} events, {} requests, {} messages, {} failed",
        total.events,
        total.requests,
        total.messages,
        failed.len()
    );
    for (seed, reason) in &failed {
        println!("seed {seed}: {reason}");
    }
    assert!(failed.is_empty(), "replay with SMPPMUX_SIM_SEED={}", failed[0].0);
}

/// Goal: a seed is a whole run: twice the same seed gives twice the same events.
#[test]
fn a_seed_repeats_its_run() {
    let trace = |seed| {
        let lines = Rc::default();
        let outcome = run(seed, &Trace::Kept(Rc::clone(&lines)));
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
    if let Err(reason) = run(seed, &Trace::Printed) {
        panic!("seed {seed}: {reason}");
    }
}

fn run(seed: u64, trace: &Trace) -> Result<Summary, String> {
    let shared = trace.clone();
    catch_unwind(AssertUnwindSafe(|| World::new(seed, shared).run())).map_err(|reason| {
        let text = reason.downcast_ref::<String>().cloned();
        text.or_else(|| reason.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
