//! Clients that do not read what they are sent (PITFALLS 28), and servers that are all down (PITFALLS 29).

use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status, Tag};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{deliver_sm, header_only, submit_sm, with_tlvs};
use smppmux_tests::peer::Received;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};

use crate::start_ready;

/// Goal: a client that submits and does not read its answers is throttled, then given up; its neighbour and the session to
/// the server that both share notice nothing.
#[test]
fn a_client_that_reads_no_answers_is_throttled_and_given_up() {
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(1)
        .engine("max-pdu = 8192\noutput-buffer = \"16KiB\"")
        .vserver("response-timeout = \"3s\"")
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "window = 65535");
    let smppmux = start_ready(&configuration);
    let mut neighbour = Esme::bind(smppmux.address(), "esme1");
    let mut client = Esme::bind(smppmux.address(), "esme1").into_peer();
    let mut writer = client.writer();
    let submit = submit_sm(2, "1000", "4477", "unread").repeat(1_000);
    let flood = std::thread::spawn(move || while writer.try_send(&submit) {});
    for number in 0..200 {
        let answer = neighbour.submit_and_wait("4477", &number.to_string());
        assert_eq!(answer.status(), Status::ESME_ROK);
    }
    // Ends with the connection.
    flood.join().expect("no panic");
    let (mut accepted, mut throttled) = (0_u64, 0_u64);
    loop {
        match client.receive_within(Duration::from_secs(10)) {
            Received::Pdu(answer) if answer.status() == Status::ESME_RTHROTTLED => throttled += 1,
            Received::Pdu(answer) => {
                assert_eq!(answer.status(), Status::ESME_ROK);
                accepted += 1;
            }
            Received::Closed => break,
            Received::Nothing => panic!("still open"),
        }
    }
    println!("{accepted} answers, {throttled} throttled, then the end");
    assert!(throttled > 0, "{accepted} answers and none throttled");
    assert_eq!(
        neighbour.submit_and_wait("4477", "after").status(),
        Status::ESME_ROK
    );
}

/// Goal: what a member of a pool does not read goes to another member, and the server is answered all the time; only what is
/// under way towards the slow one waits for its deadline.
#[test]
fn messages_of_a_slow_reader_go_to_its_neighbour() {
    const WINDOW: usize = 10;
    const MESSAGES: usize = 100;
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(1)
        .vserver("response-timeout = \"3s\"")
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", &format!("address-ranges = [\".*\"]\nwindow = {WINDOW}"));
    let smppmux = start_ready(&configuration);
    let _slow = Esme::bind_with_range(smppmux.address(), "esme1", "888765");
    let mut quick = Esme::bind_with_range(smppmux.address(), "esme1", "888765");
    let mut taken = 0;
    for number in 0..MESSAGES {
        smsc.deliver(0, "88876501", &number.to_string());
        // The turns alternate until the slow one's window is full.
        if number % 2 == 1 || number >= WINDOW * 2 {
            quick.take_delivery();
            taken += 1;
        }
    }
    assert_eq!(taken, MESSAGES - WINDOW);
    assert_eq!(quick.enquire(9), []);
}

/// Goal: what the only client of its addresses does not read goes to the queue: the server is answered at once, and the client
/// gets all of it in order when it reads again.
/// Method: a client whose window is full; and one with a window that never is, whose output buffer fills.
#[test]
fn messages_of_a_lone_slow_reader_are_queued() {
    let payload = [b'x'; 4_000];
    for (window, body) in [(10, &payload[..10]), (65_535, &payload)] {
        let smsc = Smsc::start();
        let configuration = Configuration::with_engines(1)
            .engine("max-pdu = 8192\noutput-buffer = \"64KiB\"")
            .vserver("response-timeout = \"20s\"")
            .server("smsc", "0A", smsc.address(), "")
            .client("esme1", &format!("address-ranges = [\".*\"]\nwindow = {window}"))
            .queue("store = \"memory\"");
        let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
        let (mut server, _) = smsc.accept_bound();
        smppmux.wait_for_log("smppmux ready");
        let mut slow = Esme::bind_with_range(smppmux.address(), "esme1", "888765");
        let mut sent = 0;
        let queued = loop {
            sent += 1;
            assert!(sent < 20_000, "none was queued");
            let message = deliver_sm(sent, "1000", "88876501", &sent.to_string());
            server.send(&with_tlvs(message, &[(Tag::MESSAGE_PAYLOAD.0, body)]));
            let patience = Duration::from_millis(if window == 10 { 100 } else { 1 });
            if let Received::Pdu(answer) = server.receive_within(patience) {
                assert_eq!(answer.status(), Status::ESME_ROK);
                break answer.sequence_number();
            }
        };
        println!("window {window}: message {queued} of {sent} was the first to be queued");
        if window == 10 {
            assert_eq!(queued, 11);
        }
        let mut answered = 1;
        for number in 1..=sent {
            let delivery = slow.take_delivery();
            assert_eq!(delivery.text(), number.to_string());
            // The server's answers are read on the way, so that nobody waits for it.
            while let Received::Pdu(answer) = server.receive_within(Duration::from_micros(1)) {
                assert_eq!(answer.status(), Status::ESME_ROK);
                answered += 1;
            }
        }
        while answered < sent {
            assert_eq!(
                server.expect(CommandId::DELIVER_SM_RESP).status(),
                Status::ESME_ROK
            );
            answered += 1;
        }
        assert_eq!(slow.enquire(99), []);
    }
}

fn start_without_server(policy: &str) -> (Smppmux, Smsc, Esme) {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .vserver(&format!("hold-time = \"3s\"\n{policy}"))
        .server("smsc", "0A", smsc.address(), "reconnect-max = \"200ms\"")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let client = Esme::bind(smppmux.address(), "esme1");
    drop(server);
    smppmux.wait_for_log("server lost");
    (smppmux, smsc, client)
}

/// Goal: while all servers are down each message is answered at once, or held until one comes back, or the clients are
/// unbound and refused, as the vserver says.
#[test]
fn the_policy_for_no_server_at_all_holds() {
    let (_smppmux, _smsc, mut client) = start_without_server("all-servers-down = \"answer\"");
    let sent_at = Instant::now();
    assert_eq!(
        client.submit_and_wait("4477", "no").status(),
        Status::ESME_RSYSERR
    );
    assert!(sent_at.elapsed() < Duration::from_secs(2), "at once");

    let (_smppmux, smsc, mut client) = start_without_server("all-servers-down = \"hold\"");
    let number = client.submit("4477", "held");
    let (mut server, _) = smsc.accept_bound();
    let submit = server.expect(CommandId::SUBMIT_SM);
    assert_eq!(submit.text(), "held");
    let response = CommandId::SUBMIT_SM_RESP;
    server.send(&smppmux_tests::pdu::response_with_id(
        response,
        submit.sequence_number(),
        "id",
    ));
    let answer = client.expect(response);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_ROK)
    );

    let (smppmux, smsc, mut client) = start_without_server("all-servers-down = \"unbind\"");
    let unbind = client.expect(CommandId::UNBIND);
    client.send(&header_only(
        CommandId::UNBIND_RESP,
        Status::ESME_ROK,
        unbind.sequence_number(),
    ));
    client.expect_closed();
    let request = smppmux_tests::esme::BindRequest::of("esme1");
    let (_client, refusal) = Esme::try_bind(smppmux.address(), request);
    assert_eq!(refusal.status(), Status::ESME_RSYSERR);
    drop(smsc);
}
