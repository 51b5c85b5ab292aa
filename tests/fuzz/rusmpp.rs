//! rusmpp-core, written by others from the same specification: what it has understood, the views read as well, and read the
//! same in it, field by field and TLV by TLV.
//!
//! Where the two differ on purpose, and what is not compared because of it:
//! - It reads leniently in places: a PDU that it would not write again octet for octet it has not understood.
//! - It reads as much of a TLV's value as the tag asks for, whatever the length before it says, and takes the rest for more
//!   TLVs; nor does it know a NUL behind the text. Where one of its TLVs has not the length that stands before it, no TLV is
//!   compared, and the view may refuse the PDU: here the length rules, for it alone says where an unknown TLV ends.
//! - A response whose body is TLVs alone (as on some errors) has no message_id or system_id here: it would begin with the high
//!   octet of a tag, which is no character. There it is a text all the same.
//! - A submit_multi without any destination is refused here (ESME_RINVNUMDESTS), an empty list there.

mod fields;

use bytes::BytesMut;
use rusmpp_core::command::owned::Command;
use rusmpp_core::decode::owned::DecodeWithLength as _;
use rusmpp_core::encode::{Encode, Length};
use rusmpp_core::tlvs::owned::Tlv;
use smppmux_engine::core::wire::{Fault, HEADER_OCTETS, Header, Tlvs};

const LENGTH_OCTETS: usize = 4;

pub(crate) fn agrees(pdu: &[u8], header: &Header) {
    let mut rest = BytesMut::from(&pdu[LENGTH_OCTETS..]);
    let octets = rest.len();
    let Ok((command, consumed)) = Command::decode(&mut rest, octets) else {
        return;
    };
    if consumed != octets || command.length() != octets || octets_of(&command) != pdu[LENGTH_OCTETS..] {
        return;
    }
    assert_eq!(u32::from(command.id()), header.command_id.0);
    assert_eq!(u32::from(command.status()), header.command_status.0);
    assert_eq!(command.sequence_number(), header.sequence_number);
    match command.pdu() {
        Some(body) => fields::agree(pdu, body),
        None => assert_eq!(pdu.len(), HEADER_OCTETS, "a body that it has not read"),
    }
}

/// What the view has read. It may only refuse what rusmpp-core has understood where their TLVs are not the same.
fn read<View>(view: Result<View, Fault>, theirs: &[Tlv]) -> Option<View> {
    let refused = |fault| assert!(!have_their_lengths(theirs), "refused here alone: {fault:?}");
    view.map_err(refused).ok()
}

/// Tag, length, value and order.
fn tlvs_agree(ours: Tlvs<'_>, theirs: &[Tlv]) {
    if !have_their_lengths(theirs) {
        return;
    }
    let mut ours =
        ours.map(|tlv| tlv.unwrap_or_else(|fault| panic!("a TLV is refused here alone: {fault:?}")));
    for theirs in theirs {
        let ours = ours.next().unwrap_or_else(|| panic!("not read here: {theirs:?}"));
        assert_eq!(ours.tag.0, u16::from(theirs.tag()));
        assert_eq!(ours.value.len(), usize::from(theirs.value_length()), "{theirs:?}");
        assert_eq!(ours.value, value_of(theirs), "{theirs:?}");
    }
    assert_eq!(ours.next(), None, "read here alone");
}

fn have_their_lengths(tlvs: &[Tlv]) -> bool {
    let mut tlvs = tlvs.iter();
    tlvs.all(|tlv| tlv.value().map_or(0, Length::length) == usize::from(tlv.value_length()))
}

fn value_of(tlv: &Tlv) -> Vec<u8> {
    tlv.value().map(octets_of).unwrap_or_default()
}

/// A field as it stands on the wire.
fn octets_of(field: &impl Encode) -> Vec<u8> {
    let mut octets = vec![0; field.length()];
    field.encode(&mut octets);
    octets
}

/// A text as it stands on the wire, without its NUL.
fn characters_of(field: &impl Encode) -> Vec<u8> {
    let mut octets = octets_of(field);
    assert_eq!(octets.pop(), Some(0), "a text without its NUL");
    octets
}
