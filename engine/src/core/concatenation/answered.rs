//! What all segments have in common on their way: marking and sending, and what becomes of those that were sent.
//!
//! Invariant: a note goes with its entry, so the pin hears of each segment once.

use super::notes::NoteIndex;
use super::pin::{Far, PinId};
use super::segment::{Owner, Segment};
use super::to_server::{Sendable, Submitted};
use crate::core::client_requests::NoWay;
use crate::core::contract::{ConnectionId, CoreIndex};
use crate::core::core_message::CoreOutcome;
use crate::core::engine::PacketEngine;
use crate::core::queue::drain::refuse_later;
use crate::core::relay::Relay;
use crate::core::report::Report;
use crate::core::sequence::{Note, Origin, Pending};
use crate::core::settings::VserverIndex;
use crate::core::time::Moment;
use crate::core::timer::TimerKey;
use crate::core::versions::for_v33;
use crate::core::wire::{
    CommandId, ConcatenationKind, Header, Status, Version, append_segment_as, patch_sequence_number,
};
use bytes::BytesMut;
use std::ops::Range;

impl PacketEngine {
    /// The entry of a request has left its window; costs a request that is no segment a branch.
    #[inline]
    pub(in crate::core) fn segment_settled(&mut self, note: Option<NoteIndex>, is_ok: bool) {
        if let Some(note) = note {
            self.pins.settled(note, is_ok);
        }
    }

    /// The same for the answer of another core. One that says ESME_ROK may come before the news of the client's session that took the
    /// segment: the others of its message belong there.
    pub(in crate::core) fn segment_settled_by_core(&mut self, note: Option<NoteIndex>, is_ok: bool) {
        let Some(note) = note else { return };
        let id = self.pins.notes.get(note).map(|note| note.pin);
        self.pins.settled(note, is_ok);
        if let Some(pin) = id.and_then(|id| self.pins.get_mut(id))
            && let Some(Far::PoolAt(core, handle)) = pin.far
        {
            pin.is_vouched_for = is_ok && !self.pools.has_remote(core, handle);
        }
    }

    /// A request of a window goes elsewhere, since nobody got it: appends it to `copy`, a segment as it once came. The answer
    /// is the owner of the message.
    pub(in crate::core) fn take_back(
        &mut self,
        pending: &Pending,
        pdu: &[u8],
        copy: &mut BytesMut,
    ) -> Option<Owner> {
        let note = pending.note.and_then(|note| self.pins.notes.get(note));
        if let Some(index) = pending.note {
            self.pins.unsent(index);
        }
        let pin = note.and_then(|note| self.pins.get(note.pin));
        let came = pin.map(|pin| pin.came);
        let is_restored =
            came.is_some_and(|came| append_segment_as(copy, pending.command, pdu, came.kind, came.reference));
        if !is_restored {
            copy.extend_from_slice(pdu);
        }
        let owner = pin.map(|pin| pin.owner);
        if let Some(pin) = note.and_then(|note| self.pins.get_mut(note.pin)) {
            pin.is_vouched_for = false;
            // Nothing of it has gone there: it may go anywhere.
            if pin.is_untouched() {
                pin.far = None;
            }
        }
        owner
    }

    /// A segment that another core had sent here could not be sent after all: once more, from its home.
    #[allow(clippy::too_many_arguments, reason = "what a segment is and whose it is")]
    pub(in crate::core) fn segment_again(
        &mut self,
        now: Moment,
        owner: Option<Owner>,
        pending: &Pending,
        note: Note,
        (core, reference): (CoreIndex, u32),
        not_at: Option<CoreIndex>,
        pdu: BytesMut,
    ) {
        let origin = Origin::Core { core, reference };
        match owner {
            Some(owner @ Owner::Account(..)) => {
                let receipt = match note {
                    Note::Submit(receipt) => Some(receipt),
                    Note::Account(_) | Note::None => None,
                };
                let submitted = Submitted {
                    owner,
                    sender: 0,
                    origin,
                    journey: pending.journey(),
                    receipt,
                };
                self.segment_to_submit(now, &submitted, pdu);
            }
            Some(owner @ Owner::Server(..)) => {
                self.segment_to_deliver_again(now, owner, pending, origin, not_at, pdu);
            }
            _ => self.send_core_answer(core, reference, CoreOutcome::refused(pdu)),
        }
    }

    /// Another core's session had a segment, and it came back: who asked for it decides whether it is sent again.
    pub(in crate::core) fn segment_returned(
        &mut self,
        now: Moment,
        from: CoreIndex,
        pending: &Pending,
        pdu: &[u8],
        status: Status,
    ) {
        let mut copy = self.buffers.take();
        self.keep_turn_of_returned(now, pending);
        self.take_back(pending, pdu, &mut copy);
        let pending = Pending {
            note: None,
            ..*pending
        };
        match pending.origin {
            Origin::Core { core, reference } => {
                let outcome = CoreOutcome::Returned { pdu: copy, status };
                self.send_core_answer(core, reference, outcome);
            }
            Origin::Session { .. } | Origin::Gathered(_) | Origin::Queue { .. } | Origin::Own => {
                self.returned_by_core(now, from, &pending, copy, status);
            }
        }
    }

    /// A client's segment came back from its home: it waits here as for any window, and the home is left alone for a moment.
    pub(in crate::core) fn segment_waits_here(
        &mut self,
        now: Moment,
        home: CoreIndex,
        pending: &Pending,
        way: NoWay,
        mut pdu: BytesMut,
    ) {
        self.pause_segments(now, home);
        if let Origin::Session {
            connection,
            sequence_number,
        } = pending.origin
        {
            // It may have been on its way under another number.
            patch_sequence_number(&mut pdu, sequence_number);
            if let Some(header) = Header::read(&pdu) {
                self.no_way(now, connection, header, &pdu, way, pending.journey());
            }
        }
        self.buffers.give(pdu);
    }

    /// A home that had no room may have some now: what waits here for it is tried again.
    pub(in crate::core) fn serve_holds_behind_home(&mut self, now: Moment) {
        for vserver in 0..self.vservers.len() {
            // Bounded by the index that settings use.
            self.serve_hold(now, VserverIndex(u16::try_from(vserver).unwrap_or(u16::MAX)));
        }
    }

    pub(in crate::core) fn report_pins(&self, report: &mut Report) {
        let figures = self.pins.figures;
        report.concatenated = self.pins.len() as u64;
        report.counters.references_changed = figures.references_changed;
        report.counters.concatenated_expired = figures.expired;
        report.counters.concatenated_evicted = figures.evicted;
    }

    /// The time of some message is over.
    pub(in crate::core) fn expire_pins(&mut self, now: Moment) {
        self.pins.expire(now);
        self.arm_pins();
    }

    pub(super) fn enter_pin(&mut self, now: Moment, owner: Owner, segment: &Segment, sender: u32) -> PinId {
        let pin = self.pins.enter(now, owner, segment, sender);
        self.arm_pins();
        pin
    }

    pub(super) fn arm_pins(&mut self) {
        let next = self.pins.next_deadline();
        self.timers.arm(&mut self.pins.armed_at, next, TimerKey::Pins);
    }

    /// Names a session among all cores' ones; not 0.
    pub(super) fn sender_of(&self, session: ConnectionId) -> u32 {
        self.settings.key_hash((self.core.0, session)) as u32 | 1
    }

    /// Whether segments may be sent to their home on another core just now.
    pub(super) fn home_takes_segments(&self, now: Moment, home: CoreIndex) -> bool {
        self.links[home.as_usize()].takes_segments(now)
    }

    /// Sends a segment to a session of this core, marked as its message leaves; `false`: it has no room, or all references
    /// are in use.
    pub(super) fn send_segment(
        &mut self,
        now: Moment,
        to: ConnectionId,
        version: Version,
        kind: ConcatenationKind,
        sendable: &Sendable<'_>,
    ) -> bool {
        let place = &sendable.segment.place;
        let Some(mark) = self.pins.mark(sendable.pin, kind, &mut self.random) else {
            return false;
        };
        let note = self.pins.note(sendable.pin, place.sequence);
        let pending = Pending {
            note,
            ..Pending::on_journey(sendable.origin, sendable.command, now, sendable.journey)
        };
        let sent = if mark.kind == place.kind && version.has_tlvs() {
            // The usual case: one copy, the reference overwritten in it.
            let relay = Relay::whole(sendable.pdu);
            let reference = mark.reference.to_be_bytes();
            let reference = &reference[reference.len() - place.kind.reference_octets()..];
            self.send_pending(now, to, relay, pending)
                && self.overwrite_last(to, relay.octets(), place.reference_range(), reference)
        } else {
            match self.send_translated_segment(now, to, version, kind, sendable, pending) {
                Some(sent) => sent,
                None => {
                    if let Some(note) = note {
                        self.pins.unsent(note);
                    }
                    self.refuse_segment(now, sendable);
                    return true;
                }
            }
        };
        match (note, sendable.receipt) {
            (Some(note), _) if !sent => self.pins.unsent(note),
            (_, Some(receipt)) if sent => self.note_submit(to, receipt),
            // Its answer is looked at too.
            (Some(_), None) => self.note_nothing(to),
            _ => {}
        }
        sent
    }

    /// Sends a segment with another kind of mark, or to a peer of v3.3. `None`: that peer cannot read it.
    fn send_translated_segment(
        &mut self,
        now: Moment,
        to: ConnectionId,
        version: Version,
        kind: ConcatenationKind,
        sendable: &Sendable<'_>,
        pending: Pending,
    ) -> Option<bool> {
        let command = sendable.command;
        let mut pdu = self.buffers.take();
        self.write_segment(&mut pdu, kind, sendable);
        let sent = if version.has_tlvs() {
            Some(self.send_pending(now, to, Relay::whole(&pdu), pending))
        } else {
            let translated = for_v33(command, &pdu, &mut self.buffers);
            translated.map(|translated| {
                let sent = version.knows(command) && self.send_pending(now, to, translated.relay(), pending);
                translated.give_back(&mut self.buffers);
                sent
            })
        };
        self.buffers.give(pdu);
        sent.filter(|_| version.knows(command))
    }

    /// Refuses a segment for good that the session of its message cannot read.
    #[cold]
    fn refuse_segment(&mut self, now: Moment, sendable: &Sendable<'_>) {
        let status = match sendable.command {
            CommandId::DELIVER_SM => Status::ESME_RX_R_APPN,
            CommandId::SUBMIT_SM | CommandId::SUBMIT_MULTI => Status::ESME_RINVMSGLEN,
            _ => Status::ESME_RINVCMDID,
        };
        match sendable.origin {
            Origin::Queue { place, number } => refuse_later(&mut self.queue, place, number),
            origin => self.fail_request(now, &Pending::new(origin, sendable.command, now), status),
        }
    }

    /// Copies a segment, marked as its message leaves. Where its text leaves no room for another kind of mark it keeps its
    /// own kind. `false`: all references are in use.
    pub(super) fn write_segment(
        &mut self,
        buffer: &mut BytesMut,
        kind: ConcatenationKind,
        sendable: &Sendable<'_>,
    ) -> bool {
        let Some(mark) = self.pins.mark(sendable.pin, kind, &mut self.random) else {
            return false;
        };
        let own_kind = sendable.segment.place.kind;
        let (command, pdu, reference) = (sendable.command, sendable.pdu, mark.reference);
        if !append_segment_as(buffer, command, pdu, mark.kind, reference)
            && !append_segment_as(buffer, command, pdu, own_kind, reference)
        {
            buffer.extend_from_slice(pdu);
        }
        true
    }

    /// Marks the request that was just put on a session as one that is not answered the short way.
    fn note_nothing(&mut self, to: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(to) {
            session.window.note_last(Note::None);
        }
    }

    /// Overwrites octets of the PDU that was just put into a session's output.
    fn overwrite_last(&mut self, to: ConnectionId, octets: usize, range: Range<usize>, with: &[u8]) -> bool {
        if let Some(session) = self.sessions.get_mut(to) {
            session.output.overwrite_last(octets, range, with);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::core_message::CoreAnswer;
    use crate::core::engine::tests::{binding_client, engine, message};
    use crate::core::sequence::Via;
    use crate::core::session::Session;

    /// Goal: a client's segment that comes back from its home, which has nothing of its message any more, has its one answer.
    #[test]
    fn a_segment_that_its_home_refuses_is_answered() {
        let (mut engine, now) = (engine(2), Moment::START);
        let client = binding_client(&mut engine, now);
        engine.release_bind(now, client);
        engine
            .sessions
            .get_mut(client)
            .and_then(Session::client_mut)
            .unwrap()
            .unanswered = 1;
        let pdu = message(CommandId::SUBMIT_SM);
        let origin = Origin::Session {
            connection: client,
            sequence_number: 5,
        };
        let pending = Pending {
            via: Via::Home,
            ..Pending::new(origin, CommandId::SUBMIT_SM, now)
        };
        let reference = engine.links[1].window.reserve(pending).expect("room");
        let outcome = CoreOutcome::refused(pdu);
        engine.core_answer(now, CoreIndex(1), CoreAnswer { reference, outcome });
        let sent = engine
            .poll_transmit()
            .expect("bind_resp and submit_sm_resp")
            .octets;
        let bind = Header::read(&sent).expect("a header");
        let answer = Header::read(&sent[bind.command_length as usize..]).expect("an answer");
        assert_eq!(
            (answer.command_id, answer.sequence_number),
            (CommandId::SUBMIT_SM_RESP, 5)
        );
        assert!(!answer.command_status.is_ok());
    }
}
