//! Proves that no message allocates: counts what the pure core, and one engine with its sockets, allocate for a message in
//! a steady state. Run with `cargo bench -p smppmux-benches --bench allocations`; ends with 1 if anything does.
//!
//! Debug builds check the engine's invariants after every event, which allocates; so this is no `cargo test`.

use smppmux_benches::{
    BATCH_MESSAGES, EngineOnSockets, LockstepEsme, RoundTrip, TwoCores, measured_part, start_smsc,
    way_with_name,
};
use smppmux_engine::core::contract::CoreIndex;
use smppmux_engine::core::message_log::MessageRecords;
use smppmux_engine::shell::{IoDriver, MessageLogLanes};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Messages before the count, which fill the pools of buffers.
const WARM_UP: u32 = 5_000;
/// Messages that are counted.
const COUNTED: u32 = 50_000;
/// Requests under way at once through the sockets.
const WINDOW: u32 = 20;
/// So short that a window fits in one read: a PDU in two halves is kept in a buffer that is made when the first such comes.
const TEXT_OCTETS: u8 = 5;
/// Memory for an engine's records of messages, as it is by default, and so little that it is soon full.
const LANE_OCTETS: usize = 16 << 20;
const SMALL_LANE_OCTETS: usize = 1 << 20;
/// Ways of the table that go where the rounds in `main` do not.
const MORE_WAYS: [&str; 7] = [
    "receipt-mapped",
    "query-tagged",
    "query-mapped",
    "first-segment",
    "next-segment",
    "c2c",
    "c2c-between-threads",
];
/// The sequence numbers of the requests of a round trip, which must come back.
const NUMBER: u32 = 7;
const RECEIPT_NUMBER: u32 = 9;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The peers of the engines allocate as they like.
    static IGNORED: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator with a count.
struct Counting;

// SAFETY: every call goes to the system's allocator with the caller's own arguments, so its promises are the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: by the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, octets: usize) -> *mut u8 {
        count();
        // SAFETY: by the caller's promise.
        unsafe { System.realloc(pointer, layout, octets) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count() {
    // A thread that is ending has no more thread-locals; its allocations are not a message's.
    if !IGNORED.try_with(Cell::get).unwrap_or(true) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() -> ExitCode {
    let mut round_trip = RoundTrip::new();
    round_trip.submit_for_receipt(0);
    let mut logged = RoundTrip::logged();
    let mut two_cores = TwoCores::new();
    let mut outcomes = vec![
        (
            "submit_sm and its answer",
            of_rounds(NUMBER, || round_trip.submit()),
        ),
        (
            "deliver_sm and its answer",
            of_rounds(NUMBER, || round_trip.deliver()),
        ),
        (
            "receipt and its answer",
            of_rounds(RECEIPT_NUMBER, || round_trip.receipt()),
        ),
        (
            "deliver_sm across cores",
            of_rounds(NUMBER, || two_cores.deliver()),
        ),
        (
            "logged submit_sm and deliver_sm",
            of_rounds(NUMBER, || {
                logged.submit();
                let number = logged.deliver();
                assert_eq!(logged.take_records(), 4);
                number
            }),
        ),
    ];
    outcomes.extend(MORE_WAYS.map(|name| (name, of_way(name))));
    for (name, way) in [
        (
            "submit_sm through sockets, ring driver",
            (IoDriver::Ring, Log::Off),
        ),
        (
            "submit_sm through sockets, epoll driver",
            (IoDriver::Epoll, Log::Off),
        ),
        (
            "logged submit_sm through sockets, ring",
            (IoDriver::Ring, Log::Written),
        ),
        (
            "logged submit_sm through sockets, epoll",
            (IoDriver::Epoll, Log::Written),
        ),
        ("the same, and nobody writes", (IoDriver::Epoll, Log::Full)),
    ] {
        match of_sockets(way) {
            Ok(allocations) => outcomes.push((name, allocations)),
            // Not every machine has io_uring.
            Err(reason) => println!("{name:45} NOT MEASURED: {reason}"),
        }
    }
    for (name, allocations) in &outcomes {
        println!("{name:45} {allocations:6} allocations for {COUNTED} messages");
    }
    ExitCode::from(u8::from(outcomes.iter().any(|(_, allocations)| *allocations > 0)))
}

fn of_rounds(number: u32, mut round: impl FnMut() -> u32) -> u64 {
    (0..WARM_UP).for_each(|_| assert_eq!(round(), number));
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..COUNTED).for_each(|_| assert_eq!(round(), number));
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// What the whole steps of a way allocate.
fn of_way(name: &str) -> u64 {
    let mut way = way_with_name(name).map(|named| (named.start)()).expect(name);
    let mut take = |messages: u32| {
        for _ in 0..messages / BATCH_MESSAGES {
            way.prepare();
            measured_part(&mut *way);
            way.finish();
        }
    };
    take(WARM_UP);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    take(COUNTED);
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// What an engine allocates between an ESME and an SMSC, both on threads of this process that do not count. Where messages are
/// logged a writer takes their records meanwhile, as the log's does, or none does, and the lane is full and counts.
fn of_sockets((driver, log): (IoDriver, Log)) -> Result<u64, String> {
    IGNORED.set(true);
    let log_octets = match log {
        Log::Off => None,
        Log::Written => Some(LANE_OCTETS),
        Log::Full => Some(SMALL_LANE_OCTETS),
    };
    let engine = EngineOnSockets::start(driver, start_smsc(|| IGNORED.set(true)), log_octets)
        .map_err(|error| error.to_string())?;
    let writer = (log == Log::Written).then(|| LogWriter::start(engine.lanes()));
    let mut esme = LockstepEsme::bind(engine.address(), WINDOW, TEXT_OCTETS).expect("a bind");
    esme.send(WARM_UP).expect("answers");
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    esme.send(COUNTED).expect("answers");
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    drop(esme);
    let lost = engine.lanes().lost(CoreIndex(0));
    if let Some(writer) = writer {
        let (records, sent) = (writer.end(), u64::from(WARM_UP + COUNTED));
        assert_eq!(
            (records, lost),
            (2 * sent, 0),
            "each submit and answer is in the log"
        );
    } else {
        assert_eq!(lost > 0, log == Log::Full, "{lost} records were lost");
    }
    drop(engine);
    IGNORED.set(false);
    Ok(allocations)
}

/// Whether messages are logged, and what becomes of their records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Off,
    /// Taken by a writer.
    Written,
    /// Taken by nobody.
    Full,
}

/// Takes records as the writer of the log does, and counts them.
struct LogWriter {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl LogWriter {
    fn start(lanes: MessageLogLanes) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let shall_end = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            IGNORED.set(true);
            let (mut records, mut spare) = (0, MessageRecords::with_room(LANE_OCTETS));
            loop {
                let is_last = shall_end.load(Ordering::Relaxed);
                spare = lanes.take(CoreIndex(0), spare);
                records += spare.len() as u64;
                spare.clear();
                if is_last {
                    return records;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { is_over, thread }
    }

    /// How many records there were. The last of them may be on their way when their answers have been read.
    fn end(self) -> u64 {
        std::thread::sleep(Duration::from_millis(200));
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only takes")
    }
}
