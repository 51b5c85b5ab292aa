//! The store: keeps the messages of the queue, on a thread of its own, so that no engine ever waits for a disk.
//!
//! `thread` takes the engines' orders, many at a time, makes all of them safe with one commit and then tells the engines
//! (*group commit*: while one commit runs, the next batch gathers). `book` knows how much each line has and what the limits
//! say; the messages themselves are in a `backend`: `durable` (redb) or `memory`. `control` is the operator's handle.
//!
//! Invariants: nothing is told to be stored before it is safe; after a commit that failed nothing is, until the backend was
//! opened again; numbers rise over all lines and are never used twice.

mod backend;
mod book;
mod control;
mod disk_key;
mod durable;
mod letters;
mod memory;
mod operator;
#[cfg(test)]
mod tests;
mod thread;
pub(crate) mod wall_clock;
mod worker;

pub use backend::StoreOpenError;
pub use control::{DeadLetter, LineReport, StoreControl, StoreReport, StoreUnreachable};
pub use thread::{StoreClient, StoreThread};

use std::path::PathBuf;
use std::time::Duration;

/// Where and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The file of the durable store; `None` keeps everything in memory.
    pub path: Option<PathBuf>,
    /// Messages at most.
    pub count_max: u64,
    /// Octets of messages at most.
    pub octets_max: u64,
    /// Messages that wait for one account at most.
    pub account_count_max: u64,
    /// Octets of messages that wait for one account at most.
    pub account_octets_max: u64,
    /// How long a message is kept.
    pub age_max: Duration,
    /// Dead letters that are kept; the oldest go first.
    pub dead_letters_max: u64,
}
