//! Sends a number of messages one way, for counting instructions.
//!
//! ```text
//! target/release/examples/instructions                    says which ways there are
//! valgrind --tool=callgrind --toggle-collect='*measured_part*' target/release/examples/instructions submit 10000
//! ```
//!
//! The count, divided by the messages, is the price of one: neither the start nor what goes before and behind a way's measured
//! part is in it. `through-sockets` is all that one engine and its shell do for a submit_sm and its answer, without the
//! kernel, on epoll: valgrind has no io_uring. Its peers are a process of their own, which valgrind does not follow. What it
//! costs is the difference between two counts, divided by the difference in messages.

use smppmux_benches::{
    BATCH_MESSAGES, EngineOnSockets, LockstepEsme, NamedWay, WAYS, measured_part, start_smsc, way_with_name,
};
use smppmux_engine::shell::IoDriver;
use std::io::{BufRead as _, BufReader, Write as _, stdin};
use std::process::{Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_default();
    let mut number = |default| {
        arguments
            .next()
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let messages: u32 = number(1_000);
    let window: u32 = number(1);
    match way.as_str() {
        "through-sockets" => through_sockets(messages, window),
        "peers" => be_peers(messages, window),
        name => match way_with_name(name) {
            Some(named) => take(named, messages),
            None => {
                list_ways();
                return ExitCode::from(u8::from(!name.is_empty()) * EXIT_USAGE);
            }
        },
    }
    ExitCode::SUCCESS
}

const EXIT_USAGE: u8 = 64;

/// The ways that can be counted, and what they are.
fn list_ways() {
    for NamedWay { name, what, .. } in WAYS.iter().filter(|named| named.is_counted) {
        println!("{name:24} {what}");
    }
}

/// Whole steps of one way; so many messages or a few less.
fn take(named: &NamedWay, messages: u32) {
    let mut way = (named.start)();
    for _ in 0..messages / BATCH_MESSAGES {
        way.prepare();
        measured_part(&mut *way);
        way.finish();
    }
    // To take a million ranges apart again is nothing that anybody wants to wait for.
    std::mem::forget(way);
}

/// One engine between the peers of another process.
fn through_sockets(messages: u32, window: u32) {
    let program = std::env::current_exe().expect("this program");
    let mut peers = Command::new(program)
        .args(["peers", &messages.to_string(), &window.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the peers start");
    let mut smsc = String::new();
    let output = peers.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut smsc).expect("an address");
    let smsc = smsc.trim().parse().expect("an address");
    let engine = EngineOnSockets::start(IoDriver::Epoll, smsc, None).expect("an engine");
    let mut input = peers.stdin.take().expect("it is piped");
    writeln!(input, "{}", engine.address()).expect("the peers listen");
    assert!(
        peers.wait().expect("they end").success(),
        "every message is answered"
    );
}

/// The SMSC and the ESME of [`through_sockets`].
fn be_peers(messages: u32, window: u32) {
    println!("{}", start_smsc(|| ()));
    let mut engine = String::new();
    stdin().read_line(&mut engine).expect("an address");
    let mut esme =
        LockstepEsme::bind(engine.trim().parse().expect("an address"), window, 160).expect("a bind");
    esme.send(messages).expect("answers");
}
