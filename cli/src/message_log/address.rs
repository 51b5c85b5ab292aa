//! How an address stands in the log: as it is, masked, or as a keyed hash.
//!
//! Masked keeps what billing needs (country and network) and hides whose it is; but two people may look the same. Hashed hides
//! all, and the same address is the same hash in every file with the same key: lines can be joined, and who has the key can
//! look for a number. Numbers are few enough to try them all, so a hash without a key would hide nothing.
//! Source of the alphabetic rule: a sender with TON 5 and letters is a company's name, not a person's number.

use crate::hexadecimal;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use smppmux_engine::core::secret::Secret;
use std::borrow::Cow;
use std::fmt;

const TON_ALPHANUMERIC: u8 = 5;
/// Octets of a hash that are written: enough that no two of a billion numbers are likely to share one.
const HASH_OCTETS: usize = 10;

/// How addresses are written.
#[derive(Clone)]
pub(crate) enum AddressForm {
    /// As they are.
    Plain,
    /// With asterisks for all but the first and last characters.
    Masked {
        /// Characters in front that are kept.
        first: usize,
        /// Characters at the end that are kept.
        last: usize,
    },
    /// HMAC-SHA-256, shortened.
    Hashed {
        /// Ready to be fed.
        mac: Hmac<Sha256>,
        /// The same key, to tell one from another.
        key: Secret,
    },
}

impl AddressForm {
    /// Hashes with this key.
    pub(crate) fn hashed(key: &Secret) -> Self {
        match Hmac::<Sha256>::new_from_slice(key.reveal()) {
            Ok(mac) => Self::Hashed {
                mac,
                key: key.clone(),
            },
            // HMAC takes keys of any length.
            Err(_) => Self::Masked { first: 0, last: 0 },
        }
    }

    /// An address as it is written.
    pub(crate) fn write<'a>(&self, ton: u8, address: &'a [u8]) -> Cow<'a, str> {
        let is_name = ton == TON_ALPHANUMERIC && address.iter().any(u8::is_ascii_alphabetic);
        let plain = String::from_utf8_lossy(address);
        if is_name || address.is_empty() {
            return plain;
        }
        match self {
            Self::Plain => plain,
            Self::Masked { first, last } => masked(&plain, *first, *last).into(),
            Self::Hashed { mac, .. } => {
                let mut mac = mac.clone();
                mac.update(address);
                let hash = mac.finalize().into_bytes();
                hexadecimal::of_octets(&hash[..HASH_OCTETS]).into()
            }
        }
    }
}

/// One that is not longer than what would be kept is hidden whole.
fn masked(text: &str, first: usize, last: usize) -> String {
    let characters = text.chars().count();
    let hides_all = first + last >= characters;
    let shown = |place: usize| !hides_all && (place < first || place >= characters - last);
    let characters = text.chars().enumerate();
    characters
        .map(|(place, character)| if shown(place) { character } else { '*' })
        .collect()
}

impl PartialEq for AddressForm {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain, Self::Plain) => true,
            (
                Self::Masked { first, last },
                Self::Masked {
                    first: other_first,
                    last: other_last,
                },
            ) => (first, last) == (other_first, other_last),
            (Self::Hashed { key, .. }, Self::Hashed { key: other, .. }) => key == other,
            _ => false,
        }
    }
}

impl fmt::Debug for AddressForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => formatter.write_str("Plain"),
            Self::Masked { first, last } => write!(formatter, "Masked({first}, {last})"),
            Self::Hashed { .. } => formatter.write_str("Hashed(…)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a mask keeps the length and what it should, hides short ones whole, and leaves names alone.
    #[test]
    fn masks_hide_the_middle() {
        let form = AddressForm::Masked { first: 5, last: 2 };
        for (ton, address, written) in [
            (1, "491701234567", "49170*****67"),
            (1, "12345678", "12345*78"),
            (1, "1234567", "*******"),
            (0, "777", "***"),
            (0, "", ""),
            (5, "MyBank", "MyBank"),
            (5, "491701234567", "49170*****67"),
            (1, "MyBank7", "*******"),
        ] {
            assert_eq!(form.write(ton, address.as_bytes()), written, "{ton} {address}");
        }
        let all = AddressForm::Masked { first: 0, last: 0 };
        assert_eq!(all.write(1, b"123"), "***");
    }

    /// Goal: the same address has the same hash with the same key, and nothing else has it.
    #[test]
    fn hashes_join_and_hide() {
        let (one, other) = (
            AddressForm::hashed(&Secret::new("0123456789abcdef")),
            AddressForm::hashed(&Secret::new("fedcba9876543210")),
        );
        let hash = one.write(1, b"491701234567");
        assert_eq!(hash, one.write(0, b"491701234567"));
        assert_ne!(hash, one.write(1, b"491701234568"));
        assert_ne!(hash, other.write(1, b"491701234567"));
        assert_eq!(hash.len(), 2 * HASH_OCTETS);
        // The value by `printf 491701234567 | openssl dgst -sha256 -hmac 0123456789abcdef`.
        assert_eq!(hash, "b63403be0a8c57b00f9c");
        assert_eq!(format!("{one:?}"), "Hashed(…)");
    }
}
