//! What an operator wants of single servers and accounts while the engine runs: drains and weights.
//!
//! Invariant: a drain of a server stops new submits only; one of an account ends its sessions only after what is under way
//! was answered, or its time is up. Must never touch a session of anybody else.

use super::contract::{CloseReason, ConnectionId};
use super::engine::PacketEngine;
use super::session::{Session, SessionState};
use super::settings::{ClientIndex, ServerIndex};
use super::time::Moment;
use super::timer::TimerKey;
use std::collections::BTreeSet;

/// Accounts that an operator drains. (A server's drain and weight stand with the server.)
#[derive(Debug, Default)]
pub(super) struct Operator {
    draining_clients: BTreeSet<ClientIndex>,
}

impl Operator {
    pub(super) fn is_client_draining(&self, client: ClientIndex) -> bool {
        !self.draining_clients.is_empty() && self.draining_clients.contains(&client)
    }

    pub(super) fn undrain_client(&mut self, client: ClientIndex) {
        self.draining_clients.remove(&client);
    }
}

impl PacketEngine {
    pub(super) fn drain_server(&mut self, now: Moment, index: ServerIndex, drains: bool) {
        let Some(server) = self.servers.get_mut(usize::from(index.0)) else {
            return;
        };
        let drained = std::mem::replace(&mut server.is_draining, drains);
        self.health_changed(now, index);
        if !drains {
            if drained {
                self.start_slowly(now, index);
            }
            self.room_at_server(now, index);
        } else {
            self.look_at_holds_of(now, index);
        }
    }

    pub(super) fn set_weight(&mut self, index: ServerIndex, weight: u32) {
        if let Some(server) = self.servers.get_mut(usize::from(index.0)) {
            server.weight = weight.max(1);
            // What was saved up under the old weight would distort the new shares.
            for server in &mut self.servers {
                (server.credit, server.gate) = (0, 0);
            }
        }
    }

    pub(super) fn drain_client(&mut self, now: Moment, client: ClientIndex) {
        self.operator.draining_clients.insert(client);
        for id in self.sessions_of_client(client) {
            self.drain_client_session(now, id);
        }
    }

    /// Sessions of an account, bound or binding.
    pub(super) fn sessions_of_client(&self, client: ClientIndex) -> Vec<ConnectionId> {
        let is_its = |session: &Session| session.client().is_some_and(|side| side.client == Some(client));
        let sessions = self.sessions.iter().filter(|(_, session)| is_its(session));
        sessions.map(|(id, _)| id).collect()
    }

    /// No new work for this session; it is unbound once its requests are answered.
    pub(super) fn drain_client_session(&mut self, now: Moment, id: ConnectionId) {
        let deadline = now + self.settings.engine.drain_timeout;
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        match session.state {
            SessionState::Bound(_) => {}
            SessionState::Binding => return self.end_session(now, id, CloseReason::WeUnbound),
            // It is on its way out.
            _ => return,
        }
        let Some(client) = session.client_mut() else {
            return;
        };
        if std::mem::replace(&mut client.is_draining, true) {
            return;
        }
        if client.unanswered == 0 {
            return self.unbind_peer(now, id);
        }
        session.state_deadline = deadline;
        self.timers
            .arm(&mut session.armed_at, deadline, TimerKey::Session(id));
        self.leave_books(now, id);
    }

    /// The last request of a session that drains has been answered, or its time is up.
    #[cold]
    pub(super) fn client_drained(&mut self, now: Moment, id: ConnectionId) {
        if self
            .sessions
            .get(id)
            .is_some_and(|session| session.bound().is_some())
        {
            self.unbind_peer(now, id);
        }
    }
}
