//! What the threads of one simulator share: the wish to stop, live counters, response times, the books of what came in.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::check::MessageCheck;
use super::connection::Clock;
use super::latency::{Latencies, Percentiles, Recorded};
use super::random::mix;

/// State that all sessions of a simulator share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// Tells this simulator's tokens from those of others.
    pub(crate) run: u16,
    stop_sending: AtomicBool,
    stop: AtomicBool,
    pub(crate) live: Live,
    /// One for each thread, so that they do not wait for each other.
    latencies: Vec<Latencies>,
    pub(crate) messages: MessageCheck,
    /// Delivery receipts, by the message they report on.
    pub(crate) receipts: MessageCheck,
}

/// Counters that may be read while the simulator runs.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) connected: AtomicU64,
    pub(crate) bound: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// A look at a running simulator.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Open connections.
    pub connected: u64,
    /// Bound sessions.
    pub bound: u64,
    /// Messages sent so far.
    pub sent: u64,
    /// Messages answered so far.
    pub answered: u64,
    /// Messages and receipts received so far.
    pub received: u64,
    /// Answers with an error status so far.
    pub failed: u64,
    /// Response times since the last look.
    pub latency: Percentiles,
}

impl Shared {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            clock: Clock::new(),
            run: run_number() as u16,
            stop_sending: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            live: Live::default(),
            latencies: (0..threads.max(1)).map(|_| Latencies::new()).collect(),
            messages: MessageCheck::default(),
            receipts: MessageCheck::default(),
        }
    }

    /// Where thread number `thread` notes its response times.
    pub(crate) fn latencies(&self, thread: usize) -> &Latencies {
        &self.latencies[thread % self.latencies.len()]
    }

    /// No further messages; sessions stay bound.
    pub(crate) fn stop_sending(&self) {
        self.stop_sending.store(true, Ordering::Relaxed);
    }

    /// No further messages; sessions unbind once their answers are there.
    pub(crate) fn stop(&self) {
        self.stop_sending();
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_sending_stopped(&self) -> bool {
        self.stop_sending.load(Ordering::Relaxed)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// All response times so far.
    pub(crate) fn recorded(&self) -> Recorded {
        let mut total = Recorded::new();
        for latencies in &self.latencies {
            latencies.add_to(&mut total);
        }
        total
    }

    /// A look at the counters; the next look's response times start here.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_into(&mut Recorded::new())
    }

    /// The same, with the response times added to `total`, for percentiles over several simulators.
    pub(crate) fn snapshot_into(&self, total: &mut Recorded) -> Snapshot {
        let mut interval = Recorded::new();
        for latencies in &self.latencies {
            latencies.take_interval(&mut interval);
        }
        total.add(&interval);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            connected: read(&self.live.connected),
            bound: read(&self.live.bound),
            sent: read(&self.live.sent),
            answered: read(&self.live.answered),
            received: read(&self.live.received),
            failed: read(&self.live.failed),
            latency: interval.interval(),
        }
    }
}

/// Adds to a live counter.
pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Takes from a live counter.
pub(crate) fn drop_one(counter: &AtomicU64) {
    counter.fetch_sub(1, Ordering::Relaxed);
}

/// Differs between the simulators of a process, and in all likelihood among processes.
fn run_number() -> u64 {
    static FIRST: OnceLock<u64> = OnceLock::new();
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let first = *FIRST.get_or_init(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        mix(since_epoch.as_nanos() as u64 ^ (u64::from(std::process::id()) << 40))
    });
    first.wrapping_add(RUNS.fetch_add(1, Ordering::Relaxed))
}
