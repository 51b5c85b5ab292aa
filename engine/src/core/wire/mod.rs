//! SMPP on the wire: framing, zero-copy views of PDUs, and writers for the PDUs that smppmux makes itself.
//!
//! Invariants: a view borrows the octets it was given and never copies them; every read is bounded by the slice;
//! no function here allocates, except the owned writers' output buffers; hostile input yields an error value, never a panic.

mod command;
mod frame;
mod header;
mod status;

pub use command::CommandId;
pub use frame::{Frame, next_frame};
pub use header::{HEADER_OCTETS, Header, patch_command_length, patch_command_status, patch_sequence_number};
pub use status::Status;
