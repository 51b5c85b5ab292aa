//! The connected sockets of one core: which requests of each are in the kernel's hands, and what follows from a completion.
//!
//! A socket has at most one receive, one look-out for its end, and one send under way. When its link is released its place stays until
//! the last of them is over, and nothing of that reaches the station.
//!
//! The look-out is there because a receive that goes on by itself may be told of octets and a reset at once, hand over the octets, and
//! wait for ever (seen on Linux 6.18, 16 of 90,000 connections that were reset right behind a message; a relative of what
//! axboe/liburing#1549 describes). A look-out is told once and for all, and then the receive is asked for anew, which finds the end.

use super::super::driver::{Detached, Transmission};
use super::super::engine::Engine;
use super::super::link::LinkId;
use super::super::sockets::{connect_result, is_reset};
use super::super::station::Station;
use super::RingDriver;
use super::operation::Operation;
use super::uring::{Completion, Uring};
use crate::core::contract::Unsent;
use crate::core::time::Moment;
use bytes::BytesMut;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::Shutdown;
use std::io;
use std::os::fd::OwnedFd;

/// All sockets of one core.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    places: Vec<Place>,
    free: Vec<u32>,
    /// The place of each link, by the link's index; valid where the place names the link.
    of_link: Vec<u32>,
}

#[derive(Debug, Default)]
struct Place {
    /// None: nobody uses this place.
    socket: Option<OwnedFd>,
    /// None: it only waits for what is in the kernel's hands.
    link: Option<LinkId>,
    in_kernel: u8,
    connecting: bool,
    /// The station wants to hear what arrives.
    reading: bool,
    /// The socket is given away as soon as nothing of it is in the kernel's hands.
    leaves: bool,
    receiving: Receiving,
    look_out: LookOut,
    end: End,
    output: Option<Output>,
    /// Why the connection is lost, while a send must end before the station may hear of it.
    failure: Option<io::ErrorKind>,
}

/// The receive of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Receiving {
    #[default]
    Idle,
    /// It is with the kernel.
    Asked,
    /// It is with the kernel, which was asked to give it up.
    GivenUp,
}

/// What looks out for the end of a socket whose receive may miss it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LookOut {
    #[default]
    Wanted,
    /// It is with the kernel.
    Asked,
    /// It has seen the end, or was given up.
    Over,
}

/// The end of what the peer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// It was read in a pause and is told behind that.
    Untold,
    Told,
}

/// What is being sent.
#[derive(Debug)]
struct Output {
    unsent: Unsent,
    /// What the kernel told of a quiet send that did not write everything.
    quiet_failure: Option<Result<usize, Errno>>,
}

impl Sockets {
    /// A place for a socket, of which nothing was asked yet.
    pub(super) fn insert(&mut self, link: LinkId, socket: OwnedFd, connecting: bool) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            // There are fewer places than descriptors.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        self.places[index as usize] = Place {
            socket: Some(socket),
            link: Some(link),
            connecting,
            reading: true,
            ..Place::default()
        };
        let of_link = link.index as usize;
        if self.of_link.len() <= of_link {
            self.of_link.resize(of_link + 1, u32::MAX);
        }
        self.of_link[of_link] = index;
        index
    }

    /// The links that are not forgotten.
    pub(super) fn links(&self) -> Vec<LinkId> {
        self.places.iter().filter_map(|place| place.link).collect()
    }

    pub(super) fn finish_writing(&mut self, link: LinkId) {
        if let Some((_, place)) = self.of(link)
            && let Some(socket) = &place.socket
        {
            // A connection that is reset already says so to the reader.
            let _ = rustix::net::shutdown(socket, Shutdown::Write);
        }
    }

    /// A quiet send did not write everything; [`RingDriver::end_quiet_sends`] goes on from there.
    pub(super) fn keep_quiet_failure(&mut self, index: u32, completion: &Completion) {
        if let Some(output) = self
            .places
            .get_mut(index as usize)
            .and_then(|place| place.output.as_mut())
        {
            output.quiet_failure = Some(completion.count());
        }
    }

    /// Whether the kernel told of the quiet send of this place that it did not write everything.
    pub(super) fn has_quiet_failure(&self, index: u32) -> bool {
        let place = self.places.get(index as usize);
        let output = place.and_then(|place| place.output.as_ref());
        output.is_some_and(|output| output.quiet_failure.is_some())
    }

    /// The socket that is to be given away, once the kernel has nothing of it; its place is free then.
    fn take_leaving(&mut self, index: u32) -> Option<(LinkId, OwnedFd)> {
        let place = self.places.get_mut(index as usize)?;
        let link = place.link.filter(|_| place.leaves && place.in_kernel == 0)?;
        let socket = std::mem::take(place).socket?;
        self.free.push(index);
        Some((link, socket))
    }

    fn of(&mut self, link: LinkId) -> Option<(u32, &mut Place)> {
        let index = *self.of_link.get(link.index as usize)?;
        let place = self.places.get_mut(index as usize)?;
        (place.link == Some(link)).then_some((index, place))
    }

    fn get_mut(&mut self, index: u32) -> Option<&mut Place> {
        self.places
            .get_mut(index as usize)
            .filter(|place| place.socket.is_some())
    }
}

impl RingDriver<'_> {
    /// Asks the kernel for what is wanted of a socket, or frees the place of one that is forgotten.
    pub(super) fn go_on(&mut self, index: u32) {
        let buffer_octets = self.memory.buffers.octets();
        let sockets = &mut self.memory.sockets;
        let Some(place) = sockets.places.get_mut(index as usize) else {
            return;
        };
        let Some(socket) = &place.socket else {
            return;
        };
        if place.link.is_none() {
            if place.in_kernel == 0 {
                *place = Place::default();
                sockets.free.push(index);
            }
        } else if place.connecting {
            if place.in_kernel == 0 {
                place.in_kernel += 1;
                let operation = Operation::Connect(index);
                self.uring.await_events(socket, operation, PollFlags::OUT);
            }
        } else if place.reading
            && place.receiving == Receiving::Idle
            && place.end == End::Open
            && place.failure.is_none()
        {
            place.receiving = Receiving::Asked;
            place.in_kernel += 1;
            let once =
                (!self.features.multishot_receive).then(|| u32::try_from(buffer_octets).unwrap_or(u32::MAX));
            self.uring.receive(socket, Operation::Receive(index), once);
            if once.is_none() && place.look_out == LookOut::Wanted {
                place.look_out = LookOut::Asked;
                place.in_kernel += 1;
                let operation = Operation::HangUp(index);
                self.uring.await_events(socket, operation, PollFlags::RDHUP);
            }
        }
    }

    pub(super) fn pause(&mut self, link: LinkId) {
        let Some((index, place)) = self.memory.sockets.of(link) else {
            return;
        };
        place.reading = false;
        if place.receiving == Receiving::Asked {
            place.receiving = Receiving::GivenUp;
            self.uring.cancel(Operation::Receive(index));
        }
    }

    pub(super) fn resume(&mut self, link: LinkId) {
        let Some((index, place)) = self.memory.sockets.of(link) else {
            return;
        };
        place.reading = true;
        if place.end == End::Untold {
            place.end = End::Told;
            self.resumed_ends.push(link);
        }
        self.go_on(index);
    }

    /// The station has no more interest in this link.
    pub(super) fn forget(&mut self, link: LinkId) {
        let Some((index, place)) = self.memory.sockets.of(link) else {
            return;
        };
        place.link = None;
        if place.in_kernel > 0 {
            if let Some(socket) = &place.socket {
                // The kernel holds the socket until its requests are over; the peer shall not wait for that.
                let _ = rustix::net::shutdown(socket, Shutdown::Both);
            }
            if place.connecting {
                self.uring.cancel(Operation::Connect(index));
            }
            if place.receiving == Receiving::Asked {
                place.receiving = Receiving::GivenUp;
                self.uring.cancel(Operation::Receive(index));
            }
            if place.output.is_some() {
                self.uring.cancel(Operation::Send(index));
            }
            place.give_up_look_out(&mut self.uring, index);
        }
        self.go_on(index);
    }

    /// The station gives this link's socket away. What the kernel has read by then it still tells.
    pub(super) fn begin_to_leave(&mut self, link: LinkId) -> Detached {
        self.pause(link);
        let Some((index, place)) = self.memory.sockets.of(link) else {
            return Detached::Never;
        };
        debug_assert!(place.output.is_none(), "it is being written");
        place.leaves = true;
        place.give_up_look_out(&mut self.uring, index);
        match self.memory.sockets.take_leaving(index) {
            Some((_, socket)) => Detached::Now(socket),
            None => Detached::Later,
        }
    }

    /// A connect has ended, well or not.
    pub(super) fn connect_ended<E: Engine>(&mut self, now: Moment, station: &mut Station<E>, index: u32) {
        let Some(place) = self.memory.sockets.get_mut(index) else {
            return;
        };
        place.in_kernel -= 1;
        place.connecting = false;
        if let (Some(link), Some(socket)) = (place.link, &place.socket) {
            match connect_result(socket) {
                Ok(()) => station.connected(now, self, link),
                Err(error) => {
                    place.link = None;
                    station.connect_failed(now, self, link, error.kind());
                }
            }
        }
        self.go_on(index);
    }

    /// Octets have arrived, or the peer's end, or an error; gives how many octets.
    pub(super) fn received<E: Engine>(
        &mut self,
        now: Moment,
        station: &mut Station<E>,
        index: u32,
        completion: &Completion,
    ) -> usize {
        let memory = &mut *self.memory;
        let Some(place) = memory.sockets.get_mut(index) else {
            return 0;
        };
        if !completion.more() {
            place.receiving = Receiving::Idle;
            place.in_kernel -= 1;
        }
        let link = place.link;
        let count = completion.count();
        if let Some(buffer) = completion.buffer() {
            if let (Some(link), Ok(octets)) = (link, count) {
                station.received_apart(now, link, memory.buffers.filled(buffer, octets));
            }
            memory.buffers.give_back(buffer);
        }
        if let Some(link) = link {
            match count {
                Ok(0) => self.end_of_input(now, station, link),
                // No buffer was free, or the receive was given up: `go_on` asks again where that is wanted.
                Ok(_) | Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
                Err(error) => self.lose(now, station, link, io::Error::from(error).kind()),
            }
        }
        self.go_on_or_leave(now, station, index);
        count.unwrap_or_default()
    }

    /// The peer has closed its side or the connection is lost, or nobody wants to know any more.
    pub(super) fn hung_up<E: Engine>(&mut self, now: Moment, station: &mut Station<E>, index: u32) {
        let Some(place) = self.memory.sockets.get_mut(index) else {
            return;
        };
        place.in_kernel -= 1;
        place.look_out = LookOut::Over;
        if place.receiving == Receiving::Asked {
            // Asked for anew it comes to the end, behind what is still to be read.
            place.receiving = Receiving::GivenUp;
            self.uring.cancel(Operation::Receive(index));
        }
        self.go_on_or_leave(now, station, index);
    }

    /// Something of a socket is over.
    fn go_on_or_leave<E: Engine>(&mut self, now: Moment, station: &mut Station<E>, index: u32) {
        match self.memory.sockets.take_leaving(index) {
            Some((link, socket)) => station.detached(now, self, link, socket),
            None => self.go_on(index),
        }
    }

    fn end_of_input<E: Engine>(&mut self, now: Moment, station: &mut Station<E>, link: LinkId) {
        let Some((_, place)) = self.memory.sockets.of(link) else {
            return;
        };
        if place.output.is_some() && place.socket.as_ref().is_some_and(is_reset) {
            // The engine wants what was not sent back.
            self.lose(now, station, link, io::ErrorKind::ConnectionReset);
        } else if place.reading {
            place.end = End::Told;
            station.read_finished(now, self, link);
        } else {
            place.end = End::Untold;
        }
    }

    /// The connection is lost. Where a send is under way the station hears of it when that is over, with what was left.
    fn lose<E: Engine>(
        &mut self,
        now: Moment,
        station: &mut Station<E>,
        link: LinkId,
        failure: io::ErrorKind,
    ) {
        let Some((_, place)) = self.memory.sockets.of(link) else {
            return;
        };
        if place.output.is_none() {
            station.lost(now, self, link, failure, None);
            return;
        }
        place.failure = Some(failure);
        if let Some(socket) = &place.socket {
            // Ends a send that waits for room.
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
        }
    }
}

impl RingDriver<'_> {
    /// Sends `octets` with the next turn's system call.
    pub(super) fn begin_send(&mut self, link: LinkId, octets: BytesMut) -> Transmission {
        let unsent = Unsent {
            octets,
            written_octets: 0,
        };
        let Some((index, place)) = self.memory.sockets.of(link) else {
            return Transmission::Lost(io::ErrorKind::NotConnected, unsent);
        };
        debug_assert!(place.output.is_none(), "one buffer at a time");
        place.output = Some(Output {
            unsent,
            quiet_failure: None,
        });
        if self.features.quiet_sends {
            self.send_quietly(index);
        } else {
            self.send(index);
        }
        Transmission::Pending
    }

    fn send_quietly(&mut self, index: u32) {
        if let Some(place) = self.memory.sockets.get_mut(index)
            && let (Some(socket), Some(output)) = (&place.socket, &place.output)
        {
            place.in_kernel += 1;
            let operation = Operation::QuietSend(index);
            // SAFETY: the buffer stays in this place, untouched, until `end_quiet_sends` finds that the send is over.
            unsafe { self.uring.send_quietly(socket, operation, output.rest()) };
            self.quiet_sends.push(index);
        }
    }

    fn send(&mut self, index: u32) {
        if let Some(place) = self.memory.sockets.get_mut(index)
            && let (Some(socket), Some(output)) = (&place.socket, &place.output)
        {
            place.in_kernel += 1;
            // SAFETY: the buffer stays in this place, untouched, until the completion comes.
            unsafe { self.uring.send(socket, Operation::Send(index), output.rest()) };
        }
    }

    /// The quiet sends that the kernel has got are over: those of which it told nothing have written everything.
    pub(super) fn end_quiet_sends<E: Engine>(&mut self, now: Moment, station: &mut Station<E>) {
        let over = std::mem::take(&mut self.quiet_sends_over);
        let mut quiet_sends = std::mem::take(&mut self.quiet_sends);
        for index in quiet_sends.drain(..over) {
            let Some(place) = self.memory.sockets.get_mut(index) else {
                continue;
            };
            place.in_kernel -= 1;
            let failure = place
                .output
                .as_mut()
                .and_then(|output| output.quiet_failure.take());
            let result = failure.unwrap_or_else(|| {
                self.uring.count_quiet_success();
                Ok(place.output.as_ref().map_or(0, |output| output.rest().len()))
            });
            self.sent(now, station, index, result);
        }
        // What was queued meanwhile waits behind what is left.
        quiet_sends.append(&mut self.quiet_sends);
        self.quiet_sends = quiet_sends;
    }

    /// A send that waited for its socket has ended.
    pub(super) fn send_ended<E: Engine>(
        &mut self,
        now: Moment,
        station: &mut Station<E>,
        index: u32,
        completion: &Completion,
    ) {
        if let Some(place) = self.memory.sockets.get_mut(index) {
            place.in_kernel -= 1;
            self.sent(now, station, index, completion.count());
        }
    }

    /// A send is over: all is written, or the rest follows, or the connection is lost.
    fn sent<E: Engine>(
        &mut self,
        now: Moment,
        station: &mut Station<E>,
        index: u32,
        result: Result<usize, Errno>,
    ) {
        let Some(place) = self.memory.sockets.get_mut(index) else {
            return;
        };
        let Some(mut output) = place.output.take() else {
            return;
        };
        let Some(link) = place.link else {
            self.go_on(index);
            return;
        };
        let failure = match result {
            Ok(octets) => {
                output.unsent.written_octets += octets;
                None
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(error) => Some(io::Error::from(error).kind()),
        };
        if let Some(failure) = place.failure.or(failure) {
            station.lost(now, self, link, failure, Some(output.unsent));
        } else if output.rest().is_empty() {
            station.transmitted(now, self, link, output.unsent.octets);
        } else {
            place.output = Some(output);
            self.send(index);
        }
    }
}

impl Place {
    fn give_up_look_out(&mut self, uring: &mut Uring<'_>, index: u32) {
        if self.look_out == LookOut::Asked {
            self.look_out = LookOut::Over;
            uring.cancel(Operation::HangUp(index));
        }
    }
}

impl Output {
    fn rest(&self) -> &[u8] {
        let written_octets = self.unsent.written_octets;
        self.unsent.octets.get(written_octets..).unwrap_or_default()
    }
}
