//! An ESME: a client session that is bound, and numbers its own requests.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

use smppmux_engine::core::wire::{CommandId, Status, Version};

use crate::configuration::{PASSWORD, source_address_of};
use crate::pdu::{self, Pdu};
use crate::peer::Peer;

/// How an ESME binds.
#[derive(Clone, Copy, Debug)]
pub struct BindRequest<'a> {
    /// bind_transmitter, bind_receiver or bind_transceiver.
    pub command: CommandId,
    /// The account.
    pub system_id: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Of interface_version.
    pub version: Version,
    /// The addresses that it serves.
    pub address_range: &'a str,
    /// The engine that gets the connection; whichever is next in turn for `None`.
    pub engine: Option<usize>,
}

impl<'a> BindRequest<'a> {
    /// A transceiver of v3.4 without a range, with the password that [`Configuration`](crate::configuration::Configuration)
    /// gives its accounts.
    pub fn of(system_id: &'a str) -> Self {
        Self {
            command: CommandId::BIND_TRANSCEIVER,
            system_id,
            password: PASSWORD,
            version: Version::V34,
            address_range: "",
            engine: None,
        }
    }

    /// The same at this engine.
    #[must_use]
    pub const fn at_engine(self, engine: usize) -> Self {
        Self {
            engine: Some(engine),
            ..self
        }
    }

    /// The same with this interface_version.
    #[must_use]
    pub const fn with_version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// The same with this range.
    #[must_use]
    pub const fn with_range(self, address_range: &'a str) -> Self {
        Self {
            address_range,
            ..self
        }
    }
}

/// A client session.
#[derive(Debug)]
pub struct Esme {
    peer: Peer,
    last_sequence_number: u32,
}

impl Esme {
    /// Connects and binds as a transceiver.
    ///
    /// # Panics
    ///
    /// When the bind is refused.
    pub fn bind(address: SocketAddr, system_id: &str) -> Self {
        Self::bind_with(address, BindRequest::of(system_id))
    }

    /// Connects and binds as a transceiver that serves a range.
    ///
    /// # Panics
    ///
    /// When the bind is refused.
    pub fn bind_with_range(address: SocketAddr, system_id: &str, address_range: &str) -> Self {
        Self::bind_with(address, BindRequest::of(system_id).with_range(address_range))
    }

    /// Connects and binds.
    ///
    /// # Panics
    ///
    /// When the bind is refused.
    pub fn bind_with(address: SocketAddr, request: BindRequest<'_>) -> Self {
        let (esme, answer) = Self::try_bind(address, request);
        assert_eq!(answer.status(), Status::ESME_ROK, "{request:?}");
        esme
    }

    /// Connects and asks for a bind; gives the answer too.
    ///
    /// # Panics
    ///
    /// When no bind_resp comes.
    pub fn try_bind(address: SocketAddr, request: BindRequest<'_>) -> (Self, Pdu) {
        let mut esme = Self::start_bind(address, request);
        let answer = esme.expect(request.command.response());
        (esme, answer)
    }

    /// Connects and asks for a bind whose answer is read later.
    pub fn start_bind(address: SocketAddr, request: BindRequest<'_>) -> Self {
        let mut peer = match request.engine {
            Some(engine) => Peer::connect_from(source_address_of(engine), address),
            None => Peer::connect(address),
        };
        let credentials = (request.system_id, request.password);
        peer.send(&pdu::bind(
            request.command,
            1,
            credentials,
            request.version,
            request.address_range,
        ));
        Self {
            peer,
            last_sequence_number: 1,
        }
    }

    /// A number that this session has not used.
    pub fn next_sequence_number(&mut self) -> u32 {
        self.last_sequence_number += 1;
        self.last_sequence_number
    }

    /// Sends a submit_sm; gives its number.
    pub fn submit(&mut self, destination: &str, text: &str) -> u32 {
        let number = self.next_sequence_number();
        self.send(&pdu::submit_sm(number, "1000", destination, text));
        number
    }

    /// Sends a submit_sm and waits for its answer, which must be the next PDU.
    ///
    /// # Panics
    ///
    /// When another PDU comes first.
    pub fn submit_and_wait(&mut self, destination: &str, text: &str) -> Pdu {
        let number = self.submit(destination, text);
        let answer = self.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(answer.sequence_number(), number);
        answer
    }

    /// Sends a submit_sm that asks for a receipt.
    pub fn submit_for_receipt(&mut self, destination: &str, text: &str) -> u32 {
        let number = self.next_sequence_number();
        self.send(&pdu::submit_sm_with_receipt(number, "1000", destination, text));
        number
    }

    /// Waits for a deliver_sm and answers it.
    ///
    /// # Panics
    ///
    /// When another PDU comes first.
    pub fn take_delivery(&mut self) -> Pdu {
        let delivery = self.expect(CommandId::DELIVER_SM);
        self.accept(&delivery);
        delivery
    }

    /// Answers a deliver_sm with ESME_ROK.
    pub fn accept(&mut self, delivery: &Pdu) {
        let number = delivery.sequence_number();
        self.send(&pdu::response_with_id(CommandId::DELIVER_SM_RESP, number, ""));
    }

    /// Unbinds and waits for the end of the connection.
    ///
    /// # Panics
    ///
    /// When it does not end in order.
    pub fn unbind(mut self) {
        let number = self.next_sequence_number();
        self.send(&pdu::header_only(CommandId::UNBIND, Status::ESME_ROK, number));
        assert_eq!(self.expect(CommandId::UNBIND_RESP).sequence_number(), number);
        self.expect_closed();
    }

    /// The connection alone.
    pub fn into_peer(self) -> Peer {
        self.peer
    }
}

impl Deref for Esme {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl DerefMut for Esme {
    fn deref_mut(&mut self) -> &mut Peer {
        &mut self.peer
    }
}
