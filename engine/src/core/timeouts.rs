//! What happens when time passes: answers that do not come, peers that fall silent, states that take too long.
//!
//! Invariant: each session is armed for its earliest deadline or before it.

use super::contract::{Action, CloseReason, ConnectionId};
use super::core_message::CoreOutcome;
use super::engine::PacketEngine;
use super::message_log::Reason;
use super::routing::is_curbed;
use super::sequence::{Origin, Pending};
use super::session::{ServerSide, Session, SessionState, Side};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{CommandId, Status, write_header_only};
use std::time::Duration;

/// What a session's side of the configuration says about silence and answers.
#[derive(Clone, Copy)]
struct Patience {
    response_timeout: Duration,
    enquire_link_interval: Duration,
    enquire_link_misses: u32,
    late_answer_hold: Duration,
}

impl PacketEngine {
    pub(super) fn run_due_timers(&mut self, now: Moment) {
        while let Some((armed_for, key)) = self.timers.pop_due(now) {
            if !self.take_note(armed_for, key) {
                continue;
            }
            match key {
                TimerKey::Session(id) => self.session_timer(now, id),
                TimerKey::Server(server) => self.connect_server(now, server),
                TimerKey::Pacing(server) => self.pace_again(now, server),
                TimerKey::Health(server) => self.look_at_health(now, server),
                TimerKey::SlowStart(server) => self.ramp(now, server),
                TimerKey::Hold(vserver) => self.expire_held(now, vserver),
                TimerKey::Core(core) => self.expire_core_requests(now, core),
                TimerKey::Identities => self.expire_identities(now),
                TimerKey::Receipts => self.expire_held_receipts(now),
                TimerKey::Fence => self.expire_fence(now),
                TimerKey::Queue => self.queue_timer(now),
                TimerKey::Pins => self.expire_pins(now),
                TimerKey::Drain => self.drain_timer(now),
            }
        }
    }

    /// Whether an entry that comes up counts: its owner is armed for just that time, and from now on for none.
    fn take_note(&mut self, armed_for: Moment, key: TimerKey) -> bool {
        let note = match key {
            TimerKey::Session(id) => self.sessions.get_mut(id).map(|session| &mut session.armed_at),
            TimerKey::Server(server) => Some(&mut self.servers[usize::from(server.0)].armed_at),
            TimerKey::Pacing(server) => {
                let pacing = self.servers[usize::from(server.0)].pacing.as_mut();
                pacing.map(|pacing| &mut pacing.armed_at)
            }
            TimerKey::Health(server) => Some(&mut self.servers[usize::from(server.0)].health.armed_at),
            TimerKey::SlowStart(server) => Some(&mut self.servers[usize::from(server.0)].slow_start.armed_at),
            TimerKey::Hold(vserver) => Some(&mut self.vservers[usize::from(vserver.0)].hold.armed_at),
            TimerKey::Core(core) => Some(&mut self.links[core.as_usize()].armed_at),
            TimerKey::Identities => Some(&mut self.identities.armed_at),
            TimerKey::Receipts => Some(&mut self.receipts.held.armed_at),
            TimerKey::Fence => Some(&mut self.receipts.fence.armed_at),
            TimerKey::Queue => Some(&mut self.queue.armed_at),
            TimerKey::Pins => Some(&mut self.pins.armed_at),
            TimerKey::Drain => self.drain.as_mut().map(|drain| &mut drain.armed_at),
        };
        note.is_some_and(|note| {
            let counts = *note == armed_for;
            if counts {
                *note = Moment::NEVER;
            }
            counts
        })
    }

    /// Everything that may be due for one session.
    fn session_timer(&mut self, now: Moment, id: ConnectionId) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        if session.state_deadline <= now {
            self.state_timed_out(now, id);
        }
        self.expire_requests(now, id);
        self.check_silence(now, id);
        self.check_reading(now, id);
        self.rearm(now, id);
    }

    fn state_timed_out(&mut self, now: Moment, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.state_deadline = Moment::NEVER;
        match (session.state, &session.side) {
            (SessionState::Closing, _) => self.abort_closing(id),
            (SessionState::Open, Side::Client(_)) => self.end_session(now, id, CloseReason::BindTimeout),
            (SessionState::Binding, Side::Client(client)) if client.accepted => self.release_bind(now, id),
            (SessionState::Binding, Side::Client(_)) => {
                self.forget_waiting_bind(id);
                self.forwarded_bind_failed(now, id, Status::ESME_RSYSERR);
            }
            (SessionState::Connecting | SessionState::Open | SessionState::Binding, Side::Server(_)) => {
                self.end_session(now, id, CloseReason::BindTimeout);
            }
            (SessionState::Unbinding(_), Side::Client(client)) if client.unbind_sequence_number.is_some() => {
                self.answer_what_is_due(now, id);
                // The last of those answers has ended it, if there was any.
                self.client_settled(now, id);
            }
            (
                SessionState::Unbinding(_),
                Side::Server(ServerSide {
                    unbind_sequence_number: Some(number),
                    ..
                }),
            ) => {
                let number = *number;
                self.answer_what_is_due(now, id);
                self.send_header(id, CommandId::UNBIND_RESP, Status::ESME_ROK, number);
                self.end_session(now, id, CloseReason::PeerUnbound);
            }
            // It has had its time, and counts among the server's binds as long as it is there: the next one may come at once.
            (SessionState::Unbinding(_), Side::Server(_)) => {
                self.drop_session(now, id, CloseReason::WeUnbound, None, true);
            }
            (SessionState::Unbinding(_), _) => {
                self.answer_what_is_due(now, id);
                self.end_session(now, id, CloseReason::WeUnbound);
            }
            // Only a session that drains or leaves has a deadline while it is bound.
            (SessionState::Bound(_), Side::Client(_)) => self.client_drained(now, id),
            (SessionState::Bound(_), Side::Server(side)) if side.is_leaving => self.unbind_peer(now, id),
            (SessionState::Bound(_) | SessionState::Connecting, _) | (_, Side::Gone) => {}
        }
    }

    /// Answers requests that the peer has not answered in time; frees slots whose late answer never came.
    fn expire_requests(&mut self, now: Moment, id: ConnectionId) {
        let Some((session, patience)) = self.with_patience(id) else {
            return;
        };
        let late = patience.response_timeout + patience.late_answer_hold;
        let due = session.window.numbers_where(|pending| {
            pending.origin != Origin::Own
                && if pending.expired {
                    pending.sent_at + late <= now
                } else {
                    pending.sent_at + patience.response_timeout <= now
                }
        });
        let mut has_let_go = false;
        for number in due {
            let Some(pending) = self
                .sessions
                .get_mut(id)
                .and_then(|session| session.window.get_mut(number))
            else {
                continue;
            };
            if pending.expired {
                self.give_up_late_answer(now, id, number);
                continue;
            }
            pending.expired = true;
            let pending = *pending;
            self.settle_retained(id, &pending);
            has_let_go = true;
            self.know_far((id, number), &pending, Reason::Timeout);
            self.counters.timeouts += 1;
            // A server that stops answering must not keep the good name of its last answers.
            if let Some(side) = self.sessions.get(id).and_then(Session::server) {
                self.servers[usize::from(side.server.0)].measure(now.nanoseconds_since(pending.sent_at));
            }
            self.judge_timeout(now, id, &pending);
            self.request_timed_out(now, &pending);
        }
        if has_let_go && let Some(side) = self.sessions.get(id).and_then(Session::server) {
            self.serve_holds_of(now, side.server);
        }
    }

    /// Nobody has answered a request in time. Another core asks its own settings what its session is told.
    pub(super) fn request_timed_out(&mut self, now: Moment, pending: &Pending) {
        if let Origin::Core { core, reference } = pending.origin {
            return self.send_core_answer(core, reference, CoreOutcome::TimedOut);
        }
        self.know_pending(pending, Reason::Timeout);
        let status = self.timeout_status(pending);
        self.fail_request(now, pending, status);
    }

    /// The status for a request of one of our sessions that was not answered in time: the vserver's towards a client, and
    /// ESME_RX_T_APPN towards a server.
    pub(super) fn timeout_status(&self, pending: &Pending) -> Status {
        let Origin::Session { connection, .. } = pending.origin else {
            return Status::ESME_RSYSERR;
        };
        match self.sessions.get(connection).map(|session| &session.side) {
            Some(Side::Client(client)) => {
                self.settings.vservers[usize::from(client.vserver.0)].timeout_status
            }
            _ => Status::ESME_RX_T_APPN,
        }
    }

    fn give_up_late_answer(&mut self, now: Moment, id: ConnectionId, number: u32) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let note = session.window.take(number).and_then(|pending| pending.note);
        self.segment_settled(note, false);
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        match &session.side {
            Side::Server(side) => {
                let (server, is_counted) = (side.server, side.is_counted);
                if is_counted {
                    let state = &mut self.servers[usize::from(server.0)];
                    state.outstanding = state.outstanding.saturating_sub(1);
                }
                self.room_at_server(now, server);
            }
            Side::Client(_) => self.room_at_client(id),
            Side::Gone => {}
        }
    }

    /// Sends enquire_link to a peer that has been silent; gives it up when it does not answer several in a row.
    fn check_silence(&mut self, now: Moment, id: ConnectionId) {
        let Some((session, patience)) = self.with_patience(id) else {
            return;
        };
        if !matches!(session.state, SessionState::Bound(_))
            || now.since(session.received_at) < session.enquire_link_interval
        {
            return;
        }
        if session.enquired_at != Moment::NEVER && session.received_at < session.enquired_at {
            if now.since(session.enquired_at) < patience.response_timeout {
                return;
            }
            if session.enquire_link_misses + 1 >= patience.enquire_link_misses {
                return self.end_session(now, id, CloseReason::EnquireLinkTimeout);
            }
            if let Some(session) = self.sessions.get_mut(id) {
                session.enquire_link_misses += 1;
            }
        } else if let Some(session) = self.sessions.get_mut(id) {
            session.enquire_link_misses = 0;
        }
        if let Some(session) = self.sessions.get_mut(id) {
            session.enquired_at = now;
        }
        self.send_own(now, id, CommandId::ENQUIRE_LINK);
    }

    /// A client whose output stays full for too long is given up; everything it did is answered as far as it reads.
    fn check_reading(&mut self, now: Moment, id: ConnectionId) {
        let Some((session, patience)) = self.with_patience(id) else {
            return;
        };
        // A bind has a deadline of its own.
        let is_binding = session.state == SessionState::Binding;
        if session.reading_paused && !is_binding && now.since(session.paused_at) >= patience.response_timeout
        {
            self.end_session(now, id, CloseReason::OutputFull);
        }
    }

    fn rearm(&mut self, now: Moment, id: ConnectionId) {
        let Some((session, patience)) = self.with_patience(id) else {
            return;
        };
        let mut next = session.state_deadline;
        for (_, pending) in session
            .window
            .iter()
            .filter(|(_, pending)| pending.origin != Origin::Own)
        {
            let hold = if pending.expired {
                patience.late_answer_hold
            } else {
                Duration::ZERO
            };
            next = next.min(pending.sent_at + patience.response_timeout + hold);
        }
        if matches!(session.state, SessionState::Bound(_)) {
            let is_waiting =
                session.enquired_at != Moment::NEVER && session.received_at < session.enquired_at;
            next = next.min(if is_waiting {
                // Where the answer comes, the next silence may be over before its time to answer would have been.
                let given_up_at = session.enquired_at + patience.response_timeout;
                let silent_at = session.enquired_at + session.enquire_link_interval;
                if silent_at > now {
                    silent_at.min(given_up_at)
                } else {
                    given_up_at
                }
            } else {
                session.received_at + session.enquire_link_interval
            });
        }
        if session.reading_paused {
            next = next.min(session.paused_at + patience.response_timeout);
        }
        // Never in the past: a deadline that was just dealt with must not spin.
        let next = next.max(now + Duration::from_millis(1));
        if let Some(session) = self.sessions.get_mut(id).filter(|_| next < Moment::NEVER) {
            self.timers
                .arm(&mut session.armed_at, next, TimerKey::Session(id));
        }
    }

    /// Gives a session that has just been bound its own interval for enquire_link, so that those of many do not fall
    /// together, and arms it.
    pub(super) fn arm_enquire_link(&mut self, now: Moment, id: ConnectionId) {
        let Some((_, patience)) = self.with_patience(id) else {
            return;
        };
        let interval = self.random.jittered(patience.enquire_link_interval);
        if let Some(session) = self.sessions.get_mut(id) {
            session.enquire_link_interval = interval;
            self.timers
                .arm(&mut session.armed_at, now + interval, TimerKey::Session(id));
        }
    }

    /// The peer answered our enquire_link. (Anything that it sends proves as much.)
    pub(super) fn enquire_link_answered(&mut self, id: ConnectionId, sequence_number: u32) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let is_ours = session
            .window
            .get_mut(sequence_number)
            .is_some_and(|pending| pending.command == CommandId::ENQUIRE_LINK);
        if is_ours {
            session.window.take(sequence_number);
            session.window.shrink();
        } else {
            self.counters.unmatched_answers += 1;
        }
    }

    /// Sends a request of our own that is only a header.
    pub(super) fn send_own(&mut self, now: Moment, to: ConnectionId, command: CommandId) {
        let Some(session) = self.sessions.writable(to) else {
            return;
        };
        // One enquire_link at a time keeps its place: an unanswered one makes room for the next.
        if command == CommandId::ENQUIRE_LINK {
            for number in session
                .window
                .numbers_where(|pending| pending.command == CommandId::ENQUIRE_LINK)
            {
                session.window.take(number);
            }
        }
        let pending = Pending::new(Origin::Own, command, now);
        if let Some(number) = session.window.reserve(pending) {
            write_header_only(
                session.output.open(&mut self.buffers),
                command,
                Status::ESME_ROK,
                number,
            );
            super::relay::list_writable(&mut self.outbox, to, session);
        }
    }

    /// Keeps a session's output bounded: a client that does not read gets its requests throttled, then is not read from
    /// either; a server is given up.
    #[inline]
    pub(super) fn guard_output(&mut self, now: Moment, id: ConnectionId) {
        let limit = self.settings.engine.output_octets_max;
        if self
            .sessions
            .get(id)
            .is_some_and(|session| session.output.waiting_octets() > limit / 2)
        {
            self.output_is_full(now, id);
        }
    }

    #[cold]
    pub(super) fn output_is_full(&mut self, now: Moment, id: ConnectionId) {
        let limit = self.settings.engine.output_octets_max;
        let server_limit = self.settings.engine.server_output_octets_max;
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        self.outbox.awaits_transmitted = true;
        match &session.side {
            Side::Client(_) if session.output.waiting_octets() <= limit => {
                (session.is_slow, session.is_curbed) = (true, true);
            }
            Side::Client(_) if !session.reading_paused => {
                (session.is_slow, session.is_curbed) = (true, true);
                session.reading_paused = true;
                session.paused_at = now;
                self.outbox.actions.push_back(Action::PauseReading(id));
                self.rearm(now, id);
            }
            // A server is never paused because of others; but one that sends and does not read is not a working peer.
            Side::Server(_) if session.output.waiting_octets() > server_limit + limit * 3 => {
                self.end_session(now, id, CloseReason::OutputFull);
            }
            _ => {}
        }
    }

    #[inline]
    pub(super) fn resume_reading_if_drained(&mut self, id: ConnectionId) {
        let limit = self.settings.engine.output_octets_max / 2;
        if let Some(session) = self.sessions.get_mut(id)
            && (session.reading_paused | session.is_slow)
            && session.output.waiting_octets() <= limit
        {
            session.is_slow = false;
            session.is_curbed = is_curbed(&self.settings, &self.vservers, &session.side);
            if std::mem::take(&mut session.reading_paused) {
                self.outbox.actions.push_back(Action::ResumeReading(id));
            }
        }
    }

    fn with_patience(&self, id: ConnectionId) -> Option<(&Session, Patience)> {
        let session = self.sessions.get(id)?;
        let patience = match &session.side {
            Side::Client(client) => {
                let vserver = &self.settings.vservers[usize::from(client.vserver.0)];
                Patience {
                    response_timeout: vserver.response_timeout,
                    enquire_link_interval: vserver.enquire_link_interval,
                    enquire_link_misses: vserver.enquire_link_misses,
                    late_answer_hold: vserver.late_answer_hold,
                }
            }
            Side::Server(server) => {
                let server = &self.settings.servers[usize::from(server.server.0)];
                Patience {
                    response_timeout: server.response_timeout,
                    enquire_link_interval: server.enquire_link_interval,
                    enquire_link_misses: server.enquire_link_misses,
                    late_answer_hold: self.settings.late_answer_hold_max(),
                }
            }
            Side::Gone => Patience {
                response_timeout: Duration::MAX,
                enquire_link_interval: Duration::MAX,
                enquire_link_misses: 1,
                late_answer_hold: Duration::ZERO,
            },
        };
        Some((session, patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::CoreIndex;
    use crate::core::settings::VserverIndex;

    /// Goal: of two entries for one key only the one that its owner is armed for counts, and it counts once, whatever the key.
    #[test]
    fn an_entry_that_was_armed_anew_does_not_count() {
        let mut engine = crate::core::engine::tests::engine(2);
        let (late, early) = (Moment::from_nanoseconds(20), Moment::from_nanoseconds(10));
        for key in [
            TimerKey::Hold(VserverIndex(0)),
            TimerKey::Core(CoreIndex(1)),
            TimerKey::Identities,
            TimerKey::Receipts,
            TimerKey::Fence,
            TimerKey::Queue,
        ] {
            let timers = &mut engine.timers;
            let note = match key {
                TimerKey::Hold(_) => &mut engine.vservers[0].hold.armed_at,
                TimerKey::Core(_) => &mut engine.links[1].armed_at,
                TimerKey::Identities => &mut engine.identities.armed_at,
                TimerKey::Receipts => &mut engine.receipts.held.armed_at,
                TimerKey::Fence => &mut engine.receipts.fence.armed_at,
                _ => &mut engine.queue.armed_at,
            };
            timers.arm(note, late, key);
            timers.arm(note, early, key);
            let counts = [early, early, late].map(|at| engine.take_note(at, key));
            assert_eq!(counts, [true, false, false], "{key:?}");
        }
    }
}
