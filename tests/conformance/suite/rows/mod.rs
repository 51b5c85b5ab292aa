//! The scenarios, a file for each group of rows.

mod answers;
mod byte_stream;
mod ending;
mod environment;
mod ids;
mod links;
mod loops;
mod overload;
mod ranges;
mod receipts;
mod relay;
mod segments;
mod sequence;
mod throttling;

use crate::malformed;
use crate::scenario::{Part, Scenario};

const GROUPS: [&[Scenario]; 15] = [
    answers::SCENARIOS,
    byte_stream::SCENARIOS,
    ending::SCENARIOS,
    environment::SCENARIOS,
    ids::SCENARIOS,
    links::SCENARIOS,
    loops::SCENARIOS,
    overload::SCENARIOS,
    ranges::SCENARIOS,
    receipts::SCENARIOS,
    relay::SCENARIOS,
    segments::SCENARIOS,
    sequence::SCENARIOS,
    throttling::SCENARIOS,
    malformed::SCENARIOS,
];

/// All scenarios in the order of their rows, the malformed frames last.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    let mut all: Vec<&'static Scenario> = GROUPS.into_iter().flatten().collect();
    all.sort_by_key(|scenario| if scenario.row == 0 { u8::MAX } else { scenario.row });
    all.into_iter()
}

/// Scripts that smppmux does not claim to pass yet.
const UNCLAIMED: &[(u8, &str)] = &[];

/// Whether smppmux is held to it.
pub(crate) fn is_claimed(scenario: &Scenario, part: &Part) -> bool {
    !UNCLAIMED.contains(&(scenario.row, part.name))
}
