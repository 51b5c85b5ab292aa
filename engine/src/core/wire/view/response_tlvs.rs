//! The TLVs of any response, whatever stands before them.

use super::{BindRespView, MessageIdRespView, QueryRespView, SubmitMultiRespView};
use crate::core::wire::tlv::{Tlvs, is_body_tlvs_alone};
use crate::core::wire::{CommandId, HEADER_OCTETS};

/// The TLVs of a response of SMPP; none where its body is not one of that command.
pub fn response_tlvs(command: CommandId, pdu: &[u8]) -> Tlvs<'_> {
    let behind_header = Tlvs::new(pdu, HEADER_OCTETS);
    if is_body_tlvs_alone(pdu) {
        return behind_header;
    }
    let tlvs = match command {
        CommandId::SUBMIT_SM_RESP
        | CommandId::DELIVER_SM_RESP
        | CommandId::DATA_SM_RESP
        | CommandId::BROADCAST_SM_RESP
        | CommandId::QUERY_BROADCAST_SM_RESP => MessageIdRespView::parse(pdu).map(|view| view.tlvs()),
        CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => BindRespView::parse(pdu).map(|view| view.tlvs()),
        CommandId::QUERY_SM_RESP => QueryRespView::parse(pdu).map(|view| view.tlvs()),
        CommandId::SUBMIT_MULTI_RESP => SubmitMultiRespView::parse(pdu).map(|view| view.tlvs()),
        command if command.is_vendor() => Ok(Tlvs::new(pdu, pdu.len())),
        // Nothing but TLVs can follow the header of the others.
        _ => Ok(behind_header),
    };
    tlvs.unwrap_or(Tlvs::new(pdu, pdu.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::Tag;

    /// Goal: a TLV is found behind the body of every response, behind a header alone, and not in a body of another layout.
    #[test]
    fn tlvs_are_found_behind_every_body() {
        let bodies: [(CommandId, &[u8]); 15] = [
            (CommandId::SUBMIT_SM_RESP, b"12AB\0"),
            (CommandId::SUBMIT_SM_RESP, b""),
            (CommandId::DATA_SM_RESP, b"\0"),
            (CommandId::DELIVER_SM_RESP, b"\0"),
            (CommandId::BROADCAST_SM_RESP, b"12\0"),
            (CommandId::QUERY_BROADCAST_SM_RESP, b"12\0"),
            (CommandId::BIND_TRANSCEIVER_RESP, b"smsc\0"),
            (CommandId::BIND_RECEIVER_RESP, b"\0"),
            (CommandId::QUERY_SM_RESP, b"12AB\0\0\x02\x00"),
            (CommandId::SUBMIT_MULTI_RESP, b"12AB\0\0"),
            (
                CommandId::SUBMIT_MULTI_RESP,
                b"12AB\0\x01\x01\x014477\0\0\0\0\x0B",
            ),
            (CommandId::CANCEL_SM_RESP, b""),
            (CommandId::REPLACE_SM_RESP, b""),
            (CommandId::ENQUIRE_LINK_RESP, b""),
            (CommandId::GENERIC_NACK, b""),
        ];
        for (command, body) in bodies {
            let pdu = [&[0; HEADER_OCTETS][..], body, b"\x04\x28\0\x01\x5B"].concat();
            let tlv = response_tlvs(command, &pdu).find(Tag::CONGESTION_STATE);
            assert_eq!(tlv.map(|tlv| tlv.value), Some(&[91][..]), "{command:?}");
            let without = &pdu[..pdu.len() - 5];
            assert_eq!(response_tlvs(command, without).next(), None, "{command:?}");
        }
        let cut = [&[0; HEADER_OCTETS][..], b"12\0\x09\x01"].concat();
        assert_eq!(response_tlvs(CommandId::SUBMIT_MULTI_RESP, &cut).next(), None);
    }
}
