//! The packet engine: the whole SMPP logic of one core behind `handle_*` and `poll_*`.

use super::contract::{
    Action, ClosedBy, Command, ConnectionId, CoreIndex, Notice, ReadOutcome, Transmit, Unsent,
};
use super::core_message::CoreMessage;
use super::report::Report;
use super::settings::{Settings, VserverIndex};
use super::time::Moment;
use bytes::BytesMut;
use std::net::SocketAddr;
use std::sync::Arc;

/// The packet engine of one core.
///
/// # Order of calls
///
/// Something happens: call the matching `handle_*`. Several may follow each other; together they are one *turn*.
/// When the turn ends, call until each says `None`, in this order: [`poll_transmit`](Self::poll_transmit),
/// [`poll_core_message`](Self::poll_core_message), [`poll_action`](Self::poll_action),
/// [`poll_notice`](Self::poll_notice). (Transmit before action: a `Close` must find its last bytes handed out.)
/// Then wait for the next event, or until [`next_timeout`](Self::next_timeout), and call
/// [`handle_timeout`](Self::handle_timeout).
///
/// `now` must never go back. A handle that is no longer known is ignored.
#[derive(Debug)]
pub struct PacketEngine {
    settings: Arc<Settings>,
}

impl PacketEngine {
    /// An engine for core `core` of `cores`. The first turn may follow at once: it asks for the connections to servers.
    /// `seed` feeds jitter and hashing; the same seed and events give the same actions.
    pub fn new(core: CoreIndex, cores: u16, settings: Arc<Settings>, seed: u64, now: Moment) -> Self {
        let _ = (core, cores, seed, now);
        Self { settings }
    }

    /// A connection was accepted for a vserver. `None`: the session table is full or a drain is on; close it.
    pub fn handle_accepted(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        peer: SocketAddr,
    ) -> Option<ConnectionId> {
        let _ = (now, vserver, peer, &self.settings);
        None
    }

    /// The connection that `Action::Connect` asked for is open.
    pub fn handle_connected(&mut self, now: Moment, connection: ConnectionId) {
        let _ = (now, connection);
    }

    /// Bytes arrived. `bytes` starts where the last call's consumed octets ended.
    pub fn handle_bytes(&mut self, now: Moment, connection: ConnectionId, bytes: &[u8]) -> ReadOutcome {
        let _ = (now, connection);
        ReadOutcome {
            consumed_octets: bytes.len(),
            missing_octets: 16,
        }
    }

    /// All octets of the last [`Transmit`] were taken by the kernel; the buffer comes back for re-use.
    pub fn handle_transmitted(&mut self, now: Moment, connection: ConnectionId, buffer: BytesMut) {
        let _ = (now, connection, buffer);
    }

    /// The peer closed its sending side in an orderly way (end of file). Writing goes on: the engine answers what it
    /// still can and then asks for `Action::Close` itself.
    pub fn handle_read_closed(&mut self, now: Moment, connection: ConnectionId) {
        let _ = (now, connection);
    }

    /// The connection is gone, or could not be opened. Not called for connections that `Action::Close` ended.
    pub fn handle_closed(
        &mut self,
        now: Moment,
        connection: ConnectionId,
        by: ClosedBy,
        unsent: Option<Unsent>,
    ) {
        let _ = (now, connection, by, unsent);
    }

    /// A message from another core.
    pub fn handle_core_message(&mut self, now: Moment, from: CoreIndex, message: CoreMessage) {
        let _ = (now, from, message);
    }

    /// A message that `poll_core_message` gave could not be delivered: the mailbox refused it or the core is gone.
    pub fn handle_core_refused(&mut self, now: Moment, to: CoreIndex, message: CoreMessage) {
        let _ = (now, to, message);
    }

    /// `next_timeout` has come (or passed; or not yet: harmless).
    pub fn handle_timeout(&mut self, now: Moment) {
        let _ = now;
    }

    /// An order from the control core.
    pub fn handle_command(&mut self, now: Moment, command: Command) {
        let _ = (now, command);
    }

    /// The next connection that has bytes to write.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    /// The next message for another core.
    pub fn poll_core_message(&mut self) -> Option<(CoreIndex, CoreMessage)> {
        None
    }

    /// The next thing for the shell to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        None
    }

    /// The next notice for the log.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        None
    }

    /// When `handle_timeout` wants to be called; [`Moment::NEVER`] for not at all.
    pub fn next_timeout(&self) -> Moment {
        Moment::NEVER
    }

    /// Figures for operators, taken without changing anything.
    pub fn report(&self) -> Report {
        Report::default()
    }
}
