//! The I/O drivers as an operator chooses them: each serves, and one that cannot run here says why.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Runs `serve` in a shell that `prepare`s first, stops it as soon as its log says `until`, and gives its output.
fn serve(prepare: &str, driver: &str, until: &str) -> Output {
    let listen = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    let script = format!(
        "{prepare}; \"$0\" serve --cores 0 --listen {listen} --server 127.0.0.1:1 --client esme1:secret \
         --io {driver} 2>\"$1\" & server=$!; \
         while kill -0 $server 2>/dev/null && ! grep -q '{until}' \"$1\"; do sleep 0.05; done; \
         kill -TERM $server 2>/dev/null; wait $server; code=$?; cat \"$1\"; exit $code"
    );
    let began = Instant::now();
    let output = Command::new("timeout")
        .args(["20", "sh", "-c", &script, env!("CARGO_BIN_EXE_smppmux")])
        .arg(&log)
        .output()
        .expect("there is a shell");
    assert!(began.elapsed() < Duration::from_secs(19), "{output:?}");
    output
}

/// Goal: every driver that can be named starts, says which one it is, and ends with 0.
#[test]
fn every_driver_serves() {
    for driver in ["auto", "glommio", "ring", "epoll"] {
        let output = serve("true", driver, "smppmux ready");
        let log = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{driver}: {log}");
        let taken = if driver == "auto" { "epoll" } else { driver };
        assert!(
            log.contains(&format!("engine runs on {taken}")),
            "{driver}: {log}"
        );
    }
}

/// Goal: where glommio cannot run, naming it ends with 69 and the reason. Method: it wants locked memory, which is taken away.
#[test]
fn a_driver_that_cannot_run_exits_69() {
    let output = serve("ulimit -l 64", "glommio", "nothing");
    let log = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(69), "{log}");
    assert!(log.contains("locked memory"), "{log}");
}
