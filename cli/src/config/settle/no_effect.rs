//! Keys whose features come with later versions: one warning for each, so that nobody relies on what does not
//! happen.

use super::Settling;
use crate::config::client::ClientSection;
use crate::config::key::{Key, Origin};
use crate::config::server::ServerSection;
use smppmux_flow_distributor::Scheme;

impl Settling<'_> {
    /// Warns once of each key that is set and does nothing.
    pub(super) fn warn_of_no_effect(&mut self) {
        let configuration = self.configuration;
        let distribution = &configuration.engine.section.distribution;
        if distribution.value == Scheme::Account {
            self.no_effect(
                distribution,
                "distribution = \"account\"",
                "connections stay on the core that accepted them",
            );
        }
        for item in &configuration.servers {
            self.warn_of_server_keys(&item.section);
        }
        self.warn_of_client_keys();
    }

    fn warn_of_server_keys(&mut self, section: &ServerSection) {
        if section.tls.value.0 {
            self.no_effect(&section.tls, "tls", "this connection is NOT encrypted");
        }
    }

    /// There may be very many clients, so each key is told once, at its first place.
    fn warn_of_client_keys(&mut self) {
        let clients = &self.configuration.clients;
        let first = |origin_if_set: fn(&ClientSection) -> Option<&Origin>| {
            clients.iter().find_map(|item| origin_if_set(&item.section))
        };
        let hash = first(|section| {
            section
                .password_hash
                .is_set()
                .then(|| section.password_hash.origin())
        });
        for (origin, key, instead) in [(hash, "password-hash", "only `password` is compared")] {
            if let Some(origin) = origin {
                self.warn(
                    origin,
                    format!("a client's `{key}` has no effect in this version: {instead}"),
                );
            }
        }
    }

    fn no_effect<T>(&mut self, key: &Key<T>, name: &str, instead: &str) {
        self.warn(
            key.origin(),
            format!("`{name}` has no effect in this version: {instead}"),
        );
    }
}
