//! How many sessions a server sees: `connections` on each core, or with `connections-total` so many from all cores together.
//!
//! An SMSC that allows an account n binds refuses the next one, so with a total there must never be more, not even for a moment:
//! neither in what the engines hold, nor as the SMSC counts them. A session counts until its engine has closed the connection (what
//! is under way then is the network's).

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
    pub(crate) fn check_connections_total(&self, index: usize) {
        let Some(total) = self.total_of(index) else { return };
        let wanted = total * kinds(&self.scenario.settings.servers[index]);
        // One that has been unbound the server does not count any more, though last octets may still be on their way there.
        let is_held = |link: &Link| link.engine_end != End::Closed && !link.session.is_leaving;
        let held = self.own_sessions(index).filter(|(_, link)| is_held(link)).count();
        assert!(
            held <= wanted,
            "the engines have {held} connections to server {index}, where connections-total says {wanted}"
        );
    }

    /// A server has got a bind of this kind on a link.
    pub(crate) fn check_binds_total(&self, index: usize, id: LinkId, kind: u32) {
        let Some(total) = self.total_of(index) else { return };
        let is_there = |link: &Link| {
            let session = &link.session;
            session.bound.is_some_and(|(other, _)| other == kind) && !session.is_leaving && link.is_open()
        };
        // An engine that has closed it meanwhile does not want its answer.
        let link = &self.links[id];
        let is_asked_for = link.session.call.is_none() && link.engine_end == End::Open;
        let others = self
            .own_sessions(index)
            .filter(|(other, link)| *other != id && is_there(link))
            .count();
        assert!(
            others < total || !is_asked_for,
            "server {index} gets bind {} of kind {kind}, where connections-total says {total}",
            others + 1
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

    fn total_of(&self, index: usize) -> Option<usize> {
        match self.scenario.settings.servers[index].connections {
            Connections::Total(count) if !self.scenario.is_forward => Some(count as usize),
            _ => None,
        }
    }

    /// The sessions that engines have opened at a server, but for those of cores that are gone.
    fn own_sessions(&self, index: usize) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().enumerate().filter(move |(_, link)| {
            let is_own = link.peer == Peer::Smsc(index) && link.session.call.is_none();
            is_own && !self.hosts[link.engine].is_gone
        })
    }
}
