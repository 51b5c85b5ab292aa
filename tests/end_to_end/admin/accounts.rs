//! `distribution = "account"`: a session lives on the engine of its account, however it came in.

use super::Administered;
use rustix::process::Signal;
use serde_json::Value;
use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::configuration::{Configuration, PASSWORD};
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::openssl::{Authority, quoted};
use smppmux_tests::pdu::{bind, response_with_id, submit_sm};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::smsc::AnsweringSmsc;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than figures may be old.
const FRESH: Duration = Duration::from_millis(120);
/// Longer than a refused connection is open.
const SOON: Duration = Duration::from_secs(5);
const ENGINES: usize = 3;
const ACCOUNTS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

fn start(smsc: &AnsweringSmsc, vserver: &str, client: &str) -> Administered {
    let configuration = Configuration::with_engines(ENGINES)
        .distribution("account")
        .vserver(vserver)
        .server("smsc-a", "0A", smsc.address(), "");
    let configuration = ACCOUNTS.iter().fold(configuration, |configuration, account| {
        configuration.client(account, client)
    });
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    administered
}

fn loopback(third: u8, last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, third, last))
}

fn bind_octets(account: &str, password: &str) -> Vec<u8> {
    let credentials = (account, password);
    bind(CommandId::BIND_TRANSCEIVER, 1, credentials, Version::V34, "")
}

/// A figure of each engine.
fn figures(administered: &Administered, name: &str) -> Vec<u64> {
    thread::sleep(FRESH);
    let cores = administered.get("/api/v1/cores").json();
    let rows = cores["cores"].as_array().expect("a list").iter();
    rows.map(|row| row[name].as_u64().expect("a number")).collect()
}

fn moved_in(administered: &Administered) -> u64 {
    figures(administered, "connections_moved_in").iter().sum()
}

/// Binds with a message behind it, the octets cut in two where `cut` says; both are answered.
fn bind_and_submit(mut peer: Peer, account: &str, cut: usize) -> Peer {
    let octets = [
        bind_octets(account, PASSWORD),
        submit_sm(2, "1000", "4477", "text"),
    ]
    .concat();
    let (first, rest) = octets.split_at(cut.min(octets.len()));
    peer.send(first);
    if !rest.is_empty() {
        thread::sleep(Duration::from_millis(3));
        peer.send(rest);
    }
    let bound = peer.expect(CommandId::BIND_TRANSCEIVER_RESP);
    assert_eq!((bound.status(), bound.sequence_number()), (Status::ESME_ROK, 1));
    let answer = peer.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!((answer.status(), answer.sequence_number()), (Status::ESME_ROK, 2));
    peer
}

/// Goal: all sessions of an account are on one engine, whatever engine accepted them and however the first octets were cut; what
/// stands behind the bind is read there; messages for the account reach it; moves are counted and shown.
#[test]
fn sessions_meet_on_the_engine_of_their_account() {
    const SESSIONS: usize = 8;
    let smsc = AnsweringSmsc::start("one");
    let administered = start(&smsc, "", "address-ranges = [\".*\"]");
    let address = administered.smppmux.address();
    let mut before = vec![0; ENGINES];
    let mut all = Vec::new();
    for account in ACCOUNTS {
        for number in 0..SESSIONS {
            // All at once, or cut in the header, in the system_id, or between the two.
            let cut = [usize::MAX, 9, 20, bind_octets(account, PASSWORD).len()][number % 4];
            all.push(bind_and_submit(Peer::connect(address), account, cut));
        }
        let sessions = figures(&administered, "client_sessions");
        let grown: Vec<u64> = sessions.iter().zip(&before).map(|(now, was)| now - was).collect();
        assert_eq!(
            grown.iter().filter(|grown| **grown > 0).count(),
            1,
            "{account}: {grown:?}"
        );
        assert_eq!(grown.iter().sum::<u64>(), SESSIONS as u64);
        before = sessions;
    }
    let moved = moved_in(&administered);
    assert!(moved > 0, "none of {} was moved", all.len());
    let metrics = administered.get("/metrics").body;
    let metric = |name: &str| -> u64 {
        let samples = metrics
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")));
        let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum::<f64>() as u64
    };
    assert_eq!(metric("smppmux_core_moved_connections_total"), moved);
    assert_eq!(metric("smppmux_core_connections_moved_in_total"), moved);
    assert_eq!(metric("smppmux_core_refused_moves_total"), 0);
    let shown = administered.ctl_text(&["cores"]);
    assert!(shown.contains("moved in"), "{shown}");
    let warned = administered
        .smppmux
        .lines_so_far()
        .any(|line| line.contains("no effect"));
    assert!(!warned);
    for number in 0..ENGINES {
        smsc.deliver(number, "8887", "to whoever is next");
    }
    let mut delivered = 0;
    let until = Instant::now() + SOON;
    while delivered < ENGINES && Instant::now() < until {
        for peer in &mut all {
            if let Received::Pdu(pdu) = peer.receive_within(Duration::from_millis(5)) {
                assert_eq!(pdu.command(), CommandId::DELIVER_SM);
                let number = pdu.sequence_number();
                peer.send(&response_with_id(CommandId::DELIVER_SM_RESP, number, ""));
                delivered += 1;
            }
        }
    }
    assert_eq!(delivered, ENGINES);
}

/// Goal: a session with TLS moves with its TLS state and its certificate, which its account is bound to, and goes on in both
/// directions.
#[test]
fn sessions_with_tls_move_too() {
    const SESSIONS: usize = 12;
    let authority = Authority::new();
    for name in ["server", "alice"] {
        authority.sign(name, &format!("{name}.example.net"));
    }
    let path = |file: &str| quoted(&authority.path(file));
    let vserver = format!(
        "tls-listen = [\"127.0.0.1:0\"]\ntls-certificate = [{}]\ntls-key = [{}]\ntls-client-ca = {}",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    let smsc = AnsweringSmsc::start("one");
    let configuration = Configuration::with_engines(ENGINES)
        .distribution("account")
        .vserver(&vserver)
        .server("smsc-a", "0A", smsc.address(), "")
        .client(
            "alice",
            "certificate-names = [\"alice.example.net\"]\naddress-ranges = [\".*\"]",
        );
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    let mut told = administered
        .smppmux
        .lines_so_far()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let address: SocketAddr = told
        .find(|line| line["message"] == "listening" && line["tls"] == true)
        .and_then(|line| line["address"].as_str()?.parse().ok())
        .expect("it listens there");
    let versions = ["-tls1_2", "-tls1_3"];
    let mut clients: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let arguments = [versions[number % 2], "-cert", "alice.pem", "-key", "alice.key"];
            let (peer, openssl) = authority.connect(address, &arguments);
            (bind_and_submit(peer, "alice", usize::MAX), openssl)
        })
        .collect();
    let mut sessions = figures(&administered, "client_sessions");
    sessions.sort_unstable();
    assert_eq!(sessions, [0, 0, SESSIONS as u64]);
    assert!(moved_in(&administered) > 0);
    for (number, (peer, _)) in (3..).zip(&mut clients) {
        for _ in 0..20 {
            peer.send(&submit_sm(number, "1000", "4477", &"x".repeat(150)));
            assert_eq!(peer.expect(CommandId::SUBMIT_SM_RESP).status(), Status::ESME_ROK);
        }
    }
}

/// Goal: behind a balancer the header goes with the connection: the client's own address counts for `allow` on whatever engine.
#[test]
fn clients_of_a_balancer_move_too() {
    let smsc = AnsweringSmsc::start("one");
    let administered = start(
        &smsc,
        "proxy-protocol = [\"127.0.9.0/24\"]",
        "allow = [\"192.0.2.0/24\"]",
    );
    let address = administered.smppmux.address();
    let mut kept = Vec::new();
    for account in ACCOUNTS {
        for (header, expected) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 1000 2775\r\n", Status::ESME_ROK),
            (
                "PROXY TCP4 198.51.100.1 192.0.2.2 1000 2775\r\n",
                Status::ESME_RBINDFAIL,
            ),
            ("PROXY TCP4 192.0.2.9 192.0.2.2 1000 2775\r\n", Status::ESME_ROK),
        ] {
            let mut peer = Peer::connect_from(loopback(9, 1), address);
            let message = submit_sm(2, "1000", "4477", "text");
            peer.send(&[header.as_bytes(), &bind_octets(account, PASSWORD), &message].concat());
            let bound = peer.expect(CommandId::BIND_TRANSCEIVER_RESP);
            assert_eq!(bound.status(), expected, "{account} with {header}");
            let answered = peer.expect(CommandId::SUBMIT_SM_RESP).status();
            assert_eq!(answered == Status::ESME_ROK, expected == Status::ESME_ROK);
            kept.push(peer);
        }
    }
    assert!(moved_in(&administered) > 0);
}

/// Goal: a wrong password counts against its address wherever its account lives, silence and garbage as ever, and half a bind does not
/// gain time.
#[test]
fn failed_binds_count_on_every_engine() {
    let smsc = AnsweringSmsc::start("one");
    let limits = "failed-binds-max = 4\nban-time = \"1min\"\nbind-timeout = \"1s\"";
    let mut administered = start(&smsc, limits, "");
    let address = administered.smppmux.address();
    let guess = |from: IpAddr, account: &str, password: &str| {
        let mut peer = Peer::connect_from(from, address);
        peer.try_send(&bind_octets(account, password));
        match peer.receive_within(SOON) {
            Received::Pdu(pdu) => Some(pdu.status()),
            Received::Closed => None,
            Received::Nothing => panic!("neither an answer nor the end"),
        }
    };
    let guesser = loopback(6, 1);
    for account in &ACCOUNTS[..4] {
        assert_eq!(guess(guesser, account, "guess"), Some(Status::ESME_RINVPASWD));
    }
    let banned = administered.smppmux.wait_for_log("address banned");
    assert_eq!(banned["peer"], "127.0.6.1");
    for account in ACCOUNTS {
        assert_eq!(guess(guesser, account, PASSWORD), None, "from no engine");
        assert_eq!(guess(loopback(6, 2), account, PASSWORD), Some(Status::ESME_ROK));
    }

    let began = Instant::now();
    let mut silent: Vec<Peer> = (0..4_usize)
        .map(|number| {
            let mut peer = Peer::connect_from(loopback(6, 3), address);
            match number {
                0 => {}
                1 => peer.send(b"GET / HTTP/1.1\r\n\r\n"),
                // Half a bind now, a little more soon.
                _ => peer.send(&bind_octets("alice", PASSWORD)[..30]),
            }
            peer
        })
        .collect();
    thread::sleep(Duration::from_millis(600));
    silent[3].send(&bind_octets("alice", PASSWORD)[30..32]);
    for peer in &mut silent {
        assert_eq!(peer.receive_within(SOON), Received::Closed);
    }
    assert!(
        began.elapsed() < Duration::from_millis(1_900),
        "{:?}",
        began.elapsed()
    );
    let banned = administered.smppmux.wait_for_log("address banned");
    assert_eq!(banned["peer"], "127.0.6.3");
}

/// Goal: after any number of moves the limits of an address and of an account are exact, and so is what ends the sessions.
#[test]
fn limits_are_exact_after_many_moves() {
    let smsc = AnsweringSmsc::start("one");
    let administered = start(&smsc, "max-connections-per-address = 3", "max-binds = 2");
    let address = administered.smppmux.address();
    let here = loopback(5, 1);
    let connect = |account: &str| {
        let mut peer = Peer::connect_from(here, address);
        peer.try_send(&bind_octets(account, PASSWORD));
        match peer.receive_within(SOON) {
            Received::Pdu(pdu) => (peer, Some(pdu.status())),
            Received::Closed => (peer, None),
            Received::Nothing => panic!("neither an answer nor the end"),
        }
    };
    // A place is free a moment after the peer has closed.
    let connect_soon = |account: &str| {
        let until = Instant::now() + SOON;
        loop {
            let (peer, status) = connect(account);
            if status == Some(Status::ESME_ROK) || Instant::now() > until {
                assert_eq!(status, Some(Status::ESME_ROK), "{account}");
                return peer;
            }
            thread::sleep(Duration::from_millis(5));
        }
    };
    for round in 0..30 {
        let account = ACCOUNTS[round % ACCOUNTS.len()];
        let other = ACCOUNTS[(round + 1) % ACCOUNTS.len()];
        let _held = [connect_soon(account), connect_soon(account)];
        let (third, status) = connect(account);
        assert_eq!(status, Some(Status::ESME_RBINDFAIL), "a third of {account}");
        drop(third);
        let _other = connect_soon(other);
        assert_eq!(connect(other).1, None, "a fourth of the address");
    }
    assert!(moved_in(&administered) > 0);
}

/// Goal: a drain ends who waits for its bind at once, and unbinds the others, on whatever engine they live.
#[test]
fn a_drain_ends_all() {
    let smsc = AnsweringSmsc::start("one");
    let mut administered = start(&smsc, "bind-timeout = \"1min\"", "");
    let address = administered.smppmux.address();
    let bound: Vec<Esme> = ACCOUNTS
        .iter()
        .map(|account| Esme::bind_with(address, BindRequest::of(account)))
        .collect();
    let mut silent: Vec<Peer> = (0..ENGINES * 3).map(|_| Peer::connect(address)).collect();
    silent[0].send(&bind_octets("alice", PASSWORD)[..30]);
    // One that is connected and not accepted yet would be reset.
    thread::sleep(FRESH * 3);
    administered.smppmux.signal(Signal::TERM);
    for mut peer in silent {
        assert_eq!(peer.receive_within(SOON), Received::Closed);
    }
    for esme in bound {
        esme.into_peer().receive_until_unbound();
    }
    assert_eq!(administered.smppmux.wait_for_exit(), 0);
}

/// Goal: pins come first: an account whose connection is pinned stays on the rule's engine.
#[test]
fn pins_come_first() {
    let smsc = AnsweringSmsc::start("one");
    let administered = start(&smsc, "", "");
    let address = administered.smppmux.address();
    let _bound: Vec<Esme> = ACCOUNTS
        .iter()
        .map(|account| Esme::bind_with(address, BindRequest::of(account).at_engine(1)))
        .collect();
    assert_eq!(
        figures(&administered, "client_sessions"),
        [0, ACCOUNTS.len() as u64, 0]
    );
}

/// Goal: an identity (`auth = "forward"`) whose clients come in by all engines has one session at the server.
#[test]
fn an_identity_has_one_session_at_its_server() {
    let smsc = AnsweringSmsc::start("one");
    let configuration = Configuration::with_engines(ENGINES)
        .distribution("account")
        .vserver("auth = \"forward\"")
        .server("smsc-a", "0A", smsc.address(), "");
    let administered = Administered::start(&configuration);
    let address = administered.smppmux.address();
    let mut clients: Vec<Esme> = (0..12).map(|_| Esme::bind(address, "alice")).collect();
    for client in &mut clients {
        assert_eq!(client.submit_and_wait("4477", "text").status(), Status::ESME_ROK);
    }
    let mut sessions = figures(&administered, "server_sessions");
    sessions.sort_unstable();
    assert_eq!(sessions, [0, 0, 1]);
    assert!(moved_in(&administered) > 0);
}
