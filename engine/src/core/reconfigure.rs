//! New settings while the engine runs: what has changed is carried out, everything else goes on without noticing.
//!
//! Indices keep their meaning: [`Settings::continues`] says so of old and new, and whoever makes new settings has to see to it.
//! What an engine works out of its settings at the start (balancers, compiled routing rules, servers' weights) is worked out anew here. Must never
//! touch a session whose server, vserver and account are the same as before.

use super::balance::Balancer;
use super::contract::{CloseReason, ConnectionId};
use super::core_link::MARGIN;
use super::engine::PacketEngine;
use super::lease::RateKey;
use super::pacing::Pacing;
use super::range::{AddressRange, Claim};
use super::routing::{Routing, is_curbed};
use super::server::Server;
use super::session::{Session, SessionState, Side};
use super::settings::{
    ClientIndex, ClientSettings, Connections, EmptyRange, ServerIndex, ServerSettings, Settings, VserverIndex,
};
use super::slow_start::{Presence, SlowStart};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::Version;
use std::sync::Arc;
use std::time::Duration;

impl Server {
    /// A server that has no session yet.
    pub(super) fn configured(settings: &Settings, index: ServerIndex) -> Self {
        let server = &settings.servers[usize::from(index.0)];
        let version = Version::from_interface_version(server.interface_version);
        let retains = settings.retains(index);
        Self {
            retains,
            pacing: server.rate.map(|_| Box::new(Pacing::new(true))),
            is_watched: retains || server.rate.is_some() || settings.has_message_log,
            is_guarded: server.rate.is_some(),
            is_logged: settings.has_message_log,
            is_placed: matches!(server.connections, Connections::Total(_)),
            weight: server.weight,
            ..Self::new(server.reconnect_min, version, settings.vservers_of(index))
        }
    }
}

/// Which sessions a core keeps at a server, but for those that the server has opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// So many of each kind that all clients share; `None`: all.
    shared: Option<u32>,
    /// Those for one identity alone.
    identities: bool,
}

impl Kept {
    /// None that all clients share.
    pub(super) const SHARED_NONE: Self = Self {
        shared: Some(0),
        identities: true,
    };
}

impl PacketEngine {
    /// Goes on with these settings. Settings that do not continue the old ones are not taken.
    pub(super) fn reconfigure(&mut self, now: Moment, settings: &Arc<Settings>) {
        if !settings.continues(&self.settings) {
            debug_assert!(false, "indices must keep their meaning");
            return;
        }
        let old = std::mem::replace(&mut self.settings, Arc::clone(settings));
        self.message_log.turn(settings.has_message_log);
        for server in &mut self.servers {
            server.is_logged = settings.has_message_log;
            server.update_watch();
        }
        let seed = self.random.next();
        for ((index, vserver), settings_of) in (0..).zip(&mut self.vservers).zip(&settings.vservers) {
            vserver.balancer = Balancer::new(settings_of, &settings.servers);
            vserver.routing = Routing::new(settings, VserverIndex(index), seed);
        }
        // New ones first: whatever happens to an old one may look at all servers of its vservers.
        for index in (0..)
            .map(ServerIndex)
            .take(settings.servers.len())
            .skip(self.servers.len())
        {
            self.servers.push(Server {
                // The others are there already.
                slow_start: SlowStart::new(Presence::Gone),
                ..Server::configured(settings, index)
            });
        }
        for (index, before) in (0..).map(ServerIndex).zip(&old.servers) {
            self.reconfigure_server(now, index, before);
        }
        for place in 0..settings.vservers.len() {
            self.tell_balancer(VserverIndex(u16::try_from(place).unwrap_or(u16::MAX)));
        }
        self.curb_sessions();
        self.claims_follow_settings(now);
        for (index, before) in (0..).map(ClientIndex).zip(&old.clients) {
            if has_changed(before, settings, index) {
                self.reconfigure_client(now, index, before);
            }
        }
        let early = std::mem::take(&mut self.early_server_entries);
        for (from, entry) in early {
            self.directory_entry_of(now, from, entry);
        }
        self.connect_all_servers(now);
        self.unbind_all_clients_without_server(now);
        for place in 0..self.vservers.len() {
            let vserver = VserverIndex(u16::try_from(place).unwrap_or(u16::MAX));
            self.serve_hold(now, vserver);
        }
    }

    fn reconfigure_server(&mut self, now: Moment, index: ServerIndex, before: &ServerSettings) {
        let settings = Arc::clone(&self.settings);
        let configured = &settings.servers[usize::from(index.0)];
        let server = &mut self.servers[usize::from(index.0)];
        server.vservers = settings.vservers_of(index);
        server.is_placed = matches!(configured.connections, Connections::Total(_));
        // A weight that an operator has set holds until the configuration is read again.
        server.weight = configured.weight;
        server.retains = settings.retains(index);
        if before.rate != configured.rate {
            server.pacing = configured.rate.map(|_| Box::new(Pacing::new(true)));
            // The timer that would have found it again belonged to the old pace.
            server.is_paced = false;
            self.leases.forget(RateKey::Server(index));
            self.room_changed_at_server(index);
        }
        self.retain_as_configured(index);
        let server = &mut self.servers[usize::from(index.0)];
        server.update_watch();
        if before.slow_start != configured.slow_start {
            self.ramp(now, index);
        }
        let server = &mut self.servers[usize::from(index.0)];
        let is_new_login = !is_same_login(before, configured);
        if is_new_login {
            // Whatever was wrong with the old one: the new one is tried at once.
            server.reconnect.not_before = Moment::START;
            server.reconnect.pause = configured.reconnect_min;
            server.reconnect.failures = 0;
            server.reconnect.next_address = 0;
        }
        if before.window != configured.window {
            self.resize_windows(index, configured.window);
        }
        let is_retired = settings.is_retired_server(index);
        self.reconsider_health(now, index, is_new_login || is_retired);
        let kept = Kept {
            shared: if is_new_login || is_retired || !self.is_shared(index) {
                Some(0)
            } else if before.connections != configured.connections {
                Some(self.wanted_connections(index, configured))
            } else {
                // Which core holds how many moves while servers come and go; that is no reason to part with one that is bound.
                None
            },
            identities: !is_new_login && !is_retired && self.may_decide_binds(index),
        };
        for id in self.surplus_sessions(index, kept) {
            self.leave_gently(now, id);
        }
        if is_new_login || before.outbind != configured.outbind || is_retired {
            for id in self.called_sessions(index) {
                self.leave_gently(now, id);
            }
        }
    }

    /// The sessions of a server that are more than these.
    pub(super) fn surplus_sessions(&self, index: ServerIndex, kept: Kept) -> Vec<ConnectionId> {
        let mut counts = [0_u32; 3];
        let mut surplus = Vec::new();
        for id in &self.servers[usize::from(index.0)].sessions {
            let side = self.sessions.get(*id).and_then(Session::server);
            let Some(side) = side.filter(|side| side.caller.is_none()) else {
                continue;
            };
            let is_surplus = if side.identity.is_some() {
                !kept.identities
            } else {
                let count = &mut counts[side.bind as usize];
                *count += u32::from(!side.is_leaving);
                kept.shared.is_some_and(|kept| *count > kept)
            };
            if is_surplus {
                surplus.push(*id);
            }
        }
        surplus
    }

    /// No new requests on this session, neither way; it is unbound once both sides' requests are answered.
    pub(super) fn leave_gently(&mut self, now: Moment, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Side::Server(side) = &mut session.side else {
            return;
        };
        if std::mem::replace(&mut side.is_leaving, true) {
            return;
        }
        let index = side.server;
        match session.state {
            SessionState::Bound(_) => {}
            // A bind that has not been written yet must not be any more: another core may send one in its place.
            SessionState::Connecting | SessionState::Open | SessionState::Binding => {
                return self.drop_session(now, id, CloseReason::WeUnbound, None, true);
            }
            SessionState::Unbinding(_) | SessionState::Closing => return,
        }
        let patience = patience_of_leaving(&self.settings, index);
        session.state_deadline = now + patience;
        self.timers
            .arm(&mut session.armed_at, now + patience, TimerKey::Session(id));
        self.leave_books(now, id);
        self.leave_server_if_settled(now, id);
    }

    /// Rules and rates may have come or gone for sessions that are there.
    fn curb_sessions(&mut self) {
        for session in self.sessions.iter_mut() {
            let is_curbed = is_curbed(&self.settings, &self.vservers, &session.side);
            // Of a server's messages that are under way some may have been changed by rules that are gone.
            let stays = session.is_slow || session.server().is_some() && session.is_curbed;
            session.is_curbed = is_curbed || stays;
        }
    }

    /// Sessions that are there keep what they send from now on, or let go of what they have kept.
    fn retain_as_configured(&mut self, index: ServerIndex) {
        let octets_max = self.settings.servers[usize::from(index.0)].window_octets;
        let server = &mut self.servers[usize::from(index.0)];
        if !server.retains {
            server.is_choked = false;
        }
        for id in &server.sessions {
            let Some(session) = self.sessions.get_mut(*id) else {
                continue;
            };
            match &session.side {
                Side::Server(side) if server.retains && side.bind.transmits() => {
                    session.output.retain_requests(octets_max);
                }
                _ => session.output.forget_requests(&mut self.buffers),
            }
        }
        self.room_changed_at_server(index);
    }

    fn resize_windows(&mut self, index: ServerIndex, limit: u32) {
        for place in 0..self.servers[usize::from(index.0)].sessions.len() {
            let id = self.servers[usize::from(index.0)].sessions[place];
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            let before = session.window.limit();
            session.window.set_limit(limit);
            if session.server().is_some_and(|side| side.is_counted) {
                let server = &mut self.servers[usize::from(index.0)];
                server.capacity = server.capacity - before + limit;
            }
        }
        self.room_changed_at_server(index);
    }

    fn reconfigure_client(&mut self, now: Moment, index: ClientIndex, before: &ClientSettings) {
        let settings = Arc::clone(&self.settings);
        let configured = &settings.clients[index.0 as usize];
        if before.rate != configured.rate {
            self.leases.forget(RateKey::Client(index));
        }
        for id in self.sessions_of_client(index) {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            let is_bound = session.bound().is_some();
            if before.window != configured.window
                && let Some(client) = session.client_mut()
                && (is_bound || client.accepted)
            {
                client.window = configured.window;
                session.window.set_limit(configured.window);
            }
            if settings.is_retired_client(index) || !self.may_stay(id, configured) {
                self.drain_client_session(now, id);
            }
        }
    }

    /// The account may still be where this session is, and claim what it has claimed.
    fn may_stay(&self, id: ConnectionId, account: &ClientSettings) -> bool {
        let Some(client) = self.sessions.get(id).and_then(Session::client) else {
            return true;
        };
        let is_at_home = account.may_bind_at(client.vserver);
        let vserver = &self.settings.vservers[usize::from(client.vserver.0)];
        let gets_everything = vserver.empty_range == EmptyRange::All;
        let may_claim =
            |pool: &super::pool::PoolIndex| match self.pools.get(*pool).map(|pool| &pool.key.claim) {
                // An empty range gets everything there, whatever the account's ranges are.
                Some(Claim::Range(claim)) if gets_everything && *claim == AddressRange::everything() => true,
                Some(Claim::Range(claim)) => {
                    let mut ranges = account.address_ranges.iter();
                    ranges.any(|allowed| allowed.covers(claim))
                }
                Some(Claim::Allowed(_) | Claim::Receipts(_)) | None => true,
            };
        // Who claims whatever its account may have has that by now.
        is_at_home && (self.claims_allowed(id).is_some() || client.pools.iter().all(may_claim))
    }
}

/// What either side has sent before the session began to leave ends in its own time: the server's answers, and those of
/// clients, perhaps on another core and behind a receipt's wait for its submit. A server that is told before that its
/// message failed sends again what a client has.
fn patience_of_leaving(settings: &Settings, index: ServerIndex) -> Duration {
    let of_clients = settings.receipt_hold_max() + settings.client_response_timeout_max();
    settings.servers[usize::from(index.0)]
        .response_timeout
        .max(of_clients + MARGIN * 2)
}

/// The connections that a server has now would be made again just like this.
fn is_same_login(before: &ServerSettings, after: &ServerSettings) -> bool {
    let login = |of: &ServerSettings| {
        (
            (
                of.addresses.clone(),
                of.transmitter_address.clone(),
                of.receiver_address.clone(),
            ),
            (
                (of.local_address, of.transport),
                of.system_id.clone(),
                of.password.clone(),
                of.system_type.clone(),
            ),
            (
                of.interface_version,
                of.bind,
                of.address_range.clone(),
                of.addr_ton,
                of.addr_npi,
            ),
        )
    };
    login(before) == login(after)
}

/// Something that concerns sessions which are there.
fn has_changed(before: &ClientSettings, settings: &Settings, index: ClientIndex) -> bool {
    let after = &settings.clients[index.0 as usize];
    settings.is_retired_client(index)
        || before.window != after.window
        || before.rate != after.rate
        || before.vservers != after.vservers
        || before.address_ranges != after.address_ranges
}
