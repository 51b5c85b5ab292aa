//! No octets that a peer can send make the wire layer panic, read outside the PDU, or disagree with itself.

use bytes::BytesMut;
use proptest::prelude::*;
use proptest::sample::select;
use smppmux_engine::core::wire::{
    Acceptance, BindLimits, BindView, CommandId, Concatenation, DataView, DecodedField, FieldName, Header,
    MessageView, OutbindView, Receipt, RewriteLimits, Version, tlv, validate, visit_fields,
};

use crate::vector::valid_vectors;
use crate::view_fields::{tlvs_of_view, view_fields};

/// PDUs longer than this are cut at fewer places: their interesting part is the front.
const CUT_OCTETS: usize = 600;

/// Runs every reader on `pdu` and checks what they must agree on.
fn exercise(pdu: &[u8]) {
    for version in [Version::V33, Version::V34, Version::V50] {
        if let (Err(fault), Some(header)) = (validate(pdu, &Acceptance::of(version)), Header::read(pdu)) {
            assert_eq!(fault.reply(&header).is_none(), header.command_id.is_response());
        }
    }
    let mut is_in_order = true;
    let mut end = 0;
    let walked = visit_fields(pdu, &mut |field: DecodedField<'_>| {
        is_in_order &= field.range.start == end && field.range.end <= pdu.len();
        end = field.range.end;
        assert!(
            field
                .explanation()
                .is_none_or(|words| !words.to_string().is_empty())
        );
    });
    assert!(is_in_order);
    assert!(walked.is_err() || end == pdu.len(), "octets left over");
    for command in CommandId::ALL {
        // Reads every field by its accessor.
        if let Some(Ok(fields)) = view_fields(*command, pdu) {
            assert!(!fields.is_empty());
        }
        if let Some(tlvs) = tlvs_of_view(*command, pdu) {
            assert!(tlvs.range().end == pdu.len());
            let _ = tlv::check_known_lengths(tlvs);
        }
    }
    exercise_messages(pdu);
    for limits in [BindLimits::STRICT, BindLimits::LENIENT] {
        let strings = BindView::parse(pdu, limits).map(|bind| bind.system_id().len() + bind.password().len());
        assert!(strings.is_err() || strings.is_ok_and(|octets| octets < 130));
        let strings = OutbindView::parse(pdu, limits).map(|outbind| outbind.system_id().len());
        assert!(strings.is_err() || strings.is_ok_and(|octets| octets < 65));
    }
}

fn exercise_messages(pdu: &[u8]) {
    let mut receipts = Vec::new();
    if let Ok(message) = MessageView::parse(pdu) {
        assert!(message.user_data_range().end <= pdu.len());
        assert_eq!(&pdu[message.short_message_range()], message.short_message());
        check_segment(Concatenation::of_message(&message), pdu);
        receipts.extend(Receipt::of_message(&message));
    }
    if let Ok(data) = DataView::parse(pdu) {
        check_segment(Concatenation::of_data(&data), pdu);
        receipts.extend(Receipt::of_data(&data));
    }
    for receipt in receipts {
        let mut copy = BytesMut::new();
        let limits = RewriteLimits {
            short_message_octets_max: 255,
            may_add_tlv: false,
        };
        let rewritten = receipt.write_with_id(b"id", limits, &mut copy);
        assert_eq!(rewritten.octets, copy.len());
        assert_eq!(rewritten.in_tlv, receipt.tlv_range.is_some());
    }
}

fn check_segment(segment: Option<Concatenation>, pdu: &[u8]) {
    if let Some(segment) = segment {
        assert!((1..=segment.total).contains(&segment.sequence));
        assert!(segment.reference_range().end <= pdu.len());
    }
}

/// Goal: every vector, cut anywhere, is read without harm under every view.
#[test]
fn every_prefix_is_harmless() {
    for vector in valid_vectors() {
        let pdu = vector.pdu();
        for octets in (0..pdu.len().min(CUT_OCTETS)).chain([pdu.len() - 1, pdu.len()]) {
            exercise(&pdu[..octets]);
        }
    }
}

/// Whether the generic walk finds the body whole, with every text of an allowed length.
fn is_body_good(pdu: &[u8]) -> bool {
    let mut is_good = true;
    let walked = visit_fields(pdu, &mut |field| {
        is_good &= field.fault.is_none() || matches!(field.name, FieldName::Tlv(_));
    });
    walked.is_ok() && is_good
}

/// Two independent readers of requests, the views and the table, must come to the same judgement.
fn views_and_table_agree(command: CommandId, pdu: &[u8]) {
    let is_in_view = tlvs_of_view(command, pdu).is_some();
    let has_destination = command != CommandId::SUBMIT_MULTI || is_in_view || !has_zero_dests(pdu);
    assert!(is_in_view == is_body_good(pdu) || !has_destination, "{command}");
}

/// Requests whose view checks the body to its end; outbind's ignores what follows the password.
fn is_request_with_view(command: CommandId) -> bool {
    let has_no_view = matches!(
        command,
        CommandId::OUTBIND | CommandId::UNBIND | CommandId::ENQUIRE_LINK
    );
    !command.is_response() && !has_no_view
}

fn has_zero_dests(pdu: &[u8]) -> bool {
    let mut is_zero = false;
    let _ = visit_fields(pdu, &mut |field| {
        is_zero |= field.name == FieldName::Field("number_of_dests") && pdu[field.range] == [0];
    });
    is_zero
}

fn any_vector() -> impl Strategy<Value = Vec<u8>> {
    let short: Vec<Vec<u8>> = valid_vectors()
        .iter()
        .map(|vector| vector.pdu())
        .filter(|pdu| pdu.len() < 2_000)
        .collect();
    select(short)
}

/// A vector with some octets changed, and perhaps cut or prolonged.
fn mutated_vector() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![Just(0_u8), Just(1), Just(0xFF), any::<u8>()];
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), octet), 0..8);
    let tail = proptest::collection::vec(any::<u8>(), 0..6);
    (
        any_vector(),
        changes,
        any::<prop::sample::Index>(),
        any::<bool>(),
        tail,
    )
        .prop_map(|(mut pdu, changes, cut, is_cut, tail)| {
            for (place, octet) in changes {
                let at = 16 + place.index(pdu.len());
                if let Some(target) = pdu.get_mut(at) {
                    *target = octet;
                }
            }
            if is_cut {
                pdu.truncate(16 + cut.index(pdu.len()));
            }
            pdu.extend(tail);
            pdu
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Goal: arbitrary octets are harmless.
    #[test]
    fn arbitrary_octets_are_harmless(pdu in proptest::collection::vec(any::<u8>(), 0..300)) {
        exercise(&pdu);
    }

    /// Goal: arbitrary bodies behind a real command_id are harmless.
    #[test]
    fn arbitrary_bodies_are_harmless(
        command in select(CommandId::ALL),
        body in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..120),
    ) {
        let mut pdu = vec![0; 16];
        pdu[4..8].copy_from_slice(&command.0.to_be_bytes());
        pdu.extend(body);
        exercise(&pdu);
    }

    /// Goal: mutated vectors are harmless, and the views judge each request as the layout table does.
    #[test]
    fn mutated_vectors_are_harmless_and_judged_alike(pdu in mutated_vector()) {
        exercise(&pdu);
        let command = Header::read(&pdu).expect("a header").command_id;
        if is_request_with_view(command) {
            views_and_table_agree(command, &pdu);
        }
    }
}
