//! A set of cores, as rules write it: `0,2` or `0-3,6`.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// More cores than any machine that this runs on; keeps a mistyped range from growing.
pub const CORES_MAX: usize = 1024;

/// One core or more, each once, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoreSet(Vec<u16>);

/// Why a text is no set of cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreSetError {
    /// It names no core.
    Empty,
    /// This part is neither a core's number below [`CORES_MAX`] nor an ascending range of them.
    Part(String),
}

impl CoreSet {
    /// All cores of a machine with `cores` of them.
    ///
    /// # Errors
    /// When there is none, or more than [`CORES_MAX`].
    pub fn all(cores: usize) -> Result<Self, CoreSetError> {
        match u16::try_from(cores) {
            Ok(0) => Err(CoreSetError::Empty),
            Ok(count) if cores <= CORES_MAX => Ok(Self((0..count).collect())),
            _ => Err(CoreSetError::Part(cores.to_string())),
        }
    }

    /// How many cores it has; at least one.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether `core` is one of them.
    pub fn contains(&self, core: usize) -> bool {
        u16::try_from(core).is_ok_and(|core| self.0.binary_search(&core).is_ok())
    }

    /// The cores, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.0.iter().map(|core| usize::from(*core))
    }

    /// The core with the highest number.
    pub fn highest(&self) -> usize {
        self.iter().next_back().unwrap_or_default()
    }

    /// The core at `position`, counted round and round.
    pub(crate) fn cycle_at(&self, position: usize) -> usize {
        usize::from(self.0[position % self.0.len()])
    }
}

impl FromStr for CoreSet {
    type Err = CoreSetError;

    fn from_str(text: &str) -> Result<Self, CoreSetError> {
        if text.is_empty() {
            return Err(CoreSetError::Empty);
        }
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) = (core_number(first), core_number(last)) else {
                return Err(CoreSetError::Part(part.to_owned()));
            };
            if first > last {
                return Err(CoreSetError::Part(part.to_owned()));
            }
            cores.extend(first..=last);
        }
        cores.sort_unstable();
        cores.dedup();
        Ok(Self(cores))
    }
}

impl fmt::Display for CoreSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, core) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(formatter, "{comma}{core}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CoreSetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("no core is named"),
            Self::Part(part) => {
                write!(
                    formatter,
                    "{part:?} is no core or range of cores from 0 to {}",
                    CORES_MAX - 1
                )
            }
        }
    }
}

impl Error for CoreSetError {}

fn core_number(text: &str) -> Option<u16> {
    text.trim()
        .parse()
        .ok()
        .filter(|core| usize::from(*core) < CORES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_and_names_each_core_once() {
        let set: CoreSet = "6, 0-3,2".parse().expect("a set");
        assert_eq!(set.to_string(), "0,1,2,3,6");
        assert_eq!((set.count(), set.highest(), set.cycle_at(5)), (5, 6, 0));
        assert!(set.contains(6) && !set.contains(4) && !set.contains(65_536));
    }

    #[test]
    fn what_is_no_set_is_named() {
        for (text, part) in [
            ("0,x", "x"),
            ("3-1", "3-1"),
            ("0-1024", "0-1024"),
            ("0,", ""),
            ("-1", "-1"),
        ] {
            assert_eq!(
                text.parse::<CoreSet>(),
                Err(CoreSetError::Part(part.to_owned())),
                "{text}"
            );
        }
        assert_eq!("".parse::<CoreSet>(), Err(CoreSetError::Empty));
    }
}
