//! Values that operators type: durations, chances, delays, statuses. Parsing only; nothing here runs anything.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use smppmux_engine::core::wire::Status;

use super::random::Random;

const PARTS: f64 = 1_000_000.0;

/// Reads `250us`, `500ms`, `30s`, `5min` or `2h`.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let seconds_per_unit = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{text}` is not a duration such as 500ms, 30s or 5min")),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * seconds_per_unit).ok())
        .ok_or_else(|| format!("`{text}` is not a duration such as 500ms, 30s or 5min"))
}

/// Reads a status by its name in SMPP v3.4 (`ESME_RTHROTTLED`) or its number (`0x58`, `88`).
///
/// # Errors
/// A sentence that names the text.
pub fn parse_status(text: &str) -> Result<Status, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    Status::from_name(text)
        .or(number.map(Status))
        .ok_or_else(|| format!("`{text}` is neither a command_status such as ESME_RTHROTTLED nor a number"))
}

/// How often something is done on purpose: 0 % to 100 %, in steps of a millionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chance {
    parts_per_million: u32,
}

impl Chance {
    /// Never.
    pub const NEVER: Self = Self { parts_per_million: 0 };

    /// Every time.
    pub const ALWAYS: Self = Self {
        parts_per_million: PARTS as u32,
    };

    /// Rolls the dice.
    pub(crate) fn happens(self, random: &mut Random) -> bool {
        self.parts_per_million > 0 && random.below(PARTS as u64) < u64::from(self.parts_per_million)
    }
}

impl FromStr for Chance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent: f64 = text
            .trim_end_matches('%')
            .parse()
            .map_err(|_| format!("`{text}` is not a percentage"))?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(format!("`{text}` is not between 0% and 100%"));
        }
        Ok(Self {
            parts_per_million: (percent / 100.0 * PARTS).round() as u32,
        })
    }
}

/// An error that is injected now and then: `1%=ESME_RTHROTTLED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusChance {
    /// How often.
    pub chance: Chance,
    /// What is answered then.
    pub status: Status,
}

impl FromStr for StatusChance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (chance, status) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not of the form PERCENT=STATUS"))?;
        Ok(Self {
            chance: chance.parse()?,
            status: parse_status(status)?,
        })
    }
}

/// How long an answer takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// Always the same; zero answers at once.
    Fixed(Duration),
    /// Anything between the two, evenly.
    Uniform(Duration, Duration),
    /// Memoryless, with this mean; cut at twenty times the mean.
    Exponential(Duration),
}

impl Delay {
    /// No delay.
    pub const NONE: Self = Self::Fixed(Duration::ZERO);

    /// One sample, in microseconds.
    pub(crate) fn sample_us(self, random: &mut Random) -> u64 {
        const LONGEST_MEANS: f64 = 20.0;
        match self {
            Self::Fixed(delay) => micros(delay),
            Self::Uniform(least, most) => {
                let (least, most) = (micros(least), micros(most));
                least + random.below(most.saturating_sub(least) + 1)
            }
            Self::Exponential(mean) => {
                let means = (-(1.0 - random.fraction()).ln()).min(LONGEST_MEANS);
                (means * micros(mean) as f64) as u64
            }
        }
    }
}

impl FromStr for Delay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(mean) = text.strip_prefix("exp:") {
            return parse_duration(mean).map(Self::Exponential);
        }
        let Some((least, most)) = text.split_once("..") else {
            return parse_duration(text).map(Self::Fixed);
        };
        let (least, most) = (parse_duration(least)?, parse_duration(most)?);
        if least > most {
            return Err(format!("`{text}`: the first duration is longer than the second"));
        }
        Ok(Self::Uniform(least, most))
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}%",
            f64::from(self.parts_per_million) / PARTS * 100.0
        )
    }
}

/// Whole microseconds, the unit of every time inside the simulators.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every documented form is read, and everything else is refused with a sentence.
    #[test]
    fn documented_forms_are_read() {
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(
            "5ms..20ms".parse(),
            Ok(Delay::Uniform(
                Duration::from_millis(5),
                Duration::from_millis(20)
            ))
        );
        assert_eq!(
            "exp:10ms".parse(),
            Ok(Delay::Exponential(Duration::from_millis(10)))
        );
        let throttle: StatusChance = "0.5%=ESME_RTHROTTLED".parse().expect("a documented form");
        assert_eq!(throttle.status, Status::ESME_RTHROTTLED);
        assert_eq!(throttle.chance.parts_per_million, 5_000);
        assert_eq!(parse_status("0x58"), Ok(Status::ESME_RTHROTTLED));
        for wrong in ["", "5", "ms", "-1s", "1e400s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!("20ms..5ms".parse::<Delay>().is_err());
        assert!("101".parse::<Chance>().is_err());
    }

    /// Goal: samples follow the distribution's mean and limits. Method: many samples from a fixed seed.
    #[test]
    fn samples_follow_the_distribution() {
        let mut random = Random::new(7);
        let delay: Delay = "exp:1ms".parse().expect("a documented form");
        let total: u64 = (0..20_000).map(|_| delay.sample_us(&mut random)).sum();
        assert!((900..1100).contains(&(total / 20_000)), "{total}");
        let delay: Delay = "2ms..3ms".parse().expect("a documented form");
        assert!((0..1000).all(|_| (2000..=3000).contains(&delay.sample_us(&mut random))));
        let chance: Chance = "10%".parse().expect("a documented form");
        let hits = (0..20_000).filter(|_| chance.happens(&mut random)).count();
        assert!((1800..2200).contains(&hits), "{hits}");
    }
}
