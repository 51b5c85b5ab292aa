//! When smppmux is ready: it listens, and every server has the sessions that it should have, or has had time
//! enough.

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

    /// Whether "smppmux ready" was said.
    pub(super) const fn is_told(&self) -> bool {
        self.awaited.is_none()
    }

    /// Says "smppmux ready", once. True: now.
    pub(super) fn tell(&mut self, now: Instant) -> bool {
        let Some(awaited) = &self.awaited else {
            return false;
        };
        let is_ready = awaited.is_empty() || now >= self.deadline;
        if is_ready {
            let unbound: HashSet<u16> = awaited.iter().map(|(server, _)| *server).collect();
            let servers = format!("{}/{}", self.servers - unbound.len(), self.servers);
            info!(servers, "smppmux ready");
            self.awaited = None;
        }
        is_ready
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Configuration, settle};
    use smppmux_engine::core::settings::ServerIndex;

    const FILE: &str = "[[vserver]]\nname = \"v\"\nlisten = [\"127.0.0.1:2775\"]\n\
        [[server]]\nname = \"a\"\nuid = \"0A\"\naddress = \"h:1\"\nsystem-id = \"m\"\npassword = \"x\"\n\
        [[server]]\nname = \"b\"\nuid = \"0B\"\naddress = \"h:2\"\nsystem-id = \"m\"\npassword = \"x\"\n\
        connections-total = 1\n";

    /// Goal: it waits for a session of every core, or of any core where there is only a total; not for ever.
    #[test]
    fn it_waits_for_every_server() {
        let (configuration, problems) = Configuration::parse(FILE).expect("this is TOML");
        let effective = settle(&configuration, problems, &[0, 1])
            .effective
            .expect("it is right");
        let start = Instant::now();
        let mut readiness = Readiness::new(&effective.settings, 2, start);
        for (core, server) in [(0, 0), (1, 1), (1, 0)] {
            assert!(
                !readiness.tell(start),
                "not before core {core} has bound server {server}"
            );
            let server = ServerIndex(server);
            readiness.note(CoreIndex(core), &Notice::ServerBound { server });
        }
        assert!(readiness.tell(start) && readiness.is_told());
        assert!(!readiness.tell(start), "once is enough");

        let mut alone = Readiness::new(&effective.settings, 2, start);
        assert!(alone.tell(start + WAIT_FOR_SERVERS) && alone.is_told());
    }
}
