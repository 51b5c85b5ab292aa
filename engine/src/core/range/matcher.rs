//! A range that one core matches addresses with, on its own.

use super::address_range::AddressRange;
use regex::bytes::Regex;

/// The same addresses as an [`AddressRange`], without anything that is shared with other cores: an expression searches with
/// memory of its own.
#[derive(Clone, Debug)]
pub struct RangeMatcher(Shape);

#[derive(Clone, Debug)]
enum Shape {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Expression { start: Box<[u8]>, regex: Regex },
    Everything,
}

impl RangeMatcher {
    /// A matcher of one core's own.
    pub fn new(range: &AddressRange) -> Self {
        Self(match (range.literal(), range.expression()) {
            (Some(literal), _) if range.kind() == super::RangeKind::Exact => Shape::Exact(literal.into()),
            (Some(literal), _) => Shape::Prefix(literal.into()),
            (None, Some(expression)) => Shape::Expression {
                start: expression.common_start().into(),
                regex: expression.regex().clone(),
            },
            (None, None) => Shape::Everything,
        })
    }

    /// Whether the range holds `address`; linear in its length.
    pub fn matches(&self, address: &[u8]) -> bool {
        match &self.0 {
            Shape::Exact(literal) => **literal == *address,
            Shape::Prefix(literal) => address.starts_with(literal),
            Shape::Expression { start, regex } => address.starts_with(start) && regex.is_match(address),
            Shape::Everything => true,
        }
    }

    /// The literal that every address starts with, if the range is a prefix or one address.
    pub fn literal(&self) -> Option<&[u8]> {
        match &self.0 {
            Shape::Exact(literal) | Shape::Prefix(literal) => Some(literal),
            Shape::Expression { .. } | Shape::Everything => None,
        }
    }
}
