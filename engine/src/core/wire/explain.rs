//! What the values of fields mean, in words: for people who look at a PDU.
//!
//! Source: SMPP v3.4 sections 5.2 and 5.3, v5.0 sections 4.7 and 4.8.

use std::fmt;

use super::decode::{FieldName, FieldValue};
use super::value::{EsmClass, MessageState};
use super::words::{data_coding_word, npi_word, tlv_word, ton_word};
use super::{CommandId, Status, Tag, Version};

/// The meaning of a value; to be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation(Meaning);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Word(&'static str),
    Command(CommandId),
    Status(Status),
    EsmClass(EsmClass),
    RegisteredDelivery(u8),
    MessageState(MessageState),
    Version(Version),
    NetworkError { network: &'static str, code: u16 },
}

impl Explanation {
    /// The meaning of a field's value; `None` where the value speaks for itself or is reserved.
    pub fn of(name: FieldName, value: FieldValue<'_>) -> Option<Self> {
        let meaning = match (name, value) {
            (FieldName::Field("command_id"), FieldValue::Integer(id)) => Meaning::Command(CommandId(id)),
            (FieldName::Field("command_status" | "error_status_code"), FieldValue::Integer(status)) => {
                Meaning::Status(Status(status))
            }
            (FieldName::Tlv(Tag::BROADCAST_ERROR_STATUS), FieldValue::Integer(status)) => {
                Meaning::Status(Status(status))
            }
            (FieldName::Field(name), FieldValue::Integer(value)) => {
                field_meaning(name, u8::try_from(value).ok()?)?
            }
            (FieldName::Tlv(tag), FieldValue::Integer(value)) => tlv_meaning(tag, u8::try_from(value).ok()?)?,
            (FieldName::Tlv(Tag::NETWORK_ERROR_CODE), FieldValue::Octets([network, high, low])) => {
                Meaning::NetworkError {
                    network: network_word(*network),
                    code: u16::from_be_bytes([*high, *low]),
                }
            }
            _ => return None,
        };
        Some(Self(meaning))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Meaning::Word(word) => formatter.write_str(word),
            Meaning::Command(command) => fmt::Display::fmt(&command, formatter),
            Meaning::Status(status) => match status.meaning() {
                Some(meaning) => write!(formatter, "{status}: {meaning}"),
                None => fmt::Display::fmt(&status, formatter),
            },
            Meaning::EsmClass(esm_class) => write_esm_class(esm_class, formatter),
            Meaning::RegisteredDelivery(flags) => write_registered_delivery(flags, formatter),
            Meaning::MessageState(state) => fmt::Display::fmt(&state, formatter),
            Meaning::Version(version) => write!(formatter, "v{version}"),
            Meaning::NetworkError { network, code } => write!(formatter, "{network}, code {code}"),
        }
    }
}

fn field_meaning(name: &str, value: u8) -> Option<Meaning> {
    Some(match name {
        "source_addr_ton" | "dest_addr_ton" | "addr_ton" | "esme_addr_ton" => Meaning::Word(ton_word(value)?),
        "source_addr_npi" | "dest_addr_npi" | "addr_npi" | "esme_addr_npi" => Meaning::Word(npi_word(value)?),
        "esm_class" => Meaning::EsmClass(EsmClass(value)),
        "registered_delivery" => Meaning::RegisteredDelivery(value),
        "data_coding" => Meaning::Word(data_coding_word(value)),
        "message_state" => Meaning::MessageState(MessageState(value)),
        "interface_version" => Meaning::Version(Version::from_interface_version(value)),
        "dest_flag" => Meaning::Word(match value {
            1 => "SME address",
            2 => "distribution list",
            _ => return None,
        }),
        "replace_if_present_flag" => Meaning::Word(match value {
            0 => "do not replace",
            1 => "replace",
            _ => return None,
        }),
        _ => return None,
    })
}

fn tlv_meaning(tag: Tag, value: u8) -> Option<Meaning> {
    match tag {
        Tag::MESSAGE_STATE => Some(Meaning::MessageState(MessageState(value))),
        Tag::SC_INTERFACE_VERSION => Some(Meaning::Version(Version::from_interface_version(value))),
        _ => tlv_word(tag, value).map(Meaning::Word),
    }
}

fn write_esm_class(esm_class: EsmClass, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    formatter.write_str(match esm_class.messaging_mode() {
        0 => "default mode",
        1 => "datagram mode",
        2 => "forward (transaction) mode",
        _ => "store and forward mode",
    })?;
    formatter.write_str(match esm_class.message_type() {
        0x00 => "",
        EsmClass::DELIVERY_RECEIPT => ", delivery receipt",
        0x08 => ", delivery acknowledgement",
        0x10 => ", manual acknowledgement",
        0x18 => ", conversation abort",
        EsmClass::INTERMEDIATE_NOTIFICATION => ", intermediate notification",
        _ => ", reserved message type",
    })?;
    if esm_class.has_user_data_header() {
        formatter.write_str(", user data header")?;
    }
    if esm_class.0 & EsmClass::REPLY_PATH != 0 {
        formatter.write_str(", reply path")?;
    }
    Ok(())
}

fn write_registered_delivery(flags: u8, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    formatter.write_str(match flags & 0x03 {
        0 => "no receipt",
        1 => "receipt on success or failure",
        2 => "receipt on failure",
        _ => "receipt on success",
    })?;
    formatter.write_str(match flags & 0x0C {
        0x00 => "",
        0x04 => ", delivery acknowledgement",
        0x08 => ", user acknowledgement",
        _ => ", delivery and user acknowledgement",
    })?;
    if flags & 0x10 != 0 {
        formatter.write_str(", intermediate notification")?;
    }
    Ok(())
}

/// The network that the first octet of network_error_code names (v5.0 section 4.8.4.42).
const fn network_word(network: u8) -> &'static str {
    match network {
        1 => "ANSI-136 access denied",
        2 => "IS-95 access denied",
        3 => "GSM",
        4 => "ANSI-136",
        5 => "IS-95",
        6 => "ANSI-41",
        7 => "SMPP",
        8 => "message centre",
        _ => "reserved network",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(name: &'static str, value: u32) -> Option<String> {
        Explanation::of(FieldName::Field(name), FieldValue::Integer(value)).map(|words| words.to_string())
    }

    /// Goal: bits are taken apart, names are given, and plain numbers are left alone.
    #[test]
    fn values_are_explained() {
        assert_eq!(
            explain("esm_class", 0xC7).as_deref(),
            Some("store and forward mode, delivery receipt, user data header, reply path")
        );
        assert_eq!(
            explain("registered_delivery", 0x11).as_deref(),
            Some("receipt on success or failure, intermediate notification")
        );
        assert_eq!(
            explain("command_status", 8).as_deref(),
            Some("ESME_RSYSERR: MC (partly) unavailable")
        );
        assert_eq!(
            explain("dest_addr_npi", 1).as_deref(),
            Some("ISDN (E.163, E.164)")
        );
        assert_eq!(explain("sm_length", 8), None);
        assert_eq!(explain("source_addr_ton", 7), None);
    }

    /// Goal: TLVs are explained like fields, structured ones too.
    #[test]
    fn tlvs_are_explained() {
        let of = |tag, value| Explanation::of(FieldName::Tlv(tag), value).map(|words| words.to_string());
        assert_eq!(
            of(Tag::MESSAGE_STATE, FieldValue::Integer(2)).as_deref(),
            Some("DELIVERED")
        );
        assert_eq!(
            of(Tag::NETWORK_ERROR_CODE, FieldValue::Octets(&[3, 0, 27])).as_deref(),
            Some("GSM, code 27")
        );
        assert_eq!(
            of(Tag::SC_INTERFACE_VERSION, FieldValue::Integer(0x50)).as_deref(),
            Some("v5.0")
        );
        assert_eq!(of(Tag(0x1402), FieldValue::Integer(1)), None);
    }
}
