//! The operator's handle of the store: what waits, what was refused for good, and what shall become of it.
//!
//! Calls wait for the store's thread, so none may be made on an engine's thread.

use super::thread::Message;
use crate::core::settings::Settings;
use crate::core::wire::Status;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::time::Duration;

/// How long the store may take to answer: a commit and a look through a long line lie between.
const PATIENCE: Duration = Duration::from_secs(10);

/// Figures of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// Messages that wait.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Destinations and accounts that have any.
    pub lines: u64,
    /// How long the oldest message has waited.
    pub oldest_age: Duration,
    /// Dead letters that are kept.
    pub dead_letters: u64,
    /// Messages taken in since the start.
    pub stored: u64,
    /// Messages that a client took since the start.
    pub delivered: u64,
    /// Messages whose time was over since the start.
    pub expired: u64,
    /// Messages that a client refused for good since the start.
    pub buried: u64,
    /// Messages that found no room since the start.
    pub refused: u64,
    /// Commits since the start.
    pub commits: u64,
    /// Commits that failed since the start.
    pub commits_failed: u64,
    /// Nothing can be stored until the file has been opened again.
    pub is_broken: bool,
}

/// One line with messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineReport {
    /// At which vserver.
    pub vserver: String,
    /// The destination address, or the account's system_id.
    pub name: String,
    /// TON and NPI of the destination; `None` for an account's receipts.
    pub numbering: Option<(u8, u8)>,
    /// Messages that wait.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// How long the oldest has waited.
    pub oldest_age: Duration,
}

/// A message that a client refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number, by which it is re-driven.
    pub number: u64,
    /// At which vserver.
    pub vserver: String,
    /// The destination address, or the account's system_id.
    pub name: String,
    /// What the client said.
    pub status: Status,
    /// How long ago.
    pub age: Duration,
    /// The whole PDU.
    pub pdu: Vec<u8>,
}

/// The handle; clones speak to the same store.
#[derive(Clone, Debug)]
pub struct StoreControl {
    messages: Sender<Message>,
}

/// The store has ended, or did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreUnreachable;

/// What the operator asks, with where the answer goes.
#[derive(Debug)]
pub(super) enum ControlRequest {
    Report(SyncSender<StoreReport>),
    Lines(usize, SyncSender<Vec<LineReport>>),
    DeadLetters(u64, usize, SyncSender<Vec<DeadLetter>>),
    Redrive(Option<u64>, SyncSender<u64>),
    PurgeDeadLetters(Option<u64>, SyncSender<u64>),
    PurgeLines(Option<String>, SyncSender<u64>),
}

impl StoreControl {
    pub(super) const fn new(messages: Sender<Message>) -> Self {
        Self { messages }
    }

    /// Figures of the whole store.
    ///
    /// # Errors
    /// When the store does not answer; so with every other call.
    pub fn report(&self) -> Result<StoreReport, StoreUnreachable> {
        self.ask(ControlRequest::Report)
    }

    /// The lines that have messages, the longest first, `lines_max` at most.
    ///
    /// # Errors
    /// See [`Self::report`].
    pub fn lines(&self, lines_max: usize) -> Result<Vec<LineReport>, StoreUnreachable> {
        self.ask(|answer| ControlRequest::Lines(lines_max, answer))
    }

    /// Dead letters with a higher number than `after`, oldest first, `letters_max` at most.
    ///
    /// # Errors
    /// See [`Self::report`].
    pub fn dead_letters(&self, after: u64, letters_max: usize) -> Result<Vec<DeadLetter>, StoreUnreachable> {
        self.ask(|answer| ControlRequest::DeadLetters(after, letters_max, answer))
    }

    /// Puts dead letters back, behind the messages of their lines, with a new age: one, or all. The answer is how many.
    ///
    /// # Errors
    /// See [`Self::report`].
    pub fn redrive(&self, number: Option<u64>) -> Result<u64, StoreUnreachable> {
        self.ask(|answer| ControlRequest::Redrive(number, answer))
    }

    /// Forgets dead letters: one, or all. The answer is how many.
    ///
    /// # Errors
    /// See [`Self::report`].
    pub fn purge_dead_letters(&self, number: Option<u64>) -> Result<u64, StoreUnreachable> {
        self.ask(|answer| ControlRequest::PurgeDeadLetters(number, answer))
    }

    /// Forgets messages that wait: those of one destination (or account), or all. What an engine has loaded to deliver it
    /// may still be delivered. The answer is how many.
    ///
    /// # Errors
    /// See [`Self::report`].
    pub fn purge(&self, name: Option<&str>) -> Result<u64, StoreUnreachable> {
        self.ask(|answer| ControlRequest::PurgeLines(name.map(str::to_owned), answer))
    }

    /// Goes on with these settings: names and ranges of accounts. Whatever is ordered later comes behind them. Does not wait.
    pub fn use_settings(&self, settings: &Arc<Settings>) {
        // A store that has ended keeps nothing, so it needs no names.
        drop(self.messages.send(Message::Settings(Arc::clone(settings))));
    }

    pub(super) fn messages(&self) -> Sender<Message> {
        self.messages.clone()
    }

    fn ask<T>(&self, request: impl FnOnce(SyncSender<T>) -> ControlRequest) -> Result<T, StoreUnreachable> {
        let (sender, answer) = sync_channel(1);
        let sent = self.messages.send(Message::Control(request(sender)));
        sent.map_err(|_| StoreUnreachable)?;
        answer.recv_timeout(PATIENCE).map_err(|_| StoreUnreachable)
    }
}

impl fmt::Display for StoreUnreachable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the queue's store does not answer")
    }
}

impl Error for StoreUnreachable {}
