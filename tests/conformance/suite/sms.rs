//! Messages as scripts write them, and what they compare.

use smppmux_engine::core::wire::{
    CommandId, Data, EsmClass, Message, MessageView, Receipt, Status, Tag, patch_command_length,
};
use smppmux_tests::pdu::{Pdu, address, written};

use crate::failure::{Outcome, require_of, wrong};

/// A submit_sm, deliver_sm or data_sm to be written.
#[derive(Clone, Debug)]
pub(crate) struct Sms {
    pub(crate) command: CommandId,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) esm_class: u8,
    pub(crate) registered_delivery: u8,
    pub(crate) short_message: Vec<u8>,
    /// Whatever stands behind short_message.
    pub(crate) tail: Vec<u8>,
}

impl Sms {
    /// A submit_sm.
    pub(crate) fn submit(source: &str, destination: &str, text: impl Into<Vec<u8>>) -> Self {
        Self::of(CommandId::SUBMIT_SM, source, destination, text)
    }

    /// A deliver_sm.
    pub(crate) fn deliver(source: &str, destination: &str, text: impl Into<Vec<u8>>) -> Self {
        Self::of(CommandId::DELIVER_SM, source, destination, text)
    }

    /// A data_sm, whose text is a TLV.
    pub(crate) fn data(source: &str, destination: &str) -> Self {
        Self::of(CommandId::DATA_SM, source, destination, "")
    }

    fn of(command: CommandId, source: &str, destination: &str, text: impl Into<Vec<u8>>) -> Self {
        Self {
            command,
            source: source.into(),
            destination: destination.into(),
            esm_class: 0,
            registered_delivery: 0,
            short_message: text.into(),
            tail: Vec::new(),
        }
    }

    /// With this esm_class.
    #[must_use]
    pub(crate) const fn esm_class(mut self, esm_class: u8) -> Self {
        self.esm_class = esm_class;
        self
    }

    /// Asks for a delivery receipt.
    #[must_use]
    pub(crate) const fn asking_for_receipt(mut self) -> Self {
        self.registered_delivery = 1;
        self
    }

    /// With one TLV more.
    #[must_use]
    pub(crate) fn tlv(mut self, tag: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len()).expect("a TLV's value is short enough");
        self.tail.extend(tag.to_be_bytes());
        self.tail.extend(length.to_be_bytes());
        self.tail.extend(value);
        self
    }

    /// With its text in a message_payload.
    #[must_use]
    pub(crate) fn with_payload(self, text: &[u8]) -> Self {
        self.tlv(Tag::MESSAGE_PAYLOAD.0, text)
    }

    /// On the wire.
    pub(crate) fn octets(&self, number: u32) -> Vec<u8> {
        let (source, destination) = (address(&self.source), address(&self.destination));
        let mut octets = if self.command == CommandId::DATA_SM {
            let body = Data {
                source,
                destination,
                esm_class: self.esm_class,
                registered_delivery: self.registered_delivery,
                ..Data::default()
            };
            written(self.command, Status::ESME_ROK, number, &body)
        } else {
            let body = Message {
                source,
                destination,
                esm_class: self.esm_class,
                registered_delivery: self.registered_delivery,
                short_message: &self.short_message,
                ..Message::default()
            };
            written(self.command, Status::ESME_ROK, number, &body)
        };
        octets.extend(&self.tail);
        patch_command_length(&mut octets);
        octets
    }

    /// Fails unless what arrived is this message octet for octet, but for its number.
    pub(crate) fn is_relayed_as(&self, arrived: &Pdu) -> Outcome {
        let sent = self.octets(arrived.sequence_number());
        require_of!(
            arrived,
            sent == arrived.octets(),
            "the message was changed on its way; sent was {:?}",
            Pdu::new(sent)
        );
        Ok(())
    }
}

/// The layout of a delivery receipt's text.
pub(crate) fn receipt_text(id: &str) -> String {
    format!(
        "id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:hello"
    )
}

/// A receipt as most centres write it: text and TLVs.
pub(crate) fn receipt(source: &str, destination: &str, id: &str) -> Sms {
    let mut tlv_id = id.as_bytes().to_vec();
    tlv_id.push(0);
    Sms::deliver(source, destination, receipt_text(id))
        .esm_class(EsmClass::DELIVERY_RECEIPT)
        .tlv(Tag::RECEIPTED_MESSAGE_ID.0, &tlv_id)
        .tlv(Tag::MESSAGE_STATE.0, &[2])
}

/// The ids of a receipt: of its text and of its TLV.
pub(crate) fn receipt_ids(pdu: &Pdu) -> Outcome<(Option<String>, Option<String>)> {
    let Ok(view) = MessageView::parse(pdu.octets()) else {
        return wrong(pdu, "a receipt that cannot be read");
    };
    let Some(receipt) = Receipt::of_message(&view) else {
        return wrong(pdu, "no receipt");
    };
    let text = |id: Option<&[u8]>| id.map(|id| String::from_utf8_lossy(id).into_owned());
    Ok((text(receipt.text_id()), text(receipt.tlv_id())))
}

/// A PDU of any layout.
pub(crate) fn raw(command: CommandId, status: Status, number: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).expect("a script's PDU is short");
    let mut octets = length.to_be_bytes().to_vec();
    octets.extend(command.0.to_be_bytes());
    octets.extend(status.0.to_be_bytes());
    octets.extend(number.to_be_bytes());
    octets.extend(body);
    octets
}
