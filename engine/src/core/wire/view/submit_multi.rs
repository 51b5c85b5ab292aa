//! submit_multi: one message for many destinations.
//!
//! Source: SMPP v3.4 section 4.5, v5.0 section 4.2.3.

use std::ops::Range;

use super::Address;
use super::message::{may_be_segment, tlvs_behind_short_message};
use crate::core::wire::field::{
    DESTINATION_ADDR, DL_NAME, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE, SOURCE_ADDR, VALIDITY_PERIOD,
};
use crate::core::wire::tlv::Tlvs;
use crate::core::wire::walk::{Span, Walk, octet};
use crate::core::wire::{Fault, Status, Tag};

const DEST_FLAG_SME: u8 = 1;
const DEST_FLAG_LIST: u8 = 2;

/// One destination of a submit_multi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestAddress<'a> {
    /// dest_flag 1: an SME address.
    Sme(Address<'a>),
    /// dest_flag 2: the name of a distribution list.
    DistributionList(&'a [u8]),
}

/// A submit_multi.
#[derive(Clone, Copy, Debug)]
pub struct SubmitMultiView<'a> {
    pdu: &'a [u8],
    service_type: Span,
    source_addr: Span,
    esm_class: usize,
    schedule_delivery_time: Span,
    validity_period: Span,
    short_message: Span,
    tlvs: usize,
}

const INTEGERS_BEFORE_SCHEDULE: usize = 3;
const INTEGERS_BEFORE_SM_LENGTH: usize = 4;

impl<'a> SubmitMultiView<'a> {
    /// Walks the body once, all destinations included; none at all is a fault.
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let service_type = walk.text(&SERVICE_TYPE)?;
        let source_addr = walk.address(&SOURCE_ADDR)?;
        pass_destinations(&mut walk)?;
        let esm_class = walk.at();
        walk.skip(INTEGERS_BEFORE_SCHEDULE);
        let schedule_delivery_time = walk.time(&SCHEDULE_DELIVERY_TIME)?;
        let validity_period = walk.time(&VALIDITY_PERIOD)?;
        walk.skip(INTEGERS_BEFORE_SM_LENGTH);
        let short_message = walk.short_message()?;
        let tlvs = tlvs_behind_short_message(pdu, walk.at())?;
        Ok(Self {
            pdu,
            service_type,
            source_addr,
            esm_class,
            schedule_delivery_time,
            validity_period,
            short_message,
            tlvs,
        })
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

    /// `number_of_dests`.
    pub fn number_of_dests(&self) -> u8 {
        octet(self.pdu, self.source_addr.range().end + 1)
    }

    /// The destinations in the order of the wire.
    pub fn destinations(&self) -> DestAddresses<'a> {
        DestAddresses {
            pdu: self.pdu,
            at: self.source_addr.range().end + 2,
            left: self.number_of_dests(),
        }
    }

    /// Whether it can be a segment of a concatenated message at all; if not, nobody has to look closer.
    pub fn may_be_segment(&self) -> bool {
        may_be_segment(self.esm_class(), self.tlvs())
    }

    /// Where the destinations stand in the PDU, their number included.
    pub const fn destinations_range(&self) -> Range<usize> {
        self.source_addr.range().end + 1..self.esm_class
    }

    /// Where `esm_class` stands in the PDU.
    pub(in crate::core::wire) const fn esm_class_at(&self) -> usize {
        self.esm_class
    }

    /// Where the address stands, without its NUL, of one that has a single destination; `None` for several, or a list's name.
    pub fn only_destination_range(&self) -> Option<Range<usize>> {
        let mut walk = Walk::from(self.pdu, self.source_addr.range().end + 2);
        if self.number_of_dests() != 1 || walk.integer("dest_flag").ok()? != DEST_FLAG_SME {
            return None;
        }
        Some(walk.address(&DESTINATION_ADDR).ok()?.range())
    }

    /// `esm_class`.
    pub fn esm_class(&self) -> u8 {
        octet(self.pdu, self.esm_class)
    }

    /// `protocol_id`.
    pub fn protocol_id(&self) -> u8 {
        octet(self.pdu, self.esm_class + 1)
    }

    /// `priority_flag`.
    pub fn priority_flag(&self) -> u8 {
        octet(self.pdu, self.esm_class + 2)
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

    /// `replace_if_present_flag`.
    pub fn replace_if_present_flag(&self) -> u8 {
        octet(self.pdu, self.validity_period.range().end + 2)
    }

    /// `data_coding`.
    pub fn data_coding(&self) -> u8 {
        octet(self.pdu, self.validity_period.range().end + 3)
    }

    /// `sm_default_msg_id`.
    pub fn sm_default_msg_id(&self) -> u8 {
        octet(self.pdu, self.validity_period.range().end + 4)
    }

    /// Where `short_message` stands in the PDU; the octet before it is `sm_length`.
    pub const fn short_message_range(&self) -> Range<usize> {
        self.short_message.range()
    }

    /// `short_message`.
    pub fn short_message(&self) -> &'a [u8] {
        self.short_message.of(self.pdu)
    }

    /// The TLVs.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }

    /// The user data: `short_message`, or the `message_payload` TLV where it supersedes it.
    pub fn user_data(&self) -> &'a [u8] {
        self.tlvs()
            .find(Tag::MESSAGE_PAYLOAD)
            .map_or_else(|| self.short_message(), |payload| payload.value)
    }
}

fn pass_destinations(walk: &mut Walk<'_>) -> Result<(), Fault> {
    let count = walk.integer("number_of_dests")?;
    if count == 0 {
        return Err(Fault::field_value("number_of_dests", Status::ESME_RINVNUMDESTS));
    }
    for _ in 0..count {
        match walk.integer("dest_flag")? {
            DEST_FLAG_SME => walk.address(&DESTINATION_ADDR)?,
            DEST_FLAG_LIST => walk.text(&DL_NAME)?,
            _ => return Err(Fault::field_value("dest_flag", Status::ESME_RINVDESTFLAG)),
        };
    }
    Ok(())
}

/// The destinations of a submit_multi that was walked.
#[derive(Clone, Debug)]
pub struct DestAddresses<'a> {
    pdu: &'a [u8],
    at: usize,
    left: u8,
}

impl<'a> Iterator for DestAddresses<'a> {
    type Item = DestAddress<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut walk = Walk::from(self.pdu, self.at);
        let destination = match walk.integer("dest_flag").ok()? {
            DEST_FLAG_SME => {
                let addr = walk.address(&DESTINATION_ADDR).ok()?;
                DestAddress::Sme(Address::before(self.pdu, addr))
            }
            _ => DestAddress::DistributionList(walk.text(&DL_NAME).ok()?.of(self.pdu)),
        };
        self.at = walk.at();
        Some(destination)
    }
}
