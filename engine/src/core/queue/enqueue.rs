//! A message's way into the queue: to the home core of its line, into the store, and back with the answer.
//!
//! Invariant: the answer that acknowledges it leaves only after the store's word.

use super::super::contract::{ConnectionId, CoreIndex};
use super::super::core_message::{
    CoreOutcome, CoreRequest, CoreTarget, HomeQuestion, HomeVerdict, QueueWish,
};
use super::super::directory::DirectoryKey;
use super::super::engine::PacketEngine;
use super::super::sequence::{Note, Origin, Pending, Via};
use super::super::server_requests::CheckedMessage;
use super::super::settings::VserverIndex;
use super::super::store_message::{StoreCommand, StoreRefusal};
use super::super::time::Moment;
use super::super::timer::TimerKey;
use super::super::wire::{CommandId, Header, Status, patch_sequence_number};
use super::{APPENDING_OCTETS_MAX, Bucket, QueueKey};
use bytes::BytesMut;

impl PacketEngine {
    /// Sends a message to a client, or queues it: behind others of its line, or because nobody can take it. `Err`: neither,
    /// with the status that says why.
    #[inline]
    pub(in crate::core) fn deliver_or_queue(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> Result<(), Status> {
        self.deliver_or_join(now, vserver, message, origin, (None, false))
    }

    /// The same for one that came back from a client's session or another core: others of its line may have gone before it into
    /// the queue.
    #[cold]
    pub(in crate::core) fn deliver_or_queue_again(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
        not_at: Option<CoreIndex>,
    ) -> Result<(), Status> {
        self.deliver_or_join(now, vserver, message, origin, (not_at, true))
    }

    #[inline(always)]
    fn deliver_or_join(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
        (not_at, rerouted): (Option<CoreIndex>, bool),
    ) -> Result<(), Status> {
        if !self.queue.is_quiet()
            && let Some(outcome) = self.join_line(now, vserver, message, origin)
        {
            return outcome;
        }
        match self.deliver(now, vserver, message, origin, not_at, rerouted) {
            Err(Status::ESME_RX_T_APPN) => self.queue_message(now, (vserver, false), message, origin),
            outcome => outcome,
        }
    }

    /// Queues a message that nobody can take now; `is_tried`: the home of its line said so too. `Err`: it can't be.
    #[cold]
    pub(in crate::core) fn queue_message(
        &mut self,
        now: Moment,
        (vserver, is_tried): (VserverIndex, bool),
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> Result<(), Status> {
        let may_queue = self.queue.is_on
            && message
                .account
                .is_none_or(|of| self.settings.may_receive(of.account));
        let key = QueueKey::of_message(vserver, message).filter(|_| may_queue);
        let key = key.ok_or(Status::ESME_RX_T_APPN)?;
        let key_hash = self.settings.key_hash(key);
        let bucket = Bucket::of(key_hash);
        let home = self.home_of(bucket.key_hash());
        if home == self.core {
            self.append(now, key, key_hash, message, origin)
        } else {
            self.ask_to_queue(now, (home, bucket), (vserver, is_tried), message, origin)
        }
    }

    /// A line has messages, or may have some: a new one goes behind them. `None`: this line has none.
    #[cold]
    fn join_line(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> Option<Result<(), Status>> {
        let key = QueueKey::of_message(vserver, message)?;
        let key_hash = self.settings.key_hash(key);
        let bucket = Bucket::of(key_hash);
        let home = self.home_of(bucket.key_hash());
        if home == self.core {
            self.queue.lines.find(&key, key_hash)?;
            return Some(self.append(now, key, key_hash, message, origin));
        }
        self.queue
            .marks
            .is_marked(home, bucket)
            .then(|| self.ask_to_queue(now, (home, bucket), (vserver, false), message, origin))
    }

    /// Gives a message to the home of its line, which sends it on when nothing waits there (unless that was tried in vain),
    /// and else queues it.
    pub(in crate::core) fn ask_to_queue(
        &mut self,
        now: Moment,
        (home, bucket): (CoreIndex, Bucket),
        (vserver, is_tried): (VserverIndex, bool),
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> Result<(), Status> {
        let pending = Pending {
            via: Via::Queue(bucket),
            ..Pending::new(origin, message.command, now)
        };
        let sender = self.sender_of_message(message, origin);
        let copy = self.buffers.copy_of(message.pdu);
        let mut copy = Some(copy);
        let wish = QueueWish {
            vserver,
            account: message.account,
            is_tried,
            sender,
        };
        let sent = self.send_core_request(now, home, pending, |reference, _| CoreRequest {
            reference,
            target: CoreTarget::Home(HomeQuestion::Queue(wish)),
            pdu: copy.take().unwrap_or_default(),
            leave_out: 0..0,
            receipt: None,
            message: None,
        });
        if sent {
            self.queue.marks.ask(bucket);
            if let Some(account) = message.account {
                let window = &mut self.links[home.as_usize()].window;
                window.note_last(Note::Account(account));
            }
            return Ok(());
        }
        self.buffers.give(copy.take().unwrap_or_default());
        Err(Status::ESME_RX_T_APPN)
    }

    /// Another core gives us a message of a line whose home we are (or shall be from now on).
    pub(in crate::core) fn queue_for_core(
        &mut self,
        now: Moment,
        from: CoreIndex,
        reference: u32,
        wish: QueueWish,
        pdu: BytesMut,
    ) {
        let origin = Origin::Core {
            core: from,
            reference,
        };
        let outcome = match checked(&pdu) {
            Some(message) => {
                let message = CheckedMessage {
                    account: wish.account,
                    sender: Some(wish.sender),
                    ..message
                };
                self.deliver_or_queue_here(now, (wish.vserver, wish.is_tried), &message, origin)
            }
            None => Err(Status::ESME_RX_T_APPN),
        };
        if let Err(status) = outcome {
            self.send_core_answer(from, reference, CoreOutcome::Failed(status));
        }
        self.buffers.give(pdu);
    }

    fn deliver_or_queue_here(
        &mut self,
        now: Moment,
        (vserver, is_tried): (VserverIndex, bool),
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> Result<(), Status> {
        let key = QueueKey::of_message(vserver, message).ok_or(Status::ESME_RX_T_APPN)?;
        let key_hash = self.settings.key_hash(key);
        if !is_tried && self.queue.lines.find(&key, key_hash).is_none() {
            match self.deliver(now, vserver, message, origin, None, false) {
                Err(Status::ESME_RX_T_APPN) => {}
                outcome => return outcome,
            }
        }
        self.append(now, key, key_hash, message, origin)
    }

    /// Gives a message to the store, behind the others of its line.
    fn append(
        &mut self,
        now: Moment,
        key: QueueKey,
        key_hash: u64,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> Result<(), Status> {
        if !self.queue.is_on {
            return Err(Status::ESME_RX_T_APPN);
        }
        let pdu = self.storable(now, key.vserver, message, origin);
        let octets = pdu.len();
        let has_room = self.queue.appending_octets + octets <= APPENDING_OCTETS_MAX;
        let pending = Pending {
            octets: u32::try_from(octets).unwrap_or(u32::MAX),
            ..Pending::new(origin, message.command, now)
        };
        let reference = has_room.then(|| self.queue.appends.reserve(pending)).flatten();
        let Some(reference) = reference else {
            self.buffers.give(pdu);
            self.counters.queue_full += 1;
            return Err(Status::ESME_RMSGQFUL);
        };
        let place = self.open_line(key, key_hash);
        if let Some(line) = self.queue.lines.get_mut(place) {
            line.appending += 1;
        }
        self.queue.appending_octets += octets;
        self.queue
            .commands
            .push_back(StoreCommand::Append { reference, key, pdu });
        let deadline = now + self.settings.client_response_timeout_max();
        self.timers
            .arm(&mut self.queue.armed_at, deadline, TimerKey::Queue);
        Ok(())
    }

    /// The line of a key; the other cores are told of the first one in its bucket.
    pub(super) fn open_line(&mut self, key: QueueKey, key_hash: u64) -> u32 {
        if let Some(place) = self.queue.lines.find(&key, key_hash) {
            return place;
        }
        let bucket = Bucket::of(key_hash);
        if self.queue.marks.line_added(bucket) && self.cores > 1 {
            self.directory.changed(&DirectoryKey::Queue(bucket));
        }
        self.queue.lines.insert(key, key_hash)
    }

    /// Forgets a line that has nothing more.
    pub(super) fn close_line_if_done(&mut self, place: u32) {
        if self
            .queue
            .lines
            .get(place)
            .is_some_and(super::lines::QueueLine::is_done)
            && let Some(line) = self.queue.lines.remove(place)
        {
            let bucket = Bucket::of(line.key_hash);
            if self.queue.marks.line_removed(bucket) && self.cores > 1 {
                self.directory.changed(&DirectoryKey::Queue(bucket));
            }
        }
    }

    /// The store has a message: now it may be acknowledged.
    pub(super) fn message_stored(&mut self, now: Moment, reference: u32, key: &QueueKey, pdu: BytesMut) {
        let pending = self.appended(reference, key, pdu.len(), true);
        self.counters.queued += 1;
        match pending.filter(|pending| !pending.expired) {
            Some(Pending {
                origin: Origin::Core { core, reference },
                ..
            }) => self.send_core_answer(core, reference, CoreOutcome::Verdict(HomeVerdict::Queued, pdu)),
            Some(pending) => {
                self.acknowledge_queued(now, &pending);
                self.buffers.give(pdu);
            }
            None => self.buffers.give(pdu),
        }
        if let Some(place) = self.queue.lines.find(key, self.settings.key_hash(key)) {
            self.file_line(now, place);
        }
    }

    /// The store does not keep a message.
    pub(super) fn message_refused(
        &mut self,
        now: Moment,
        reference: u32,
        key: &QueueKey,
        pdu: BytesMut,
        reason: StoreRefusal,
    ) {
        let pending = self.appended(reference, key, pdu.len(), false);
        self.buffers.give(pdu);
        let status = match reason {
            StoreRefusal::Full => Status::ESME_RMSGQFUL,
            StoreRefusal::Expired => Status::ESME_RINVEXPIRY,
            StoreRefusal::Failed => Status::ESME_RX_T_APPN,
        };
        self.counters.queue_full += u64::from(reason == StoreRefusal::Full);
        self.counters.queue_failed += u64::from(reason == StoreRefusal::Failed);
        if let Some(pending) = pending.filter(|pending| !pending.expired) {
            self.fail_request(now, &pending, status);
        }
        if let Some(place) = self.queue.lines.find(key, self.settings.key_hash(key)) {
            self.close_line_if_done(place);
        }
    }

    /// Books the store's answer to an append.
    fn appended(&mut self, reference: u32, key: &QueueKey, octets: usize, is_kept: bool) -> Option<Pending> {
        self.queue.appending_octets -= octets;
        let key_hash = self.settings.key_hash(key);
        let place = self.queue.lines.find(key, key_hash);
        if let Some(line) = place.and_then(|place| self.queue.lines.get_mut(place)) {
            line.appending -= 1;
            line.has_more |= is_kept;
        }
        self.queue.appends.take(reference)
    }

    /// The home of a line has queued our message.
    pub(in crate::core) fn queued_elsewhere(&mut self, now: Moment, pending: &Pending, pdu: BytesMut) {
        self.buffers.give(pdu);
        self.acknowledge_queued(now, pending);
    }

    fn acknowledge_queued(&mut self, now: Moment, pending: &Pending) {
        if let Origin::Session {
            connection,
            sequence_number,
        } = pending.origin
        {
            let header = Header::alone(pending.command, Status::ESME_ROK, sequence_number);
            self.answer_mobile_originated(now, connection, &header, Status::ESME_ROK);
        }
    }

    /// Asks the home of a line once more: the one that was asked is leaving, or it found a client that then had no room.
    pub(in crate::core) fn queue_again(
        &mut self,
        now: Moment,
        pending: &Pending,
        wish: QueueWish,
        mut pdu: BytesMut,
    ) {
        if let Origin::Session { sequence_number, .. } = pending.origin {
            patch_sequence_number(&mut pdu, sequence_number);
        }
        let outcome = match checked(&pdu) {
            Some(message) if self.drain.is_none() => {
                let message = CheckedMessage {
                    account: wish.account,
                    ..message
                };
                self.queue_message(now, (wish.vserver, wish.is_tried), &message, pending.origin)
            }
            _ => Err(Status::ESME_RX_T_APPN),
        };
        if let Err(status) = outcome {
            self.fail_request(now, pending, status);
        }
        self.buffers.give(pdu);
    }

    /// The vserver whose clients get what comes in on a server's session, unless the session is one identity's, or its messages
    /// meet rules, which may name another vserver.
    pub(in crate::core) fn vserver_of_messages(&self, server_session: ConnectionId) -> Option<VserverIndex> {
        let session = self.sessions.get(server_session)?;
        let side = session.server()?;
        self.settings.servers[usize::from(side.server.0)]
            .mobile_originated_vserver
            .filter(|_| side.identity.is_none() && !session.is_curbed)
    }

    /// Answers what has waited too long for the store's word; what is stored after all is delivered all the same.
    pub(super) fn expire_appends(&mut self, now: Moment) -> Moment {
        let timeout = self.settings.client_response_timeout_max();
        let due = self
            .queue
            .appends
            .expire_where(|pending| !pending.expired && pending.sent_at + timeout <= now);
        for pending in due {
            self.counters.timeouts += 1;
            self.fail_request(now, &pending, Status::ESME_RX_T_APPN);
        }
        let waiting = self.queue.appends.iter().filter(|(_, pending)| !pending.expired);
        waiting
            .map(|(_, pending)| pending.sent_at + timeout)
            .min()
            .unwrap_or(Moment::NEVER)
    }

    /// A copy of a message as a client shall get it: a receipt comes here with the id that its client knows, a segment with the
    /// reference of its message.
    fn storable(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> BytesMut {
        if message.may_be_segment
            && message.account.is_none()
            && let Some(marked) = self.marked_for_queue(now, vserver, message, origin)
        {
            return marked;
        }
        self.buffers.copy_of(message.pdu)
    }
}

/// A whole deliver_sm or data_sm that another core has checked before.
pub(super) fn checked(pdu: &[u8]) -> Option<CheckedMessage<'_>> {
    let command: CommandId = Header::read(pdu)?.command_id;
    CheckedMessage::check(command, pdu).ok()
}
