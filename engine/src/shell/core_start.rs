//! What one core's thread is started with, and what every driver's thread begins and ends with.

use super::accepting::Acceptor;
use super::admission::Admission;
use super::clock::Clock;
use super::engine::Engine;
use super::event::{Event, EventSender};
use super::io_driver::ChosenDriver;
use super::message::ShellMessage;
use super::passwords::PasswordVerifier;
use super::receipt_log::ReceiptLog;
use super::resolve::Resolver;
use super::settings::ShellSettings;
use super::start_error::StartError;
use super::station::{Station, StationParts};
use super::steering::{Listener, Steering};
use super::tls::Registry;
use super::{epoll_driver, glommio_driver, ring_driver};
use crate::core::contract::CoreIndex;
use crate::core::settings::Settings;
use crate::store::{StoreControl, StoreThread};
use smppmux_c2c::Endpoint;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::Waker;
use std::thread::{self, JoinHandle};

/// What one core is started with.
pub(super) struct CoreStart {
    pub(super) core: CoreIndex,
    pub(super) cpu: usize,
    pub(super) clock: Clock,
    pub(super) shell_settings: Arc<ShellSettings>,
    pub(super) settings: Arc<Settings>,
    pub(super) endpoint: Endpoint<ShellMessage>,
    pub(super) steering: Steering,
    pub(super) admission: Option<Arc<Admission>>,
    pub(super) tls: Option<Arc<Registry>>,
    pub(super) listeners: Vec<Listener>,
    pub(super) resolver: Resolver,
    pub(super) passwords: PasswordVerifier,
    pub(super) store: Option<StoreControl>,
    pub(super) events: EventSender,
}

/// The parts of a core that do not depend on its driver.
pub(super) struct CoreParts<E> {
    pub(super) clock: Clock,
    pub(super) station: Station<E>,
    pub(super) acceptors: Vec<Acceptor>,
    pub(super) shell_settings: Arc<ShellSettings>,
    /// The longest part of a PDU that the engine may leave unread.
    pub(super) leftover_octets_max: usize,
}

/// Gets exactly one word: that the core runs, or why not.
pub(super) type Started = SyncSender<Result<(), StartError>>;

/// Starts a core's thread.
pub(super) fn spawn<E: Engine>(
    driver: ChosenDriver,
    start: CoreStart,
    make_engine: impl FnOnce(CoreIndex) -> E + Send + 'static,
    started: Started,
) -> Result<JoinHandle<()>, StartError> {
    let cpu = start.cpu;
    thread::Builder::new()
        .name(format!("engine-{}", start.core.0))
        .spawn(move || match driver {
            ChosenDriver::Glommio => glommio_driver::run_thread(start, make_engine, &started),
            ChosenDriver::Ring(features) => match ring_driver::open(features, &start) {
                Ok(ring) => ring_driver::run_thread(ring, start, make_engine, &started),
                // The starter waits for this word; if it has gone, nobody needs it.
                Err(error) => drop(started.send(Err(error))),
            },
            ChosenDriver::Epoll => epoll_driver::run_thread(start, make_engine, &started),
        })
        .map_err(|error| StartError::CannotPin {
            cpu,
            reason: error.to_string(),
        })
}

impl CoreStart {
    /// Pins the calling thread, for drivers that do not do so themselves.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn pin_thread(&self) -> Result<(), StartError> {
        if core_affinity::set_for_current(core_affinity::CoreId { id: self.cpu }) {
            return Ok(());
        }
        Err(StartError::CannotPin {
            cpu: self.cpu,
            reason: "the system refused".to_owned(),
        })
    }

    /// To be kept until the thread ends.
    pub(super) fn farewell(&self) -> Farewell {
        Farewell {
            core: self.core,
            events: self.events.clone(),
            orderly: false,
        }
    }

    /// Puts the station together. `waker` wakes this core's thread, from any thread.
    pub(super) fn into_parts<E: Engine>(self, engine: E, waker: Waker) -> CoreParts<E> {
        let leftover_octets_max = self.settings.engine.max_pdu_octets as usize;
        let station = Station::new(StationParts {
            core: self.core,
            engine,
            settings: self.settings,
            endpoint: self.endpoint,
            steering: self.steering,
            admission: self.admission,
            tls: self.tls,
            resolver: self.resolver.client(waker.clone()),
            passwords: self.passwords.client(waker.clone()),
            store: self
                .store
                .map(|store| StoreThread::client(&store, self.core, waker)),
            events: self.events,
            receipt_log: self.shell_settings.receipt_log.as_ref().map(ReceiptLog::lane),
            message_log: self
                .shell_settings
                .message_log
                .as_ref()
                .map(|log| log.lane(self.core)),
        });
        CoreParts {
            clock: self.clock,
            station,
            acceptors: self.listeners.into_iter().map(Acceptor::new).collect(),
            shell_settings: self.shell_settings,
            leftover_octets_max,
        }
    }
}

/// Tells the control core that this thread is over, also when a panic ends it.
pub(super) struct Farewell {
    core: CoreIndex,
    events: EventSender,
    orderly: bool,
}

impl Farewell {
    /// The thread ends as it should.
    pub(super) fn say(mut self) {
        self.orderly = true;
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.events.tell(Event::Stopped {
            core: self.core,
            orderly: self.orderly,
        });
    }
}
