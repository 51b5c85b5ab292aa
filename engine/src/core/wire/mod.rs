//! SMPP on the wire: framing, zero-copy views of PDUs, and writers for the PDUs that smppmux makes itself.
//!
//! Invariants: a view borrows the octets it was given and never copies them; every read is bounded by the slice;
//! no function here allocates, except the writers' output buffers; hostile input yields a [`Fault`], never a panic.
//!
//! The way of a message: [`next_frame`] → [`MessageView::parse`] → copy and [`patch_sequence_number`].

pub mod field;
pub mod tlv;
pub mod value;

mod command;
mod concatenation;
mod decode;
mod explain;
mod fault;
mod frame;
mod header;
mod layout;
mod receipt;
mod reference_width;
mod status;
mod tag;
mod user_data;
mod validate;
mod version;
mod view;
mod walk;
mod words;
mod write;

pub use command::CommandId;
pub use concatenation::{Concatenation, ConcatenationKind, udh_8_bit, udh_16_bit};
pub use decode::{DecodedField, FieldName, FieldValue, visit_fields};
pub use explain::Explanation;
pub use fault::{Fault, FaultKind};
pub use field::TextField;
pub use frame::{Frame, next_frame};
pub use header::{
    HEADER_OCTETS, Header, patch_command_length, patch_command_status, patch_copy, patch_sequence_number,
};
pub use layout::{EntryLayout, FieldLayout, body_layout};
pub use receipt::{Receipt, ReceiptKind, ReceiptText, RewriteLimits, Rewritten, TextCarrier};
pub use reference_width::append_segment_as;
pub use status::Status;
pub use tag::{Tag, TagDefinition, TlvType};
pub use tlv::{Tlv, Tlvs};
pub use user_data::{InformationElement, UserDataHeader};
pub use validate::{Acceptance, validate};
pub use value::{EsmClass, MessageState};
pub use version::Version;
pub use view::*;
pub(super) use walk::{Span, first_nul};
pub use write::*;
