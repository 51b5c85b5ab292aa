//! The malformed frames against a running smppmux, over sockets.

mod expectation;
mod stand;
#[expect(dead_code, reason = "the tests of the wire layer use the rest")]
mod vector;

use expectation::Line;
use stand::Stand;
use vector::malformed_vectors;

/// Lines that do not apply to smppmux, or where it differs on purpose.
const LEFT_OUT: [(&str, &str); 2] = [
    (
        "bind_transceiver_on_v33_only_mc",
        "smppmux is no MC of v3.3 alone: it takes transceivers",
    ),
    (
        "command_length_70001_over_64k_limit_example",
        "the ceiling is 80 KiB, so that the frame is only incomplete",
    ),
];

/// Goal: every frame gets the reaction that its line calls right, in the state and on the side that the line names, and
/// afterwards its session (where it is kept) and a neighbour carry a message each way. One engine.
#[test]
fn one_engine_reacts_as_the_lines_say() {
    check_all_lines("0");
}

/// Goal: the same with two engines, so that messages and answers cross between them.
#[test]
fn two_engines_react_as_the_lines_say() {
    check_all_lines("0,0");
}

fn check_all_lines(cores: &str) {
    let mut stand = Stand::start(cores);
    let mut checked = 0;
    for line in malformed_vectors::<Line>() {
        if LEFT_OUT.iter().any(|(name, _)| *name == line.name) {
            continue;
        }
        if line.arrives_at_mc() {
            stand.check_from_esme(&line);
        }
        if line.arrives_at_esme() {
            stand.check_from_mc(&line);
        }
        checked += 1;
    }
    assert_eq!(checked, 121, "of 123 lines two are left out");
}
