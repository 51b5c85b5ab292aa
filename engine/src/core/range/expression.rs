//! Regular expressions: what kind of range a text is, and what can be said of an expression without running it.
//!
//! Everything that is said here of "every match" is sound for search semantics (an expression may match anywhere), because
//! it is read off the parsed form: alternation, flags, groups and comments cannot hide anything from it.

use super::address_range::{RANGE_OCTETS_MAX, RangeError};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, Hir, HirKind, Look, LookSet, Repetition};
use std::cmp::Ordering;
use std::fmt;

/// Memory of one expression's automaton, in octets.
const AUTOMATON_OCTETS_MAX: usize = 64 * 1024;

/// Memory that one expression may use to cache states while it searches, in octets.
const STATE_CACHE_OCTETS_MAX: usize = 64 * 1024;

/// How deep groups may nest.
const NESTING_MAX: u32 = 16;

/// More literals than these at the start of an expression are not told apart.
const STARTS_MAX: usize = 64;

/// What a text turned out to be.
pub(super) enum Reading {
    Empty,
    Everything,
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    Expression(Expression),
}

/// A regular expression that is neither a literal nor everything.
pub(super) struct Expression {
    text: Box<str>,
    regex: Regex,
    /// Every match lies at the front of the address and starts with one of these; empty when nothing is known.
    starts: Box<[Box<[u8]>]>,
    /// What all of `starts` have in common.
    common_start_octets: usize,
    /// A match of an address is a match of every longer one: no assertion looks at what follows.
    open_ended: bool,
}

impl Expression {
    /// The text that the expression was read from.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The automaton.
    pub(super) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// What every address that matches starts with; may be empty.
    pub(super) fn common_start(&self) -> &[u8] {
        match self.starts.first() {
            Some(start) => &start[..self.common_start_octets],
            None => &[],
        }
    }

    /// Whether the expression matches `address`.
    pub(super) fn matches(&self, address: &[u8]) -> bool {
        address.starts_with(self.common_start()) && self.regex.is_match(address)
    }

    /// Whether every address that starts with `start` is known to match.
    pub(super) fn matches_all_that_start_with(&self, start: &[u8]) -> bool {
        self.open_ended && self.matches(start)
    }

    /// Whether every address that matches is known to start with a literal that `accepts` takes.
    pub(super) fn starts_always_with(&self, accepts: impl Fn(&[u8]) -> bool) -> bool {
        !self.starts.is_empty() && self.starts.iter().all(|start| accepts(start))
    }

    /// Which of two expressions is the more specific: the longer common start, then the order of the texts.
    pub(super) fn compare_specificity(&self, other: &Self) -> Ordering {
        (other.common_start_octets, &self.text).cmp(&(self.common_start_octets, &other.text))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whether an octet may stand in the text of a range.
pub(super) fn is_printable(octet: u8) -> bool {
    matches!(octet, b' '..=b'~')
}

/// Classifies a text of printable ASCII characters.
pub(super) fn read_expression(text: &[u8]) -> Result<Reading, RangeError> {
    if text.is_empty() {
        return Ok(Reading::Empty);
    }
    if let Some(reading) = read_plain(text) {
        return Ok(reading);
    }
    let text = with_leading_plus_escaped(text);
    if text.len() > RANGE_OCTETS_MAX {
        return Err(RangeError::TooLong { octets: text.len() });
    }
    let hir = parse(&text)?;
    if let Some(reading) = read_literal(&hir) {
        return Ok(reading);
    }
    Ok(Reading::Expression(compile(text, &hir)?))
}

/// The common forms, without the cost of a parser: `^`, letters and digits, `$`.
fn read_plain(text: &[u8]) -> Option<Reading> {
    let (anchored, rest) = match text {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (ends, literal) = match rest {
        [literal @ .., b'$'] => (true, literal),
        _ => (false, rest),
    };
    if literal.is_empty() || !literal.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    match (anchored, ends) {
        (true, true) => Some(Reading::Exact(literal.to_vec())),
        (_, false) => Some(Reading::Prefix(literal.to_vec())),
        (false, true) => None,
    }
}

/// International numbers are often written with a `+`, which is an operator without an operand at the start.
fn with_leading_plus_escaped(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if let Some(rest) = text.strip_prefix("^+") {
        format!("^\\+{rest}")
    } else if let Some(rest) = text.strip_prefix('+') {
        format!("\\+{rest}")
    } else {
        text.into_owned()
    }
}

fn parse(text: &str) -> Result<Hir, RangeError> {
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .nest_limit(NESTING_MAX)
        .build()
        .parse(text)
        .map_err(|error| match error {
            regex_syntax::Error::Parse(error) => RangeError::Syntax(error.kind().to_string().into()),
            regex_syntax::Error::Translate(error) => RangeError::Syntax(error.kind().to_string().into()),
            _ => RangeError::Syntax("not understood".into()),
        })
}

/// Recognises `^literal.*$` with any of its four parts left out.
fn read_literal(hir: &Hir) -> Option<Reading> {
    let whole = std::slice::from_ref(hir);
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => whole,
    };
    let (anchored, parts) = match parts {
        [first, rest @ ..] if *first.kind() == HirKind::Look(Look::Start) => (true, rest),
        _ => (false, parts),
    };
    let (ends, parts) = match parts {
        [rest @ .., last] if *last.kind() == HirKind::Look(Look::End) => (true, rest),
        _ => (false, parts),
    };
    let (open, parts) = match parts {
        [rest @ .., last] if is_any_text(last) => (true, rest),
        _ => (false, parts),
    };
    let literal = match parts {
        [] => &[],
        [one] => match one.kind() {
            HirKind::Empty => &[],
            HirKind::Literal(literal) if literal.0.iter().all(|octet| is_printable(*octet)) => &*literal.0,
            _ => return None,
        },
        _ => return None,
    };
    match (anchored, ends && !open) {
        (true, true) => Some(Reading::Exact(literal.to_vec())),
        _ if literal.is_empty() => Some(Reading::Everything),
        (false, true) => None,
        (_, false) => Some(Reading::Prefix(literal.to_vec())),
    }
}

/// `.*`, greedy or not.
fn is_any_text(hir: &Hir) -> bool {
    let HirKind::Repetition(Repetition {
        min: 0,
        max: None,
        sub,
        ..
    }) = hir.kind()
    else {
        return false;
    };
    match sub.kind() {
        HirKind::Class(Class::Bytes(class)) => {
            matches!(class.ranges(), [all] if (all.start(), all.end()) == (0, u8::MAX))
        }
        _ => false,
    }
}

fn compile(text: String, hir: &Hir) -> Result<Expression, RangeError> {
    let regex = RegexBuilder::new(&text)
        .unicode(false)
        .dot_matches_new_line(true)
        .nest_limit(NESTING_MAX)
        .size_limit(AUTOMATON_OCTETS_MAX)
        .dfa_size_limit(STATE_CACHE_OCTETS_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => RangeError::TooComplex,
            other => RangeError::Syntax(other.to_string().into()),
        })?;
    let starts = starts_of(hir);
    Ok(Expression {
        text: text.into(),
        regex,
        common_start_octets: common_start_octets(&starts),
        starts,
        open_ended: hir
            .properties()
            .look_set()
            .subtract(LookSet::singleton(Look::Start))
            .is_empty(),
    })
}

/// The literals that every match starts with, for an expression that only matches at the front of an address.
fn starts_of(hir: &Hir) -> Box<[Box<[u8]>]> {
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return Box::default();
    }
    let starts = Extractor::new().limit_total(STARTS_MAX).extract(hir);
    let literals = starts.literals().unwrap_or_default();
    literals.iter().map(|literal| literal.as_bytes().into()).collect()
}

fn common_start_octets(starts: &[Box<[u8]>]) -> usize {
    let Some((first, rest)) = starts.split_first() else {
        return 0;
    };
    rest.iter()
        .map(|start| {
            first
                .iter()
                .zip(start)
                .take_while(|(left, right)| left == right)
                .count()
        })
        .min()
        .unwrap_or(first.len())
}
