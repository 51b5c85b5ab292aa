//! Routing rules for submit_multi: each of its destinations meets them, and it stays one message for one server.

use smppmux_engine::core::wire::{CommandId, DestAddress, Status, SubmitMultiView, Tag};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{Pdu, header_only, response_with_id, submit_multi, with_tlvs};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

/// One engine, two servers of which the first is preferred, an account, and rules.
fn start(rules: &str) -> (Smppmux, [Peer; 2], Esme) {
    let smscs = [Smsc::start(), Smsc::start()];
    let configuration = Configuration::with_engines(1)
        .vserver("hop-guard-tag = 0x1500\nhop-guard-max = 2")
        .server("left", "0A", smscs[0].address(), "")
        .server("right", "0B", smscs[1].address(), "priority = 1")
        .client("esme1", "")
        .section(rules);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let servers = smscs.map(|smsc| smsc.accept_bound().0);
    smppmux.wait_for_log("smppmux ready");
    let client = Esme::bind(smppmux.address(), "esme1");
    (smppmux, servers, client)
}

const RULES: &str = r#"
    [[route]]
    destination = "666"
    reject = "ESME_RINVDSTADR"
    [[route]]
    destination = "07"
    set-destination-prefix = "447"
    servers = ["right"]
    [[route]]
    destination = "33"
    servers = ["left"]
    [[route]]
    destination = "49"
    set-source-ton = 5
"#;

fn refused(client: &mut Esme, destinations: &[&str]) -> Status {
    let number = client.next_sequence_number();
    client.send(&submit_multi(number, "1000", destinations, "text"));
    let answer = client.expect(CommandId::SUBMIT_MULTI_RESP);
    assert_eq!(answer.sequence_number(), number);
    answer.status()
}

/// Sends a submit_multi that must reach this server; gives what the server saw.
fn pass(client: &mut Esme, server: &mut Peer, destinations: &[&str]) -> Pdu {
    let number = client.next_sequence_number();
    client.send(&submit_multi(number, "1000", destinations, "text"));
    let request = server.expect(CommandId::SUBMIT_MULTI);
    let mut answer = response_with_id(CommandId::SUBMIT_MULTI_RESP, request.sequence_number(), "id");
    // no_unsuccess
    answer.push(0);
    server.send(&with_tlvs(answer, &[]));
    let answer = client.expect(CommandId::SUBMIT_MULTI_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_ROK)
    );
    request
}

fn destinations(request: &Pdu) -> Vec<String> {
    let view = SubmitMultiView::parse(request.octets()).expect("well-formed");
    let texts = view.destinations().map(|destination| match destination {
        DestAddress::Sme(address) => String::from_utf8_lossy(address.addr).into_owned(),
        DestAddress::DistributionList(name) => panic!("{name:?}"),
    });
    texts.collect()
}

/// Goal: no destination slips past a rule that rejects it, alone or among others; nothing of such a message is sent.
#[test]
fn a_rejected_destination_rejects_the_message() {
    let (_smppmux, [mut left, mut right], mut client) = start(RULES);
    for destinations in [&["666"][..], &["1", "6661"], &["666", "07", "33"]] {
        assert_eq!(refused(&mut client, destinations), Status::ESME_RINVDSTADR);
    }
    assert_eq!((left.enquire(9), right.enquire(9)), (vec![], vec![]));
    assert_eq!(destinations(&pass(&mut client, &mut left, &["1"])), ["1"]);
}

/// Goal: each destination is changed as its own rule says, in its place; the servers are those that all may go to; what
/// cannot be one message for one server is refused.
#[test]
fn destinations_are_changed_and_share_a_server() {
    let (_smppmux, [mut left, mut right], mut client) = start(RULES);
    let request = pass(&mut client, &mut right, &["1", "07700", "2", "07"]);
    assert_eq!(destinations(&request), ["1", "447700", "2", "447"]);
    let view = SubmitMultiView::parse(request.octets()).expect("well-formed");
    assert_eq!((view.short_message(), view.source().ton), (&b"text"[..], 1));
    for _ in 0..3 {
        pass(&mut client, &mut left, &["33", "1"]);
        pass(&mut client, &mut right, &["07"]);
    }
    let request = pass(&mut client, &mut left, &["49", "491"]);
    let view = SubmitMultiView::parse(request.octets()).expect("well-formed");
    assert_eq!(view.source().ton, 5);
    assert_eq!(
        refused(&mut client, &["33", "07"]),
        Status::ESME_RSUBMITFAIL,
        "two servers"
    );
    assert_eq!(
        refused(&mut client, &["49", "1"]),
        Status::ESME_RSUBMITFAIL,
        "two sources"
    );
    assert_eq!((left.enquire(9), right.enquire(9)), (vec![], vec![]));
}

/// Goal: the hop guard counts a submit_multi too, and stops one that goes round (PITFALLS 36).
#[test]
fn a_submit_multi_that_goes_round_is_stopped() {
    let (_smppmux, [mut left, _], mut client) = start("");
    let mut request = pass(&mut client, &mut left, &["1", "2"]);
    for hops in 1..=2 {
        let view = SubmitMultiView::parse(request.octets()).expect("well-formed");
        let counter = view.tlvs().find(Tag(0x1500));
        assert_eq!(counter.and_then(|tlv| tlv.integer()), Some(hops));
        client.send(request.octets());
        if hops == 1 {
            request = left.expect(CommandId::SUBMIT_MULTI);
            left.send(&header_only(
                CommandId::SUBMIT_MULTI_RESP,
                Status::ESME_RSYSERR,
                request.sequence_number(),
            ));
            assert_eq!(
                client.expect(CommandId::SUBMIT_MULTI_RESP).status(),
                Status::ESME_RSYSERR
            );
        }
    }
    assert_eq!(
        client.expect(CommandId::SUBMIT_MULTI_RESP).status(),
        Status::ESME_RSUBMITFAIL
    );
}
