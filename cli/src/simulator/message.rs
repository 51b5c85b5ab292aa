//! Simulated messages as PDUs: submit_sm, deliver_sm or data_sm, written from patterns and read back for checking.

use bytes::BytesMut;
use clap::ValueEnum;
use smppmux_engine::core::wire::{
    Address, Body, CommandId, Data, DataView, Fault, Message, MessageView, PduWriter, Status, Tag, WriteFault,
};

use super::pattern::{Counters, Pattern};
use super::payload::{Concatenation, Payload};
use super::token::Token;

/// Which PDU carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MessageCommand {
    /// submit_sm.
    #[value(name = "submit_sm")]
    SubmitSm,
    /// deliver_sm.
    #[value(name = "deliver_sm")]
    DeliverSm,
    /// data_sm.
    #[value(name = "data_sm")]
    DataSm,
}

impl MessageCommand {
    pub(crate) const fn command_id(self) -> CommandId {
        match self {
            Self::SubmitSm => CommandId::SUBMIT_SM,
            Self::DeliverSm => CommandId::DELIVER_SM,
            Self::DataSm => CommandId::DATA_SM,
        }
    }
}

/// An address whose digits may count.
#[derive(Clone, Debug)]
pub(crate) struct AddressPattern {
    pub(crate) ton: u8,
    pub(crate) npi: u8,
    pub(crate) pattern: Pattern,
}

/// What all messages of a stream have in common.
#[derive(Clone, Debug)]
pub(crate) struct MessageShape {
    pub(crate) command: MessageCommand,
    pub(crate) service_type: String,
    pub(crate) source: AddressPattern,
    pub(crate) destination: AddressPattern,
    pub(crate) registered_delivery: u8,
    pub(crate) payload: Payload,
}

/// What tells one PDU of a stream from the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) counters: Counters,
    /// The segment, from 0.
    pub(crate) part: usize,
    /// The reference that ties segments together.
    pub(crate) reference: u16,
    pub(crate) token: Token,
}

/// Buffers that are used again for each message.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    source: Vec<u8>,
    destination: Vec<u8>,
    user_data: Vec<u8>,
}

impl MessageShape {
    /// Appends one PDU.
    pub(crate) fn write(
        &self,
        place: &Place,
        sequence_number: u32,
        scratch: &mut Scratch,
        output: &mut BytesMut,
    ) -> Result<usize, WriteFault> {
        scratch.fill(self, place);
        let source = self.source.address(&scratch.source);
        let destination = self.destination.address(&scratch.destination);
        let command_id = self.command.command_id();
        let mut pdu = PduWriter::begin(output, command_id, Status::ESME_ROK, sequence_number);
        if self.command == MessageCommand::DataSm {
            let body = Data {
                service_type: self.service_type.as_bytes(),
                source,
                destination,
                esm_class: self.payload.esm_class(),
                registered_delivery: self.registered_delivery,
                data_coding: self.payload.data_coding,
            };
            body.write_to(&mut pdu);
        } else {
            let body = Message {
                service_type: self.service_type.as_bytes(),
                source,
                destination,
                esm_class: self.payload.esm_class(),
                registered_delivery: self.registered_delivery,
                data_coding: self.payload.data_coding,
                short_message: if self.payload.in_message_payload {
                    b""
                } else {
                    &scratch.user_data
                },
                ..Message::default()
            };
            body.write_to(&mut pdu);
        }
        self.write_tlvs(place, &scratch.user_data, &mut pdu);
        pdu.finish()
    }

    fn write_tlvs(&self, place: &Place, user_data: &[u8], pdu: &mut PduWriter<'_>) {
        if self.payload.concatenation == Some(Concatenation::Sar) {
            pdu.tlv(Tag::SAR_MSG_REF_NUM, &place.reference.to_be_bytes())
                .tlv(Tag::SAR_TOTAL_SEGMENTS, &[self.payload.segments() as u8])
                .tlv(Tag::SAR_SEGMENT_SEQNUM, &[place.part as u8 + 1]);
        }
        if self.payload.in_message_payload {
            pdu.tlv(Tag::MESSAGE_PAYLOAD, user_data);
        }
    }
}

impl Scratch {
    fn fill(&mut self, shape: &MessageShape, place: &Place) {
        self.source.clear();
        self.destination.clear();
        self.user_data.clear();
        shape.source.pattern.render(place.counters, &mut self.source);
        shape
            .destination
            .pattern
            .render(place.counters, &mut self.destination);
        let addresses = (self.source.as_slice(), self.destination.as_slice());
        shape.payload.write_user_data(
            place.part,
            place.reference,
            place.token,
            addresses,
            &mut self.user_data,
        );
    }
}

impl AddressPattern {
    fn address<'a>(&self, addr: &'a [u8]) -> Address<'a> {
        Address {
            ton: self.ton,
            npi: self.npi,
            addr,
        }
    }
}

/// The fields that the simulators look at in a received message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    pub(crate) source: Address<'a>,
    pub(crate) destination: Address<'a>,
    pub(crate) esm_class: u8,
    pub(crate) registered_delivery: u8,
    pub(crate) user_data: &'a [u8],
    pub(crate) receipted_message_id: Option<&'a [u8]>,
}

impl<'a> Received<'a> {
    /// Reads a submit_sm, deliver_sm or data_sm.
    pub(crate) fn parse(command_id: CommandId, pdu: &'a [u8]) -> Result<Self, Fault> {
        if command_id == CommandId::DATA_SM {
            let view = DataView::parse(pdu)?;
            view.check_destination()?;
            return Ok(Self {
                source: view.source(),
                destination: view.destination(),
                esm_class: view.esm_class(),
                registered_delivery: view.registered_delivery(),
                user_data: view.user_data(),
                receipted_message_id: receipted_id(&view.tlvs().find(Tag::RECEIPTED_MESSAGE_ID)),
            });
        }
        let view = MessageView::parse(pdu)?;
        view.check_destination()?;
        Ok(Self {
            source: view.source(),
            destination: view.destination(),
            esm_class: view.esm_class(),
            registered_delivery: view.registered_delivery(),
            user_data: view.user_data(),
            receipted_message_id: receipted_id(&view.tlvs().find(Tag::RECEIPTED_MESSAGE_ID)),
        })
    }

    /// A delivery receipt or an intermediate notification. Source: SMPP v3.4 section 5.2.12.
    pub(crate) const fn is_receipt(&self) -> bool {
        const MESSAGE_TYPE: u8 = 0x3C;
        const DELIVERY_RECEIPT: u8 = 0x04;
        const INTERMEDIATE_NOTIFICATION: u8 = 0x20;
        matches!(
            self.esm_class & MESSAGE_TYPE,
            DELIVERY_RECEIPT | INTERMEDIATE_NOTIFICATION
        )
    }
}

fn receipted_id<'a>(tlv: &Option<smppmux_engine::core::wire::Tlv<'a>>) -> Option<&'a [u8]> {
    tlv.as_ref()
        .map(|tlv| tlv.value.split(|octet| *octet == 0).next().unwrap_or_default())
}
