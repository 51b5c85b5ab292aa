//! Concatenation: which message a segment belongs to, and which part of it it is.
//!
//! All information elements are walked, wherever they stand and whichever field carries the user data; what cannot be a
//! segment is a whole message, never an error.
//! Source: 3GPP TS 23.040 sections 9.2.3.24.1 and 9.2.3.24.8, SMPP v3.4 sections 5.3.2.22 to 5.3.2.24.

use std::ops::Range;

use super::value::EsmClass;
use super::walk::{octet, octets};
use super::{CommandId, DataView, MessageView, SubmitMultiView, Tag, Tlvs, UserDataHeader};

const ELEMENT_CONCATENATION_8_BIT: u8 = 0x00;
const ELEMENT_CONCATENATION_16_BIT: u8 = 0x08;

/// How a segment says which message it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConcatenationKind {
    /// A user data header with an 8-bit reference.
    Udh8,
    /// A user data header with a 16-bit reference.
    Udh16,
    /// The three sar_* TLVs; the reference has 16 bits.
    Sar,
}

impl ConcatenationKind {
    /// Octets of the reference number.
    pub const fn reference_octets(self) -> usize {
        match self {
            Self::Udh8 => 1,
            Self::Udh16 | Self::Sar => 2,
        }
    }
}

/// A segment's place in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concatenation {
    /// How the segment says so; references of different kinds are different.
    pub kind: ConcatenationKind,
    /// The reference that all segments share.
    pub reference: u16,
    /// How many segments there are, 1 to 255.
    pub total: u8,
    /// Which one this is, 1 to `total`.
    pub sequence: u8,
    /// Where the reference starts in the PDU.
    reference_at: u32,
}

impl Concatenation {
    /// The concatenation of a submit_sm or deliver_sm; `None` for a whole message.
    #[inline]
    pub fn of_message(message: &MessageView<'_>) -> Option<Self> {
        Carrier::of_message(message).concatenation()
    }

    /// The concatenation of a data_sm; `None` for a whole message.
    pub fn of_data(data: &DataView<'_>) -> Option<Self> {
        Carrier::of_data(data).concatenation()
    }

    /// The concatenation of a submit_sm, deliver_sm, submit_multi or data_sm; `None` for a whole message, for any other PDU
    /// and for one that is not well-formed.
    pub fn of_pdu(command: CommandId, pdu: &[u8]) -> Option<Self> {
        Carrier::of_pdu(command, pdu)?.concatenation()
    }

    /// Where the reference stands in the PDU: one octet or two, to be overwritten in place with another reference.
    pub const fn reference_range(&self) -> Range<usize> {
        let from = self.reference_at as usize;
        from..from + self.kind.reference_octets()
    }

    /// Refuses what cannot be a segment: number or total 0, or a number above the total.
    fn checked(self) -> Option<Self> {
        (self.sequence >= 1 && self.sequence <= self.total).then_some(self)
    }
}

/// The user data header of one segment with an 8-bit reference, alone.
pub const fn udh_8_bit(reference: u8, total: u8, sequence: u8) -> [u8; 6] {
    [5, ELEMENT_CONCATENATION_8_BIT, 3, reference, total, sequence]
}

/// The user data header of one segment with a 16-bit reference, alone.
pub const fn udh_16_bit(reference: u16, total: u8, sequence: u8) -> [u8; 7] {
    let [high, low] = reference.to_be_bytes();
    [6, ELEMENT_CONCATENATION_16_BIT, 4, high, low, total, sequence]
}

/// Where a PDU keeps its user data.
#[derive(Clone)]
pub(super) struct Carrier<'a> {
    pub(super) pdu: &'a [u8],
    pub(super) esm_class_at: usize,
    /// `None`: it has no such field.
    pub(super) short_message: Option<Range<usize>>,
    pub(super) tlvs: Tlvs<'a>,
}

/// The TLVs that matter here: each one's value in the PDU, the first of repeats.
#[derive(Default)]
struct SegmentTlvs {
    payload: Option<Range<usize>>,
    reference: Option<Range<usize>>,
    total: Option<Range<usize>>,
    sequence: Option<Range<usize>>,
}

impl<'a> Carrier<'a> {
    fn of_message(message: &MessageView<'a>) -> Self {
        Self {
            pdu: message.pdu(),
            esm_class_at: message.esm_class_at(),
            short_message: Some(message.short_message_range()),
            tlvs: message.tlvs(),
        }
    }

    fn of_data(data: &DataView<'a>) -> Self {
        Self {
            pdu: data.pdu(),
            esm_class_at: data.esm_class_at(),
            short_message: None,
            tlvs: data.tlvs(),
        }
    }

    pub(super) fn of_pdu(command: CommandId, pdu: &'a [u8]) -> Option<Self> {
        match command {
            CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
                MessageView::parse(pdu).ok().map(|view| Self::of_message(&view))
            }
            CommandId::DATA_SM => DataView::parse(pdu).ok().map(|view| Self::of_data(&view)),
            CommandId::SUBMIT_MULTI => {
                let view = SubmitMultiView::parse(pdu).ok()?;
                Some(Self {
                    pdu,
                    esm_class_at: view.esm_class_at(),
                    short_message: Some(view.short_message_range()),
                    tlvs: view.tlvs(),
                })
            }
            _ => None,
        }
    }

    pub(super) fn has_user_data_header(&self) -> bool {
        EsmClass(octet(self.pdu, self.esm_class_at)).has_user_data_header()
    }

    /// The header counts before the TLVs, which must not be combined with it; a handset looks at the header alone.
    pub(super) fn concatenation(&self) -> Option<Concatenation> {
        if !self.has_user_data_header() && self.tlvs.range().is_empty() {
            return None;
        }
        let tlvs = SegmentTlvs::collect(self.tlvs.clone());
        let user_data = tlvs.payload.clone().or_else(|| self.short_message.clone());
        if self.has_user_data_header() {
            let user_data = user_data.unwrap_or_default();
            let segment = udh_concatenation(octets(self.pdu, user_data.clone()), user_data.start);
            if segment.is_some() {
                return segment;
            }
        }
        tlvs.concatenation(self.pdu)
    }
}

/// The last concatenation element counts (TS 23.040 section 9.2.3.24); impossible ones are ignored.
fn udh_concatenation(user_data: &[u8], user_data_at: usize) -> Option<Concatenation> {
    UserDataHeader::read(user_data)?
        .filter_map(|element| {
            let (kind, reference, total, sequence) = match (element.identifier, element.data) {
                (ELEMENT_CONCATENATION_8_BIT, [reference, total, sequence]) => {
                    (ConcatenationKind::Udh8, u16::from(*reference), total, sequence)
                }
                (ELEMENT_CONCATENATION_16_BIT, [high, low, total, sequence]) => (
                    ConcatenationKind::Udh16,
                    u16::from_be_bytes([*high, *low]),
                    total,
                    sequence,
                ),
                _ => return None,
            };
            Concatenation {
                kind,
                reference,
                total: *total,
                sequence: *sequence,
                reference_at: u32::try_from(user_data_at + element.data_range.start).ok()?,
            }
            .checked()
        })
        .last()
}

impl SegmentTlvs {
    fn collect(tlvs: Tlvs<'_>) -> Self {
        let mut found = Self::default();
        for tlv in tlvs.map_while(Result::ok) {
            let place = match tlv.tag {
                Tag::MESSAGE_PAYLOAD => &mut found.payload,
                Tag::SAR_MSG_REF_NUM => &mut found.reference,
                Tag::SAR_TOTAL_SEGMENTS => &mut found.total,
                Tag::SAR_SEGMENT_SEQNUM => &mut found.sequence,
                _ => continue,
            };
            place.get_or_insert(tlv.value_range());
        }
        found
    }

    /// All three or none: where one is missing or has another length, the others mean nothing.
    fn concatenation(self, pdu: &[u8]) -> Option<Concatenation> {
        let reference_range = self.reference?;
        let [high, low] = *octets(pdu, reference_range.clone()) else {
            return None;
        };
        let [total] = *octets(pdu, self.total?) else {
            return None;
        };
        let [sequence] = *octets(pdu, self.sequence?) else {
            return None;
        };
        Concatenation {
            kind: ConcatenationKind::Sar,
            reference: u16::from_be_bytes([high, low]),
            total,
            sequence,
            reference_at: u32::try_from(reference_range.start).ok()?,
        }
        .checked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_header(header: &[u8]) -> Option<(ConcatenationKind, u16, u8, u8)> {
        let segment = udh_concatenation(header, 100)?;
        let from = segment.reference_range().start - 100;
        let reference = &header[from..from + segment.kind.reference_octets()];
        let value = reference
            .iter()
            .fold(0, |value, octet| (value << 8) | u16::from(*octet));
        assert_eq!(value, segment.reference, "the range must name the reference");
        Some((segment.kind, segment.reference, segment.total, segment.sequence))
    }

    /// Goal: the element is found at any position, the last good one counts, and its reference's place is right.
    #[test]
    fn concatenation_is_found_at_any_position() {
        use ConcatenationKind::{Udh8, Udh16};
        let cases: [(&[u8], Option<_>); 9] = [
            (&udh_8_bit(42, 3, 1), Some((Udh8, 42, 3, 1))),
            (&udh_16_bit(0x1234, 2, 2), Some((Udh16, 0x1234, 2, 2))),
            (
                &[11, 5, 4, 0x0B, 0x84, 0x23, 0xF0, 0, 3, 7, 2, 1],
                Some((Udh8, 7, 2, 1)),
            ),
            (
                &[11, 0, 3, 7, 2, 1, 8, 4, 1, 2, 2, 1],
                Some((Udh16, 0x0102, 2, 1)),
            ),
            (&[10, 0, 3, 7, 2, 1, 0, 3, 7, 0, 0], Some((Udh8, 7, 2, 1))),
            (&[5, 0, 3, 7, 2, 3], None),
            (&[5, 0, 4, 7, 2, 1], None),
            (&[9, 0, 3, 7, 2, 1], None),
            (&[], None),
        ];
        for (header, expected) in cases {
            assert_eq!(of_header(header), expected, "{header:?}");
        }
    }
}
