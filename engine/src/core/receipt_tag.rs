//! Delivery receipts with the message id that their client knows.
//!
//! Owns the one step that a receipt needs more than another deliver_sm: the id that it reports on is replaced wherever it
//! stands. Invariants: apart from the ids and the lengths that count them a copy equals its original, but for a
//! receipted_message_id TLV that is added where the text cannot take the longer id. Must never judge which id is the right
//! one, nor allocate, but for the growth of the caller's buffer.

use super::receipts::ClientId;
use super::wire::{CommandId, DataView, Header, MessageView, Receipt, RewriteLimits};
use bytes::BytesMut;

/// Appends a copy of a receipt (deliver_sm or data_sm) with its message id as `form` writes it: in the
/// receipted_message_id TLV, and in the text of short_message or message_payload. Where the two differ, the TLV names the
/// message. Where the longer text would not fit, it stays as it was and the TLV carries the id, and is added if need be.
/// A deliver_sm that only looks like a receipt is read as one: the caller knows better.
///
/// `limits` says what the receiver takes (254 octets of short_message in v3.4, 255 in v5.0, no TLVs in v3.3).
///
/// `false`: nothing was appended, for it names no message, its layout is unknown, `form` has no id for it, or the id fits
/// neither into the text nor into a TLV.
pub(super) fn append_receipt_with_id(
    out: &mut BytesMut,
    pdu: &[u8],
    limits: RewriteLimits,
    form: impl FnOnce(&[u8]) -> Option<ClientId>,
) -> bool {
    let receipt = read_receipt(pdu);
    let id = receipt
        .as_ref()
        .and_then(Receipt::message_id)
        .filter(|id| !id.is_empty());
    let (Some(receipt), Some(formed)) = (&receipt, id.and_then(form)) else {
        return false;
    };
    let start = out.len();
    let rewritten = receipt.write_with_id(formed.as_slice(), limits, out);
    let is_rewritten = rewritten.in_text || rewritten.in_tlv;
    if !is_rewritten {
        out.truncate(start);
    }
    is_rewritten
}

/// Reads a receipt, marked as one or not.
pub fn read_receipt(pdu: &[u8]) -> Option<Receipt<'_>> {
    match Header::read(pdu)?.command_id {
        CommandId::DELIVER_SM => {
            let message = MessageView::parse(pdu).ok()?;
            Receipt::of_message(&message).or_else(|| Receipt::of_unmarked_message(&message))
        }
        CommandId::DATA_SM => {
            let data = DataView::parse(pdu).ok()?;
            Receipt::of_data(&data).or_else(|| Receipt::of_unmarked_data(&data))
        }
        _ => None,
    }
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

    fn append(out: &mut BytesMut, pdu: &[u8], limits: RewriteLimits) -> bool {
        append_receipt_with_id(out, pdu, limits, |id| ClientId::of(&[id, b"#mx-0A"].concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Goal: a copy is octet for octet the receipt that would have been written with the tagged id.
        #[test]
        fn copies_equal_receipts_written_with_the_tag(parts in any_parts(), earlier in vec(any::<u8>(), 0..5)) {
            let mut out = BytesMut::from(&earlier[..]);
            let has_copy = append(&mut out, &parts.build(7), LIMITS);
            prop_assert_eq!(has_copy, parts.tlv_id.is_some() || parts.text_id.is_some());
            prop_assert_eq!(&out[..earlier.len()], &earlier[..]);
            if has_copy {
                prop_assert_eq!(&out[earlier.len()..], &parts.tagged().build(7)[..]);
            }
        }

        /// Goal: what is neither marked nor laid out as a receipt has no copy, and no octets make the copy panic.
        #[test]
        fn what_is_no_receipt_has_no_copy(parts in any_parts(), cut in 0_usize..400, flip in any::<(usize, u8)>()) {
            let mut parts = parts;
            parts.esm_class = EsmClass::DELIVERY_RECEIPT | 0x08;
            let looks_like_one = parts.tlv_id.is_some()
                || (!parts.is_data_sm
                    && (parts.text_id.is_some() && parts.text_before_id.is_empty() && parts.text_behind_id.contains("stat:")));
            let mut out = BytesMut::new();
            prop_assert_eq!(append(&mut out, &parts.build(7), LIMITS), looks_like_one);
            prop_assert_eq!(out.is_empty(), !looks_like_one);

            parts.esm_class = EsmClass::DELIVERY_RECEIPT;
            let mut broken = parts.build(7);
            let at = flip.0 % broken.len();
            broken[at] = flip.1;
            broken.truncate(cut);
            out.clear();
            if !append(&mut out, &broken, LIMITS) {
                prop_assert!(out.is_empty());
            }
        }
    }

    /// Goal: an id that the receiver cannot take appends nothing.
    #[test]
    fn an_id_that_does_not_fit_appends_nothing() {
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
        let mut out = BytesMut::new();
        let no_tlv = RewriteLimits {
            may_add_tlv: false,
            ..LIMITS
        };
        assert!(!append(&mut out, &parts.build(7), no_tlv));
        let mut long = parts;
        long.text_id = Some("1".repeat(59));
        long.text_behind_id.clear();
        assert!(!append(&mut out, &long.build(7), LIMITS));
        assert!(out.is_empty());
    }
}
