//! Sequence numbers: ours towards every peer, theirs in every answer.

use std::collections::HashSet;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{deliver_sm, response_with_id, submit_sm};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

/// Numbers of peers that keep to the rules and of peers that do not.
const NUMBERS: [u32; 12] = [
    0,
    1,
    2,
    0x7FFF_FFFE,
    0x7FFF_FFFF,
    0x8000_0000,
    0x8000_0001,
    0xFFFF_FFFE,
    0xFFFF_FFFF,
    4,
    0x0102_0304,
    2_147_483_640,
];

/// Goal: a client's numbers, whatever they are, come back in its answers; the server sees numbers from 1 to 0x7FFFFFFF,
/// each once, also where they start again at 1.
#[test]
fn a_client_gets_its_own_numbers_and_the_server_sees_ours() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .engine("first-sequence-number = 2147483640")
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, bind) = smsc.accept_bound();
    assert_eq!(bind.sequence_number(), 2_147_483_640);
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind(smppmux.address(), "esme1");
    for number in NUMBERS {
        client.send(&submit_sm(number, "1000", "4477", "number"));
    }
    let submits: Vec<_> = NUMBERS
        .iter()
        .map(|_| server.expect(CommandId::SUBMIT_SM))
        .collect();
    let seen: Vec<u32> = submits.iter().map(|submit| submit.sequence_number()).collect();
    let expected: Vec<u32> = (2_147_483_641..=0x7FFF_FFFF)
        .chain(1..)
        .take(NUMBERS.len())
        .collect();
    assert_eq!(seen, expected);
    for submit in submits.iter().rev() {
        let number = submit.sequence_number();
        server.send(&response_with_id(CommandId::SUBMIT_SM_RESP, number, "id"));
    }
    for number in NUMBERS.iter().rev() {
        assert_eq!(
            client.expect(CommandId::SUBMIT_SM_RESP).sequence_number(),
            *number
        );
    }
}

/// Goal: the same towards a client: the server's numbers come back in its answers, the client sees ours.
#[test]
fn a_server_gets_its_own_numbers_and_the_client_sees_ours() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "address-ranges = [\"888\"]");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
    for number in NUMBERS {
        server.send(&deliver_sm(number, "2000", "888123", "number"));
    }
    let deliveries: Vec<_> = NUMBERS
        .iter()
        .map(|_| client.expect(CommandId::DELIVER_SM))
        .collect();
    let seen: HashSet<u32> = deliveries
        .iter()
        .map(|delivery| delivery.sequence_number())
        .collect();
    assert_eq!(seen.len(), NUMBERS.len(), "each number once");
    assert!(
        seen.iter().all(|number| (1..=0x7FFF_FFFF).contains(number)),
        "{seen:?}"
    );
    for delivery in deliveries.iter().rev() {
        client.accept(delivery);
    }
    for number in NUMBERS.iter().rev() {
        let answer = server.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (*number, Status::ESME_ROK)
        );
    }
}
