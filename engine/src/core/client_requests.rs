//! A client's requests on their way to a server (MT): check, choose, send; or hold; or answer with an error.
//!
//! Invariant: a request that was counted as unanswered gets exactly one answer, here or in `answers`.

use super::choice::Way;
use super::contract::ConnectionId;
use super::engine::PacketEngine;
use super::message_log::Reason;
use super::receipts::{noted_server, read_note};
use super::relay::Relay;
use super::routing::Routed;
use super::sequence::{Journey, Origin, Pending};
use super::session::{AfterAnswer, Session, SessionState};
use super::settings::{AllServersDown, Overload, ServerIndex, Settings, VserverIndex, VserverSettings};
use super::time::Moment;
use super::versions::{for_v33, is_too_long_for_v33, needs_tlvs, operation_known_from};
use super::wire::{
    Acceptance, BroadcastView, CommandId, DataView, Fault, Header, MessageView, Span, Status,
    SubmitMultiView, Tlvs, Version, validate,
};
use std::sync::Arc;

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
    tlvs_known_from: Version,
    /// It asks for a delivery receipt.
    pub(super) wants_receipt: bool,
    /// It can be a segment of a concatenated message.
    may_be_segment: bool,
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
    fn relay(&self) -> Relay<'a> {
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

impl PacketEngine {
    /// A request of a client that a server must answer.
    #[inline(never)]
    pub(super) fn client_request(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        let Some(session) = self.sessions.get_mut(from) else {
            return;
        };
        let may_send = matches!(session.state, SessionState::Bound(kind) if kind.transmits());
        let (state, version) = (session.state, session.version);
        let Some(client) = session.client_mut() else {
            return;
        };
        if !may_send {
            // Who sends behind its bind without waiting, and has been accepted, gets the bind_resp first.
            if state == SessionState::Binding && client.accepted {
                self.release_bind(now, from);
                return self.client_request(now, from, header, pdu);
            }
            let refusal = Refusal::Status(Status::ESME_RINVBNDSTS);
            return self.refuse_uncounted(now, from, &header, pdu, &refusal);
        }
        let vserver = client.vserver;
        let request = match check(&self.settings, vserver, version, header.command_id, pdu) {
            Ok(request) => request,
            Err(refusal) => return self.refuse_uncounted(now, from, &header, pdu, &refusal),
        };
        // Room that comes up is given to those who wait at once, so nobody else has to stand behind them.
        let must_queue = client.held_requests > 0;
        let Some(CountedRequest { is_curbed, refusal }) = count_unanswered(session, header.command_id) else {
            return;
        };
        if self.message_log.is_on() {
            self.log_submit(now, from, &header, pdu);
        }
        if let Some(status) = self.refusal_of_counted(now, from, is_curbed, refusal) {
            self.counters.throttled += u64::from(status == Status::ESME_RTHROTTLED);
            self.know_reason(from, &header, now, Reason::Limit);
            self.answer_client(now, from, header, status);
        } else if must_queue {
            self.hold_request(now, from, header, pdu, Journey::starting(now));
        } else if is_curbed && self.has_routing(vserver) {
            self.meet_rules(now, from, header, pdu);
        } else {
            let journey = Journey::starting(now);
            if let Err(way) = self.send_to_server(now, from, &header, &request, journey) {
                self.no_way(now, from, header, pdu, way, journey);
            }
        }
    }

    /// A request that has to meet the routing rules before it leaves.
    #[cold]
    fn meet_rules(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        let journey = Journey::starting(now);
        match self.route_request(now, from, &header, pdu, journey) {
            Routed::Sent => {}
            Routed::Rejected(status) => self.answer_rejected(now, from, header, journey, status),
            Routed::NoWay(way) => self.no_way(now, from, header, pdu, way, journey),
        }
    }

    /// A client that reads too slowly or has a rate may send one more request now.
    #[cold]
    fn curbed_client_may_send(&mut self, now: Moment, from: ConnectionId) -> bool {
        let Some(session) = self.sessions.get(from) else {
            return false;
        };
        let account = session.client().and_then(|client| client.client);
        !session.is_slow && account.is_none_or(|account| self.may_send_by_rate(now, account))
    }

    /// Counts a request that first has to be asked about. `false`: it was answered already.
    pub(super) fn count_request(&mut self, now: Moment, from: ConnectionId, header: Header) -> bool {
        let session = self.sessions.get_mut(from);
        let Some(counted) = session.and_then(|session| count_unanswered(session, header.command_id)) else {
            return false;
        };
        let refusal = self.refusal_of_counted(now, from, counted.is_curbed, counted.refusal);
        if let Some(status) = refusal {
            self.counters.throttled += u64::from(status == Status::ESME_RTHROTTLED);
            self.answer_client(now, from, header, status);
        }
        refusal.is_none()
    }

    /// What a counted request is answered instead of being sent, if anything.
    #[inline(always)]
    fn refusal_of_counted(
        &mut self,
        now: Moment,
        from: ConnectionId,
        is_curbed: bool,
        refusal: Option<Status>,
    ) -> Option<Status> {
        let refusal = if self.drain.is_some() {
            Some(Status::ESME_RSYSERR)
        } else {
            refusal
        };
        match refusal {
            None if is_curbed && !self.curbed_client_may_send(now, from) => Some(Status::ESME_RTHROTTLED),
            refusal => refusal,
        }
    }

    /// Tries once more to send a request that was held or whose session was lost; `true` when it left.
    pub(super) fn retry_client_request(
        &mut self,
        now: Moment,
        from: ConnectionId,
        pdu: &[u8],
        journey: Journey,
    ) -> RetryOutcome {
        let (Some(session), Some(header)) = (self.sessions.get(from), Header::read(pdu)) else {
            return RetryOutcome::Gone;
        };
        let Some(client) = session.client() else {
            return RetryOutcome::Gone;
        };
        if self.has_routing(client.vserver) {
            return match self.route_request(now, from, &header, pdu, journey) {
                Routed::Sent => RetryOutcome::Sent,
                Routed::Rejected(status) => RetryOutcome::Rejected(status),
                Routed::NoWay(way) => RetryOutcome::NoWay(way),
            };
        }
        match check(
            &self.settings,
            client.vserver,
            session.version,
            header.command_id,
            pdu,
        ) {
            Ok(request) => match self.send_to_server(now, from, &header, &request, journey) {
                Ok(()) => RetryOutcome::Sent,
                Err(way) => RetryOutcome::NoWay(way),
            },
            // It was checked when it came; only the settings can have changed meanwhile.
            Err(_) => RetryOutcome::NoWay(NoWay::NoServer),
        }
    }

    /// Answers a counted request of a client with a status of our own.
    pub(super) fn answer_client(&mut self, now: Moment, to: ConnectionId, header: Header, status: Status) {
        self.log_own_answer(now, to, &header, status);
        self.send_header(to, header.command_id.response(), status, header.sequence_number);
        self.counters.client_answers_own += 1;
        self.client_request_answered(now, to, header.command_id, status);
    }

    /// Books one answer of a client's request.
    #[inline(always)]
    pub(super) fn client_request_answered(
        &mut self,
        now: Moment,
        to: ConnectionId,
        command: CommandId,
        status: Status,
    ) {
        if let Some(session) = self.sessions.get_mut(to)
            && session.client().is_some()
        {
            let after = session.client_answered(self.settings.engine.output_octets_max, command, status);
            self.after_client_answer(now, to, after);
        }
    }

    /// The rest of booking an answer.
    #[inline]
    pub(super) fn after_client_answer(&mut self, now: Moment, to: ConnectionId, after: AfterAnswer) {
        match after {
            AfterAnswer::Nothing => {}
            AfterAnswer::Settled => self.client_settled(now, to),
            AfterAnswer::Drained => self.client_drained(now, to),
            AfterAnswer::OutputFilling => {
                self.output_is_full(now, to, self.settings.engine.output_octets_max);
            }
        }
    }

    #[inline(always)]
    pub(super) fn send_to_server(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        request: &CheckedRequest<'_>,
        journey: Journey,
    ) -> Result<(), NoWay> {
        if request.may_be_segment
            && let Some(outcome) = self.segment_from_client(now, from, header, request, journey)
        {
            return outcome;
        }
        let origin = Origin::Session {
            connection: from,
            sequence_number: header.sequence_number,
        };
        match self.choose_way(now, from, header.command_id, request, journey.route) {
            Way::Session(server, to) => {
                let version = self.servers[usize::from(server.0)].version;
                let sent = if version < request.tlvs_known_from {
                    self.send_to_v33(now, to, request, origin, header.command_id, journey)
                } else {
                    self.send_journey(now, to, request.relay(), origin, header.command_id, journey)
                };
                if !sent {
                    return Err(NoWay::NoRoom);
                }
                if request.wants_receipt
                    && let Some(note) = self.submit_note(from, request.destination())
                {
                    self.note_submit(to, note);
                }
                Ok(())
            }
            Way::Core(server, core) => {
                let pending = Pending::on_journey(origin, header.command_id, now, journey);
                let note = request
                    .wants_receipt
                    .then(|| self.submit_note(from, request.destination()));
                let sent =
                    self.send_core_request_to_server(now, core, server, request, pending, note.flatten());
                if sent { Ok(()) } else { Err(NoWay::NoRoom) }
            }
            Way::NoRoom => Err(NoWay::NoRoom),
            Way::NoServer => Err(NoWay::NoServer),
        }
    }

    /// Sends a request to a server that does not know its TLVs.
    #[cold]
    fn send_to_v33(
        &mut self,
        now: Moment,
        to: ConnectionId,
        request: &CheckedRequest<'_>,
        origin: Origin,
        command: CommandId,
        journey: Journey,
    ) -> bool {
        let Some(translated) = for_v33(command, request.pdu, &mut self.buffers) else {
            return false;
        };
        let sent = self.send_journey(now, to, translated.relay(), origin, command, journey);
        translated.give_back(&mut self.buffers);
        sent
    }

    /// What the vserver's policies say for a request that cannot leave now.
    #[cold]
    pub(super) fn no_way(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        pdu: &[u8],
        way: NoWay,
        journey: Journey,
    ) {
        let Some(client) = self.sessions.get(from).and_then(|session| session.client()) else {
            return self.log_own_answer(now, from, &header, Status::ESME_RSYSERR);
        };
        let settings = Arc::clone(&self.settings);
        let vserver = &settings.vservers[usize::from(client.vserver.0)];
        let status = match way {
            NoWay::NoRoom if vserver.overload == Overload::Hold => {
                // It may be the outputs that are full.
                self.outbox.awaits_transmitted = true;
                return self.hold_request(now, from, header, pdu, journey);
            }
            NoWay::NoRoom => {
                self.counters.throttled += 1;
                Status::ESME_RTHROTTLED
            }
            NoWay::NoServer if self.is_too_long_for_all(vserver, &header, pdu) => Status::ESME_RINVMSGLEN,
            NoWay::NoServer if vserver.all_servers_down == AllServersDown::Hold => {
                return self.hold_request(now, from, header, pdu, journey);
            }
            NoWay::NoServer => self.status_without_server(vserver, header.command_id),
        };
        self.know_reason(from, &header, journey.arrived_at, way.into());
        self.answer_client(now, from, header, status);
    }

    /// The servers that are up are of versions that take no such text, and never will; one that drains might have taken it.
    fn is_too_long_for_all(&self, vserver: &VserverSettings, header: &Header, pdu: &[u8]) -> bool {
        if header.command_id == CommandId::REPLACE_SM {
            // Its message has a server.
            let server = noted_server(&self.settings, vserver, pdu);
            return server.is_some_and(|server| {
                let server = &self.servers[usize::from(server.0)];
                server.is_bound_somewhere() && server.version < Version::V50
            }) && is_too_long_for_v33(header.command_id, pdu);
        }
        let mut bound = vserver
            .servers
            .iter()
            .map(|server| &self.servers[usize::from(server.0)])
            .filter(|server| server.is_bound_somewhere())
            .peekable();
        bound.peek().is_some()
            && bound.all(|server| !server.version.has_tlvs())
            && is_too_long_for_v33(header.command_id, pdu)
    }

    /// A PDU that only v5.0 knows can't be done at all by older servers; anything else may be tried again later, and so may an
    /// operation whose own server is down.
    fn status_without_server(&self, vserver: &VserverSettings, command: CommandId) -> Status {
        let is_known = |server: &ServerIndex| {
            let server = &self.servers[usize::from(server.0)];
            server.is_bound_somewhere() && server.version.knows(command)
        };
        if Version::V34.knows(command) || vserver.servers.iter().any(is_known) {
            Status::ESME_RSYSERR
        } else {
            Status::ESME_RINVCMDID
        }
    }
}

/// A request of a client that waits for its answer from now on.
struct CountedRequest {
    /// The client reads too slowly, has a rate, or its requests meet rules.
    is_curbed: bool,
    refusal: Option<Status>,
}

#[inline(always)]
fn count_unanswered(session: &mut Session, command: CommandId) -> Option<CountedRequest> {
    session.faults = 0;
    let is_curbed = session.is_curbed;
    session.exchanges.client_request(command);
    let client = session.client_mut()?;
    client.unanswered += 1;
    let refusal = if client.is_draining {
        Some(Status::ESME_RSYSERR)
    } else if client.unanswered > client.window {
        Some(Status::ESME_RTHROTTLED)
    } else {
        None
    };
    Some(CountedRequest { is_curbed, refusal })
}

/// Why a request cannot leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoWay {
    NoRoom,
    NoServer,
}

/// What became of another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryOutcome {
    Sent,
    NoWay(NoWay),
    /// A routing rule rejects it: the caller answers it, once it waits nowhere any more.
    Rejected(Status),
    /// The client is no longer there.
    Gone,
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
#[inline]
fn known_from(tlvs: &Tlvs<'_>) -> Version {
    if tlvs.range().is_empty() {
        Version::V33
    } else {
        Version::V34
    }
}

/// The first version that can carry a text with these TLVs.
#[inline]
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
