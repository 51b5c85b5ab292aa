use super::*;
use crate::core::contract::{Action, ConnectionId, CoreIndex};
use crate::core::core_message::{CoreAnswer, CoreMessage, CoreOutcome};
use crate::core::engine;
use crate::core::engine::tests::message;
use crate::core::sequence::{Origin, Pending};
use crate::core::settings::samples::vserver_settings;
use crate::core::settings::{AllServersDown, VserverSettings};
use crate::core::wire::{Header, Status, write_header_only};
use bytes::BytesMut;
use std::sync::Arc;

/// One of `cores` engines that logs and holds what no server takes, and a bound client.
fn logging_engine(cores: u16) -> (PacketEngine, ConnectionId) {
    let vserver = VserverSettings {
        all_servers_down: AllServersDown::Hold,
        ..vserver_settings()
    };
    let settings = engine::tests::settings(vserver).with_message_log(true);
    let mut engine = PacketEngine::new(CoreIndex(0), cores, Arc::new(settings), 1, Moment::START);
    let client = engine::tests::binding_client(&mut engine, Moment::START);
    engine.release_bind(Moment::START, client);
    (engine, client)
}

fn header_alone(command: CommandId, status: Status, number: u32) -> BytesMut {
    let mut pdu = BytesMut::new();
    write_header_only(&mut pdu, command, status, number);
    pdu
}

/// What has been told since the last time.
fn told(engine: &mut PacketEngine) -> Vec<MessageRecord> {
    let mut told = Vec::new();
    if let Some(records) = engine.poll_message_log() {
        records.for_each(|record, _| told.push(*record));
        records.clear();
    }
    told
}

/// Goal: a request that was held and then passed on has an answer that says nothing of why it was held. Method: the server is
/// another core's, so nothing is known of its session.
#[test]
fn what_was_held_is_not_told_as_failed() {
    let ((mut engine, client), now) = (logging_engine(2), Moment::START);
    engine.handle_bytes(now, client, &message(CommandId::SUBMIT_SM));
    assert_eq!(engine.report().held_requests, 1);
    let (server, other) = (ServerIndex(0), CoreIndex(1));
    engine::tests::serve_by_another_core(&mut engine, now);
    engine.handle_timeout(now);
    let reference = std::iter::from_fn(|| engine.poll_core_message())
        .find_map(|(_, message)| match message {
            CoreMessage::Request(request) => Some(request.reference),
            _ => None,
        })
        .expect("it leaves the hold");
    let response = header_alone(CommandId::SUBMIT_SM_RESP, Status::ESME_ROK, 9);
    let outcome = CoreOutcome::AnsweredBy(server, response);
    engine.handle_core_message(now, other, CoreMessage::Answer(CoreAnswer { reference, outcome }));
    let ends: Vec<_> = told(&mut engine)
        .iter()
        .map(|record| (record.outcome, record.reason))
        .collect();
    assert_eq!(
        ends,
        [(Outcome::Open, Reason::None), (Outcome::Passed, Reason::None)]
    );
}

/// Our session towards the server, bound.
fn bound_server(engine: &mut PacketEngine) -> ConnectionId {
    let now = Moment::START;
    let server = std::iter::from_fn(|| engine.poll_action())
        .find_map(|action| match action {
            Action::Connect { connection, .. } => Some(connection),
            _ => None,
        })
        .expect("a connection is wanted");
    engine.handle_connected(now, server);
    let bind = std::iter::from_fn(|| engine.poll_transmit())
        .find(|transmit| transmit.connection == server)
        .and_then(|transmit| Header::read(&transmit.octets))
        .expect("a bind");
    let answer = header_alone(bind.command_id.response(), Status::ESME_ROK, bind.sequence_number);
    engine.handle_bytes(now, server, &answer);
    server
}

/// Goal: a generic_nack after its time is told as the late answer that it is, whichever side it comes from, and nothing of it is
/// left for another answer.
#[test]
fn a_late_nack_is_told() {
    let ((mut engine, client), now) = (logging_engine(1), Moment::START);
    let server = bound_server(&mut engine);
    let ways = [
        (client, server, CommandId::SUBMIT_SM),
        (server, client, CommandId::DELIVER_SM),
    ];
    for (requester, far, command) in ways {
        let origin = Origin::Session {
            connection: requester,
            sequence_number: 7,
        };
        let pending = Pending {
            expired: true,
            ..Pending::new(origin, command, now)
        };
        let session = engine.sessions.get_mut(far).expect("it is there");
        let number = session.window.reserve(pending).expect("room");
        engine.servers[0].outstanding += u32::from(far == server);
        let nack = header_alone(CommandId::GENERIC_NACK, Status::ESME_RSYSERR, number);
        engine.handle_bytes(now, far, &nack);
        let told: Vec<_> = told(&mut engine)
            .iter()
            .map(|record| (record.command, record.outcome, record.reason, record.status))
            .collect();
        let late = (
            command.response(),
            Outcome::Late,
            Reason::Nack,
            Status::ESME_RSYSERR,
        );
        assert_eq!(told, [late]);
        assert!(engine.message_log.known.is_none());
    }
}

/// Goal: a reload that leaves the log on takes no memory anew.
#[test]
fn memory_is_taken_once() {
    let mut log = MessageLog::default();
    let mut octets_at = || {
        log.turn(true);
        let requester = Requester::Queue { place: 0, number: 0 };
        let record = MessageRecord::new(Moment::START, RecordKind::Submit, CommandId::SUBMIT_SM, requester);
        let octets = RecordOctets {
            first: b"PDU",
            ..RecordOctets::default()
        };
        log.records.push(record, octets);
        let mut place = None;
        log.records
            .for_each(|_, octets| place = Some(octets.first.as_ptr()));
        log.records.clear();
        place
    };
    assert_eq!(octets_at(), octets_at());
}
