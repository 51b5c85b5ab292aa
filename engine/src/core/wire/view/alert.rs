//! alert_notification.
//!
//! Source: SMPP v3.4 section 4.12, v5.0 section 4.1.3.

use super::Address;
use crate::core::wire::field::{ESME_ADDR, LONG_SOURCE_ADDR};
use crate::core::wire::tlv::{Tlvs, check_area};
use crate::core::wire::walk::{Span, Walk, octets};
use crate::core::wire::{Fault, Tag};

/// An alert_notification: a subscriber became reachable. It has no response.
#[derive(Clone, Copy, Debug)]
pub struct AlertView<'a> {
    pdu: &'a [u8],
    source_addr: Span,
    esme_addr: Span,
    tlvs: usize,
}

impl<'a> AlertView<'a> {
    /// Walks the body once.
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let source_addr = walk.address(&LONG_SOURCE_ADDR)?;
        let esme_addr = walk.address(&ESME_ADDR)?;
        check_area(octets(pdu, walk.at()..pdu.len()))?;
        Ok(Self {
            pdu,
            source_addr,
            esme_addr,
            tlvs: walk.at(),
        })
    }

    /// The subscriber that became reachable.
    pub fn source(&self) -> Address<'a> {
        Address::before(self.pdu, self.source_addr)
    }

    /// The ESME that asked to be told: `esme_addr_ton`, `esme_addr_npi`, `esme_addr`.
    pub fn esme(&self) -> Address<'a> {
        Address::before(self.pdu, self.esme_addr)
    }

    /// The `ms_availability_status` TLV.
    pub fn ms_availability_status(&self) -> Option<u8> {
        self.tlvs()
            .find(Tag::MS_AVAILABILITY_STATUS)
            .and_then(|tlv| tlv.value.first().copied())
    }

    /// The TLVs.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }
}
