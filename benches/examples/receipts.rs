//! Ten million receipts: what an entry takes in memory and on disk, what one costs a submit, and how long a restart loads.
//!
//! ```text
//! target/release/examples/receipts [ENTRIES] [FOLDER]
//! ```
//!
//! Everything is the real thing: submits go through the engine and are answered, the records go to the log's thread, and
//! a second engine reads the log as a restart does.

use smppmux_benches::RoundTrip;
use smppmux_engine::core::receipts::IdKeys;
use smppmux_engine::core::settings::ReceiptStore;
use smppmux_engine::shell::{LogLimits, ReceiptLog};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Turns of the shell are about so long under load.
const SUBMITS_PER_TURN: u64 = 100;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let entries: u64 = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000_000);
    let folder = arguments.next().map_or_else(
        || std::env::temp_dir().join(format!("smppmux-receipts-{}", std::process::id())),
        PathBuf::from,
    );
    write(entries, &folder);
    load(entries, &folder);
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

fn open(entries: u64, folder: &Path) -> (ReceiptLog, ReceiptStore) {
    let limits = LogLimits {
        entries_max: entries,
        age_max: DAY,
    };
    let log = ReceiptLog::open(folder, limits).expect("the log opens");
    let store = ReceiptStore {
        is_logged: true,
        entries_max: entries,
        age_max: DAY,
        keys: IdKeys::new(log.key()),
        started_at_seconds: SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        ..ReceiptStore::default()
    };
    (log, store)
}

fn write(entries: u64, folder: &Path) {
    let (log, store) = open(entries, folder);
    let mut round_trip = RoundTrip::with_receipts(store);
    log.start(&round_trip.settings()).expect("the log starts");
    let lane = log.lane();
    let started_at = Instant::now();
    for number in 0..entries {
        round_trip.submit_for_receipt(number);
        if number % SUBMITS_PER_TURN == 0 {
            hand_over(&mut round_trip, &lane);
        }
    }
    hand_over(&mut round_trip, &lane);
    let seconds = started_at.elapsed().as_secs_f64();
    let report = round_trip.engine().report().receipts;
    log.finish();
    let figures = log.figures();
    println!(
        "{} entries in {seconds:.1} s, {:.2} octets of memory each, {:.2} octets on disk each, {} batches lost",
        report.entries,
        report.octets as f64 / report.entries as f64,
        figures.octets as f64 / report.entries as f64,
        figures.batches_lost,
    );
    let found = (0..entries)
        .step_by(997)
        .filter(|number| round_trip.knows_receipt(*number))
        .count();
    println!(
        "{found} of {} sampled receipts find their account",
        entries.div_ceil(997)
    );
}

/// The shell's part; but it waits for the writer, because nothing may be lost here.
fn hand_over(round_trip: &mut RoundTrip, lane: &smppmux_engine::shell::LogLane) {
    while let Some(records) = round_trip.engine().poll_receipt_log() {
        let mut waiting = records;
        while let Some(back) = lane.send(waiting) {
            if back.is_empty() {
                round_trip.engine().handle_log_buffer(back);
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            waiting = back;
        }
    }
}

fn load(entries: u64, folder: &Path) {
    let opened_at = Instant::now();
    let (log, store) = open(entries, folder);
    let opening = opened_at.elapsed().as_secs_f64();
    let mut round_trip = RoundTrip::with_receipts(store);
    let settings = round_trip.settings();
    let started_at = Instant::now();
    let report = log.load(&settings, |record| round_trip.engine().handle_loaded(record));
    let loading = started_at.elapsed().as_secs_f64();
    println!(
        "a restart looks through the log in {opening:.2} s and loads {} records on one core in {loading:.2} s",
        report.records,
    );
    let found = (0..entries)
        .step_by(997)
        .filter(|number| round_trip.knows_receipt(*number))
        .count();
    println!(
        "{found} of {} sampled receipts find their account",
        entries.div_ceil(997)
    );
}
