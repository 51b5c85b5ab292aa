//! What is wrong with a PDU, and how SMPP wants it answered.
//!
//! A fault is always the doing of the peer that sent the PDU. It names the rule that was broken, the field and the
//! command_status to answer with; it never carries octets of the PDU, so it can be logged as it is.
//! Source: SMPP v5.0 sections 2.8.2 and 2.11, v3.4 sections 3.3 and 5.1.3.

use std::fmt;

use super::{CommandId, HEADER_OCTETS, Header, Status};

/// A rule that a received PDU broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The rule.
    pub kind: FaultKind,
    /// The command_status to answer with.
    pub status: Status,
    /// The field, by the name in the specification.
    pub field: &'static str,
}

/// The rules that a PDU can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The PDU ends before the field does: command_length is wrong for this command_id.
    Truncated,
    /// The command_id is reserved, unknown, or of a later version than the session's.
    UnknownCommand,
    /// The field is there, and is longer or shorter than its definition allows.
    FieldLength,
    /// The field's value makes the PDU unusable.
    FieldValue,
    /// The TLV area does not parse: octets are left over, or a length reaches past the end of the PDU.
    TlvArea,
    /// The value of a known TLV is longer or shorter than its definition allows.
    TlvLength,
    /// A TLV that this PDU must have is missing.
    TlvMissing,
}

impl Fault {
    /// The PDU ends inside or before `field`.
    #[cold]
    pub const fn truncated(field: &'static str) -> Self {
        Self {
            kind: FaultKind::Truncated,
            status: Status::ESME_RINVCMDLEN,
            field,
        }
    }

    /// No PDU of that command_id may be sent on this session.
    #[cold]
    pub const fn unknown_command() -> Self {
        Self {
            kind: FaultKind::UnknownCommand,
            status: Status::ESME_RINVCMDID,
            field: "command_id",
        }
    }

    /// `field` has a length outside its definition.
    #[cold]
    pub const fn field_length(field: &'static str, status: Status) -> Self {
        Self {
            kind: FaultKind::FieldLength,
            status,
            field,
        }
    }

    /// `field` has a value that makes the PDU unusable.
    #[cold]
    pub const fn field_value(field: &'static str, status: Status) -> Self {
        Self {
            kind: FaultKind::FieldValue,
            status,
            field,
        }
    }

    /// The TLV area does not parse.
    #[cold]
    pub const fn tlv_area() -> Self {
        Self {
            kind: FaultKind::TlvArea,
            status: Status::ESME_RINVOPTPARSTREAM,
            field: "tlvs",
        }
    }

    /// The TLV called `name` has a length outside its definition.
    #[cold]
    pub const fn tlv_length(name: &'static str) -> Self {
        Self {
            kind: FaultKind::TlvLength,
            status: Status::ESME_RINVPARLEN,
            field: name,
        }
    }

    /// The TLV called `name` is required and missing.
    #[cold]
    pub const fn tlv_missing(name: &'static str) -> Self {
        Self {
            kind: FaultKind::TlvMissing,
            status: Status::ESME_RMISSINGOPTPARAM,
            field: name,
        }
    }

    /// The header that answers the faulty PDU: the command's own response, or generic_nack where the PDU could not be
    /// read as that command or has no response. `None` for responses, which are never answered.
    pub const fn reply(&self, faulty: &Header) -> Option<Header> {
        if faulty.command_id.is_response() {
            return None;
        }
        let unreadable = matches!(self.kind, FaultKind::Truncated | FaultKind::UnknownCommand);
        let command_id = if unreadable || !faulty.command_id.has_response() {
            CommandId::GENERIC_NACK
        } else {
            faulty.command_id.response()
        };
        Some(Header {
            command_length: HEADER_OCTETS as u32,
            command_id,
            command_status: self.status,
            sequence_number: faulty.sequence_number,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self.kind {
            FaultKind::Truncated => "the PDU ends inside",
            FaultKind::UnknownCommand => "not a command of this session:",
            FaultKind::FieldLength | FaultKind::TlvLength => "bad length of",
            FaultKind::FieldValue => "bad value of",
            FaultKind::TlvArea => "cannot be parsed:",
            FaultKind::TlvMissing => "missing",
        };
        write!(formatter, "{rule} {} ({})", self.field, self.status)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command_id: CommandId) -> Header {
        Header {
            command_length: 40,
            command_id,
            command_status: Status::ESME_ROK,
            sequence_number: 7,
        }
    }

    /// Goal: readable requests get their own response, unreadable ones generic_nack, responses nothing.
    #[test]
    fn the_reply_follows_the_kind_and_the_command() {
        let long = Fault::field_length("source_addr", Status::ESME_RINVSRCADR);
        let reply = long
            .reply(&header(CommandId::SUBMIT_SM))
            .expect("a request is answered");
        assert_eq!(reply.command_id, CommandId::SUBMIT_SM_RESP);
        assert_eq!(reply.command_status, Status::ESME_RINVSRCADR);
        assert_eq!((reply.command_length, reply.sequence_number), (16, 7));

        for (fault, command) in [
            (Fault::truncated("password"), CommandId::BIND_RECEIVER),
            (Fault::unknown_command(), CommandId(0x0A)),
            (long, CommandId::ALERT_NOTIFICATION),
        ] {
            let reply = fault.reply(&header(command)).expect("a request is answered");
            assert_eq!(reply.command_id, CommandId::GENERIC_NACK, "{fault}");
        }
        assert_eq!(long.reply(&header(CommandId::SUBMIT_SM_RESP)), None);
        assert_eq!(long.reply(&header(CommandId::GENERIC_NACK)), None);
    }
}
