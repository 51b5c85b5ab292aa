//! The files of the message log: finished and removed, full disks, what cannot be written at all.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use smppmux_engine::core::wire::Status;
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::http;
use smppmux_tests::process::{Smppmux, run_to_exit};
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};

use super::message_log::{LOOK, Log, check};

/// Goal: files are finished by size and only the newest are kept; and at the end of the process nothing is missing. Method: a
/// first run finishes nothing and shows that each message is there; a second one goes on in its file.
#[test]
fn files_are_finished_and_removed() {
    let (log, smsc) = (Log::new(), AnsweringSmsc::start("one"));
    let lines = "max-file-bytes = \"64KiB\"\nmax-files = 2";
    let configuration = Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("alice", "")
        .section(&log.section(lines));
    for (messages, files) in [(50, 1), (800, 3)] {
        let mut smppmux = Smppmux::start_ready(crate::PROGRAM, &configuration);
        let mut client = Esme::bind(smppmux.address(), "alice");
        for _ in 0..messages {
            client.submit_and_wait("491701234567", "text");
        }
        smppmux.signal(Signal::TERM);
        assert_eq!(smppmux.wait_for_exit(), 0);
        let names = log.files();
        assert_eq!(names.len(), files, "{names:?}");
        for name in &names {
            let octets = fs::metadata(log.0.path().join(name)).expect("it is there").len();
            assert!(octets <= 64 * 1024, "{name}: {octets}");
        }
        let lines = log.lines();
        assert!(lines.iter().all(|line| line["kind"] != "lost"));
        let mut open: HashMap<&str, u32> = HashMap::new();
        for line in &lines {
            *open.entry(line["id"].as_str().unwrap_or_default()).or_default() += 1;
        }
        let torn = open.values().filter(|lines| **lines != 2).count();
        assert!(
            torn <= 1,
            "only the oldest line that is kept may have lost its other half"
        );
        assert!(lines.len() >= 100, "{}", lines.len());
        if files == 1 {
            assert_eq!((lines.len(), torn), (100, 0));
        }
    }
}

/// Goal: a full disk stops no message; what is missing is counted, told in the metrics, once in the process's log and, when there
/// is room again, in the message log. Method: the file is a link to /dev/full until it is taken away.
#[test]
fn a_full_disk_is_survived() {
    let (log, smsc) = (Log::new(), AnsweringSmsc::start("one"));
    let file = log.0.path().join("messages.jsonl");
    std::os::unix::fs::symlink("/dev/full", &file).expect("a link");
    let configuration = Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("alice", "")
        .section("[admin]\nlisten = \"127.0.0.1:0\"")
        .section(&log.section(""));
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let admin = smppmux.admin_address();
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind(smppmux.address(), "alice");
    for _ in 0..20 {
        assert_eq!(client.submit_and_wait("4477", "text").status(), Status::ESME_ROK);
    }
    let told = "the message log cannot be written; messages go on, and what is not written is lost";
    let line = smppmux.wait_for_log(told);
    assert!(
        line["error"]
            .as_str()
            .is_some_and(|error| error.contains("space")),
        "{line}"
    );
    let lost = || {
        let metrics = http::call(admin, "GET", "/metrics", &[]);
        let figure = "smppmux_message_log_lost_total{where=\"disk\"} ";
        let line = metrics.body.lines().find_map(|line| line.strip_prefix(figure));
        line.and_then(|number| number.parse::<u64>().ok())
            .unwrap_or_default()
    };
    let deadline = Instant::now() + PATIENCE;
    while lost() < 40 {
        assert!(Instant::now() < deadline, "{} lost", lost());
        thread::sleep(LOOK);
    }
    fs::remove_file(&file).expect("it was there");
    // A moment passes before the next try.
    while log.files().is_empty() || log.lines().is_empty() {
        assert!(Instant::now() < deadline, "nothing is written");
        client.submit_and_wait("4477", "text");
        thread::sleep(LOOK);
    }
    smppmux.wait_for_log("the message log is written again");
    let lines = log.lines();
    check(&lines[0], &[("kind", "lost".into()), ("where", "disk".into())]);
    assert!(lines[0]["records"].as_u64() >= Some(40));
}

/// Goal: a log that cannot be written at all is told at the start, and so are keys that make no sense.
#[test]
fn a_log_that_cannot_be_is_refused() {
    let start = |lines: &str| {
        let smsc = Smsc::start();
        let configuration = Configuration::with_engines(1)
            .server("smsc-a", "0A", smsc.address(), "")
            .section(&format!("[message-log]\n{lines}"));
        run_to_exit(crate::PROGRAM, &configuration)
    };
    let (code, error) = start("path = \"/dev/null/here\"");
    assert_eq!(code, 69, "{error}");
    assert!(
        error.contains("message log /dev/null/here/messages.jsonl"),
        "{error}"
    );
    for (lines, says) in [
        ("content = \"text\"", "`content` needs `path`"),
        ("path = \"x\"\naddresses = \"hashed\"", "needs `address-key`"),
        (
            "path = \"x\"\naddresses = \"hashed\"\naddress-key = \"short\"",
            "too short",
        ),
        (
            "path = \"x\"\nmask-keep-first = 3",
            "needs `addresses = \"masked\"`",
        ),
        ("path = \"x\"\nname = \"../x\"", "`name` must be"),
    ] {
        let (code, error) = start(lines);
        assert_eq!(code, 78, "{lines}: {error}");
        assert!(
            error.contains(says) && !error.contains("\"short\""),
            "{lines}: {error}"
        );
    }
    assert!(!Path::new("x").exists());
}
