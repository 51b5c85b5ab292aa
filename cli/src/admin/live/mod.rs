//! The figures of every second, for whoever watches: the dashboard and `smppmux top`.
//!
//! One task makes them while somebody watches, and a little longer so that a page that is loaded again has its history: one
//! snapshot a second, one text of it, handed to all. Who watches asks the engines nothing.
//!
//! Invariants:
//! - At most [`WATCHERS_MAX`] watch at once.
//! - A watcher that leaves more than [`BACKLOG_MAX`] events unread is cut off, with its connection.
//! - The size of an event is bounded: rows beyond the limits of `figures` are counted, not sent.

mod feed;
mod figures;
mod flows;
mod growth;
mod rows;

pub(crate) use feed::{Feed, HangUp};
pub(crate) use figures::{HISTORY_MAX, History, Live, Point};
pub(crate) use rows::{LiveClient, LiveCore, LiveServer};

/// Watchers at once.
const WATCHERS_MAX: usize = 32;

/// Events that a watcher may leave unread.
const BACKLOG_MAX: usize = 4;
