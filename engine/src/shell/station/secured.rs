//! Links with TLS: between the driver, which moves secured octets, and the engine, which sees plain ones.
//!
//! What is received goes through the link's [`Session`]; the engine is shown what comes out, and hears of a connection when its
//! handshake is over. What the engine hands out is secured and written; its buffer goes back when all of that was written. A
//! connection that is lost in between has, as far as the engine is told, written all of it, unless nothing had left: octets that
//! may have reached the peer are never sent a second time.
//!
//! Handshakes are expensive, so a turn takes few of them; the others wait with what they have received. Without TLS in the
//! settings there is no [`TlsDesk`], and every way through here is one branch elsewhere.

use super::super::driver::{Driver, Transmission};
use super::super::engine::Engine;
use super::super::link::{LinkId, Phase};
use super::super::tls::{Progress, Registry, Session};
use super::Station;
use crate::core::contract::{ClosedBy, ConnectionId, Unsent};
use crate::core::settings::{ServerIndex, VserverIndex};
use crate::core::time::Moment;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Steps of handshakes that one turn takes: a signature may cost a millisecond.
const HANDSHAKE_STEPS_PER_TURN: usize = 4;
/// How often failed handshakes are logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// What a core with TLS remembers between turns.
#[derive(Debug)]
pub(super) struct TlsDesk {
    registry: Arc<Registry>,
    /// Links that may have something to write.
    unflushed: Vec<LinkId>,
    /// Links whose handshake waits for its turn.
    deferred: VecDeque<LinkId>,
    /// What needs the driver.
    later: Vec<(LinkId, Later)>,
    steps: usize,
    logged_at: Option<Moment>,
}

/// What is done with a link when the turn ends.
#[derive(Clone, Copy, Debug)]
enum Later {
    /// A server's handshake failed.
    GiveUp,
    /// The peer has said that nothing more comes.
    ReadFinished,
    /// The engine did not want to see anything while it was connecting.
    Pause,
}

impl TlsDesk {
    pub(super) const fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            unflushed: Vec::new(),
            deferred: VecDeque::new(),
            later: Vec::new(),
            steps: 0,
            logged_at: None,
        }
    }
}

impl<E: Engine> Station<E> {
    /// Our side of a connection that a client opened at a listener with TLS.
    pub(super) fn secure_accepted(&self, vserver: VserverIndex) -> Option<Box<Session>> {
        self.tls.as_ref()?.registry.accept(vserver).map(Box::new)
    }

    /// Our side of a connection to a server; `Ok(None)`: it has no TLS.
    pub(super) fn secure_connecting(
        &self,
        server: ServerIndex,
        transport: u64,
        address: &str,
    ) -> Result<Option<Box<Session>>, io::ErrorKind> {
        if transport == 0 {
            return Ok(None);
        }
        let desk = self.tls.as_ref();
        let session = desk.and_then(|desk| desk.registry.connect(server, transport, address));
        // Never without TLS where the engine asks for it.
        session
            .map(|session| Some(Box::new(session)))
            .ok_or(io::ErrorKind::InvalidInput)
    }

    /// Something may have to be written for this link.
    pub(super) fn mark_unflushed(&mut self, id: LinkId) {
        if let Some(desk) = &mut self.tls {
            desk.unflushed.push(id);
        }
    }

    /// Octets of a link with TLS.
    #[cold]
    pub(super) fn secured(&mut self, now: Moment, id: LinkId, octets: &[u8]) {
        let (Some(desk), Some(link)) = (&mut self.tls, self.links.get_mut(id)) else {
            return;
        };
        if !matches!(
            link.phase,
            Phase::Open(_) | Phase::Connecting(..) | Phase::Greeting(_)
        ) {
            return;
        }
        if link.read_finished && matches!(link.phase, Phase::Connecting(..)) {
            // It is being given up.
            return;
        }
        let Some(session) = &mut link.tls else { return };
        if session.is_handshaking() {
            if session.is_deferred() || desk.steps >= HANDSHAKE_STEPS_PER_TURN {
                if !session.is_deferred() {
                    desk.deferred.push_back(id);
                }
                if !session.defer(octets) {
                    self.handshake_failed(now, id, "too much before the handshake");
                }
                return;
            }
            desk.steps += 1;
        }
        let had_finished = session.peer_has_finished();
        let outcome = session.receive(octets);
        desk.unflushed.push(id);
        if session.peer_has_finished() && !had_finished {
            desk.later.push((id, Later::ReadFinished));
        }
        match outcome {
            Ok(Progress::Handshaking) => {}
            Ok(Progress::Established) => {
                self.handshake_ended(now, id);
                self.show_received(now, id);
            }
            Ok(Progress::Running) => self.show_received(now, id),
            Err(error) => self.handshake_failed(now, id, &error.to_string()),
        }
    }

    /// Shows the engine what it has not taken yet.
    pub(super) fn show_received(&mut self, now: Moment, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if matches!(link.phase, Phase::Greeting(_)) {
            return self.look_for_secured_bind(now, id);
        }
        let (Phase::Open(connection), false, Some(session)) = (&link.phase, link.paused, &mut link.tls)
        else {
            return;
        };
        let received = session.take_received();
        if received.is_empty() {
            return;
        }
        let outcome = self.engine.handle_bytes(now, *connection, &received);
        session.keep_received(received, outcome.consumed_octets);
    }

    fn handshake_ended(&mut self, now: Moment, id: LinkId) {
        self.report.handshakes += 1;
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        match &link.phase {
            Phase::Greeting(_) => self.introduced(now, id),
            Phase::Connecting(connection, _) => {
                let connection = *connection;
                link.phase = Phase::Open(connection);
                link.deadline = Moment::NEVER;
                if link.paused
                    && let Some(desk) = &mut self.tls
                {
                    desk.later.push((id, Later::Pause));
                }
                self.engine.handle_connected(now, connection);
            }
            Phase::Open(_) | Phase::Flushing | Phase::Lingering => {}
        }
    }

    /// Tells the engine what names the client's certificate has, if it has any. True: the link has TLS.
    pub(super) fn show_certificate(&mut self, now: Moment, id: LinkId, connection: ConnectionId) -> bool {
        let Some(session) = self.links.get_mut(id).and_then(|link| link.tls.as_ref()) else {
            return false;
        };
        let names = session.certificate_names();
        if !names.is_empty() {
            self.engine.handle_certificate(now, connection, names);
        }
        true
    }

    /// The peer broke the protocol, or is not who it should be.
    pub(super) fn handshake_failed(&mut self, now: Moment, id: LinkId, reason: &str) {
        self.report.handshakes_failed += 1;
        let (Some(desk), Some(link)) = (&mut self.tls, self.links.get_mut(id)) else {
            return;
        };
        match &link.phase {
            Phase::Greeting(greeting) => {
                let (vserver, peer) = (greeting.vserver, greeting.peer);
                if desk
                    .logged_at
                    .is_none_or(|logged_at| now.since(logged_at) >= LOG_INTERVAL)
                {
                    desk.logged_at = Some(now);
                    tracing::warn!(core = self.core.0, %peer, reason, "TLS with a client failed");
                }
                self.blame(now, vserver, peer.ip());
                self.cut_off(now, id);
            }
            Phase::Connecting(_, attempt) => {
                // No oftener than connections are tried.
                tracing::warn!(
                    core = self.core.0,
                    server = attempt.asked,
                    reason,
                    "TLS with a server failed"
                );
                desk.later.push((id, Later::GiveUp));
                // What else comes in this turn does not matter: it has failed once.
                link.read_finished = true;
            }
            Phase::Open(connection) => {
                let connection = *connection;
                link.phase = Phase::Flushing;
                link.deadline = now;
                let unsent = link.tls.as_mut().and_then(|session| session.take_outgoing());
                self.links.forget_connection(connection);
                self.deadlines.add(now, id);
                let by = ClosedBy::Error(io::ErrorKind::InvalidData);
                self.engine
                    .handle_closed(now, connection, by, unsent.map(all_written));
            }
            Phase::Flushing | Phase::Lingering => {}
        }
    }

    /// At the end of a turn: writes what handshakes have to say and takes up those that waited. True: some still wait.
    pub(super) fn settle_secured(&mut self, now: Moment, driver: &mut impl Driver) -> bool {
        let Some(desk) = &mut self.tls else {
            return false;
        };
        desk.steps = 0;
        for _ in 0..HANDSHAKE_STEPS_PER_TURN {
            let Some(id) = self.tls.as_mut().and_then(|desk| desk.deferred.pop_front()) else {
                break;
            };
            let session = self.links.get_mut(id).and_then(|link| link.tls.as_mut());
            let octets = session.map(|session| session.take_deferred()).unwrap_or_default();
            self.secured(now, id, &octets);
        }
        while let Some(id) = self.tls.as_mut().and_then(|desk| desk.unflushed.pop()) {
            self.flush_secured(now, driver, id);
        }
        while let Some((id, later)) = self.tls.as_mut().and_then(|desk| desk.later.pop()) {
            match later {
                Later::GiveUp => self.give_up_connecting(now, driver, id, io::ErrorKind::InvalidData),
                Later::ReadFinished => self.read_finished(now, driver, id),
                Later::Pause => {
                    let link = self.links.get_mut(id);
                    if link.is_some_and(|link| link.paused && matches!(link.phase, Phase::Open(_))) {
                        driver.pause_reading(id);
                    }
                }
            }
        }
        self.tls.as_ref().is_some_and(|desk| !desk.deferred.is_empty())
    }

    /// Writes what a link with TLS has to write; true when all of it is written.
    pub(super) fn flush_secured(&mut self, now: Moment, driver: &mut impl Driver, id: LinkId) -> bool {
        loop {
            let Some(link) = self.links.get_mut(id) else {
                return true;
            };
            let is_leaving = matches!(&link.phase, Phase::Greeting(greeting) if greeting.is_leaving());
            if link.transmitting || !link.in_driver || is_leaving {
                self.awaits_transmitted |= link.transmitting;
                return false;
            }
            let Some(session) = &mut link.tls else { return true };
            let connection = match link.phase {
                Phase::Open(connection) => Some(connection),
                _ => None,
            };
            if !session.wants_write() {
                if let (Some(buffer), Some(connection)) = (session.take_outgoing(), connection) {
                    self.engine.handle_transmitted(now, connection, buffer);
                }
                return true;
            }
            let octets = session.secured_octets(self.leftovers.take());
            match driver.transmit(id, octets) {
                Transmission::Complete(buffer) => self.leftovers.give_back(buffer),
                Transmission::Pending => {
                    link.transmitting = true;
                    // The end of a link, or its move, waits for this. What an open one has to write later says so itself.
                    self.awaits_transmitted |= connection.is_none();
                    return false;
                }
                Transmission::Lost(error, unsent) => {
                    self.secured_lost(now, driver, id, error, Some(&unsent));
                    return true;
                }
            }
        }
    }

    /// Secures and writes what the engine has handed out. `None`: the link has TLS and this was done.
    pub(super) fn transmit_secured(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        id: LinkId,
        octets: BytesMut,
    ) -> Option<BytesMut> {
        let session = self.links.get_mut(id).and_then(|link| link.tls.as_mut());
        let Some(session) = session else {
            return Some(octets);
        };
        match session.send(octets) {
            Ok(()) => {
                self.flush_secured(now, driver, id);
            }
            Err(octets) => {
                let unsent = Unsent {
                    octets,
                    written_octets: 0,
                };
                let connection = self.links.get_mut(id).and_then(|link| link.connection());
                self.release(driver, id);
                self.tell_lost(now, connection, io::ErrorKind::BrokenPipe, Some(unsent));
            }
        }
        None
    }

    /// A link with TLS is lost; `unsent` are the secured octets that the driver had, where it says so.
    pub(super) fn secured_lost(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        id: LinkId,
        error: io::ErrorKind,
        unsent: Option<&Unsent>,
    ) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let connection = link.connection();
        let outgoing = link.tls.as_mut().and_then(|session| session.take_outgoing());
        let released = self.release(driver, id);
        let nothing_left = released
            .as_ref()
            .or(unsent)
            .is_some_and(|unsent| unsent.written_octets == 0);
        let unsent = outgoing.map(|octets| {
            if nothing_left {
                Unsent {
                    octets,
                    written_octets: 0,
                }
            } else {
                all_written(octets)
            }
        });
        self.tell_lost(now, connection, error, unsent);
    }

    /// All secured octets that the driver had are written.
    pub(super) fn secured_transmitted(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        id: LinkId,
        buffer: BytesMut,
    ) {
        self.leftovers.give_back(buffer);
        let is_flushed = self.flush_secured(now, driver, id);
        let is_flushing = self
            .links
            .get_mut(id)
            .is_some_and(|link| matches!(link.phase, Phase::Flushing));
        if is_flushed && is_flushing {
            self.linger(now, driver, id);
        }
    }

    /// Before our FIN the peer of a link with TLS is told that nothing follows. True: all is written.
    pub(super) fn say_farewell(&mut self, now: Moment, driver: &mut impl Driver, id: LinkId) -> bool {
        match self.links.get_mut(id).and_then(|link| link.tls.as_mut()) {
            Some(session) => {
                session.say_farewell();
                self.flush_secured(now, driver, id)
            }
            None => true,
        }
    }

    fn tell_lost(
        &mut self,
        now: Moment,
        connection: Option<ConnectionId>,
        error: io::ErrorKind,
        unsent: Option<Unsent>,
    ) {
        if let Some(connection) = connection {
            self.engine
                .handle_closed(now, connection, ClosedBy::Error(error), unsent);
        }
    }
}

/// Octets that may have reached the peer.
fn all_written(octets: BytesMut) -> Unsent {
    Unsent {
        written_octets: octets.len(),
        octets,
    }
}
