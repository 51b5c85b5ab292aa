//! The PDUs that go the ways.

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    Address, Body, CommandId, HEADER_OCTETS, Message, MessageIdResponse, Query, QueryResponse, Status,
    write_pdu,
};

/// The sequence number of a request, which its answer must bring back.
pub(crate) const REQUEST_NUMBER: u32 = 7;
/// The sequence number of a receipt.
pub(crate) const RECEIPT_NUMBER: u32 = 9;

/// Where a sequence number stands.
const NUMBER_AT: usize = 12;
/// The one text of all messages; with it a message has 214 octets in all, as in the load tables.
const TEXT: [u8; 160] = [b'x'; 160];
/// A user data header with one element: a 16-bit reference, how many segments there are, and which one this is.
const SEGMENT_HEADER: [u8; 7] = [6, 8, 4, 0, 0, 0, 0];
const UDH_INDICATOR: u8 = 0x40;
const RECEIPT: u8 = 4;
const ENROUTE: u8 = 1;

/// The number that the receiver of a request must answer with.
pub(crate) fn number_of(pdu: &[u8]) -> [u8; 4] {
    let mut number = [0; 4];
    number.copy_from_slice(&pdu[NUMBER_AT..HEADER_OCTETS]);
    number
}

/// Makes an answer one for that request.
pub(crate) fn set_number(pdu: &mut [u8], number: [u8; 4]) {
    pdu[NUMBER_AT..HEADER_OCTETS].copy_from_slice(&number);
}

/// A message from 4477009001 to 88876500001.
pub(crate) fn message(command: CommandId) -> BytesMut {
    pdu(command, REQUEST_NUMBER, &plain_message())
}

/// A submit_sm that asks for a receipt.
pub(crate) fn message_for_receipt() -> BytesMut {
    let body = Message {
        registered_delivery: 1,
        ..plain_message()
    };
    pdu(CommandId::SUBMIT_SM, REQUEST_NUMBER, &body)
}

/// Segment `sequence` of two, as long as a whole message; [`set_reference`] says of which message.
pub(crate) fn segment(sequence: u8) -> BytesMut {
    let mut text = TEXT;
    text[..SEGMENT_HEADER.len()].copy_from_slice(&SEGMENT_HEADER);
    text[5..7].copy_from_slice(&[2, sequence]);
    let body = Message {
        esm_class: UDH_INDICATOR,
        short_message: &text,
        ..plain_message()
    };
    pdu(CommandId::SUBMIT_SM, REQUEST_NUMBER, &body)
}

/// Makes a [`segment`] one of the message with this reference.
pub(crate) fn set_reference(segment: &mut [u8], reference: u16) {
    let at = segment.len() - TEXT.len() + 3;
    segment[at..at + 2].copy_from_slice(&reference.to_be_bytes());
}

/// Ids of 16 hexadecimal digits that look like chance.
pub(crate) fn id_text(number: u64) -> String {
    format!("{:016X}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// A receipt for the message with this id.
pub(crate) fn receipt(id: &str) -> BytesMut {
    let text = format!(
        "id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:x"
    );
    let body = Message {
        source: address(b"88876500001"),
        destination: address(b"4477009001"),
        esm_class: RECEIPT,
        short_message: text.as_bytes(),
        ..Message::default()
    };
    pdu(CommandId::DELIVER_SM, RECEIPT_NUMBER, &body)
}

/// An answer that names a message; [`set_number`] says to which request.
pub(crate) fn answer(command: CommandId, message_id: &[u8]) -> BytesMut {
    pdu(command, 0, &MessageIdResponse { message_id })
}

/// Asks what has become of a message.
pub(crate) fn query(message_id: &[u8]) -> BytesMut {
    let body = Query {
        message_id,
        source: address(b"4477009001"),
    };
    pdu(CommandId::QUERY_SM, REQUEST_NUMBER, &body)
}

/// Says so.
pub(crate) fn query_answer(message_id: &[u8]) -> BytesMut {
    let body = QueryResponse {
        message_id,
        final_date: b"",
        message_state: ENROUTE,
        error_code: 0,
    };
    pdu(CommandId::QUERY_SM_RESP, 0, &body)
}

/// Where the eleven digits of the destination stand in a [`message`].
pub(crate) fn destination_at(pdu: &[u8]) -> usize {
    const SOURCE_AT: usize = HEADER_OCTETS + 3;
    let source_octets = pdu[SOURCE_AT..].iter().position(|octet| *octet == 0);
    SOURCE_AT + source_octets.unwrap_or_default() + 3
}

/// The text that stands first in the body of a PDU: the message_id of an answer or a query.
pub(crate) fn message_id_of(pdu: &[u8]) -> Vec<u8> {
    let text = pdu[HEADER_OCTETS..].iter().copied();
    text.take_while(|octet| *octet != 0).collect()
}

fn plain_message() -> Message<'static> {
    Message {
        source: address(b"4477009001"),
        destination: address(b"88876500001"),
        short_message: &TEXT,
        ..Message::default()
    }
}

fn address(addr: &[u8]) -> Address<'_> {
    Address { ton: 1, npi: 1, addr }
}

fn pdu(command: CommandId, number: u32, body: &impl Body) -> BytesMut {
    let mut pdu = BytesMut::new();
    write_pdu(&mut pdu, command, Status::ESME_ROK, number, body).expect("it fits");
    pdu
}
