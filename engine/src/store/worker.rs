//! The work of the store's thread: one batch after the other.

use super::backend::{
    Backend, BackendError, Changes, LetterRow, LineKey, OpenBackend, Put, Row, StoreOpenError, Take, Taken,
    Times,
};
use super::book::{Book, Claimants};
use super::control::StoreReport;
use super::disk_key::{self, Named};
use super::thread::{Message, Seat};
use super::wall_clock::WallClock;
use super::{StoreSettings, letters::Letters};
use crate::core::contract::CoreIndex;
use crate::core::queue::QueueKey;
use crate::core::queue::validity::lifetime;
use crate::core::settings::Settings;
use crate::core::store_message::{Fate, StoreCommand, StoreEvent, StoreRefusal, StoredMessage};
use bytes::BytesMut;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Orders that one commit takes at most; the rest waits for the next one.
const BATCH_COMMANDS: usize = 4_096;
/// The longest wait for orders: expired messages are looked for this often at least.
const IDLE: Duration = Duration::from_millis(500);
/// Lines that one event names at most.
const LINES_PER_EVENT: usize = 4_096;
/// Messages that one look for expired ones visits, and those that it takes out, at most.
const SWEEP_MESSAGES: usize = 65_536;
const SWEEP_TAKES: usize = 4_096;
/// Pauses between tries to open the backend again.
const REOPEN_PAUSE_FIRST: Duration = Duration::from_millis(100);
const REOPEN_PAUSE_LAST: Duration = Duration::from_secs(5);

pub(super) struct Worker {
    pub(super) messages: Receiver<Message>,
    pub(super) store: StoreSettings,
    pub(super) settings: Arc<Settings>,
    claimants: Claimants,
    open: OpenBackend,
    /// `None` after an error, until it was opened again.
    pub(super) backend: Option<Box<dyn Backend>>,
    pub(super) book: Book,
    pub(super) letters: Letters,
    pub(super) report: StoreReport,
    pub(super) clock: WallClock,
    seats: BTreeMap<CoreIndex, Seat>,
    outgoing: BTreeMap<CoreIndex, Vec<StoreEvent>>,
    last_number: u64,
    batch: Batch,
    reopen: Option<(Instant, Duration)>,
}

/// What the current batch has gathered.
#[derive(Default)]
struct Batch {
    commands: usize,
    changes: Changes,
    /// One for each of the puts: who asked, and under which reference.
    appends: Vec<Append>,
    /// One for each of the takes.
    fates: Vec<Fate>,
    /// Loads and lists, answered behind the commit.
    questions: Vec<(CoreIndex, StoreCommand)>,
    stops: bool,
}

struct Append {
    core: CoreIndex,
    reference: u32,
    key: QueueKey,
}

impl Worker {
    pub(super) fn open(
        mut open: OpenBackend,
        store: StoreSettings,
        settings: Arc<Settings>,
        claimants: Claimants,
        messages: Receiver<Message>,
    ) -> Result<Self, StoreOpenError> {
        let backend = open()?;
        let path = store.path.clone().unwrap_or_default();
        let mut worker = Self {
            messages,
            store,
            settings,
            claimants,
            open,
            backend: None,
            book: Book::default(),
            letters: Letters::default(),
            report: StoreReport::default(),
            clock: WallClock::started_now(),
            seats: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            last_number: 0,
            batch: Batch::default(),
            reopen: None,
        };
        let read = worker.read_books(&*backend);
        read.map_err(|error| StoreOpenError::Unusable {
            path,
            reason: error.to_string(),
        })?;
        worker.backend = Some(backend);
        tracing::info!(
            messages = worker.book.total.count,
            lines = worker.book.lines.len(),
            dead_letters = worker.letters.len(),
            "the queue's store is open"
        );
        Ok(worker)
    }

    pub(super) fn run(mut self) {
        while !self.batch.stops {
            match self.messages.recv_timeout(self.longest_wait()) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.batch.stops = true,
            }
            while self.batch.commands < BATCH_COMMANDS
                && !self.batch.stops
                && let Ok(message) = self.messages.try_recv()
            {
                self.take(message);
            }
            self.end_round();
        }
    }

    /// Does what was gathered. Only what is in the backend can be looked through, so the sweep comes behind the commit: it
    /// would set a line's due time without the messages that are booked and not there yet.
    pub(super) fn end_round(&mut self) {
        self.reopen_if_due();
        self.commit();
        self.sweep();
        self.commit();
        self.answer_questions();
        self.tell();
    }

    fn longest_wait(&self) -> Duration {
        if self.backend.is_none() {
            return REOPEN_PAUSE_FIRST / 2;
        }
        let due_ms = self.book.next_due_ms().unwrap_or(u64::MAX);
        let until_due = Duration::from_millis(due_ms.saturating_sub(self.clock.now_ms()).max(1));
        IDLE.min(until_due)
    }

    pub(super) fn take(&mut self, message: Message) {
        match message {
            Message::Seat(core, seat) => drop(self.seats.insert(core, seat)),
            Message::Commands(core, commands) => {
                self.batch.commands += commands.len();
                for command in commands {
                    self.take_command(core, command);
                }
            }
            Message::Control(request) => {
                // The operator sees what was ordered before; the letters that had to go for new ones leave with the second
                // commit, which is none where there are no such.
                self.commit();
                self.commit();
                self.control(request);
            }
            Message::Settings(settings) => self.use_settings(settings),
            Message::Stop => self.batch.stops = true,
        }
    }

    /// Lines that are there count for whom they counted before.
    fn use_settings(&mut self, settings: Arc<Settings>) {
        let seed = RandomState::new().hash_one(0);
        self.claimants = Claimants::new(&self.store, &settings, seed);
        self.settings = settings;
    }

    fn take_command(&mut self, core: CoreIndex, command: StoreCommand) {
        match command {
            StoreCommand::Append { reference, key, pdu } => self.append(core, reference, key, pdu),
            StoreCommand::Remove { key, number, fate } => {
                let key = self.line_key(&key);
                match fate {
                    Fate::Expired => self.expire(key, number),
                    Fate::Delivered | Fate::Refused(_) => self.remove(key, number, fate),
                }
            }
            question @ (StoreCommand::Load { .. } | StoreCommand::ListLines { .. }) => {
                self.batch.questions.push((core, question));
            }
        }
    }

    fn line_key(&self, key: &QueueKey) -> LineKey {
        disk_key::write(key, &self.settings).into()
    }

    fn append(&mut self, core: CoreIndex, reference: u32, key: QueueKey, pdu: BytesMut) {
        let now_ms = self.clock.now_ms();
        let lifetime =
            lifetime(&pdu, self.clock.now_s()).map_or(self.store.age_max, |it| it.min(self.store.age_max));
        let account = self.claimants.of(&key);
        let octets = pdu.len() as u64;
        let refusal = if self.backend.is_none() {
            Some(StoreRefusal::Failed)
        } else if lifetime.is_zero() {
            Some(StoreRefusal::Expired)
        } else if !self.book.has_room(&self.store, account, octets) {
            Some(StoreRefusal::Full)
        } else {
            None
        };
        if let Some(reason) = refusal {
            self.report.refused += 1;
            let event = StoreEvent::Refused {
                reference,
                key,
                pdu,
                reason,
            };
            return self.outgoing.entry(core).or_default().push(event);
        }
        let line = self.line_key(&key);
        let times = Times {
            arrived_ms: now_ms,
            expires_ms: now_ms.saturating_add(milliseconds(lifetime)),
        };
        self.put(line, &key, times, pdu);
        self.batch.appends.push(Append { core, reference, key });
    }

    /// Puts a message into the batch and the books.
    pub(super) fn put(&mut self, line: LineKey, key: &QueueKey, times: Times, pdu: BytesMut) {
        let account = self.claimants.of(key);
        self.book.add(&line, account, pdu.len() as u64, times);
        self.last_number += 1;
        self.batch.changes.puts.push(Put {
            key: line,
            number: self.last_number,
            times,
            pdu,
        });
    }

    pub(super) fn remove(&mut self, key: LineKey, number: u64, fate: Fate) {
        self.take_out(key, number, fate, false);
    }

    /// The same of a message whose time is over, which the message log hears of.
    fn expire(&mut self, key: LineKey, number: u64) {
        self.take_out(key, number, Fate::Expired, self.settings.has_message_log);
    }

    fn take_out(&mut self, key: LineKey, number: u64, fate: Fate, is_shown: bool) {
        let buried = match fate {
            Fate::Refused(status) => Some((status.0, self.clock.now_ms())),
            Fate::Delivered | Fate::Expired => None,
        };
        self.batch.changes.takes.push(Take {
            key,
            number,
            buried,
            is_shown,
        });
        self.batch.fates.push(fate);
    }

    pub(super) fn forget_letters(&mut self, numbers: Vec<u64>) {
        self.batch.changes.forgotten_letters.extend(numbers);
    }

    /// Makes the batch safe, and only then says so.
    pub(super) fn commit(&mut self) {
        let batch = &mut self.batch;
        batch.commands = 0;
        if batch.changes.is_empty() {
            return;
        }
        let Some(backend) = &mut self.backend else {
            return;
        };
        let outcome = backend.commit(&batch.changes);
        match outcome {
            Ok(taken) => self.committed(taken),
            Err(error) => self.break_down(&error),
        }
    }

    fn committed(&mut self, taken: Vec<Option<Taken>>) {
        self.report.commits += 1;
        let changes = mem::take(&mut self.batch.changes);
        let fates = mem::take(&mut self.batch.fates);
        for ((take, fate), taken) in changes.takes.iter().zip(fates).zip(taken) {
            let Some(taken) = taken else { continue };
            self.book.remove(&take.key, taken.octets as u64);
            if let Some(pdu) = taken.pdu {
                self.tell_of_expired(&take.key, pdu);
            }
            match fate {
                Fate::Delivered => self.report.delivered += 1,
                Fate::Expired => self.report.expired += 1,
                Fate::Refused(_) => {
                    self.report.buried += 1;
                    let forgotten = self.letters.buried(take.number, self.store.dead_letters_max);
                    self.batch.changes.forgotten_letters.extend(forgotten);
                }
            }
        }
        // What the operator puts back was not asked for by an engine, and comes behind in its own batch.
        for (append, put) in mem::take(&mut self.batch.appends).into_iter().zip(changes.puts) {
            self.report.stored += 1;
            let event = StoreEvent::Stored {
                reference: append.reference,
                key: append.key,
                pdu: put.pdu,
            };
            self.outgoing.entry(append.core).or_default().push(event);
        }
    }

    /// For the message log, which engines alone write to: any of them does.
    fn tell_of_expired(&mut self, key: &LineKey, pdu: BytesMut) {
        let Some(core) = self.seats.keys().next() else {
            return;
        };
        let key = Named::read(key).and_then(|named| named.resolve(&self.settings));
        let event = StoreEvent::Expired { key, pdu };
        self.outgoing.entry(*core).or_default().push(event);
    }

    /// Nothing of this batch may be acknowledged. What went out of the queue goes out again later, and so does what may
    /// have gone in: its sender was told otherwise.
    fn break_down(&mut self, error: &BackendError) {
        tracing::error!(%error, "the queue's store has failed; nothing is queued until it is open again");
        self.report.commits_failed += 1;
        self.backend = None;
        self.reopen = Some((Instant::now() + REOPEN_PAUSE_FIRST, REOPEN_PAUSE_FIRST));
        let changes = &mut self.batch.changes;
        let puts = mem::take(&mut changes.puts);
        for put in &puts {
            changes.takes.push(Take {
                key: put.key.clone(),
                number: put.number,
                buried: None,
                is_shown: false,
            });
            self.batch.fates.push(Fate::Expired);
        }
        for (append, put) in mem::take(&mut self.batch.appends).into_iter().zip(puts) {
            let event = StoreEvent::Refused {
                reference: append.reference,
                key: append.key,
                pdu: put.pdu,
                reason: StoreRefusal::Failed,
            };
            self.outgoing.entry(append.core).or_default().push(event);
        }
    }

    fn reopen_if_due(&mut self) {
        let Some((at, pause)) = self.reopen.filter(|(at, _)| *at <= Instant::now()) else {
            return;
        };
        debug_assert!(at <= Instant::now());
        let outcome = (self.open)()
            .map_err(|error| error.to_string())
            .and_then(|backend| {
                let read = self.read_books(&*backend).map_err(|error| error.to_string());
                read.map(|()| backend)
            });
        match outcome {
            Ok(backend) => {
                tracing::warn!(
                    messages = self.book.total.count,
                    "the queue's store is open again"
                );
                self.backend = Some(backend);
                self.reopen = None;
            }
            Err(error) => {
                let pause = (pause * 2).min(REOPEN_PAUSE_LAST);
                tracing::error!(%error, ?pause, "the queue's store cannot be opened again");
                self.reopen = Some((Instant::now() + pause, pause));
            }
        }
    }

    /// Reads how much there is.
    fn read_books(&mut self, backend: &dyn Backend) -> Result<(), BackendError> {
        let (mut book, mut last_number) = (Book::default(), self.last_number);
        let mut line: Option<(LineKey, Option<QueueKey>)> = None;
        backend.scan(&mut |key, row| {
            if line.as_ref().is_none_or(|(line, _)| **line != *key) {
                let resolved = Named::read(key).and_then(|named| named.resolve(&self.settings));
                line = Some((key.into(), resolved));
            }
            if let Some((line, resolved)) = &line {
                let account = resolved.as_ref().and_then(|key| self.claimants.of(key));
                book.add(line, account, row.pdu.len() as u64, row.times);
            }
            last_number = last_number.max(row.number);
        })?;
        let mut letters = Letters::default();
        backend.letters(0, &mut |letter: LetterRow| {
            last_number = last_number.max(letter.number);
            letters.add(letter.number);
            true
        })?;
        (self.book, self.letters, self.last_number) = (book, letters, last_number);
        Ok(())
    }

    /// Takes expired messages out, so that they make room also when no client ever asks for them.
    fn sweep(&mut self) {
        let now_ms = self.clock.now_ms();
        let mut left = SWEEP_TAKES;
        while left > 0
            && let Some(key) = self.book.first_due(now_ms)
            && let Some(backend) = &self.backend
        {
            let (mut expired, mut due_ms, mut visited) = (Vec::new(), u64::MAX, 0);
            let outcome = backend.load(&key, 0, &mut |row| {
                visited += 1;
                if row.times.expires_ms <= now_ms {
                    expired.push(row.number);
                } else {
                    due_ms = due_ms.min(row.times.expires_ms);
                }
                expired.len() < left && visited < SWEEP_MESSAGES
            });
            match outcome {
                Ok(true) => {}
                Ok(false) => due_ms = now_ms + milliseconds(IDLE),
                Err(error) => return self.break_down(&error),
            }
            left -= expired.len().min(left);
            self.book.set_due(&key, due_ms);
            for number in expired {
                self.expire(key.clone(), number);
            }
        }
    }

    fn answer_questions(&mut self) {
        for (core, question) in mem::take(&mut self.batch.questions) {
            let event = match question {
                StoreCommand::Load {
                    key,
                    after,
                    messages_max,
                    octets_max,
                } => self.load(key, after, messages_max, octets_max),
                StoreCommand::ListLines { after } => Some(self.list_lines(after)),
                StoreCommand::Append { .. } | StoreCommand::Remove { .. } => None,
            };
            match event {
                Some(event) => self.outgoing.entry(core).or_default().push(event),
                // It is answered when the store is open again.
                None => self.batch.questions.push((core, question)),
            }
        }
    }

    fn load(
        &mut self,
        key: QueueKey,
        after: u64,
        messages_max: usize,
        octets_max: usize,
    ) -> Option<StoreEvent> {
        let (now_ms, line) = (self.clock.now_ms(), self.line_key(&key));
        let (mut messages, mut octets) = (Vec::new(), 0);
        let outcome = self.backend.as_ref()?.load(&line, after, &mut |row: Row<'_>| {
            octets += row.pdu.len();
            if !messages.is_empty() && (messages.len() >= messages_max || octets > octets_max) {
                return false;
            }
            messages.push(StoredMessage {
                number: row.number,
                pdu: BytesMut::from(row.pdu),
                expires_in: Duration::from_millis(row.times.expires_ms.saturating_sub(now_ms)),
            });
            true
        });
        match outcome {
            Ok(is_end) => Some(StoreEvent::Loaded {
                key,
                messages,
                is_end,
            }),
            Err(error) => {
                self.break_down(&error);
                None
            }
        }
    }

    fn list_lines(&self, after: Option<QueueKey>) -> StoreEvent {
        let after = after.map(|key| self.line_key(&key));
        let mut lines = self.book.lines_after(after.as_deref());
        let mut keys = Vec::new();
        while keys.len() < LINES_PER_EVENT
            && let Some((key, _)) = lines.next()
        {
            keys.extend(Named::read(key).and_then(|named| named.resolve(&self.settings)));
        }
        StoreEvent::Lines {
            keys,
            has_more: lines.next().is_some(),
        }
    }

    /// Tells every engine of lines that have messages again.
    pub(super) fn tell_of_lines(&mut self, keys: &[QueueKey]) {
        for core in self.seats.keys() {
            let keys = keys.to_vec();
            self.outgoing
                .entry(*core)
                .or_default()
                .push(StoreEvent::MoreLines { keys });
        }
    }

    fn tell(&mut self) {
        for (core, events) in &mut self.outgoing {
            if events.is_empty() {
                continue;
            }
            if let Some(seat) = self.seats.get(core) {
                let events = mem::take(events);
                // An engine that has stopped needs no word.
                if seat.events.send(events).is_ok() {
                    seat.waker.wake_by_ref();
                }
            }
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
