//! The store's thread: gathers what all engines want, commits it once, answers.
//!
//! It ends when it is told to, after everything that came before; what engines hear of it are events on a channel of their
//! own and one call of their waker for each batch.

use super::StoreSettings;
use super::backend::{OpenBackend, StoreOpenError};
use super::book::Claimants;
use super::control::{ControlRequest, StoreControl};
use super::durable::DurableBackend;
use super::memory::MemoryBackend;
use super::worker::Worker;
use crate::core::contract::CoreIndex;
use crate::core::settings::Settings;
use crate::core::store_message::{StoreCommand, StoreEvent};
use std::hash::{BuildHasher as _, RandomState};
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Waker;
use std::thread::{Builder, JoinHandle};

/// What the thread is sent.
#[derive(Debug)]
pub(super) enum Message {
    /// An engine takes its seat.
    Seat(CoreIndex, Seat),
    /// An engine's orders.
    Commands(CoreIndex, Vec<StoreCommand>),
    Control(ControlRequest),
    /// What the engines will go on with: names and ranges of accounts.
    Settings(Arc<Settings>),
    /// End when all that came before is done.
    Stop,
}

/// How an engine hears of the store.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) events: Sender<Vec<StoreEvent>>,
    pub(super) waker: Waker,
}

/// The running thread. Dropping it waits until everything that was ordered before is safe.
#[derive(Debug)]
pub struct StoreThread {
    messages: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

/// One engine's access. The channels are bounded by what the engine has under way: appends, loads, loaded messages.
#[derive(Debug)]
pub struct StoreClient {
    core: CoreIndex,
    messages: Sender<Message>,
    events: Receiver<Vec<StoreEvent>>,
    outgoing: Vec<StoreCommand>,
}

impl StoreThread {
    /// Opens the backend, which may take a while for a large file, and starts the thread. `settings` name the vservers and accounts
    /// whose messages are kept.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, is in use by another process or is not a queue, or when the system gives no thread.
    pub fn start(store: StoreSettings, settings: Arc<Settings>) -> Result<Self, StoreOpenError> {
        let open: OpenBackend = match store.path.clone() {
            Some(path) => Box::new(move || Ok(Box::new(DurableBackend::open(&path)?))),
            None => Box::new(|| Ok(Box::<MemoryBackend>::default())),
        };
        Self::start_over(open, store, settings)
    }

    /// Over any backend.
    pub(super) fn start_over(
        open: OpenBackend,
        store: StoreSettings,
        settings: Arc<Settings>,
    ) -> Result<Self, StoreOpenError> {
        let seed = RandomState::new().hash_one(0);
        let claimants = Claimants::new(&store, &settings, seed);
        let (messages, received) = channel();
        let worker = Worker::open(open, store, settings, claimants, received)?;
        let thread = Builder::new()
            .name("store".to_owned())
            .spawn(move || worker.run())
            .map_err(StoreOpenError::NoThread)?;
        Ok(Self {
            messages,
            thread: Some(thread),
        })
    }

    /// The access of one engine; `waker` is called when there are events. `messages` is the operator's handle of the same store.
    pub fn client(messages: &StoreControl, core: CoreIndex, waker: Waker) -> StoreClient {
        let messages = messages.messages();
        let (sender, events) = channel();
        let seat = Seat {
            events: sender,
            waker,
        };
        // A thread that has ended takes no orders either, which the client finds out by itself.
        let _ = messages.send(Message::Seat(core, seat));
        StoreClient {
            core,
            messages,
            events,
            outgoing: Vec::new(),
        }
    }

    /// The operator's handle, which may outlive the thread and then reaches nothing.
    pub fn control(&self) -> StoreControl {
        StoreControl::new(self.messages.clone())
    }
}

/// Waits until everything that was ordered is safe.
impl Drop for StoreThread {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there was told by the thread itself.
            let _ = thread.join();
        }
    }
}

impl StoreClient {
    /// Gathers an order; [`send`](Self::send) sends it. There is no limit here: whoever orders keeps one.
    pub fn order(&mut self, command: StoreCommand) {
        self.outgoing.push(command);
    }

    /// Sends what was gathered, in its order. Once the thread has ended nothing becomes of it, and no event tells so.
    pub fn send(&mut self) {
        if !self.outgoing.is_empty() {
            let commands = mem::take(&mut self.outgoing);
            // Nothing is acknowledged when the thread is gone: its engines wait for the word that does not come.
            let _ = self.messages.send(Message::Commands(self.core, commands));
        }
    }

    /// The next events, in the order of the orders that they answer; `None` when there are none yet. Never waits.
    pub fn poll(&self) -> Option<Vec<StoreEvent>> {
        self.events.try_recv().ok()
    }
}
