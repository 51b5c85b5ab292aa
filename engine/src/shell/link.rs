//! The sockets of one core as the shared part of the shell sees them.
//!
//! A link outlives the engine's connection: after `Action::Close` the engine's handle is dead (and may be re-used),
//! while the link still writes what is left and waits for the peer to finish.
//!
//! Invariants: a [`LinkId`] is never re-used (each use of an index has another generation), so an event for a link that
//! is gone finds nothing.

use super::admission::Ticket;
use super::greeting::Greeting;
use super::tls::Session;
use crate::core::contract::ConnectionId;
use crate::core::time::Moment;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Names one socket of one core, towards the driver and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId {
    /// Place in the table; dense, fit to index a table of the driver's own.
    pub(crate) index: u32,
    generation: u32,
}

impl LinkId {
    /// As one number, for a kernel interface that hands one back with each event.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// From [`to_bits`](Self::to_bits).
    pub(crate) fn from_bits(bits: u64) -> Self {
        let low_half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
        Self {
            index: low_half(bits),
            generation: low_half(bits >> 32),
        }
    }
}

/// What the shared part remembers of one socket.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) phase: Phase,
    /// Octets that were read and that the engine did not take yet: a PDU's beginning, or all that came while paused.
    pub(crate) leftover: BytesMut,
    /// How many octets the PDU at the leftover's beginning lacks at least, as the engine said last.
    pub(crate) missing_octets: usize,
    /// The engine wants to see nothing for now.
    pub(crate) paused: bool,
    /// The peer has closed its sending side.
    pub(crate) read_finished: bool,
    /// The driver holds a buffer of this link that is not wholly written.
    pub(crate) transmitting: bool,
    /// The driver knows the socket of this link (it is not still being resolved).
    pub(crate) in_driver: bool,
    /// A connection that a listener took in; the flow distributor counts these.
    pub(crate) counts_as_flow: bool,
    /// When the phase ends by itself; [`Moment::NEVER`] for not at all.
    pub(crate) deadline: Moment,
    /// Its place among the connections that are counted, where some are.
    pub(crate) ticket: Option<Ticket>,
    /// Its TLS, where it has some.
    pub(crate) tls: Option<Box<Session>>,
}

/// Where a link is in its life.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Not yet open.
    Connecting(ConnectionId, Box<Attempt>),
    /// Accepted; what comes before SMPP is being read. The engine does not know it yet.
    Greeting(Box<Greeting>),
    /// The engine's connection.
    Open(ConnectionId),
    /// The engine closed it; what was handed out is being written. What arrives is discarded.
    Flushing,
    /// All is written and our FIN is out; discards what arrives until the peer's FIN, so that no reset cuts the last
    /// answer off.
    Lingering,
}

/// What is left to try while connecting.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Addresses that were not tried yet, in order.
    pub(crate) addresses: VecDeque<SocketAddr>,
    pub(crate) local_address: Option<IpAddr>,
    /// What was asked for: `host:port`.
    pub(crate) asked: Box<str>,
    /// TCP_USER_TIMEOUT of the connection.
    pub(crate) user_timeout: Option<Duration>,
    /// Why the last address failed.
    pub(crate) last_error: std::io::ErrorKind,
}

impl Link {
    pub(crate) fn new(phase: Phase) -> Self {
        Self {
            phase,
            leftover: BytesMut::new(),
            missing_octets: 1,
            paused: false,
            read_finished: false,
            transmitting: false,
            in_driver: false,
            counts_as_flow: false,
            deadline: Moment::NEVER,
            ticket: None,
            tls: None,
        }
    }

    /// The engine's handle while the engine knows this link.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        match self.phase {
            Phase::Connecting(connection, _) | Phase::Open(connection) => Some(connection),
            Phase::Greeting(_) | Phase::Flushing | Phase::Lingering => None,
        }
    }
}

/// All links of one core.
#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    places: Vec<Place>,
    free: Vec<u32>,
    /// The link of each of the engine's connections, by the connection's index.
    of_connection: Vec<Option<(u32, LinkId)>>,
    /// Those whose index the engine has used again before it gave out its order to close them. Few, and not for long.
    displaced: Vec<(ConnectionId, LinkId)>,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    link: Option<Link>,
}

impl LinkTable {
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Adds a link. `None` when the table is full (four thousand million links).
    pub(crate) fn insert(&mut self, link: Link) -> Option<LinkId> {
        let connection = link.connection();
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.places.len()).ok()?;
                self.places.push(Place {
                    generation: 0,
                    link: None,
                });
                index
            }
        };
        let place = &mut self.places[index as usize];
        place.link = Some(link);
        let id = LinkId {
            index,
            generation: place.generation,
        };
        if let Some(connection) = connection {
            self.remember_connection(connection, id);
        }
        Some(id)
    }

    /// The engine knows a link from now on.
    pub(crate) fn open(&mut self, id: LinkId, connection: ConnectionId) {
        if let Some(link) = self.get_mut(id) {
            link.phase = Phase::Open(connection);
            link.deadline = Moment::NEVER;
            self.remember_connection(connection, id);
        }
    }

    fn remember_connection(&mut self, connection: ConnectionId, id: LinkId) {
        let wanted = connection.index as usize + 1;
        if self.of_connection.len() < wanted {
            self.of_connection.resize(wanted, None);
        }
        let place = &mut self.of_connection[connection.index as usize];
        if let Some((generation, displaced)) = place.replace((connection.generation, id))
            && generation != connection.generation
        {
            let index = connection.index;
            self.displaced
                .push((ConnectionId { index, generation }, displaced));
        }
    }

    pub(crate) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        let place = self.places.get_mut(id.index as usize)?;
        (place.generation == id.generation)
            .then_some(place.link.as_mut())
            .flatten()
    }

    /// Ends a link; later events for it find nothing.
    pub(crate) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let link = place.link.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        if let Some(connection) = link.connection() {
            self.forget_connection(connection);
        }
        Some(link)
    }

    /// The link that carries one of the engine's connections.
    pub(crate) fn of_connection(&self, connection: ConnectionId) -> Option<LinkId> {
        match self.of_connection.get(connection.index as usize) {
            Some(Some((generation, id))) if *generation == connection.generation => Some(*id),
            _ => self.of_displaced(connection),
        }
    }

    fn of_displaced(&self, connection: ConnectionId) -> Option<LinkId> {
        let found = self.displaced.iter().find(|(other, _)| *other == connection);
        found.map(|(_, id)| *id)
    }

    /// The engine's handle is dead; the link may live on.
    pub(crate) fn forget_connection(&mut self, connection: ConnectionId) {
        let Some(place) = self.of_connection.get_mut(connection.index as usize) else {
            return;
        };
        if place.is_some_and(|(generation, _)| generation == connection.generation) {
            *place = None;
        } else {
            self.displaced.retain(|(other, _)| *other != connection);
        }
    }

    /// Every link there is.
    pub(crate) fn ids(&self) -> Vec<LinkId> {
        (0..)
            .zip(&self.places)
            .filter(|(_, place)| place.link.is_some())
            .map(|(index, place)| LinkId {
                index,
                generation: place.generation,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(index: u32, generation: u32) -> ConnectionId {
        ConnectionId { index, generation }
    }

    /// Goal: neither a re-used place nor a re-used connection index lets a stale handle reach the new link.
    #[test]
    fn stale_handles_find_nothing() {
        let mut table = LinkTable::default();
        let first = table
            .insert(Link::new(Phase::Open(connection(7, 1))))
            .expect("room");
        assert_eq!(table.of_connection(connection(7, 1)), Some(first));
        assert!(table.remove(first).is_some());
        assert_eq!(table.of_connection(connection(7, 1)), None);

        let second = table
            .insert(Link::new(Phase::Open(connection(7, 2))))
            .expect("room");
        assert_eq!(second.index, first.index);
        assert!(table.get_mut(first).is_none() && table.remove(first).is_none());
        assert_eq!(table.of_connection(connection(7, 1)), None);
        assert_eq!(table.of_connection(connection(7, 2)), Some(second));
        assert_eq!((table.len(), table.ids()), (1, vec![second]));
    }

    /// Goal: an order to close a connection finds its link also when the engine has used the index again meanwhile, and
    /// leaves the newer one alone; nothing of it stays behind.
    #[test]
    fn a_displaced_connection_is_still_found() {
        let mut table = LinkTable::default();
        let ids = [1, 2, 3].map(|generation| {
            let phase = Phase::Open(connection(7, generation));
            table.insert(Link::new(phase)).expect("room")
        });
        for (generation, id) in (1..).zip(ids) {
            assert_eq!(table.of_connection(connection(7, generation)), Some(id));
        }
        table.forget_connection(connection(7, 2));
        assert!(table.remove(ids[2]).is_some());
        let found = [1, 2, 3].map(|generation| table.of_connection(connection(7, generation)));
        assert_eq!(found, [Some(ids[0]), None, None]);
        assert!(table.remove(ids[0]).is_some() && table.displaced.is_empty());
        assert_eq!(table.of_connection(connection(7, 1)), None);
    }

    /// Goal: a link that lingers does not take its connection's index away from the next one.
    #[test]
    fn forgetting_a_connection_leaves_a_newer_one_alone() {
        let mut table = LinkTable::default();
        let old = table
            .insert(Link::new(Phase::Open(connection(0, 1))))
            .expect("room");
        table.forget_connection(connection(0, 1));
        table.get_mut(old).expect("it lingers").phase = Phase::Lingering;
        let new = table
            .insert(Link::new(Phase::Open(connection(0, 2))))
            .expect("room");
        assert!(table.remove(old).is_some());
        assert_eq!(table.of_connection(connection(0, 2)), Some(new));
    }
}
