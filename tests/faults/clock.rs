//! The wall clock steps.

use std::thread::sleep;
use std::time::Duration;

use smppmux_tests::configuration::Configuration;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;
use smppmux_tests::stepped_clock::SteppedClock;

use crate::load::Load;
use crate::{Lacks, PROGRAM, alone, is_long, skip, tell};

const DAY_S: i64 = 86_400;

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
        .client("esme1", "window = 50");
    let mut smppmux = Smppmux::start_in(PROGRAM, &configuration, &clock.environment());
    smppmux.wait_for_log("smppmux ready");
    let load = Load::against(smppmux.address(), 10, 200);
    let steps = if is_long() { 40 } else { 4 };
    for step in 0..steps {
        load.wait_for_good(20);
        let days = [1, -1, 400, -400][step % 4];
        clock.step_to(days * DAY_S).expect("the folder is ours");
        sleep(Duration::from_millis(700));
    }
    let figures = load.stop();
    let lost = smppmux
        .recent_log()
        .iter()
        .filter(|line| line.contains("lost"))
        .count();
    tell(
        FAULT,
        PROMISED,
        &format!(
            "{steps} steps of up to 800 days: {figures}; {} bind, {lost} sessions lost",
            figures.binds
        ),
    );
    figures.check_one_answer_each();
    assert_eq!((figures.failed(), figures.binds, lost), (0, 1, 0));
}
