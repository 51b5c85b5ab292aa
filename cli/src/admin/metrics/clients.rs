//! Each account that has, or has had, a session: sessions, window, requests and answers.

use super::ACCOUNTS_MAX;
use super::family::{Families, Subject, label};
use crate::admin::api::clients::joined;
use crate::admin::control::Snapshot;
use smppmux_engine::core::figures::Exchanges;
use smppmux_engine::core::report::ClientReport;
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
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

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

/// The accounts in configured order, which never changes: an account that has its own series keeps them, and one that is summed
/// up with others stays there, so that no counter ever falls.
fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut others: Option<Row> = None;
    for (client, reports) in joined(snapshot) {
        let place = client.map(|index| index.0 as usize);
        let settings = place.filter(|place| *place < ACCOUNTS_MAX);
        let settings = settings.and_then(|place| snapshot.settings.clients.get(place));
        let row = if let Some(settings) = settings {
            rows.push(Row::named(&settings.system_id));
            rows.last_mut()
        } else {
            Some(others.get_or_insert_with(|| Row::named(OTHERS)))
        };
        if let Some(row) = row {
            reports.iter().for_each(|report| row.add(report));
        }
    }
    rows.extend(others);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use smppmux_engine::core::report::Report;
    use smppmux_engine::core::settings::ClientIndex;
    use std::fmt::Write as _;

    /// Goal: which accounts have their own series does not depend on what they do, so none ever leaves the sum of the others.
    #[test]
    fn accounts_keep_their_series() {
        let mut text = "[[vserver]]\nname = \"v\"\nlisten = [\"127.0.0.1:2775\"]\n".to_owned();
        text += "[[server]]\nname = \"s\"\nuid = \"0A\"\naddress = \"h:1\"\nsystem-id = \"m\"\npassword = \"x\"\n";
        let accounts = ACCOUNTS_MAX as u32 + 2;
        for client in 0..accounts {
            let _ = writeln!(text, "[[client]]\nsystem-id = \"c{client}\"\npassword = \"x\"");
        }
        let report = |clients: &[u32]| Report {
            clients: clients
                .iter()
                .map(|client| ClientReport {
                    client: Some(ClientIndex(*client)),
                    sessions: 1,
                    ..ClientReport::default()
                })
                .collect(),
            ..Report::default()
        };
        for (bound, expected) in [
            (vec![accounts - 1], vec![("", 1)]),
            (vec![0, accounts - 2, accounts - 1], vec![("c0", 1), ("", 2)]),
        ] {
            let rows = rows(&Snapshot::of(&text, 0, vec![report(&bound)]));
            let rows: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.sessions)).collect();
            assert_eq!(rows, expected);
        }
    }
}
