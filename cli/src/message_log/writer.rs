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
/// Errors are told once in this time.
const TELL_INTERVAL: Duration = Duration::from_secs(30);

/// What the thread is told.
pub(super) enum Order {
    /// Names of servers and accounts that records from now on may mean.
    Names(Arc<Settings>),
    /// Write like this; into another file, if there is one. Say so when it is done.
    Use(Box<MessageLogSettings>, Option<Box<LogFile>>, Sender<()>),
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
    /// Of each lane, how many lost records a line has told of.
    told_of_lanes: Vec<u64>,
    lost_on_disk: u64,
    rest_at: Option<Instant>,
    told_at: Option<Instant>,
    has_failed: bool,
}

impl Writer {
    pub(super) fn new(lanes: MessageLogLanes, figures: Arc<Figures>, names: Arc<Settings>) -> Self {
        Self {
            told_of_lanes: vec![0; lanes.cores()],
            lanes,
            figures,
            names,
            settings: None,
            file: None,
            lines: LineWriter::new(SystemTime::now()),
            spare: MessageRecords::default(),
            out: Vec::new(),
            out_records: 0,
            lost_on_disk: 0,
            rest_at: None,
            told_at: None,
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
                Ok(Order::Names(names)) => self.names = names,
                Ok(Order::Use(settings, file, done)) => {
                    self.use_settings(*settings, file);
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
        for core in self.cores() {
            drop(self.lanes.take(core, MessageRecords::default()));
        }
        self.spare = MessageRecords::default();
        info!("messages are not logged any more");
    }

    fn cores(&self) -> impl Iterator<Item = CoreIndex> + use<> {
        (0..self.lanes.cores()).filter_map(|core| u16::try_from(core).ok().map(CoreIndex))
    }

    fn empty_lanes(&mut self) {
        let Some(settings) = self.settings.take() else {
            return;
        };
        for core in self.cores() {
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
            self.tell_lost_on_lane(core, time);
        }
        self.settings = Some(settings);
        self.write_out();
        if let Some(file) = &mut self.file
            && let Err(error) = file.tend()
        {
            self.tell_error(&error);
        }
    }

    fn tell_lost_on_lane(&mut self, core: CoreIndex, time: SystemTime) {
        let lost = self.lanes.lost(core);
        let told = &mut self.told_of_lanes[core.as_usize()];
        if lost > *told {
            let more = lost - std::mem::replace(told, lost);
            self.lines.write_lost(&mut self.out, time, Some(core), more);
        }
    }

    fn write_out(&mut self) {
        let Some(file) = self.file.as_mut().filter(|_| !self.out.is_empty()) else {
            return;
        };
        let records = std::mem::take(&mut self.out_records);
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
                    self.told_at = None;
                    info!("the message log is written again");
                }
            }
            Err(error) => {
                self.lost_on_disk += records;
                self.figures.lost_on_disk.fetch_add(records, Ordering::Relaxed);
                // That it is too early for another try is no news.
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.figures.write_errors.fetch_add(1, Ordering::Relaxed);
                    self.tell_error(&error);
                }
            }
        }
    }

    fn tell_error(&mut self, error: &io::Error) {
        let now = Instant::now();
        self.has_failed = true;
        let is_due = self
            .told_at
            .is_none_or(|told_at| now.saturating_duration_since(told_at) >= TELL_INTERVAL);
        if is_due {
            self.told_at = Some(now);
            let lost = self.figures.lost_on_disk.load(Ordering::Relaxed);
            warn!(%error, records_lost = lost, "the message log cannot be written; messages go on, and what is not written is lost");
        }
    }

    fn sync(&mut self) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.sync()
        {
            self.tell_error(&error);
        }
    }
}
