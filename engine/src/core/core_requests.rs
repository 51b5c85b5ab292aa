//! What other cores ask of this one: sending a request to a session that stands here.
//!
//! Invariant: every request that arrives is answered exactly once, also when nothing could be done.

use super::choice::session_with_room;
use super::concatenation::PinId;
use super::contract::CoreIndex;
use super::core_link::REFUSAL_PAUSE;
use super::core_message::{CoreOutcome, CoreRequest, CoreTarget, PoolHandle, QueuedLine};
use super::engine::PacketEngine;
use super::figures::count;
use super::relay::Relay;
use super::sequence::{Origin, SubmitNote};
use super::server_requests::CheckedMessage;
use super::settings::ServerIndex;
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{Header, Version};
use std::ops::Range;

impl PacketEngine {
    /// Another core's request: exactly one answer leaves, now or when the far peer has answered.
    pub(super) fn core_request(&mut self, now: Moment, from: CoreIndex, request: CoreRequest) {
        count(&mut self.counters.core_requests_received, 1);
        let CoreRequest {
            reference,
            target,
            pdu,
            leave_out,
            receipt,
            message,
        } = request;
        if let CoreTarget::Home(question) = target {
            return self.question_asked(now, from, reference, question, pdu);
        }
        let origin = Origin::Core {
            core: from,
            reference,
        };
        if let CoreTarget::Alert(handle) = target {
            if let Some(pool) = self.pools.by_handle(handle) {
                self.alert_here(now, pool, &pdu);
            }
            return self.send_core_answer(from, reference, CoreOutcome::Answered(pdu));
        }
        let sent = self.drain.is_none()
            && match target {
                CoreTarget::Pool(handle) => {
                    self.deliver_for_core(now, (handle, None), &pdu, message, (from, origin))
                }
                // Another core drains its lines by now.
                CoreTarget::Queued(..) if self.links[from.as_usize()].is_leaving => false,
                CoreTarget::Queued(handle, line) => {
                    self.deliver_for_core(now, (handle, Some(line)), &pdu, message, (from, origin))
                }
                CoreTarget::Server(server) => {
                    self.submit_for_core(now, server, &pdu, leave_out, receipt, message, (from, origin))
                }
                CoreTarget::Home(_) | CoreTarget::Alert(_) => false,
            };
        if sent {
            self.buffers.give(pdu);
            return;
        }
        // That a message's own session has none says nothing of the others.
        let no_room_as_of = match target {
            CoreTarget::Server(server) if message.is_none() => self.report_no_room(server),
            _ => None,
        };
        self.send_core_answer(from, reference, CoreOutcome::Refused { pdu, no_room_as_of });
    }

    fn deliver_for_core(
        &mut self,
        now: Moment,
        (handle, queued): (PoolHandle, Option<QueuedLine>),
        pdu: &[u8],
        pinned: Option<PinId>,
        (from, origin): (CoreIndex, Origin),
    ) -> bool {
        let Some(header) = Header::read(pdu) else {
            return false;
        };
        let message = CheckedMessage::checked_elsewhere(header.command_id, pdu);
        let Some(pool) = self.pools.by_handle(handle) else {
            return false;
        };
        let pin = pinned.and_then(|pin| self.enter_relayed(now, from, pin, header.command_id, pdu));
        match (queued, pin) {
            (Some(line), pin) => {
                self.deliver_queued(now, pool, line, &message, origin, pin.as_ref().zip(pinned))
            }
            (None, Some(pin)) => self.deliver_segment_for_core(now, pool, &message, origin, &pin),
            (None, None) => self.deliver_here(now, pool, &message, origin, false),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what a request is and whose it is")]
    fn submit_for_core(
        &mut self,
        now: Moment,
        server: ServerIndex,
        pdu: &[u8],
        leave_out: Range<u32>,
        receipt: Option<SubmitNote>,
        pinned: Option<PinId>,
        (from, origin): (CoreIndex, Origin),
    ) -> bool {
        let Some(header) = Header::read(pdu) else {
            return false;
        };
        if let Some(pin) = pinned
            && let Some(pin) = self.enter_relayed(now, from, pin, header.command_id, pdu)
        {
            return self.submit_segment_for_core(now, server, header.command_id, pdu, receipt, origin, &pin);
        }
        let Some(state) = self.servers.get_mut(usize::from(server.0)) else {
            return false;
        };
        if !state.has_local_room() {
            return false;
        }
        let version = state.version;
        let Some(to) = session_with_room(
            state,
            &self.sessions,
            self.settings.engine.server_output_octets_max,
        ) else {
            self.outbox.awaits_transmitted = true;
            state.is_choked = true;
            return false;
        };
        let sent = if version != Version::V33 && leave_out.is_empty() {
            self.send_request(now, to, Relay::whole(pdu), origin, header.command_id, false)
        } else {
            let leave_out = leave_out.start as usize..leave_out.end as usize;
            match self.send_request_translated(now, to, pdu, leave_out, origin) {
                Some(sent) => sent,
                None => return true,
            }
        };
        if sent && let Some(note) = receipt {
            self.note_submit(to, note);
        }
        sent
    }

    /// A home had no room for a segment: it is left alone for a while.
    pub(super) fn pause_segments(&mut self, now: Moment, home: CoreIndex) {
        let until = now + REFUSAL_PAUSE;
        if let Some(link) = self.links.get_mut(home.as_usize()) {
            link.segments_closed_until = until;
            self.timers.arm(&mut link.armed_at, until, TimerKey::Core(home));
        }
    }
}
