//! The bodies of messages: submit_sm, deliver_sm, data_sm, submit_multi.
//!
//! Source: SMPP v3.4 sections 4.4 to 4.7, v5.0 sections 4.2 and 4.3.

use super::{Body, PduWriter};
use crate::core::wire::field::{
    DESTINATION_ADDR, DL_NAME, LONG_DESTINATION_ADDR, LONG_SOURCE_ADDR, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE,
    SOURCE_ADDR, VALIDITY_PERIOD,
};
use crate::core::wire::{Address, DestAddress};

/// The body of submit_sm and deliver_sm. Fields are those of the specification, by the same names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// `service_type`.
    pub service_type: &'a [u8],
    /// `source_addr_ton`, `source_addr_npi`, `source_addr`.
    pub source: Address<'a>,
    /// `dest_addr_ton`, `dest_addr_npi`, `destination_addr`.
    pub destination: Address<'a>,
    /// `esm_class`.
    pub esm_class: u8,
    /// `protocol_id`.
    pub protocol_id: u8,
    /// `priority_flag`.
    pub priority_flag: u8,
    /// `schedule_delivery_time`: empty or 16 characters.
    pub schedule_delivery_time: &'a [u8],
    /// `validity_period`: empty or 16 characters.
    pub validity_period: &'a [u8],
    /// `registered_delivery`.
    pub registered_delivery: u8,
    /// `replace_if_present_flag`.
    pub replace_if_present_flag: u8,
    /// `data_coding`.
    pub data_coding: u8,
    /// `sm_default_msg_id`.
    pub sm_default_msg_id: u8,
    /// `short_message`: up to 254 octets (255 in v5.0); empty with a message_payload TLV.
    pub short_message: &'a [u8],
}

impl Message<'_> {
    fn write_behind_addresses(&self, pdu: &mut PduWriter<'_>) {
        pdu.integer(self.esm_class)
            .integer(self.protocol_id)
            .integer(self.priority_flag)
            .time(&SCHEDULE_DELIVERY_TIME, self.schedule_delivery_time)
            .time(&VALIDITY_PERIOD, self.validity_period)
            .integer(self.registered_delivery)
            .integer(self.replace_if_present_flag)
            .integer(self.data_coding)
            .integer(self.sm_default_msg_id)
            .short_message(self.short_message);
    }
}

impl Body for Message<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&SERVICE_TYPE, self.service_type)
            .address(&SOURCE_ADDR, &self.source)
            .address(&DESTINATION_ADDR, &self.destination);
        self.write_behind_addresses(pdu);
    }
}

/// The body of data_sm; its text goes into a message_payload TLV.
#[derive(Clone, Copy, Debug, Default)]
pub struct Data<'a> {
    /// `service_type`.
    pub service_type: &'a [u8],
    /// The source, up to 64 characters.
    pub source: Address<'a>,
    /// The destination, up to 64 characters.
    pub destination: Address<'a>,
    /// `esm_class`.
    pub esm_class: u8,
    /// `registered_delivery`.
    pub registered_delivery: u8,
    /// `data_coding`.
    pub data_coding: u8,
}

impl Body for Data<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&SERVICE_TYPE, self.service_type)
            .address(&LONG_SOURCE_ADDR, &self.source)
            .address(&LONG_DESTINATION_ADDR, &self.destination)
            .integer(self.esm_class)
            .integer(self.registered_delivery)
            .integer(self.data_coding);
    }
}

/// The body of submit_multi.
#[derive(Clone, Copy, Debug)]
pub struct SubmitMulti<'a> {
    /// All but the destinations; `message.destination` is not used.
    pub message: Message<'a>,
    /// 1 to 254 destinations (255 in v5.0).
    pub destinations: &'a [DestAddress<'a>],
}

const DEST_FLAG_SME: u8 = 1;
const DEST_FLAG_LIST: u8 = 2;

impl Body for SubmitMulti<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&SERVICE_TYPE, self.message.service_type)
            .address(&SOURCE_ADDR, &self.message.source)
            .count("number_of_dests", self.destinations.len());
        for destination in self.destinations {
            match destination {
                DestAddress::Sme(address) => pdu.integer(DEST_FLAG_SME).address(&DESTINATION_ADDR, address),
                DestAddress::DistributionList(name) => pdu.integer(DEST_FLAG_LIST).text(&DL_NAME, name),
            };
        }
        self.message.write_behind_addresses(pdu);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::{CommandId, DataView, MessageView, PduWriter, Status, SubmitMultiView, Tag};
    use bytes::BytesMut;

    const SOURCE: Address<'static> = Address {
        ton: 5,
        npi: 0,
        addr: b"smppmux",
    };
    const DESTINATION: Address<'static> = Address {
        ton: 1,
        npi: 1,
        addr: b"447700900123",
    };

    fn message() -> Message<'static> {
        Message {
            service_type: b"CMT",
            source: SOURCE,
            destination: DESTINATION,
            esm_class: 1,
            protocol_id: 2,
            priority_flag: 3,
            schedule_delivery_time: b"261122104500000+",
            validity_period: b"000001000000000R",
            registered_delivery: 4,
            replace_if_present_flag: 5,
            data_coding: 6,
            sm_default_msg_id: 7,
            short_message: b"hello\0",
        }
    }

    /// Goal: what the writer wrote, the view reads, field by field.
    #[test]
    fn a_message_reads_back_as_written() {
        let mut buffer = BytesMut::new();
        let mut pdu = PduWriter::begin(&mut buffer, CommandId::SUBMIT_SM, Status::ESME_ROK, 1);
        message().write_to(&mut pdu);
        pdu.tlv(Tag::MESSAGE_PAYLOAD, b"payload");
        assert_eq!(pdu.finish(), Ok(buffer.len()));

        let view = MessageView::parse(&buffer).expect("a good PDU");
        assert_eq!(view.service_type(), b"CMT");
        assert_eq!((view.source(), view.destination()), (SOURCE, DESTINATION));
        assert_eq!(&buffer[view.destination_addr_range()], DESTINATION.addr);
        assert_eq!(
            (view.esm_class(), view.protocol_id(), view.priority_flag()),
            (1, 2, 3)
        );
        assert_eq!(view.schedule_delivery_time(), b"261122104500000+");
        assert_eq!(view.validity_period(), b"000001000000000R");
        assert_eq!(
            (view.registered_delivery(), view.replace_if_present_flag()),
            (4, 5)
        );
        assert_eq!((view.data_coding(), view.sm_default_msg_id()), (6, 7));
        assert_eq!(
            (view.short_message(), view.user_data()),
            (&b"hello\0"[..], &b"payload"[..])
        );
    }

    /// Goal: the same for data_sm and submit_multi, with the longest addresses that each takes.
    #[test]
    fn data_and_multi_read_back_as_written() {
        let mut buffer = BytesMut::new();
        let long = Address {
            addr: &[b'9'; 64],
            ..SOURCE
        };
        let data = Data {
            destination: long,
            data_coding: 8,
            ..Data::default()
        };
        write(&mut buffer, CommandId::DATA_SM, &data);
        let view = DataView::parse(&buffer).expect("a good PDU");
        assert_eq!((view.destination(), view.data_coding()), (long, 8));

        let destinations = [
            DestAddress::Sme(DESTINATION),
            DestAddress::DistributionList(b"staff"),
        ];
        let multi = SubmitMulti {
            message: message(),
            destinations: &destinations,
        };
        buffer.clear();
        write(&mut buffer, CommandId::SUBMIT_MULTI, &multi);
        let view = SubmitMultiView::parse(&buffer).expect("a good PDU");
        assert!(view.destinations().eq(destinations));
        assert_eq!((view.esm_class(), view.sm_default_msg_id()), (1, 7));
    }

    fn write(buffer: &mut BytesMut, command: CommandId, body: &impl Body) {
        let mut pdu = PduWriter::begin(buffer, command, Status::ESME_ROK, 1);
        body.write_to(&mut pdu);
        pdu.finish().expect("it fits");
    }

    /// Goal: a time that is neither empty nor 16 characters is never sent.
    #[test]
    fn odd_times_are_refused() {
        let mut buffer = BytesMut::new();
        let mut pdu = PduWriter::begin(&mut buffer, CommandId::SUBMIT_SM, Status::ESME_ROK, 1);
        Message {
            validity_period: b"2611221045",
            ..message()
        }
        .write_to(&mut pdu);
        assert_eq!(pdu.finish().expect_err("odd").field, "validity_period");
        assert!(buffer.is_empty());
    }
}
