//! The mailboxes between two threads: what it takes until another core has got a batch of messages and answered it.
//!
//! Both sleep when there is nothing, so waking is in it. Whether they share a CPU or not is the system's affair.

use super::mailboxes::{ORIGIN, answer_all, collect, letters, request_all, two_ends};
use crate::way::{BATCH_MESSAGES, Way};
use bytes::BytesMut;
use smppmux_c2c::{Endpoint, ThreadParker};
use smppmux_engine::core::core_message::CoreMessage;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long either sleeps at most: longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct BetweenThreads {
    /// Taken when it is over: that ends the owner's thread.
    origin: Option<Endpoint<CoreMessage>>,
    owner: Option<JoinHandle<()>>,
    letters: Vec<BytesMut>,
    /// Of the thread that made this, which has to run it as well.
    parker: ThreadParker,
}

impl BetweenThreads {
    pub(super) fn new() -> Self {
        let [origin, owner] = two_ends();
        Self {
            origin: Some(origin),
            owner: Some(thread::spawn(move || be_owner(owner))),
            letters: letters(),
            parker: ThreadParker::for_current_thread(),
        }
    }
}

fn be_owner(mut owner: Endpoint<CoreMessage>) {
    let parker = ThreadParker::for_current_thread();
    let mut asked = Vec::with_capacity(BATCH_MESSAGES as usize);
    while owner.poll_departed() != Some(ORIGIN) {
        if answer_all(&mut owner, &mut asked) == 0 {
            parker.park(&mut owner, PATIENCE);
        }
    }
}

impl Way for BetweenThreads {
    fn run(&mut self) {
        let Some(origin) = &mut self.origin else { return };
        request_all(origin, &mut self.letters);
        loop {
            collect(origin, &mut self.letters);
            if self.letters.len() == BATCH_MESSAGES as usize {
                return;
            }
            self.parker.park(origin, PATIENCE);
        }
    }
}

impl Drop for BetweenThreads {
    fn drop(&mut self) {
        drop(self.origin.take());
        if let Some(owner) = self.owner.take() {
            owner.join().expect("it only answers");
        }
    }
}
