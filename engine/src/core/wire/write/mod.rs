//! Writers for the PDUs that smppmux and its simulators make themselves.
//!
//! All of them append to a buffer of the caller's and allocate nothing but its growth. A PDU that broke a limit is taken
//! back whole, so the buffer only ever holds good PDUs. What is written is by the book, whatever the readers tolerate.

mod body;
mod message;
mod pdu;

pub use body::{
    Bind, BindResponse, Body, Cancel, MessageIdResponse, NoBody, Outbind, Query, QueryResponse, Replace,
};
pub use message::{Data, Message, SubmitMulti};
pub use pdu::{PduWriter, WriteFault, write_header_only, write_pdu, write_response};
