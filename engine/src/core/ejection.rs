//! What becomes of a server that is found ill: it is left out, tried, and taken back (`health` finds out, `choice` leaves it out).
//!
//! Each core judges by its own sessions and by what it has asked other cores to send. Invariants: a server is ejected only
//! while another one of each of its vservers is well and up, and never more of them than `eject-limit` says; its sessions stay
//! bound, and answers, receipts, operations on its messages and segments of messages that it has a part of go on. Where nobody
//! else can have a message, an ejected server gets it.

use super::contract::{ConnectionId, Notice};
use super::core_message::CoreOutcome;
use super::engine::PacketEngine;
use super::health::{EjectionReason, Finding, HealthState, Sign, shortest_row};
use super::sequence::Pending;
use super::session::Session;
use super::settings::{Auth, ServerIndex};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{CommandId, Header, Status};
use std::time::Duration;

/// What a trial waits for comes within the server's time to answer and this, or not at all: another core may be between.
const MARGIN: Duration = Duration::from_secs(2);
/// When a server whose ejection is over is down, it is looked at again: its coming back is what begins its trial.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl PacketEngine {
    /// A server's answer on a session of this core. Those of a server that is well are only told if they are errors.
    pub(super) fn judge_answer(
        &mut self,
        now: Moment,
        from: ConnectionId,
        pending: &Pending,
        status: Status,
    ) {
        // What was not answered in time has been judged.
        if !pending.expired {
            self.judge_session(now, from, pending, Sign::of(status));
        }
    }

    /// A request on a session of this core had no answer in time.
    pub(super) fn judge_timeout(&mut self, now: Moment, from: ConnectionId, pending: &Pending) {
        self.judge_session(now, from, pending, Sign::Timeout);
    }

    fn judge_session(&mut self, now: Moment, from: ConnectionId, pending: &Pending, sign: Sign) {
        // The sessions of identities are chosen in another way, and those that leave are on their way out.
        let side = self.sessions.get(from).and_then(Session::server);
        if let Some(side) = side.filter(|side| side.is_counted) {
            self.judge_server(now, side.server, pending, sign);
        }
    }

    /// A request to a server that another core has sent for this one has ended.
    pub(super) fn judge_remote(
        &mut self,
        now: Moment,
        index: ServerIndex,
        pending: &Pending,
        outcome: &CoreOutcome,
    ) {
        let sign = match outcome {
            _ if pending.expired => return,
            CoreOutcome::Answered(pdu) | CoreOutcome::AnsweredBy(_, pdu) => {
                self.servers[usize::from(index.0)].answers_by_cores += 1;
                Header::read(pdu).map_or(Sign::None, |header| Sign::of(header.command_status))
            }
            CoreOutcome::TimedOut => Sign::Timeout,
            _ => Sign::None,
        };
        if sign != Sign::Good || self.servers[usize::from(index.0)].is_guarded {
            self.judge_server(now, index, pending, sign);
        }
    }

    fn judge_server(&mut self, now: Moment, index: ServerIndex, pending: &Pending, sign: Sign) {
        let settings = &self.settings.servers[usize::from(index.0)];
        let row_min = shortest_row(settings.response_timeout);
        let settings = &settings.ejection;
        if settings.is_off() {
            return;
        }
        let server = &mut self.servers[usize::from(index.0)];
        let is_on_trial = server.health.is_on_trial();
        if is_on_trial && !is_tried_with(pending.command) {
            return;
        }
        let answers = server.answers_in_time();
        let finding = server
            .health
            .judge(now, settings, row_min, pending.sent_at, sign, answers);
        match finding {
            Finding::Nothing if is_on_trial => self.health_changed(now, index),
            Finding::Nothing => {}
            Finding::Ill(reason) if reason == EjectionReason::Trial || self.may_be_ejected(index) => {
                self.eject(now, index, reason);
            }
            // Counting goes on: it is looked at again with the next sign.
            Finding::Ill(_) => {}
            Finding::Well => {
                self.servers[usize::from(index.0)].health.recover(now);
                self.health_changed(now, index);
                self.start_slowly(now, index);
                self.outbox.notice(Notice::ServerWell { server: index });
            }
        }
    }

    fn eject(&mut self, now: Moment, index: ServerIndex, reason: EjectionReason) {
        let settings = &self.settings.servers[usize::from(index.0)].ejection;
        let lasts = self.servers[usize::from(index.0)]
            .health
            .eject(now, settings, reason);
        self.health_changed(now, index);
        self.outbox.notice(Notice::ServerEjected {
            server: index,
            reason,
            lasts,
        });
    }

    /// A server may be left out: in each of its vservers that has others too, one of those is well and up, and few enough are not.
    fn may_be_ejected(&self, index: ServerIndex) -> bool {
        let mut has_others = false;
        for vserver in &self.servers[usize::from(index.0)].vservers {
            let settings = &self.settings.vservers[usize::from(vserver.0)];
            // One that has no other server goes on with this one, and none chooses between the sessions of identities.
            if settings.servers.len() < 2 || settings.auth == Auth::Forward {
                continue;
            }
            has_others = true;
            let others = || settings.servers.iter().filter(|other| **other != index);
            let is_up = |other: &ServerIndex| {
                let other = &self.servers[usize::from(other.0)];
                other.health.is_well() && !other.is_draining && other.is_bound_somewhere()
            };
            // One that is down is nobody's loss.
            let is_out = |other: &&ServerIndex| {
                let other = &self.servers[usize::from(other.0)];
                !other.health.is_well() && other.is_bound_somewhere()
            };
            let out = others().filter(is_out).count() + 1;
            let percent = settings.eject_limit_percent as usize;
            let most = (settings.servers.len() * percent / 100).max(usize::from(percent > 0));
            if out > most || !others().any(is_up) {
                return false;
            }
        }
        has_others
    }

    /// An ejection is over, or what a trial waits for will not come any more.
    pub(super) fn look_at_health(&mut self, now: Moment, index: ServerIndex) {
        let patience = self.settings.servers[usize::from(index.0)].response_timeout + MARGIN;
        let server = &mut self.servers[usize::from(index.0)];
        match server.health.next_look(patience) {
            Some(at) if at <= now && !server.is_bound_somewhere() => {
                let key = TimerKey::Health(index);
                self.timers
                    .arm(&mut server.health.armed_at, now + LOOK_AGAIN, key);
            }
            Some(at) if at <= now => self.try_out(now, index),
            _ => self.health_changed(now, index),
        }
    }

    /// Lets a server that was ejected show how it is.
    fn try_out(&mut self, now: Moment, index: ServerIndex) {
        let health = &mut self.servers[usize::from(index.0)].health;
        let was_ejected = health.state() == HealthState::Ejected;
        health.try_out(now);
        self.health_changed(now, index);
        if was_ejected {
            self.outbox.notice(Notice::ServerOnTrial { server: index });
        }
        self.serve_holds_of(now, index);
    }

    /// A server is bound again: whatever it was, this may be another process.
    pub(super) fn health_of_comer(&mut self, now: Moment, index: ServerIndex) {
        let health = &mut self.servers[usize::from(index.0)].health;
        if health.is_well() {
            health.overlook();
        } else {
            self.try_out(now, index);
        }
    }

    /// A request has left for a server that may be on trial.
    #[inline]
    pub(super) fn trial_sent(&mut self, now: Moment, index: ServerIndex, command: CommandId) {
        let server = &mut self.servers[usize::from(index.0)];
        if server.health.is_on_trial() && is_tried_with(command) {
            server.health.sent(now);
            self.health_changed(now, index);
        }
    }

    /// New settings: one that is not judged any more is well; so is one that may be another server.
    pub(super) fn reconsider_health(&mut self, now: Moment, index: ServerIndex, is_another: bool) {
        let is_off = self.settings.servers[usize::from(index.0)].ejection.is_off();
        let health = &mut self.servers[usize::from(index.0)].health;
        let was_well = health.is_well();
        if is_another {
            health.forget(now);
        } else if is_off && !was_well {
            health.recover(now);
        }
        if !was_well && health.is_well() {
            self.outbox.notice(Notice::ServerWell { server: index });
        }
        self.health_changed(now, index);
    }

    /// What follows from a server's health for choosing it, watching it, and looking at it again.
    pub(super) fn health_changed(&mut self, now: Moment, index: ServerIndex) {
        let settings = &self.settings.servers[usize::from(index.0)];
        let patience = settings.response_timeout + MARGIN;
        let server = &mut self.servers[usize::from(index.0)];
        server.is_aside = server.is_draining || server.health.is_aside(&settings.ejection);
        server.update_watch();
        if let Some(at) = server.health.next_look(patience) {
            // Never in the past: what was just dealt with must not spin.
            let at = at.max(now + Duration::from_millis(1));
            self.timers
                .arm(&mut server.health.armed_at, at, TimerKey::Health(index));
        }
    }
}

/// What shows in a trial whether a server takes messages: it may well answer queries all the same.
const fn is_tried_with(command: CommandId) -> bool {
    matches!(
        command,
        CommandId::SUBMIT_SM | CommandId::DATA_SM | CommandId::SUBMIT_MULTI | CommandId::BROADCAST_SM
    )
}

#[cfg(test)]
mod tests;
