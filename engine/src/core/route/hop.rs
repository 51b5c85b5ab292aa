//! The hop guard: a TLV that counts how often a message has passed a gateway, so that none goes round for ever.

use crate::core::wire::{
    BroadcastView, CommandId, DataView, Fault, Header, MessageView, SubmitMultiView, Tag,
    patch_command_length,
};
use bytes::{BufMut, BytesMut};

/// Which TLV counts, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HopGuard {
    /// Its tag; its value is one octet.
    pub tag: u16,
    /// A message that has passed so many gateways passes no other.
    pub hops_max: u8,
}

/// What became of a message at the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// It was written with its count one higher.
    Counted,
    /// It has passed too many gateways.
    TooMany,
}

impl HopGuard {
    /// Appends a copy of a checked message with one more hop; appends nothing where it has too many.
    pub(in crate::core) fn append(self, out: &mut BytesMut, pdu: &[u8]) -> Result<Hop, Fault> {
        let command = Header::read(pdu).ok_or(Fault::truncated("header"))?.command_id;
        let mut tlvs = match command {
            CommandId::DATA_SM => DataView::parse(pdu)?.tlvs(),
            CommandId::SUBMIT_MULTI => SubmitMultiView::parse(pdu)?.tlvs(),
            CommandId::BROADCAST_SM => BroadcastView::parse(pdu)?.tlvs(),
            _ => MessageView::parse(pdu)?.tlvs(),
        };
        let counter = tlvs
            .by_ref()
            .map_while(Result::ok)
            .find(|tlv| tlv.tag == Tag(self.tag) && tlv.value.len() == 1);
        let start = out.len();
        match counter {
            Some(counter) => {
                let hops = counter.value.first().copied().unwrap_or(u8::MAX);
                if hops >= self.hops_max {
                    return Ok(Hop::TooMany);
                }
                out.extend_from_slice(pdu);
                out[start + counter.value_range().start] = hops + 1;
            }
            None => {
                out.extend_from_slice(pdu);
                out.put_u16(self.tag);
                out.put_u16(1);
                out.put_u8(1);
            }
        }
        patch_command_length(&mut out[start..]);
        Ok(Hop::Counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::{Message, Status, write_pdu};

    /// Goal: a message passes as many gateways as the guard says, counted in the one TLV, and not one more.
    #[test]
    fn hops_are_counted_to_the_limit() {
        let guard = HopGuard {
            tag: 0x1500,
            hops_max: 3,
        };
        let mut pdu = BytesMut::new();
        write_pdu(
            &mut pdu,
            CommandId::SUBMIT_SM,
            Status::ESME_ROK,
            1,
            &Message::default(),
        )
        .expect("it fits");
        let octets = pdu.len();
        for hop in 1..=3 {
            let mut out = BytesMut::new();
            assert_eq!(guard.append(&mut out, &pdu), Ok(Hop::Counted));
            let view = MessageView::parse(&out).expect("well-formed");
            assert_eq!(
                view.tlvs().find(Tag(0x1500)).and_then(|tlv| tlv.integer()),
                Some(hop)
            );
            assert_eq!(out.len(), octets + 5);
            assert_eq!(
                Header::read(&out).map(|header| header.command_length as usize),
                Some(out.len())
            );
            pdu = out;
        }
        let mut out = BytesMut::new();
        assert_eq!(guard.append(&mut out, &pdu), Ok(Hop::TooMany));
        assert!(out.is_empty());
    }
}
