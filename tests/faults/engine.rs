//! smppmux itself is stopped, and killed under MT load. (MO and its queue under SIGKILL: `tests/end_to_end/kill.rs`.)

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use smppmux_engine::core::wire::CommandId;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::process::Smppmux;
use smppmux_tests::simulator::address_to_come_back_to;
use smppmux_tests::smsc::AnsweringSmsc;

use crate::load::Load;
use crate::measure::wait_until;
use crate::{PROGRAM, alone, is_long, tell};

fn configuration(smsc: &AnsweringSmsc) -> Configuration {
    Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "reconnect-max = \"200ms\"")
        .client("esme1", "window = 50")
}

/// Adds how often each text of a submit_sm reached the SMSC since it was asked last.
fn count_arrivals(smsc: &AnsweringSmsc, arrivals: &mut HashMap<String, u32>) {
    for request in smsc.requests_so_far() {
        if request.command() == CommandId::SUBMIT_SM {
            *arrivals.entry(request.text()).or_default() += 1;
        }
    }
}

/// Goal: a process that was stopped for less than its peers' patience goes on as if nothing had been: no session is lost, no
/// request fails.
#[test]
fn a_stop_of_smppmux_loses_nothing() {
    let _alone = alone();
    let stops_s: &[u64] = if is_long() { &[3, 6, 9] } else { &[3] };
    let smsc = AnsweringSmsc::start("smsc");
    let mut smppmux = Smppmux::start(PROGRAM, &configuration(&smsc));
    smppmux.wait_for_log("smppmux ready");
    let load = Load::against(smppmux.address(), 10, 300);
    for seconds in stops_s {
        load.wait_for_good(50);
        smppmux.signal(Signal::STOP);
        sleep(Duration::from_secs(*seconds));
        smppmux.signal(Signal::CONT);
        load.wait_for_good(50);
    }
    let figures = load.stop();
    tell(
        "SIGSTOP of smppmux, SIGCONT",
        "stopped for less than the response-timeout (10 s) it loses no session and no request",
        &format!("stops of {stops_s:?} s: {figures}; {} bind", figures.binds),
    );
    figures.check_one_answer_each();
    assert_eq!((figures.failed(), figures.binds), (0, 1), "{figures}");
}

/// Goal: SIGKILL under MT load. A submit that was answered ESME_ROK is at the SMSC, none is there twice, and everybody is back
/// soon after the restart.
#[test]
fn a_kill_of_smppmux_keeps_its_word() {
    let _alone = alone();
    let kills = if is_long() { 30 } else { 3 };
    let smsc = AnsweringSmsc::start("smsc");
    // The same port each time, as in the field.
    let listens_at = address_to_come_back_to();
    let configuration = configuration(&smsc).listening_at(listens_at);
    let address: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    let asked = Arc::clone(&address);
    let load = Load::start(move || *asked.lock().expect("no panic"), "esme1", 20, 500);
    let mut longest_return = Duration::ZERO;
    for life in 0..=kills {
        // With io_uring the kernel closes what a killed process listened on some milliseconds after its end. A supervisor waits
        // longer than that.
        let is_free = wait_until(Duration::from_secs(5), || TcpListener::bind(listens_at).is_ok());
        assert!(is_free.is_some(), "the port of the killed process stays taken");
        let smppmux = Smppmux::start(PROGRAM, &configuration);
        *address.lock().expect("no panic") = Some(smppmux.address());
        let started = Instant::now();
        load.wait_for_good(1);
        longest_return = longest_return.max(started.elapsed());
        load.wait_for_good(30 + life * 7 % 40);
        if life < kills {
            *address.lock().expect("no panic") = None;
            // Dropping it is SIGKILL.
            drop(smppmux);
        } else {
            let figures = load.stop();
            let mut arrived = HashMap::new();
            wait_until(Duration::from_secs(5), || {
                count_arrivals(&smsc, &mut arrived);
                figures.good.iter().all(|text| arrived.contains_key(text))
            });
            let missing = figures
                .good
                .iter()
                .filter(|text| !arrived.contains_key(*text))
                .count();
            let twice = arrived.values().filter(|count| **count > 1).count();
            tell(
                "SIGKILL of smppmux under MT load, restart",
                "what was answered ESME_ROK is at the SMSC, nothing is there twice, ESMEs and SMSCs bind again",
                &format!(
                    "{kills} kills: {figures}; {missing} missing, {twice} twice; first good answer at most {:.1} s after a start",
                    longest_return.as_secs_f64()
                ),
            );
            assert_eq!(
                (missing, twice, figures.surplus, figures.unanswered),
                (0, 0, 0, 0)
            );
            return;
        }
    }
}
