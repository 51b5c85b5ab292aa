//! The file of records: 16 octets each, a batch with one write, before anything of the batch is sent.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

/// Kinds of records, as `ledger.py` reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Opened = 1,
    Closed,
    Sent,
    Good,
    Bad,
    Got,
    Wrong,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cause {
    /// By us, at the end.
    Ended = 1,
    /// By us, as a fault.
    Cut,
    /// smppmux unbound it.
    Unbound,
    /// smppmux closed it without a word.
    Dropped,
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wrong {
    Unasked = 1,
    Command,
    Swapped,
    Changed,
    Unanswered,
    Malformed,
    Unclean,
    UnboundStatus,
}

pub(crate) struct Records {
    file: File,
    batch: Vec<u8>,
    /// A run of consecutive messages of one kind and session that may go on: its first token, the word without count, the count.
    run: Option<(u64, u64, u32)>,
}

impl Records {
    pub(crate) fn create(path: &str) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            file,
            batch: Vec::new(),
            run: None,
        })
    }

    pub(crate) fn note(&mut self, kind: Kind, token: u64, session: u32, detail: u32) {
        self.end_run();
        let word = u64::from(kind as u8) << 56 | u64::from(detail & 0xFF_FFFF) << 32 | u64::from(session);
        self.push(token, word);
    }

    /// Notes one message more of a kind whose detail is a count.
    pub(crate) fn count(&mut self, kind: Kind, token: u64, session: u32) {
        let word = u64::from(kind as u8) << 56 | u64::from(session);
        match &mut self.run {
            Some((first, same, count)) if *same == word && *first + u64::from(*count) == token => *count += 1,
            _ => {
                self.end_run();
                self.run = Some((token, word, 1));
            }
        }
    }

    fn end_run(&mut self) {
        if let Some((token, word, count)) = self.run.take() {
            self.push(token, word | u64::from(count) << 32);
        }
    }

    fn push(&mut self, token: u64, word: u64) {
        self.batch.extend_from_slice(&token.to_le_bytes());
        self.batch.extend_from_slice(&word.to_le_bytes());
    }

    /// Hands the batch to the kernel, where it survives the end of this process.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        self.end_run();
        if !self.batch.is_empty() {
            self.file.write_all(&self.batch)?;
            self.batch.clear();
        }
        Ok(())
    }
}
