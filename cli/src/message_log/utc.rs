//! Times of the day in UTC, as RFC 3339 has them and as they stand in names of files.

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
        let (year, month, day) = date_of(since.as_secs() / DAY_SECONDS);
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

/// The date so many days after 1970-01-01. Years are counted from a March on, so that a leap day is the last of its year.
const fn date_of(days: u64) -> (u64, u64, u64) {
    const ERA_DAYS: u64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
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

    /// Goal: every day has the date behind that of the day before, for 600 years. Method: a calendar that counts.
    #[test]
    fn days_follow_each_other() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..220_000 {
            assert_eq!(date_of(days), (year, month, day));
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 if is_leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
