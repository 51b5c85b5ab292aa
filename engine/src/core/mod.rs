//! The pure core: the whole SMPP logic of one engine, without a socket, clock, thread, random number or allocation
//! per message.
//!
//! [`PacketEngine`] is the entrance; [`contract`] has what passes between it and the shell.
//!
//! A message's way through the files: `read` frames it, `client_requests` (or `server_requests`) has it checked and chooses where
//! it goes, `relay` copies it there with a number from `sequence`, `answers` brings the answer back.
#![forbid(unsafe_code)]

mod congestion;
pub mod contract;
pub mod core_message;
pub mod directory;
pub mod figures;
pub mod health;
pub mod lease;
pub mod message_log;
pub mod queue;
pub mod range;
pub mod rate;
pub mod receipt_tag;
pub mod receipts;
pub mod report;
pub mod route;
pub mod secret;

pub mod settings;
pub mod store_message;
pub mod tag;
pub mod time;
pub mod wire;

mod allowed_pools;
mod answers;
mod balance;
mod bookkeeping;
mod checked_request;
mod choice;
mod client_bind;
mod client_requests;
mod concatenation;
mod core_link;
mod core_requests;
mod drain;
mod ejection;
mod ending;
mod engine;
mod entry_lanes;
mod forward_bind;
mod hold;
mod home;
mod identities;
mod invariants;
mod journey;
pub(crate) mod network;
mod operator;
mod outbind;
mod outbox;
mod output;
mod pace;
mod pacing;
mod passwords;
mod pool;
mod random;
mod read;
mod reconfigure;
mod relay;
mod reporting;
mod resend;
mod retention;
mod routing;
mod sequence;
mod server;
mod server_link;
mod server_requests;
mod session;
mod session_end;
mod slow_start;
mod timeouts;
mod timer;
mod trace;
mod versions;
mod without_servers;

pub use engine::PacketEngine;
#[cfg(test)]
pub(crate) use engine::tests::bind as bind_for_tests;
pub use entry_lanes::KeyedEntry;
