//! Passing PDUs on: the one copy from where a PDU was read into the output buffer of where it goes.
//!
//! Invariant: the entry in the window exists before the octets are in the buffer, so an answer always finds it.

use super::contract::ConnectionId;
use super::engine::PacketEngine;
use super::sequence::{Journey, Mark, Origin, Pending};
use super::session::{Session, Side};
use super::time::Moment;
use super::timer::TimerKey;
use super::versions::status_for;
use super::wire::{CommandId, Status, patch_copy, write_header_only};
use bytes::BytesMut;
use std::time::Duration;

/// A PDU to pass on: all of it, or with a piece left out (the tag of an id, the TLVs before a v3.3 peer).
#[derive(Clone, Copy, Debug)]
pub(super) struct Relay<'a> {
    head: &'a [u8],
    tail: &'a [u8],
}

impl<'a> Relay<'a> {
    pub(super) const fn whole(pdu: &'a [u8]) -> Self {
        Self { head: pdu, tail: &[] }
    }

    /// Without the octets of `cut`, a range inside the PDU; an empty one leaves out nothing.
    #[inline]
    pub(super) fn without(pdu: &'a [u8], cut: std::ops::Range<usize>) -> Self {
        if cut.is_empty() {
            return Self::whole(pdu);
        }
        match (pdu.get(..cut.start), pdu.get(cut.end..)) {
            (Some(head), Some(tail)) => Self { head, tail },
            _ => Self::whole(pdu),
        }
    }

    #[inline]
    pub(super) fn octets(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    #[inline(always)]
    pub(super) fn append_to(&self, buffer: &mut BytesMut, sequence_number: u32) {
        let start = buffer.len();
        buffer.extend_from_slice(self.head);
        if !self.tail.is_empty() {
            buffer.extend_from_slice(self.tail);
        }
        patch_copy(&mut buffer[start..], sequence_number);
    }
}

impl PacketEngine {
    /// Sends a request to a session, with a number of our own. `false`: its window is full or it is gone; nothing happened.
    #[inline]
    pub(super) fn send_request(
        &mut self,
        now: Moment,
        to: ConnectionId,
        relay: Relay<'_>,
        origin: Origin,
        command: CommandId,
        rerouted: bool,
    ) -> bool {
        let pending = Pending {
            mark: Mark::new(u8::from(rerouted), 0),
            ..Pending::new(origin, command, now)
        };
        self.send_pending(now, to, relay, pending)
    }

    /// The same for a client's request, which may have been under way before.
    #[inline(always)]
    pub(super) fn send_journey(
        &mut self,
        now: Moment,
        to: ConnectionId,
        relay: Relay<'_>,
        origin: Origin,
        command: CommandId,
        journey: Journey,
    ) -> bool {
        let pending = Pending::on_journey(origin, command, now, journey);
        self.send_pending(now, to, relay, pending)
    }

    /// The same with an entry that says more; its place in the stream is filled in here.
    #[inline(always)]
    pub(super) fn send_pending(
        &mut self,
        now: Moment,
        to: ConnectionId,
        relay: Relay<'_>,
        mut pending: Pending,
    ) -> bool {
        let Some(session) = self.sessions.writable(to) else {
            return false;
        };
        let octets = relay.octets();
        pending.stream_end = session.output.stream_end() + octets as u64;
        pending.octets = u32::try_from(octets).unwrap_or(u32::MAX);
        let Some(number) = session.window.reserve(pending) else {
            return false;
        };
        relay.append_to(session.output.open(&mut self.buffers), number);
        session.output.request_appended();
        list_writable(&mut self.outbox, to, session);
        // How long this peer may take to answer, and whose window has become fuller.
        let (timeout, counted) = match &session.side {
            Side::Server(side) => {
                session.exchanges.client_request(pending.command);
                let timeout = self.settings.servers[usize::from(side.server.0)].response_timeout;
                (timeout, side.is_counted.then_some(side.server))
            }
            Side::Client(client) => {
                session.exchanges.server_request(pending.command);
                let timeout = self.settings.vservers[usize::from(client.vserver.0)].response_timeout;
                (timeout, None)
            }
            Side::Gone => (Duration::MAX, None),
        };
        self.timers
            .arm(&mut session.armed_at, now + timeout, TimerKey::Session(to));
        if let Some(server) = counted {
            self.count_server_request(now, server, pending.command);
        }
        true
    }

    /// Appends a whole PDU with the given number, without an entry: answers, and requests that have none.
    #[inline]
    pub(super) fn send_copy(&mut self, to: ConnectionId, pdu: &[u8], sequence_number: u32) {
        if let Some(session) = self.sessions.writable(to) {
            Relay::whole(pdu).append_to(session.output.open(&mut self.buffers), sequence_number);
            list_writable(&mut self.outbox, to, session);
        }
    }

    /// Appends a PDU that is only a header.
    pub(super) fn send_header(
        &mut self,
        to: ConnectionId,
        command: CommandId,
        status: Status,
        sequence_number: u32,
    ) {
        if let Some(session) = self.sessions.writable(to) {
            let status = status_for(session.version, status);
            let output = session.output.open(&mut self.buffers);
            write_header_only(output, command, status, sequence_number);
            list_writable(&mut self.outbox, to, session);
        }
    }

    /// Lets `write` append to a session's output.
    #[inline]
    pub(super) fn write_to(&mut self, to: ConnectionId, write: impl FnOnce(&mut BytesMut)) {
        if let Some(session) = self.sessions.writable(to) {
            write(session.output.open(&mut self.buffers));
            list_writable(&mut self.outbox, to, session);
        }
    }
}

/// Puts a session on the list of those with bytes to write, once.
#[inline(always)]
pub(super) fn list_writable(
    outbox: &mut super::outbox::Outbox,
    connection: ConnectionId,
    session: &mut Session,
) {
    if session.output.listed {
        return;
    }
    if session.output.may_hand_out() {
        session.output.listed = true;
        outbox.writable.push(connection);
    } else {
        // What is in flight goes first.
        outbox.awaits_transmitted |= !session.output.is_idle();
    }
}
