//! The wall clock, read once: from there on time runs by the monotonic clock, so that a step of the wall clock moves no
//! deadline of this run.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    start: Instant,
    start_ms: u64,
}

impl WallClock {
    pub(crate) fn started_now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            start: Instant::now(),
            start_ms: super::worker::milliseconds(since_1970),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.start_ms + super::worker::milliseconds(self.start.elapsed())
    }

    /// Seconds since 1970.
    pub(crate) fn now_s(&self) -> i64 {
        i64::try_from(self.now_ms() / 1_000).unwrap_or(i64::MAX)
    }
}
