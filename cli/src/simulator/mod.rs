//! The load simulators: `smppmux esme` and `smppmux smsc`, also run in-process by the demo and the tests.
//!
//! They are the oracle for smppmux, so every answer and every message is checked: sequence numbers, exactly one answer, the
//! right command, the message's own id in the answer, each message once, whole, and to a session of its range. Each message
//! carries a token in its text; the books of both sides are laid side by side by [`Comparison`].
//!
//! Invariants: memory is bounded whatever the peer does; network input never panics; nothing here is shared with the
//! packet engine but the wire module and what reads the files of TLS.

mod channel;
mod check;
mod connection;
mod control;
mod counts;
mod delay_queue;
mod latency;
mod ledger;
mod message;
mod outstanding;
mod pace;
mod pattern;
mod payload;
mod progress;
mod random;
mod range;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod value;

pub mod esme;
pub mod smsc;

pub use control::Snapshot;
pub use counts::{AnswerCounts, MessageCounts, StatusTable};
pub use latency::Percentiles;
pub(crate) use latency::{Recorded, readable_us};
pub use ledger::{Comparison, Ledger, NumberSet, SentStream};
pub use message::MessageCommand;
pub use pattern::Pattern;
pub use payload::{Concatenation, PayloadArguments};
pub use tls::{ClientTlsArguments, ServerTlsArguments};
#[cfg(test)]
pub(crate) use token::Token;
pub use token::TokenMode;
pub use value::{Chance, Delay, StatusChance, parse_duration, parse_status};
