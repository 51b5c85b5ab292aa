//! Concatenated messages: all segments of one go to the same far session, under a reference that no other one has.
//!
//! Segments are recognised by `segment`. What is known of a message lives in a *pin* (`pins`) on the home core of its
//! source and destination: through which session it goes, under which reference, which segments were sent and answered. A
//! segment that comes in elsewhere is sent to that core (see [`home`](super::home)), which forwards it as if it had come in
//! there: one place decides, so neither sessions nor references can differ. Where the session stands on a third core, that
//! core keeps a pin of its own that names the session. `to_server` (MT) and `to_client` (MO) choose and send, `answered`
//! follows what becomes of what was sent, and `turns` keeps the order.
//!
//! Invariants: every live pin of a home has a reference that no other pin of the same source and destination has; a pin ends
//! when all its segments were answered ESME_ROK, or when its time is over; pins are bounded in number.
//! Must never cost a message that is no segment more than a branch.

mod answered;
mod notes;
mod pin;
mod pins;
#[cfg(test)]
mod properties;
mod segment;
mod segment_set;
mod to_client;
mod to_server;
mod turns;

pub use pin::PinId;

pub(super) use notes::NoteIndex;
pub(super) use pins::Pins;
pub(super) use segment::Owner;
pub(super) use to_client::QueuedPlace;
pub(super) use to_server::{RelayedPin, Submitted};
