//! Vservers whose servers are all down: whether their clients may be there, and who is sent elsewhere.
//!
//! Must never unbind a client whose bind has not been accepted, or one that is leaving already.

use super::engine::PacketEngine;
use super::server_link::has_bound;
use super::session::{Session, SessionState};
use super::settings::{AllServersDown, Auth, ServerIndex, VserverIndex};
use super::time::Moment;

impl PacketEngine {
    /// `all-servers-down = "unbind"`: the clients of each vserver of a server that is gone are sent elsewhere, where it was the
    /// last one.
    pub(super) fn unbind_clients_without_server(&mut self, now: Moment, lost: ServerIndex) {
        for place in 0..self.servers[usize::from(lost.0)].vservers.len() {
            let vserver = self.servers[usize::from(lost.0)].vservers[place];
            self.unbind_clients_of(now, vserver);
        }
    }

    /// The same for all vservers: which servers there are, or what the policy is, may have changed.
    pub(super) fn unbind_all_clients_without_server(&mut self, now: Moment) {
        for place in 0..self.settings.vservers.len() {
            self.unbind_clients_of(now, VserverIndex(u16::try_from(place).unwrap_or(u16::MAX)));
        }
    }

    fn unbind_clients_of(&mut self, now: Moment, vserver: VserverIndex) {
        if self.drain.is_some() || !self.must_be_without_clients(vserver) {
            return;
        }
        // Those that are leaving already are left to it. One whose bind_resp only waits for other cores has been accepted.
        let is_its_client = |session: &Session| {
            session.client().is_some_and(|client| {
                let is_accepted = session.state == SessionState::Binding && client.accepted;
                client.vserver == vserver && (session.bound().is_some() || is_accepted)
            })
        };
        let clients: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| is_its_client(session))
            .map(|(id, _)| id)
            .collect();
        for client in clients {
            self.release_bind_before_message(now, client);
            self.unbind_peer(now, client);
        }
    }

    /// No server of a vserver is up, and its clients may not be there without one.
    pub(super) fn must_be_without_clients(&self, vserver: VserverIndex) -> bool {
        let settings = &self.settings.vservers[usize::from(vserver.0)];
        settings.auth == Auth::Local
            && settings.all_servers_down == AllServersDown::Unbind
            && !self.has_server_up(vserver)
    }

    /// Some server of a vserver is bound, here or on another core.
    pub(super) fn has_server_up(&self, vserver: VserverIndex) -> bool {
        self.settings.vservers[usize::from(vserver.0)]
            .servers
            .iter()
            .any(|server| has_bound(self, *server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::CoreIndex;
    use crate::core::directory::DirectoryEntry;
    use crate::core::engine;
    use crate::core::settings::Settings;
    use crate::core::settings::samples::vserver_settings;
    use crate::core::wire::{CommandId, Header};
    use std::sync::Arc;

    /// Goal: a client whose bind was accepted and whose bind_resp still waits for another core is unbound when its vserver has
    /// no server any more, behind that bind_resp. Method: the server is another core's; it is lost there, or that core is,
    /// or new settings have the policy.
    #[test]
    fn an_accepted_client_does_not_outlive_the_last_server() {
        use crate::core::settings::VserverSettings;
        let now = Moment::START;
        let settings = |all_servers_down| {
            let vserver = VserverSettings {
                all_servers_down,
                ..vserver_settings()
            };
            Arc::new(engine::tests::settings(vserver))
        };
        let entry = |has_bound| DirectoryEntry::Server {
            server: ServerIndex(0),
            sessions: u32::from(has_bound),
            has_bound,
            has_room: has_bound,
            rounds_given_up: 0,
        };
        let (unbinds, other) = (settings(AllServersDown::Unbind), CoreIndex(1));
        let ways: [fn(&mut PacketEngine, &Arc<Settings>, DirectoryEntry); 3] = [
            |engine, _, gone| engine.directory_entry_of(Moment::START, CoreIndex(1), gone),
            |engine, _, _| engine.handle_core_gone(Moment::START, CoreIndex(1)),
            |engine, unbinds, _| engine.reconfigure(Moment::START, unbinds),
        ];
        for (way, lose) in ways.iter().enumerate() {
            let is_without = way == 2;
            let before = if is_without {
                settings(AllServersDown::Answer)
            } else {
                Arc::clone(&unbinds)
            };
            let mut engine = PacketEngine::new(CoreIndex(0), 2, before, 1, now);
            engine.directory_entry_of(now, other, entry(!is_without));
            let client = engine::tests::binding_client(&mut engine, now);
            let state = engine.sessions.get(client).map(|session| session.state);
            assert_eq!(state, Some(SessionState::Binding), "way {way}");
            lose(&mut engine, &unbinds, entry(false));
            let sent = engine.poll_transmit().expect("its bind_resp").octets;
            let first = Header::read(&sent).unwrap();
            let second = Header::read(&sent[first.command_length as usize..]).unwrap();
            let commands = [first, second].map(|header| header.command_id);
            assert_eq!(
                commands,
                [CommandId::BIND_TRANSCEIVER_RESP, CommandId::UNBIND],
                "way {way}"
            );
        }
    }
}
