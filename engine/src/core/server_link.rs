//! Sessions towards the servers: connecting, binding, coming back after a loss, and who of the cores does it.
//!
//! One core binds first and the others follow its success, so that a wrong password is tried once and not by every core.
//! With `connections-total` a rotation of the cores decides who holds the sessions; a core that tries in vain says so and
//! the next one takes its place. Must never reconnect faster than the configured pauses, or more often after a refused
//! system_id or password than `auth-retry`.

use super::contract::{Action, CloseReason, ConnectionId, CoreIndex, Notice};
use super::directory::DirectoryKey;
use super::engine::PacketEngine;
use super::figures::Rule;
use super::reconfigure::Kept;
use super::routing::is_curbed;
use super::sequence::{Origin, Pending, Window};
use super::session::{BindKind, ServerSide, Session, SessionState, Side};
use super::settings::{Auth, Connections, ServerBind, ServerIndex, ServerSettings};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{Bind, BindRespView, Header, Status, Version, write_pdu};
use std::sync::Arc;
use std::time::Duration;

/// Failures in a row after which a core leaves its place to another (`connections-total`).
const FAILURES_BEFORE_GIVING_UP: u32 = 3;

impl PacketEngine {
    /// Opens what is missing at every server.
    pub(super) fn connect_all_servers(&mut self, now: Moment) {
        for server in 0..self.servers.len() {
            // At most 1,296 servers have distinct uids.
            self.connect_server(now, ServerIndex(u16::try_from(server).unwrap_or(u16::MAX)));
        }
    }

    /// Opens the sessions that this core should hold at a server and does not: looked at whenever some have come or gone, on any core.
    pub(super) fn connect_server(&mut self, now: Moment, index: ServerIndex) {
        self.presence_changed(now, index);
        let settings = Arc::clone(&self.settings);
        let configured = &settings.servers[usize::from(index.0)];
        let wanted = self.wanted_connections(index, configured);
        if wanted == 0 || self.drain.is_some() {
            return;
        }
        let server = &mut self.servers[usize::from(index.0)];
        if server.reconnect.not_before > now {
            let at = server.reconnect.not_before;
            return self.timers.arm(&mut server.armed_at, at, TimerKey::Server(index));
        }
        // Until one session is bound there is no point in opening the others.
        let wanted = if has_bound(self, index) { wanted } else { 1 };
        for kind in kinds(configured.bind) {
            let sessions = &self.servers[usize::from(index.0)].sessions;
            let existing = sessions
                .iter()
                .filter(|id| self.is_shared_session(**id, *kind))
                .count();
            for _ in existing..wanted as usize {
                if self.open_server_session(now, index, *kind, None).is_none() {
                    // The session table is full for now.
                    let server = &mut self.servers[usize::from(index.0)];
                    let at = now + configured.reconnect_min;
                    return self.timers.arm(&mut server.armed_at, at, TimerKey::Server(index));
                }
            }
        }
    }

    /// Asks the shell for a connection to a server.
    pub(super) fn open_server_session(
        &mut self,
        now: Moment,
        index: ServerIndex,
        bind: BindKind,
        identity: Option<u32>,
    ) -> Option<ConnectionId> {
        if self.sessions.len() >= self.settings.engine.sessions_max as usize {
            return None;
        }
        self.cut_off_ending(index);
        let configured = &self.settings.servers[usize::from(index.0)];
        let server = &mut self.servers[usize::from(index.0)];
        let address = match bind {
            BindKind::Transmitter if configured.transmitter_address.is_some() => {
                configured.transmitter_address.clone()
            }
            BindKind::Receiver if configured.receiver_address.is_some() => {
                configured.receiver_address.clone()
            }
            _ => configured
                .addresses
                .get(server.reconnect.next_address % configured.addresses.len().max(1))
                .cloned(),
        }?;
        let side = Side::Server(ServerSide {
            server: index,
            bind,
            identity,
            caller: None,
            is_counted: false,
            is_leaving: false,
            unanswered: 0,
            unbind_sequence_number: None,
        });
        let window = Window::new(configured.window, self.settings.engine.first_sequence_number);
        let timeout = configured.response_timeout;
        let mut session = Session::new(side, SessionState::Connecting, window, now, now + timeout);
        session.version = Version::from_interface_version(configured.interface_version);
        session.is_curbed = is_curbed(&self.settings, &self.vservers, &session.side);
        session.is_traced = self.traces.includes(&session.side);
        if server.retains && bind.transmits() {
            session.output.retain_requests(configured.window_octets);
        }
        let id = self.sessions.insert(session);
        server.sessions.push(id);
        if let Some(session) = self.sessions.get_mut(id) {
            self.timers
                .arm(&mut session.armed_at, now + timeout, TimerKey::Session(id));
        }
        let (local_address, transport) = (configured.local_address, configured.transport);
        self.outbox.actions.push_back(Action::Connect {
            connection: id,
            server: index,
            transport,
            address,
            local_address,
            timeout,
        });
        Some(id)
    }

    /// The connection is open: bind.
    pub(super) fn server_connected(&mut self, now: Moment, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(side) = session.server().copied() else {
            return;
        };
        if session.state != SessionState::Connecting {
            return;
        }
        session.received_at = now;
        self.bind_at_server(now, id, side);
    }

    /// Binds on a connection that is open.
    pub(super) fn bind_at_server(&mut self, now: Moment, id: ConnectionId, side: ServerSide) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let configured = &self.settings.servers[usize::from(side.server.0)];
        session.state = SessionState::Binding;
        session.state_deadline = now + configured.response_timeout;
        if let Some(identity) = side.identity {
            return self.send_identity_bind(now, id, identity);
        }
        let bind = Bind {
            system_id: configured.system_id.as_bytes(),
            password: configured.password.reveal(),
            system_type: configured.system_type.as_bytes(),
            version: Version::from_interface_version(configured.interface_version),
            addr_ton: configured.addr_ton,
            addr_npi: configured.addr_npi,
            address_range: configured.address_range.as_bytes(),
        };
        let Some(number) = session.window.reserve(own_bind(now, side.bind)) else {
            return;
        };
        // The configuration has been checked to fit the fields.
        let written = write_pdu(
            session.output.open(&mut self.buffers),
            side.bind.command(),
            Status::ESME_ROK,
            number,
            &bind,
        );
        match written {
            Ok(_) => super::relay::list_writable(&mut self.outbox, id, session),
            Err(_) => self.end_session(now, id, CloseReason::BindRefused(Status::ESME_RINVSYSID)),
        }
    }

    /// A server's answer to a bind.
    pub(super) fn bind_answer(&mut self, now: Moment, id: ConnectionId, header: Header, pdu: &[u8]) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(side) = session.server().copied() else {
            return;
        };
        let is_answer =
            session.state == SessionState::Binding && header.command_id == side.bind.command().response();
        let request = is_answer
            .then(|| session.window.take(header.sequence_number))
            .flatten();
        let Some(request) = request else {
            self.counters.unmatched_answers += 1;
            return self.count_fault(now, id, Rule::UnmatchedAnswer);
        };
        if !header.command_status.is_ok() {
            return self.bind_refused(now, id, side, header.command_status);
        }
        // Without the TLV the server promises nothing; in practice it speaks what we asked for (WIRE 9.2).
        let theirs = BindRespView::parse(pdu)
            .ok()
            .and_then(|view| view.sc_interface_version());
        session.version = theirs.map_or(session.version, |octet| {
            Version::from_interface_version(octet).min(session.version)
        });
        session.state = SessionState::Bound(side.bind);
        session.state_deadline = Moment::NEVER;
        let (version, limit) = (session.version, session.window.limit());
        self.hear_server(now, side.server, version, &header, pdu, request.sent_at);
        if let Some(identity) = side.identity {
            self.arm_enquire_link(now, id);
            return self.identity_bound(now, id, identity, pdu);
        }
        if let Some(caller) = side.caller {
            return self.call_bound(now, id, side.server, caller.peer);
        }
        let server = &mut self.servers[usize::from(side.server.0)];
        server.version = version;
        server.update_watch();
        server.figures.binds += 1;
        server.reconnect.failures = 0;
        server.reconnect.pause = self.settings.servers[usize::from(side.server.0)].reconnect_min;
        if side.bind.transmits() {
            server.transmitting.push(id);
            server.capacity += limit;
            if let Some(side) = self.sessions.get_mut(id).and_then(Session::server_mut) {
                side.is_counted = true;
            }
        }
        self.outbox.notice(Notice::ServerBound { server: side.server });
        self.room_changed_at_server(side.server);
        self.directory.changed(&DirectoryKey::Server(side.server));
        self.arm_enquire_link(now, id);
        self.connect_server(now, side.server);
        self.serve_holds_of(now, side.server);
    }

    /// A generic_nack in answer to a bind refuses it.
    pub(super) fn reject_own_bind(&mut self, now: Moment, id: ConnectionId, header: &Header) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(side) = session.server().copied() else {
            return;
        };
        if session.state == SessionState::Binding {
            self.bind_refused(now, id, side, header.command_status);
        }
    }

    fn bind_refused(&mut self, now: Moment, id: ConnectionId, side: ServerSide, status: Status) {
        if let Some(identity) = side.identity {
            self.identity_refused(now, id, identity, status);
        }
        self.end_session(now, id, CloseReason::BindRefused(status));
    }

    /// Books the end of a server session, and plans the next one.
    pub(super) fn settle_server(
        &mut self,
        now: Moment,
        id: ConnectionId,
        side: &ServerSide,
        window: &Window,
        reason: CloseReason,
    ) {
        self.leave_server(id, side, window.outstanding(), window.limit());
        self.servers[usize::from(side.server.0)]
            .sessions
            .retain(|other| *other != id);
        self.note_ending(id, side, reason);
        if side.identity.is_some() {
            return;
        }
        if let Some(caller) = side.caller {
            return self.call_ended(now, side.server, caller, reason);
        }
        self.directory.changed(&DirectoryKey::Server(side.server));
        if self.drain.is_some() {
            return;
        }
        if side.is_leaving {
            // It was wanted so: no failure, and no reason to wait.
            return self.connect_server(now, side.server);
        }
        self.server_is_gone(side.server);
        let figures = &mut self.servers[usize::from(side.server.0)].figures;
        match reason {
            CloseReason::BindRefused(_) => figures.refused_binds += 1,
            _ => figures.losses += 1,
        }
        let retry_after = self.plan_reconnect(now, side.server, reason);
        let notice = match reason {
            CloseReason::BindRefused(status) => Notice::ServerRefusedBind {
                server: side.server,
                status,
                retry_after,
            },
            _ => Notice::ServerLost {
                server: side.server,
                reason,
                retry_after,
            },
        };
        self.outbox.notice(notice);
        self.connect_server(now, side.server);
    }

    /// Takes a session out of those that carry requests; answers that still come are no longer counted.
    pub(super) fn leave_server(&mut self, id: ConnectionId, side: &ServerSide, outstanding: u32, limit: u32) {
        let server = &mut self.servers[usize::from(side.server.0)];
        if side.is_counted {
            server.transmitting.retain(|other| *other != id);
            server.capacity = server.capacity.saturating_sub(limit);
            server.outstanding = server.outstanding.saturating_sub(outstanding);
            server.is_choked = false;
            self.room_changed_at_server(side.server);
            self.directory.changed(&DirectoryKey::Server(side.server));
        }
        if let Some(side) = self.sessions.get_mut(id).and_then(Session::server_mut) {
            side.is_counted = false;
        }
    }

    fn plan_reconnect(&mut self, now: Moment, index: ServerIndex, reason: CloseReason) -> Duration {
        let configured = &self.settings.servers[usize::from(index.0)];
        let server = &mut self.servers[usize::from(index.0)];
        if server.reconnect.not_before > now {
            // Another session went down just before: one outage is one failure.
            return server.reconnect.not_before.since(now);
        }
        server.reconnect.next_address = server.reconnect.next_address.wrapping_add(1);
        server.reconnect.failures += 1;
        let refused = matches!(
            reason,
            CloseReason::BindRefused(Status::ESME_RINVPASWD | Status::ESME_RINVSYSID)
        );
        let retry_after = if refused {
            configured.auth_retry
        } else {
            let pause = server.reconnect.pause;
            server.reconnect.pause = (pause * 2).min(configured.reconnect_max);
            self.random.jittered(pause)
        };
        let server = &mut self.servers[usize::from(index.0)];
        server.reconnect.not_before = now + retry_after;
        let gives_up = server.is_placed && server.reconnect.failures >= FAILURES_BEFORE_GIVING_UP;
        if gives_up && self.cores > 1 && !is_counted_there(self, index) {
            let reconnect = &mut self.servers[usize::from(index.0)].reconnect;
            reconnect.rounds_given_up += 1;
            reconnect.failures = 0;
            self.directory.changed(&DirectoryKey::Server(index));
            // Another core makes its sessions now: one that we are just making, or that is not closed yet, would be one too many.
            self.cut_off_ending(index);
            for id in self.surplus_sessions(index, Kept::SHARED_NONE) {
                self.leave_gently(now, id);
            }
        }
        retry_after
    }

    /// Whether a server has sessions that all clients share: a vserver that checks binds itself lists it.
    pub(super) fn is_shared(&self, index: ServerIndex) -> bool {
        self.is_listed(index, Auth::Local)
    }

    /// Whether a server may have sessions for one identity alone.
    pub(super) fn may_decide_binds(&self, index: ServerIndex) -> bool {
        self.is_listed(index, Auth::Forward)
    }

    fn is_listed(&self, index: ServerIndex, auth: Auth) -> bool {
        let mut vservers = self.settings.vservers.iter();
        vservers.any(|vserver| vserver.auth == auth && vserver.servers.contains(&index))
    }

    /// How many connections this core should hold at a server.
    pub(super) fn wanted_connections(&self, index: ServerIndex, configured: &ServerSettings) -> u32 {
        if !self.is_shared(index) {
            return 0;
        }
        // Each server starts at another core; those that have stopped are left out.
        let rotation: Vec<_> = (0..self.cores)
            .map(|step| CoreIndex((index.0 % self.cores + step) % self.cores))
            .filter(|core| !self.links[core.as_usize()].is_gone)
            .collect();
        let server = &self.servers[usize::from(index.0)];
        match configured.connections {
            Connections::PerCore(count) => {
                let may_follow = rotation.first() == Some(&self.core) || has_bound(self, index);
                if may_follow { count } else { 0 }
            }
            Connections::Total(count) => {
                // Those who have left their turn the least hold the sessions: when all have tried in vain, all are equal.
                let rounds = |core: &CoreIndex| {
                    if *core == self.core {
                        return server.reconnect.rounds_given_up;
                    }
                    let remote = server.remotes.iter().find(|remote| remote.core == *core);
                    remote.map_or(0, |remote| remote.rounds_given_up)
                };
                let fewest = rotation.iter().map(rounds).min().unwrap_or(0);
                let holders: Vec<_> = rotation
                    .iter()
                    .copied()
                    .filter(|core| rounds(core) == fewest)
                    .collect();
                let is_first = holders.first() == Some(&self.core);
                if !is_first && !has_bound(self, index) {
                    return 0;
                }
                share_of(self.core, &holders, count)
            }
        }
    }

    fn is_shared_session(&self, id: ConnectionId, kind: BindKind) -> bool {
        let side = self.sessions.get(id).and_then(Session::server);
        side.is_some_and(|side| side.identity.is_none() && side.caller.is_none() && side.bind == kind)
    }
}

/// A shared session of any kind is bound, here or on another core.
pub(super) fn has_bound(engine: &PacketEngine, index: ServerIndex) -> bool {
    let remotes = &engine.servers[usize::from(index.0)].remotes;
    has_local_bound(engine, index) || remotes.iter().any(|remote| remote.has_bound)
}

/// A session of any kind is bound on this core (receivers do not count as transmitting).
fn has_local_bound(engine: &PacketEngine, index: ServerIndex) -> bool {
    let bound = |id: &ConnectionId| {
        engine
            .sessions
            .get(*id)
            .is_some_and(|session| session.bound().is_some() && !session.is_called())
    };
    engine.servers[usize::from(index.0)].sessions.iter().any(bound)
}

/// The server may count a session of this core among its binds: one that is bound, or was and has yet to end.
fn is_counted_there(engine: &PacketEngine, index: ServerIndex) -> bool {
    let is_counted = |id: &ConnectionId| {
        engine.sessions.get(*id).is_some_and(|session| {
            matches!(session.state, SessionState::Bound(_) | SessionState::Unbinding(_))
                && !session.is_called()
        })
    };
    engine.servers[usize::from(index.0)]
        .sessions
        .iter()
        .any(is_counted)
}

/// How many of `count` connections fall to `core`: as even as can be, the first holders get the rest.
fn share_of(core: CoreIndex, holders: &[CoreIndex], count: u32) -> u32 {
    let Some(rank) = holders.iter().position(|holder| *holder == core) else {
        return 0;
    };
    let holders = u32::try_from(holders.len()).unwrap_or(u32::MAX);
    let rank = u32::try_from(rank).unwrap_or(u32::MAX);
    count / holders + u32::from(rank < count % holders)
}

const fn kinds(bind: ServerBind) -> &'static [BindKind] {
    match bind {
        ServerBind::Transceiver => &[BindKind::Transceiver],
        ServerBind::Transmitter => &[BindKind::Transmitter],
        ServerBind::Receiver => &[BindKind::Receiver],
        ServerBind::Both => &[BindKind::Transmitter, BindKind::Receiver],
    }
}

/// The entry of a bind that we send for ourselves.
pub(super) const fn own_bind(now: Moment, kind: BindKind) -> Pending {
    Pending::new(Origin::Own, kind.command(), now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::engine::tests::engine;

    /// Goal: a bind that the kernel does not take in time is not written any more when the next one may be: the connection is
    /// closed before another one is asked for.
    #[test]
    fn a_bind_that_was_given_up_is_cut_off() {
        let (mut engine, mut now) = (engine(1), Moment::START);
        engine.handle_timeout(now);
        let Some(Action::Connect {
            connection, timeout, ..
        }) = engine.poll_action()
        else {
            panic!("a connection is asked for");
        };
        engine.handle_connected(now, connection);
        let bind = engine.poll_transmit().expect("a bind");
        assert_eq!(bind.connection, connection);
        now += timeout;
        engine.handle_timeout(now);
        let close = Action::Close {
            connection,
            after_writing: false,
        };
        assert_eq!(engine.poll_action(), Some(close));
    }

    /// Goal: the shares of all holders add up to the configured count and differ by one at most; others hold none.
    #[test]
    fn shares_add_up() {
        for cores in 1..9_u16 {
            for count in 1..20 {
                let holders: Vec<_> = (0..cores).map(CoreIndex).collect();
                let shares: Vec<_> = holders
                    .iter()
                    .map(|core| share_of(*core, &holders, count))
                    .collect();
                assert_eq!(shares.iter().sum::<u32>(), count);
                assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
                assert_eq!(share_of(CoreIndex(100), &holders, count), 0);
            }
        }
    }
}
