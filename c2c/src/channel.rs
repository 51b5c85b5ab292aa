//! The channel under a lane: crossbeam's, or what it promises and no more where a model checker tries every interleaving.

#[cfg(not(loom))]
pub(crate) use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
#[cfg(loom)]
pub(crate) use model::{Receiver, Sender, TrySendError, bounded};

/// A channel of one sender whose length is only a count: whoever reads it learns nothing of what else was written before. So
/// the cores' own orderings must be enough to see all messages of one that has gone.
#[cfg(loom)]
mod model {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use loom::sync::Mutex;
    use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    struct Shared<M> {
        queue: Mutex<VecDeque<M>>,
        capacity: usize,
        messages: AtomicUsize,
        is_closed: AtomicBool,
    }

    pub(crate) struct Sender<M>(Arc<Shared<M>>);

    pub(crate) struct Receiver<M>(Arc<Shared<M>>);

    pub(crate) enum TrySendError<M> {
        Full(M),
        Disconnected(M),
    }

    pub(crate) fn bounded<M>(capacity: usize) -> (Sender<M>, Receiver<M>) {
        let shared = Arc::new(Shared {
            queue: Mutex::new(VecDeque::new()),
            capacity,
            messages: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
        });
        (Sender(Arc::clone(&shared)), Receiver(shared))
    }

    impl<M> Sender<M> {
        pub(crate) fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
            if self.0.is_closed.load(Ordering::Relaxed) {
                return Err(TrySendError::Disconnected(message));
            }
            if self.0.messages.load(Ordering::Relaxed) == self.0.capacity {
                return Err(TrySendError::Full(message));
            }
            if let Ok(mut queue) = self.0.queue.lock() {
                queue.push_back(message);
            }
            self.0.messages.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    impl<M> Receiver<M> {
        pub(crate) fn len(&self) -> usize {
            self.0.messages.load(Ordering::Relaxed)
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(crate) fn try_recv(&self) -> Result<M, ()> {
            let message = self.0.queue.lock().ok().and_then(|mut queue| queue.pop_front());
            self.0
                .messages
                .fetch_sub(usize::from(message.is_some()), Ordering::Relaxed);
            message.ok_or(())
        }
    }

    impl<M> Drop for Receiver<M> {
        fn drop(&mut self) {
            self.0.is_closed.store(true, Ordering::Relaxed);
        }
    }
}
