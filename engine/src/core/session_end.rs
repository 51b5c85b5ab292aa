//! The ends of sessions: unbind, half-close, loss, and the settling of what was under way.
//!
//! Invariant: when a session ends, each request of others on it is moved (if the kernel never had all of it) or answered,
//! and each book that counted the session forgets it: pools, servers, accounts, holds, directory.

use super::contract::{Action, CloseReason, ClosedBy, ConnectionId, Notice, Unsent};
use super::directory::DirectoryKey;
use super::engine::PacketEngine;
use super::figures::{Exchanges, Rule};
use super::message_log::Reason;
use super::output::{Output, Remains};
use super::queue::drain::Delivery;
use super::sequence::{Note, Origin, Pending, Window};
use super::session::{ClientSide, Session, SessionState, Side};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{BroadcastView, CommandId, Status, patch_sequence_number};
use bytes::BytesMut;
use std::time::Duration;

/// How long the last octets of a closing session may take, and an unbind its unbind_resp.
pub(super) const CLOSING_TIME: Duration = Duration::from_secs(5);

impl PacketEngine {
    /// Ends a session in an orderly way: what is in its output still goes out, nothing is added to it.
    pub(super) fn end_session(&mut self, now: Moment, id: ConnectionId, reason: CloseReason) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.state == SessionState::Closing {
            return;
        }
        if session.state == SessionState::Connecting {
            // The shell has nothing to write yet.
            return self.drop_session(now, id, reason, None, true);
        }
        if matches!(session.side, Side::Server(_)) && cuts_off(reason) {
            // What the kernel has not got yet goes to another server, so it must not be written here as well.
            return self.drop_session(now, id, reason, None, true);
        }
        session.state = SessionState::Closing;
        session.state_deadline = now + CLOSING_TIME;
        session.received_at = now;
        self.timers
            .arm(&mut session.armed_at, now + CLOSING_TIME, TimerKey::Session(id));
        let window = std::mem::replace(&mut session.window, Window::new(0, 1));
        let side = std::mem::replace(&mut session.side, Side::Gone);
        let exchanges = std::mem::take(&mut session.exchanges);
        let remains = session.output.take_retention();
        self.keep_exchanges(&side, &exchanges);
        self.settle(now, id, side, &window, remains.as_ref(), reason);
        if let Some(remains) = remains {
            remains.recycle(&mut self.buffers);
        }
        self.close_if_written(id);
    }

    /// The connection was lost, or never came to be.
    pub(super) fn connection_lost(
        &mut self,
        now: Moment,
        id: ConnectionId,
        by: ClosedBy,
        unsent: Option<Unsent>,
    ) {
        self.drop_session(now, id, CloseReason::Connection(by), unsent, false);
    }

    /// The peer will send nothing more. A client still gets its answers; a server cannot give any.
    pub(super) fn read_closed(&mut self, now: Moment, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        match (&session.side, session.state) {
            (_, SessionState::Closing) => {}
            (Side::Client(client), SessionState::Bound(kind)) if client.unanswered > 0 => {
                self.start_unbinding(now, id, kind, None);
            }
            (Side::Client(client), SessionState::Unbinding(_)) if client.unanswered > 0 => {}
            _ => self.end_session(now, id, CloseReason::Connection(ClosedBy::PeerClosed)),
        }
    }

    /// A client wants to leave: no new MO, its requests are still answered, then unbind_resp.
    pub(super) fn client_unbind(&mut self, now: Moment, id: ConnectionId, sequence_number: u32) {
        self.release_bind_before_message(now, id);
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        match (session.state, session.client()) {
            (SessionState::Bound(kind), Some(client)) if client.unanswered > 0 => {
                self.start_unbinding(now, id, kind, Some(sequence_number));
            }
            // Asked again, it must not cost the answers that the first one waits for.
            (SessionState::Unbinding(_), Some(client))
                if client.unbind_sequence_number.is_some() && client.unanswered > 0 =>
            {
                self.refuse_second_unbind(now, id, sequence_number);
            }
            _ => {
                self.send_header(id, CommandId::UNBIND_RESP, Status::ESME_ROK, sequence_number);
                self.end_session(now, id, CloseReason::PeerUnbound);
            }
        }
    }

    /// A server wants us to leave: nothing new goes there, and what is under way may still be answered for a while.
    pub(super) fn server_unbind(&mut self, now: Moment, id: ConnectionId, sequence_number: u32) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if let (SessionState::Bound(kind), Side::Server(side)) = (session.state, &mut session.side) {
            side.unbind_sequence_number = Some(sequence_number);
            session.state = SessionState::Unbinding(kind);
            session.state_deadline = now + CLOSING_TIME;
            self.timers
                .arm(&mut session.armed_at, now + CLOSING_TIME, TimerKey::Session(id));
            self.leave_books(now, id);
            self.leave_server_if_settled(now, id);
        } else if session
            .server()
            .is_some_and(|side| side.unbind_sequence_number.is_some())
        {
            self.refuse_second_unbind(now, id, sequence_number);
        } else {
            self.send_header(id, CommandId::UNBIND_RESP, Status::ESME_ROK, sequence_number);
            self.end_session(now, id, CloseReason::PeerUnbound);
        }
    }

    #[cold]
    fn refuse_second_unbind(&mut self, now: Moment, id: ConnectionId, sequence_number: u32) {
        self.send_header(
            id,
            CommandId::UNBIND_RESP,
            Status::ESME_RINVBNDSTS,
            sequence_number,
        );
        self.count_fault(now, id, Rule::State);
    }

    /// The last answer between us and a server that unbound has passed (or there was none to give).
    #[inline]
    pub(super) fn leave_server_if_settled(&mut self, now: Moment, id: ConnectionId) {
        if let Some(session) = self.sessions.get(id)
            && let Some(side) = session.server()
            && (side.is_leaving || matches!(session.state, SessionState::Unbinding(_)))
            && session.window.outstanding() == 0
            && side.unanswered == 0
        {
            self.server_settled(now, id);
        }
    }

    #[cold]
    fn server_settled(&mut self, now: Moment, id: ConnectionId) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let Some(side) = session.server() else { return };
        if let Some(number) = side.unbind_sequence_number {
            self.send_header(id, CommandId::UNBIND_RESP, Status::ESME_ROK, number);
            self.end_session(now, id, CloseReason::PeerUnbound);
        } else if session.bound().is_some() {
            self.unbind_peer(now, id);
        }
    }

    /// We asked to unbind and the peer agrees.
    pub(super) fn unbind_answered(&mut self, now: Moment, id: ConnectionId, sequence_number: u32) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        match session.window.get_mut(sequence_number) {
            Some(pending) if pending.command == CommandId::UNBIND => {
                self.end_session(now, id, CloseReason::WeUnbound);
            }
            _ => self.counters.unmatched_answers += 1,
        }
    }

    /// The last request of a client that is leaving has been answered.
    pub(super) fn client_settled(&mut self, now: Moment, id: ConnectionId) {
        let Some(client) = self.sessions.get(id).and_then(Session::client) else {
            return;
        };
        if let Some(number) = client.unbind_sequence_number {
            self.send_header(id, CommandId::UNBIND_RESP, Status::ESME_ROK, number);
        }
        self.end_session(now, id, CloseReason::PeerUnbound);
    }

    /// Sends our own unbind; the session ends with the answer or its deadline.
    pub(super) fn unbind_peer(&mut self, now: Moment, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let kind = match session.state {
            SessionState::Bound(kind) => kind,
            // It is on its way out already, and what it has sent until then is still answered.
            SessionState::Unbinding(_) => return,
            _ => return self.end_session(now, id, CloseReason::WeUnbound),
        };
        self.answer_what_is_due(now, id);
        // A last answer may have been too much for its output.
        let Some(session) = self
            .sessions
            .get_mut(id)
            .filter(|session| session.bound().is_some())
        else {
            return;
        };
        session.state = SessionState::Unbinding(kind);
        session.state_deadline = now + CLOSING_TIME;
        self.timers
            .arm(&mut session.armed_at, now + CLOSING_TIME, TimerKey::Session(id));
        self.leave_books(now, id);
        self.send_own(now, id, CommandId::UNBIND);
    }

    /// The shell has written a buffer.
    #[inline]
    pub(super) fn output_written(&mut self, now: Moment, id: ConnectionId, buffer: BytesMut) {
        let Some(session) = self.sessions.get_mut(id) else {
            return self.buffers.give(buffer);
        };
        session.output.transmitted(buffer, &mut self.buffers);
        // Nothing is in flight any more: what waits is new.
        if session.output.waiting_octets() > 0 {
            super::relay::list_writable(&mut self.outbox, id, session);
        }
        match &session.side {
            Side::Server(side) => {
                let server = side.server;
                let takes_no_more = side.is_leaving || matches!(session.state, SessionState::Unbinding(_));
                let is_written = session.output.is_idle();
                if std::mem::take(&mut self.servers[usize::from(server.0)].is_choked) {
                    self.room_at_server(now, server);
                }
                if takes_no_more && is_written {
                    // Segments may wait for what lay unwritten here.
                    self.look_at_all_holds(now);
                }
            }
            Side::Client(_) => {
                if session.reading_paused | session.is_slow {
                    // What is handed out next is waited for as well.
                    self.outbox.awaits_transmitted = true;
                    self.resume_reading_if_drained(id);
                }
                if !self.queue.rings.is_empty() {
                    self.serve_queue_for(now, id);
                }
            }
            Side::Gone => self.close_if_written(id),
        }
    }

    /// Asks the shell to close a session whose last octet is written.
    fn close_if_written(&mut self, id: ConnectionId) {
        if self
            .sessions
            .get(id)
            .is_some_and(|session| session.output.is_idle())
        {
            self.sessions.remove(id);
            self.outbox.actions.push_back(Action::Close {
                connection: id,
                after_writing: true,
            });
            self.drain_step();
        } else {
            self.outbox.awaits_transmitted = true;
        }
    }

    /// Closes a session whose peer does not read its last octets.
    pub(super) fn abort_closing(&mut self, id: ConnectionId) {
        if let Some(session) = self.sessions.remove(id) {
            session.output.into_remains(None).recycle(&mut self.buffers);
            self.outbox.actions.push_back(Action::Close {
                connection: id,
                after_writing: false,
            });
            self.drain_step();
        }
    }

    /// Answers every request of a session that still waits, with an error: it is about to be told that all is over.
    /// Rare, so it may look at every window.
    pub(super) fn answer_what_is_due(&mut self, now: Moment, id: ConnectionId) {
        let unanswered = self.sessions.get(id).map_or(0, |session| match &session.side {
            Side::Client(client) => client.unanswered,
            Side::Server(server) => server.unanswered,
            Side::Gone => 0,
        });
        if unanswered == 0 {
            return;
        }
        self.answer_held(now, id);
        self.end_gathers_of(now, id);
        self.forget_held_receipts(now, id);
        self.fail_requests_of(now, |requester| requester == id);
    }

    /// The same for all sessions in one pass.
    pub(super) fn answer_all_that_is_due(&mut self, now: Moment) {
        for id in self.sessions.ids() {
            self.answer_held(now, id);
            self.end_gathers_of(now, id);
        }
        self.give_up_held_receipts(now, None);
        self.fail_requests_of(now, |_| true);
    }

    fn fail_requests_of(&mut self, now: Moment, is_wanted: impl Fn(ConnectionId) -> bool) {
        let is_due = |pending: &Pending| {
            !pending.expired
                && matches!(pending.origin, Origin::Session { connection, .. } if is_wanted(connection))
        };
        let mut due = Vec::new();
        for other in self.sessions.ids() {
            let window = self.sessions.get_mut(other).map(|session| &mut session.window);
            let expired: Vec<_> = window
                .into_iter()
                .flat_map(|window| window.expire_where(is_due))
                .collect();
            for pending in &expired {
                self.settle_retained(other, pending);
            }
            due.extend(expired);
        }
        for link in &mut self.links {
            due.extend(link.window.expire_where(is_due));
        }
        due.extend(self.queue.appends.expire_where(is_due));
        due.extend(self.take_waiting(is_due));
        for pending in due {
            let status = self.timeout_status(&pending);
            self.fail_request(now, &pending, status);
        }
    }

    fn start_unbinding(
        &mut self,
        now: Moment,
        id: ConnectionId,
        kind: super::session::BindKind,
        unbind_sequence_number: Option<u32>,
    ) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.state = SessionState::Unbinding(kind);
        session.state_deadline = now + CLOSING_TIME;
        self.timers
            .arm(&mut session.armed_at, now + CLOSING_TIME, TimerKey::Session(id));
        if let Some(client) = session.client_mut() {
            client.unbind_sequence_number = unbind_sequence_number;
        }
        self.leave_books(now, id);
    }

    /// Takes a session out of the table at once, and settles it.
    /// `tell`: the shell does not know yet; it writes nothing more.
    pub(super) fn drop_session(
        &mut self,
        now: Moment,
        id: ConnectionId,
        reason: CloseReason,
        unsent: Option<Unsent>,
        tell: bool,
    ) {
        let Some(session) = self.sessions.remove(id) else {
            if let Some(unsent) = unsent {
                self.buffers.give(unsent.octets);
            }
            return;
        };
        if tell {
            self.outbox.actions.push_back(Action::Close {
                connection: id,
                after_writing: false,
            });
        }
        let Session {
            side,
            window,
            output,
            exchanges,
            ..
        } = session;
        let remains = Output::into_remains(output, unsent);
        self.keep_exchanges(&side, &exchanges);
        self.settle(now, id, side, &window, Some(&remains), reason);
        remains.recycle(&mut self.buffers);
        self.drain_step();
    }

    /// What a session has counted stays in the sums of whom it was with.
    fn keep_exchanges(&mut self, side: &Side, exchanges: &Exchanges) {
        match side {
            Side::Client(client) => self.past.keep(client.vserver, client.client, exchanges),
            Side::Server(side) => self.servers[usize::from(side.server.0)]
                .figures
                .past
                .add(exchanges),
            Side::Gone => {}
        }
    }

    fn settle(
        &mut self,
        now: Moment,
        id: ConnectionId,
        side: Side,
        window: &Window,
        remains: Option<&Remains>,
        reason: CloseReason,
    ) {
        match side {
            Side::Client(client) => {
                self.settle_client(now, id, &client, reason);
                self.settle_window(now, window, remains, false);
            }
            Side::Server(server) => {
                self.forget_held_receipts(now, id);
                self.settle_server(now, id, &server, window, reason);
                self.settle_window(now, window, remains, true);
                // Perhaps it was the last one that is well: then those that are left out have what waits.
                self.look_at_all_holds(now);
                // After that: what is sent again or held has to be answered before its client is unbound.
                match server.identity {
                    Some(identity) => self.identity_session_lost(now, id, identity),
                    None => {
                        self.unbind_clients_without_server(now, server.server);
                    }
                }
            }
            Side::Gone => {}
        }
    }

    fn settle_client(&mut self, now: Moment, id: ConnectionId, client: &ClientSide, reason: CloseReason) {
        self.leave_books_of(now, id, client);
        self.forget_waiting_bind(id);
        self.log_forgotten(now, id, client);
        self.forget_held(client.vserver, id, client.held_requests);
        if let Some(identity) = client.identity {
            self.leave_identity(now, identity, id);
        }
        self.outbox.notice(Notice::ClientLost {
            vserver: client.vserver,
            peer: client.peer,
            system_id: super::client_bind::printable(&client.system_id),
            reason,
        });
    }

    /// Requests that were under way towards a session that is gone.
    fn settle_window(&mut self, now: Moment, window: &Window, remains: Option<&Remains>, is_server: bool) {
        let mut requests: Vec<(Pending, Note)> = window
            .iter()
            .map(|(number, pending)| (*pending, window.note_of(number, pending)))
            .collect();
        requests.sort_unstable_by_key(|(pending, _)| pending.stream_end);
        for (late, _) in requests.iter().filter(|(pending, _)| pending.expired) {
            self.segment_settled(late.note, false);
        }
        for (pending, note) in requests
            .iter()
            .filter(|(pending, _)| !pending.expired && pending.origin != Origin::Own)
        {
            if let Origin::Queue { place, number } = pending.origin {
                self.segment_settled(pending.note, false);
                self.queued_ended(now, place, number, Delivery::SessionLost);
                continue;
            }
            let unwritten = remains.and_then(|remains| remains.unwritten(pending.stream_end, pending.octets));
            match unwritten {
                Some(pdu) if may_move(pending, pdu, is_server) => {
                    self.move_request(now, pending, *note, pdu, is_server);
                }
                _ if is_server && self.resend_lost(now, pending, remains) => {}
                _ => {
                    self.segment_settled(pending.note, false);
                    self.know_pending(pending, Reason::SessionLost);
                    let status = if is_server {
                        Status::ESME_RSYSERR
                    } else {
                        Status::ESME_RX_T_APPN
                    };
                    self.fail_request(now, pending, status);
                }
            }
        }
    }

    fn move_request(&mut self, now: Moment, pending: &Pending, note: Note, pdu: &[u8], is_server: bool) {
        let mut copy = self.buffers.take();
        self.keep_turn_of_unwritten(now, pending);
        let owner = self.take_back(pending, pdu, &mut copy);
        match pending.origin {
            Origin::Core { core, reference } => {
                return self.segment_again(now, owner, pending, note, (core, reference), None, copy);
            }
            Origin::Session {
                connection,
                sequence_number,
            } => {
                patch_sequence_number(&mut copy, sequence_number);
                if is_server {
                    self.retry_or_hold(now, connection, &copy, pending.journey());
                } else {
                    self.redeliver(now, connection, pending, note, None, &copy);
                }
            }
            // Only what may move comes here: a part of several may not, and a queued message stays in the queue.
            Origin::Gathered(_) | Origin::Queue { .. } | Origin::Own => {}
        }
        self.buffers.give(copy);
    }

    /// Takes a session that gets no new work out of pools and servers; its answers still pass.
    pub(super) fn leave_books(&mut self, now: Moment, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        match &mut session.side {
            Side::Client(client) => {
                let mut left = std::mem::take(&mut client.pools);
                let account = client.counted_account.take();
                self.leave_pools(now, id, &mut left);
                self.leave_account(account);
            }
            Side::Server(server) => {
                let server = *server;
                let (outstanding, limit) = (session.window.outstanding(), session.window.limit());
                self.leave_server(id, &server, outstanding, limit);
            }
            Side::Gone => {}
        }
    }

    fn leave_books_of(&mut self, now: Moment, id: ConnectionId, client: &ClientSide) {
        self.leave_pools(now, id, &mut client.pools.clone());
        self.leave_account(client.counted_account);
    }

    fn leave_pools(&mut self, now: Moment, id: ConnectionId, pools: &mut Vec<super::pool::PoolIndex>) {
        if !pools.is_empty() {
            self.pools_have_changed(now);
        }
        for pool in pools.drain(..) {
            if let Some(key) = self.pools.leave(pool, id) {
                self.directory.changed(&DirectoryKey::Pool(key));
            }
        }
    }

    fn leave_account(&mut self, account: Option<super::settings::ClientIndex>) {
        if let Some(client) = account {
            let sessions = self.account_sessions.at(client, self.core).saturating_sub(1);
            self.account_sessions.set(client, self.core, sessions);
            self.directory.changed(&DirectoryKey::Account(client));
        }
    }
}

/// The server is not there any more, or not a peer to end in an orderly way with. A bind that it has not read in time is given
/// up: the next one may be sent in its place, and then it must not be there as well.
const fn cuts_off(reason: CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::Connection(_)
            | CloseReason::BindTimeout
            | CloseReason::EnquireLinkTimeout
            | CloseReason::OutputFull
            | CloseReason::ProtocolViolations
    )
}

/// An operation on a message has lost its tag on the way and belongs to that one server; so does a broadcast that takes another's
/// place.
pub(super) fn may_move(pending: &Pending, pdu: &[u8], is_server: bool) -> bool {
    if !is_server {
        return true;
    }
    match pending.command {
        CommandId::SUBMIT_SM | CommandId::DATA_SM | CommandId::SUBMIT_MULTI => true,
        CommandId::BROADCAST_SM => {
            BroadcastView::parse(pdu).is_ok_and(|broadcast| broadcast.message_id().is_empty())
        }
        _ => false,
    }
}
