//! Messages in memory: gone with the process, and never a commit to wait for.

use super::backend::{Backend, BackendError, Changes, LetterRow, LineKey, Row, Taken, Times};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Messages by number.
type MemoryLine = BTreeMap<u64, (Times, Box<[u8]>)>;

#[derive(Debug, Default)]
pub(super) struct MemoryBackend {
    lines: BTreeMap<LineKey, MemoryLine>,
    letters: BTreeMap<u64, LetterRow>,
}

impl Backend for MemoryBackend {
    fn commit(&mut self, changes: &Changes) -> Result<Vec<Option<Taken>>, BackendError> {
        for put in &changes.puts {
            let line = self.lines.entry(put.key.clone()).or_default();
            line.insert(put.number, (put.times, put.pdu[..].into()));
        }
        let mut taken = Vec::with_capacity(changes.takes.len());
        for take in &changes.takes {
            let Some(line) = self.lines.get_mut(&take.key) else {
                taken.push(None);
                continue;
            };
            let message = line.remove(&take.number);
            if line.is_empty() {
                self.lines.remove(&take.key);
            }
            taken.push(message.as_ref().map(|(_, pdu)| Taken::of(take, pdu)));
            if let (Some((times, pdu)), Some((status, buried_ms))) = (message, take.buried) {
                let letter = LetterRow {
                    number: take.number,
                    key: take.key.clone(),
                    status,
                    buried_ms,
                    times,
                    pdu: pdu.into_vec(),
                };
                self.letters.insert(take.number, letter);
            }
        }
        for number in &changes.forgotten_letters {
            self.letters.remove(number);
        }
        Ok(taken)
    }

    fn load(
        &self,
        key: &[u8],
        after: u64,
        show: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<bool, BackendError> {
        let Some(line) = self.lines.get(key) else {
            return Ok(true);
        };
        for (number, (times, pdu)) in line.range((Bound::Excluded(after), Bound::Unbounded)) {
            let row = Row {
                number: *number,
                times: *times,
                pdu,
            };
            if !show(row) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn scan(&self, show: &mut dyn FnMut(&[u8], Row<'_>)) -> Result<(), BackendError> {
        for (key, line) in &self.lines {
            for (number, (times, pdu)) in line {
                let row = Row {
                    number: *number,
                    times: *times,
                    pdu,
                };
                show(key, row);
            }
        }
        Ok(())
    }

    fn letters(&self, after: u64, show: &mut dyn FnMut(LetterRow) -> bool) -> Result<(), BackendError> {
        for letter in self.letters.range((Bound::Excluded(after), Bound::Unbounded)) {
            if !show(letter.1.clone()) {
                break;
            }
        }
        Ok(())
    }
}
