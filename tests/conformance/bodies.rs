//! What the views read, the bodies that smppmux and its simulators write give back octet for octet.

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    Bind, BindLimits, BindRespView, BindResponse, BindView, Body, Cancel, CancelView, CommandId, Data,
    DataView, Message, MessageIdRespView, MessageIdResponse, MessageView, Outbind, OutbindView, PduWriter,
    Query, QueryRespView, QueryResponse, QueryView, Replace, ReplaceView, Status, SubmitMulti,
    SubmitMultiView, Version,
};

use crate::vector::{Vector, valid_vectors};
use crate::view_fields::tlvs_of_view;

/// Goal: what a view reads, the matching body writes back: for every command that smppmux or its simulators write.
#[test]
fn bodies_write_back_what_views_read() {
    let mut checked = 0;
    for vector in valid_vectors().into_iter().filter(|vector| !vector.body_absent) {
        let pdu = vector.pdu();
        let mut buffer = BytesMut::new();
        if write_from_view(&vector, &pdu, &mut buffer) {
            assert_eq!(buffer, pdu, "{}", vector.name);
            checked += 1;
        }
    }
    assert!(checked > 450, "only {checked} vectors were written from views");
}

/// Whether the vector's command has a body to write.
fn write_from_view(vector: &Vector, pdu: &[u8], buffer: &mut BytesMut) -> bool {
    let mut writer = PduWriter::begin(
        buffer,
        vector.command(),
        Status(vector.command_status),
        vector.sequence_number,
    );
    let is_written = match vector.command() {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => write_message(pdu, &mut writer),
        CommandId::DATA_SM => write_data(pdu, &mut writer),
        CommandId::SUBMIT_MULTI => write_submit_multi(pdu, &mut writer),
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER => {
            write_bind(pdu, &mut writer)
        }
        _ => write_other(vector.command(), pdu, &mut writer),
    };
    if !is_written {
        return false;
    }
    if let Some(tlvs) = tlvs_of_view(vector.command(), pdu) {
        writer.octets(&pdu[tlvs.range()]);
    }
    writer
        .finish()
        .unwrap_or_else(|fault| panic!("{}: {fault}", vector.name));
    true
}

fn write_message(pdu: &[u8], writer: &mut PduWriter<'_>) -> bool {
    let view = MessageView::parse(pdu).expect("a valid vector");
    Message {
        service_type: view.service_type(),
        source: view.source(),
        destination: view.destination(),
        esm_class: view.esm_class(),
        protocol_id: view.protocol_id(),
        priority_flag: view.priority_flag(),
        schedule_delivery_time: view.schedule_delivery_time(),
        validity_period: view.validity_period(),
        registered_delivery: view.registered_delivery(),
        replace_if_present_flag: view.replace_if_present_flag(),
        data_coding: view.data_coding(),
        sm_default_msg_id: view.sm_default_msg_id(),
        short_message: view.short_message(),
    }
    .write_to(writer);
    true
}

fn write_data(pdu: &[u8], writer: &mut PduWriter<'_>) -> bool {
    let view = DataView::parse(pdu).expect("a valid vector");
    Data {
        service_type: view.service_type(),
        source: view.source(),
        destination: view.destination(),
        esm_class: view.esm_class(),
        registered_delivery: view.registered_delivery(),
        data_coding: view.data_coding(),
    }
    .write_to(writer);
    true
}

fn write_submit_multi(pdu: &[u8], writer: &mut PduWriter<'_>) -> bool {
    let view = SubmitMultiView::parse(pdu).expect("a valid vector");
    let destinations: Vec<_> = view.destinations().collect();
    let message = Message {
        service_type: view.service_type(),
        source: view.source(),
        esm_class: view.esm_class(),
        protocol_id: view.protocol_id(),
        priority_flag: view.priority_flag(),
        schedule_delivery_time: view.schedule_delivery_time(),
        validity_period: view.validity_period(),
        registered_delivery: view.registered_delivery(),
        replace_if_present_flag: view.replace_if_present_flag(),
        data_coding: view.data_coding(),
        sm_default_msg_id: view.sm_default_msg_id(),
        short_message: view.short_message(),
        ..Message::default()
    };
    SubmitMulti {
        message,
        destinations: &destinations,
    }
    .write_to(writer);
    true
}

/// A bind with an interface_version that no version of ours writes is left out.
fn write_bind(pdu: &[u8], writer: &mut PduWriter<'_>) -> bool {
    let view = BindView::parse(pdu, BindLimits::STRICT).expect("a valid vector");
    if view.version().interface_version() != view.interface_version() {
        return false;
    }
    Bind {
        system_id: view.system_id(),
        password: view.password(),
        system_type: view.system_type(),
        version: view.version(),
        addr_ton: view.addr_ton(),
        addr_npi: view.addr_npi(),
        address_range: view.address_range(),
    }
    .write_to(writer);
    true
}

fn write_other(command: CommandId, pdu: &[u8], writer: &mut PduWriter<'_>) -> bool {
    match command {
        CommandId::OUTBIND => {
            let view = OutbindView::parse(pdu, BindLimits::STRICT).expect("a valid vector");
            let (system_id, password) = (view.system_id(), view.password());
            Outbind { system_id, password }.write_to(writer);
        }
        CommandId::QUERY_SM | CommandId::QUERY_BROADCAST_SM => {
            let view = QueryView::parse(pdu).expect("a valid vector");
            let (message_id, source) = (view.message_id(), view.source());
            Query { message_id, source }.write_to(writer);
        }
        CommandId::QUERY_SM_RESP => write_query_response(pdu, writer),
        CommandId::CANCEL_SM => write_cancel(pdu, writer),
        CommandId::REPLACE_SM => write_replace(pdu, writer),
        CommandId::SUBMIT_SM_RESP | CommandId::DELIVER_SM_RESP | CommandId::DATA_SM_RESP => {
            let view = MessageIdRespView::parse(pdu).expect("a valid vector");
            let message_id = view.message_id();
            MessageIdResponse { message_id }.write_to(writer);
        }
        CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => {
            let view = BindRespView::parse(pdu).expect("a valid vector");
            // The version goes out with the other TLVs.
            let sc_interface_version = None;
            let system_id = view.system_id();
            BindResponse {
                system_id,
                sc_interface_version,
            }
            .write_to(writer);
        }
        _ => return false,
    }
    true
}

fn write_query_response(pdu: &[u8], writer: &mut PduWriter<'_>) {
    let view = QueryRespView::parse(pdu).expect("a valid vector");
    QueryResponse {
        message_id: view.message_id(),
        final_date: view.final_date(),
        message_state: view.message_state().expect("a body"),
        error_code: view.error_code().expect("a body"),
    }
    .write_to(writer);
}

fn write_cancel(pdu: &[u8], writer: &mut PduWriter<'_>) {
    let view = CancelView::parse(pdu).expect("a valid vector");
    Cancel {
        service_type: view.service_type(),
        message_id: view.message_id(),
        source: view.source(),
        destination: view.destination(),
    }
    .write_to(writer);
}

fn write_replace(pdu: &[u8], writer: &mut PduWriter<'_>) {
    let view = ReplaceView::parse(pdu).expect("a valid vector");
    Replace {
        message_id: view.message_id(),
        source: view.source(),
        schedule_delivery_time: view.schedule_delivery_time(),
        validity_period: view.validity_period(),
        registered_delivery: view.registered_delivery(),
        sm_default_msg_id: view.sm_default_msg_id(),
        short_message: view.short_message(),
    }
    .write_to(writer);
}

/// Goal: a positive bind response tells the version of the message centre, and none to a v3.3 peer.
#[test]
fn bind_responses_tell_the_version() {
    for version in [None, Some(Version::V34), Some(Version::V50)] {
        let mut buffer = BytesMut::new();
        let mut pdu = PduWriter::begin(&mut buffer, CommandId::BIND_RECEIVER_RESP, Status::ESME_ROK, 1);
        BindResponse {
            system_id: b"smppmux",
            sc_interface_version: version,
        }
        .write_to(&mut pdu);
        pdu.finish().expect("it fits");
        let view = BindRespView::parse(&buffer).expect("a response");
        assert_eq!(view.system_id(), b"smppmux");
        assert_eq!(
            view.sc_interface_version().map(Version::from_interface_version),
            version
        );
    }
}
