//! More than there is room for: windows, holds, and clients that do not read.

use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{Pdu, header_only, response_with_id};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};

use crate::start_ready;

fn start(vserver: &str, server: &str, client: &str) -> (Smppmux, Peer, Esme) {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .vserver(vserver)
        .server("smsc", "0A", smsc.address(), server)
        .client("esme1", client);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let client = Esme::bind(smppmux.address(), "esme1");
    (smppmux, server, client)
}

fn accept(server: &mut Peer, submit: &Pdu) {
    let number = submit.sequence_number();
    server.send(&response_with_id(CommandId::SUBMIT_SM_RESP, number, "id"));
}

/// Goal: a client over its window gets ESME_RTHROTTLED for what is too much, at once, and nothing else changes.
#[test]
fn a_client_over_its_window_is_throttled() {
    let (_smppmux, mut server, mut client) = start("", "", "window = 2");
    let kept = [client.submit("4477", "one"), client.submit("4477", "two")];
    let too_much = client.submit("4477", "three");
    let answer = client.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (too_much, Status::ESME_RTHROTTLED)
    );
    for number in kept {
        let submit = server.expect(CommandId::SUBMIT_SM);
        accept(&mut server, &submit);
        let answer = client.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (number, Status::ESME_ROK)
        );
    }
    let number = client.submit("4477", "four");
    let submit = server.expect(CommandId::SUBMIT_SM);
    assert_eq!(submit.text(), "four", "the third one reached nobody");
    accept(&mut server, &submit);
    assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).sequence_number(), number);
}

/// Goal: a message that finds the server's window full is held, and goes when there is room.
#[test]
fn a_held_message_goes_when_there_is_room() {
    let (_smppmux, mut server, mut client) = start("hold-time = \"8s\"", "window = 1", "");
    let numbers: Vec<u32> = ["one", "two", "three"]
        .map(|text| client.submit("4477", text))
        .into();
    for (number, text) in numbers.iter().zip(["one", "two", "three"]) {
        let submit = server.expect(CommandId::SUBMIT_SM);
        assert_eq!(submit.text(), text, "in order");
        assert_eq!(server.enquire(9), [], "one at a time");
        accept(&mut server, &submit);
        let answer = client.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (*number, Status::ESME_ROK)
        );
    }
}

/// Goal: what comes free is given to the clients in turn: who has much that waits does not keep out who has little.
/// Method: a window of one, a client with twenty messages, and then two with three each.
#[test]
fn clients_that_wait_take_turns() {
    let (smppmux, mut server, mut greedy) = start("hold-time = \"8s\"", "window = 1", "");
    let mut modest = [(); 2].map(|()| Esme::bind(smppmux.address(), "esme1"));
    for _ in 0..20 {
        greedy.submit("4477", "greedy");
    }
    // What came before an answered enquire_link has been dealt with.
    assert_eq!(greedy.enquire(900), []);
    for client in &mut modest {
        for number in 0..3 {
            client.submit("4477", &format!("modest {number}"));
        }
        assert_eq!(client.enquire(900), []);
    }
    let mut texts = Vec::new();
    for _ in 0..26 {
        let submit = server.expect(CommandId::SUBMIT_SM);
        accept(&mut server, &submit);
        texts.push(submit.text());
    }
    let last_modest = texts.iter().rposition(|text| text.starts_with("modest"));
    // One that was on its way, and three turns of three, whoever begins.
    assert!(last_modest.is_some_and(|place| place <= 10), "{texts:?}");
    for number in 0..3 {
        let text = format!("modest {number}");
        assert_eq!(texts.iter().filter(|other| **other == text).count(), 2);
    }
    for client in &mut modest {
        for _ in 0..3 {
            assert!(client.expect(CommandId::SUBMIT_SM_RESP).status().is_ok());
        }
    }
}

/// Goal: a message that is held for too long gets ESME_RTHROTTLED; with `overload = "throttle"` it gets it at once.
#[test]
fn a_hold_ends_with_throttling() {
    for policy in ["hold-time = \"300ms\"", "overload = \"throttle\""] {
        let (_smppmux, mut server, mut client) = start(policy, "window = 1", "");
        let first = client.submit("4477", "one");
        let second = client.submit("4477", "two");
        let answer = client.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (second, Status::ESME_RTHROTTLED)
        );
        let submit = server.expect(CommandId::SUBMIT_SM);
        accept(&mut server, &submit);
        assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).sequence_number(), first);
    }
}

/// Goal: a client that sends and does not read is no longer read from, then given up, and a neighbour notices nothing.
/// Method: enquire_links until no more are taken; each answer stays in smppmux's and the kernel's buffers.
#[test]
fn a_client_that_does_not_read_is_given_up() {
    const ENQUIRIES_AT_ONCE: usize = 4096;
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(1)
        .engine("max-pdu = 8192\noutput-buffer = \"16KiB\"")
        .vserver("response-timeout = \"3s\"")
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "");
    let smppmux = start_ready(&configuration);
    let mut neighbour = Esme::bind(smppmux.address(), "esme1");
    let mut client = Esme::bind(smppmux.address(), "esme1").into_peer();
    let mut writer = client.writer();
    let enquiries = header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, 1).repeat(ENQUIRIES_AT_ONCE);
    let flood = std::thread::spawn(move || while writer.try_send(&enquiries) {});
    for number in 0..200 {
        let answer = neighbour.submit_and_wait("4477", &number.to_string());
        assert_eq!(answer.status(), Status::ESME_ROK);
    }
    // Ends with the connection.
    flood.join().expect("no panic");
    let is_closed = loop {
        match client.receive_within(Duration::from_secs(10)) {
            Received::Pdu(_) => {}
            Received::Closed => break true,
            Received::Nothing => break false,
        }
    };
    assert!(is_closed);
    assert_eq!(
        neighbour.submit_and_wait("4477", "after").status(),
        Status::ESME_ROK
    );
}
