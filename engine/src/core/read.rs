//! From bytes to handlers: frames what was read and hands each PDU to the way that it takes.
//!
//! Must never look behind a bad command_length: SMPP cannot find back into step.

use super::checked_request::Refusal;
use super::contract::{Action, CloseReason, ConnectionId, ReadOutcome};
use super::engine::PacketEngine;
use super::figures::{Rule, count};
use super::session::{SessionState, Side};
use super::time::Moment;
use super::wire::{CommandId, Fault, Frame, HEADER_OCTETS, Header, Status, next_frame};

/// Faulty PDUs in a row after which a peer is given up.
const FAULTS_IN_A_ROW_MAX: u32 = 1_000;

impl PacketEngine {
    /// Takes as many whole PDUs as there are, unless the session ends or its reading pauses.
    #[inline]
    pub(super) fn read_pdus(&mut self, now: Moment, connection: ConnectionId, bytes: &[u8]) -> ReadOutcome {
        let outcome = self.take_pdus(now, connection, bytes);
        count(&mut self.counters.received_octets, outcome.consumed_octets as u64);
        outcome
    }

    #[inline(always)]
    fn take_pdus(&mut self, now: Moment, connection: ConnectionId, bytes: &[u8]) -> ReadOutcome {
        let all = ReadOutcome {
            consumed_octets: bytes.len(),
            missing_octets: HEADER_OCTETS,
        };
        let mut rest = bytes;
        let up_to = |rest: &[u8], missing_octets| ReadOutcome {
            consumed_octets: bytes.len() - rest.len(),
            missing_octets,
        };
        self.batch = None;
        loop {
            let Some(session) = self.sessions.get_mut(connection) else {
                return all;
            };
            if session.state == SessionState::Closing {
                return all;
            }
            session.received_at = now;
            if !rest.is_empty() && session.state == SessionState::Binding && session.client().is_some() {
                self.wait_for_bind(now, connection);
                return up_to(rest, 1);
            }
            if session.reading_paused {
                return up_to(rest, 1);
            }
            let is_client = matches!(session.side, Side::Client(_));
            if session.is_traced() {
                self.trace_next(connection, rest);
            }
            match next_frame(rest, self.settings.engine.max_pdu_octets) {
                Frame::Pdu(pdu) => {
                    rest = rest.get(pdu.len()..).unwrap_or_default();
                    let Some(header) = Header::read(pdu) else {
                        return all;
                    };
                    if is_client {
                        self.client_pdu(now, connection, header, pdu);
                    } else {
                        self.server_pdu(now, connection, header, pdu);
                    }
                    if rest.is_empty() {
                        return all;
                    }
                }
                Frame::Incomplete { missing_octets } => return up_to(rest, missing_octets),
                Frame::BadLength { command_length } => {
                    self.bad_length(now, connection, command_length);
                    return all;
                }
            }
        }
    }

    /// What a client sends behind its bind is read when the bind has been answered: a peer that does not wait for its
    /// bind_resp gets the same answers as one that does.
    #[cold]
    #[inline(never)]
    fn wait_for_bind(&mut self, now: Moment, connection: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(connection)
            && !session.reading_paused
        {
            session.reading_paused = true;
            session.paused_at = now;
            self.outbox.actions.push_back(Action::PauseReading(connection));
        }
    }

    #[inline]
    fn client_pdu(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        match header.command_id {
            CommandId::SUBMIT_SM => self.submit_from_client(now, from, header, pdu),
            CommandId::DELIVER_SM_RESP => self.deliver_answer_from_client(now, from, header, pdu),
            _ => self.rare_client_pdu(now, from, header, pdu),
        }
    }

    #[inline]
    fn server_pdu(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        match header.command_id {
            CommandId::SUBMIT_SM_RESP => self.submit_answer_from_server(now, from, header, pdu),
            CommandId::DELIVER_SM => self.deliver_from_server(now, from, header, pdu),
            _ => self.rare_server_pdu(now, from, header, pdu),
        }
    }

    /// What clients send beside submit_sm and deliver_sm_resp.
    #[inline(never)]
    fn rare_client_pdu(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        match header.command_id {
            CommandId::DATA_SM | CommandId::SUBMIT_MULTI => self.client_request(now, from, header, pdu),
            CommandId::DATA_SM_RESP => self.answer_from_client(now, from, header, pdu),
            CommandId::QUERY_SM
            | CommandId::CANCEL_SM
            | CommandId::REPLACE_SM
            | CommandId::BROADCAST_SM
            | CommandId::QUERY_BROADCAST_SM
            | CommandId::CANCEL_BROADCAST_SM => self.message_operation(now, from, header, pdu),
            CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER => {
                self.client_bind(now, from, header, pdu);
            }
            CommandId::UNBIND => self.client_unbind(now, from, header.sequence_number),
            CommandId::GENERIC_NACK => self.nack_from_client(now, from, header),
            CommandId::DELIVER_SM => self.refuse(now, from, &header, Status::ESME_RINVBNDSTS),
            command if command.is_vendor() && command.is_response() => {
                self.answer_from_client(now, from, header, pdu);
            }
            command if command.is_vendor() && self.vendor_command_may_pass(from) => {
                self.client_request(now, from, header, pdu);
            }
            _ => self.common_pdu(now, from, header),
        }
    }

    /// What servers send beside submit_sm_resp and deliver_sm.
    #[inline(never)]
    fn rare_server_pdu(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        if header.command_id != CommandId::OUTBIND && self.is_stranger(now, from) {
            return;
        }
        match header.command_id {
            CommandId::DATA_SM => self.server_request(now, from, header, pdu),
            CommandId::BIND_RECEIVER_RESP
            | CommandId::BIND_TRANSMITTER_RESP
            | CommandId::BIND_TRANSCEIVER_RESP => {
                self.bind_answer(now, from, header, pdu);
            }
            CommandId::GENERIC_NACK => self.nack_from_server(now, from, header, pdu),
            CommandId::UNBIND => self.server_unbind(now, from, header.sequence_number),
            CommandId::ALERT_NOTIFICATION => self.alert(now, from, pdu),
            CommandId::OUTBIND => self.outbind(now, from, header, pdu),
            CommandId::SUBMIT_SM
            | CommandId::SUBMIT_MULTI
            | CommandId::QUERY_SM
            | CommandId::CANCEL_SM
            | CommandId::REPLACE_SM => self.refuse(now, from, &header, Status::ESME_RINVBNDSTS),
            CommandId::ENQUIRE_LINK_RESP | CommandId::UNBIND_RESP | CommandId::ENQUIRE_LINK => {
                if pdu.len() > HEADER_OCTETS && header.command_id == CommandId::ENQUIRE_LINK_RESP {
                    self.hear_enquired_server(now, from, &header, pdu);
                }
                self.common_pdu(now, from, header);
            }
            command if command.is_response() => self.answer_from_server(now, from, header, pdu),
            command if command.is_vendor() && self.vendor_command_may_pass(from) => {
                self.server_request(now, from, header, pdu);
            }
            _ => self.common_pdu(now, from, header),
        }
    }

    /// What either side may send in the same way.
    pub(super) fn common_pdu(&mut self, now: Moment, from: ConnectionId, header: Header) {
        match header.command_id {
            CommandId::ENQUIRE_LINK => {
                self.send_header(
                    from,
                    CommandId::ENQUIRE_LINK_RESP,
                    Status::ESME_ROK,
                    header.sequence_number,
                );
                self.guard_output(now, from);
            }
            CommandId::ENQUIRE_LINK_RESP => self.enquire_link_answered(from, header.sequence_number),
            CommandId::UNBIND_RESP => self.unbind_answered(now, from, header.sequence_number),
            command if command.is_response() => {
                self.counters.unmatched_answers += 1;
                self.count_fault(now, from, Rule::UnmatchedAnswer);
            }
            _ => self.refuse_fault(now, from, &header, &Fault::unknown_command()),
        }
    }

    /// Answers a request that broke a rule of SMPP; the session goes on.
    #[cold]
    pub(super) fn refuse_fault(&mut self, now: Moment, from: ConnectionId, header: &Header, fault: &Fault) {
        if let Some(reply) = fault.reply(header) {
            self.send_header(
                from,
                reply.command_id,
                reply.command_status,
                reply.sequence_number,
            );
        }
        self.count_fault(now, from, Rule::of_fault(fault.kind));
    }

    /// Answers a request that cannot be done, though nothing is wrong with it on the wire; the session goes on.
    #[cold]
    pub(super) fn refuse(&mut self, now: Moment, from: ConnectionId, header: &Header, status: Status) {
        self.count_violation(Rule::of_refusal(status));
        if !header.command_id.is_response() {
            self.send_header(from, header.command_id.response(), status, header.sequence_number);
            self.guard_output(now, from);
        }
    }

    /// Answers a request that was not counted with what is wrong with it.
    #[cold]
    pub(super) fn refuse_uncounted(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        pdu: &[u8],
        refusal: &Refusal,
    ) {
        match refusal {
            Refusal::Fault(fault) => {
                self.log_refused(now, from, header, pdu, fault.status);
                self.refuse_fault(now, from, header, fault);
            }
            Refusal::Status(status) => {
                self.log_refused(now, from, header, pdu, *status);
                self.refuse(now, from, header, *status);
            }
        }
    }

    /// A peer that sends nothing but faults is given up in the end.
    pub(super) fn count_fault(&mut self, now: Moment, from: ConnectionId, rule: Rule) {
        self.count_violation(rule);
        let Some(session) = self.sessions.get_mut(from) else {
            return;
        };
        session.faults += 1;
        if session.faults > FAULTS_IN_A_ROW_MAX {
            self.end_session(now, from, CloseReason::ProtocolViolations);
        } else {
            self.guard_output(now, from);
        }
    }

    fn count_violation(&mut self, rule: Rule) {
        self.counters.violations += 1;
        self.violations[rule as usize] += 1;
    }

    #[cold]
    #[inline(never)]
    fn bad_length(&mut self, now: Moment, from: ConnectionId, command_length: u32) {
        self.count_violation(Rule::CommandLength);
        let Some(session) = self.sessions.get(from) else {
            return;
        };
        // A stranger that does not speak SMPP (a port scan, HTTP, TLS) gets nothing.
        if session.state != SessionState::Open {
            self.send_header(from, CommandId::GENERIC_NACK, Status::ESME_RINVCMDLEN, 0);
        }
        self.end_session(now, from, CloseReason::BadCommandLength { command_length });
    }
}
