//! The part of the shell that every driver shares: one core's engine, its links, its mailbox, and the turn.
//!
//! [`turn`] polls the engine and carries out what it asks; [`arriving`] shows it what was read; [`opening`] makes connections (accepted, handed over,
//! connected), [`greeting`] asks who they are and reads what comes before SMPP, [`placing`] moves them to the core of their account; [`closing`] ends them without losing the last answer; [`secured`] has TLS between driver and engine; [`inbox`] takes what other threads sent.
//!
//! Invariants:
//! - Every connection that the engine knows has exactly one link; `handle_closed` is called exactly once for a
//!   connection that `Action::Close` did not end, and nothing is called for it afterwards.
//! - Every request that came through the mesh for the shell itself is answered at once.
//!
//! It must never wait, read a socket or ask for the time: the driver does.

mod arriving;
mod closing;
mod greeting;
mod inbox;
mod opening;
mod placing;
mod secured;
mod turn;

use super::admission::Admission;
use super::driver::Driver;
use super::engine::Engine;
use super::event::EventSender;
use super::greeting::Stage;
use super::link::{LinkId, LinkTable, Phase};
use super::message::ShellMessage;
use super::message_log::MessageLogLane;
use super::passwords::PasswordClient;
use super::receipt_log::LogLane;
use super::report::ShellReport;
use super::resolve::ResolverClient;
use super::steering::Steering;
use super::tls::Registry;
use crate::core::contract::{ClosedBy, ConnectionId, CoreIndex, Unsent};
use crate::core::settings::Settings;
use crate::core::time::Moment;
use crate::store::StoreClient;
use arriving::LeftoverPool;
use bytes::BytesMut;
use closing::Deadlines;
pub(crate) use opening::{caller_user_timeout, client_user_timeout};
use secured::TlsDesk;

use smppmux_c2c::{Endpoint, Park};
use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// One core: its engine and all that the drivers share around it.
pub(crate) struct Station<E> {
    core: CoreIndex,
    engine: E,
    settings: Arc<Settings>,
    endpoint: Endpoint<ShellMessage>,
    /// Messages on their way from the mailbox to the engine; kept for its room.
    inbox: Vec<(CoreIndex, ShellMessage)>,
    links: LinkTable,
    deadlines: Deadlines,
    /// Links that only wait for the peer's FIN.
    lingering: usize,
    leftovers: LeftoverPool,
    steering: Steering,
    /// Limits of new connections, where there are any.
    admission: Option<Arc<Admission>>,
    /// Where anybody has TLS.
    tls: Option<TlsDesk>,
    /// Links that are being introduced ([`Phase::Greeting`]).
    greetings: usize,
    /// Links whose bind is awaited, or that it moves (the same phase).
    binds_awaited: usize,
    /// Those that go to another core when the turn ends.
    moving: Vec<LinkId>,
    resolver: ResolverClient,
    passwords: PasswordClient,
    /// Where the queue's messages are kept, if they are.
    store: Option<StoreClient>,
    events: EventSender,
    receipt_log: Option<LogLane>,
    message_log: Option<MessageLogLane>,
    report: ShellReport,
    lifecycle: Lifecycle,
    /// A link waits for what the driver has to write.
    awaits_transmitted: bool,
}

/// What a station is made of.
pub(crate) struct StationParts<E> {
    pub(crate) core: CoreIndex,
    pub(crate) engine: E,
    pub(crate) settings: Arc<Settings>,
    pub(crate) endpoint: Endpoint<ShellMessage>,
    pub(crate) steering: Steering,
    pub(crate) admission: Option<Arc<Admission>>,
    pub(crate) tls: Option<Arc<Registry>>,
    pub(crate) resolver: ResolverClient,
    pub(crate) passwords: PasswordClient,
    pub(crate) store: Option<StoreClient>,
    pub(crate) events: EventSender,
    pub(crate) receipt_log: Option<LogLane>,
    pub(crate) message_log: Option<MessageLogLane>,
}

/// What the control core has ordered last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    Running,
    /// No connection is accepted any more.
    Draining,
    /// Everything is being closed; at this moment what is left is cut off.
    Stopping(Moment),
}

impl<E: Engine> Station<E> {
    pub(crate) fn new(parts: StationParts<E>) -> Self {
        Self {
            core: parts.core,
            engine: parts.engine,
            settings: parts.settings,
            endpoint: parts.endpoint,
            inbox: Vec::new(),
            links: LinkTable::default(),
            deadlines: Deadlines::default(),
            lingering: 0,
            leftovers: LeftoverPool::default(),
            steering: parts.steering,
            admission: parts.admission,
            tls: parts.tls.map(TlsDesk::new),
            greetings: 0,
            binds_awaited: 0,
            moving: Vec::new(),
            resolver: parts.resolver,
            passwords: parts.passwords,
            store: parts.store,
            events: parts.events,
            receipt_log: parts.receipt_log,
            message_log: parts.message_log,
            report: ShellReport::default(),
            lifecycle: Lifecycle::Running,
            awaits_transmitted: false,
        }
    }

    /// False once connections are not wanted any more: the driver closes its listeners.
    pub(crate) fn wants_connections(&self) -> bool {
        self.lifecycle == Lifecycle::Running
    }

    /// Everything is over and the driver may end, after it released what [`abandon`](Self::abandon) names.
    pub(crate) fn is_finished(&self, now: Moment) -> bool {
        match self.lifecycle {
            Lifecycle::Stopping(until) => self.links.len() == 0 || now >= until,
            Lifecycle::Running | Lifecycle::Draining => false,
        }
    }

    /// Cuts off whatever is left.
    pub(crate) fn abandon(&mut self, driver: &mut impl Driver) {
        for id in self.links.ids() {
            self.release(driver, id);
        }
    }

    /// The peer closed its sending side.
    pub(crate) fn read_finished(&mut self, now: Moment, driver: &mut impl Driver, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if std::mem::replace(&mut link.read_finished, true) {
            return;
        }
        match &link.phase {
            Phase::Open(connection) => self.engine.handle_read_closed(now, *connection),
            Phase::Greeting(greeting) => match greeting.stage {
                Stage::Introducing => {
                    self.release(driver, id);
                }
                Stage::AwaitingBind => self.open_unplaced(now, id),
                // It is told where it goes.
                Stage::Moving(_) | Stage::Leaving(_) => {}
            },
            Phase::Lingering => {
                self.release(driver, id);
            }
            // Only TLS reads while it connects.
            Phase::Connecting(..) => self.handshake_failed(now, id, "the server has closed the connection"),
            Phase::Flushing => {}
        }
    }

    /// The kernel took all of a buffer that had to wait.
    pub(crate) fn transmitted(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        id: LinkId,
        buffer: BytesMut,
    ) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.transmitting = false;
        if link.tls.is_some() {
            return self.secured_transmitted(now, driver, id, buffer);
        }
        match link.phase {
            Phase::Open(connection) => self.engine.handle_transmitted(now, connection, buffer),
            Phase::Flushing => self.linger(now, driver, id),
            Phase::Lingering | Phase::Connecting(..) | Phase::Greeting(_) => {}
        }
    }

    /// The connection is lost. `unsent` is what the driver still held, unless the driver is to be asked for it.
    pub(crate) fn lost(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        id: LinkId,
        error: io::ErrorKind,
        unsent: Option<Unsent>,
    ) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.tls.is_some() {
            return self.secured_lost(now, driver, id, error, unsent.as_ref());
        }
        let connection = link.connection();
        let unsent = self.release(driver, id).or(unsent);
        if let Some(connection) = connection {
            self.engine
                .handle_closed(now, connection, ClosedBy::Error(error), unsent);
        }
    }

    /// Calls what is due: the engine's timeout and the links' own.
    pub(crate) fn handle_timeouts(&mut self, now: Moment, driver: &mut impl Driver) {
        if self.engine.next_timeout() <= now {
            self.engine.handle_timeout(now);
        }
        while let Some(id) = self.deadlines.pop_due(now) {
            self.link_timed_out(now, driver, id);
        }
    }

    /// When [`handle_timeouts`](Self::handle_timeouts) wants to be called.
    pub(crate) fn next_deadline(&self) -> Moment {
        let stop = match self.lifecycle {
            Lifecycle::Stopping(until) => until,
            Lifecycle::Running | Lifecycle::Draining => Moment::NEVER,
        };
        stop.min(self.engine.next_timeout()).min(self.deadlines.next())
    }

    /// Whether something waits for octets in the driver's hands to be written; told once.
    pub(crate) fn take_awaits_transmitted(&mut self) -> bool {
        std::mem::take(&mut self.awaits_transmitted) | self.engine.poll_awaits_transmitted()
    }

    /// Announces that the core is about to sleep; see [`Endpoint::prepare_to_park`].
    pub(crate) fn prepare_to_park(&mut self, waker: &Waker) -> Park {
        self.endpoint.prepare_to_park(waker)
    }

    /// The core is awake.
    pub(crate) fn unpark(&mut self) {
        self.endpoint.unpark();
    }

    /// Counts a turn that had something to do.
    pub(crate) fn count_turn_time(&mut self, time: Duration) {
        self.count_turn_times(time, 1);
    }

    /// Counts one such turn for so many.
    pub(crate) fn count_turn_times(&mut self, time: Duration, turns: u64) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.report.turn_times.record_times(nanoseconds, turns);
    }

    /// Counts an accept call that failed.
    pub(crate) fn count_accept_error(&mut self) {
        self.report.accept_errors += 1;
    }

    /// The link of one of the engine's connections, while it is alive.
    fn link_of(&self, connection: ConnectionId) -> Option<LinkId> {
        self.links.of_connection(connection)
    }
}
