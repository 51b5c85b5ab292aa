//! The queue: MO that nobody can take waits, safe, in order, within its limits, until a client comes for it.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use smppmux_engine::core::wire::{CommandId, Data, DataView, Message, Status, Tag};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, address, deliver_sm, header_only, response_with_id, with_tlvs, written};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::{Smppmux, run_to_exit};
use smppmux_tests::smsc::Smsc;
use tempfile::TempDir;

/// Longer than anything takes that must not come.
const NEVER: Duration = Duration::from_millis(300);

/// Two engines, a session of the server at engine 0, and an account that may claim 888.
fn configuration(smsc: &Smsc, queue: &str) -> Configuration {
    configuration_of(2, smsc, queue)
}

fn configuration_of(engines: usize, smsc: &Smsc, queue: &str) -> Configuration {
    Configuration::with_engines(engines)
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .client("esme1", "window = 10\naddress-ranges = [\"888\"]")
        .client("esme2", "window = 10\naddress-ranges = [\"888\", \"777\"]")
        .vserver("response-timeout = \"3s\"")
        .queue(queue)
}

fn start_with(queue: &str) -> (Smppmux, Peer) {
    let smsc = Smsc::start();
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration(&smsc, queue));
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    (smppmux, server)
}

fn durable_in(folder: &Path) -> String {
    format!("path = \"{}\"", folder.join("queue.redb").display())
}

/// Sends messages and waits for their answers, which must be this status.
fn send(server: &mut Peer, numbers: std::ops::Range<u32>, destination: &str, status: Status) {
    for number in numbers.clone() {
        server.send(&deliver_sm(number, "2000", destination, &number.to_string()));
    }
    let mut answers: Vec<_> = numbers.clone().map(|_| answer(server)).collect();
    answers.sort_unstable();
    let expected: Vec<_> = numbers.map(|number| (number, status)).collect();
    assert_eq!(answers, expected);
}

fn answer(server: &mut Peer) -> (u32, Status) {
    let answer = server.expect(CommandId::DELIVER_SM_RESP);
    (answer.sequence_number(), answer.status())
}

fn take(client: &mut Esme, count: usize) -> Vec<String> {
    (0..count).map(|_| client.take_delivery().text()).collect()
}

fn texts(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

fn reply(client: &mut Esme, delivery: &Pdu, status: Status) {
    let number = delivery.sequence_number();
    client.send(&header_only(CommandId::DELIVER_SM_RESP, status, number));
}

/// Goal: without a client a message is acknowledged and waits; the client that binds gets all of them in order, on
/// whichever engine it is; a destination that nobody may claim is refused at once; afterwards messages pass directly.
#[test]
fn messages_wait_for_a_bind() {
    for store in ["store = \"memory\"", "store = \"durable\""] {
        for engine in [0, 1] {
            let (smppmux, mut server) = start_with(store);
            send(&mut server, 0..40, "888123", Status::ESME_ROK);
            send(&mut server, 40..41, "999123", Status::ESME_RINVDSTADR);
            let request = BindRequest::of("esme1").with_range("888").at_engine(engine);
            let mut client = Esme::bind_with(smppmux.address(), request);
            assert_eq!(take(&mut client, 40), texts(0..40), "{store}, engine {engine}");
            for number in 41..45 {
                server.send(&deliver_sm(number, "2000", "888123", &number.to_string()));
                assert_eq!(take(&mut client, 1), texts(number..number + 1));
                assert_eq!(answer(&mut server), (number, Status::ESME_ROK));
            }
        }
    }
}

/// Goal: while a destination has a backlog its new messages join the back, though a client could take them.
/// Method: the client takes its window's worth and answers nothing; what comes then must not overtake.
#[test]
fn new_messages_join_the_back() {
    let (smppmux, mut server) = start_with("store = \"memory\"");
    send(&mut server, 0..30, "888123", Status::ESME_ROK);
    let mut client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
    let first: Vec<Pdu> = (0..9).map(|_| client.expect(CommandId::DELIVER_SM)).collect();
    assert!(
        matches!(client.receive_within(NEVER), Received::Nothing),
        "a window of 10, and one slot of it for live messages"
    );
    send(&mut server, 30..60, "888123", Status::ESME_ROK);
    let mut received: Vec<String> = first.iter().map(Pdu::text).collect();
    for delivery in &first {
        client.accept(delivery);
    }
    received.extend(take(&mut client, 51));
    assert_eq!(received, texts(0..60));
}

/// Goal: destinations drain in turn: a long backlog does not hold up a short one, nor a live message of another, wherever their
/// homes and the client are. Method: short backlogs behind a long one, on one engine and on several, to a client at each.
#[test]
fn destinations_take_turns() {
    for (engines, at) in [(1, 0), (2, 0), (2, 1), (3, 2)] {
        let smsc = Smsc::start();
        let configuration = configuration_of(engines, &smsc, "store = \"memory\"");
        let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
        let (mut server, _) = smsc.accept_bound();
        smppmux.wait_for_log("smppmux ready");
        send(&mut server, 0..500, "888001", Status::ESME_ROK);
        for short in 2..6 {
            let numbers = short * 100 + 500..short * 100 + 505;
            send(&mut server, numbers, &format!("88800{short}"), Status::ESME_ROK);
        }
        let request = BindRequest::of("esme1").with_range("888").at_engine(at);
        let mut client = Esme::bind_with(smppmux.address(), request);
        let mut live_at = None;
        let mut short_end = 0;
        server.send(&deliver_sm(2_000, "2000", "888009", "live"));
        for at in 0..521 {
            let delivery = client.take_delivery();
            // Slow enough that every engine has its turn with the CPU, however busy that is.
            std::thread::sleep(Duration::from_millis(1));
            match delivery.destination().as_str() {
                "888001" => {}
                "888009" => live_at = Some(at),
                _ => short_end = at,
            }
        }
        assert!(
            short_end < 150,
            "{engines} engines, client at {at}: the last of the short backlogs came as number {short_end}"
        );
        assert!(
            live_at.is_some_and(|at| at < 150),
            "{engines} engines, client at {at}: the live message came as number {live_at:?}"
        );
    }
}

/// Goal: the queue's file stands beside the configuration's, wherever the program was started.
#[test]
fn the_file_stands_beside_the_configuration() {
    let elsewhere = TempDir::new().expect("a temporary folder");
    let smsc = Smsc::start();
    let configuration = configuration(&smsc, "path = \"there.redb\"");
    let mut smppmux = Smppmux::start_prepared(crate::PROGRAM, &configuration, |command| {
        command.current_dir(elsewhere.path());
    });
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    send(&mut server, 0..1, "888123", Status::ESME_ROK);
    let file = smppmux.folder().join("there.redb");
    assert!(file.exists(), "{}", file.display());
    assert!(!elsewhere.path().join("there.redb").exists());
}

/// Goal: bounds hold: by count, by octets, by account; what does not fit is answered ESME_RMSGQFUL, and what leaves makes
/// room.
#[test]
fn a_full_queue_says_so() {
    for (limit, fit) in [
        ("max-count = 5", 5),
        ("max-bytes = 1024", 23),
        ("account-max-count = 3", 3),
        ("account-max-bytes = 1024", 23),
    ] {
        let (smppmux, mut server) = start_with(&format!("store = \"memory\"\n{limit}"));
        let mut fitted = 0;
        while {
            server.send(&deliver_sm(fitted + 1, "2000", "888123", "x"));
            answer(&mut server).1 == Status::ESME_ROK
        } {
            fitted += 1;
            assert!(fitted < 100, "{limit}: no bound");
        }
        assert_eq!(fitted, fit, "{limit}");
        send(&mut server, 200..201, "888124", Status::ESME_RMSGQFUL);
        let other = if limit.starts_with("account") {
            Status::ESME_ROK
        } else {
            Status::ESME_RMSGQFUL
        };
        send(&mut server, 201..202, "777123", other);
        let mut client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
        take(&mut client, fit as usize);
        client.unbind();
        let deadline = Instant::now() + smppmux_tests::PATIENCE;
        loop {
            server.send(&deliver_sm(300, "2000", "888123", "room again"));
            if answer(&mut server).1 == Status::ESME_ROK {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{limit}: no room though all were delivered"
            );
        }
    }
}

/// Goal: a message is not delivered after its time (max-age), and then its room is free.
#[test]
fn messages_expire() {
    let (smppmux, mut server) = start_with("store = \"memory\"\nmax-age = \"1s\"\nmax-count = 3");
    send(&mut server, 0..3, "888123", Status::ESME_ROK);
    send(&mut server, 3..4, "888123", Status::ESME_RMSGQFUL);
    std::thread::sleep(Duration::from_millis(1_600));
    send(&mut server, 4..5, "888123", Status::ESME_ROK);
    let mut client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
    assert_eq!(take(&mut client, 1), texts(4..5));
    assert!(matches!(client.receive_within(NEVER), Received::Nothing));
}

/// A deliver_sm that says how long it is good for.
fn valid_for(number: u32, destination: &str, validity_period: &str) -> Vec<u8> {
    let body = Message {
        destination: address(destination),
        validity_period: validity_period.as_bytes(),
        ..Message::default()
    };
    written(CommandId::DELIVER_SM, Status::ESME_ROK, number, &body)
}

/// A data_sm that says so.
fn data_valid_for(number: u32, destination: &str, seconds: u32) -> Vec<u8> {
    let body = Data {
        destination: address(destination),
        ..Data::default()
    };
    let data = written(CommandId::DATA_SM, Status::ESME_ROK, number, &body);
    with_tlvs(data, &[(Tag::QOS_TIME_TO_LIVE.0, &seconds.to_be_bytes())])
}

/// Goal: a message is not delivered after the time that its sender has set: validity_period, relative and absolute, or
/// qos_time_to_live; until then it is. One whose time is over when it comes is refused.
/// Method: each kind with a short time and a long one; a client that binds in time, and one that comes when the short ones are
/// over.
#[test]
fn messages_expire_by_their_own_time() {
    let messages = [
        ("long", valid_for(1, "888001", "000001000000000R")),
        ("long", valid_for(2, "888002", "400101000000000+")),
        ("long", data_valid_for(3, "888003", 3_600)),
        ("short", valid_for(4, "888004", "000000000002000R")),
        ("short", data_valid_for(5, "888005", 2)),
        ("over", valid_for(6, "888006", "250101000000048-")),
        ("long", valid_for(7, "888007", "")),
    ];
    for (store, is_late) in [("memory", false), ("memory", true), ("durable", true)] {
        let (smppmux, mut server) = start_with(&format!("store = \"{store}\""));
        for (time, message) in &messages {
            server.send(message);
            let expected = if *time == "over" {
                Status::ESME_RINVEXPIRY
            } else {
                Status::ESME_ROK
            };
            assert_eq!(server.receive().status(), expected);
        }
        if is_late {
            std::thread::sleep(Duration::from_millis(2_600));
        }
        let mut client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
        let mut received = Vec::new();
        while let Received::Pdu(delivery) = client.receive_within(NEVER) {
            let destination = if delivery.command() == CommandId::DATA_SM {
                let view = DataView::parse(delivery.octets()).expect("well-formed");
                view.destination().addr.to_vec()
            } else {
                delivery.destination().into_bytes()
            };
            received.push(destination);
            let (command, number) = (delivery.command().response(), delivery.sequence_number());
            client.send(&response_with_id(command, number, ""));
        }
        received.sort();
        let expected: Vec<_> = (1_u8..)
            .zip(&messages)
            .filter(|(_, (time, _))| *time == "long" || *time == "short" && !is_late)
            .map(|(place, _)| format!("88800{place}").into_bytes())
            .collect();
        assert_eq!(received, expected, "{store}, late: {is_late}");
    }
}

/// Goal: a temporary error is tried again after a pause, before what is behind it; a permanent one is not, and holds
/// nothing up.
#[test]
fn errors_are_retried_or_final() {
    let (smppmux, mut server) = start_with("store = \"memory\"");
    send(&mut server, 0..1, "888123", Status::ESME_ROK);
    let mut client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
    for status in [Status::ESME_RTHROTTLED, Status::ESME_RX_T_APPN] {
        let delivery = client.expect(CommandId::DELIVER_SM);
        assert_eq!(delivery.text(), "0");
        let start = Instant::now();
        reply(&mut client, &delivery, status);
        // The next message comes in at another engine, perhaps: the reply is to be heard before it is sent.
        let number = client.next_sequence_number();
        assert_eq!(client.enquire(number), []);
        send(&mut server, 1..2, "888123", Status::ESME_ROK);
        let again = client.expect(CommandId::DELIVER_SM);
        assert_eq!(again.text(), "0", "in order");
        assert!(start.elapsed() > Duration::from_millis(900), "after a pause");
        if status == Status::ESME_RTHROTTLED {
            client.accept(&again);
            assert_eq!(take(&mut client, 1), texts(1..2));
            client.unbind();
            send(&mut server, 0..1, "888123", Status::ESME_ROK);
            client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
        } else {
            reply(&mut client, &again, Status::ESME_RX_P_APPN);
            assert_eq!(
                take(&mut client, 1),
                texts(1..2),
                "the next one, and not the refused one"
            );
        }
    }
    assert!(matches!(client.receive_within(NEVER), Received::Nothing));
}

/// Goal: a client that vanishes with queued messages unanswered gets them again, in order, when it is back.
#[test]
fn a_client_vanishes_and_comes_back() {
    let (smppmux, mut server) = start_with("store = \"durable\"");
    send(&mut server, 0..20, "888123", Status::ESME_ROK);
    for engine in [0, 1, 0] {
        let request = BindRequest::of("esme1").with_range("888").at_engine(engine);
        let mut client = Esme::bind_with(smppmux.address(), request);
        let unanswered: Vec<String> = (0..9)
            .map(|_| client.expect(CommandId::DELIVER_SM).text())
            .collect();
        assert_eq!(unanswered, texts(0..9));
        client.into_peer().reset();
    }
    let mut client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
    assert_eq!(take(&mut client, 20), texts(0..20));
}

/// Goal: what was acknowledged is there after SIGKILL and after SIGTERM, also for another number of engines; a second
/// process on the same file ends with 69 and says why.
#[test]
fn a_restart_loses_nothing() {
    let folder = TempDir::new().expect("a temporary folder");
    let queue = durable_in(folder.path());
    let mut next = 0;
    for (engines, signal) in [(2, Signal::KILL), (1, Signal::TERM), (3, Signal::KILL)] {
        let smsc = Smsc::start();
        let configuration = Configuration::with_engines(engines)
            .server("smsc", "0A", smsc.address(), "connections-total = 1")
            .client("esme1", "address-ranges = [\"888\"]")
            .queue(&queue);
        let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
        let (mut server, _) = smsc.accept_bound();
        smppmux.wait_for_log("smppmux ready");
        send(&mut server, next..next + 100, "888123", Status::ESME_ROK);
        next += 100;
        if next == 100 {
            let (code, told) = run_to_exit(crate::PROGRAM, &configuration);
            assert_eq!(code, 69, "{told}");
            assert!(told.contains("queue.redb is in use by another process"), "{told}");
        }
        smppmux.signal(signal);
        if signal == Signal::TERM {
            let mut server = server;
            server.receive_until_unbound();
            assert_eq!(smppmux.wait_for_exit(), 0);
        } else {
            drop(smppmux);
        }
    }
    let smsc = Smsc::start();
    let configuration = configuration(&smsc, &queue);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
    assert_eq!(take(&mut client, next as usize), texts(0..next));
    send_live(&mut server, &mut client);
}

fn send_live(server: &mut Peer, client: &mut Esme) {
    server.send(&deliver_sm(7, "2000", "888123", "live"));
    assert_eq!(client.take_delivery().text(), "live");
    assert_eq!(answer(server), (7, Status::ESME_ROK));
}
