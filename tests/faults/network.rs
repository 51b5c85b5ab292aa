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

fn start(smsc: &AnsweringSmsc) -> Smppmux {
    let times = "enquire-link-interval = \"2s\"\nenquire-link-misses = 2";
    let configuration = Configuration::with_engines(2)
        .vserver(&format!("response-timeout = \"3s\"\n{times}"))
        .server(
            "smsc",
            "0A",
            smsc.address(),
            &format!("reconnect-max = \"500ms\"\nresponse-timeout = \"3s\"\n{times}"),
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
    const PROMISED: &str =
        "each request one answer where its connection stood; what was cut works again by itself";
    let _alone = alone();
    let cuts_s: &'static [u64] = if is_long() { &[1, 4, 15, 1, 30] } else { &[1, 6] };
    let done = in_own_network(move || {
        let smsc = AnsweringSmsc::start("smsc");
        let smppmux = start(&smsc);
        let load = Load::against(smppmux.address(), 10, 200);
        for seconds in cuts_s {
            load.wait_for_good(50);
            ip("link set lo down");
            thread::sleep(Duration::from_secs(*seconds));
            ip("link set lo up");
            load.wait_for_good(50);
        }
        let figures = load.stop();
        tell(
            FAULT,
            PROMISED,
            &format!("cuts of {cuts_s:?} s: {figures}; {} binds", figures.binds),
        );
        assert_eq!((figures.unanswered, figures.surplus), (0, 0), "{figures}");
    });
    if let Err(lacks) = done {
        skip(FAULT, PROMISED, &lacks);
    }
}

/// Goal: a narrow link that drops what does not fit its short queue makes everything slower and loses nothing.
#[test]
fn a_link_that_loses_packets_only_takes_longer() {
    const FAULT: &str = "packet loss and delay (a link of 200 kbit/s with a queue of 2 KiB)";
    const PROMISED: &str = "slower, but no request fails and none is answered twice";
    let _alone = alone();
    let narrow = [
        "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "200kbit", "burst", "2kb", "limit", "2kb", "mtu",
        "2000",
    ];
    let done = in_own_network(move || {
        ip("link set lo mtu 1500");
        if !is_allowed("tc", &narrow) {
            return skip(FAULT, PROMISED, &Lacks::Rights("tc knows no tbf"));
        }
        let smsc = AnsweringSmsc::start("smsc");
        let smppmux = start(&smsc);
        let load = Load::against(smppmux.address(), 50, 1_000);
        load.wait_for_good(if is_long() { 3_000 } else { 150 });
        let figures = load.stop();
        let output = Command::new("tc")
            .args(["-s", "qdisc", "show", "dev", "lo"])
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        let dropped = text
            .split("dropped ")
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        tell(
            FAULT,
            PROMISED,
            &format!("{figures}; {} packets dropped", dropped.unwrap_or("?")),
        );
        figures.check_one_answer_each();
    });
    if let Err(lacks) = done {
        skip(FAULT, PROMISED, &lacks);
    }
}
