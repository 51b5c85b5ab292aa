//! What the message centre sends on its own: delivery receipts first, then MO, within the session's window.

use std::sync::Arc;

use bytes::BytesMut;
use smppmux_engine::core::wire::CommandId;

use super::mobile_originated::MoStream;
use super::session::SmscSession;
use crate::simulator::connection::OUTPUT_OCTETS_FULL;
use crate::simulator::control::bump;
use crate::simulator::message::Place;
use crate::simulator::pattern::Counters;

impl SmscSession {
    /// Sends what is due, of a session that receives.
    pub(super) fn deliver(&mut self, now_us: u64, output: &mut BytesMut) {
        for receipt in self.inbox.take() {
            let is_full = self.due_receipts.push(receipt.due_us, receipt).is_err();
            self.counts.receipts_undeliverable += u64::from(is_full);
        }
        self.send_receipts(now_us, output);
        let centre = Arc::clone(&self.centre);
        if !centre.may_deliver(now_us) {
            return;
        }
        for (index, stream) in centre.mo.iter().enumerate() {
            self.shares[index].accrue(stream, now_us);
        }
        // One of each stream in turn, going on where the last call ended, so that one that is not paced does not starve the
        // others, however little room there is each time.
        let streams = centre.mo.len();
        let mut idle_in_a_row = 0;
        while idle_in_a_row < streams {
            let index = self.next_stream % streams;
            if self.send_next(index, &centre.mo[index], now_us, output) {
                idle_in_a_row = 0;
            } else {
                idle_in_a_row += 1;
            }
            self.next_stream = index + 1;
        }
    }

    /// When something will be due.
    pub(super) fn delivery_deadline_us(&self, now_us: u64) -> u64 {
        let mut deadline_us = u64::MAX;
        if let Some(due_us) = self
            .due_receipts
            .next_due_us()
            .filter(|_| self.has_room_for_receipts())
        {
            deadline_us = due_us;
        }
        if let Some(start_us) = self.centre.mo_start_us(now_us) {
            return deadline_us.min(start_us);
        }
        if !self.centre.may_deliver(now_us) || !self.answers.has_room() {
            return deadline_us;
        }
        let streams = self.centre.mo.iter().zip(&self.shares);
        let waiting =
            streams.filter(|(stream, share)| share.takes && (share.part > 0 || !stream.is_exhausted()));
        let due = waiting.map(|(stream, share)| share.next_due_us(stream, now_us));
        due.min().map_or(deadline_us, |due_us| deadline_us.min(due_us))
    }

    fn has_room_for_receipts(&self) -> bool {
        self.receipts_waiting < self.centre.arguments.mo_window as usize
    }

    fn send_receipts(&mut self, now_us: u64, output: &mut BytesMut) {
        let centre = Arc::clone(&self.centre);
        while self.has_room_for_receipts() && output.len() < OUTPUT_OCTETS_FULL {
            let Some(receipt) = self.due_receipts.pop_due(now_us) else {
                return;
            };
            let Some(sequence_number) = self.answers.open_request(CommandId::DELIVER_SM, now_us) else {
                return;
            };
            let form = centre.id_form().towards(self.version);
            match receipt.write(&centre.arguments, form, self.version, sequence_number, output) {
                Ok(_) => {
                    self.receipts_waiting += 1;
                    self.counts.receipts_sent += 1;
                }
                Err(fault) => tracing::error!("receipt: {fault}"),
            }
        }
    }

    /// Sends the next PDU of a stream; false when none is due, all were sent, or there is no room.
    fn send_next(&mut self, index: usize, stream: &MoStream, now_us: u64, output: &mut BytesMut) -> bool {
        let is_due = self.shares[index].is_due();
        if !is_due || !self.answers.has_room() || output.len() >= OUTPUT_OCTETS_FULL {
            return false;
        }
        if self.shares[index].part == 0 {
            let Some(message) = stream.claim() else {
                return false;
            };
            self.shares[index].message = message;
        }
        let share = &mut self.shares[index];
        let command_id = stream.shape.command.command_id();
        let Some((sequence_number, token)) = self.answers.open_message(command_id, now_us, now_us) else {
            return false;
        };
        let place = Place {
            counters: Counters {
                number: share.message,
                connection: u64::from(token.stream) + 1,
            },
            part: share.part,
            reference: share.message as u16,
            token,
        };
        if let Err(fault) = stream
            .shape
            .write(&place, sequence_number, &mut self.scratch, output)
        {
            tracing::error!("MO: {fault}");
            return false;
        }
        share.spend();
        share.part = (share.part + 1) % stream.shape.payload.segments();
        bump(&self.centre.shared.live.sent);
        true
    }
}
