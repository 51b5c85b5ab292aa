//! How many sessions a server sees: `connections` on each core, or with `connections-total` so many from all cores together.
//!
//! An SMSC that allows an account n binds refuses the next one, so there must never be more, not even for a moment: neither in
//! what the engines hold, nor as the SMSC counts them. A session counts until its engine has closed the connection (what is under
//! way then is the network's) or the server has unbound it.

use crate::event::LinkId;
use crate::link::{End, Link, Peer};
use crate::world::World;
use smppmux_engine::core::settings::{Connections, ServerBind, ServerSettings};

/// How many kinds of sessions it has: transmitters and receivers, or transceivers.
fn kinds(settings: &ServerSettings) -> usize {
    if settings.bind == ServerBind::Both { 2 } else { 1 }
}

impl World {
    /// A turn has ended in which an engine asked for connections, and perhaps closed others.
    pub(crate) fn check_connections(&self, index: usize, core: usize) {
        let Some((limit, whose)) = self.limit_of(index, core) else {
            return;
        };
        let wanted = limit * kinds(&self.scenario.settings.servers[index]);
        // One that has been unbound the server does not count any more, though last octets may still be on their way there.
        let is_held = |link: &Link| link.engine_end != End::Closed && !link.session.is_leaving;
        let held = self
            .own_sessions(index, whose)
            .filter(|(_, link)| is_held(link))
            .count();
        assert!(
            held <= wanted,
            "there are {held} connections to server {index} from {}, of {wanted}",
            name_of(whose)
        );
    }

    /// A server has got a bind of this kind on a link.
    pub(crate) fn check_binds(&self, index: usize, id: LinkId, kind: u32) {
        let link = &self.links[id];
        let Some((limit, whose)) = self.limit_of(index, link.engine) else {
            return;
        };
        let is_there = |link: &Link| {
            let session = &link.session;
            session.bound.is_some_and(|(other, _)| other == kind) && !session.is_leaving && link.is_open()
        };
        // An engine that has closed it meanwhile does not want its answer.
        let is_asked_for = link.session.call.is_none() && link.engine_end == End::Open;
        let others = self
            .own_sessions(index, whose)
            .filter(|(other, link)| *other != id && is_there(link))
            .count();
        assert!(
            others < limit || !is_asked_for,
            "server {index} gets bind {} of kind {kind} from {}, of {limit}",
            others + 1,
            name_of(whose)
        );
    }

    /// All is well: a server sees what is asked, of each kind.
    pub(crate) fn check_server_sessions(&self, index: usize) {
        let settings = &self.scenario.settings.servers[index];
        let cores = self.hosts.iter().filter(|host| host.serves()).count();
        let wanted = match settings.connections {
            Connections::PerCore(count) => count as usize * cores,
            Connections::Total(count) => count as usize,
        };
        let mut bound = std::collections::BTreeMap::new();
        for (id, kind) in self.bound_sessions(index) {
            if self.links[id].session.call.is_none() {
                *bound.entry(kind).or_insert(0) += 1;
            }
        }
        assert!(
            bound.len() == kinds(settings) && bound.values().all(|count| *count == wanted),
            "sessions at server {index} by kind: {bound:?}, instead of {wanted}, though all is well"
        );
    }

    /// How many connections of each kind there may be to a server, and from which core; `None`: from all together.
    fn limit_of(&self, index: usize, core: usize) -> Option<(usize, Option<usize>)> {
        if self.scenario.is_forward {
            return None;
        }
        Some(match self.scenario.settings.servers[index].connections {
            Connections::PerCore(count) => (count as usize, Some(core)),
            Connections::Total(count) => (count as usize, None),
        })
    }

    /// The sessions that an engine, or all of them, have opened at a server, but for those of cores that are gone.
    fn own_sessions(&self, index: usize, whose: Option<usize>) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().enumerate().filter(move |(_, link)| {
            let is_own = link.peer == Peer::Smsc(index) && link.session.call.is_none();
            is_own && whose.is_none_or(|core| link.engine == core) && !self.hosts[link.engine].is_gone
        })
    }
}

fn name_of(whose: Option<usize>) -> String {
    whose.map_or_else(|| "all cores".to_owned(), |core| format!("core {core}"))
}
