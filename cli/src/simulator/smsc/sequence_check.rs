//! Whether the sequence numbers of a peer's requests are in range and unique among those without an answer.
//!
//! A table of fixed size indexed by the low bits: two numbers that share a slot hide each other, so a clash may be missed
//! when more than its size are in flight, but none is ever invented. Source: SMPP v3.4 sections 2.6 and 5.1.4.

const SLOTS: usize = 1024;
const SEQUENCE_NUMBER_MAX: u32 = 0x7FFF_FFFF;
const WAITING: u64 = u64::MAX;

/// The sequence numbers that one session has in use.
pub(super) struct SequenceCheck {
    /// Sequence number, and the flush after which its answer had left; [`WAITING`] before the answer was written.
    slots: Box<[(u32, u64)]>,
    flushes: u64,
    /// Numbers outside of 1 to 0x7FFFFFFF.
    pub(super) out_of_range: u64,
    /// Numbers that were used while a request with the same number had no answer.
    pub(super) in_use: u64,
}

impl SequenceCheck {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![(0, 0); SLOTS].into_boxed_slice(),
            flushes: 1,
            out_of_range: 0,
            in_use: 0,
        }
    }

    /// A request came.
    pub(super) fn handle_request(&mut self, sequence_number: u32) {
        self.out_of_range += u64::from(!(1..=SEQUENCE_NUMBER_MAX).contains(&sequence_number));
        let flushes = self.flushes;
        let slot = self.slot(sequence_number);
        // An answer that was written since the last flush cannot have been read by the peer.
        let is_in_use = slot.0 == sequence_number && slot.1 >= flushes;
        *slot = (sequence_number, WAITING);
        self.in_use += u64::from(is_in_use);
    }

    /// Its answer was written.
    pub(super) fn handle_answer(&mut self, sequence_number: u32) {
        let flushes = self.flushes;
        let slot = self.slot(sequence_number);
        if slot.0 == sequence_number {
            slot.1 = flushes;
        }
    }

    /// Everything written so far has left.
    pub(super) const fn handle_flushed(&mut self) {
        self.flushes += 1;
    }

    fn slot(&mut self, sequence_number: u32) -> &mut (u32, u64) {
        &mut self.slots[sequence_number as usize % SLOTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a number in use is found, one whose answer has left is free, and bad numbers are counted.
    #[test]
    fn numbers_in_use_are_found() {
        let mut check = SequenceCheck::new();
        check.handle_request(5);
        check.handle_request(5);
        assert_eq!(check.in_use, 1);
        check.handle_answer(5);
        check.handle_request(5);
        assert_eq!(check.in_use, 2, "the answer has not left yet");
        check.handle_answer(5);
        check.handle_flushed();
        check.handle_request(5);
        check.handle_request(6);
        assert_eq!((check.in_use, check.out_of_range), (2, 0));
        for number in [0, 0x8000_0000, u32::MAX] {
            check.handle_request(number);
        }
        assert_eq!(check.out_of_range, 3);
    }
}
