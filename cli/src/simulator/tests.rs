//! Both simulators against each other on loopback: the load runs, and the books of both sides agree.

use std::time::{Duration, Instant};

use clap::{Args, Command, FromArgMatches};

use super::esme::{EsmeArguments, EsmeHandle, EsmeReport, EsmeSimulator};
use super::ledger::Comparison;
use super::smsc::{SmscArguments, SmscHandle, SmscReport, SmscSimulator};

/// Arguments as they are typed.
pub(super) fn parsed<A: Args + FromArgMatches>(flags: &str) -> A {
    let command = A::augment_args(Command::new("test").no_binary_name(true));
    let matches = command.get_matches_from(flags.split_whitespace());
    A::from_arg_matches(&matches).expect("documented flags")
}

fn smsc(flags: &str) -> SmscHandle {
    SmscSimulator::start(parsed::<SmscArguments>(&format!("--listen 127.0.0.1:0 {flags}")))
        .expect("it starts")
}

fn esme(smsc: &SmscHandle, flags: &str) -> EsmeHandle {
    let target = smsc.addresses()[0];
    EsmeSimulator::start(parsed::<EsmeArguments>(&format!("--target {target} {flags}"))).expect("it starts")
}

fn run(smsc_flags: &str, esme_flags: &str) -> (EsmeReport, SmscReport) {
    let smsc = smsc(smsc_flags);
    let esme = esme(&smsc, esme_flags).join();
    smsc.stop();
    (esme, smsc.join())
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Goal: every message is answered once and received once, in every form of PDU and concatenation.
#[test]
fn messages_of_every_form_arrive_once() {
    for flags in [
        "--bind transmitter",
        "--command data_sm --data-coding 4",
        "--concatenate udh8 --parts 3",
        "--concatenate udh16 --parts 2 --size 500 --data-coding 8",
        "--concatenate sar --parts 2",
        "--message-payload --size 2000",
        "--interface-version 3.3 --bind transmitter",
        "--interface-version 5.0 --rate 20000",
        "--first-sequence-number 2147483600",
    ] {
        let (esme, smsc) = run(
            "--window-max 20",
            &format!("--connections 4 --window 20 --count 2000 {flags}"),
        );
        assert!(esme.passed, "{flags}\n{esme}");
        assert!(smsc.passed, "{flags}\n{smsc}");
        let books = Comparison::of(&esme.sent, &smsc.received_messages);
        assert!(books.is_exact(), "{flags} {books:?}");
        assert_eq!(
            (books.received, books.accepted),
            (books.sent, books.sent),
            "{flags}"
        );
        assert!(books.sent >= 2000, "{flags}");
        assert_eq!(esme.connection.unbound, 4, "{flags}\n{esme}");
    }
}

/// Goal: MO of three ranges reaches sessions of its range only, once each, and is answered.
#[test]
fn mo_is_answered_and_checked() {
    let smsc = smsc("--mo 888765=max:3000 --mo 888766=2000:500 --mo-after 0s --mo-window 10");
    let esme = esme(&smsc, "--bind receiver --connections 3 --address-range 88876[56]");
    wait_until("all MO arrives", || smsc.snapshot().answered == 3500);
    esme.stop();
    let esme = esme.join();
    smsc.stop();
    let smsc = smsc.join();
    assert!(esme.passed, "{esme}");
    assert!(smsc.passed, "{smsc}");
    assert_eq!(esme.received.received, 3500);
    let books = Comparison::of(&smsc.sent, &esme.received_messages);
    assert!(books.is_exact() && books.received == 3500, "{books:?}");
}
