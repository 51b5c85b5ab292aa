//! What the vectors say about user data: segments and delivery receipts.

use std::ops::Range;

use serde_json::{Map, Value};
use smppmux_engine::core::wire::{
    CommandId, Concatenation, ConcatenationKind, DataView, EsmClass, MessageState, MessageView, Receipt, Tag,
    UserDataHeader,
};

use crate::vector::{Vector, hex_of, text_of, valid_vectors};

/// Goal: every segment of the vectors is recognised with its kind, reference, total and number, and nothing else is.
#[test]
fn segments_are_recognised() {
    let mut segments = 0;
    for vector in valid_vectors() {
        let pdu = vector.pdu();
        let found = concatenation(&vector, &pdu);
        let Some(expected) = &vector.concat else {
            if vector.name.starts_with("udh") || vector.name.starts_with("sar") {
                assert_eq!(found, None, "{}", vector.name);
            }
            continue;
        };
        let found = found.unwrap_or_else(|| panic!("{}: no segment", vector.name));
        assert_eq!(kind_name(found.kind), expected.kind, "{}", vector.name);
        assert_eq!(
            (found.reference, found.total, found.sequence),
            (expected.reference, expected.total, expected.seq),
            "{}",
            vector.name
        );
        assert_eq!(
            big_endian(&pdu[found.reference_range()]),
            expected.reference,
            "{}",
            vector.name
        );
        assert_eq!(
            hex_of(text_behind_header(&vector, &pdu)),
            expected.payload,
            "{}",
            vector.name
        );
        segments += 1;
    }
    assert!(segments > 30, "only {segments} segments");
}

/// Goal: another reference written in place is read back, and nothing else changed.
#[test]
fn references_are_rewritten_in_place() {
    for vector in valid_vectors()
        .into_iter()
        .filter(|vector| vector.concat.is_some())
    {
        let mut pdu = vector.pdu();
        let before = concatenation(&vector, &pdu).expect("a segment");
        pdu[before.reference_range()].fill(0x5A);
        let after = concatenation(&vector, &pdu).expect("still a segment");
        assert_eq!(
            after.reference,
            if before.kind == ConcatenationKind::Udh8 {
                0x5A
            } else {
                0x5A5A
            }
        );
        assert_eq!(
            (after.total, after.sequence),
            (before.total, before.sequence),
            "{}",
            vector.name
        );
    }
}

/// Goal: the text of every receipt is read field by field, and its state and id agree with its TLVs.
#[test]
fn receipts_are_read() {
    let mut receipts = 0;
    for vector in valid_vectors() {
        let Some(expected) = &vector.receipt else { continue };
        let pdu = vector.pdu();
        let message = MessageView::parse(&pdu).expect("a valid vector");
        let receipt = Receipt::of_message(&message).unwrap_or_else(|| panic!("{}: no receipt", vector.name));
        assert_eq!(receipt_fields(&pdu, &receipt), *expected, "{}", vector.name);
        assert_eq!(
            receipt.message_id().map(text_of).as_ref(),
            expected.get("id"),
            "{}",
            vector.name
        );
        let stat = expected["stat"].as_str().expect("text");
        assert_eq!(
            receipt.state(),
            MessageState::from_receipt_text(stat.as_bytes()),
            "{}",
            vector.name
        );
        assert!(receipt.is_final(), "{}", vector.name);
        receipts += 1;
    }
    assert_eq!(receipts, 17);
}

/// Goal: esm_class alone decides what is a receipt, with TLVs alone and in data_sm too.
#[test]
fn receipts_without_text_are_read() {
    for vector in valid_vectors() {
        let pdu = vector.pdu();
        let receipt = match vector.command() {
            CommandId::DELIVER_SM => Receipt::of_message(&MessageView::parse(&pdu).expect("a valid vector")),
            CommandId::DATA_SM => Receipt::of_data(&DataView::parse(&pdu).expect("a valid vector")),
            _ => continue,
        };
        let esm_class = vector.fields["esm_class"].as_u64().expect("an octet") as u8;
        let types = [EsmClass::DELIVERY_RECEIPT, EsmClass::INTERMEDIATE_NOTIFICATION];
        assert_eq!(
            receipt.is_some(),
            types.contains(&EsmClass(esm_class).message_type()),
            "{}",
            vector.name
        );
        let tlvs = vector.tlvs();
        let id = tlvs.iter().find(|(tag, _)| *tag == Tag::RECEIPTED_MESSAGE_ID);
        if let (Some(receipt), Some((_, id))) = (receipt, id) {
            let characters = id.strip_suffix(&[0]).unwrap_or(id);
            assert_eq!(
                receipt.tlv_id().unwrap_or_default(),
                characters,
                "{}",
                vector.name
            );
        }
    }
}

fn concatenation(vector: &Vector, pdu: &[u8]) -> Option<Concatenation> {
    match vector.command() {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
            Concatenation::of_message(&MessageView::parse(pdu).expect("a valid vector"))
        }
        CommandId::DATA_SM => Concatenation::of_data(&DataView::parse(pdu).expect("a valid vector")),
        _ => None,
    }
}

const fn kind_name(kind: ConcatenationKind) -> &'static str {
    match kind {
        ConcatenationKind::Udh8 => "udh8",
        ConcatenationKind::Udh16 => "udh16",
        ConcatenationKind::Sar => "sar",
    }
}

fn big_endian(octets: &[u8]) -> u16 {
    octets
        .iter()
        .fold(0, |value, octet| (value << 8) | u16::from(*octet))
}

/// The user data without its header: what the segment carries of the message.
fn text_behind_header<'a>(vector: &Vector, pdu: &'a [u8]) -> &'a [u8] {
    let (esm_class, user_data) = match vector.command() {
        CommandId::DATA_SM => {
            let view = DataView::parse(pdu).expect("a valid vector");
            (view.esm_class(), view.user_data())
        }
        _ => {
            let view = MessageView::parse(pdu).expect("a valid vector");
            (view.esm_class(), view.user_data())
        }
    };
    if !EsmClass(esm_class).has_user_data_header() {
        return user_data;
    }
    let header = UserDataHeader::read(user_data).expect("a header");
    &user_data[header.octets()..]
}

fn receipt_fields(pdu: &[u8], receipt: &Receipt<'_>) -> Map<String, Value> {
    let text = receipt.text.clone();
    let fields: [(&str, Option<Range<usize>>); 8] = [
        ("id", text.id),
        ("sub", text.sub),
        ("dlvrd", text.dlvrd),
        ("submit_date", text.submit_date),
        ("done_date", text.done_date),
        ("stat", text.stat),
        ("err", text.err),
        ("text", text.text),
    ];
    fields
        .into_iter()
        .filter_map(|(name, range)| Some((name.to_owned(), text_of(&pdu[range?]))))
        .collect()
}
