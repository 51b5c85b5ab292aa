//! MO that nobody takes, without a queue.

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::deliver_sm;
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

/// The number of an enquire_link that shows that nothing else was sent.
const MARK: u32 = 0x5E5E_5E5E;

/// A server with one session at engine 0.
fn start() -> (Smppmux, Peer) {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .client("esme1", "address-ranges = [\"888\"]")
        .queue("store = \"off\"");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    (smppmux, server)
}

fn assert_answer(server: &mut Peer, sequence_number: u32, status: Status) {
    let answer = server.expect(CommandId::DELIVER_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (sequence_number, status)
    );
}

/// Goal: without a client a message is to be tried again; for a destination that no account may claim it is refused.
#[test]
fn nobody_is_bound() {
    let (smppmux, mut server) = start();
    server.send(&deliver_sm(1, "2000", "888123", "nobody"));
    assert_answer(&mut server, 1, Status::ESME_RX_T_APPN);
    server.send(&deliver_sm(2, "2000", "999123", "nobody's"));
    assert_answer(&mut server, 2, Status::ESME_RINVDSTADR);

    let transmitter = BindRequest {
        command: CommandId::BIND_TRANSMITTER,
        ..BindRequest::of("esme1").with_range("888")
    };
    let mut transmitter = Esme::bind_with(smppmux.address(), transmitter);
    server.send(&deliver_sm(3, "2000", "888123", "not for a transmitter"));
    assert_answer(&mut server, 3, Status::ESME_RX_T_APPN);
    assert_eq!(transmitter.enquire(MARK), []);
}

/// Goal: a client that vanishes with messages unanswered: the server gets ESME_RX_T_APPN for each, once, whether the
/// client was on the server session's engine or on the other.
#[test]
fn a_client_vanishes() {
    let (smppmux, mut server) = start();
    for engine in [0, 1] {
        for is_reset in [false, true] {
            let request = BindRequest::of("esme1").with_range("888").at_engine(engine);
            let mut client = Esme::bind_with(smppmux.address(), request);
            for number in 1..=5 {
                server.send(&deliver_sm(number, "2000", "888123", "lost"));
            }
            for _ in 1..=5 {
                client.expect(CommandId::DELIVER_SM);
            }
            if is_reset {
                client.into_peer().reset();
            } else {
                drop(client);
            }
            let mut numbers: Vec<u32> = (1..=5)
                .map(|_| {
                    let answer = server.expect(CommandId::DELIVER_SM_RESP);
                    assert_eq!(answer.status(), Status::ESME_RX_T_APPN);
                    answer.sequence_number()
                })
                .collect();
            numbers.sort_unstable();
            assert_eq!(numbers, [1, 2, 3, 4, 5]);
            assert_eq!(server.enquire(MARK), [], "once each");
        }
    }
}

/// Goal: a client that unbinds gets no more messages, and its unanswered ones are settled.
#[test]
fn a_client_unbinds() {
    let (smppmux, mut server) = start();
    let client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
    client.unbind();
    server.send(&deliver_sm(1, "2000", "888123", "too late"));
    assert_answer(&mut server, 1, Status::ESME_RX_T_APPN);
}

/// Goal: a claim that the account's ranges do not allow is refused at the bind.
#[test]
fn a_foreign_range_is_refused() {
    let (smppmux, _server) = start();
    for range in ["999", "88", ".*", "^8"] {
        let (_, answer) = Esme::try_bind(smppmux.address(), BindRequest::of("esme1").with_range(range));
        assert_eq!(answer.status(), Status::ESME_RBINDFAIL, "{range}");
    }
    for range in ["888", "8885", "^8885$"] {
        Esme::bind_with_range(smppmux.address(), "esme1", range);
    }
}
