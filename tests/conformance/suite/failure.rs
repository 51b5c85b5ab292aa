//! What a script says when a balancer did the wrong thing: words, and the octets that were wrong.

use std::fmt;

use smppmux_tests::pdu::Pdu;

/// Octets that a failure shows at most; the rest of a long PDU is only counted.
const SHOWN_OCTETS_MAX: usize = 400;

/// Why a script failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What was expected, and what came.
    pub(crate) what: String,
    /// The offending PDU, or nothing where the fault is that none came.
    pub(crate) octets: Vec<u8>,
}

/// What a step of a script gives.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Fails the script unless the condition holds.
macro_rules! require {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return $crate::failure::fail(format!($($words)+));
        }
    };
}

/// Fails the script, and shows the PDU, unless the condition holds.
macro_rules! require_of {
    ($pdu:expr, $condition:expr, $($words:tt)+) => {
        if !$condition {
            return $crate::failure::wrong($pdu, format!($($words)+));
        }
    };
}

pub(crate) use {require, require_of};

/// A failure without octets.
pub(crate) fn fail<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Failure {
        what: what.into(),
        octets: Vec::new(),
    })
}

/// A failure that a PDU shows.
pub(crate) fn wrong<T>(pdu: &Pdu, what: impl Into<String>) -> Outcome<T> {
    Err(Failure {
        what: what.into(),
        octets: pdu.octets().to_vec(),
    })
}

impl Failure {
    /// The octets in hex, words of four octets apart; shortened where there are very many.
    pub(crate) fn hex(&self) -> String {
        let shown = &self.octets[..self.octets.len().min(SHOWN_OCTETS_MAX)];
        let words: Vec<String> = shown
            .chunks(4)
            .map(|word| word.iter().map(|octet| format!("{octet:02x}")).collect())
            .collect();
        let left_out = self.octets.len() - shown.len();
        if left_out == 0 {
            words.join(" ")
        } else {
            format!("{} … and {left_out} octets more", words.join(" "))
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)?;
        if self.octets.is_empty() {
            return Ok(());
        }
        write!(formatter, "\n    octets: {}", self.hex())
    }
}
