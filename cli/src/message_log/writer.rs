//! The thread that writes the log: it takes what waits on the lanes, a few dozen times a second, and writes it as lines.
//!
//! Behind an error nothing is kept: the lanes go on being emptied, what cannot be written is counted, and when it can again the first
//! line says how much is missing.

use super::file::LogFile;
use super::line::{Epoch, LineWriter};
use super::{Figures, MessageLogSettings};
use smppmux_engine::core::contract::CoreIndex;
use smppmux_engine::core::message_log::MessageRecords;
use smppmux_engine::core::settings::Settings;
use smppmux_engine::shell::MessageLogLanes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use tracing::{info, warn};

/// How often the lanes are emptied. What comes meanwhile has to fit into them: 16 MiB have room for 50,000 records and more.
const INTERVAL: Duration = Duration::from_millis(20);
/// The same while nothing is logged.
const REST_INTERVAL: Duration = Duration::from_secs(3600);
/// How long the lanes are emptied after the engines were told to log no more.
const REST_AFTER: Duration = Duration::from_millis(100);
/// Lines are written in pieces of about this many octets: a fraction of the smallest file.
const PIECE_OCTETS: usize = 32 * 1024;
/// Errors of a kind are told once in this time.
const TELL_INTERVAL: Duration = Duration::from_secs(30);

/// What the thread is told.
pub(super) enum Order {
    /// Write like this; into another file, if there is one.
    Use(Box<MessageLogSettings>, Option<Box<LogFile>>),
    /// Names of servers and accounts that records from now on may mean. Say so when this is done, and all that was told before.
    Names(Arc<Settings>, Sender<()>),
    /// Nothing is logged any more.
    Rest,
    /// The engines have stopped.
    End,
}

/// What the thread has.
pub(super) struct Writer {
    lanes: MessageLogLanes,
    figures: Arc<Figures>,
    names: Arc<Settings>,
    settings: Option<MessageLogSettings>,
    file: Option<LogFile>,
    lines: LineWriter,
    /// Empty, with the room of a lane.
    spare: MessageRecords,
    out: Vec<u8>,
    /// Records in `out`.
    out_records: u64,
    /// Records whose loss is told in `out`.
    out_lost: u64,
    /// Of each lane, how many lost records a line has told of.
    told_of_lanes: Vec<u64>,
    lost_on_disk: u64,
    rest_at: Option<Instant>,
    /// When an error of writing was told.
    told_at: Option<Instant>,
    /// When an error of syncing or finishing was told.
    told_of_care_at: Option<Instant>,
    /// It was told that nothing can be written, and not yet that it can again.
    has_failed: bool,
}

impl Writer {
    pub(super) fn new(lanes: MessageLogLanes, figures: Arc<Figures>, names: Arc<Settings>) -> Self {
        Self {
            told_of_lanes: vec![0; lanes.cores().count()],
            lanes,
            figures,
            names,
            settings: None,
            file: None,
            lines: LineWriter::new(SystemTime::now()),
            spare: MessageRecords::default(),
            out: Vec::new(),
            out_records: 0,
            out_lost: 0,
            lost_on_disk: 0,
            rest_at: None,
            told_at: None,
            told_of_care_at: None,
            has_failed: false,
        }
    }

    pub(super) fn spawn(self, orders: Receiver<Order>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("message-log".into())
            .spawn(move || self.run(&orders))
    }

    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let patience = match self.file {
                Some(_) => INTERVAL,
                None => REST_INTERVAL,
            };
            let patience = self.rest_at.map_or(patience, |_| INTERVAL);
            match orders.recv_timeout(patience) {
                Ok(Order::Use(settings, file)) => self.use_settings(*settings, file),
                Ok(Order::Names(names, done)) => {
                    self.names = names;
                    // Nobody may wait any more.
                    let _ = done.send(());
                }
                Ok(Order::Rest) => self.rest_at = Some(Instant::now() + REST_AFTER),
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.empty_lanes(),
            }
            if self.rest_at.is_some_and(|rest_at| rest_at <= Instant::now()) {
                self.rest();
            }
        }
        self.empty_lanes();
        self.sync();
    }

    fn use_settings(&mut self, settings: MessageLogSettings, file: Option<Box<LogFile>>) {
        self.empty_lanes();
        self.rest_at = None;
        match (file, &mut self.file) {
            (Some(file), _) => {
                self.sync();
                self.file = Some(*file);
            }
            (None, Some(open)) => open.use_settings(settings.file.clone()),
            (None, None) => {}
        }
        info!(file = %settings.file.path().display(), "messages are logged");
        self.settings = Some(settings);
    }

    /// The engines log no more, and what they had handed over is written.
    fn rest(&mut self) {
        self.empty_lanes();
        self.sync();
        (self.settings, self.file, self.rest_at) = (None, None, None);
        for core in self.lanes.cores() {
            drop(self.lanes.take(core, MessageRecords::default()));
        }
        self.spare = MessageRecords::default();
        info!("messages are not logged any more");
    }

    fn empty_lanes(&mut self) {
        let Some(settings) = self.settings.take() else {
            return;
        };
        for core in self.lanes.cores() {
            if self.spare.memory_octets() != settings.lane_octets {
                self.spare = MessageRecords::with_room(settings.lane_octets);
            }
            let spare = std::mem::take(&mut self.spare);
            let mut records = self.lanes.take(core, spare);
            let (moment, time) = self.lanes.now();
            let epoch = Epoch { moment, time };
            records.for_each(|record, octets| {
                let with = (&settings.lines, &*self.names);
                self.lines
                    .write(&mut self.out, with, epoch, core, (record, octets));
                self.out_records += 1;
                if self.out.len() >= PIECE_OCTETS {
                    self.write_out();
                }
            });
            records.clear();
            self.spare = records;
            self.tell_lost_on_lane(core, time, self.lanes.lost(core));
        }
        self.settings = Some(settings);
        self.write_out();
        if let Some(file) = &mut self.file
            && let Err(error) = file.tend()
        {
            self.tell_care_error(&error);
        }
    }

    /// So many were lost on this lane, since the start.
    fn tell_lost_on_lane(&mut self, core: CoreIndex, time: SystemTime, lost: u64) {
        let told = &mut self.told_of_lanes[core.as_usize()];
        if lost > *told {
            let more = lost - std::mem::replace(told, lost);
            self.out_lost += more;
            self.lines.write_lost(&mut self.out, time, Some(core), more);
        }
    }

    fn write_out(&mut self) {
        let Some(file) = self.file.as_mut().filter(|_| !self.out.is_empty()) else {
            return;
        };
        let records = std::mem::take(&mut self.out_records);
        let lost_on_lanes = std::mem::take(&mut self.out_lost);
        let mut octets = self.out.len();
        let mut outcome = Ok(());
        if self.lost_on_disk > 0 {
            let mut lines = Vec::new();
            let lost = self.lost_on_disk;
            self.lines.write_lost(&mut lines, SystemTime::now(), None, lost);
            octets += lines.len();
            outcome = file.write(&lines);
            if outcome.is_ok() {
                self.lost_on_disk = 0;
            }
        }
        let outcome = outcome.and_then(|()| file.write(&self.out));
        self.out.clear();
        match outcome {
            Ok(()) => {
                self.figures.records.fetch_add(records, Ordering::Relaxed);
                self.figures.octets.fetch_add(octets as u64, Ordering::Relaxed);
                if std::mem::take(&mut self.has_failed) {
                    info!("the message log is written again");
                }
            }
            Err(error) => {
                // What is missing in the log counts the line that told of others.
                self.lost_on_disk += records + lost_on_lanes;
                self.figures.lost_on_disk.fetch_add(records, Ordering::Relaxed);
                // That it is too early for another try is no news.
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.figures.write_errors.fetch_add(1, Ordering::Relaxed);
                    self.tell_error(&error);
                }
            }
        }
    }

    /// What was to be written is lost.
    fn tell_error(&mut self, error: &io::Error) {
        if is_due(&mut self.told_at) {
            self.has_failed = true;
            let lost = self.figures.lost_on_disk.load(Ordering::Relaxed);
            warn!(%error, records_lost = lost, "the message log cannot be written; messages go on, and what is not written is lost");
        }
    }

    /// Nothing is lost, as long as the machine does not lose power.
    fn tell_care_error(&mut self, error: &io::Error) {
        if is_due(&mut self.told_of_care_at) {
            warn!(%error, "the message log is written, but its file cannot be synced or finished");
        }
    }

    fn sync(&mut self) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.sync()
        {
            self.tell_care_error(&error);
        }
    }
}

/// Whether another error of a kind is told now.
fn is_due(told_at: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    let is_due = told_at.is_none_or(|told_at| now.saturating_duration_since(told_at) >= TELL_INTERVAL);
    if is_due {
        *told_at = Some(now);
    }
    is_due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message_log::FileSettings;
    use std::fs;
    use std::path::Path;

    /// A writer whose file is a link to `device`, and where that link is.
    fn writer(folder: &Path, device: &str) -> Writer {
        std::os::unix::fs::symlink(device, folder.join("messages.jsonl")).unwrap();
        let settings = FileSettings {
            folder: folder.to_owned(),
            name: "messages".into(),
            octets_max: 1 << 20,
            age_max: Duration::from_secs(3600),
            files_max: 3,
            sync_interval: Duration::ZERO,
        };
        let names = crate::message_log::line::tests::names();
        let mut writer = Writer::new(MessageLogLanes::new(1), Arc::default(), Arc::new(names));
        writer.file = Some(LogFile::open(settings).unwrap());
        writer
    }

    fn write(writer: &mut Writer) {
        writer.out.extend_from_slice(b"{}\n");
        writer.out_records = 1;
        writer.write_out();
    }

    /// Goal: what cannot be synced is not told as lost, and not again with each write. Method: /dev/null cannot be synced.
    #[test]
    fn what_cannot_be_synced_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path(), "/dev/null");
        write(&mut writer);
        writer.sync();
        let told_at = writer.told_of_care_at;
        assert!(told_at.is_some());
        write(&mut writer);
        writer.sync();
        assert_eq!(writer.told_of_care_at, told_at);
        assert!(!writer.has_failed && writer.told_at.is_none());
    }

    /// Goal: errors that come and go are told once in a while.
    #[test]
    fn errors_that_come_and_go_are_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path(), "/dev/null");
        let error = io::Error::other("now and then");
        writer.tell_error(&error);
        let told_at = writer.told_at;
        assert!(writer.has_failed && told_at.is_some());
        write(&mut writer);
        writer.tell_error(&error);
        assert_eq!(writer.told_at, told_at);
        assert!(!writer.has_failed, "that it is written again is told once, too");
    }

    /// Goal: what was lost on a lane is told also when the first line that tells it is lost itself.
    #[test]
    fn a_lost_line_about_lost_records_is_made_up_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path(), "/dev/full");
        writer.tell_lost_on_lane(CoreIndex(0), SystemTime::now(), 5);
        write(&mut writer);
        assert_eq!(writer.figures.lost_on_disk.load(Ordering::Relaxed), 1);
        let file = folder.path().join("messages.jsonl");
        fs::remove_file(&file).unwrap();
        thread::sleep(Duration::from_secs(1));
        writer.tell_lost_on_lane(CoreIndex(0), SystemTime::now(), 7);
        write(&mut writer);
        let text = fs::read_to_string(file).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let told = |line: &serde_json::Value| (line["where"].clone(), line["records"].clone());
        assert_eq!(told(&lines[0]), ("disk".into(), 6.into()));
        assert_eq!(told(&lines[1]), ("lane".into(), 2.into()));
        assert_eq!(lines.len(), 3);
    }
}
