//! Deterministic simulation: packet engines of several cores, their SMSCs and ESMEs and the network between them, in one
//! thread, under one virtual clock, from one seed.
//!
//! The engines are the real ones; all else is simulated, and things go wrong. A shadow model (`ledger`, `routes`) knows what
//! each peer sent and saw, and fails the run when a promise is broken. `tests/simulation/main.rs` runs seeds as part of
//! `cargo test`; the program `simulate` soaks for a time and shrinks a run that fails.

mod between;
mod calls;
mod commits;
mod concatenated;
mod esme;
mod event;
mod exercised;
mod faults;
mod health;
mod heard;
mod held;
mod host;
mod ledger;
mod limits;
mod link;
mod message_log;
mod moving;
mod network;
mod operator;
mod pdu;
mod peer;
mod phases;
mod plan;
mod random;
mod ranges;
mod rare;
mod rates;
mod restart;
mod routes;
mod rules;
pub mod scale;
mod scenario;
mod shrink;
mod smsc;
mod store;
mod stuck;
mod totals;
mod trace;
mod versions;
mod weights;
mod world;

pub use exercised::Exercised;
pub use plan::{Plan, Reduction};
pub use shrink::{Shrunk, shrink};
pub use trace::Trace;
pub use world::Summary;

use std::panic::{AssertUnwindSafe, catch_unwind};
use world::World;

/// Runs a plan to its end. `Err`: the promise that was broken, in a sentence.
///
/// # Errors
///
/// When the shadow model, or an assertion of the engine itself, fails the run.
pub fn run(plan: &Plan, trace: &Trace) -> Result<Summary, String> {
    let trace = trace.clone();
    catch_unwind(AssertUnwindSafe(|| World::new(plan, trace).run())).map_err(|reason| {
        let text = reason.downcast_ref::<String>().cloned();
        text.or_else(|| reason.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    })
}

/// The names of all faults that can go wrong in a run, as a [`Reduction`] takes them.
pub fn fault_names() -> &'static [&'static str] {
    weights::Faults::NAMES
}

/// The settings that a seed's run has, for whoever wants engines of many kinds. Its accounts are `esme0`, `esme1` …, all with the
/// password `secret`; the even ones may claim every address, the odd ones what starts with 8887.
pub fn settings_of(seed: u64) -> std::sync::Arc<smppmux_engine::core::settings::Settings> {
    scenario::Scenario::draw(&mut random::Random::new(seed)).settings
}
