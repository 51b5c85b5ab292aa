//! cancel_sm.
//!
//! Source: SMPP v3.4 section 4.9, v5.0 section 4.5.1.

use std::ops::Range;

use super::Address;
use crate::core::wire::Fault;
use crate::core::wire::field::{DESTINATION_ADDR, MESSAGE_ID, SERVICE_TYPE, SOURCE_ADDR};
use crate::core::wire::tlv::{Tlvs, check_area};
use crate::core::wire::walk::{Span, Walk, octets};

/// A cancel_sm; without a message_id it cancels all messages of a source to a destination.
#[derive(Clone, Copy, Debug)]
pub struct CancelView<'a> {
    pdu: &'a [u8],
    service_type: Span,
    message_id: Span,
    source_addr: Span,
    destination_addr: Span,
    tlvs: usize,
}

impl<'a> CancelView<'a> {
    /// Walks the body once.
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let service_type = walk.text(&SERVICE_TYPE)?;
        let message_id = walk.text(&MESSAGE_ID)?;
        let source_addr = walk.address(&SOURCE_ADDR)?;
        let destination_addr = walk.address(&DESTINATION_ADDR)?;
        check_area(octets(pdu, walk.at()..pdu.len()))?;
        Ok(Self {
            pdu,
            service_type,
            message_id,
            source_addr,
            destination_addr,
            tlvs: walk.at(),
        })
    }

    /// `service_type`.
    pub fn service_type(&self) -> &'a [u8] {
        self.service_type.of(self.pdu)
    }

    /// `message_id`; empty to cancel a group of messages.
    pub fn message_id(&self) -> &'a [u8] {
        self.message_id.of(self.pdu)
    }

    /// Where `message_id` stands in the PDU, without its NUL.
    pub const fn message_id_range(&self) -> Range<usize> {
        self.message_id.range()
    }

    /// The source address of the message.
    pub fn source(&self) -> Address<'a> {
        Address::before(self.pdu, self.source_addr)
    }

    /// The destination address of the message.
    pub fn destination(&self) -> Address<'a> {
        Address::before(self.pdu, self.destination_addr)
    }

    /// The TLVs.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }
}
