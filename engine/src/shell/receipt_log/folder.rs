//! The folder of the log: its lock, its files, and which of them are worth keeping.
//!
//! Invariants: a file is deleted only when newer files hold as many entries of each kind as may be kept, or all of its
//! entries are too old; many small files, which restarts leave, are joined. Nothing but the log's own files is touched.

use super::file::{self, HEADER_OCTETS};
use super::{LogLimits, ReceiptLogError};
use crate::core::receipts::{ID_KEY_OCTETS, RecordCounts};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const PREFIX: &str = "receipts-";
const SUFFIX: &str = ".log";
/// More files than this are joined where they are small.
const FILES_MAX: usize = 16;
/// A file is small below this.
const SMALL_OCTETS: u64 = 4 * 1024 * 1024;

/// The folder, locked for this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    limits: LogLimits,
    key: [u8; ID_KEY_OCTETS],
    /// Oldest first.
    files: Vec<OldFile>,
    next_number: u64,
    /// Held until the process ends.
    _lock: File,
}

#[derive(Clone, Debug)]
struct OldFile {
    path: PathBuf,
    octets: u64,
    counts: RecordCounts,
}

impl Folder {
    pub(super) fn open(path: &Path, limits: LogLimits) -> Result<Self, ReceiptLogError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| ReceiptLogError::Io { path, error }
        };
        fs::create_dir_all(path).map_err(at(path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| ReceiptLogError::InUse {
            path: path.to_owned(),
        })?;
        let mut found = log_files(path).map_err(at(path))?;
        found.sort_unstable();
        let next_number = found.last().map_or(1, |(number, _)| number + 1);
        let paths: Vec<PathBuf> = found.into_iter().map(|(_, path)| path).collect();
        let mut key = None;
        for path in paths.iter().rev() {
            key = file::read_key(path).map_err(at(path))?;
            if key.is_some() {
                break;
            }
        }
        let key = match key {
            Some(key) => key,
            None => new_key().map_err(at(Path::new("/dev/urandom")))?,
        };
        let mut folder = Self {
            path: path.to_owned(),
            limits,
            key,
            files: Vec::new(),
            next_number,
            _lock: lock,
        };
        folder.join_small_files(paths).map_err(at(path))?;
        folder.delete_old_files(super::now_seconds());
        Ok(folder)
    }

    pub(super) const fn key(&self) -> [u8; ID_KEY_OCTETS] {
        self.key
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// Makes the next file, with its header.
    pub(super) fn new_file(&mut self) -> io::Result<(PathBuf, File)> {
        let path = self
            .path
            .join(format!("{PREFIX}{:010}{SUFFIX}", self.next_number));
        let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        self.next_number += 1;
        io::Write::write_all(&mut file, &file::header(&self.key))?;
        file.sync_all()?;
        // The name too has to outlive a loss of power.
        File::open(&self.path)?.sync_all()?;
        Ok((path, file))
    }

    /// A file is finished. Then those are deleted that no restart would miss.
    pub(super) fn finished(&mut self, path: PathBuf, octets: u64, counts: RecordCounts, now_seconds: u64) {
        self.files.push(OldFile { path, octets, counts });
        self.delete_old_files(now_seconds);
    }

    pub(super) fn delete_old_files(&mut self, now_seconds: u64) {
        let limits = self.limits;
        let mut newer = RecordCounts::default();
        let mut files = std::mem::take(&mut self.files);
        files.reverse();
        files.retain(|file| {
            let is_useful = |of_file: u64, of_newer: u64| of_file > 0 && of_newer < limits.entries_max;
            let is_young = file.counts.newest_seconds + limits.age_max.as_secs() >= now_seconds;
            let keep = is_young
                && (is_useful(file.counts.receipts, newer.receipts)
                    || is_useful(file.counts.mapped, newer.mapped));
            newer.receipts += file.counts.receipts;
            newer.mapped += file.counts.mapped;
            if !keep {
                // What cannot be deleted now is tried again by the next run.
                drop(fs::remove_file(&file.path));
            }
            keep
        });
        files.reverse();
        self.files = files;
    }

    /// Counts what the files hold; those that are small and many become one. Files with another key are of no use.
    fn join_small_files(&mut self, paths: Vec<PathBuf>) -> io::Result<()> {
        let is_many = paths.len() > FILES_MAX;
        let mut joined: Option<(PathBuf, File, OldFile)> = None;
        for path in paths {
            let mut counts = RecordCounts::default();
            let octets = fs::metadata(&path)?.len();
            let is_small = is_many && octets < SMALL_OCTETS;
            if file::read_key(&path)? != Some(self.key) {
                fs::remove_file(&path)?;
                continue;
            }
            let is_full = |joined: &(PathBuf, File, OldFile)| joined.2.octets >= SMALL_OCTETS;
            if let Some(done) = joined.take_if(|joined| !is_small || is_full(joined)) {
                self.put_joined(done)?;
            }
            if !is_small {
                file::read_frames(&path, &self.key, |payload| counts.add(payload).is_ok())?;
                self.files.push(OldFile { path, octets, counts });
                continue;
            }
            let mut into = match joined.take() {
                Some((_, file, old)) => (path.clone(), file, old),
                None => self.begin_joined(&path)?,
            };
            let mut written = Ok(());
            file::read_frames(&path, &self.key, |payload| {
                let is_good = counts.add(payload).is_ok();
                if is_good {
                    written = file::write_frame(&mut into.1, payload);
                    into.2.octets += file::frame_octets(payload.len());
                }
                is_good && written.is_ok()
            })?;
            written?;
            into.2.counts.receipts += counts.receipts;
            into.2.counts.mapped += counts.mapped;
            into.2.counts.newest_seconds = into.2.counts.newest_seconds.max(counts.newest_seconds);
            into.0.clone_from(&path);
            into.2.path = path.clone();
            joined = Some(into);
            self.files.push(OldFile {
                path,
                octets: 0,
                counts: RecordCounts::default(),
            });
        }
        match joined {
            Some(done) => self.put_joined(done),
            None => Ok(()),
        }
    }

    fn begin_joined(&self, path: &Path) -> io::Result<(PathBuf, File, OldFile)> {
        let mut file = File::create(self.path.join("joined.tmp"))?;
        io::Write::write_all(&mut file, &file::header(&self.key))?;
        let old = OldFile {
            path: path.to_owned(),
            octets: HEADER_OCTETS,
            counts: RecordCounts::default(),
        };
        Ok((path.to_owned(), file, old))
    }

    /// The joined file takes the place of its last part; the other parts go. After a crash in between both are read: an
    /// entry that is there twice is only kept twice.
    fn put_joined(&mut self, (path, file, old): (PathBuf, File, OldFile)) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(self.path.join("joined.tmp"), &path)?;
        let parts: Vec<_> = self.files.extract_if(.., |part| part.octets == 0).collect();
        for part in parts.iter().filter(|part| part.path != path) {
            fs::remove_file(&part.path)?;
        }
        self.files.push(old);
        Ok(())
    }
}

fn log_files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        if let Some(number) = number {
            files.push((number, entry.path()));
        }
    }
    Ok(files)
}

fn new_key() -> io::Result<[u8; ID_KEY_OCTETS]> {
    let mut key = [0; ID_KEY_OCTETS];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}
