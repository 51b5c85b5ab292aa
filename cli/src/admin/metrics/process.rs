//! The whole: readiness, and what happens rarely enough to be of no single core.

use super::family::{Families, Labels, label};
use crate::admin::api::health::obstacle;
use crate::admin::control::Snapshot;
use smppmux_engine::core::figures::Rule;
use smppmux_engine::core::report::Counters;
use std::fmt;

pub(super) fn write(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let one = |value: u64| [(Labels::new(), value)];
    let version = label("version", env!("CARGO_PKG_VERSION"));
    families.gauge(
        "build_info",
        "Always 1; the version is in the label",
        [(version, 1)],
    )?;
    families.seconds(
        "uptime",
        "Time since the engines started",
        snapshot.uptime.as_secs_f64(),
    )?;
    families.gauge(
        "ready",
        "1 while new clients are welcome",
        one(obstacle(snapshot).is_none().into()),
    )?;
    families.gauge("cores", "Packet engines", one(snapshot.cores.into()))?;
    families.gauge(
        "cores_answering",
        "Packet engines that answer",
        one(snapshot.reports.len() as u64),
    )?;
    let sum = |figure: fn(&Counters) -> u64| {
        let of_cores = snapshot
            .reports
            .iter()
            .map(|report| figure(&report.engine.counters));
        [(Labels::new(), of_cores.sum::<u64>())]
    };
    families.counter(
        "held_requests",
        "Requests that were held because every window was full",
        sum(|of| of.held),
    )?;
    families.counter(
        "throttled_requests",
        "Requests answered ESME_RTHROTTLED",
        sum(|of| of.throttled),
    )?;
    families.counter(
        "timeouts",
        "Requests that the far side did not answer in time",
        sum(|of| of.timeouts),
    )?;
    families.counter(
        "late_answers",
        "Answers that came after the timeout of their request",
        sum(|of| of.late_answers),
    )?;
    families.counter(
        "unmatched_answers",
        "Answers to no request",
        sum(|of| of.unmatched_answers),
    )?;
    let [(_, accepted)] = sum(|of| of.binds_accepted);
    let [(_, refused)] = sum(|of| of.binds_refused);
    let binds = [
        (label("result", "accepted"), accepted),
        (label("result", "refused"), refused),
    ];
    families.counter("client_binds", "Binds of clients", binds)?;
    let violations = Rule::NAMES.iter().enumerate().map(|(place, rule)| {
        let of_cores = snapshot
            .reports
            .iter()
            .map(|report| report.engine.violations[place]);
        (label("rule", rule), of_cores.sum())
    });
    families.counter("protocol_violations", "PDUs that broke a rule", violations)
}
