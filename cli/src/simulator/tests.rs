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

/// Goal: each injected fault of the message centre is counted on both sides by its name.
#[test]
fn injected_faults_are_seen() {
    let load = "--count 2000 --window 50 --allow-errors --response-timeout 400ms --reconnect 10ms";
    let (esme, smsc) = run("--duplicate 10%", load);
    assert!(smsc.total.answered_twice > 100, "{smsc}");
    assert_eq!(esme.answers.duplicate, smsc.total.answered_twice, "{esme}");
    assert!(!esme.passed);

    let (esme, smsc) = run("--unanswered 5%", load);
    assert_eq!(esme.answers.expired, smsc.total.left_unanswered, "{esme}");
    assert!(esme.answers.expired > 20 && !esme.passed);

    let (esme, smsc) = run("--late 2% --late-by 600ms", load);
    assert_eq!(esme.answers.expired, smsc.total.answered_late, "{esme}");
    assert!(esme.answers.expired > 5 && !esme.passed);

    let (esme, smsc) = run("--error 10%=ESME_RTHROTTLED --error 10%=0x401", load);
    assert!(esme.passed, "{esme}");
    assert_eq!(esme.statuses, smsc.submit_statuses);
    assert_eq!(esme.statuses.0.len(), 3, "{esme}");

    let (esme, smsc) = run("--drop-after 300", load);
    assert!(smsc.total.dropped_on_purpose >= 6, "{smsc}");
    assert_eq!(esme.answers.answered + esme.answers.lost(), 2000, "{esme}");
    assert!(esme.answers.unanswered_at_close > 0 && esme.connection.lost > 0 && !esme.passed);
    assert!(Comparison::of(&esme.sent, &smsc.received_messages).is_exact());
}

/// Goal: delays follow their distribution, and answers still find their requests when they come out of order.
#[test]
fn delayed_answers_find_their_requests() {
    let (esme, smsc) = run("--delay 1ms..20ms", "--count 2000 --window 200");
    assert!(esme.passed, "{esme}");
    assert!(smsc.total.window_peak > 100, "{smsc}");
    assert!((4_000..30_000).contains(&esme.latency.p50_us), "{esme}");
}

/// Goal: each message that asks for a receipt gets one, on a session of its account, whichever form it has.
#[test]
fn receipts_come_back_to_their_account() {
    for form in ["text", "tlv", "both"] {
        let smsc = smsc(&format!("--receipt-form {form} --receipt-delay 1ms..5ms"));
        let esme = esme(
            &smsc,
            "--connections 4 --accounts 2 --system-id esme{n} --count 400 --registered-delivery 1 --linger 30s",
        );
        wait_until("all receipts arrive", || esme.snapshot().received == 400);
        esme.stop();
        let esme = esme.join();
        smsc.stop();
        let smsc = smsc.join();
        assert!(esme.passed, "{esme}");
        assert!(smsc.passed, "{smsc}");
        assert_eq!(
            (esme.received.receipts, smsc.total.receipts_answered),
            (400, 400),
            "{form}"
        );
        assert_eq!(esme.received_receipts.unique(), 400, "{form}");
    }
}

/// Goal: refused binds are retried, and the run still completes.
#[test]
fn refused_binds_are_retried() {
    let (esme, smsc) = run("--refuse-first 2", "--count 10 --reconnect 10ms");
    assert_eq!(
        (smsc.total.binds_refused, esme.connection.bound),
        (2, 1),
        "{esme}"
    );
    assert!(esme.passed, "{esme}");
    let (esme, _) = run(
        "--account esme1:other",
        "--count 10 --reconnect 10ms --attempts 3",
    );
    assert_eq!(
        (esme.connection.bound, esme.connection.bind_failures),
        (0, 3),
        "{esme}"
    );
    assert_eq!(esme.not_sent, 10);
    assert!(!esme.passed);
}

/// Goal: a paced load keeps its rate. Method: half a second at 2,000/s, with room for a busy machine.
#[test]
fn a_paced_load_keeps_its_rate() {
    let (esme, _) = run("", "--connections 5 --rate 2000 --duration 500ms");
    assert!(esme.passed, "{esme}");
    assert!((700..=1_100).contains(&esme.answers.sent), "{esme}");
}

/// Goal: MO goes to the sessions whose range holds it; with --ignore-ranges it does not, and the ESME sees that.
#[test]
fn mo_follows_the_ranges_of_the_binds() {
    for (flags, is_exact) in [("", true), ("--ignore-ranges", false)] {
        let smsc = smsc(&format!(
            "--mo 888765=max:300 --mo 24457=1000:200 --mo-after 100ms {flags}"
        ));
        let esme = esme(
            &smsc,
            "--bind receiver --connections 4 --address-range 888765 --address-range ^24457",
        );
        wait_until("all MO arrives", || smsc.snapshot().answered == 500);
        esme.stop();
        let esme = esme.join();
        smsc.stop();
        assert!(smsc.join().passed);
        assert_eq!(esme.received.outside_range == 0, is_exact, "{esme}");
        assert_eq!(esme.passed, is_exact, "{esme}");
    }
}
