//! `auth = "forward"`: a server decides about a client's bind, and the client's traffic has server sessions of its own.
//!
//! An identity is one system_id with one kind of bind at one vserver. Its first bind is forwarded to a server with a number
//! of ours, and the answer comes back with the client's; when it was accepted, the same bind is made at the other servers
//! too. Later binds re-use those sessions after their credentials were compared with a keyed hash that is kept for
//! `forward-cache`; a mismatch or an older hash asks a server again on a connection of its own.
//! Must never keep a password longer than the binds that need it are under way, or send one identity's traffic on
//! another's session.

use super::choice::{Way, takes_request};
use super::client_bind::{Grant, GrantedClaims};
use super::congestion::append_without_congestion;
use super::contract::ConnectionId;
use super::engine::PacketEngine;
use super::identities::{Asking, Identity};
use super::relay::Relay;
use super::sequence::Origin;
use super::server_link::own_bind;
use super::server_requests::CheckedMessage;
use super::session::SessionState;
use super::settings::{ServerIndex, VserverIndex};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{BindLimits, BindView, CommandId, Status, response_tlvs};
use bytes::BytesMut;
use std::time::Duration;

/// Requests in flight for a session whose account is not in the client table.
const FORWARDED_WINDOW: u32 = 1_000;

impl PacketEngine {
    /// A client's bind that a server has to decide.
    pub(super) fn forward_client_bind(
        &mut self,
        now: Moment,
        client: ConnectionId,
        view: &BindView<'_>,
        pdu: &[u8],
    ) {
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        let Some(side) = session.client() else { return };
        let (vserver, bind) = (side.vserver, side.bind);
        let hash = self.identities.hash(view);
        let cache = self.settings.vservers[usize::from(vserver.0)].forward_cache;
        let id = self.identities.find_or_make(vserver, view.system_id(), bind);
        let Some(identity) = self.identities.get_mut(id) else {
            return;
        };
        let is_known = identity
            .accepted
            .is_some_and(|(known, at)| known.matches(hash) && now.since(at) < cache);
        let has_session = identity.sessions.iter().any(|(_, session)| {
            self.sessions
                .get(*session)
                .is_some_and(|session| session.bound().is_some())
        });
        if is_known && has_session {
            return self.join_identity(now, client, id, view, None);
        }
        let servers = self.settings.vservers[usize::from(vserver.0)].servers.len();
        if let Some(session) = self.sessions.get_mut(client) {
            session.state = SessionState::Binding;
        }
        let mut bind_pdu = self.buffers.take();
        bind_pdu.extend_from_slice(pdu);
        self.ask_server(now, id, Some(client), bind_pdu, servers);
    }

    /// Opens a connection to the next server in turn, to forward a bind there.
    fn ask_server(
        &mut self,
        now: Moment,
        id: u32,
        client: Option<ConnectionId>,
        bind_pdu: BytesMut,
        servers_left: usize,
    ) {
        let Some(identity) = self.identities.get_mut(id) else {
            return;
        };
        let (vserver, bind) = (identity.vserver, identity.bind);
        let server = self.next_to_ask(vserver);
        let session = match server {
            Some(server) if servers_left > 0 && self.drain.is_none() => self
                .open_server_session(now, server, bind, Some(id))
                .map(|it| (server, it)),
            _ => None,
        };
        let (Some((server, session)), Some(identity)) = (session, self.identities.get_mut(id)) else {
            self.wipe(bind_pdu);
            if let Some(client) = client {
                self.refuse_bind(now, client, Status::ESME_RSYSERR);
            }
            return self.forget_identity_if_unused(id);
        };
        identity.sessions.push((server, session));
        identity.asking.push(Asking {
            session,
            client,
            bind_pdu,
            servers_left: servers_left - 1,
        });
        // The client waits for as long as its servers may take, one after the other.
        let patience = self.settings.servers[usize::from(server.0)].response_timeout * 2;
        if let Some(session) = client.and_then(|client| self.sessions.get_mut(client)) {
            session.state_deadline = now + patience;
        }
        if let Some(client) = client
            && let Some(session) = self.sessions.get_mut(client)
        {
            self.timers
                .arm(&mut session.armed_at, now + patience, TimerKey::Session(client));
        }
    }

    /// The server whose turn it is to decide about a bind. One that drains is asked only where all do: the session would get no submits.
    fn next_to_ask(&mut self, vserver: VserverIndex) -> Option<ServerIndex> {
        let servers = &self.settings.vservers[usize::from(vserver.0)].servers;
        let turn = self.identities.next_server;
        let in_turn = (0..servers.len()).map(|step| turn.wrapping_add(step) % servers.len());
        let takes_submits = |place: &usize| !self.servers[usize::from(servers[*place].0)].is_draining;
        let place = in_turn.clone().find(takes_submits).or(in_turn.clone().next())?;
        self.identities.next_server = place + 1;
        Some(servers[place])
    }

    /// The connection is open: the bind goes out with a number of ours.
    pub(super) fn send_identity_bind(&mut self, now: Moment, session: ConnectionId, id: u32) {
        let Self {
            identities,
            sessions,
            outbox,
            buffers,
            ..
        } = self;
        let asking = identities
            .get_mut(id)
            .and_then(|it| it.asking.iter().find(|asking| asking.session == session));
        let (Some(asking), Some(state)) = (asking, sessions.get_mut(session)) else {
            return;
        };
        let Some(bind) = state.server().map(|side| side.bind) else {
            return;
        };
        let Some(number) = state.window.reserve(own_bind(now, bind)) else {
            return;
        };
        Relay::whole(&asking.bind_pdu).append_to(state.output.open(buffers), number);
        super::relay::list_writable(outbox, session, state);
    }

    /// A server accepted an identity's bind.
    pub(super) fn identity_bound(&mut self, now: Moment, session: ConnectionId, id: u32, answer: &[u8]) {
        let Some(asking) = self.take_asking(id, session) else {
            return;
        };
        let limits = BindLimits::LENIENT;
        let Ok(view) = BindView::parse(&asking.bind_pdu, limits) else {
            return;
        };
        let hash = self.identities.hash(&view);
        let Some(identity) = self.identities.get_mut(id) else {
            return;
        };
        let (vserver, bind) = (identity.vserver, identity.bind);
        if let Some(client) = asking.client {
            identity.accepted = Some((hash, now));
            let mut copy = self.buffers.take();
            append_without_congestion(
                &mut copy,
                answer,
                response_tlvs(bind.command().response(), answer),
            );
            self.join_identity(now, client, id, &view, Some(copy));
            self.bind_elsewhere(now, id, vserver, &asking.bind_pdu);
        }
        self.note_if_idle(now, id);
        self.end_duplicates(now, id, session);
        self.wipe(asking.bind_pdu);
        self.forget_identity_if_unused(id);
    }

    /// A server refused an identity's bind: its client gets that answer. The server's health is not touched.
    pub(super) fn identity_refused(&mut self, now: Moment, session: ConnectionId, id: u32, status: Status) {
        if let Some(asking) = self.take_asking(id, session) {
            if let Some(client) = asking.client {
                self.refuse_bind(now, client, status);
            }
            self.wipe(asking.bind_pdu);
            self.note_if_idle(now, id);
        }
    }

    /// An identity's server session is gone. A bind that it carried asks the next server; clients without any session left
    /// are unbound, since only they know the password.
    pub(super) fn identity_session_lost(&mut self, now: Moment, session: ConnectionId, id: u32) {
        if let Some(identity) = self.identities.get_mut(id) {
            identity.sessions.retain(|(_, other)| *other != session);
        }
        if let Some(asking) = self.take_asking(id, session) {
            match asking.client {
                Some(client) => self.ask_server(now, id, Some(client), asking.bind_pdu, asking.servers_left),
                None => self.wipe(asking.bind_pdu),
            }
        }
        let Some(identity) = self.identities.get_mut(id) else {
            return;
        };
        if identity.sessions.is_empty() {
            for client in identity.clients.clone() {
                self.unbind_peer(now, client);
            }
        }
        self.note_if_idle(now, id);
        self.forget_identity_if_unused(id);
    }

    /// A client's forwarded bind took too long: an answer that still comes is not for it any more.
    pub(super) fn forwarded_bind_failed(&mut self, now: Moment, client: ConnectionId, status: Status) {
        for asking in self
            .identities
            .places
            .iter_mut()
            .flatten()
            .flat_map(|identity| &mut identity.asking)
        {
            asking.client = asking.client.filter(|asker| *asker != client);
        }
        self.refuse_bind(now, client, status);
    }

    /// A client of an identity is gone; its server sessions stay for `forward-cache`.
    pub(super) fn leave_identity(&mut self, now: Moment, id: u32, client: ConnectionId) {
        if let Some(identity) = self.identities.get_mut(id) {
            identity.clients.retain(|other| *other != client);
        }
        self.note_if_idle(now, id);
    }

    /// An identity without clients is forgotten after `forward-cache`; while a bind of it is under way that is put off, so this
    /// is looked at again whenever one has ended.
    fn note_if_idle(&mut self, now: Moment, id: u32) {
        let Some(identity) = self
            .identities
            .get_mut(id)
            .filter(|identity| identity.clients.is_empty())
        else {
            return;
        };
        identity.idle_since = now;
        let cache = self.settings.vservers[usize::from(identity.vserver.0)].forward_cache;
        let mut armed_at = self.identities.armed_at;
        self.timers.arm(&mut armed_at, now + cache, TimerKey::Identities);
        self.identities.armed_at = armed_at;
    }

    /// Unbinds the server sessions of identities that nobody has used for `forward-cache`.
    pub(super) fn expire_identities(&mut self, now: Moment) {
        let mut next = Moment::NEVER;
        let mut sessions = Vec::new();
        for identity in self
            .identities
            .places
            .iter()
            .flatten()
            .filter(|it| it.clients.is_empty() && it.asking.is_empty())
        {
            let due =
                identity.idle_since + self.settings.vservers[usize::from(identity.vserver.0)].forward_cache;
            if due <= now {
                sessions.extend(identity.sessions.iter().map(|(_, session)| *session));
            } else {
                next = next.min(due);
            }
        }
        for session in sessions {
            // Those that are leaving already are left to it.
            if self
                .sessions
                .get(session)
                .is_some_and(|session| session.bound().is_some())
            {
                self.unbind_peer(now, session);
            }
        }
        if next < Moment::NEVER {
            let mut armed_at = self.identities.armed_at;
            self.timers.arm(
                &mut armed_at,
                next.max(now + Duration::from_millis(10)),
                TimerKey::Identities,
            );
            self.identities.armed_at = armed_at;
        }
    }

    /// The session of an identity for a request: the least busy that has room. A server that drains gets only what concerns a
    /// message that it has.
    pub(super) fn choose_identity_session(
        &mut self,
        id: u32,
        wanted: Option<ServerIndex>,
        command: CommandId,
    ) -> Way {
        let Some(identity) = self.identities.places.get(id as usize).and_then(Option::as_ref) else {
            return Way::NoServer;
        };
        let octets_max = self.settings.engine.server_output_octets_max;
        let bound = identity
            .sessions
            .iter()
            .filter(|(server, _)| match wanted {
                Some(wanted) => wanted == *server,
                None => !self.servers[usize::from(server.0)].is_draining,
            })
            .filter_map(|(server, id)| {
                let session = self.sessions.get(*id)?;
                session
                    .bound()
                    .filter(|kind| kind.transmits() && session.version.knows(command))?;
                Some((*server, *id, session))
            });
        let mut is_up = false;
        let mut best: Option<(u32, ServerIndex, ConnectionId)> = None;
        for (server, id, session) in bound {
            is_up = true;
            let outstanding = session.window.outstanding();
            if takes_request(session, octets_max) && best.is_none_or(|(least, ..)| outstanding < least) {
                best = Some((outstanding, server, id));
            }
        }
        match best {
            Some((_, server, id)) => Way::Session(server, id),
            None if is_up => Way::NoRoom,
            None => Way::NoServer,
        }
    }

    /// Sends a message of an identity's server session to one of its clients, in turn; `false` when none has room.
    pub(super) fn deliver_to_identity(
        &mut self,
        now: Moment,
        id: u32,
        message: &CheckedMessage<'_>,
        origin: Origin,
        rerouted: bool,
    ) -> bool {
        if message.may_be_segment
            && let Some(sent) = self.segment_to_identity(now, id, message, origin, rerouted)
        {
            return sent;
        }
        let to = self.choose_identity_client(id, message.command);
        to.is_some_and(|to| self.send_message(now, to, message, origin, rerouted))
    }

    /// The client of an identity whose turn it is, among those with room.
    pub(super) fn choose_identity_client(&mut self, id: u32, command: CommandId) -> Option<ConnectionId> {
        let octets_max = self.settings.engine.output_octets_max;
        let Self {
            identities, sessions, ..
        } = self;
        let identity = identities.get_mut(id)?;
        let has_room = |client: &ConnectionId| {
            sessions.get(*client).is_some_and(|session| {
                matches!(session.state, SessionState::Bound(_) | SessionState::Binding)
                    && session.client().is_some_and(|client| client.bind.receives())
                    && !session.window.is_full()
                    && session.output.waiting_octets() <= octets_max
                    && session.version.knows(command)
            })
        };
        let count = identity.clients.len();
        let place = (0..count)
            .map(|step| (identity.cursor + step) % count)
            .find(|place| has_room(&identity.clients[*place]))?;
        identity.cursor = place + 1;
        Some(identity.clients[place])
    }

    fn join_identity(
        &mut self,
        now: Moment,
        client: ConnectionId,
        id: u32,
        view: &BindView<'_>,
        answer: Option<BytesMut>,
    ) {
        let is_waiting = self.sessions.get(client).is_some_and(|session| {
            matches!(session.state, SessionState::Open | SessionState::Binding)
                && session.client().is_some_and(|client| !client.accepted)
        });
        let Some(identity) = self.identities.get_mut(id).filter(|_| is_waiting) else {
            return;
        };
        identity.clients.push(client);
        let window = match self.settings.account(view.system_id()) {
            Some(account) => self.settings.clients[account.0 as usize].window,
            None => FORWARDED_WINDOW,
        };
        let grant = Grant {
            client: None,
            window,
            claims: GrantedClaims::Nothing,
            identity: Some(id),
            answer,
        };
        self.accept_bind(now, client, view, grant);
    }

    /// The same bind at every other server of the vserver, so that traffic can be balanced.
    fn bind_elsewhere(&mut self, now: Moment, id: u32, vserver: VserverIndex, bind_pdu: &[u8]) {
        for server in self.settings.vservers[usize::from(vserver.0)].servers.clone() {
            let Some(identity) = self.identities.get_mut(id) else {
                return;
            };
            let bind = identity.bind;
            if identity.sessions.iter().any(|(other, _)| *other == server) {
                continue;
            }
            let Some(session) = self.open_server_session(now, server, bind, Some(id)) else {
                continue;
            };
            let mut copy = self.buffers.take();
            copy.extend_from_slice(bind_pdu);
            let Some(identity) = self.identities.get_mut(id) else {
                return;
            };
            identity.sessions.push((server, session));
            identity.asking.push(Asking {
                session,
                client: None,
                bind_pdu: copy,
                servers_left: 0,
            });
        }
    }

    /// A session that only asked once more about the credentials is not needed beside an older one at the same server.
    fn end_duplicates(&mut self, now: Moment, id: u32, newest: ConnectionId) {
        let Some(identity) = self.identities.get_mut(id) else {
            return;
        };
        let Some((server, _)) = identity
            .sessions
            .iter()
            .find(|(_, session)| *session == newest)
            .copied()
        else {
            return;
        };
        let mut others = identity
            .sessions
            .iter()
            .filter(|(other, session)| *other == server && *session != newest);
        let is_duplicate = others.any(|(_, session)| {
            self.sessions
                .get(*session)
                .is_some_and(|session| session.bound().is_some())
        });
        if is_duplicate {
            self.unbind_peer(now, newest);
        }
    }

    fn take_asking(&mut self, id: u32, session: ConnectionId) -> Option<Asking> {
        let identity = self.identities.get_mut(id)?;
        let place = identity
            .asking
            .iter()
            .position(|asking| asking.session == session)?;
        Some(identity.asking.swap_remove(place))
    }

    /// A buffer that held a password goes back empty of it.
    pub(super) fn wipe(&mut self, mut buffer: BytesMut) {
        buffer.fill(0);
        self.buffers.give(buffer);
    }

    fn forget_identity_if_unused(&mut self, id: u32) {
        let is_unused =
            |it: &Identity| it.sessions.is_empty() && it.clients.is_empty() && it.asking.is_empty();
        if let Some(place) = self.identities.places.get_mut(id as usize)
            && place.as_ref().is_some_and(is_unused)
        {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::CoreIndex;
    use crate::core::engine::tests::{bind_server, binding_client, message, settings};
    use crate::core::settings::samples::{server_settings, vserver_settings};
    use crate::core::settings::{Auth, OnServerLoss, ServerSettings, Settings, VserverSettings};
    use std::sync::Arc;

    /// Goal: a session of an identity keeps no more requests to send again than `window-octets` says, as any other session. Method:
    /// a server that answers nothing.
    #[test]
    fn an_identity_keeps_no_more_than_window_octets() {
        let octets = message(CommandId::SUBMIT_SM).len();
        let server = ServerSettings {
            window_octets: octets * 2,
            ..server_settings()
        };
        let of_one = settings(VserverSettings {
            auth: Auth::Forward,
            on_server_loss: OnServerLoss::Retry,
            ..vserver_settings()
        });
        let settings = Settings::new(of_one.engine, of_one.vservers, vec![server], of_one.clients, 1);
        let now = Moment::START;
        let mut engine = PacketEngine::new(CoreIndex(0), 1, Arc::new(settings), 1, now);
        let client = binding_client(&mut engine, now);
        let server = bind_server(&mut engine, now);
        let mut sent = 0;
        for _ in 0..10 {
            engine.handle_bytes(now, client, &message(CommandId::SUBMIT_SM));
            while let Some(transmit) = engine.poll_transmit() {
                sent += u32::from(transmit.connection == server);
                engine.handle_transmitted(now, transmit.connection, transmit.octets);
            }
        }
        // What is kept may pass the limit by one turn's.
        assert_eq!(sent, 3);
    }
}
