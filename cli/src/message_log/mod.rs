//! The message log: a line of JSON for each submit, answer, MO and receipt.
//!
//! The engines hand records over by lanes of fixed room; a thread of its own parses, formats and writes them. Invariants: no
//! engine ever waits for it; whatever is lost (a full lane, a full disk) is counted, and told in the log itself as soon as that
//! goes on; a text stands in it only where the configuration says so. Must never run on an engine's thread.

mod address;
mod file;
mod line;
mod utc;
mod writer;

pub(crate) use address::AddressForm;
pub(crate) use file::FileSettings;
pub(crate) use line::LineSettings;

use file::LogFile;
use smppmux_engine::core::message_log::MessageRecords;
use smppmux_engine::core::settings::Settings;
use smppmux_engine::shell::MessageLogLanes;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use writer::{Order, Writer};

/// How long the writer is waited for when something changes.
const SETTLING_TIME: Duration = Duration::from_millis(500);

/// How messages are logged.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageLogSettings {
    pub(crate) file: FileSettings,
    pub(crate) lines: LineSettings,
    /// Memory for the records of one core that wait.
    pub(crate) lane_octets: usize,
}

impl MessageLogSettings {
    /// A folder that is not absolute starts at `base`.
    pub(crate) fn start_at(&mut self, base: &Path) {
        self.file.folder = base.join(&self.file.folder);
    }
}

/// The log of this process: its thread, once there was something to log.
pub(crate) struct MessageLog {
    lanes: MessageLogLanes,
    figures: Arc<Figures>,
    running: Option<Running>,
    settings: Option<MessageLogSettings>,
}

struct Running {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

/// What has become of the records.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    records: AtomicU64,
    octets: AtomicU64,
    lost_on_disk: AtomicU64,
    write_errors: AtomicU64,
}

/// The figures of a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogFigures {
    /// Lines written, each a record.
    pub(crate) records: u64,
    /// Octets written.
    pub(crate) octets: u64,
    /// Records that found no room on their way to the writer.
    pub(crate) lost_on_lanes: u64,
    /// Records that could not be written.
    pub(crate) lost_on_disk: u64,
    /// Writes that failed.
    pub(crate) write_errors: u64,
}

/// The log cannot be written where it should be.
#[derive(Debug)]
pub(crate) struct CannotLog {
    path: PathBuf,
    error: io::Error,
}

/// Settings that can be used: their file is open, if there is one.
pub(crate) struct Prepared {
    settings: Option<MessageLogSettings>,
    /// A new one; `None`: the one that is open goes on.
    file: Option<LogFile>,
}

impl MessageLog {
    /// A log for so many cores that is not written yet.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            lanes: MessageLogLanes::new(cores),
            figures: Arc::default(),
            running: None,
            settings: None,
        }
    }

    /// What the engines are started with.
    pub(crate) fn lanes(&self) -> MessageLogLanes {
        self.lanes.clone()
    }

    /// For the metrics; `None` while nothing was ever logged.
    pub(crate) fn figures(&self) -> Option<LogFigures> {
        let figures = &self.figures;
        self.running.as_ref().map(|_| LogFigures {
            records: figures.records.load(Ordering::Relaxed),
            octets: figures.octets.load(Ordering::Relaxed),
            lost_on_lanes: self.lanes.cores().map(|core| self.lanes.lost(core)).sum(),
            lost_on_disk: figures.lost_on_disk.load(Ordering::Relaxed),
            write_errors: figures.write_errors.load(Ordering::Relaxed),
        })
    }

    /// Opens the file of these settings, unless it is open already. Nothing is changed yet.
    ///
    /// # Errors
    ///
    /// When the folder or the file cannot be made or written, or another process writes it.
    pub(crate) fn prepare(&self, settings: Option<MessageLogSettings>) -> Result<Prepared, CannotLog> {
        let place =
            |settings: &MessageLogSettings| (settings.file.folder.clone(), settings.file.name.clone());
        let is_open = self.settings.as_ref().map(place) == settings.as_ref().map(place);
        let file = match &settings {
            Some(settings) if !is_open => {
                Some(LogFile::open(settings.file.clone()).map_err(|error| CannotLog {
                    path: settings.file.path(),
                    error,
                })?)
            }
            _ => None,
        };
        Ok(Prepared { settings, file })
    }

    /// Goes on with these. Before the engines are told, so that what they hand over finds room and names.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub(crate) fn use_prepared(
        &mut self,
        prepared: Prepared,
        settings: &Arc<Settings>,
    ) -> Result<(), CannotLog> {
        let Prepared {
            settings: wanted,
            file,
        } = prepared;
        if let (None, Some(wanted)) = (&self.running, &wanted) {
            let writer = Writer::new(
                self.lanes.clone(),
                Arc::clone(&self.figures),
                Arc::clone(settings),
            );
            let (orders, receiver) = channel();
            let thread = writer.spawn(receiver).map_err(|error| CannotLog {
                path: wanted.file.path(),
                error,
            })?;
            self.running = Some(Running { orders, thread });
        }
        if let (None, Some(wanted)) = (&self.settings, &wanted) {
            for core in self.lanes.cores() {
                let room = MessageRecords::with_room(wanted.lane_octets);
                drop(self.lanes.take(core, room));
            }
        }
        let is_new = self.settings != wanted;
        self.settings.clone_from(&wanted);
        if let Some(Running { orders, .. }) = &self.running {
            // It ends only when it is told to.
            if is_new {
                let _ = orders.send(match wanted {
                    Some(wanted) => Order::Use(Box::new(wanted), file.map(Box::new)),
                    None => Order::Rest,
                });
            }
            let (done, is_done) = channel();
            let _ = orders.send(Order::Names(Arc::clone(settings), done));
            // Whoever is told of the change may rely on it; a disk that hangs must not hang the control core.
            let _ = is_done.recv_timeout(SETTLING_TIME);
        }
        Ok(())
    }
}

impl Drop for MessageLog {
    /// Writes what has been handed over, syncs it, and ends the thread. After the engines have stopped.
    fn drop(&mut self) {
        if let Some(Running { orders, thread }) = self.running.take() {
            let _ = orders.send(Order::End);
            drop(thread.join());
        }
    }
}

impl fmt::Debug for MessageLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MessageLog({:?})", self.settings)
    }
}

impl fmt::Display for CannotLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the message log {}: {}",
            self.path.display(),
            self.error
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::message_log::LoggedContent;
    use std::thread;

    /// Goal: a reload that does not concern the log tells its writer names, and nothing else.
    #[test]
    fn what_stays_is_not_ordered_again() {
        let folder = tempfile::tempdir().unwrap();
        let (orders, receiver) = channel();
        let (seen, was_seen) = channel();
        let thread = thread::spawn(move || {
            for order in receiver {
                let kind = match order {
                    Order::Use(..) => "use",
                    Order::Rest => "rest",
                    Order::End => return,
                    Order::Names(_, done) => {
                        done.send(()).unwrap();
                        "names"
                    }
                };
                seen.send(kind).unwrap();
            }
        });
        let mut log = MessageLog::new(1);
        log.running = Some(Running { orders, thread });
        let settings = |octets_max| MessageLogSettings {
            file: FileSettings {
                folder: folder.path().to_owned(),
                name: "messages".into(),
                octets_max,
                age_max: Duration::from_secs(3600),
                files_max: 3,
                sync_interval: Duration::ZERO,
            },
            lines: LineSettings {
                content: LoggedContent::None,
                addresses: AddressForm::Plain,
            },
            lane_octets: 1024,
        };
        let names = Arc::new(line::tests::names());
        for wanted in [Some(100), Some(100), Some(200), None, None] {
            let prepared = log.prepare(wanted.map(settings)).unwrap();
            log.use_prepared(prepared, &names).unwrap();
        }
        drop(log);
        let seen: Vec<_> = was_seen.iter().collect();
        assert_eq!(
            seen,
            ["use", "names", "names", "use", "names", "rest", "names", "names"]
        );
    }
}
