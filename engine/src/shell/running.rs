//! The handle of the running engines, for the control core: orders, figures, events, the end.
//!
//! Everything goes by message; no call makes an engine wait.

use super::event::{Event, EventReceiver, EventWaker};
use super::message::ShellMessage;
use super::report::CoreReport;
use super::tls::{LoadedTls, Registry, TlsError, TlsSettings};
use crate::core::contract::{Command, CoreIndex};
use crate::core::report::Wanted;
use crate::core::settings::VserverIndex;
use crate::store::{StoreControl, StoreThread};
use smppmux_c2c::{Endpoint, ThreadParker};
use smppmux_flow_distributor::IndirectionTable;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The running engines. Dropping it stops them, without waiting for that.
#[derive(Debug)]
pub struct RunningEngines {
    control: Mutex<ControlPort>,
    events: Mutex<EventReceiver>,
    threads: Vec<JoinHandle<()>>,
    listening: Vec<Listening>,
    /// Ends behind the engines, when everything that they ordered is safe.
    store: Option<StoreThread>,
    tls: Option<Arc<Registry>>,
}

/// Where a vserver listens, on all cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Which vserver.
    pub vserver: VserverIndex,
    /// The address; a port that was configured as 0 is the one that was found.
    pub address: SocketAddr,
    /// Whether clients speak TLS there.
    pub is_tls: bool,
}

/// The engine cannot be reached: it has stopped, or it did not take the orders before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineUnreachable {
    /// Which engine.
    pub core: CoreIndex,
}

/// A fault in smppmux ended engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnginesFailed {
    /// How many engines.
    pub engines: usize,
}

struct ControlPort {
    endpoint: Endpoint<ShellMessage>,
    last_token: u32,
}

impl RunningEngines {
    pub(super) fn new(
        endpoint: Endpoint<ShellMessage>,
        events: EventReceiver,
        threads: Vec<JoinHandle<()>>,
        listening: Vec<Listening>,
        store: Option<StoreThread>,
        tls: Option<Arc<Registry>>,
    ) -> Self {
        Self {
            control: Mutex::new(ControlPort {
                endpoint,
                last_token: 0,
            }),
            events: Mutex::new(events),
            threads,
            listening,
            store,
            tls,
        }
    }

    /// How many engines there are.
    pub fn cores(&self) -> u16 {
        u16::try_from(self.threads.len()).unwrap_or(u16::MAX)
    }

    /// Where the vservers listen, in configured order.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// The operator's handle of the queue's store; `None` when nothing is queued.
    pub fn store(&self) -> Option<StoreControl> {
        self.store.as_ref().map(StoreThread::control)
    }

    /// Gives an order to one engine.
    ///
    /// # Errors
    /// When the engine has stopped, or is so stuck that it left 64 orders unread.
    pub fn command(&self, core: CoreIndex, command: Command) -> Result<(), EngineUnreachable> {
        self.request(core, ShellMessage::Command(command))
    }

    /// Has one engine spread new connections by this table, unless it has a newer one.
    ///
    /// # Errors
    /// As for [`command`](Self::command).
    pub fn use_table(&self, core: CoreIndex, table: Arc<IndirectionTable>) -> Result<(), EngineUnreachable> {
        self.request(core, ShellMessage::Table(table))
    }

    fn request(&self, core: CoreIndex, message: ShellMessage) -> Result<(), EngineUnreachable> {
        let mut control = lock(&self.control);
        // Answers to earlier orders bring their credits back.
        control.take_reports(0, &mut Vec::new());
        let sent = control.endpoint.try_request(core, message);
        control.endpoint.ring_bells();
        sent.map_err(|_| EngineUnreachable { core })
    }

    /// Gives an order to every engine; those that have stopped need none.
    pub fn command_all(&self, command: &Command) {
        for core in (0..self.cores()).map(CoreIndex) {
            let _ = self.command(core, command.clone());
        }
    }

    /// Every engine's figures, in the order of the cores. An engine that has stopped, or does not answer within
    /// `timeout`, is missing.
    pub fn report(&self, timeout: Duration) -> Vec<CoreReport> {
        self.detailed_report(timeout, Wanted::default())
    }

    /// The same, with as many details as are wanted.
    pub fn detailed_report(&self, timeout: Duration, wanted: Wanted) -> Vec<CoreReport> {
        let deadline = Instant::now() + timeout;
        let mut control = lock(&self.control);
        control.last_token = control.last_token.wrapping_add(1);
        let token = control.last_token;
        let mut reports = Vec::with_capacity(self.threads.len());
        control.take_reports(token, &mut reports);
        let asked = (0..self.cores())
            .filter(|core| {
                let request = ShellMessage::ReportRequest(token, wanted);
                control.endpoint.try_request(CoreIndex(*core), request).is_ok()
            })
            .count();
        control.endpoint.ring_bells();
        let parker = ThreadParker::for_current_thread();
        while reports.len() < asked {
            let wait = deadline.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
            let gone = control.take_reports(token, &mut reports);
            if gone {
                break;
            }
            if reports.len() < asked {
                parker.park(&mut control.endpoint, wait);
            }
        }
        reports.sort_by_key(|report| report.engine.core);
        reports
    }

    /// The next event, if one comes within `timeout`.
    pub fn next_event(&self, timeout: Duration) -> Option<Event> {
        lock(&self.events).next(timeout)
    }

    /// Reads all certificates and keys anew, for [`use_tls`](Self::use_tls); `None`: there is no TLS and was none.
    ///
    /// # Errors
    /// When a file cannot be used, a certificate that is not in use yet has run out, or there was no TLS at the start.
    pub fn read_tls(&self, settings: &TlsSettings) -> Result<Option<LoadedTls>, TlsError> {
        match &self.tls {
            Some(tls) => tls.read(settings).map(Some),
            None if settings.is_used() => Err(TlsError {
                file: None,
                reason: "there was no TLS at the start, which needs a restart".to_owned(),
            }),
            None => Ok(None),
        }
    }

    /// Connections that begin from now on get these certificates and keys.
    pub fn use_tls(&self, loaded: LoadedTls) {
        if let Some(tls) = &self.tls {
            tls.use_loaded(loaded);
        }
    }

    /// Ends a wait in [`next_event`](Self::next_event), from any thread.
    ///
    /// Call it before that thread waits: the lock is held while it does.
    pub fn waker(&self) -> EventWaker {
        lock(&self.events).waker()
    }

    /// Stops what runs and waits for that: a start went wrong half-way.
    pub(super) fn stop_and_wait(self) {
        drop(self.control);
        for thread in self.threads {
            // The start's own error is told; what else ended a thread matters no more.
            drop(thread.join());
        }
    }

    /// Waits until every engine has stopped. Give [`Command::Stop`] first, unless waiting for ever is wanted.
    ///
    /// # Errors
    /// When a fault in smppmux ended an engine.
    pub fn join(self) -> Result<(), EnginesFailed> {
        let failed = self
            .threads
            .into_iter()
            .map(JoinHandle::join)
            .filter(Result::is_err)
            .count();
        match failed {
            0 => Ok(()),
            engines => Err(EnginesFailed { engines }),
        }
    }
}

impl ControlPort {
    /// Takes what has come; reports of other questions than `token` are too late. True: an engine has stopped, so an
    /// answer may never come.
    fn take_reports(&mut self, token: u32, reports: &mut Vec<CoreReport>) -> bool {
        self.endpoint
            .drain(usize::MAX, |_from, _lane, message| match message {
                ShellMessage::Report(of, report) if of == token => reports.push(*report),
                _ => {}
            });
        let mut gone = false;
        while self.endpoint.poll_departed().is_some() {
            gone = true;
        }
        gone
    }
}

impl fmt::Debug for ControlPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ControlPort")
    }
}

impl fmt::Display for EngineUnreachable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "engine {} takes no orders", self.core.0)
    }
}

impl Error for EngineUnreachable {}

impl fmt::Display for EnginesFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} engine(s) ended by a fault in smppmux",
            self.engines
        )
    }
}

impl Error for EnginesFailed {}

/// A panic in another thread of the control side leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
