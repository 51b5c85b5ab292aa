//! Each account that has, or has had, a session: sessions, window, requests and answers.

use super::ACCOUNTS_MAX;
use super::family::{Families, Subject, label};
use crate::admin::api::clients::joined;
use crate::admin::control::Snapshot;
use smppmux_engine::core::figures::Exchanges;
use smppmux_engine::core::report::ClientReport;
use std::cmp::Reverse;
use std::fmt;

const SUBJECT: Subject = Subject {
    name: "client",
    words: "an account",
};

/// Stands for all accounts that have no series of their own, and for those that a server knows alone.
const OTHERS: &str = "";

/// One account over all cores.
#[derive(Debug, Default)]
struct Row {
    name: String,
    sessions: u64,
    outstanding: u64,
    window: u64,
    deliveries_outstanding: u64,
    exchanges: Exchanges,
}

impl Row {
    fn add(&mut self, report: &ClientReport) {
        self.sessions += report.sessions;
        self.outstanding += report.outstanding;
        self.window += report.window;
        self.deliveries_outstanding += report.deliveries_outstanding;
        self.exchanges.add(&report.exchanges);
    }
}

pub(super) fn write(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let rows = rows(snapshot);
    let each = |figure: fn(&Row) -> u64| {
        rows.iter()
            .map(move |row| (label(SUBJECT.name, &row.name), figure(row)))
    };
    families.gauge(
        "client_sessions",
        "Bound sessions",
        each(|client| client.sessions),
    )?;
    families.gauge(
        "client_in_flight",
        "Its requests without an answer",
        each(|client| client.outstanding),
    )?;
    families.gauge(
        "client_window",
        "Requests that its sessions can have in flight",
        each(|client| client.window),
    )?;
    families.gauge(
        "client_deliveries_in_flight",
        "Messages to it without an answer",
        each(|client| client.deliveries_outstanding),
    )?;
    let exchanges: Vec<(String, Exchanges)> = rows
        .iter()
        .map(|row| (row.name.clone(), row.exchanges.clone()))
        .collect();
    families.exchanges(SUBJECT, &exchanges)
}

fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let mut joined: Vec<_> = joined(snapshot).into_iter().collect();
    let requests = |reports: &[&ClientReport]| {
        let of_cores = reports
            .iter()
            .map(|report| report.exchanges.requests(false) + report.exchanges.requests(true));
        of_cores.sum::<u64>()
    };
    joined.sort_by_cached_key(|(client, reports)| (Reverse(requests(reports)), *client));
    let mut rows: Vec<Row> = Vec::new();
    let mut others = Row {
        name: OTHERS.into(),
        ..Row::default()
    };
    let mut has_others = false;
    for (client, reports) in joined {
        let settings = client.and_then(|index| snapshot.settings.clients.get(index.0 as usize));
        let row = match settings {
            Some(settings) if rows.len() < ACCOUNTS_MAX => {
                rows.push(Row {
                    name: settings.system_id.clone(),
                    ..Row::default()
                });
                rows.last_mut()
            }
            _ => None,
        };
        has_others |= row.is_none();
        let row = row.unwrap_or(&mut others);
        reports.iter().for_each(|report| row.add(report));
    }
    if has_others {
        rows.push(others);
    }
    rows
}
