//! The life of an ESME session: bind, keep alive, time out, unbind when everything is done.

use bytes::BytesMut;
use smppmux_engine::core::wire::{Bind, CommandId, Status, write_header_only, write_pdu};

use super::session::{EsmeSession, Phase};
use crate::simulator::connection::Flow;
use crate::simulator::control::bump;
use crate::simulator::value::micros;

/// How often a session looks at its timeouts and at the wish to stop.
const TICK_US: u64 = 100_000;
/// enquire_links in a row without an answer after which the connection is given up.
const ENQUIRE_LINK_MISSES_MAX: u64 = 2;

impl EsmeSession {
    pub(super) fn send_bind(&mut self, now_us: u64, output: &mut BytesMut) -> Flow {
        let arguments = &self.plan.arguments;
        let body = Bind {
            system_id: &self.identity.system_id,
            password: &self.identity.password,
            system_type: arguments.system_type.as_bytes(),
            version: arguments.interface_version.version(),
            addr_ton: arguments.addr_ton,
            addr_npi: arguments.addr_npi,
            address_range: &self.identity.address_range,
        };
        let command_id = arguments.bind.command_id();
        let Some(sequence_number) = self.answers.open_request(command_id, now_us) else {
            return Flow::Abort;
        };
        if let Err(fault) = write_pdu(output, command_id, Status::ESME_ROK, sequence_number, &body) {
            tracing::error!("connection {}: {fault}", self.identity.index + 1);
            return Flow::Abort;
        }
        self.enter(Phase::Binding, now_us);
        Flow::Continue
    }

    fn send_unbind(&mut self, now_us: u64, output: &mut BytesMut) -> Flow {
        let Some(sequence_number) = self.answers.open_request(CommandId::UNBIND, now_us) else {
            return Flow::Abort;
        };
        write_header_only(output, CommandId::UNBIND, Status::ESME_ROK, sequence_number);
        self.enter(Phase::Unbinding, now_us);
        Flow::Continue
    }

    /// Timeouts, enquire_link and the end of the run, a few times a second.
    pub(super) fn tick(&mut self, now_us: u64, output: &mut BytesMut) -> Flow {
        self.next_tick_us = now_us + TICK_US;
        let timeout_us = micros(self.arguments().response_timeout);
        let mut missed = 0;
        self.answers
            .expire(now_us.saturating_sub(timeout_us), |command_id| {
                missed += u64::from(command_id == CommandId::ENQUIRE_LINK);
            });
        if missed > 0 {
            self.counts.enquire_link_misses += missed;
            self.enquire_link_misses += missed;
            self.enquire_link_sent_us = None;
        }
        let is_overdue = now_us.saturating_sub(self.phase_since_us) > timeout_us;
        match self.phase {
            Phase::Binding | Phase::Unbinding if is_overdue => Flow::Abort,
            Phase::Bound if self.enquire_link_misses >= ENQUIRE_LINK_MISSES_MAX => Flow::Abort,
            Phase::Bound => {
                self.enquire(now_us, output);
                if self.is_due_to_unbind(now_us) {
                    self.send_unbind(now_us, output)
                } else {
                    Flow::Continue
                }
            }
            _ => Flow::Continue,
        }
    }

    fn enquire(&mut self, now_us: u64, output: &mut BytesMut) {
        let interval_us = micros(self.arguments().enquire_link_interval);
        let is_quiet = now_us.saturating_sub(self.last_received_us) >= interval_us;
        if interval_us == 0 || !is_quiet || self.enquire_link_sent_us.is_some() {
            return;
        }
        if let Some(sequence_number) = self.answers.open_request(CommandId::ENQUIRE_LINK, now_us) {
            write_header_only(output, CommandId::ENQUIRE_LINK, Status::ESME_ROK, sequence_number);
            self.enquire_link_sent_us = Some(now_us);
        }
    }

    /// Everything was sent and answered (or given up), and the time to linger is over.
    fn is_due_to_unbind(&mut self, now_us: u64) -> bool {
        if self.may_send(now_us) || self.answers.messages_waiting() > 0 {
            self.idle_since_us = None;
            return false;
        }
        let idle_since_us = *self.idle_since_us.get_or_insert(now_us);
        if self.shared.is_stopped() {
            return true;
        }
        // What only receives stays for its duration, or until it is stopped.
        let sends = self.plan.sends();
        let is_over = if sends {
            self.is_sending_over(now_us)
        } else {
            self.is_duration_over(now_us)
        };
        is_over && now_us.saturating_sub(idle_since_us) >= micros(self.arguments().linger)
    }

    pub(super) fn handle_bind_response(&mut self, now_us: u64, status: Status) -> Flow {
        if !status.is_ok() {
            tracing::warn!(
                "connection {}: bind refused with {status}",
                self.identity.index + 1
            );
            return Flow::Close;
        }
        self.counts.bound += 1;
        bump(&self.shared.live.bound);
        self.sending_since_us.get_or_insert(now_us);
        self.enter(Phase::Bound, now_us);
        Flow::Continue
    }
}
