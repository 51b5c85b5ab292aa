//! Each vserver: sessions, held requests, requests and answers of its clients.

use super::family::{Families, Subject, label};
use crate::admin::control::Snapshot;
use smppmux_engine::core::figures::Exchanges;
use smppmux_engine::core::report::VserverReport;
use std::fmt;

const SUBJECT: Subject = Subject {
    name: "vserver",
    words: "a vserver's clients",
};

pub(super) fn write(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let rows = || snapshot.settings.vservers.iter().enumerate();
    let of_cores = move |place: usize| {
        let reports = snapshot.reports.iter();
        reports.filter_map(move |report| report.engine.vservers.get(place))
    };
    let each = |figure: fn(&VserverReport) -> u64| {
        rows().map(move |(place, vserver)| {
            (
                label(SUBJECT.name, &vserver.name),
                of_cores(place).map(figure).sum::<u64>(),
            )
        })
    };
    families.gauge(
        "vserver_connections",
        "Connections, bound or not",
        each(|vserver| vserver.connections),
    )?;
    families.gauge(
        "vserver_sessions",
        "Bound sessions",
        each(|vserver| vserver.sessions),
    )?;
    families.gauge(
        "vserver_waiting_requests",
        "Requests in its hold",
        each(|vserver| vserver.held_requests),
    )?;
    let exchanges: Vec<(String, Exchanges)> = rows()
        .map(|(place, vserver)| {
            let mut sum = Exchanges::default();
            of_cores(place).for_each(|of_core| sum.add(&of_core.exchanges));
            (vserver.name.clone(), sum)
        })
        .collect();
    families.exchanges(SUBJECT, &exchanges)
}
