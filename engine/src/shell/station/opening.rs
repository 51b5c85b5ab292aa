//! How connections begin: accepted here, handed over from another core, or opened by the engine's wish.

use super::super::driver::Driver;
use super::super::engine::Engine;
use super::super::greeting::Stage;
use super::super::link::{Attempt, Link, LinkId, Phase};
use super::super::message::{HandOver, ShellMessage};
use super::super::resolve::Resolved;
use super::super::sockets;
use super::super::steering::{Entrance, Listener};
use super::Station;
use crate::core::contract::{ClosedBy, ConnectionId};
use crate::core::settings::{ServerIndex, Settings, VserverIndex};
use crate::core::time::Moment;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A connection that the engine wants: [`Action::Connect`](crate::core::contract::Action::Connect).
pub(super) struct Wanted {
    pub(super) connection: ConnectionId,
    pub(super) server: ServerIndex,
    pub(super) transport: u64,
    pub(super) address: String,
    pub(super) local_address: Option<IpAddr>,
    pub(super) timeout: Duration,
}

impl<E: Engine> Station<E> {
    /// A listener of this core accepted a connection. It stays, or goes to the core that it belongs to.
    pub(crate) fn accepted(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        listener: &Listener,
        socket: OwnedFd,
        peer: SocketAddr,
    ) {
        self.report.accepted += 1;
        let asked = match listener.entrance {
            Entrance::Clients(vserver) => self.ask_at_the_door(now, vserver, peer),
            // Of servers the engine decides.
            Entrance::Server(_) => Ok(None),
        };
        let ticket = match asked {
            Ok(ticket) => ticket,
            Err(refusal) => return self.count_refusal(refusal),
        };
        let (owner, pin) = self.steering.choose(listener, &socket, peer);
        let hand_over = HandOver {
            socket,
            entrance: listener.entrance,
            peer,
            is_tls: listener.is_tls,
            pin,
            ticket,
            unread: None,
        };
        if owner == self.core {
            self.admit(now, driver, hand_over);
            return;
        }
        let message = ShellMessage::HandOver(hand_over);
        match self.endpoint.try_request(owner, message) {
            Ok(()) => self.report.handed_over += 1,
            Err(refused) => {
                // Served on the wrong core is better than not served.
                self.report.hand_overs_refused += 1;
                if let ShellMessage::HandOver(hand_over) = refused.message {
                    self.admit(now, driver, hand_over);
                }
            }
        }
    }

    /// Gives a connection to this core's engine; one that it does not want is closed.
    pub(super) fn admit(&mut self, now: Moment, driver: &mut impl Driver, hand_over: HandOver) {
        if !self.wants_connections() {
            self.report.not_admitted += 1;
            return;
        }
        if let Entrance::Clients(vserver) = hand_over.entrance {
            if hand_over.is_tls || self.has_greeting(vserver, hand_over.peer) {
                return self.await_greeting(now, driver, vserver, hand_over, Stage::Introducing);
            }
            if self.awaits_binds() {
                return self.await_greeting(now, driver, vserver, hand_over, Stage::AwaitingBind);
            }
        }
        let HandOver {
            socket,
            entrance,
            peer,
            ticket,
            ..
        } = hand_over;
        let taken = match entrance {
            Entrance::Clients(vserver) => self.engine.handle_accepted(now, vserver, peer),
            Entrance::Server(server) => self.engine.handle_called(now, server, peer),
        };
        let Some(connection) = taken else {
            self.report.not_admitted += 1;
            return;
        };
        let mut link = Link::new(Phase::Open(connection));
        link.in_driver = true;
        link.counts_as_flow = true;
        link.ticket = ticket;
        if let Some(id) = self.insert_open(now, connection, link) {
            self.steering.count_opened();
            driver.adopt(id, socket);
        }
    }

    /// Adds the link of a connection that the engine knows. `None`: there is no room, and the engine was told.
    pub(super) fn insert_open(
        &mut self,
        now: Moment,
        connection: ConnectionId,
        link: Link,
    ) -> Option<LinkId> {
        let id = self.links.insert(link);
        if id.is_none() {
            let by = ClosedBy::Error(io::ErrorKind::OutOfMemory);
            self.engine.handle_closed(now, connection, by, None);
        }
        id
    }

    /// Starts to open a connection for the engine.
    pub(super) fn connect(&mut self, now: Moment, driver: &mut impl Driver, wanted: Wanted) {
        let Wanted {
            connection,
            server,
            transport,
            address,
            local_address,
            timeout,
        } = wanted;
        let attempt = Attempt {
            addresses: VecDeque::new(),
            local_address,
            user_timeout: self.server_user_timeout(&address),
            asked: address.as_str().into(),
            last_error: io::ErrorKind::NotFound,
        };
        let tls = match self.secure_connecting(server, transport, &address) {
            Ok(tls) => tls,
            Err(error) => {
                let by = ClosedBy::ConnectFailed(error);
                return self.engine.handle_closed(now, connection, by, None);
            }
        };
        let mut link = Link::new(Phase::Connecting(connection, Box::new(attempt)));
        link.tls = tls;
        link.deadline = now + timeout;
        let Some(id) = self.links.insert(link) else {
            let by = ClosedBy::ConnectFailed(io::ErrorKind::OutOfMemory);
            self.engine.handle_closed(now, connection, by, None);
            return;
        };
        self.deadlines.add(now + timeout, id);
        match self.resolver.resolve(id, &address) {
            Ok(None) => {}
            Ok(Some(address)) => self.try_addresses(now, driver, id, [address]),
            Err(error) => self.give_up_connecting(now, driver, id, error.kind()),
        }
    }

    /// A name was resolved.
    pub(super) fn resolved(&mut self, now: Moment, driver: &mut impl Driver, resolved: Resolved) {
        match resolved.addresses {
            Ok(addresses) => self.try_addresses(now, driver, resolved.link, addresses),
            Err(error) => self.give_up_connecting(now, driver, resolved.link, error.kind()),
        }
    }

    /// The socket that [`Driver::await_connected`] was given is connected.
    pub(crate) fn connected(&mut self, now: Moment, driver: &mut impl Driver, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let Phase::Connecting(connection, _) = link.phase else {
            return;
        };
        if link.tls.is_some() {
            // It is open when the handshake is over; until then its deadline stays.
            return self.mark_unflushed(id);
        }
        link.phase = Phase::Open(connection);
        link.deadline = Moment::NEVER;
        let paused = link.paused;
        self.engine.handle_connected(now, connection);
        if paused {
            driver.pause_reading(id);
        }
    }

    /// The socket that [`Driver::await_connected`] was given could not be connected; the driver has dropped it.
    pub(crate) fn connect_failed(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        id: LinkId,
        error: io::ErrorKind,
    ) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.in_driver = false;
        if let Phase::Connecting(_, attempt) = &mut link.phase {
            attempt.last_error = error;
            self.try_addresses(now, driver, id, []);
        }
    }

    /// Adds addresses to those that are left and starts with the first that the kernel does not refuse at once.
    fn try_addresses(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        id: LinkId,
        more: impl IntoIterator<Item = SocketAddr>,
    ) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let Phase::Connecting(_, attempt) = &mut link.phase else {
            return;
        };
        attempt.addresses.extend(more);
        while let Some(address) = attempt.addresses.pop_front() {
            let same_family = |local: IpAddr| local.is_ipv4() == address.is_ipv4();
            if !attempt.local_address.is_none_or(same_family) {
                attempt.last_error = io::ErrorKind::AddrNotAvailable;
                continue;
            }
            match sockets::start_connecting(address, attempt.local_address, attempt.user_timeout) {
                Ok(socket) => {
                    link.in_driver = true;
                    driver.await_connected(id, socket);
                    return;
                }
                Err(error) => attempt.last_error = error.kind(),
            }
        }
        let error = attempt.last_error;
        self.give_up_connecting(now, driver, id, error);
    }

    pub(super) fn give_up_connecting(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        id: LinkId,
        error: io::ErrorKind,
    ) {
        let connection = self.links.get_mut(id).and_then(|link| link.connection());
        self.release(driver, id);
        if let Some(connection) = connection {
            let by = ClosedBy::ConnectFailed(error);
            self.engine.handle_closed(now, connection, by, None);
        }
    }

    /// How long a server may leave our octets unacknowledged: as long as it may leave enquire_links unanswered.
    fn server_user_timeout(&self, address: &str) -> Option<Duration> {
        let server = self.settings.servers.iter().find(|server| {
            let mut addresses = server
                .addresses
                .iter()
                .chain(&server.transmitter_address)
                .chain(&server.receiver_address);
            addresses.any(|candidate| candidate == address)
        })?;
        user_timeout(server.enquire_link_interval, server.enquire_link_misses)
    }
}

/// TCP_USER_TIMEOUT for connections that clients open at this vserver.
pub(crate) fn client_user_timeout(settings: &Settings, vserver: VserverIndex) -> Option<Duration> {
    let vserver = settings.vservers.get(usize::from(vserver.0))?;
    user_timeout(vserver.enquire_link_interval, vserver.enquire_link_misses)
}

/// TCP_USER_TIMEOUT for connections that this server opens.
pub(crate) fn caller_user_timeout(settings: &Settings, server: ServerIndex) -> Option<Duration> {
    let server = settings.servers.get(usize::from(server.0))?;
    user_timeout(server.enquire_link_interval, server.enquire_link_misses)
}

/// Interval × misses; `None` (the kernel's own rule) where no enquire_link is sent.
fn user_timeout(interval: Duration, misses: u32) -> Option<Duration> {
    let timeout = interval.checked_mul(misses.max(1))?;
    (!timeout.is_zero()).then_some(timeout)
}
