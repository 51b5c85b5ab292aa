//! The wall clock that can be stepped, with the suite's own failures.

use std::ffi::OsString;

use smppmux_tests::stepped_clock::SteppedClock;

use crate::failure::{Outcome, fail};

/// The clock of one balancer.
#[derive(Debug)]
pub(crate) struct Clock(SteppedClock);

impl Clock {
    /// Builds it with the C compiler.
    pub(crate) fn build() -> Outcome<Self> {
        SteppedClock::build().map(Self).or_else(fail)
    }

    /// From now on the wall clock is off by so many seconds.
    pub(crate) fn step_to(&self, offset_s: i64) -> Outcome {
        self.0.step_to(offset_s).or_else(fail)
    }

    /// What the process must be started with.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        self.0.environment()
    }

    /// The wall clock as a process under it sees it.
    pub(crate) fn seen_by_a_process(&self) -> Outcome<i64> {
        self.0.seen_by_a_process().or_else(fail)
    }
}
