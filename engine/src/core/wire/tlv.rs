//! TLVs (v3.4: optional parameters): walking them, finding one, and checking that the area parses.
//!
//! Order, repeats and unknown tags are kept as they came. Nothing here judges a value; [`check_known_lengths`] compares
//! lengths with the definitions and is not part of the forwarding path.
//! Source: SMPP v3.4 section 3.2.4, v5.0 section 3.2.

use std::ops::Range;

use super::walk::{octet, octets};
use super::{Fault, HEADER_OCTETS, Tag};

/// Octets of a TLV's tag and length.
pub const TLV_HEADER_OCTETS: usize = 4;

/// One TLV of a PDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is.
    pub tag: Tag,
    /// The octets of the value.
    pub value: &'a [u8],
    /// Where the whole TLV stands in the PDU, tag and length included.
    pub range: Range<usize>,
}

impl<'a> Tlv<'a> {
    /// Where the value stands in the PDU.
    pub const fn value_range(&self) -> Range<usize> {
        self.range.start + TLV_HEADER_OCTETS..self.range.end
    }

    /// The value as text: up to its first NUL, or all of it (many peers leave the NUL out).
    pub fn text(&self) -> &'a [u8] {
        self.value.split(|octet| *octet == 0).next().unwrap_or_default()
    }

    /// The value as a big-endian integer; `None` for more than four octets, and for none at all.
    pub fn integer(&self) -> Option<u32> {
        if self.value.is_empty() || self.value.len() > size_of::<u32>() {
            return None;
        }
        Some(
            self.value
                .iter()
                .fold(0, |integer, octet| (integer << 8) | u32::from(*octet)),
        )
    }
}

/// The TLVs of a PDU in the order of the wire; ends after the first error.
#[derive(Clone, Debug)]
pub struct Tlvs<'a> {
    pdu: &'a [u8],
    at: usize,
}

impl<'a> Tlvs<'a> {
    /// The TLVs that start at octet `at` of `pdu` and end with it.
    pub const fn new(pdu: &'a [u8], at: usize) -> Self {
        Self { pdu, at }
    }

    /// The first TLV called `tag` before the end or the first error.
    pub fn find(self, tag: Tag) -> Option<Tlv<'a>> {
        self.map_while(Result::ok).find(|tlv| tlv.tag == tag)
    }

    /// The same where most PDUs have no TLVs at all: those that have some are looked through out of line.
    #[inline(always)]
    pub fn seldom_find(self, tag: Tag) -> Option<Tlv<'a>> {
        if self.is_empty() {
            None
        } else {
            find_from(self.pdu, self.at, tag)
        }
    }

    /// There are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.at >= self.pdu.len()
    }

    /// Where the TLVs that were not walked yet stand in the PDU.
    pub fn range(&self) -> Range<usize> {
        self.at.min(self.pdu.len())..self.pdu.len()
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, Fault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.pdu.get(self.at..).filter(|rest| !rest.is_empty())?;
        let Some(end) = tlv_end(rest) else {
            self.at = self.pdu.len();
            return Some(Err(Fault::tlv_area()));
        };
        let range = self.at..self.at + end;
        self.at = range.end;
        let tag = rest.first_chunk::<2>().copied().unwrap_or_default();
        Some(Ok(Tlv {
            tag: Tag(u16::from_be_bytes(tag)),
            value: octets(rest, TLV_HEADER_OCTETS..end),
            range,
        }))
    }
}

impl std::iter::FusedIterator for Tlvs<'_> {}

#[cold]
#[inline(never)]
fn find_from(pdu: &[u8], at: usize, tag: Tag) -> Option<Tlv<'_>> {
    Tlvs::new(pdu, at).find(tag)
}

/// Checks in one pass that `area` is a whole number of TLVs.
#[inline]
pub fn check_area(area: &[u8]) -> Result<(), Fault> {
    let mut rest = area;
    while !rest.is_empty() {
        rest = tlv_end(rest)
            .and_then(|end| rest.get(end..))
            .ok_or(Fault::tlv_area())?;
    }
    Ok(())
}

/// Checks that each known TLV of `tlvs` has a length within its definition; unknown tags pass.
pub fn check_known_lengths(tlvs: Tlvs<'_>) -> Result<(), Fault> {
    for tlv in tlvs {
        let tlv = tlv?;
        if let Some(definition) = tlv.tag.definition()
            && !definition.allows(tlv.value.len())
        {
            return Err(Fault::tlv_length(definition.name));
        }
    }
    Ok(())
}

/// Whether the body of a response is TLVs alone, as on some error responses: it starts with the high octet of a defined
/// tag, which no message_id or system_id does, and parses as TLVs to its end.
#[inline]
pub(super) fn is_body_tlvs_alone(pdu: &[u8]) -> bool {
    matches!(octet(pdu, HEADER_OCTETS), 0x01..=0x1F)
        && check_area(octets(pdu, HEADER_OCTETS..pdu.len())).is_ok()
}

/// Where the TLV at the front of `area` ends; `None` when it reaches past the end.
#[inline(always)]
fn tlv_end(area: &[u8]) -> Option<usize> {
    let [_, _, high, low] = *area.first_chunk::<TLV_HEADER_OCTETS>()?;
    let end = TLV_HEADER_OCTETS + usize::from(u16::from_be_bytes([high, low]));
    (end <= area.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Goal: the one-pass check agrees with the iterator on every area, and ranges tile the area without gaps.
        #[test]
        fn the_check_agrees_with_the_iterator(
            area in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(2), any::<u8>()], 0..60)
        ) {
            let walked: Vec<_> = Tlvs::new(&area, 0).collect();
            prop_assert_eq!(check_area(&area).is_ok(), walked.iter().all(Result::is_ok));
            let mut at = 0;
            for tlv in walked.into_iter().flatten() {
                prop_assert_eq!(tlv.range.start, at);
                prop_assert_eq!(&area[tlv.value_range()], tlv.value);
                at = tlv.range.end;
            }
        }
    }

    /// Goal: a broken tail yields the TLVs before it, then one error, then nothing.
    #[test]
    fn a_broken_tail_ends_the_walk() {
        let area = [0x02, 0x04, 0, 2, 0, 9, 0x02, 0x0A, 0, 2, 0];
        let mut tlvs = Tlvs::new(&area, 0);
        let first = tlvs.next().expect("one TLV").expect("a whole TLV");
        assert_eq!(
            (first.tag, first.integer()),
            (Tag::USER_MESSAGE_REFERENCE, Some(9))
        );
        assert_eq!(tlvs.next(), Some(Err(Fault::tlv_area())));
        assert_eq!(tlvs.next(), None);
    }

    /// Goal: known tags are held to their definition, unknown ones are not.
    #[test]
    fn only_known_lengths_are_checked() {
        assert_eq!(
            check_known_lengths(Tlvs::new(&[0x14, 0x02, 0, 3, 1, 2, 3], 0)),
            Ok(())
        );
        let fault = Fault::tlv_length("user_message_reference");
        assert_eq!(
            check_known_lengths(Tlvs::new(&[0x02, 0x04, 0, 1, 1], 0)),
            Err(fault)
        );
    }

    /// Goal: text ends at its NUL, or at the end of the value where the peer left it out.
    #[test]
    fn text_ends_at_its_nul_or_at_the_end() {
        for area in [&[0, 0x1E, 0, 3, b'a', b'b', 0][..], &[0, 0x1E, 0, 2, b'a', b'b']] {
            let tlv = Tlvs::new(area, 0)
                .find(Tag::RECEIPTED_MESSAGE_ID)
                .expect("the TLV");
            assert_eq!(tlv.text(), b"ab");
        }
    }
}
