//! The bell of one core: how senders wake it, and how it goes to sleep without missing a message.
//!
//! The handshake is Dekker's. The sleeper writes "parked", then reads its inbox; a sender writes the inbox, then reads
//! "parked". With a sequentially consistent fence between the two steps on both sides, at least one of them sees the
//! other's write: either the sleeper stays awake, or the sender rings.
//!
//! Invariants:
//! - A bell is rung at most once for each time its owner announced that it parks, however many senders there are.
//! - Only the owner calls [`Bell::prepare_to_park`] and [`Bell::unpark`].
//!
//! It must never learn what an inbox is: the caller passes the second look in, so that a model checker can run the
//! handshake alone (`RUSTFLAGS="--cfg loom" cargo test -p smppmux-c2c --release --lib loom`).

use std::task::Waker;

#[cfg(not(loom))]
use atomic_waker::AtomicWaker;
#[cfg(loom)]
use loom::future::AtomicWaker;
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// One core's bell. Aligned so that two cores' bells share no cache line (nor a pair that is fetched together).
#[repr(align(128))]
pub(crate) struct Bell {
    parked: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self {
            parked: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    /// Announces that the owner is about to sleep, then takes the second look at its inbox.
    ///
    /// True: it may sleep, and whoever posts from now on wakes `waker`. False: `anything_waiting` said so, and the
    /// announcement is taken back.
    pub(crate) fn prepare_to_park(&self, waker: &Waker, anything_waiting: impl FnOnce() -> bool) -> bool {
        self.register(waker);
        // A swap, not a store: it comes after every ring that it overwrites, and what those rings announced is seen.
        self.parked.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        if anything_waiting() {
            self.unpark();
            return false;
        }
        true
    }

    /// The owner is awake: nobody needs to ring.
    pub(crate) fn unpark(&self) {
        self.parked.store(false, Ordering::Relaxed);
    }

    /// Wakes the owner if it sleeps or is about to. Call it after the message was posted. True if this call woke it.
    pub(crate) fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        // The plain read first: while the owner is awake its line stays shared among all senders.
        if !self.parked.load(Ordering::Relaxed) || !self.parked.swap(false, Ordering::AcqRel) {
            return false;
        }
        self.waker.wake();
        true
    }

    #[cfg(not(loom))]
    fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    #[cfg(loom)]
    fn register(&self, waker: &Waker) {
        self.waker.register_by_ref(waker);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::Poll;

    use loom::future::block_on;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::*;

    /// Goal: whatever the interleaving, a sleeper hears of every message (else the model dead-locks), and no bell is
    /// rung more often than its owner parked. Method: each message is one step of a counter; `messages[i]` of them are
    /// sent by sender `i`, with a ring after each. All interleavings with at most `preemptions` forced switches.
    fn every_message_is_heard(messages: &'static [usize], preemptions: usize) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(preemptions);
        model.check(move || {
            let bell = Arc::new(Bell::new());
            let inbox = Arc::new(AtomicUsize::new(0));
            let senders: Vec<_> = messages
                .iter()
                .map(|count| {
                    let (bell, inbox) = (Arc::clone(&bell), Arc::clone(&inbox));
                    thread::spawn(move || {
                        (0..*count)
                            .filter(|_| {
                                // Relaxed on purpose: the handshake's own fences must be enough.
                                inbox.fetch_add(1, Ordering::Relaxed);
                                bell.ring()
                            })
                            .count()
                    })
                })
                .collect();
            let parks = receive(&bell, &inbox, messages.iter().sum());
            let rings: usize = senders
                .into_iter()
                .map(|sender| sender.join().unwrap_or(usize::MAX))
                .sum();
            assert!(rings <= parks, "{rings} rings for {parks} parks");
        });
    }

    /// Receives until `expected` messages were seen; returns how often it parked.
    fn receive(bell: &Bell, inbox: &AtomicUsize, expected: usize) -> usize {
        let mut parks = 0;
        block_on(poll_fn(|context| {
            bell.unpark();
            loop {
                let seen = inbox.load(Ordering::Relaxed);
                if seen == expected {
                    return Poll::Ready(());
                }
                parks += 1;
                if bell.prepare_to_park(context.waker(), || inbox.load(Ordering::Relaxed) != seen) {
                    return Poll::Pending;
                }
            }
        }));
        parks
    }

    #[test]
    fn loom_one_sender_one_message() {
        every_message_is_heard(&[1], 8);
    }

    #[test]
    fn loom_one_sender_two_messages() {
        every_message_is_heard(&[2], 3);
    }

    #[test]
    fn loom_two_senders() {
        every_message_is_heard(&[1, 1], 2);
    }
}
