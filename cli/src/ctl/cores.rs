//! `ctl cores`.

use super::view::{Earlier, View, rate};
use crate::admin::api::cores::{CoreRow, Cores};
use crate::style::{Style, grouped, table};

const HEAD: [&str; 12] = [
    "core",
    "clients",
    "bound",
    "servers",
    "MT",
    "MO",
    "held",
    "to cores",
    "from cores",
    "refused",
    "MT/s",
    "MO/s",
];

impl View for Cores {
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String {
        let row = |core: &CoreRow| {
            let same = |earlier: &Self, figure: fn(&CoreRow) -> u64| {
                earlier
                    .cores
                    .iter()
                    .find(|other| other.core == core.core)
                    .map(figure)
            };
            let mut row = vec![core.core.to_string()];
            row.extend(
                [
                    core.client_connections,
                    core.client_sessions,
                    core.server_sessions,
                    core.client_requests,
                    core.mobile_originated,
                    core.held_requests,
                    core.core_messages_sent,
                    core.core_messages_received,
                    core.core_messages_refused,
                ]
                .map(grouped),
            );
            row.push(rate(before, core.client_requests, |earlier| {
                same(earlier, |core| core.client_requests)
            }));
            row.push(rate(before, core.mobile_originated, |earlier| {
                same(earlier, |core| core.mobile_originated)
            }));
            row
        };
        table(style, &HEAD, &self.cores.iter().map(row).collect::<Vec<_>>())
    }
}
