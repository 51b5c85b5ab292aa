//! The life of a message centre's session: time out, keep alive, unbind when the run is stopped.

use bytes::BytesMut;
use smppmux_engine::core::wire::{CommandId, Status, write_header_only};

use super::session::{Phase, SmscSession};
use crate::simulator::connection::Flow;
use crate::simulator::value::micros;

/// How often a session looks at its timeouts and at the wish to stop.
const TICK_US: u64 = 100_000;

impl SmscSession {
    pub(super) fn tick(&mut self, now_us: u64, output: &mut BytesMut) -> Flow {
        self.next_tick_us = now_us + TICK_US;
        let timeout_us = micros(self.centre.arguments.response_timeout);
        let (mut enquire_links, mut receipts) = (0, 0);
        self.answers
            .expire(now_us.saturating_sub(timeout_us), |command_id| match command_id {
                CommandId::ENQUIRE_LINK => enquire_links += 1,
                CommandId::DELIVER_SM => receipts += 1,
                _ => {}
            });
        self.receipts_waiting -= receipts;
        self.counts.receipts_unanswered += receipts as u64;
        let overdue_us = now_us.saturating_sub(self.phase_since_us);
        let is_stopped = self.centre.shared.is_stopped();
        let may_unbind = is_stopped && self.may_unbind(now_us, timeout_us);
        match self.phase {
            Phase::Open if is_stopped || overdue_us > micros(self.centre.arguments.bind_timeout) => {
                Flow::Close
            }
            Phase::Unbinding if overdue_us > timeout_us => Flow::Abort,
            Phase::Bound if enquire_links > 0 => Flow::Abort,
            Phase::Bound if may_unbind => {
                self.send_own_request(CommandId::UNBIND, now_us, output);
                self.enter(Phase::Unbinding, now_us);
                Flow::Continue
            }
            Phase::Bound => {
                self.enquire(now_us, output);
                Flow::Continue
            }
            _ => Flow::Continue,
        }
    }

    /// Nothing waits for an answer on either side, or it has waited long enough.
    fn may_unbind(&mut self, now_us: u64, timeout_us: u64) -> bool {
        let stop_seen_us = *self.stop_seen_us.get_or_insert(now_us);
        let is_settled =
            self.answers.messages_waiting() == 0 && self.receipts_waiting == 0 && self.due_answers.len() == 0;
        is_settled || now_us.saturating_sub(stop_seen_us) > timeout_us
    }

    fn enquire(&mut self, now_us: u64, output: &mut BytesMut) {
        let interval_us = micros(self.centre.arguments.enquire_link_interval);
        let is_quiet = now_us.saturating_sub(self.last_received_us) >= interval_us;
        if interval_us > 0 && is_quiet && !self.enquire_link_waits {
            self.send_own_request(CommandId::ENQUIRE_LINK, now_us, output);
            self.enquire_link_waits = true;
        }
    }

    fn send_own_request(&mut self, command_id: CommandId, now_us: u64, output: &mut BytesMut) {
        if let Some(sequence_number) = self.answers.open_request(command_id, now_us) {
            write_header_only(output, command_id, Status::ESME_ROK, sequence_number);
        }
    }
}
