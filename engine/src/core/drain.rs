//! The orderly end of an engine: nothing new, what is under way is settled, then every session is unbound.
//!
//! Order: refuse new requests and binds; wait until no request is under way or the time is up; unbind; report `Drained`
//! when the last session is gone.

use super::contract::{Action, CloseReason, ConnectionId};
use super::directory::DirectoryKey;
use super::engine::PacketEngine;
use super::session::{SessionState, Side};
use super::session_end::CLOSING_TIME;
use super::settings::ServerIndex;
use super::time::Moment;
use super::timer::TimerKey;
use std::time::Duration;

/// How often a drain looks whether everything is settled.
const STEP: Duration = Duration::from_millis(20);

/// A drain that is on.
#[derive(Debug)]
pub(super) struct Drain {
    deadline: Moment,
    /// The sessions have been told to go.
    unbinding: bool,
    settled: bool,
    reported: bool,
    pub(super) armed_at: Moment,
}

impl PacketEngine {
    pub(super) fn start_drain(&mut self, now: Moment) {
        if self.drain.is_some() {
            return;
        }
        let deadline = now + self.settings.engine.drain_timeout;
        self.drain = Some(Drain {
            deadline,
            unbinding: false,
            settled: false,
            reported: false,
            armed_at: Moment::NEVER,
        });
        self.give_up_held_receipts(now, None);
        self.give_back_all_guests();
        // Those who are not bound have nothing to lose.
        for id in self.sessions_where(|state| matches!(state, SessionState::Connecting | SessionState::Open))
        {
            self.end_session(now, id, CloseReason::WeUnbound);
        }
        // Other cores need not send here what would be refused.
        for (server, _) in (0_u16..).zip(&self.servers) {
            self.directory.changed(&DirectoryKey::Server(ServerIndex(server)));
        }
        self.drain_timer(now);
    }

    /// Closes everything at once.
    pub(super) fn stop(&mut self, now: Moment) {
        let settled = self.is_settled();
        let armed_at = self.drain.as_ref().map_or(Moment::NEVER, |drain| drain.armed_at);
        self.drain = Some(Drain {
            deadline: now,
            unbinding: true,
            settled,
            reported: false,
            armed_at,
        });
        self.give_back_all_guests();
        for id in self.sessions.ids() {
            self.end_session(now, id, CloseReason::WeUnbound);
        }
        self.drain_step();
    }

    pub(super) fn drain_timer(&mut self, now: Moment) {
        let settled = self.is_settled();
        let Some(drain) = &mut self.drain else { return };
        if drain.reported {
            return;
        }
        if !drain.unbinding && (settled || now >= drain.deadline) {
            drain.unbinding = true;
            drain.settled = settled;
            drain.deadline = now + CLOSING_TIME;
            if !settled {
                self.answer_all_that_is_due(now);
            }
            for id in self.sessions_where(|state| state != SessionState::Closing) {
                self.unbind_peer(now, id);
            }
        } else if drain.unbinding && now >= drain.deadline {
            for id in self.sessions.ids() {
                self.end_session(now, id, CloseReason::WeUnbound);
                self.abort_closing(id);
            }
        }
        self.drain_step();
        if let Some(drain) = self.drain.as_mut().filter(|drain| !drain.reported) {
            self.timers.arm(&mut drain.armed_at, now + STEP, TimerKey::Drain);
        }
    }

    /// Reports the end once the last session is gone.
    pub(super) fn drain_step(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        if drain.unbinding && !drain.reported && self.sessions.len() == 0 {
            drain.reported = true;
            self.outbox.actions.push_back(Action::Drained {
                settled: drain.settled,
            });
        }
    }

    /// No request of anybody waits for an answer.
    fn is_settled(&self) -> bool {
        let is_idle = self.sessions.iter().all(|(_, session)| {
            let is_answered = match &session.side {
                Side::Client(client) => client.unanswered == 0,
                Side::Server(_) | Side::Gone => true,
            };
            is_answered
                && session
                    .window
                    .iter()
                    .all(|(_, pending)| pending.expired || pending.is_own())
        });
        is_idle
            && self.queue.is_settled()
            && self
                .links
                .iter()
                .all(|link| link.window.iter().all(|(_, pending)| pending.expired))
    }

    fn sessions_where(&self, wanted: impl Fn(SessionState) -> bool) -> Vec<ConnectionId> {
        self.sessions
            .iter()
            .filter(|(_, session)| wanted(session.state))
            .map(|(id, _)| id)
            .collect()
    }
}
