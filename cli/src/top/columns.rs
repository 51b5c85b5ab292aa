//! Columns of tables, whatever the rows are: how a cell reads, how it is sorted by, and which columns go where there is no room.

use crate::ctl::NONE;
use crate::style::grouped;
use std::cmp::Ordering;

/// A column.
pub(super) struct Column<R: 'static> {
    pub(super) head: &'static str,
    /// The highest goes first where there is no room; 0 stays.
    pub(super) rank: u8,
    pub(super) cell: Cell<R>,
}

/// What a column shows of a row.
pub(super) enum Cell<R> {
    Text(fn(&R) -> String),
    Count(fn(&R) -> u64),
    Rate(fn(&R) -> f64),
    Seconds(fn(&R) -> Option<f64>),
    /// In whole seconds.
    Age(fn(&R) -> u64),
    /// From 0 to 1.
    Part(fn(&R) -> f64),
}

impl<R> Cell<R> {
    pub(super) fn text(&self, row: &R) -> String {
        match self {
            Self::Text(text) => text(row),
            Self::Count(count) => grouped(count(row)),
            Self::Rate(figure) => rate(figure(row)),
            Self::Seconds(figure) => seconds(figure(row)),
            Self::Age(age) => crate::ctl::readable(age(row) as f64),
            Self::Part(figure) => percent(figure(row)),
        }
    }

    pub(super) const fn is_number(&self) -> bool {
        !matches!(self, Self::Text(_))
    }

    /// Texts from A on, numbers from the smallest on.
    pub(super) fn compare(&self, one: &R, other: &R) -> Ordering {
        match self {
            Self::Text(text) => text(one).cmp(&text(other)),
            Self::Count(count) | Self::Age(count) => count(one).cmp(&count(other)),
            Self::Rate(figure) | Self::Part(figure) => figure(one).total_cmp(&figure(other)),
            Self::Seconds(figure) => figure(one)
                .unwrap_or(-1.0)
                .total_cmp(&figure(other).unwrap_or(-1.0)),
        }
    }
}

/// The columns that fit into a width: the place of each, and how wide it is.
pub(super) fn fitting<R>(columns: &[Column<R>], rows: &[&R], width: usize) -> Vec<(usize, usize)> {
    let natural = |column: &Column<R>| {
        let cells = rows.iter().map(|row| column.cell.text(row).chars().count());
        // The head has room for the arrow of the order.
        cells.max().unwrap_or(0).max(column.head.chars().count() + 1)
    };
    let mut fitting: Vec<(usize, usize)> = columns.iter().map(natural).enumerate().collect();
    let taken = |columns: &[(usize, usize)]| columns.iter().map(|(_, width)| width + 1).sum::<usize>();
    while taken(&fitting) > width + 1 {
        let rank = |(place, _): &(usize, usize)| columns.get(*place).map_or(0, |column| column.rank);
        // Of equals the last one goes.
        let Some(last) = (0..fitting.len()).max_by_key(|index| fitting.get(*index).map_or(0, rank)) else {
            break;
        };
        if fitting.get(last).map_or(0, rank) == 0 {
            break;
        }
        fitting.remove(last);
    }
    fitting
}

/// Something a second: whole from 10 on.
pub(super) fn rate(number: f64) -> String {
    if number >= 10.0 || number == 0.0 {
        grouped(number.round() as u64)
    } else {
        format!("{number:.1}")
    }
}

/// A time with its unit.
pub(super) fn seconds(seconds: Option<f64>) -> String {
    let (number, unit) = match seconds {
        None => return NONE.into(),
        Some(seconds) if seconds < 1e-3 => (seconds * 1e6, "us"),
        Some(seconds) if seconds < 1.0 => (seconds * 1e3, "ms"),
        Some(seconds) => (seconds, "s"),
    };
    let decimals = if number >= 100.0 { 0 } else { 1 };
    format!("{number:.decimals$} {unit}")
}

/// A part of 1.
pub(super) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: figures are short and have their units.
    #[test]
    fn figures_are_readable() {
        assert_eq!([0.0, 0.26, 9.96, 1234.5].map(rate), ["0", "0.3", "10.0", "1,235"]);
        assert_eq!(
            [None, Some(0.000_25), Some(0.0067), Some(2.5)].map(seconds),
            ["-", "250 us", "6.7 ms", "2.5 s"]
        );
        assert_eq!(percent(0.174), "17 %");
    }

    /// Goal: what does not fit goes by rank, and what is wanted above all stays even where nothing fits.
    #[test]
    fn columns_go_by_rank() {
        let column = |head, rank| Column {
            head,
            rank,
            cell: Cell::Count(|row: &u64| *row),
        };
        let columns = [
            column("aaaa", 0),
            column("bbbb", 2),
            column("cccc", 1),
            column("dddd", 2),
        ];
        let places = |width| {
            fitting(&columns, &[&7], width)
                .into_iter()
                .map(|(place, _)| place)
                .collect::<Vec<_>>()
        };
        assert_eq!(places(23), [0, 1, 2, 3]);
        assert_eq!(places(22), [0, 1, 2]);
        assert_eq!(places(12), [0, 2]);
        assert_eq!(places(3), [0]);
    }
}
