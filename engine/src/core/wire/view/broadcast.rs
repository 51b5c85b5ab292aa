//! broadcast_sm and cancel_broadcast_sm (v5.0 only).
//!
//! Source: SMPP v5.0 sections 4.4.1 and 4.6.3.

use std::ops::Range;

use super::Address;
use crate::core::wire::field::{
    MESSAGE_ID, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE, SOURCE_ADDR, VALIDITY_PERIOD,
};
use crate::core::wire::tlv::{Tlvs, check_area};
use crate::core::wire::walk::{Span, Walk, octet, octets};
use crate::core::wire::{Fault, Tag};

/// A broadcast_sm.
#[derive(Clone, Copy, Debug)]
pub struct BroadcastView<'a> {
    pdu: &'a [u8],
    service_type: Span,
    source_addr: Span,
    message_id: Span,
    schedule_delivery_time: Span,
    validity_period: Span,
    tlvs: usize,
}

const INTEGERS_BEHIND_VALIDITY_PERIOD: usize = 3;
/// priority_flag of a broadcast that is sent at once and is not repeated.
const PRIORITY_IMMEDIATE: u8 = 1;

impl<'a> BroadcastView<'a> {
    /// Walks the body once. Missing TLVs are found by [`Self::check_required_tlvs`].
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let service_type = walk.text(&SERVICE_TYPE)?;
        let source_addr = walk.address(&SOURCE_ADDR)?;
        let message_id = walk.text(&MESSAGE_ID)?;
        walk.skip(1);
        let schedule_delivery_time = walk.time(&SCHEDULE_DELIVERY_TIME)?;
        let validity_period = walk.time(&VALIDITY_PERIOD)?;
        walk.skip_last(INTEGERS_BEHIND_VALIDITY_PERIOD, "sm_default_msg_id")?;
        check_area(octets(pdu, walk.at()..pdu.len()))?;
        Ok(Self {
            pdu,
            service_type,
            source_addr,
            message_id,
            schedule_delivery_time,
            validity_period,
            tlvs: walk.at(),
        })
    }

    /// Refuses a broadcast that lacks one of its mandatory TLVs; an immediate one needs no repeat count.
    pub fn check_required_tlvs(&self) -> Result<(), Fault> {
        let required = [
            Tag::BROADCAST_AREA_IDENTIFIER,
            Tag::BROADCAST_CONTENT_TYPE,
            Tag::BROADCAST_FREQUENCY_INTERVAL,
            Tag::BROADCAST_REP_NUM,
        ];
        for tag in required {
            let not_needed = tag == Tag::BROADCAST_REP_NUM && self.priority_flag() == PRIORITY_IMMEDIATE;
            if !not_needed && self.tlvs().find(tag).is_none() {
                return Err(Fault::tlv_missing(tag.name().unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// `service_type`.
    pub fn service_type(&self) -> &'a [u8] {
        self.service_type.of(self.pdu)
    }

    /// The source address.
    pub fn source(&self) -> Address<'a> {
        Address::before(self.pdu, self.source_addr)
    }

    /// Where `source_addr` stands in the PDU, without its NUL.
    pub const fn source_addr_range(&self) -> Range<usize> {
        self.source_addr.range()
    }

    /// `message_id` of the broadcast to replace; usually empty.
    pub fn message_id(&self) -> &'a [u8] {
        self.message_id.of(self.pdu)
    }

    /// Where `message_id` stands in the PDU, without its NUL.
    pub const fn message_id_range(&self) -> Range<usize> {
        self.message_id.range()
    }

    /// `priority_flag`.
    pub fn priority_flag(&self) -> u8 {
        octet(self.pdu, self.message_id.range().end + 1)
    }

    /// `schedule_delivery_time`: empty or 16 characters.
    pub fn schedule_delivery_time(&self) -> &'a [u8] {
        self.schedule_delivery_time.of(self.pdu)
    }

    /// `validity_period`: empty or 16 characters.
    pub fn validity_period(&self) -> &'a [u8] {
        self.validity_period.of(self.pdu)
    }

    /// `replace_if_present_flag`.
    pub fn replace_if_present_flag(&self) -> u8 {
        octet(self.pdu, self.validity_period.range().end + 1)
    }

    /// `data_coding`.
    pub fn data_coding(&self) -> u8 {
        octet(self.pdu, self.validity_period.range().end + 2)
    }

    /// `sm_default_msg_id`.
    pub fn sm_default_msg_id(&self) -> u8 {
        octet(self.pdu, self.validity_period.range().end + 3)
    }

    /// The TLVs.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }
}

/// A cancel_broadcast_sm.
#[derive(Clone, Copy, Debug)]
pub struct CancelBroadcastView<'a> {
    pdu: &'a [u8],
    service_type: Span,
    message_id: Span,
    source_addr: Span,
    tlvs: usize,
}

impl<'a> CancelBroadcastView<'a> {
    /// Walks the body once.
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let service_type = walk.text(&SERVICE_TYPE)?;
        let message_id = walk.text(&MESSAGE_ID)?;
        let source_addr = walk.address(&SOURCE_ADDR)?;
        check_area(octets(pdu, walk.at()..pdu.len()))?;
        Ok(Self {
            pdu,
            service_type,
            message_id,
            source_addr,
            tlvs: walk.at(),
        })
    }

    /// `service_type`.
    pub fn service_type(&self) -> &'a [u8] {
        self.service_type.of(self.pdu)
    }

    /// `message_id`.
    pub fn message_id(&self) -> &'a [u8] {
        self.message_id.of(self.pdu)
    }

    /// Where `message_id` stands in the PDU, without its NUL.
    pub const fn message_id_range(&self) -> Range<usize> {
        self.message_id.range()
    }

    /// The source address.
    pub fn source(&self) -> Address<'a> {
        Address::before(self.pdu, self.source_addr)
    }

    /// The TLVs.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }
}
