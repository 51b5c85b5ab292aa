//! What a bind claims beside the digits of a range: its TON and NPI, and what an empty range stands for.

use smppmux_engine::core::wire::{Address, CommandId, Message, Status, Version};
use smppmux_tests::configuration::{Configuration, PASSWORD, source_address_of};
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{self, deliver_sm, response_with_id, written};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

/// Two engines and one session at one SMSC.
fn start(vserver: &str, clients: &[(&str, &str)]) -> (Smppmux, Peer) {
    let smsc = Smsc::start();
    let mut configuration = Configuration::with_engines(2)
        .vserver(vserver)
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .queue("store = \"memory\"");
    for (system_id, lines) in clients {
        configuration = configuration.client(system_id, lines);
    }
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    (smppmux, server)
}

fn bind(smppmux: &Smppmux, system_id: &str, engine: usize) -> Esme {
    Esme::bind_with(smppmux.address(), BindRequest::of(system_id).at_engine(engine))
}

/// Sends a message to this address; gives the answer's status.
fn status_of(server: &mut Peer, number: u32, destination: &str) -> Status {
    server.send(&deliver_sm(number, "2000", destination, destination));
    let answer = server.expect(CommandId::DELIVER_SM_RESP);
    assert_eq!(answer.sequence_number(), number);
    answer.status()
}

/// Goal: with `empty-range = "all"` a bind without a range gets what nobody claims more precisely, though its account names no ranges:
/// also what came before it was bound, which waits for it; where no account may receive, nothing waits.
#[test]
fn an_empty_range_can_stand_for_everything() {
    let all = "empty-range = \"all\"";
    let clients = [("rest", ""), ("fine", "address-ranges = [\"4477\"]")];
    for engine in 0..2 {
        let (smppmux, mut server) = start(all, &clients);
        assert_eq!(status_of(&mut server, 1, "5599"), Status::ESME_ROK, "queued");
        let mut rest = bind(&smppmux, "rest", engine);
        assert_eq!(rest.take_delivery().text(), "5599");
        let request = BindRequest::of("fine").with_range("4477").at_engine(1 - engine);
        let mut fine = Esme::bind_with(smppmux.address(), request);
        for (number, destination) in (2..).zip(["4477001", "4478", "4477002", "1"]) {
            server.send(&deliver_sm(number, "2000", destination, destination));
            let taker = if destination.starts_with("4477") {
                &mut fine
            } else {
                &mut rest
            };
            assert_eq!(taker.take_delivery().text(), destination);
            assert!(server.expect(CommandId::DELIVER_SM_RESP).status().is_ok());
        }
    }
    let (_smppmux, mut server) = start(all, &[("sender", "bind = [\"transmitter\"]")]);
    assert_eq!(status_of(&mut server, 1, "5599"), Status::ESME_RINVDSTADR);
}

/// Goal: with `empty-range = "none"` a bind without a range gets no messages, whatever its account may claim; with a range it does.
#[test]
fn an_empty_range_can_stand_for_nothing() {
    let clients = [("esme", "address-ranges = [\"4477\"]")];
    let (smppmux, mut server) = start("empty-range = \"none\"", &clients);
    assert_eq!(status_of(&mut server, 1, "5599"), Status::ESME_RINVDSTADR);
    let mut without = bind(&smppmux, "esme", 0);
    assert_eq!(status_of(&mut server, 2, "4477"), Status::ESME_ROK, "queued");
    without.expect_nothing();
    let request = BindRequest::of("esme").with_range("4477").at_engine(1);
    let mut with = Esme::bind_with(smppmux.address(), request);
    assert_eq!(with.take_delivery().text(), "4477");
    without.expect_nothing();
}

/// Goal: a bind's addr_ton and addr_npi are part of its claim: a message goes to the range of its own TON and NPI, 0 stands for any, and a
/// longer prefix of another TON gets nothing. Method: three binds on two engines.
#[test]
fn ton_and_npi_are_part_of_a_claim() {
    let (smppmux, mut server) = start("", &[("esme", "address-ranges = [\".*\"]")]);
    let bind = |engine: usize, (ton, npi): (u8, u8), range: &str| {
        let mut peer = Peer::connect_from(source_address_of(engine), smppmux.address());
        let credentials = ("esme", PASSWORD);
        let mut request = pdu::bind(CommandId::BIND_TRANSCEIVER, 1, credentials, Version::V34, range);
        // Before the range and its NUL.
        let end = request.len() - range.len() - 1;
        request[end - 2..end].copy_from_slice(&[ton, npi]);
        peer.send(&request);
        let answer = peer.expect(CommandId::BIND_TRANSCEIVER_RESP);
        assert_eq!(answer.status(), Status::ESME_ROK);
        peer
    };
    let mut peers = [
        bind(0, (1, 1), "44"),
        bind(1, (0, 0), "44"),
        bind(0, (2, 1), "4477"),
        bind(1, (0, 8), "44"),
    ];
    let cases = [
        ((1, 1), 0),
        ((2, 1), 2),
        ((5, 0), 1),
        ((1, 0), 1),
        ((5, 8), 3),
        ((2, 8), 3),
    ];
    for (number, ((ton, npi), taker)) in (1..).zip(cases) {
        let body = Message {
            destination: Address {
                ton,
                npi,
                addr: b"447700",
            },
            short_message: b"text",
            ..Message::default()
        };
        server.send(&written(CommandId::DELIVER_SM, Status::ESME_ROK, number, &body));
        let delivery = peers[taker].expect(CommandId::DELIVER_SM);
        assert_eq!(delivery.message().destination(), body.destination);
        let response = response_with_id(CommandId::DELIVER_SM_RESP, delivery.sequence_number(), "");
        peers[taker].send(&response);
        assert!(server.expect(CommandId::DELIVER_SM_RESP).status().is_ok());
    }
    peers.iter_mut().for_each(Peer::expect_nothing);
}
