//! data_sm.
//!
//! Source: SMPP v3.4 section 4.7.1, v5.0 section 4.2.2.

use std::ops::Range;

use super::Address;
use super::message::may_be_segment;
use crate::core::wire::field::{LONG_DESTINATION_ADDR, LONG_SOURCE_ADDR, SERVICE_TYPE};
use crate::core::wire::tlv::{Tlvs, check_area};
use crate::core::wire::walk::{Span, Walk, octet, octets};
use crate::core::wire::{Fault, Tag};

/// A data_sm, in either direction.
#[derive(Clone, Copy, Debug)]
pub struct DataView<'a> {
    pdu: &'a [u8],
    service_type: Span,
    source_addr: Span,
    destination_addr: Span,
    tlvs: usize,
}

const INTEGERS_BEHIND_ADDRESSES: usize = 3;

impl<'a> DataView<'a> {
    /// Walks the body once. A missing message_payload is an empty message, not a fault.
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let service_type = walk.text(&SERVICE_TYPE)?;
        let source_addr = walk.address(&LONG_SOURCE_ADDR)?;
        let destination_addr = walk.address(&LONG_DESTINATION_ADDR)?;
        walk.skip_last(INTEGERS_BEHIND_ADDRESSES, "data_coding")?;
        check_area(octets(pdu, walk.at()..pdu.len()))?;
        Ok(Self {
            pdu,
            service_type,
            source_addr,
            destination_addr,
            tlvs: walk.at(),
        })
    }

    /// Refuses a message without a destination_addr (v5.0 section 4.7.6: zero length is one cause of ESME_RINVDSTADR).
    pub fn check_destination(&self) -> Result<(), Fault> {
        if self.destination_addr_range().is_empty() {
            return Err(Fault::field_value(
                "destination_addr",
                LONG_DESTINATION_ADDR.status,
            ));
        }
        Ok(())
    }

    /// The whole PDU.
    pub const fn pdu(&self) -> &'a [u8] {
        self.pdu
    }

    /// `service_type`.
    pub fn service_type(&self) -> &'a [u8] {
        self.service_type.of(self.pdu)
    }

    /// The source: `source_addr_ton`, `source_addr_npi`, `source_addr` (up to 64 characters).
    pub fn source(&self) -> Address<'a> {
        Address::before(self.pdu, self.source_addr)
    }

    /// The destination: `dest_addr_ton`, `dest_addr_npi`, `destination_addr` (up to 64 characters).
    pub fn destination(&self) -> Address<'a> {
        Address::before(self.pdu, self.destination_addr)
    }

    /// Where `source_addr` stands in the PDU, without its NUL; TON and NPI are the two octets before it.
    pub const fn source_addr_range(&self) -> Range<usize> {
        self.source_addr.range()
    }

    /// Where `destination_addr` stands in the PDU, without its NUL; TON and NPI are the two octets before it.
    pub const fn destination_addr_range(&self) -> Range<usize> {
        self.destination_addr.range()
    }

    /// Whether it can be a segment of a concatenated message at all; if not, nobody has to look closer.
    pub fn may_be_segment(&self) -> bool {
        may_be_segment(self.esm_class(), self.tlvs())
    }

    /// Where `esm_class` stands in the PDU.
    pub(in crate::core::wire) const fn esm_class_at(&self) -> usize {
        self.destination_addr.range().end + 1
    }

    /// `esm_class`.
    pub fn esm_class(&self) -> u8 {
        octet(self.pdu, self.esm_class_at())
    }

    /// `registered_delivery`.
    pub fn registered_delivery(&self) -> u8 {
        octet(self.pdu, self.destination_addr.range().end + 2)
    }

    /// `data_coding`.
    pub fn data_coding(&self) -> u8 {
        octet(self.pdu, self.destination_addr.range().end + 3)
    }

    /// The TLVs.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }

    /// The user data: the value of `message_payload`, or nothing.
    pub fn user_data(&self) -> &'a [u8] {
        self.tlvs()
            .find(Tag::MESSAGE_PAYLOAD)
            .map(|payload| payload.value)
            .unwrap_or_default()
    }

    /// Where the user data stands in the PDU; `None` without a `message_payload`.
    pub fn user_data_range(&self) -> Option<Range<usize>> {
        self.tlvs()
            .find(Tag::MESSAGE_PAYLOAD)
            .map(|payload| payload.value_range())
    }
}
