//! `ctl clients`.

use super::view::{Cell, Earlier, Row, View, rows_table};
use crate::admin::api::clients::{ClientRow, Clients};
use crate::style::{Style, grouped};

impl Row for ClientRow {
    const COLUMNS: &'static [(&'static str, Cell<Self>)] = &[
        ("client", Cell::Text(|row| row.name().to_owned())),
        ("state", Cell::Text(|row| row.state().to_owned())),
        ("sessions", Cell::Figure(|row| row.sessions)),
        ("waiting", Cell::Figure(|row| row.outstanding)),
        ("window", Cell::Figure(|row| row.window)),
        ("held", Cell::Figure(|row| row.held_requests)),
        ("requests", Cell::Figure(|row| row.requests)),
        ("answers", Cell::Figure(|row| row.answers)),
        ("errors", Cell::Figure(|row| row.errors)),
        ("MO", Cell::Figure(|row| row.deliveries)),
        ("MO errors", Cell::Figure(|row| row.delivery_errors)),
        ("req/s", Cell::Rate(|row| row.requests)),
        ("MO/s", Cell::Rate(|row| row.deliveries)),
    ];

    fn is_same(&self, other: &Self) -> bool {
        self.system_id == other.system_id
    }
}

impl View for Clients {
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String {
        let mut text = rows_table(style, self, before, |answer| &answer.clients);
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
    pub(crate) fn name(&self) -> &str {
        if self.system_id.is_empty() {
            "(forwarded)"
        } else {
            &self.system_id
        }
    }

    pub(crate) fn state(&self) -> &'static str {
        match (self.is_draining, self.sessions) {
            (true, 0) => "drained",
            (true, _) => "draining",
            (false, 0) => "gone",
            (false, _) => "bound",
        }
    }
}
