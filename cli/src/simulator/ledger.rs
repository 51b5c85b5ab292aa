//! Which messages were seen: a bitmap for each stream, so that loss and duplication are counted one by one.
//!
//! Bounded: a ledger holds at most [`STREAMS_MAX`] streams and [`NUMBERS_MAX`] numbers in all (128 MiB of bitmaps); what
//! does not fit is counted as untracked, never as seen or lost.

use std::collections::HashMap;

use serde::Serialize;

use super::token::Token;

/// Streams that one ledger tells apart.
pub(crate) const STREAMS_MAX: usize = 65_536;
/// Numbers that one ledger tracks, over all its streams.
pub(crate) const NUMBERS_MAX: u64 = 1 << 30;

const BITS: u64 = u64::BITS as u64;
/// How far a number may lie beyond its stream's highest: a corrupt one must not claim the whole budget.
const LEAP_MAX: u64 = 1 << 22;

/// A set of message numbers from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberSet {
    words: Vec<u64>,
    count: u64,
}

impl NumberSet {
    /// How many numbers are in it.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether `number` is in it.
    pub fn contains(&self, number: u64) -> bool {
        let word = usize::try_from(number / BITS)
            .ok()
            .and_then(|at| self.words.get(at));
        word.is_some_and(|word| word & (1 << (number % BITS)) != 0)
    }

    /// One more than the highest number, rounded up to whole words.
    const fn capacity(&self) -> u64 {
        self.words.len() as u64 * BITS
    }

    /// Adds a number; false when it was there already. The caller bounds `number`.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let at = (number / BITS) as usize;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let bit = 1 << (number % BITS);
        let is_new = self.words[at] & bit == 0;
        self.words[at] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    /// How many numbers are in both.
    pub fn common(&self, other: &Self) -> u64 {
        let both = self.words.iter().zip(&other.words);
        both.map(|(mine, theirs)| u64::from((mine & theirs).count_ones()))
            .sum()
    }

    /// Adds all numbers of `other`; the answer is how many were in both before.
    pub(crate) fn merge(&mut self, other: &Self) -> u64 {
        let common = self.common(other);
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
        self.count += other.count - common;
        common
    }
}

/// The messages that one side received and accepted, by stream.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    streams: HashMap<u64, NumberSet>,
    numbers: u64,
    duplicates: u64,
    untracked: u64,
}

impl Ledger {
    /// Notes a message; false when it was there already.
    pub(crate) fn insert(&mut self, token: Token) -> bool {
        if !self.streams.contains_key(&token.stream_key()) && self.streams.len() >= STREAMS_MAX {
            self.untracked += 1;
            return true;
        }
        let stream = self.streams.entry(token.stream_key()).or_default();
        let number = u64::from(token.number);
        let growth = (number + 1).saturating_sub(stream.capacity());
        if growth > LEAP_MAX || self.numbers + growth > NUMBERS_MAX {
            self.untracked += 1;
            return true;
        }
        let before = stream.capacity();
        let is_new = stream.insert(number);
        self.numbers += stream.capacity() - before;
        self.duplicates += u64::from(!is_new);
        is_new
    }

    /// Distinct messages.
    pub fn unique(&self) -> u64 {
        self.streams.values().map(NumberSet::count).sum()
    }

    /// Messages that were there already when they came.
    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Messages that were beyond the limits of this ledger.
    pub const fn untracked(&self) -> u64 {
        self.untracked
    }

    /// Takes over what another receiver saw; a message in both counts as a duplicate.
    pub fn merge(&mut self, other: &Self) {
        for (stream, numbers) in &other.streams {
            self.duplicates += self.streams.entry(*stream).or_default().merge(numbers);
        }
        self.duplicates += other.duplicates;
        self.untracked += other.untracked;
        self.numbers += other.numbers;
    }
}

/// What one connection sent, and which of it was answered with ESME_ROK.
#[derive(Clone, Debug)]
pub struct SentStream {
    pub(crate) key: u64,
    /// Messages sent: the numbers below this one.
    pub sent: u64,
    /// The numbers that were answered with ESME_ROK.
    pub accepted: NumberSet,
}

/// Both sides' books laid side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Messages sent.
    pub sent: u64,
    /// Sent messages that were answered with ESME_ROK.
    pub accepted: u64,
    /// Distinct messages that the far side received.
    pub received: u64,
    /// Answered with ESME_ROK, yet never received: lost.
    pub lost: u64,
    /// Received more than once.
    pub duplicated: u64,
    /// Received, though the sender got an error or no answer; not a fault by itself.
    pub received_without_acceptance: u64,
    /// Received under a number that was never sent.
    pub invented: u64,
    /// Not tracked, because of the ledger's limits.
    pub untracked: u64,
}

impl Comparison {
    /// Compares what was sent with what was received. `received` may hold other senders' streams too; they are left out.
    pub fn of<'a>(sent: impl IntoIterator<Item = &'a SentStream>, received: &Ledger) -> Self {
        let nothing = NumberSet::default();
        let mut total = Self {
            duplicated: received.duplicates,
            untracked: received.untracked,
            ..Self::default()
        };
        for stream in sent {
            let seen = received.streams.get(&stream.key).unwrap_or(&nothing);
            let both = stream.accepted.common(seen);
            let invented = (stream.sent..seen.capacity())
                .filter(|number| seen.contains(*number))
                .count() as u64;
            total.sent += stream.sent;
            total.accepted += stream.accepted.count();
            total.received += seen.count();
            total.lost += stream.accepted.count() - both;
            total.received_without_acceptance += seen.count() - both - invented;
            total.invented += invented;
        }
        total
    }

    /// Nothing lost, duplicated or invented.
    pub const fn is_exact(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.invented == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(stream: u32, number: u32) -> Token {
        Token {
            run: 1,
            stream,
            number,
        }
    }

    /// Goal: one lost, one duplicated, one invented and one refused message are each told apart.
    #[test]
    fn the_books_are_compared_one_by_one() {
        let mut accepted = NumberSet::default();
        for number in (0..100).filter(|number| *number != 50) {
            assert!(accepted.insert(number));
        }
        let sent = SentStream {
            key: token(4, 0).stream_key(),
            sent: 100,
            accepted,
        };
        let mut received = Ledger::default();
        for number in (0..100).filter(|number| *number != 7) {
            assert!(received.insert(token(4, number)));
        }
        assert!(!received.insert(token(4, 99)));
        assert!(received.insert(token(4, 100)));
        let expected = Comparison {
            sent: 100,
            accepted: 99,
            received: 100,
            lost: 1,
            duplicated: 1,
            received_without_acceptance: 1,
            invented: 1,
            untracked: 0,
        };
        assert_eq!(Comparison::of([&sent], &received), expected);
        assert!(!expected.is_exact());
    }

    /// Goal: a message that two receivers saw is a duplicate; absurd numbers cost no memory.
    #[test]
    fn merging_finds_duplicates_and_limits_hold() {
        let (mut one, mut two) = (Ledger::default(), Ledger::default());
        one.insert(token(1, 1));
        two.insert(token(1, 1));
        two.insert(token(1, 2));
        one.merge(&two);
        assert_eq!((one.unique(), one.duplicates()), (2, 1));
        one.insert(token(2, u32::MAX));
        assert_eq!((one.unique(), one.untracked()), (2, 1));
    }
}
