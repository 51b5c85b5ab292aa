//! What happened, line by line: printed for whoever replays a seed, or kept to compare two runs.

use smppmux_engine::core::time::Moment;
use std::cell::RefCell;
use std::rc::Rc;

/// Where the lines go. Nowhere costs nothing: a line is only made when it is wanted.
#[derive(Clone, Debug)]
pub enum Trace {
    /// Nobody wants them.
    Off,
    /// To the standard output at once, so that a run that never ends shows where it is.
    Printed,
    /// Shared, so that it outlives a run that panics.
    Kept(Rc<RefCell<Vec<String>>>),
}

impl Trace {
    pub(crate) fn line(&self, now: Moment, line: impl FnOnce() -> String) {
        let stamped = || format!("{:12.6} {}", now.as_nanoseconds() as f64 / 1e9, line());
        match self {
            Self::Off => {}
            Self::Printed => println!("{}", stamped()),
            Self::Kept(lines) => lines.borrow_mut().push(stamped()),
        }
    }
}
