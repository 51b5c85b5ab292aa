//! The built binary: exit codes and messages for wrong input.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn smppmux(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smppmux"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary was built")
}

fn written(folder: &Path, text: &str) -> String {
    let path = folder.join("smppmux.toml");
    let mut file = std::fs::File::create(&path).expect("a temporary file");
    file.write_all(text.as_bytes()).expect("a temporary file");
    path.display().to_string()
}

const GOOD: &str = r#"
[engine]
cores = "0"

[[vserver]]
name = "sms"
listen = ["127.0.0.1:2775"]

[[server]]
name = "smsc-a"
uid = "0A"
address = "127.0.0.1:2776"
system-id = "mux"
password = "secret"
connections = 3

[[server]]
name = "smsc-b"
uid = "0B"
address = "127.0.0.1:2777"
system-id = "mux"
password = "secret"
connections-total = 1
bind = "both"

[[client]]
system-id = "esme1"
password = "secret"
"#;

/// Goal: wrong arguments exit 64 with a word on standard error, requests for help exit 0 on standard output.
#[test]
fn usage_errors_exit_64() {
    for arguments in [&[][..], &["serv"], &["check"], &["check", "x", "y"]] {
        let output = smppmux(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["check", "-h"]] {
        let output = smppmux(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            output.stderr.is_empty() && !output.stdout.is_empty(),
            "{arguments:?}"
        );
    }
}

/// Goal: a missing file exits 66 in both commands, and is named.
#[test]
fn a_missing_file_exits_66() {
    for command in ["check", "serve"] {
        let output = smppmux(&[command, "--config", "/no/such/file.toml"]);
        assert_eq!(output.status.code(), Some(66), "{command}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("/no/such/file.toml"),
            "{command}"
        );
    }
}

/// Goal: every error of a file is told as `file:line:column: message`, in both commands, with exit code 78.
#[test]
fn a_wrong_file_exits_78() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (from, to, place) in [
        (
            "name = \"sms\"",
            "name = \"sms\"\nmetod = \"hash\"",
            "7:1: unknown key `metod`",
        ),
        (
            "uid = \"0B\"",
            "uid = \"0A\"",
            "19:7: the uid \"0A\" is used twice",
        ),
        (
            "connections-total = 1",
            "connections-total = 1\nconnections = 1",
            "24:15: `connections`",
        ),
        ("cores = \"0\"", "cores = 0", "3:9: `cores`"),
        ("[engine]", "[engine", "2:8: unclosed table"),
        ("[[client]]", "[[clients]]", "26:3: unknown section `clients`"),
    ] {
        let path = written(folder.path(), &GOOD.replace(from, to));
        for command in ["check", "serve"] {
            let output = smppmux(&[command, "--config", &path]);
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(78), "{stderr}");
            assert!(stderr.contains(&format!("{path}:{place}")), "{place} in {stderr}");
            assert!(!stderr.contains("secret"), "{stderr}");
        }
    }
}

/// Goal: `check` says of a good file how many binds each server will see, and exits 0.
#[test]
fn a_good_file_lists_the_binds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = smppmux(&["check", "--config", &written(folder.path(), GOOD)]);
    assert_eq!(output.status.code(), Some(0));
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let binds: Vec<&str> = lines.lines().filter_map(|line| line.split(" (").next()).collect();
    assert_eq!(binds, ["smsc-a: 3 binds", "smsc-b: 2 binds"]);
}

/// Goal: a configuration with ten thousand accounts is checked in no time. Method: a bound that a debug build
/// on a busy machine keeps.
#[test]
fn ten_thousand_clients_are_checked_quickly() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clients: String = (0..10_000)
        .map(|number| {
            format!("[[client]]\nsystem-id = \"c{number}\"\npassword = \"x\"\naddress-ranges = [\"{number}\", \"4{number}\"]\n")
        })
        .collect();
    let path = written(folder.path(), &format!("{GOOD}{clients}"));
    let start = std::time::Instant::now();
    let output = smppmux(&["check", "--config", &path]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        start.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

/// Goal: a PDU is shown on standard output; a malformed one exits 65 and says where on standard error.
#[test]
fn pdus_are_decoded() {
    let output = smppmux(&["pdu", "decode", "00000010 00000015", "0x0000000000000001"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("enquire_link, 16 octets"));
    let output = smppmux(&["pdu", "decode", "00000010 00000002 00000000 00000001"]);
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("octet 16: the PDU ends inside system_id"));
    assert_eq!(
        smppmux(&["pdu", "explain", "nothing-of-smpp"]).status.code(),
        Some(65)
    );
}
