//! SMSCs that open connections to smppmux themselves and ask for a bind.

use rustix::process::Signal;
use smppmux_engine::core::wire::{BindLimits, BindView, CommandId, Outbind, Status};
use smppmux_tests::configuration::{Configuration, PASSWORD, source_address_of};
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{self, deliver_sm};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::simulator::address_to_come_back_to;
use smppmux_tests::smsc::{Smsc, answer_bind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const ENGINES: usize = 2;

fn configuration(smsc: &Smsc, outbind: SocketAddr, more: &str) -> Configuration {
    let lines = format!(
        "bind = \"transmitter\"\nenquire-link-interval = \"200ms\"\noutbind-listen = \"{outbind}\"\noutbind-system-id = \"centre\"\n\
         outbind-password = \"theirs\"\n{more}"
    );
    Configuration::with_engines(ENGINES)
        .server("smsc-a", "0A", smsc.address(), &lines)
        .client("esme1", "address-ranges = [\"888\"]")
}

/// smppmux, and its own session at the SMSC for each engine.
fn start(configuration: &Configuration, smsc: &Smsc) -> (Smppmux, Vec<Peer>) {
    let mut smppmux = Smppmux::start(crate::PROGRAM, configuration);
    let sessions = (0..ENGINES).map(|_| smsc.accept_bound().0).collect();
    smppmux.wait_for_log("smppmux ready");
    (smppmux, sessions)
}

fn call(from: IpAddr, address: SocketAddr, credentials: (&str, &str)) -> Peer {
    let mut peer = Peer::connect_from(from, address);
    let body = Outbind {
        system_id: credentials.0.as_bytes(),
        password: credentials.1.as_bytes(),
    };
    peer.send(&pdu::written(CommandId::OUTBIND, Status::ESME_ROK, 1, &body));
    peer
}

const RIGHT: (&str, &str) = ("centre", "theirs");

/// Goal: an SMSC that calls gets our bind_receiver with this server's credentials, on any engine, and its messages reach the
/// client and are answered; it is asked whether it lives, may leave, and may call again; nobody calls back.
#[test]
fn a_server_calls() {
    let (smsc, outbind) = (Smsc::start(), address_to_come_back_to());
    let (smppmux, _sessions) = start(&configuration(&smsc, outbind, ""), &smsc);
    let mut esme = Esme::bind_with_range(smppmux.address(), "esme1", "888");
    for (round, engine) in [0, 1, 0, 1].into_iter().enumerate() {
        let mut server = call(source_address_of(engine), outbind, RIGHT);
        let bind = answer_bind(&mut server);
        assert_eq!(bind.command(), CommandId::BIND_RECEIVER);
        let view = BindView::parse(bind.octets(), BindLimits::LENIENT).expect("a bind");
        assert_eq!(
            (view.system_id(), view.password()),
            (&b"mux"[..], PASSWORD.as_bytes())
        );
        let text = format!("round {round}");
        server.send(&deliver_sm(5, "2000", "88801", &text));
        let message = esme.expect(CommandId::DELIVER_SM);
        assert_eq!(message.text(), text);
        esme.send(&pdu::response_with_id(
            CommandId::DELIVER_SM_RESP,
            message.sequence_number(),
            "",
        ));
        let answer = server.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!((answer.sequence_number(), answer.status()), (5, Status::ESME_ROK));
        match server.receive_any_within(Duration::from_secs(5)) {
            Received::Pdu(pdu) => assert_eq!(pdu.command(), CommandId::ENQUIRE_LINK),
            other => panic!("an enquire_link was due; {other:?} came"),
        }
        if round < 2 {
            let unbind = pdu::header_only(CommandId::UNBIND, Status::ESME_ROK, 6);
            server.send(&unbind);
            let left = server.receive_until_closed();
            assert_eq!(left.last().map(pdu::Pdu::command), Some(CommandId::UNBIND_RESP));
        }
    }
    assert!(smsc.accept_within(Duration::from_millis(500)).is_none());
}

/// Goal: who says something else, or comes from elsewhere, or is one too many, hears nothing of us and is told once.
#[test]
fn strangers_hear_nothing() {
    let (smsc, outbind) = (Smsc::start(), address_to_come_back_to());
    let more = "outbind-connections = 1\noutbind-allow = [\"127.0.1.0/24\"]";
    let (mut smppmux, _sessions) = start(&configuration(&smsc, outbind, more), &smsc);
    let here = source_address_of(0);
    for wrong in [("centre", "wrong"), ("nobody", "theirs"), ("mux", PASSWORD)] {
        call(here, outbind, wrong).expect_closed();
    }
    let line = smppmux.wait_for_log("outbind refused");
    assert_eq!(line["reason"], "another password than outbind-password", "{line}");
    let mut stranger = Peer::connect_from(here, outbind);
    stranger.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stranger.expect_closed();
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 2, 1));
    call(elsewhere, outbind, RIGHT).expect_closed();
    let mut server = call(here, outbind, RIGHT);
    answer_bind(&mut server);
    call(here, outbind, RIGHT).expect_closed();
    server.enquire(9);
    let refused = smppmux.recent_log();
    let refused = refused.iter().filter(|line| line.contains("outbind refused"));
    let told = refused.count();
    assert!(
        (1..=ENGINES).contains(&told),
        "once for each engine, not {told} times"
    );
}

/// Goal: SIGTERM unbinds the session that was called.
#[test]
fn a_drain_unbinds_it() {
    let (smsc, outbind) = (Smsc::start(), address_to_come_back_to());
    let (mut smppmux, sessions) = start(&configuration(&smsc, outbind, ""), &smsc);
    let mut server = call(source_address_of(1), outbind, RIGHT);
    answer_bind(&mut server);
    smppmux.wait_for_log("server bound by outbind");
    smppmux.signal(Signal::TERM);
    server.receive_until_unbound();
    for mut session in sessions {
        session.receive_until_unbound();
    }
    assert_eq!(smppmux.wait_for_exit(), 0);
}
