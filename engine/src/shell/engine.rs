//! What the shell needs of an engine, so that tests can put a small one in place of the packet engine.
//!
//! Monomorphised: the indirection costs nothing. The order of calls is on [`PacketEngine`].

use crate::core::PacketEngine;
use crate::core::contract::{
    Action, ClosedBy, Command, ConnectionId, CoreIndex, Notice, PasswordVerdict, ReadOutcome, Transmit,
    Unsent,
};
use crate::core::core_message::CoreMessage;
use crate::core::message_log::MessageRecords;
use crate::core::report::{Report, Wanted};
use crate::core::settings::{ServerIndex, VserverIndex};
use crate::core::store_message::{StoreCommand, StoreEvent};
use crate::core::time::Moment;
use bytes::BytesMut;
use std::net::SocketAddr;

/// An engine behind `handle_*` and `poll_*`; each method means what it means on [`PacketEngine`].
pub(crate) trait Engine: 'static {
    fn handle_accepted(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        peer: SocketAddr,
    ) -> Option<ConnectionId>;
    /// Engines of tests know no time to bind.
    fn handle_handed_over(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        peer: SocketAddr,
        _bind_deadline: Moment,
    ) -> Option<ConnectionId> {
        self.handle_accepted(now, vserver, peer)
    }
    fn handle_called(&mut self, now: Moment, server: ServerIndex, peer: SocketAddr) -> Option<ConnectionId>;
    fn handle_connected(&mut self, now: Moment, connection: ConnectionId);
    fn handle_bytes(&mut self, now: Moment, connection: ConnectionId, bytes: &[u8]) -> ReadOutcome;
    fn handle_transmitted(&mut self, now: Moment, connection: ConnectionId, buffer: BytesMut);
    fn handle_read_closed(&mut self, now: Moment, connection: ConnectionId);
    fn handle_closed(&mut self, now: Moment, connection: ConnectionId, by: ClosedBy, unsent: Option<Unsent>);
    fn handle_core_message(&mut self, now: Moment, from: CoreIndex, message: CoreMessage);
    fn handle_core_refused(&mut self, now: Moment, to: CoreIndex, message: CoreMessage);
    fn handle_core_gone(&mut self, now: Moment, core: CoreIndex);
    fn handle_store(&mut self, now: Moment, event: StoreEvent);
    fn handle_timeout(&mut self, now: Moment);
    fn handle_command(&mut self, now: Moment, command: Command);
    fn poll_transmit(&mut self) -> Option<Transmit>;
    fn poll_core_message(&mut self) -> Option<(CoreIndex, CoreMessage)>;
    fn poll_store(&mut self) -> Option<StoreCommand>;
    fn poll_action(&mut self) -> Option<Action>;
    fn poll_notice(&mut self) -> Option<Notice>;
    /// Records for the log of receipts; engines of tests have none.
    fn poll_receipt_log(&mut self) -> Option<BytesMut> {
        None
    }
    /// The turn's records of messages; engines of tests have none.
    fn poll_message_log(&mut self) -> Option<&mut MessageRecords> {
        None
    }
    /// Something waits for octets in the driver's hands to be written; engines of tests always say so.
    fn poll_awaits_transmitted(&mut self) -> bool {
        true
    }
    /// A buffer of records has come back.
    fn handle_log_buffer(&mut self, _buffer: BytesMut) {}
    /// A client has shown a certificate; engines of tests do not look.
    fn handle_certificate(&mut self, _now: Moment, _connection: ConnectionId, _names: Vec<String>) {}
    /// The answer to a question about a password; engines of tests ask none.
    fn handle_password(&mut self, _now: Moment, _question: u32, _verdict: PasswordVerdict) {}
    fn next_timeout(&self) -> Moment;
    fn report(&self, wanted: Wanted) -> Report;
}

impl Engine for PacketEngine {
    fn handle_accepted(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        peer: SocketAddr,
    ) -> Option<ConnectionId> {
        self.handle_accepted(now, vserver, peer)
    }

    fn handle_handed_over(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        peer: SocketAddr,
        bind_deadline: Moment,
    ) -> Option<ConnectionId> {
        self.handle_handed_over(now, vserver, peer, bind_deadline)
    }

    fn handle_called(&mut self, now: Moment, server: ServerIndex, peer: SocketAddr) -> Option<ConnectionId> {
        self.handle_called(now, server, peer)
    }

    fn handle_connected(&mut self, now: Moment, connection: ConnectionId) {
        self.handle_connected(now, connection);
    }

    fn handle_bytes(&mut self, now: Moment, connection: ConnectionId, bytes: &[u8]) -> ReadOutcome {
        self.handle_bytes(now, connection, bytes)
    }

    fn handle_transmitted(&mut self, now: Moment, connection: ConnectionId, buffer: BytesMut) {
        self.handle_transmitted(now, connection, buffer);
    }

    fn handle_read_closed(&mut self, now: Moment, connection: ConnectionId) {
        self.handle_read_closed(now, connection);
    }

    fn handle_closed(&mut self, now: Moment, connection: ConnectionId, by: ClosedBy, unsent: Option<Unsent>) {
        self.handle_closed(now, connection, by, unsent);
    }

    fn handle_core_message(&mut self, now: Moment, from: CoreIndex, message: CoreMessage) {
        self.handle_core_message(now, from, message);
    }

    fn handle_core_refused(&mut self, now: Moment, to: CoreIndex, message: CoreMessage) {
        self.handle_core_refused(now, to, message);
    }

    fn handle_core_gone(&mut self, now: Moment, core: CoreIndex) {
        self.handle_core_gone(now, core);
    }

    fn handle_store(&mut self, now: Moment, event: StoreEvent) {
        self.handle_store(now, event);
    }

    fn handle_timeout(&mut self, now: Moment) {
        self.handle_timeout(now);
    }

    fn handle_command(&mut self, now: Moment, command: Command) {
        self.handle_command(now, command);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.poll_transmit()
    }

    fn poll_core_message(&mut self) -> Option<(CoreIndex, CoreMessage)> {
        self.poll_core_message()
    }

    fn poll_store(&mut self) -> Option<StoreCommand> {
        self.poll_store()
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.poll_action()
    }

    fn poll_notice(&mut self) -> Option<Notice> {
        self.poll_notice()
    }

    fn poll_receipt_log(&mut self) -> Option<BytesMut> {
        self.poll_receipt_log()
    }

    fn poll_message_log(&mut self) -> Option<&mut MessageRecords> {
        self.poll_message_log()
    }

    fn poll_awaits_transmitted(&mut self) -> bool {
        self.poll_awaits_transmitted()
    }

    fn handle_log_buffer(&mut self, buffer: BytesMut) {
        self.handle_log_buffer(buffer);
    }

    fn handle_certificate(&mut self, now: Moment, connection: ConnectionId, names: Vec<String>) {
        self.handle_certificate(now, connection, names);
    }

    fn handle_password(&mut self, now: Moment, question: u32, verdict: PasswordVerdict) {
        self.handle_password(now, question, verdict);
    }

    fn next_timeout(&self) -> Moment {
        self.next_timeout()
    }

    fn report(&self, wanted: Wanted) -> Report {
        self.detailed_report(wanted)
    }
}
