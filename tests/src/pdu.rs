//! PDUs as tests make and read them: owned octets, built with the engine's own writers.

use std::fmt;

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    Address, Bind, Body, Cancel, CommandId, DestAddress, Header, Message, MessageIdRespView,
    MessageIdResponse, MessageView, NoBody, Query, QueryResponse, Receipt, Replace, Status, SubmitMulti,
    Version, write_pdu,
};

/// One whole PDU. Printed as what it is and its octets, of which a failed test shows no more than fit a screen.
#[derive(Clone, PartialEq, Eq)]
pub struct Pdu(Vec<u8>);

const SHOWN_OCTETS_MAX: usize = 400;

impl fmt::Debug for Pdu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header();
        let (command, status, number) = (header.command_id, header.command_status, header.sequence_number);
        write!(formatter, "{command} {status} number {number:#x} [")?;
        for octet in self.0.iter().take(SHOWN_OCTETS_MAX) {
            write!(formatter, "{octet:02x}")?;
        }
        let more = if self.0.len() > SHOWN_OCTETS_MAX {
            "…"
        } else {
            ""
        };
        write!(formatter, "{more}]")
    }
}

impl Pdu {
    /// Framed octets.
    ///
    /// # Panics
    ///
    /// When they are shorter than a header.
    pub fn new(octets: Vec<u8>) -> Self {
        assert!(Header::read(&octets).is_some(), "a PDU has a header");
        Self(octets)
    }

    /// The header.
    pub fn header(&self) -> Header {
        Header::read(&self.0).expect("checked when it was made")
    }

    /// What it is.
    pub fn command(&self) -> CommandId {
        self.header().command_id
    }

    /// The outcome, of a response.
    pub fn status(&self) -> Status {
        self.header().command_status
    }

    /// Its number.
    pub fn sequence_number(&self) -> u32 {
        self.header().sequence_number
    }

    /// All of it.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// What follows the header.
    pub fn body(&self) -> &[u8] {
        &self.0[16..]
    }

    /// The message_id of a submit_sm_resp or its like.
    pub fn message_id(&self) -> String {
        let view = MessageIdRespView::parse(&self.0).expect("a response");
        String::from_utf8_lossy(view.message_id()).into_owned()
    }

    /// The fields of a submit_sm or deliver_sm.
    pub fn message(&self) -> MessageView<'_> {
        MessageView::parse(&self.0).expect("a well-formed message")
    }

    /// The short_message of a submit_sm or deliver_sm.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.message().short_message()).into_owned()
    }

    /// The message id of a delivery receipt: its text's and its TLV's, which must agree where both are there.
    ///
    /// # Panics
    ///
    /// When it has none, or two.
    pub fn receipted_id(&self) -> String {
        let message = self.message();
        let receipt = Receipt::of_message(&message)
            .or_else(|| Receipt::of_unmarked_message(&message))
            .expect("a receipt");
        let ids = [receipt.text_id(), receipt.tlv_id()];
        let mut ids = ids.into_iter().flatten();
        let id = ids.next().expect("an id");
        assert!(ids.all(|other| other == id), "two ids: {receipt:?}");
        String::from_utf8_lossy(id).into_owned()
    }

    /// The destination of a submit_sm or deliver_sm.
    pub fn destination(&self) -> String {
        String::from_utf8_lossy(self.message().destination().addr).into_owned()
    }
}

/// A PDU without a body.
pub fn header_only(command: CommandId, status: Status, sequence_number: u32) -> Vec<u8> {
    written(command, status, sequence_number, &NoBody)
}

/// A bind of kind `command`.
pub fn bind(
    command: CommandId,
    sequence_number: u32,
    (system_id, password): (&str, &str),
    version: Version,
    address_range: &str,
) -> Vec<u8> {
    let body = Bind {
        system_id: system_id.as_bytes(),
        password: password.as_bytes(),
        system_type: b"",
        version,
        addr_ton: 0,
        addr_npi: 0,
        address_range: address_range.as_bytes(),
    };
    written(command, Status::ESME_ROK, sequence_number, &body)
}

/// submit_sm.
pub fn submit_sm(sequence_number: u32, source: &str, destination: &str, text: &str) -> Vec<u8> {
    message(CommandId::SUBMIT_SM, sequence_number, source, destination, text)
}

/// submit_multi to these addresses.
pub fn submit_multi(sequence_number: u32, source: &str, destinations: &[&str], text: &str) -> Vec<u8> {
    let destinations: Vec<_> = destinations
        .iter()
        .map(|digits| DestAddress::Sme(address(digits)))
        .collect();
    let message = Message {
        source: address(source),
        short_message: text.as_bytes(),
        ..Message::default()
    };
    let body = SubmitMulti {
        message,
        destinations: &destinations,
    };
    written(CommandId::SUBMIT_MULTI, Status::ESME_ROK, sequence_number, &body)
}

/// submit_sm that asks for a delivery receipt.
pub fn submit_sm_with_receipt(sequence_number: u32, source: &str, destination: &str, text: &str) -> Vec<u8> {
    let body = Message {
        source: address(source),
        destination: address(destination),
        registered_delivery: 1,
        short_message: text.as_bytes(),
        ..Message::default()
    };
    written(CommandId::SUBMIT_SM, Status::ESME_ROK, sequence_number, &body)
}

/// A delivery receipt in the usual layout, marked by its esm_class, from `source` to `destination`.
pub fn receipt(
    sequence_number: u32,
    source: &str,
    destination: &str,
    message_id: &str,
    state: &str,
) -> Vec<u8> {
    let text = format!(
        "id:{message_id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:{state} err:000 text:hi"
    );
    let body = Message {
        source: address(source),
        destination: address(destination),
        esm_class: 4,
        short_message: text.as_bytes(),
        ..Message::default()
    };
    written(CommandId::DELIVER_SM, Status::ESME_ROK, sequence_number, &body)
}

/// deliver_sm.
pub fn deliver_sm(sequence_number: u32, source: &str, destination: &str, text: &str) -> Vec<u8> {
    message(CommandId::DELIVER_SM, sequence_number, source, destination, text)
}

/// A positive response that carries a message_id (empty for deliver_sm_resp; a system_id for a bind_resp).
pub fn response_with_id(command: CommandId, sequence_number: u32, message_id: &str) -> Vec<u8> {
    let body = MessageIdResponse {
        message_id: message_id.as_bytes(),
    };
    written(command, Status::ESME_ROK, sequence_number, &body)
}

/// query_sm.
pub fn query_sm(sequence_number: u32, message_id: &str, source: &str) -> Vec<u8> {
    let body = Query {
        message_id: message_id.as_bytes(),
        source: address(source),
    };
    written(CommandId::QUERY_SM, Status::ESME_ROK, sequence_number, &body)
}

/// query_sm_resp of a delivered message.
pub fn query_sm_resp(sequence_number: u32, message_id: &str) -> Vec<u8> {
    let body = QueryResponse {
        message_id: message_id.as_bytes(),
        final_date: b"",
        message_state: 2,
        error_code: 0,
    };
    written(
        CommandId::QUERY_SM.response(),
        Status::ESME_ROK,
        sequence_number,
        &body,
    )
}

/// cancel_sm.
pub fn cancel_sm(sequence_number: u32, message_id: &str, source: &str, destination: &str) -> Vec<u8> {
    let body = Cancel {
        service_type: b"",
        message_id: message_id.as_bytes(),
        source: address(source),
        destination: address(destination),
    };
    written(CommandId::CANCEL_SM, Status::ESME_ROK, sequence_number, &body)
}

/// replace_sm.
pub fn replace_sm(sequence_number: u32, message_id: &str, source: &str, text: &str) -> Vec<u8> {
    let body = Replace {
        message_id: message_id.as_bytes(),
        source: address(source),
        schedule_delivery_time: b"",
        validity_period: b"",
        registered_delivery: 0,
        sm_default_msg_id: 0,
        short_message: text.as_bytes(),
    };
    written(CommandId::REPLACE_SM, Status::ESME_ROK, sequence_number, &body)
}

/// A PDU with these TLVs behind it, or, without any, with its length made right.
///
/// # Panics
///
/// When a value is longer than a TLV may be.
pub fn with_tlvs(mut pdu: Vec<u8>, tlvs: &[(u16, &[u8])]) -> Vec<u8> {
    for (tag, value) in tlvs {
        pdu.extend_from_slice(&tag.to_be_bytes());
        pdu.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        pdu.extend_from_slice(value);
    }
    let length = u32::try_from(pdu.len()).expect("short");
    pdu[..4].copy_from_slice(&length.to_be_bytes());
    pdu
}

/// An international number.
pub fn address(digits: &str) -> Address<'_> {
    Address {
        ton: 1,
        npi: 1,
        addr: digits.as_bytes(),
    }
}

/// Any PDU that the engine's writers know.
///
/// # Panics
///
/// When a value does not fit its field.
pub fn written(command: CommandId, status: Status, sequence_number: u32, body: &impl Body) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    write_pdu(&mut buffer, command, status, sequence_number, body).expect("the fields fit");
    buffer.to_vec()
}

fn message(command: CommandId, sequence_number: u32, source: &str, destination: &str, text: &str) -> Vec<u8> {
    let body = Message {
        source: address(source),
        destination: address(destination),
        short_message: text.as_bytes(),
        ..Message::default()
    };
    written(command, Status::ESME_ROK, sequence_number, &body)
}
