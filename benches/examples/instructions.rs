//! Sends a number of messages through the pure core, for counting instructions:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*RoundTrip*submit*' target/release/examples/instructions submit 10000
//! ```
//!
//! The difference between two counts, divided by the difference in messages, is the price of one message. `through-sockets` is all
//! that one engine and its shell do for a submit_sm and its answer, without the kernel, on epoll: valgrind has no io_uring. Its
//! peers are a process of their own, which valgrind does not follow.

use smppmux_benches::{EngineOnSockets, LockstepEsme, RoundTrip, TwoCores, start_smsc};
use smppmux_engine::shell::IoDriver;
use std::io::{BufRead as _, BufReader, Write as _, stdin};
use std::process::{Command, Stdio};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "submit".into());
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
        _ => through_the_core(&way, messages),
    }
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

/// The pure core alone.
fn through_the_core(way: &str, messages: u32) {
    let mut round_trip = RoundTrip::new();
    round_trip.submit_for_receipt(0);
    let mut logged = RoundTrip::logged();
    let mut two_cores = TwoCores::new();
    let mut sum = 0_u64;
    for _ in 0..messages {
        sum += u64::from(match way {
            "submit" => round_trip.submit(),
            "submit-for-receipt" => {
                let number = round_trip.submit_for_receipt(sum);
                round_trip.engine().poll_receipt_log();
                number
            }
            "deliver" => round_trip.deliver(),
            "submit-logged" => {
                let number = logged.submit();
                assert_eq!(logged.take_records(), 2, "the submit and its answer");
                number
            }
            "deliver-logged" => {
                let number = logged.deliver();
                assert_eq!(logged.take_records(), 2, "the message and its answer");
                number
            }
            "receipt" => round_trip.receipt(),
            "deliver-across-cores" => two_cores.deliver(),
            _ => panic!(
                "submit, submit-for-receipt, submit-logged, deliver, deliver-logged, receipt, deliver-across-cores or through-sockets"
            ),
        });
    }
    println!("{messages} messages, sum of numbers {sum}");
}
