//! What is seen while a demo runs: what is on stage, and a line each second.

use super::scenario::{CLIENTS_PER_RANGE, RANGES, SERVERS, Scenario};
use super::stage::Glance;
use crate::simulator::readable_us;
use crate::style::{Style, grouped};
use std::io::{self, Write as _};
use std::time::Duration;

/// Lines on standard error, so that standard output has the result alone.
#[derive(Debug)]
pub(super) struct Live {
    style: Style,
    quiet: bool,
    last: (Duration, Glance),
}

impl Live {
    /// With `quiet` nothing is shown.
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            style: Style::of(&io::stderr()),
            quiet,
            last: (Duration::ZERO, Glance::default()),
        }
    }

    /// Says who plays.
    pub(super) fn announce(&self, scenario: &Scenario) {
        let cpus: Vec<String> = scenario.cpus.iter().map(u16::to_string).collect();
        let clients = RANGES.len() as u32 * CLIENTS_PER_RANGE;
        let engines = if cpus.len() == 1 { "engine" } else { "engines" };
        self.say(&format!(
            "{}: {} {engines} (CPU {}), {} SMSCs, {clients} clients of the address ranges {};",
            self.style.heading("smppmux demo"),
            cpus.len(),
            cpus.join(","),
            SERVERS.len(),
            RANGES.join(", "),
        ));
        self.say(&format!(
            "{} connections with a window of {}, {}, for {} s",
            scenario.connections,
            scenario.window,
            scenario.rate.map_or_else(
                || "as fast as the windows allow".to_owned(),
                |rate| format!("{rate} messages/s in each direction"),
            ),
            scenario.duration.as_secs_f64(),
        ));
        let head = row(&[
            "time", "MT/s", "p50", "p99", "MO/s", "p50", "p99", "C2C/s", "errors",
        ]
        .map(str::to_owned));
        self.say(&self.style.heading(&head));
    }

    /// Shows what has happened since the last line.
    pub(super) fn show(&mut self, at: Duration, glance: Glance) {
        let seconds = (at - self.last.0).as_secs_f64().max(0.001);
        let last = &self.last.1;
        let per_second =
            |now: u64, before: u64| grouped((now.saturating_sub(before) as f64 / seconds).round() as u64);
        let (mt, mo) = (&glance.mobile_terminated, &glance.mobile_originated);
        let cells = [
            format!("{:.0} s", at.as_secs_f64()),
            per_second(mt.answered, last.mobile_terminated.answered),
            readable_us(mt.latency.p50_us),
            readable_us(mt.latency.p99_us),
            per_second(mo.answered, last.mobile_originated.answered),
            readable_us(mo.latency.p50_us),
            readable_us(mo.latency.p99_us),
            per_second(glance.crossings, last.crossings),
            grouped(mt.failed + mo.failed),
        ];
        self.say(&row(&cells));
        self.last = (at, glance);
    }

    /// Says something.
    pub(super) fn say(&self, line: &str) {
        if !self.quiet {
            // A closed standard error is no reason to end the demo.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

fn row(cells: &[String]) -> String {
    const WIDTHS: [usize; 9] = [5, 8, 9, 9, 8, 9, 9, 8, 6];
    let cells = cells
        .iter()
        .zip(WIDTHS)
        .map(|(cell, width)| format!("{cell:>width$}"));
    cells.collect::<Vec<_>>().join(" ")
}
