//! One check for PDUs of every command, for those that no feature reads on their way.
//!
//! Source: the layouts of SMPP v3.4 section 4 and v5.0 section 4.

use super::view::{
    AlertView, BindLimits, BindRespView, BindView, BroadcastView, CancelBroadcastView, CancelView, DataView,
    MessageIdRespView, MessageView, OutbindView, QueryBroadcastView, QueryRespView, QueryView, ReplaceView,
    SubmitMultiRespView, SubmitMultiView,
};
use super::{CommandId, Fault, Header, Status, Version};

/// What a session takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The version of the session; commands of later ones are unknown.
    pub version: Version,
    /// How long the credentials of a bind may be.
    pub bind_limits: BindLimits,
    /// Whether the vendor range of command_ids passes.
    pub vendor_commands: bool,
}

impl Acceptance {
    /// Everything of a version, credentials of any sensible length, no vendor commands.
    pub const fn of(version: Version) -> Self {
        Self {
            version,
            bind_limits: BindLimits::LENIENT,
            vendor_commands: false,
        }
    }
}

/// Checks a whole PDU: that its command is known, that its body can be walked, and that what a message centre cannot do
/// without is there (a destination, the TLVs that a broadcast must have). Reserved values pass: a proxy does not judge them.
/// A session's state is not looked at.
pub fn validate(pdu: &[u8], acceptance: &Acceptance) -> Result<(), Fault> {
    let command = Header::read(pdu).ok_or(Fault::truncated("header"))?.command_id;
    if command.is_vendor() && acceptance.vendor_commands {
        return Ok(());
    }
    if command.name().is_none() || !acceptance.version.knows(command) {
        return Err(Fault::unknown_command());
    }
    if command.is_response() {
        validate_response(pdu, command)
    } else {
        validate_request(pdu, command, acceptance.bind_limits)
    }
}

fn validate_request(pdu: &[u8], command: CommandId, bind_limits: BindLimits) -> Result<(), Fault> {
    match command {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => MessageView::parse(pdu)?.check_destination(),
        CommandId::DATA_SM => DataView::parse(pdu)?.check_destination(),
        CommandId::SUBMIT_MULTI => SubmitMultiView::parse(pdu).map(drop),
        CommandId::QUERY_SM => check_message_id(QueryView::parse(pdu)?.message_id()),
        CommandId::REPLACE_SM => check_message_id(ReplaceView::parse(pdu)?.message_id()),
        CommandId::CANCEL_SM => CancelView::parse(pdu).map(drop),
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER => {
            BindView::parse(pdu, bind_limits).map(drop)
        }
        CommandId::OUTBIND => OutbindView::parse(pdu, bind_limits).map(drop),
        CommandId::ALERT_NOTIFICATION => AlertView::parse(pdu).map(drop),
        CommandId::BROADCAST_SM => BroadcastView::parse(pdu)?.check_required_tlvs(),
        CommandId::QUERY_BROADCAST_SM => QueryBroadcastView::parse(pdu).map(drop),
        CommandId::CANCEL_BROADCAST_SM => CancelBroadcastView::parse(pdu).map(drop),
        // unbind and enquire_link have no body; octets that are there all the same are ignored.
        _ => Ok(()),
    }
}

fn validate_response(pdu: &[u8], command: CommandId) -> Result<(), Fault> {
    match command {
        CommandId::SUBMIT_SM_RESP
        | CommandId::DELIVER_SM_RESP
        | CommandId::DATA_SM_RESP
        | CommandId::BROADCAST_SM_RESP
        | CommandId::QUERY_BROADCAST_SM_RESP => MessageIdRespView::parse(pdu).map(drop),
        CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => BindRespView::parse(pdu).map(drop),
        CommandId::QUERY_SM_RESP => QueryRespView::parse(pdu).map(drop),
        CommandId::SUBMIT_MULTI_RESP => SubmitMultiRespView::parse(pdu).map(drop),
        _ => Ok(()),
    }
}

/// An operation on a message must name it; cancel_sm alone may name a group instead.
fn check_message_id(message_id: &[u8]) -> Result<(), Fault> {
    if message_id.is_empty() {
        return Err(Fault::field_value("message_id", Status::ESME_RINVMSGID));
    }
    Ok(())
}
