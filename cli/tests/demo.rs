//! `smppmux demo` as a newcomer runs it: the built binary, real engines, real sockets.

use serde_json::Value;
use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smppmux"))
        .arg("demo")
        .args(arguments)
        .output()
        .expect("the binary was built")
}

fn number(value: &Value, key: &str) -> u64 {
    let number = value.get(key).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("{key} in {value}"))
}

fn sum(rows: &Value, key: &str) -> u64 {
    let rows = rows.as_array().expect("a table");
    rows.iter().map(|row| number(row, key)).sum()
}

/// Goal: two seconds of the real thing pass, and all tables tell the same numbers.
#[test]
fn the_demo_passes_and_its_tables_agree() {
    let output = demo(&["--duration", "2s", "--json"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    assert_eq!(stderr, "", "with --json there is nothing else to read");
    let figures: Value = serde_json::from_str(&stdout).expect("JSON alone");
    assert_eq!(figures["passed"], true);
    let (cores, servers, ranges) = (&figures["cores"], &figures["servers"], &figures["ranges"]);

    let mt = &figures["mobile_terminated"];
    let messages = number(mt, "sent");
    assert!(messages > 0, "{stdout}");
    for same in ["answered", "accepted", "received"] {
        assert_eq!(number(mt, same), messages, "MT {same}: {stdout}");
    }
    assert_eq!(number(&mt["latency"], "count"), messages);
    assert_eq!(sum(cores, "mobile_terminated"), messages);
    assert_eq!(sum(ranges, "mobile_terminated"), messages);
    for same in ["requests", "answers", "received"] {
        assert_eq!(sum(servers, same), messages, "MT {same}: {stdout}");
    }

    let mo = &figures["mobile_originated"];
    let messages = number(mo, "sent");
    for same in ["answered", "accepted", "received"] {
        assert_eq!(number(mo, same), messages, "MO {same}: {stdout}");
    }
    for table in [cores, servers, ranges] {
        assert_eq!(sum(table, "mobile_originated"), messages);
    }
    let crossings = number(&figures["crossings"], "messages");
    assert!(0 < crossings && crossings < messages, "{stdout}");
    assert_eq!(sum(cores, "crossings_out"), crossings);
    assert_eq!(sum(cores, "crossings_in"), crossings);
    assert_eq!(sum(cores, "client_sessions"), number(&figures, "connections"));
    assert_eq!(
        sum(servers, "sessions"),
        2 * cores.as_array().expect("a table").len() as u64
    );
}

/// Goal: what people read is plain text in a pipe, ends with the verdict, and a paced demo keeps its pace.
#[test]
fn the_tables_are_plain_in_a_pipe() {
    let output = demo(&[
        "-d",
        "1500ms",
        "--rate",
        "300",
        "--connections",
        "6",
        "--window",
        "5",
    ]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(stdout.ends_with("verdict PASSED\n"), "{stdout}");
    for word in ["MT submit_sm", "MO deliver_sm", "smsc-b", "888765", "C2C: "] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    assert!(stderr.contains("MT/s") && stderr.contains("  1 s"), "{stderr}");
    assert!(
        !stdout.contains('\x1b') && !stderr.contains('\x1b'),
        "{stdout}\n{stderr}"
    );
}

/// Goal: arguments that cannot work are refused with the exit code for usage.
#[test]
fn wrong_arguments_are_refused() {
    for arguments in [
        &["--duration", "0s"][..],
        &["--connections", "5"],
        &["--rate", "0"],
        &["--cores", "1-0"],
        &["--connections", "10000", "--window", "10000"],
    ] {
        let output = demo(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {output:?}");
    }
}
