//! The bundled simulators over TLS, on both sides of smppmux: they check every message, so what they say is the test.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use smppmux_tests::configuration::{Configuration, PASSWORD};
use smppmux_tests::openssl::{Authority, quoted};
use smppmux_tests::process::Smppmux;
use smppmux_tests::simulator::{Simulator, address_to_come_back_to};

use crate::PROGRAM;

const MESSAGES: u64 = 5_000;
/// Arguments that do not fit together, or name a file of no use.
const EXIT_USAGE: i32 = 64;
/// Nobody could be bound.
const EXIT_UNAVAILABLE: i32 = 69;

struct Stage {
    authority: Authority,
    smsc: Simulator,
    _smppmux: Smppmux,
    address: SocketAddr,
}

/// An SMSC and smppmux that speak TLS, each with clients that have a certificate only.
fn start() -> Stage {
    let authority = Authority::new();
    for (file, name) in [
        ("smsc", "smsc.example.net"),
        ("mux", "mux.example.net"),
        ("esme", "esme.example.net"),
    ] {
        authority.sign(file, name);
    }
    let file = |name: &str| authority.path(name).to_str().expect("a path").to_owned();
    let smsc = Simulator::start_with(
        PROGRAM,
        address_to_come_back_to(),
        &[
            "--tls",
            "--tls-certificate",
            &file("smsc.pem"),
            "--tls-key",
            &file("smsc.key"),
            "--tls-client-ca",
            &file("ca.pem"),
            "--mo",
            "8887=max:1000",
        ],
    );
    let path = |name: &str| quoted(&authority.path(name));
    let vserver = format!(
        "tls-listen = [\"127.0.0.1:0\"]\ntls-certificate = [{}]\ntls-key = [{}]\ntls-client-ca = {}",
        path("mux.pem"),
        path("mux.key"),
        path("ca.pem")
    );
    let server = format!(
        "tls = {{ ca = {}, name = \"smsc.example.net\", certificate = {}, key = {} }}",
        path("ca.pem"),
        path("mux.pem"),
        path("mux.key")
    );
    let configuration = Configuration::with_engines(2)
        .vserver(&vserver)
        .server("smsc", "0A", smsc.address(), &server)
        .client("esme1", "address-ranges = [\"8887\"]");
    let mut smppmux = Smppmux::start(PROGRAM, &configuration);
    let address = smppmux.next_address();
    smppmux.wait_for_log("smppmux ready");
    Stage {
        authority,
        smsc,
        _smppmux: smppmux,
        address,
    }
}

/// Runs `smppmux esme` to its end.
fn run_esme(stage: &Stage, more: &[&str]) -> Output {
    let target = stage.address.to_string();
    Command::new(PROGRAM)
        .args([
            "esme",
            "--json",
            "--quiet",
            "--target",
            &target,
            "--password",
            PASSWORD,
        ])
        .args(["--connections", "4", "--window", "50", "--address-range", "8887"])
        .args([
            "--accounts",
            "1",
            "--attempts",
            "1",
            "--count",
            &MESSAGES.to_string(),
        ])
        .args(more)
        .current_dir(stage.authority.path(""))
        .stdin(Stdio::null())
        .output()
        .expect("the program was built")
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Goal: with TLS on both sides and certificates of everybody, each MT and MO arrives once and is answered once, as both simulators
/// see it.
#[test]
fn every_message_passes_over_tls() {
    let stage = start();
    let certificate = ["--tls-certificate", "esme.pem", "--tls-key", "esme.key"];
    let trust = [
        "--tls",
        "--tls-ca",
        "ca.pem",
        "--tls-name",
        "mux.example.net",
        "--linger",
        "3s",
    ];
    let output = run_esme(&stage, &[&trust[..], &certificate[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = report(&output);
    assert_eq!(report["answers"]["accepted"], MESSAGES, "{report}");
    assert_eq!(report["received"]["received"], 1_000, "{report}");
    assert_eq!(stage.smsc.finish(), MESSAGES);
}

/// Goal: who is not whom the ESME asked for gets nothing of it, and neither does smppmux serve an ESME without a certificate, or one
/// that speaks plain SMPP.
#[test]
fn without_the_right_certificate_nothing_is_bound() {
    let stage = start();
    let own = ["--tls-certificate", "esme.pem", "--tls-key", "esme.key"];
    let wrong_name = [
        &["--tls", "--tls-ca", "ca.pem", "--tls-name", "other.example.net"][..],
        &own[..],
    ]
    .concat();
    let no_certificate = ["--tls", "--tls-ca", "ca.pem", "--tls-name", "mux.example.net"];
    for arguments in [&wrong_name[..], &no_certificate[..], &[]] {
        let output = run_esme(&stage, arguments);
        assert_eq!(
            output.status.code(),
            Some(EXIT_UNAVAILABLE),
            "{arguments:?}: {output:?}"
        );
    }
    assert_eq!(stage.smsc.finish(), 0);
}

/// Goal: a file that cannot be used is named before anything is connected.
#[test]
fn a_file_of_no_use_is_named() {
    let stage = start();
    for (arguments, named) in [
        (&["--tls", "--tls-ca", "missing.pem"][..], "missing.pem"),
        (&["--tls", "--tls-ca", "ca.key"], "ca.key"),
        (&["--tls"], "--tls-ca"),
        (&["--tls-ca", "ca.pem"], "  --tls\n"),
    ] {
        let output = run_esme(&stage, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(EXIT_USAGE),
            "{arguments:?}: {output:?}"
        );
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
    let output = Command::new(PROGRAM)
        .args(["smsc", "--listen", "127.0.0.1:0", "--tls"])
        .args(["--tls-certificate", "missing.pem", "--tls-key", "missing.key"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(EXIT_USAGE), "{output:?}");
    assert!(said.contains("missing.pem"), "{said}");
}
