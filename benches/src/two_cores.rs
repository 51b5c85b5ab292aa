//! Two packet engines and what passes between them by hand, in place of the mailboxes.

use crate::binds::{bind_server, finish_client_bind, start_client_bind};
use crate::configuration::settings;
use crate::pdus::{answer, message, number_of, set_number};
use bytes::BytesMut;
use smppmux_engine::core::PacketEngine;
use smppmux_engine::core::contract::{ConnectionId, CoreIndex, Transmit};
use smppmux_engine::core::settings::Settings;
use smppmux_engine::core::time::Moment;
use smppmux_engine::core::wire::CommandId;
use std::sync::Arc;

/// The core that the messages come to.
const ORIGIN: usize = 0;
/// The core that holds the client.
const OWNER: usize = 1;

/// Two cores: the server's session is on the first, and the client is bound on the second.
#[derive(Debug)]
pub struct TwoCores {
    engines: [PacketEngine; 2],
    now: Moment,
    server: ConnectionId,
    client: ConnectionId,
    deliver: BytesMut,
    deliver_answer: BytesMut,
}

impl TwoCores {
    /// Binds everything.
    pub fn new() -> Self {
        Self::with_settings(&Arc::new(settings()), b"888765")
    }

    /// The same with these settings and this address_range of the client's bind.
    pub fn with_settings(settings: &Arc<Settings>, address_range: &[u8]) -> Self {
        let now = Moment::START;
        let mut engines =
            [0, 1].map(|core| PacketEngine::new(CoreIndex(core), 2, Arc::clone(settings), 1, now));
        let server = bind_server(&mut engines[ORIGIN], now);
        let client = start_client_bind(&mut engines[OWNER], now, address_range);
        let mut cores = Self {
            engines,
            now,
            server,
            client,
            deliver: message(CommandId::DELIVER_SM),
            deliver_answer: answer(CommandId::DELIVER_SM_RESP, b""),
        };
        let bound = cores.next_output(OWNER);
        finish_client_bind(&mut cores.engines[OWNER], now, bound);
        // What the bind has changed is known to both before the first message.
        while cores.exchange() {}
        cores
    }

    /// One deliver_sm to the client on the other core and its answer back; the sequence number that the server got.
    pub fn deliver(&mut self) -> u32 {
        self.engines[ORIGIN].handle_bytes(self.now, self.server, &self.deliver);
        let sent = self.next_output(OWNER);
        set_number(&mut self.deliver_answer, number_of(&sent.octets));
        self.engines[OWNER].handle_transmitted(self.now, sent.connection, sent.octets);
        self.engines[OWNER].handle_bytes(self.now, self.client, &self.deliver_answer);
        let answered = self.next_output(ORIGIN);
        let number = u32::from_be_bytes(number_of(&answered.octets));
        self.engines[ORIGIN].handle_transmitted(self.now, answered.connection, answered.octets);
        number
    }

    /// Passes messages on until this core has something to write.
    fn next_output(&mut self, core: usize) -> Transmit {
        loop {
            if let Some(transmit) = self.engines[core].poll_transmit() {
                return transmit;
            }
            assert!(self.exchange(), "nothing is under way");
        }
    }

    /// Passes on what each core has for the other. False: nothing.
    fn exchange(&mut self) -> bool {
        let mut any = false;
        for from in [ORIGIN, OWNER] {
            let index = CoreIndex(u16::try_from(from).unwrap_or_default());
            while let Some((to, message)) = self.engines[from].poll_core_message() {
                any = true;
                self.engines[to.as_usize()].handle_core_message(self.now, index, message);
            }
        }
        any
    }
}

impl Default for TwoCores {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdus::REQUEST_NUMBER;

    /// Goal: the round trip between two cores restores the original number.
    #[test]
    fn round_trips_between_cores_restore_the_number() {
        let mut cores = TwoCores::new();
        for _ in 0..10_000 {
            assert_eq!(cores.deliver(), REQUEST_NUMBER);
        }
    }
}
