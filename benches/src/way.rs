//! A way that messages take, cut into what is measured and what goes before and behind.

use std::hint::black_box;

/// Messages of one step: so many that reading the clock around them costs each next to nothing.
pub const BATCH_MESSAGES: u32 = 20;

/// A way that is ready to be taken, as often as one likes: a step leaves nothing behind but what the engine keeps on purpose.
///
/// A step is `prepare`, [`measured_part`], `finish`, in this order.
pub trait Way {
    /// Gets what the messages of the next step need.
    fn prepare(&mut self) {}

    /// Takes [`BATCH_MESSAGES`] messages the way. This alone is measured.
    fn run(&mut self);

    /// Ends what the step has begun.
    fn finish(&mut self) {}
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct NamedWay {
    /// What it is called on the command line and in the baseline.
    pub name: &'static str,
    /// What one message does.
    pub what: &'static str,
    /// Makes it ready; a million ranges take a second.
    pub start: fn() -> Box<dyn Way>,
    /// Its instructions are the same in every run. Between threads they are not.
    pub is_counted: bool,
}

/// The part of a step that is measured. An instruction counter finds it by its name: it stays a function of its own, and does
/// not end by a jump into another.
#[inline(never)]
pub fn measured_part(way: &mut dyn Way) {
    way.run();
    black_box(());
}
