//! What the benches measure: each way that a message takes, by its name, and the engines that it goes through.
//!
//! [`WAYS`] is the table. The bench `message_path` times its rows and the program `instructions` counts them, so both
//! measure the same. Most ways need no socket and no clock: only the pure core's work between `handle_bytes` and
//! `poll_transmit` counts. For what a whole engine does with its sockets there is [`EngineOnSockets`].

mod binds;
mod configuration;
mod on_sockets;
mod pdus;
mod prefixes;
mod round_trip;
mod two_cores;
mod way;
mod ways;

pub use configuration::{settings, settings_with_ranges};
pub use on_sockets::{EngineOnSockets, LockstepEsme, start_smsc};
pub use prefixes::{Destinations, prefix};
pub use round_trip::RoundTrip;
pub use two_cores::TwoCores;
pub use way::{BATCH_MESSAGES, NamedWay, Way, measured_part};
pub use ways::{WAYS, way_with_name};
