//! Limits that must fit each other across sections.

use super::limits::shown;
use super::{Settling, blame};
use crate::config::key::Origin;
use crate::config::vserver::VserverSection;
use smppmux_engine::core::settings::{
    Auth, Connections, MessageIdMode, ServerBind, ServerSettings, VserverSettings,
};

impl Settling<'_> {
    /// Checks every relation between limits.
    pub(super) fn check_relations(&mut self, vservers: &[VserverSettings], servers: &[ServerSettings]) {
        for (item, vserver) in self.configuration.vservers.iter().zip(vservers) {
            self.check_hold_time(&item.section, vserver);
            self.check_message_id(&item.section);
        }
        self.check_sessions(servers);
        self.warn_of_nobody(vservers);
    }

    /// A client is held back for less than the shortest time in which an answer is due to it or from it.
    fn check_hold_time(&mut self, section: &VserverSection, vserver: &VserverSettings) {
        let hold_time = &section.hold_time;
        if hold_time.value >= section.response_timeout.value {
            let message = format!(
                "`hold-time` ({}) must be shorter than the vserver's `response-timeout` ({})",
                shown(hold_time.value),
                shown(section.response_timeout.value)
            );
            self.problem(blame(hold_time, &section.response_timeout), message);
            return;
        }
        for server in &vserver.servers {
            let Some(item) = self.configuration.servers.get(usize::from(server.0)) else {
                continue;
            };
            let response_timeout = &item.section.response_timeout;
            if hold_time.value >= response_timeout.value {
                let message = format!(
                    "the vserver's `hold-time` ({}) must be shorter than the `response-timeout` ({}) of the servers behind it",
                    shown(hold_time.value),
                    shown(response_timeout.value)
                );
                self.problem(blame(response_timeout, hold_time), message);
                return;
            }
        }
    }

    fn check_message_id(&mut self, section: &VserverSection) {
        let is_signed = section.message_id.value == MessageIdMode::Signed;
        if is_signed && section.message_id_key.value.is_none() {
            self.problem(
                section.message_id.origin(),
                "`message-id = \"signed\"` needs a `message-id-key`",
            );
        }
        if section.message_id_key.is_set() && !is_signed {
            let message = "`message-id-key` is only used with `message-id = \"signed\"`";
            self.problem(section.message_id_key.origin(), message);
        }
    }

    /// The sessions towards servers must leave room for clients on every engine.
    fn check_sessions(&mut self, servers: &[ServerSettings]) {
        let max_sessions = &self.configuration.engine.section.max_sessions;
        let towards_servers: u64 = servers.iter().map(sessions_on_one_core).sum();
        if towards_servers >= u64::from(max_sessions.value) {
            let message = format!(
                "`max-sessions` ({}) leaves no room for clients: the servers alone may take {towards_servers} on one core",
                max_sessions.value
            );
            self.problem(max_sessions.origin(), message);
        }
    }

    fn warn_of_nobody(&mut self, vservers: &[VserverSettings]) {
        let is_local = vservers.iter().any(|vserver| vserver.auth == Auth::Local);
        if is_local && self.configuration.clients.is_empty() {
            self.warn(&Origin::Default, "there is no [[client]], so nobody can bind");
        }
    }
}

/// At the most: a total may all be on one core.
fn sessions_on_one_core(server: &ServerSettings) -> u64 {
    let kinds = if server.bind == ServerBind::Both { 2 } else { 1 };
    let (Connections::PerCore(connections) | Connections::Total(connections)) = server.connections;
    let called = server.outbind.as_ref().map_or(0, |outbind| outbind.connections);
    kinds * u64::from(connections) + u64::from(called)
}
