//! The log over restarts: what was handed over comes back, whatever a kill left at the end, within bounds.

use super::*;
use crate::core::receipts::write_account;
use crate::core::settings::samples::{client_settings, engine_settings, server_settings, vserver_settings};
use crate::core::settings::{ClientIndex, ServerIndex};
use bytes::{BufMut, BytesMut};
use std::fs;
use std::time::Instant;

const LIMITS: LogLimits = LogLimits {
    entries_max: 1_000_000,
    age_max: Duration::from_secs(3_600),
};

fn settings() -> Arc<Settings> {
    let clients = ["alpha", "beta"].map(client_settings).into();
    let settings = Settings::new(
        engine_settings(),
        vec![vserver_settings()],
        vec![server_settings()],
        clients,
        1,
    );
    assert_eq!(settings.account(b"beta"), Some(ClientIndex(1)));
    Arc::new(settings)
}

/// A record of a receipt of `beta`, numbered by its key.
fn record(number: u64) -> BytesMut {
    let mut record = BytesMut::new();
    record.put_u8(2);
    record.put_u64(now_seconds());
    record.put_u64(number);
    record.put_u32(1);
    record.put_u32(0);
    record.put_u16(7);
    record.put_u64(number);
    record
}

/// One run: what it found, and then writes.
fn run(folder: &Path, limits: LogLimits, write: std::ops::Range<u64>) -> (Vec<u64>, LoadReport, LogFigures) {
    let settings = settings();
    let log = ReceiptLog::open(folder, limits).expect("the log opens");
    log.start(&settings).expect("the log starts");
    let mut found = Vec::new();
    let report = log.load(&settings, |record| {
        let LoadedRecord::Receipt { entry, home, .. } = record else {
            panic!("{record:?}")
        };
        assert_eq!((entry.account, entry.key), (ClientIndex(1), *home));
        found.push(entry.key);
    });
    let lane = log.lane();
    let mut sent_octets = 0;
    for number in write {
        let record = record(number);
        sent_octets += record.len() as u64;
        drop(lane.send(record));
        if number % 100 == 99 {
            let_the_writer_come_along(&log, sent_octets);
        }
    }
    log.finish();
    (found, report, log.figures())
}

/// The way to the writer is bounded, and a busy machine may not let it run for a while.
fn let_the_writer_come_along(log: &ReceiptLog, sent_octets: u64) {
    let start = Instant::now();
    let is_behind = || {
        let figures = log.figures();
        figures.octets < sent_octets && figures.batches_lost + figures.write_errors == 0
    };
    while is_behind() && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Goal: every record comes back in the next run, in order, also from several runs before; the key stays.
#[test]
fn records_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (found, report, figures) = run(folder.path(), LIMITS, 0..500);
    assert_eq!((found.len(), report), (0, LoadReport::default()));
    assert_eq!(
        (figures.batches_lost, figures.write_errors, figures.sync_errors),
        (0, 0, 0)
    );
    let (found, ..) = run(folder.path(), LIMITS, 500..700);
    assert_eq!(found, (0..500).collect::<Vec<_>>());
    let (found, report, _) = run(folder.path(), LIMITS, 0..0);
    assert_eq!(found, (0..700).collect::<Vec<_>>());
    assert_eq!((report.records, report.skipped, report.torn_files), (700, 0, 0));
}

/// Goal: a file that was cut anywhere, or whose octets turned, gives the whole frames before that place and stops there.
#[test]
fn a_torn_end_costs_only_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), LIMITS, 0..300);
    let path = only_file(folder.path());
    let whole = fs::read(&path).expect("a file");
    for cut in (0..whole.len()).step_by(211) {
        let other = tempfile::tempdir().expect("a folder");
        let torn = other.path().join("receipts-0000000001.log");
        fs::write(&torn, &whole[..cut]).expect("a copy");
        let (found, ..) = run(other.path(), LIMITS, 0..0);
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
    }
    let mut turned = whole;
    let last = turned.len() - 3;
    turned[last] ^= 0x10;
    fs::write(&path, &turned).expect("a file");
    let (found, report, _) = run(folder.path(), LIMITS, 0..0);
    assert!(
        (100..300).contains(&found.len()) && report.torn_files == 1,
        "{report:?}"
    );
}

/// Goal: two processes cannot use one folder, and the first one's end frees it.
#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = ReceiptLog::open(folder.path(), LIMITS).expect("the log opens");
    let second = ReceiptLog::open(folder.path(), LIMITS);
    assert!(matches!(second, Err(ReceiptLogError::InUse { .. })), "{second:?}");
    drop(log);
    assert!(ReceiptLog::open(folder.path(), LIMITS).is_ok());
}

/// Goal: the files stay bounded: restarts without end do not leave files without end, and what newer files make useless
/// is deleted; what is needed is not.
#[test]
fn the_folder_is_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    for restart in 0..60_u64 {
        let (found, ..) = run(folder.path(), LIMITS, restart * 10..restart * 10 + 10);
        assert_eq!(found, (0..restart * 10).collect::<Vec<_>>(), "restart {restart}");
    }
    let files = || fs::read_dir(folder.path()).expect("a folder").count();
    assert!(files() <= 20, "{} files", files());
    let few = LogLimits {
        entries_max: 10,
        ..LIMITS
    };
    run(folder.path(), few, 600..620);
    run(folder.path(), few, 0..0);
    let (found, ..) = run(folder.path(), few, 0..0);
    assert_eq!(found, (600..620).collect::<Vec<_>>());
}

/// Goal: a folder that cannot be written is an error at the start, and a lane that is full loses batches, counts them, and
/// does not wait.
#[test]
fn nothing_waits_for_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, b"").expect("a file");
    assert!(matches!(
        ReceiptLog::open(&file, LIMITS),
        Err(ReceiptLogError::Io { .. })
    ));
    // Nobody reads: the thread was never started.
    let log = ReceiptLog::open(folder.path(), LIMITS).expect("the log opens");
    let lane = log.lane();
    let started_at = Instant::now();
    for number in 0..WAITING_BATCHES_MAX as u64 + 10 {
        lane.send(record(number));
    }
    assert!(started_at.elapsed() < Duration::from_secs(5));
    assert_eq!(log.figures().batches_lost, 10);
}

/// Goal: an account's name is found again under another number.
#[test]
fn accounts_are_known_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), LIMITS, 0..3);
    let clients = ["gamma", "beta", "alpha"].map(client_settings).into();
    let settings = Settings::new(
        engine_settings(),
        vec![vserver_settings()],
        vec![server_settings()],
        clients,
        1,
    );
    let log = ReceiptLog::open(folder.path(), LIMITS).expect("the log opens");
    let mut accounts = Vec::new();
    log.load(&settings, |record| {
        if let LoadedRecord::Receipt { entry, .. } = record {
            accounts.push(entry.account);
        }
    });
    assert_eq!(accounts, [ClientIndex(1); 3]);
    let mut again = BytesMut::new();
    write_account(&mut again, ClientIndex(9), "beta");
    let mut reader = RecordReader::new(&settings);
    assert!(reader.read(&settings, &again, |_| {}).is_ok());
    let _ = ServerIndex(0);
}

/// Goal: records of an account that a reload brings are read again at the next start. Method: new settings in the middle of
/// a file.
#[test]
fn new_accounts_are_named_before_their_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let with = |names: &[&str]| {
        let clients = names.iter().copied().map(client_settings).collect();
        let (vservers, servers) = (vec![vserver_settings()], vec![server_settings()]);
        Arc::new(Settings::new(engine_settings(), vservers, servers, clients, 1))
    };
    let log = ReceiptLog::open(folder.path(), LIMITS).expect("the log opens");
    log.start(&with(&["alpha"])).expect("the log starts");
    assert!(log.use_settings(&with(&["alpha", "beta"])));
    assert_eq!(log.lane().send(record(7)), None);
    log.finish();
    let log = ReceiptLog::open(folder.path(), LIMITS).expect("the log opens");
    let mut found = Vec::new();
    let report = log.load(&with(&["beta"]), |record| {
        if let LoadedRecord::Receipt { entry, .. } = record {
            found.push((entry.account, entry.key));
        }
    });
    assert_eq!((found, report.skipped), (vec![(ClientIndex(0), 7)], 0));
}
