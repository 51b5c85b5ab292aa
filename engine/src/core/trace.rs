//! PDUs of single servers and accounts, copied for an operator who wants to look at them.
//!
//! Invariants: while nobody looks, it costs a branch for each PDU that is read and for each buffer that is written; copies that
//! nobody has taken are bounded, and what is beyond is counted; a password never leaves. Must never hold up a message.

use super::contract::{ConnectionId, Notice, TraceSubject, TracedPdus, Transmit};
use super::engine::PacketEngine;
use super::session::{Session, Side};
use super::wire::{CommandId, Frame, HEADER_OCTETS, Header, next_frame};
use std::collections::BTreeSet;

/// Octets of copies that may wait for the shell.
const WAITING_OCTETS_MAX: usize = 1 << 20;

/// What is looked at.
#[derive(Debug, Default)]
pub(super) struct Traces {
    subjects: BTreeSet<TraceSubject>,
    waiting_octets: usize,
    /// PDUs, or buffers of them, that found no room since the last copy.
    lost: u64,
}

impl Traces {
    /// Whether a session with this side is looked at.
    pub(super) fn includes(&self, side: &Side) -> bool {
        !self.subjects.is_empty() && subject_of(side).is_some_and(|subject| self.subjects.contains(&subject))
    }

    /// The shell has taken a copy.
    pub(super) const fn taken(&mut self, octets: usize) {
        self.waiting_octets = self.waiting_octets.saturating_sub(octets);
    }
}

const fn subject_of(side: &Side) -> Option<TraceSubject> {
    match side {
        Side::Client(client) => match client.client {
            Some(index) => Some(TraceSubject::Client(index)),
            None => None,
        },
        Side::Server(side) => Some(TraceSubject::Server(side.server)),
        Side::Gone => None,
    }
}

impl PacketEngine {
    /// Hands out what a session that is looked at has to write, and copies it. Out of the way of what nobody looks at.
    #[cold]
    #[inline(never)]
    pub(super) fn transmit_traced(&mut self, connection: ConnectionId) -> Option<Transmit> {
        let octets = self.sessions.get_mut(connection)?.output.hand_out();
        self.counters.transmitted_octets += octets.len() as u64;
        self.trace(connection, false, &octets);
        Some(Transmit { connection, octets })
    }

    /// Copies the PDU that is about to be read from the front of `bytes`, if there is a whole one.
    #[cold]
    #[inline(never)]
    pub(super) fn trace_next(&mut self, connection: ConnectionId, bytes: &[u8]) {
        if let Frame::Pdu(pdu) = next_frame(bytes, self.settings.engine.max_pdu_octets) {
            self.trace(connection, true, pdu);
        }
    }

    /// Looks at the sessions of a server or account from now on, or not any more.
    pub(super) fn set_trace(&mut self, subject: TraceSubject, is_on: bool) {
        if is_on {
            self.traces.subjects.insert(subject);
        } else {
            self.traces.subjects.remove(&subject);
        }
        for session in self.sessions.iter_mut() {
            session.is_traced = self.traces.includes(&session.side);
        }
    }

    /// Copies whole PDUs of a session that is looked at.
    #[cold]
    pub(super) fn trace(&mut self, connection: ConnectionId, is_received: bool, octets: &[u8]) {
        let side = self
            .sessions
            .get(connection)
            .map(|session: &Session| &session.side);
        let Some(subject) = side.and_then(subject_of) else {
            return;
        };
        if self.traces.waiting_octets + octets.len() > WAITING_OCTETS_MAX {
            self.traces.lost += 1;
            return;
        }
        self.traces.waiting_octets += octets.len();
        let mut octets = octets.to_vec();
        hide_passwords(&mut octets);
        let traced = TracedPdus {
            subject,
            connection,
            is_received,
            octets,
            lost_before: std::mem::take(&mut self.traces.lost),
        };
        self.outbox.notices.push_back(Notice::Traced(Box::new(traced)));
    }
}

/// Writes asterisks over the password of each bind and outbind.
fn hide_passwords(octets: &mut [u8]) {
    let mut at = 0;
    while let Frame::Pdu(pdu) = next_frame(&octets[at..], u32::MAX) {
        let (length, header) = (pdu.len(), Header::read(pdu));
        if let Some(header) = header
            && matches!(
                header.command_id,
                CommandId::BIND_RECEIVER
                    | CommandId::BIND_TRANSMITTER
                    | CommandId::BIND_TRANSCEIVER
                    | CommandId::OUTBIND
            )
        {
            let body = &mut octets[at + HEADER_OCTETS..at + length];
            let system_id_end = body.iter().position(|octet| *octet == 0).unwrap_or(body.len());
            let behind = body.iter_mut().skip(system_id_end + 1);
            behind
                .take_while(|octet| **octet != 0)
                .for_each(|octet| *octet = b'*');
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: of several PDUs the binds lose their passwords and nothing else changes.
    #[test]
    fn only_passwords_are_hidden() {
        let pdu = |command: u32, body: &[u8]| {
            let length = (HEADER_OCTETS + body.len()) as u32;
            let mut octets = Vec::new();
            for word in [length, command, 0, 1] {
                octets.extend_from_slice(&word.to_be_bytes());
            }
            octets.extend_from_slice(body);
            octets
        };
        let enquiry = pdu(CommandId::ENQUIRE_LINK.0, &[]);
        let bind = |password: &str| {
            pdu(
                CommandId::BIND_TRANSCEIVER.0,
                format!("esme\0{password}\0type\0\x34\0\0\0").as_bytes(),
            )
        };
        let mut octets = [enquiry.clone(), bind("secret"), enquiry.clone(), bind("")].concat();
        hide_passwords(&mut octets);
        assert_eq!(
            octets,
            [enquiry.clone(), bind("******"), enquiry, bind("")].concat()
        );
        let outbind = |password: &str| pdu(CommandId::OUTBIND.0, format!("smsc\0{password}\0").as_bytes());
        let mut octets = outbind("secret");
        hide_passwords(&mut octets);
        assert_eq!(octets, outbind("******"));
        // What is cut short must not be touched, nor panic.
        hide_passwords(&mut bind("secret")[..20]);
    }
}
