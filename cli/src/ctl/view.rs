//! Showing one kind of answer: once or again and again, as a table or as JSON.

use super::client::{Client, parse};
use crate::arguments::CtlArguments;
use crate::exit::Failure;
use crate::style::{Style, grouped, table};
use serde::de::DeserializeOwned;
use std::io::{self, IsTerminal as _, Write as _};
use std::thread;
use std::time::Instant;

/// Clears the screen and goes to its first place (ECMA-48 sections 8.3.21 and 8.3.39).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Stands where there is no figure.
pub(crate) const NONE: &str = "-";

/// An answer that can be shown as text.
pub(super) trait View: DeserializeOwned {
    /// The text. With the answer before this one there can be rates.
    fn render(&self, style: Style, before: Option<&Earlier<Self>>) -> String;
}

/// The answer before this one.
#[derive(Debug)]
pub(super) struct Earlier<T> {
    pub(super) answer: T,
    /// The time between the two.
    pub(super) seconds: f64,
}

/// A counter's growth per second; a dash where there is nothing to compare.
pub(super) fn rate<T>(before: Option<&Earlier<T>>, now: u64, then: impl Fn(&T) -> Option<u64>) -> String {
    before
        .filter(|earlier| earlier.seconds > 0.0)
        .and_then(|earlier| Some((then(&earlier.answer)?, earlier.seconds)))
        .map_or(NONE.to_owned(), |(then, seconds)| {
            grouped((now.saturating_sub(then) as f64 / seconds).round() as u64)
        })
}

/// What stands in a column of a table.
pub(super) enum Cell<R: 'static> {
    /// A text.
    Text(fn(&R) -> String),
    /// A number.
    Figure(fn(&R) -> u64),
    /// How much a number grows in a second.
    Rate(fn(&R) -> u64),
}

/// A row that comes again in the next answer.
pub(super) trait Row: Sized + 'static {
    /// Head and content of each column.
    const COLUMNS: &'static [(&'static str, Cell<Self>)];

    /// Whether both are about the same.
    fn is_same(&self, other: &Self) -> bool;
}

/// A table of an answer's rows.
pub(super) fn rows_table<T, R: Row>(
    style: Style,
    answer: &T,
    before: Option<&Earlier<T>>,
    rows: impl Fn(&T) -> &[R],
) -> String {
    let cell = |row: &R, cell: &Cell<R>| match cell {
        Cell::Text(text) => text(row),
        Cell::Figure(figure) => grouped(figure(row)),
        Cell::Rate(figure) => rate(before, figure(row), |earlier| {
            let mut earlier = rows(earlier).iter();
            earlier.find(|other| other.is_same(row)).map(figure)
        }),
    };
    let head: Vec<&str> = R::COLUMNS.iter().map(|(head, _)| *head).collect();
    let cells = |row: &R| R::COLUMNS.iter().map(|(_, content)| cell(row, content)).collect();
    let rows: Vec<Vec<String>> = rows(answer).iter().map(cells).collect();
    table(style, &head, &rows)
}

/// Shows what is at a path.
pub(super) fn show<V: View>(client: &Client, arguments: &CtlArguments, path: &str) -> Result<(), Failure> {
    let style = Style::of(&io::stdout());
    let clears = arguments.watch.is_some() && io::stdout().is_terminal();
    let mut earlier: Option<(V, Instant)> = None;
    loop {
        let text = client.get(path)?;
        let now = Instant::now();
        let mut shown = String::new();
        if clears {
            shown.push_str(CLEAR);
        }
        if arguments.json {
            shown.push_str(text.trim_end());
            shown.push('\n');
        } else {
            let answer: V = parse(&text)?;
            let before = earlier.take().map(|(answer, at)| Earlier {
                answer,
                seconds: now.saturating_duration_since(at).as_secs_f64(),
            });
            shown.push_str(&answer.render(style, before.as_ref()));
            earlier = Some((answer, now));
        }
        let mut output = io::stdout().lock();
        if output
            .write_all(shown.as_bytes())
            .and_then(|()| output.flush())
            .is_err()
        {
            // The reader has gone away and wants no more.
            return Ok(());
        }
        drop(output);
        let Some(interval) = arguments.watch else {
            return Ok(());
        };
        thread::sleep(interval);
        if !arguments.json && !clears {
            crate::print("\n");
        }
    }
}
