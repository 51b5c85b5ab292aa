//! `connections-total`: few sessions for all engines, and not one bind more.

use std::collections::HashMap;
use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, response_with_id};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

/// How long a bind that must not come is waited for.
const NO_BIND_TIME: Duration = Duration::from_millis(300);

/// Goal: with one session for two engines, requests of clients at both engines reach it, and answers in any order find
/// their way back with the client's number.
#[test]
fn one_session_serves_the_clients_of_both_engines() {
    const MESSAGES: usize = 50;
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut clients: Vec<Esme> = [0, 1, 0, 1]
        .map(|engine| Esme::bind_with(smppmux.address(), BindRequest::of("esme1").at_engine(engine)))
        .into();
    let mut expected: Vec<HashMap<u32, String>> = vec![HashMap::new(); clients.len()];
    for message in 0..MESSAGES {
        for (index, client) in clients.iter_mut().enumerate() {
            let text = format!("{index}-{message}");
            expected[index].insert(client.submit("4477", &text), format!("{text}#mx-0A"));
        }
    }
    answer_in_reverse(&mut server, MESSAGES * clients.len());
    for (client, mut expected) in clients.iter_mut().zip(expected) {
        while !expected.is_empty() {
            let answer = client.expect(CommandId::SUBMIT_SM_RESP);
            assert_eq!(answer.status(), Status::ESME_ROK);
            let id = expected.remove(&answer.sequence_number());
            assert_eq!(id, Some(answer.message_id()), "an answer of this client, once");
        }
    }
    assert!(smsc.accept_within(NO_BIND_TIME).is_none(), "one bind only");
}

/// The message id is the text, so that a client can tell whose answer it got.
fn answer_in_reverse(server: &mut Peer, requests: usize) {
    let mut submits: Vec<Pdu> = (0..requests)
        .map(|_| server.expect(CommandId::SUBMIT_SM))
        .collect();
    submits.reverse();
    for submit in submits {
        let number = submit.sequence_number();
        server.send(&response_with_id(
            CommandId::SUBMIT_SM_RESP,
            number,
            &submit.text(),
        ));
    }
}

/// Goal: three sessions for two engines are three binds; one that is lost comes back as one.
#[test]
fn a_lost_session_comes_back_and_no_other() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "connections-total = 3")
        .client("esme1", "");
    let smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (first, _) = smsc.accept_bound();
    let _second = smsc.accept_bound();
    let _third = smsc.accept_bound();
    assert!(smsc.accept_within(NO_BIND_TIME).is_none(), "three binds");
    first.reset();
    let _again = smsc.accept_bound();
    assert!(smsc.accept_within(NO_BIND_TIME).is_none(), "three binds again");
    drop(smppmux);
}

/// Goal: the last session is lost, the engines find another one, and clients of both reach it.
#[test]
fn both_engines_reach_the_session_that_follows_a_lost_one() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut clients =
        [0, 1].map(|engine| Esme::bind_with(smppmux.address(), BindRequest::of("esme1").at_engine(engine)));
    server.reset();
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("server bound");
    for client in &mut clients {
        // Until the news of the session has crossed, an engine without one answers ESME_RSYSERR.
        let number = loop {
            let number = client.submit("4477", "after the loss");
            let reached = server.receive_within(Duration::from_millis(50));
            if let smppmux_tests::peer::Received::Pdu(submit) = reached {
                let id = response_with_id(CommandId::SUBMIT_SM_RESP, submit.sequence_number(), "id");
                server.send(&id);
                break number;
            }
            assert_eq!(client.receive().status(), Status::ESME_RSYSERR);
        };
        let answer = client.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (number, Status::ESME_ROK)
        );
    }
}
