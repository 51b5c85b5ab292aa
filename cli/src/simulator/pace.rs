//! When the next message of a session is due, for an open-loop load at a fixed rate.
//!
//! The schedule is fixed in advance: message k of a session is due at start + phase + k / rate, whatever the system under
//! test does. Sessions of one run get evenly spread phases, so that the total is smooth. A backlog older than a second is
//! given up and counted, never sent as a burst.

const BACKLOG_MAX_US: f64 = 1_000_000.0;

/// The schedule of one session.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    interval_us: f64,
    /// When the next message is due; `None` until the session first asks.
    next_due_us: Option<f64>,
    phase_us: f64,
    given_up: u64,
}

impl Pace {
    /// `rate_per_second` over all of `sessions`; this is session number `index`.
    pub(crate) fn new(rate_per_second: f64, sessions: u32, index: u32) -> Self {
        let interval_us = 1e6 * f64::from(sessions) / rate_per_second;
        Self {
            interval_us,
            next_due_us: None,
            phase_us: interval_us * f64::from(index) / f64::from(sessions),
            given_up: 0,
        }
    }

    /// When the next message is due.
    pub(crate) fn next_due_us(&mut self, now_us: u64) -> u64 {
        let now = now_us as f64;
        let due = *self.next_due_us.get_or_insert(now + self.phase_us);
        if now - due <= BACKLOG_MAX_US {
            return due as u64;
        }
        let overdue = ((now - due - BACKLOG_MAX_US) / self.interval_us).ceil();
        self.given_up += overdue as u64;
        let due = due + overdue * self.interval_us;
        self.next_due_us = Some(due);
        due as u64
    }

    /// The message that was due has been sent.
    pub(crate) fn advance(&mut self) {
        if let Some(due) = &mut self.next_due_us {
            *due += self.interval_us;
        }
    }

    /// The session is not there: its schedule starts anew when it next asks.
    pub(crate) const fn pause(&mut self) {
        self.next_due_us = None;
    }

    /// Messages that the schedule wanted and that were given up.
    pub(crate) const fn given_up(&self) -> u64 {
        self.given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: ten sessions at 1,000/s in all send 1,000 in a second, and no two at the same microsecond.
    #[test]
    fn sessions_share_the_rate_smoothly() {
        let mut due: Vec<u64> = Vec::new();
        for index in 0..10 {
            let mut pace = Pace::new(1_000.0, 10, index);
            while pace.next_due_us(0) < 1_000_000 {
                due.push(pace.next_due_us(0));
                pace.advance();
            }
        }
        due.sort_unstable();
        assert_eq!(due.len(), 1_000);
        assert!(
            due.windows(2)
                .all(|pair| (999..=1_001).contains(&(pair[1] - pair[0])))
        );
    }

    /// Goal: after a stall of ten seconds one second's worth is sent at once, the rest is counted as given up.
    #[test]
    fn a_long_stall_makes_no_burst() {
        let mut pace = Pace::new(100.0, 1, 0);
        assert_eq!(pace.next_due_us(0), 0);
        let mut burst = 0;
        while pace.next_due_us(10_000_000) <= 10_000_000 {
            pace.advance();
            burst += 1;
        }
        assert_eq!((burst, pace.given_up()), (101, 900));
    }
}
