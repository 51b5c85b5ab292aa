//! User data headers, TLV areas and segments of concatenated messages, read where the octets stand.

use smppmux_engine::core::wire::{
    CommandId, Concatenation, DataView, HEADER_OCTETS, MessageView, Tag, Tlvs, UserDataHeader,
    patch_command_length, tlv,
};

pub(crate) fn run(data: &[u8]) {
    header_is_read(data);
    area_is_walked(data);
    for command in [CommandId::SUBMIT_SM, CommandId::DELIVER_SM, CommandId::DATA_SM] {
        let mut pdu = data.to_vec();
        if pdu.len() < HEADER_OCTETS {
            continue;
        }
        pdu[4..8].copy_from_slice(&command.0.to_be_bytes());
        patch_command_length(&mut pdu);
        segments_are_read(&pdu, command);
    }
}

/// All information elements lie inside the header, one behind the other.
fn header_is_read(data: &[u8]) {
    let Some(header) = UserDataHeader::read(data) else {
        return;
    };
    assert!(header.octets() <= data.len());
    let mut octets = 1;
    for element in header {
        octets += 2 + element.data.len();
        assert!(octets <= data.len());
    }
}

/// A walk over TLVs ends, and what it gives, written again, is what was there.
fn area_is_walked(data: &[u8]) {
    let mut again = Vec::new();
    let mut is_whole = true;
    for tlv in Tlvs::new(data, 0) {
        let Ok(tlv) = tlv else {
            is_whole = false;
            break;
        };
        assert_eq!(&data[tlv.value_range()], tlv.value);
        again.extend_from_slice(&tlv.tag.0.to_be_bytes());
        again.extend_from_slice(&u16::try_from(tlv.value.len()).unwrap_or(u16::MAX).to_be_bytes());
        again.extend_from_slice(tlv.value);
        let _ = (tlv.integer(), tlv.text());
    }
    assert_eq!(tlv::check_area(data).is_ok(), is_whole);
    assert!(!is_whole || again == data);
    assert!(data.starts_with(&again));
    let found = Tlvs::new(data, 0).find(Tag::MESSAGE_PAYLOAD);
    assert!(found.is_none_or(|tlv| tlv.tag == Tag::MESSAGE_PAYLOAD));
}

/// A segment's number lies in its message, and changing the reference where it is said to stand changes it and nothing else.
fn segments_are_read(pdu: &[u8], command: CommandId) {
    let Some(segment) = segment_of(pdu, command) else {
        return;
    };
    assert!((1..=segment.total).contains(&segment.sequence));
    let place = segment.reference_range();
    assert!(place.end <= pdu.len());
    let mut changed = pdu.to_vec();
    for octet in &mut changed[place.clone()] {
        *octet ^= 0xA5;
    }
    let again = segment_of(&changed, command);
    let again = again.unwrap_or_else(|| panic!("another reference makes another segment"));
    assert_eq!(
        (again.total, again.sequence, again.kind, again.reference_range()),
        (segment.total, segment.sequence, segment.kind, place)
    );
    assert_ne!(again.reference, segment.reference);
}

fn segment_of(pdu: &[u8], command: CommandId) -> Option<Concatenation> {
    if command == CommandId::DATA_SM {
        Concatenation::of_data(&DataView::parse(pdu).ok()?)
    } else {
        Concatenation::of_message(&MessageView::parse(pdu).ok()?)
    }
}
