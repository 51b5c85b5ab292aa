//! The wall clock steps.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use smppmux_engine::core::wire::{CommandId, Message, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{address, receipt, response_with_id, written};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};
use smppmux_tests::stepped_clock::SteppedClock;
use tempfile::TempDir;

use crate::load::{Load, try_bind};
use crate::{Lacks, PROGRAM, alone, is_long, skip, tell};

const DAY_S: i64 = 86_400;
/// Longer than anything takes that must not come.
const NEVER: Duration = Duration::from_millis(500);

/// Days from 1970-01-01 to a date, by counting years from March on, so that a leap day is the last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// The day that smppmux itself takes it for, by the time in its log, in days since 1970. Method: a client binds, which is logged.
fn day_of_smppmux(smppmux: &mut Smppmux, system_id: &str) -> i64 {
    // What was logged before is of no interest.
    smppmux.recent_log();
    drop(try_bind(smppmux.address(), system_id).expect("it binds"));
    let bound = smppmux.wait_for_log("client bound");
    let time = bound["timestamp"]
        .as_str()
        .expect("a line of the log has its time");
    let number = |from, to| time.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
    match (number(0, 4), number(5, 7), number(8, 10)) {
        (Some(year), Some(month), Some(day)) => days_since_1970(year, month, day),
        _ => panic!("no date: {time}"),
    }
}

/// Steps smppmux's wall clock to so many days off the true time.
///
/// # Panics
///
/// When the step does not arrive there.
fn step(clock: &SteppedClock, smppmux: &mut Smppmux, system_id: &str, days: i64) {
    clock.step_to(days * DAY_S).expect("the folder is ours");
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let today = i64::try_from(since_1970.as_secs()).expect("not so late") / DAY_S;
    let off = day_of_smppmux(smppmux, system_id) - today;
    // Midnight may have passed in between.
    assert!(
        off == days || off == days + 1,
        "the clock was to be off by {days} days, and is by {off}"
    );
}

/// Goal: no timer of a session or request follows the wall clock. Method: a library makes it jump by days to and fro in that
/// process alone, under load, with enquire_links every second.
#[test]
fn steps_of_the_wall_clock_are_not_noticed() {
    const FAULT: &str = "steps of the wall clock by days, to and fro";
    const PROMISED: &str = "no request and no session notices";
    let _alone = alone();
    let clock = match SteppedClock::build() {
        Ok(clock) => clock,
        Err(reason) => return skip(FAULT, PROMISED, &Lacks::Program(reason)),
    };
    let smsc = AnsweringSmsc::start("smsc");
    let idle = "enquire-link-interval = \"1s\"";
    let configuration = Configuration::with_engines(2)
        .vserver(&format!(
            "hold-time = \"500ms\"\nresponse-timeout = \"2s\"\n{idle}"
        ))
        .server("smsc", "0A", smsc.address(), idle)
        .client("esme1", "window = 50")
        .client("watch", "");
    let mut smppmux = Smppmux::start_in(PROGRAM, &configuration, &clock.environment());
    smppmux.wait_for_log("smppmux ready");
    let load = Load::against(smppmux.address(), 10, 200);
    let steps = if is_long() { 40 } else { 4 };
    let mut lost = 0;
    for number in 0..steps {
        load.wait_for_good(20);
        let days = [1, -1, 400, -400][number % 4];
        step(&clock, &mut smppmux, "watch", days);
        sleep(Duration::from_millis(700));
        lost = lost.max(lost_servers(&mut smppmux));
    }
    let figures = load.stop();
    tell(
        FAULT,
        PROMISED,
        &format!(
            "{steps} steps of up to 800 days, each seen in the time of its log: {figures}; {} bind, {lost} sessions lost",
            figures.binds
        ),
    );
    figures.check_one_answer_each();
    assert_eq!((figures.failed(), figures.binds, lost), (0, 1, 0));
}

/// How often the end of a server session stands in the last lines of the log.
fn lost_servers(smppmux: &mut Smppmux) -> usize {
    let lines = smppmux.recent_log();
    lines.iter().filter(|line| line.contains("server lost")).count()
}

/// smppmux with a durable queue and durable receipts, under a clock of its own, started several times.
struct Host {
    clock: SteppedClock,
    smsc: Smsc,
    folder: TempDir,
    last_number: u32,
}

impl Host {
    fn with(clock: SteppedClock) -> Self {
        Self {
            clock,
            smsc: Smsc::start(),
            folder: TempDir::new().expect("a temporary folder"),
            last_number: 0,
        }
    }

    /// One life of the process, at a wall clock that is off by so many days.
    fn start(&self, days: i64) -> (Smppmux, Peer) {
        self.clock.step_to(days * DAY_S).expect("the folder is ours");
        let path = |name: &str| Path::join(self.folder.path(), name).display().to_string();
        let configuration = Configuration::with_engines(2)
            .server("smsc", "0A", self.smsc.address(), "connections-total = 1")
            .client("esme1", "address-ranges = [\"888\"]")
            .client("alice", "")
            .client("watch", "")
            .queue(&format!("path = \"{}\"", path("queue.redb")))
            .section(&format!("[receipts]\npath = \"{}\"", path("receipts")));
        let mut smppmux = Smppmux::start_in(PROGRAM, &configuration, &self.clock.environment());
        let (server, _) = self.smsc.accept_bound();
        smppmux.wait_for_log("smppmux ready");
        step(&self.clock, &mut smppmux, "watch", days);
        (smppmux, server)
    }

    /// Sends a message that is good for so long (`hhmmss`), or without limit for `""`, and sees it queued.
    fn queue(&mut self, server: &mut Peer, destination: &str, text: &str, time: &str) {
        self.last_number += 1;
        let validity = if time.is_empty() {
            String::new()
        } else {
            format!("000000{time}000R")
        };
        let body = Message {
            source: address("2000"),
            destination: address(destination),
            validity_period: validity.as_bytes(),
            short_message: text.as_bytes(),
            ..Message::default()
        };
        server.send(&written(
            CommandId::DELIVER_SM,
            Status::ESME_ROK,
            self.last_number,
            &body,
        ));
        let answer = server.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!(answer.status(), Status::ESME_ROK, "{text}");
    }
}

fn end(mut smppmux: Smppmux, mut server: Peer) {
    smppmux.signal(Signal::TERM);
    server.receive_until_unbound();
    assert_eq!(smppmux.wait_for_exit(), 0);
}

/// What waits for a client that claims this address.
fn waiting_for(smppmux: &Smppmux, range: &str) -> BTreeSet<String> {
    let mut client = Esme::bind_with_range(smppmux.address(), "esme1", range);
    let mut texts = BTreeSet::new();
    // The first one may take a while on a busy machine.
    let mut patience = NEVER * 4;
    while let Received::Pdu(pdu) = client.receive_within(patience) {
        assert_eq!(pdu.command(), CommandId::DELIVER_SM);
        client.accept(&pdu);
        assert!(texts.insert(pdu.text()), "{} came twice", pdu.text());
        patience = NEVER;
    }
    texts
}

/// Submits for a receipt; the server gives the message this id.
fn submit_for_receipt(smppmux: &Smppmux, server: &mut Peer, id: &str) {
    let mut alice = Esme::bind(smppmux.address(), "alice");
    alice.submit_for_receipt("4477", "text");
    let submit = server.expect(CommandId::SUBMIT_SM);
    let command = CommandId::SUBMIT_SM_RESP;
    server.send(&response_with_id(command, submit.sequence_number(), id));
    assert_eq!(alice.expect(command).status(), Status::ESME_ROK);
}

/// Whether the receipt of this id reaches the account that submitted.
fn is_receipt_known(host: &mut Host, smppmux: &Smppmux, server: &mut Peer, id: &str) -> bool {
    let mut alice = Esme::bind(smppmux.address(), "alice");
    host.last_number += 1;
    server.send(&receipt(host.last_number, "4477", "1000", id, "DELIVRD"));
    let Received::Pdu(delivery) = alice.receive_within(Duration::from_secs(5)) else {
        return false;
    };
    alice.accept(&delivery);
    server.expect(CommandId::DELIVER_SM_RESP).status() == Status::ESME_ROK
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Goal: while smppmux runs, times of the queue and of the receipts pass by the monotonic clock, whatever the wall clock does; over
/// a restart they pass by the wall clock, as no other says how long a host was down. Method: messages of limited and of
/// unlimited validity, and a submit that awaits its receipt; steps while it runs, and restarts before, behind and at the true time.
#[test]
fn the_queue_and_receipts_survive_steps_of_the_wall_clock() {
    const FAULT: &str =
        "steps of the wall clock by days under a durable queue and receipts, and restarts across them";
    const PROMISED: &str = "while it runs a message's validity is its own time, and no receipt is forgotten; over a restart the wall clock \
                            counts, and what is in its time by that is delivered";
    let _alone = alone();
    let clock = match SteppedClock::build() {
        Ok(clock) => clock,
        Err(reason) => return skip(FAULT, PROMISED, &Lacks::Program(reason)),
    };
    let mut host = Host::with(clock);
    let mut delivered = 0;
    let mut expect = |smppmux: &Smppmux, range: &str, texts: &[&str], when: &str| {
        assert_eq!(waiting_for(smppmux, range), set(texts), "{when}");
        delivered += texts.len();
    };
    let (mut smppmux, mut server) = host.start(0);
    submit_for_receipt(&smppmux, &mut server, "of-the-first-life");
    host.queue(&mut server, "888001", "an hour", "010000");
    host.queue(&mut server, "888001", "unlimited", "");
    step(&host.clock, &mut smppmux, "watch", 400);
    expect(&smppmux, "888001", &["an hour", "unlimited"], "400 days forward");
    host.queue(&mut server, "888002", "two seconds", "000002");
    host.queue(&mut server, "888002", "unlimited", "");
    step(&host.clock, &mut smppmux, "watch", -400);
    sleep(Duration::from_secs(3));
    expect(
        &smppmux,
        "888002",
        &["unlimited"],
        "800 days back, three seconds later",
    );
    assert!(is_receipt_known(
        &mut host,
        &smppmux,
        &mut server,
        "of-the-first-life"
    ));
    for range in ["888003", "888004", "888005"] {
        host.queue(&mut server, range, "an hour", "010000");
        host.queue(&mut server, range, "unlimited", "");
    }
    // It ends while its clock is wrong, and is started when that has been mended.
    step(&host.clock, &mut smppmux, "watch", 400);
    assert_eq!(lost_servers(&mut smppmux), 0);
    end(smppmux, server);
    let lives = [
        (0, "888003", &["an hour", "unlimited"][..], "at the true time"),
        (-1, "888004", &["an hour", "unlimited"], "a day back"),
        (1, "888005", &["unlimited"], "a day forward"),
    ];
    for (days, range, texts, when) in lives {
        let (smppmux, mut server) = host.start(days);
        expect(&smppmux, range, texts, when);
        assert!(
            is_receipt_known(&mut host, &smppmux, &mut server, "of-the-first-life"),
            "restarted {when}"
        );
        end(smppmux, server);
    }
    tell(
        FAULT,
        PROMISED,
        &format!(
            "steps of 400 and 800 days, each seen in the time of its log, and 3 restarts of up to a day off: {delivered} messages delivered, each \
             once; one of 2 s expired after 3 s in spite of a step back, one of an hour over a restart a day later; the receipt was \
             known 4 times of 4"
        ),
    );
}
