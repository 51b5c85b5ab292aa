//! Who may connect: the PROXY protocol, limits of a vserver and of an address, bans.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::configuration::{Configuration, PASSWORD};
use smppmux_tests::pdu::bind;
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;

/// Longer than a refused connection is open.
const SOON: Duration = Duration::from_secs(5);

fn loopback(third: u8, last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, third, last))
}

fn start(engines: usize, vserver: &str, client: &str) -> (Smppmux, AnsweringSmsc) {
    let smsc = AnsweringSmsc::start("id");
    let configuration = Configuration::with_engines(engines)
        .vserver(vserver)
        .server("smsc", "0A", smsc.address(), "")
        .client("alice", client);
    (crate::start_ready(&configuration), smsc)
}

fn bind_octets(password: &str) -> Vec<u8> {
    bind(
        CommandId::BIND_TRANSMITTER,
        1,
        ("alice", password),
        Version::V34,
        "",
    )
}

/// Connects from an address and binds; gives the connection and what it got. `None`: it was closed.
fn try_bind(smppmux: &Smppmux, from: IpAddr, password: &str) -> (Peer, Option<Status>) {
    let mut peer = Peer::connect_from(from, smppmux.address());
    peer.try_send(&bind_octets(password));
    let status = match peer.receive_within(SOON) {
        Received::Pdu(pdu) => Some(pdu.status()),
        Received::Closed => None,
        Received::Nothing => panic!("neither an answer nor the end"),
    };
    (peer, status)
}

/// Goal: a header counts from a trusted network only: there it is required and names the client, for `allow` and in the log;
/// from elsewhere it ends the connection, and plain SMPP works.
#[test]
fn headers_are_believed_from_trusted_networks_only() {
    let (mut smppmux, _smsc) = start(
        2,
        "proxy-protocol = [\"127.0.9.0/24\"]",
        "allow = [\"192.0.2.0/24\", \"127.0.8.1\"]",
    );
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2775\r\n";
    for (from, header, expected) in [
        (loopback(9, 1), &header[..], Some(Status::ESME_ROK)),
        (
            loopback(9, 1),
            b"PROXY TCP4 198.51.100.1 192.0.2.2 1 2\r\n",
            Some(Status::ESME_RBINDFAIL),
        ),
        (loopback(9, 1), b"", None),
        (loopback(8, 1), header, None),
        (loopback(8, 1), b"", Some(Status::ESME_ROK)),
        (loopback(8, 2), b"", Some(Status::ESME_RBINDFAIL)),
    ] {
        let mut peer = Peer::connect_from(from, smppmux.address());
        peer.try_send(&[header, &bind_octets(PASSWORD)].concat());
        let status = match peer.receive_within(SOON) {
            Received::Pdu(pdu) => Some(pdu.status()),
            Received::Closed => None,
            Received::Nothing => panic!("neither an answer nor the end for {from}"),
        };
        assert_eq!(
            status,
            expected,
            "from {from} with {:?}",
            String::from_utf8_lossy(header)
        );
    }
    let refused = smppmux.wait_for_log("client refused");
    assert_eq!(refused["peer"], "198.51.100.1");
}

/// Goal: what a balancer does for itself is neither limited nor banned, and its clients are, each for itself, also one whose
/// address lies in the balancers' own networks.
#[test]
fn health_checks_are_not_held_against_the_balancer() {
    let (mut smppmux, _smsc) = start(
        2,
        "proxy-protocol = [\"127.0.9.0/24\"]\nmax-connections-per-address = 1\nfailed-binds-max = 1",
        "",
    );
    let itself = [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"];
    let clients = [
        ("198.51.100.1", &b"PROXY TCP4 198.51.100.1 192.0.2.2 1 2\r\n"[..]),
        ("127.0.9.7", b"PROXY TCP4 127.0.9.7 192.0.2.2 1 2\r\n"),
    ];
    let door = smppmux.address();
    let bind = |header: &[u8], password| {
        let mut peer = Peer::connect_from(loopback(9, 1), door);
        peer.try_send(&[header, &bind_octets(password)].concat());
        let status = match peer.receive_within(SOON) {
            Received::Pdu(pdu) => Some(pdu.status()),
            Received::Closed => None,
            Received::Nothing => panic!("neither an answer nor the end"),
        };
        (peer, status)
    };
    let kept: Vec<_> = itself
        .iter()
        .flat_map(|header| [(header, "wrong"), (header, PASSWORD), (header, PASSWORD)])
        .map(|(header, password)| bind(header, password))
        .collect();
    let (bad, good) = (Some(Status::ESME_RINVPASWD), Some(Status::ESME_ROK));
    let answers: Vec<_> = kept.iter().map(|(_, status)| *status).collect();
    assert_eq!(answers, [bad, good, good, bad, good, good]);
    for (address, header) in clients {
        assert_eq!(bind(header, "wrong").1, bad);
        assert_eq!(bind(header, PASSWORD).1, None, "a client is banned all the same");
        let banned = smppmux.wait_for_log("address banned");
        assert_eq!(banned["peer"], address, "and nobody else");
    }
}

/// Goal: a balancer that connects and says nothing is disconnected in the time that a bind may take, and not before.
#[test]
fn a_header_has_its_time() {
    let (smppmux, _smsc) = start(
        1,
        "proxy-protocol = [\"127.0.9.0/24\"]\nbind-timeout = \"700ms\"",
        "",
    );
    let mut peer = Peer::connect_from(loopback(9, 1), smppmux.address());
    peer.send(b"PROXY TCP4");
    assert_eq!(peer.receive_within(Duration::from_millis(300)), Received::Nothing);
    assert_eq!(peer.receive_within(SOON), Received::Closed);
}

/// Goal: the connections of an address, and of a vserver, are counted over all cores; a place that becomes free is given
/// again, however its connection ended.
#[test]
fn connections_are_limited_over_all_cores() {
    let (smppmux, _smsc) = start(2, "max-connections-per-address = 3\nmax-connections = 5", "");
    let here = loopback(5, 1);
    let mut bound = Vec::new();
    for _ in 0..3 {
        let (peer, status) = try_bind(&smppmux, here, PASSWORD);
        assert_eq!(status, Some(Status::ESME_ROK));
        bound.push(peer);
    }
    assert_eq!(
        try_bind(&smppmux, here, PASSWORD).1,
        None,
        "a fourth of an address"
    );
    for last in 2..=3 {
        let (peer, status) = try_bind(&smppmux, loopback(5, last), PASSWORD);
        assert_eq!(status, Some(Status::ESME_ROK));
        bound.push(peer);
    }
    assert_eq!(
        try_bind(&smppmux, loopback(5, 4), PASSWORD).1,
        None,
        "a sixth of the vserver"
    );
    bound.remove(0).reset();
    let again = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(20));
        try_bind(&smppmux, here, PASSWORD).1 == Some(Status::ESME_ROK)
    });
    assert!(again, "the place of a connection that was reset");
}

/// Goal: failed binds ban their address on all cores, and it alone; sessions that are bound go on; the ban ends.
#[test]
fn failed_binds_ban_their_address() {
    // Longer than what is tried meanwhile takes on a slow machine.
    const BAN: Duration = Duration::from_secs(6);
    let (mut smppmux, _smsc) = start(
        2,
        "failed-binds-max = 4\nfailed-bind-window = \"30s\"\nban-time = \"6s\"\nlimits-exempt = [\"127.0.7.0/24\"]",
        "",
    );
    let here = loopback(6, 1);
    let (mut bound, status) = try_bind(&smppmux, here, PASSWORD);
    assert_eq!(status, Some(Status::ESME_ROK));
    for _ in 0..4 {
        assert_eq!(try_bind(&smppmux, here, "guess").1, Some(Status::ESME_RINVPASWD));
    }
    let banned = smppmux.wait_for_log("address banned");
    let banned_at = Instant::now();
    assert_eq!(
        (&banned["peer"], &banned["ban_ms"]),
        (&"127.0.6.1".into(), &6000.into())
    );
    for _ in 0..4 {
        assert_eq!(try_bind(&smppmux, here, PASSWORD).1, None, "on either core");
    }
    assert_eq!(
        try_bind(&smppmux, loopback(6, 2), PASSWORD).1,
        Some(Status::ESME_ROK)
    );
    for _ in 0..8 {
        let (_, status) = try_bind(&smppmux, loopback(7, 1), "guess");
        assert_eq!(status, Some(Status::ESME_RINVPASWD), "exempt");
    }
    assert_eq!(bound.enquire(7), [], "a bound session goes on");
    thread::sleep((BAN + Duration::from_millis(100)).saturating_sub(banned_at.elapsed()));
    assert_eq!(try_bind(&smppmux, here, PASSWORD).1, Some(Status::ESME_ROK));
}

/// Goal: after a failed bind an address waits, longer each time; garbage and silence count like a wrong password.
#[test]
fn failed_binds_have_to_wait() {
    let (smppmux, _smsc) = start(
        2,
        "failed-bind-back-off = \"1500ms\"\nban-time = \"30s\"\nbind-timeout = \"300ms\"",
        "",
    );
    let garbage = loopback(4, 1);
    let mut peer = Peer::connect_from(garbage, smppmux.address());
    peer.send(b"GET / HTTP/1.1\r\nHost: smsc\r\n\r\n");
    assert_eq!(peer.receive_within(SOON), Received::Closed);
    assert_eq!(try_bind(&smppmux, garbage, PASSWORD).1, None);

    let silent = loopback(4, 2);
    let mut peer = Peer::connect_from(silent, smppmux.address());
    assert_eq!(peer.receive_within(SOON), Received::Closed);
    assert_eq!(try_bind(&smppmux, silent, PASSWORD).1, None);

    thread::sleep(Duration::from_millis(1_600));
    assert_eq!(
        try_bind(&smppmux, garbage, "guess").1,
        Some(Status::ESME_RINVPASWD)
    );
    thread::sleep(Duration::from_millis(1_600));
    assert_eq!(try_bind(&smppmux, garbage, PASSWORD).1, None, "3 s by now");
    thread::sleep(Duration::from_millis(1_600));
    assert_eq!(try_bind(&smppmux, garbage, PASSWORD).1, Some(Status::ESME_ROK));
}
