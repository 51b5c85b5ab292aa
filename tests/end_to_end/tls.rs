//! TLS on both sides, with OpenSSL as the peer.

use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::time::Duration;

use rustix::process::Signal;
use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::configuration::{Configuration, PASSWORD};
use smppmux_tests::esme::Esme;
use smppmux_tests::openssl::{Authority, quoted};
use smppmux_tests::pdu::{Pdu, bind, response_with_id, submit_sm};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;

/// Messages under way at once.
const MANY: u32 = 90;

fn bind_as(peer: &mut Peer, system_id: &str, range: &str) -> Pdu {
    peer.send(&bind(
        CommandId::BIND_TRANSCEIVER,
        1,
        (system_id, PASSWORD),
        Version::V34,
        range,
    ));
    peer.expect(CommandId::BIND_TRANSCEIVER_RESP)
}

/// Sends many messages at once and gets every answer.
fn submit_many(peer: &mut Peer) {
    let text = "x".repeat(150);
    let messages: Vec<u8> = (2..MANY + 2)
        .flat_map(|number| submit_sm(number, "1000", "4477", &text))
        .collect();
    peer.send(&messages);
    let mut answered: Vec<u32> = (0..MANY)
        .map(|_| {
            let answer = peer.expect(CommandId::SUBMIT_SM_RESP);
            assert!(answer.status().is_ok(), "{answer:?}");
            answer.sequence_number()
        })
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, (2..MANY + 2).collect::<Vec<_>>());
}

fn certificates(authority: &Authority, files: &[&str]) -> String {
    let list = |ending: &str| {
        let files: Vec<String> = files
            .iter()
            .map(|file| quoted(&authority.path(&format!("{file}.{ending}"))))
            .collect();
        files.join(", ")
    };
    format!(
        "tls-listen = [\"127.0.0.1:0\"]\ntls-certificate = [{}]\ntls-key = [{}]\n",
        list("pem"),
        list("key")
    )
}

/// Starts smppmux; gives where its clients speak TLS too.
fn start(vserver: &str, smsc: SocketAddr, server: &str, client: &str) -> (Smppmux, SocketAddr) {
    let configuration = Configuration::with_engines(2)
        .vserver(vserver)
        .server("smsc", "0A", smsc, server)
        .client("alice", client);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let listening = smppmux.wait_for_log("listening");
    assert_eq!(listening["tls"], true, "{listening}");
    let address = listening["address"]
        .as_str()
        .and_then(|address| address.parse().ok())
        .expect("an address");
    smppmux.wait_for_log("smppmux ready");
    (smppmux, address)
}

/// Goal: clients of TLS 1.2 and 1.3 get the certificate of the host that they name, and carry messages both ways beside plain
/// ones of the same vserver.
#[test]
fn clients_are_served_by_the_name_that_they_ask_for() {
    let authority = Authority::new();
    authority.sign("one", "one.example.net");
    authority.sign("two", "*.two.example.net");
    let smsc = AnsweringSmsc::start("id");
    let (smppmux, address) = start(
        &certificates(&authority, &["one", "two"]),
        smsc.address(),
        "",
        "address-ranges = [\"8887\"]",
    );
    for version in ["-tls1_2", "-tls1_3"] {
        for name in ["one.example.net", "smpp.two.example.net"] {
            let arguments = [version, "-servername", name, "-verify_hostname", name];
            let (mut peer, _openssl) = authority.connect(address, &arguments);
            assert!(bind_as(&mut peer, "alice", "8887").status().is_ok());
            submit_many(&mut peer);
            smsc.deliver(0, "8887", "from the centre");
            let delivery = peer.expect(CommandId::DELIVER_SM);
            let number = delivery.sequence_number();
            peer.send(&response_with_id(CommandId::DELIVER_SM_RESP, number, ""));
        }
    }
    let mut plain = Esme::bind(smppmux.address(), "alice");
    assert!(plain.submit_and_wait("4477", "in clear").status().is_ok());
}

/// Goal: what is older than the minimum version, or no TLS at all, gets nothing.
#[test]
fn old_versions_and_plain_octets_are_refused() {
    let authority = Authority::new();
    authority.sign("one", "one.example.net");
    let smsc = AnsweringSmsc::start("id");
    let more = "tls-minimum-version = \"1.3\"\nbind-timeout = \"2s\"\n";
    let (_smppmux, address) = start(
        &(certificates(&authority, &["one"]) + more),
        smsc.address(),
        "",
        "",
    );
    let octets = bind(
        CommandId::BIND_TRANSMITTER,
        1,
        ("alice", PASSWORD),
        Version::V34,
        "",
    );
    let (mut old, _openssl) = authority.connect(address, &["-tls1_2"]);
    old.try_send(&octets);
    assert_eq!(old.receive_within(Duration::from_secs(5)), Received::Closed);
    let mut plain = std::net::TcpStream::connect(address).expect("it listens");
    std::io::Write::write_all(&mut plain, &octets).expect("it is read");
    let mut answer = Vec::new();
    // An alert may come, or a reset.
    let _ = std::io::Read::read_to_end(&mut plain, &mut answer);
    assert!(answer.len() < 16, "{answer:?}");
    let (mut new, _openssl) = authority.connect(address, &["-tls1_3"]);
    assert!(bind_as(&mut new, "alice", "").status().is_ok());
}

/// Goal: where clients must have certificates, one without is refused before SMPP, and an account is bound to the names that
/// it lists.
#[test]
fn accounts_are_bound_to_certificates() {
    let authority = Authority::new();
    for name in ["server", "alice", "mallory"] {
        authority.sign(name, &format!("{name}.example.net"));
    }
    let smsc = AnsweringSmsc::start("id");
    let vserver = format!(
        "{}tls-client-ca = {}\n",
        certificates(&authority, &["server"]),
        quoted(&authority.path("ca.pem"))
    );
    let (smppmux, address) = start(
        &vserver,
        smsc.address(),
        "",
        "certificate-names = [\"alice.example.net\"]",
    );
    for (name, expected) in [("alice", Status::ESME_ROK), ("mallory", Status::ESME_RBINDFAIL)] {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let (mut peer, _openssl) = authority.connect(address, &["-cert", &certificate, "-key", &key]);
        assert_eq!(bind_as(&mut peer, "alice", "").status(), expected, "{name}");
    }
    let (mut nobody, _openssl) = authority.connect(address, &[]);
    nobody.try_send(&bind(
        CommandId::BIND_TRANSMITTER,
        1,
        ("alice", PASSWORD),
        Version::V34,
        "",
    ));
    assert_eq!(nobody.receive_within(Duration::from_secs(5)), Received::Closed);
    let (_, plain) = Esme::try_bind(smppmux.address(), smppmux_tests::esme::BindRequest::of("alice"));
    assert_eq!(
        plain.status(),
        Status::ESME_RBINDFAIL,
        "the plain port is no way around it"
    );
}

/// Goal: messages reach a server over TLS when its certificate is signed by the CA and for the name that are asked for, and
/// with another name nothing is sent to it.
#[test]
fn servers_are_verified() {
    let authority = Authority::new();
    authority.sign("smsc", "smsc.example.net");
    authority.sign("mux", "mux.example.net");
    let path = |file: &str| quoted(&authority.path(file));
    for (name, is_right) in [("smsc.example.net", true), ("other.example.net", false)] {
        let smsc = AnsweringSmsc::start("id");
        let (address, _openssl) =
            authority.listen("smsc", smsc.address(), &["-Verify", "1", "-CAfile", "ca.pem"]);
        let tls = format!(
            "tls = {{ ca = {}, name = \"{name}\", certificate = {}, key = {} }}",
            path("ca.pem"),
            path("mux.pem"),
            path("mux.key")
        );
        let configuration = Configuration::with_engines(1)
            .server("smsc", "0A", address, &tls)
            .client("alice", "");
        let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
        if is_right {
            smppmux.wait_for_log("server bound");
            let mut esme = Esme::bind(smppmux.address(), "alice");
            for _ in 0..20 {
                assert!(esme.submit_and_wait("4477", &"y".repeat(140)).status().is_ok());
            }
        } else {
            smppmux.wait_for_log("server lost");
            assert!(!smppmux.lines_so_far().any(|line| line.contains("server bound")));
        }
    }
}

/// Goal: a server that closes in the middle of a handshake is tried again in its usual time, not when the answer to a bind
/// would be late.
#[test]
fn a_server_that_closes_before_tls_is_up_is_noticed() {
    let authority = Authority::new();
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let more = format!(
        "tls = {{ ca = {} }}\nresponse-timeout = \"10min\"",
        quoted(&authority.path("ca.pem"))
    );
    let address = server.local_addr().expect("it is bound");
    let configuration = Configuration::with_engines(1).server("smsc", "0A", address, &more);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    for _ in 0..2 {
        let (mut connection, _) = server.accept().expect("it is tried");
        let hello = connection
            .read(&mut [0; 4096])
            .expect("the beginning of a handshake");
        assert!(hello > 0);
        connection.shutdown(Shutdown::Write).expect("it is open");
        let told = smppmux.wait_for_log("TLS with a server failed");
        assert_eq!(told["reason"], "the server has closed the connection", "{told}");
        assert_eq!(connection.read(&mut [0; 4096]).expect("no reset"), 0, "closed");
    }
}

/// Goal: a reload that asks for another certificate of a server ends the session that was opened without that, and nothing is
/// sent to a server that does not have it.
#[test]
fn servers_are_verified_anew_when_their_tls_changes() {
    let authority = Authority::new();
    authority.sign("smsc", "smsc.example.net");
    let smsc = AnsweringSmsc::start("id");
    let (address, _openssl) = authority.listen("smsc", smsc.address(), &[]);
    let with_name = |name: &str| {
        let ca = quoted(&authority.path("ca.pem"));
        let tls = format!("tls = {{ ca = {ca}, name = \"{name}\" }}");
        Configuration::with_engines(1)
            .server("smsc", "0A", address, &tls)
            .client("alice", "")
    };
    let mut smppmux = Smppmux::start(crate::PROGRAM, &with_name("smsc.example.net"));
    smppmux.wait_for_log("server bound");
    let mut esme = Esme::bind(smppmux.address(), "alice");
    assert!(esme.submit_and_wait("4477", "hello").status().is_ok());
    smppmux.rewrite(&with_name("other.example.net"));
    smppmux.signal(Signal::HUP);
    smppmux.wait_for_log("configuration read again");
    let told = smppmux.wait_for_log("TLS with a server failed");
    assert!(told.to_string().contains("other.example.net"), "{told}");
    assert_eq!(
        esme.submit_and_wait("4477", "hello").status(),
        Status::ESME_RSYSERR
    );
}

/// Goal: who connects and says nothing, or stops in the middle of a handshake, is closed when a bind should have come, and
/// many of them do not hold up who is served; who does it again and again is banned.
#[test]
fn unfinished_handshakes_end() {
    let authority = Authority::new();
    authority.sign("one", "one.example.net");
    let smsc = AnsweringSmsc::start("id");
    let more = "bind-timeout = \"2s\"\nfailed-binds-max = 3\nban-time = \"1min\"\n";
    let vserver = certificates(&authority, &["one"]) + more;
    let (mut smppmux, address) = start(&vserver, smsc.address(), "", "");
    let (mut served, _openssl) = authority.connect(address, &[]);
    assert!(bind_as(&mut served, "alice", "").status().is_ok());
    let silent: Vec<_> = (0..100)
        .map(|number| {
            let source = IpAddr::V4(Ipv4Addr::new(127, 0, 50, number / 10 + 1));
            let mut peer = Peer::connect_from(source, address);
            if number % 2 == 0 {
                // The beginning of a record.
                peer.send(&[22, 3, 1, 2, 0, 1, 0]);
            }
            peer
        })
        .collect();
    submit_many(&mut served);
    for mut peer in silent {
        peer.expect_closed();
    }
    smppmux.wait_for_log("address banned");
    submit_many(&mut served);
}

/// Goal: after a reload new connections get the new certificate, and those that are there do not notice. A file that cannot be
/// used, or a certificate that has run out, changes nothing.
#[test]
fn certificates_are_reloaded() {
    let authority = Authority::new();
    authority.sign("one", "old.example.net");
    let smsc = AnsweringSmsc::start("id");
    let (mut smppmux, address) = start(&certificates(&authority, &["one"]), smsc.address(), "", "");
    let with_name = |name: &'static str| authority.connect(address, &["-verify_hostname", name]);
    let (mut before, _openssl) = with_name("old.example.net");
    assert!(bind_as(&mut before, "alice", "").status().is_ok());

    let good = fs::read(authority.path("one.pem")).expect("it is there");
    fs::write(authority.path("one.pem"), "no certificate").expect("a file");
    smppmux.signal(Signal::HUP);
    smppmux.wait_for_log("the configuration was not taken: nothing has changed");
    let (mut still, _openssl_still) = with_name("old.example.net");
    assert!(bind_as(&mut still, "alice", "").status().is_ok());
    fs::write(authority.path("one.pem"), good).expect("a file");

    authority.sign_expired("one", "old.example.net");
    smppmux.signal(Signal::HUP);
    let told = smppmux.wait_for_log("the configuration was not taken: nothing has changed");
    assert!(told.to_string().contains("expired"), "{told}");
    let (mut again, _openssl_again) = with_name("old.example.net");
    assert!(bind_as(&mut again, "alice", "").status().is_ok());

    authority.sign("one", "new.example.net");
    smppmux.signal(Signal::HUP);
    smppmux.wait_for_log("configuration read again");
    let (mut after, _openssl_after) = with_name("new.example.net");
    assert!(bind_as(&mut after, "alice", "").status().is_ok());
    submit_many(&mut before);
}
