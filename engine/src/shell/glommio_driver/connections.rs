//! The sockets of one core on glommio: what the station asks for, and what their tasks do when the kernel has news.
//!
//! Each socket has one task, which does nothing but poll it here. A read fills the core's one read buffer; a write is
//! tried at once by the turn that has the bytes, and only what the kernel did not take waits for the task.

use super::super::driver::{Detached, Driver, Transmission};
use super::super::engine::Engine;
use super::super::link::LinkId;
use super::super::sockets;
use super::super::station::Station;
use super::raw;
use crate::core::contract::Unsent;
use crate::core::time::Moment;
use bytes::BytesMut;
use futures_io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use rustix::net::Shutdown;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

/// All sockets of one core.
#[derive(Debug)]
pub(super) struct Connections {
    /// By the link's index.
    places: Vec<Option<Connection>>,
    /// Sockets whose task is to be started.
    newcomers: Vec<LinkId>,
    /// Sockets that may have more to read, but not in this turn.
    deferred: Vec<LinkId>,
    /// What one read may fill, behind room for the longest leftover.
    read_buffer: Box<[u8]>,
    read_octets: usize,
    turn_budget_octets: usize,
    budget_octets: usize,
}

#[derive(Debug)]
struct Connection {
    link: LinkId,
    stream: TcpStream,
    /// The task's; set by its first poll.
    waker: Option<Waker>,
    connecting: bool,
    reading: bool,
    output: Option<Unsent>,
}

impl Connections {
    pub(super) fn new(read_octets: usize, leftover_octets_max: usize, turn_budget_octets: usize) -> Self {
        Self {
            places: Vec::new(),
            newcomers: Vec::new(),
            deferred: Vec::new(),
            read_buffer: vec![0; read_octets + leftover_octets_max].into_boxed_slice(),
            read_octets,
            turn_budget_octets,
            budget_octets: turn_budget_octets,
        }
    }

    /// Sockets whose task is to be started.
    pub(super) fn newcomers(&mut self) -> impl Iterator<Item = LinkId> {
        self.newcomers.drain(..)
    }

    /// Whether some sockets wait for the next turn to be read on.
    pub(super) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// The reactor has been asked for news: every socket may read again.
    pub(super) fn begin_turn(&mut self) {
        self.budget_octets = self.turn_budget_octets;
        let mut deferred = std::mem::take(&mut self.deferred);
        for link in deferred.drain(..) {
            if let Some(connection) = self.get_mut(link) {
                connection.wake();
            }
        }
        self.deferred = deferred;
    }

    /// The task of `link`: tells the station what the kernel has for it. Ready when the socket is gone.
    pub(super) fn poll<E: Engine>(
        &mut self,
        context: &mut Context<'_>,
        now: Moment,
        station: &mut Station<E>,
        link: LinkId,
    ) -> Poll<()> {
        let Some(connection) = self.get_mut(link) else {
            return Poll::Ready(());
        };
        connection.remember_task(context);
        if connection.connecting {
            match connection.poll_connected(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {
                    connection.connecting = false;
                    station.connected(now, self, link);
                }
                Poll::Ready(Err(error)) => {
                    drop(self.take(link));
                    station.connect_failed(now, self, link, error);
                    return Poll::Ready(());
                }
            }
        }
        self.poll_output(context, now, station, link);
        self.poll_input(context, now, station, link);
        match self.get_mut(link) {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }

    fn poll_output<E: Engine>(
        &mut self,
        context: &mut Context<'_>,
        now: Moment,
        station: &mut Station<E>,
        link: LinkId,
    ) {
        let Some(connection) = self.get_mut(link) else {
            return;
        };
        match connection.poll_output(context) {
            Poll::Pending => {}
            Poll::Ready(Ok(Some(buffer))) => station.transmitted(now, self, link, buffer),
            Poll::Ready(Ok(None)) => self.deferred.push(link),
            Poll::Ready(Err(error)) => station.lost(now, self, link, error, None),
        }
    }

    fn poll_input<E: Engine>(
        &mut self,
        context: &mut Context<'_>,
        now: Moment,
        station: &mut Station<E>,
        link: LinkId,
    ) {
        loop {
            let index = link.index as usize;
            let Some(Some(connection)) = self.places.get_mut(index) else {
                return;
            };
            if connection.link != link || !connection.reading {
                return;
            }
            if self.budget_octets == 0 {
                self.deferred.push(link);
                return;
            }
            let Some(start) = station.stage_leftover(link, &mut self.read_buffer) else {
                return;
            };
            let end = self.read_buffer.len().min(start + self.read_octets);
            match connection.poll_read(context, &mut self.read_buffer[start..end]) {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => {
                    connection.reading = false;
                    station.read_finished(now, self, link);
                }
                Poll::Ready(Ok(octets)) => {
                    self.budget_octets = self.budget_octets.saturating_sub(octets);
                    station.received(now, link, &self.read_buffer[..start + octets]);
                    if start + octets == end {
                        // There may be more. After a shorter read the next poll asks the kernel for readiness.
                        self.deferred.push(link);
                        return;
                    }
                }
                Poll::Ready(Err(error)) => station.lost(now, self, link, error, None),
            }
        }
    }

    fn insert(&mut self, link: LinkId, socket: OwnedFd, connecting: bool) {
        let index = link.index as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        self.places[index] = Some(Connection {
            link,
            stream: raw::stream_over(socket),
            waker: None,
            connecting,
            reading: true,
            output: None,
        });
        self.newcomers.push(link);
    }

    fn get_mut(&mut self, link: LinkId) -> Option<&mut Connection> {
        self.places
            .get_mut(link.index as usize)?
            .as_mut()
            .filter(|connection| connection.link == link)
    }

    fn take(&mut self, link: LinkId) -> Option<Connection> {
        self.get_mut(link)?;
        self.places.get_mut(link.index as usize)?.take()
    }
}

impl Driver for Connections {
    fn adopt(&mut self, link: LinkId, socket: OwnedFd) {
        self.insert(link, socket, false);
    }

    fn await_connected(&mut self, link: LinkId, socket: OwnedFd) {
        self.insert(link, socket, true);
    }

    fn transmit(&mut self, link: LinkId, octets: BytesMut) -> Transmission {
        let mut unsent = Unsent {
            octets,
            written_octets: 0,
        };
        let Some(connection) = self.get_mut(link) else {
            return Transmission::Lost(io::ErrorKind::NotConnected, unsent);
        };
        match sockets::write_now(raw::descriptor_of(&connection.stream), &mut unsent) {
            Ok(true) => Transmission::Complete(unsent.octets),
            Ok(false) => connection.keep_output(unsent),
            Err(error) => Transmission::Lost(error.kind(), unsent),
        }
    }

    fn pause_reading(&mut self, link: LinkId) {
        if let Some(connection) = self.get_mut(link) {
            connection.reading = false;
        }
    }

    fn resume_reading(&mut self, link: LinkId) {
        if let Some(connection) = self.get_mut(link) {
            connection.reading = true;
            connection.wake();
        }
    }

    fn finish_writing(&mut self, link: LinkId) {
        if let Some(connection) = self.get_mut(link) {
            // A connection that is reset already says so to the reader.
            let _ = rustix::net::shutdown(raw::descriptor_of(&connection.stream), Shutdown::Write);
        }
    }

    fn detach(&mut self, link: LinkId) -> Detached {
        let socket = self
            .get_mut(link)
            .map(|connection| rustix::io::fcntl_dupfd_cloexec(raw::descriptor_of(&connection.stream), 0));
        // glommio's streams do not give their descriptor up, so a second one goes on; none may be left.
        let Some(Ok(socket)) = socket else {
            return Detached::Never;
        };
        if let Some(connection) = self.take(link) {
            debug_assert!(connection.output.is_none(), "it is being written");
            // glommio only ever waits for readiness, so nothing that arrived is with the ring. The task shall see that its socket is gone.
            connection.wake();
        }
        Detached::Now(socket)
    }

    fn release(&mut self, link: LinkId) -> Option<Unsent> {
        let connection = self.take(link)?;
        // The ring may hold the socket for a moment longer than we do; the peer shall not wait for that.
        let _ = rustix::net::shutdown(raw::descriptor_of(&connection.stream), Shutdown::Both);
        connection.wake();
        connection.output
    }
}

impl Connection {
    fn remember_task(&mut self, context: &Context<'_>) {
        if self.waker.is_none() {
            self.waker = Some(context.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    fn keep_output(&mut self, unsent: Unsent) -> Transmission {
        self.output = Some(unsent);
        self.wake();
        Transmission::Pending
    }

    /// A socket that is being connected is writable once that is decided; a write of nothing tells how.
    fn poll_connected(&mut self, context: &mut Context<'_>) -> Poll<Result<(), io::ErrorKind>> {
        Pin::new(&mut self.stream)
            .poll_write(context, &[])
            .map(|result| result.map(drop).map_err(|error| error.kind()))
    }

    /// Ready with the buffer when all of it is written, and with nothing when a part of it was: a peer that reads as
    /// fast as we write must not keep the others waiting. Pending also when there is no output.
    fn poll_output(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<BytesMut>, io::ErrorKind>> {
        let Some(output) = &mut self.output else {
            return Poll::Pending;
        };
        let rest = &output.octets[output.written_octets..];
        match ready!(Pin::new(&mut self.stream).poll_write(context, rest)) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero)),
            Ok(octets) => output.written_octets += octets,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Poll::Ready(Err(error.kind())),
        }
        if output.written_octets < output.octets.len() {
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(Ok(self.output.take().map(|output| output.octets)))
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, io::ErrorKind>> {
        loop {
            match Pin::new(&mut self.stream).poll_read(context, buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(octets)) => return Poll::Ready(Ok(octets)),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.kind())),
            }
        }
    }
}
