//! `method-batch`: what a client sends together goes to one session of one server, and shares stay what the method says.

use smppmux_engine::core::wire::CommandId;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::submit_sm;
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};
use std::time::Duration;

use crate::start_ready;

/// Requests in one write, which one read brings.
fn together(count: u32) -> Vec<u8> {
    (0..count)
        .flat_map(|number| submit_sm(2 + number, "1000", "4477", "text"))
        .collect()
}

fn submit_together(client: &mut Esme, count: u32) {
    client.send(&together(count));
    for _ in 0..count {
        assert!(client.receive().status().is_ok());
    }
}

/// Goal: requests of one read change the server after `method-batch` of them only, or after 1/32 of its window if that is
/// more than 16, and what one server got more is made up for by the next read; with 1 they take turns.
#[test]
fn batches_stay_together_and_shares_exact() {
    for (batch, window, count, first, second) in [
        (8, 1000, 20, [12, 8], [0, 4]),
        (1, 1000, 20, [10, 10], [2, 2]),
        (100, 500, 40, [24, 16], [0, 4]),
        (100, 800, 60, [35, 25], [0, 4]),
        (30, 1000, 70, [40, 30], [0, 4]),
    ] {
        let servers = [AnsweringSmsc::start("a"), AnsweringSmsc::start("b")];
        let configuration = Configuration::with_engines(1)
            .vserver(&format!("method = \"round-robin\"\nmethod-batch = {batch}"))
            .server("a", "0A", servers[0].address(), &format!("window = {window}"))
            .server("b", "0B", servers[1].address(), &format!("window = {window}"))
            .client("esme", "window = 100");
        let smppmux = start_ready(&configuration);
        let mut client = Esme::bind(smppmux.address(), "esme");
        for (count, expected) in [(count, first), (4, second)] {
            submit_together(&mut client, count);
            let taken = servers.each_ref().map(|server| server.requests_so_far().len());
            assert_eq!(taken, expected, "batches of {batch}, windows of {window}");
        }
    }
}

/// Goal: between several sessions of the only server a batch stays together too.
#[test]
fn a_batch_keeps_its_session() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .vserver("method-batch = 4")
        .server("a", "0A", smsc.address(), "connections = 2")
        .client("esme", "window = 100");
    let smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let mut sessions = [smsc.accept_bound().0, smsc.accept_bound().0];
    let mut client = Esme::bind(smppmux.address(), "esme");
    client.send(&together(6));
    let taken = sessions.each_mut().map(submits);
    assert!(taken == [4, 2] || taken == [2, 4], "{taken:?}");
}

/// How many submit_sm have come.
fn submits(session: &mut Peer) -> usize {
    let mut count = 0;
    while let Received::Pdu(pdu) = session.receive_within(Duration::from_millis(200)) {
        assert_eq!(pdu.command(), CommandId::SUBMIT_SM);
        count += 1;
    }
    count
}
