//! What a routing rule can ask of a message, key by key, as the configuration names it.

use smppmux_engine::core::wire::{Address, CommandId, Message, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{deliver_sm, response_with_id, submit_sm, written};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;
use std::net::SocketAddr;

struct Stand {
    smppmux: Smppmux,
    left: Peer,
    right: Peer,
    /// Where the second vserver listens.
    other_vserver: SocketAddr,
}

/// One engine, two servers of which the left one is preferred, two vservers in front of both, and rules.
fn start(rules: &str) -> Stand {
    let smscs = [Smsc::start(), Smsc::start()];
    let other = "[[vserver]]\nname = \"other\"\nlisten = [\"127.0.0.1:0\"]\n";
    let configuration = Configuration::with_engines(1)
        .server(
            "left",
            "0A",
            smscs[0].address(),
            "mobile-originated-vserver = \"sms\"",
        )
        .server(
            "right",
            "0B",
            smscs[1].address(),
            "mobile-originated-vserver = \"sms\"\npriority = 1",
        )
        .client("esme1", "address-ranges = [\".*\"]")
        .section(other)
        .section(rules);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let other_vserver = smppmux.next_address();
    let [left, right] = smscs.map(|smsc| smsc.accept_bound().0);
    smppmux.wait_for_log("smppmux ready");
    Stand {
        smppmux,
        left,
        right,
        other_vserver,
    }
}

/// A message has to reach this server.
fn pass(client: &mut Esme, server: &mut Peer, message: &[u8]) {
    client.send(message);
    let submit = server.expect(CommandId::SUBMIT_SM);
    let number = submit.sequence_number();
    server.send(&response_with_id(CommandId::SUBMIT_SM_RESP, number, "id"));
    assert!(client.expect(CommandId::SUBMIT_SM_RESP).status().is_ok());
}

const fn address(ton: u8, npi: u8) -> Address<'static> {
    Address {
        ton,
        npi,
        addr: b"4477",
    }
}

/// Goal: each key matches what it names and nothing else.
/// Method: for each, one rule for the server that else gets nothing; a message that has what it asks for, and its neighbours.
#[test]
fn every_key_matches_what_it_names() {
    let plain = Message {
        source: address(1, 1),
        destination: address(1, 1),
        ..Message::default()
    };
    let source = |ton, npi| Message {
        source: address(ton, npi),
        ..plain
    };
    let destination = |ton, npi| Message {
        destination: address(ton, npi),
        ..plain
    };
    let service = |service_type| Message {
        service_type,
        ..plain
    };
    let coding = |data_coding| Message { data_coding, ..plain };
    let class = |esm_class| Message { esm_class, ..plain };
    let cases: [(&str, Vec<Message<'_>>, Vec<Message<'_>>); 9] = [
        (
            "source-ton = 5",
            vec![source(5, 0), source(5, 1)],
            vec![source(1, 5), destination(5, 1)],
        ),
        ("source-npi = 9", vec![source(1, 9)], vec![source(9, 1)]),
        (
            "destination-ton = 2",
            vec![destination(2, 1)],
            vec![destination(1, 2), source(2, 2)],
        ),
        (
            "destination-npi = 8",
            vec![destination(0, 8)],
            vec![destination(8, 0)],
        ),
        (
            "destination = \"44\"\ndestination-ton = 2\ndestination-npi = 8",
            vec![destination(2, 8)],
            vec![destination(2, 1), destination(1, 8)],
        ),
        (
            "service-type = \"WAP\"",
            vec![service(b"WAP")],
            vec![service(b""), service(b"WA"), service(b"WAPX"), service(b"wap")],
        ),
        (
            "data-coding = [4, 8]",
            vec![coding(4), coding(8)],
            vec![coding(0), coding(12)],
        ),
        (
            "esm-class = 0x40\nesm-class-mask = 0x40",
            vec![class(0x40), class(0x43)],
            vec![class(0), class(0x83)],
        ),
        ("esm-class = 3", vec![class(3)], vec![class(0x43), class(2)]),
    ];
    for (keys, right, left) in cases {
        let mut stand = start(&format!("[[route]]\n{keys}\nservers = [\"right\"]\n"));
        let mut client = Esme::bind(stand.smppmux.address(), "esme1");
        for (messages, server) in [(right, &mut stand.right), (left, &mut stand.left)] {
            for message in messages {
                println!("{keys}: {message:?}");
                let number = client.next_sequence_number();
                let submit = written(CommandId::SUBMIT_SM, Status::ESME_ROK, number, &message);
                pass(&mut client, server, &submit);
            }
        }
    }
}

/// Goal: `vservers` confines a rule to the clients of some; `to-vserver` gives a server's messages to the clients of another.
#[test]
fn rules_are_for_vservers() {
    let rules = r#"
        [[route]]
        vservers = ["other"]
        servers = ["right"]
        [[route]]
        direction = "mo"
        destination = "49"
        to-vserver = "other"
    "#;
    let mut stand = start(rules);
    let bind = |address| Esme::bind_with_range(address, "esme1", "4");
    let (mut first, mut other) = (bind(stand.smppmux.address()), bind(stand.other_vserver));
    for number in 11..14 {
        pass(
            &mut first,
            &mut stand.left,
            &submit_sm(number, "1000", "4477", "text"),
        );
        pass(
            &mut other,
            &mut stand.right,
            &submit_sm(number, "1000", "4477", "text"),
        );
    }
    for number in 21..24 {
        stand
            .left
            .send(&deliver_sm(number, "1000", "4977", "for the other"));
        assert_eq!(other.take_delivery().destination(), "4977");
        stand.left.expect(CommandId::DELIVER_SM_RESP);
        stand
            .left
            .send(&deliver_sm(number, "1000", "4477", "for the first"));
        assert_eq!(first.take_delivery().destination(), "4477");
        stand.left.expect(CommandId::DELIVER_SM_RESP);
    }
    assert_eq!((first.enquire(98), other.enquire(99)), (vec![], vec![]));
}
