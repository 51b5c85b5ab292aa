//! Core-to-core mailboxes: how the cores of one process speak to each other without sharing memory.
//!
//! Every ordered pair of cores has three bounded lanes, and each lane has one rule that keeps it within its bound:
//!
//! | lane | what bounds it | may it be refused? |
//! |---|---|---|
//! | request | a credit for each request; it comes back when the requester *receives* the answer | yes: back-pressure |
//! | answer | the credit of the request that it answers | never |
//! | control | the caller's protocol: at most `control` messages to a peer that it has not acknowledged | not while that holds |
//!
//! Nothing here waits. A sender that finds no room gets its message back; two cores whose mailboxes are both full can
//! therefore never wait for each other. A receiver that wants to sleep announces it and looks again
//! ([`Endpoint::prepare_to_park`]); a sender wakes it at most once for each batch ([`Endpoint::ring_bells`]).
//!
//! Invariants:
//! - Messages of one pair and lane arrive in the order they were sent, each once. Nothing is promised between lanes.
//! - For each ordered pair: credits left + requests not yet answered = `requests`.
//! - A core that is dropped loses what lies in its inbox; its peers learn of it by [`Endpoint::poll_departed`].
//!
//! This crate knows nothing of the messages it carries, starts no thread and does no I/O.

#![forbid(unsafe_code)]

mod bell;
mod channel;
mod core_index;
mod counters;
mod endpoint;
mod lane;
mod mesh;
mod peer;
mod refusal;
mod seat;
mod thread_parker;

pub use core_index::CoreIndex;
pub use counters::Counters;
pub use endpoint::{Endpoint, Park};
pub use lane::Lane;
pub use mesh::{MeshCapacity, mesh};
pub use refusal::{RefusalReason, Refused};
pub use thread_parker::ThreadParker;
