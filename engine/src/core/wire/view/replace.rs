//! replace_sm.
//!
//! Source: SMPP v3.4 section 4.10, v5.0 section 4.5.3.

use std::ops::Range;

use super::Address;
use super::message::tlvs_behind_short_message;
use crate::core::wire::Fault;
use crate::core::wire::field::{MESSAGE_ID, SCHEDULE_DELIVERY_TIME, SOURCE_ADDR, VALIDITY_PERIOD};
use crate::core::wire::tlv::Tlvs;
use crate::core::wire::walk::{Span, Walk, octet};

/// A replace_sm.
#[derive(Clone, Copy, Debug)]
pub struct ReplaceView<'a> {
    pdu: &'a [u8],
    message_id: Span,
    source_addr: Span,
    schedule_delivery_time: Span,
    validity_period: Span,
    short_message: Span,
    tlvs: usize,
}

const INTEGERS_BEFORE_SM_LENGTH: usize = 2;

impl<'a> ReplaceView<'a> {
    /// Walks the body once.
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let message_id = walk.text(&MESSAGE_ID)?;
        let source_addr = walk.address(&SOURCE_ADDR)?;
        let schedule_delivery_time = walk.time(&SCHEDULE_DELIVERY_TIME)?;
        let validity_period = walk.time(&VALIDITY_PERIOD)?;
        walk.skip(INTEGERS_BEFORE_SM_LENGTH);
        let short_message = walk.short_message()?;
        let tlvs = tlvs_behind_short_message(pdu, walk.at())?;
        Ok(Self {
            pdu,
            message_id,
            source_addr,
            schedule_delivery_time,
            validity_period,
            short_message,
            tlvs,
        })
    }

    /// `message_id`.
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

    /// `schedule_delivery_time`: empty or 16 characters.
    pub fn schedule_delivery_time(&self) -> &'a [u8] {
        self.schedule_delivery_time.of(self.pdu)
    }

    /// `validity_period`: empty or 16 characters.
    pub fn validity_period(&self) -> &'a [u8] {
        self.validity_period.of(self.pdu)
    }

    /// `registered_delivery`.
    pub fn registered_delivery(&self) -> u8 {
        octet(self.pdu, self.validity_period.range().end + 1)
    }

    /// `sm_default_msg_id`.
    pub fn sm_default_msg_id(&self) -> u8 {
        octet(self.pdu, self.validity_period.range().end + 2)
    }

    /// Where `short_message` stands in the PDU; the octet before it is `sm_length`.
    pub const fn short_message_range(&self) -> Range<usize> {
        self.short_message.range()
    }

    /// `short_message`.
    pub fn short_message(&self) -> &'a [u8] {
        self.short_message.of(self.pdu)
    }

    /// The TLVs (v5.0).
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }
}
