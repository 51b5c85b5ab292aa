//! Times of the day in UTC, as RFC 3339 has them and as they stand in names of files.

use crate::calendar::date_of_day;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

/// A time of the day, to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Utc {
    year: u64,
    month: u64,
    day: u64,
    seconds: u64,
    microseconds: u32,
}

const DAY_SECONDS: u64 = 86_400;

impl Utc {
    /// Times before 1970 are 1970.
    pub(super) fn of(time: SystemTime) -> Self {
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let (year, month, day) = date_of_day(since.as_secs() / DAY_SECONDS);
        Self {
            year,
            month,
            day,
            seconds: since.as_secs() % DAY_SECONDS,
            microseconds: since.subsec_micros(),
        }
    }

    /// For the name of a file: `20261128T113000Z`.
    pub(super) fn compact(self) -> String {
        let Self { year, month, day, .. } = self;
        let (hour, minute, second) = self.time();
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }

    const fn time(self) -> (u64, u64, u64) {
        (self.seconds / 3600, self.seconds / 60 % 60, self.seconds % 60)
    }
}

/// `2026-11-28T11:30:00.123456Z`.
impl fmt::Display for Utc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, microseconds) = (self.year, self.month, self.day, self.microseconds);
        let (hour, minute, second) = self.time();
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{microseconds:06}Z"
        )
    }
}

/// Writes over `text`.
pub(super) fn write_over(text: &mut String, time: SystemTime) {
    text.clear();
    // A string takes everything.
    let _ = write!(text, "{}", Utc::of(time));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: times are what `date -u` says.
    #[test]
    fn times_are_right() {
        for (seconds, text, compact) in [
            (0, "1970-01-01T00:00:00.000250Z", "19700101T000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000250Z", "20000228T235959Z"),
            (951_782_400, "2000-02-29T00:00:00.000250Z", "20000229T000000Z"),
            (1_796_124_645, "2026-12-01T11:30:45.000250Z", "20261201T113045Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000250Z", "21000301T000000Z"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, 250_999);
            assert_eq!(Utc::of(time).to_string(), text);
            assert_eq!(Utc::of(time).compact(), compact);
        }
    }
}
