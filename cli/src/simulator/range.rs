//! Whether a destination lies in the address_range that a session bound with.
//!
//! Judged independently of the engine's own matching, since the simulators check the engine. Source: SMPP v3.4 section
//! 5.2.7 and appendix A; text without special characters is a prefix, as operators use it.

use regex::bytes::Regex;

/// A bound address range.
#[derive(Clone, Debug)]
pub(crate) enum RangeCheck {
    /// An empty range: anything may come.
    Any,
    /// Addresses that start with this.
    Prefix(Vec<u8>),
    /// Addresses in which this UNIX regular expression finds a match.
    Expression(Regex),
}

impl RangeCheck {
    /// # Errors
    /// A sentence that says what is wrong with the expression.
    pub(crate) fn parse(range: &str) -> Result<Self, String> {
        if range.is_empty() {
            return Ok(Self::Any);
        }
        if range.chars().all(|character| character.is_ascii_alphanumeric()) {
            return Ok(Self::Prefix(range.as_bytes().to_vec()));
        }
        Regex::new(range)
            .map(Self::Expression)
            .map_err(|error| format!("address range `{range}`: {error}"))
    }

    pub(crate) fn holds(&self, address: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => address.starts_with(prefix),
            Self::Expression(expression) => expression.is_match(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the forms of the specification's appendix hold what they say, and nothing else.
    #[test]
    fn ranges_hold_what_they_say() {
        let holds = |range, address: &str| {
            RangeCheck::parse(range)
                .expect("a range")
                .holds(address.as_bytes())
        };
        for (range, inside, outside) in [
            ("888765", "888765000001", "788765"),
            ("^1234", "12345", "01234"),
            ("5678$", "15678", "56781"),
            ("^123456$", "123456", "1234567"),
            ("[13579]$", "123", "122"),
            ("[^13579]$", "122", "123"),
        ] {
            assert!(holds(range, inside), "{range} {inside}");
            assert!(!holds(range, outside), "{range} {outside}");
        }
        assert!(holds("", "anything"));
        assert!(RangeCheck::parse("[").is_err());
    }
}
