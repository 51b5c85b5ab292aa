//! Segments of concatenated messages on their way to the server. Each message has two, and is over when both are answered.

use crate::pdus::{REQUEST_NUMBER, answer, number_of, segment, set_number, set_reference};
use crate::round_trip::RoundTrip;
use crate::way::{BATCH_MESSAGES, Way};
use bytes::BytesMut;
use smppmux_engine::core::wire::CommandId;

/// Which segment is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Its message is not known yet.
    First,
    /// The first one has been answered.
    Next,
}

/// A step's messages have a reference each, the next step's the ones behind them.
pub(super) struct Segments {
    engine: RoundTrip,
    which: Which,
    segments: [BytesMut; 2],
    answer: BytesMut,
    first_reference: u16,
    under_way: [[u8; 4]; BATCH_MESSAGES as usize],
}

impl Segments {
    pub(super) fn new(which: Which) -> Self {
        Self {
            engine: RoundTrip::new(),
            which,
            segments: [segment(1), segment(2)],
            answer: answer(CommandId::SUBMIT_SM_RESP, b"5F2A9C3E01"),
            first_reference: 0,
            under_way: Default::default(),
        }
    }

    /// Sends that segment of every message.
    fn send(&mut self, which: Which) {
        let segment = &mut self.segments[which as usize];
        let mut reference = self.first_reference;
        for number in &mut self.under_way {
            set_reference(segment, reference);
            *number = self.engine.client_sends(segment, number_of);
            reference = reference.wrapping_add(1);
        }
    }

    fn answer(&mut self) {
        for number in &self.under_way {
            set_number(&mut self.answer, *number);
            let back = self.engine.server_sends(&self.answer, number_of);
            assert_eq!(u32::from_be_bytes(back), REQUEST_NUMBER);
        }
    }
}

impl Way for Segments {
    fn prepare(&mut self) {
        if self.which == Which::Next {
            self.send(Which::First);
            self.answer();
        }
    }

    fn run(&mut self) {
        self.send(self.which);
    }

    fn finish(&mut self) {
        self.answer();
        if self.which == Which::First {
            self.send(Which::Next);
            self.answer();
        }
        // The step is as many as the batch, which is few.
        self.first_reference = self.first_reference.wrapping_add(BATCH_MESSAGES as u16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known_messages(way: &mut Segments) -> u64 {
        way.engine.engine().report().concatenated
    }

    /// Goal: the pins are made by the first segments, found by the next ones, and gone at the end of the step.
    #[test]
    fn pins_are_made_and_found() {
        let batch = u64::from(BATCH_MESSAGES);
        for (which, before) in [(Which::First, 0), (Which::Next, batch)] {
            let mut way = Segments::new(which);
            way.prepare();
            assert_eq!(known_messages(&mut way), before);
            way.run();
            assert_eq!(known_messages(&mut way), batch);
            way.finish();
            assert_eq!(known_messages(&mut way), 0);
            let counters = way.engine.engine().report().counters;
            assert_eq!((counters.segments, counters.references_changed), (2 * batch, 0));
        }
    }
}
