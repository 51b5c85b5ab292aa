//! Lets a plain thread wait at its endpoint, for the control core and for tests.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::endpoint::{Endpoint, Park};

/// Puts the thread that made it to sleep until its endpoint has something, or until anyone calls [`ThreadParker::waker`].
pub struct ThreadParker {
    thread: Thread,
    waker: Waker,
}

impl ThreadParker {
    /// A parker for the calling thread.
    pub fn for_current_thread() -> Self {
        let thread = thread::current();
        let waker = Waker::from(Arc::new(UnparkThread(thread.clone())));
        Self { thread, waker }
    }

    /// Wakes this thread; for whatever else it waits for beside its endpoint. A call before it sleeps is not lost.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Sleeps until `endpoint` has something, the waker is called or `timeout` has passed; it may also return early.
    /// False when something was waiting already, so that it did not sleep.
    ///
    /// # Panics
    /// When called by another thread than the one that made this parker: that one would be woken instead.
    pub fn park<M: Send>(&self, endpoint: &mut Endpoint<M>, timeout: Duration) -> bool {
        assert_eq!(
            thread::current().id(),
            self.thread.id(),
            "a parker belongs to the thread that made it"
        );
        if endpoint.prepare_to_park(&self.waker) == Park::MessagesWaiting {
            return false;
        }
        thread::park_timeout(timeout);
        endpoint.unpark();
        true
    }
}

struct UnparkThread(Thread);

impl Wake for UnparkThread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
