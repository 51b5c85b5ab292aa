//! Proves that each script can fail: for each, a thing that a bad balancer does, and that it must notice.
//!
//! The faults are done to smppmux's own octets by a relay, so that everything else stays as it is. Without a fault the
//! relay changes nothing, which is tried first.

mod table;
mod ways;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::rows;
use crate::runner::{Run, Verdict, run_alone};
use crate::sabotage::Fault;
use crate::scenario::{Part, Scenario};

use table::{FAULTS, HARMLESS};

/// Engines of the smppmux whose work is spoiled.
const ENGINES: usize = 1;

/// Runs each fault against its script, and every script through a relay that changes nothing; whether all is as it should
/// be. Only scripts of these scenarios.
pub(crate) fn check_all(
    scenarios: &[&'static Scenario],
    run_on: impl Fn(usize) -> Result<Run, String>,
) -> Result<bool, String> {
    let run = run_on(ENGINES)?;
    let parts: Vec<(&'static Scenario, &'static Part)> = scenarios
        .iter()
        .flat_map(|scenario| scenario.parts.iter().map(|part| (*scenario, part)))
        .filter(|(scenario, part)| run.runs_unclaimed || rows::is_claimed(scenario, part))
        .collect();
    let mut jobs: Vec<(&'static Scenario, &'static Part, &'static Fault)> = Vec::new();
    let mut is_well = true;
    for (scenario, part) in parts {
        for harmless in HARMLESS {
            jobs.push((scenario, part, harmless));
        }
        let mut faults = FAULTS
            .iter()
            .filter(|fault| fault.row == scenario.row && fault.part == part.name)
            .peekable();
        if faults.peek().is_none() {
            println!(
                "row {}, {}: nothing shows that it can fail",
                scenario.label(),
                part.name
            );
            is_well = false;
        }
        jobs.extend(faults.map(|fault| (scenario, part, fault)));
    }
    let mut lines = run_jobs(&run, &jobs);
    lines.sort();
    for (_, is_right, line) in &lines {
        println!("{line}");
        is_well &= is_right;
    }
    let noticed = lines.iter().filter(|(_, is_right, _)| *is_right).count();
    println!("\n{noticed} of {} runs ended as they should", lines.len());
    Ok(is_well)
}

fn run_jobs(
    run: &Run,
    jobs: &[(&'static Scenario, &'static Part, &'static Fault)],
) -> Vec<(usize, bool, String)> {
    let next = AtomicUsize::new(0);
    let lines: Mutex<Vec<(usize, bool, String)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..run.jobs {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((scenario, part, fault)) = jobs.get(place) else {
                        return;
                    };
                    let spoiled = Run {
                        sabotage: Some(fault),
                        ..run.clone()
                    };
                    let result = run_alone(&spoiled, part);
                    let wanted = if fault.row == 0 && fault.part.is_empty() {
                        Verdict::Pass
                    } else {
                        Verdict::Fail
                    };
                    let is_right = result.verdict == wanted;
                    let line = format!(
                        "{} row {}, {}: with a balancer that {} it {} after {} s{}",
                        if is_right { "well " } else { "WRONG" },
                        scenario.label(),
                        part.name,
                        fault.what,
                        if result.verdict == Verdict::Pass {
                            "passes"
                        } else {
                            "fails"
                        },
                        result.seconds,
                        result
                            .what
                            .map_or_else(String::new, |what| format!(": {}", shortened(&what)))
                    );
                    if let Ok(mut lines) = lines.lock() {
                        lines.push((place, is_right, line));
                    }
                }
            });
        }
    });
    lines.into_inner().unwrap_or_default()
}

fn shortened(what: &str) -> String {
    const SHOWN_CHARACTERS_MAX: usize = 160;
    what.chars().take(SHOWN_CHARACTERS_MAX).collect()
}
