//! Hexadecimal as people paste it: with blanks, colons, commas, 0x, line ends.

use std::fmt;

/// Why a text is no hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HexError {
    /// There is no digit at all.
    Empty,
    /// A character that is no digit.
    NotHexadecimal {
        /// The character.
        character: char,
        /// How many characters stand before it.
        position: usize,
    },
    /// The last octet has one digit only.
    OddDigits {
        /// How many digits there are.
        digits: usize,
    },
}

impl fmt::Display for HexError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("there are no hexadecimal digits"),
            Self::NotHexadecimal { character, position } => {
                write!(
                    formatter,
                    "character {}: {character:?} is not a hexadecimal digit",
                    position + 1
                )
            }
            Self::OddDigits { digits } => {
                write!(
                    formatter,
                    "there are {digits} hexadecimal digits, so the last octet is half"
                )
            }
        }
    }
}

/// The octets that `text` spells.
pub(super) fn octets(text: &str) -> Result<Vec<u8>, HexError> {
    let mut octets = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    let mut previous = ' ';
    for (position, character) in text.chars().enumerate() {
        let is_prefix = matches!(character, 'x' | 'X') && previous == '0' && high == Some(0);
        previous = character;
        if is_prefix {
            // The 0 before it was not a digit.
            high = None;
        } else if let Some(digit) = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()) {
            match high.take() {
                None => high = Some(digit),
                Some(high) => octets.push(high << 4 | digit),
            }
        } else if !character.is_whitespace() && !matches!(character, ':' | ',' | '-' | '\u{feff}') {
            return Err(HexError::NotHexadecimal { character, position });
        }
    }
    match (high, octets.is_empty()) {
        (Some(_), _) => Err(HexError::OddDigits {
            digits: octets.len() * 2 + 1,
        }),
        (None, true) => Err(HexError::Empty),
        (None, false) => Ok(octets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every way in which people paste octets gives the same octets.
    #[test]
    fn all_spellings_are_read() {
        for text in [
            "0001ff",
            "00 01 FF",
            "00:01:ff",
            "0x00, 0x01, 0xff",
            "0x0001ff",
            "0X0001FF\n",
            "00-01-ff",
        ] {
            assert_eq!(octets(text), Ok(vec![0, 1, 255]), "{text}");
        }
    }

    /// Goal: what is no hexadecimal is told with its place.
    #[test]
    fn other_characters_are_refused() {
        assert_eq!(octets(" "), Err(HexError::Empty));
        assert_eq!(octets("001"), Err(HexError::OddDigits { digits: 3 }));
        assert_eq!(
            octets("00 0g"),
            Err(HexError::NotHexadecimal {
                character: 'g',
                position: 4
            })
        );
        assert!(octets("00x1").is_err());
    }
}
