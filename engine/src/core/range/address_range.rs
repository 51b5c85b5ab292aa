//! One address range: read, brought to a normal form, classified, matched and compared.

use super::expression::{Expression, Reading, is_printable, read_expression};
use super::literal_index::LiteralRank;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The longest text of a range, in octets. (On the wire SMPP allows 40; a configuration may say more.)
pub const RANGE_OCTETS_MAX: usize = 64;

/// A set of addresses, given as a UNIX regular expression; cheap to clone.
///
/// An expression is searched for anywhere in the address, as `^` and `$` allow. The exception is an expression that is
/// a plain literal (`888765`): it is a prefix, as operators mean it, and equal to `^888765`, `^888765.*` and `888765.*`.
#[derive(Clone)]
pub struct AddressRange(Arc<Inner>);

struct Inner {
    /// The normal form; printable ASCII.
    text: Box<str>,
    shape: Shape,
}

enum Shape {
    Exact(Literal),
    Prefix(Literal),
    Expression(Box<Expression>),
    Everything,
    Empty,
}

/// The literal of a range. Held apart from the text only where the text had to escape it.
enum Literal {
    InText { start: u8, end: u8 },
    Apart(Box<[u8]>),
}

/// How specific a range is; the first in order beats the later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RangeKind {
    /// One address: `^888765$`.
    Exact,
    /// All addresses that start with a literal: `888765`, `^888765`, `^888765.*`.
    Prefix,
    /// Any other regular expression: `5678$`, `^88[78]`.
    Expression,
    /// All addresses: `.*`.
    Everything,
    /// No text at all: a policy says what it means.
    Empty,
}

/// Why a text is no address range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// More than [`RANGE_OCTETS_MAX`] octets.
    TooLong {
        /// Octets given.
        octets: usize,
    },
    /// An octet that is no printable ASCII character.
    NotPrintable {
        /// Where it stands, from 0.
        at: usize,
    },
    /// Not a regular expression.
    Syntax(Box<str>),
    /// A regular expression whose automaton would take too much memory.
    TooComplex,
}

impl AddressRange {
    /// Reads the text of an address_range (without its NUL) or of a configured range.
    ///
    /// The dialect is extended (`|`, `+`, `?`, `{n}`, classes, `\d`). A `+` that nothing precedes, as in `+4479`, stands for itself.
    ///
    /// # Errors
    ///
    /// [`RangeError`]: too long, not printable, not a regular expression, or too complex a one.
    pub fn parse(text: &[u8]) -> Result<Self, RangeError> {
        if text.len() > RANGE_OCTETS_MAX {
            return Err(RangeError::TooLong { octets: text.len() });
        }
        if let Some(at) = text.iter().position(|octet| !is_printable(*octet)) {
            return Err(RangeError::NotPrintable { at });
        }
        Ok(match read_expression(text)? {
            Reading::Empty => Self::from_parts(String::new(), Shape::Empty),
            Reading::Everything => Self::everything(),
            Reading::Exact(literal) => Self::from_literal("^", &literal, "$", Shape::Exact),
            Reading::Prefix(literal) => Self::from_literal("", &literal, "", Shape::Prefix),
            Reading::Expression(expression) => Self::from_parts(
                expression.text().to_owned(),
                Shape::Expression(Box::new(expression)),
            ),
        })
    }

    /// All addresses.
    pub fn everything() -> Self {
        Self::from_parts(".*".to_owned(), Shape::Everything)
    }

    /// The empty range, which a bind has that claims nothing in particular.
    pub fn empty() -> Self {
        Self::from_parts(String::new(), Shape::Empty)
    }

    fn from_literal(before: &str, literal: &[u8], behind: &str, shape: fn(Literal) -> Shape) -> Self {
        let escaped = escape(literal);
        let literal = if escaped.as_bytes() == literal {
            let start = before.len() as u8;
            Literal::InText {
                start,
                end: start + literal.len() as u8,
            }
        } else {
            Literal::Apart(literal.into())
        };
        Self::from_parts(format!("{before}{escaped}{behind}"), shape(literal))
    }

    fn from_parts(text: String, shape: Shape) -> Self {
        Self(Arc::new(Inner {
            text: text.into(),
            shape,
        }))
    }

    /// How specific the range is.
    pub fn kind(&self) -> RangeKind {
        match &self.0.shape {
            Shape::Exact(_) => RangeKind::Exact,
            Shape::Prefix(_) => RangeKind::Prefix,
            Shape::Expression(_) => RangeKind::Expression,
            Shape::Everything => RangeKind::Everything,
            Shape::Empty => RangeKind::Empty,
        }
    }

    /// How specific it is among literal ranges; `None` for any other.
    pub(in crate::core) fn literal_rank(&self) -> Option<LiteralRank> {
        let octets = self.literal()?.len();
        match self.kind() {
            RangeKind::Exact => Some(LiteralRank::exact(octets)),
            RangeKind::Prefix => Some(LiteralRank::prefix(octets)),
            RangeKind::Expression | RangeKind::Everything | RangeKind::Empty => None,
        }
    }

    /// The normal form, printable ASCII: what equal ranges share. Parses to an equal range, but where the escapes of its signs
    /// make it longer than [`RANGE_OCTETS_MAX`].
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether the range holds `address`. The empty range, which restricts nothing, holds every address.
    pub fn matches(&self, address: &[u8]) -> bool {
        match &self.0.shape {
            Shape::Exact(literal) => address == self.octets_of(literal),
            Shape::Prefix(literal) => address.starts_with(self.octets_of(literal)),
            Shape::Expression(expression) => expression.matches(address),
            Shape::Everything | Shape::Empty => true,
        }
    }

    /// Whether an account that was granted `self` may claim `claim`.
    ///
    /// Never true when `claim` holds an address that `self` does not. It may be false for a claim that lies inside all
    /// the same: deciding that between any two expressions is not cheap. Claims that are literal, or whose every match
    /// starts with a known literal, are decided.
    pub fn covers(&self, claim: &Self) -> bool {
        if self == claim {
            return true;
        }
        match (&self.0.shape, &claim.0.shape) {
            (Shape::Everything, _) => true,
            (Shape::Prefix(allowed), Shape::Exact(literal) | Shape::Prefix(literal)) => {
                claim.octets_of(literal).starts_with(self.octets_of(allowed))
            }
            (Shape::Prefix(allowed), Shape::Expression(expression)) => {
                let allowed = self.octets_of(allowed);
                expression.starts_always_with(|start| start.starts_with(allowed))
            }
            (Shape::Expression(allowed), Shape::Exact(literal)) => allowed.matches(claim.octets_of(literal)),
            (Shape::Expression(allowed), Shape::Prefix(literal)) => {
                allowed.matches_all_that_start_with(claim.octets_of(literal))
            }
            (Shape::Expression(allowed), Shape::Expression(expression)) => {
                expression.starts_always_with(|start| allowed.matches_all_that_start_with(start))
            }
            _ => false,
        }
    }

    /// Octets of the literal of an exact or prefix range; `None` for any other.
    pub fn literal_octets(&self) -> Option<usize> {
        self.literal().map(<[u8]>::len)
    }

    /// The literal of an exact or prefix range.
    pub(super) fn literal(&self) -> Option<&[u8]> {
        match &self.0.shape {
            Shape::Exact(literal) | Shape::Prefix(literal) => Some(self.octets_of(literal)),
            Shape::Expression(_) | Shape::Everything | Shape::Empty => None,
        }
    }

    /// The expression of a range that is neither a literal nor everything.
    pub(super) fn expression(&self) -> Option<&Expression> {
        match &self.0.shape {
            Shape::Expression(expression) => Some(expression),
            _ => None,
        }
    }

    fn octets_of<'a>(&'a self, literal: &'a Literal) -> &'a [u8] {
        match literal {
            Literal::InText { start, end } => &self.0.text.as_bytes()[usize::from(*start)..usize::from(*end)],
            Literal::Apart(octets) => octets,
        }
    }
}

impl PartialEq for AddressRange {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.text() == other.text()
    }
}

impl Eq for AddressRange {}

impl Hash for AddressRange {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl fmt::Debug for AddressRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {:?}", self.kind(), self.text())
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { octets } => {
                write!(
                    formatter,
                    "{octets} octets, an address range has {RANGE_OCTETS_MAX} at most"
                )
            }
            Self::NotPrintable { at } => write!(formatter, "octet {at} is no printable ASCII character"),
            Self::Syntax(reason) => write!(formatter, "not a regular expression: {reason}"),
            Self::TooComplex => formatter.write_str("the regular expression is too complex"),
        }
    }
}

impl std::error::Error for RangeError {}

/// A printable `literal` as an expression that matches it.
fn escape(literal: &[u8]) -> String {
    let mut text = String::with_capacity(literal.len());
    for octet in literal {
        if br"\.+*?()|[]{}^$".contains(octet) {
            text.push('\\');
        }
        text.push(char::from(*octet));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn range(text: &str) -> AddressRange {
        AddressRange::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Texts of every kind over a small alphabet, so that ranges, claims and addresses meet.
    fn any_text() -> impl Strategy<Value = String> {
        let digits = "[12]{0,4}";
        prop_oneof![
            4 => digits,
            2 => digits.prop_map(|digits| format!("^{digits}")),
            2 => digits.prop_map(|digits| format!("^{digits}$")),
            1 => digits.prop_map(|digits| format!("{digits}.*")),
            1 => digits.prop_map(|digits| format!("\\+{digits}")),
            6 => r"\^?[12]{0,2}(\[12\]|\[\^2\]|\.|\(1\|2\)|\(12\|2\)|\(\?i\)|\||\\d|\\b|\\n|1\?|2\*|1\+|\(1\|\)|\{2\}){1,3}[12]{0,2}(\.\*)?\$?",
        ]
    }

    fn any_range() -> impl Strategy<Value = AddressRange> {
        any_text().prop_filter_map("no expression", |text| AddressRange::parse(text.as_bytes()).ok())
    }

    fn any_address() -> impl Strategy<Value = Vec<u8>> {
        vec(
            prop_oneof![8 => Just(b'1'), 8 => Just(b'2'), 1 => Just(b'+'), 1 => Just(b'\n'), 1 => any::<u8>()],
            0..8,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Goal: a granted range never covers a claim that holds an address outside it; every range covers itself.
        #[test]
        fn covering_is_sound(granted in any_range(), claim in any_range(), addresses in vec(any_address(), 20)) {
            prop_assert!(claim.covers(&claim));
            if granted.covers(&claim) {
                for address in addresses {
                    prop_assert!(!claim.matches(&address) || granted.matches(&address), "{granted:?} {claim:?} {address:?}");
                }
            }
        }

        /// Goal: the normal form parses to an equal range of the same kind, whatever literal is inside.
        #[test]
        fn the_normal_form_is_stable(range in any_range(), literal in "[ -~]{1,20}") {
            let again = AddressRange::parse(range.text().as_bytes()).expect("a normal form");
            prop_assert_eq!(&again, &range);
            prop_assert_eq!(again.kind(), range.kind());
            let prefix = AddressRange::parse(escape(literal.as_bytes()).as_bytes()).expect("an escaped literal");
            prop_assert_eq!(prefix.kind(), RangeKind::Prefix);
            prop_assert_eq!(prefix.literal(), Some(literal.as_bytes()));
        }

        /// Goal: the classification agrees with the regular expression that was written, search semantics, except that a
        /// literal is anchored at the front.
        #[test]
        fn classification_keeps_the_meaning(text in any_text(), address in any_address()) {
            if let Ok(range) = AddressRange::parse(text.as_bytes()) {
                let is_plain_prefix = range.kind() == RangeKind::Prefix && !text.starts_with('^');
                let written = if is_plain_prefix { format!("^(?:{text})") } else { text };
                let plain = regex::bytes::RegexBuilder::new(&written)
                    .unicode(false)
                    .dot_matches_new_line(true)
                    .build()
                    .expect("an expression");
                prop_assert_eq!(range.matches(&address), plain.is_match(&address), "{:?} {:?}", range, address);
            }
        }

        /// Goal: no octets make the reader panic.
        #[test]
        fn hostile_texts_are_refused_or_read(text in vec(any::<u8>(), 0..70)) {
            if let Ok(range) = AddressRange::parse(&text) {
                range.matches(&text);
            }
        }
    }

    /// Goal: each way to write a range has the kind and the normal form that the documentation promises.
    #[test]
    fn texts_are_classified() {
        let cases = [
            ("888765", RangeKind::Prefix, "888765"),
            ("^888765", RangeKind::Prefix, "888765"),
            ("^888765.*", RangeKind::Prefix, "888765"),
            ("^888765.*$", RangeKind::Prefix, "888765"),
            ("888765.*", RangeKind::Prefix, "888765"),
            ("888765*", RangeKind::Expression, "888765*"),
            ("^888765$", RangeKind::Exact, "^888765$"),
            ("888765$", RangeKind::Expression, "888765$"),
            ("^(1|2)3", RangeKind::Expression, "^(1|2)3"),
            ("+4479", RangeKind::Prefix, "\\+4479"),
            ("^\\+4479", RangeKind::Prefix, "\\+4479"),
            ("^+4479$", RangeKind::Exact, "^\\+4479$"),
            ("^Bank-1$", RangeKind::Exact, "^Bank-1$"),
            ("[13579]$", RangeKind::Expression, "[13579]$"),
            ("[^13579]$", RangeKind::Expression, "[^13579]$"),
            (".*", RangeKind::Everything, ".*"),
            ("^.*$", RangeKind::Everything, ".*"),
            ("^", RangeKind::Everything, ".*"),
            ("^$", RangeKind::Exact, "^$"),
            ("", RangeKind::Empty, ""),
        ];
        for (text, kind, normal_form) in cases {
            let range = range(text);
            assert_eq!((range.kind(), range.text()), (kind, normal_form), "{text}");
        }
        assert_eq!(range("^888765.*"), range("888765"));
    }

    /// Goal: what an account may claim under a grant, beyond what soundness alone says.
    #[test]
    fn claims_inside_a_grant_are_accepted() {
        let accepted = [
            (".*", "5678$"),
            (".*", ""),
            ("888", "888765"),
            ("888", "^888765$"),
            ("888", "^888[0-5]"),
            ("888", "^888(76|77)$"),
            ("888", "^(8887|88899)"),
            ("^88[78]", "888765"),
            ("^88[78]", "^888765$"),
            ("^88[78]", "^888(1|2)$"),
            ("^[0-9]{4}$", "^1234$"),
            ("5678$", "5678$"),
        ];
        for (granted, claim) in accepted {
            assert!(range(granted).covers(&range(claim)), "{granted} {claim}");
        }
        let refused = [
            ("888", ".*"),
            ("888", ""),
            ("888", "88"),
            ("888", "887"),
            ("888", "888[0-5]"),
            ("888", "^888|5"),
            ("888", "^88(8|7)"),
            ("888", "^888*"),
            ("^888$", "888"),
            ("^[0-9]{4}$", "1234"),
            ("", "888"),
        ];
        for (granted, claim) in refused {
            assert!(!range(granted).covers(&range(claim)), "{granted} {claim}");
        }
    }

    /// Goal: each rule of a text is named by its error.
    #[test]
    fn bad_texts_are_refused() {
        assert_eq!(
            AddressRange::parse(&[b'1'; 65]).err(),
            Some(RangeError::TooLong { octets: 65 })
        );
        assert_eq!(
            AddressRange::parse(b"12\x0013").err(),
            Some(RangeError::NotPrintable { at: 2 })
        );
        assert!(matches!(
            AddressRange::parse(b"(12").err(),
            Some(RangeError::Syntax(_))
        ));
        assert!(matches!(
            AddressRange::parse(b"*").err(),
            Some(RangeError::Syntax(_))
        ));
        assert_eq!(
            AddressRange::parse(b"((.{99}){99}){99}").err(),
            Some(RangeError::TooComplex)
        );
        let nested = "(".repeat(30) + "1" + &")".repeat(30);
        assert!(matches!(
            AddressRange::parse(nested.as_bytes()).err(),
            Some(RangeError::Syntax(_))
        ));
    }
}
