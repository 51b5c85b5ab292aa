//! Traces: what an operator sees of the PDUs of one server or account.

use super::Administered;
use smppmux_engine::core::wire::Status;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::skip::not_checked_unless_ci;
use smppmux_tests::smsc::AnsweringSmsc;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const MESSAGES: usize = 30;
/// A trace of so many seconds has begun long before its middle.
const SECONDS: u64 = 10;

fn start() -> (Administered, AnsweringSmsc, AnsweringSmsc) {
    let smscs = [AnsweringSmsc::start("one"), AnsweringSmsc::start("two")];
    let configuration = Configuration::with_engines(2)
        .vserver("method = \"round-robin\"")
        .server("smsc-a", "0A", smscs[0].address(), "")
        .server("smsc-b", "0B", smscs[1].address(), "")
        .client("seen", "address-ranges = [\".*\"]")
        .client("unseen", "");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    let [one, two] = smscs;
    (administered, one, two)
}

/// A trace into a file, once it has begun.
fn trace(administered: &mut Administered, subject: &[&str], format: &str, file: &Path) -> Child {
    let mut ctl = Command::new(crate::PROGRAM);
    ctl.arg("ctl").arg("--socket").arg(administered.socket());
    ctl.arg("trace").args(subject).args(["--format", format, "--for"]);
    ctl.arg(format!("{SECONDS}s")).arg("--output").arg(file);
    let ctl = ctl.spawn().expect("the program was built");
    administered.smppmux.wait_for_log("a trace begins");
    // The engines hear of it in their next turn.
    thread::sleep(Duration::from_millis(100));
    ctl
}

fn finish(mut ctl: Child) {
    assert!(ctl.wait().expect("it ends by itself").success());
}

fn send(esme: &mut Esme, text: &str) {
    for _ in 0..MESSAGES {
        assert_eq!(esme.submit_and_wait("4477", text).status(), Status::ESME_ROK);
    }
}

/// Goal: the text shows each PDU of the account, on sessions that were there and on new ones, in both directions, and nothing
/// of anybody else; afterwards nothing is copied any more.
#[test]
fn the_text_shows_the_account_alone() {
    let (mut administered, smsc, _other) = start();
    let address = administered.smppmux.address();
    let mut seen = Esme::bind(address, "seen");
    let mut unseen = Esme::bind(address, "unseen");
    let file = administered.folder.path().join("trace.txt");
    let ctl = trace(&mut administered, &["--client", "seen"], "text", &file);
    send(&mut seen, "shown");
    send(&mut unseen, "not shown");
    send(&mut Esme::bind(address, "seen"), "shown");
    let number = smsc.deliver(0, "4477", "to anybody");
    smsc.response_to(number);
    finish(ctl);
    administered.smppmux.wait_for_log("a trace ends");
    let text = fs::read_to_string(&file).expect("it was written");
    let count = |word: &str| text.matches(word).count();
    assert_eq!(count("\"shown\""), 2 * MESSAGES, "{text}");
    assert_eq!(count("not shown"), 0);
    assert_eq!(count("received\n"), 2 * MESSAGES);
    // Answers, and the bind_resp of the second session.
    assert!(count("sent\n") > 0 && count("ESME_ROK") > 2 * MESSAGES, "{text}");
    assert_eq!(count("missing here"), 0);
    assert_eq!(
        administered.ctl(&["trace", "--client", "nobody"]).status.code(),
        Some(65)
    );
}

/// Goal: what becomes of the output decides how `ctl trace` ends: a disk that is full is a failure of its own, a reader that has
/// seen enough is none, and a trace that is refused leaves the file as it was.
#[test]
fn outputs_that_end_early() {
    let (mut administered, _one, _other) = start();
    let mut seen = Esme::bind(administered.smppmux.address(), "seen");
    let mut full = trace(
        &mut administered,
        &["--client", "seen"],
        "text",
        Path::new("/dev/full"),
    );
    send(&mut seen, "shown");
    assert_eq!(full.wait().expect("it ends").code(), Some(73));
    administered.smppmux.wait_for_log("a trace ends");

    let mut piped = Command::new(crate::PROGRAM);
    piped.arg("ctl").arg("--socket").arg(administered.socket());
    piped.args(["trace", "--client", "seen", "--for", "600s"]);
    let mut piped = piped
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was built");
    administered.smppmux.wait_for_log("a trace begins");
    thread::sleep(Duration::from_millis(100));
    send(&mut seen, "shown");
    let mut line = String::new();
    let mut reader = BufReader::new(piped.stdout.take().expect("piped"));
    reader.read_line(&mut line).expect("it writes");
    assert!(line.starts_with("# "), "{line}");
    drop(reader);
    send(&mut seen, "shown");
    assert_eq!(piped.wait().expect("it ends").code(), Some(0));

    let file = administered.folder.path().join("kept.txt");
    fs::write(&file, "kept").expect("a file");
    let name = file.to_str().expect("text");
    let refused = administered.ctl(&["trace", "--client", "nobody", "--output", name]);
    assert_eq!(refused.status.code(), Some(65));
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "kept");
}

/// Goal: tshark opens the capture of a server, finds every request and answer in it and nothing that is malformed, also where a
/// PDU needs several packets; a password is not in it. Where tshark is not installed only the last is checked, and it is said.
#[test]
fn tshark_opens_the_capture() {
    let (mut administered, smsc, other) = start();
    let address = administered.smppmux.address();
    let mut esme = Esme::bind(address, "seen");
    let file = administered.folder.path().join("trace.pcapng");
    let ctl = trace(&mut administered, &["--server", "smsc-a"], "pcapng", &file);
    send(&mut esme, "text");
    let burst: Vec<u32> = (0..MESSAGES)
        .map(|_| esme.submit("4477", &"x".repeat(150)))
        .collect();
    for _ in burst {
        esme.receive();
    }
    for _ in 0..MESSAGES {
        let number = smsc.deliver(0, "4477", "from the server");
        esme.take_delivery();
        smsc.response_to(number);
    }
    let got = smsc.requests_so_far().len();
    assert!(got > 0 && !other.requests_so_far().is_empty());
    finish(ctl);
    let capture = fs::read(&file).expect("it was written");
    assert!(!capture.windows(6).any(|octets| octets == b"secret"));
    let Some(commands) = tshark(
        &file,
        &[
            "-Y",
            "smpp",
            "-T",
            "fields",
            "-E",
            "aggregator=,",
            "-e",
            "smpp.command_id",
        ],
    ) else {
        return not_checked_unless_ci("captures", "tshark is not installed");
    };
    let commands: Vec<&str> = commands.split([',', '\n']).collect();
    let count = |command: &str| commands.iter().filter(|it| **it == command).count();
    assert_eq!(
        (count("0x00000004"), count("0x80000004")),
        (got, got),
        "submit_sm"
    );
    assert_eq!(
        (count("0x00000005"), count("0x80000005")),
        (MESSAGES, MESSAGES),
        "deliver_sm"
    );
    for complaint in ["_ws.malformed", "tcp.analysis.lost_segment"] {
        assert_eq!(
            tshark(&file, &["-Y", complaint]).as_deref(),
            Some(""),
            "{complaint}"
        );
    }
}

/// What tshark says of a capture; `None` where it is not installed.
fn tshark(file: &Path, arguments: &[&str]) -> Option<String> {
    let mut tshark = Command::new("tshark");
    match tshark.arg("-n").arg("-r").arg(file).args(arguments).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        output => {
            let output = output.expect("it starts");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
    }
}
