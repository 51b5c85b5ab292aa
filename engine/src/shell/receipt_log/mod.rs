//! The log of receipts and mapped ids: what the engines remember, kept over a restart.
//!
//! A folder of files that are only appended to, written by a thread of its own; one run, one or more files. The engines hand
//! their records over at the end of a turn and never wait: what finds no room is counted and lost. Invariants: one process
//! at a time uses a folder (a lock); a frame that is not whole, which a kill may leave at a file's end, ends the reading of that
//! file and nothing else; what is on the disk is bounded by the count and age of the entries. A full disk or a failed sync
//! is counted and told, and stops no message. Why no database: `docs/decisions/receipts.md`.

mod file;
mod folder;
mod writer;

use crate::core::receipts::{ID_KEY_OCTETS, LoadedRecord, RecordReader};
use crate::core::settings::Settings;
use bytes::BytesMut;
use folder::Folder;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Batches that may wait for the writer; each is what one core made in one turn, at most 4 MiB.
const WAITING_BATCHES_MAX: usize = 256;
/// Emptied buffers that wait for their core.
const EMPTIED_MAX: usize = 16;

/// How much is worth keeping.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// Entries at most, of each of the two kinds.
    pub entries_max: u64,
    /// How long an entry is kept.
    pub age_max: Duration,
}

/// The log of this process. Clones are handles of the same.
#[derive(Clone)]
pub struct ReceiptLog(Arc<Shared>);

struct Shared {
    key: [u8; ID_KEY_OCTETS],
    /// Files of earlier runs, oldest first.
    earlier: Vec<PathBuf>,
    sender: SyncSender<Batch>,
    figures: Arc<Figures>,
    writer: Mutex<Writer>,
}

enum Writer {
    Waiting(Box<(Folder, Receiver<Batch>)>),
    Running(JoinHandle<()>),
    Ended,
}

/// What goes to the writer's thread.
enum Batch {
    /// Records, and where the emptied buffer is wanted back.
    Records(BytesMut, SyncSender<BytesMut>),
    /// Accounts that records behind this may name.
    Settings(Arc<Settings>),
    /// Nothing more comes.
    End,
}

#[derive(Debug, Default)]
struct Figures {
    octets: AtomicU64,
    batches_lost: AtomicU64,
    write_errors: AtomicU64,
    sync_errors: AtomicU64,
}

/// What has become of the records so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogFigures {
    /// Octets written.
    pub octets: u64,
    /// Batches that found no room on their way to the writer, or that it could not write.
    pub batches_lost: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Syncs that failed.
    pub sync_errors: u64,
}

/// What was read of earlier runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Records that this configuration has a use for, of all cores.
    pub records: u64,
    /// Records of accounts and servers that are no longer configured.
    pub skipped: u64,
    /// Files whose end is not whole.
    pub torn_files: u64,
}

/// One core's way to the log.
#[derive(Debug)]
pub struct LogLane {
    sender: SyncSender<Batch>,
    figures: Arc<Figures>,
    emptied: Receiver<BytesMut>,
    give_back: SyncSender<BytesMut>,
}

/// Why the log cannot be used.
#[derive(Debug)]
pub enum ReceiptLogError {
    /// Another process has it.
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be read or made.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl ReceiptLog {
    /// Opens the log in `folder`, which is made if need be, and looks through what earlier runs have left there.
    ///
    /// # Errors
    /// [`ReceiptLogError`]; nothing was changed then, but that the folder may have been made.
    pub fn open(folder: &Path, limits: LogLimits) -> Result<Self, ReceiptLogError> {
        let folder = Folder::open(folder, limits)?;
        let (sender, receiver) = sync_channel(WAITING_BATCHES_MAX);
        Ok(Self(Arc::new(Shared {
            key: folder.key(),
            earlier: folder.paths(),
            sender,
            figures: Arc::default(),
            writer: Mutex::new(Writer::Waiting(Box::new((folder, receiver)))),
        })))
    }

    /// The key of the ids' hashes.
    pub fn key(&self) -> &[u8; ID_KEY_OCTETS] {
        &self.0.key
    }

    /// Reads what earlier runs have left, oldest first. Every engine reads all of it and takes what is its own: the number
    /// of cores may have changed.
    pub fn load(&self, settings: &Settings, mut tell: impl FnMut(&LoadedRecord)) -> LoadReport {
        let mut report = LoadReport::default();
        for path in &self.0.earlier {
            let mut reader = RecordReader::new(settings);
            let mut records = 0;
            let end = file::read_frames(path, &self.0.key, |payload| {
                let outcome = reader.read(settings, payload, |record| {
                    records += 1;
                    tell(&record);
                });
                outcome.is_ok()
            });
            report.records += records;
            report.skipped += reader.skipped();
            report.torn_files += u64::from(!matches!(end, Ok(file::End::Whole)));
        }
        report
    }

    /// Starts the thread that writes. Once; later calls do nothing.
    ///
    /// # Errors
    /// When the thread or the first file cannot be made.
    pub fn start(&self, settings: &Arc<Settings>) -> Result<(), ReceiptLogError> {
        let mut writer = lock(&self.0.writer);
        let Writer::Waiting(parts) = std::mem::replace(&mut *writer, Writer::Ended) else {
            return Ok(());
        };
        let (folder, receiver) = *parts;
        let path = folder.path().to_owned();
        let thread = writer::spawn(
            folder,
            receiver,
            Arc::clone(settings),
            Arc::clone(&self.0.figures),
        );
        *writer = Writer::Running(thread.map_err(|error| ReceiptLogError::Io { path, error })?);
        Ok(())
    }

    /// Tells of settings that continue those of the start, before any engine has them: records of new accounts need their
    /// names in the log. Never waits; false: there is no room, and the settings must not be used.
    #[must_use]
    pub fn use_settings(&self, settings: &Arc<Settings>) -> bool {
        let told = self.0.sender.try_send(Batch::Settings(Arc::clone(settings)));
        // Nobody writes any more: there is nothing to name them to.
        !matches!(told, Err(TrySendError::Full(_)))
    }

    /// Writes what has been handed over, syncs it, and ends the thread. After the engines have stopped.
    pub fn finish(&self) {
        let writer = std::mem::replace(&mut *lock(&self.0.writer), Writer::Ended);
        if let Writer::Running(thread) = writer {
            // It ends by itself if nobody can tell it to.
            drop(self.0.sender.send(Batch::End));
            drop(thread.join());
        }
    }

    /// Figures for operators.
    pub fn figures(&self) -> LogFigures {
        let figures = &self.0.figures;
        LogFigures {
            octets: figures.octets.load(Ordering::Relaxed),
            batches_lost: figures.batches_lost.load(Ordering::Relaxed),
            write_errors: figures.write_errors.load(Ordering::Relaxed),
            sync_errors: figures.sync_errors.load(Ordering::Relaxed),
        }
    }

    /// A way to hand records over; each core has one of its own.
    pub fn lane(&self) -> LogLane {
        let (give_back, emptied) = sync_channel(EMPTIED_MAX);
        LogLane {
            sender: self.0.sender.clone(),
            figures: Arc::clone(&self.0.figures),
            emptied,
            give_back,
        }
    }
}

impl LogLane {
    /// Hands records over; never waits. The answer is a buffer that is free again, if there is one; one that is not empty is
    /// the records themselves, which found no room and are counted as lost.
    pub fn send(&self, records: BytesMut) -> Option<BytesMut> {
        match self
            .sender
            .try_send(Batch::Records(records, self.give_back.clone()))
        {
            Ok(()) => self.emptied.try_recv().ok(),
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                self.figures.batches_lost.fetch_add(1, Ordering::Relaxed);
                match batch {
                    Batch::Records(records, _) => Some(records),
                    Batch::Settings(_) | Batch::End => None,
                }
            }
        }
    }
}

/// Seconds since 1970.
fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing is half-done behind a panic here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ReceiptLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ReceiptLog({} files)", self.0.earlier.len())
    }
}

impl fmt::Display for ReceiptLogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path } => write!(
                formatter,
                "{}: another smppmux keeps its receipts there; give each one a `[receipts] path` of its own",
                path.display()
            ),
            Self::Io { path, error } => write!(formatter, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ReceiptLogError {}

#[cfg(test)]
mod tests;
