//! SMSCs, each a process of its own, that are stopped and killed under load.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::process::Smppmux;
use smppmux_tests::simulator::Simulator;

use crate::load::Load;
use crate::{PROGRAM, alone, is_long, tell};

fn start(servers: [&Simulator; 2]) -> Smppmux {
    let lines = "reconnect-max = \"300ms\"\nresponse-timeout = \"2s\"\nenquire-link-interval = \"1s\"\nenquire-link-misses = 2";
    let configuration = Configuration::with_engines(2)
        .vserver("hold-time = \"500ms\"")
        .server("a", "0A", servers[0].address(), lines)
        .server("b", "0B", servers[1].address(), lines)
        .client("esme1", "window = 50");
    let mut smppmux = Smppmux::start(PROGRAM, &configuration);
    smppmux.wait_for_log("smppmux ready");
    smppmux
}

/// Goal: an SMSC that freezes costs its own requests one response-timeout, then is left alone until it answers again; the other
/// one carries the traffic, and no request has two answers when the frozen one wakes and answers late.
#[test]
fn a_stopped_server_costs_one_time_out() {
    const WINDOW: usize = 40;
    let _alone = alone();
    let rounds = if is_long() { 10 } else { 1 };
    let (a, b) = (Simulator::start(PROGRAM), Simulator::start(PROGRAM));
    let smppmux = start([&a, &b]);
    let load = Load::against(smppmux.address(), WINDOW, 300);
    load.wait_for_good(50);
    for _ in 0..rounds {
        a.signal(Signal::STOP);
        sleep(Duration::from_secs(4));
        load.wait_for_good(50);
        a.signal(Signal::CONT);
        load.wait_for_good(100);
    }
    let figures = load.stop();
    let taken = a.finish() + b.finish();
    tell(
        "SIGSTOP of an SMSC for 4 s and longer, SIGCONT",
        "each request one answer; what was under way to it fails after the response-timeout (2 s), at most a window in each freeze; the other SMSC goes on",
        &format!("{rounds} freezes: {figures}; the SMSCs got {taken}"),
    );
    figures.check_one_answer_each();
    assert!(figures.failed() <= (WINDOW * rounds) as u64, "{figures}");
    assert!(taken <= figures.sent, "a submit was sent twice");
    assert!(figures.longest < Duration::from_secs(8), "{figures}");
}

/// Goal: an SMSC that is killed costs the requests that were under way to it; it is bound again when it is back.
#[test]
fn a_killed_server_costs_what_was_under_way() {
    const WINDOW: usize = 20;
    let _alone = alone();
    let rounds = if is_long() { 20 } else { 2 };
    let (mut a, b) = (Simulator::start(PROGRAM), Simulator::start(PROGRAM));
    let mut smppmux = start([&a, &b]);
    let load = Load::against(smppmux.address(), WINDOW, 300);
    for _ in 0..rounds {
        load.wait_for_good(50);
        let address = a.kill();
        smppmux.wait_for_log("server lost");
        load.wait_for_good(50);
        a = Simulator::start_at(PROGRAM, address);
        // On both engines.
        smppmux.wait_for_log("server bound");
        smppmux.wait_for_log("server bound");
        load.wait_for_good(200);
    }
    let figures = load.stop();
    let after_the_last = a.finish();
    tell(
        "SIGKILL of an SMSC, restart",
        "each request one answer; at most a window fails in each kill, at once; it is bound again by itself",
        &format!("{rounds} kills: {figures}; the last one got {after_the_last} after its start"),
    );
    figures.check_one_answer_each();
    assert!(figures.failed() <= (WINDOW * rounds) as u64, "{figures}");
    assert!(
        after_the_last > 0,
        "nothing reached the one that was started again"
    );
}
