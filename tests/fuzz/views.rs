//! Every view, of octets that need not be its command's: a handler that takes one command for another must not come to harm.
//! What a view reads stands where it says, and lies within the PDU.

use smppmux_engine::core::wire::{
    Address, AlertView, BindLimits, BindRespView, BindView, BroadcastView, CancelBroadcastView, CancelView,
    CommandId, DataView, MessageIdRespView, MessageView, OutbindView, QueryRespView, QueryView, ReplaceView,
    SubmitMultiRespView, SubmitMultiView, Tlvs, response_tlvs, tlv,
};
use std::hint::black_box;
use std::ops::Range;

/// A response of each layout, and one of none.
const RESPONSES: [CommandId; 6] = [
    CommandId::SUBMIT_SM_RESP,
    CommandId::BIND_TRANSCEIVER_RESP,
    CommandId::QUERY_SM_RESP,
    CommandId::SUBMIT_MULTI_RESP,
    CommandId::ENQUIRE_LINK_RESP,
    CommandId(0x8001_0200),
];

pub(crate) fn read(pdu: &[u8]) {
    for limits in [BindLimits::STRICT, BindLimits::LENIENT] {
        let _ = BindView::parse(pdu, limits).map(|view| bind_holds(pdu, &view, limits));
        let _ = OutbindView::parse(pdu, limits).map(|view| outbind_holds(&view, limits));
    }
    let _ = MessageView::parse(pdu).map(|view| message_holds(pdu, &view));
    let _ = SubmitMultiView::parse(pdu).map(|view| submit_multi_holds(pdu, &view));
    let _ = DataView::parse(pdu).map(|view| data_holds(pdu, &view));
    let _ = QueryView::parse(pdu).map(|view| {
        text_holds(pdu, view.message_id_range(), view.message_id());
        address_holds(pdu, view.source());
        tlvs_hold(pdu, view.tlvs());
    });
    let _ = CancelView::parse(pdu).map(|view| {
        text_holds(pdu, view.message_id_range(), view.message_id());
        black_box(view.service_type());
        address_holds(pdu, view.source());
        address_holds(pdu, view.destination());
        tlvs_hold(pdu, view.tlvs());
    });
    let _ = ReplaceView::parse(pdu).map(|view| replace_holds(pdu, &view));
    let _ = AlertView::parse(pdu).map(|view| {
        address_holds(pdu, view.source());
        address_holds(pdu, view.esme());
        black_box(view.ms_availability_status());
        tlvs_hold(pdu, view.tlvs());
    });
    let _ = BroadcastView::parse(pdu).map(|view| broadcast_holds(pdu, &view));
    let _ = CancelBroadcastView::parse(pdu).map(|view| {
        text_holds(pdu, view.message_id_range(), view.message_id());
        black_box(view.service_type());
        address_holds(pdu, view.source());
        tlvs_hold(pdu, view.tlvs());
    });
    responses_hold(pdu);
}

fn bind_holds(pdu: &[u8], view: &BindView<'_>, limits: BindLimits) {
    assert!(view.system_id().len() < limits.system_id_octets_max);
    assert!(view.password().len() < limits.password_octets_max);
    text_holds(pdu, view.password_range(), view.password());
    for text in [view.system_id(), view.system_type(), view.address_range()] {
        assert!(!text.contains(&0));
    }
    black_box((view.version(), view.addr_ton(), view.addr_npi()));
    black_box(format!("{view:?}"));
    tlvs_hold(pdu, view.tlvs());
}

fn outbind_holds(view: &OutbindView<'_>, limits: BindLimits) {
    assert!(view.system_id().len() < limits.system_id_octets_max);
    assert!(view.password().len() < limits.password_octets_max);
    assert!(!view.system_id().contains(&0) && !view.password().contains(&0));
}

fn message_holds(pdu: &[u8], view: &MessageView<'_>) {
    black_box((
        view.service_type(),
        view.schedule_delivery_time(),
        view.validity_period(),
    ));
    text_holds(pdu, view.source_addr_range(), view.source().addr);
    text_holds(pdu, view.destination_addr_range(), view.destination().addr);
    address_holds(pdu, view.source());
    address_holds(pdu, view.destination());
    short_message_holds(pdu, view.short_message_range(), view.short_message());
    assert_eq!(&pdu[view.user_data_range()], view.user_data());
    assert_eq!(
        view.check_destination().is_err(),
        view.destination().addr.is_empty()
    );
    black_box(view.may_be_segment());
    tlvs_hold(pdu, view.tlvs());
}

fn submit_multi_holds(pdu: &[u8], view: &SubmitMultiView<'_>) {
    black_box((
        view.service_type(),
        view.schedule_delivery_time(),
        view.validity_period(),
    ));
    text_holds(pdu, view.source_addr_range(), view.source().addr);
    address_holds(pdu, view.source());
    let destinations = view.destinations_range();
    assert_eq!(pdu[destinations.start], view.number_of_dests());
    assert_eq!(view.destinations().count(), usize::from(view.number_of_dests()));
    assert_eq!(
        pdu[destinations.end],
        view.esm_class(),
        "behind the last destination"
    );
    if let Some(only) = view.only_destination_range() {
        assert_eq!((view.number_of_dests(), only.end + 1), (1, destinations.end));
    }
    short_message_holds(pdu, view.short_message_range(), view.short_message());
    black_box((view.user_data(), view.may_be_segment()));
    tlvs_hold(pdu, view.tlvs());
}

fn data_holds(pdu: &[u8], view: &DataView<'_>) {
    black_box(view.service_type());
    text_holds(pdu, view.source_addr_range(), view.source().addr);
    text_holds(pdu, view.destination_addr_range(), view.destination().addr);
    address_holds(pdu, view.source());
    address_holds(pdu, view.destination());
    assert_eq!(
        view.check_destination().is_err(),
        view.destination().addr.is_empty()
    );
    let user_data = view.user_data_range().map(|range| &pdu[range]);
    assert_eq!(user_data.unwrap_or_default(), view.user_data());
    black_box((
        view.may_be_segment(),
        view.registered_delivery(),
        view.data_coding(),
    ));
    tlvs_hold(pdu, view.tlvs());
}

fn replace_holds(pdu: &[u8], view: &ReplaceView<'_>) {
    text_holds(pdu, view.message_id_range(), view.message_id());
    address_holds(pdu, view.source());
    black_box((view.schedule_delivery_time(), view.validity_period()));
    short_message_holds(pdu, view.short_message_range(), view.short_message());
    tlvs_hold(pdu, view.tlvs());
}

fn broadcast_holds(pdu: &[u8], view: &BroadcastView<'_>) {
    black_box((
        view.service_type(),
        view.schedule_delivery_time(),
        view.validity_period(),
    ));
    text_holds(pdu, view.message_id_range(), view.message_id());
    text_holds(pdu, view.source_addr_range(), view.source().addr);
    address_holds(pdu, view.source());
    black_box(view.check_required_tlvs().is_ok());
    tlvs_hold(pdu, view.tlvs());
}

/// The body of a response may be missing or odd; an id may then be without its NUL, and TLVs may end in a broken one.
fn responses_hold(pdu: &[u8]) {
    if let Ok(view) = MessageIdRespView::parse(pdu) {
        assert_eq!(&pdu[view.message_id_range()], view.message_id());
        assert_eq!(&pdu[view.tail_range()], view.tail());
        assert_eq!(view.tlvs().range(), view.tail_range());
        assert!(view.message_id_range().end <= view.tail_range().start);
    }
    if let Ok(view) = BindRespView::parse(pdu) {
        assert!(!view.system_id().contains(&0));
        black_box((view.sc_interface_version(), view.tlvs().count()));
    }
    if let Ok(view) = QueryRespView::parse(pdu) {
        assert_eq!(view.has_body(), view.message_id_range().is_some());
        let _ = view
            .message_id_range()
            .map(|range| text_holds(pdu, range, view.message_id()));
        black_box((view.final_date(), view.message_state(), view.error_code()));
        assert_eq!(view.tlvs().range().end, pdu.len());
    }
    if let Ok(view) = SubmitMultiRespView::parse(pdu) {
        let _ = view
            .message_id_range()
            .map(|range| text_holds(pdu, range, view.message_id()));
        let failed = view
            .unsuccess_smes()
            .inspect(|failed| address_holds(pdu, failed.destination));
        black_box(failed.count());
        assert_eq!(view.tlvs().range().end, pdu.len());
    }
    for command in RESPONSES {
        assert!(response_tlvs(command, pdu).range().end <= pdu.len());
    }
}

/// No NUL is in a text, and one stands behind it.
fn text_holds(pdu: &[u8], range: Range<usize>, text: &[u8]) {
    assert_eq!(&pdu[range.clone()], text);
    assert!(!text.contains(&0), "a NUL within a text");
    assert_eq!(pdu[range.end], 0, "no NUL behind a text");
}

/// The octets of an address are those of the PDU, with TON and NPI before them.
fn address_holds(pdu: &[u8], address: Address<'_>) {
    let at = address.addr.as_ptr().addr() - pdu.as_ptr().addr();
    assert_eq!(pdu[at - 2..at], [address.ton, address.npi], "TON and NPI");
    text_holds(pdu, at..at + address.addr.len(), address.addr);
}

fn short_message_holds(pdu: &[u8], range: Range<usize>, octets: &[u8]) {
    assert_eq!(usize::from(pdu[range.start - 1]), range.len(), "sm_length");
    assert_eq!(&pdu[range], octets);
}

/// The TLVs of a request are all that is left, and whole.
fn tlvs_hold(pdu: &[u8], tlvs: Tlvs<'_>) {
    assert_eq!(tlvs.range().end, pdu.len());
    assert!(tlvs.clone().all(|tlv| tlv.is_ok()), "a broken TLV");
    let _ = tlv::check_known_lengths(tlvs);
}
