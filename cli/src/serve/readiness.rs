//! When smppmux is ready: it listens, and every server has the sessions that it should have, or has had time enough.

use smppmux_engine::core::contract::{CoreIndex, Notice};
use smppmux_engine::core::settings::{Connections, ServerSettings, Settings};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tracing::info;

/// Servers that are not bound by then are not waited for.
const WAIT_FOR_SERVERS: Duration = Duration::from_secs(3);

/// Waits for the servers, then says once that smppmux is ready.
#[derive(Debug)]
pub(super) struct Readiness {
    awaited: Option<HashSet<(u16, CoreIndex)>>,
    servers: usize,
    deadline: Instant,
}

impl Readiness {
    /// Starts to wait.
    pub(super) fn new(settings: &Settings, cores: u16, now: Instant) -> Self {
        let awaited = (0..).zip(&settings.servers).flat_map(|(index, server)| {
            cores_with_sessions(server, cores)
                .into_iter()
                .map(move |core| (index, core))
        });
        Self {
            awaited: Some(awaited.collect()),
            servers: settings.servers.len(),
            deadline: now + WAIT_FOR_SERVERS,
        }
    }

    /// Takes note of a bound server.
    pub(super) fn note(&mut self, core: CoreIndex, notice: &Notice) {
        if let (Some(awaited), Notice::ServerBound { server }) = (&mut self.awaited, notice) {
            // A total of sessions may be anywhere: the first one counts for the server.
            awaited.retain(|(index, of)| *index != server.0 || (*of != core && *of != ANY_CORE));
        }
    }

    /// Says "smppmux ready", once.
    pub(super) fn tell(&mut self, now: Instant) {
        let Some(awaited) = &self.awaited else { return };
        if awaited.is_empty() || now >= self.deadline {
            let unbound: HashSet<u16> = awaited.iter().map(|(server, _)| *server).collect();
            let servers = format!("{}/{}", self.servers - unbound.len(), self.servers);
            info!(servers, "smppmux ready");
            self.awaited = None;
        }
    }
}

/// Stands for "some core".
const ANY_CORE: CoreIndex = CoreIndex(u16::MAX);

fn cores_with_sessions(server: &ServerSettings, cores: u16) -> Vec<CoreIndex> {
    match server.connections {
        Connections::PerCore(_) => (0..cores).map(CoreIndex).collect(),
        Connections::Total(_) => vec![ANY_CORE],
    }
}
