//! Delivery receipts on their way to a client: the id in them is tagged like the one that the submit's answer carried.

use super::contract::ConnectionId;
use super::engine::PacketEngine;
use super::relay::Relay;
use super::sequence::Origin;
use super::server_requests::CheckedMessage;
use super::settings::{ServerIndex, Settings};
use super::time::Moment;
use bytes::BytesMut;

/// What is written behind the ids of one server.
#[derive(Clone, Copy)]
pub(super) struct ReceiptTag<'a> {
    _signature: &'a [u8],
    _uid: [u8; 2],
}

impl ReceiptTag<'_> {
    /// Appends a copy of a receipt with its id tagged.
    pub(super) fn append_receipt(self, buffer: &mut BytesMut, pdu: &[u8], sequence_number: u32) {
        Relay::whole(pdu).append_to(buffer, sequence_number);
    }
}

impl Settings {
    /// The tag of a server's ids towards the clients of its vserver.
    pub(super) fn tag_of(&self, server: ServerIndex) -> ReceiptTag<'_> {
        let settings = &self.servers[usize::from(server.0)];
        let vserver = settings
            .mobile_originated_vserver
            .map(|index| &self.vservers[usize::from(index.0)]);
        ReceiptTag {
            _signature: vserver.map_or(&[], |vserver| vserver.signature.as_bytes()),
            _uid: settings.uid,
        }
    }
}

impl PacketEngine {
    /// Sends a receipt to a session with its id tagged; `false` when the session has no room.
    pub(super) fn send_receipt(
        &mut self,
        now: Moment,
        to: ConnectionId,
        server: ServerIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
        rerouted: bool,
    ) -> bool {
        let mut tagged = self.buffers.take();
        self.settings
            .tag_of(server)
            .append_receipt(&mut tagged, message.pdu, 0);
        let sent = self.send_request(now, to, Relay::whole(&tagged), origin, message.command, rerouted);
        self.buffers.give(tagged);
        sent
    }
}
