//! Who may do what, and what becomes of the socket's file.

use super::{Administered, TOKEN};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::http::{call, call_socket};
use smppmux_tests::process::run_to_exit;
use smppmux_tests::smsc::AnsweringSmsc;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

fn configuration(smsc: &AnsweringSmsc) -> Configuration {
    Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("esme1", "")
}

/// Goal: over TCP a change needs the token, and nothing but the token; smppmux goes on without a scratch.
#[test]
fn a_change_over_tcp_needs_the_token() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let mut administered = Administered::start(&configuration(&smsc));
    administered.smppmux.wait_for_log("smppmux ready");
    let address = administered.address;
    let drain = |headers: &[&str]| call(address, "POST", "/api/v1/drain", headers).status;
    assert_eq!(drain(&[]), 401);
    for wrong in [
        "",
        "x",
        "0123456789abcdef-the-toke",
        "0123456789abcdef-the-token2",
    ] {
        assert_eq!(
            drain(&[&format!("Authorization: Bearer {wrong}")]),
            401,
            "{wrong:?}"
        );
    }
    assert_eq!(drain(&[&format!("Authorization: Basic {TOKEN}")]), 401);
    assert_eq!(
        administered.get("/api/v1/status").json()["phase"],
        "serving",
        "nothing has changed"
    );
    assert_eq!(drain(&[&format!("authorization: bearer {TOKEN}")]), 200);
    assert_eq!(administered.smppmux.wait_for_exit(), 0);
}

/// Goal: the control socket is its owner's and group's, needs no token, and its file goes with the process; a file that a
/// killed process has left is replaced, and one that somebody listens at is not.
#[test]
fn the_socket_is_guarded_by_its_file() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let mut administered = Administered::start(&configuration(&smsc));
    let socket = administered.socket();
    let mode = fs::metadata(&socket).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let second = configuration(&smsc).section(&format!("[admin]\nsocket = {socket:?}"));
    let (code, error) = run_to_exit(crate::PROGRAM, &second);
    assert_eq!(code, 69);
    assert!(error.contains("already in use"), "{error}");

    assert_eq!(call_socket(&socket, "POST", "/api/v1/drain").status, 200);
    assert_eq!(administered.smppmux.wait_for_exit(), 0);
    assert!(!socket.exists());

    let left = administered.folder.path().join("socket");
    drop(UnixListener::bind(&left).expect("the folder is there"));
    assert!(left.exists(), "a listener that is dropped leaves its file");
    let third = configuration(&smsc).section(&format!("[admin]\nsocket = {left:?}"));
    let mut third = smppmux_tests::process::Smppmux::start(crate::PROGRAM, &third);
    third.wait_for_log("control socket listening");
    assert_eq!(call_socket(&left, "GET", "/healthz").status, 200);
}

/// Goal: a token file that holds none, or none at all, ends the start with its own exit code.
#[test]
fn a_wrong_token_file_ends_the_start() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("token");
    let with_token = configuration(&smsc).section(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken-file = {file:?}"
    ));
    assert_eq!(run_to_exit(crate::PROGRAM, &with_token).0, 66);
    fs::write(&file, "short\n").expect("a file");
    let (code, error) = run_to_exit(crate::PROGRAM, &with_token);
    assert_eq!(code, 78);
    assert!(!error.contains("short\n"), "it is not shown: {error}");
}

/// Goal: what is no request of ours is refused with words, and what is no HTTP ends that connection only.
#[test]
fn odd_requests_are_refused() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let administered = Administered::start(&configuration(&smsc));
    let unknown = administered.get("/api/v1/nothing");
    assert_eq!(
        (unknown.status, unknown.json()["error"].as_str()),
        (404, Some("there is nothing here"))
    );
    assert_eq!(
        administered.get("/api/v1/drain").status,
        405,
        "a drain is no reading"
    );
    let mut garbage = TcpStream::connect(administered.address).expect("it listens");
    garbage.write_all(&[0xFF; 4096]).expect("it is taken");
    let mut rest = Vec::new();
    // Reset or closed, with or without a word: the connection ends.
    drop(garbage.read_to_end(&mut rest));
    assert_eq!(administered.get("/healthz").status, 200);
}

/// Goal: a parameter that is mistyped, missing or no value of its kind is refused as every failure is, and changes nothing:
/// above all a purge does not take everything for want of a destination.
#[test]
fn parameters_are_taken_at_their_word() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let administered = Administered::start(&configuration(&smsc).queue("store = \"memory\""));
    let socket = administered.socket();
    for (method, path) in [
        ("POST", "queue/purge"),
        ("POST", "queue/purge?destinaton=4477"),
        ("POST", "queue/purge?destination=4477&all=true"),
        ("POST", "queue/redrive?nubmer=7"),
        ("POST", "queue/purge-dead-letters?number=seven"),
        ("POST", "clients/esme1/trace?second=1"),
        ("POST", "servers/%FF/drain"),
        ("POST", "servers/smsc-a/weight"),
        ("POST", "drain?server=smsc-a"),
        ("POST", "reload?dry-run=true"),
        ("POST", "servers/smsc-a/drain?for=1h"),
        ("POST", "servers/smsc-a/undrain?all=true"),
        ("POST", "servers/smsc-a/weight?weight=3"),
        ("POST", "clients/esme1/drain?force"),
        ("POST", "clients/esme1/undrain?all=true"),
        ("GET", "status?core=0"),
        ("GET", "servers?name=smsc-a"),
        ("GET", "pools?limit=1"),
        ("GET", "cores?core=0"),
        ("GET", "queue?destination=4477"),
        ("GET", "clients?prefx=e"),
        ("GET", "queue/dead-letters?number=-1"),
    ] {
        let answer = call_socket(&socket, method, &format!("/api/v1/{path}"));
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.json()["error"].is_string(), "{path}");
    }
    assert_ne!(administered.get("/api/v1/status").json()["phase"], "draining");
    for path in ["/healthz?node=1", "/metrics?collect=queue"] {
        assert_eq!(administered.get(path).status, 200, "{path} is asked by strangers");
    }
    for path in [
        "queue/purge?destination=4477",
        "queue/purge?all=true",
        "queue/redrive",
    ] {
        let answer = call_socket(&socket, "POST", &format!("/api/v1/{path}"));
        assert_eq!(answer.status, 200, "{path}");
    }
    assert!(
        administered
            .ctl_text(&["queue", "purge", "--all"])
            .contains("0 forgotten")
    );
}

/// Goal: `ctl` says by its exit code why it has failed.
#[test]
fn ctl_fails_with_its_reason() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let mut administered = Administered::start(&configuration(&smsc));
    let url = format!("http://{}", administered.address);
    let code = |arguments: &[&str]| {
        let output = std::process::Command::new(crate::PROGRAM)
            .arg("ctl")
            .args(arguments)
            .output();
        output.expect("the program was built").status.code()
    };
    assert_eq!(code(&["--url", &url, "status"]), Some(0));
    assert_eq!(code(&["--url", &url, "drain"]), Some(77), "without the token");
    assert_eq!(code(&["--url", "https://x", "status"]), Some(64));
    assert_eq!(code(&["--socket", "nowhere", "status"]), Some(69));
    assert_eq!(code(&["--config", "nowhere", "status"]), Some(66));
    assert_eq!(
        code(&["--url", &url, "--token-file", "nowhere", "drain"]),
        Some(66)
    );
    let token = administered.folder.path().join("token");
    let token = token.to_str().expect("text");
    assert_eq!(code(&["--url", &url, "--token-file", token, "drain"]), Some(0));
    assert_eq!(administered.smppmux.wait_for_exit(), 0);
}
