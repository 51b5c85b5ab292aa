//! Concatenated messages: their segments stay together, and no two in flight share a reference.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{
    CommandId, Concatenation, ConcatenationKind, EsmClass, MessageView, Status, Tag, udh_8_bit, udh_16_bit,
};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, deliver_sm, receipt, response_with_id, submit_sm, with_tlvs};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc, answer_bind};

const ENGINES: usize = 4;
const CLIENTS: usize = 200;
const MESSAGES_EACH: usize = 3;
/// Long enough for messages of all clients to be in flight at once.
const ANSWER_DELAY: Duration = Duration::from_millis(30);

/// One segment on its way: whose message, and which part of it.
#[derive(Clone, Copy, Debug)]
struct Part {
    reference: u16,
    total: u8,
    sequence: u8,
    kind: ConcatenationKind,
    in_payload: bool,
}

/// A submit_sm or deliver_sm made into a segment.
fn segment(pdu: &[u8], part: Part) -> Vec<u8> {
    let message = MessageView::parse(pdu).expect("a good message");
    let (esm_class_at, user_data_at) = (
        message.destination_addr_range().end + 1,
        message.short_message_range().start,
    );
    let text = message.short_message().to_vec();
    let Part {
        reference,
        total,
        sequence,
        ..
    } = part;
    let user_data = match part.kind {
        ConcatenationKind::Udh8 => [&udh_8_bit(reference as u8, total, sequence)[..], &text].concat(),
        // Behind another element: a port.
        ConcatenationKind::Udh16 => {
            let header = udh_16_bit(reference, total, sequence);
            [&[12, 5, 4, 0x0B, 0x84, 0x23, 0xF0][..], &header[1..], &text].concat()
        }
        ConcatenationKind::Sar => text,
    };
    let mut octets = pdu[..user_data_at].to_vec();
    if part.kind != ConcatenationKind::Sar {
        octets[esm_class_at] |= EsmClass::UDHI;
    }
    let (reference, total, sequence) = (reference.to_be_bytes(), [total], [sequence]);
    let mut tlvs: Vec<(u16, &[u8])> = Vec::new();
    if part.in_payload {
        octets[user_data_at - 1] = 0;
        tlvs.push((Tag::MESSAGE_PAYLOAD.0, &user_data));
    } else {
        octets[user_data_at - 1] = user_data.len() as u8;
        octets.extend_from_slice(&user_data);
    }
    if part.kind == ConcatenationKind::Sar {
        tlvs.extend([
            (Tag::SAR_MSG_REF_NUM.0, &reference[..]),
            (Tag::SAR_TOTAL_SEGMENTS.0, &total),
            (Tag::SAR_SEGMENT_SEQNUM.0, &sequence),
        ]);
    }
    with_tlvs(octets, &tlvs)
}

/// The text behind a header, which names the message that a segment was sent for.
fn text_of(pdu: &Pdu) -> String {
    let message = pdu.message();
    let user_data = message.user_data();
    let from = if message.esm_class() & EsmClass::UDHI != 0 {
        usize::from(user_data[0]) + 1
    } else {
        0
    };
    String::from_utf8_lossy(&user_data[from..]).into_owned()
}

/// What all servers together have seen, in one order.
#[derive(Default)]
struct Seen {
    /// By the name of the message.
    messages: HashMap<String, SeenMessage>,
    /// Messages in flight by source, destination and reference.
    in_flight: HashMap<(Vec<u8>, Vec<u8>, u16), String>,
    in_flight_max: usize,
    segments: usize,
    changed: usize,
    faults: Vec<String>,
}

struct SeenMessage {
    session: (usize, usize),
    key: (Vec<u8>, Vec<u8>, u16),
    total: u8,
    answered: HashSet<u8>,
}

impl Seen {
    /// A segment arrives at a session of a server.
    fn arrives(&mut self, session: (usize, usize), pdu: &Pdu) -> (String, u8) {
        let place = Concatenation::of_pdu(pdu.command(), pdu.octets()).expect("a segment");
        let message = pdu.message();
        let key = (
            message.source().addr.to_vec(),
            message.destination().addr.to_vec(),
            place.reference,
        );
        // "client.message.reference"
        let name = text_of(pdu);
        self.segments += 1;
        self.changed += usize::from(!name.ends_with(&format!(".{}", place.reference)));
        let seen = self.messages.entry(name.clone()).or_insert_with(|| SeenMessage {
            session,
            key: key.clone(),
            total: place.total,
            answered: HashSet::new(),
        });
        if seen.session != session || seen.key != key {
            self.faults.push(format!(
                "{name}: segment {} as {key:?} at {session:?}, others as {:?} at {:?}",
                place.sequence, seen.key, seen.session
            ));
        }
        let holder = self.in_flight.entry(key).or_insert_with(|| name.clone());
        if *holder != name {
            self.faults
                .push(format!("{name} and {holder} share reference {}", place.reference));
        }
        self.in_flight_max = self.in_flight_max.max(self.in_flight.len());
        (name, place.sequence)
    }

    /// A segment is about to be answered: with the last one the message is over.
    fn is_answered(&mut self, name: &str, sequence: u8) {
        let seen = self.messages.get_mut(name).expect("it arrived");
        seen.answered.insert(sequence);
        if seen.answered.len() == usize::from(seen.total) {
            self.in_flight.remove(&seen.key);
        }
    }
}

/// A server that answers each submit_sm a while later; what it sees goes into the common book.
fn start_server(index: usize, seen: &Arc<Mutex<Seen>>) -> std::net::SocketAddr {
    let smsc = Smsc::start();
    let address = smsc.address();
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        let mut sessions = 0;
        while let Some(peer) = smsc.accept_within(Duration::from_secs(3600)) {
            let seen = Arc::clone(&seen);
            let session = (index, sessions);
            sessions += 1;
            thread::spawn(move || serve(peer, session, &seen));
        }
    });
    address
}

fn serve(mut peer: Peer, session: (usize, usize), seen: &Arc<Mutex<Seen>>) {
    answer_bind(&mut peer);
    let (due, answers) = channel::<(Instant, String, u8, u32)>();
    let mut writer = peer.writer();
    let book = Arc::clone(seen);
    thread::spawn(move || {
        while let Ok((at, name, sequence, number)) = answers.recv() {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            book.lock().expect("no panic").is_answered(&name, sequence);
            if !writer.try_send(&response_with_id(CommandId::SUBMIT_SM_RESP, number, "1")) {
                return;
            }
        }
    });
    receive_segments(&mut peer, session, seen, &due);
}

fn receive_segments(
    peer: &mut Peer,
    session: (usize, usize),
    seen: &Mutex<Seen>,
    due: &Sender<(Instant, String, u8, u32)>,
) {
    while let Received::Pdu(pdu) = peer.receive_within(Duration::from_secs(3600)) {
        if pdu.command() == CommandId::SUBMIT_SM {
            let (name, sequence) = seen.lock().expect("no panic").arrives(session, &pdu);
            let _ = due.send((
                Instant::now() + ANSWER_DELAY,
                name,
                sequence,
                pdu.sequence_number(),
            ));
        }
    }
}

/// The parts of one client's message in the order in which it sends them.
fn parts(client: usize, message: usize) -> Vec<Part> {
    let total = 3 + ((client + message) % 8) as u8;
    let kind = match client % 3 {
        0 => ConcatenationKind::Udh8,
        1 => ConcatenationKind::Udh16,
        _ => ConcatenationKind::Sar,
    };
    let mut parts: Vec<Part> = (1..=total)
        .map(|sequence| Part {
            // The same few for everyone.
            reference: 7 + message as u16,
            total,
            sequence,
            kind,
            in_payload: client.is_multiple_of(5),
        })
        .collect();
    let first = client % parts.len();
    parts.rotate_left(first);
    parts
}

/// Goal: four engines, 200 clients, messages of 3 to 10 segments under the same references between the same addresses,
/// interleaved from all clients, some clients over two binds on two engines: no message has segments at two sessions, and
/// no two messages in flight share a reference, over all servers and engines. Method: the servers keep one book of what
/// arrives and what they have answered, which they do late.
#[test]
fn segments_stay_together_and_references_apart() {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut configuration = Configuration::with_engines(ENGINES).engine("window = 5000");
    for (index, (name, uid)) in [("a", "0A"), ("b", "0B"), ("c", "0C")].into_iter().enumerate() {
        // One with sessions on every engine, two of each; one with a single session for all engines.
        let lines = ["", "connections = 2", "connections-total = 1"][index];
        configuration = configuration.server(name, uid, start_server(index, &seen), lines);
    }
    for client in 0..CLIENTS {
        configuration = configuration.client(&format!("esme{client}"), "");
    }
    let smppmux = crate::start_ready(&configuration);
    let mut clients: Vec<Vec<Esme>> = (0..CLIENTS)
        .map(|client| {
            // Every tenth has a second bind, on the next engine.
            let binds = if client.is_multiple_of(10) { 2 } else { 1 };
            let name = format!("esme{client}");
            let bind = |bind| {
                let request = BindRequest::of(&name).at_engine((client + bind) % ENGINES);
                Esme::bind_with(smppmux.address(), request)
            };
            (0..binds).map(bind).collect()
        })
        .collect();
    let mut sent = 0;
    for message in 0..MESSAGES_EACH {
        let all: Vec<Vec<Part>> = (0..CLIENTS).map(|client| parts(client, message)).collect();
        for turn in 0..10 {
            for (client, parts) in all.iter().enumerate() {
                let Some(part) = parts.get(turn) else { continue };
                let binds = clients[client].len();
                let esme = &mut clients[client][turn % binds];
                let number = esme.next_sequence_number();
                let destination = ["4477", "4488"][client % 2];
                let text = format!("{client}.{message}.{}", part.reference);
                esme.send(&segment(&submit_sm(number, "1000", destination, &text), *part));
                sent += 1;
            }
        }
        for (client, parts) in all.iter().enumerate() {
            for turn in 0..parts.len() {
                let binds = clients[client].len();
                let answer = clients[client][turn % binds].expect(CommandId::SUBMIT_SM_RESP);
                assert_eq!(answer.status(), Status::ESME_ROK, "client {client}");
            }
        }
    }
    let seen = seen.lock().expect("no panic");
    println!(
        "{} messages in {} segments from {CLIENTS} clients over {ENGINES} engines; at most {} in flight at once, {} segments \
         under a fresh reference, {} faults",
        seen.messages.len(),
        seen.segments,
        seen.in_flight_max,
        seen.changed,
        seen.faults.len()
    );
    assert!(seen.faults.is_empty(), "{:#?}", seen.faults);
    assert_eq!(
        (seen.messages.len(), seen.segments),
        (CLIENTS * MESSAGES_EACH, sent)
    );
    assert!(seen.in_flight.is_empty() && seen.changed > 0 && seen.in_flight_max > ENGINES);
}

/// Goal: the segments of a server's message reach one of an account's sessions, wherever these are, and two servers'
/// messages with one reference between the same addresses get two.
#[test]
fn deliveries_stay_together_and_apart() {
    const TOTAL: u8 = 4;
    let smscs = [AnsweringSmsc::start("a"), AnsweringSmsc::start("b")];
    let configuration = Configuration::with_engines(ENGINES)
        .server("a", "0A", smscs[0].address(), "")
        .server("b", "0B", smscs[1].address(), "")
        .client("esme1", "address-ranges = [\"888\"]");
    let smppmux = crate::start_ready(&configuration);
    let mut clients = two_sessions_at_each_engine(&smppmux);
    for sequence in 1..=TOTAL {
        for (index, smsc) in smscs.iter().enumerate() {
            let number = smsc.next_sequence_number();
            let part = Part {
                reference: 7,
                total: TOTAL,
                sequence,
                kind: ConcatenationKind::Udh8,
                in_payload: sequence.is_multiple_of(2),
            };
            let pdu = segment(
                &deliver_sm(number, "1000", "88871", &format!("server {index}")),
                part,
            );
            // Over all the sessions that the server has.
            smsc.send(usize::from(sequence), &pdu);
        }
    }
    let got = receive_all(&mut clients, usize::from(TOTAL) * smscs.len());
    assert_together_and_apart(&got);
}

/// Goal: the same for segments that have waited in the queue. Method: nobody is bound when they come; then sessions that take
/// one message at a time bind on all engines, so that every message might go to another one.
#[test]
fn queued_segments_stay_together_and_apart() {
    const TOTAL: u8 = 4;
    let smscs = [AnsweringSmsc::start("a"), AnsweringSmsc::start("b")];
    let configuration = Configuration::with_engines(ENGINES)
        .server("a", "0A", smscs[0].address(), "")
        .server("b", "0B", smscs[1].address(), "")
        .client("esme1", "window = 1\naddress-ranges = [\"888\"]")
        .queue("store = \"memory\"");
    let smppmux = crate::start_ready(&configuration);
    for sequence in 1..=TOTAL {
        for (index, smsc) in smscs.iter().enumerate() {
            let number = smsc.next_sequence_number();
            let part = Part {
                reference: 7,
                total: TOTAL,
                sequence,
                kind: ConcatenationKind::Udh8,
                in_payload: false,
            };
            let pdu = segment(
                &deliver_sm(number, "1000", "88871", &format!("server {index}")),
                part,
            );
            smsc.send(usize::from(sequence), &pdu);
            assert_eq!(smsc.response_to(number).status(), Status::ESME_ROK);
        }
    }
    let mut clients = two_sessions_at_each_engine(&smppmux);
    let got = receive_all(&mut clients, usize::from(TOTAL) * smscs.len());
    assert_together_and_apart(&got);
}

fn two_sessions_at_each_engine(smppmux: &Smppmux) -> Vec<Esme> {
    let bind = |session| {
        let request = BindRequest::of("esme1")
            .with_range("888")
            .at_engine(session % ENGINES);
        Esme::bind_with(smppmux.address(), request)
    };
    (0..ENGINES * 2).map(bind).collect()
}

/// Accepts so many segments: by their text the sessions and references that they came with.
fn receive_all(clients: &mut [Esme], wanted: usize) -> HashMap<String, HashSet<(usize, u16)>> {
    let mut got: HashMap<String, HashSet<(usize, u16)>> = HashMap::new();
    let (mut count, until) = (0, Instant::now() + Duration::from_secs(30));
    while count < wanted {
        assert!(Instant::now() < until, "{count} of {wanted} segments: {got:?}");
        for (index, client) in clients.iter_mut().enumerate() {
            while let Received::Pdu(pdu) = client.receive_within(Duration::from_millis(5)) {
                let place = Concatenation::of_pdu(pdu.command(), pdu.octets()).expect("a segment");
                got.entry(text_of(&pdu))
                    .or_default()
                    .insert((index, place.reference));
                client.accept(&pdu);
                count += 1;
            }
        }
    }
    got
}

/// Two messages, each at one session under one reference of its own.
fn assert_together_and_apart(got: &HashMap<String, HashSet<(usize, u16)>>) {
    let places: Vec<_> = got.values().collect();
    assert!(
        places.len() == 2 && places.iter().all(|places| places.len() == 1),
        "{got:?}"
    );
    let references: HashSet<u16> = places
        .iter()
        .flat_map(|places| places.iter().map(|(_, reference)| *reference))
        .collect();
    assert_eq!(references.len(), 2, "{got:?}");
}

/// Goal: every segment's receipt reaches the account that submitted, also where the home of the message is another engine and
/// the session a third one. Method: four engines with one session among them, submitters on all engines, addresses with
/// homes on all of them; the account has no address range, so that only its entry can bring it the receipts.
#[test]
fn receipts_of_segments_reach_the_submitter() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(ENGINES)
        .server("a", "0A", smsc.address(), "connections-total = 1")
        .client("alice", "")
        .client("catch-all", "address-ranges = [\".*\"]");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut receiver = Esme::bind_with(
        smppmux.address(),
        BindRequest {
            command: CommandId::BIND_RECEIVER,
            ..BindRequest::of("alice").at_engine(0)
        },
    );
    let mut other = Esme::bind_with(smppmux.address(), BindRequest::of("catch-all").at_engine(1));
    let mut receipts = 0;
    for engine in 0..ENGINES {
        let mut sender = Esme::bind_with(
            smppmux.address(),
            BindRequest {
                command: CommandId::BIND_TRANSMITTER,
                ..BindRequest::of("alice").at_engine(engine)
            },
        );
        for message in 0..8 {
            let destination = format!("44{engine}{message}");
            for sequence in 1..=2 {
                let part = Part {
                    reference: 9,
                    total: 2,
                    sequence,
                    kind: ConcatenationKind::Udh8,
                    in_payload: false,
                };
                let number = sender.next_sequence_number();
                let mut pdu = segment(&submit_sm(number, "1000", &destination, "text"), part);
                // registered_delivery: four octets before the text's length.
                let at = MessageView::parse(&pdu)
                    .expect("good")
                    .short_message_range()
                    .start
                    - 5;
                pdu[at] = 1;
                sender.send(&pdu);
                let submit = server.expect(CommandId::SUBMIT_SM);
                let own_id = format!("m-{engine}-{message}-{sequence}");
                server.send(&response_with_id(
                    CommandId::SUBMIT_SM_RESP,
                    submit.sequence_number(),
                    &own_id,
                ));
                let answer = sender.expect(CommandId::SUBMIT_SM_RESP);
                assert_eq!(answer.status(), Status::ESME_ROK);
                receipts += 1;
                server.send(&receipt(receipts, &destination, "1000", &own_id, "DELIVRD"));
                let delivery = receiver.expect(CommandId::DELIVER_SM);
                assert_eq!(delivery.receipted_id(), answer.message_id());
                receiver.accept(&delivery);
                let told = server.expect(CommandId::DELIVER_SM_RESP);
                assert_eq!(
                    (told.sequence_number(), told.status()),
                    (receipts, Status::ESME_ROK)
                );
            }
        }
    }
    other.expect_nothing();
}

/// Goal: a server gets segments marked as it is configured, whatever clients send.
#[test]
fn references_are_written_as_the_server_wants_them() {
    for (lines, kind) in [
        ("concat-reference = \"udh16\"", ConcatenationKind::Udh16),
        ("concat-reference = \"udh8\"", ConcatenationKind::Udh8),
        ("concat-reference = \"sar\"", ConcatenationKind::Sar),
    ] {
        let smsc = AnsweringSmsc::start("a");
        let configuration = Configuration::with_engines(1)
            .server("a", "0A", smsc.address(), lines)
            .client("esme1", "");
        let smppmux = crate::start_ready(&configuration);
        let mut client = Esme::bind(smppmux.address(), "esme1");
        for from in [
            ConcatenationKind::Udh8,
            ConcatenationKind::Udh16,
            ConcatenationKind::Sar,
        ] {
            for sequence in 1..=2 {
                let part = Part {
                    reference: 9,
                    total: 2,
                    sequence,
                    kind: from,
                    in_payload: sequence == 2,
                };
                let number = client.next_sequence_number();
                client.send(&segment(&submit_sm(number, "1000", "4477", "hello"), part));
                assert_eq!(
                    client.expect(CommandId::SUBMIT_SM_RESP).status(),
                    Status::ESME_ROK
                );
                let pdu = smsc.next_request();
                let place = Concatenation::of_pdu(pdu.command(), pdu.octets()).expect("a segment");
                assert_eq!((place.kind, place.total, place.sequence), (kind, 2, sequence));
                assert_eq!((place.reference, text_of(&pdu)), (9, "hello".into()));
            }
        }
    }
}
