//! TCP keeps no boundaries: however the octets of a session are cut or joined on their way, the result is the same.

use std::collections::BTreeSet;

use proptest::test_runner::{Config, TestRunner};
use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::configuration::{Configuration, PASSWORD};
use smppmux_tests::pdu::{Pdu, bind, deliver_sm, header_only, response_with_id, submit_sm};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};

use crate::start_ready;

const SUBMITS: u32 = 5;

/// A client's whole session in one piece: bind, submits, enquire_link, unbind.
fn client_session() -> Vec<u8> {
    let credentials = ("esme1", PASSWORD);
    let mut octets = bind(CommandId::BIND_TRANSCEIVER, 1, credentials, Version::V34, "");
    for number in 0..SUBMITS {
        octets.extend(submit_sm(
            10 + number,
            "1000",
            "4477",
            &"text ".repeat(number as usize),
        ));
    }
    octets.extend(header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, 90));
    octets.extend(header_only(CommandId::UNBIND, Status::ESME_ROK, 91));
    octets
}

/// Writes the session in the given pieces; checks what comes back.
fn run_client_session(smppmux: &Smppmux, pieces: &[&[u8]]) {
    let mut client = Peer::connect(smppmux.address());
    for piece in pieces {
        client.send(piece);
    }
    let answers = client.receive_until_closed();
    let outcome = |pdu: &Pdu| (pdu.command(), pdu.status(), pdu.sequence_number());
    let mut expected = BTreeSet::from([
        (CommandId::BIND_TRANSCEIVER_RESP, Status::ESME_ROK, 1),
        (CommandId::ENQUIRE_LINK_RESP, Status::ESME_ROK, 90),
        (CommandId::UNBIND_RESP, Status::ESME_ROK, 91),
    ]);
    expected.extend((0..SUBMITS).map(|number| (CommandId::SUBMIT_SM_RESP, Status::ESME_ROK, 10 + number)));
    assert_eq!(answers.len(), expected.len(), "{answers:?}");
    assert_eq!(answers.iter().map(outcome).collect::<BTreeSet<_>>(), expected);
    assert_eq!(answers[0].command(), CommandId::BIND_TRANSCEIVER_RESP);
    let last = answers.last().expect("there are some");
    assert_eq!(
        last.command(),
        CommandId::UNBIND_RESP,
        "the unbind waits for the answers"
    );
}

/// Goal: a client's session comes out the same in one piece, octet by octet, cut once at every place near a boundary,
/// and in pieces of any size. Method: the pieces are separate writes without Nagle's algorithm.
#[test]
fn any_cut_of_a_clients_stream_gives_the_same_result() {
    let server = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", server.address(), "")
        .client("esme1", "");
    let smppmux = start_ready(&configuration);
    let session = client_session();

    run_client_session(&smppmux, &[&session]);
    run_client_session(&smppmux, &session.chunks(1).collect::<Vec<_>>());
    for cut in (1..40).chain(session.len() - 40..session.len()) {
        let (front, back) = session.split_at(cut);
        run_client_session(&smppmux, &[front, back]);
    }
    let mut runner = TestRunner::new(Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&proptest::collection::vec(1_usize..200, 1..60), |sizes| {
            let mut pieces = Vec::new();
            let mut rest = session.as_slice();
            for size in sizes {
                let (piece, behind) = rest.split_at(size.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            run_client_session(&smppmux, &pieces);
            Ok(())
        })
        .expect("every cut is right");
}

/// Goal: what an SMSC writes in one piece with its bind_resp, or octet by octet, is not lost.
#[test]
fn any_cut_of_a_servers_stream_gives_the_same_result() {
    for octets_at_once in [1, 7, usize::MAX] {
        let smsc = Smsc::start();
        let configuration = Configuration::with_engines(1)
            .server("smsc", "0A", smsc.address(), "")
            .client("esme1", "address-ranges = [\".*\"]")
            .queue("store = \"off\"");
        let smppmux = Smppmux::start(crate::PROGRAM, &configuration);
        let mut server = smsc.accept();
        let bind = server.expect(CommandId::BIND_TRANSCEIVER);
        let mut octets = response_with_id(CommandId::BIND_TRANSCEIVER_RESP, bind.sequence_number(), "smsc");
        for number in 1..=3 {
            octets.extend(deliver_sm(number, "2000", "888", "early"));
        }
        octets.extend(header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, 4));
        for piece in octets.chunks(octets_at_once.min(octets.len())) {
            server.send(piece);
        }
        let answers: Vec<_> = (0..4).map(|_| server.receive()).collect();
        for (number, answer) in (1..).zip(&answers) {
            assert_eq!(answer.sequence_number(), number);
            let status = if number < 4 {
                Status::ESME_RX_T_APPN
            } else {
                Status::ESME_ROK
            };
            assert_eq!(answer.status(), status, "nobody is bound: {answer:?}");
        }
        drop(smppmux);
    }
}
