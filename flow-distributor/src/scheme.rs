//! The schemes by which a core is picked.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// How a core is picked for a new connection: `--distribution`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// By a hash of addresses and ports: each connection for itself.
    #[default]
    Rss,
    /// By a hash of the addresses alone: all connections of one host to one core.
    RssTwoTuple,
    /// The core with the fewest connections; of equals the accepting one.
    LeastLoaded,
    /// One after the other.
    RoundRobin,
    /// By a hash of the system_id, so that all binds of an account meet on one core. It is known only after the bind:
    /// until then a connection stays where it was accepted.
    Account,
}

/// A text that names no scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownScheme(pub String);

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 5] = [
        Self::Rss,
        Self::RssTwoTuple,
        Self::LeastLoaded,
        Self::RoundRobin,
        Self::Account,
    ];

    /// Whether it places new flows by the indirection table.
    pub const fn has_buckets(self) -> bool {
        match self {
            Self::Rss | Self::RssTwoTuple => true,
            Self::LeastLoaded | Self::RoundRobin | Self::Account => false,
        }
    }

    /// As the flag spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rss => "rss",
            Self::RssTwoTuple => "rss-2-tuple",
            Self::LeastLoaded => "least-loaded",
            Self::RoundRobin => "round-robin",
            Self::Account => "account",
        }
    }
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Self, UnknownScheme> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name() == text)
            .ok_or_else(|| UnknownScheme(text.to_owned()))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for UnknownScheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Scheme::ALL.map(Scheme::name).join(", ");
        write!(formatter, "{:?} is no distribution: {names}", self.0)
    }
}

impl Error for UnknownScheme {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_is_read_back() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
        }
        let error = "RSS".parse::<Scheme>().expect_err("names are in lower case");
        let expected = r#""RSS" is no distribution: rss, rss-2-tuple, least-loaded, round-robin, account"#;
        assert_eq!(error.to_string(), expected);
    }
}
