//! Who watches, and the task that tells them.

use super::figures::{HISTORY_MAX, History, Live, Point};
use super::growth::Growth;
use super::{BACKLOG_MAX, WATCHERS_MAX};
use crate::admin::api::clients::WITH_ACCOUNTS;
use crate::admin::api::problem::ProblemBody;
use crate::admin::api::queue::Queue;
use crate::admin::control::{ControlHandle, Snapshot};
use hyper::body::{Body, Bytes, Frame};
use serde::Serialize;
use smppmux_engine::core::report::Wanted;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// How often there is an event.
const INTERVAL: Duration = Duration::from_secs(1);

/// Events that are made without anybody who watches before the task ends and forgets the history.
const LINGER_EVENTS: usize = 120;

/// How long an event waits for the queue's store, which may be behind a commit.
const QUEUE_LIMIT: Duration = Duration::from_millis(300);

/// Lines of the queue in an event.
const QUEUE_LINES_MAX: usize = 100;

/// Pools that each core reports at most.
const POOLS_MAX: u32 = 1_000;

/// What an event needs of the engines while somebody watches.
const WANTED: Wanted = Wanted {
    pools_max: POOLS_MAX,
    ..WITH_ACCOUNTS
};

/// Ends a connection whose other side does not read.
#[derive(Clone, Debug, Default)]
pub(crate) struct HangUp(Arc<Notify>);

impl HangUp {
    /// Has the connection end.
    pub(crate) fn ask(&self) {
        self.0.notify_one();
    }

    /// Comes back when the connection shall end.
    pub(crate) async fn wanted(&self) {
        self.0.notified().await;
    }
}

/// The way to the events.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    control: ControlHandle,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    watchers: Vec<Watcher>,
    is_running: bool,
    history: VecDeque<Point>,
}

#[derive(Debug)]
struct Watcher {
    events: mpsc::Sender<Bytes>,
    hang_up: HangUp,
}

impl Feed {
    pub(crate) fn new(control: ControlHandle) -> Self {
        Self {
            control,
            shared: Arc::default(),
        }
    }

    /// Begins to watch, from the history on; `None`: too many watch. Must be called in the runtime of the admin interface.
    pub(crate) fn watch(&self, hang_up: HangUp, events_max: Option<u64>) -> Option<Watching> {
        let mut shared = lock(&self.shared);
        shared.watchers.retain(|watcher| !watcher.events.is_closed());
        if shared.watchers.len() >= WATCHERS_MAX {
            return None;
        }
        let (events, receiver) = mpsc::channel(BACKLOG_MAX);
        let points = shared.history.iter().copied().collect();
        // There is room for it: nothing else is in there.
        let _ = events.try_send(event("history", &History { points }));
        shared.watchers.push(Watcher { events, hang_up });
        if !shared.is_running {
            shared.is_running = true;
            tokio::spawn(self.clone().run());
        }
        Some(Watching {
            events: receiver,
            left: events_max.map(|events| events.saturating_add(1)),
        })
    }

    /// Tells until nobody has watched for a while.
    async fn run(self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut before, mut unwatched) = (None, 0);
        let mut queue = QueueReader::default();
        loop {
            ticks.tick().await;
            unwatched = if self.is_watched() { 0 } else { unwatched + 1 };
            if unwatched > LINGER_EVENTS && self.end() {
                return;
            }
            let wanted = if unwatched == 0 { WANTED } else { Wanted::default() };
            let Ok(now) = self.control.snapshot(wanted).await else {
                let error = "the control core does not answer: it is busy, or smppmux is ending".to_owned();
                tell(&self.shared, &event("problem", &ProblemBody { error }));
                continue;
            };
            if unwatched == 0 {
                self.tell_figures(before.as_deref(), &now, queue.read(&self.control).await);
            } else {
                let growth = Growth::between(before.as_deref().unwrap_or(&now), &now);
                self.remember(Point::of(&now, &growth));
            }
            before = Some(now);
        }
    }

    fn tell_figures(&self, before: Option<&Snapshot>, now: &Snapshot, queue: Option<Queue>) {
        let live = Live::of(before.unwrap_or(now), now, queue);
        self.remember(live.point);
        tell(&self.shared, &event("live", &live));
    }

    fn remember(&self, point: Point) {
        let mut shared = lock(&self.shared);
        // The first one is a beginning: it has no rates.
        if point.seconds > 0.0 {
            while shared.history.len() >= HISTORY_MAX {
                shared.history.pop_front();
            }
            shared.history.push_back(point);
        }
    }

    fn is_watched(&self) -> bool {
        let mut shared = lock(&self.shared);
        shared.watchers.retain(|watcher| !watcher.events.is_closed());
        !shared.watchers.is_empty()
    }

    /// Whether this is the end: nobody has begun to watch meanwhile.
    fn end(&self) -> bool {
        let mut shared = lock(&self.shared);
        if !shared.watchers.is_empty() {
            return false;
        }
        shared.is_running = false;
        shared.history.clear();
        true
    }
}

/// Hands an event to all who watch. Who has left too many unread is cut off.
fn tell(shared: &Mutex<Shared>, event: &Bytes) {
    lock(shared)
        .watchers
        .retain(|watcher| match watcher.events.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                watcher.hang_up.ask();
                false
            }
        });
}

/// The lock is held for a few instructions, and by nobody who panics.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the queue's figures, one question at a time: a store that is slow is not asked again meanwhile.
#[derive(Debug, Default)]
struct QueueReader(Option<JoinHandle<Option<Queue>>>);

impl QueueReader {
    async fn read(&mut self, control: &ControlHandle) -> Option<Queue> {
        let store = control.store()?;
        let asked = self.0.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || {
                let report = store.report().ok()?;
                Some(Queue::of(&report, store.lines(QUEUE_LINES_MAX).ok()?))
            })
        });
        let answer = tokio::time::timeout(QUEUE_LIMIT, asked).await.ok()?;
        self.0 = None;
        answer.ok().flatten()
    }
}

/// An event as the standard writes it (HTML, section 9.2.6, "server-sent events"): the data is one line.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    // Plain data without maps of odd keys: it can always be written.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// The events for one who watches, as the body of an answer.
#[derive(Debug)]
pub(crate) struct Watching {
    events: mpsc::Receiver<Bytes>,
    /// So many more, where it shall end.
    left: Option<u64>,
}

impl Body for Watching {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        self.events.poll_recv(context).map(|event| {
            self.left = self.left.map(|left| left.saturating_sub(1));
            event.map(|event| Ok(Frame::data(event)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: who reads gets every event, who does not is cut off with its connection after the backlog, and who has gone is
    /// forgotten; none of them delays the others.
    #[test]
    fn who_does_not_read_is_cut_off() {
        let shared = Arc::<Mutex<Shared>>::default();
        let watch = || {
            let (events, receiver) = mpsc::channel(BACKLOG_MAX);
            let hang_up = HangUp::default();
            let watcher = Watcher {
                events,
                hang_up: hang_up.clone(),
            };
            shared.lock().expect("nobody panics").watchers.push(watcher);
            (receiver, hang_up)
        };
        let (mut reads, reader) = watch();
        let (_does_not, idler) = watch();
        drop(watch());
        let is_wanted = |hang_up: &HangUp| {
            let mut waiting = std::pin::pin!(hang_up.wanted());
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(std::task::Waker::noop()))
                .is_ready()
        };
        for number in 0..=BACKLOG_MAX {
            tell(&shared, &event("live", &number));
            assert_eq!(reads.try_recv().ok(), Some(event("live", &number)));
        }
        assert_eq!(shared.lock().expect("nobody panics").watchers.len(), 1);
        assert!(is_wanted(&idler) && !is_wanted(&reader));
    }
}
