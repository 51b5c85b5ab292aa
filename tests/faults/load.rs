//! An ESME that submits at a rate, comes back when its connection ends, and keeps a book of every request.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::configuration::PASSWORD;
use smppmux_tests::pdu::{bind, submit_sm};
use smppmux_tests::peer::{Peer, Received};

/// How long answers are waited for in the end.
const LAST_WAIT: Duration = Duration::from_secs(20);
/// How long a bind_resp is waited for.
const BIND_WAIT: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(2);

/// The running load.
pub(crate) struct Load {
    thread: JoinHandle<Figures>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    good_answers: AtomicU64,
    bad_answers: AtomicU64,
    ended_sessions: AtomicU64,
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Requests that were written whole.
    pub(crate) sent: u64,
    /// Answers by status.
    pub(crate) statuses: BTreeMap<String, u64>,
    /// Texts that were answered ESME_ROK.
    pub(crate) good: HashSet<String>,
    /// Requests whose connection ended before their answer.
    pub(crate) lost_with_connection: u64,
    /// Requests that never had an answer, though the connection stood.
    pub(crate) unanswered: u64,
    /// Answers to a request that had one, or to none.
    pub(crate) surplus: u64,
    /// Binds that succeeded.
    pub(crate) binds: u64,
    /// The longest time from a request to its answer.
    pub(crate) longest: Duration,
}

impl Figures {
    pub(crate) fn ok(&self) -> u64 {
        self.good.len() as u64
    }

    /// Answers with an error.
    pub(crate) fn failed(&self) -> u64 {
        self.statuses.values().sum::<u64>() - self.ok()
    }

    /// Exactly one answer for each request whose connection stood.
    pub(crate) fn check_one_answer_each(&self) {
        assert_eq!((self.unanswered, self.surplus), (0, 0), "{self}");
        assert_eq!(
            self.statuses.values().sum::<u64>() + self.lost_with_connection,
            self.sent
        );
        assert!(self.ok() > 0, "{self}");
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} submits", self.sent)?;
        for (status, count) in &self.statuses {
            write!(formatter, ", {count} {status}")?;
        }
        if self.lost_with_connection > 0 {
            write!(
                formatter,
                ", {} without answer when their connection ended",
                self.lost_with_connection
            )?;
        }
        write!(
            formatter,
            "; {} unanswered, {} answered twice; longest wait {:.1} s",
            self.unanswered,
            self.surplus,
            self.longest.as_secs_f64()
        )
    }
}

impl Load {
    /// Starts a load of at most `rate` submits a second with at most `window` under way. `address` is asked before each bind.
    pub(crate) fn start(
        address: impl Fn() -> Option<SocketAddr> + Send + 'static,
        system_id: &'static str,
        window: usize,
        rate: u32,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut figures = Figures::default();
                let mut number = 0;
                while !shared.is_over.load(Ordering::Relaxed) {
                    match address().and_then(|address| try_bind(address, system_id)) {
                        Some(peer) => {
                            figures.binds += 1;
                            run_session(peer, &shared, &mut figures, &mut number, window, rate);
                        }
                        None => thread::sleep(Duration::from_millis(20)),
                    }
                }
                figures
            })
        };
        Self { thread, shared }
    }

    /// The same against one address.
    pub(crate) fn against(address: SocketAddr, window: usize, rate: u32) -> Self {
        Self::start(move || Some(address), "esme1", window, rate)
    }

    /// Good answers so far.
    pub(crate) fn good_answers(&self) -> u64 {
        self.shared.good_answers.load(Ordering::Relaxed)
    }

    /// Answers with an error so far, and sessions that ended.
    pub(crate) fn troubles(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.shared.bad_answers), of(&self.shared.ended_sessions))
    }

    /// Waits until so many more answers were good.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub(crate) fn wait_for_good(&self, more: u64) {
        let until = self.good_answers() + more;
        let came = crate::measure::wait_until(smppmux_tests::PATIENCE, || self.good_answers() >= until);
        assert!(came.is_some(), "good answers stop at {}", self.good_answers());
    }

    /// Sends no more, waits for what is due, and gives the book.
    pub(crate) fn stop(self) -> Figures {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

/// A session, where there is somebody to bind to.
pub(crate) fn try_bind(address: SocketAddr, system_id: &str) -> Option<Peer> {
    let mut peer = Peer::try_connect(address).ok()?;
    let request = bind(
        CommandId::BIND_TRANSCEIVER,
        1,
        (system_id, PASSWORD),
        Version::V34,
        "",
    );
    if !peer.try_send(&request) {
        return None;
    }
    match peer.receive_within(BIND_WAIT) {
        Received::Pdu(answer) if answer.status() == Status::ESME_ROK => Some(peer),
        _ => None,
    }
}

fn run_session(
    mut peer: Peer,
    shared: &Shared,
    figures: &mut Figures,
    last: &mut u32,
    window: usize,
    rate: u32,
) {
    let mut waiting: HashMap<u32, (Instant, String)> = HashMap::new();
    let gap = Duration::from_secs(1) / rate;
    let mut due = Instant::now();
    let mut over_since = None;
    loop {
        let is_over = shared.is_over.load(Ordering::Relaxed);
        if is_over {
            let since = *over_since.get_or_insert_with(Instant::now);
            if waiting.is_empty() || since.elapsed() > LAST_WAIT {
                figures.unanswered += waiting.len() as u64;
                return;
            }
        }
        while !is_over && waiting.len() < window && due <= Instant::now() {
            *last += 1;
            let text = format!("text {last}");
            if !peer.try_send(&submit_sm(*last, "1000", "4477", &text)) {
                break;
            }
            figures.sent += 1;
            waiting.insert(*last, (Instant::now(), text));
            // What could not be sent in time is not caught up.
            due = (due + gap).max(Instant::now().checked_sub(gap * 10).unwrap_or(due));
        }
        match peer.receive_within(STEP) {
            Received::Pdu(answer) if answer.command() == CommandId::SUBMIT_SM_RESP => {
                let Some((sent_at, text)) = waiting.remove(&answer.sequence_number()) else {
                    figures.surplus += 1;
                    continue;
                };
                figures.longest = figures.longest.max(sent_at.elapsed());
                *figures.statuses.entry(answer.status().to_string()).or_default() += 1;
                if answer.status() == Status::ESME_ROK {
                    shared.good_answers.fetch_add(1, Ordering::Relaxed);
                    figures.good.insert(text);
                } else {
                    shared.bad_answers.fetch_add(1, Ordering::Relaxed);
                }
            }
            Received::Pdu(_) | Received::Nothing => {}
            Received::Closed => {
                shared.ended_sessions.fetch_add(1, Ordering::Relaxed);
                figures.lost_with_connection += waiting.len() as u64;
                return;
            }
        }
    }
}
