//! Jitter: a small deterministic generator, seeded from outside. Not for secrets.

use std::time::Duration;

/// xorshift64*: the same seed gives the same sequence.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(if seed == 0 { 0x9E37_79B9_7F4A_7C15 } else { seed })
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// `duration`, shortened by up to a quarter, so that many sessions do not act at once.
    pub(super) fn jittered(&mut self, duration: Duration) -> Duration {
        let quarter = duration / 4;
        let part = u32::try_from(self.next() >> 48).unwrap_or(0);
        duration - quarter * part / 0xFFFF
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: jitter stays within three quarters and the whole, and is not always the same.
    #[test]
    fn jitter_stays_in_bounds() {
        let mut random = Random::new(7);
        let whole = Duration::from_secs(8);
        let values: Vec<_> = (0..1_000).map(|_| random.jittered(whole)).collect();
        assert!(
            values
                .iter()
                .all(|value| *value >= Duration::from_secs(6) && *value <= whole)
        );
        assert!(values.iter().any(|value| *value != values[0]));
    }
}
