//! Answers on their way back: out of the window, the original number restored, ids tagged on the way to a client.
//!
//! Invariant: an answer is passed on only for an entry that it matches, and the entry goes with it.

use super::congestion::PLAIN_RESPONSE_OCTETS;
use super::contract::{ConnectionId, CoreIndex};
use super::core_message::CoreOutcome;
use super::engine::PacketEngine;
use super::figures::{Rule, count};
use super::message_log::Reason;
use super::queue::drain::Delivery;
use super::sequence::{Origin, Pending, Window};
use super::session::{SessionState, Side};
use super::settings::ServerIndex;
use super::tag::append_response_with_tagged_id;
use super::time::Moment;
use super::versions::status_for;
use super::wire::{CommandId, Header, MessageIdResponse, Status, write_header_only, write_response};

impl PacketEngine {
    /// A server's submit_sm_resp: the way of any answer, compiled for this command alone.
    #[inline(never)]
    pub(super) fn submit_answer_from_server(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        pdu: &[u8],
    ) {
        self.take_server_answer(now, from, header.of_command(CommandId::SUBMIT_SM_RESP), pdu);
    }

    /// A server's answer to a request that we sent it.
    #[inline(never)]
    pub(super) fn answer_from_server(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        self.take_server_answer(now, from, header, pdu);
    }

    #[inline(always)]
    fn take_server_answer(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        let is_error = !header.command_status.is_ok();
        let Some(taken) = self.take_from_server(now, from, &header) else {
            return self.unmatched_answer(now, from);
        };
        let TakenFromServer {
            server,
            pending,
            is_watched,
            is_leaving,
            room_has_changed,
        } = taken;
        let is_plain = !(is_error | is_watched | pending.has_note | pending.expired);
        match pending.origin {
            Origin::Session {
                connection,
                sequence_number,
            } if is_plain => self.answer_to_client(now, server, connection, sequence_number, header, pdu),
            _ => {
                let pending = *pending;
                self.pass_special_answer(now, from, server, &pending, header, pdu);
            }
        }
        self.room_after_answer(now, server, room_has_changed);
        if is_leaving {
            self.leave_server_if_settled(now, from);
        }
    }

    /// An answer that is an error, late, noted, watched, or for another than a client of this core.
    #[inline(never)]
    fn pass_special_answer(
        &mut self,
        now: Moment,
        from: ConnectionId,
        server: ServerIndex,
        pending: &Pending,
        header: Header,
        pdu: &[u8],
    ) {
        let is_error = !header.command_status.is_ok();
        if is_error {
            self.count_error(from, pending, &header);
        }
        if self.message_log.is_on() {
            self.know_far((from, header.sequence_number), pending, Reason::None);
        }
        self.segment_settled(pending.note, !is_error && !pending.expired);
        if pending.has_note && !is_error {
            self.remember_submit(now, server, from, pending, &header, pdu);
        }
        let is_watched = self.servers[usize::from(server.0)].is_watched | is_error;
        if is_watched && self.watch_answer(now, from, server, pending, header, pdu) {
            // It was no answer for the requester, or has been passed on in another form.
        } else if pending.expired {
            self.late_answer_from_server(server);
            self.log_late_answer(now, pending, &header, pdu);
        } else {
            self.pass_to_requester(now, server, pending, header, pdu);
        }
    }

    /// A server's answer, counted as any, is an error.
    fn count_error(&mut self, from: ConnectionId, pending: &Pending, header: &Header) {
        if let Some(session) = self.sessions.get_mut(from) {
            session
                .exchanges
                .client_error(pending.command, header.command_status);
        }
    }

    /// A server's generic_nack: the answer to the request that it names (WIRE 9.5), as that request's own response.
    pub(super) fn nack_from_server(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        let header = as_error(header, Status::ESME_RSYSERR);
        self.reject_own_bind(now, from, &header);
        let Some(taken) = self.take_from_server(now, from, &header) else {
            return self.unmatched_answer(now, from);
        };
        let (server, pending, room_has_changed) = (taken.server, *taken.pending, taken.room_has_changed);
        self.count_error(from, &pending, &header);
        self.know_far((from, header.sequence_number), &pending, Reason::Nack);
        self.segment_settled(pending.note, false);
        if self.watch_answer(now, from, server, &pending, header, pdu) {
            // It goes to another server.
        } else if pending.expired {
            self.late_answer_from_server(server);
            let header = as_response(header, &pending);
            self.log_late_answer(now, &pending, &header, pdu);
        } else if let Origin::Core { core, reference } = pending.origin {
            // Its own word: the core that asked judges the server by it.
            let mut response = self.buffers.take();
            let command = pending.command.response();
            write_header_only(&mut response, command, header.command_status, 0);
            self.send_core_answer(core, reference, CoreOutcome::AnsweredBy(server, response));
        } else {
            self.fail_request(now, &pending, header.command_status);
        }
        self.room_after_answer(now, server, room_has_changed);
        self.leave_server_if_settled(now, from);
    }

    /// An answer after its time says only that the server is not dead.
    #[cold]
    fn late_answer_from_server(&mut self, server: ServerIndex) {
        self.counters.late_answers += 1;
        self.servers[usize::from(server.0)].late_answers += 1;
    }

    /// A client's deliver_sm_resp: the way of any answer, compiled for this command alone.
    #[inline(never)]
    pub(super) fn deliver_answer_from_client(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        pdu: &[u8],
    ) {
        self.take_client_answer(now, from, header.of_command(CommandId::DELIVER_SM_RESP), pdu);
    }

    /// A client's answer to a deliver_sm or data_sm that we sent it.
    #[inline(never)]
    pub(super) fn answer_from_client(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        self.take_client_answer(now, from, header, pdu);
    }

    #[inline(always)]
    fn take_client_answer(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        if pdu.len() > PLAIN_RESPONSE_OCTETS
            && let Some(copy) = self.without_congestion(from, &header, pdu)
        {
            self.pass_client_answer(now, from, header, &copy);
            self.buffers.give(copy);
        } else {
            self.pass_client_answer(now, from, header, pdu);
        }
    }

    #[inline(always)]
    fn pass_client_answer(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        let Some(pending) = self.take_from_client(from, &header) else {
            return self.unmatched_answer(now, from);
        };
        if self.message_log.is_on() {
            self.log_client_answer(now, from, &pending, &header);
        }
        self.segment_settled(pending.note, header.command_status.is_ok() && !pending.expired);
        if pending.expired {
            self.late_answer_from_client(now, &pending, header.command_status);
        } else {
            match pending.origin {
                Origin::Session {
                    connection,
                    sequence_number,
                } => {
                    self.send_response_copy(connection, pdu, &header, sequence_number);
                    self.server_request_answered(now, connection, header.command_id, header.command_status);
                }
                Origin::Core { core, reference } => {
                    self.send_core_answer_copy(core, reference, (from, header.sequence_number), pdu);
                }
                Origin::Queue { place, number } => {
                    let delivery = Delivery::Answered(header.command_status);
                    self.queued_ended(now, place, number, delivery);
                }
                Origin::Gathered(_) | Origin::Own => {}
            }
        }
        if !self.queue.rings.is_empty() {
            self.serve_queue_for(now, from);
        }
    }

    /// An answer after its time. That a client took a queued message is good to know all the same: it is not sent again.
    #[cold]
    fn late_answer_from_client(&mut self, now: Moment, pending: &Pending, status: Status) {
        self.counters.late_answers += 1;
        if let Origin::Queue { place, number } = pending.origin
            && status.is_ok()
        {
            self.queued_ended(now, place, number, Delivery::Answered(status));
        }
    }

    /// A client's generic_nack for something that we sent it.
    pub(super) fn nack_from_client(&mut self, now: Moment, from: ConnectionId, header: Header) {
        let header = as_error(header, Status::ESME_RX_T_APPN);
        let status = header.command_status;
        let pending = self.take_from_client(from, &header);
        if let Some(pending) = &pending {
            self.know_far((from, header.sequence_number), pending, Reason::Nack);
        }
        self.segment_settled(pending.and_then(|pending| pending.note), false);
        match pending {
            None => self.unmatched_answer(now, from),
            Some(pending) if pending.expired => {
                self.counters.late_answers += 1;
                self.log_late_answer(now, &pending, &as_response(header, &pending), &[]);
            }
            Some(pending) => match pending.origin {
                // Its own word, whatever the status: it is not as if the client were gone.
                Origin::Queue { place, number } => {
                    self.queued_ended(now, place, number, Delivery::Answered(status));
                }
                Origin::Core { core, reference } => {
                    let mut response = self.buffers.take();
                    write_header_only(&mut response, pending.command.response(), status, 0);
                    self.send_core_answer_copy(core, reference, (from, header.sequence_number), &response);
                    self.buffers.give(response);
                }
                _ => self.fail_request(now, &pending, status),
            },
        }
    }

    /// Tells whoever asked that a request failed, with the request's own response. The entry is gone already.
    pub(super) fn fail_request(&mut self, now: Moment, pending: &Pending, status: Status) {
        self.know_pending(pending, Reason::None);
        match pending.origin {
            Origin::Session {
                connection,
                sequence_number,
            } => {
                let header = Header::alone(pending.command, status, sequence_number);
                self.fail_for_session(now, connection, header, status);
            }
            Origin::Core { core, reference } => {
                self.send_core_answer(core, reference, CoreOutcome::Failed(status));
            }
            Origin::Gathered(gather) => self.part_answered(now, gather, status),
            Origin::Queue { place, number } => {
                // Our own word for a client that is gone; what a client says itself comes another way.
                let delivery = if status == Status::ESME_RX_T_APPN {
                    Delivery::SessionLost
                } else {
                    Delivery::Answered(status)
                };
                self.queued_ended(now, place, number, delivery);
            }
            Origin::Own => {}
        }
    }

    /// Gives a session of this core the error answer to its request.
    pub(super) fn fail_for_session(&mut self, now: Moment, to: ConnectionId, header: Header, status: Status) {
        match self.sessions.get(to) {
            Some(session) if session.client().is_some() => self.answer_client(now, to, header, status),
            Some(session) if session.server().is_some() => {
                self.answer_mobile_originated(now, to, &header, status);
            }
            _ => self.log_own_answer(now, to, &header, status),
        }
    }

    /// Answers a server's deliver_sm or data_sm with a status of our own.
    pub(super) fn answer_mobile_originated(
        &mut self,
        now: Moment,
        to: ConnectionId,
        header: &Header,
        status: Status,
    ) {
        self.log_own_answer(now, to, header, status);
        let (command, number) = (header.command_id.response(), header.sequence_number);
        let version = self.sessions.get(to).map(|session| session.version);
        let status = version.map_or(status, |version| status_for(version, status));
        self.write_to(to, |buffer| {
            // An empty id always fits, so this can't fail; an error response is a header alone.
            if write_response(
                buffer,
                command,
                status,
                number,
                &MessageIdResponse { message_id: b"" },
            )
            .is_err()
            {
                write_header_only(buffer, command, status, number);
            }
        });
        self.counters.mobile_originated_answers_own += 1;
        self.server_request_answered(now, to, command, status);
    }

    /// Books one answer of a server's deliver_sm or data_sm.
    #[inline(always)]
    pub(super) fn server_request_answered(
        &mut self,
        now: Moment,
        to: ConnectionId,
        command: CommandId,
        status: Status,
    ) {
        let limit = self.settings.engine.server_output_octets_max;
        count(&mut self.counters.mobile_originated_answers, 1);
        let Some(session) = self.sessions.get_mut(to) else {
            return;
        };
        let is_filling = session.output.waiting_octets() > limit / 2;
        let mut is_going = matches!(session.state, SessionState::Unbinding(_));
        if let Side::Server(side) = &mut session.side {
            side.unanswered = side.unanswered.saturating_sub(1);
            is_going |= side.is_leaving;
            session.exchanges.server_answer(command, status);
        }
        if is_going {
            self.leave_server_if_settled(now, to);
        }
        if is_filling {
            self.output_is_full(now, to);
        }
    }

    /// Writes a server's answer to the client that asked, its id tagged.
    #[inline(always)]
    pub(super) fn answer_to_client(
        &mut self,
        now: Moment,
        server: ServerIndex,
        to: ConnectionId,
        sequence_number: u32,
        header: Header,
        pdu: &[u8],
    ) {
        let Some(session) = self.sessions.writable(to) else {
            return;
        };
        let version = session.version;
        let Some(client) = session.client() else { return };
        let carries_id = header.command_status.is_ok() && carries_id(header.command_id);
        let is_tagged = match self.settings.id_tag(client.vserver, server) {
            Some(tag) if carries_id && version.has_tlvs() => {
                let output = session.output.open(&mut self.buffers);
                let octets_max = version.message_id_characters_max();
                append_response_with_tagged_id(output, pdu, sequence_number, tag, octets_max).is_ok()
            }
            _ => false,
        };
        if is_tagged {
            super::relay::list_writable(&mut self.outbox, to, session);
            let limit = self.settings.engine.output_octets_max;
            // What is tagged has it.
            let after = session.client_answered(limit, header.command_id, Status::ESME_ROK);
            return self.after_client_answer(now, to, after);
        }
        if !header.command_status.is_ok() && header.command_id == CommandId::SUBMIT_SM_RESP {
            // An error answer to submit_sm has no body (v3.4 section 4.4.2), whatever a server puts there.
            let status = status_for(version, header.command_status);
            let command = CommandId::SUBMIT_SM_RESP;
            self.send_header(to, command, status, sequence_number);
        } else if !carries_id || !self.answer_with_formed_id(now, server, to, sequence_number, &header, pdu) {
            self.send_response_copy(to, pdu, &header, sequence_number);
        }
        self.client_request_answered(now, to, header.command_id, header.command_status);
    }

    #[inline(always)]
    pub(super) fn pass_to_requester(
        &mut self,
        now: Moment,
        server: ServerIndex,
        pending: &Pending,
        header: Header,
        pdu: &[u8],
    ) {
        match pending.origin {
            Origin::Session {
                connection,
                sequence_number,
            } => {
                let begun = self.begin_logged_answer(connection);
                self.answer_to_client(now, server, connection, sequence_number, header, pdu);
                self.end_logged_answer(now, begun, server, pending, &header, pdu);
            }
            Origin::Core { core, reference } => {
                let copy = self.buffers.copy_of(pdu);
                self.send_core_answer(core, reference, CoreOutcome::AnsweredBy(server, copy));
            }
            Origin::Gathered(gather) => self.part_answered(now, gather, header.command_status),
            Origin::Queue { .. } | Origin::Own => {}
        }
    }

    /// The entry that a server's answer belongs to, taken out of its window.
    #[inline(always)]
    fn take_from_server(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
    ) -> Option<TakenFromServer<'_>> {
        let session = self.sessions.get_mut(from)?;
        let pending = take_matching(&mut session.window, header)?;
        session.faults = 0;
        let Side::Server(side) = &session.side else {
            return None;
        };
        let state = &mut self.servers[usize::from(side.server.0)];
        if side.is_counted {
            state.outstanding = state.outstanding.saturating_sub(1);
        }
        // The short way is that of ESME_ROK; the long one counts an error.
        session.exchanges.client_accepted(request_of(header, pending));
        let taken = now.nanoseconds_since(pending.sent_at);
        state.figures.latency.record(taken);
        if !pending.expired {
            state.measure(taken);
        }
        Some(TakenFromServer {
            server: side.server,
            pending,
            is_watched: state.is_watched,
            is_leaving: side.is_leaving | matches!(session.state, SessionState::Unbinding(_)),
            room_has_changed: state.room_has_changed(),
        })
    }

    #[inline(always)]
    fn take_from_client(&mut self, from: ConnectionId, header: &Header) -> Option<Pending> {
        let session = self.sessions.get_mut(from)?;
        let pending = *take_matching(&mut session.window, header)?;
        session.faults = 0;
        if session.client().is_some() {
            session
                .exchanges
                .server_answer(pending.command.response(), header.command_status);
        }
        self.room_at_client(from);
        Some(pending)
    }

    #[cold]
    fn unmatched_answer(&mut self, now: Moment, from: ConnectionId) {
        if self.is_stranger(now, from) {
            return;
        }
        self.counters.unmatched_answers += 1;
        self.count_fault(now, from, Rule::UnmatchedAnswer);
    }

    /// Books a request that has been put on a session whose window is part of this server's, whoever's it is.
    #[inline(always)]
    pub(super) fn count_server_request(&mut self, now: Moment, server: ServerIndex, command: CommandId) {
        let state = &mut self.servers[usize::from(server.0)];
        state.outstanding += 1;
        if state.is_guarded {
            self.pace_sent(now, server, command);
            self.room_changed_at_server(server);
        } else if state.room_has_changed() {
            self.tell_room(server);
        }
    }

    /// A message that no session here asked for must not reach another core's either.
    pub(super) fn core_is_known(&self, core: CoreIndex) -> bool {
        core.as_usize() < self.links.len() && core != self.core
    }
}

/// A request that a server has answered.
struct TakenFromServer<'a> {
    server: ServerIndex,
    /// As it was, in its place that is free now.
    pending: &'a Pending,
    /// Its answers are looked at.
    is_watched: bool,
    /// Its session ends once everything is answered.
    is_leaving: bool,
    /// Other cores have to be told of the server's room.
    room_has_changed: bool,
}

/// Takes the request that `header` answers; an answer of another kind than its request matches nothing.
#[inline(always)]
fn take_matching<'a>(window: &'a mut Window, header: &Header) -> Option<&'a Pending> {
    let is_nack = header.command_id == CommandId::GENERIC_NACK;
    window.take_if(header.sequence_number, |pending| {
        (pending.command.response() == header.command_id || is_nack) && pending.origin != Origin::Own
    })
}

/// What was answered, by the answer itself unless that is a generic_nack: on the way of one command it is known beforehand.
#[inline(always)]
const fn request_of(header: &Header, pending: &Pending) -> CommandId {
    if header.command_id.0 == CommandId::GENERIC_NACK.0 {
        pending.command
    } else {
        header.command_id.request()
    }
}

/// A generic_nack says that something failed, also where it names no error.
const fn as_error(header: Header, status: Status) -> Header {
    if header.command_status.is_ok() {
        Header {
            command_status: status,
            ..header
        }
    } else {
        header
    }
}

/// A generic_nack as the response that it stands for.
const fn as_response(header: Header, pending: &Pending) -> Header {
    Header {
        command_id: pending.command.response(),
        ..header
    }
}

/// Positive responses whose body starts with a message_id that the client may use later.
#[inline(always)]
const fn carries_id(command: CommandId) -> bool {
    matches!(
        command,
        CommandId::SUBMIT_SM_RESP
            | CommandId::DATA_SM_RESP
            | CommandId::SUBMIT_MULTI_RESP
            | CommandId::QUERY_SM_RESP
            | CommandId::BROADCAST_SM_RESP
            | CommandId::QUERY_BROADCAST_SM_RESP
    )
}
