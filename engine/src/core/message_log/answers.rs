//! Records of what became of requests: answers passed on, answers of our own, and what was tried again.
//!
//! Who makes an answer often knows only whose it is. What else is known (the far session, when it was sent, why it failed) is
//! laid down before by `know_*`, and goes into the record if it is the same request's.

use super::super::contract::{ConnectionId, CoreIndex};
use super::super::core_message::{AnsweredFor, CoreOutcome};
use super::super::engine::PacketEngine;
use super::super::hold::held_requests;
use super::super::queue::drain::Delivery;
use super::super::sequence::{Origin, Pending};
use super::super::session::{ClientSide, Session, Side};
use super::super::settings::{ClientIndex, ServerIndex, VserverIndex};
use super::super::time::Moment;
use super::super::wire::{CommandId, Header, MessageIdRespView, Status};
use super::{
    FarSession, Known, MessageRecord, Outcome, Reason, RecordKind, RecordOctets, Requester, is_message,
};
use bytes::BytesMut;

/// Where a client's output ended before an answer was put into it, and who it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct AnswerBegun {
    connection: ConnectionId,
    /// `None`: the client is no longer there.
    stream_end: Option<u64>,
    account: Option<ClientIndex>,
    vserver: Option<VserverIndex>,
}

const fn requester_of(origin: Origin) -> Requester {
    match origin {
        Origin::Session {
            connection,
            sequence_number,
        } => Requester::Session {
            connection,
            sequence_number,
        },
        Origin::Queue { place, number } => Requester::Queue { place, number },
        Origin::Core { .. } | Origin::Gathered(_) | Origin::Own => Requester::Unknown,
    }
}

/// The id in a response that says that all is well.
fn message_id<'a>(header: &Header, pdu: &'a [u8]) -> &'a [u8] {
    let view = MessageIdRespView::parse(pdu)
        .ok()
        .filter(|_| header.command_status.is_ok());
    view.map_or(&[], |view| view.message_id())
}

impl PacketEngine {
    /// Lays down what is known of a request that is about to be answered, for whatever reason: its far session above all.
    #[cold]
    pub(in crate::core) fn know_far(
        &mut self,
        (far, sequence_number): (ConnectionId, u32),
        pending: &Pending,
        reason: Reason,
    ) {
        if !self.message_log.is_on() {
            return;
        }
        let mut known = Known {
            far: Some(FarSession {
                core: self.core,
                connection: far,
                sequence_number,
            }),
            ..known_of(pending, reason)
        };
        match self.sessions.get(far).map(|session| &session.side) {
            Some(Side::Client(client)) => known.account = client.client,
            Some(Side::Server(side)) => known.server = Some(side.server),
            Some(Side::Gone) | None => {}
        }
        self.message_log.known = Some(known);
    }

    /// The same where nothing is known of the far session, unless more is known already.
    #[cold]
    pub(in crate::core) fn know_pending(&mut self, pending: &Pending, reason: Reason) {
        let known = self.message_log.known;
        let is_new = known.is_none_or(|known| known.requester != requester_of(pending.origin));
        if self.message_log.is_on() && is_new {
            self.message_log.known = Some(known_of(pending, reason));
        }
    }

    /// Lays down why a request is about to be answered by us, which came at `arrived_at`.
    #[cold]
    pub(in crate::core) fn know_reason(
        &mut self,
        from: ConnectionId,
        header: &Header,
        arrived_at: Moment,
        reason: Reason,
    ) {
        if !self.message_log.is_on() {
            return;
        }
        let requester = Requester::Session {
            connection: from,
            sequence_number: header.sequence_number,
        };
        match &mut self.message_log.known {
            Some(known) if known.requester == requester => known.reason = reason,
            known => {
                *known = Some(Known {
                    arrived_at,
                    ..Known::of(requester, reason)
                });
            }
        }
    }

    /// A server's answer is about to be passed to a client of this core; `None` while nothing is logged.
    #[inline]
    pub(in crate::core) fn begin_logged_answer(&self, to: ConnectionId) -> Option<AnswerBegun> {
        self.message_log.is_on().then(|| self.answer_begun(to))
    }

    #[cold]
    fn answer_begun(&self, to: ConnectionId) -> AnswerBegun {
        let session = self.sessions.get(to);
        let client = session.and_then(Session::client);
        AnswerBegun {
            connection: to,
            stream_end: session
                .filter(|_| client.is_some())
                .map(|session| session.output.stream_end()),
            account: client.and_then(|client| client.client),
            vserver: client.map(|client| client.vserver),
        }
    }

    /// A server's answer has been passed to a client of this core.
    #[inline]
    pub(in crate::core) fn end_logged_answer(
        &mut self,
        now: Moment,
        begun: Option<AnswerBegun>,
        server: ServerIndex,
        pending: &Pending,
        header: &Header,
        pdu: &[u8],
    ) {
        if let Some(begun) = begun {
            self.log_server_answer(now, begun, server, pending, header, pdu);
        }
    }

    #[cold]
    fn log_server_answer(
        &mut self,
        now: Moment,
        begun: AnswerBegun,
        server: ServerIndex,
        pending: &Pending,
        header: &Header,
        pdu: &[u8],
    ) {
        self.know_pending(pending, Reason::None);
        let requester = requester_of(pending.origin);
        let known = self.message_log.take_known(requester);
        if !is_message(header.command_id) {
            return;
        }
        let record = MessageRecord::new(now, RecordKind::Answer, header.command_id, requester);
        let record = MessageRecord {
            status: header.command_status,
            outcome: match begun.stream_end {
                Some(_) => Outcome::Passed,
                None => Outcome::RequesterGone,
            },
            account: begun.account,
            vserver: begun.vserver,
            server: Some(server),
            ..known.fill(record)
        };
        let session = self.sessions.get(begun.connection);
        let written = session.zip(begun.stream_end).map(|(session, end)| {
            let written = session.output.since(end);
            Header::read(written).map_or(&[][..], |header| message_id(&header, written))
        });
        let client = session.and_then(Session::client);
        let octets = RecordOctets {
            system_id: client.map_or(&[], |client| &client.system_id),
            first: message_id(header, pdu),
            second: written.unwrap_or_default(),
        };
        self.message_log.records.push(record, octets);
    }

    /// An answer of our own is about to leave for a session of this core, if that is still there.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn log_own_answer(
        &mut self,
        now: Moment,
        to: ConnectionId,
        header: &Header,
        status: Status,
    ) {
        if !self.message_log.is_on() {
            return;
        }
        let requester = Requester::Session {
            connection: to,
            sequence_number: header.sequence_number,
        };
        let known = self.message_log.take_known(requester);
        if !is_message(header.command_id) {
            return;
        }
        let command = header.command_id.response();
        let record = MessageRecord::new(now, RecordKind::Answer, command, requester);
        let mut record = MessageRecord {
            status,
            outcome: match known.reason {
                Reason::Nack => Outcome::Passed,
                _ => Outcome::Own,
            },
            ..known.fill(record)
        };
        if record.arrived_at == Moment::NEVER && header.command_id != CommandId::DELIVER_SM {
            record.arrived_at = now;
        }
        let mut system_id = &[][..];
        match self.sessions.get(to).map(|session| &session.side) {
            Some(Side::Client(client)) => {
                (record.account, record.vserver) = (client.client, Some(client.vserver));
                system_id = &client.system_id;
            }
            Some(Side::Server(side)) => {
                record.server = Some(side.server);
                record.arrived_at = Moment::NEVER;
                if status.is_ok() {
                    record.outcome = Outcome::Queued;
                }
            }
            Some(Side::Gone) | None => record.outcome = Outcome::RequesterGone,
        }
        let octets = RecordOctets {
            system_id,
            ..RecordOctets::default()
        };
        self.message_log.records.push(record, octets);
    }

    /// There is nobody any more to be told what became of a request.
    #[cold]
    pub(in crate::core) fn log_requester_gone(&mut self, now: Moment, pending: &Pending) {
        if let Origin::Session {
            connection,
            sequence_number,
        } = pending.origin
        {
            self.know_pending(pending, Reason::None);
            let header = Header::alone(pending.command, Status::ESME_ROK, sequence_number);
            self.log_own_answer(now, connection, &header, Status::ESME_RSYSERR);
        }
    }

    /// A client of this core has answered a server's message, in time or not.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn log_client_answer(
        &mut self,
        now: Moment,
        from: ConnectionId,
        pending: &Pending,
        header: &Header,
    ) {
        self.know_far((from, header.sequence_number), pending, Reason::None);
        let requester = requester_of(pending.origin);
        let Requester::Session { connection, .. } = requester else {
            // How a queued message fares is told where it is booked, and another core tells of its own.
            return;
        };
        let is_there = self.sessions.get(connection).is_some();
        let outcome = match (pending.expired, is_there) {
            (true, _) => Outcome::Late,
            (false, true) => Outcome::Passed,
            (false, false) => Outcome::RequesterGone,
        };
        self.log_far_answer(now, requester, header, outcome, &[]);
    }

    /// Whose answer to another core's message it is.
    #[cold]
    pub(in crate::core) fn answered_for(&self, (from, sequence_number): (ConnectionId, u32)) -> AnsweredFor {
        let client = self.sessions.get(from).and_then(Session::client);
        AnsweredFor {
            account: client.and_then(|client| client.client),
            connection: from,
            sequence_number,
        }
    }

    /// Another core's client has answered a message of this core, or of a third one that asked us.
    #[cold]
    pub(in crate::core) fn client_of_core_answered(
        &mut self,
        now: Moment,
        core: CoreIndex,
        pending: &Pending,
        by: AnsweredFor,
        pdu: BytesMut,
    ) {
        if let Origin::Core { core, reference } = pending.origin {
            return self.send_core_answer(core, reference, CoreOutcome::AnsweredFor(by, pdu));
        }
        if self.message_log.is_on() {
            self.message_log.known = Some(Known {
                far: Some(FarSession {
                    core,
                    connection: by.connection,
                    sequence_number: by.sequence_number,
                }),
                account: by.account,
                ..known_of(pending, Reason::None)
            });
        }
        self.log_core_answer(now, pending, &pdu);
        self.core_answered(now, pending, None, pdu);
    }

    /// A client of another core has answered a message of this core.
    #[inline]
    pub(in crate::core) fn log_core_answer(&mut self, now: Moment, pending: &Pending, pdu: &[u8]) {
        if self.message_log.is_on() {
            self.log_answer_of_core(now, pending, pdu);
        }
    }

    #[cold]
    fn log_answer_of_core(&mut self, now: Moment, pending: &Pending, pdu: &[u8]) {
        self.know_pending(pending, Reason::None);
        let requester = requester_of(pending.origin);
        // How a queued message fares is told where it is booked.
        if let (Requester::Session { connection, .. }, Some(header)) = (requester, Header::read(pdu)) {
            let outcome = match self.sessions.get(connection) {
                Some(_) => Outcome::Passed,
                None => Outcome::RequesterGone,
            };
            self.log_far_answer(now, requester, &header, outcome, &[]);
        }
    }

    /// An answer came after its time.
    #[cold]
    pub(in crate::core) fn log_late_answer(
        &mut self,
        now: Moment,
        pending: &Pending,
        header: &Header,
        pdu: &[u8],
    ) {
        if self.message_log.is_on() {
            let requester = requester_of(pending.origin);
            self.log_far_answer(now, requester, header, Outcome::Late, message_id(header, pdu));
        }
    }

    /// A request that a session of this core had is tried again.
    #[cold]
    pub(in crate::core) fn log_tried_again(
        &mut self,
        now: Moment,
        pending: &Pending,
        status: Status,
        reason: Reason,
    ) {
        if self.message_log.is_on() && !matches!(pending.origin, Origin::Core { .. }) {
            self.know_pending(pending, reason);
            let header = Header::alone(pending.command.response(), status, 0);
            let requester = requester_of(pending.origin);
            self.log_far_answer(now, requester, &header, Outcome::TriedAgain, &[]);
        }
    }

    fn log_far_answer(
        &mut self,
        now: Moment,
        requester: Requester,
        header: &Header,
        outcome: Outcome,
        server_id: &[u8],
    ) {
        let mut known = self.message_log.take_known(requester);
        if !is_message(header.command_id) {
            return;
        }
        let command = header.command_id;
        let record = MessageRecord::new(now, RecordKind::Answer, command, requester);
        if let Requester::Session { connection, .. } = requester {
            match self.sessions.get(connection).map(|session| &session.side) {
                Some(Side::Client(client)) => known.account = client.client,
                Some(Side::Server(side)) => {
                    known.server = Some(side.server);
                    known.arrived_at = Moment::NEVER;
                }
                Some(Side::Gone) | None => {}
            }
        }
        let record = MessageRecord {
            status: header.command_status,
            outcome,
            ..known.fill(record)
        };
        // Whoever of the two is a client has a name.
        let far = known
            .far
            .filter(|far| far.core == self.core)
            .map(|far| far.connection);
        let near = match requester {
            Requester::Session { connection, .. } => Some(connection),
            Requester::Queue { .. } | Requester::Unknown => None,
        };
        let mut parties = [near, far].into_iter().flatten();
        let client = parties.find_map(|party| self.sessions.get(party).and_then(Session::client));
        let octets = RecordOctets {
            system_id: client.map_or(&[], |client| &client.system_id),
            first: server_id,
            second: &[],
        };
        self.message_log.records.push(record, octets);
    }

    /// A queued message's way to a client has ended.
    #[cold]
    pub(in crate::core) fn log_queued_end(
        &mut self,
        now: Moment,
        (place, number): (u32, u32),
        command: CommandId,
        delivery: Delivery,
        was_in_flight: bool,
    ) {
        if !self.message_log.is_on() {
            return;
        }
        let requester = Requester::Queue { place, number };
        let (status, outcome, reason) = match delivery {
            Delivery::Answered(status) if was_in_flight => (status, Outcome::Passed, None),
            // Its try had been given up.
            Delivery::Answered(status) => (status, Outcome::Late, None),
            Delivery::SessionLost => (
                Status::ESME_RX_T_APPN,
                Outcome::TriedAgain,
                Some(Reason::SessionLost),
            ),
            Delivery::NoRoom => (Status::ESME_RX_T_APPN, Outcome::TriedAgain, Some(Reason::NoRoom)),
        };
        if !was_in_flight && outcome == Outcome::TriedAgain {
            return;
        }
        if let Some(reason) = reason {
            let known = self.message_log.take_known(requester);
            self.message_log.known = Some(Known { reason, ..known });
        }
        let header = Header::alone(command.response(), status, 0);
        self.log_far_answer(now, requester, &header, outcome, &[]);
    }

    /// A client's session is gone, and with it what it had in the hold.
    #[cold]
    pub(in crate::core) fn log_forgotten(&mut self, now: Moment, id: ConnectionId, client: &ClientSide) {
        if !self.message_log.is_on() {
            return;
        }
        for (header, journey) in held_requests(&client.held) {
            if !is_message(header.command_id) {
                continue;
            }
            let requester = Requester::Session {
                connection: id,
                sequence_number: header.sequence_number,
            };
            let command = header.command_id.response();
            let record = MessageRecord {
                status: Status::ESME_RSYSERR,
                outcome: Outcome::RequesterGone,
                account: client.client,
                vserver: Some(client.vserver),
                arrived_at: journey.arrived_at,
                resends: journey.mark.resends(),
                ..MessageRecord::new(now, RecordKind::Answer, command, requester)
            };
            let octets = RecordOctets {
                system_id: &client.system_id,
                ..RecordOctets::default()
            };
            self.message_log.records.push(record, octets);
        }
    }
}

const fn known_of(pending: &Pending, reason: Reason) -> Known {
    Known {
        server: pending.remote_server(),
        arrived_at: pending.arrived_at,
        sent_at: pending.sent_at,
        resends: pending.mark.resends(),
        ..Known::of(requester_of(pending.origin), reason)
    }
}
