//! The body of every PDU as a table: for programs that show a PDU field by field.
//!
//! The forwarding path does not use it: views know their layout by heart.
//! Source: SMPP v3.4 section 4, v5.0 section 4.

use super::CommandId;
use super::field::{
    ADDRESS_RANGE, DESTINATION_ADDR, DL_NAME, ESME_ADDR, FINAL_DATE, LONG_DESTINATION_ADDR, LONG_SOURCE_ADDR,
    MESSAGE_ID, PASSWORD, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE, SOURCE_ADDR, SYSTEM_ID, SYSTEM_TYPE,
    TextField, VALIDITY_PERIOD,
};

/// One field of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldLayout {
    /// A big-endian integer: its name and its octets, 1 or 4.
    Integer(&'static str, usize),
    /// A C-Octet String.
    Text(TextField),
    /// A C-Octet String that is empty or of one length.
    Time(TextField),
    /// Octets, as many as the integer before says.
    Octets(&'static str),
    /// Entries, as many as the integer before says.
    Entries(EntryLayout),
}

/// What repeats in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryLayout {
    /// dest_address of submit_multi: dest_flag tells which fields follow.
    DestAddress,
    /// unsuccess_sme of submit_multi_resp.
    UnsuccessSme,
}

use FieldLayout::{Entries, Octets, Text, Time};

const fn octet(name: &'static str) -> FieldLayout {
    FieldLayout::Integer(name, 1)
}

const SOURCE_TON: FieldLayout = octet("source_addr_ton");
const SOURCE_NPI: FieldLayout = octet("source_addr_npi");
const DEST_TON: FieldLayout = octet("dest_addr_ton");
const DEST_NPI: FieldLayout = octet("dest_addr_npi");
const ESM_CLASS: FieldLayout = octet("esm_class");
const PROTOCOL_ID: FieldLayout = octet("protocol_id");
const PRIORITY_FLAG: FieldLayout = octet("priority_flag");
const REGISTERED_DELIVERY: FieldLayout = octet("registered_delivery");
const REPLACE_IF_PRESENT: FieldLayout = octet("replace_if_present_flag");
const DATA_CODING: FieldLayout = octet("data_coding");
const SM_DEFAULT_MSG_ID: FieldLayout = octet("sm_default_msg_id");
const SM_LENGTH: FieldLayout = octet("sm_length");
const SHORT_MESSAGE: FieldLayout = Octets("short_message");
const SCHEDULE: FieldLayout = Time(SCHEDULE_DELIVERY_TIME);
const VALIDITY: FieldLayout = Time(VALIDITY_PERIOD);

const BIND: &[FieldLayout] = &[
    Text(SYSTEM_ID),
    Text(PASSWORD),
    Text(SYSTEM_TYPE),
    octet("interface_version"),
    octet("addr_ton"),
    octet("addr_npi"),
    Text(ADDRESS_RANGE),
];
const BIND_RESP: &[FieldLayout] = &[Text(SYSTEM_ID)];
const OUTBIND: &[FieldLayout] = &[Text(SYSTEM_ID), Text(PASSWORD)];
const MESSAGE: &[FieldLayout] = &[
    Text(SERVICE_TYPE),
    SOURCE_TON,
    SOURCE_NPI,
    Text(SOURCE_ADDR),
    DEST_TON,
    DEST_NPI,
    Text(DESTINATION_ADDR),
    ESM_CLASS,
    PROTOCOL_ID,
    PRIORITY_FLAG,
    SCHEDULE,
    VALIDITY,
    REGISTERED_DELIVERY,
    REPLACE_IF_PRESENT,
    DATA_CODING,
    SM_DEFAULT_MSG_ID,
    SM_LENGTH,
    SHORT_MESSAGE,
];
const MESSAGE_ID_RESP: &[FieldLayout] = &[Text(MESSAGE_ID)];
const DATA: &[FieldLayout] = &[
    Text(SERVICE_TYPE),
    SOURCE_TON,
    SOURCE_NPI,
    Text(LONG_SOURCE_ADDR),
    DEST_TON,
    DEST_NPI,
    Text(LONG_DESTINATION_ADDR),
    ESM_CLASS,
    REGISTERED_DELIVERY,
    DATA_CODING,
];
const SUBMIT_MULTI: &[FieldLayout] = &[
    Text(SERVICE_TYPE),
    SOURCE_TON,
    SOURCE_NPI,
    Text(SOURCE_ADDR),
    octet("number_of_dests"),
    Entries(EntryLayout::DestAddress),
    ESM_CLASS,
    PROTOCOL_ID,
    PRIORITY_FLAG,
    SCHEDULE,
    VALIDITY,
    REGISTERED_DELIVERY,
    REPLACE_IF_PRESENT,
    DATA_CODING,
    SM_DEFAULT_MSG_ID,
    SM_LENGTH,
    SHORT_MESSAGE,
];
const SUBMIT_MULTI_RESP: &[FieldLayout] = &[
    Text(MESSAGE_ID),
    octet("no_unsuccess"),
    Entries(EntryLayout::UnsuccessSme),
];
const QUERY: &[FieldLayout] = &[Text(MESSAGE_ID), SOURCE_TON, SOURCE_NPI, Text(SOURCE_ADDR)];
const QUERY_RESP: &[FieldLayout] = &[
    Text(MESSAGE_ID),
    Text(FINAL_DATE),
    octet("message_state"),
    octet("error_code"),
];
const CANCEL: &[FieldLayout] = &[
    Text(SERVICE_TYPE),
    Text(MESSAGE_ID),
    SOURCE_TON,
    SOURCE_NPI,
    Text(SOURCE_ADDR),
    DEST_TON,
    DEST_NPI,
    Text(DESTINATION_ADDR),
];
const REPLACE: &[FieldLayout] = &[
    Text(MESSAGE_ID),
    SOURCE_TON,
    SOURCE_NPI,
    Text(SOURCE_ADDR),
    SCHEDULE,
    VALIDITY,
    REGISTERED_DELIVERY,
    SM_DEFAULT_MSG_ID,
    SM_LENGTH,
    SHORT_MESSAGE,
];
const ALERT: &[FieldLayout] = &[
    SOURCE_TON,
    SOURCE_NPI,
    Text(LONG_SOURCE_ADDR),
    octet("esme_addr_ton"),
    octet("esme_addr_npi"),
    Text(ESME_ADDR),
];
const BROADCAST: &[FieldLayout] = &[
    Text(SERVICE_TYPE),
    SOURCE_TON,
    SOURCE_NPI,
    Text(SOURCE_ADDR),
    Text(MESSAGE_ID),
    PRIORITY_FLAG,
    SCHEDULE,
    VALIDITY,
    REPLACE_IF_PRESENT,
    DATA_CODING,
    SM_DEFAULT_MSG_ID,
];
const CANCEL_BROADCAST: &[FieldLayout] = &[
    Text(SERVICE_TYPE),
    Text(MESSAGE_ID),
    SOURCE_TON,
    SOURCE_NPI,
    Text(SOURCE_ADDR),
];

/// The fields between header and TLVs in the order of the wire; empty for those that have none, `None` for reserved and
/// vendor commands.
pub const fn body_layout(command: CommandId) -> Option<&'static [FieldLayout]> {
    Some(match command {
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER => BIND,
        CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => BIND_RESP,
        CommandId::OUTBIND => OUTBIND,
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => MESSAGE,
        CommandId::SUBMIT_SM_RESP
        | CommandId::DELIVER_SM_RESP
        | CommandId::DATA_SM_RESP
        | CommandId::BROADCAST_SM_RESP
        | CommandId::QUERY_BROADCAST_SM_RESP => MESSAGE_ID_RESP,
        CommandId::DATA_SM => DATA,
        CommandId::SUBMIT_MULTI => SUBMIT_MULTI,
        CommandId::SUBMIT_MULTI_RESP => SUBMIT_MULTI_RESP,
        CommandId::QUERY_SM | CommandId::QUERY_BROADCAST_SM => QUERY,
        CommandId::QUERY_SM_RESP => QUERY_RESP,
        CommandId::CANCEL_SM => CANCEL,
        CommandId::REPLACE_SM => REPLACE,
        CommandId::ALERT_NOTIFICATION => ALERT,
        CommandId::BROADCAST_SM => BROADCAST,
        CommandId::CANCEL_BROADCAST_SM => CANCEL_BROADCAST,
        command if command.name().is_some() => &[],
        _ => return None,
    })
}

impl EntryLayout {
    /// The fields of one entry: of a dest_address those behind its dest_flag, `None` for a dest_flag that says nothing;
    /// an unsuccess_sme has no flag and is always the same.
    pub const fn fields(self, dest_flag: u8) -> Option<&'static [FieldLayout]> {
        match (self, dest_flag) {
            (Self::UnsuccessSme, _) => Some(&[
                DEST_TON,
                DEST_NPI,
                Text(DESTINATION_ADDR),
                FieldLayout::Integer("error_status_code", 4),
            ]),
            (Self::DestAddress, 1) => Some(&[DEST_TON, DEST_NPI, Text(DESTINATION_ADDR)]),
            (Self::DestAddress, 2) => Some(&[Text(DL_NAME)]),
            (Self::DestAddress, _) => None,
        }
    }
}
