//! `ctl servers`.

use super::view::{Earlier, View, rate};
use crate::admin::api::servers::{ServerRow, Servers};
use crate::style::{Style, grouped, table};

const HEAD: [&str; 13] = [
    "server", "state", "uid", "address", "sessions", "prio", "weight", "waiting", "requests", "answers",
    "errors", "MO", "req/s",
];

impl View for Servers {
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String {
        let row = |server: &ServerRow| {
            let then = |earlier: &Self| {
                let same = earlier.servers.iter().find(|other| other.name == server.name)?;
                Some(same.requests)
            };
            let mut row = vec![
                server.name.clone(),
                server.state().to_owned(),
                server.uid.clone(),
                server.addresses.join(" "),
            ];
            row.push(server.sessions.to_string());
            row.push(server.priority.to_string());
            row.push(server.weight.to_string());
            row.extend(
                [
                    server.outstanding,
                    server.requests,
                    server.answers,
                    server.errors,
                    server.mobile_originated,
                ]
                .map(grouped),
            );
            row.push(rate(before, server.requests, then));
            row
        };
        table(style, &HEAD, &self.servers.iter().map(row).collect::<Vec<_>>())
    }
}

impl ServerRow {
    fn state(&self) -> &'static str {
        match (self.is_draining, self.sessions) {
            (true, _) if self.outstanding == 0 => "drained",
            (true, _) => "draining",
            (false, 0) => "down",
            (false, _) => "up",
        }
    }
}
