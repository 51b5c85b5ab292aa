//! Draining: the lines that a client can take just now, one message of each in turn.
//!
//! All messages of a line that are in flight go to one session, so they arrive in order; a line may have as many under way as
//! the session's window takes, less an eighth that is left to live traffic. A message that fails for a while is tried again,
//! before the ones behind it; one that a client refuses for good goes to the dead letters. Must never send a message twice at
//! the same time, or before one that is in front of it.

use super::super::contract::ConnectionId;
use super::super::core_message::QueuedLine;
use super::super::engine::PacketEngine;
use super::super::sequence::Origin;
use super::super::server_requests::CheckedMessage;
use super::super::session::Session;
use super::super::store_message::{Fate, StoreCommand};
use super::super::time::Moment;
use super::super::wire::{Header, Status};
use super::enqueue::checked;
use super::lines::{Standing, Waiting, Way};
use super::rings::{Entry, RingKey, Wake};
use super::{Line, QueueKey};
use std::time::Duration;

/// Messages that one event sends from one ring at most.
const BURST: usize = 64;
/// Lines in a row that find no room before a ring waits.
const TRIES_WITHOUT_LUCK_MAX: usize = 16;
/// A ring with lines and no room is looked at again after this long, whatever was heard meanwhile.
const RING_RETRY: Duration = Duration::from_millis(50);
/// A core whose members had no room is left alone for this long.
const REMOTE_PAUSE: Duration = Duration::from_millis(10);
/// Pauses after temporary failures: the first, doubling up to the last.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);
/// One load takes so many messages and octets at most; a line asks for more when so few are left unsent.
const LOAD_MESSAGES: usize = 64;
const LOAD_OCTETS: usize = 64 * 1024;
const LOAD_AGAIN_AT: usize = 16;
/// Loads under way at most, and octets that all heads together may hold before no other line is loaded.
const LOADS_MAX: u32 = 256;
const HEADS_OCTETS_MAX: usize = 32 * 1024 * 1024;
const HEADS_MAX: usize = 16_384;

/// What came of a line's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A message left; there may be more.
    Sent,
    /// A message left; there is no more.
    SentLast,
    /// Nothing could be sent, and other lines of the ring may have more luck.
    NoLuck,
    /// The line needs no turn now: it waits for a load, for an answer, or for a client.
    Over,
}

/// How the delivery of a queued message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Delivery {
    /// A client answered, or the time for that was up.
    Answered(Status),
    /// It came back, perhaps unwritten: the session is gone.
    SessionLost,
    /// Another core had no room.
    NoRoom,
}

impl PacketEngine {
    /// A client's session may have room: lines that it serves have their turn.
    #[cold]
    pub(in crate::core) fn serve_queue_for(&mut self, now: Moment, id: ConnectionId) {
        let mut place = 0;
        while let Some(pool) = self
            .sessions
            .get(id)
            .and_then(Session::client)
            .and_then(|client| client.pools.get(place).copied())
        {
            self.serve_ring(now, RingKey::of(pool));
            place += 1;
        }
        self.arm_queue();
    }

    /// Puts a line where it belongs: into the ring of the pool that serves it, or nowhere.
    pub(super) fn file_line(&mut self, now: Moment, place: u32) {
        let Some(line) = self.queue.lines.get(place) else {
            return;
        };
        if line.is_done() {
            return self.close_line_if_done(place);
        }
        if line.standing != Standing::Idle || line.is_loading || !line.has_unsent() {
            return;
        }
        match self.ring_of(&line.key) {
            Some(key) => self.enter_ring(now, place, key),
            None => self.rest_line(place),
        }
    }

    /// Looks at a line again: another pool may serve it by now.
    pub(super) fn refile_line(&mut self, now: Moment, place: u32) {
        let Some(line) = self.queue.lines.get(place) else {
            return;
        };
        if let Standing::InRing(key) = line.standing
            && self.ring_of(&line.key) != Some(key)
            && let Some(line) = self.queue.lines.get_mut(place)
        {
            line.stand(Standing::Idle);
        }
        self.file_line(now, place);
    }

    fn ring_of(&self, key: &QueueKey) -> Option<RingKey> {
        match &key.line {
            Line::Destination(destination) => self
                .pools
                .best(&self.settings, key.vserver, destination.address())
                .map(RingKey::of),
            Line::Account(account) => {
                let pool = self.pools.of_account(key.vserver, *account);
                pool.map(RingKey::of)
            }
        }
    }

    fn enter_ring(&mut self, now: Moment, place: u32, key: RingKey) {
        if let Some(line) = self.queue.lines.get_mut(place) {
            let stamp = line.stand(Standing::InRing(key));
            self.queue
                .rings
                .open(key)
                .lines
                .push_back(Entry::Line(place, stamp));
            self.serve_ring(now, key);
        }
    }

    /// Nobody serves a line: its loaded messages give their memory back.
    fn rest_line(&mut self, place: u32) {
        let buffers = &mut self.buffers;
        self.queue.lines.unload(place, |pdu| buffers.give(pdu));
        if let Some(line) = self.queue.lines.get_mut(place) {
            line.stand(Standing::Idle);
        }
    }

    /// Sends messages of a ring's lines, one of each in turn, as long as there is room.
    pub(super) fn serve_ring(&mut self, now: Moment, key: RingKey) {
        if self.drain.is_some() {
            return;
        }
        let (mut sent, mut without_luck) = (0, 0);
        while sent < BURST {
            let Some(ring) = self.queue.rings.get_mut(key) else {
                return;
            };
            if without_luck >= ring.lines.len().min(TRIES_WITHOUT_LUCK_MAX) {
                break;
            }
            let Some(entry) = ring.lines.pop_front() else {
                break;
            };
            let turn = self.take_turn(now, key, entry);
            match turn {
                Turn::Sent | Turn::SentLast => (sent, without_luck) = (sent + 1, 0),
                Turn::NoLuck => without_luck += 1,
                Turn::Over => {}
            }
            if matches!(turn, Turn::Sent | Turn::NoLuck)
                && let Some(ring) = self.queue.rings.get_mut(key)
            {
                ring.lines.push_back(entry);
            }
            // It may serve the ring again: whoever had the turn has to be back in it.
            self.end_refused(now);
        }
        self.wake_ring_later(now, key);
    }

    fn take_turn(&mut self, now: Moment, key: RingKey, entry: Entry) -> Turn {
        let (place, stamp) = match entry {
            Entry::Line(place, stamp) => (place, stamp),
            Entry::Guest(line, stamp) => return self.take_guest_turn(now, key, line, stamp),
        };
        let line = self.queue.lines.get(place);
        if !line.is_some_and(|line| line.is_current(stamp)) {
            return Turn::Over;
        }
        let turn = self.take_line_turn(now, place, key);
        if turn == Turn::Over {
            if let Some(line) = self.queue.lines.get_mut(place)
                && line.is_current(stamp)
            {
                line.stand(Standing::Idle);
            }
            self.close_line_if_done(place);
        }
        turn
    }

    /// Messages that no client of theirs can read are done with (`versions`), now that their turn is over.
    fn end_refused(&mut self, now: Moment) {
        while let Some((place, number)) = self.queue.refused.pop() {
            self.queued_ended(now, place, number, Delivery::Answered(Status::ESME_RX_R_APPN));
        }
    }

    fn wake_ring_later(&mut self, now: Moment, key: RingKey) {
        if let Some(ring) = self.queue.rings.get_mut(key) {
            if !ring.lines.is_empty() && !std::mem::replace(&mut ring.is_to_wake, true) {
                self.queue.rings.wakes.insert((now + RING_RETRY, Wake::Ring(key)));
            }
            self.queue.rings.close_if_empty(key);
        }
    }

    /// One line's turn: its next message leaves, if a client of the pool has room.
    fn take_line_turn(&mut self, now: Moment, place: u32, key: RingKey) -> Turn {
        self.expire_loaded(now, place);
        let Some(line) = self.queue.lines.get(place) else {
            return Turn::Over;
        };
        if self.ring_of(&line.key) != Some(key) {
            if let Some(line) = self.queue.lines.get_mut(place) {
                line.stand(Standing::Idle);
            }
            self.file_line(now, place);
            return Turn::Over;
        }
        let next = line.head.as_ref().and_then(|head| {
            let unsent = || {
                head.messages
                    .iter()
                    .enumerate()
                    .filter(|(_, waiting)| !waiting.in_flight)
            };
            unsent()
                .next()
                .map(|(at, _)| (at, unsent().take(LOAD_AGAIN_AT).count()))
        });
        let is_short = next.is_none_or(|(_, unsent)| unsent < LOAD_AGAIN_AT);
        if is_short && line.has_more && !line.is_loading && !self.load_more(place) && next.is_none() {
            return Turn::NoLuck;
        }
        match next {
            Some((at, _)) => self.send_waiting(now, place, at, key),
            None => Turn::Over,
        }
    }

    /// Asks the store for the next messages of a line; `false`: too much is loaded already.
    fn load_more(&mut self, place: u32) -> bool {
        let queue = &mut self.queue;
        let may_start = queue.lines.head_octets() < HEADS_OCTETS_MAX && queue.lines.heads() < HEADS_MAX;
        let Some(line) = queue.lines.get_mut(place) else {
            return false;
        };
        let may_load = line.head.is_some() || may_start;
        if queue.loads_under_way >= LOADS_MAX || !may_load {
            return false;
        }
        line.is_loading = true;
        queue.loads_under_way += 1;
        queue.commands.push_back(StoreCommand::Load {
            key: line.key,
            after: line.loaded_to,
            messages_max: LOAD_MESSAGES,
            octets_max: LOAD_OCTETS,
        });
        true
    }

    /// Takes messages out whose time is over before they were sent.
    fn expire_loaded(&mut self, now: Moment, place: u32) {
        while let Some(line) = self.queue.lines.get(place)
            && let Some(head) = &line.head
            && let Some(waiting) = head.messages.iter().find(|waiting| !waiting.in_flight)
            && waiting.expires_at <= now
        {
            let number = waiting.number;
            self.settle_queued(place, number, Fate::Expired);
        }
    }

    /// Sends the loaded message `at` of a line.
    fn send_waiting(&mut self, now: Moment, place: u32, at: usize, key: RingKey) -> Turn {
        let Some(line) = self.queue.lines.get_mut(place) else {
            return Turn::Over;
        };
        let account = line.key.account();
        let (turn, Some(head)) = (line.key_hash as u32, line.head.as_mut()) else {
            return Turn::Over;
        };
        if head.is_run_broken && head.in_flight > 0 {
            return Turn::Over;
        }
        if head.in_flight == 0 {
            self.queue.last_run = self.queue.last_run.wrapping_add(1);
            (head.run, head.run_steps, head.is_run_broken) = (self.queue.last_run, 0, false);
        }
        let way = head.way.filter(|_| head.in_flight > 0);
        let line = QueuedLine {
            place,
            turn,
            run: head.run,
            step: head.run_steps,
        };
        let Some(waiting) = head.messages.get_mut(at) else {
            return Turn::Over;
        };
        let number = waiting.number;
        let pdu = std::mem::take(&mut waiting.pdu);
        let origin = Origin::Queue {
            place,
            number: number as u32,
        };
        let way = match checked(&pdu) {
            Some(message) => {
                let message = CheckedMessage { account, ..message };
                self.send_queued(now, key, &message, origin, (way, line))
            }
            None => None,
        };
        if let Some(way) = way {
            let account = account.map(|of| of.account);
            self.log_queued(now, (place, number as u32), way.session(), account, &pdu);
        }
        let Some(line) = self.queue.lines.get_mut(place) else {
            return Turn::Over;
        };
        if let Some(head) = line.head.as_mut()
            && let Some(waiting) = head.messages.get_mut(at)
        {
            waiting.pdu = pdu;
            if way.is_some() {
                waiting.in_flight = true;
                head.in_flight += 1;
                head.run_steps += 1;
                head.way = way;
            }
        }
        match way {
            Some(_) if line.has_unsent() => Turn::Sent,
            Some(_) => Turn::Over,
            None => Turn::NoLuck,
        }
    }

    /// The delivery of a queued message has ended, one way or another.
    pub(in crate::core) fn queued_ended(&mut self, now: Moment, place: u32, number: u32, delivery: Delivery) {
        let Some(line) = self.queue.lines.get_mut(place) else {
            return;
        };
        let Some(head) = line.head.as_mut() else { return };
        let is_it = |waiting: &&mut Waiting| waiting.number as u32 == number;
        let Some(waiting) = head.messages.iter_mut().find(is_it) else {
            // It was settled by an earlier answer, which came late.
            return;
        };
        let (number, command) = (waiting.number, Header::read(&waiting.pdu));
        let was_in_flight = std::mem::replace(&mut waiting.in_flight, false);
        head.in_flight -= u32::from(was_in_flight);
        let is_settled = matches!(delivery, Delivery::Answered(status) if !is_temporary(status));
        head.is_run_broken |= !is_settled;
        let way = head.way;
        if let Some(header) = command {
            let name = (place, number as u32);
            self.log_queued_end(now, name, header.command_id, delivery, was_in_flight);
        }
        let ring = self.ring_of_line(place);
        if let (Some(Way::Core(_, _, key)), true) = (way, was_in_flight)
            && let Some(ring) = self.queue.rings.get_mut(key)
        {
            ring.remote_settled(delivery != Delivery::NoRoom);
            if delivery == Delivery::NoRoom {
                ring.remote_closed_until = now + REMOTE_PAUSE;
            }
        }
        match delivery {
            Delivery::Answered(status) if status.is_ok() => {
                self.settle_queued(place, number, Fate::Delivered);
            }
            Delivery::Answered(status) if !is_temporary(status) => {
                self.settle_queued(place, number, Fate::Refused(status));
            }
            Delivery::Answered(_) => self.pause_line(now, place),
            Delivery::SessionLost | Delivery::NoRoom => {}
        }
        self.file_line(now, place);
        if let Some(key) = ring {
            self.serve_ring(now, key);
        }
        self.arm_queue();
    }

    /// The ring in which a line stands, or would.
    fn ring_of_line(&self, place: u32) -> Option<RingKey> {
        self.queue.lines.get(place).and_then(|line| match line.standing {
            Standing::InRing(key) => Some(key),
            Standing::Idle | Standing::Paused => self.ring_of(&line.key),
        })
    }

    /// Takes a message out of the queue.
    fn settle_queued(&mut self, place: u32, number: u64, fate: Fate) {
        let Some(waiting) = self.queue.lines.settle(place, number) else {
            return;
        };
        self.buffers.give(waiting.pdu);
        match fate {
            Fate::Delivered => self.counters.queue_delivered += 1,
            Fate::Expired => self.counters.queue_expired += 1,
            Fate::Refused(_) => self.counters.queue_dead_letters += 1,
        }
        if let Some(line) = self.queue.lines.get_mut(place) {
            line.failures = 0;
            self.queue.commands.push_back(StoreCommand::Remove {
                key: line.key,
                number,
                fate,
            });
        }
    }

    /// A client cannot take a message for a while: the whole line waits.
    fn pause_line(&mut self, now: Moment, place: u32) {
        self.counters.queue_retries += 1;
        // Where there is room the head stays: an answer that comes too late still finds its message.
        if self.queue.lines.heads() > HEADS_MAX / 2 {
            let buffers = &mut self.buffers;
            self.queue.lines.unload(place, |pdu| buffers.give(pdu));
        }
        let Some(line) = self.queue.lines.get_mut(place) else {
            return;
        };
        if line.standing == Standing::Paused {
            return;
        }
        let doublings = line.failures.min(6);
        line.failures += 1;
        let pause = (PAUSE_FIRST * (1 << doublings)).min(PAUSE_LAST);
        let stamp = line.stand(Standing::Paused);
        self.queue
            .rings
            .wakes
            .insert((now + pause, Wake::Line(place, stamp)));
    }
}

/// A message in whose turn it showed that its client's version cannot read it.
pub(in crate::core) fn refuse_later(queue: &mut super::Queue, place: u32, number: u32) {
    queue.refused.push((place, number));
}

/// What a client may say today and not tomorrow; ESME_RSYSERR also stands for an answer that did not come.
const fn is_temporary(status: Status) -> bool {
    matches!(
        status,
        Status::ESME_RTHROTTLED | Status::ESME_RMSGQFUL | Status::ESME_RX_T_APPN | Status::ESME_RSYSERR
    )
}
