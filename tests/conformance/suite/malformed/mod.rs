//! The malformed frames: what a balancer does with what no peer should send.

mod checks;
mod line;

use crate::failure::{Outcome, fail};
use crate::scenario::{Part, Scenario};
use crate::setting::Setting;
use crate::stage::Stage;

use checks::Checks;
use line::Line;

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    row: 0,
    name: "malformed frames",
    goal: "Bad, doubtful and merely odd frames get a reaction that the specification or good practice allows, and nobody else notices.",
    method: "121 of the 123 lines of vectors/malformed.jsonl, each in the state and from the side that it names, with an enquire_link behind it. (Left out: \
             a bind_transceiver at a message centre of v3.3 alone, and a length over a ceiling of 64 KiB.)",
    expected: "What the line calls right: `expect`, or one of `also_acceptable`. Afterwards the session (where it is kept) and a neighbour carry a message \
               each way.",
    parts: &[
        Part::under(Setting::StrictLengths, "from ESMEs", from_esmes),
        Part::under(Setting::StrictLengths, "from an SMSC", from_an_smsc),
        Part::under(
            Setting::SplitBinds,
            "from an SMSC to a transmitter",
            from_an_smsc_to_a_transmitter,
        ),
    ],
}];

fn from_esmes(stage: &mut Stage) -> Outcome {
    check(stage, Line::arrives_at_mc, Checks::check_from_esme, 90)
}

fn from_an_smsc(stage: &mut Stage) -> Outcome {
    let is_wanted = |line: &Line| line.arrives_at_esme() && !line.is_for_transmitter();
    check(stage, is_wanted, Checks::check_from_smsc, 15)
}

fn from_an_smsc_to_a_transmitter(stage: &mut Stage) -> Outcome {
    let is_wanted = |line: &Line| line.arrives_at_esme() && line.is_for_transmitter();
    check(stage, is_wanted, Checks::check_from_smsc, 1)
}

fn check<'a>(
    stage: &'a mut Stage,
    is_wanted: impl Fn(&Line) -> bool,
    check: fn(&mut Checks<'a>, &Line) -> Outcome,
    lines_min: usize,
) -> Outcome {
    let lines: Vec<Line> = Line::all().into_iter().filter(|line| is_wanted(line)).collect();
    if lines.len() < lines_min {
        return fail(format!("only {} lines of the vectors apply", lines.len()));
    }
    let mut checks = Checks::start(stage)?;
    for line in &lines {
        if let Err(failure) = check(&mut checks, line) {
            return line.fail(failure);
        }
    }
    Ok(())
}
