//! Whole round trips: a request and its answer, nothing before and nothing behind.

use crate::pdus::REQUEST_NUMBER;
use crate::round_trip::RoundTrip;
use crate::way::{BATCH_MESSAGES, Way};

/// What brings the sequence number of each request back.
pub(super) struct Rounds<E, F> {
    engine: E,
    round: F,
}

impl<E, F: FnMut(&mut E) -> u32> Rounds<E, F> {
    pub(super) const fn of(engine: E, round: F) -> Self {
        Self { engine, round }
    }
}

impl<E, F: FnMut(&mut E) -> u32> Way for Rounds<E, F> {
    fn run(&mut self) {
        for _ in 0..BATCH_MESSAGES {
            assert_eq!((self.round)(&mut self.engine), REQUEST_NUMBER);
        }
    }
}

/// The submit and its answer are in the log.
pub(super) fn submit_logged(engine: &mut RoundTrip) -> u32 {
    let number = engine.submit();
    assert_eq!(engine.take_records(), 2);
    number
}

/// The message and its answer are in the log.
pub(super) fn deliver_logged(engine: &mut RoundTrip) -> u32 {
    let number = engine.deliver();
    assert_eq!(engine.take_records(), 2);
    number
}
