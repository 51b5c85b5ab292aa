//! One packet engine with bound sessions, fed by hand: what the micro benches measure.
//!
//! No socket and no clock: only the pure core's work between `handle_bytes` and `poll_transmit` counts. For what a whole engine does
//! with its sockets there is [`EngineOnSockets`].

mod on_sockets;
mod two_cores;

pub use on_sockets::{EngineOnSockets, LockstepEsme, start_smsc};
pub use two_cores::TwoCores;

use bytes::BytesMut;
use smppmux_engine::core::PacketEngine;
use smppmux_engine::core::contract::{Action, ConnectionId, CoreIndex, Transmit};
use smppmux_engine::core::range::AddressRange;
use smppmux_engine::core::settings::samples::{
    client_settings, engine_settings, server_settings, vserver_settings,
};
use smppmux_engine::core::settings::{ClientSettings, EngineSettings, ReceiptStore, Settings, VserverIndex};
use smppmux_engine::core::time::Moment;
use smppmux_engine::core::wire::{
    Address, Bind, BindResponse, CommandId, HEADER_OCTETS, Header, Message, MessageIdResponse, Status,
    Version, write_pdu, write_response,
};
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
    /// Binds everything; `prefixes` address ranges are claimable and the client claims one of them.
    pub fn new() -> Self {
        Self::with_receipts(ReceiptStore::default())
    }

    /// The same with another store of receipts.
    pub fn with_receipts(receipts: ReceiptStore) -> Self {
        Self::with_settings(Arc::new(settings().with_receipts(receipts)), b"888765")
    }

    /// The same with these settings and this address_range of the client's bind.
    pub fn with_settings(settings: Arc<Settings>, address_range: &[u8]) -> Self {
        let now = Moment::START;
        let engine = PacketEngine::new(CoreIndex(0), 1, Arc::clone(&settings), 1, now);
        let client = ConnectionId {
            index: 0,
            generation: 0,
        };
        let mut round_trip = Self {
            engine,
            now,
            client,
            server: client,
            submit: message(CommandId::SUBMIT_SM, b"4477009001", b"88876500001"),
            submit_answer: answer(CommandId::SUBMIT_SM_RESP, b"5F2A9C3E01"),
            deliver: message(CommandId::DELIVER_SM, b"4477009001", b"88876500001"),
            deliver_answer: answer(CommandId::DELIVER_SM_RESP, b""),
            submit_for_receipt: message_for_receipt(),
            settings,
            receipt: receipt(&id_text(0)),
        };
        round_trip.bind_server();
        round_trip.bind_client(address_range);
        round_trip
    }

    /// The same with a log of all messages.
    pub fn logged() -> Self {
        Self::with_settings(Arc::new(settings().with_message_log(true)), b"888765")
    }

    /// Takes the records of a turn out, as the shell does; gives how many there were.
    pub fn take_records(&mut self) -> usize {
        self.engine.poll_message_log().map_or(0, |records| {
            let count = records.len();
            records.clear();
            count
        })
    }

    /// One submit_sm to the server and its answer back; the sequence number that the client got.
    pub fn submit(&mut self) -> u32 {
        Self::round(
            &mut self.engine,
            self.now,
            (self.client, self.server),
            &self.submit,
            &mut self.submit_answer,
        )
    }

    /// A submit_sm that asks for a receipt, and its answer back with the message id that stands for `number`.
    pub fn submit_for_receipt(&mut self, number: u64) -> u32 {
        let mut answer = answer(CommandId::SUBMIT_SM_RESP, id_text(number).as_bytes());
        let ends = (self.client, self.server);
        Self::round(
            &mut self.engine,
            self.now,
            ends,
            &self.submit_for_receipt,
            &mut answer,
        )
    }

    /// Whether a receipt for the message of that number goes to the client, which answers it.
    pub fn knows_receipt(&mut self, number: u64) -> bool {
        let receipt = receipt(&id_text(number));
        self.engine.handle_bytes(self.now, self.server, &receipt);
        let Some(sent) = self.engine.poll_transmit() else {
            return false;
        };
        let is_known = sent.connection == self.client;
        self.deliver_answer[12..16].copy_from_slice(&sent.octets[12..16]);
        self.engine
            .handle_transmitted(self.now, sent.connection, sent.octets);
        self.engine
            .handle_bytes(self.now, self.client, &self.deliver_answer);
        if let Some(answered) = self.engine.poll_transmit() {
            self.engine
                .handle_transmitted(self.now, answered.connection, answered.octets);
        }
        is_known
    }

    /// The engine itself.
    pub const fn engine(&mut self) -> &mut PacketEngine {
        &mut self.engine
    }

    /// What it is configured with.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    /// The same to another destination of eleven digits.
    pub fn deliver_to(&mut self, destination: &[u8; 11]) -> u32 {
        let at = destination_at(&self.deliver);
        self.deliver[at..at + destination.len()].copy_from_slice(destination);
        self.deliver()
    }

    /// One deliver_sm to the client and its answer back; the sequence number that the server got.
    pub fn deliver(&mut self) -> u32 {
        Self::round(
            &mut self.engine,
            self.now,
            (self.server, self.client),
            &self.deliver,
            &mut self.deliver_answer,
        )
    }

    /// The receipt for the message of that [`submit_for_receipt`](Self::submit_for_receipt) of number 0, and its answer; the
    /// sequence number that the server got.
    pub fn receipt(&mut self) -> u32 {
        Self::round(
            &mut self.engine,
            self.now,
            (self.server, self.client),
            &self.receipt,
            &mut self.deliver_answer,
        )
    }

    fn round(
        engine: &mut PacketEngine,
        now: Moment,
        (from, to): (ConnectionId, ConnectionId),
        request: &[u8],
        answer: &mut BytesMut,
    ) -> u32 {
        engine.handle_bytes(now, from, request);
        let sent = engine.poll_transmit().expect("the request goes on");
        answer[12..16].copy_from_slice(&sent.octets[12..16]);
        engine.handle_transmitted(now, sent.connection, sent.octets);
        engine.handle_bytes(now, to, answer);
        let answered = engine.poll_transmit().expect("the answer goes back");
        let number = Header::read(&answered.octets).map_or(0, |header| header.sequence_number);
        engine.handle_transmitted(now, answered.connection, answered.octets);
        number
    }

    fn bind_server(&mut self) {
        self.server = bind_server(&mut self.engine, self.now);
    }

    fn bind_client(&mut self, address_range: &[u8]) {
        self.client = start_client_bind(&mut self.engine, self.now, address_range);
        let answer = self.engine.poll_transmit().expect("a bind_resp");
        finish_client_bind(&mut self.engine, self.now, answer);
    }
}

/// Binds the session that the engine wants towards its server.
fn bind_server(engine: &mut PacketEngine, now: Moment) -> ConnectionId {
    let Some(Action::Connect { connection, .. }) = engine.poll_action() else {
        panic!("no connect")
    };
    engine.handle_connected(now, connection);
    let bind = engine.poll_transmit().expect("a bind");
    let mut response = BytesMut::new();
    let body = BindResponse {
        system_id: b"smsc",
        sc_interface_version: Some(Version::V34),
    };
    let number = Header::read(&bind.octets).map_or(0, |header| header.sequence_number);
    write_response(
        &mut response,
        CommandId::BIND_TRANSCEIVER_RESP,
        Status::ESME_ROK,
        number,
        &body,
    )
    .expect("it fits");
    engine.handle_transmitted(now, connection, bind.octets);
    engine.handle_bytes(now, connection, &response);
    connection
}

/// Sends a client's bind; its answer may need other cores.
fn start_client_bind(engine: &mut PacketEngine, now: Moment, address_range: &[u8]) -> ConnectionId {
    let peer = "127.0.0.1:40000".parse().expect("an address");
    let client = engine.handle_accepted(now, VserverIndex(0), peer).expect("room");
    let bind = Bind {
        system_id: b"esme1",
        password: b"secret",
        system_type: b"",
        version: Version::V34,
        addr_ton: 0,
        addr_npi: 0,
        address_range,
    };
    let mut pdu = BytesMut::new();
    write_pdu(&mut pdu, CommandId::BIND_TRANSCEIVER, Status::ESME_ROK, 1, &bind).expect("it fits");
    engine.handle_bytes(now, client, &pdu);
    client
}

fn finish_client_bind(engine: &mut PacketEngine, now: Moment, answer: Transmit) {
    assert!(
        Header::read(&answer.octets).is_some_and(|header| header.command_status.is_ok()),
        "the bind is accepted"
    );
    engine.handle_transmitted(now, answer.connection, answer.octets);
}

impl Default for RoundTrip {
    fn default() -> Self {
        Self::new()
    }
}

/// A message of 214 octets in all, as in the load tables.
fn message(command: CommandId, source: &[u8], destination: &[u8]) -> BytesMut {
    let mut pdu = BytesMut::new();
    let address = |addr| Address { ton: 1, npi: 1, addr };
    let text = [b'x'; 160];
    let body = Message {
        source: address(source),
        destination: address(destination),
        short_message: &text,
        ..Message::default()
    };
    write_pdu(&mut pdu, command, Status::ESME_ROK, 7, &body).expect("it fits");
    pdu
}

/// Ids of 16 hexadecimal digits that look like chance.
fn id_text(number: u64) -> String {
    format!("{:016X}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn message_for_receipt() -> BytesMut {
    let mut pdu = BytesMut::new();
    let address = |addr| Address { ton: 1, npi: 1, addr };
    let body = Message {
        source: address(b"4477009001"),
        destination: address(b"88876500001"),
        registered_delivery: 1,
        short_message: &[b'x'; 160],
        ..Message::default()
    };
    write_pdu(&mut pdu, CommandId::SUBMIT_SM, Status::ESME_ROK, 7, &body).expect("it fits");
    pdu
}

fn receipt(id: &str) -> BytesMut {
    let mut pdu = BytesMut::new();
    let address = |addr| Address { ton: 1, npi: 1, addr };
    let text = format!(
        "id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:x"
    );
    let body = Message {
        source: address(b"88876500001"),
        destination: address(b"4477009001"),
        esm_class: 4,
        short_message: text.as_bytes(),
        ..Message::default()
    };
    write_pdu(&mut pdu, CommandId::DELIVER_SM, Status::ESME_ROK, 9, &body).expect("it fits");
    pdu
}

fn answer(command: CommandId, message_id: &[u8]) -> BytesMut {
    let mut pdu = BytesMut::new();
    write_pdu(
        &mut pdu,
        command,
        Status::ESME_ROK,
        0,
        &MessageIdResponse { message_id },
    )
    .expect("it fits");
    pdu
}

/// Where the eleven digits of the destination stand in a [`message`] with an empty service_type.
fn destination_at(pdu: &[u8]) -> usize {
    const SOURCE_AT: usize = HEADER_OCTETS + 3;
    let source_octets = pdu[SOURCE_AT..].iter().position(|octet| *octet == 0);
    SOURCE_AT + source_octets.unwrap_or_default() + 3
}

/// The settings of every bench: one vserver, one server, one client.
pub fn settings() -> Settings {
    settings_with_ranges(AddressRange::parse(b"888765").into_iter().collect())
}

/// The same with a client that may claim all these ranges.
pub fn settings_with_ranges(address_ranges: Vec<AddressRange>) -> Settings {
    let engine = EngineSettings {
        core_requests_max: 1_024,
        ..engine_settings()
    };
    let client = ClientSettings {
        address_ranges,
        window: 1_000,
        ..client_settings("esme1")
    };
    Settings::new(
        engine,
        vec![vserver_settings()],
        vec![server_settings()],
        vec![client],
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the round trip between two cores restores the original number.
    #[test]
    fn round_trips_between_cores_restore_the_number() {
        let mut cores = TwoCores::new();
        for _ in 0..10_000 {
            assert_eq!(cores.deliver(), 7);
        }
    }

    /// Goal: what the benches measure is real: both round trips restore the original number, as often as one likes.
    #[test]
    fn round_trips_restore_the_number() {
        let mut round_trip = RoundTrip::new();
        round_trip.submit_for_receipt(0);
        for _ in 0..10_000 {
            assert_eq!(round_trip.submit(), 7);
            assert_eq!(round_trip.deliver(), 7);
            assert_eq!(round_trip.receipt(), 9);
        }
    }
}
