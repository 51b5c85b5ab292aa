//! Accounts whose password is known by its hash only.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::bind;
use smppmux_tests::peer::Peer;
use smppmux_tests::process::{Smppmux, run_to_exit};
use smppmux_tests::smsc::AnsweringSmsc;

/// Runs `smppmux passwd` with a password on standard input.
fn hash_of(password: &str, more: &[&str]) -> String {
    let mut child = Command::new(crate::PROGRAM)
        .arg("passwd")
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let mut stdin = child.stdin.take().expect("piped");
    writeln!(stdin, "{password}").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn start(hash: &str) -> (Smppmux, AnsweringSmsc) {
    let smsc = AnsweringSmsc::start("id");
    let account = format!("[[client]]\nsystem-id = \"alice\"\npassword-hash = \"{hash}\"");
    // The verifying thread has the lowest priority, and the host of a test may be busy.
    let configuration = Configuration::with_engines(2)
        .vserver("bind-timeout = \"30s\"")
        .server("smsc", "0A", smsc.address(), "")
        .section(&account)
        .client("bob", "");
    (crate::start_ready(&configuration), smsc)
}

fn status_of(smppmux: &Smppmux, password: &str) -> Status {
    let request = BindRequest {
        password,
        ..BindRequest::of("alice")
    };
    Esme::try_bind(smppmux.address(), request).1.status()
}

/// Goal: what `passwd` makes lets the right password in and no other, again and again on every core, and neither the hash nor
/// a password is ever shown.
#[test]
fn a_hash_stands_for_its_password() {
    let hash = hash_of("open sesame", &[]);
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let (mut smppmux, _smsc) = start(&hash);
    for _ in 0..6 {
        assert_eq!(status_of(&smppmux, "open sesame"), Status::ESME_ROK);
        assert_eq!(status_of(&smppmux, "open barley"), Status::ESME_RINVPASWD);
    }
    let mut esme = Esme::bind_with(
        smppmux.address(),
        BindRequest {
            password: "open sesame",
            ..BindRequest::of("alice")
        },
    );
    assert!(esme.submit_and_wait("4477", "hello").status().is_ok());
    let log = smppmux.recent_log().concat();
    for secret in ["sesame", "barley", "argon2"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// Goal: a client that does not wait for its bind_resp gets the same answers; one that goes away while its password is looked
/// at leaves nothing behind.
#[test]
fn clients_need_not_wait_for_the_verdict() {
    let (smppmux, _smsc) = start(&hash_of("sesame", &[]));
    let octets = bind(
        CommandId::BIND_TRANSMITTER,
        1,
        ("alice", "sesame"),
        Version::V34,
        "",
    );
    for _ in 0..10 {
        let mut leaving = Peer::connect(smppmux.address());
        leaving.send(&octets);
    }
    let mut hasty = Peer::connect(smppmux.address());
    hasty.send(&octets);
    hasty.send(&smppmux_tests::pdu::submit_sm(2, "1000", "4477", "at once"));
    assert!(hasty.expect(CommandId::BIND_TRANSMITTER_RESP).status().is_ok());
    assert!(hasty.expect(CommandId::SUBMIT_SM_RESP).status().is_ok());
}

/// Goal: while many guess, each time something else, who is bound and who binds with a plain password does not wait for the
/// verifying thread; one address cannot take all of its time.
#[test]
fn guessing_does_not_hold_up_others() {
    let (smppmux, _smsc) = start(&hash_of("sesame", &[]));
    let mut esme = Esme::bind(smppmux.address(), "bob");
    let address = smppmux.address();
    let guessing = thread::spawn(move || {
        let mut peers = Vec::new();
        for number in 0..200_u32 {
            let source = IpAddr::V4(Ipv4Addr::new(
                127,
                0,
                40,
                u8::try_from(number % 20).unwrap_or(0) + 1,
            ));
            let mut peer = Peer::connect_from(source, address);
            let guess = format!("guess {number}");
            peer.try_send(&bind(
                CommandId::BIND_TRANSMITTER,
                1,
                ("alice", &guess),
                Version::V34,
                "",
            ));
            peers.push(peer);
        }
        let answers = peers
            .iter_mut()
            .map(|peer| peer.expect(CommandId::BIND_TRANSMITTER_RESP).status());
        answers
            .inspect(|status| {
                let may_come = [
                    Status::ESME_RINVPASWD,
                    Status::ESME_RTHROTTLED,
                    Status::ESME_RSYSERR,
                ];
                assert!(may_come.contains(status), "{status}");
            })
            .count()
    });
    let mut slowest = Duration::ZERO;
    while !guessing.is_finished() {
        let start = Instant::now();
        assert!(esme.submit_and_wait("4477", "hello").status().is_ok());
        slowest = slowest.max(start.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(guessing.join().expect("every bind is answered"), 200);
    println!("slowest answer while 200 guessed: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

/// Goal: what is no usable hash, or stands beside a password, is told with its place, and the hash is not shown.
#[test]
fn wrong_hashes_are_told() {
    let smsc = AnsweringSmsc::start("id");
    for (lines, words) in [
        ("password-hash = \"plain\"", "`password-hash` cannot be used"),
        (
            "password-hash = \"$argon2id$v=19$m=99999999,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA\"",
            "`password-hash` cannot be used",
        ),
        ("password = \"a\"\npassword-hash = \"b\"", "exclude each other"),
    ] {
        let configuration = Configuration::with_engines(1)
            .server("smsc", "0A", smsc.address(), "")
            .section(&format!("[[client]]\nsystem-id = \"alice\"\n{lines}"));
        let (code, told) = run_to_exit(crate::PROGRAM, &configuration);
        assert_eq!(code, 78, "{told}");
        assert!(told.contains(words) && !told.contains("c2FsdHNhbHQ"), "{told}");
    }
}
