//! `ctl cores`.

use super::view::{Cell, Earlier, NONE, Row, View, rows_table};
use crate::admin::api::cores::{Buckets, CoreRow, Cores};
use crate::style::{Style, grouped};

impl Row for CoreRow {
    const COLUMNS: &'static [(&'static str, Cell<Self>)] = &[
        ("core", Cell::Text(|row| row.core.to_string())),
        ("clients", Cell::Figure(|row| row.client_connections)),
        ("bound", Cell::Figure(|row| row.client_sessions)),
        ("moved in", Cell::Figure(|row| row.connections_moved_in)),
        ("servers", Cell::Figure(|row| row.server_sessions)),
        ("MT", Cell::Figure(|row| row.client_requests)),
        ("MO", Cell::Figure(|row| row.mobile_originated)),
        ("buckets", Cell::Text(|row| or_none(row.buckets, ""))),
        ("of mean", Cell::Text(|row| or_none(row.load_percent, " %"))),
        ("held", Cell::Figure(|row| row.held_requests)),
        ("to cores", Cell::Figure(|row| row.core_messages_sent)),
        ("from cores", Cell::Figure(|row| row.core_messages_received)),
        ("refused", Cell::Figure(|row| row.core_messages_refused)),
        ("MT/s", Cell::Rate(|row| row.client_requests)),
        ("MO/s", Cell::Rate(|row| row.mobile_originated)),
        ("busy ms/s", Cell::Rate(|row| row.busy_milliseconds)),
    ];

    fn is_same(&self, other: &Self) -> bool {
        self.core == other.core
    }
}

impl View for Cores {
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String {
        let mut text = rows_table(style, self, before, |answer| &answer.cores);
        if let Some(buckets) = self.buckets.as_ref().filter(|buckets| buckets.is_automatic) {
            let Buckets {
                rewrites,
                moved_buckets,
                ..
            } = buckets;
            text.push_str(&match buckets.seconds_since_rewrite {
                Some(seconds) => format!(
                    "buckets rewritten {} times ({} moved), last {seconds:.0} s ago\n",
                    grouped(*rewrites),
                    grouped(*moved_buckets)
                ),
                None => "buckets never rewritten\n".to_owned(),
            });
        }
        text
    }
}

fn or_none(figure: Option<u64>, unit: &str) -> String {
    figure.map_or(NONE.to_owned(), |figure| format!("{}{unit}", grouped(figure)))
}
