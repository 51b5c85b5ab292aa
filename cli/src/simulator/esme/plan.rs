//! The arguments of an ESME run, checked and made ready: who each connection is, and what it sends.

use bytes::BytesMut;

use super::arguments::{BindKind, EsmeArguments, InterfaceVersion};
use crate::simulator::ledger::NUMBERS_MAX;
use crate::simulator::message::{AddressPattern, MessageCommand, MessageShape, Place, Scratch};
use crate::simulator::pattern::{Counters, Pattern};
use crate::simulator::payload::Payload;
use crate::simulator::range::RangeCheck;
use crate::simulator::tls::ClientTls;
use crate::simulator::token::Token;

/// A run whose arguments fit together.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) arguments: EsmeArguments,
    pub(crate) shape: MessageShape,
    /// What connections begin with, where they are by TLS.
    pub(in crate::simulator) tls: Option<ClientTls>,
}

/// Who one connection is.
#[derive(Debug)]
pub(crate) struct Identity {
    /// From 0.
    pub(crate) index: u32,
    pub(crate) target: String,
    pub(crate) system_id: Vec<u8>,
    pub(crate) password: Vec<u8>,
    pub(crate) address_range: Vec<u8>,
    pub(crate) range: RangeCheck,
    /// Messages that it is to send; `None` is no limit.
    pub(crate) messages: Option<u64>,
}

impl Plan {
    /// Checks the arguments against each other; everything that can be known to fail is found here.
    ///
    /// # Errors
    /// A sentence that names the option at fault.
    pub(crate) fn new(arguments: EsmeArguments) -> Result<Self, String> {
        if arguments.command == MessageCommand::DeliverSm {
            return Err("--command deliver_sm: an ESME sends submit_sm or data_sm".to_owned());
        }
        let payload = Payload::new(&arguments.payload, arguments.command != MessageCommand::DataSm)?;
        if arguments.interface_version == InterfaceVersion::V3_3 {
            if payload.needs_tlvs() {
                return Err(
                    "--interface-version 3.3 knows no TLVs: no data_sm, sar or message_payload".to_owned(),
                );
            }
            if arguments.bind == BindKind::Transceiver {
                return Err(
                    "--interface-version 3.3 knows no transceiver: use --bind transmitter or receiver"
                        .to_owned(),
                );
            }
        }
        let address = |ton, npi, pattern: &Pattern| AddressPattern {
            ton,
            npi,
            pattern: pattern.clone(),
        };
        let shape = MessageShape {
            command: arguments.command,
            service_type: arguments.service_type.clone(),
            source: address(arguments.source_ton, arguments.source_npi, &arguments.source),
            destination: address(
                arguments.destination_ton,
                arguments.destination_npi,
                &arguments.destination,
            ),
            registered_delivery: arguments.registered_delivery,
            payload,
        };
        let tls = arguments.tls.read()?;
        let plan = Self {
            arguments,
            shape,
            tls,
        };
        plan.check_that_messages_fit()?;
        for index in 0..plan.arguments.connections {
            let identity = plan.identity(index)?;
            if let Some(tls) = &plan.tls {
                tls.name_for(&identity.target)?;
            }
        }
        Ok(plan)
    }

    /// Who connection `index` is.
    ///
    /// # Errors
    /// A sentence on an address range that is no regular expression.
    pub(crate) fn identity(&self, index: u32) -> Result<Identity, String> {
        let arguments = &self.arguments;
        let account = match arguments.accounts {
            Some(accounts) => index % accounts,
            None => index,
        };
        let counters = Counters {
            number: u64::from(account) + 1,
            connection: u64::from(index) + 1,
        };
        let turn = |patterns: &[Pattern], number: u32| match patterns.len() {
            0 => Vec::new(),
            length => patterns[number as usize % length].rendered(counters),
        };
        let address_range = turn(&arguments.address_range, index);
        Ok(Identity {
            index,
            target: arguments.target[index as usize % arguments.target.len()].clone(),
            system_id: turn(&arguments.system_id, account),
            password: turn(&arguments.password, account),
            range: RangeCheck::parse(&String::from_utf8_lossy(&address_range))?,
            address_range,
            messages: self.share_of(index),
        })
    }

    /// Whether this run sends messages at all.
    pub(crate) fn sends(&self) -> bool {
        self.arguments.bind != BindKind::Receiver && self.arguments.count != Some(0)
    }

    /// How many numbers of each connection's stream are kept in books.
    pub(crate) fn tracked_numbers(&self) -> u64 {
        NUMBERS_MAX / u64::from(self.arguments.connections)
    }

    /// The counters of a connection's message number `message`: distinct over all connections.
    pub(crate) fn counters(&self, index: u32, message: u64) -> Counters {
        Counters {
            number: message
                .wrapping_mul(self.arguments.connections.into())
                .wrapping_add(index.into()),
            connection: u64::from(index) + 1,
        }
    }

    fn share_of(&self, index: u32) -> Option<u64> {
        if !self.sends() {
            return Some(0);
        }
        let connections = u64::from(self.arguments.connections);
        let count = self.arguments.count?;
        Some(count / connections + u64::from(u64::from(index) < count % connections))
    }

    fn check_that_messages_fit(&self) -> Result<(), String> {
        let place = Place {
            counters: Counters {
                number: self.arguments.count.unwrap_or(u32::MAX.into()),
                connection: self.arguments.connections.into(),
            },
            part: 0,
            reference: 0,
            token: Token {
                run: 0,
                stream: 0,
                number: 0,
            },
        };
        let written = self
            .shape
            .write(&place, 1, &mut Scratch::default(), &mut BytesMut::new());
        written.map(drop).map_err(|fault| fault.to_string())
    }
}
