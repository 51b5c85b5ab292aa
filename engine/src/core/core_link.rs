//! Requests to and from other cores, and the reverse mapping that brings their answers home.
//!
//! The asking core keeps an entry for each request in a window of its own towards that core; the owning core's entry names
//! the asking core and that reference. Invariants: every request that arrives is answered exactly once, also when nothing
//! could be done; an answer whose entry is gone is counted and dropped. Must never wait for another core.

use super::checked_request::CheckedRequest;
use super::client_requests::RetryOutcome;
use super::contract::{ConnectionId, CoreIndex};
use super::core_message::{
    CoreAnswer, CoreMessage, CoreOutcome, CoreRequest, CoreTarget, HomeVerdict, MessageSender, PoolHandle,
    QueueWish,
};
use super::engine::PacketEngine;
use super::figures::count;
use super::queue::drain::Delivery;
use super::sequence::{Journey, Mark, Note, Origin, Pending, SubmitNote, Via, Window};
use super::server_requests::CheckedMessage;
use super::settings::{ServerIndex, Settings};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{Header, Status, patch_sequence_number};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;

/// The owning core times the far peer; the asking core only guards against the owning core itself.
pub(super) const MARGIN: Duration = Duration::from_secs(1);
/// A core that has refused a client's request is not asked again for this long. Without the pause a refusal that lasts
/// (a full mailbox, a directory entry that is out of date) would be asked for again and again within one turn.
pub(super) const REFUSAL_PAUSE: Duration = Duration::from_millis(10);

/// What this core has asked another one.
#[derive(Debug)]
pub(super) struct CoreLink {
    pub(super) window: Window,
    /// Its mailbox was full: nothing is sent there before this moment.
    closed_until: Moment,
    /// The last of its directory updates that was taken in.
    pub(super) directory_version: u64,
    /// It has stopped for good.
    pub(super) is_gone: bool,
    /// It could not take a segment of a message whose home it is: none is sent there before this moment.
    pub(super) segments_closed_until: Moment,
    /// It has said that it is leaving: no key's home any more (see `home`).
    pub(super) is_leaving: bool,
    pub(super) armed_at: Moment,
}

impl CoreLink {
    pub(super) fn new(requests_max: u32) -> Self {
        Self {
            window: Window::new(requests_max, 1),
            closed_until: Moment::START,
            directory_version: 0,
            is_gone: false,
            is_leaving: false,
            segments_closed_until: Moment::START,
            armed_at: Moment::NEVER,
        }
    }

    /// Another request may be sent there now.
    #[inline]
    pub(super) fn is_usable(&self, now: Moment) -> bool {
        !self.window.is_full() && self.closed_until <= now
    }

    /// Segments of messages whose home it is may be sent there now.
    pub(super) fn takes_segments(&self, now: Moment) -> bool {
        self.is_usable(now) && self.segments_closed_until <= now
    }

    /// Keys may have their home there.
    #[inline]
    pub(super) const fn may_be_home(&self) -> bool {
        !self.is_gone && !self.is_leaving
    }
}

impl PacketEngine {
    /// Asks another core to send a client's request to its session at `server`.
    pub(super) fn send_core_request_to_server(
        &mut self,
        now: Moment,
        core: CoreIndex,
        server: ServerIndex,
        request: &CheckedRequest<'_>,
        pending: Pending,
        receipt: Option<SubmitNote>,
    ) -> bool {
        let pending = Pending {
            via: Via::Server(server),
            ..pending
        };
        let command = pending.command;
        let sent = self.send_core_request(now, core, pending, |reference, buffers| {
            let pdu = buffers.copy_of(request.pdu);
            let leave_out = request.tag.range();
            let leave_out = short(leave_out.start)..short(leave_out.end);
            CoreRequest {
                reference,
                target: CoreTarget::Server(server),
                pdu,
                leave_out,
                receipt,
                message: None,
            }
        });
        if sent {
            self.servers[usize::from(server.0)].remote_mut(core).outstanding += 1;
            self.trial_sent(now, server, command);
        }
        sent
    }

    /// Asks another core to deliver a message to its members of a pool.
    pub(super) fn send_core_request_to_pool(
        &mut self,
        now: Moment,
        core: CoreIndex,
        handle: PoolHandle,
        message: &CheckedMessage<'_>,
        origin: Origin,
        rerouted: bool,
    ) -> bool {
        let pending = Pending {
            mark: Mark::new(u8::from(rerouted), 0),
            via: Via::Pool,
            ..Pending::new(origin, message.command, now)
        };
        let sent = self.send_core_request(now, core, pending, |reference, buffers| {
            let pdu = buffers.copy_of(message.pdu);
            CoreRequest {
                reference,
                target: CoreTarget::Pool(handle),
                pdu,
                leave_out: 0..0,
                receipt: None,
                message: None,
            }
        });
        if sent && let Some(account) = message.account {
            self.links[core.as_usize()]
                .window
                .note_last(Note::Account(account));
        }
        sent
    }

    /// The answer to a request that this core has sent to another one.
    pub(super) fn core_answer(&mut self, now: Moment, from: CoreIndex, answer: CoreAnswer) {
        if let CoreOutcome::Refused {
            no_room_as_of: Some(version),
            ..
        } = answer.outcome
            && let Some(link) = self.links.get_mut(from.as_usize())
            && let Some(pending) = link.window.get_mut(answer.reference)
            && let Some(server) = pending.remote_server()
        {
            let is_news = version > link.directory_version;
            self.servers[usize::from(server.0)]
                .remote_mut(from)
                .has_refused(is_news);
        }
        self.settle_core_request(now, from, answer);
    }

    fn settle_core_request(&mut self, now: Moment, from: CoreIndex, answer: CoreAnswer) {
        let entry = self.links.get_mut(from.as_usize()).and_then(|link| {
            let pending = link.window.take(answer.reference)?;
            Some((pending, link.window.note_of(answer.reference, &pending)))
        });
        let Some((pending, note)) = entry else {
            self.counters.core_answers_stale += 1;
            return;
        };
        if let Some(server) = pending.remote_server() {
            self.judge_remote(now, server, &pending, &answer.outcome);
            let remote = self.servers[usize::from(server.0)].remote_mut(from);
            remote.outstanding = remote.outstanding.saturating_sub(1);
            if matches!(
                answer.outcome,
                CoreOutcome::Answered(_) | CoreOutcome::AnsweredBy(..)
            ) {
                remote.has_taken();
            }
        }
        if let Via::Queue(bucket) = pending.via {
            let is_queued = matches!(answer.outcome, CoreOutcome::Verdict(HomeVerdict::Queued, _));
            self.queue.marks.answered(bucket, is_queued);
        }
        let is_ok = match &answer.outcome {
            CoreOutcome::Answered(pdu)
            | CoreOutcome::AnsweredBy(_, pdu)
            | CoreOutcome::AnsweredFor(_, pdu) => {
                Header::read(pdu).is_some_and(|header| header.command_status.is_ok())
            }
            _ => false,
        };
        match answer.outcome {
            CoreOutcome::Refused { pdu, .. } if !pending.expired => {
                self.try_elsewhere(now, from, &pending, note, pdu);
            }
            CoreOutcome::Returned { pdu, status } if !pending.expired && pending.note.is_some() => {
                self.segment_returned(now, from, &pending, &pdu, status);
                self.buffers.give(pdu);
            }
            outcome => {
                self.segment_settled_by_core(pending.note, is_ok && !pending.expired);
                self.core_request_ended(now, from, &pending, outcome);
            }
        }
        if let Some(server) = pending.remote_server() {
            self.serve_holds_of(now, server);
        } else if pending.via == Via::Home {
            self.serve_holds_behind_home(now);
        }
    }

    fn core_request_ended(&mut self, now: Moment, from: CoreIndex, pending: &Pending, outcome: CoreOutcome) {
        match outcome {
            _ if pending.expired => self.counters.late_answers += 1,
            CoreOutcome::Answered(pdu) => {
                self.log_core_answer(now, pending, &pdu);
                self.core_answered(now, pending, None, pdu);
            }
            CoreOutcome::AnsweredBy(server, pdu) => self.core_answered(now, pending, Some(server), pdu),
            CoreOutcome::AnsweredFor(by, pdu) => self.client_of_core_answered(now, from, pending, by, pdu),
            // One that is not late has been sent elsewhere before this.
            CoreOutcome::Refused { pdu, .. } => self.buffers.give(pdu),
            CoreOutcome::Verdict(verdict, pdu) => self.verdict_came(now, from, pending, verdict, pdu),
            CoreOutcome::Leaving(question, pdu) => self.home_is_leaving(now, from, pending, question, pdu),
            CoreOutcome::Returned { pdu, status } => self.returned_by_core(now, from, pending, pdu, status),
            CoreOutcome::Failed(status) => self.fail_request(now, pending, status),
            CoreOutcome::TimedOut => self.request_timed_out(now, pending),
        }
    }

    pub(super) fn send_core_answer(&mut self, core: CoreIndex, reference: u32, outcome: CoreOutcome) {
        self.outbox
            .core_messages
            .push_back((core, CoreMessage::Answer(CoreAnswer { reference, outcome })));
    }

    /// Sends a client's answer home; the asking core puts in the original number. `by`: its session, and the number there.
    #[inline]
    pub(super) fn send_core_answer_copy(
        &mut self,
        core: CoreIndex,
        reference: u32,
        by: (ConnectionId, u32),
        pdu: &[u8],
    ) {
        let copy = self.buffers.copy_of(pdu);
        let outcome = if self.message_log.is_on() {
            CoreOutcome::AnsweredFor(self.answered_for(by), copy)
        } else {
            CoreOutcome::Answered(copy)
        };
        self.send_core_answer(core, reference, outcome);
    }

    /// A message found no way to its core: a request is as good as refused by it, entries wait for their new home, anything
    /// else is moot.
    pub(super) fn core_message_refused(&mut self, now: Moment, to: CoreIndex, message: CoreMessage) {
        if let CoreMessage::Entries(batch) = message {
            self.entries.came_back(to, batch.entries);
        } else if let CoreMessage::Request(request) = message {
            self.counters.core_requests_refused += 1;
            if let Some(link) = self.links.get_mut(to.as_usize()) {
                link.closed_until = now + REFUSAL_PAUSE;
            }
            if let CoreTarget::Home(question) = request.target {
                let pending = self.links[to.as_usize()].window.take(request.reference);
                if let Some(Via::Queue(bucket)) = pending.map(|pending| pending.via) {
                    self.queue.marks.answered(bucket, false);
                }
                if let Some(pending) = pending.filter(|pending| !pending.expired) {
                    self.question_refused(now, to, &pending, question, request.pdu);
                }
                return;
            }
            let answer = CoreAnswer {
                reference: request.reference,
                outcome: CoreOutcome::refused(request.pdu),
            };
            // The core does not know of it, so what it has said of its room still holds.
            self.settle_core_request(now, to, answer);
        }
    }

    /// A core had no room for a client's request: it is left alone for a while, and then those who wait are served.
    pub(super) fn pause_remote(&mut self, now: Moment, core: CoreIndex, server: ServerIndex) {
        let until = now + REFUSAL_PAUSE;
        self.servers[usize::from(server.0)].remote_mut(core).closed_until = until;
        if let Some(link) = self.links.get_mut(core.as_usize()) {
            self.timers.arm(&mut link.armed_at, until, TimerKey::Core(core));
        }
    }

    /// The pause after a refusal is over.
    fn serve_holds_for_core(&mut self, now: Moment, core: CoreIndex) {
        for server in 0..self.servers.len() {
            let remotes = &self.servers[server].remotes;
            if remotes
                .iter()
                .any(|remote| remote.core == core && remote.sessions > 0)
            {
                // At most 1,296 servers have distinct uids.
                self.serve_holds_of(now, ServerIndex(u16::try_from(server).unwrap_or(u16::MAX)));
            }
        }
    }

    /// Requests to another core that even it has not answered in time.
    pub(super) fn expire_core_requests(&mut self, now: Moment, core: CoreIndex) {
        let settings = Arc::clone(&self.settings);
        let deadline = |pending: &Pending| pending.sent_at + patience(&settings, pending);
        let link = &mut self.links[core.as_usize()];
        let due = link
            .window
            .numbers_where(|pending| !pending.expired && deadline(pending) <= now);
        for reference in due {
            let Some(pending) = self.links[core.as_usize()].window.get_mut(reference) else {
                continue;
            };
            pending.expired = true;
            let pending = *pending;
            self.counters.timeouts += 1;
            self.request_timed_out(now, &pending);
        }
        self.serve_holds_for_core(now, core);
        self.serve_holds_behind_home(now);
        let link = &mut self.links[core.as_usize()];
        let next = link
            .window
            .iter()
            .filter(|(_, pending)| !pending.expired)
            .map(|(_, pending)| deadline(pending))
            .min();
        if let Some(next) = next {
            self.timers.arm(&mut link.armed_at, next, TimerKey::Core(core));
        }
    }

    /// A core has stopped: what we had asked it fails, since it may have been written; its pools and servers are gone.
    pub(super) fn forget_core(&mut self, now: Moment, gone: CoreIndex) {
        if !self.core_is_known(gone) {
            return;
        }
        self.links[gone.as_usize()].is_gone = true;
        self.put_entries_again(now, gone);
        self.queue.marks.forget_core(gone);
        self.queue.guests.forget_core(gone);
        self.pools.forget_core(gone);
        self.account_sessions.forget_core(gone);
        self.directory.forget_core(gone);
        self.leases.forget_core(gone);
        self.early_server_entries.retain(|(core, _)| *core != gone);
        for server in &mut self.servers {
            server.remotes.retain(|remote| remote.core != gone);
        }
        for reference in self.links[gone.as_usize()].window.numbers_where(|_| true) {
            let Some(pending) = self.links[gone.as_usize()].window.take(reference) else {
                continue;
            };
            if let Via::Queue(bucket) = pending.via {
                self.queue.marks.answered(bucket, false);
            }
            self.segment_settled(pending.note, false);
            if !pending.expired {
                self.request_timed_out(now, &pending);
            }
        }
        self.release_binds(now);
        self.connect_all_servers(now);
        self.unbind_all_clients_without_server(now);
        self.pools_have_changed(now);
        self.homes_have_changed();
        self.word_came(now, gone);
    }

    #[inline]
    pub(super) fn send_core_request(
        &mut self,
        now: Moment,
        core: CoreIndex,
        pending: Pending,
        make: impl FnOnce(u32, &mut super::output::Buffers) -> CoreRequest,
    ) -> bool {
        let link = &mut self.links[core.as_usize()];
        let Some(reference) = link.window.reserve(pending) else {
            self.counters.core_requests_refused += 1;
            return false;
        };
        let deadline = now + patience(&self.settings, &pending);
        self.timers
            .arm(&mut link.armed_at, deadline, TimerKey::Core(core));
        let request = make(reference, &mut self.buffers);
        count(&mut self.counters.core_requests_sent, 1);
        self.outbox
            .core_messages
            .push_back((core, CoreMessage::Request(request)));
        true
    }

    /// `by`: the server that answered.
    #[inline]
    pub(super) fn core_answered(
        &mut self,
        now: Moment,
        pending: &Pending,
        by: Option<ServerIndex>,
        pdu: BytesMut,
    ) {
        if let Some(server) = pending.remote_server() {
            self.servers[usize::from(server.0)].measure(now.nanoseconds_since(pending.sent_at));
        }
        let (connection, sequence_number) = match pending.origin {
            Origin::Session {
                connection,
                sequence_number,
            } => (connection, sequence_number),
            // This core is the message's home and not its sender's.
            Origin::Core { core, reference } => {
                let outcome = match by {
                    Some(server) => CoreOutcome::AnsweredBy(server, pdu),
                    None => CoreOutcome::Answered(pdu),
                };
                return self.send_core_answer(core, reference, outcome);
            }
            Origin::Queue { place, number } => {
                if let Some(header) = Header::read(&pdu) {
                    let delivery = Delivery::Answered(header.command_status);
                    self.queued_ended(now, place, number, delivery);
                }
                return self.buffers.give(pdu);
            }
            Origin::Gathered(gather) => {
                if let Some(header) = Header::read(&pdu) {
                    self.part_answered(now, gather, header.command_status);
                }
                return self.buffers.give(pdu);
            }
            Origin::Own => return self.buffers.give(pdu),
        };
        match (by, Header::read(&pdu)) {
            (Some(server), Some(header)) => {
                let begun = self.begin_logged_answer(connection);
                self.answer_to_client(now, server, connection, sequence_number, header, &pdu);
                self.end_logged_answer(now, begun, server, pending, &header, &pdu);
            }
            (None, Some(header)) => {
                self.send_response_copy(connection, &pdu, &header, sequence_number);
                self.server_request_answered(now, connection, header.command_id, header.command_status);
            }
            (_, None) => {}
        }
        self.buffers.give(pdu);
    }

    /// The other core could not even write it: once more from the start, without that core.
    fn try_elsewhere(
        &mut self,
        now: Moment,
        not_at: CoreIndex,
        pending: &Pending,
        note: Note,
        refused: BytesMut,
    ) {
        let (mut pdu, mut owner) = (refused, None);
        if pending.note.is_some() {
            let mut copy = self.buffers.take();
            owner = self.take_back(pending, &pdu, &mut copy);
            self.buffers.give(std::mem::replace(&mut pdu, copy));
        }
        if let Some(server) = pending.remote_server() {
            if pending.note.is_some() {
                // Only the session of its message may have no room, or an earlier segment be due.
                self.pause_segments(now, not_at);
            }
            self.pause_remote(now, not_at, server);
        }
        let (connection, sequence_number) = match pending.origin {
            Origin::Session {
                connection,
                sequence_number,
            } => (connection, sequence_number),
            Origin::Core { core, reference } => {
                let place = (core, reference);
                return self.segment_again(now, owner, pending, note, place, Some(not_at), pdu);
            }
            Origin::Queue { place, number } => {
                self.buffers.give(pdu);
                return self.queued_ended(now, place, number, Delivery::NoRoom);
            }
            Origin::Gathered(gather) => {
                self.part_answered(now, gather, Status::ESME_RTHROTTLED);
                return self.buffers.give(pdu);
            }
            Origin::Own => return self.buffers.give(pdu),
        };
        if let (Via::Queue(_), Some(vserver)) = (pending.via, self.vserver_of_messages(connection)) {
            let wish = QueueWish {
                vserver,
                account: note.account(),
                is_tried: true,
                sender: MessageSender::default(),
            };
            return self.queue_again(now, pending, wish, pdu);
        }
        patch_sequence_number(&mut pdu, sequence_number);
        // A client's segment may have waited at its home, not at a server.
        let session = self.sessions.get(connection);
        if session.is_some_and(|session| session.client().is_some()) {
            self.retry_or_hold(now, connection, &pdu, pending.journey());
        } else {
            self.redeliver(now, connection, pending, note, Some(not_at), &pdu);
        }
        self.buffers.give(pdu);
    }

    /// Sends a client's request that was never written once more, or does what the vserver's policies say.
    pub(super) fn retry_or_hold(&mut self, now: Moment, from: ConnectionId, pdu: &[u8], journey: Journey) {
        let Some(header) = Header::read(pdu) else { return };
        // It follows nothing that was read some time ago.
        self.batch = None;
        match self.retry_client_request(now, from, pdu, journey) {
            RetryOutcome::Sent => {}
            RetryOutcome::Rejected(status) => self.answer_rejected(now, from, header, journey, status),
            RetryOutcome::Gone => self.log_own_answer(now, from, &header, Status::ESME_RSYSERR),
            RetryOutcome::NoWay(way) => self.no_way(now, from, header, pdu, way, journey),
        }
    }

    /// Delivers a server's message that was never written to another place, once; then the server has to retry.
    pub(super) fn redeliver(
        &mut self,
        now: Moment,
        server_session: ConnectionId,
        pending: &Pending,
        note: Note,
        not_at: Option<CoreIndex>,
        pdu: &[u8],
    ) {
        let session = self.sessions.get(server_session);
        let side = session.and_then(|session| Some((session, session.server()?)));
        let Some((session, side)) = side else {
            return self.log_requester_gone(now, pending);
        };
        let (identity, vserver) = (
            side.identity,
            self.settings.servers[usize::from(side.server.0)].mobile_originated_vserver,
        );
        let account = note.account();
        let message =
            CheckedMessage::check(pending.command, pdu).map(|message| CheckedMessage { account, ..message });
        let is_again = pending.mark.resends() > 0;
        let outcome = match (message, identity, vserver) {
            // A message that has met routing rules may not be what the server sent any more: the server sends it again.
            _ if session.is_curbed => Err(Status::ESME_RX_T_APPN),
            (Ok(message), None, Some(vserver)) if is_again => {
                self.queue_message(now, (vserver, false), &message, pending.origin)
            }
            _ if is_again => Err(Status::ESME_RX_T_APPN),
            (Ok(message), Some(identity), _) => {
                let sent = self.deliver_to_identity(now, identity, &message, pending.origin, true);
                if sent { Ok(()) } else { Err(Status::ESME_RX_T_APPN) }
            }
            (Ok(message), None, Some(vserver)) => {
                self.deliver_or_queue_again(now, vserver, &message, pending.origin, not_at)
            }
            _ => Err(Status::ESME_RX_T_APPN),
        };
        if let Err(status) = outcome {
            self.fail_request(now, pending, status);
        }
    }
}

/// How long another core may take: as long as the far peer that it asks, and a margin. A home core may have to ask
/// another one in its turn, for either side's peers.
fn patience(settings: &Settings, pending: &Pending) -> Duration {
    match pending.via {
        Via::Server(server) => settings.servers[usize::from(server.0)].response_timeout + MARGIN,
        Via::Home => settings.response_timeout_max().max(settings.receipt_hold_max()) + MARGIN * 2,
        Via::Queue(_) => settings.response_timeout_max() + MARGIN * 2,
        Via::Session | Via::Pool => settings.client_response_timeout_max() + MARGIN,
    }
}

/// Offsets inside a PDU fit: max-pdu is a u32.
fn short(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(0)
}
