//! Messages of other cores' lines that wait for their turn at a pool of this core, among the lines that have their home here.
//!
//! Where a session's window is full, whoever sees the room first would take it, and this core always sees it first. So a message that
//! another core drains into a pool here waits in the pool's ring, and its line has one turn like every other. Invariants: each
//! message that waits is answered exactly once; those of one line stay in order, and behind one that is given back the rest
//! of its run is given back too; a segment leaves only to the session of its message; what waits is bounded in count, octets and
//! time (`guest_table`). It must never hold a message longer than the core that sent it waits for.

use super::super::concatenation::{PinId, QueuedPlace};
use super::super::contract::{ConnectionId, CoreIndex};
use super::super::core_link::MARGIN;
use super::super::core_message::CoreOutcome;
use super::super::engine::PacketEngine;
use super::super::pool::PoolIndex;
use super::super::sequence::Origin;
use super::super::server_requests::CheckedMessage;
use super::super::time::Moment;
use super::super::wire::Header;
use super::drain::Turn;
use super::guest_table::Guest;
use super::rings::{Entry, RingKey};
use super::{LineAt, Run};
use std::time::Duration;

/// How long one waits, and how often those are looked for that have waited so long and have no turn.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// The core that sent it waits for so much longer than a client may take to answer.
const _: () = assert!(PATIENCE.as_millis() + LOOK_INTERVAL.as_millis() < MARGIN.as_millis());

/// What came of a guest's turn.
enum Leaves {
    Sent,
    /// It stays.
    NoRoom,
    /// The session of its run is gone, or not the one where it belongs.
    NoPlace,
}

impl PacketEngine {
    /// Somebody waits at a pool: a message of another core must not go before them.
    pub(super) fn has_queue_at(&mut self, pool: PoolIndex) -> bool {
        let ring = self.queue.rings.get_mut(RingKey::of(pool));
        ring.is_some_and(|ring| !ring.lines.is_empty())
    }

    /// Lets a message of another core's line, the next of `run`, wait for its turn. `false`: too many wait already.
    pub(super) fn admit_guest(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        run: Run,
        place: u32,
        message: &CheckedMessage<'_>,
        (origin, named): (Origin, Option<PinId>),
    ) -> bool {
        let (Origin::Core { core, reference }, Some(handle)) = (origin, self.pools.handle_of(pool)) else {
            return false;
        };
        if !self.queue.guests.has_room_for(message.pdu.len()) {
            return false;
        }
        let guest = Guest {
            reference,
            handle,
            to: run.to,
            run: run.number,
            is_pinned: run.is_pinned,
            message: named,
            pdu: self.buffers.copy_of(message.pdu),
            until: now + PATIENCE,
        };
        let line = (core, place);
        if let Some(stamp) = self.queue.guests.push(line, guest) {
            let key = RingKey::of(pool);
            let entry = Entry::Guest(line, stamp);
            self.queue.rings.open(key).lines.push_back(entry);
            self.serve_ring(now, key);
            self.arm_queue();
        }
        true
    }

    /// The turn of another core's line: its first message leaves, if its client has room.
    pub(super) fn take_guest_turn(&mut self, now: Moment, key: RingKey, line: LineAt, stamp: u32) -> Turn {
        if !self.queue.guests.is_current(line, stamp) {
            return Turn::Over;
        }
        let leaves = match self.queue.guests.first(line) {
            Some(guest) if guest.until > now && self.pools.by_handle(guest.handle) == Some(key.pool()) => {
                self.send_guest(now, key.pool(), line)
            }
            _ => Leaves::NoPlace,
        };
        match leaves {
            Leaves::Sent => {}
            Leaves::NoRoom => return Turn::NoLuck,
            Leaves::NoPlace => {
                self.give_back_guests(line);
                return Turn::Over;
            }
        }
        if let Some(guest) = self.queue.guests.pop(line) {
            self.buffers.give(guest.pdu);
        }
        if self.queue.guests.is_current(line, stamp) {
            Turn::Sent
        } else {
            Turn::SentLast
        }
    }

    /// Sends the first guest of a line, which stays where it is.
    fn send_guest(&mut self, now: Moment, pool: PoolIndex, line: LineAt) -> Leaves {
        let Some(guest) = self.queue.guests.first_mut(line) else {
            return Leaves::NoPlace;
        };
        let (to, reference, is_pinned, named) = (guest.to, guest.reference, guest.is_pinned, guest.message);
        let pdu = std::mem::take(&mut guest.pdu);
        let is_there = if is_pinned {
            self.receives(to)
        } else {
            self.is_member(pool, to)
        };
        let leaves = match Header::read(&pdu) {
            Some(header) if is_there && self.has_room_for_queued(to) => {
                let message = CheckedMessage::checked_elsewhere(header.command_id, &pdu);
                let (core, _) = line;
                let origin = Origin::Core { core, reference };
                self.send_guest_to(now, (pool, to), &message, origin, named)
            }
            Some(_) if is_there => Leaves::NoRoom,
            _ => Leaves::NoPlace,
        };
        if let Some(guest) = self.queue.guests.first_mut(line) {
            guest.pdu = pdu;
        }
        leaves
    }

    fn send_guest_to(
        &mut self,
        now: Moment,
        (pool, to): (PoolIndex, ConnectionId),
        message: &CheckedMessage<'_>,
        origin: Origin,
        named: Option<PinId>,
    ) -> Leaves {
        let Origin::Core { core, .. } = origin else {
            return Leaves::NoPlace;
        };
        // Again, since its pin may be gone by now.
        let segment = named.and_then(|pin| self.enter_relayed(now, core, pin, message.command, message.pdu));
        let segment = segment.as_ref();
        let is_pinned = match segment.and_then(|segment| self.place_of_queued(segment)) {
            Some(QueuedPlace::Session(place)) if place != to => return Leaves::NoPlace,
            Some(QueuedPlace::Unknown) => return Leaves::NoRoom,
            place => place.is_some(),
        };
        if !is_pinned && !self.may_get(pool, to, message) {
            return Leaves::NoPlace;
        }
        if self.send_queued_here(now, to, message, origin, segment) {
            Leaves::Sent
        } else {
            Leaves::NoRoom
        }
    }

    /// Gives back what has waited for too long, however far its turn is away.
    pub(super) fn expire_guests(&mut self, now: Moment) {
        let guests = &mut self.queue.guests;
        if guests.len() == 0 || now < guests.look_at {
            return;
        }
        guests.look_at = now + LOOK_INTERVAL;
        for line in guests.lines_where(|_, guest| guest.until <= now) {
            self.give_back_guests(line);
        }
    }

    /// Gives all that waits of a line back to its core, with the rest of its run.
    fn give_back_guests(&mut self, line: LineAt) {
        let (core, _) = line;
        while let Some(guest) = self.queue.guests.pop(line) {
            self.break_run(line, guest.run);
            self.send_core_answer(core, guest.reference, CoreOutcome::refused(guest.pdu));
        }
    }

    /// A message of another run of a line has come: what waits of the one before is moot.
    pub(super) fn end_other_run(&mut self, line: LineAt, number: u32) {
        let first = self.queue.guests.first(line);
        if first.is_some_and(|guest| guest.run != number) {
            self.give_back_guests(line);
        }
    }

    /// A core is leaving: another one drains its lines from now on.
    pub(in crate::core) fn give_back_guests_of(&mut self, left: CoreIndex) {
        for line in self.queue.guests.lines_where(|(core, _), _| core == left) {
            self.give_back_guests(line);
        }
    }

    /// Nothing more is delivered from here.
    pub(in crate::core) fn give_back_all_guests(&mut self) {
        for line in self.queue.guests.lines_where(|_, _| true) {
            self.give_back_guests(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::ClosedBy;
    use crate::core::core_message::{CoreMessage, CoreRequest, CoreTarget, QueuedLine};
    use crate::core::engine::tests::{binding_client, engine};
    use crate::core::session::Session;
    use crate::core::settings::{ClientIndex, VserverIndex};
    use crate::core::wire::{Address, CommandId, Message, Status, write_header_only, write_pdu};
    use bytes::BytesMut;

    const OTHER: CoreIndex = CoreIndex(1);
    const START: Moment = Moment::START;

    /// A client whose window takes one message.
    fn bound(engine: &mut PacketEngine) -> ConnectionId {
        let client = binding_client(engine, START);
        engine.release_bind(START, client);
        sent(engine);
        engine.sessions.get_mut(client).unwrap().window.set_limit(1);
        client
    }

    fn pool(engine: &PacketEngine) -> PoolIndex {
        engine.pools.of_account(VserverIndex(0), ClientIndex(0)).unwrap()
    }

    /// A message of another core's line, as the given step of a run. `segment`: it is that segment of a message of 9.
    fn queued(engine: &mut PacketEngine, now: Moment, (run, step): (u32, u32), segment: Option<u8>) {
        let handle = engine.pools.handle_of(pool(engine)).unwrap();
        let address = Address {
            ton: 1,
            npi: 1,
            addr: b"4477",
        };
        let text = [5, 0, 3, 77, 9, segment.unwrap_or_default(), b'x'];
        let message = Message {
            source: address,
            destination: address,
            esm_class: if segment.is_some() { 0x40 } else { 0 },
            short_message: &text,
            ..Message::default()
        };
        let mut pdu = BytesMut::new();
        write_pdu(&mut pdu, CommandId::DELIVER_SM, Status::ESME_ROK, 1, &message).unwrap();
        let line = QueuedLine {
            place: 3,
            turn: 0,
            run,
            step,
        };
        let request = CoreRequest {
            reference: run * 100 + step,
            target: CoreTarget::Queued(handle, line),
            pdu,
            leave_out: 0..0,
            receipt: None,
            message: segment.map(|_| PinId::numbered(5)),
        };
        engine.handle_core_message(now, OTHER, CoreMessage::Request(request));
        engine.check_invariants();
    }

    /// The references of requests that came back.
    fn given_back(engine: &mut PacketEngine) -> Vec<u32> {
        std::iter::from_fn(|| engine.poll_core_message())
            .filter_map(|(_, message)| match message {
                CoreMessage::Answer(answer) if matches!(answer.outcome, CoreOutcome::Refused { .. }) => {
                    Some(answer.reference)
                }
                _ => None,
            })
            .collect()
    }

    /// Who was sent a deliver_sm, with its sequence number.
    fn sent(engine: &mut PacketEngine) -> Vec<(ConnectionId, u32)> {
        let mut sent = Vec::new();
        while let Some(transmit) = engine.poll_transmit() {
            let mut octets = &transmit.octets[..];
            while let Some(header) = Header::read(octets) {
                octets = &octets[header.command_length as usize..];
                if header.command_id == CommandId::DELIVER_SM {
                    sent.push((transmit.connection, header.sequence_number));
                }
            }
            engine.handle_transmitted(START, transmit.connection, transmit.octets);
        }
        sent
    }

    fn answer(engine: &mut PacketEngine, now: Moment, client: ConnectionId, number: u32) {
        let mut answer = BytesMut::new();
        write_header_only(&mut answer, CommandId::DELIVER_SM_RESP, Status::ESME_ROK, number);
        engine.handle_bytes(now, client, &answer);
        engine.check_invariants();
    }

    /// Goal: messages of another core wait for room, have their turn in order when there is some, and those that have waited for
    /// too long go back, all of them, in order, once.
    #[test]
    fn they_wait_in_order_and_not_for_ever() {
        let (mut engine, now) = (engine(2), START);
        let client = bound(&mut engine);
        for step in 0..4 {
            queued(&mut engine, now, (1, step), None);
        }
        assert_eq!(sent(&mut engine), [(client, 1)]);
        assert_eq!(given_back(&mut engine), [], "three wait");
        answer(&mut engine, now, client, 1);
        assert_eq!(sent(&mut engine), [(client, 2)], "the next one");
        engine.handle_timeout(now + PATIENCE);
        assert_eq!(given_back(&mut engine), [102, 103]);
        queued(&mut engine, now + PATIENCE, (1, 4), None);
        assert_eq!(given_back(&mut engine), [104], "the rest of its run");
        queued(&mut engine, now + PATIENCE, (2, 0), None);
        queued(&mut engine, now + PATIENCE, (3, 0), None);
        assert_eq!(given_back(&mut engine), [200], "of a run that is over");
    }

    /// Goal: a drain and a stop give back what waits, and a core that is gone leaves nothing behind.
    #[test]
    fn nothing_is_left_behind() {
        for ends in [
            PacketEngine::start_drain,
            PacketEngine::stop,
            |engine: &mut PacketEngine, now: Moment| engine.handle_core_gone(now, OTHER),
        ] {
            let (mut engine, now) = (engine(2), START);
            bound(&mut engine);
            for step in 0..3 {
                queued(&mut engine, now, (1, step), None);
            }
            assert_eq!(engine.queue.guests.len(), 2);
            ends(&mut engine, now);
            let expected: &[u32] = if engine.drain.is_some() { &[101, 102] } else { &[] };
            assert_eq!(given_back(&mut engine), expected);
            assert_eq!(engine.queue.guests.len(), 0);
            engine.check_invariants();
        }
    }

    /// Goal: of a core that has said that it is leaving nothing waits, and nothing is taken any more: its lines have another home.
    #[test]
    fn who_leaves_is_no_guest() {
        let (mut engine, now) = (engine(2), START);
        bound(&mut engine);
        for step in 0..3 {
            queued(&mut engine, now, (1, step), None);
        }
        engine.links[OTHER.as_usize()].is_leaving = true;
        engine.give_back_guests_of(OTHER);
        assert_eq!(given_back(&mut engine), [101, 102]);
        queued(&mut engine, now, (2, 0), None);
        assert_eq!(given_back(&mut engine), [200]);
    }

    /// Goal: a client that takes nothing for long makes no list grow. Method: a line that is given back and comes again, often.
    #[test]
    fn a_stuck_client_costs_no_memory() {
        let (mut engine, mut now) = (engine(2), START);
        bound(&mut engine);
        queued(&mut engine, now, (1, 0), None);
        for run in 2..16 {
            queued(&mut engine, now, (run, 0), None);
            now += PATIENCE;
            if run % 3 > 0 {
                engine.handle_timeout(now);
                assert_eq!(given_back(&mut engine).last(), Some(&(run * 100)));
            }
            given_back(&mut engine);
            let key = RingKey::of(pool(&engine));
            let entries = engine.queue.rings.get_mut(key).map_or(0, |ring| ring.lines.len());
            assert!(entries <= 2, "{entries} entries of one line");
            assert!(engine.queue.guests.places() <= 1);
        }
    }

    /// Goal: a line is not kept waiting for the member that it stands for while another one has room, but all of a run go to one.
    #[test]
    fn a_run_goes_to_a_member_with_room() {
        let (mut engine, now) = (engine(2), START);
        let first = bound(&mut engine);
        let second = bound(&mut engine);
        queued(&mut engine, now, (1, 0), None);
        assert_eq!(sent(&mut engine), [(first, 1)]);
        queued(&mut engine, now, (2, 0), None);
        assert_eq!(sent(&mut engine), [(second, 1)]);
        answer(&mut engine, now, first, 1);
        queued(&mut engine, now, (2, 1), None);
        assert_eq!((sent(&mut engine), given_back(&mut engine)), (vec![], vec![]));
        answer(&mut engine, now, second, 1);
        assert_eq!(sent(&mut engine), [(second, 2)]);
    }

    /// Goal: a segment waits for the session of its message, though another has room; a message behind it waits there too. When
    /// that session is gone all of them go back, and the message gets a new place.
    #[test]
    fn a_segment_keeps_to_the_session_of_its_message() {
        let (mut engine, mut now) = (engine(2), START);
        let place = bound(&mut engine);
        let other = bound(&mut engine);
        queued(&mut engine, now, (1, 0), Some(1));
        queued(&mut engine, now, (2, 0), Some(2));
        queued(&mut engine, now, (2, 1), None);
        assert_eq!(sent(&mut engine), [(place, 1)], "the other has room");
        answer(&mut engine, now, place, 1);
        assert_eq!(sent(&mut engine), [(place, 2)]);
        answer(&mut engine, now, place, 2);
        assert_eq!(sent(&mut engine), [(place, 3)], "what follows a segment");
        queued(&mut engine, now, (3, 0), Some(3));
        queued(&mut engine, now, (3, 1), None);
        assert_eq!((sent(&mut engine), given_back(&mut engine)), (vec![], vec![]));
        engine.handle_closed(now, place, ClosedBy::PeerClosed, None);
        now += PATIENCE / 2;
        engine.handle_timeout(now);
        let back = given_back(&mut engine);
        assert_eq!(back, [300, 301], "before their time is up");
        queued(&mut engine, now, (4, 0), Some(3));
        assert_eq!(sent(&mut engine), [(other, 1)]);
        queued(&mut engine, now, (4, 1), Some(4));
        answer(&mut engine, now, other, 1);
        assert_eq!(sent(&mut engine), [(other, 2)]);
    }

    /// Goal: a segment does not pass one that lies unwritten at a session that takes no more. Method: a client that has closed its half,
    /// with an answer to come; another has room.
    #[test]
    fn a_segment_does_not_pass_what_lies_unwritten() {
        let (mut engine, now) = (engine(2), START);
        let place = bound(&mut engine);
        let other = bound(&mut engine);
        queued(&mut engine, now, (1, 0), Some(1));
        let transmit = engine.poll_transmit().expect("the first segment");
        assert_eq!(transmit.connection, place);
        engine
            .sessions
            .get_mut(place)
            .and_then(Session::client_mut)
            .unwrap()
            .unanswered = 1;
        engine.handle_read_closed(now, place);
        queued(&mut engine, now, (2, 0), Some(2));
        assert_eq!((sent(&mut engine), given_back(&mut engine)), (vec![], vec![200]));
        engine.handle_transmitted(now, place, transmit.octets);
        queued(&mut engine, now, (3, 0), Some(2));
        assert_eq!(sent(&mut engine), [(other, 1)]);
    }

    /// Goal: a segment whose pin has ended while it waited leaves all the same, to the session of its run.
    #[test]
    fn a_segment_outlives_its_pin() {
        let (mut engine, now) = (engine(2), START);
        let place = bound(&mut engine);
        queued(&mut engine, now, (1, 0), None);
        queued(&mut engine, now, (1, 1), Some(1));
        assert_eq!(sent(&mut engine), [(place, 1)]);
        engine.expire_pins(Moment::NEVER);
        answer(&mut engine, now, place, 1);
        assert_eq!(sent(&mut engine), [(place, 2)]);
        engine.check_invariants();
    }
}
