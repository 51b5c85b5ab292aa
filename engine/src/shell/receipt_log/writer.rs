//! The thread that writes the log.
//!
//! Everything that waits becomes one frame. A write is as good as done for a process that is killed; for a machine that
//! loses its power there is a sync twice a second. Invariant: behind an error the file ends with a whole frame, or is left
//! for a new one.

use super::file::{self, HEADER_OCTETS};
use super::folder::Folder;
use super::{Batch, Figures};
use crate::core::receipts::{RecordCounts, write_account, write_vserver};
use crate::core::settings::{ClientIndex, Settings, VserverIndex};
use crate::store::wall_clock::WallClock;
use bytes::BytesMut;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tracing::warn;

const SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// A frame takes no further batch once it has this many octets.
const FRAME_OCTETS: usize = 1024 * 1024;
/// A file that is larger is finished; the next one takes over.
const FILE_OCTETS_MAX: u64 = 32 * 1024 * 1024;
/// After an error, the next try comes no sooner.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Errors are told once in this time.
const TELL_INTERVAL: Duration = Duration::from_secs(30);

pub(super) fn spawn(
    folder: Folder,
    batches: Receiver<Batch>,
    settings: Arc<Settings>,
    figures: Arc<Figures>,
) -> io::Result<JoinHandle<()>> {
    let mut writer = LogWriter {
        folder,
        settings,
        figures,
        current: None,
        frame: Vec::new(),
        clock: WallClock::started_now(),
        retry_at: Instant::now(),
        told_at: None,
    };
    writer.open_file()?;
    thread::Builder::new()
        .name("receipt-log".into())
        .spawn(move || writer.run(&batches))
}

struct LogWriter {
    folder: Folder,
    settings: Arc<Settings>,
    figures: Arc<Figures>,
    current: Option<Current>,
    frame: Vec<u8>,
    /// Tells the age of files. A step of the host's clock makes none too old.
    clock: WallClock,
    retry_at: Instant,
    told_at: Option<Instant>,
}

/// The file that is written.
struct Current {
    path: PathBuf,
    file: File,
    octets: u64,
    counts: RecordCounts,
    /// Accounts whose names it has: those before this one.
    accounts: u32,
    /// Written since the last sync; when the next one is due.
    sync_at: Option<Instant>,
}

impl Current {
    /// Writes the names of the vservers; they are the same in all settings of a run.
    fn name_vservers(&mut self, settings: &Settings) -> io::Result<()> {
        let mut names = BytesMut::new();
        for (index, vserver) in (0_u16..).zip(&settings.vservers) {
            write_vserver(&mut names, VserverIndex(index), &vserver.name);
        }
        file::write_frame(&mut self.file, &names)?;
        self.octets += file::frame_octets(names.len());
        Ok(())
    }

    /// Writes the names of the accounts that this file does not have yet. They keep their numbers over all reloads.
    fn name_accounts(&mut self, settings: &Settings) -> io::Result<()> {
        let new = (0_u32..).zip(&settings.clients).skip(self.accounts as usize);
        let (mut names, mut accounts) = (BytesMut::new(), self.accounts);
        for (index, client) in new {
            write_account(&mut names, ClientIndex(index), &client.system_id);
            accounts = index + 1;
        }
        if !names.is_empty() {
            file::write_frame(&mut self.file, &names)?;
            self.octets += file::frame_octets(names.len());
            self.accounts = accounts;
        }
        Ok(())
    }
}

impl LogWriter {
    fn run(mut self, batches: &Receiver<Batch>) {
        loop {
            let first = match batches.recv_timeout(self.patience()) {
                Ok(batch) => Some(batch),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let is_end = self.gather(first, batches);
            self.write();
            self.sync_if_due();
            if is_end {
                break;
            }
        }
        self.finish();
    }

    fn patience(&self) -> Duration {
        let due = self.current.as_ref().and_then(|current| current.sync_at);
        due.map_or(Duration::from_secs(60), |due| {
            due.saturating_duration_since(Instant::now())
        })
    }

    /// Takes what waits into one frame. True: nothing more comes.
    fn gather(&mut self, first: Option<Batch>, batches: &Receiver<Batch>) -> bool {
        let mut next = first;
        loop {
            match next {
                None => return false,
                Some(Batch::End) => return true,
                Some(Batch::Settings(settings)) => self.settings = settings,
                Some(Batch::Records(mut records, give_back)) => {
                    self.frame.extend_from_slice(&records);
                    records.clear();
                    // A core that has enough buffers does without.
                    drop(give_back.try_send(records));
                }
            }
            if self.frame.len() >= FRAME_OCTETS {
                return false;
            }
            next = batches.try_recv().ok();
        }
    }

    fn write(&mut self) {
        if self.frame.is_empty() {
            return;
        }
        let frame = std::mem::take(&mut self.frame);
        if let Err(error) = self.write_frame(&frame) {
            self.figures.write_errors.fetch_add(1, Ordering::Relaxed);
            self.figures.batches_lost.fetch_add(1, Ordering::Relaxed);
            self.tell("receipts are not written; a restart would not know them", &error);
        }
        self.frame = frame;
        self.frame.clear();
    }

    fn write_frame(&mut self, payload: &[u8]) -> io::Result<()> {
        if self.current.is_none() {
            if Instant::now() < self.retry_at {
                return Err(io::Error::other("waiting for the next try"));
            }
            self.open_file()?;
        }
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let written = current
            .name_accounts(&self.settings)
            .and_then(|()| file::write_frame(&mut current.file, payload));
        if let Err(error) = written {
            self.retry_at = Instant::now() + RETRY_INTERVAL;
            // Half a frame must not stand in front of the next one.
            if current.file.set_len(current.octets).is_err() {
                self.leave_file();
            }
            return Err(error);
        }
        let octets = file::frame_octets(payload.len());
        current.octets += octets;
        // Our own records are good.
        let _ = current.counts.add(payload);
        current
            .sync_at
            .get_or_insert_with(|| Instant::now() + SYNC_INTERVAL);
        self.figures.octets.fetch_add(octets, Ordering::Relaxed);
        if current.octets >= FILE_OCTETS_MAX {
            self.sync();
            self.leave_file();
        }
        Ok(())
    }

    fn sync_if_due(&mut self) {
        let due = self.current.as_ref().and_then(|current| current.sync_at);
        if due.is_some_and(|due| due <= Instant::now()) {
            self.sync();
        }
    }

    /// A file whose sync failed is not trusted any more: what it lacks cannot be known.
    fn sync(&mut self) {
        let Some(current) = &mut self.current else { return };
        current.sync_at = None;
        if let Err(error) = current.file.sync_data() {
            self.figures.sync_errors.fetch_add(1, Ordering::Relaxed);
            self.tell("the log of receipts could not be synced", &error);
            self.leave_file();
        }
    }

    /// Opens the next file; the accounts' numbers come first.
    fn open_file(&mut self) -> io::Result<()> {
        self.retry_at = Instant::now() + RETRY_INTERVAL;
        let (path, file) = self.folder.new_file()?;
        let mut current = Current {
            path,
            file,
            octets: HEADER_OCTETS,
            counts: RecordCounts::default(),
            accounts: 0,
            sync_at: None,
        };
        current.name_vservers(&self.settings)?;
        current.name_accounts(&self.settings)?;
        self.current = Some(current);
        Ok(())
    }

    fn leave_file(&mut self) {
        if let Some(current) = self.current.take() {
            let now_seconds = u64::try_from(self.clock.now_s()).unwrap_or_default();
            self.folder
                .finished(current.path, current.octets, current.counts, now_seconds);
        }
    }

    fn finish(&mut self) {
        self.sync();
        self.leave_file();
    }

    fn tell(&mut self, what: &str, error: &io::Error) {
        let now = Instant::now();
        if self.told_at.is_none_or(|told_at| now - told_at >= TELL_INTERVAL) {
            self.told_at = Some(now);
            warn!(folder = %self.folder.path().display(), %error, "{what}");
        }
    }
}
