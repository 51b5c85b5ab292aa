//! Message ids as numbers: the forms that one id may take in a submit's answer and in its receipt.
//!
//! Owns the *canonical* form under which an id is stored, the other readings that a receipt's id may have, and the spelling
//! that leads back from the canonical form to the id as it was. Invariants: ids that are equal octet for octet have equal
//! canonical forms; all readings of an id have the same [`home_class`]. Must never decide which reading is meant: that is
//! the table's, which knows the ids that exist (decimal 10 is also hex 0A, PITFALLS 8).

use super::super::settings::MessageIdFormat;
use super::super::tag::MESSAGE_ID_OCTETS_MAX;

/// Readings of one id at most: as it is, as a decimal number, as a hexadecimal one.
pub(super) const READINGS_MAX: usize = 3;

/// Classes that ids fall into by their digits.
pub(crate) const CLASSES: u64 = 6;

/// A short text in place; no heap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::core) struct IdText {
    octets: [u8; MESSAGE_ID_OCTETS_MAX],
    length: u8,
}

impl IdText {
    pub(super) const EMPTY: Self = Self {
        octets: [0; MESSAGE_ID_OCTETS_MAX],
        length: 0,
    };

    /// `None`: longer than any message_id.
    pub(in crate::core) fn new(text: &[u8]) -> Option<Self> {
        let mut copy = Self::EMPTY;
        copy.octets.get_mut(..text.len())?.copy_from_slice(text);
        copy.length = u8::try_from(text.len()).ok()?;
        Some(copy)
    }

    pub(in crate::core) fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}

/// How an id is spelled beyond its canonical form: 24 bits, which together with the canonical form name the id itself
/// (but for mixed letter case, where 15 bits of a hash stand for it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct Spelling(u32);

const STYLE_LOWER: u32 = 0;
const STYLE_UPPER: u32 = 1;
const STYLE_MIXED: u32 = 2;
const STYLE_BITS: u32 = 2;
const LENGTH_BITS: u32 = 7;

impl Spelling {
    pub(super) const BITS: u32 = 24;

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// The spelling of an id as it stands.
    pub(super) fn of(id: &[u8]) -> Self {
        let has_upper = id.iter().any(u8::is_ascii_uppercase);
        let has_lower = id.iter().any(u8::is_ascii_lowercase);
        let style = match (has_upper, has_lower) {
            (false, _) => STYLE_LOWER,
            (true, false) => STYLE_UPPER,
            (true, true) => STYLE_MIXED,
        };
        let length = u32::try_from(id.len().min(127)).unwrap_or(127);
        let mixed = if style == STYLE_MIXED { case_hash(id) } else { 0 };
        Self::from_bits(style | length << STYLE_BITS | mixed << (STYLE_BITS + LENGTH_BITS))
    }

    /// The id of this spelling and that canonical form; `None` when mixed case cannot be restored.
    pub(super) fn restore(self, canonical: &[u8]) -> Option<IdText> {
        let style = self.0 & ((1 << STYLE_BITS) - 1);
        let length = (self.0 >> STYLE_BITS & ((1 << LENGTH_BITS) - 1)) as usize;
        let zeros = length.checked_sub(canonical.len())?;
        if style == STYLE_MIXED || (zeros > 0 && !is_hexadecimal(canonical)) {
            return None;
        }
        let mut text = IdText::EMPTY;
        let place = text.octets.get_mut(..length)?;
        place[..zeros].fill(b'0');
        place[zeros..].copy_from_slice(canonical);
        if style == STYLE_UPPER {
            place.make_ascii_uppercase();
        }
        text.length = u8::try_from(length).ok()?;
        Some(text)
    }
}

/// FNV-1a, folded to 15 bits: tells apart ids that differ in letter case alone.
fn case_hash(id: &[u8]) -> u32 {
    let hash = id.iter().fold(0x811C_9DC5_u32, |hash, octet| {
        (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193)
    });
    (hash ^ hash >> 15) & 0x7FFF
}

/// The form under which ids of one server are stored: letter case and leading zeros do not count. `None`: an id that is
/// kept as it is (an opaque one, or longer than any message_id).
pub(super) fn canonical(id: &[u8], format: MessageIdFormat) -> Option<IdText> {
    if format == MessageIdFormat::Opaque {
        return None;
    }
    let digits = if is_hexadecimal(id) { without_zeros(id) } else { id };
    let mut text = IdText::new(digits)?;
    text.octets.make_ascii_lowercase();
    Some(text)
}

/// What the id of a receipt may have been in the submit's answer, likeliest first, in canonical form.
pub(super) fn other_readings(
    canonical: &[u8],
    format: MessageIdFormat,
) -> [Option<IdText>; READINGS_MAX - 1] {
    let is_decimal = !canonical.is_empty() && canonical.iter().all(u8::is_ascii_digit);
    let from_decimal = matches!(format, MessageIdFormat::Auto | MessageIdFormat::Hex) && is_decimal;
    let from_hexadecimal =
        matches!(format, MessageIdFormat::Auto | MessageIdFormat::Decimal) && is_hexadecimal(canonical);
    [
        from_decimal.then(|| convert(canonical, 10, 16)).flatten(),
        from_hexadecimal.then(|| convert(canonical, 16, 10)).flatten(),
    ]
}

/// A class that is the same for all readings of an id: its value modulo 6. 10 and 16 leave the same rest when divided by
/// 6, so a string of digits leaves the same rest whichever of the two bases it is read in. `None`: no number, so that
/// there is but one reading.
pub(super) fn home_class(id: &[u8], format: MessageIdFormat) -> Option<u8> {
    if format == MessageIdFormat::Opaque || !is_hexadecimal(id) {
        return None;
    }
    let (last, rest) = id.split_last()?;
    let sum: u32 = rest.iter().map(|digit| digit_value(*digit)).sum();
    u8::try_from((digit_value(*last) + 4 * sum) % 6).ok()
}

fn is_hexadecimal(id: &[u8]) -> bool {
    !id.is_empty() && id.iter().all(u8::is_ascii_hexdigit)
}

/// The last zero stays.
fn without_zeros(id: &[u8]) -> &[u8] {
    let zeros = id.iter().take_while(|octet| **octet == b'0').count();
    &id[zeros.min(id.len().saturating_sub(1))..]
}

fn digit_value(digit: u8) -> u32 {
    char::from(digit).to_digit(16).unwrap_or(0)
}

/// `None`: the number is too large.
fn convert(digits: &[u8], from_base: u32, to_base: u32) -> Option<IdText> {
    let mut value = 0_u128;
    for digit in digits {
        value = value
            .checked_mul(u128::from(from_base))?
            .checked_add(u128::from(digit_value(*digit)))?;
    }
    let mut text = IdText::EMPTY;
    let mut at = text.octets.len();
    loop {
        at -= 1;
        let digit = u32::try_from(value % u128::from(to_base)).ok()?;
        text.octets[at] = char::from_digit(digit, to_base).map_or(b'0', |digit| digit as u8);
        value /= u128::from(to_base);
        if value == 0 {
            break;
        }
    }
    let length = text.octets.len() - at;
    text.octets.copy_within(at.., 0);
    text.length = u8::try_from(length).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,20}",
            "0{0,10}[0-9a-f]{1,20}",
            "0{0,10}[0-9A-F]{1,20}",
            "[0-9a-fA-F]{1,64}",
            "[!-~]{1,64}",
        ]
    }

    proptest! {
        /// Goal: canonical form and spelling together give the id back, wherever they say that they can; and they do for all
        /// ids that are written in one letter case.
        #[test]
        fn the_spelling_leads_back_to_the_id(id in id()) {
            let id = id.as_bytes();
            let form = canonical(id, MessageIdFormat::Auto).expect("short");
            match Spelling::of(id).restore(form.as_slice()) {
                Some(restored) => prop_assert_eq!(restored.as_slice(), id),
                None => prop_assert!(id.iter().any(u8::is_ascii_uppercase) && id.iter().any(u8::is_ascii_lowercase)),
            }
        }

        /// Goal: a number has the same canonical form however it is padded and cased, its decimal and its hexadecimal
        /// writing are readings of each other, and both have the same class.
        #[test]
        fn all_writings_of_a_number_meet(value in any::<u64>(), zeros in 0_usize..10) {
            let decimal = format!("{}{value}", "0".repeat(zeros));
            let hexadecimal = format!("{}{value:X}", "0".repeat(zeros));
            let decimal_form = canonical(decimal.as_bytes(), MessageIdFormat::Auto).expect("short");
            let hexadecimal_form = canonical(hexadecimal.as_bytes(), MessageIdFormat::Auto).expect("short");
            let (plain, plain_hexadecimal) = (value.to_string(), format!("{value:x}"));
            prop_assert_eq!(decimal_form.as_slice(), plain.as_bytes());
            prop_assert_eq!(hexadecimal_form.as_slice(), plain_hexadecimal.as_bytes());
            let of_decimal = other_readings(decimal_form.as_slice(), MessageIdFormat::Hex)[0].expect("a reading");
            prop_assert_eq!(of_decimal.as_slice(), hexadecimal_form.as_slice());
            let of_hexadecimal = other_readings(hexadecimal_form.as_slice(), MessageIdFormat::Decimal)[1];
            let of_hexadecimal = of_hexadecimal.expect("a reading");
            prop_assert_eq!(of_hexadecimal.as_slice(), decimal_form.as_slice());
            prop_assert_eq!(
                home_class(decimal.as_bytes(), MessageIdFormat::Auto),
                home_class(hexadecimal.as_bytes(), MessageIdFormat::Auto)
            );
        }

        /// Goal: every reading of every id, also of one that only looks like a number, has the id's own class.
        #[test]
        fn all_readings_have_one_class(id in id()) {
            let class = home_class(id.as_bytes(), MessageIdFormat::Auto);
            let form = canonical(id.as_bytes(), MessageIdFormat::Auto).expect("short");
            prop_assert_eq!(home_class(form.as_slice(), MessageIdFormat::Auto), class);
            for reading in other_readings(form.as_slice(), MessageIdFormat::Auto).iter().flatten() {
                prop_assert_eq!(home_class(reading.as_slice(), MessageIdFormat::Auto), class);
            }
        }
    }

    /// Goal: an opaque id has one form, the form of a server limits its readings, and a huge number has none.
    #[test]
    fn the_format_limits_the_readings() {
        assert!(canonical(b"0A", MessageIdFormat::Opaque).is_none());
        assert!(home_class(b"0A", MessageIdFormat::Opaque).is_none());
        let count = |id: &[u8], format| other_readings(id, format).iter().flatten().count();
        assert_eq!(count(b"10", MessageIdFormat::Auto), 2);
        assert_eq!(count(b"10", MessageIdFormat::Hex), 1);
        assert_eq!(count(b"10", MessageIdFormat::Decimal), 1);
        assert_eq!(count(b"a", MessageIdFormat::Hex), 0);
        assert_eq!(count(b"x1", MessageIdFormat::Auto), 0);
        assert_eq!(count(&[b'9'; 64], MessageIdFormat::Auto), 0);
    }
}
