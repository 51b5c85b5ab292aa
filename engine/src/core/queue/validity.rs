//! How long the sender of a message wants it to be tried: validity_period, or qos_time_to_live of a data_sm.
//!
//! Source: SMPP v3.4 sections 5.2.16, 5.3.2.30 and 7.1.1, v5.0 sections 4.7.23.1 to 4.7.23.3 and 4.8.4.46. The clock comes
//! in from outside.

use crate::core::wire::{CommandId, DataView, Header, MessageView, Tag};
use std::time::Duration;

const DAY_S: i64 = 86_400;
/// A relative time counts months and years; nothing says of which length.
const MONTH_DAYS: i64 = 30;
const YEAR_DAYS: i64 = 365;

/// How much longer a message may be delivered, at a wall clock of `unix_now_s`. `None`: its sender sets no limit.
pub fn lifetime(pdu: &[u8], unix_now_s: i64) -> Option<Duration> {
    let left_s = match Header::read(pdu)?.command_id {
        CommandId::DELIVER_SM => seconds_left(MessageView::parse(pdu).ok()?.validity_period(), unix_now_s)?,
        CommandId::DATA_SM => {
            let view = DataView::parse(pdu).ok()?;
            i64::from(view.tlvs().find(Tag::QOS_TIME_TO_LIVE)?.integer()?)
        }
        _ => return None,
    };
    Some(Duration::from_secs(u64::try_from(left_s).unwrap_or(0)))
}

/// Reads `YYMMDDhhmmsstnnp`. `None` for an empty text and for one that is no time.
fn seconds_left(text: &[u8], unix_now_s: i64) -> Option<i64> {
    let text: &[u8; 16] = text.try_into().ok()?;
    let pair = |at: usize| -> Option<i64> {
        let digit = |octet: u8| octet.is_ascii_digit().then(|| i64::from(octet - b'0'));
        Some(digit(text[at])? * 10 + digit(text[at + 1])?)
    };
    let (year, month, day) = (pair(0)?, pair(2)?, pair(4)?);
    let time_of_day_s = pair(6)? * 3600 + pair(8)? * 60 + pair(10)?;
    let quarters = pair(13)?;
    let offset_s = match text[15] {
        b'R' => return Some((year * YEAR_DAYS + month * MONTH_DAYS + day) * DAY_S + time_of_day_s),
        b'+' => quarters * 900,
        b'-' => -quarters * 900,
        _ => return None,
    };
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    // The local time is ahead of UTC by the offset.
    is_date.then(|| days_since_1970(2000 + year, month, day) * DAY_S + time_of_day_s - offset_s - unix_now_s)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, by counting years from March on, so that a leap day is the last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: dates count as the calendar does. Method: known days, and every day after another one by one.
    #[test]
    fn days_follow_each_other() {
        assert_eq!(days_since_1970(1970, 1, 1), 0);
        assert_eq!(days_since_1970(2000, 3, 1), 11_017);
        assert_eq!(days_since_1970(2026, 11, 27), 20_784);
        let mut last = days_since_1970(1999, 12, 31);
        for year in 2000..2100_i64 {
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let months = [
                31,
                if is_leap { 29 } else { 28 },
                31,
                30,
                31,
                30,
                31,
                31,
                30,
                31,
                30,
                31,
            ];
            for (month, days) in (1..).zip(months) {
                for day in 1..=days {
                    last += 1;
                    assert_eq!(days_since_1970(year, month, day), last, "{year}-{month}-{day}");
                }
            }
        }
    }

    /// Goal: relative and absolute times are read as the specification says, and nonsense is no limit.
    #[test]
    fn times_are_read() {
        let now = days_since_1970(2026, 11, 27) * DAY_S + 12 * 3600;
        for (text, left_s) in [
            ("", None),
            ("000000000005000R", Some(5)),
            ("000001020304000R", Some(DAY_S + 2 * 3600 + 3 * 60 + 4)),
            ("010100000000000R", Some(395 * DAY_S)),
            ("261127120010000+", Some(10)),
            ("261127130010004+", Some(10)),
            ("261127110010004-", Some(10)),
            ("261127115950000+", Some(-10)),
            ("261327115950000+", None),
            ("26112711595000x+", None),
            ("261127115950000?", None),
            ("2611271159500", None),
        ] {
            assert_eq!(seconds_left(text.as_bytes(), now), left_s, "{text}");
        }
    }
}
