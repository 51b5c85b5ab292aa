//! What each view says, in the form of the vectors' `fields`.

use serde_json::{Map, Value, json};
use smppmux_engine::core::wire::{
    Address, AlertView, BindLimits, BindRespView, BindView, BroadcastView, CancelBroadcastView, CancelView,
    CommandId, DataView, DestAddress, Fault, MessageIdRespView, MessageView, OutbindView, QueryRespView,
    QueryView, ReplaceView, SubmitMultiRespView, SubmitMultiView, Tlvs,
};

use crate::vector::{hex_of, text_of};

type Fields = Map<String, Value>;

/// The fields of the view that belongs to `command`; `None` where it needs none.
pub(crate) fn view_fields(command: CommandId, pdu: &[u8]) -> Option<Result<Fields, Fault>> {
    let fields = match command {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => MessageView::parse(pdu).map(|view| message(&view)),
        CommandId::DATA_SM => DataView::parse(pdu).map(|view| data(&view)),
        CommandId::SUBMIT_MULTI => SubmitMultiView::parse(pdu).map(|view| submit_multi(&view)),
        CommandId::SUBMIT_MULTI_RESP => SubmitMultiRespView::parse(pdu).map(|view| submit_multi_resp(&view)),
        CommandId::QUERY_SM | CommandId::QUERY_BROADCAST_SM => QueryView::parse(pdu).map(|view| query(&view)),
        CommandId::QUERY_SM_RESP => QueryRespView::parse(pdu).map(|view| query_resp(&view)),
        CommandId::CANCEL_SM => CancelView::parse(pdu).map(|view| cancel(&view)),
        CommandId::REPLACE_SM => ReplaceView::parse(pdu).map(|view| replace(&view)),
        CommandId::ALERT_NOTIFICATION => AlertView::parse(pdu).map(|view| alert(&view)),
        CommandId::BROADCAST_SM => BroadcastView::parse(pdu).map(|view| broadcast(&view)),
        CommandId::CANCEL_BROADCAST_SM => CancelBroadcastView::parse(pdu).map(|view| cancel_broadcast(&view)),
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER => {
            BindView::parse(pdu, BindLimits::STRICT).map(|view| bind(&view))
        }
        CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => {
            BindRespView::parse(pdu).map(|view| object(json!({ "system_id": text_of(view.system_id()) })))
        }
        CommandId::OUTBIND => OutbindView::parse(pdu, BindLimits::STRICT).map(|view| {
            object(json!({ "system_id": text_of(view.system_id()), "password": text_of(view.password()) }))
        }),
        CommandId::SUBMIT_SM_RESP
        | CommandId::DELIVER_SM_RESP
        | CommandId::DATA_SM_RESP
        | CommandId::BROADCAST_SM_RESP
        | CommandId::QUERY_BROADCAST_SM_RESP => MessageIdRespView::parse(pdu).map(|view| {
            assert_eq!(&pdu[view.message_id_range()], view.message_id());
            object(json!({ "message_id": text_of(view.message_id()) }))
        }),
        _ => return None,
    };
    Some(fields)
}

/// The TLVs of the view that belongs to `command`; `None` where it has none or does not parse.
pub(crate) fn tlvs_of_view(command: CommandId, pdu: &[u8]) -> Option<Tlvs<'_>> {
    match command {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => MessageView::parse(pdu).map(|view| view.tlvs()),
        CommandId::DATA_SM => DataView::parse(pdu).map(|view| view.tlvs()),
        CommandId::SUBMIT_MULTI => SubmitMultiView::parse(pdu).map(|view| view.tlvs()),
        CommandId::SUBMIT_MULTI_RESP => SubmitMultiRespView::parse(pdu).map(|view| view.tlvs()),
        CommandId::QUERY_SM | CommandId::QUERY_BROADCAST_SM => QueryView::parse(pdu).map(|view| view.tlvs()),
        CommandId::QUERY_SM_RESP => QueryRespView::parse(pdu).map(|view| view.tlvs()),
        CommandId::CANCEL_SM => CancelView::parse(pdu).map(|view| view.tlvs()),
        CommandId::REPLACE_SM => ReplaceView::parse(pdu).map(|view| view.tlvs()),
        CommandId::ALERT_NOTIFICATION => AlertView::parse(pdu).map(|view| view.tlvs()),
        CommandId::BROADCAST_SM => BroadcastView::parse(pdu).map(|view| view.tlvs()),
        CommandId::CANCEL_BROADCAST_SM => CancelBroadcastView::parse(pdu).map(|view| view.tlvs()),
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER => {
            BindView::parse(pdu, BindLimits::STRICT).map(|view| view.tlvs())
        }
        CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => BindRespView::parse(pdu).map(|view| view.tlvs()),
        CommandId::SUBMIT_SM_RESP
        | CommandId::DELIVER_SM_RESP
        | CommandId::DATA_SM_RESP
        | CommandId::BROADCAST_SM_RESP
        | CommandId::QUERY_BROADCAST_SM_RESP => MessageIdRespView::parse(pdu).map(|view| view.tlvs()),
        _ => return None,
    }
    .ok()
}

fn object(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        other => panic!("not an object: {other}"),
    }
}

/// TON, NPI and address under the names that start with `ton_and_npi`.
fn add_address(fields: &mut Fields, ton_and_npi: &str, addr_name: &str, address: Address<'_>) {
    fields.insert(format!("{ton_and_npi}_ton"), address.ton.into());
    fields.insert(format!("{ton_and_npi}_npi"), address.npi.into());
    fields.insert(addr_name.to_owned(), text_of(address.addr));
}

fn message(view: &MessageView<'_>) -> Fields {
    let mut fields = object(json!({
        "service_type": text_of(view.service_type()),
        "esm_class": view.esm_class(),
        "protocol_id": view.protocol_id(),
        "priority_flag": view.priority_flag(),
        "schedule_delivery_time": text_of(view.schedule_delivery_time()),
        "validity_period": text_of(view.validity_period()),
        "registered_delivery": view.registered_delivery(),
        "replace_if_present_flag": view.replace_if_present_flag(),
        "data_coding": view.data_coding(),
        "sm_default_msg_id": view.sm_default_msg_id(),
        "sm_length": view.short_message().len(),
        "short_message_hex": hex_of(view.short_message()),
    }));
    add_address(&mut fields, "source_addr", "source_addr", view.source());
    add_address(&mut fields, "dest_addr", "destination_addr", view.destination());
    assert_eq!(&view.pdu()[view.source_addr_range()], view.source().addr);
    assert_eq!(
        &view.pdu()[view.destination_addr_range()],
        view.destination().addr
    );
    fields
}

fn data(view: &DataView<'_>) -> Fields {
    let mut fields = object(json!({
        "service_type": text_of(view.service_type()),
        "esm_class": view.esm_class(),
        "registered_delivery": view.registered_delivery(),
        "data_coding": view.data_coding(),
    }));
    add_address(&mut fields, "source_addr", "source_addr", view.source());
    add_address(&mut fields, "dest_addr", "destination_addr", view.destination());
    fields
}

fn submit_multi(view: &SubmitMultiView<'_>) -> Fields {
    let destinations: Vec<Value> = view
        .destinations()
        .map(|destination| match destination {
            DestAddress::Sme(address) => {
                let mut entry = object(json!({ "dest_flag": 1 }));
                add_address(&mut entry, "dest_addr", "destination_addr", address);
                Value::Object(entry)
            }
            DestAddress::DistributionList(name) => json!({ "dest_flag": 2, "dl_name": text_of(name) }),
        })
        .collect();
    let mut fields = object(json!({
        "service_type": text_of(view.service_type()),
        "number_of_dests": view.number_of_dests(),
        "dest_address": destinations,
        "esm_class": view.esm_class(),
        "protocol_id": view.protocol_id(),
        "priority_flag": view.priority_flag(),
        "schedule_delivery_time": text_of(view.schedule_delivery_time()),
        "validity_period": text_of(view.validity_period()),
        "registered_delivery": view.registered_delivery(),
        "replace_if_present_flag": view.replace_if_present_flag(),
        "data_coding": view.data_coding(),
        "sm_default_msg_id": view.sm_default_msg_id(),
        "sm_length": view.short_message().len(),
        "short_message_hex": hex_of(view.short_message()),
    }));
    add_address(&mut fields, "source_addr", "source_addr", view.source());
    fields
}

fn submit_multi_resp(view: &SubmitMultiRespView<'_>) -> Fields {
    let failures: Vec<Value> = view
        .unsuccess_smes()
        .map(|failure| {
            let mut entry = object(json!({ "error_status_code": failure.error_status_code.0 }));
            add_address(&mut entry, "dest_addr", "destination_addr", failure.destination);
            Value::Object(entry)
        })
        .collect();
    let mut fields = object(json!({ "message_id": text_of(view.message_id()) }));
    if view.message_id_range().is_some() {
        fields.insert("no_unsuccess".to_owned(), failures.len().into());
    }
    fields.insert("unsuccess_sme".to_owned(), failures.into());
    fields
}

fn query(view: &QueryView<'_>) -> Fields {
    let mut fields = object(json!({ "message_id": text_of(view.message_id()) }));
    add_address(&mut fields, "source_addr", "source_addr", view.source());
    fields
}

fn query_resp(view: &QueryRespView<'_>) -> Fields {
    object(json!({
        "message_id": text_of(view.message_id()),
        "final_date": text_of(view.final_date()),
        "message_state": view.message_state(),
        "error_code": view.error_code(),
    }))
}

fn cancel(view: &CancelView<'_>) -> Fields {
    let mut fields = object(json!({
        "service_type": text_of(view.service_type()),
        "message_id": text_of(view.message_id()),
    }));
    add_address(&mut fields, "source_addr", "source_addr", view.source());
    add_address(&mut fields, "dest_addr", "destination_addr", view.destination());
    fields
}

fn replace(view: &ReplaceView<'_>) -> Fields {
    let mut fields = object(json!({
        "message_id": text_of(view.message_id()),
        "schedule_delivery_time": text_of(view.schedule_delivery_time()),
        "validity_period": text_of(view.validity_period()),
        "registered_delivery": view.registered_delivery(),
        "sm_default_msg_id": view.sm_default_msg_id(),
        "sm_length": view.short_message().len(),
        "short_message_hex": hex_of(view.short_message()),
    }));
    add_address(&mut fields, "source_addr", "source_addr", view.source());
    fields
}

fn alert(view: &AlertView<'_>) -> Fields {
    let mut fields = Fields::new();
    add_address(&mut fields, "source_addr", "source_addr", view.source());
    add_address(&mut fields, "esme_addr", "esme_addr", view.esme());
    fields
}

fn broadcast(view: &BroadcastView<'_>) -> Fields {
    let mut fields = object(json!({
        "service_type": text_of(view.service_type()),
        "message_id": text_of(view.message_id()),
        "priority_flag": view.priority_flag(),
        "schedule_delivery_time": text_of(view.schedule_delivery_time()),
        "validity_period": text_of(view.validity_period()),
        "replace_if_present_flag": view.replace_if_present_flag(),
        "data_coding": view.data_coding(),
        "sm_default_msg_id": view.sm_default_msg_id(),
    }));
    add_address(&mut fields, "source_addr", "source_addr", view.source());
    fields
}

fn cancel_broadcast(view: &CancelBroadcastView<'_>) -> Fields {
    let mut fields = object(json!({
        "service_type": text_of(view.service_type()),
        "message_id": text_of(view.message_id()),
    }));
    add_address(&mut fields, "source_addr", "source_addr", view.source());
    fields
}

fn bind(view: &BindView<'_>) -> Fields {
    object(json!({
        "system_id": text_of(view.system_id()),
        "password": text_of(view.password()),
        "system_type": text_of(view.system_type()),
        "interface_version": view.interface_version(),
        "addr_ton": view.addr_ton(),
        "addr_npi": view.addr_npi(),
        "address_range": text_of(view.address_range()),
    }))
}
