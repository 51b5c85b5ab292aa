//! `ctl clients`.

use super::view::{Earlier, View, rate};
use crate::admin::api::clients::{ClientRow, Clients};
use crate::style::{Style, grouped, table};

const HEAD: [&str; 13] = [
    "client",
    "state",
    "sessions",
    "waiting",
    "window",
    "held",
    "requests",
    "answers",
    "errors",
    "MO",
    "MO errors",
    "req/s",
    "MO/s",
];

impl View for Clients {
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String {
        let row = |client: &ClientRow| {
            let same = |earlier: &Self, figure: fn(&ClientRow) -> u64| {
                let mut rows = earlier.clients.iter();
                rows.find(|other| other.system_id == client.system_id).map(figure)
            };
            let name = if client.system_id.is_empty() {
                "(forwarded)"
            } else {
                &client.system_id
            };
            let mut row = vec![name.to_owned(), client.state().to_owned()];
            row.extend(
                [
                    client.sessions,
                    client.outstanding,
                    client.window,
                    client.held_requests,
                    client.requests,
                    client.answers,
                    client.errors,
                    client.deliveries,
                    client.delivery_errors,
                ]
                .map(grouped),
            );
            row.push(rate(before, client.requests, |earlier| {
                same(earlier, |row| row.requests)
            }));
            row.push(rate(before, client.deliveries, |earlier| {
                same(earlier, |row| row.deliveries)
            }));
            row
        };
        let mut text = table(style, &HEAD, &self.clients.iter().map(row).collect::<Vec<_>>());
        if self.left_out > 0 {
            text += &style.quiet(&format!(
                "and {} more: ask with --prefix or --limit\n",
                grouped(self.left_out)
            ));
        }
        text
    }
}

impl ClientRow {
    fn state(&self) -> &'static str {
        match (self.is_draining, self.sessions) {
            (true, 0) => "drained",
            (true, _) => "draining",
            (false, 0) => "gone",
            (false, _) => "bound",
        }
    }
}
