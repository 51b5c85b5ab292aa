//! The pure core: the whole SMPP logic of one engine, without a socket, clock, thread, random number or allocation
//! per message.
//!
//! [`PacketEngine`] is the entrance; [`contract`] has what passes between it and the shell.
#![forbid(unsafe_code)]

pub mod contract;
pub mod core_message;
pub mod directory;
mod engine;
pub mod range;
pub mod report;
pub mod secret;
pub mod settings;
pub mod tag;
pub mod time;
pub mod wire;

pub use engine::PacketEngine;
