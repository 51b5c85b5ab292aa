//! The bodies of binds, operations and responses.
//!
//! Source: SMPP v3.4 section 4, v5.0 section 4.

use super::PduWriter;
use crate::core::wire::field::{
    ADDRESS_RANGE, DESTINATION_ADDR, FINAL_DATE, MESSAGE_ID, PASSWORD, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE,
    SOURCE_ADDR, SYSTEM_ID, SYSTEM_TYPE, TextField, VALIDITY_PERIOD,
};
use crate::core::wire::{Address, Tag, Version};

/// What stands behind the header of a PDU.
pub trait Body {
    /// Appends the fields in the order of the wire.
    fn write_to(&self, pdu: &mut PduWriter<'_>);
}

/// Nothing behind the header.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBody;

impl Body for NoBody {
    fn write_to(&self, _pdu: &mut PduWriter<'_>) {}
}

/// The body of the three binds.
#[derive(Clone, Copy)]
pub struct Bind<'a> {
    /// The account; up to 64 characters, since many networks go beyond the 15 of the specification.
    pub system_id: &'a [u8],
    /// Its password; up to 64 characters instead of 8.
    pub password: &'a [u8],
    /// The kind of system, often empty.
    pub system_type: &'a [u8],
    /// The highest version that the ESME speaks.
    pub version: Version,
    /// Type of number of `address_range`.
    pub addr_ton: u8,
    /// Numbering plan of `address_range`.
    pub addr_npi: u8,
    /// The addresses that the ESME serves.
    pub address_range: &'a [u8],
}

const CREDENTIAL_OCTETS_MAX: usize = 65;
const LONG_SYSTEM_ID: TextField = TextField {
    octets_max: CREDENTIAL_OCTETS_MAX,
    ..SYSTEM_ID
};
const LONG_PASSWORD: TextField = TextField {
    octets_max: CREDENTIAL_OCTETS_MAX,
    ..PASSWORD
};

impl Body for Bind<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&LONG_SYSTEM_ID, self.system_id)
            .text(&LONG_PASSWORD, self.password)
            .text(&SYSTEM_TYPE, self.system_type)
            .integer(self.version.interface_version())
            .integer(self.addr_ton)
            .integer(self.addr_npi)
            .text(&ADDRESS_RANGE, self.address_range);
    }
}

/// The body of a positive bind response; a negative one has none.
#[derive(Clone, Copy, Debug)]
pub struct BindResponse<'a> {
    /// Who answers.
    pub system_id: &'a [u8],
    /// The `sc_interface_version` TLV; `None` towards a v3.3 peer, which knows no TLVs.
    pub sc_interface_version: Option<Version>,
}

impl Body for BindResponse<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&LONG_SYSTEM_ID, self.system_id);
        if let Some(version) = self.sc_interface_version {
            pdu.tlv(Tag::SC_INTERFACE_VERSION, &[version.interface_version()]);
        }
    }
}

/// The body of outbind.
#[derive(Clone, Copy)]
pub struct Outbind<'a> {
    /// The message centre.
    pub system_id: &'a [u8],
    /// Its password.
    pub password: &'a [u8],
}

impl Body for Outbind<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&LONG_SYSTEM_ID, self.system_id)
            .text(&LONG_PASSWORD, self.password);
    }
}

/// The body of submit_sm_resp, deliver_sm_resp (id empty), data_sm_resp and the broadcast responses.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageIdResponse<'a> {
    /// The id; over-long ids of a server pass, so its length is not checked. Holds no NUL.
    pub message_id: &'a [u8],
}

impl Body for MessageIdResponse<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text_unchecked(self.message_id);
    }
}

/// The body of query_sm and query_broadcast_sm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a> {
    /// The message that is asked for.
    pub message_id: &'a [u8],
    /// Its source address.
    pub source: Address<'a>,
}

impl Body for Query<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&MESSAGE_ID, self.message_id)
            .address(&SOURCE_ADDR, &self.source);
    }
}

/// The body of query_sm_resp.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryResponse<'a> {
    /// The message that was asked for.
    pub message_id: &'a [u8],
    /// When it reached a final state; empty before.
    pub final_date: &'a [u8],
    /// Its state.
    pub message_state: u8,
    /// The network's error code.
    pub error_code: u8,
}

impl Body for QueryResponse<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&MESSAGE_ID, self.message_id)
            .text(&FINAL_DATE, self.final_date)
            .integer(self.message_state)
            .integer(self.error_code);
    }
}

/// The body of cancel_sm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cancel<'a> {
    /// The service of the message.
    pub service_type: &'a [u8],
    /// The message; empty for all from source to destination.
    pub message_id: &'a [u8],
    /// The source address of the message.
    pub source: Address<'a>,
    /// The destination address of the message.
    pub destination: Address<'a>,
}

impl Body for Cancel<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&SERVICE_TYPE, self.service_type)
            .text(&MESSAGE_ID, self.message_id)
            .address(&SOURCE_ADDR, &self.source)
            .address(&DESTINATION_ADDR, &self.destination);
    }
}

/// The body of replace_sm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replace<'a> {
    /// The message.
    pub message_id: &'a [u8],
    /// Its source address.
    pub source: Address<'a>,
    /// When to deliver; empty keeps the old time.
    pub schedule_delivery_time: &'a [u8],
    /// Until when to try; empty keeps the old time.
    pub validity_period: &'a [u8],
    /// Which receipts to send.
    pub registered_delivery: u8,
    /// A canned message instead of the text; 0 for none.
    pub sm_default_msg_id: u8,
    /// The new text.
    pub short_message: &'a [u8],
}

impl Body for Replace<'_> {
    fn write_to(&self, pdu: &mut PduWriter<'_>) {
        pdu.text(&MESSAGE_ID, self.message_id)
            .address(&SOURCE_ADDR, &self.source)
            .time(&SCHEDULE_DELIVERY_TIME, self.schedule_delivery_time)
            .time(&VALIDITY_PERIOD, self.validity_period)
            .integer(self.registered_delivery)
            .integer(self.sm_default_msg_id)
            .short_message(self.short_message);
    }
}
