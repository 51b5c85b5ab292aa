//! Values that are written as text: durations, sizes, lists of CPUs, uids, passwords, rules of distribution.

use super::value::{Text, Value, text_values};
use serde::Deserializer;
use serde::de::{Error, Visitor};
use smppmux_engine::core::secret::Secret;
use smppmux_flow_distributor::{PinRule, PinRuleError, RssKey, RssKeyError};
use std::fmt;
use std::time::Duration;

/// Units of durations and what each is in nanoseconds; the longer suffix comes first where one ends with
/// another.
const DURATION_UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

impl Text for Duration {
    const EXPECTED: &'static str = "a duration in quotes, such as \"500ms\", \"30s\", \"5min\" or \"1h\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        let nanoseconds = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, size)| *size);
        match (number.parse::<u64>(), nanoseconds) {
            (Ok(number), Some(size)) => number
                .checked_mul(size)
                .map(Self::from_nanos)
                .ok_or_else(|| format!("the duration \"{text}\" is too long")),
            (Ok(_), None) if unit.is_empty() => Err(format!(
                "the duration \"{text}\" has no unit: write \"{text}s\" or \"{text}ms\""
            )),
            _ => Err(format!(
                "\"{text}\" is not a duration; write it like \"500ms\", \"30s\", \"5min\" or \"1h\""
            )),
        }
    }
}

/// A number of octets: a whole number, or text with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Octets(
    /// How many.
    pub u64,
);

impl Text for Octets {
    const EXPECTED: &'static str = "a number of octets, such as 65536 or \"64KiB\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let size = match unit.trim_start() {
            "" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let octets = number
            .parse::<u64>()
            .ok()
            .zip(size)
            .and_then(|(number, size)| number.checked_mul(size));
        octets.map(Self).ok_or_else(|| {
            format!(
                "\"{text}\" is not a number of octets; write it like 65536, \"64KiB\", \"16MiB\" or \"1GiB\""
            )
        })
    }
}

impl Value for Octets {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OctetsVisitor;

        impl Visitor<'_> for OctetsVisitor {
            type Value = Octets;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(Octets::EXPECTED)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Octets, E> {
                u64::try_from(number)
                    .map(Octets)
                    .map_err(|_| E::custom(format!("a number of octets cannot be negative: {number}")))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Octets, E> {
                Octets::parse_text(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(OctetsVisitor)
    }
}

/// The CPUs that engines run on, one engine for each entry; a CPU may repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(
    /// CPU numbers as the kernel counts them.
    pub Vec<u16>,
);

/// Engines of one process at most: as many as the indirection table of the flow distributor has places.
pub const ENGINES_MAX: usize = 128;

impl Text for CpuList {
    const EXPECTED: &'static str = "a list of CPUs in quotes, such as \"0-3\" or \"0,2,4-7\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a list of CPUs like \"0-3\" or \"0,2,4-7\"");
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: u16 = first.trim().parse().map_err(|_| wrong())?;
            let last: u16 = last.trim().parse().map_err(|_| wrong())?;
            if last < first {
                return Err(format!("the range {} in \"{text}\" runs backwards", part.trim()));
            }
            if cpus.len() + usize::from(last - first) >= ENGINES_MAX {
                return Err(format!(
                    "\"{text}\" names more than {ENGINES_MAX} CPUs, the most that one process uses"
                ));
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

/// A server's two characters in tagged message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uid(
    /// Each one of `[0-9A-Z]`.
    pub [u8; 2],
);

impl Text for Uid {
    const EXPECTED: &'static str = "two characters from 0-9 and A-Z in quotes, such as \"0A\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            &[first, second] if is_uid_octet(first) && is_uid_octet(second) => Ok(Self([first, second])),
            _ => {
                let upper = text.to_ascii_uppercase();
                let suggestion = match upper.as_bytes() {
                    &[first, second] if is_uid_octet(first) && is_uid_octet(second) => {
                        format!("; did you mean \"{upper}\"?")
                    }
                    _ => String::new(),
                };
                Err(format!(
                    "a uid is two characters from 0-9 and A-Z, not \"{text}\"{suggestion}"
                ))
            }
        }
    }
}

fn is_uid_octet(octet: u8) -> bool {
    octet.is_ascii_digit() || octet.is_ascii_uppercase()
}

impl fmt::Display for Uid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}

impl Text for RssKey {
    const EXPECTED: &'static str = "80 hexadecimal digits in quotes";

    fn parse_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: RssKeyError| error.to_string())
    }
}

impl Text for PinRule {
    const EXPECTED: &'static str =
        "a rule in quotes, such as \"10.0.0.0/8=0,2\" (a source network) or \"listener:sms=1\" (a vserver)";

    fn parse_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: PinRuleError| format!("\"{text}\": {error}"))
    }
}

impl Text for Secret {
    const EXPECTED: &'static str = "text in quotes";

    fn parse_text(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }
}

text_values!(Duration, CpuList, Uid, RssKey, PinRule, Secret,);

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: durations are read with their units, and nothing else is taken for one.
    #[test]
    fn durations_need_their_unit() {
        for (text, nanoseconds) in [
            ("0s", 0),
            ("50us", 50_000),
            ("500ms", 500_000_000),
            ("30s", 30_000_000_000),
            ("5min", 300_000_000_000),
            ("1h", 3_600_000_000_000),
            ("2d", 172_800_000_000_000),
        ] {
            assert_eq!(
                Duration::parse_text(text),
                Ok(Duration::from_nanos(nanoseconds)),
                "{text}"
            );
        }
        for wrong in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "30sec",
            "99999999999999999999s",
            "99999999999h",
        ] {
            assert!(Duration::parse_text(wrong).is_err(), "{wrong}");
        }
    }

    /// Goal: lists of CPUs keep their order and repeats, and are bounded.
    #[test]
    fn cpu_lists_are_bounded() {
        assert_eq!(CpuList::parse_text("0-2"), Ok(CpuList(vec![0, 1, 2])));
        assert_eq!(CpuList::parse_text("4, 0,0"), Ok(CpuList(vec![4, 0, 0])));
        for wrong in ["", "a", "1-", "3-1", "0-65535", "0,,1", "-1"] {
            assert!(CpuList::parse_text(wrong).is_err(), "{wrong}");
        }
    }

    /// Goal: uids and sizes take what they should and name the likely slip.
    #[test]
    fn other_texts() {
        assert_eq!(Uid::parse_text("0A"), Ok(Uid(*b"0A")));
        assert!(Uid::parse_text("0a").is_err_and(|error| error.ends_with("did you mean \"0A\"?")));
        assert_eq!(Octets::parse_text("64KiB"), Ok(Octets(65_536)));
        assert!(Octets::parse_text("64kb").is_err());
    }
}
