//! How fast one server takes messages: what is configured, and what it shows by its answers.
//!
//! A server that answers ESME_RTHROTTLED or ESME_RMSGQFUL, or reports congestion, is slowed down: multiplicative decrease,
//! additive increase of a pace, which ends when the server has taken all for a while. Invariants: a server that never
//! throttles and has no `rate` has no pace at all and costs nothing; a pace never falls below one message a second, so the
//! server is always tried again.

use super::rate::{Bucket, RateLimit};
use super::time::Moment;
use super::wire::Status;
use std::time::Duration;

/// How often a pace grows.
pub(super) const STEP: Duration = Duration::from_millis(100);
/// After a decrease the pace grows slowly for this long, then doubles every second.
const CAUTION: Duration = Duration::from_secs(2);
/// The lowest pace, in thousandths of a message per second.
const SLOWEST: u64 = 1_000;
/// A pace so many times higher than where the last throttling came is no limit any more.
const FORGOTTEN_AT: u64 = 8;
/// A pace above this never limits anything.
const FASTEST: u64 = 10_000_000_000;

/// Congestion above which the sender is to slow down, and from which it is not to speed up (SMPP v5.0 section 4.8.4.18).
const CONGESTION_TOO_HIGH: u8 = 90;
const CONGESTION_OPTIMUM: u8 = 80;

/// Whether a status says "not so fast".
#[inline]
pub(super) const fn is_throttling(status: Status) -> bool {
    matches!(status, Status::ESME_RTHROTTLED | Status::ESME_RMSGQFUL)
}

/// What a congestion_state says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Congestion {
    Low,
    Optimum,
    TooHigh,
}

impl Congestion {
    pub(super) const fn of(congestion_state: u8) -> Self {
        if congestion_state > CONGESTION_TOO_HIGH {
            Self::TooHigh
        } else if congestion_state >= CONGESTION_OPTIMUM {
            Self::Optimum
        } else {
            Self::Low
        }
    }
}

/// A pace that follows what the server can take, in thousandths of a message per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adaptive {
    pace: u64,
    /// Where the last decrease came.
    ceiling: u64,
    decreased_at: Moment,
    grown_at: Moment,
    bucket: Bucket,
}

impl Adaptive {
    /// The server has throttled for the first time while it was sent about `per_second` messages.
    pub(super) fn new(now: Moment, per_second: u64) -> Self {
        let ceiling = per_second.saturating_mul(1_000).clamp(SLOWEST, FASTEST);
        let pace = (ceiling / 2).max(SLOWEST);
        let mut bucket = Bucket::new(limit_of(pace), now);
        // What has just been sent was too much already.
        bucket.take(now, u32::MAX);
        Self {
            pace,
            ceiling,
            decreased_at: now,
            grown_at: now,
            bucket,
        }
    }

    /// It has throttled again a request that left at `sent_at`.
    pub(super) fn throttled(&mut self, now: Moment, sent_at: Moment) {
        // What left before the last decrease was sent at the old pace.
        if sent_at < self.decreased_at {
            return;
        }
        self.ceiling = self.pace;
        self.decreased_at = now;
        self.set_pace(now, (self.pace / 2).max(SLOWEST));
    }

    /// It is as busy as it should be: no growth for now.
    pub(super) fn keep(&mut self, now: Moment) {
        self.grown_at = now;
    }

    /// Time has passed; `false` when the server has taken so much more than before that there is no limit any more.
    pub(super) fn grow(&mut self, now: Moment) -> bool {
        while now.since(self.grown_at) >= STEP {
            self.grown_at += STEP;
            let is_cautious = self.grown_at.since(self.decreased_at) < CAUTION;
            // A hundredth each step is a tenth each second; a fourteenth doubles in a second.
            let growth = if is_cautious {
                self.ceiling / 100
            } else {
                self.pace / 14
            };
            let pace = self.pace + growth.max(SLOWEST / 10);
            if pace > FASTEST || pace > self.ceiling.saturating_mul(FORGOTTEN_AT) {
                return false;
            }
            self.set_pace(now, pace);
        }
        true
    }

    /// Takes the token of a message that was sent.
    pub(super) fn sent(&mut self, now: Moment) {
        self.bucket.take(now, 1);
    }

    /// How long until the next message may be sent.
    pub(super) fn wait(&mut self, now: Moment) -> Duration {
        self.bucket.time_to_next(now)
    }

    fn set_pace(&mut self, now: Moment, pace: u64) {
        self.pace = pace;
        self.bucket.set_limit(now, limit_of(pace));
    }

    #[cfg(test)]
    fn per_second(&self) -> u64 {
        self.pace / 1_000
    }
}

fn limit_of(pace: u64) -> RateLimit {
    RateLimit::per_second(u32::try_from(pace / 1_000).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of a while against a server with a limit of its own.
    struct Outcome {
        sent: u64,
        throttled: u64,
    }

    /// Sends as fast as the pace allows for `seconds` against a server that takes `limit` messages a second.
    fn run(adaptive: &mut Option<Adaptive>, from: Moment, seconds: u64, limit: u64) -> Outcome {
        let mut outcome = Outcome {
            sent: 0,
            throttled: 0,
        };
        let server_limit = RateLimit::per_second(u32::try_from(limit).unwrap());
        let mut server = Bucket::new(server_limit, from);
        let step = Duration::from_micros(100);
        let mut now = from;
        while now < from + Duration::from_secs(seconds) {
            now += step;
            if adaptive.as_mut().is_some_and(|adaptive| !adaptive.grow(now)) {
                *adaptive = None;
            }
            let may_send = adaptive
                .as_mut()
                .is_none_or(|adaptive| adaptive.wait(now).is_zero());
            if !may_send {
                continue;
            }
            outcome.sent += 1;
            if let Some(adaptive) = adaptive {
                adaptive.sent(now);
            }
            if server.take(now, 1) == 0 {
                outcome.throttled += 1;
                match adaptive {
                    Some(adaptive) => adaptive.throttled(now, now),
                    None => *adaptive = Some(Adaptive::new(now, 10_000)),
                }
            }
        }
        outcome
    }

    /// Goal: whatever a server takes, the pace finds it from far above within seconds, uses most of it, and is rarely
    /// throttled; when the server gets better, the pace follows and in the end goes away.
    #[test]
    fn the_pace_follows_the_server() {
        for limit in [2, 10, 100, 1_000] {
            let mut adaptive = None;
            run(&mut adaptive, Moment::START, 20, limit);
            let start = Moment::START + Duration::from_secs(20);
            let outcome = run(&mut adaptive, start, 30, limit);
            let taken = outcome.sent - outcome.throttled;
            assert!(
                taken * 100 >= 55 * limit * 30,
                "{limit}: {taken} of {}",
                limit * 30
            );
            assert!(
                outcome.throttled * 100 <= outcome.sent * 10 + 3_000,
                "{limit}: {} throttled of {}",
                outcome.throttled,
                outcome.sent
            );
            let start = start + Duration::from_secs(30);
            run(&mut adaptive, start, 30, 1_000_000);
            assert!(adaptive.is_none(), "{limit}: the limit is forgotten");
        }
    }

    /// Goal: many answers for one burst are one decrease, and the pace never falls below one message a second.
    #[test]
    fn one_burst_is_one_decrease() {
        let mut now = Moment::START + Duration::from_secs(1);
        let mut adaptive = Adaptive::new(now, 1_000);
        assert_eq!(adaptive.per_second(), 500);
        for _ in 0..100 {
            adaptive.throttled(now + Duration::from_millis(5), Moment::START);
        }
        assert_eq!(adaptive.per_second(), 500);
        for _ in 0..100 {
            now += Duration::from_millis(10);
            adaptive.throttled(now, now);
        }
        assert_eq!(adaptive.per_second(), 1);
    }

    /// Goal: the bands of congestion_state are those of the specification, without its overlap at 90.
    #[test]
    fn congestion_has_three_bands() {
        let bands = [0, 79, 80, 90, 91, 100, 255].map(Congestion::of);
        use Congestion::{Low, Optimum, TooHigh};
        assert_eq!(bands, [Low, Low, Optimum, Optimum, TooHigh, TooHigh, TooHigh]);
    }
}
