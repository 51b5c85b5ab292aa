//! The values of fields that a proxy looks into: esm_class, registered_delivery, message_state.
//!
//! Everything else stays opaque. Reserved values pass: none of these types refuses an octet.
//! Source: SMPP v3.4 sections 5.2.12, 5.2.17 and 5.2.28, v5.0 sections 4.7.12, 4.7.15 and 4.7.21.

use std::fmt;

/// `esm_class`: messaging mode, message type and features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EsmClass(pub u8);

impl EsmClass {
    /// The user data starts with a user data header.
    pub const UDHI: u8 = 0x40;
    /// Reply path is set.
    pub const REPLY_PATH: u8 = 0x80;
    /// The message type of a delivery receipt.
    pub const DELIVERY_RECEIPT: u8 = 0x04;
    /// The message type of an intermediate notification.
    pub const INTERMEDIATE_NOTIFICATION: u8 = 0x20;
    const MODE_BITS: u8 = 0x03;
    const MODE_TRANSACTION: u8 = 0x02;
    const TYPE_BITS: u8 = 0x3C;

    /// The message type, bits 5 to 2, in their place.
    pub const fn message_type(self) -> u8 {
        self.0 & Self::TYPE_BITS
    }

    /// The messaging mode, bits 1 and 0; means nothing from a message centre to an ESME.
    pub const fn messaging_mode(self) -> u8 {
        self.0 & Self::MODE_BITS
    }

    /// Forward (transaction) mode: the answer waits for the delivery.
    pub const fn is_transaction(self) -> bool {
        self.messaging_mode() == Self::MODE_TRANSACTION
    }

    /// Whether the user data starts with a user data header.
    pub const fn has_user_data_header(self) -> bool {
        self.0 & Self::UDHI != 0
    }
}

/// Whether `registered_delivery` asks a message centre for a delivery receipt (of any outcome) or for an intermediate
/// notification: then the message_id will come back.
pub const fn asks_for_receipt(registered_delivery: u8) -> bool {
    const RECEIPT_BITS: u8 = 0x03;
    const INTERMEDIATE_NOTIFICATION: u8 = 0x10;
    registered_delivery & (RECEIPT_BITS | INTERMEDIATE_NOTIFICATION) != 0
}

/// `message_state`: how far a message came.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageState(pub u8);

/// Whether a message_state can still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// Another state follows.
    Intermediate,
    /// No other state follows.
    Final,
    /// UNKNOWN, and all reserved values.
    Undetermined,
}

macro_rules! states {
    ($($constant:ident = $value:literal, $receipt:literal;)*) => {
        impl MessageState {
            $(
                #[doc = concat!("`", stringify!($constant), "`, in receipts `", $receipt, "`.")]
                pub const $constant: Self = Self($value);
            )*

            /// The name in the specification; `None` for reserved values.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($constant)),)*
                    _ => None,
                }
            }

            /// The seven characters of a receipt's `stat` field; `None` for reserved values.
            pub const fn receipt_text(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($receipt),)*
                    _ => None,
                }
            }

            /// Reads a receipt's `stat` field, in full or abbreviated, in any letter case.
            pub fn from_receipt_text(text: &[u8]) -> Option<Self> {
                const DISTINCT_CHARACTERS: usize = 5;
                let start = text.get(..DISTINCT_CHARACTERS)?;
                $(
                    if start.eq_ignore_ascii_case(&$receipt.as_bytes()[..DISTINCT_CHARACTERS]) {
                        return Some(Self::$constant);
                    }
                )*
                None
            }
        }
    };
}

states! {
    SCHEDULED = 0, "SCHEDUL";
    ENROUTE = 1, "ENROUTE";
    DELIVERED = 2, "DELIVRD";
    EXPIRED = 3, "EXPIRED";
    DELETED = 4, "DELETED";
    UNDELIVERABLE = 5, "UNDELIV";
    ACCEPTED = 6, "ACCEPTD";
    UNKNOWN = 7, "UNKNOWN";
    REJECTED = 8, "REJECTD";
    SKIPPED = 9, "SKIPPED";
}

impl MessageState {
    /// Whether the state can still change.
    pub const fn finality(self) -> Finality {
        match self {
            Self::SCHEDULED | Self::ENROUTE => Finality::Intermediate,
            Self::DELIVERED
            | Self::EXPIRED
            | Self::DELETED
            | Self::UNDELIVERABLE
            | Self::ACCEPTED
            | Self::REJECTED
            | Self::SKIPPED => Finality::Final,
            _ => Finality::Undetermined,
        }
    }
}

impl fmt::Display for MessageState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "message_state {}", self.0),
        }
    }
}

impl fmt::Debug for MessageState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each state is read from its receipt text, from its full name and in lower case.
    #[test]
    fn states_are_read_from_receipts() {
        for state in (0..=9).map(MessageState) {
            let text = state.receipt_text().expect("a defined state");
            assert_eq!(MessageState::from_receipt_text(text.as_bytes()), Some(state));
            assert_eq!(
                MessageState::from_receipt_text(text.to_lowercase().as_bytes()),
                Some(state)
            );
            let name = state.name().expect("a defined state");
            assert_eq!(MessageState::from_receipt_text(name.as_bytes()), Some(state));
        }
        for text in [&b""[..], b"DELI", b"FAILED"] {
            assert_eq!(MessageState::from_receipt_text(text), None);
        }
    }

    /// Goal: the receipt type is told from its neighbours, reserved ones included.
    #[test]
    fn message_types_are_compared_whole() {
        assert_eq!(EsmClass(0xC7).message_type(), EsmClass::DELIVERY_RECEIPT);
        assert_ne!(EsmClass(0x0C).message_type(), EsmClass::DELIVERY_RECEIPT);
        assert!(asks_for_receipt(0x03) && asks_for_receipt(0x10) && !asks_for_receipt(0x0C));
    }
}
