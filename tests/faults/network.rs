//! Links that are cut, and links that are narrow and lose packets, in a network namespace of the test's own.

use std::process::Command;
use std::thread;
use std::time::Duration;

use smppmux_tests::configuration::Configuration;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;

use crate::load::Load;
use crate::sabotage::is_allowed;
use crate::{Lacks, PROGRAM, alone, is_long, skip, tell};

/// Runs a scenario in a network of its own, where the kernel and our rights allow one, and where there are the programs for it.
fn in_own_network(scenario: impl FnOnce() + Send + 'static) -> Result<(), Lacks> {
    for program in ["ip", "tc"] {
        if Command::new(program).arg("-V").output().is_err() {
            return Err(Lacks::Program(format!("no {program} (Debian: iproute2)")));
        }
    }
    let moved = thread::spawn(move || {
        // SAFETY: changes only which network this thread, and what it starts, sees. It ends below.
        let code = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        if code != 0 || !is_allowed("ip", &["link", "set", "lo", "up"]) {
            return Err(Lacks::Rights("no network namespace"));
        }
        scenario();
        Ok(())
    });
    moved
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {arguments}");
}

/// Of both sides; TCP sends again after pauses that double, so a cut may take twice its time.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
const SHORT_CUT_MAX_S: u64 = 1;

fn start(smsc: &AnsweringSmsc) -> Smppmux {
    let times = "enquire-link-interval = \"2s\"\nenquire-link-misses = 2";
    let times = format!("response-timeout = \"{}s\"\n{times}", RESPONSE_TIMEOUT.as_secs());
    let configuration = Configuration::with_engines(2)
        .vserver(&times)
        .server(
            "smsc",
            "0A",
            smsc.address(),
            &format!("reconnect-max = \"500ms\"\n{times}"),
        )
        .client("esme1", "window = 50");
    let mut smppmux = Smppmux::start(PROGRAM, &configuration);
    smppmux.wait_for_log("smppmux ready");
    smppmux
}

/// Goal: a link that is cut for less than the time-outs costs nothing but time; one that is cut for longer costs each request
/// one error, and everybody finds back by himself.
#[test]
fn a_cut_link_heals() {
    const FAULT: &str = "all links cut (ip link set down), mended";
    const PROMISED: &str = "a cut of 1 s costs no error and no session; a longer one costs each request one answer where its connection \
                            stood; what was cut works again by itself";
    let _alone = alone();
    let cuts_s: &'static [u64] = if is_long() { &[1, 4, 15, 1, 30] } else { &[1, 6] };
    let done = in_own_network(move || {
        let smsc = AnsweringSmsc::start("smsc");
        let smppmux = start(&smsc);
        let load = Load::against(smppmux.address(), 10, 200);
        let mut of_short_cuts = Vec::new();
        for seconds in cuts_s {
            let is_short = *seconds <= SHORT_CUT_MAX_S;
            load.wait_for_good(50);
            if is_short {
                // What the cut before has cost is known by then.
                thread::sleep(RESPONSE_TIMEOUT);
            }
            let before = load.troubles();
            ip("link set lo down");
            thread::sleep(Duration::from_secs(*seconds));
            ip("link set lo up");
            load.wait_for_good(50);
            if is_short {
                thread::sleep(RESPONSE_TIMEOUT);
                let after = load.troubles();
                of_short_cuts.push((after.0 - before.0, after.1 - before.1));
            }
        }
        let figures = load.stop();
        let (errors, ended) = of_short_cuts
            .iter()
            .fold((0, 0), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1));
        tell(
            FAULT,
            PROMISED,
            &format!(
                "cuts of {cuts_s:?} s: {figures}; {} binds; the {} cuts of 1 s cost {errors} errors and {ended} sessions",
                figures.binds,
                of_short_cuts.len()
            ),
        );
        figures.check_one_answer_each();
        assert_eq!((errors, ended), (0, 0), "of short cuts: {of_short_cuts:?}");
    });
    if let Err(lacks) = done {
        skip(FAULT, PROMISED, &lacks);
    }
}

/// A link that delays and loses packets: each kind in words, and what tc makes it of. The first that the kernel has is taken.
const BAD_LINKS: [(&str, &str); 2] = [
    (
        "netem: 20 ms of delay, give or take 5, and 2 % loss on each way",
        "netem delay 20ms 5ms loss 2%",
    ),
    (
        "tbf: 200 kbit/s with a queue of 2 KiB, which delays and drops; this kernel has no netem",
        "tbf rate 200kbit burst 2kb limit 2kb mtu 2000",
    ),
];

/// Makes loopback a bad link; in words, what kind.
fn spoil_loopback() -> Option<&'static str> {
    let kind = BAD_LINKS.iter().find(|(_, discipline)| {
        let arguments = format!("qdisc add dev lo root {discipline}");
        is_allowed("tc", &arguments.split(' ').collect::<Vec<_>>())
    });
    kind.map(|(name, _)| *name)
}

/// Packets that loopback has dropped.
fn dropped_packets() -> u64 {
    let output = Command::new("tc")
        .args(["-s", "qdisc", "show", "dev", "lo"])
        .output()
        .expect("it ran before");
    let text = String::from_utf8_lossy(&output.stdout);
    let behind = text.split("dropped ").nth(1).expect("tc counts them");
    let digits = behind.split(',').next().unwrap_or_default();
    digits.trim().parse().expect("a number")
}

/// Goal: a link that delays and loses packets makes everything slower and costs nothing else.
#[test]
fn a_link_that_loses_packets_only_takes_longer() {
    const FAULT: &str = "packet loss and delay";
    const PROMISED: &str = "slower, but no request fails, none is answered twice, and no session is lost";
    let _alone = alone();
    let done = in_own_network(move || {
        ip("link set lo mtu 1500");
        let Some(kind) = spoil_loopback() else {
            return skip(FAULT, PROMISED, &Lacks::Rights("tc knows neither netem nor tbf"));
        };
        let smsc = AnsweringSmsc::start("smsc");
        let smppmux = start(&smsc);
        let load = Load::against(smppmux.address(), 50, 1_000);
        load.wait_for_good(if is_long() { 3_000 } else { 150 });
        let figures = load.stop();
        let dropped = dropped_packets();
        tell(
            FAULT,
            PROMISED,
            &format!(
                "{kind}: {figures}; {} bind; {dropped} packets dropped",
                figures.binds
            ),
        );
        figures.check_one_answer_each();
        assert_eq!((figures.failed(), figures.binds), (0, 1), "{figures}");
        assert!(dropped > 0, "the link was a good one");
    });
    if let Err(lacks) = done {
        skip(FAULT, PROMISED, &lacks);
    }
}
