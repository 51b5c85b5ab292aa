//! Each server: sessions, window, requests and answers, response times, and how often it was lost.

use super::family::{Families, Subject, label};
use crate::admin::control::Snapshot;
use smppmux_engine::core::figures::{Exchanges, Latency};
use smppmux_engine::core::health::{EjectionReason, HealthState};
use smppmux_engine::core::report::ServerReport;
use std::fmt;

const SUBJECT: Subject = Subject {
    name: "server",
    words: "clients to a server",
};

type Figure = fn(&ServerReport) -> u64;

/// What there is now: name, meaning, figure.
const GAUGES: [(&str, &str, Figure); 3] = [
    ("server_sessions", "Bound sessions", |server| {
        server.bound_sessions
    }),
    ("server_in_flight", "Requests without an answer", |server| {
        server.outstanding
    }),
    (
        "server_window",
        "Requests that its sessions can have in flight",
        |server| server.window,
    ),
];

/// What has happened since the start.
const COUNTERS: [(&str, &str, Figure); 5] = [
    ("server_binds", "Sessions that were bound", |server| server.binds),
    (
        "server_losses",
        "Sessions that were lost or could not be made",
        |server| server.losses,
    ),
    ("server_refused_binds", "Binds that it refused", |server| {
        server.refused_binds
    }),
    (
        "server_outbinds",
        "Sessions that it asked for by outbind",
        |server| server.outbinds,
    ),
    (
        "server_refused_outbinds",
        "Connections for an outbind, and outbinds, that were refused",
        |server| server.refused_outbinds,
    ),
];

pub(super) fn write(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let rows = || snapshot.settings.configured_servers();
    let each = |figure: Figure| {
        rows().map(move |(index, server)| {
            let sum: u64 = snapshot.reports_of(index).map(figure).sum();
            (label(SUBJECT.name, &server.name), sum)
        })
    };
    // The same on every core, but for a moment.
    let shared = |figure: Figure| {
        rows().map(move |(index, server)| {
            let value = snapshot.reports_of(index).map(figure).max().unwrap_or(0);
            (label(SUBJECT.name, &server.name), value)
        })
    };
    families.gauge(
        "server_draining",
        "1 while it gets no new submits",
        shared(|server| server.is_draining.into()),
    )?;
    families.gauge(
        "server_weight",
        "Its share among its equals",
        shared(|server| server.weight.into()),
    )?;
    health(families, snapshot)?;
    for (name, help, figure) in GAUGES {
        families.gauge(name, help, each(figure))?;
    }
    for (name, help, figure) in COUNTERS {
        families.counter(name, help, each(figure))?;
    }
    let (mut exchanges, mut times) = (Vec::new(), Vec::new());
    for (index, server) in rows() {
        let (mut sum, mut latency) = (Exchanges::default(), Latency::default());
        for of_core in snapshot.reports_of(index) {
            sum.add(&of_core.exchanges);
            latency.add(&of_core.latency);
        }
        exchanges.push((server.name.clone(), sum));
        times.push((label(SUBJECT.name, &server.name), latency));
    }
    families.exchanges(SUBJECT, &exchanges)?;
    families.times("server_response", "From a request to its answer", times)
}

/// How the cores find each server, and how much of its share it gets.
fn health(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let rows = || snapshot.settings.configured_servers();
    let states = [
        ("well", HealthState::Well),
        ("ejected", HealthState::Ejected),
        ("trial", HealthState::Trial),
    ];
    families.gauge(
        "server_health_cores",
        "Cores that find it well by its answers, have ejected it, or try it out",
        rows().flat_map(|(index, server)| {
            states.map(|(name, state)| {
                let cores = snapshot
                    .reports_of(index)
                    .filter(|report| report.health == state)
                    .count();
                let mut labels = label(SUBJECT.name, &server.name);
                labels.push(("state", name.to_owned()));
                (labels, cores as u64)
            })
        }),
    )?;
    families.counter(
        "server_ejections",
        "How often cores have ejected it for its answers",
        rows().flat_map(|(index, server)| {
            EjectionReason::ALL.map(|reason| {
                let counts = snapshot
                    .reports_of(index)
                    .map(|report| report.ejections[reason as usize]);
                let mut labels = label(SUBJECT.name, &server.name);
                labels.push(("reason", reason.name().to_owned()));
                (labels, counts.sum())
            })
        }),
    )?;
    families.ratio(
        "server_share_ratio",
        "How much of its weight counts: less than 1 in its slow start, on the core where it has come the least far",
        rows().map(|(index, server)| {
            let percents = snapshot.reports_of(index).map(|server| server.share_percent);
            (
                label(SUBJECT.name, &server.name),
                percents.min().unwrap_or(100).into(),
            )
        }),
    )
}
