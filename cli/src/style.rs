//! How text looks: colours where there is a terminal that wants them, columns that line up, numbers that people can read.

use std::io::IsTerminal;

/// Whether a stream gets colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// Colours on a terminal, unless NO_COLOR is set (no-color.org) or the terminal is a dumb one.
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            coloured: stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb,
        }
    }

    /// No colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { coloured: false };

    /// Colours.
    #[cfg(test)]
    pub(crate) const COLOURED: Self = Self { coloured: true };

    pub(crate) const fn is_coloured(self) -> bool {
        self.coloured
    }

    pub(crate) fn heading(self, text: &str) -> String {
        self.wrapped("1", text)
    }

    pub(crate) fn quiet(self, text: &str) -> String {
        self.wrapped("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.wrapped("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.wrapped("1;31", text)
    }

    /// Select Graphic Rendition, ECMA-48 section 8.3.117.
    fn wrapped(self, code: &str, text: &str) -> String {
        if self.coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A number with a comma at every thousand.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A table: the first column and texts to the left, numbers to the right, each as wide as its widest cell.
pub(crate) fn table(style: Style, head: &[&str], rows: &[Vec<String>]) -> String {
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(head.get(column).map_or(0, |title| title.chars().count()))
    };
    let columns: Vec<Column> = (0..head.len())
        .map(|column| Column {
            width: width_of(column),
            is_right: column > 0
                && rows
                    .iter()
                    .all(|row| row.get(column).is_none_or(|cell| is_number(cell))),
        })
        .collect();
    let titles: Vec<String> = head.iter().copied().map(str::to_owned).collect();
    let mut text = style.heading(&line(&columns, &titles)) + "\n";
    for row in rows {
        text += &line(&columns, row);
        text.push('\n');
    }
    text
}

#[derive(Clone, Copy)]
struct Column {
    width: usize,
    is_right: bool,
}

/// A number, perhaps with its unit, or the dash that stands for none.
fn is_number(cell: &str) -> bool {
    cell.is_empty()
        || cell == "-"
        || cell.starts_with(|first: char| first.is_ascii_digit()) && !cell.contains([':', ','].as_slice())
        || cell
            .chars()
            .all(|character| character.is_ascii_digit() || character == ',')
}

fn line(columns: &[Column], cells: &[String]) -> String {
    let mut text = String::new();
    for (place, (Column { width, is_right }, cell)) in columns.iter().zip(cells).enumerate() {
        let gap = if place == 0 { "" } else { "  " };
        text += &if *is_right {
            format!("{gap}{cell:>width$}")
        } else {
            format!("{gap}{cell:<width$}")
        };
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: numbers of every length are grouped right.
    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    /// Goal: columns line up whatever is in them; colours are around the text and never in a plain table.
    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["MT".to_owned(), "1,234,567".to_owned()],
            vec!["MO submit".to_owned(), "7".to_owned()],
        ];
        let plain = table(Style::PLAIN, &["way", "sent"], &rows);
        assert_eq!(
            plain,
            "way             sent\nMT         1,234,567\nMO submit          7\n"
        );
        let coloured = table(Style::COLOURED, &["way", "sent"], &rows);
        assert_eq!(coloured.replace("\x1b[1m", "").replace("\x1b[0m", ""), plain);
        assert_eq!(Style::COLOURED.good("ok"), "\x1b[32mok\x1b[0m");
    }
}
