//! Which dead letters there are: their numbers, oldest first.

use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Letters {
    numbers: BTreeSet<u64>,
}

impl Letters {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn add(&mut self, number: u64) {
        self.numbers.insert(number);
    }

    /// One more. The answer are those that have to go for it.
    pub(super) fn buried(&mut self, number: u64, letters_max: u64) -> Vec<u64> {
        self.numbers.insert(number);
        let mut forgotten = Vec::new();
        while self.numbers.len() as u64 > letters_max
            && let Some(oldest) = self.numbers.pop_first()
        {
            forgotten.push(oldest);
        }
        forgotten
    }

    /// Takes one out, or all. The answer are those that were there.
    pub(super) fn take(&mut self, number: Option<u64>) -> Vec<u64> {
        match number {
            Some(number) => self.numbers.take(&number).into_iter().collect(),
            None => std::mem::take(&mut self.numbers).into_iter().collect(),
        }
    }
}
