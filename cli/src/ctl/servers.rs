//! `ctl servers`.

use super::view::{Cell, Earlier, Row, View, rows_table};
use crate::admin::api::servers::{ServerRow, Servers};
use crate::style::Style;

impl Row for ServerRow {
    const COLUMNS: &'static [(&'static str, Cell<Self>)] = &[
        ("server", Cell::Text(|row| row.name.clone())),
        ("state", Cell::Text(|row| row.state().to_owned())),
        ("uid", Cell::Text(|row| row.uid.clone())),
        ("address", Cell::Text(|row| row.addresses.join(" "))),
        ("sessions", Cell::Figure(|row| row.sessions)),
        ("prio", Cell::Figure(|row| row.priority.into())),
        ("weight", Cell::Figure(|row| row.weight.into())),
        ("waiting", Cell::Figure(|row| row.outstanding)),
        ("requests", Cell::Figure(|row| row.requests)),
        ("answers", Cell::Figure(|row| row.answers)),
        ("errors", Cell::Figure(|row| row.errors)),
        ("MO", Cell::Figure(|row| row.mobile_originated)),
        ("req/s", Cell::Rate(|row| row.requests)),
    ];

    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl View for Servers {
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String {
        rows_table(style, self, before, |answer| &answer.servers)
    }
}

impl ServerRow {
    pub(crate) fn state(&self) -> &'static str {
        match (self.is_draining, self.sessions) {
            (true, _) if self.outstanding == 0 => "drained",
            (true, _) => "draining",
            (false, 0) => "down",
            (false, _) if self.ejected_cores > 0 => "ejected",
            (false, _) if self.trial_cores > 0 => "trial",
            (false, _) if self.share_percent < 100 => "starting",
            (false, _) => "up",
        }
    }
}
