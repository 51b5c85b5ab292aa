//! Values of the message centre's command line: accounts, MO streams, forms of ids and receipts.

use std::str::FromStr;

use clap::ValueEnum;

use crate::simulator::pattern::Pattern;

/// A system_id and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who binds.
    pub system_id: String,
    /// With which password.
    pub password: String,
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once(':')
            .ok_or_else(|| "an account is SYSTEM_ID:PASSWORD".to_owned())?;
        Ok(Self {
            system_id: parts.0.to_owned(),
            password: parts.1.to_owned(),
        })
    }
}

/// A stream of MO traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct MobileOriginated {
    /// destination_addr; ends in a counter.
    pub destination: Pattern,
    /// PDUs per second; `None` is as fast as the windows allow.
    pub rate: Option<f64>,
    /// How many messages in all; `None` is no limit.
    pub count: Option<u64>,
}

impl FromStr for MobileOriginated {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not of the form DESTINATION=RATE[:COUNT], such as 888765=100:5000");
        let (destination, load) = text.rsplit_once('=').ok_or_else(wrong)?;
        let (rate, count) = match load.split_once(':') {
            Some((rate, count)) => (rate, Some(count.parse().map_err(|_| wrong())?)),
            None => (load, None),
        };
        let rate = match rate {
            "max" => None,
            rate => Some(
                rate.parse()
                    .ok()
                    .filter(|rate| (0.001..=1e7).contains(rate))
                    .ok_or_else(wrong)?,
            ),
        };
        let pattern: Pattern = destination.parse()?;
        Ok(Self {
            destination: if pattern.has_counter() {
                pattern
            } else {
                format!("{destination}{{n:06}}").parse()?
            },
            rate,
            count,
        })
    }
}

/// Form of message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MessageIdFormat {
    /// The message's token and a number, so that the ESME can tell an answer that belongs to another message; a number
    /// alone for messages without a token.
    Token,
    /// A decimal number.
    Decimal,
    /// A hexadecimal number of eight digits.
    Hex,
    /// A UUID.
    Uuid,
}

/// A final message_state, and its name in receipts. Source: SMPP v3.4 section 5.2.28 and appendix B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FinalState {
    /// 2, DELIVRD.
    Delivered,
    /// 3, EXPIRED.
    Expired,
    /// 5, UNDELIV.
    Undeliverable,
    /// 8, REJECTD.
    Rejected,
}

impl FinalState {
    /// message_state.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Delivered => 2,
            Self::Expired => 3,
            Self::Undeliverable => 5,
            Self::Rejected => 8,
        }
    }

    /// `stat` in the text of a receipt.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Undeliverable => "UNDELIV",
            Self::Rejected => "REJECTD",
        }
    }
}

/// Where a receipt names its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReceiptForm {
    /// In the text only.
    Text,
    /// In the TLVs only.
    Tlv,
    /// In both.
    Both,
}

/// Form of the id in receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReceiptIdFormat {
    /// As in the answer.
    Same,
    /// The id's number in decimal.
    Decimal,
    /// The id's number in hexadecimal.
    Hex,
}

/// Which session of the account gets a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReceiptSession {
    /// Its receiving sessions in turn.
    Any,
    /// The one that the message came on; another where that one does not receive.
    Same,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every documented form of --mo is read; the rest is refused.
    #[test]
    fn mo_streams_are_read() {
        let stream: MobileOriginated = "888765=100:5000".parse().expect("a documented form");
        assert_eq!((stream.rate, stream.count), (Some(100.0), Some(5000)));
        assert_eq!(stream.destination.to_string(), "888765{n:06}");
        let stream: MobileOriginated = "88{n:03}=max".parse().expect("a documented form");
        assert_eq!((stream.rate, stream.count), (None, None));
        for wrong in ["888765", "888765=", "888765=0", "888765=1:x", "{=1"] {
            assert!(wrong.parse::<MobileOriginated>().is_err(), "{wrong}");
        }
    }
}
