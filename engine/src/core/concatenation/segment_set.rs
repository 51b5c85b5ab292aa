//! A set of segment numbers, 1 to 255.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SegmentSet {
    words: [u64; 4],
}

impl SegmentSet {
    pub(super) const fn contains(&self, number: u8) -> bool {
        self.words[number as usize / 64] & (1 << (number % 64)) != 0
    }

    pub(super) const fn insert(&mut self, number: u8) {
        self.words[number as usize / 64] |= 1 << (number % 64);
    }

    pub(super) const fn remove(&mut self, number: u8) {
        self.words[number as usize / 64] &= !(1 << (number % 64));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        (0_u8..4).zip(self.words).flat_map(|(place, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros();
                // Clears the lowest bit; a word without one has 64 zeros.
                word &= word.wrapping_sub(1);
                u8::try_from(bit)
                    .ok()
                    .filter(|bit| *bit < 64)
                    .map(|bit| place * 64 + bit)
            })
        })
    }
}
