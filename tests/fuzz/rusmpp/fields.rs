//! The fields of each view, and what is read out of them.

use super::{characters_of, have_their_lengths, octets_of, read, tlvs_agree, value_of};
use rusmpp_core::encode::Encode;
use rusmpp_core::pdus::owned::{self as theirs, Pdu};
use rusmpp_core::tlvs::{TlvTag, owned::Tlv};
use rusmpp_core::types::owned::COctetString;
use rusmpp_core::values::{InterfaceVersion, owned::DestAddress as TheirDestAddress};
use smppmux_engine::core::wire::{
    Address, AlertView, BindLimits, BindRespView, BindView, BroadcastView, CancelBroadcastView, CancelView,
    DataView, DestAddress, EsmClass, HEADER_OCTETS, Header, MessageIdRespView, MessageView, OutbindView,
    QueryRespView, QueryView, ReplaceView, SubmitMultiRespView, SubmitMultiView, Tlvs, Version,
    response_tlvs,
};
use std::slice;

/// Integers of one octet that both sides call the same.
macro_rules! integers_agree {
    ($ours:expr, $theirs:expr, $($field:ident)*) => {
        $(assert_eq!([$ours.$field()], *octets_of(&$theirs.$field), stringify!($field));)*
    };
}

/// Texts that both sides call the same.
macro_rules! texts_agree {
    ($ours:expr, $theirs:expr, $($field:ident)*) => {
        $(assert_eq!($ours.$field(), characters_of(&$theirs.$field), stringify!($field));)*
    };
}

macro_rules! source_agrees {
    ($ours:expr, $theirs:expr) => {
        let (ton, npi) = (&$theirs.source_addr_ton, &$theirs.source_addr_npi);
        address_agrees($ours.source(), ton, npi, &$theirs.source_addr);
    };
}

macro_rules! destination_agrees {
    ($ours:expr, $theirs:expr) => {
        let (ton, npi) = (&$theirs.dest_addr_ton, &$theirs.dest_addr_npi);
        address_agrees($ours.destination(), ton, npi, &$theirs.destination_addr);
    };
}

/// The three binds are three types of the same fields.
macro_rules! bind_agrees {
    ($pdu:expr, $theirs:expr) => {
        if let Some(ours) = read(BindView::parse($pdu, BindLimits::STRICT), &[]) {
            texts_agree!(ours, $theirs, system_id password system_type address_range);
            integers_agree!(ours, $theirs, addr_ton addr_npi);
            assert_eq!(ours.interface_version(), u8::from($theirs.interface_version));
            version_agrees(ours.version(), $theirs.interface_version);
            tlvs_agree(ours.tlvs(), &[]);
        }
    };
}

/// So are the responses.
macro_rules! bind_resp_agrees {
    ($pdu:expr, $theirs:expr) => {
        if let Some(ours) = read(BindRespView::parse($pdu), &[]) {
            let tlv = $theirs.sc_interface_version_tlv();
            if id_agrees(ours.system_id(), &$theirs.system_id) {
                assert!(ours.has_body());
                let tlvs = tlv.map(slice::from_ref).unwrap_or_default();
                tlvs_agree(ours.tlvs(), tlvs);
                tlvs_agree(tlvs_of_response($pdu), tlvs);
                if have_their_lengths(tlvs) {
                    let theirs = $theirs.sc_interface_version().map(u8::from);
                    assert_eq!(ours.sc_interface_version(), theirs);
                }
            }
        }
    };
}

/// submit_sm and deliver_sm are two types of the same fields; what submit_multi shares with them is in it too.
macro_rules! message_agrees {
    ($ours:expr, $theirs:expr) => {
        texts_agree!($ours, $theirs, service_type schedule_delivery_time validity_period);
        source_agrees!($ours, $theirs);
        integers_agree!(
            $ours, $theirs,
            esm_class protocol_id priority_flag registered_delivery replace_if_present_flag data_coding sm_default_msg_id
        );
        assert_eq!($ours.short_message(), &$theirs.short_message()[..], "short_message");
        tlvs_agree($ours.tlvs(), $theirs.tlvs());
        user_data_agrees($ours.user_data(), $theirs.short_message(), $theirs.tlvs());
        segment_agrees($ours.may_be_segment(), &$theirs.esm_class, $theirs.tlvs());
    };
}

pub(super) fn agree(pdu: &[u8], body: &Pdu) {
    match body {
        Pdu::BindTransmitter(theirs) => bind_agrees!(pdu, theirs),
        Pdu::BindReceiver(theirs) => bind_agrees!(pdu, theirs),
        Pdu::BindTransceiver(theirs) => bind_agrees!(pdu, theirs),
        Pdu::BindTransmitterResp(theirs) => bind_resp_agrees!(pdu, theirs),
        Pdu::BindReceiverResp(theirs) => bind_resp_agrees!(pdu, theirs),
        Pdu::BindTransceiverResp(theirs) => bind_resp_agrees!(pdu, theirs),
        Pdu::Outbind(theirs) => outbind_agrees(pdu, theirs),
        Pdu::AlertNotification(theirs) => alert_agrees(pdu, theirs),
        Pdu::SubmitSm(theirs) => {
            if let Some(ours) = read(MessageView::parse(pdu), theirs.tlvs()) {
                message_agrees!(ours, theirs);
                destination_agrees!(ours, theirs);
            }
        }
        Pdu::DeliverSm(theirs) => {
            if let Some(ours) = read(MessageView::parse(pdu), theirs.tlvs()) {
                message_agrees!(ours, theirs);
                destination_agrees!(ours, theirs);
            }
        }
        Pdu::DataSm(theirs) => data_agrees(pdu, theirs),
        Pdu::SubmitSmResp(theirs) => message_id_resp_agrees(pdu, theirs.message_id(), theirs.tlvs()),
        Pdu::DeliverSmResp(theirs) => message_id_resp_agrees(pdu, theirs.message_id(), theirs.tlvs()),
        Pdu::DataSmResp(theirs) => message_id_resp_agrees(pdu, theirs.message_id(), theirs.tlvs()),
        Pdu::BroadcastSmResp(theirs) => message_id_resp_agrees(pdu, &theirs.message_id, theirs.tlvs()),
        Pdu::QueryBroadcastSmResp(theirs) => message_id_resp_agrees(pdu, &theirs.message_id, theirs.tlvs()),
        Pdu::QuerySm(theirs) => query_agrees(pdu, theirs),
        Pdu::QueryBroadcastSm(theirs) => query_broadcast_agrees(pdu, theirs),
        Pdu::QuerySmResp(theirs) => query_resp_agrees(pdu, theirs),
        Pdu::CancelSm(theirs) => cancel_agrees(pdu, theirs),
        Pdu::ReplaceSm(theirs) => replace_agrees(pdu, theirs),
        Pdu::SubmitMulti(theirs) => submit_multi_agrees(pdu, theirs),
        Pdu::SubmitMultiResp(theirs) => submit_multi_resp_agrees(pdu, theirs),
        Pdu::BroadcastSm(theirs) => broadcast_agrees(pdu, theirs),
        Pdu::CancelBroadcastSm(theirs) => cancel_broadcast_agrees(pdu, theirs),
        // The header alone.
        Pdu::Unbind
        | Pdu::UnbindResp
        | Pdu::EnquireLink
        | Pdu::EnquireLinkResp
        | Pdu::GenericNack
        | Pdu::CancelSmResp
        | Pdu::ReplaceSmResp
        | Pdu::CancelBroadcastSmResp => assert_eq!(pdu.len(), HEADER_OCTETS),
        // Octets that it has not looked into.
        Pdu::Other { .. } => {}
    }
}

fn outbind_agrees(pdu: &[u8], theirs: &theirs::Outbind) {
    if let Some(ours) = read(OutbindView::parse(pdu, BindLimits::STRICT), &[]) {
        texts_agree!(ours, theirs, system_id password);
    }
}

fn alert_agrees(pdu: &[u8], theirs: &theirs::AlertNotification) {
    let tlvs = theirs.ms_availability_status_tlv();
    let tlvs = tlvs.map(slice::from_ref).unwrap_or_default();
    let Some(ours) = read(AlertView::parse(pdu), tlvs) else {
        return;
    };
    source_agrees!(ours, theirs);
    let (ton, npi) = (&theirs.esme_addr_ton, &theirs.esme_addr_npi);
    address_agrees(ours.esme(), ton, npi, &theirs.esme_addr);
    tlvs_agree(ours.tlvs(), tlvs);
    if have_their_lengths(tlvs) {
        let theirs = theirs.ms_availability_status().map(u8::from);
        assert_eq!(ours.ms_availability_status(), theirs);
    }
}

fn data_agrees(pdu: &[u8], theirs: &theirs::DataSm) {
    let Some(ours) = read(DataView::parse(pdu), theirs.tlvs()) else {
        return;
    };
    texts_agree!(ours, theirs, service_type);
    source_agrees!(ours, theirs);
    destination_agrees!(ours, theirs);
    integers_agree!(ours, theirs, esm_class registered_delivery data_coding);
    tlvs_agree(ours.tlvs(), theirs.tlvs());
    user_data_agrees(ours.user_data(), &[], theirs.tlvs());
    segment_agrees(ours.may_be_segment(), &theirs.esm_class, theirs.tlvs());
}

fn message_id_resp_agrees(pdu: &[u8], message_id: &COctetString<1, 65>, tlvs: &[Tlv]) {
    let Some(ours) = read(MessageIdRespView::parse(pdu), tlvs) else {
        return;
    };
    if id_agrees(ours.message_id(), message_id) {
        assert!(ours.has_body());
        tlvs_agree(tlvs_of_response(pdu), tlvs);
        let tail: Vec<u8> = tlvs.iter().flat_map(octets_of).collect();
        assert_eq!(ours.tail(), tail, "behind the id");
        tlvs_agree(ours.tlvs(), tlvs);
    }
}

fn query_agrees(pdu: &[u8], theirs: &theirs::QuerySm) {
    if let Some(ours) = read(QueryView::parse(pdu), &[]) {
        texts_agree!(ours, theirs, message_id);
        source_agrees!(ours, theirs);
        tlvs_agree(ours.tlvs(), &[]);
    }
}

fn query_broadcast_agrees(pdu: &[u8], theirs: &theirs::QueryBroadcastSm) {
    let tlvs = theirs.user_message_reference_tlv();
    let tlvs = tlvs.map(slice::from_ref).unwrap_or_default();
    if let Some(ours) = read(QueryView::parse(pdu), tlvs) {
        texts_agree!(ours, theirs, message_id);
        source_agrees!(ours, theirs);
        tlvs_agree(ours.tlvs(), tlvs);
    }
}

fn query_resp_agrees(pdu: &[u8], theirs: &theirs::QuerySmResp) {
    if let Some(ours) = read(QueryRespView::parse(pdu), &[]) {
        assert!(ours.has_body());
        texts_agree!(ours, theirs, message_id final_date);
        assert_eq!(ours.message_state(), Some(u8::from(theirs.message_state)));
        assert_eq!(ours.error_code(), Some(theirs.error_code));
        tlvs_agree(ours.tlvs(), &[]);
        if !begins_like_a_tlv(ours.message_id()) {
            tlvs_agree(tlvs_of_response(pdu), &[]);
        }
    }
}

fn cancel_agrees(pdu: &[u8], theirs: &theirs::CancelSm) {
    if let Some(ours) = read(CancelView::parse(pdu), &[]) {
        texts_agree!(ours, theirs, service_type message_id);
        source_agrees!(ours, theirs);
        destination_agrees!(ours, theirs);
        tlvs_agree(ours.tlvs(), &[]);
    }
}

fn replace_agrees(pdu: &[u8], theirs: &theirs::ReplaceSm) {
    let tlvs = theirs.message_payload_tlv();
    let tlvs = tlvs.map(slice::from_ref).unwrap_or_default();
    let Some(ours) = read(ReplaceView::parse(pdu), tlvs) else {
        return;
    };
    texts_agree!(ours, theirs, message_id schedule_delivery_time validity_period);
    source_agrees!(ours, theirs);
    integers_agree!(ours, theirs, registered_delivery sm_default_msg_id);
    assert_eq!(ours.short_message(), &theirs.short_message()[..], "short_message");
    tlvs_agree(ours.tlvs(), tlvs);
}

fn submit_multi_agrees(pdu: &[u8], theirs: &theirs::SubmitMulti) {
    // Nobody to send it to: the one body that it understands and nobody here accepts.
    if theirs.number_of_dests() == 0 {
        assert!(SubmitMultiView::parse(pdu).is_err());
        return;
    }
    let Some(ours) = read(SubmitMultiView::parse(pdu), theirs.tlvs()) else {
        return;
    };
    message_agrees!(ours, theirs);
    assert_eq!(ours.number_of_dests(), theirs.number_of_dests());
    assert_eq!(ours.destinations().count(), theirs.dest_address().len());
    for (ours, theirs) in ours.destinations().zip(theirs.dest_address()) {
        match (ours, theirs) {
            (DestAddress::Sme(ours), TheirDestAddress::SmeAddress(theirs)) => {
                let (ton, npi) = (&theirs.dest_addr_ton, &theirs.dest_addr_npi);
                address_agrees(ours, ton, npi, &theirs.destination_addr);
            }
            (DestAddress::DistributionList(ours), TheirDestAddress::DistributionListName(theirs)) => {
                assert_eq!(ours, characters_of(&theirs.dl_name), "dl_name");
            }
            other => panic!("two kinds of destination: {other:?}"),
        }
    }
    let only = match theirs.dest_address() {
        [TheirDestAddress::SmeAddress(only)] => Some(characters_of(&only.destination_addr)),
        _ => None,
    };
    assert_eq!(
        ours.only_destination_range().map(|range| pdu[range].to_vec()),
        only
    );
}

fn submit_multi_resp_agrees(pdu: &[u8], theirs: &theirs::SubmitMultiResp) {
    let Some(ours) = read(SubmitMultiRespView::parse(pdu), theirs.tlvs()) else {
        return;
    };
    texts_agree!(ours, theirs, message_id);
    assert_eq!(ours.unsuccess_smes().count(), theirs.unsuccess_sme().len());
    for (ours, theirs) in ours.unsuccess_smes().zip(theirs.unsuccess_sme()) {
        let (ton, npi) = (&theirs.dest_addr_ton, &theirs.dest_addr_npi);
        address_agrees(ours.destination, ton, npi, &theirs.destination_addr);
        assert_eq!(ours.error_status_code.0, u32::from(theirs.error_status_code));
    }
    tlvs_agree(ours.tlvs(), theirs.tlvs());
    if !begins_like_a_tlv(ours.message_id()) {
        tlvs_agree(tlvs_of_response(pdu), theirs.tlvs());
    }
}

fn broadcast_agrees(pdu: &[u8], theirs: &theirs::BroadcastSm) {
    let Some(ours) = read(BroadcastView::parse(pdu), theirs.tlvs()) else {
        return;
    };
    texts_agree!(ours, theirs, service_type message_id schedule_delivery_time validity_period);
    source_agrees!(ours, theirs);
    integers_agree!(ours, theirs, priority_flag replace_if_present_flag data_coding sm_default_msg_id);
    tlvs_agree(ours.tlvs(), theirs.tlvs());
}

fn cancel_broadcast_agrees(pdu: &[u8], theirs: &theirs::CancelBroadcastSm) {
    let Some(ours) = read(CancelBroadcastView::parse(pdu), theirs.tlvs()) else {
        return;
    };
    texts_agree!(ours, theirs, service_type message_id);
    source_agrees!(ours, theirs);
    tlvs_agree(ours.tlvs(), theirs.tlvs());
}

fn address_agrees(ours: Address<'_>, ton: &impl Encode, npi: &impl Encode, addr: &impl Encode) {
    assert_eq!([ours.ton], *octets_of(ton), "TON");
    assert_eq!([ours.npi], *octets_of(npi), "NPI");
    assert_eq!(ours.addr, characters_of(addr), "address");
}

/// What stands first in a response. False where this side takes the whole body for TLVs.
fn id_agrees(ours: &[u8], theirs: &impl Encode) -> bool {
    let theirs = characters_of(theirs);
    let is_tlvs_alone = ours.is_empty() && begins_like_a_tlv(&theirs);
    if !is_tlvs_alone {
        assert_eq!(ours, theirs, "the id of a response");
    }
    !is_tlvs_alone
}

fn begins_like_a_tlv(id: &[u8]) -> bool {
    matches!(id.first(), Some(0x01..=0x1F))
}

/// The TLVs of a response, found by its command alone.
fn tlvs_of_response(pdu: &[u8]) -> Tlvs<'_> {
    let header = Header::read(pdu).unwrap_or_else(|| panic!("a header"));
    response_tlvs(header.command_id, pdu)
}

/// The octets between the versions are not assigned, and are each side's own matter.
fn version_agrees(ours: Version, theirs: InterfaceVersion) {
    match theirs {
        InterfaceVersion::Smpp3_3OrEarlier(_) => assert_eq!(ours, Version::V33),
        InterfaceVersion::Smpp3_4 => assert_eq!(ours, Version::V34),
        InterfaceVersion::Smpp5_0 => assert_eq!(ours, Version::V50),
        InterfaceVersion::Other(_) => {}
    }
}

fn user_data_agrees(ours: &[u8], short_message: &[u8], tlvs: &[Tlv]) {
    if have_their_lengths(tlvs) {
        let payload = tlvs.iter().find(|tlv| tlv.tag() == TlvTag::MessagePayload);
        let theirs = payload.map_or_else(|| short_message.to_vec(), value_of);
        assert_eq!(ours, theirs, "user data");
    }
}

fn segment_agrees(may_be_segment: bool, esm_class: &impl Encode, tlvs: &[Tlv]) {
    if have_their_lengths(tlvs) {
        let has_header = octets_of(esm_class)[0] & EsmClass::UDHI != 0;
        let has_tlv = tlvs.iter().any(|tlv| tlv.tag() == TlvTag::SarMsgRefNum);
        assert_eq!(may_be_segment, has_header || has_tlv);
    }
}
