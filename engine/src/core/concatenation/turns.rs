//! The order of a message's segments: who stays behind whom.
//!
//! A segment that found no room, or that comes back from a session that is gone, goes before the later ones of its message, which wait for
//! it, though not for ever: who sent it may have given up. Must never let a segment pass one that lies unwritten at a session that takes
//! no more. (Where a client's segments are queued meanwhile, what comes back joins the back of the queue.)

use super::notes::NoteIndex;
use super::pin::PinId;
use super::segment::Owner;
use super::to_server::Sendable;
use crate::core::contract::ConnectionId;
use crate::core::engine::PacketEngine;
use crate::core::sequence::{Origin, Pending};
use crate::core::settings::OnServerLoss;
use crate::core::time::Moment;

impl PacketEngine {
    /// A segment of a lost session, which another core's client sent, goes back there to be sent again: the later ones of its message
    /// that wait here stay behind it meanwhile.
    pub(in crate::core) fn keep_turn_of_returned(&mut self, now: Moment, pending: &Pending) {
        let Some((owner, pin, sequence)) = self.noted_segment(pending) else {
            return;
        };
        let (Owner::Account(vserver, _), Origin::Core { .. }) = (owner, pending.origin) else {
            return;
        };
        let vserver = self.settings.vservers.get(usize::from(vserver.0));
        if vserver.is_some_and(|vserver| vserver.on_server_loss == OnServerLoss::Retry) {
            self.keep_later_behind(now, owner, pin, sequence);
        }
    }

    /// A segment of a lost session, which its home on another core had sent here, goes back there unwritten: the later ones of its
    /// message, which may have left there before the home hears of that, go back too.
    pub(in crate::core) fn keep_turn_of_unwritten(&mut self, now: Moment, pending: &Pending) {
        if let Some((Owner::Home, pin, sequence)) = self.noted_segment(pending) {
            self.keep_later_behind(now, Owner::Home, pin, sequence);
        }
    }

    /// Whose message a request is a segment of, its pin, and which segment.
    fn noted_segment(&self, pending: &Pending) -> Option<(Owner, PinId, u8)> {
        let note = self.pins.notes.get(pending.note?)?;
        let pin = self.pins.get(note.pin)?;
        Some((pin.owner, note.pin, note.sequence))
    }

    /// A segment found no room; the later ones of its message stay behind it for a while.
    pub(super) fn segment_waits(&mut self, now: Moment, owner: Owner, sendable: &Sendable<'_>) {
        self.keep_later_behind(now, owner, sendable.pin, sendable.segment.place.sequence);
    }

    fn keep_later_behind(&mut self, now: Moment, owner: Owner, pin: PinId, sequence: u8) {
        let until = now + self.patience_for_order(owner);
        self.pins.refused(pin, sequence, until);
    }

    /// Whether segments of a message lie unwritten at a session that takes no more, as far as is known. They follow when it has ended,
    /// so the others wait until they are written, or the time for an answer to them is over. Looks at the whole window, since such
    /// sessions are few and their time is short.
    pub(super) fn lies_unwritten(&self, pin: PinId, session: ConnectionId) -> bool {
        if self.pins.get(pin).is_none_or(|pin| pin.in_flight == 0) {
            return false;
        }
        let Some(session) = self
            .sessions
            .get(session)
            .filter(|session| !session.output.is_idle())
        else {
            return false;
        };
        let written_end = session.output.written_end();
        let is_of_pin = |note: NoteIndex| self.pins.notes.get(note).is_some_and(|note| note.pin == pin);
        session.window.iter().any(|(_, pending)| {
            !pending.expired && pending.stream_end > written_end && pending.note.is_some_and(is_of_pin)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::{ClosedBy, CoreIndex, Unsent};
    use crate::core::core_message::{
        CoreAnswer, CoreMessage, CoreOutcome, CoreRequest, CoreTarget, HomeQuestion, HomeVerdict, PoolHandle,
    };
    use crate::core::directory::DirectoryEntry;
    use crate::core::engine::tests::{bind_server, binding_client, settings};
    use crate::core::range::{AddressRange, Claim, PoolKey};
    use crate::core::session::Session;
    use crate::core::settings::samples::{server_settings, vserver_settings};
    use crate::core::settings::{
        ClientIndex, Connections, ServerIndex, ServerSettings, Settings, VserverIndex, VserverSettings,
    };
    use crate::core::wire::{
        Address, CommandId, EsmClass, Header, Message, Status, write_header_only, write_pdu,
    };
    use bytes::BytesMut;
    use std::io::ErrorKind;
    use std::sync::Arc;

    const HOME: CoreTarget = CoreTarget::Home(HomeQuestion::Submit {
        vserver: VserverIndex(0),
        client: Some(ClientIndex(0)),
        sender: 1,
        receipt: None,
        route: 0,
    });
    const SERVER: CoreTarget = CoreTarget::Server(ServerIndex(0));
    const POOL: PoolHandle = PoolHandle {
        index: 5,
        generation: 0,
    };

    /// A core with a session at each of two servers, which sends again what a lost session had. (The one between has its session at
    /// the other core.)
    fn home() -> PacketEngine {
        let of_one = settings(VserverSettings {
            servers: vec![ServerIndex(0), ServerIndex(2)],
            on_server_loss: OnServerLoss::Retry,
            ..vserver_settings()
        });
        let of_name = |name: &str, uid| ServerSettings {
            name: name.into(),
            uid,
            ..server_settings()
        };
        let servers = vec![
            server_settings(),
            of_name("second", *b"0B"),
            of_name("third", *b"0C"),
        ];
        let settings = Settings::new(of_one.engine, of_one.vservers, servers, of_one.clients, 1);
        let mut engine = PacketEngine::new(CoreIndex(0), 2, Arc::new(settings), 1, Moment::START);
        bind_server(&mut engine, Moment::START);
        bind_server(&mut engine, Moment::START);
        engine
    }

    /// A core with two sessions at a server.
    fn core_of_server() -> (PacketEngine, [ConnectionId; 2]) {
        let of_one = settings(vserver_settings());
        let server = ServerSettings {
            connections: Connections::PerCore(2),
            ..server_settings()
        };
        let settings = Settings::new(of_one.engine, of_one.vservers, vec![server], of_one.clients, 1);
        let mut engine = PacketEngine::new(CoreIndex(0), 2, Arc::new(settings), 1, Moment::START);
        let sessions = [(); 2].map(|()| bind_server(&mut engine, Moment::START));
        (engine, sessions)
    }

    /// A segment of a message of two.
    fn segment(number: u8) -> BytesMut {
        segment_to(b"4477", number)
    }

    fn segment_to(destination: &[u8], number: u8) -> BytesMut {
        let address = |addr| Address { ton: 1, npi: 1, addr };
        let message = Message {
            source: address(b"1000"),
            destination: address(destination),
            esm_class: EsmClass::UDHI,
            short_message: &[5, 0, 3, 7, 2, number, b'a'],
            ..Message::default()
        };
        let mut pdu = BytesMut::new();
        write_pdu(&mut pdu, CommandId::SUBMIT_SM, Status::ESME_ROK, 9, &message).expect("it fits");
        pdu
    }

    /// Core 1 hands over a segment; what leaves for it, and over which sessions. Nothing has been written yet.
    fn hand_over(
        engine: &mut PacketEngine,
        target: CoreTarget,
        reference: u32,
        number: u8,
    ) -> Vec<(ConnectionId, BytesMut)> {
        let request = CoreRequest {
            reference,
            target,
            pdu: segment(number),
            leave_out: 0..0,
            receipt: None,
            message: matches!(target, CoreTarget::Server(_)).then(|| PinId::numbered(3)),
        };
        engine.handle_core_message(Moment::START, CoreIndex(1), CoreMessage::Request(request));
        submits(engine)
    }

    /// The submit_sm that leave, and over which sessions. They have not been written yet, and all else has.
    fn submits(engine: &mut PacketEngine) -> Vec<(ConnectionId, BytesMut)> {
        let mut sent = Vec::new();
        while let Some(transmit) = engine.poll_transmit() {
            let header = Header::read(&transmit.octets).expect("a whole header");
            if header.command_id == CommandId::SUBMIT_SM {
                sent.push((transmit.connection, transmit.octets));
            } else {
                engine.handle_transmitted(Moment::START, transmit.connection, transmit.octets);
            }
        }
        sent
    }

    /// Core 1 asks for a segment to be sent, as its home or as the core that has the server; the sessions that it was written to.
    fn ask(engine: &mut PacketEngine, target: CoreTarget, reference: u32, number: u8) -> Vec<ConnectionId> {
        let sent = hand_over(engine, target, reference, number);
        let written = sent.into_iter().map(|(session, octets)| {
            engine.handle_transmitted(Moment::START, session, octets);
            session
        });
        written.collect()
    }

    /// What core 1 is told of its requests.
    fn outcomes(engine: &mut PacketEngine) -> Vec<(u32, CoreOutcome)> {
        std::iter::from_fn(|| engine.poll_core_message())
            .filter_map(|(_, message)| match message {
                CoreMessage::Answer(answer) => Some((answer.reference, answer.outcome)),
                _ => None,
            })
            .collect()
    }

    /// Goal: the second segment of a message does not overtake the first, which was lost with its session and is on its way back to
    /// its client's core, to be sent again. Method: the home of the message, asked for the second one before the first has come again.
    #[test]
    fn what_goes_back_to_be_sent_again_keeps_its_turn() {
        let mut engine = home();
        let lost = ask(&mut engine, HOME, 1, 1)[0];
        engine.handle_closed(
            Moment::START,
            lost,
            ClosedBy::Error(ErrorKind::ConnectionReset),
            None,
        );
        let told = outcomes(&mut engine);
        assert!(
            matches!(told[..], [(1, CoreOutcome::Returned { .. })]),
            "{told:?}"
        );
        assert_eq!(ask(&mut engine, HOME, 2, 2), []);
        let told = outcomes(&mut engine);
        assert!(
            matches!(told[..], [(2, CoreOutcome::Verdict(HomeVerdict::NoRoom, _))]),
            "{told:?}"
        );
        let first = ask(&mut engine, HOME, 3, 1);
        assert!(first.len() == 1 && first[0] != lost, "{first:?}");
        assert_eq!(ask(&mut engine, HOME, 4, 2), first);
    }

    /// Goal: the second segment of a message does not overtake the first where the first one's session is lost before it is written.
    /// Method: the core of the server's sessions, whose home sends the second one before it can have heard of that.
    #[test]
    fn what_goes_back_unwritten_keeps_its_turn() {
        let (mut engine, sessions) = core_of_server();
        let (lost, octets) = hand_over(&mut engine, SERVER, 1, 1).remove(0);
        let unsent = Unsent {
            octets,
            written_octets: 0,
        };
        let reason = ClosedBy::Error(ErrorKind::ConnectionReset);
        engine.handle_closed(Moment::START, lost, reason, Some(unsent));
        assert_eq!(ask(&mut engine, SERVER, 2, 2), []);
        let told = outcomes(&mut engine);
        let is_refused = |of: u32| {
            let refused =
                |told: &(u32, CoreOutcome)| told.0 == of && matches!(told.1, CoreOutcome::Refused { .. });
            told.iter().any(refused)
        };
        assert!(is_refused(1) && is_refused(2), "{told:?}");
        let first = ask(&mut engine, SERVER, 3, 1);
        assert!(
            first.len() == 1 && first[0] != lost && sessions.contains(&first[0]),
            "{first:?}"
        );
        assert_eq!(ask(&mut engine, SERVER, 4, 2), first);
    }

    /// Goal: the second segment of a message does not overtake the first, which lies unwritten at a session that takes no more: that may
    /// be lost yet. Method: sessions that a reload lets go, at the home of the message and at the core of the server; the second segment
    /// is refused until the first is written.
    #[test]
    fn what_lies_unwritten_keeps_its_turn() {
        for (mut engine, target) in [(home(), HOME), (core_of_server().0, SERVER)] {
            let (left, octets) = hand_over(&mut engine, target, 1, 1).remove(0);
            engine.leave_gently(Moment::START, left);
            assert_eq!(ask(&mut engine, target, 2, 2), []);
            let told = outcomes(&mut engine);
            assert!(
                matches!(
                    told[..],
                    [(
                        2,
                        CoreOutcome::Verdict(HomeVerdict::NoRoom, _) | CoreOutcome::Refused { .. }
                    )]
                ),
                "{told:?}"
            );
            engine.handle_transmitted(Moment::START, left, octets);
            let second = ask(&mut engine, target, 3, 2);
            assert!(second.len() == 1 && second[0] != left, "{second:?}");
        }
    }

    /// Goal: nobody waits for what lies unwritten once the time for its answer is over: it does not follow any more.
    #[test]
    fn what_is_over_is_not_waited_for() {
        let (mut engine, _) = core_of_server();
        let (left, _) = hand_over(&mut engine, SERVER, 1, 1).remove(0);
        engine.leave_gently(Moment::START, left);
        assert_eq!(ask(&mut engine, SERVER, 2, 2), []);
        engine.handle_timeout(Moment::START + server_settings().response_timeout);
        assert!(
            engine
                .sessions
                .get(left)
                .is_some_and(|session| !session.output.is_idle())
        );
        let second = ask(&mut engine, SERVER, 3, 2);
        assert!(second.len() == 1 && second[0] != left, "{second:?}");
    }

    /// Goal: a segment goes where another core has just answered for the first one, though that core seemed to have no session any more:
    /// the news of a new one is on its way. When it is refused there, that core has none. Method: the home of the messages to an
    /// address, which knows only that the other core's session is gone; what is sent to that core is all that can be sent.
    #[test]
    fn an_answer_tells_of_a_session() {
        let now = Moment::START;
        let mut engine = home();
        let server = engine.servers[0].transmitting[0];
        let told_sessions = |engine: &mut PacketEngine, sessions| {
            let claim = Claim::Range(AddressRange::parse(b"4477").expect("a prefix"));
            let entry = DirectoryEntry::Pool {
                key: Arc::new(PoolKey {
                    vserver: VserverIndex(0),
                    addr_ton: 0,
                    addr_npi: 0,
                    claim,
                }),
                handle: POOL,
                sessions,
                available_sessions: sessions,
                has_newer: true,
            };
            engine.directory_entry_of(now, CoreIndex(1), entry);
        };
        // The reference and the PDU of a segment that goes to the pool.
        let deliver = |engine: &mut PacketEngine, destination: &str, number| {
            let mut pdu = segment_to(destination.as_bytes(), number);
            pdu[4..8].copy_from_slice(&CommandId::DELIVER_SM.0.to_be_bytes());
            engine.handle_bytes(now, server, &pdu);
            std::iter::from_fn(|| engine.poll_core_message()).find_map(|(_, message)| match message {
                CoreMessage::Request(request) => {
                    (request.target == CoreTarget::Pool(POOL)).then_some((request.reference, request.pdu))
                }
                _ => None,
            })
        };
        let answer = |engine: &mut PacketEngine, reference, outcome| {
            let answer = CoreAnswer { reference, outcome };
            engine.handle_core_message(now, CoreIndex(1), CoreMessage::Answer(answer));
        };
        told_sessions(&mut engine, 1);
        let (destination, (first, _)) = (44_770..44_790)
            .map(|destination| destination.to_string())
            .find_map(|destination| Some((destination.clone(), deliver(&mut engine, &destination, 1)?)))
            .expect("this core is the home of some");
        told_sessions(&mut engine, 0);
        let mut resp = BytesMut::new();
        write_header_only(&mut resp, CommandId::DELIVER_SM_RESP, Status::ESME_ROK, 9);
        answer(&mut engine, first, CoreOutcome::Answered(resp));
        let (second, pdu) = deliver(&mut engine, &destination, 2).expect("it goes where the first went");
        answer(&mut engine, second, CoreOutcome::refused(pdu));
        assert_eq!(deliver(&mut engine, &destination, 2), None);
    }

    /// Goal: a client's request that waits for that is sent once the first segment is written, by nothing but that. Method: the same with
    /// a client of this core, whose server stands behind no vserver any more.
    #[test]
    fn what_waits_for_the_unwritten_is_sent_then() {
        let now = Moment::START;
        let mut engine = home();
        let client = binding_client(&mut engine, now);
        engine.release_bind(now, client);
        let submit = |engine: &mut PacketEngine, number: u8| {
            engine.handle_bytes(now, client, &segment(number));
            submits(engine)
        };
        let (left, octets) = submit(&mut engine, 1).remove(0);
        engine.leave_gently(now, left);
        let server = engine
            .sessions
            .get(left)
            .and_then(Session::server)
            .expect("it is there")
            .server;
        engine.servers[usize::from(server.0)].vservers.clear();
        assert_eq!(submit(&mut engine, 2), []);
        engine.handle_transmitted(now, left, octets);
        engine.handle_timeout(now);
        let second = submits(&mut engine);
        assert!(second.len() == 1 && second[0].0 != left, "{second:?}");
    }
}
