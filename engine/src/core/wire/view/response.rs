//! The responses that carry a message_id: submit_sm_resp, deliver_sm_resp, data_sm_resp, broadcast_sm_resp.
//!
//! Nobody can refuse a response, so these are read leniently: the body may be missing, the id over-long or without its
//! NUL, and an error response may carry TLVs with no id before them.
//! Source: SMPP v3.4 sections 4.4.2, 4.6.2 and 4.7.2, v5.0 sections 4.2 and 4.3.

use std::ops::Range;

use crate::core::wire::field::MESSAGE_ID;
use crate::core::wire::tlv::{Tlvs, is_body_tlvs_alone};
use crate::core::wire::walk::{Walk, octets};
use crate::core::wire::{Fault, HEADER_OCTETS};

/// A response whose body is a message_id and TLVs.
#[derive(Clone, Copy, Debug)]
pub struct MessageIdRespView<'a> {
    pdu: &'a [u8],
    message_id_end: usize,
    tail: usize,
}

impl<'a> MessageIdRespView<'a> {
    /// Finds the end of the id. Only a PDU shorter than a header is a fault.
    #[inline]
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        if is_body_tlvs_alone(pdu) {
            return Ok(Self::without_id(pdu));
        }
        let message_id_end = match walk
            .text(&MESSAGE_ID)
            .or_else(|_| walk.text_of_any_length(&MESSAGE_ID))
        {
            Ok(message_id) => message_id.range().end,
            Err(_) => pdu.len(),
        };
        Ok(Self {
            pdu,
            message_id_end,
            tail: pdu.len().min(message_id_end + 1),
        })
    }

    const fn without_id(pdu: &'a [u8]) -> Self {
        Self {
            pdu,
            message_id_end: HEADER_OCTETS,
            tail: HEADER_OCTETS,
        }
    }

    /// The whole PDU.
    pub const fn pdu(&self) -> &'a [u8] {
        self.pdu
    }

    /// Whether anything follows the header.
    pub const fn has_body(&self) -> bool {
        self.pdu.len() > HEADER_OCTETS
    }

    /// `message_id`, opaque; empty where it is missing. May be longer than the specification allows.
    #[inline]
    pub fn message_id(&self) -> &'a [u8] {
        octets(self.pdu, self.message_id_range())
    }

    /// Where `message_id` stands in the PDU, without its NUL.
    #[inline]
    pub const fn message_id_range(&self) -> Range<usize> {
        HEADER_OCTETS..self.message_id_end
    }

    /// Where the octets behind the id's NUL stand in the PDU: to be kept by who writes another id.
    #[inline]
    pub const fn tail_range(&self) -> Range<usize> {
        self.tail..self.pdu.len()
    }

    /// The octets behind the id's NUL.
    #[inline]
    pub fn tail(&self) -> &'a [u8] {
        octets(self.pdu, self.tail_range())
    }

    /// The TLVs, up to the first that does not parse.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(body: &[u8]) -> Vec<u8> {
        let mut pdu = vec![0; HEADER_OCTETS];
        pdu.extend_from_slice(body);
        pdu
    }

    /// Goal: every odd body that real servers send is read, and id and tail together cover it.
    #[test]
    fn odd_bodies_are_read() {
        let over_long = [b'i'; 80];
        let cases: [(&[u8], &[u8], &[u8]); 7] = [
            (b"", b"", b""),
            (b"\0", b"", b""),
            (b"ab\0", b"ab", b""),
            (b"ab", b"ab", b""),
            (b"ab\0\x04\x28\0\x01\x50", b"ab", b"\x04\x28\0\x01\x50"),
            (b"\x04\x28\0\x01\x50", b"", b"\x04\x28\0\x01\x50"),
            (&over_long, &over_long, b""),
        ];
        for (body, message_id, tail) in cases {
            let pdu = response(body);
            let view = MessageIdRespView::parse(&pdu).expect("responses are read leniently");
            assert_eq!((view.message_id(), view.tail()), (message_id, tail), "{body:?}");
        }
        assert!(MessageIdRespView::parse(&[0; 15]).is_err());
    }
}
