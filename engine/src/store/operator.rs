//! What the operator asked of the store's thread.

use super::backend::{LetterRow, LineKey, Times};
use super::book::LineBook;
use super::control::{ControlRequest, DeadLetter, LineReport, StoreReport};
use super::disk_key::Named;
use super::worker::{Worker, milliseconds};
use crate::core::queue::QueueKey;
use crate::core::store_message::Fate;
use crate::core::wire::Status;
use bytes::BytesMut;
use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Letters that one commit puts back, and messages that one commit forgets, at most.
const STEP: usize = 4_096;

/// Lines that are looked at for the oldest message at most.
const LOOKS_MAX: usize = 256;

impl Worker {
    pub(super) fn control(&mut self, request: ControlRequest) {
        match request {
            ControlRequest::Report(answer) => reply(&answer, self.make_report()),
            ControlRequest::Lines(lines_max, answer) => reply(&answer, self.report_lines(lines_max)),
            ControlRequest::DeadLetters(after, letters_max, answer) => {
                reply(&answer, self.report_letters(after, letters_max));
            }
            ControlRequest::Redrive(number, answer) => {
                let redriven = self.redrive(number);
                reply(&answer, redriven);
            }
            ControlRequest::PurgeDeadLetters(number, answer) => {
                let numbers = if self.backend.is_some() {
                    self.letters.take(number)
                } else {
                    Vec::new()
                };
                let purged = numbers.len() as u64;
                self.forget_letters(numbers);
                self.commit();
                reply(&answer, purged);
            }
            ControlRequest::PurgeLines(name, answer) => {
                let purged = self.purge(name.as_deref());
                reply(&answer, purged);
            }
        }
    }

    fn make_report(&mut self) -> StoreReport {
        let oldest_ms = self.oldest_of_all_ms();
        StoreReport {
            oldest_age: oldest_ms.map_or(Duration::ZERO, |oldest_ms| self.age_since(oldest_ms)),
            messages: self.book.total.count,
            octets: self.book.total.octets,
            lines: self.book.lines.len() as u64,
            dead_letters: self.letters.len() as u64,
            is_broken: self.backend.is_none(),
            ..self.report
        }
    }

    fn report_lines(&self, lines_max: usize) -> Vec<LineReport> {
        let reports = longest(&self.book.lines, lines_max)
            .into_iter()
            .filter_map(|(key, line)| {
                let words = Words::of(key)?;
                Some(LineReport {
                    vserver: words.vserver,
                    name: words.name,
                    numbering: words.numbering,
                    messages: line.amount.count,
                    octets: line.amount.octets,
                    oldest_age: self.age_since(self.oldest_ms(key)?),
                })
            });
        reports.collect()
    }

    /// When the oldest message came. The book says for each line when that was at the earliest, so the line that comes first is
    /// looked at, until it is the one. After so many looks the book's word stands, and the age is told too high.
    fn oldest_of_all_ms(&mut self) -> Option<u64> {
        for _ in 0..LOOKS_MAX {
            let (said_ms, key) = self.book.oldest()?;
            match self.oldest_ms(&key) {
                Some(found_ms) if found_ms > said_ms => self.book.set_oldest(&key, found_ms),
                _ => return Some(said_ms),
            }
        }
        self.book.oldest().map(|(said_ms, _)| said_ms)
    }

    fn oldest_ms(&self, key: &LineKey) -> Option<u64> {
        let mut oldest_ms = None;
        let first = self.backend.as_ref()?.load(key, 0, &mut |row| {
            oldest_ms = Some(row.times.arrived_ms);
            false
        });
        first.ok().and(oldest_ms)
    }

    fn age_since(&self, then_ms: u64) -> Duration {
        Duration::from_millis(self.clock.now_ms().saturating_sub(then_ms))
    }

    fn report_letters(&self, after: u64, letters_max: usize) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        self.each_letter(after, |letter| {
            if letters.len() >= letters_max {
                return false;
            }
            if let Some(words) = Words::of(&letter.key) {
                letters.push(DeadLetter {
                    number: letter.number,
                    vserver: words.vserver,
                    name: words.name,
                    status: Status(letter.status),
                    age: self.age_since(letter.buried_ms),
                    pdu: letter.pdu,
                });
            }
            true
        });
        letters
    }

    fn each_letter(&self, after: u64, mut show: impl FnMut(LetterRow) -> bool) {
        let Some(backend) = &self.backend else { return };
        if let Err(error) = backend.letters(after, &mut show) {
            tracing::warn!(%error, "the dead letters cannot be read");
        }
    }

    /// Puts letters back behind the messages of their lines; those of a vserver or account that is no more stay.
    fn redrive(&mut self, number: Option<u64>) -> u64 {
        let (mut redriven, mut after) = (0, number.map_or(0, |number| number.saturating_sub(1)));
        loop {
            let mut letters = Vec::new();
            let most = if number.is_some() { 1 } else { STEP };
            self.each_letter(after, |letter| {
                let is_wanted = number.is_none_or(|number| number == letter.number);
                letters.extend(Some(letter).filter(|_| is_wanted));
                is_wanted && letters.len() < most
            });
            let Some(last) = letters.last() else {
                return redriven;
            };
            after = last.number;
            let keys: Vec<QueueKey> = letters
                .into_iter()
                .filter_map(|it| self.redrive_one(it))
                .collect();
            self.commit();
            if self.backend.is_none() {
                return redriven;
            }
            redriven += keys.len() as u64;
            self.tell_of_lines(&keys);
            if number.is_some() {
                return redriven;
            }
        }
    }

    fn redrive_one(&mut self, letter: LetterRow) -> Option<QueueKey> {
        let key = Named::read(&letter.key)?.resolve(&self.settings)?;
        let times = Times {
            arrived_ms: letter.times.arrived_ms,
            expires_ms: self.clock.now_ms() + milliseconds(self.store.age_max),
        };
        self.put(letter.key, &key, times, BytesMut::from(&letter.pdu[..]));
        let numbers = self.letters.take(Some(letter.number));
        self.forget_letters(numbers);
        Some(key)
    }

    fn purge(&mut self, name: Option<&str>) -> u64 {
        let is_wanted =
            |key: &LineKey| name.is_none_or(|name| Words::of(key).is_some_and(|it| it.name == name));
        let lines: Vec<LineKey> = self
            .book
            .lines
            .keys()
            .filter(|key| is_wanted(key))
            .cloned()
            .collect();
        let before = self.book.total.count;
        for key in lines {
            while let Some(backend) = &self.backend {
                let mut numbers = Vec::new();
                let outcome = backend.load(&key, 0, &mut |row| {
                    numbers.push(row.number);
                    numbers.len() < STEP
                });
                if outcome.is_err() || numbers.is_empty() {
                    break;
                }
                for number in numbers {
                    self.remove(key.clone(), number, Fate::Expired);
                }
                self.commit();
            }
        }
        before.saturating_sub(self.book.total.count)
    }
}

/// The longest lines, longest first; of equals those whose keys come first, so that the choice does not change with every look.
fn longest(lines: &BTreeMap<LineKey, LineBook>, lines_max: usize) -> Vec<(&LineKey, &LineBook)> {
    let mut longest: Vec<(&LineKey, &LineBook)> = lines.iter().collect();
    let order = |one: &(&LineKey, &LineBook), other: &(&LineKey, &LineBook)| {
        let by_length = other.1.amount.count.cmp(&one.1.amount.count);
        by_length.then_with(|| one.0.cmp(other.0))
    };
    // Somebody may watch every second, and few of many lines are shown.
    if lines_max < longest.len() {
        longest.select_nth_unstable_by(lines_max, order);
        longest.truncate(lines_max);
    }
    longest.sort_unstable_by(order);
    longest
}

/// A line in words for people.
struct Words {
    vserver: String,
    name: String,
    numbering: Option<(u8, u8)>,
}

impl Words {
    fn of(key: &[u8]) -> Option<Self> {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Some(match Named::read(key)? {
            Named::Destination(vserver, address) => Self {
                vserver: text(vserver),
                name: text(address.addr),
                numbering: Some((address.ton, address.npi)),
            },
            Named::Account(vserver, system_id) => Self {
                vserver: text(vserver),
                name: text(system_id),
                numbering: None,
            },
        })
    }
}

fn reply<T>(answer: &SyncSender<T>, value: T) {
    // Whoever asked may have given up.
    let _ = answer.try_send(value);
}

#[cfg(test)]
mod tests {
    use super::super::book::Book;
    use super::*;

    /// Goal: the longest lines come, longest first, the same ones of equals each time, and all where there are few.
    #[test]
    fn the_longest_lines_come_first() {
        let mut book = Book::default();
        let times = Times {
            arrived_ms: 0,
            expires_ms: 1,
        };
        let key = |number: u8| LineKey::from([number]);
        for (number, messages) in [2, 9, 2, 5, 9, 2].into_iter().enumerate() {
            for _ in 0..messages {
                book.add(&key(number as u8), None, 10, times);
            }
        }
        let expected = [1, 4, 3, 0, 2, 5].map(key);
        for lines_max in 0..=7 {
            let found = longest(&book.lines, lines_max).into_iter();
            let found: Vec<LineKey> = found.map(|(key, _)| key.clone()).collect();
            assert_eq!(found, expected[..lines_max.min(6)], "{lines_max}");
        }
    }
}
