//! What the engines tell the control core on their own: notices for the log, the end of a drain, the end of a core.
//!
//! Notices are bounded and lossy: a reader that is too slow misses some, and the core counts them. The other events are
//! few by nature and never lost. An engine never waits for its reader.

use crate::core::contract::{CoreIndex, Notice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Notices that may wait for their reader, over all cores.
const NOTICES_MAX: usize = 4096;

/// Something that a core tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An engine has something for the log.
    Notice {
        /// Which engine.
        core: CoreIndex,
        /// What.
        notice: Notice,
    },
    /// A core's drain is over.
    Drained {
        /// Which core.
        core: CoreIndex,
        /// False when the drain's time ran out first.
        settled: bool,
    },
    /// A core's thread has ended: after [`Command::Stop`](crate::core::contract::Command::Stop), or by a fault.
    Stopped {
        /// Which core.
        core: CoreIndex,
        /// False when a fault in smppmux ended it.
        orderly: bool,
    },
    /// An [`EventWaker`] was used: the reader has other work.
    Woken,
}

/// Ends the wait of the events' reader, from any thread.
#[derive(Clone, Debug)]
pub struct EventWaker {
    events: Sender<Event>,
    /// One waits for the reader already.
    pending: Arc<AtomicBool>,
}

impl EventWaker {
    /// The reader gets [`Event::Woken`], once for any number of calls before it takes that.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            // A reader that is gone needs no waking.
            drop(self.events.send(Event::Woken));
        }
    }
}

/// One core's end of the event stream.
#[derive(Clone, Debug)]
pub(crate) struct EventSender {
    events: Sender<Event>,
    waiting_notices: Arc<AtomicUsize>,
}

/// The reader's end.
#[derive(Debug)]
pub(crate) struct EventReceiver {
    events: Receiver<Event>,
    waiting_notices: Arc<AtomicUsize>,
    waker: EventWaker,
}

impl EventSender {
    /// False when a notice was dropped.
    pub(crate) fn tell(&self, event: Event) -> bool {
        if matches!(event, Event::Notice { .. }) {
            // The count may be a little behind; the bound is not exact and need not be.
            if self.waiting_notices.load(Ordering::Relaxed) >= NOTICES_MAX {
                return false;
            }
            self.waiting_notices.fetch_add(1, Ordering::Relaxed);
        }
        self.events.send(event).is_ok()
    }
}

impl EventReceiver {
    /// The next event, if one comes within `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Event> {
        let event = self.events.recv_timeout(timeout).ok()?;
        match event {
            Event::Notice { .. } => {
                self.waiting_notices.fetch_sub(1, Ordering::Relaxed);
            }
            // Before the reader looks at its work: what comes up after that wakes it again.
            Event::Woken => self.waker.pending.store(false, Ordering::Release),
            Event::Drained { .. } | Event::Stopped { .. } => {}
        }
        Some(event)
    }

    /// Ends this reader's wait.
    pub(crate) fn waker(&self) -> EventWaker {
        self.waker.clone()
    }
}

pub(crate) fn event_stream() -> (EventSender, EventReceiver) {
    let (sender, receiver) = channel();
    let waiting_notices = Arc::new(AtomicUsize::new(0));
    let waker = EventWaker {
        events: sender.clone(),
        pending: Arc::default(),
    };
    (
        EventSender {
            events: sender,
            waiting_notices: Arc::clone(&waiting_notices),
        },
        EventReceiver {
            events: receiver,
            waiting_notices,
            waker,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::settings::ServerIndex;

    /// Goal: a reader that never reads costs a bounded number of notices, and still hears of the end of a drain.
    #[test]
    fn notices_are_bounded_and_other_events_are_not_lost() {
        let (sender, receiver) = event_stream();
        let core = CoreIndex(0);
        let server = ServerIndex(0);
        let notice = Event::Notice {
            core,
            notice: Notice::ServerBound { server },
        };
        let told = (0..NOTICES_MAX + 10)
            .filter(|_| sender.tell(notice.clone()))
            .count();
        assert_eq!(told, NOTICES_MAX);
        let drained = Event::Drained { core, settled: true };
        assert!(sender.tell(drained.clone()));
        let received: Vec<_> = std::iter::from_fn(|| receiver.next(Duration::ZERO)).collect();
        assert_eq!(
            (received.len(), received.last()),
            (NOTICES_MAX + 1, Some(&drained))
        );
        assert!(sender.tell(notice), "reading makes room");
    }

    /// Goal: any number of wakes before the reader looks are one event, and the next wake after that is another.
    #[test]
    fn wakes_are_collected() {
        let (_sender, receiver) = event_stream();
        let waker = receiver.waker();
        for _ in 0..2 {
            for _ in 0..3 {
                waker.wake();
            }
            assert_eq!(receiver.next(Duration::ZERO), Some(Event::Woken));
            assert_eq!(receiver.next(Duration::ZERO), None);
        }
    }
}
