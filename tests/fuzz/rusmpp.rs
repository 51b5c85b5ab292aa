//! rusmpp-core, written by others from the same specification: where both accept a PDU, both read the same in it.

use crate::pdus::is_message;
use bytes::BytesMut;
use rusmpp_core::command::owned::Command;
use rusmpp_core::decode::owned::DecodeWithLength as _;
use rusmpp_core::encode::{Encode as _, Length};
use rusmpp_core::pdus::owned::Pdu;
use rusmpp_core::tlvs::owned::Tlv;
use smppmux_engine::core::wire::{BindLimits, BindView, Header, MessageView, QueryView};

const LENGTH_OCTETS: usize = 4;

pub(crate) fn agrees(pdu: &[u8], header: &Header) {
    let mut rest = BytesMut::from(&pdu[LENGTH_OCTETS..]);
    let octets = rest.len();
    let Ok((command, consumed)) = Command::decode(&mut rest, octets) else {
        return;
    };
    // It reads leniently: what it would not write again itself it has not understood.
    if consumed != octets || command.length() != octets {
        return;
    }
    let mut again = vec![0; octets];
    command.encode(&mut again);
    if again != pdu[LENGTH_OCTETS..] {
        return;
    }
    assert_eq!(u32::from(command.id()), header.command_id.0);
    assert_eq!(u32::from(command.status()), header.command_status.0);
    assert_eq!(command.sequence_number(), header.sequence_number);
    match command.pdu() {
        Some(Pdu::SubmitSm(theirs)) if is_message(header.command_id) => {
            let texts = [&theirs.source_addr[..], &theirs.destination_addr[..]];
            message_agrees(
                pdu,
                texts,
                theirs.short_message(),
                theirs.esm_class.into(),
                theirs.tlvs(),
            );
        }
        Some(Pdu::DeliverSm(theirs)) if is_message(header.command_id) => {
            let texts = [&theirs.source_addr[..], &theirs.destination_addr[..]];
            message_agrees(
                pdu,
                texts,
                theirs.short_message(),
                theirs.esm_class.into(),
                theirs.tlvs(),
            );
        }
        Some(Pdu::BindTransceiver(theirs)) => {
            if let Ok(ours) = BindView::parse(pdu, BindLimits::STRICT) {
                assert_eq!(ours.system_id(), without_nul(&theirs.system_id));
                assert_eq!(ours.password(), without_nul(&theirs.password));
                assert_eq!(ours.address_range(), without_nul(&theirs.address_range));
            }
        }
        Some(Pdu::QuerySm(theirs)) => {
            if let Ok(ours) = QueryView::parse(pdu) {
                assert_eq!(ours.message_id(), without_nul(&theirs.message_id));
                assert_eq!(ours.source().addr, without_nul(&theirs.source_addr));
            }
        }
        _ => {}
    }
}

fn message_agrees(pdu: &[u8], [source, destination]: [&[u8]; 2], text: &[u8], esm_class: u8, tlvs: &[Tlv]) {
    let Ok(ours) = MessageView::parse(pdu) else {
        return;
    };
    assert_eq!(ours.source().addr, without_nul(source));
    assert_eq!(ours.destination().addr, without_nul(destination));
    assert_eq!(ours.short_message(), text);
    assert_eq!(ours.esm_class(), esm_class);
    // It reads as much of a value as its tag asks for, whatever the length before it says, and takes the rest for more
    // TLVs; nor does it know a NUL behind the text. Where its values have the lengths that stand before them, both read the
    // same ones.
    let has_its_length = |tlv: &Tlv| tlv.value().map_or(0, Length::length) == usize::from(tlv.value_length());
    if tlvs.iter().all(has_its_length) {
        let tags = tlvs.iter().map(|tlv| u16::from(tlv.tag()));
        assert!(ours.tlvs().map_while(Result::ok).map(|tlv| tlv.tag.0).eq(tags));
    }
}

fn without_nul(octets: &[u8]) -> &[u8] {
    octets.strip_suffix(&[0]).unwrap_or(octets)
}
