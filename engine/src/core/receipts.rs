//! Delivery receipts on their way to a client: the id in them is tagged like the one that the submit's answer carried.

use super::contract::ConnectionId;
use super::engine::PacketEngine;
use super::receipt_tag::append_receipt_with_tagged_id;
use super::relay::Relay;
use super::sequence::Origin;
use super::server_requests::CheckedMessage;
use super::settings::{ServerIndex, Settings};
use super::time::Moment;
use super::wire::{CommandId, MessageView, RewriteLimits, Version};
use bytes::BytesMut;

/// What is written behind the ids of one server.
#[derive(Clone, Copy)]
pub(super) struct ReceiptTag<'a> {
    signature: &'a [u8],
    uid: [u8; 2],
}

impl ReceiptTag<'_> {
    /// Appends a copy of a receipt with its id tagged for a client of `version`; untagged where the id then does not fit.
    pub(super) fn append_receipt(self, buffer: &mut BytesMut, pdu: &[u8], version: Version) {
        let short_message_octets_max = if version == Version::V50 {
            u8::MAX
        } else {
            u8::MAX - 1
        };
        let limits = RewriteLimits {
            short_message_octets_max,
            may_add_tlv: version.has_tlvs(),
        };
        let id_octets_max = version.message_id_characters_max();
        let Self { signature, uid } = self;
        if append_receipt_with_tagged_id(buffer, pdu, 0, signature, uid, id_octets_max, limits).is_err() {
            Relay::whole(pdu).append_to(buffer, 0);
        }
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
            signature: vserver.map_or(&[], |vserver| vserver.signature.as_bytes()),
            uid: settings.uid,
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
        let Some(version) = self.sessions.get(to).map(|session| session.version) else {
            return false;
        };
        let mut tagged = self.buffers.take();
        self.settings
            .tag_of(server)
            .append_receipt(&mut tagged, message.pdu, version);
        let unreadable = match MessageView::parse(&tagged) {
            Ok(view) if !version.has_tlvs() && message.command == CommandId::DELIVER_SM => {
                view.tlvs().range()
            }
            _ => 0..0,
        };
        let relay = Relay::without(&tagged, unreadable);
        let sent = self.send_request(now, to, relay, origin, message.command, rerouted);
        self.buffers.give(tagged);
        sent
    }
}
