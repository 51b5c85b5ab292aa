//! Connections that a server opens itself: `outbind-listen` and the keys that belong to it.

use super::Settling;
use super::limits::{CONNECTIONS_MAX, CREDENTIAL_OCTETS_MAX};
use crate::config::addresses::Network;
use crate::config::section::Item;
use crate::config::server::ServerSection;
use smppmux_engine::core::settings::{Auth, OutbindSettings, VserverSettings};

impl Settling<'_> {
    /// What is asked of a server's own connections. `vserver` is whose clients get its messages.
    pub(super) fn outbind(
        &mut self,
        item: &Item<ServerSection>,
        vserver: Option<&VserverSettings>,
    ) -> Option<OutbindSettings> {
        if item.is_retired() {
            return None;
        }
        let section = &item.section;
        let Some(listen) = section.outbind_listen.value else {
            let keys = [
                ("outbind-system-id", section.outbind_system_id.origin()),
                ("outbind-password", section.outbind_password.origin()),
                ("outbind-allow", section.outbind_allow.origin()),
                ("outbind-connections", section.outbind_connections.origin()),
            ];
            self.blame_keys_without("outbind-listen", keys);
            return None;
        };
        let at = section.outbind_listen.origin();
        if listen.port() == 0 {
            self.problem(at, "`outbind-listen` needs a port: the server must know it");
        }
        if section.outbind_password.value.is_none() && section.outbind_allow.value.is_empty() {
            self.problem_with_hint(
                at,
                "whoever connects to `outbind-listen` would be told this server's `system-id` and `password`",
                "add `outbind-password`, or `outbind-allow` with the server's networks",
            );
        }
        if vserver.is_some_and(|vserver| vserver.auth == Auth::Forward) {
            self.problem(
                at,
                "`outbind-listen` needs a vserver with `auth = \"local\"` for the server's messages",
            );
        }
        self.check_outbind_values(section);
        Some(OutbindSettings {
            listen,
            system_id: section.outbind_system_id.value.clone(),
            password: section.outbind_password.value.clone(),
            allow: section.outbind_allow.value.iter().map(Network::parts).collect(),
            connections: section.outbind_connections.value,
        })
    }

    fn check_outbind_values(&mut self, section: &ServerSection) {
        if let Some(system_id) = &section.outbind_system_id.value {
            let key = &section.outbind_system_id;
            self.field_text("outbind-system-id", key, system_id, CREDENTIAL_OCTETS_MAX);
        }
        if let Some(password) = &section.outbind_password.value {
            let (key, text) = (
                &section.outbind_password,
                String::from_utf8_lossy(password.reveal()),
            );
            self.field_text("outbind-password", key, &text, CREDENTIAL_OCTETS_MAX);
        }
        self.number(
            "outbind-connections",
            &section.outbind_connections,
            &(1..=CONNECTIONS_MAX),
        );
    }
}
