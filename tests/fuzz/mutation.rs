//! A small mutator for the runs of `cargo test`: no coverage guides it, but it needs nothing but stable Rust and is the same
//! everywhere. libFuzzer does the search.

/// Changes inputs by chance, from a seed.
#[derive(Clone, Debug)]
pub struct Mutator(u64);

/// Octets that are more often interesting than others.
const OCTETS: [u8; 12] = [0, 1, 2, 4, 5, 16, 0x7F, 0x80, 0xFE, 0xFF, b'#', b'0'];

impl Mutator {
    /// A mutator that always does the same.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another input like this one, of at most `octets_max` octets.
    pub fn mutate(&mut self, input: &[u8], other: &[u8], octets_max: usize) -> Vec<u8> {
        let mut octets = input.to_vec();
        for _ in 0..=self.below(4) {
            self.step(&mut octets, other);
        }
        octets.truncate(octets_max);
        octets
    }

    fn step(&mut self, octets: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(octets.len() + 1);
        match self.below(7) {
            0 if at < octets.len() => octets[at] ^= 1 << self.below(8),
            1 if at < octets.len() => octets[at] = OCTETS[self.below(OCTETS.len())],
            2 => octets.insert(at, OCTETS[self.below(OCTETS.len())]),
            3 if at < octets.len() => {
                let end = (at + 1 + self.below(8)).min(octets.len());
                octets.drain(at..end);
            }
            4 => octets.truncate(at),
            5 if !other.is_empty() => {
                let start = self.below(other.len());
                let end = (start + 1 + self.below(32)).min(other.len());
                octets.splice(at..at, other[start..end].iter().copied());
            }
            _ => octets.push(self.next() as u8),
        }
    }

    /// From 0 up to, and without, `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// splitmix64.
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
