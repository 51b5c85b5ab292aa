//! When a server is taken for ill, and for how long it is left out.

use std::time::Duration;

/// Passive health of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionSettings {
    /// So many requests in a row without an answer in time; 0: they do not matter.
    pub timeouts: u32,
    /// So large a part of the answers within `window`, in percent, that say that it is ill or do not come; 0: they do not matter.
    pub errors_percent: u32,
    /// Fewer answers than this say nothing.
    pub answers_min: u32,
    /// What is older is forgotten.
    pub window: Duration,
    /// How long the first ejection is; each further one is twice as long as the one before.
    pub min: Duration,
    /// The longest one.
    pub max: Duration,
    /// Good answers in a row that a trial takes, from 1.
    pub rise: u32,
}

impl EjectionSettings {
    /// The documented defaults: it is off.
    pub const DEFAULT: Self = Self {
        timeouts: 0,
        errors_percent: 0,
        answers_min: 20,
        window: Duration::from_secs(10),
        min: Duration::from_secs(30),
        max: Duration::from_secs(300),
        rise: 3,
    };

    /// What the documents recommend to whoever wants it.
    pub const RECOMMENDED: Self = Self {
        timeouts: 5,
        errors_percent: 80,
        ..Self::DEFAULT
    };

    /// Nothing ejects it.
    pub const fn is_off(&self) -> bool {
        self.timeouts == 0 && self.errors_percent == 0
    }
}
