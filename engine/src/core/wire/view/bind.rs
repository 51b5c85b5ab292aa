//! The three binds, their responses, and outbind.
//!
//! Source: SMPP v3.4 section 4.1, v5.0 section 4.1.1.

use std::ops::Range;

use crate::core::wire::field::{ADDRESS_RANGE, PASSWORD, SYSTEM_ID, SYSTEM_TYPE, TextField};
use crate::core::wire::tlv::{Tlvs, check_area, is_body_tlvs_alone};
use crate::core::wire::walk::{Span, Walk, octet, octets};
use crate::core::wire::{Fault, HEADER_OCTETS, Header, Tag, Version};

/// How long the credentials of a bind may be. Real accounts break the limits of the specification (15 and 8 characters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindLimits {
    /// The most octets of a system_id, its NUL included.
    pub system_id_octets_max: usize,
    /// The most octets of a password, its NUL included.
    pub password_octets_max: usize,
}

impl BindLimits {
    /// The limits of the specification.
    pub const STRICT: Self = Self {
        system_id_octets_max: SYSTEM_ID.octets_max,
        password_octets_max: PASSWORD.octets_max,
    };

    /// 64 characters each: what networks use, still bounded.
    pub const LENIENT: Self = Self {
        system_id_octets_max: 65,
        password_octets_max: 65,
    };
}

impl Default for BindLimits {
    fn default() -> Self {
        Self::LENIENT
    }
}

/// A bind_transmitter, bind_receiver or bind_transceiver.
#[derive(Clone, Copy)]
pub struct BindView<'a> {
    pdu: &'a [u8],
    system_id: Span,
    password: Span,
    system_type: Span,
    address_range: Span,
    tlvs: usize,
}

const INTEGERS_BEFORE_ADDRESS_RANGE: usize = 3;

impl<'a> BindView<'a> {
    /// Walks the body once; `limits` widen system_id and password, nothing else. TLVs have no meaning in a bind, but
    /// must parse.
    pub fn parse(pdu: &'a [u8], limits: BindLimits) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let system_id = walk.text(&limits.system_id())?;
        let password = walk.text(&limits.password())?;
        let system_type = walk.text(&SYSTEM_TYPE)?;
        walk.skip(INTEGERS_BEFORE_ADDRESS_RANGE);
        let address_range = walk.text(&ADDRESS_RANGE)?;
        check_area(octets(pdu, walk.at()..pdu.len()))?;
        Ok(Self {
            pdu,
            system_id,
            password,
            system_type,
            address_range,
            tlvs: walk.at(),
        })
    }

    /// `system_id`: the account.
    pub fn system_id(&self) -> &'a [u8] {
        self.system_id.of(self.pdu)
    }

    /// `password`; compare it in constant time and never log it.
    pub fn password(&self) -> &'a [u8] {
        self.password.of(self.pdu)
    }

    /// Where `password` stands in the PDU, for those who log a PDU.
    pub const fn password_range(&self) -> Range<usize> {
        self.password.range()
    }

    /// `system_type`.
    pub fn system_type(&self) -> &'a [u8] {
        self.system_type.of(self.pdu)
    }

    /// `interface_version`, as it stands on the wire.
    pub fn interface_version(&self) -> u8 {
        octet(self.pdu, self.system_type.range().end + 1)
    }

    /// The version that `interface_version` stands for.
    pub fn version(&self) -> Version {
        Version::from_interface_version(self.interface_version())
    }

    /// `addr_ton`.
    pub fn addr_ton(&self) -> u8 {
        octet(self.pdu, self.system_type.range().end + 2)
    }

    /// `addr_npi`.
    pub fn addr_npi(&self) -> u8 {
        octet(self.pdu, self.system_type.range().end + 3)
    }

    /// `address_range`: one address or a UNIX regular expression, up to 40 characters.
    pub fn address_range(&self) -> &'a [u8] {
        self.address_range.of(self.pdu)
    }

    /// The TLVs; the specification defines none for binds.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }
}

impl std::fmt::Debug for BindView<'_> {
    /// Everything but the password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BindView")
            .field("system_id", &self.system_id().escape_ascii().to_string())
            .field("interface_version", &self.interface_version())
            .field("address_range", &self.address_range().escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

impl BindLimits {
    const fn system_id(self) -> TextField {
        TextField {
            octets_max: self.system_id_octets_max,
            ..SYSTEM_ID
        }
    }

    const fn password(self) -> TextField {
        TextField {
            octets_max: self.password_octets_max,
            ..PASSWORD
        }
    }
}

/// A response to a bind. Read leniently: on an error, and from some servers always, the body is missing or odd.
#[derive(Clone, Copy, Debug)]
pub struct BindRespView<'a> {
    pdu: &'a [u8],
    system_id: Span,
    tlvs: usize,
}

impl<'a> BindRespView<'a> {
    /// Walks the body once. Only a PDU shorter than a header is a fault.
    pub fn parse(pdu: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let system_id = if is_body_tlvs_alone(pdu) {
            Span::default()
        } else {
            walk.text_of_any_length(&SYSTEM_ID).unwrap_or_default()
        };
        Ok(Self {
            pdu,
            system_id,
            tlvs: walk.at(),
        })
    }

    /// The outcome of the bind.
    pub fn header(&self) -> Option<Header> {
        Header::read(self.pdu)
    }

    /// Whether anything follows the header.
    pub const fn has_body(&self) -> bool {
        self.pdu.len() > HEADER_OCTETS
    }

    /// `system_id` of the message centre; empty where the body is missing.
    pub fn system_id(&self) -> &'a [u8] {
        self.system_id.of(self.pdu)
    }

    /// The TLVs, up to the first that does not parse.
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.pdu, self.tlvs)
    }

    /// The `sc_interface_version` TLV: the highest version of the message centre. `None`: it promises no TLV support.
    pub fn sc_interface_version(&self) -> Option<u8> {
        self.tlvs()
            .find(Tag::SC_INTERFACE_VERSION)
            .and_then(|tlv| tlv.value.first().copied())
    }
}

/// An outbind: a message centre asks an ESME to bind.
#[derive(Clone, Copy)]
pub struct OutbindView<'a> {
    pdu: &'a [u8],
    system_id: Span,
    password: Span,
}

impl<'a> OutbindView<'a> {
    /// Walks the body once; octets behind the password are ignored.
    pub fn parse(pdu: &'a [u8], limits: BindLimits) -> Result<Self, Fault> {
        let mut walk = Walk::body(pdu)?;
        let system_id = walk.text(&limits.system_id())?;
        let password = walk.text(&limits.password())?;
        Ok(Self {
            pdu,
            system_id,
            password,
        })
    }

    /// `system_id` of the message centre.
    pub fn system_id(&self) -> &'a [u8] {
        self.system_id.of(self.pdu)
    }

    /// `password`; compare it in constant time and never log it.
    pub fn password(&self) -> &'a [u8] {
        self.password.of(self.pdu)
    }
}

impl std::fmt::Debug for OutbindView<'_> {
    /// Everything but the password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OutbindView")
            .field("system_id", &self.system_id().escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}
