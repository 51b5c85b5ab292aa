//! A client's request once it has been checked: where its fields stand, and what it asks of the server that gets it.
//!
//! Owns the one bounded walk over a request (and, for operations on a message, the look at the tag of its id). Invariant: what is
//! passed on has been checked. It must never copy anything of a PDU, nor know of sessions.

use super::receipts::read_note;
use super::relay::Relay;
use super::settings::{ServerIndex, Settings, VserverIndex};
use super::versions::{is_too_long_for_v33, needs_tlvs, operation_known_from};
use super::wire::{
    Acceptance, BroadcastView, CommandId, DataView, Fault, MessageView, Span, Status, SubmitMultiView, Tlvs,
    Version, validate,
};

/// What is known of a request once it has been checked.
pub(super) struct CheckedRequest<'a> {
    /// As it came.
    pub(super) pdu: &'a [u8],
    /// The octets that the server must not see: the tag of a message_id. Empty for none.
    pub(super) tag: Span,
    source: Span,
    destination: Span,
    /// Its message_id names this server.
    pub(super) server: Option<ServerIndex>,
    /// Older peers than this do not know its TLVs: they get it without.
    pub(super) tlvs_known_from: Version,
    /// It asks for a delivery receipt.
    pub(super) wants_receipt: bool,
    /// It can be a segment of a concatenated message.
    pub(super) may_be_segment: bool,
    /// Who takes it knows this version.
    pub(super) version: Version,
}

/// Bits of registered_delivery that ask for a receipt of the message centre, or for word from its way (SMPP v5.0
/// section 4.7.21).
const RECEIPT_WANTED: u8 = 0b0001_0011;

impl<'a> CheckedRequest<'a> {
    /// A request for this server, or for whichever serves its client, as it is.
    pub(super) const fn to_server(command: CommandId, pdu: &'a [u8], server: Option<ServerIndex>) -> Self {
        CheckedRequest {
            pdu,
            tag: Span::EMPTY,
            source: Span::EMPTY,
            destination: Span::EMPTY,
            server,
            tlvs_known_from: Version::V33,
            wants_receipt: false,
            may_be_segment: false,
            version: Version::that_introduced(command),
        }
    }

    /// Its source_addr, where it has one.
    pub(super) fn source(&self) -> &'a [u8] {
        self.source.of(self.pdu)
    }

    /// Its destination_addr, where it has one.
    pub(super) fn destination(&self) -> &'a [u8] {
        self.destination.of(self.pdu)
    }

    /// It without what no server may see.
    #[inline]
    pub(super) fn relay(&self) -> Relay<'a> {
        if self.tag.is_empty() {
            Relay::whole(self.pdu)
        } else {
            Relay::without(self.pdu, self.tag.range())
        }
    }
}

/// Why a request goes nowhere.
pub(super) enum Refusal {
    /// It broke a rule of SMPP.
    Fault(Fault),
    /// It cannot be done; the peer did nothing wrong on the wire.
    Status(Status),
}

/// Checks a request of a client: one bounded walk, and for operations on a message the tag of its id.
#[inline(always)]
pub(super) fn check<'a>(
    settings: &Settings,
    vserver: VserverIndex,
    version: Version,
    command: CommandId,
    pdu: &'a [u8],
) -> Result<CheckedRequest<'a>, Refusal> {
    if command == CommandId::SUBMIT_SM {
        let view = MessageView::parse(pdu)?;
        view.check_destination()?;
        let [source, destination] = view.addresses();
        return Ok(CheckedRequest {
            pdu,
            tag: Span::EMPTY,
            source,
            destination,
            server: None,
            tlvs_known_from: known_from(&view.tlvs()),
            wants_receipt: view.registered_delivery() & RECEIPT_WANTED != 0,
            may_be_segment: view.may_be_segment(),
            version: version_for(view.tlvs()),
        });
    }
    check_rare(settings, vserver, version, command, pdu)
}

/// The first version that knows these TLVs.
#[inline(always)]
fn known_from(tlvs: &Tlvs<'_>) -> Version {
    if tlvs.is_empty() {
        Version::V33
    } else {
        Version::V34
    }
}

/// The first version that can carry a text with these TLVs.
#[inline(always)]
fn version_for(tlvs: Tlvs<'_>) -> Version {
    if needs_tlvs(tlvs) {
        Version::V34
    } else {
        Version::V33
    }
}

#[inline(never)]
fn check_rare<'a>(
    settings: &Settings,
    vserver: VserverIndex,
    version: Version,
    command: CommandId,
    pdu: &'a [u8],
) -> Result<CheckedRequest<'a>, Refusal> {
    let acceptance = Acceptance {
        // Those that no rule lets through do not come here.
        vendor_commands: true,
        ..Acceptance::of(version)
    };
    validate(pdu, &acceptance)?;
    let plain = CheckedRequest::to_server(command, pdu, None);
    match command {
        CommandId::DATA_SM => {
            let view = DataView::parse(pdu)?;
            Ok(CheckedRequest {
                source: Span::new(view.source_addr_range()),
                destination: Span::new(view.destination_addr_range()),
                wants_receipt: view.registered_delivery() & RECEIPT_WANTED != 0,
                may_be_segment: view.may_be_segment(),
                ..plain
            })
        }
        CommandId::SUBMIT_MULTI => {
            let view = SubmitMultiView::parse(pdu)?;
            Ok(CheckedRequest {
                source: Span::new(view.source_addr_range()),
                destination: view.only_destination_range().map_or(Span::EMPTY, Span::new),
                tlvs_known_from: known_from(&view.tlvs()),
                version: version_for(view.tlvs()),
                wants_receipt: view.registered_delivery() & RECEIPT_WANTED != 0,
                may_be_segment: view.may_be_segment(),
                ..plain
            })
        }
        CommandId::BROADCAST_SM => {
            let view = BroadcastView::parse(pdu)?;
            // Its receipts and its owner are always remembered: it has no registered_delivery.
            let plain = CheckedRequest {
                source: Span::new(view.source_addr_range()),
                wants_receipt: true,
                ..plain
            };
            if view.message_id().is_empty() {
                return Ok(plain);
            }
            noted(settings, vserver, plain)
        }
        CommandId::QUERY_SM
        | CommandId::CANCEL_SM
        | CommandId::REPLACE_SM
        | CommandId::QUERY_BROADCAST_SM
        | CommandId::CANCEL_BROADCAST_SM => {
            let version = if is_too_long_for_v33(command, pdu) {
                // Of the operations, replace_sm alone has a text, and v5.0 alone knows its message_payload.
                Version::V50
            } else {
                plain.version
            };
            let plain = CheckedRequest {
                tlvs_known_from: operation_known_from(command, pdu),
                version,
                ..plain
            };
            noted(settings, vserver, plain)
        }
        _ => Ok(plain),
    }
}

/// A request that names a message: `operations` has taken its id apart.
fn noted<'a>(
    settings: &Settings,
    vserver: VserverIndex,
    mut request: CheckedRequest<'a>,
) -> Result<CheckedRequest<'a>, Refusal> {
    let Some((note, server)) = read_note(settings, vserver, request.pdu) else {
        return Err(Refusal::Status(Status::ESME_RINVMSGID));
    };
    (request.tag, request.server) = (Span::new(note), Some(server));
    Ok(request)
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
