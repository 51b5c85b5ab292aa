//! The whole: readiness, and what happens rarely enough to be of no single core.

use super::family::{Families, Labels, label};
use crate::admin::api::health::obstacle;
use crate::admin::control::Snapshot;
use smppmux_engine::core::figures::Rule;
use smppmux_engine::core::report::Counters;
use std::fmt;

type Figure = fn(&Counters) -> u64;

/// What has happened since the start: name, meaning, figure.
const COUNTERS: [(&str, &str, Figure); 7] = [
    (
        "held_requests",
        "Requests that were held because every window was full",
        |of| of.held,
    ),
    ("throttled_requests", "Requests answered ESME_RTHROTTLED", |of| {
        of.throttled
    }),
    (
        "timeouts",
        "Requests that the far side did not answer in time",
        |of| of.timeouts,
    ),
    (
        "late_answers",
        "Answers that came after the timeout of their request",
        |of| of.late_answers,
    ),
    ("unmatched_answers", "Answers to no request", |of| {
        of.unmatched_answers
    }),
    (
        "map_entries_lost",
        "Entries for another core's maps that found no room: what they were for takes its fallback",
        |of| of.entries_lost,
    ),
    (
        "alerts_lost",
        "alert_notification PDUs that no core had room for",
        |of| of.alerts_lost,
    ),
];

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
    let sum = |figure: Figure| {
        let of_cores = snapshot
            .reports
            .iter()
            .map(|report| figure(&report.engine.counters));
        [(Labels::new(), of_cores.sum::<u64>())]
    };
    for (name, help, figure) in COUNTERS {
        families.counter(name, help, sum(figure))?;
    }
    let engines = snapshot.reports.iter().map(|report| &report.engine);
    let records_lost: u64 = engines.map(|engine| engine.receipts.log_records_lost).sum();
    families.counter(
        "receipt_records_lost",
        "Records of receipts that the log had no room for: a restart does not know them",
        one(records_lost),
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
