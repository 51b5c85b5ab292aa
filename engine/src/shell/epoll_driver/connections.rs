//! The connected sockets of one core: what is wanted of each, and what the kernel has for it.

use super::super::driver::{Detached, Transmission};
use super::super::engine::Engine;
use super::super::link::LinkId;
use super::super::sockets;
use super::super::station::Station;
use super::{EpollDriver, Source};
use crate::core::contract::Unsent;
use crate::core::time::Moment;
use bytes::BytesMut;
use rustix::event::epoll::{self, EventFlags};
use rustix::net::{RecvFlags, Shutdown};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// What epoll tells whether it was asked or not.
const BROKEN: EventFlags = EventFlags::ERR.union(EventFlags::HUP);

#[derive(Debug)]
pub(super) struct Connections {
    /// By the link's index.
    places: Vec<Option<Connection>>,
    /// What one read may fill, behind room for the longest leftover.
    read_buffer: Box<[u8]>,
    read_octets: usize,
}

#[derive(Debug)]
pub(super) struct Connection {
    link: LinkId,
    socket: OwnedFd,
    connecting: bool,
    reading: bool,
    pub(super) output: Option<Unsent>,
    /// What the epoll set has for it; empty: it is not in the set.
    registered: EventFlags,
}

impl Connections {
    pub(super) fn new(read_octets: usize, leftover_octets_max: usize) -> Self {
        Self {
            places: Vec::new(),
            read_buffer: vec![0; read_octets + leftover_octets_max].into_boxed_slice(),
            read_octets,
        }
    }

    pub(super) fn insert(&mut self, epoll: impl AsFd, link: LinkId, socket: OwnedFd, connecting: bool) {
        let index = link.index as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        let connection = self.places[index].insert(Connection {
            link,
            socket,
            connecting,
            reading: true,
            output: None,
            registered: EventFlags::empty(),
        });
        connection.register(epoll);
    }

    pub(super) fn transmit(&mut self, epoll: impl AsFd, link: LinkId, octets: BytesMut) -> Transmission {
        let mut unsent = Unsent {
            octets,
            written_octets: 0,
        };
        let Some(connection) = self.get_mut(link) else {
            return Transmission::Lost(io::ErrorKind::NotConnected, unsent);
        };
        match sockets::write_now(&connection.socket, &mut unsent) {
            Ok(true) => Transmission::Complete(unsent.octets),
            Ok(false) => {
                connection.output = Some(unsent);
                connection.register(epoll);
                Transmission::Pending
            }
            Err(error) => Transmission::Lost(error.kind(), unsent),
        }
    }

    pub(super) fn set_reading(&mut self, epoll: impl AsFd, link: LinkId, reading: bool) {
        if let Some(connection) = self.get_mut(link) {
            connection.reading = reading;
            connection.register(epoll);
        }
    }

    pub(super) fn finish_writing(&mut self, link: LinkId) {
        if let Some(connection) = self.get_mut(link) {
            // A connection that is reset already says so to the reader.
            let _ = rustix::net::shutdown(&connection.socket, Shutdown::Write);
        }
    }

    pub(super) fn detach(&mut self, epoll: impl AsFd, link: LinkId) -> Detached {
        let Some(connection) = self.take(link) else {
            return Detached::Never;
        };
        debug_assert!(connection.output.is_none(), "it is being written");
        if !connection.registered.is_empty() {
            // It is in the set, and the set is there: nothing to fail. The socket stays open, so it would not leave by itself.
            let _ = epoll::delete(epoll, &connection.socket);
        }
        Detached::Now(connection.socket)
    }

    pub(super) fn take(&mut self, link: LinkId) -> Option<Connection> {
        self.get_mut(link)?;
        self.places.get_mut(link.index as usize)?.take()
    }

    fn get_mut(&mut self, link: LinkId) -> Option<&mut Connection> {
        self.places
            .get_mut(link.index as usize)?
            .as_mut()
            .filter(|connection| connection.link == link)
    }
}

impl Connection {
    /// Brings the epoll set up to date with what is wanted.
    fn register(&mut self, epoll: impl AsFd) {
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, self.reading && !self.connecting);
        wanted.set(EventFlags::OUT, self.connecting || self.output.is_some());
        if wanted == self.registered {
            return;
        }
        let data = Source::Link(self.link).data();
        let done = if wanted.is_empty() {
            epoll::delete(epoll, &self.socket)
        } else if self.registered.is_empty() {
            epoll::add(epoll, &self.socket, data, wanted)
        } else {
            epoll::modify(epoll, &self.socket, data, wanted)
        };
        match done {
            Ok(()) => self.registered = wanted,
            // The kernel has no room for one more socket in a set (`fs.epoll.max_user_watches`): a connection that can't
            // be served must not hang, and its peer hears so.
            Err(error) => {
                tracing::error!(%error, "a connection cannot be watched and is cut off");
                let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
            }
        }
    }
}

impl EpollDriver {
    /// Tells the station what the kernel has for `link`; gives the octets that were read.
    pub(super) fn serve<E: Engine>(
        &mut self,
        now: Moment,
        station: &mut Station<E>,
        link: LinkId,
        events: EventFlags,
    ) -> usize {
        let Some(connection) = self.connections.get_mut(link) else {
            return 0;
        };
        if connection.connecting {
            self.finish_connecting(now, station, link);
            return 0;
        }
        if connection.output.is_some() && events.intersects(EventFlags::OUT.union(BROKEN)) {
            self.write_on(now, station, link);
        }
        if events.intersects(EventFlags::IN.union(BROKEN)) {
            return self.read(now, station, link);
        }
        0
    }

    fn finish_connecting<E: Engine>(&mut self, now: Moment, station: &mut Station<E>, link: LinkId) {
        let Some(connection) = self.connections.get_mut(link) else {
            return;
        };
        match sockets::connect_result(&connection.socket) {
            Ok(()) => {
                connection.connecting = false;
                connection.register(&self.epoll);
                station.connected(now, self, link);
            }
            Err(error) => {
                drop(self.connections.take(link));
                station.connect_failed(now, self, link, error.kind());
            }
        }
    }

    fn write_on<E: Engine>(&mut self, now: Moment, station: &mut Station<E>, link: LinkId) {
        let Some(connection) = self.connections.get_mut(link) else {
            return;
        };
        let Some(mut unsent) = connection.output.take() else {
            return;
        };
        match sockets::write_now(&connection.socket, &mut unsent) {
            Ok(true) => {
                connection.register(&self.epoll);
                station.transmitted(now, self, link, unsent.octets);
            }
            Ok(false) => connection.output = Some(unsent),
            Err(error) => station.lost(now, self, link, error.kind(), Some(unsent)),
        }
    }

    fn read<E: Engine>(&mut self, now: Moment, station: &mut Station<E>, link: LinkId) -> usize {
        let buffer = &mut self.connections.read_buffer;
        let Some(Some(connection)) = self.connections.places.get_mut(link.index as usize) else {
            return 0;
        };
        if connection.link != link || !connection.reading {
            return 0;
        }
        let Some(start) = station.stage_leftover(link, buffer) else {
            return 0;
        };
        let end = buffer.len().min(start + self.connections.read_octets);
        match rustix::net::recv(&connection.socket, &mut buffer[start..end], RecvFlags::DONTWAIT) {
            Ok((0, _)) => {
                connection.reading = false;
                connection.register(&self.epoll);
                station.read_finished(now, self, link);
                0
            }
            Ok((octets, _)) => {
                station.received(now, link, &buffer[..start + octets]);
                octets
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
            Err(error) => {
                station.lost(now, self, link, error.kind(), None);
                0
            }
        }
    }
}
