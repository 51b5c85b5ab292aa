//! Where the core's time comes from: the monotonic clock, counted from one start that all cores share.

use crate::core::time::Moment;
use std::time::{Duration, Instant};

/// Tells the time as the pure core wants it. Copies of one clock agree on every moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn started_now() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::START + self.start.elapsed()
    }

    /// How long until `moment`; zero when it has passed, `None` when it never comes.
    pub(crate) fn until(&self, moment: Moment) -> Option<Duration> {
        (moment != Moment::NEVER).then(|| moment.since(self.now()))
    }
}
