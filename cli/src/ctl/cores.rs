//! `ctl cores`.

use super::view::{Cell, Earlier, Row, View, rows_table};
use crate::admin::api::cores::{CoreRow, Cores};
use crate::style::Style;

impl Row for CoreRow {
    const COLUMNS: &'static [(&'static str, Cell<Self>)] = &[
        ("core", Cell::Text(|row| row.core.to_string())),
        ("clients", Cell::Figure(|row| row.client_connections)),
        ("bound", Cell::Figure(|row| row.client_sessions)),
        ("servers", Cell::Figure(|row| row.server_sessions)),
        ("MT", Cell::Figure(|row| row.client_requests)),
        ("MO", Cell::Figure(|row| row.mobile_originated)),
        ("held", Cell::Figure(|row| row.held_requests)),
        ("to cores", Cell::Figure(|row| row.core_messages_sent)),
        ("from cores", Cell::Figure(|row| row.core_messages_received)),
        ("refused", Cell::Figure(|row| row.core_messages_refused)),
        ("MT/s", Cell::Rate(|row| row.client_requests)),
        ("MO/s", Cell::Rate(|row| row.mobile_originated)),
    ];

    fn is_same(&self, other: &Self) -> bool {
        self.core == other.core
    }
}

impl View for Cores {
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String {
        rows_table(style, self, before, |answer| &answer.cores)
    }
}
