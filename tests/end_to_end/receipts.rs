//! Delivery receipts: back to the account that submitted, with the id that it was given, and to nobody else.

use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, deliver_sm, receipt, response_with_id};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;
use tempfile::TempDir;

pub(super) struct Stand {
    pub(super) smppmux: Smppmux,
    pub(super) server: Peer,
    /// Accepts no more, but its port stays taken.
    _smsc: Smsc,
}

/// smppmux on two engines with one session at one SMSC that a test drives by hand.
pub(super) fn start(vserver: &str, server: &str, rest: impl FnOnce(Configuration) -> Configuration) -> Stand {
    let smsc = Smsc::start();
    let lines = format!("connections-total = 1\n{server}");
    let configuration = Configuration::with_engines(2)
        .vserver(vserver)
        .server("smsc", "0A", smsc.address(), &lines)
        .client("alice", "")
        .client("bob", "")
        .client("catch-all", "address-ranges = [\".*\"]");
    let configuration = rest(configuration);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    Stand {
        smppmux,
        server,
        _smsc: smsc,
    }
}

pub(super) fn bind(stand: &Stand, system_id: &str, engine: usize) -> Esme {
    Esme::bind_with(
        stand.smppmux.address(),
        BindRequest::of(system_id).at_engine(engine),
    )
}

/// Submits for a receipt; the server answers with `id`. Gives the id that the client gets.
pub(super) fn submit(client: &mut Esme, server: &mut Peer, destination: &str, id: &str) -> String {
    let number = client.submit_for_receipt(destination, "text");
    let submit = server.expect(CommandId::SUBMIT_SM);
    server.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        id,
    ));
    let answer = client.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_ROK)
    );
    answer.message_id()
}

/// The server's answer to its receipt.
pub(super) fn status_of(server: &mut Peer, number: u32) -> Status {
    let answer = server.expect(CommandId::DELIVER_SM_RESP);
    assert_eq!(answer.sequence_number(), number);
    answer.status()
}

/// Goal: receipts, intermediate ones, final ones and repeats, reach the account that submitted: on its receiving sessions of
/// both engines, never on its transmitter, and never at an account that has the address; ids are as at submit.
#[test]
fn receipts_reach_the_submitter_wherever_it_is_bound() {
    let mut stand = start("", "", |configuration| configuration);
    let mut catch_all = bind(&stand, "catch-all", 0);
    let mut bob = bind(&stand, "bob", 1);
    let transmitter = BindRequest {
        command: CommandId::BIND_TRANSMITTER,
        ..BindRequest::of("alice").at_engine(0)
    };
    let mut transmitter = Esme::bind_with(stand.smppmux.address(), transmitter);
    let receiver = |engine| BindRequest {
        command: CommandId::BIND_RECEIVER,
        ..BindRequest::of("alice").at_engine(engine)
    };
    let mut receivers = [0, 1].map(|engine| Esme::bind_with(stand.smppmux.address(), receiver(engine)));
    let ids: Vec<String> = (0..12)
        .map(|message| {
            submit(
                &mut transmitter,
                &mut stand.server,
                "4477",
                &format!("m-{message}"),
            )
        })
        .collect();
    let mut number = 0;
    let mut taken = [0, 0];
    for state in ["ENROUTE", "DELIVRD", "DELIVRD"] {
        for (message, id) in ids.iter().enumerate() {
            number += 1;
            stand
                .server
                .send(&receipt(number, "4477", "1000", &format!("m-{message}"), state));
            let (place, delivery) = loop {
                let mut places = receivers.iter_mut().enumerate();
                let found = places.find_map(|(place, receiver)| {
                    match receiver.receive_within(Duration::from_millis(20)) {
                        Received::Pdu(pdu) => Some((place, pdu)),
                        _ => None,
                    }
                });
                if let Some(found) = found {
                    break found;
                }
            };
            taken[place] += 1;
            assert_eq!(delivery.receipted_id(), *id);
            receivers[place].accept(&delivery);
            assert_eq!(status_of(&mut stand.server, number), Status::ESME_ROK);
        }
    }
    assert!(
        taken.iter().all(|taken| *taken >= 6),
        "spread over both sessions: {taken:?}"
    );
    for other in [&mut catch_all, &mut bob, &mut transmitter] {
        other.expect_nothing();
    }
}

/// Goal: a receipt that comes before the answer of its submit waits for it (PITFALLS 7), and is delivered as soon as it
/// is there.
#[test]
fn a_receipt_before_the_answer_waits() {
    let mut stand = start("", "", |configuration| configuration);
    for engine in 0..2 {
        let mut alice = bind(&stand, "alice", engine);
        let mut catch_all = bind(&stand, "catch-all", 1 - engine);
        let number = alice.submit_for_receipt("4477", "text");
        let submit = stand.server.expect(CommandId::SUBMIT_SM);
        let id = format!("early-{engine}");
        stand.server.send(&receipt(9, "4477", "1000", &id, "DELIVRD"));
        alice.expect_nothing();
        stand.server.send(&response_with_id(
            CommandId::SUBMIT_SM_RESP,
            submit.sequence_number(),
            &id,
        ));
        let (mut answered, mut delivered) = (false, false);
        while !(answered && delivered) {
            let pdu = alice.receive();
            if pdu.command() == CommandId::SUBMIT_SM_RESP {
                assert_eq!(
                    (pdu.sequence_number(), pdu.message_id()),
                    (number, format!("{id}#mx-0A"))
                );
                answered = true;
            } else {
                assert_eq!(pdu.receipted_id(), format!("{id}#mx-0A"));
                alice.accept(&pdu);
                delivered = true;
            }
        }
        assert_eq!(status_of(&mut stand.server, 9), Status::ESME_ROK);
        catch_all.expect_nothing();
    }
}

/// Goal: an id that the answer has in hexadecimal and the receipt in decimal, or with other zeros or letters, is found where
/// the receipt's source is the submit's destination, and the client gets the id that it knows; an exact match counts first
/// (PITFALLS 8).
#[test]
fn other_writings_of_an_id_are_found() {
    let mut stand = start("receipt-hold = \"50ms\"", "", |configuration| configuration);
    let mut alice = bind(&stand, "alice", 0);
    let mut bob = bind(&stand, "bob", 1);
    let mut catch_all = bind(&stand, "catch-all", 1);
    let cases = [
        ("00FF12", "65298"),
        ("0000000123", "123"),
        ("abcdef", "ABCDEF"),
        ("77", "4D"),
        ("2A", "42"),
    ];
    for (number, (given, reported)) in (1..).zip(cases) {
        let destination = format!("4477{number}");
        let id = submit(&mut alice, &mut stand.server, &destination, given);
        assert_eq!(id, format!("{given}#mx-0A"));
        stand
            .server
            .send(&receipt(number, &destination, "1000", reported, "DELIVRD"));
        assert_eq!(alice.take_delivery().receipted_id(), id, "{given} {reported}");
        assert_eq!(status_of(&mut stand.server, number), Status::ESME_ROK);
        // Another source: nobody knows that message.
        stand
            .server
            .send(&receipt(number, "9999", "1000", reported, "DELIVRD"));
        let fallback = catch_all.take_delivery();
        assert_eq!(fallback.receipted_id(), format!("{reported}#mx-0A"));
        assert_eq!(status_of(&mut stand.server, number), Status::ESME_ROK);
    }
    // Decimal 10 is also hexadecimal 0A: the exact id counts first, whatever the source.
    let of_alice = submit(&mut alice, &mut stand.server, "4477", "0A");
    let of_bob = submit(&mut bob, &mut stand.server, "4488", "10");
    stand.server.send(&receipt(100, "4477", "1000", "10", "DELIVRD"));
    assert_eq!(bob.take_delivery().receipted_id(), of_bob);
    assert_eq!(status_of(&mut stand.server, 100), Status::ESME_ROK);
    stand.server.send(&receipt(101, "4477", "1000", "0A", "DELIVRD"));
    assert_eq!(alice.take_delivery().receipted_id(), of_alice);
}

/// Goal: a receipt that no esm_class marks is found by its text or its TLV, where its source is the destination; and what
/// only looks like one is a message like any other (PITFALLS 11).
#[test]
fn unmarked_receipts_are_found() {
    let mut stand = start("receipt-hold = \"50ms\"", "", |configuration| configuration);
    let mut alice = bind(&stand, "alice", 0);
    let mut catch_all = bind(&stand, "catch-all", 1);
    let id = submit(&mut alice, &mut stand.server, "4477", "m-1");
    let text =
        "id:m-1 sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:";
    stand.server.send(&deliver_sm(1, "4477", "1000", text));
    let delivery = alice.take_delivery();
    assert_eq!(delivery.receipted_id(), id);
    assert_eq!(status_of(&mut stand.server, 1), Status::ESME_ROK);
    for (number, source, text) in [
        (2, "4488", text),
        (3, "4477", "id:m-1 is what I got"),
        (4, "4477", "hello"),
    ] {
        stand.server.send(&deliver_sm(number, source, "1000", text));
        let message = catch_all.take_delivery();
        assert_eq!(message.text(), text, "untouched");
        assert_eq!(status_of(&mut stand.server, number), Status::ESME_ROK);
    }
    alice.expect_nothing();
}

/// The next PDU that one of them gets.
fn next_of(peers: &mut [&mut Peer]) -> (usize, Pdu) {
    loop {
        for (place, peer) in peers.iter_mut().enumerate() {
            if let Received::Pdu(pdu) = peer.receive_within(Duration::from_millis(20)) {
                return (place, pdu);
            }
        }
    }
}

/// Goal: two servers with the same id do not mix up their receipts (PITFALLS 10).
#[test]
fn ids_are_those_of_one_server() {
    let other = Smsc::start();
    let address = other.address();
    let mut stand = start("method = \"round-robin\"", "", |configuration| {
        configuration.server("other", "Z9", address, "connections-total = 1")
    });
    let (mut second, _) = other.accept_bound();
    let mut clients = [bind(&stand, "alice", 0), bind(&stand, "bob", 1)];
    let mut ids = Vec::new();
    let mut others = 0;
    for (wanted, client) in clients.iter_mut().enumerate() {
        // Until the server whose turn it is is the wanted one.
        loop {
            let number = client.submit_for_receipt("4477", "text");
            let mut servers = [&mut stand.server, &mut second];
            let (place, submit) = next_of(&mut servers);
            others += 1;
            let other = format!("other-{others}");
            let id = if place == wanted { "same" } else { &other };
            servers[place].send(&response_with_id(
                CommandId::SUBMIT_SM_RESP,
                submit.sequence_number(),
                id,
            ));
            let answer = client.expect(CommandId::SUBMIT_SM_RESP);
            assert_eq!(answer.sequence_number(), number);
            if place == wanted {
                ids.push(answer.message_id());
                break;
            }
        }
    }
    assert_ne!(ids[0], ids[1]);
    for (server, tag) in [(&mut second, "#mx-Z9"), (&mut stand.server, "#mx-0A")] {
        server.send(&receipt(1, "4477", "1000", "same", "DELIVRD"));
        let place = usize::from(ids[1].ends_with(tag));
        assert_eq!(clients[place].take_delivery().receipted_id(), ids[place]);
        clients[1 - place].expect_nothing();
    }
}

/// Goal: a receipt of an unknown id is refused where the vserver says so, and `receipts = "address"` routes all by address.
#[test]
fn the_rules_for_unknown_ids() {
    let mut stand = start(
        "receipt-hold = \"50ms\"\nreceipt-unknown = \"refuse\"",
        "",
        |configuration| configuration,
    );
    let _catch_all = bind(&stand, "catch-all", 1);
    stand
        .server
        .send(&receipt(1, "4477", "1000", "nobody", "DELIVRD"));
    assert_eq!(status_of(&mut stand.server, 1), Status::ESME_RX_P_APPN);
    drop(stand);

    let mut stand = start("receipts = \"address\"", "", |configuration| configuration);
    let mut alice = bind(&stand, "alice", 0);
    let mut catch_all = bind(&stand, "catch-all", 1);
    let id = submit(&mut alice, &mut stand.server, "4477", "m-1");
    stand.server.send(&receipt(1, "4477", "1000", "m-1", "DELIVRD"));
    assert_eq!(catch_all.take_delivery().receipted_id(), id);
    alice.expect_nothing();
}

/// Goal: a late ESME_ROK still makes the entry, and so does one whose client is gone (PITFALLS 23).
#[test]
fn a_late_answer_still_makes_the_entry() {
    let mut stand = start("", "response-timeout = \"2100ms\"", |configuration| configuration);
    let mut alice = bind(&stand, "alice", 0);
    alice.submit_for_receipt("4477", "text");
    let submit = stand.server.expect(CommandId::SUBMIT_SM);
    assert_eq!(
        alice.expect(CommandId::SUBMIT_SM_RESP).status(),
        Status::ESME_RSYSERR
    );
    alice.unbind();
    stand.server.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        "late",
    ));
    let mut alice = bind(&stand, "alice", 1);
    stand.server.send(&receipt(1, "4477", "1000", "late", "DELIVRD"));
    assert_eq!(alice.take_delivery().receipted_id(), "late#mx-0A");
}

/// Goal: who waits for which receipt survives a kill -9, with another number of engines and accounts in another order; so does
/// what a mapped id stands for.
#[test]
fn the_correlation_survives_a_kill() {
    let folder = TempDir::new().expect("a folder");
    let path = format!(
        "[receipts]\npath = \"{}\"",
        folder.path().join("receipts").display()
    );
    let vserver = "message-id = \"mapped\"";
    let mut stand = start(vserver, "", |configuration| configuration.section(&path));
    let mut alice = bind(&stand, "alice", 0);
    let ids: Vec<String> = (0..20)
        .map(|message| submit(&mut alice, &mut stand.server, "4477", &format!("{message}")))
        .collect();
    // What is older than a second has to survive; it is far less in practice.
    std::thread::sleep(Duration::from_secs(1));
    stand.smppmux.signal(rustix::process::Signal::KILL);
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(3)
        .vserver(vserver)
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .client("catch-all", "address-ranges = [\".*\"]")
        .client("alice", "")
        .section(&path);
    drop((alice, stand));
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut alice = Esme::bind_with(smppmux.address(), BindRequest::of("alice").at_engine(2));
    for (message, id) in ids.iter().enumerate() {
        server.send(&receipt(1, "4477", "1000", &format!("{message}"), "DELIVRD"));
        assert_eq!(alice.take_delivery().receipted_id(), *id);
        assert_eq!(status_of(&mut server, 1), Status::ESME_ROK);
        alice.send(&smppmux_tests::pdu::query_sm(70, id, "1000"));
        let query: Pdu = server.expect(CommandId::QUERY_SM);
        let view = smppmux_engine::core::wire::QueryView::parse(query.octets()).expect("query_sm");
        assert_eq!(view.message_id(), message.to_string().as_bytes());
        server.send(&smppmux_tests::pdu::query_sm_resp(
            query.sequence_number(),
            &message.to_string(),
        ));
        let answer = alice.expect(CommandId::QUERY_SM_RESP);
        assert_eq!(answer.message_id(), *id);
    }
    let second = Configuration::with_engines(1)
        .server("smsc", "0A", smsc.address(), "")
        .client("alice", "")
        .section(&path);
    let (code, words) = smppmux_tests::process::run_to_exit(crate::PROGRAM, &second);
    assert_eq!(code, 69, "{words}");
    assert!(words.contains("another smppmux"), "{words}");
}
