//! Delivery receipts with their message id tagged.
//!
//! Owns the one step that a receipt needs more than another deliver_sm: the id that it reports on is tagged wherever it
//! stands. Invariants: apart from the ids, the lengths that count them and the sequence number, a copy equals its original,
//! but for a receipted_message_id TLV that is added where the text cannot take the longer id. Must never judge whether the
//! tag is the right one, nor allocate, but for the growth of the caller's buffer.

use super::tag::{MESSAGE_ID_OCTETS_MAX, TagError, TaggedCopy, append_header, tagged_octets, write_tag};
use super::wire::{
    CommandId, DataView, HEADER_OCTETS, Header, MessageView, Receipt, RewriteLimits, patch_sequence_number,
};
use bytes::BytesMut;

/// Appends a copy of a receipt (deliver_sm or data_sm) with a new sequence number and its message id tagged: in the
/// receipted_message_id TLV, and in the text of short_message or message_payload. Where the two differ, the TLV names the
/// message. Where the longer text would not fit, it stays as it was and the TLV carries the tag, and is added if need be.
/// A PDU that is no receipt, or whose layout is unknown, is copied as it is but for the sequence number.
///
/// `limits` says what the receiver takes (254 octets of short_message in v3.4, 255 in v5.0, no TLVs in v3.3).
///
/// # Errors
///
/// Nothing was appended: [`TagError::TooLong`] when the tagged id exceeds `id_octets_max` octets without its NUL (never
/// more than 64), or when the receiver takes it neither in the text nor in a TLV; [`TagError::NoSuchField`] when `pdu` is
/// shorter than a header.
pub fn append_receipt_with_tagged_id(
    out: &mut BytesMut,
    pdu: &[u8],
    new_sequence_number: u32,
    signature: &[u8],
    uid: [u8; 2],
    id_octets_max: usize,
    limits: RewriteLimits,
) -> Result<TaggedCopy, TagError> {
    let Some(receipt) = read_receipt(pdu) else {
        return append_unchanged(out, pdu, new_sequence_number);
    };
    let Some(id) = receipt.message_id().filter(|id| !id.is_empty()) else {
        return append_unchanged(out, pdu, new_sequence_number);
    };
    let octets = tagged_octets(id.len(), signature);
    let mut buffer = [0; MESSAGE_ID_OCTETS_MAX];
    let Some(tagged) = buffer.get_mut(..octets).filter(|_| octets <= id_octets_max) else {
        return Err(TagError::TooLong { octets });
    };
    let (id_place, tag_place) = tagged.split_at_mut(id.len());
    id_place.copy_from_slice(id);
    write_tag(tag_place, signature, uid);
    let start = out.len();
    let rewritten = receipt.write_with_id(tagged, limits, out);
    if !rewritten.in_text && !rewritten.in_tlv {
        out.truncate(start);
        return Err(TagError::TooLong { octets });
    }
    patch_sequence_number(&mut out[start..], new_sequence_number);
    Ok(TaggedCopy::Tagged)
}

fn read_receipt(pdu: &[u8]) -> Option<Receipt<'_>> {
    match Header::read(pdu)?.command_id {
        CommandId::DELIVER_SM => Receipt::of_message(&MessageView::parse(pdu).ok()?),
        CommandId::DATA_SM => Receipt::of_data(&DataView::parse(pdu).ok()?),
        _ => None,
    }
}

fn append_unchanged(
    out: &mut BytesMut,
    pdu: &[u8],
    new_sequence_number: u32,
) -> Result<TaggedCopy, TagError> {
    let body = pdu.get(HEADER_OCTETS..).ok_or(TagError::NoSuchField)?;
    append_header(out, pdu, pdu.len(), new_sequence_number);
    out.extend_from_slice(body);
    Ok(TaggedCopy::Unchanged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::{Body, Data, EsmClass, Message, PduWriter, Status, Tag};
    use proptest::collection::vec;
    use proptest::prelude::*;

    const LIMITS: RewriteLimits = RewriteLimits {
        short_message_octets_max: 254,
        may_add_tlv: true,
    };

    /// A receipt in parts, so that a test can build what it expects octet for octet.
    #[derive(Clone, Debug)]
    struct Parts {
        is_data_sm: bool,
        esm_class: u8,
        in_payload: bool,
        text_before_id: String,
        text_id: Option<String>,
        text_behind_id: String,
        tlv_id: Option<String>,
        other_tlvs: Vec<(u16, Vec<u8>)>,
    }

    impl Parts {
        fn text(&self) -> Vec<u8> {
            let id = self
                .text_id
                .iter()
                .map(|id| format!("{}id:{id} ", self.text_before_id))
                .collect::<String>();
            [id.as_bytes(), self.text_behind_id.as_bytes()].concat()
        }

        fn build(&self, sequence_number: u32) -> BytesMut {
            let (mut buffer, text) = (BytesMut::new(), self.text());
            let command_id = if self.is_data_sm {
                CommandId::DATA_SM
            } else {
                CommandId::DELIVER_SM
            };
            let mut pdu = PduWriter::begin(&mut buffer, command_id, Status::ESME_ROK, sequence_number);
            let esm_class = self.esm_class;
            if self.is_data_sm {
                Data {
                    esm_class,
                    ..Data::default()
                }
                .write_to(&mut pdu);
            } else {
                let short_message = if self.in_payload { &b""[..] } else { &text };
                Message {
                    esm_class,
                    short_message,
                    ..Message::default()
                }
                .write_to(&mut pdu);
            }
            let (before, behind) = self.other_tlvs.split_at(self.other_tlvs.len() / 2);
            for (tag, value) in before {
                pdu.tlv(Tag(*tag), value);
            }
            if self.in_payload || self.is_data_sm {
                pdu.tlv(Tag::MESSAGE_PAYLOAD, &text);
            }
            for (tag, value) in behind {
                pdu.tlv(Tag(*tag), value);
            }
            if let Some(id) = &self.tlv_id {
                pdu.tlv(Tag::RECEIPTED_MESSAGE_ID, format!("{id}\0").as_bytes());
            }
            pdu.finish().expect("it fits");
            buffer
        }

        /// What the copy must be built of: the tag in both places, or in the TLV alone where the text is too full.
        fn tagged(&self) -> Self {
            let mut tagged = self.clone();
            let Some(id) = self.tlv_id.as_ref().or(self.text_id.as_ref()) else {
                return tagged;
            };
            let id = format!("{id}#mx-0A");
            tagged.tlv_id = self.tlv_id.as_ref().map(|_| id.clone());
            tagged.text_id = self.text_id.as_ref().map(|_| id.clone());
            if !self.in_payload && !self.is_data_sm && tagged.text().len() > 254 {
                tagged.text_id.clone_from(&self.text_id);
                tagged.tlv_id = Some(id);
            }
            tagged
        }
    }

    fn any_parts() -> impl Strategy<Value = Parts> {
        let id = "[0-9a-fA-F-]{1,20}";
        let places = (
            any::<bool>(),
            any::<bool>(),
            prop_oneof![Just(0x04_u8), Just(0x20)],
        );
        let ids = (proptest::option::of(id), proptest::option::of(id));
        let text = (
            "(sub:001 )?",
            prop_oneof![
                "(stat:DELIVRD err:000 text:)?[a-z .]{0,30}",
                "text:[a-z]{190,215}"
            ],
        );
        let other_tlvs = vec((0x1400_u16..0x1410, vec(any::<u8>(), 0..6)), 0..4);
        (places, ids, text, other_tlvs).prop_map(|(places, ids, text, other_tlvs)| Parts {
            is_data_sm: places.0,
            in_payload: places.1,
            esm_class: places.2,
            text_id: ids.0,
            tlv_id: ids.1,
            text_before_id: text.0,
            text_behind_id: text.1,
            other_tlvs,
        })
    }

    fn append(out: &mut BytesMut, pdu: &[u8], id_octets_max: usize) -> Result<TaggedCopy, TagError> {
        append_receipt_with_tagged_id(out, pdu, 0x0102_0304, b"mx", *b"0A", id_octets_max, LIMITS)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Goal: a copy is octet for octet the receipt that would have been written with the tagged id.
        #[test]
        fn copies_equal_receipts_written_with_the_tag(parts in any_parts(), earlier in vec(any::<u8>(), 0..5)) {
            let mut out = BytesMut::from(&earlier[..]);
            let copied = append(&mut out, &parts.build(7), MESSAGE_ID_OCTETS_MAX);
            let has_id = parts.tlv_id.is_some() || parts.text_id.is_some();
            prop_assert_eq!(copied, Ok(if has_id { TaggedCopy::Tagged } else { TaggedCopy::Unchanged }));
            prop_assert_eq!(&out[..earlier.len()], &earlier[..]);
            prop_assert_eq!(&out[earlier.len()..], &parts.tagged().build(0x0102_0304)[..]);
        }

        /// Goal: other messages pass untouched but for their sequence number, and no octets make the copy panic.
        #[test]
        fn what_is_no_receipt_passes_untouched(parts in any_parts(), cut in 0_usize..400, flip in any::<(usize, u8)>()) {
            let mut parts = parts;
            parts.esm_class = EsmClass::DELIVERY_RECEIPT | 0x08;
            let mut out = BytesMut::new();
            let pdu = parts.build(7);
            prop_assert_eq!(append(&mut out, &pdu, MESSAGE_ID_OCTETS_MAX), Ok(TaggedCopy::Unchanged));
            prop_assert_eq!(&out[..], &parts.build(0x0102_0304)[..]);

            parts.esm_class = EsmClass::DELIVERY_RECEIPT;
            let mut broken = parts.build(7);
            let at = flip.0 % broken.len();
            broken[at] = flip.1;
            broken.truncate(cut);
            out.clear();
            if append(&mut out, &broken, 12).is_err() {
                prop_assert!(out.is_empty());
            }
        }
    }

    /// Goal: a tag that the receiver cannot take is an error that appends nothing, and the caller's limit counts.
    #[test]
    fn a_tag_that_does_not_fit_is_an_error() {
        let parts = Parts {
            is_data_sm: false,
            esm_class: EsmClass::DELIVERY_RECEIPT,
            in_payload: false,
            text_before_id: String::new(),
            text_id: Some("123".to_owned()),
            text_behind_id: "x".repeat(245),
            tlv_id: None,
            other_tlvs: Vec::new(),
        };
        let pdu = parts.build(7);
        let mut out = BytesMut::new();
        assert_eq!(append(&mut out, &pdu, 8), Err(TagError::TooLong { octets: 9 }));
        let no_tlv = RewriteLimits {
            may_add_tlv: false,
            ..LIMITS
        };
        let copied = append_receipt_with_tagged_id(&mut out, &pdu, 1, b"mx", *b"0A", 64, no_tlv);
        assert_eq!(copied, Err(TagError::TooLong { octets: 9 }));
        let mut long = parts;
        long.text_id = Some("1".repeat(59));
        long.text_behind_id.clear();
        assert_eq!(
            append(&mut out, &long.build(7), 100),
            Err(TagError::TooLong { octets: 65 })
        );
        assert!(out.is_empty());
    }
}
