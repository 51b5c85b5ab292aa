//! Slow start: a server that comes back gets a small share first, and its full share when its `slow-start` is over.
//!
//! Owns how far each server's ramp is. What a ramp does to a choice stands in `balance`: here a part of the server's weight
//! that grows with time, in steps, so that no message looks at the clock. Invariants: a server without a ramp has all of its
//! weight; a ramp never leaves a server without a share, and never keeps a message from the only server that has room.
//! Which servers there are when an engine starts all come at once, so they have no ramp.

use super::engine::PacketEngine;
use super::settings::{ServerIndex, VserverIndex};
use super::time::Moment;
use super::timer::TimerKey;
use std::time::Duration;

/// All of a server's weight.
pub(super) const WHOLE: u32 = 256;
/// What a ramp begins with: a tenth.
const FIRST_PART: u32 = WHOLE / 10;
/// Steps of a ramp.
const STEPS: u32 = 64;
/// No timer is armed for less.
const SHORTEST_STEP: Duration = Duration::from_millis(10);

/// Whether a server could be sent anything when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nobody knows yet: it was there when the engine started, and has neither come nor failed.
    Unknown,
    /// Some core has a session that may transmit.
    Up,
    /// It has been lost, could not be reached, or is new.
    Gone,
}

/// What is known of one server's ramp.
#[derive(Debug)]
pub(super) struct SlowStart {
    pub(super) presence: Presence,
    /// When its ramp began.
    began_at: Option<Moment>,
    pub(super) armed_at: Moment,
}

impl SlowStart {
    pub(super) const fn new(presence: Presence) -> Self {
        Self {
            presence,
            began_at: None,
            armed_at: Moment::NEVER,
        }
    }
}

/// How much of its weight a server has after `elapsed` of a slow start that `lasts` so long.
fn part_after(elapsed: Duration, lasts: Duration) -> u32 {
    if elapsed >= lasts {
        return WHOLE;
    }
    let grown = u128::from(WHOLE - FIRST_PART) * elapsed.as_nanos() / lasts.as_nanos().max(1);
    // Less than what is missing, as `elapsed` is less than `lasts`.
    FIRST_PART + u32::try_from(grown).unwrap_or(WHOLE - FIRST_PART)
}

impl PacketEngine {
    /// Sessions of a server have come or gone, here or on another core.
    pub(super) fn presence_changed(&mut self, now: Moment, index: ServerIndex) {
        let server = &mut self.servers[usize::from(index.0)];
        let is_up = server.is_bound_somewhere();
        match (server.slow_start.presence, is_up) {
            (Presence::Unknown, true) => server.slow_start.presence = Presence::Up,
            (Presence::Gone, true) => {
                server.slow_start.presence = Presence::Up;
                self.start_slowly(now, index);
                self.health_of_comer(now, index);
            }
            (Presence::Up, false) => self.server_is_gone(index),
            (Presence::Unknown | Presence::Gone, false) | (Presence::Up, true) => {}
        }
    }

    /// A server was lost, or could not be reached: when it comes, others may have all the messages.
    pub(super) fn server_is_gone(&mut self, index: ServerIndex) {
        let server = &mut self.servers[usize::from(index.0)];
        if server.is_bound_somewhere() {
            return;
        }
        server.slow_start.presence = Presence::Gone;
        self.end_slow_start(index);
    }

    /// From now on a server gets little, and more and more.
    pub(super) fn start_slowly(&mut self, now: Moment, index: ServerIndex) {
        let lasts = self.settings.servers[usize::from(index.0)].slow_start;
        let server = &mut self.servers[usize::from(index.0)];
        if lasts.is_zero() || server.slow_start.presence != Presence::Up {
            return;
        }
        server.slow_start.began_at = Some(now);
        server.gate = 0;
        self.ramp(now, index);
    }

    /// The next step of a ramp.
    pub(super) fn ramp(&mut self, now: Moment, index: ServerIndex) {
        let lasts = self.settings.servers[usize::from(index.0)].slow_start;
        let server = &mut self.servers[usize::from(index.0)];
        let Some(began_at) = server.slow_start.began_at else {
            return;
        };
        server.part = part_after(now.since(began_at), lasts);
        if server.part == WHOLE {
            return self.end_slow_start(index);
        }
        let step = (lasts / STEPS).max(SHORTEST_STEP);
        self.timers.arm(
            &mut server.slow_start.armed_at,
            now + step,
            TimerKey::SlowStart(index),
        );
        self.tell_balancers(index);
    }

    fn end_slow_start(&mut self, index: ServerIndex) {
        let server = &mut self.servers[usize::from(index.0)];
        if server.slow_start.began_at.take().is_some() {
            server.part = WHOLE;
            self.tell_balancers(index);
        }
    }

    /// The balancers of all vservers that a server stands behind have to know whether to look at ramps.
    fn tell_balancers(&mut self, index: ServerIndex) {
        for place in 0..self.servers[usize::from(index.0)].vservers.len() {
            let vserver = self.servers[usize::from(index.0)].vservers[place];
            self.tell_balancer(vserver);
        }
    }

    /// The same for one of them, which has just been made perhaps.
    pub(super) fn tell_balancer(&mut self, vserver: VserverIndex) {
        let mut servers = self.settings.vservers[usize::from(vserver.0)].servers.iter();
        let is_ramping = servers.any(|server| self.servers[usize::from(server.0)].part < WHOLE);
        let vserver = &mut self.vservers[usize::from(vserver.0)];
        vserver.balancer.set_ramping(is_ramping);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::CoreIndex;
    use crate::core::engine::tests::{engine_of, settings_of};
    use crate::core::settings::ServerSettings;
    use crate::core::settings::samples::server_settings;
    use std::sync::Arc;

    const LASTS: Duration = Duration::from_secs(64);

    /// Goal: a ramp begins with a tenth, never falls, is within a step of the straight line, and ends with all on time.
    #[test]
    fn a_ramp_is_a_straight_line() {
        let mut before = 0;
        for second in 0..=70_u32 {
            let part = part_after(Duration::from_secs(second.into()), LASTS);
            assert!(part >= before.max(FIRST_PART) && part <= WHOLE);
            let line = f64::from(FIRST_PART) + f64::from((WHOLE - FIRST_PART) * second.min(64)) / 64.0;
            assert!((f64::from(part) - line).abs() <= 1.0, "{second} s: {part}");
            before = part;
        }
        assert_eq!(part_after(Duration::ZERO, LASTS), FIRST_PART);
        assert_eq!(part_after(LASTS, LASTS), WHOLE);
    }

    /// Goal: a server has a ramp when it comes back and when its drain ends, and none at the start of an engine, without
    /// `slow-start`, or when another core's sessions were there all the time. Method: what other cores say of it.
    #[test]
    fn who_comes_back_starts_slowly() {
        let with = |slow_start| ServerSettings {
            slow_start,
            ..server_settings()
        };
        for lasts in [Duration::ZERO, LASTS] {
            let mut engine = engine_of(2, vec![with(lasts)]);
            let (mut now, server) = (Moment::START, ServerIndex(0));
            let sessions = |engine: &mut PacketEngine, now, sessions| {
                engine.servers[0].remote_mut(CoreIndex(1)).sessions = sessions;
                engine.presence_changed(now, server);
                engine.servers[0].part
            };
            assert_eq!(sessions(&mut engine, now, 1), WHOLE, "the start");
            assert_eq!(sessions(&mut engine, now, 2), WHOLE, "it was there");
            assert_eq!(sessions(&mut engine, now, 0), WHOLE, "gone");
            let first = if lasts.is_zero() { WHOLE } else { FIRST_PART };
            assert_eq!(sessions(&mut engine, now, 1), first, "back");
            let mut parts = Vec::new();
            for _ in 0..64 {
                now += LASTS / 64;
                engine.handle_timeout(now);
                parts.push(engine.servers[0].part);
            }
            assert!(parts.is_sorted() && parts.last() == Some(&WHOLE), "{parts:?}");
            engine.drain_server(now, server, true);
            engine.drain_server(now, server, false);
            assert_eq!(engine.servers[0].part, first, "not drained any more");
            engine.drain_server(now, server, false);
            now += LASTS;
            engine.handle_timeout(now);
            engine.drain_server(now, server, false);
            assert_eq!(engine.servers[0].part, WHOLE, "it was not drained");
        }
    }

    /// Goal: one reload that ends a ramp and adds a server does both.
    #[test]
    fn a_reload_ends_a_ramp_beside_a_new_server() {
        let with = |uid, slow_start| ServerSettings {
            uid: [b'0', uid],
            slow_start,
            ..server_settings()
        };
        let mut engine = engine_of(2, vec![with(b'A', LASTS)]);
        let (now, server) = (Moment::START, ServerIndex(0));
        engine.server_is_gone(server);
        engine.servers[0].remote_mut(CoreIndex(1)).sessions = 1;
        engine.presence_changed(now, server);
        assert_eq!(engine.servers[0].part, FIRST_PART);
        let both = vec![with(b'A', Duration::ZERO), with(b'B', Duration::ZERO)];
        engine.reconfigure(now, &Arc::new(settings_of(both)));
        let parts: Vec<_> = engine.servers.iter().map(|server| server.part).collect();
        assert_eq!(parts, [WHOLE, WHOLE]);
    }

    /// Goal: one that could not be reached when the engine started has a ramp when it comes: others have all there is by then.
    #[test]
    fn who_comes_late_starts_slowly() {
        let late = ServerSettings {
            slow_start: LASTS,
            ..server_settings()
        };
        let mut engine = engine_of(2, vec![late]);
        engine.server_is_gone(ServerIndex(0));
        engine.servers[0].remote_mut(CoreIndex(1)).sessions = 1;
        engine.presence_changed(Moment::START, ServerIndex(0));
        assert_eq!(engine.servers[0].part, FIRST_PART);
    }
}
