//! Real faults on real sockets: processes that stop and die, disks that fill and fail, limits of the system, hostile peers, clocks
//! that step, links that are cut.
//!
//! Each scenario ends with one line: what was promised, and what was measured. `cargo test` runs a short form of each;
//! `tests/faults/run` the long one, and makes a table of the lines. What this machine does not allow (namespaces, control groups)
//! is skipped, and the line says so.

mod clients;
mod clock;
mod engine;
mod limits;
mod load;
mod measure;
mod network;
mod sabotage;
mod servers;
mod store;
mod storm;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The binary that cargo built for these tests.
const PROGRAM: &str = env!("CARGO_BIN_EXE_smppmux-under-test");

/// Whether the long form was asked for.
fn is_long() -> bool {
    std::env::var_os("SMPPMUX_FAULTS").is_some_and(|form| form == "long")
}

/// The measurements of one scenario are not to be those of another: they run one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a scenario has to say in the end; `run` finds the line by its first word.
fn tell(fault: &str, promised: &str, measured: &str) {
    println!("MEASURED | {fault} | {promised} | {measured} |");
}
