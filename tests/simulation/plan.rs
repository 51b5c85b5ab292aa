//! Which run: a seed, and what is left out of it so that a failure is easier to read.

use crate::scenario::Scenario;
use std::fmt;
use std::time::Duration;

/// A run, wholly determined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Draws the scenario and, with `salt`, everything that happens by chance.
    pub seed: u64,
    /// Another course of chance for the same scenario; 0 is the seed's own.
    pub salt: u64,
    /// What is left out.
    pub reduction: Reduction,
}

/// What is left out of the scenario that a seed stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reduction {
    /// Faults that never strike, by name.
    pub without: Vec<String>,
    /// At most so many engines.
    pub engines: Option<usize>,
    /// At most so many ESMEs: the first ones.
    pub esmes: Option<usize>,
    /// Faults strike no longer than so many milliseconds.
    pub chaos_ms: Option<u64>,
    /// At least so many of a thousand messages are segments of concatenated ones. (The one thing that adds something.)
    pub segments: Option<u32>,
}

impl Plan {
    /// The whole run of a seed.
    pub fn of(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// The same with at least so many segments in a thousand messages.
    #[must_use]
    pub fn with_segments(mut self, segments: Option<u32>) -> Self {
        self.reduction.segments = segments;
        self
    }

    /// Takes out of a scenario what this plan leaves out.
    pub(crate) fn reduce(&self, mut scenario: Scenario) -> Scenario {
        let Reduction {
            without,
            engines,
            esmes,
            chaos_ms,
            segments,
        } = &self.reduction;
        if let Some(segments) = segments {
            scenario.faults.concatenation = scenario.faults.concatenation.max(*segments);
        }
        for name in without {
            let weight = scenario.faults.weight_mut(name);
            *weight.unwrap_or_else(|| panic!("{name} is no fault")) = 0;
        }
        if let Some(engines) = engines {
            scenario.engines = scenario.engines.min(*engines).max(1);
        }
        if let Some(esmes) = esmes {
            scenario.esmes.truncate((*esmes).max(1));
        }
        if let Some(chaos_ms) = chaos_ms {
            scenario.chaos = scenario.chaos.min(Duration::from_millis((*chaos_ms).max(1)));
        }
        scenario
    }

    /// The size of the scenario as drawn and reduced: engines, ESMEs, milliseconds of chaos, faults that can strike.
    pub(crate) fn extent(&self) -> Extent {
        let mut random = crate::random::Random::new(self.seed);
        let mut scenario = self.reduce(Scenario::draw(&mut random));
        let names = crate::fault_names().iter();
        let faults = names.filter(|name| scenario.faults.weight_mut(name).is_some_and(|weight| *weight > 0));
        let faults = faults.map(|name| (*name).to_owned()).collect();
        Extent {
            engines: scenario.engines,
            esmes: scenario.esmes.len(),
            chaos_ms: u64::try_from(scenario.chaos.as_millis()).unwrap_or(u64::MAX),
            faults,
        }
    }
}

/// How large a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) engines: usize,
    pub(crate) esmes: usize,
    pub(crate) chaos_ms: u64,
    pub(crate) faults: Vec<String>,
}

/// As the arguments of `simulate replay`.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reduction {
            without,
            engines,
            esmes,
            chaos_ms,
            segments,
        } = &self.reduction;
        write!(formatter, "{}", self.seed)?;
        if self.salt != 0 {
            write!(formatter, " --salt {}", self.salt)?;
        }
        if !without.is_empty() {
            write!(formatter, " --without {}", without.join(","))?;
        }
        for (flag, value) in [("engines", engines), ("esmes", esmes)] {
            if let Some(value) = value {
                write!(formatter, " --{flag} {value}")?;
            }
        }
        if let Some(chaos_ms) = chaos_ms {
            write!(formatter, " --chaos-ms {chaos_ms}")?;
        }
        if let Some(segments) = segments {
            write!(formatter, " --segments {segments}")?;
        }
        Ok(())
    }
}
