//! The example configurations of packaging/examples, each between the bundled simulators.

use rustix::process::Signal;
use serde_json::Value;
use smppmux_engine::core::wire::{CommandId, Version};
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::openssl::Authority;
use smppmux_tests::pdu::{bind, submit_sm};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::simulator::{Simulator, address_to_come_back_to};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What smppmux logs in with at the servers of the examples, as an SMSC's `--account`.
const LOGIN: [&str; 2] = ["--account", "acme:CHANGEME"];

/// How long receipts and what waited are waited for; the simulators send receipts after a second.
const LINGER: &str = "4s";

/// An example in a test's folder: its text, with ports and folders of the test in place of its own.
struct Example {
    text: String,
    folder: TempDir,
}

impl Example {
    fn read(name: &str) -> Self {
        let path = format!("{}/../packaging/examples/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let folder = TempDir::new().expect("a temporary folder");
        let mut example = Self { text, folder };
        let own = example.folder.path().display().to_string();
        for theirs in ["/etc/smppmux", "/var/lib/smppmux", "/run/smppmux"] {
            example.text = example.text.replace(theirs, &own);
        }
        example.replace("127.0.0.1:9775", &"127.0.0.1:0")
    }

    /// Puts something in the place of what must be there.
    fn replace(mut self, theirs: &str, ours: &impl ToString) -> Self {
        let (theirs, ours) = (format!("\"{theirs}\""), format!("\"{}\"", ours.to_string()));
        assert!(self.text.contains(&theirs), "{theirs} in\n{}", self.text);
        self.text = self.text.replace(&theirs, &ours);
        self
    }

    fn start(&self) -> Smppmux {
        Smppmux::start_ready(crate::PROGRAM, &Configuration::of_text(&self.text))
    }
}

/// A simulated SMSC where smppmux logs in with [`LOGIN`], and more arguments.
fn smsc(more: &[&str]) -> Simulator {
    let arguments = [&LOGIN[..], more].concat();
    Simulator::start_with(crate::PROGRAM, address_to_come_back_to(), &arguments)
}

/// Runs the bundled ESME, which judges itself; gives its report.
fn esme(target: SocketAddr, (system_id, password): (&str, &str), arguments: &str) -> Value {
    let output = Command::new(crate::PROGRAM)
        .args(["esme", "--json", "--quiet", "--target", &target.to_string()])
        .args(["--system-id", system_id, "--password", password])
        .args(arguments.split_whitespace())
        .output()
        .expect("the program was built");
    let report = serde_json::from_slice::<Value>(&output.stdout);
    let report = report.unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    assert!(output.status.success(), "{system_id}: {report:#}");
    report
}

fn accepted(report: &Value) -> u64 {
    report["answers"]["accepted"].as_u64().expect("a number")
}

fn received(report: &Value, what: &str) -> u64 {
    report["received"][what].as_u64().expect("a number")
}

/// Goal: the aggregator's applications share both SMSCs within the limits that the file names, receipts return to who has sent
/// the messages, and what phones have sent reaches the owner of the number, also when it came before he did.
#[test]
fn the_aggregator_shares_two_smscs() {
    let north = smsc(&["--mo", "888765=200:20", "--window-max", "50"]);
    let south = smsc(&["--mo", "24457=200:20", "--window-max", "100"]);
    let mut smppmux = Example::read("aggregator")
        .replace("0.0.0.0:2775", &"127.0.0.1:0")
        .replace("192.0.2.10:2775", &north.address())
        .replace("192.0.2.20:2775", &south.address())
        .start();
    let login = ("shop", "CHANGEME");
    let arguments = format!("--count 200 --rate 400 --registered-delivery 1 --linger {LINGER}");
    let shop = esme(smppmux.address(), login, &arguments);
    assert_eq!(
        (accepted(&shop), received(&shop, "receipts")),
        (200, 200),
        "{shop:#}"
    );
    assert_eq!(received(&shop, "received"), 20, "{shop:#}");
    let bank = esme(smppmux.address(), ("bank", "CHANGEME"), "--count 40 --rate 40");
    assert_eq!(
        (accepted(&bank), received(&bank, "received")),
        (40, 20),
        "{bank:#}"
    );
    smppmux.signal(Signal::TERM);
    assert_eq!(smppmux.wait_for_exit(), 0);
    let (north, south) = (north.finish(), south.finish());
    assert!(north > 0 && south > 0, "{north} and {south}");
    assert_eq!(north + south, 240);
}

/// Goal: the standby gets nothing while the primary is there, and all of it when the primary is gone, without an error.
#[test]
fn the_standby_takes_over() {
    let (primary, standby) = (smsc(&[]), smsc(&[]));
    let smppmux = Example::read("active-standby")
        .replace("0.0.0.0:2775", &"127.0.0.1:0")
        .replace("192.0.2.10:2775", &address_to_come_back_to())
        .replace("192.0.2.11:2775", &primary.address())
        .replace("198.51.100.10:2775", &standby.address())
        .start();
    let login = ("app", "CHANGEME");
    assert_eq!(accepted(&esme(smppmux.address(), login, "--count 100")), 100);
    assert_eq!(primary.finish(), 100, "it was the primary's work");
    assert_eq!(accepted(&esme(smppmux.address(), login, "--count 50")), 50);
    assert_eq!(standby.finish(), 50);
}

/// Goal: a customer with the right certificate sends over TLS, to the SMSC inside and to the partner's over TLS.
#[test]
fn the_edge_speaks_tls_on_both_sides() {
    let authority = Authority::new();
    for (file, name) in [
        ("server", "smpp.edge.example"),
        ("customer1", "smpp.customer1.example"),
        ("partner", "smpp.partner.example"),
    ] {
        authority.sign(file, name);
    }
    let inside = Simulator::start_with(
        crate::PROGRAM,
        address_to_come_back_to(),
        &["--account", "edge:CHANGEME"],
    );
    let behind_tls = smsc(&[]);
    wait_until_it_listens(behind_tls.address());
    let (partner, _openssl) = authority.listen("partner", behind_tls.address(), &[]);
    let mut example = Example::read("tls-edge")
        .replace("0.0.0.0:3550", &"127.0.0.1:0")
        .replace("10.0.0.10:2775", &inside.address())
        .replace("smpp.partner.example:3550", &partner);
    // `openssl s_server` talks to one at a time.
    example.text = example
        .text
        .replace("connections-total = 2", "connections-total = 1");
    let tls = example.folder.path().join("tls");
    fs::create_dir(&tls).expect("a folder");
    for (theirs, ours) in [
        ("server.pem", "server.pem"),
        ("server.key", "server.key"),
        ("ca.pem", "customers-ca.pem"),
        ("ca.pem", "partner-ca.pem"),
    ] {
        fs::copy(authority.path(theirs), tls.join(ours)).expect("a certificate");
    }
    let mut smppmux = example.start();
    let certificate = ["-cert", "customer1.pem", "-key", "customer1.key"];
    let name = ["-verify_hostname", "smpp.edge.example"];
    let (mut peer, _client) = authority.connect(
        smppmux.address(),
        &[certificate, [name[0], name[1], "-servername", name[1]]].concat(),
    );
    submit(&mut peer, "customer1", 40);
    drop(peer);
    smppmux.signal(Signal::TERM);
    assert_eq!(smppmux.wait_for_exit(), 0);
    let (inside, partner) = (inside.finish(), behind_tls.finish());
    assert!(inside > 0 && partner > 0, "{inside} and {partner}");
    assert_eq!(inside + partner, 40);
}

fn wait_until_it_listens(address: SocketAddr) {
    let end = Instant::now() + PATIENCE;
    while Peer::try_connect(address).is_err() {
        assert!(Instant::now() < end, "nobody listens at {address}");
        sleep(Duration::from_millis(10));
    }
}

/// Binds and sends so many messages at once; each is accepted.
fn submit(peer: &mut Peer, system_id: &str, count: u32) {
    let login = (system_id, "CHANGEME");
    peer.send(&bind(CommandId::BIND_TRANSCEIVER, 1, login, Version::V34, ""));
    assert!(peer.expect(CommandId::BIND_TRANSCEIVER_RESP).status().is_ok());
    let messages = (2..count + 2).flat_map(|number| submit_sm(number, "1000", "4477", "over TLS"));
    peer.send(&messages.collect::<Vec<_>>());
    for _ in 0..count {
        let answer = peer.expect(CommandId::SUBMIT_SM_RESP);
        assert!(answer.status().is_ok(), "{answer:?}");
    }
}

/// Goal: each account may what its section says: hashes are verified, ranges are shared out by the longest prefix and by
/// pattern, rules choose the SMSC.
#[test]
fn many_accounts_have_their_own_rights() {
    // Not before both who claim a number are bound: the longer range counts while its client is there.
    let mo = [
        "--mo-after",
        "5s",
        "--mo",
        "8887=200:10",
        "--mo",
        "888765=200:10",
        "--mo",
        "11144=200:10",
    ];
    let (national, international) = (smsc(&mo), smsc(&[]));
    let mut smppmux = Example::read("many-accounts")
        .replace("0.0.0.0:2775", &"127.0.0.1:0")
        .replace("192.0.2.10:2775", &national.address())
        .replace("192.0.2.20:2775", &international.address())
        .start();
    let address = smppmux.address();
    let run = |system_id, arguments: &str| esme(address, (system_id, "CHANGEME"), arguments);
    let mobiles = "--destination 4477009{n:06}";
    let sending = format!("{mobiles} --count 40 --rate 400 --linger 9s");
    let (bulk, voting) = thread::scope(|scope| {
        let voting = scope.spawn(|| run("voting", &sending));
        (run("bulk", &sending), voting.join().expect("it has run"))
    });
    for report in [bulk, voting] {
        let figures = (accepted(&report), received(&report, "received"));
        assert_eq!(figures, (40, 10), "{report:#}");
    }
    // Not all at once: what another core has lent of the account's rate in advance is 25 messages.
    let abroad = run("bulk", "--destination 3360000{n:04} --count 30 --rate 400");
    assert_eq!(accepted(&abroad), 30, "{abroad:#}");
    let refused = run("bulk", "--destination 4490900{n:04} --count 5 --allow-errors");
    assert_eq!(refused["statuses"]["ESME_RINVDSTADR"], 5, "{refused:#}");
    assert_eq!(
        accepted(&run(
            "otp",
            "--bind transmitter --destination 0770090{n:04} --count 20 --rate 40"
        )),
        20
    );
    let monitor = run("monitor", "--bind receiver --address-range 11144 --duration 2s");
    assert_eq!(received(&monitor, "received"), 10, "{monitor:#}");
    smppmux.signal(Signal::TERM);
    assert_eq!(smppmux.wait_for_exit(), 0);
    assert_eq!((national.finish(), international.finish()), (100, 30));
}

/// Goal: the lab's own commands work, as fast as the windows allow.
#[test]
fn the_lab_measures() {
    let start =
        |arguments: &[&str]| Simulator::start_with(crate::PROGRAM, address_to_come_back_to(), arguments);
    let fast = start(&["--mo", "888765=1000"]);
    let slow = start(&["--mo", "888765=1000", "--delay", "exp:20ms"]);
    let smppmux = Example::read("load-lab")
        .replace("127.0.0.1:2775", &"127.0.0.1:0")
        .replace("127.0.0.1:2776", &fast.address())
        .replace("127.0.0.1:2777", &slow.address())
        .start();
    let arguments = "--address-range 888765 --connections 4 --window 100 --duration 2s --registered-delivery 1 --linger 2s";
    let report = esme(smppmux.address(), ("load", "secret"), arguments);
    assert!(received(&report, "received") > 0, "{report:#}");
    assert!(Path::new(&smppmux.folder().join("lab.sock")).exists());
    drop(smppmux);
    let (fast, slow) = (fast.finish(), slow.finish());
    assert_eq!(fast + slow, accepted(&report));
    assert!(fast > slow && slow > 0, "{fast} and {slow}");
}
