//! Delivery receipts and message ids: a tag that is put on comes off again, and nothing else changes.

use crate::input::Input;
use bytes::BytesMut;
use smppmux_engine::core::tag::{
    IdTag, TaggedCopy, append_request_with_untagged_id, append_response_with_tagged_id, tagged_octets, untag,
};
use smppmux_engine::core::wire::{
    CommandId, DataView, HEADER_OCTETS, Header, MessageView, Receipt, RewriteLimits, UserDataHeader,
    patch_command_length,
};

const UID: [u8; 2] = *b"0A";
const SIGNATURE: &[u8] = b"mx";
const SEQUENCE_NUMBER: u32 = 0x0102_0304;
const ID_OCTETS_MAX: usize = 64;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let may_add_tlv = input.below(2) == 1;
    let short_message_octets_max = [254, 255, 140][input.below(3)];
    let octets = input.rest();
    ids_are_tagged(octets);
    if octets.len() < HEADER_OCTETS {
        return;
    }
    for command in [CommandId::DELIVER_SM, CommandId::DATA_SM] {
        let mut pdu = octets.to_vec();
        pdu[4..8].copy_from_slice(&command.0.to_be_bytes());
        patch_command_length(&mut pdu);
        let limits = RewriteLimits {
            short_message_octets_max,
            may_add_tlv,
        };
        receipt_is_tagged(&pdu, limits);
    }
}

/// The whole input as an id, in the response to a submit_sm and in a query_sm that asks for it.
fn ids_are_tagged(id: &[u8]) {
    if let Some((own, uid)) = untag(id, SIGNATURE) {
        assert_eq!(own.len() + tagged_octets(0, SIGNATURE), id.len());
        assert!(id.starts_with(own) && id.ends_with(&uid));
    }
    if id.is_empty() || id.len() > 65_000 || id.contains(&0) {
        return;
    }
    let response = pdu_with(CommandId::SUBMIT_SM_RESP, id);
    let tag = IdTag::new(SIGNATURE, UID).expect("a short signature");
    let mut copy = BytesMut::new();
    match append_response_with_tagged_id(&mut copy, &response, SEQUENCE_NUMBER, &tag, ID_OCTETS_MAX) {
        Err(_) => assert!(copy.is_empty() && tagged_octets(id.len(), SIGNATURE) > ID_OCTETS_MAX),
        Ok(kind) => {
            assert_eq!(kind, TaggedCopy::Tagged);
            check_header(&copy, CommandId::SUBMIT_SM_RESP);
            let tagged = &copy[HEADER_OCTETS..copy.len() - 1];
            assert_eq!(untag(tagged, SIGNATURE), Some((id, UID)));
            let query = pdu_with(CommandId::QUERY_SM, tagged);
            let place = HEADER_OCTETS..HEADER_OCTETS + tagged.len();
            let mut untagged = BytesMut::new();
            let done = append_request_with_untagged_id(&mut untagged, &query, place, id.len(), 7);
            assert!(done.is_ok());
            assert_eq!(&untagged[HEADER_OCTETS..untagged.len() - 1], id);
        }
    }
}

fn pdu_with(command: CommandId, id: &[u8]) -> Vec<u8> {
    let mut pdu = vec![0; HEADER_OCTETS];
    pdu[4..8].copy_from_slice(&command.0.to_be_bytes());
    pdu.extend_from_slice(id);
    pdu.push(0);
    patch_command_length(&mut pdu);
    pdu
}

/// A receipt with a tagged id reads as one about that id; with the first id again it is the octets that it was.
fn receipt_is_tagged(pdu: &[u8], limits: RewriteLimits) {
    let Some((receipt, id)) = receipt_of(pdu) else {
        return;
    };
    let tagged = [&id[..], b"#", SIGNATURE, b"-", &UID].concat();
    if id.is_empty() || id.contains(&0) || tagged.len() > ID_OCTETS_MAX {
        return;
    }
    let mut copy = BytesMut::from(&b"kept"[..]);
    let rewritten = receipt.write_with_id(&tagged, limits, &mut copy);
    assert!(copy.starts_with(b"kept"), "what stood in the buffer stays");
    let copy = &copy[4..];
    assert_eq!(rewritten.octets, copy.len());
    let header = Header::read(copy).unwrap_or_else(|| panic!("a copy has a header"));
    assert_eq!(header.command_length as usize, copy.len());
    assert_eq!(copy[4..HEADER_OCTETS], pdu[4..HEADER_OCTETS]);
    if !rewritten.in_text && !rewritten.in_tlv {
        assert_eq!(copy, pdu);
        return;
    }
    // A NUL behind the text is passed over where no TLVs stand there with it. With the new length they may, by chance.
    // So may a user data header that was longer than the user data.
    if has_trailing_nul(pdu) && !has_trailing_nul(copy) || has_header(copy) && !has_header(pdu) {
        return;
    }
    let (receipt, id_of_copy) = receipt_of(copy).unwrap_or_else(|| panic!("the copy is no receipt any more"));
    assert_eq!(untag(&id_of_copy, SIGNATURE), Some((&id[..], UID)));
    if rewritten.in_text && !rewritten.in_tlv {
        let mut again = BytesMut::new();
        let limits = RewriteLimits {
            short_message_octets_max: u8::MAX,
            may_add_tlv: false,
        };
        assert!(receipt.write_with_id(&id, limits, &mut again).in_text);
        assert_eq!(again, pdu);
    }
}

/// A receipt, marked as one or not, and the id that it is about.
fn receipt_of(pdu: &[u8]) -> Option<(Receipt<'_>, Vec<u8>)> {
    let receipt = if Header::read(pdu)?.command_id == CommandId::DATA_SM {
        Receipt::of_data(&DataView::parse(pdu).ok()?)?
    } else {
        let message = MessageView::parse(pdu).ok()?;
        Receipt::of_message(&message).or_else(|| Receipt::of_unmarked_message(&message))?
    };
    let id = receipt.message_id()?.to_vec();
    Some((receipt, id))
}

fn has_trailing_nul(pdu: &[u8]) -> bool {
    MessageView::parse(pdu)
        .is_ok_and(|message| message.tlvs().range().start > message.short_message_range().end)
}

/// Its user data begins as a header that lies inside of it.
fn has_header(pdu: &[u8]) -> bool {
    let is_data_sm = Header::read(pdu).is_some_and(|header| header.command_id == CommandId::DATA_SM);
    let user_data = if is_data_sm {
        DataView::parse(pdu).map(|data| data.user_data())
    } else {
        MessageView::parse(pdu).map(|message| message.user_data())
    };
    user_data.is_ok_and(|user_data| UserDataHeader::read(user_data).is_some())
}

fn check_header(copy: &[u8], command: CommandId) {
    let header = Header::read(copy).unwrap_or_else(|| panic!("a copy has a header"));
    assert_eq!(header.command_length as usize, copy.len());
    assert_eq!(
        (header.command_id, header.sequence_number),
        (command, SEQUENCE_NUMBER)
    );
}
