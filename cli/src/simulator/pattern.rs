//! Texts with counters: `esme{n}`, `4477009{n:06}`.
//!
//! `{n}` is the number of the account or of the message, `{c}` the number of the connection, from 1. With a width
//! (`{n:06}`) a number is padded with zeros and starts again when it outgrows the width, so the text keeps its length.

use std::fmt;
use std::str::FromStr;

/// What the counters of a pattern stand at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// `{n}`.
    pub(crate) number: u64,
    /// `{c}`.
    pub(crate) connection: u64,
}

/// A text with counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Number(usize),
    Connection(usize),
}

impl Pattern {
    /// Appends the text for these counters.
    pub(crate) fn render(&self, counters: Counters, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Number(width) => push_decimal(counters.number, *width, out),
                Part::Connection(width) => push_decimal(counters.connection, *width, out),
            }
        }
    }

    /// The text for these counters.
    pub(crate) fn rendered(&self, counters: Counters) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len());
        self.render(counters, &mut out);
        out
    }

    /// Whether any counter stands in it.
    pub(crate) fn has_counter(&self) -> bool {
        self.parts.iter().any(|part| !matches!(part, Part::Literal(_)))
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            if open > 0 {
                parts.push(Part::Literal(rest[..open].to_owned()));
            }
            let close = rest.find('}').filter(|close| *close > open);
            let close = close.ok_or_else(|| format!("`{text}`: a `{{` without its `}}`"))?;
            let counter = parse_counter(&rest[open + 1..close]);
            parts.push(
                counter
                    .ok_or_else(|| format!("`{text}`: counters are {{n}}, {{n:06}}, {{c}} and {{c:03}}"))?,
            );
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

const WIDTH_MAX: usize = 18;

fn parse_counter(text: &str) -> Option<Part> {
    let (name, width) = match text.split_once(':') {
        Some((name, width)) => (
            name,
            width
                .parse()
                .ok()
                .filter(|width| (1..=WIDTH_MAX).contains(width))?,
        ),
        None => (text, 0),
    };
    match name {
        "n" => Some(Part::Number(width)),
        "c" => Some(Part::Connection(width)),
        _ => None,
    }
}

/// Appends `number`, to exactly `width` digits unless that is zero.
fn push_decimal(number: u64, width: usize, out: &mut Vec<u8>) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [b'0'; DIGITS_MAX];
    let mut at = DIGITS_MAX;
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let from = if width == 0 { at } else { DIGITS_MAX - width };
    out.extend_from_slice(&digits[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(pattern: &str, number: u64) -> String {
        let pattern: Pattern = pattern.parse().expect("a pattern");
        let counters = Counters {
            number,
            connection: 3,
        };
        String::from_utf8(pattern.rendered(counters)).expect("text")
    }

    /// Goal: counters are padded, wrap at their width, and literals stay as they are.
    #[test]
    fn counters_are_padded_and_wrap() {
        assert_eq!(render("esme{n}", 12), "esme12");
        assert_eq!(render("4477009{n:06}", 42), "4477009000042");
        assert_eq!(render("{n:03}", 12_345), "345");
        assert_eq!(render("{c:02}-{n}!", 0), "03-0!");
        assert_eq!(render("plain", 1), "plain");
        assert_eq!(render("{n}", u64::MAX), u64::MAX.to_string());
        for wrong in ["{", "{x}", "{n:0}", "{n:99}", "a}{n"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
