//! submit_multi_resp: one message_id, and the destinations that failed.
//!
//! Source: SMPP v3.4 section 4.5.2, v5.0 section 4.2.3.2.

use std::ops::Range;

use super::Address;
use crate::core::wire::field::{DESTINATION_ADDR, MESSAGE_ID};
use crate::core::wire::tlv::Tlvs;
use crate::core::wire::walk::{Span, Walk, octet, octets};
use crate::core::wire::{Fault, Header, Status};

/// A destination that a submit_multi did not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsuccessSme<'a> {
    /// The destination.
    pub destination: Address<'a>,
    /// `error_status_code`: why.
    pub error_status_code: Status,
}

/// A submit_multi_resp.
#[derive(Clone, Copy, Debug)]
pub struct SubmitMultiRespView<'a> {
    pdu: &'a [u8],
    message_id: Span,
    no_unsuccess: Option<usize>,
    tlvs: usize,
}

const ERROR_STATUS_OCTETS: usize = 4;

impl<'a> SubmitMultiRespView<'a> {
    /// Walks the body once, all failed destinations included. A header alone, and an error with a body that is no
    /// submit_multi_resp's, are read as empty fields.
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let walk = Walk::body(pdu)?;
        if walk.is_at_end() {
            return Ok(Self::without_body(pdu));
        }
        Self::parse_body(pdu, walk).or_else(|fault| {
            let is_error = Header::read(pdu).is_some_and(|header| !header.command_status.is_ok());
            if is_error {
                Ok(Self::without_body(pdu))
            } else {
                Err(fault)
            }
        })
    }

    fn parse_body(pdu: &'a [u8], mut walk: Walk<'a>) -> Result<Self, Fault> {
        let message_id = walk.text_of_any_length(&MESSAGE_ID)?;
        let no_unsuccess = walk.at();
        for _ in 0..walk.integer("no_unsuccess")? {
            walk.address(&DESTINATION_ADDR)?;
            walk.skip_last(ERROR_STATUS_OCTETS, "error_status_code")?;
        }
        Ok(Self {
            pdu,
            message_id,
            no_unsuccess: Some(no_unsuccess),
            tlvs: walk.at(),
        })
    }

    fn without_body(pdu: &'a [u8]) -> Self {
        Self {
            pdu,
            message_id: Span::default(),
            no_unsuccess: None,
            tlvs: pdu.len(),
        }
    }

    /// `message_id` of all that were taken.
    pub fn message_id(&self) -> &'a [u8] {
        self.message_id.of(self.pdu)
    }

    /// Where `message_id` stands in the PDU, without its NUL; `None` where the body is missing.
    pub fn message_id_range(&self) -> Option<Range<usize>> {
        self.no_unsuccess.map(|_| self.message_id.range())
    }

    /// The destinations that failed, in the order of the wire.
    pub fn unsuccess_smes(&self) -> UnsuccessSmes<'a> {
        let at = self.no_unsuccess.unwrap_or(self.pdu.len());
        UnsuccessSmes {
            pdu: self.pdu,
            at: at + 1,
            left: octet(self.pdu, at),
        }
    }

    /// The TLVs, up to the first that does not parse.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }
}

/// The failed destinations of a submit_multi_resp that was walked.
#[derive(Clone, Debug)]
pub struct UnsuccessSmes<'a> {
    pdu: &'a [u8],
    at: usize,
    left: u8,
}

impl<'a> Iterator for UnsuccessSmes<'a> {
    type Item = UnsuccessSme<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut walk = Walk::from(self.pdu, self.at);
        let addr = walk.address(&DESTINATION_ADDR).ok()?;
        let from = walk.at();
        self.at = from + ERROR_STATUS_OCTETS;
        let status = octets(self.pdu, from..self.at).first_chunk().copied()?;
        Some(UnsuccessSme {
            destination: Address::before(self.pdu, addr),
            error_status_code: Status(u32::from_be_bytes(status)),
        })
    }
}
