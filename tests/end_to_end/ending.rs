//! Signals, exit codes, and the order in which everything ends.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{header_only, response_with_id};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::{Smppmux, run_to_exit};
use smppmux_tests::smsc::Smsc;

const DRAINING: &str = "draining: no new requests, waiting for answers that are due";

fn start(drain_timeout: &str) -> (Smppmux, Vec<Peer>, Vec<Esme>) {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .engine(&format!("drain-timeout = \"{drain_timeout}\""))
        // A client that does not bind is ended by the drain, not by its own time.
        .vserver("bind-timeout = \"1min\"")
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let servers = vec![smsc.accept_bound().0, smsc.accept_bound().0];
    smppmux.wait_for_log("smppmux ready");
    let clients = (0..2).map(|_| Esme::bind(smppmux.address(), "esme1")).collect();
    (smppmux, servers, clients)
}

/// Waits for the unbind of smppmux, agrees, and waits for the end of the connection.
fn take_unbind(peer: &mut Peer) {
    let unbind = peer.expect(CommandId::UNBIND);
    let number = unbind.sequence_number();
    peer.send(&header_only(CommandId::UNBIND_RESP, Status::ESME_ROK, number));
    peer.expect_closed();
}

/// Goal: SIGTERM: no new sessions and requests, the answer that is due still comes, then every peer is unbound in order,
/// and the exit code is 0.
#[test]
fn a_drain_settles_unbinds_and_exits_0() {
    let (mut smppmux, mut servers, mut clients) = start("20s");
    let number = clients[0].submit("4477", "in flight");
    let (at, submit) = first_request(&mut servers);
    smppmux.signal(Signal::TERM);
    smppmux.wait_for_log(DRAINING);
    wait_until_nobody_listens(smppmux.address());
    refused_while_draining(&mut clients[0]);
    let answer = response_with_id(CommandId::SUBMIT_SM_RESP, submit.sequence_number(), "id");
    servers[at].send(&answer);
    let answer = clients[0].expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_ROK)
    );
    for client in &mut clients {
        take_unbind(client);
    }
    for server in &mut servers {
        take_unbind(server);
    }
    assert_eq!(smppmux.wait_for_exit(), 0);
}

/// Every engine hears of the drain on its own, and closes its listener; a connection that it accepted meanwhile ends. While
/// one listener closes a connect may be refused that another one would take, so it takes more than one refusal. A connect that
/// succeeds while the kernel closes the listener may be forgotten there without a word: who sends something hears of it, as a
/// client does with its bind.
fn wait_until_nobody_listens(address: SocketAddr) {
    const REFUSALS: u32 = 20;
    const START_OF_A_HEADER: [u8; 4] = 16_u32.to_be_bytes();
    let deadline = Instant::now() + PATIENCE;
    let mut refusals = 0;
    while refusals < REFUSALS {
        assert!(Instant::now() < deadline, "somebody still listens");
        match TcpStream::connect(address) {
            Ok(stream) => {
                refusals = 0;
                let mut peer = Peer::new(stream);
                peer.try_send(&START_OF_A_HEADER);
                assert_eq!(peer.receive_until_closed(), [], "no new session");
            }
            Err(_) => refusals += 1,
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Only when every engine has heard of the drain: until then a request goes its usual way.
fn refused_while_draining(client: &mut Esme) {
    let number = client.submit("4477", "too late");
    let answer = client.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_RSYSERR)
    );
}

fn first_request(servers: &mut [Peer]) -> (usize, smppmux_tests::pdu::Pdu) {
    let limit = Duration::from_millis(5);
    for at in (0..servers.len()).cycle().take(12_000) {
        if let Received::Pdu(pdu) = servers[at].receive_within(limit) {
            return (at, pdu);
        }
    }
    panic!("no server got the request");
}

/// Goal: an answer that never comes delays the end by `drain-timeout` and no longer.
#[test]
fn a_drain_ends_when_its_time_is_up() {
    let (mut smppmux, mut servers, mut clients) = start("500ms");
    let number = clients[0].submit("4477", "never answered");
    first_request(&mut servers);
    smppmux.signal(Signal::INT);
    let mut answers = clients[0].receive_until_unbound();
    let answer = answers.pop().expect("one answer each, always");
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_RSYSERR)
    );
    assert_eq!(answers, []);
    assert_eq!(smppmux.wait_for_exit(), 0);
}

/// Goal: a second SIGTERM ends at once, and the exit code says that something was under way.
#[test]
fn a_second_signal_ends_at_once() {
    let (mut smppmux, mut servers, mut clients) = start("60s");
    clients[0].submit("4477", "in flight");
    first_request(&mut servers);
    smppmux.signal(Signal::TERM);
    smppmux.wait_for_log(DRAINING);
    assert!(smppmux.is_running());
    smppmux.signal(Signal::TERM);
    assert_eq!(smppmux.wait_for_exit(), 75);
}

/// Goal: a port that is taken exits 69 and says which.
#[test]
fn a_taken_port_exits_69() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let configuration = Configuration::with_engines(2)
        .listening_at(address)
        .server("smsc", "0A", address, "")
        .client("esme1", "");
    let (code, told) = run_to_exit(crate::PROGRAM, &configuration);
    assert_eq!(code, 69, "{told}");
    assert!(told.contains(&address.to_string()), "{told}");
}

/// Goal: a wrong configuration exits 78 with the place of the mistake.
#[test]
fn a_wrong_configuration_exits_78() {
    let address = "127.0.0.1:1".parse().expect("an address");
    let right = Configuration::with_engines(1).server("smsc", "0A", address, "");
    for (wrong, word) in [
        (right.clone().client("esme1", "colour = \"red\""), "colour"),
        (right.clone().client("esme1", "").client("esme1", ""), "esme1"),
        (right.clone().vserver("hold-time = \"soon\""), "hold-time"),
        (right.server("other", "0A", address, ""), "0A"),
    ] {
        let (code, told) = run_to_exit(crate::PROGRAM, &wrong);
        assert_eq!(code, 78, "{told}");
        assert!(told.contains("smppmux.toml:") && told.contains(word), "{told}");
    }
}
