//! How a server's and a client's session are bound, by hand.

use bytes::BytesMut;
use smppmux_engine::core::PacketEngine;
use smppmux_engine::core::contract::{Action, ConnectionId, Transmit};
use smppmux_engine::core::settings::VserverIndex;
use smppmux_engine::core::time::Moment;
use smppmux_engine::core::wire::{
    Bind, BindResponse, CommandId, Header, Status, Version, write_pdu, write_response,
};

/// Binds the session that the engine wants towards its server.
pub(crate) fn bind_server(engine: &mut PacketEngine, now: Moment) -> ConnectionId {
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
pub(crate) fn start_client_bind(
    engine: &mut PacketEngine,
    now: Moment,
    address_range: &[u8],
) -> ConnectionId {
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

/// Takes the answer to a client's bind, which must be a good one.
pub(crate) fn finish_client_bind(engine: &mut PacketEngine, now: Moment, answer: Transmit) {
    assert!(
        Header::read(&answer.octets).is_some_and(|header| header.command_status.is_ok()),
        "the bind is accepted"
    );
    engine.handle_transmitted(now, answer.connection, answer.octets);
}
