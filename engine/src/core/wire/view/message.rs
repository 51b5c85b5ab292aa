//! submit_sm and deliver_sm: the hot path.
//!
//! Source: SMPP v3.4 sections 4.4.1 and 4.6.1, v5.0 sections 4.2.1 and 4.3.1.

use std::ops::Range;

use super::Address;
use crate::core::wire::field::{
    DESTINATION_ADDR, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE, SOURCE_ADDR, VALIDITY_PERIOD,
};
use crate::core::wire::tlv::{Tlvs, check_area};
use crate::core::wire::walk::{Span, Walk, octet, octets};
use crate::core::wire::{EsmClass, Fault, HEADER_OCTETS, Tag};

/// A submit_sm or deliver_sm.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    pdu: &'a [u8],
    // Each field's offset in the PDU; the mandatory fields take less than 400 octets.
    source_addr_ton: u16,
    dest_addr_ton: u16,
    esm_class: u16,
    validity_period: u16,
    registered_delivery: u16,
    tlvs: u16,
}

/// Offsets of fields that follow a stored one at a fixed distance.
const ADDR_BEHIND_TON: usize = 2;
const SCHEDULE_BEHIND_ESM_CLASS: usize = 3;
const SM_LENGTH_BEHIND_REGISTERED_DELIVERY: usize = 4;

impl<'a> MessageView<'a> {
    /// Walks the body once. Addresses may be empty here; see [`Self::check_destination`].
    #[inline(always)]
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        walk.seldom_text(&SERVICE_TYPE)?;
        let source_addr_ton = walk.at();
        walk.skip(ADDR_BEHIND_TON);
        walk.text(&SOURCE_ADDR)?;
        let dest_addr_ton = walk.at();
        walk.skip(ADDR_BEHIND_TON);
        walk.text(&DESTINATION_ADDR)?;
        let esm_class = walk.at();
        walk.skip(SCHEDULE_BEHIND_ESM_CLASS);
        walk.time(&SCHEDULE_DELIVERY_TIME)?;
        let validity_period = walk.at();
        walk.time(&VALIDITY_PERIOD)?;
        let registered_delivery = walk.at();
        walk.skip(SM_LENGTH_BEHIND_REGISTERED_DELIVERY);
        walk.short_message()?;
        let tlvs = tlvs_behind_short_message(pdu, walk.at())?;
        Ok(Self {
            pdu,
            source_addr_ton: source_addr_ton as u16,
            dest_addr_ton: dest_addr_ton as u16,
            esm_class: esm_class as u16,
            validity_period: validity_period as u16,
            registered_delivery: registered_delivery as u16,
            tlvs: tlvs as u16,
        })
    }

    /// Refuses a message without a destination_addr (v5.0 section 4.7.6: zero length is one cause of ESME_RINVDSTADR).
    #[inline]
    pub fn check_destination(&self) -> Result<(), Fault> {
        let from = usize::from(self.dest_addr_ton) + ADDR_BEHIND_TON;
        // Only its NUL stands before the next field.
        if usize::from(self.esm_class) <= from + 1 {
            return Err(Fault::field_value(DESTINATION_ADDR.name, DESTINATION_ADDR.status));
        }
        Ok(())
    }

    /// The whole PDU.
    pub const fn pdu(&self) -> &'a [u8] {
        self.pdu
    }

    /// `service_type`.
    pub fn service_type(&self) -> &'a [u8] {
        octets(self.pdu, HEADER_OCTETS..before_nul(self.source_addr_ton))
    }

    /// The source: `source_addr_ton`, `source_addr_npi`, `source_addr`.
    #[inline]
    pub fn source(&self) -> Address<'a> {
        Address::read(
            self.pdu,
            self.source_addr_ton.into(),
            octets(self.pdu, self.source_addr_range()),
        )
    }

    /// The destination: `dest_addr_ton`, `dest_addr_npi`, `destination_addr`.
    #[inline]
    pub fn destination(&self) -> Address<'a> {
        Address::read(
            self.pdu,
            self.dest_addr_ton.into(),
            octets(self.pdu, self.destination_addr_range()),
        )
    }

    /// Where `source_addr` stands in the PDU, without its NUL; TON and NPI are the two octets before it.
    #[inline]
    pub fn source_addr_range(&self) -> Range<usize> {
        usize::from(self.source_addr_ton) + ADDR_BEHIND_TON..before_nul(self.dest_addr_ton)
    }

    /// Where `destination_addr` stands in the PDU, without its NUL; TON and NPI are the two octets before it.
    #[inline]
    pub fn destination_addr_range(&self) -> Range<usize> {
        usize::from(self.dest_addr_ton) + ADDR_BEHIND_TON..before_nul(self.esm_class)
    }

    /// The ranges of `source_addr` and `destination_addr`.
    #[inline]
    pub(in crate::core) fn addresses(&self) -> [Span; 2] {
        [self.source_addr_range(), self.destination_addr_range()].map(Span::new)
    }

    /// Whether it can be a segment of a concatenated message at all; if not, nobody has to look closer.
    #[inline(always)]
    pub fn may_be_segment(&self) -> bool {
        may_be_segment(self.esm_class(), self.tlvs())
    }

    /// Where `esm_class` stands in the PDU.
    pub(in crate::core::wire) fn esm_class_at(&self) -> usize {
        self.esm_class.into()
    }

    /// `esm_class`.
    #[inline]
    pub fn esm_class(&self) -> u8 {
        octet(self.pdu, self.esm_class.into())
    }

    /// `protocol_id`.
    pub fn protocol_id(&self) -> u8 {
        octet(self.pdu, usize::from(self.esm_class) + 1)
    }

    /// `priority_flag`.
    pub fn priority_flag(&self) -> u8 {
        octet(self.pdu, usize::from(self.esm_class) + 2)
    }

    /// `schedule_delivery_time`: empty or 16 characters.
    pub fn schedule_delivery_time(&self) -> &'a [u8] {
        let from = usize::from(self.esm_class) + SCHEDULE_BEHIND_ESM_CLASS;
        octets(self.pdu, from..before_nul(self.validity_period))
    }

    /// `validity_period`: empty or 16 characters.
    pub fn validity_period(&self) -> &'a [u8] {
        octets(
            self.pdu,
            self.validity_period.into()..before_nul(self.registered_delivery),
        )
    }

    /// `registered_delivery`.
    #[inline]
    pub fn registered_delivery(&self) -> u8 {
        octet(self.pdu, self.registered_delivery.into())
    }

    /// `replace_if_present_flag`.
    pub fn replace_if_present_flag(&self) -> u8 {
        octet(self.pdu, usize::from(self.registered_delivery) + 1)
    }

    /// `data_coding`.
    pub fn data_coding(&self) -> u8 {
        octet(self.pdu, usize::from(self.registered_delivery) + 2)
    }

    /// `sm_default_msg_id`.
    pub fn sm_default_msg_id(&self) -> u8 {
        octet(self.pdu, usize::from(self.registered_delivery) + 3)
    }

    /// Where `short_message` stands in the PDU; the octet before it is `sm_length`.
    #[inline]
    pub fn short_message_range(&self) -> Range<usize> {
        let sm_length = usize::from(self.registered_delivery) + SM_LENGTH_BEHIND_REGISTERED_DELIVERY;
        let from = sm_length + 1;
        from..from + usize::from(octet(self.pdu, sm_length))
    }

    /// `short_message`; its NULs are data.
    #[inline]
    pub fn short_message(&self) -> &'a [u8] {
        octets(self.pdu, self.short_message_range())
    }

    /// The TLVs.
    #[inline]
    pub fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs.into())
    }

    /// Where the user data stands in the PDU: `short_message`, or the `message_payload` TLV where it supersedes it.
    pub fn user_data_range(&self) -> Range<usize> {
        match self.tlvs().find(Tag::MESSAGE_PAYLOAD) {
            Some(payload) => payload.value_range(),
            None => self.short_message_range(),
        }
    }

    /// The user data: `short_message`, or the `message_payload` TLV where it supersedes it (v5.0 section 4.8.4.36).
    pub fn user_data(&self) -> &'a [u8] {
        octets(self.pdu, self.user_data_range())
    }
}

/// Whether what has this esm_class and these TLVs can be a segment of a concatenated message.
#[inline(always)]
pub(super) fn may_be_segment(esm_class: u8, tlvs: Tlvs<'_>) -> bool {
    esm_class & EsmClass::UDHI != 0 || tlvs.seldom_find(Tag::SAR_MSG_REF_NUM).is_some()
}

/// The end of a text field whose NUL stands before the field at `next`.
#[inline]
fn before_nul(next: u16) -> usize {
    usize::from(next).saturating_sub(1)
}

/// Where the TLVs start behind a short_message that ended at `at`. Many peers count one octet too few and leave a
/// trailing NUL: it is passed over where the area does not parse with it.
#[inline(always)]
pub(super) fn tlvs_behind_short_message(pdu: &[u8], at: usize) -> Result<usize, Fault> {
    match check_area(octets(pdu, at..pdu.len())) {
        Ok(()) => Ok(at),
        Err(fault) => tlvs_behind_trailing_nul(pdu, at).ok_or(fault),
    }
}

#[cold]
#[inline(never)]
fn tlvs_behind_trailing_nul(pdu: &[u8], at: usize) -> Option<usize> {
    let [0, area @ ..] = octets(pdu, at..pdu.len()) else {
        return None;
    };
    check_area(area).ok().map(|()| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::Status;

    /// A submit_sm with a two-octet short_message, followed by `tail`.
    fn submit_sm(tail: &[u8]) -> Vec<u8> {
        let mut pdu = vec![0; HEADER_OCTETS];
        pdu.extend_from_slice(b"\0\x01\x01123\0\x01\x01456\0\0\0\0\0\0\x01\0\0\0\x02hi");
        pdu.extend_from_slice(tail);
        pdu
    }

    /// Goal: a trailing NUL is passed over, alone and before TLVs; other octets break the TLV area.
    #[test]
    fn a_trailing_nul_is_passed_over() {
        for (tail, reference) in [
            (&b""[..], None),
            (b"\0", None),
            (b"\x02\x04\0\x02\0\x07", Some(7)),
            (b"\0\x02\x04\0\x02\0\x07", Some(7)),
        ] {
            let pdu = submit_sm(tail);
            let view = MessageView::parse(&pdu).expect("it can be framed");
            let tlv = view.tlvs().find(Tag::USER_MESSAGE_REFERENCE);
            assert_eq!(tlv.and_then(|tlv| tlv.integer()), reference, "{tail:?}");
            assert_eq!(view.short_message(), b"hi");
        }
        for tail in [&b"x"[..], b"\0\0", b"\0\x02\x04\0\x03\0\x07"] {
            assert_eq!(
                MessageView::parse(&submit_sm(tail)).map(drop),
                Err(Fault::tlv_area()),
                "{tail:?}"
            );
        }
    }

    /// Goal: a short_message that reaches past the end is told from a body that ends earlier.
    #[test]
    fn ends_inside_fields_are_told_apart() {
        let pdu = submit_sm(b"");
        let status_at = |octets: usize| {
            MessageView::parse(&pdu[..octets])
                .map(drop)
                .map_err(|fault| fault.status)
        };
        assert_eq!(status_at(pdu.len() - 1), Err(Status::ESME_RINVMSGLEN));
        for octets in HEADER_OCTETS..pdu.len() - 2 {
            assert_eq!(status_at(octets), Err(Status::ESME_RINVCMDLEN), "{octets}");
        }
    }

    /// Goal: an empty destination can be framed, and is refused with its own status where one is needed.
    #[test]
    fn an_empty_destination_is_refused_on_demand() {
        let pdu = vec![0; HEADER_OCTETS + 17];
        let view = MessageView::parse(&pdu).expect("the smallest body");
        assert_eq!(
            view.check_destination().map_err(|fault| fault.status),
            Err(Status::ESME_RINVDSTADR)
        );
    }
}
