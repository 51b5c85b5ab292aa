//! One packet engine with bound sessions, fed by hand.

use crate::binds::{bind_server, finish_client_bind, start_client_bind};
use crate::configuration::settings;
use crate::pdus::{
    answer, destination_at, id_text, message, message_for_receipt, number_of, receipt, set_number,
};
use bytes::BytesMut;
use smppmux_engine::core::PacketEngine;
use smppmux_engine::core::contract::{ConnectionId, CoreIndex};
use smppmux_engine::core::settings::{ReceiptStore, Settings};
use smppmux_engine::core::time::Moment;
use smppmux_engine::core::wire::CommandId;
use std::sync::Arc;

/// An engine with one server and one client, both bound, and the PDUs that go round.
#[derive(Debug)]
pub struct RoundTrip {
    engine: PacketEngine,
    now: Moment,
    client: ConnectionId,
    server: ConnectionId,
    submit: BytesMut,
    submit_answer: BytesMut,
    deliver: BytesMut,
    deliver_answer: BytesMut,
    submit_for_receipt: BytesMut,
    settings: Arc<Settings>,
    receipt: BytesMut,
}

impl RoundTrip {
    /// Binds everything; the client claims the one range that it may.
    pub fn new() -> Self {
        Self::with_receipts(ReceiptStore::default())
    }

    /// The same with another store of receipts.
    pub fn with_receipts(receipts: ReceiptStore) -> Self {
        Self::with_settings(Arc::new(settings().with_receipts(receipts)), b"888765")
    }

    /// The same with a log of all messages.
    pub fn logged() -> Self {
        Self::with_settings(Arc::new(settings().with_message_log(true)), b"888765")
    }

    /// The same with these settings and this address_range of the client's bind.
    pub fn with_settings(settings: Arc<Settings>, address_range: &[u8]) -> Self {
        let now = Moment::START;
        let mut engine = PacketEngine::new(CoreIndex(0), 1, Arc::clone(&settings), 1, now);
        let server = bind_server(&mut engine, now);
        let client = start_client_bind(&mut engine, now, address_range);
        let bound = engine.poll_transmit().expect("a bind_resp");
        finish_client_bind(&mut engine, now, bound);
        Self {
            engine,
            now,
            client,
            server,
            submit: message(CommandId::SUBMIT_SM),
            submit_answer: answer(CommandId::SUBMIT_SM_RESP, b"5F2A9C3E01"),
            deliver: message(CommandId::DELIVER_SM),
            deliver_answer: answer(CommandId::DELIVER_SM_RESP, b""),
            submit_for_receipt: message_for_receipt(),
            settings,
            receipt: receipt(&id_text(0)),
        }
    }

    /// Takes the records of a turn out, as the shell does; gives how many there were.
    pub fn take_records(&mut self) -> usize {
        self.engine.poll_message_log().map_or(0, |records| {
            let count = records.len();
            records.clear();
            count
        })
    }

    /// The engine itself.
    pub const fn engine(&mut self) -> &mut PacketEngine {
        &mut self.engine
    }

    /// What it is configured with.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    /// One submit_sm to the server and its answer back; the sequence number that the client got.
    pub fn submit(&mut self) -> u32 {
        let number = self.submit_request();
        self.submit_response(number)
    }

    /// One submit_sm to the server, whose window it stays in; the sequence number there.
    pub fn submit_request(&mut self) -> [u8; 4] {
        pass(&mut self.engine, self.now, self.client, &self.submit, number_of)
    }

    /// The server's answer to its request of that number; the sequence number that the client got.
    pub fn submit_response(&mut self, number: [u8; 4]) -> u32 {
        set_number(&mut self.submit_answer, number);
        let back = pass(
            &mut self.engine,
            self.now,
            self.server,
            &self.submit_answer,
            number_of,
        );
        u32::from_be_bytes(back)
    }

    /// A submit_sm that asks for a receipt, and its answer back with the message id that stands for `number`.
    pub fn submit_for_receipt(&mut self, number: u64) -> u32 {
        self.submit_for_receipt_with(number, |answer| u32::from_be_bytes(number_of(answer)))
    }

    /// The same; gives what `look` makes of the answer that the client gets.
    pub(crate) fn submit_for_receipt_with<R>(&mut self, number: u64, look: impl FnOnce(&[u8]) -> R) -> R {
        let mut answer = answer(CommandId::SUBMIT_SM_RESP, id_text(number).as_bytes());
        let request = pass(
            &mut self.engine,
            self.now,
            self.client,
            &self.submit_for_receipt,
            number_of,
        );
        set_number(&mut answer, request);
        pass(&mut self.engine, self.now, self.server, &answer, look)
    }

    /// One deliver_sm to the client and its answer back; the sequence number that the server got.
    pub fn deliver(&mut self) -> u32 {
        let number = pass(&mut self.engine, self.now, self.server, &self.deliver, number_of);
        self.deliver_response(number)
    }

    /// The same to another destination of eleven digits.
    pub fn deliver_to(&mut self, destination: &[u8; 11]) -> u32 {
        let at = destination_at(&self.deliver);
        self.deliver[at..at + destination.len()].copy_from_slice(destination);
        self.deliver()
    }

    /// The receipt for the message of that [`submit_for_receipt`](Self::submit_for_receipt) of number 0, and its answer; the
    /// sequence number that the server got.
    pub fn receipt(&mut self) -> u32 {
        let number = pass(&mut self.engine, self.now, self.server, &self.receipt, number_of);
        self.deliver_response(number)
    }

    /// The client's answer to its request of that number; the sequence number that the server got.
    pub(crate) fn deliver_response(&mut self, number: [u8; 4]) -> u32 {
        set_number(&mut self.deliver_answer, number);
        let back = pass(
            &mut self.engine,
            self.now,
            self.client,
            &self.deliver_answer,
            number_of,
        );
        u32::from_be_bytes(back)
    }

    /// Whether a receipt for the message of that number goes to the client, which answers it.
    pub fn knows_receipt(&mut self, number: u64) -> bool {
        let receipt = receipt(&id_text(number));
        self.engine.handle_bytes(self.now, self.server, &receipt);
        let Some(sent) = self.engine.poll_transmit() else {
            return false;
        };
        let is_known = sent.connection == self.client;
        let number = number_of(&sent.octets);
        self.engine
            .handle_transmitted(self.now, sent.connection, sent.octets);
        if is_known {
            self.deliver_response(number);
        }
        is_known
    }

    /// What becomes of a PDU from the client: what `look` makes of the one that goes on.
    pub(crate) fn client_sends<R>(&mut self, pdu: &[u8], look: impl FnOnce(&[u8]) -> R) -> R {
        pass(&mut self.engine, self.now, self.client, pdu, look)
    }

    /// The same from the server.
    pub(crate) fn server_sends<R>(&mut self, pdu: &[u8], look: impl FnOnce(&[u8]) -> R) -> R {
        pass(&mut self.engine, self.now, self.server, pdu, look)
    }
}

impl Default for RoundTrip {
    fn default() -> Self {
        Self::new()
    }
}

/// Feeds one PDU to the engine, takes out the one that goes on, and gives what `look` makes of that.
#[inline]
fn pass<R>(
    engine: &mut PacketEngine,
    now: Moment,
    from: ConnectionId,
    pdu: &[u8],
    look: impl FnOnce(&[u8]) -> R,
) -> R {
    engine.handle_bytes(now, from, pdu);
    let sent = engine.poll_transmit().expect("it goes on");
    let seen = look(&sent.octets);
    engine.handle_transmitted(now, sent.connection, sent.octets);
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdus::{RECEIPT_NUMBER, REQUEST_NUMBER};

    /// Goal: what the benches measure is real: the round trips restore the original number, as often as one likes.
    #[test]
    fn round_trips_restore_the_number() {
        let mut round_trip = RoundTrip::new();
        round_trip.submit_for_receipt(0);
        for _ in 0..10_000 {
            assert_eq!(round_trip.submit(), REQUEST_NUMBER);
            assert_eq!(round_trip.deliver(), REQUEST_NUMBER);
            assert_eq!(round_trip.receipt(), RECEIPT_NUMBER);
        }
    }
}
