//! How other threads wake a core that waits in the kernel: an eventfd.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// The bell of one core. It is readable from the first ring until [`reset`](Self::reset).
#[derive(Debug)]
pub(super) struct EventBell {
    counter: Arc<Counter>,
}

#[derive(Debug)]
struct Counter(OwnedFd);

impl EventBell {
    /// # Errors
    /// When there is no descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        // Not O_NONBLOCK: io_uring would fail a read of it instead of waiting. No call of ours can block: the owner reads
        // only what is readable, and a writer would have to ring 2^64 times.
        let counter = eventfd(0, EventfdFlags::CLOEXEC)?;
        Ok(Self {
            counter: Arc::new(Counter(counter)),
        })
    }

    /// Rings, from any thread.
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.counter))
    }

    /// Takes note of every ring until now. Only when it is readable.
    pub(super) fn reset(&self) {
        // It fails only when it is not readable after all, and then there is nothing to take note of.
        let _ = rustix::io::read(&self.counter.0, &mut [0; 8]);
    }
}

impl AsFd for EventBell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.0.as_fd()
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The counter is far from its end, and the descriptor is open for as long as we hold it.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}
