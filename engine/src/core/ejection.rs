//! What becomes of a server that is found ill: it is left out, tried, and taken back (`health` finds out, `choice` leaves it out).
//!
//! Each core judges by its own sessions and by what it has asked other cores to send. Invariants: a server is ejected only
//! while another one of each of its vservers is well and up, and never more of them than `eject-limit` says; its sessions stay
//! bound, and answers, receipts, operations on its messages and segments of messages that it has a part of go on. Where nobody
//! else can have a message, an ejected server gets it.

use super::contract::{ConnectionId, Notice};
use super::core_message::CoreOutcome;
use super::engine::PacketEngine;
use super::health::{EjectionReason, Finding, HealthState, Sign};
use super::sequence::Pending;
use super::session::Session;
use super::settings::ServerIndex;
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{Header, Status};
use std::time::Duration;

/// What a trial waits for comes within the server's time to answer and this, or not at all: another core may be between.
const MARGIN: Duration = Duration::from_secs(2);

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
            self.judge_server(now, side.server, pending.sent_at, sign);
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
            CoreOutcome::Answered(pdu) | CoreOutcome::AnsweredBy(_, pdu) => {
                self.servers[usize::from(index.0)].answers_by_cores += 1;
                Header::read(pdu).map_or(Sign::None, |header| Sign::of(header.command_status))
            }
            CoreOutcome::TimedOut => Sign::Timeout,
            _ => Sign::None,
        };
        if !pending.expired && (sign != Sign::Good || self.servers[usize::from(index.0)].is_guarded) {
            self.judge_server(now, index, pending.sent_at, sign);
        }
    }

    fn judge_server(&mut self, now: Moment, index: ServerIndex, sent_at: Moment, sign: Sign) {
        let settings = &self.settings.servers[usize::from(index.0)].ejection;
        if settings.is_off() {
            return;
        }
        let server = &mut self.servers[usize::from(index.0)];
        let answers = server.figures.latency.count() + server.answers_by_cores;
        let finding = server.health.judge(now, settings, sent_at, sign, answers);
        let is_on_trial = server.health.is_on_trial();
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
            // One that has no other server goes on with this one.
            if settings.servers.len() < 2 {
                continue;
            }
            has_others = true;
            let others = || settings.servers.iter().filter(|other| **other != index);
            let is_up = |other: &ServerIndex| {
                let other = &self.servers[usize::from(other.0)];
                other.health.is_well() && !other.is_draining && other.is_bound_somewhere()
            };
            let is_out = |other: &&ServerIndex| !self.servers[usize::from(other.0)].health.is_well();
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
        let health = &self.servers[usize::from(index.0)].health;
        match health.next_look(patience) {
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
        if self.servers[usize::from(index.0)].health.is_well() {
            self.servers[usize::from(index.0)].health.recover(now);
        } else {
            self.try_out(now, index);
        }
    }

    /// A request has left for a server that may be on trial.
    #[inline]
    pub(super) fn trial_sent(&mut self, now: Moment, index: ServerIndex) {
        let server = &mut self.servers[usize::from(index.0)];
        if server.health.is_on_trial() {
            server.health.sent(now);
            self.health_changed(now, index);
        }
    }

    /// New settings: one that is not judged any more is well; so is one that may be another server.
    pub(super) fn reconsider_health(&mut self, now: Moment, index: ServerIndex, is_another: bool) {
        let is_off = self.settings.servers[usize::from(index.0)].ejection.is_off();
        let health = &mut self.servers[usize::from(index.0)].health;
        if !health.is_well() && (is_off || is_another) {
            health.recover(now);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::CoreIndex;
    use crate::core::engine::tests::engine_of;
    use crate::core::random::Random;
    use crate::core::settings::samples::server_settings;
    use crate::core::settings::{EjectionSettings, ServerSettings};

    const SERVERS: u16 = 5;

    /// Servers of one vserver, all of which another core has bound.
    fn farm(slow_start: Duration) -> PacketEngine {
        let server = |place: u16| ServerSettings {
            uid: [b'0', b'A' + place as u8],
            slow_start,
            ..server_settings()
        };
        let mut engine = engine_of(2, (0..SERVERS).map(server).collect());
        for place in 0..usize::from(SERVERS) {
            engine.servers[place].remote_mut(CoreIndex(1)).sessions = 1;
            engine.presence_changed(Moment::START, ServerIndex(place as u16));
        }
        engine
    }

    fn states(engine: &PacketEngine) -> Vec<HealthState> {
        engine
            .servers
            .iter()
            .map(|server| server.health.state())
            .collect()
    }

    /// Goal: whatever signs come from whichever servers, however they come and go: at most half are out at once, the last well one that
    /// is up never is ejected, a server is aside just while it is ejected or its trial has no room, and each ejection ends on time.
    #[test]
    fn some_are_always_left() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut engine = farm(Duration::ZERO);
            let mut now = Moment::START;
            for _ in 0..2_000 {
                now += Duration::from_millis(random.next() % 2_000);
                engine.handle_timeout(now);
                let index = ServerIndex((random.next() % u64::from(SERVERS)) as u16);
                let before = states(&engine);
                match random.next() % 16 {
                    0 => {
                        let remote = engine.servers[usize::from(index.0)].remote_mut(CoreIndex(1));
                        remote.sessions = 1 - remote.sessions;
                        engine.presence_changed(now, index);
                    }
                    1 => {
                        let drains = random.next().is_multiple_of(2);
                        engine.drain_server(now, index, drains);
                    }
                    2..6 => engine.trial_sent(now, index),
                    6..9 => engine.judge_server(now, index, now, Sign::Good),
                    // Some are much worse than others.
                    _ if random.next() % u64::from(SERVERS) >= u64::from(index.0) => {
                        engine.judge_server(now, index, now, Sign::Timeout);
                    }
                    _ => {}
                }
                let after = states(&engine);
                let out = after.iter().filter(|state| **state != HealthState::Well).count();
                assert!(out <= usize::from(SERVERS) / 2, "seed {seed}: {after:?}");
                let place = usize::from(index.0);
                if before[place] == HealthState::Well && after[place] == HealthState::Ejected {
                    let is_left = |(other, server): (usize, &crate::core::server::Server)| {
                        other != place
                            && server.health.is_well()
                            && !server.is_draining
                            && server.is_bound_somewhere()
                    };
                    assert!(
                        engine.servers.iter().enumerate().any(is_left),
                        "seed {seed}: nobody is left"
                    );
                }
                let max = EjectionSettings::DEFAULT.max;
                for server in &engine.servers {
                    let is_aside = server.is_draining || server.health.is_aside(&EjectionSettings::DEFAULT);
                    assert_eq!(server.is_aside, is_aside, "seed {seed}");
                    let until = server.health.next_look(Duration::ZERO);
                    assert!(server.health.is_on_trial() || until.is_none_or(|until| until <= now + max));
                }
            }
            now += EjectionSettings::DEFAULT.max;
            engine.handle_timeout(now);
            assert!(
                !states(&engine).contains(&HealthState::Ejected),
                "seed {seed}: time heals"
            );
        }
    }

    /// Goal: a server on trial is well after good answers to what it got in it, and then has its slow start; while it is on trial its
    /// answers and requests are looked at, and not before and after. One that is bound anew is tried at once.
    #[test]
    fn a_trial_ends_in_a_slow_start() {
        let mut engine = farm(Duration::from_secs(60));
        let (mut now, index) = (Moment::START + Duration::from_secs(100), ServerIndex(2));
        let looked_at = |engine: &PacketEngine| (engine.servers[2].is_guarded, engine.servers[2].is_watched);
        for _ in 0..EjectionSettings::DEFAULT.timeouts {
            assert_eq!(looked_at(&engine), (false, false));
            engine.judge_server(now, index, now, Sign::Timeout);
        }
        assert!(engine.servers[2].is_aside);
        assert_eq!(looked_at(&engine), (false, false));
        now += EjectionSettings::DEFAULT.min;
        engine.handle_timeout(now);
        assert!(!engine.servers[2].is_aside);
        for _ in 0..EjectionSettings::DEFAULT.rise {
            assert_eq!(looked_at(&engine), (true, true));
            engine.trial_sent(now, index);
            engine.judge_server(now, index, now, Sign::Good);
        }
        assert_eq!(looked_at(&engine), (false, false));
        assert!(engine.servers[2].health.is_well() && engine.servers[2].share_percent() < 20);

        for _ in 0..EjectionSettings::DEFAULT.timeouts {
            engine.judge_server(now, index, now, Sign::Timeout);
        }
        for sessions in [0, 1] {
            assert_eq!(engine.servers[2].health.state(), HealthState::Ejected);
            engine.servers[2].remote_mut(CoreIndex(1)).sessions = sessions;
            engine.presence_changed(now, index);
        }
        assert!(engine.servers[2].health.is_on_trial());
        // What a trial waits for and does not come is waited for no longer.
        (0..EjectionSettings::DEFAULT.rise).for_each(|_| engine.trial_sent(now, index));
        assert!(engine.servers[2].is_aside);
        now += server_settings().response_timeout + MARGIN;
        engine.handle_timeout(now);
        assert!(!engine.servers[2].is_aside && engine.servers[2].health.is_on_trial());
    }
}
