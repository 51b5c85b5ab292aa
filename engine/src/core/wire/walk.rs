//! The bounded walk over a PDU's body that all views share.
//!
//! It only ever moves forward, reads inside the slice, and looks at no more octets for a text field than its
//! definition allows (the rest is read once, on the way to a fault). Values stay opaque.

use std::ops::Range;

use super::field::{TIME_OCTETS, TextField};
use super::{Fault, HEADER_OCTETS, Status};

/// Where a field stands in its PDU. Sixteen bits do not suffice: max-pdu is configurable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) struct Span {
    from: u32,
    to: u32,
}

impl Span {
    /// Nothing.
    pub(in crate::core) const EMPTY: Self = Self { from: 0, to: 0 };

    #[inline]
    pub(in crate::core) const fn is_empty(self) -> bool {
        self.from >= self.to
    }

    #[inline]
    pub(in crate::core) const fn range(self) -> Range<usize> {
        self.from as usize..self.to as usize
    }

    /// The field's octets; empty where `pdu` is not the PDU that was walked.
    #[inline]
    pub(in crate::core) fn of(self, pdu: &[u8]) -> &[u8] {
        octets(pdu, self.range())
    }

    /// Of a range inside a PDU, whose length is a u32.
    #[inline]
    pub(in crate::core) const fn new(range: Range<usize>) -> Self {
        Self {
            from: range.start as u32,
            to: range.end as u32,
        }
    }
}

/// The octets of `range`, or none where the range is not inside `pdu`.
#[inline]
pub(super) fn octets(pdu: &[u8], range: Range<usize>) -> &[u8] {
    pdu.get(range).unwrap_or_default()
}

/// The octet at `at`, or zero where `pdu` is shorter.
#[inline]
pub(super) fn octet(pdu: &[u8], at: usize) -> u8 {
    pdu.get(at).copied().unwrap_or_default()
}

/// A position in a PDU's body.
pub(super) struct Walk<'a> {
    pdu: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// Starts behind the header.
    #[inline]
    pub(super) fn body(pdu: &'a [u8]) -> Result<Self, Fault> {
        if pdu.len() < HEADER_OCTETS || u32::try_from(pdu.len()).is_err() {
            return Err(Fault::truncated("header"));
        }
        Ok(Self {
            pdu,
            at: HEADER_OCTETS,
        })
    }

    /// Goes on at an offset that an earlier walk of the same PDU found.
    pub(super) const fn from(pdu: &'a [u8], at: usize) -> Self {
        Self { pdu, at }
    }

    /// The offset of the next field in the PDU; may lie behind the end after [`Self::skip`].
    #[inline]
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Whether the PDU ends here.
    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.pdu.len()
    }

    /// Passes over `octets` of integers, a handful, without a look; the next read notices if the PDU ended meanwhile.
    #[inline]
    pub(super) fn skip(&mut self, octets: usize) {
        self.at += octets;
    }

    /// Passes over `octets` of integers that are the last of a body, so that no later read would notice the end.
    #[inline]
    pub(super) fn skip_last(&mut self, octets: usize, field: &'static str) -> Result<(), Fault> {
        self.skip(octets);
        if self.at > self.pdu.len() {
            return Err(Fault::truncated(field));
        }
        Ok(())
    }

    /// Reads a one-octet integer.
    #[inline]
    pub(super) fn integer(&mut self, field: &'static str) -> Result<u8, Fault> {
        let value = *self.pdu.get(self.at).ok_or(Fault::truncated(field))?;
        self.at += 1;
        Ok(value)
    }

    /// Passes over a C-Octet String within its defined length.
    #[inline(always)]
    pub(super) fn text(&mut self, field: &TextField) -> Result<Span, Fault> {
        let Some(rest) = self.pdu.get(self.at..) else {
            return Err(text_fault(&[], field));
        };
        match nul_within(rest, field.octets_max) {
            Some(characters) => Ok(self.take_text(characters)),
            None => Err(text_fault(rest, field)),
        }
    }

    /// The same for a field that is empty in most PDUs.
    #[inline(always)]
    pub(super) fn seldom_text(&mut self, field: &TextField) -> Result<Span, Fault> {
        match self.pdu.get(self.at) {
            Some(0) => Ok(self.take_text(0)),
            _ => self.text(field),
        }
    }

    /// Passes over TON, NPI and the address that follows them; the answer is the address alone.
    #[inline]
    pub(super) fn address(&mut self, field: &TextField) -> Result<Span, Fault> {
        self.skip(2);
        self.text(field)
    }

    /// Passes over a C-Octet String of any length, for fields of responses, which cannot be refused.
    pub(super) fn text_of_any_length(&mut self, field: &TextField) -> Result<Span, Fault> {
        let rest = self.pdu.get(self.at..).unwrap_or_default();
        match nul_within(rest, rest.len()) {
            Some(characters) => Ok(self.take_text(characters)),
            None => Err(Fault::truncated(field.name)),
        }
    }

    /// Passes over a time: empty, or exactly 16 characters.
    #[inline(always)]
    pub(super) fn time(&mut self, field: &TextField) -> Result<Span, Fault> {
        if self.pdu.get(self.at) == Some(&0) {
            return Ok(self.take_text(0));
        }
        check_whole_time(self.pdu, self.at, field)?;
        Ok(self.take_text(TIME_OCTETS - 1))
    }

    /// Reads sm_length and passes over that many octets of short_message.
    #[inline(always)]
    pub(super) fn short_message(&mut self) -> Result<Span, Fault> {
        let octets = usize::from(self.integer("sm_length")?);
        let from = self.at;
        self.at += octets;
        if self.at > self.pdu.len() {
            return Err(Fault::field_length("short_message", Status::ESME_RINVMSGLEN));
        }
        Ok(Span::new(from..self.at))
    }

    #[inline(always)]
    fn take_text(&mut self, characters: usize) -> Span {
        let from = self.at;
        self.at = from + characters + 1;
        Span::new(from..from + characters)
    }
}

/// Out of line, and without the walk itself, which stays in registers that way.
#[inline(never)]
fn check_whole_time(pdu: &[u8], at: usize, field: &TextField) -> Result<(), Fault> {
    let rest = pdu.get(at..).unwrap_or_default();
    match nul_within(rest, TIME_OCTETS) {
        Some(characters) if characters == TIME_OCTETS - 1 => Ok(()),
        _ => Err(text_fault(rest, field)),
    }
}

/// Why no acceptable text starts at `rest`: it is terminated in the wrong place, or not at all.
#[cold]
#[inline(never)]
fn text_fault(rest: &[u8], field: &TextField) -> Fault {
    if nul_within(rest, rest.len()).is_some() {
        Fault::field_length(field.name, field.status)
    } else {
        Fault::truncated(field.name)
    }
}

const WORD_OCTETS: usize = 8;
const LOWEST_BITS: u64 = u64::from_ne_bytes([0x01; WORD_OCTETS]);
const HIGHEST_BITS: u64 = u64::from_ne_bytes([0x80; WORD_OCTETS]);

/// The index of the first NUL among the first `octets_max` octets. Eight octets a step: addresses are short, and the
/// forwarding path has four such fields in each message.
#[inline(always)]
fn nul_within(octets: &[u8], octets_max: usize) -> Option<usize> {
    let mut at = 0;
    while at < octets_max {
        let Some(word) = octets.get(at..).and_then(<[u8]>::first_chunk::<WORD_OCTETS>) else {
            return nul_at_end_of_pdu(octets).filter(|nul| *nul < octets_max);
        };
        if let Some(nul) = nul_in_word(u64::from_le_bytes(*word)) {
            let nul = at + nul;
            return (nul < octets_max).then_some(nul);
        }
        at += WORD_OCTETS;
    }
    None
}

/// The index of the first NUL, which lies in the last word if there is one: all before that was looked at.
#[inline(always)]
fn nul_at_end(octets: &[u8]) -> Option<usize> {
    match octets.last_chunk::<WORD_OCTETS>() {
        // What of it was looked at is no NUL, and stands before what was not.
        Some(word) => nul_in_word(u64::from_le_bytes(*word)).map(|nul| octets.len() - WORD_OCTETS + nul),
        None => octets.iter().position(|octet| *octet == 0),
    }
}

/// The index of the first NUL in eight octets, of which the first is the lowest.
#[inline(always)]
fn nul_in_word(word: u64) -> Option<usize> {
    // The lowest octet that borrows is the first NUL; octets above it may be marked wrongly, and are not looked at.
    let nuls = word.wrapping_sub(LOWEST_BITS) & !word & HIGHEST_BITS;
    (nuls != 0).then(|| (nuls.trailing_zeros() / u8::BITS) as usize)
}

/// A text that ends this near the end of its PDU is rare.
#[inline(never)]
fn nul_at_end_of_pdu(octets: &[u8]) -> Option<usize> {
    nul_at_end(octets)
}

/// The index of the first NUL.
#[inline(always)]
pub(in crate::core) fn first_nul(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = octets.get(at..).and_then(<[u8]>::first_chunk::<WORD_OCTETS>) {
        if let Some(nul) = nul_in_word(u64::from_le_bytes(*word)) {
            return Some(at + nul);
        }
        at += WORD_OCTETS;
    }
    nul_at_end(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Goal: the word-wise search finds what a plain search finds, for all octets and limits.
        #[test]
        fn the_nul_search_equals_the_plain_one(
            octets in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0x80), any::<u8>()], 0..70),
            octets_max in 0_usize..70,
        ) {
            let plain = octets.iter().take(octets_max).position(|octet| *octet == 0);
            prop_assert_eq!(nul_within(&octets, octets_max), plain);
            prop_assert_eq!(first_nul(&octets), octets.iter().position(|octet| *octet == 0));
        }
    }
}
