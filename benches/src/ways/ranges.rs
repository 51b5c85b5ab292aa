//! Whose a destination is: the look-up alone, and in a deliver_sm. Each message goes to another of the prefixes.

use crate::configuration::settings_with_ranges;
use crate::pdus::REQUEST_NUMBER;
use crate::prefixes::{Destinations, prefix};
use crate::round_trip::RoundTrip;
use crate::way::{BATCH_MESSAGES, Way};
use smppmux_engine::core::range::{AddressRange, RangeIndex};
use std::sync::Arc;

const INTERNATIONAL: u8 = 1;
const ISDN: u8 = 1;
const ANY: u8 = 0;

/// The messages of a step: the number of the prefix, and a destination below it.
type Drawn = [(u64, [u8; 11]); BATCH_MESSAGES as usize];

/// The most specific range that holds a destination, in an index with so many prefixes.
pub(super) struct RangeLookUp {
    /// Each prefix has its number.
    index: RangeIndex<u32>,
    destinations: Destinations,
    drawn: Drawn,
}

impl RangeLookUp {
    pub(super) fn among(prefixes: u32) -> Self {
        let mut index = RangeIndex::new(1);
        index.reserve(prefixes as usize);
        for number in 0..prefixes {
            index.insert(ANY, ANY, &range(number.into()), number);
        }
        Self {
            index,
            destinations: Destinations::below(prefixes.into()),
            drawn: Drawn::default(),
        }
    }

    fn owner(&self, destination: &[u8]) -> Option<u32> {
        self.index.best(INTERNATIONAL, ISDN, destination)
    }
}

impl Way for RangeLookUp {
    fn prepare(&mut self) {
        draw(&mut self.destinations, &mut self.drawn);
    }

    fn run(&mut self) {
        for (number, destination) in &self.drawn {
            assert_eq!(self.owner(destination).map(u64::from), Some(*number));
        }
    }
}

/// deliver_sm and its answer, where one account may have all those prefixes and its client claims all that it may have.
pub(super) struct DeliverToRanges {
    engine: RoundTrip,
    destinations: Destinations,
    drawn: Drawn,
}

impl DeliverToRanges {
    pub(super) fn among(prefixes: u32) -> Self {
        let ranges = (0..prefixes.into()).map(range).collect();
        Self {
            engine: RoundTrip::with_settings(Arc::new(settings_with_ranges(ranges)), b""),
            destinations: Destinations::below(prefixes.into()),
            drawn: Drawn::default(),
        }
    }
}

impl Way for DeliverToRanges {
    fn prepare(&mut self) {
        draw(&mut self.destinations, &mut self.drawn);
    }

    fn run(&mut self) {
        for (_, destination) in &self.drawn {
            assert_eq!(self.engine.deliver_to(destination), REQUEST_NUMBER);
        }
    }
}

fn range(number: u64) -> AddressRange {
    AddressRange::parse(&prefix(number)).expect("a prefix")
}

fn draw(destinations: &mut Destinations, drawn: &mut Drawn) {
    for place in drawn {
        *place = destinations.draw();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Goal: the look-up finds the prefix that a destination was drawn below, and nobody where there is none; the messages of
    /// a step go to many of them.
    #[test]
    fn the_owner_is_found() {
        let mut way = RangeLookUp::among(10_000);
        assert_eq!(way.index.len(), 10_000);
        way.prepare();
        for (number, destination) in &way.drawn {
            assert_eq!(way.owner(destination).map(u64::from), Some(*number));
        }
        let prefixes: HashSet<_> = way.drawn.iter().map(|(number, _)| number).collect();
        assert!(prefixes.len() > 15, "{prefixes:?}");
        assert_eq!(way.owner(b"55555555555"), None);
    }
}
