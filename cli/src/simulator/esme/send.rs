//! What an ESME session sends: the next message when the window and the schedule allow it.

use bytes::BytesMut;

use super::session::EsmeSession;
use crate::simulator::connection::{Flow, OUTPUT_OCTETS_FULL};
use crate::simulator::control::bump;
use crate::simulator::message::Place;
use crate::simulator::value::micros;

impl EsmeSession {
    /// Sends what is due. `Abort` when a message cannot be written, which the plan's check should have found.
    pub(super) fn send_messages(&mut self, now_us: u64, output: &mut BytesMut) -> Flow {
        while self.answers.has_room() && output.len() < OUTPUT_OCTETS_FULL && self.may_send(now_us) {
            let due_us = self.pace.as_mut().map_or(now_us, |pace| pace.next_due_us(now_us));
            if due_us > now_us {
                break;
            }
            if !self.send_one(due_us, now_us, output) {
                return Flow::Abort;
            }
            if let Some(pace) = &mut self.pace {
                pace.advance();
            }
        }
        Flow::Continue
    }

    /// There is something left to send, and the run goes on.
    pub(super) fn may_send(&self, now_us: u64) -> bool {
        self.plan.sends() && !self.shared.is_sending_stopped() && !self.is_sending_over(now_us)
    }

    /// Its share of the messages went out, or its time is over.
    pub(super) fn is_sending_over(&self, now_us: u64) -> bool {
        self.identity
            .messages
            .is_some_and(|messages| self.message >= messages)
            || self.is_duration_over(now_us)
    }

    pub(super) fn is_duration_over(&self, now_us: u64) -> bool {
        let since_us = self.sending_since_us.unwrap_or(now_us);
        let duration = self.arguments().duration;
        duration.is_some_and(|duration| now_us.saturating_sub(since_us) >= micros(duration))
    }

    fn send_one(&mut self, due_us: u64, now_us: u64, output: &mut BytesMut) -> bool {
        let command_id = self.plan.shape.command.command_id();
        let Some((sequence_number, token)) = self.answers.open_message(command_id, due_us, now_us) else {
            return false;
        };
        let place = Place {
            counters: self.plan.counters(self.identity.index, self.message),
            part: self.part,
            reference: reference(self.identity.index, self.message),
            token,
        };
        if let Err(fault) = self
            .plan
            .shape
            .write(&place, sequence_number, &mut self.scratch, output)
        {
            tracing::error!("connection {}: {fault}", self.identity.index + 1);
            return false;
        }
        bump(&self.shared.live.sent);
        self.part += 1;
        if self.part == self.plan.shape.payload.segments() {
            self.part = 0;
            self.message += 1;
        }
        true
    }
}

/// The concatenation reference of a message: counts up on each connection, from different places.
const fn reference(index: u32, message: u64) -> u16 {
    const PLACES: u16 = 37;
    (index as u16).wrapping_mul(PLACES).wrapping_add(message as u16)
}
