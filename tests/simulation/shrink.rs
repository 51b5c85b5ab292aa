//! From a run that fails to a smaller one that fails in the same way: fewer faults, engines and ESMEs, a shorter chaos.
//!
//! Leaving something out changes all that happens by chance afterwards, so each candidate is tried with several courses of
//! chance before it is given up.

use crate::plan::Plan;
use crate::trace::Trace;
use std::time::{Duration, Instant};

/// Courses of chance that a smaller scenario gets before it counts as one that does not fail.
const SALTS: u64 = 40;

/// The smallest failing run that was found.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// How to repeat it.
    pub plan: Plan,
    /// The promise that it breaks.
    pub reason: String,
    /// Runs that were tried.
    pub tries: u64,
}

/// Shrinks a failing run for at most `patience`. `reason` is what it failed with.
pub fn shrink(plan: &Plan, reason: &str, patience: Duration) -> Shrunk {
    let mut shrinking = Shrinking {
        kind: kind_of(reason),
        best: Shrunk {
            plan: plan.clone(),
            reason: reason.to_owned(),
            tries: 0,
        },
        ends_at: Instant::now() + patience,
    };
    // What is left out makes more possible, so it goes round until a whole round changes nothing.
    while shrinking.round() {}
    shrinking.best
}

struct Shrinking {
    kind: String,
    best: Shrunk,
    ends_at: Instant,
}

impl Shrinking {
    fn round(&mut self) -> bool {
        let mut has_changed = false;
        for fault in self.best.plan.extent().faults {
            let mut candidate = self.best.plan.clone();
            candidate.reduction.without.push(fault);
            has_changed |= self.try_out(&candidate);
        }
        loop {
            let extent = self.best.plan.extent();
            let plan = &self.best.plan;
            let halves = [
                (extent.engines > 1).then(|| with(plan, |to| to.engines = Some(extent.engines - 1))),
                (extent.esmes > 1).then(|| with(plan, |to| to.esmes = Some(extent.esmes - 1))),
                (extent.chaos_ms > 200).then(|| with(plan, |to| to.chaos_ms = Some(extent.chaos_ms * 2 / 3))),
            ];
            let mut has_shrunk = false;
            for candidate in halves.into_iter().flatten() {
                has_shrunk = has_shrunk || self.try_out(&candidate);
            }
            has_changed |= has_shrunk;
            if !has_shrunk {
                return has_changed;
            }
        }
    }

    /// Whether the candidate fails in the same way; then it is the best so far.
    fn try_out(&mut self, candidate: &Plan) -> bool {
        let first = candidate.salt;
        let others = (0..SALTS).filter(|salt| *salt != first);
        for salt in std::iter::once(first).chain(others) {
            if Instant::now() >= self.ends_at {
                return false;
            }
            let plan = Plan {
                salt,
                ..candidate.clone()
            };
            self.best.tries += 1;
            if let Err(reason) = crate::run(&plan, &Trace::Off)
                && kind_of(&reason) == self.kind
            {
                self.best.plan = plan;
                self.best.reason = reason;
                return true;
            }
        }
        false
    }
}

fn with(plan: &Plan, change: impl FnOnce(&mut crate::plan::Reduction)) -> Plan {
    let mut plan = plan.clone();
    change(&mut plan.reduction);
    plan
}

/// A reason without its numbers: two failures that differ only in these are of one kind.
fn kind_of(reason: &str) -> String {
    let first_line = reason.lines().next().unwrap_or_default();
    let words = first_line.split_whitespace();
    let words = words.filter(|word| !word.contains(|character: char| character.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}
