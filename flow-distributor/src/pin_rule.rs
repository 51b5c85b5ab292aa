//! Rules that pin flows to a set of cores before any scheme is asked.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::core_set::{CoreSet, CoreSetError};
use crate::flow::Flow;
use crate::network::{Network, NetworkError};

/// A rule: flows of this subject go to these cores. Written `10.0.0.0/8=0,2` or `listener:sms=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRule {
    /// Whom it is about.
    pub subject: PinSubject,
    /// Where they go. With more than one, the scheme picks among them.
    pub cores: CoreSet,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSubject {
    /// All peers of a network.
    Network(Network),
    /// All connections of the listener of this name.
    Listener(String),
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinRuleError {
    /// There is no `=` between the subject and the cores.
    NoCores,
    /// `listener:` without a name.
    NoListenerName,
    /// The subject is no network.
    Network(NetworkError),
    /// What stands behind the `=` is no set of cores.
    Cores(CoreSetError),
}

impl PinRule {
    /// Whether the rule is about this flow.
    pub fn matches(&self, flow: &Flow<'_>) -> bool {
        match &self.subject {
            PinSubject::Network(network) => network.contains(flow.source.ip()),
            PinSubject::Listener(name) => name == flow.listener,
        }
    }
}

impl FromStr for PinRule {
    type Err = PinRuleError;

    fn from_str(text: &str) -> Result<Self, PinRuleError> {
        // From the right: a listener's name may hold an equals sign, a set of cores may not.
        let (subject, cores) = text.rsplit_once('=').ok_or(PinRuleError::NoCores)?;
        let subject = match subject.strip_prefix("listener:") {
            Some("") => return Err(PinRuleError::NoListenerName),
            Some(name) => PinSubject::Listener(name.to_owned()),
            None => PinSubject::Network(subject.parse().map_err(PinRuleError::Network)?),
        };
        Ok(Self {
            subject,
            cores: cores.parse().map_err(PinRuleError::Cores)?,
        })
    }
}

impl fmt::Display for PinRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            PinSubject::Network(network) => write!(formatter, "{network}={}", self.cores),
            PinSubject::Listener(name) => write!(formatter, "listener:{name}={}", self.cores),
        }
    }
}

impl fmt::Display for PinRuleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCores => formatter.write_str("a pin is NETWORK=CORES or listener:NAME=CORES"),
            Self::NoListenerName => formatter.write_str("a listener's name is missing behind \"listener:\""),
            Self::Network(error) => error.fmt(formatter),
            Self::Cores(error) => error.fmt(formatter),
        }
    }
}

impl Error for PinRuleError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_they_were_read() {
        for text in [
            "10.0.0.0/8=0,2",
            "listener:sms=1",
            "2001:db8::/32=0",
            "listener:a=b=3",
        ] {
            let rule: PinRule = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(rule.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_rule_says_why() {
        for (text, message) in [
            ("10.0.0.0/8", "a pin is NETWORK=CORES or listener:NAME=CORES"),
            ("listener:=1", "a listener's name is missing behind \"listener:\""),
            ("sms=1", "\"sms\" is no IP address"),
            ("10.0.0.0/8=", "no core is named"),
            (
                "10.0.0.0/8=one",
                "\"one\" is no core or range of cores from 0 to 1023",
            ),
        ] {
            assert_eq!(text.parse::<PinRule>().expect_err(text).to_string(), message);
        }
    }
}
