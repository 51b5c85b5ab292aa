//! A client's requests on their way to a server (MT): check, choose, send; or hold; or answer with an error.
//!
//! Invariant: a request that was counted as unanswered gets exactly one answer, here or in `answers`.

use super::checked_request::{CheckedRequest, Refusal, check};
use super::choice::Way;
use super::contract::ConnectionId;
use super::engine::PacketEngine;
use super::message_log::Reason;
use super::receipts::noted_server;
use super::routing::Routed;
use super::sequence::{Journey, Origin, Pending};
use super::session::{AfterAnswer, Session, SessionState};
use super::settings::{AllServersDown, Overload, ServerIndex, VserverIndex, VserverSettings};
use super::time::Moment;
use super::versions::{for_v33, is_too_long_for_v33};
use super::wire::{CommandId, Header, Status, Version};
use std::sync::Arc;

impl PacketEngine {
    /// A submit_sm of a client: the way of any request, compiled for this command alone.
    #[inline(never)]
    pub(super) fn submit_from_client(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        self.pass_client_request(now, from, header.of_command(CommandId::SUBMIT_SM), pdu);
    }

    /// A request of a client that a server must answer.
    #[inline(never)]
    pub(super) fn client_request(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        self.pass_client_request(now, from, header, pdu);
    }

    #[inline(always)]
    fn pass_client_request(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
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
        let Some(counted) = count_unanswered(session, header.command_id) else {
            return;
        };
        let is_plain = !(counted.is_special() | self.message_log.is_on() | self.drain.is_some());
        if is_plain || self.special_may_leave(now, from, header, pdu, vserver, counted) {
            let journey = Journey::starting(now);
            if let Err(way) = self.send_to_server(now, from, &header, &request, journey) {
                self.no_way(now, from, header, pdu, way, journey);
            }
        }
    }

    /// Logs a counted request, and finds out whether one that is not plain may leave now all the same. If not it was dealt with: it
    /// is refused, waits for room, or has met the routing rules.
    #[inline(never)]
    fn special_may_leave(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        pdu: &[u8],
        vserver: VserverIndex,
        counted: CountedRequest,
    ) -> bool {
        if self.message_log.is_on() {
            self.log_submit(now, from, &header, pdu);
        }
        if let Some(status) = self.refusal_of_counted(now, from, counted) {
            self.counters.throttled += u64::from(status == Status::ESME_RTHROTTLED);
            self.know_reason(from, &header, now, Reason::Limit);
            self.answer_client(now, from, header, status);
        } else if counted.must_queue {
            self.hold_request(now, from, header, pdu, Journey::starting(now));
        } else if counted.is_curbed && self.has_routing(vserver) {
            self.meet_rules(now, from, header, pdu);
        } else {
            return true;
        }
        false
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
        let refusal = self.refusal_of_counted(now, from, counted);
        if let Some(status) = refusal {
            self.counters.throttled += u64::from(status == Status::ESME_RTHROTTLED);
            self.answer_client(now, from, header, status);
        }
        refusal.is_none()
    }

    /// What a counted request is answered instead of being sent, if anything.
    fn refusal_of_counted(
        &mut self,
        now: Moment,
        from: ConnectionId,
        counted: CountedRequest,
    ) -> Option<Status> {
        if counted.is_draining || self.drain.is_some() {
            Some(Status::ESME_RSYSERR)
        } else if counted.is_too_many || counted.is_curbed && !self.curbed_client_may_send(now, from) {
            Some(Status::ESME_RTHROTTLED)
        } else {
            None
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
            AfterAnswer::OutputFilling => self.output_is_full(now, to),
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
        if request.may_be_segment {
            self.send_segment_to_server(now, from, header, request, journey)
        } else {
            self.send_whole_to_server(now, from, header, request, journey)
        }
    }

    #[cold]
    fn send_segment_to_server(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        request: &CheckedRequest<'_>,
        journey: Journey,
    ) -> Result<(), NoWay> {
        self.segment_from_client(now, from, header, request, journey)
            .unwrap_or_else(|| self.send_whole_to_server(now, from, header, request, journey))
    }

    #[inline(always)]
    fn send_whole_to_server(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        request: &CheckedRequest<'_>,
        journey: Journey,
    ) -> Result<(), NoWay> {
        // Made where it is needed: one for all would be kept in memory.
        let origin = || Origin::Session {
            connection: from,
            sequence_number: header.sequence_number,
        };
        match self.choose_way(now, from, header.command_id, request, journey.mark.route()) {
            Way::Session(server, to) => {
                // What has no TLVs every server knows.
                let sent = if request.tlvs_known_from > Version::V33
                    && self.servers[usize::from(server.0)].version < request.tlvs_known_from
                {
                    self.send_to_v33(now, to, request, origin(), header.command_id, journey)
                } else {
                    self.send_journey(now, to, request.relay(), origin(), header.command_id, journey)
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
                let pending = Pending::on_journey(origin(), header.command_id, now, journey);
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

/// A request of a client that waits for its answer from now on: why it may not leave like any other.
#[derive(Clone, Copy)]
struct CountedRequest {
    /// The client reads too slowly, has a rate, or its requests meet rules.
    is_curbed: bool,
    /// An operator wants the client to end.
    is_draining: bool,
    /// More are unanswered than the client's window has room for.
    is_too_many: bool,
    /// Some wait for room. Room that comes up is given to those at once, so nobody else has to stand behind them.
    must_queue: bool,
}

impl CountedRequest {
    #[inline(always)]
    const fn is_special(self) -> bool {
        self.is_curbed | self.is_draining | self.is_too_many | self.must_queue
    }
}

#[inline(always)]
fn count_unanswered(session: &mut Session, command: CommandId) -> Option<CountedRequest> {
    session.faults = 0;
    let is_curbed = session.is_curbed;
    session.exchanges.client_request(command);
    let client = session.client_mut()?;
    client.unanswered += 1;
    Some(CountedRequest {
        is_curbed,
        is_draining: client.is_draining,
        is_too_many: client.unanswered > client.window,
        must_queue: client.held_requests > 0,
    })
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
