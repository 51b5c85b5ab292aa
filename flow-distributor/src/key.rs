//! The key of the flow hash.
//!
//! It decides which flows share a core. Whoever knows it can aim connections at one core, so it is drawn anew at each
//! start unless configured, and it is never printed.

use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

/// Length of a key in octets: what Toeplitz needs for two IPv6 addresses and two ports.
pub const KEY_OCTETS: usize = 40;

/// A key for either hash. `ahash` uses the first 32 octets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RssKey([u8; KEY_OCTETS]);

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RssKeyError {
    /// It has another number of digits than twice [`KEY_OCTETS`].
    WrongLength {
        /// How many digits it has.
        digits: usize,
    },
    /// A character that is neither a hexadecimal digit nor a colon.
    NotHexadecimal {
        /// The character.
        character: char,
    },
}

impl RssKey {
    /// The default key of Microsoft's RSS, which network cards use too and which the published verification values
    /// belong to.
    pub const MICROSOFT: Self = Self([
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
        0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
        0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ]);

    /// A key of these octets.
    pub const fn new(octets: [u8; KEY_OCTETS]) -> Self {
        Self(octets)
    }

    /// A key that nobody can guess, from the entropy that the process was started with. Draw it once and share it: all
    /// cores need the same.
    pub fn random() -> Self {
        let source = RandomState::new();
        let mut octets = [0; KEY_OCTETS];
        for (position, chunk) in octets.chunks_exact_mut(size_of::<u64>()).enumerate() {
            chunk.copy_from_slice(&source.hash_one(position).to_be_bytes());
        }
        Self(octets)
    }

    /// The key's octets.
    pub const fn octets(&self) -> &[u8; KEY_OCTETS] {
        &self.0
    }
}

/// 80 hexadecimal digits, in either case; colons between them are fine, as `ethtool -x` prints them.
impl FromStr for RssKey {
    type Err = RssKeyError;

    fn from_str(text: &str) -> Result<Self, RssKeyError> {
        let mut octets = [0; KEY_OCTETS];
        let mut digits = 0;
        for character in text.chars().filter(|character| *character != ':') {
            let digit = character
                .to_digit(16)
                .ok_or(RssKeyError::NotHexadecimal { character })?;
            if let (Some(octet), Ok(digit)) = (octets.get_mut(digits / 2), u8::try_from(digit)) {
                *octet = *octet << 4 | digit;
            }
            digits += 1;
        }
        if digits == 2 * KEY_OCTETS {
            Ok(Self(octets))
        } else {
            Err(RssKeyError::WrongLength { digits })
        }
    }
}

impl fmt::Debug for RssKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RssKey(secret)")
    }
}

impl fmt::Display for RssKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongLength { digits } => {
                write!(
                    formatter,
                    "a hash key has {} hexadecimal digits, this has {digits}",
                    2 * KEY_OCTETS
                )
            }
            Self::NotHexadecimal { character } => {
                write!(formatter, "{character:?} is not a hexadecimal digit")
            }
        }
    }
}

impl Error for RssKeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_with_and_without_colons() {
        let digits: String = RssKey::MICROSOFT
            .octets()
            .iter()
            .map(|octet| format!("{octet:02X}"))
            .collect();
        let pairs: Vec<String> = RssKey::MICROSOFT
            .octets()
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        assert_eq!(digits.parse(), Ok(RssKey::MICROSOFT));
        assert_eq!(pairs.join(":").parse(), Ok(RssKey::MICROSOFT));
    }

    #[test]
    fn a_wrong_key_says_what_is_wrong() {
        assert_eq!(
            "6d5a".parse::<RssKey>(),
            Err(RssKeyError::WrongLength { digits: 4 })
        );
        assert_eq!("".parse::<RssKey>(), Err(RssKeyError::WrongLength { digits: 0 }));
        assert_eq!(
            "a".repeat(82).parse::<RssKey>(),
            Err(RssKeyError::WrongLength { digits: 82 })
        );
        assert_eq!(
            "6dx".parse::<RssKey>(),
            Err(RssKeyError::NotHexadecimal { character: 'x' })
        );
    }

    #[test]
    fn random_keys_differ_and_stay_secret() {
        let key = RssKey::random();
        assert_ne!(key, RssKey::random());
        assert_eq!(format!("{key:?}"), "RssKey(secret)");
    }
}
