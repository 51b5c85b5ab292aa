//! Real faults on real sockets: processes that stop and die, disks that fill and fail, limits of the system, hostile peers, clocks
//! that step, links that are cut.
//!
//! Each scenario ends with one line: what was promised, and what was measured. `cargo test` runs a short form of each;
//! `tests/faults/run` the long one, and makes a table of the lines. What this machine does not allow (namespaces, control groups)
//! is skipped, and the line says so, also in CI, whose summary counts these lines; what CI installs must be there in CI.

mod clients;
mod clock;
mod engine;
mod limits;
mod load;
mod measure;
mod memory_limit;
mod network;
mod sabotage;
mod servers;
mod store;
mod storm;
mod unread;

use std::sync::{Mutex, MutexGuard, PoisonError};

use smppmux_tests::skip::{not_checked, not_checked_unless_ci};

/// The binary that cargo built for these tests, or the one that `SMPPMUX_TEST_PROGRAM` named when they were built: a release build,
/// by its whole path.
const PROGRAM: &str = match option_env!("SMPPMUX_TEST_PROGRAM") {
    Some(program) => program,
    None => env!("CARGO_BIN_EXE_smppmux-under-test"),
};

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

/// Why a scenario cannot be played here.
enum Lacks {
    /// The kernel, or what we may do.
    Rights(&'static str),
    /// A program, which CI installs.
    Program(String),
}

/// The scenario's line when it is left out, and the same where the harness does not hide it.
fn skip(fault: &str, promised: &str, lacks: &Lacks) {
    let reason = match lacks {
        Lacks::Rights(reason) => {
            not_checked(fault, reason);
            reason
        }
        Lacks::Program(reason) => {
            not_checked_unless_ci(fault, reason);
            reason.as_str()
        }
    };
    tell(fault, promised, &format!("skipped: {reason} here"));
}
