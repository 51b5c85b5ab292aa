//! Where a line may have messages that wait: one bit for each of some thousand *buckets* that all lines hash into.
//!
//! A message for a bucket that is marked asks the home core of the bucket first, whose answer is exact; one for a bucket
//! without a mark goes its usual way. So an origin core needs no list of all lines, and a message costs one branch while
//! nothing is queued. A bucket is marked by its home's word (directory), or by this core itself: from the first question until
//! an answer that says "not queued" leaves no question open. That second mark alone is what keeps the order of one session.

use crate::core::contract::CoreIndex;
use std::collections::HashMap;

/// Which share of all lines: the highest bits of a key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket(pub(in crate::core) u16);

const BITS: u32 = 12;
const BUCKETS: usize = 1 << BITS;

impl Bucket {
    #[inline]
    pub(in crate::core) const fn of(key_hash: u64) -> Self {
        Self((key_hash >> (u64::BITS - BITS)) as u16)
    }

    /// The hash that stands for all of the bucket when its home is looked up.
    #[inline]
    pub(in crate::core) const fn key_hash(self) -> u64 {
        (self.0 as u64) << (u64::BITS - BITS)
    }
}

/// The marks as one core sees them.
#[derive(Debug, Default)]
pub(in crate::core) struct Marks {
    /// By core: what it said of the buckets whose home it is. Without memory until the first mark.
    told: Vec<Vec<u64>>,
    told_marks: usize,
    asked: HashMap<Bucket, Asked>,
    /// Lines of this core that have messages, by bucket.
    lines: Vec<u32>,
}

/// A bucket that this core has asked about.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    open_questions: u32,
    /// The last answer was that a message was queued.
    is_queued: bool,
}

impl Marks {
    /// Some bucket of another core's is marked.
    #[inline]
    pub(in crate::core) fn has_any(&self) -> bool {
        self.told_marks > 0 || !self.asked.is_empty()
    }

    /// Whether the home of a bucket has to be asked.
    pub(in crate::core) fn is_marked(&self, home: CoreIndex, bucket: Bucket) -> bool {
        let told = self.told.get(home.as_usize());
        let word = told.and_then(|words| words.get(usize::from(bucket.0) / 64));
        word.is_some_and(|word| word >> (bucket.0 % 64) & 1 == 1) || self.asked.contains_key(&bucket)
    }

    /// The home of a bucket says whether it has messages.
    pub(in crate::core) fn tell(&mut self, home: CoreIndex, bucket: Bucket, is_marked: bool) {
        let place = usize::from(bucket.0);
        if place >= BUCKETS {
            return;
        }
        if self.told.len() <= home.as_usize() {
            self.told.resize(home.as_usize() + 1, Vec::new());
        }
        let words = &mut self.told[home.as_usize()];
        if words.is_empty() {
            words.resize(BUCKETS / 64, 0);
        }
        let (word, bit) = (&mut words[place / 64], 1_u64 << (place % 64));
        if (*word & bit != 0) != is_marked {
            *word ^= bit;
            if is_marked {
                self.told_marks += 1;
            } else {
                self.told_marks -= 1;
            }
        }
    }

    /// A question about a message for this bucket has left.
    pub(in crate::core) fn ask(&mut self, bucket: Bucket) {
        self.asked.entry(bucket).or_default().open_questions += 1;
    }

    /// A question has its answer (or never will).
    pub(in crate::core) fn answered(&mut self, bucket: Bucket, is_queued: bool) {
        if let Some(asked) = self.asked.get_mut(&bucket) {
            asked.open_questions = asked.open_questions.saturating_sub(1);
            asked.is_queued = is_queued;
            if asked.open_questions == 0 && !is_queued {
                self.asked.remove(&bucket);
            }
        }
    }

    /// A core is gone: what it said holds no more.
    pub(in crate::core) fn forget_core(&mut self, core: CoreIndex) {
        if let Some(words) = self.told.get_mut(core.as_usize()) {
            let marks: u32 = words.iter().map(|word| word.count_ones()).sum();
            self.told_marks -= marks as usize;
            *words = Vec::new();
        }
    }

    /// This core has one more line with messages. True: it is the first in its bucket.
    pub(in crate::core) fn line_added(&mut self, bucket: Bucket) -> bool {
        if self.lines.is_empty() {
            self.lines.resize(BUCKETS, 0);
        }
        let lines = &mut self.lines[usize::from(bucket.0)];
        *lines += 1;
        *lines == 1
    }

    /// A line of this core has none any more. True: it was the last in its bucket.
    pub(in crate::core) fn line_removed(&mut self, bucket: Bucket) -> bool {
        let lines = &mut self.lines[usize::from(bucket.0)];
        *lines -= 1;
        *lines == 0
    }

    /// Whether this core has a line with messages in a bucket.
    pub(in crate::core) fn has_lines(&self, bucket: Bucket) -> bool {
        self.lines
            .get(usize::from(bucket.0))
            .is_some_and(|lines| *lines > 0)
    }

    /// All lines of this core.
    pub(in crate::core) fn lines(&self) -> usize {
        self.lines.iter().map(|lines| *lines as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a bucket stays marked while a question is open or the last word was "queued", and no longer.
    #[test]
    fn own_marks_end_with_the_last_answer() {
        let (mut marks, bucket, home) = (Marks::default(), Bucket::of(u64::MAX / 3), CoreIndex(1));
        marks.ask(bucket);
        marks.ask(bucket);
        marks.answered(bucket, false);
        assert!(marks.is_marked(home, bucket) && marks.has_any());
        marks.answered(bucket, true);
        assert!(marks.is_marked(home, bucket));
        marks.ask(bucket);
        marks.answered(bucket, false);
        assert!(!marks.is_marked(home, bucket) && !marks.has_any());
    }

    /// Goal: what a home tells counts once, for its own buckets, until the core is gone.
    #[test]
    fn told_marks_are_the_homes() {
        let mut marks = Marks::default();
        let (one, other) = (Bucket(0), Bucket((BUCKETS - 1) as u16));
        for _ in 0..2 {
            marks.tell(CoreIndex(2), one, true);
            marks.tell(CoreIndex(2), other, true);
        }
        assert!(marks.is_marked(CoreIndex(2), one) && !marks.is_marked(CoreIndex(1), one));
        marks.tell(CoreIndex(2), one, false);
        assert!(!marks.is_marked(CoreIndex(2), one) && marks.is_marked(CoreIndex(2), other));
        marks.forget_core(CoreIndex(2));
        assert!(!marks.has_any());
    }
}
