//! query_sm, its response, and query_broadcast_sm, which has the same body.
//!
//! Source: SMPP v3.4 section 4.8, v5.0 sections 4.5.2 and 4.6.1.

use std::ops::Range;

use super::Address;
use crate::core::wire::field::{FINAL_DATE, MESSAGE_ID, SOURCE_ADDR};
use crate::core::wire::tlv::{Tlvs, check_area};
use crate::core::wire::walk::{Span, Walk, octet, octets};
use crate::core::wire::{Fault, Header};

/// A query_sm or query_broadcast_sm.
#[derive(Clone, Copy, Debug)]
pub struct QueryView<'a> {
    pdu: &'a [u8],
    message_id: Span,
    source_addr: Span,
    tlvs: usize,
}

impl<'a> QueryView<'a> {
    /// Walks the body once. An empty message_id is left to the caller to judge.
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let message_id = walk.text(&MESSAGE_ID)?;
        let source_addr = walk.address(&SOURCE_ADDR)?;
        check_area(octets(pdu, walk.at()..pdu.len()))?;
        Ok(Self {
            pdu,
            message_id,
            source_addr,
            tlvs: walk.at(),
        })
    }

    /// `message_id`.
    pub fn message_id(&self) -> &'a [u8] {
        self.message_id.of(self.pdu)
    }

    /// Where `message_id` stands in the PDU, without its NUL.
    pub const fn message_id_range(&self) -> Range<usize> {
        self.message_id.range()
    }

    /// The source address of the message that is asked for.
    pub fn source(&self) -> Address<'a> {
        Address::before(self.pdu, self.source_addr)
    }

    /// The TLVs (v5.0).
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }
}

/// A query_sm_resp.
#[derive(Clone, Copy, Debug)]
pub struct QueryRespView<'a> {
    pdu: &'a [u8],
    message_id: Span,
    final_date: Span,
    has_body: bool,
}

const INTEGERS_BEHIND_FINAL_DATE: usize = 2;

impl<'a> QueryRespView<'a> {
    /// Walks the body once. A header alone, and an error with a body that is no query_sm_resp's, are read as empty fields.
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
        let final_date = walk.text(&FINAL_DATE)?;
        walk.skip_last(INTEGERS_BEHIND_FINAL_DATE, "error_code")?;
        Ok(Self {
            pdu,
            message_id,
            final_date,
            has_body: true,
        })
    }

    fn without_body(pdu: &'a [u8]) -> Self {
        Self {
            pdu,
            message_id: Span::default(),
            final_date: Span::default(),
            has_body: false,
        }
    }

    /// Whether the fields are there.
    pub const fn has_body(&self) -> bool {
        self.has_body
    }

    /// `message_id`.
    pub fn message_id(&self) -> &'a [u8] {
        self.message_id.of(self.pdu)
    }

    /// Where `message_id` stands in the PDU, without its NUL; `None` where the body is missing.
    pub fn message_id_range(&self) -> Option<Range<usize>> {
        self.has_body.then_some(self.message_id.range())
    }

    /// `final_date`: empty, 12 or 16 characters.
    pub fn final_date(&self) -> &'a [u8] {
        self.final_date.of(self.pdu)
    }

    /// `message_state`; `None` where the body is missing.
    pub fn message_state(&self) -> Option<u8> {
        self.has_body
            .then(|| octet(self.pdu, self.final_date.range().end + 1))
    }

    /// `error_code` of the network; `None` where the body is missing.
    pub fn error_code(&self) -> Option<u8> {
        self.has_body
            .then(|| octet(self.pdu, self.final_date.range().end + 2))
    }

    /// The TLVs, up to the first that does not parse.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        let at = if self.has_body {
            self.final_date.range().end + 1 + INTEGERS_BEHIND_FINAL_DATE
        } else {
            self.pdu.len()
        };
        Tlvs::new(self.pdu, at)
    }
}
