//! Fuzz targets: each takes any octets and panics when something does not hold. No panic of the code under test is only the
//! first of the checks; the others are on each target.
//!
//! `tests/fuzz/run` searches with libFuzzer; `cargo test` runs the corpus and some mutations of it.

#[cfg(feature = "config")]
mod config;
mod engine;
mod framing;
mod input;
mod mutation;
mod pdus;
mod proxy;
mod ranges;
mod receipts;
mod rusmpp;
mod user_data;
mod views;

pub use mutation::Mutator;

/// One thing to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What the command line and the corpus call it.
    pub name: &'static str,
    /// Runs one input.
    pub run: fn(&[u8]),
    /// The valid PDUs of the conformance vectors are good inputs to begin with.
    pub takes_pdus: bool,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("framing", framing::run, true),
    target("pdus", pdus::run, true),
    target("user_data", user_data::run, true),
    target("receipts", receipts::run, true),
    target("ranges", ranges::run, false),
    target("proxy", proxy::run, false),
    #[cfg(feature = "config")]
    target("config", config::run, false),
    target("engine", engine::run, false),
];

const fn target(name: &'static str, run: fn(&[u8]), takes_pdus: bool) -> Target {
    Target {
        name,
        run,
        takes_pdus,
    }
}
