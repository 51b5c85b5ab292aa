//! A connection between an engine and a peer, seen from the peer.

use super::ledger::Ledger;
use bytes::BytesMut;
use smppmux_engine::core::contract::ConnectionId;
use smppmux_engine::core::wire::{CommandId, Frame, Header, next_frame};
use std::collections::{BTreeMap, VecDeque};

const MAX_PDU_OCTETS: u32 = 81_920;

pub(super) struct Link {
    /// Its place among all links.
    place: usize,
    pub(super) core: usize,
    pub(super) connection: ConnectionId,
    pub(super) is_client: bool,
    pub(super) is_connected: bool,
    pub(super) is_open: bool,
    pub(super) is_paused: bool,
    /// Written by the peer and not consumed.
    pub(super) unread: Vec<u8>,
    /// In the hands of the kernel.
    pub(super) sending: Option<BytesMut>,
    /// All octets that the engine has handed out.
    pub(super) stream_end: u64,
    /// Requests of the peer that the engine has read, by number, that have no answer.
    pub(super) unanswered: BTreeMap<u32, u32>,
    /// Requests of the engine, the oldest first: number and command.
    pub(super) asked: VecDeque<(u32, CommandId)>,
    /// The framing is broken, or the peer has said that it leaves.
    pub(super) is_over: bool,
}

impl Link {
    pub(super) const fn new(place: usize, core: usize, connection: ConnectionId, is_client: bool) -> Self {
        Self {
            place,
            core,
            connection,
            is_client,
            is_connected: is_client,
            is_open: true,
            is_paused: false,
            unread: Vec::new(),
            sending: None,
            stream_end: 0,
            unanswered: BTreeMap::new(),
            asked: VecDeque::new(),
            is_over: false,
        }
    }

    /// The engine has consumed these octets: its requests want answers.
    pub(super) fn read(&mut self, mut octets: &[u8], ledger: &mut Ledger) {
        while let Frame::Pdu(pdu) = next_frame(octets, MAX_PDU_OCTETS) {
            octets = &octets[pdu.len()..];
            let Some(header) = Header::read(pdu) else { return };
            match header.command_id {
                command if command.is_response() => {
                    if !self.is_client {
                        ledger.answer_read(self.place, &header, pdu);
                    }
                }
                // Nobody answers these, and behind an unbind or in a session that ends not everything is read.
                CommandId::ALERT_NOTIFICATION | CommandId::OUTBIND => {}
                command => {
                    self.is_over |= command == CommandId::UNBIND;
                    *self.unanswered.entry(header.sequence_number).or_default() += 1;
                    if self.is_client {
                        ledger.request_read(self.place, &header, pdu);
                    }
                }
            }
        }
        // What is no whole PDU was consumed because the session is over.
        self.is_over |= !octets.is_empty();
    }

    /// What the engine writes are PDUs; its requests have numbers in range, its answers belong to requests.
    pub(super) fn engine_wrote(&mut self, mut octets: &[u8], ledger: &mut Ledger) {
        while !octets.is_empty() {
            let Frame::Pdu(pdu) = next_frame(octets, u32::MAX) else {
                panic!("not a PDU: {octets:02x?}")
            };
            octets = &octets[pdu.len()..];
            self.stream_end += pdu.len() as u64;
            let Some(header) = Header::read(pdu) else { return };
            if header.command_id.is_response() {
                self.answered(&header);
                if self.is_client {
                    ledger.answer_left(self.place, &header, pdu);
                }
            } else {
                self.asked(&header);
                if !self.is_client {
                    ledger.request_left(self.place, &header, pdu, self.stream_end);
                }
            }
        }
    }

    fn asked(&mut self, header: &Header) {
        let number = header.sequence_number;
        assert!((1..=0x7FFF_FFFF).contains(&number), "number {number:#x}");
        let is_free = self.asked.iter().all(|(asked, _)| *asked != number);
        assert!(
            is_free || header.command_id == CommandId::UNBIND,
            "number {number:#x} is in flight"
        );
        self.asked.push_back((number, header.command_id));
        self.is_over |= header.command_id == CommandId::UNBIND;
    }

    fn answered(&mut self, header: &Header) {
        let number = header.sequence_number;
        match self.unanswered.get_mut(&number) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => drop(self.unanswered.remove(&number)),
            // An unbind, or a length that is none.
            None => assert!(
                matches!(
                    header.command_id,
                    CommandId::UNBIND_RESP | CommandId::GENERIC_NACK
                ),
                "an answer to nothing: {header:?}"
            ),
        }
    }
}
