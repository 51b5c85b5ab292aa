//! Copying a segment with its reference written in another way: a header element of 8 or 16 bits, or the sar_* TLVs.
//!
//! Text and everything else are copied octet for octet; the lengths that count what changed follow. Never allocates, but
//! for the growth of the caller's buffer.
//! Source: 3GPP TS 23.040 section 9.2.3.24, SMPP v3.4 sections 5.3.2.22 to 5.3.2.24.

use std::ops::Range;

use bytes::BytesMut;

use super::concatenation::Carrier;
use super::walk::{octet, octets};
use super::{
    CommandId, Concatenation, ConcatenationKind, EsmClass, Tag, UserDataHeader, patch_command_length,
    udh_8_bit, udh_16_bit,
};

/// The longest short_message that every version takes.
const SHORT_MESSAGE_OCTETS_MAX: usize = 254;
/// Two lengths, esm_class, an element or a header, and TLVs at the end or to be left out, some of them twice.
const EDITS_MAX: usize = 12;
const REPLACEMENT_OCTETS_MAX: usize = 16;

/// Appends a segment (submit_sm, deliver_sm, submit_multi or data_sm) to `buffer` with `reference` written as `kind`.
/// `false`: the PDU is no segment, or it cannot be written so (the text leaves no room for a header, the reference no
/// octet); then nothing was appended. The sequence number is left to the caller.
pub fn append_segment_as(
    buffer: &mut BytesMut,
    command: CommandId,
    pdu: &[u8],
    kind: ConcatenationKind,
    reference: u16,
) -> bool {
    let edits = || {
        if kind == ConcatenationKind::Udh8 && reference > u16::from(u8::MAX) {
            return None;
        }
        let carrier = Carrier::of_pdu(command, pdu)?;
        let mut segment = carrier.concatenation()?;
        segment.reference = reference;
        let mut edits = Edits::default();
        if segment.kind == kind {
            edits.add(segment.reference_range(), &reference_octets(kind, reference))?;
        } else if segment.kind == ConcatenationKind::Sar {
            edits.header_for_tlvs(&carrier, &segment, kind)?;
        } else {
            edits.element_for_element(&carrier, &segment, kind)?;
        }
        Some(edits)
    };
    let Some(edits) = edits() else { return false };
    edits.append(buffer, pdu);
    true
}

/// The octets of a reference as they stand in the PDU.
fn reference_octets(kind: ConcatenationKind, reference: u16) -> FewOctets {
    let octets = reference.to_be_bytes();
    FewOctets::of(&octets[octets.len() - kind.reference_octets()..])
}

/// A few octets.
#[derive(Clone, Copy, Debug, Default)]
struct FewOctets {
    octets: [u8; REPLACEMENT_OCTETS_MAX],
    length: usize,
}

impl FewOctets {
    fn of(octets: &[u8]) -> Self {
        let mut few = Self::default();
        for (place, octet) in few.octets.iter_mut().zip(octets) {
            *place = *octet;
        }
        few.length = octets.len().min(REPLACEMENT_OCTETS_MAX);
        few
    }
}

impl std::ops::Deref for FewOctets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        octets(&self.octets, 0..self.length)
    }
}

/// Octets of the PDU that are replaced.
#[derive(Clone, Debug, Default)]
struct Edit {
    range: Range<usize>,
    replacement: FewOctets,
}

#[derive(Default)]
struct Edits {
    edits: [Edit; EDITS_MAX],
    count: usize,
}

/// Where the user data stands, and which octets count it.
struct UserData {
    range: Range<usize>,
    is_payload: bool,
}

impl UserData {
    fn of(carrier: &Carrier<'_>) -> Option<Self> {
        match carrier.tlvs.clone().find(Tag::MESSAGE_PAYLOAD) {
            Some(payload) => Some(Self {
                range: payload.value_range(),
                is_payload: true,
            }),
            None => carrier.short_message.clone().map(|range| Self {
                range,
                is_payload: false,
            }),
        }
    }
}

impl Edits {
    fn add(&mut self, range: Range<usize>, replacement: &[u8]) -> Option<()> {
        let place = self.edits.get_mut(self.count)?;
        *place = Edit {
            range,
            replacement: FewOctets::of(replacement),
        };
        self.count += 1;
        Some(())
    }

    /// Sets the length of the user data; `None` where it does not fit.
    fn user_data_octets(&mut self, user_data: &UserData, octets: usize) -> Option<()> {
        let start = user_data.range.start;
        if user_data.is_payload {
            self.add(start - 2..start, &u16::try_from(octets).ok()?.to_be_bytes())
        } else {
            let octets = u8::try_from(octets)
                .ok()
                .filter(|_| octets <= SHORT_MESSAGE_OCTETS_MAX)?;
            self.add(start - 1..start, &[octets])
        }
    }

    /// Writes a header where there were TLVs, which go.
    fn header_for_tlvs(
        &mut self,
        carrier: &Carrier<'_>,
        segment: &Concatenation,
        kind: ConcatenationKind,
    ) -> Option<()> {
        let user_data = UserData::of(carrier)?;
        let (start, octets_now) = (user_data.range.start, user_data.range.len());
        let header = header(kind, segment)?;
        if carrier.has_user_data_header() {
            // It has other elements: ours goes in front of them.
            let present = UserDataHeader::read(octets(carrier.pdu, user_data.range.clone()))?;
            let element = octets(&header, 1..header.len());
            let header_octets = present.octets() - 1 + element.len();
            self.add(start..start + 1, &[u8::try_from(header_octets).ok()?])?;
            self.add(start + 1..start + 1, element)?;
            self.user_data_octets(&user_data, octets_now + element.len())?;
        } else {
            let esm_class = octet(carrier.pdu, carrier.esm_class_at) | EsmClass::UDHI;
            self.add(carrier.esm_class_at..carrier.esm_class_at + 1, &[esm_class])?;
            self.add(start..start, &header)?;
            self.user_data_octets(&user_data, octets_now + header.len())?;
        }
        for tlv in carrier
            .tlvs
            .clone()
            .map_while(Result::ok)
            .filter(|tlv| is_sar(tlv.tag))
        {
            self.add(tlv.range, &[])?;
        }
        Some(())
    }

    /// Writes another element, or TLVs, where there was an element.
    fn element_for_element(
        &mut self,
        carrier: &Carrier<'_>,
        segment: &Concatenation,
        kind: ConcatenationKind,
    ) -> Option<()> {
        let user_data = UserData::of(carrier)?;
        let (start, octets_now) = (user_data.range.start, user_data.range.len());
        let reference = segment.reference_range();
        // Identifier and length stand before the reference, total and number behind it.
        let element = reference.start - 2..reference.end + 2;
        let header_octets = usize::from(octet(carrier.pdu, start));
        if kind != ConcatenationKind::Sar {
            let header = header(kind, segment)?;
            let new = octets(&header, 1..header.len());
            let header_octets = u8::try_from(header_octets - element.len() + new.len()).ok()?;
            self.user_data_octets(&user_data, octets_now - element.len() + new.len())?;
            self.add(start..start + 1, &[header_octets])?;
            return self.add(element, new);
        }
        if carrier
            .tlvs
            .clone()
            .map_while(Result::ok)
            .any(|tlv| is_sar(tlv.tag))
        {
            return None;
        }
        let left = header_octets - element.len();
        let gone = if left == 0 {
            let esm_class = octet(carrier.pdu, carrier.esm_class_at) & !EsmClass::UDHI;
            self.add(carrier.esm_class_at..carrier.esm_class_at + 1, &[esm_class])?;
            self.add(start..start + 1, &[])?;
            element.len() + 1
        } else {
            self.add(start..start + 1, &[u8::try_from(left).ok()?])?;
            element.len()
        };
        self.user_data_octets(&user_data, octets_now - gone)?;
        self.add(element, &[])?;
        self.add(carrier.pdu.len()..carrier.pdu.len(), &sar_tlvs(segment))
    }

    fn append(mut self, buffer: &mut BytesMut, pdu: &[u8]) {
        let edits = self.edits.get_mut(..self.count).unwrap_or_default();
        edits.sort_unstable_by_key(|edit| (edit.range.start, edit.range.end));
        let (from, mut at) = (buffer.len(), 0);
        for edit in edits {
            buffer.extend_from_slice(octets(pdu, at..edit.range.start));
            buffer.extend_from_slice(&edit.replacement);
            at = edit.range.end;
        }
        buffer.extend_from_slice(octets(pdu, at..pdu.len()));
        patch_command_length(buffer.get_mut(from..).unwrap_or_default());
    }
}

/// A whole header with one element.
fn header(kind: ConcatenationKind, segment: &Concatenation) -> Option<FewOctets> {
    let (reference, total, sequence) = (segment.reference, segment.total, segment.sequence);
    match kind {
        ConcatenationKind::Udh8 => {
            let reference = u8::try_from(reference).ok()?;
            Some(FewOctets::of(&udh_8_bit(reference, total, sequence)))
        }
        ConcatenationKind::Udh16 => Some(FewOctets::of(&udh_16_bit(reference, total, sequence))),
        ConcatenationKind::Sar => None,
    }
}

fn sar_tlvs(segment: &Concatenation) -> [u8; REPLACEMENT_OCTETS_MAX] {
    let [reference_high, reference_low] = segment.reference.to_be_bytes();
    let [reference_tag, total_tag, sequence_tag] = [
        Tag::SAR_MSG_REF_NUM,
        Tag::SAR_TOTAL_SEGMENTS,
        Tag::SAR_SEGMENT_SEQNUM,
    ]
    .map(|tag| tag.0.to_be_bytes());
    [
        reference_tag[0],
        reference_tag[1],
        0,
        2,
        reference_high,
        reference_low,
        total_tag[0],
        total_tag[1],
        0,
        1,
        segment.total,
        sequence_tag[0],
        sequence_tag[1],
        0,
        1,
        segment.sequence,
    ]
}

const fn is_sar(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::SAR_MSG_REF_NUM | Tag::SAR_TOTAL_SEGMENTS | Tag::SAR_SEGMENT_SEQNUM
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConcatenationKind::{Sar, Udh8, Udh16};
    use proptest::prelude::*;

    /// A segment as a peer may write it: with another element before ours, in short_message or message_payload.
    #[derive(Clone, Debug)]
    struct Sample {
        kind: ConcatenationKind,
        other_element: bool,
        in_payload: bool,
        command: CommandId,
        text: Vec<u8>,
    }

    const REFERENCE: u16 = 0x5A;
    const TOTAL: u8 = 7;
    const SEQUENCE: u8 = 3;

    impl Sample {
        fn pdu(&self) -> Vec<u8> {
            let mut elements = Vec::new();
            if self.other_element {
                elements.extend_from_slice(&[5, 4, 0x0B, 0x84, 0x23, 0xF0]);
            }
            match self.kind {
                Udh8 => elements.extend_from_slice(&udh_8_bit(REFERENCE as u8, TOTAL, SEQUENCE)[1..]),
                Udh16 => elements.extend_from_slice(&udh_16_bit(REFERENCE, TOTAL, SEQUENCE)[1..]),
                Sar => {}
            }
            let mut user_data = self.text.clone();
            if !elements.is_empty() {
                user_data.splice(0..0, elements.iter().copied());
                user_data.insert(0, elements.len() as u8);
            }
            let mut pdu = vec![0; 16];
            pdu.extend_from_slice(b"\0\x01\x01123\0\x01\x01456\0");
            pdu.push(if elements.is_empty() { 0 } else { EsmClass::UDHI });
            let is_data = self.command == CommandId::DATA_SM;
            if is_data {
                pdu.extend_from_slice(&[0; 2]);
            } else {
                pdu.extend_from_slice(&[0; 8]);
                pdu.push(if self.in_payload { 0 } else { user_data.len() as u8 });
            }
            if !is_data && !self.in_payload {
                pdu.extend_from_slice(&user_data);
            }
            pdu.extend_from_slice(b"\x02\x04\0\x02\0\x07");
            if self.kind == Sar {
                let segment = sample();
                pdu.extend_from_slice(&sar_tlvs(&segment));
            }
            if is_data || self.in_payload {
                pdu.extend_from_slice(b"\x04\x24");
                pdu.extend_from_slice(&(user_data.len() as u16).to_be_bytes());
                pdu.extend_from_slice(&user_data);
            }
            patch_command_length(&mut pdu);
            pdu
        }
    }

    fn sample() -> Concatenation {
        let pdu = Sample {
            kind: Udh8,
            other_element: false,
            in_payload: false,
            command: CommandId::SUBMIT_SM,
            text: Vec::new(),
        }
        .pdu();
        Concatenation::of_pdu(CommandId::SUBMIT_SM, &pdu).expect("a segment")
    }

    /// What a handset would show: the text behind the header.
    fn text_of(command: CommandId, pdu: &[u8]) -> Vec<u8> {
        let carrier = Carrier::of_pdu(command, pdu).expect("well-formed");
        let user_data = octets(pdu, UserData::of(&carrier).expect("some").range);
        let from = if carrier.has_user_data_header() {
            UserDataHeader::read(user_data).expect("a header").octets()
        } else {
            0
        };
        user_data[from..].to_vec()
    }

    fn samples() -> impl Strategy<Value = Sample> {
        let kind = prop_oneof![Just(Udh8), Just(Udh16), Just(Sar)];
        let command = prop_oneof![
            Just(CommandId::SUBMIT_SM),
            Just(CommandId::DELIVER_SM),
            Just(CommandId::DATA_SM)
        ];
        let text = proptest::collection::vec(any::<u8>(), 0..235);
        (kind, any::<bool>(), any::<bool>(), command, text).prop_map(
            |(kind, other_element, in_payload, command, text)| Sample {
                kind,
                other_element,
                in_payload,
                command,
                text,
            },
        )
    }

    proptest! {
        /// Goal: whatever way a segment is written, it can be written in any other: same text, total and number, the new
        /// reference, lengths right; and back again gives the octets of a segment that says the same.
        #[test]
        fn a_segment_can_be_written_in_any_way(sample in samples(), to in prop_oneof![Just(Udh8), Just(Udh16), Just(Sar)], reference in 0_u16..256) {
            let pdu = sample.pdu();
            let mut buffer = BytesMut::from(&b"before"[..]);
            prop_assert!(append_segment_as(&mut buffer, sample.command, &pdu, to, reference));
            let written = &buffer[6..];
            prop_assert_eq!(u32::from_be_bytes(written[..4].try_into().unwrap()) as usize, written.len());
            let segment = Concatenation::of_pdu(sample.command, written).unwrap();
            prop_assert_eq!((segment.kind, segment.reference, segment.total, segment.sequence), (to, reference, TOTAL, SEQUENCE));
            prop_assert_eq!(text_of(sample.command, written), text_of(sample.command, &pdu));
            let mut again = BytesMut::new();
            prop_assert!(append_segment_as(&mut again, sample.command, written, sample.kind, REFERENCE));
            prop_assert_eq!(again.len(), pdu.len());
            let back = Concatenation::of_pdu(sample.command, &again).unwrap();
            prop_assert_eq!((back.kind, back.reference), (sample.kind, REFERENCE));
            prop_assert_eq!(text_of(sample.command, &again), text_of(sample.command, &pdu));
        }

        /// Goal: whatever octets come, nothing panics.
        #[test]
        fn anything_is_survived(octets in proptest::collection::vec(any::<u8>(), 0..120), udhi: bool, to in prop_oneof![Just(Udh8), Just(Udh16), Just(Sar)]) {
            let mut pdu = vec![0; 16];
            pdu.extend_from_slice(b"\0\x01\x01123\0\x01\x01456\0");
            pdu.push(if udhi { EsmClass::UDHI } else { 0 });
            pdu.extend_from_slice(&[0; 8]);
            pdu.push(octets.len().min(40) as u8);
            pdu.extend_from_slice(&octets);
            for command in [CommandId::SUBMIT_SM, CommandId::DATA_SM, CommandId::SUBMIT_MULTI] {
                append_segment_as(&mut BytesMut::new(), command, &pdu, to, 9);
            }
        }
    }

    /// Goal: what does not fit is refused, and nothing is appended.
    #[test]
    fn what_does_not_fit_is_refused() {
        let full = Sample {
            kind: Sar,
            other_element: false,
            in_payload: false,
            command: CommandId::SUBMIT_SM,
            text: vec![b'x'; 249],
        };
        let mut buffer = BytesMut::new();
        assert!(
            !append_segment_as(&mut buffer, full.command, &full.pdu(), Udh8, 1),
            "no room for a header"
        );
        let small = Sample {
            text: vec![b'x'],
            ..full
        };
        assert!(
            !append_segment_as(&mut buffer, small.command, &small.pdu(), Udh8, 256),
            "no octet for it"
        );
        assert!(buffer.is_empty());
    }
}
