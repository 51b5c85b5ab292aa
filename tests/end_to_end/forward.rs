//! `auth = "forward"`: a server decides about a client's bind.

use crate::receipts::{status_of, submit};
use rustix::process::Signal;
use std::thread;
use std::time::Duration;

use smppmux_engine::core::wire::{BindLimits, BindView, CommandId, Status, Version};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, bind, deliver_sm, header_only, receipt, response_with_id};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{Smsc, answer_bind};

/// How long a connection that must not come is waited for.
const NO_CONNECTION_TIME: Duration = Duration::from_millis(300);

fn start(cache: &str) -> (Smppmux, Smsc) {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .vserver("auth = \"forward\"")
        .vserver(&format!("forward-cache = \"{cache}\""))
        .server("smsc", "0A", smsc.address(), "");
    (Smppmux::start(crate::PROGRAM, &configuration), smsc)
}

fn request(password: &'static str) -> BindRequest<'static> {
    BindRequest {
        password,
        ..BindRequest::of("alice")
    }
}

fn assert_credentials(bind: &Pdu, password: &str) {
    let view = BindView::parse(bind.octets(), BindLimits::LENIENT).expect("a bind");
    assert_eq!(view.system_id(), b"alice");
    assert_eq!(view.password(), password.as_bytes());
}

/// Goal: the server sees the client's credentials under a number of ours; its answer comes back under the client's; then
/// the client's messages go over that very connection.
#[test]
fn the_bind_goes_to_the_server_and_its_answer_comes_back() {
    let (smppmux, smsc) = start("60s");
    let mut client = Peer::connect(smppmux.address());
    let credentials = ("alice", "wonder");
    client.send(&bind(
        CommandId::BIND_TRANSCEIVER,
        0xFEDC_BA98,
        credentials,
        Version::V34,
        "",
    ));
    let mut server = smsc.accept();
    let forwarded = answer_bind(&mut server);
    assert_eq!(forwarded.command(), CommandId::BIND_TRANSCEIVER);
    assert_credentials(&forwarded, "wonder");
    assert!((1..=0x7FFF_FFFF).contains(&forwarded.sequence_number()));
    let answer = client.expect(CommandId::BIND_TRANSCEIVER_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (0xFEDC_BA98, Status::ESME_ROK)
    );

    client.send(&smppmux_tests::pdu::submit_sm(7, "1000", "4477", "hello"));
    let submit = server.expect(CommandId::SUBMIT_SM);
    let number = submit.sequence_number();
    server.send(&response_with_id(CommandId::SUBMIT_SM_RESP, number, "id"));
    assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).message_id(), "id#mx-0A");
}

/// Goal: a refusal comes back with the server's status, whatever it is.
#[test]
fn a_refusal_comes_back() {
    let (smppmux, smsc) = start("60s");
    for status in [
        Status::ESME_RINVPASWD,
        Status::ESME_RINVSYSID,
        Status(0x0000_0455),
    ] {
        let mut client = Esme::start_bind(smppmux.address(), request("wrong"));
        let mut server = smsc.accept();
        refuse(&mut server, "wrong", status);
        assert_eq!(client.expect(CommandId::BIND_TRANSCEIVER_RESP).status(), status);
    }
}

fn refuse(server: &mut Peer, password: &str, status: Status) {
    let forwarded = server.expect(CommandId::BIND_TRANSCEIVER);
    assert_credentials(&forwarded, password);
    let number = forwarded.sequence_number();
    server.send(&header_only(CommandId::BIND_TRANSCEIVER_RESP, status, number));
}

/// Goal: a second bind with the same credentials re-uses the connection; one with another password asks the server, and
/// changes nothing for the first.
#[test]
fn a_second_bind_uses_the_connection_only_with_the_same_password() {
    let (smppmux, smsc) = start("60s");
    let mut first = Esme::start_bind(smppmux.address(), request("wonder"));
    let (mut server, _) = smsc.accept_bound();
    first.expect(CommandId::BIND_TRANSCEIVER_RESP);

    let mut second = Esme::bind_with(smppmux.address(), request("wonder"));
    assert!(
        smsc.accept_within(NO_CONNECTION_TIME).is_none(),
        "the server is not asked"
    );

    let mut intruder = Esme::start_bind(smppmux.address(), request("guess"));
    let mut asked = smsc.accept();
    refuse(&mut asked, "guess", Status::ESME_RINVPASWD);
    let answer = intruder.expect(CommandId::BIND_TRANSCEIVER_RESP);
    assert_eq!(answer.status(), Status::ESME_RINVPASWD);

    for client in [&mut first, &mut second] {
        let number = client.submit("4477", "still here");
        let submit = server.expect(CommandId::SUBMIT_SM);
        server.send(&response_with_id(
            CommandId::SUBMIT_SM_RESP,
            submit.sequence_number(),
            "id",
        ));
        assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).sequence_number(), number);
    }
}

/// Goal: after `forward-cache` the server is asked again.
#[test]
fn an_old_password_is_asked_for_again() {
    let (smppmux, smsc) = start("200ms");
    let mut first = Esme::start_bind(smppmux.address(), request("wonder"));
    let _server = smsc.accept_bound();
    first.expect(CommandId::BIND_TRANSCEIVER_RESP);
    // What is tested is that time passes.
    thread::sleep(Duration::from_millis(300));
    let mut second = Esme::start_bind(smppmux.address(), request("wonder"));
    let (_again, bind) = smsc.accept_bound();
    assert_credentials(&bind, "wonder");
    let answer = second.expect(CommandId::BIND_TRANSCEIVER_RESP);
    assert_eq!(answer.status(), Status::ESME_ROK);
}

/// Goal: a reload leaves clients that a server has bound, and their sessions there, alone: both ways messages go on, and nobody is unbound.
#[test]
fn a_reload_leaves_forwarded_sessions_alone() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .vserver("auth = \"forward\"")
        .server("smsc", "0A", smsc.address(), "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let mut client = Esme::start_bind(smppmux.address(), request("wonder"));
    let (mut server, _) = smsc.accept_bound();
    client.expect(CommandId::BIND_TRANSCEIVER_RESP);
    for lines in ["", "weight = 3"] {
        let configuration = Configuration::with_engines(1)
            .vserver("auth = \"forward\"")
            .server("smsc", "0A", smsc.address(), lines);
        smppmux.rewrite(&configuration);
        smppmux.signal(Signal::HUP);
        smppmux.wait_for_log("configuration read again");
        client.submit("4477", "text");
        let number = server.expect(CommandId::SUBMIT_SM).sequence_number();
        server.send(&response_with_id(CommandId::SUBMIT_SM_RESP, number, "id"));
        assert_eq!(
            client.expect(CommandId::SUBMIT_SM_RESP).status(),
            Status::ESME_ROK
        );
        server.send(&deliver_sm(7, "2000", "4477", "back"));
        assert_eq!(client.take_delivery().text(), "back");
        assert_eq!(
            server.expect(CommandId::DELIVER_SM_RESP).status(),
            Status::ESME_ROK
        );
    }
    assert!(smsc.accept_within(NO_CONNECTION_TIME).is_none());
}

/// Goal: a receipt that comes on an identity's own connection is that identity's, with the id that the submit's answer gave, and
/// its answer goes back to the server; another identity hears nothing of it.
#[test]
fn a_receipt_stays_with_its_identity() {
    let (smppmux, smsc) = start("60s");
    let [(mut alice, mut server), (mut bob, _bobs)] = ["alice", "bob"].map(|identity| {
        let mut client = Esme::start_bind(smppmux.address(), BindRequest::of(identity));
        let (server, _) = smsc.accept_bound();
        client.expect(CommandId::BIND_TRANSCEIVER_RESP);
        (client, server)
    });
    let id = submit(&mut alice, &mut server, "4477", "m-1");
    server.send(&receipt(7, "4477", "1000", "m-1", "DELIVRD"));
    let delivery = alice.expect(CommandId::DELIVER_SM);
    assert_eq!((delivery.receipted_id(), id.as_str()), (id.clone(), "m-1#mx-0A"));
    alice.accept(&delivery);
    assert_eq!(status_of(&mut server, 7), Status::ESME_ROK);
    bob.expect_nothing();
}
