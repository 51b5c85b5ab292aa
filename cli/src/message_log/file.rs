//! The files of the log: one that is written, and finished ones.
//!
//! `NAME.jsonl` is written; it is finished when it is large or old enough, and is then
//! `NAME-20261128T113000Z.jsonl` (UTC). Invariants: a file has whole lines only (what an error has left of one is cut off, or ended by
//! a line break); at most so many finished files are kept, those compressed by others included; nothing that is not named like ours is
//! touched; one process at a time writes a log (a lock). Whoever moves the file away (logrotate) needs no signal: it is noticed
//! within a second, and a new one is made.

use super::utc::Utc;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Who may read the log: its owner and group. It is about people.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// How often it is looked whether the file still has its name.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// After an error, the next try comes no sooner.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// After a file could not be finished, the next try comes no sooner.
const FINISH_INTERVAL: Duration = Duration::from_secs(30);
/// A time as it stands in a name; 0 is any digit.
const STAMP: &str = "00000000T000000Z";

/// Where the log is written, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSettings {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) octets_max: u64,
    pub(crate) age_max: Duration,
    pub(crate) files_max: usize,
    /// Zero: only when a file is finished.
    pub(crate) sync_interval: Duration,
}

impl FileSettings {
    /// The file that is written.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.jsonl", self.name))
    }

    fn finished_path(&self, stamp: &str, number: u32) -> PathBuf {
        let name = &self.name;
        self.folder.join(match number {
            0 => format!("{name}-{stamp}.jsonl"),
            _ => format!("{name}-{stamp}-{number}.jsonl"),
        })
    }

    /// When a file was finished, and its number among those of that second; `None`: it is none of ours.
    fn finished_at<'n>(&self, file_name: &'n str) -> Option<(&'n str, u32)> {
        let rest = file_name.strip_prefix(self.name.as_str())?.strip_prefix('-')?;
        let (stamp, behind) = rest.split_once(".jsonl")?;
        let (stamp, number) = match stamp.split_once('-') {
            Some((stamp, number)) => (stamp, number.parse().ok().filter(|number| *number > 0)?),
            None => (stamp, 0),
        };
        let is_stamp = stamp.len() == STAMP.len()
            && stamp
                .bytes()
                .zip(STAMP.bytes())
                .all(|(octet, pattern)| match pattern {
                    b'0' => octet.is_ascii_digit(),
                    letter => octet == letter,
                });
        (is_stamp && (behind.is_empty() || behind.starts_with('.'))).then_some((stamp, number))
    }
}

/// The log on disk.
#[derive(Debug)]
pub(crate) struct LogFile {
    settings: FileSettings,
    current: Option<Current>,
    /// After an error, until then.
    retry_at: Option<Instant>,
    /// After it could not be finished, until then: it goes on growing.
    finish_at: Option<Instant>,
    /// Why it could not be finished, for who asks.
    finish_error: Option<io::Error>,
    /// The second and number of the file that was finished last.
    last_name: Option<(String, u32)>,
    _lock: File,
}

/// The file that is written.
#[derive(Debug)]
struct Current {
    file: File,
    octets: u64,
    /// When its first line was written.
    began_at: SystemTime,
    looked_at: Instant,
    /// Whether anything was written since the last sync.
    is_unsynced: bool,
    /// When that is to be synced, if not only at the end.
    sync_at: Option<Instant>,
}

impl LogFile {
    /// Opens the log, and goes on with the file that an earlier run has left.
    pub(crate) fn open(settings: FileSettings) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(&settings.folder)?;
        let lock = options().open(settings.folder.join(format!("{}.lock", settings.name)))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let message =
                "another smppmux writes it; give each one a `[message-log] path` or `name` of its own";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
        }
        let current = Current::open(&settings.path())?;
        Ok(Self {
            settings,
            current: Some(current),
            retry_at: None,
            finish_at: None,
            finish_error: None,
            last_name: None,
            _lock: lock,
        })
    }

    /// Goes on with these settings, which are for the same file.
    pub(crate) fn use_settings(&mut self, settings: FileSettings) {
        self.settings = settings;
    }

    /// Writes whole lines.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let now = Instant::now();
        if self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let outcome = self.write_now(now, lines);
        self.retry_at = outcome.is_err().then(|| now + RETRY_INTERVAL);
        if outcome.is_err() {
            // It is opened anew, and its end is looked at.
            self.current = None;
        }
        outcome
    }

    fn write_now(&mut self, now: Instant, lines: &[u8]) -> io::Result<()> {
        self.look(now)?;
        let is_full = |current: &Current, settings: &FileSettings| {
            current.octets > 0
                && (current.octets + lines.len() as u64 > settings.octets_max
                    || current.age() >= settings.age_max)
        };
        if self
            .current
            .as_ref()
            .is_some_and(|current| is_full(current, &self.settings))
        {
            self.finish(now);
        }
        let sync_interval = self.settings.sync_interval;
        let current = self.current()?;
        if let Err(error) = current.file.write_all(lines) {
            // Half a line may be there. Where that cannot be cut off, the next run or try ends it.
            drop(current.file.set_len(current.octets));
            return Err(error);
        }
        if current.octets == 0 {
            current.began_at = SystemTime::now();
        }
        current.octets += lines.len() as u64;
        current.is_unsynced = true;
        if current.sync_at.is_none() && !sync_interval.is_zero() {
            current.sync_at = Some(now + sync_interval);
        }
        Ok(())
    }

    /// What is due without anything to write: a sync, the end of an old file, a file that was moved away.
    pub(crate) fn tend(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.look(now)?;
        let age_max = self.settings.age_max;
        let is_old = |current: &Current| current.octets > 0 && current.age() >= age_max;
        if self.current.as_ref().is_some_and(is_old) {
            self.finish(now);
        }
        if let Some(error) = self.finish_error.take() {
            return Err(error);
        }
        match &mut self.current {
            Some(current) if current.sync_at.is_some_and(|sync_at| sync_at <= now) => current.sync(),
            _ => Ok(()),
        }
    }

    /// Syncs what was written, for the end.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.current.as_mut().map_or(Ok(()), Current::sync)
    }

    fn current(&mut self) -> io::Result<&mut Current> {
        match &mut self.current {
            Some(current) => Ok(current),
            empty => Ok(empty.insert(Current::open(&self.settings.path())?)),
        }
    }

    /// Lets go of a file that has another name by now, or none; sees how long one is that somebody has cut off.
    fn look(&mut self, now: Instant) -> io::Result<()> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        if now.saturating_duration_since(current.looked_at) < LOOK_INTERVAL {
            return Ok(());
        }
        current.looked_at = now;
        let own = current.file.metadata()?;
        let is_there = match fs::metadata(self.settings.path()) {
            Ok(named) => (named.dev(), named.ino()) == (own.dev(), own.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if is_there {
            current.octets = own.len();
        } else {
            current.sync()?;
            self.current = None;
        }
        Ok(())
    }

    /// Gives the file its last name, and removes the oldest. Where that fails the file goes on, and it is tried again later.
    fn finish(&mut self, now: Instant) {
        if self.finish_at.is_some_and(|finish_at| now < finish_at) {
            return;
        }
        let outcome = self.try_to_finish();
        self.finish_at = outcome.is_err().then(|| now + FINISH_INTERVAL);
        self.finish_error = outcome.err();
    }

    fn try_to_finish(&mut self) -> io::Result<()> {
        if let Some(current) = &mut self.current {
            current.sync()?;
        }
        self.current = None;
        let to = self.free_name();
        fs::rename(self.settings.path(), to)?;
        self.prune()?;
        // The new names are as safe as what stands in the files.
        File::open(&self.settings.folder)?.sync_all()
    }

    /// A name that no file has, nor had in this second: names sort by age.
    fn free_name(&mut self) -> PathBuf {
        let stamp = Utc::of(SystemTime::now()).compact();
        let last = self.last_name.take().filter(|(last, _)| *last == stamp);
        let mut number = last.map_or(0, |(_, number)| number + 1);
        let mut path = self.settings.finished_path(&stamp, number);
        while path.exists() {
            number += 1;
            path = self.settings.finished_path(&stamp, number);
        }
        self.last_name = Some((stamp, number));
        path
    }

    fn prune(&self) -> io::Result<()> {
        let mut finished: Vec<_> = fs::read_dir(&self.settings.folder)?
            .filter_map(Result::ok)
            .map(|entry| entry.file_name())
            .filter_map(|name| name.into_string().ok())
            .filter(|name| self.settings.finished_at(name).is_some())
            .collect();
        finished.sort_unstable_by(|one, other| {
            let (one, other) = (self.settings.finished_at(one), self.settings.finished_at(other));
            one.cmp(&other)
        });
        let surplus = finished.len().saturating_sub(self.settings.files_max);
        for name in finished.into_iter().take(surplus) {
            fs::remove_file(self.settings.folder.join(name))?;
        }
        Ok(())
    }
}

impl Current {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = options().open(path)?;
        let metadata = file.metadata()?;
        let mut octets = metadata.len();
        if octets > 0 && !ends_with_line(&mut file)? {
            file.write_all(b"\n")?;
            octets += 1;
        }
        let began_at = if octets > 0 {
            metadata.created().or_else(|_| metadata.modified())?
        } else {
            SystemTime::now()
        };
        Ok(Self {
            file,
            octets,
            began_at,
            looked_at: Instant::now(),
            // What an earlier run, or the try before an error, has left.
            is_unsynced: octets > 0,
            sync_at: None,
        })
    }

    fn age(&self) -> Duration {
        // A clock that was set back makes it young again.
        self.began_at.elapsed().unwrap_or_default()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_at = None;
        if std::mem::take(&mut self.is_unsynced) {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(FILE_MODE);
    options
}

fn ends_with_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &Path) -> FileSettings {
        FileSettings {
            folder: folder.to_owned(),
            name: "messages".into(),
            octets_max: 100,
            age_max: Duration::from_secs(3600),
            files_max: 3,
            sync_interval: Duration::from_secs(1),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Goal: files are finished before they are too large, only the newest are kept, no line is lost between two files, and
    /// files of others stay.
    #[test]
    fn files_are_finished_by_size() {
        let folder = tempfile::tempdir().unwrap();
        let others = [
            "messages-old.jsonl",
            "messages-20261128T113000.jsonl",
            "other-20261128T113000Z.jsonl",
        ];
        for other in others {
            fs::write(folder.path().join(other), "x").unwrap();
        }
        let mut file = LogFile::open(settings(folder.path())).unwrap();
        for number in 0..30 {
            file.write(format!("{{\"number\":{number:015}}}\n").as_bytes())
                .unwrap();
        }
        let names = names(folder.path());
        let settings = settings(folder.path());
        let mut finished: Vec<_> = names
            .iter()
            .filter(|name| settings.finished_at(name).is_some())
            .collect();
        finished.sort_by_key(|name| settings.finished_at(name));
        assert_eq!(finished.len(), 3, "{names:?}");
        assert!(others.iter().all(|other| names.iter().any(|name| name == other)));
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let mut all: String = finished.iter().map(|name| read(name)).collect();
        all += &read("messages.jsonl");
        let numbers: Vec<u32> = all.lines().map(|line| line[10..25].parse().unwrap()).collect();
        let first = numbers[0];
        assert_eq!(numbers, (first..30).collect::<Vec<_>>());
        assert!(finished.iter().all(|name| read(name).len() <= 100));
    }

    /// Goal: a finished file that somebody has compressed counts among those that are kept.
    #[test]
    fn compressed_files_count() {
        let settings = settings(Path::new("/"));
        for (name, finished) in [
            ("messages-20261128T113000Z.jsonl", Some(("20261128T113000Z", 0))),
            (
                "messages-20261128T113000Z.jsonl.gz",
                Some(("20261128T113000Z", 0)),
            ),
            (
                "messages-20261128T113000Z-12.jsonl.zst",
                Some(("20261128T113000Z", 12)),
            ),
            ("messages-20261128T113000Z-.jsonl", None),
            ("messages-20261128T113000Z-1x.jsonl", None),
            ("messages-20261128T113000Z.jsonlx", None),
            ("messages-2026112xT113000Z.jsonl", None),
            ("messages-20261128T113000Z0.jsonl", None),
            ("messages.jsonl", None),
            ("messages.lock", None),
        ] {
            assert_eq!(settings.finished_at(name), finished, "{name}");
        }
    }

    /// Goal: an old file is finished though nothing comes, an empty one is not.
    #[test]
    fn files_are_finished_by_age() {
        let folder = tempfile::tempdir().unwrap();
        let settings = FileSettings {
            age_max: Duration::from_millis(20),
            ..settings(folder.path())
        };
        let mut file = LogFile::open(settings).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        file.tend().unwrap();
        assert_eq!(names(folder.path()), ["messages.jsonl", "messages.lock"]);
        file.write(b"{}\n").unwrap();
        std::thread::sleep(Duration::from_millis(30));
        file.tend().unwrap();
        let names = names(folder.path());
        assert!(
            names.len() == 2 && names[0].starts_with("messages-2"),
            "{names:?}"
        );
    }

    /// Goal: a file ages from its first line on, not while it is empty.
    #[test]
    fn an_empty_file_does_not_age() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = LogFile::open(settings(folder.path())).unwrap();
        file.current.as_mut().unwrap().began_at = SystemTime::UNIX_EPOCH;
        file.write(b"{}\n").unwrap();
        file.tend().unwrap();
        file.write(b"{}\n").unwrap();
        assert_eq!(names(folder.path()), ["messages.jsonl", "messages.lock"]);
    }

    /// Goal: what was written is synced at the end also where nothing is synced before. Method: the file is a link to /dev/null,
    /// which cannot be synced.
    #[test]
    fn without_an_interval_it_is_synced_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", folder.path().join("messages.jsonl")).unwrap();
        let settings = FileSettings {
            sync_interval: Duration::ZERO,
            ..settings(folder.path())
        };
        let mut file = LogFile::open(settings).unwrap();
        file.sync().unwrap();
        file.write(b"{}\n").unwrap();
        file.tend().unwrap();
        assert!(file.sync().is_err());
    }

    /// Goal: a file that somebody has cut off is as large as it is.
    #[test]
    fn a_file_that_was_cut_off_is_small() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = LogFile::open(settings(folder.path())).unwrap();
        file.write(&[b'\n'; 90]).unwrap();
        fs::write(folder.path().join("messages.jsonl"), "").unwrap();
        std::thread::sleep(LOOK_INTERVAL);
        file.write(&[b'\n'; 90]).unwrap();
        assert_eq!(names(folder.path()), ["messages.jsonl", "messages.lock"]);
    }

    /// Goal: a kill in the middle of a line spoils that line alone.
    #[test]
    fn a_torn_line_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("messages.jsonl"), "{\"a\":1}\n{\"b\"").unwrap();
        let mut file = LogFile::open(settings(folder.path())).unwrap();
        file.write(b"{\"c\":1}\n").unwrap();
        let text = fs::read_to_string(folder.path().join("messages.jsonl")).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"b\"\n{\"c\":1}\n");
    }

    /// Goal: one process, one log.
    #[test]
    fn a_second_writer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = LogFile::open(settings(folder.path())).unwrap();
        assert!(LogFile::open(settings(folder.path())).is_err());
        drop(first);
        LogFile::open(settings(folder.path())).unwrap();
    }

    /// Goal: who moves the file away needs no signal.
    #[test]
    fn a_file_that_was_moved_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = LogFile::open(settings(folder.path())).unwrap();
        file.write(b"{\"a\":1}\n").unwrap();
        fs::rename(folder.path().join("messages.jsonl"), folder.path().join("moved")).unwrap();
        file.write(b"{\"b\":1}\n").unwrap();
        std::thread::sleep(LOOK_INTERVAL);
        file.write(b"{\"c\":1}\n").unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(
            (read("moved").as_str(), read("messages.jsonl").as_str()),
            ("{\"a\":1}\n{\"b\":1}\n", "{\"c\":1}\n")
        );
    }
}
