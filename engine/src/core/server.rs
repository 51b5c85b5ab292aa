//! One SMSC as one core sees it: its sessions, how busy it is, and when to connect again.
//!
//! Invariant: `outstanding` and `capacity` are the sums over the transmitting sessions' windows, so that choosing a server
//! does not have to look at its sessions.

use super::contract::{ConnectionId, CoreIndex};
use super::figures::{Exchanges, Latency};
use super::health::Health;
use super::outbind::Calls;
use super::pacing::Pacing;
use super::settings::VserverIndex;
use super::slow_start::{Presence, SlowStart, WHOLE};
use super::time::Moment;
use super::wire::Version;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Server {
    /// The vservers that it stands behind.
    pub(super) vservers: Vec<VserverIndex>,
    /// Its sessions are placed on some cores only (`connections-total`).
    pub(super) is_placed: bool,
    /// What other cores were last told of its room.
    pub(super) reported_room: bool,
    /// Every session that exists or is being made, of all identities.
    pub(super) sessions: Vec<ConnectionId>,
    /// Connections that we end though the server may still count them: their last octets may be written until the next connection
    /// is asked for. Those that are gone may still stand here until then.
    pub(super) ending: Vec<ConnectionId>,
    /// Bound sessions that may carry requests of any client.
    pub(super) transmitting: Vec<ConnectionId>,
    /// Where the next turn inside `transmitting` starts.
    pub(super) cursor: usize,
    /// Requests under way on the transmitting sessions.
    pub(super) outstanding: u32,
    /// Sum of their windows.
    pub(super) capacity: u32,
    /// A session was found not to read, or to keep all that it may; until one of them has written something, or let something go, others
    /// are tried. Who clears it tells other cores ([`Self::room_has_changed`]).
    pub(super) is_choked: bool,
    /// It takes nothing for the moment: its rate is used up, or it has throttled.
    pub(super) is_paced: bool,
    /// Its rate and pace; `None` while nothing limits it but its windows.
    pub(super) pacing: Option<Box<Pacing>>,
    /// Written requests are kept until they are answered, to be sent again: some vserver wants that.
    pub(super) retains: bool,
    /// Its answers are looked at: something is kept or paced, it is on trial, or it may report congestion.
    pub(super) is_watched: bool,
    /// Its requests are looked at when they leave: it is paced or on trial.
    pub(super) is_guarded: bool,
    /// Messages are logged: that is a reason.
    pub(super) is_logged: bool,
    /// What other cores' sessions can take (`connections-total`).
    pub(super) remotes: Vec<RemoteServer>,
    /// The version of the last session that bound; before that, of our bind.
    pub(super) version: Version,
    /// Smoothed time from request to answer, in nanoseconds.
    pub(super) response_nanoseconds: u64,
    /// Smooth weighted round-robin: what the server has saved up.
    pub(super) credit: i64,
    /// So much of its weight counts, of [`WHOLE`](super::slow_start::WHOLE).
    pub(super) part: u32,
    /// What it has saved up while it has a part only, where the method looks at the load.
    pub(super) gate: i64,
    pub(super) slow_start: SlowStart,
    pub(super) reconnect: Reconnect,
    /// What the engine's timers are armed for.
    pub(super) armed_at: Moment,
    pub(super) figures: ServerFigures,
    /// Its share among its equals, as it is configured or was changed since.
    pub(super) weight: u32,
    /// An operator wants it to get no new submits.
    pub(super) is_draining: bool,
    /// It gets no new submits: it is drained, or left out for its health.
    pub(super) is_aside: bool,
    pub(super) health: Health,
    /// Answers that other cores have passed on in time.
    pub(super) answers_by_cores: u64,
    /// Answers on sessions of this core that came after their time.
    pub(super) late_answers: u64,
    /// Its outbinds.
    pub(super) calls: Calls,
}

/// Another core's sessions at this server, by its last directory update.
#[derive(Clone, Copy, Debug)]
pub(super) struct RemoteServer {
    pub(super) core: CoreIndex,
    /// Transmitting sessions.
    pub(super) sessions: u32,
    /// Sessions of any kind.
    pub(super) has_bound: bool,
    pub(super) has_room: bool,
    /// How often it has tried in vain and left its turn to another (`connections-total`).
    pub(super) rounds_given_up: u32,
    /// It has refused a request: none is sent there before this moment.
    pub(super) closed_until: Moment,
    /// Our requests under way there.
    pub(super) outstanding: u32,
    /// So many may be under way there at once: what it refuses has crossed cores twice for nothing. Without this limit all
    /// that this core holds would go there and come back for each place in a window that comes free.
    allowed: u32,
    /// It has refused since it last said that it has room.
    has_refused: bool,
}

impl RemoteServer {
    /// Another request may go there.
    #[inline]
    fn takes_more(&self, now: Moment) -> bool {
        self.sessions > 0 && self.has_room && self.closed_until <= now && self.outstanding < self.allowed
    }

    /// One of our requests under way was answered.
    #[inline]
    pub(super) fn has_taken(&mut self) {
        self.allowed = self.allowed.saturating_add(1);
    }

    /// What it says of itself.
    pub(super) fn has_said(&mut self, has_room: bool, rounds_given_up: u32) {
        (self.has_room, self.rounds_given_up) = (has_room, rounds_given_up);
        self.has_refused &= !has_room;
    }

    /// It had no room for one of our requests under way: half as much goes there from now on. Unless what it has said since
    /// is known here already (`is_news`), nothing goes there until its entry in the directory, which it has just made
    /// anew, says that there is room again.
    pub(super) fn has_refused(&mut self, is_news: bool) {
        if !self.has_refused {
            self.has_refused = true;
            self.allowed = (self.outstanding / 2).max(1);
        }
        self.has_room &= !is_news;
    }
}

/// When and where to connect next.
#[derive(Debug)]
pub(super) struct Reconnect {
    /// Which of the configured addresses is next.
    pub(super) next_address: usize,
    /// The pause after the next failure.
    pub(super) pause: Duration,
    /// Not before this moment.
    pub(super) not_before: Moment,
    /// Failures since the last bind.
    pub(super) failures: u32,
    /// How often we have left our turn to the other cores (`connections-total`).
    pub(super) rounds_given_up: u32,
}

/// Plain counters for the report.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerFigures {
    /// Requests to it and from it, and their answers, of sessions that are gone.
    pub(super) past: Exchanges,
    /// From a request to its answer.
    pub(super) latency: Latency,
    /// Sessions that were bound.
    pub(super) binds: u64,
    /// Sessions that were lost, or could not be made.
    pub(super) losses: u64,
    /// Binds that it refused.
    pub(super) refused_binds: u64,
}

/// What a server is taken for before its first answer: neither a black hole nor a last resort.
const UNMEASURED_NANOSECONDS: u64 = 1_000_000;

impl Server {
    pub(super) fn new(reconnect_min: Duration, version: Version, vservers: Vec<VserverIndex>) -> Self {
        Self {
            vservers,
            is_placed: false,
            reported_room: false,
            sessions: Vec::new(),
            ending: Vec::new(),
            transmitting: Vec::new(),
            cursor: 0,
            outstanding: 0,
            capacity: 0,
            is_choked: false,
            is_paced: false,
            pacing: None,
            retains: false,
            is_watched: false,
            is_guarded: false,
            is_logged: false,
            remotes: Vec::new(),
            version,
            response_nanoseconds: UNMEASURED_NANOSECONDS,
            credit: 0,
            part: WHOLE,
            gate: 0,
            slow_start: SlowStart::new(Presence::Unknown),
            reconnect: Reconnect {
                next_address: 0,
                pause: reconnect_min,
                not_before: Moment::START,
                failures: 0,
                rounds_given_up: 0,
            },
            armed_at: Moment::NEVER,
            figures: ServerFigures::default(),
            weight: 1,
            is_draining: false,
            is_aside: false,
            health: Health::new(),
            answers_by_cores: 0,
            late_answers: 0,
            calls: Calls::default(),
        }
    }

    /// A session of this core has room for a request.
    #[inline]
    pub(super) fn has_local_room(&self) -> bool {
        self.outstanding < self.capacity && !(self.is_choked | self.is_paced)
    }

    /// A quarter of its windows here is free: then others are told that there is room again.
    #[inline(always)]
    pub(super) fn has_much_room(&self) -> bool {
        self.outstanding < self.capacity - self.capacity / 4 && !(self.is_choked | self.is_paced)
    }

    /// Whether other cores have to be told that it has room again, or none any more; it counts as told.
    #[inline(always)]
    pub(super) fn room_has_changed(&mut self) -> bool {
        let has_room = if self.reported_room {
            self.has_local_room()
        } else {
            self.has_much_room()
        };
        let has_changed = has_room != self.reported_room;
        self.reported_room = has_room;
        has_changed
    }

    /// A request can be sent there now, on this core or by way of another.
    #[inline]
    pub(super) fn has_room(&self, now: Moment, usable: impl Fn(CoreIndex) -> bool) -> bool {
        self.has_local_room() || self.remote_with_room(now, usable).is_some()
    }

    /// Another core to send a request to: none while this core has sessions of its own share, else the one with the fewest of ours under way.
    #[inline(never)]
    pub(super) fn remote_with_room(
        &self,
        now: Moment,
        usable: impl Fn(CoreIndex) -> bool,
    ) -> Option<CoreIndex> {
        // Every core has its own sessions: other cores' windows are for their own clients.
        if !self.is_placed && !self.transmitting.is_empty() {
            return None;
        }
        let candidates = self
            .remotes
            .iter()
            .filter(|remote| remote.takes_more(now) && usable(remote.core));
        candidates
            .min_by_key(|remote| remote.outstanding)
            .map(|remote| remote.core)
    }

    /// Answers to requests of this core, wherever the session is, that somebody still waited for.
    pub(super) fn answers_in_time(&self) -> u64 {
        (self.figures.latency.count() + self.answers_by_cores).saturating_sub(self.late_answers)
    }

    /// Some core has a bound session.
    pub(super) fn is_bound_somewhere(&self) -> bool {
        !self.transmitting.is_empty() || self.remotes.iter().any(|remote| remote.sessions > 0)
    }

    /// Requests under way from this core, wherever the session is.
    #[inline]
    pub(super) fn load(&self) -> u32 {
        self.outstanding + self.remotes.iter().map(|remote| remote.outstanding).sum::<u32>()
    }

    /// How much of its weight counts, in percent.
    pub(super) const fn share_percent(&self) -> u32 {
        self.part * 100 / WHOLE
    }

    /// Works out anew whether requests and answers have to be looked at.
    pub(super) fn update_watch(&mut self) {
        self.is_guarded = self.pacing.is_some() || self.health.is_on_trial();
        self.is_watched = self.retains || self.is_guarded || self.version == Version::V50 || self.is_logged;
    }

    pub(super) fn remote_mut(&mut self, core: CoreIndex) -> &mut RemoteServer {
        let place = match self.remotes.iter().position(|remote| remote.core == core) {
            Some(place) => place,
            None => {
                self.remotes.push(RemoteServer {
                    core,
                    sessions: 0,
                    has_bound: false,
                    has_room: false,
                    rounds_given_up: 0,
                    closed_until: Moment::START,
                    outstanding: 0,
                    allowed: u32::MAX,
                    has_refused: false,
                });
                self.remotes.len() - 1
            }
        };
        &mut self.remotes[place]
    }

    /// An answer came after so many nanoseconds: the smoothed value moves an eighth of the way (RFC 6298's gain).
    #[inline]
    pub(super) fn measure(&mut self, taken_nanoseconds: u64) {
        // Nothing can overflow: seven eighths of one time and an eighth of another are no longer than the longer of the two. And
        // from 1 on no eighth is taken away.
        self.response_nanoseconds -= self.response_nanoseconds / 8;
        self.response_nanoseconds += taken_nanoseconds / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::ConnectionId;
    use crate::core::core_message::{CoreAnswer, CoreOutcome};
    use crate::core::engine::tests::{engine, serve_by_another_core};
    use crate::core::sequence::{Origin, Pending, Via};
    use crate::core::settings::ServerIndex;
    use crate::core::wire::{CommandId, Status, write_header_only};

    /// Goal: what a server of another core answers raises again what may be under way there, after a refusal has halved it.
    #[test]
    fn answers_of_another_core_raise_what_may_go_there() {
        let (mut engine, now) = (engine(2), Moment::START);
        let (other, server) = (CoreIndex(1), ServerIndex(0));
        serve_by_another_core(&mut engine, now);
        let remote = engine.servers[0].remote_mut(other);
        remote.outstanding = 8;
        remote.has_refused(false);
        assert_eq!(remote.allowed, 4);
        let origin = Origin::Session {
            connection: ConnectionId {
                index: 7,
                generation: 0,
            },
            sequence_number: 1,
        };
        let pending = Pending {
            via: Via::Server(server),
            ..Pending::new(origin, CommandId::SUBMIT_SM, now)
        };
        let reference = engine.links[1].window.reserve(pending).expect("room");
        let mut pdu = bytes::BytesMut::new();
        write_header_only(&mut pdu, CommandId::SUBMIT_SM_RESP, Status::ESME_ROK, 1);
        let outcome = CoreOutcome::AnsweredBy(server, pdu);
        engine.core_answer(now, other, CoreAnswer { reference, outcome });
        let remote = engine.servers[0].remote_mut(other);
        assert_eq!((remote.allowed, remote.outstanding), (5, 7));
    }

    /// Goal: the smoothed time neither overflows nor falls to nothing, whatever is measured.
    #[test]
    fn smoothed_times_stay_times() {
        let mut server = Server::new(Duration::ZERO, Version::V34, Vec::new());
        for taken in [u64::MAX, u64::MAX - 1, 0, 7, 8, u64::MAX, 1_000_000] {
            for _ in 0..1_000 {
                server.measure(taken);
                assert!(server.response_nanoseconds >= 1);
            }
            assert!(server.response_nanoseconds.abs_diff(taken.max(1)) < 8);
        }
    }

    /// Goal: a refusal that comes behind what the core has said since does not hide that there is room again, which it would
    /// not say a second time; but it counts as a refusal, once.
    #[test]
    fn a_late_refusal_does_not_take_the_room_away() {
        let mut server = Server::new(Duration::ZERO, Version::V34, Vec::new());
        server.is_placed = true;
        let core = CoreIndex(1);
        let remote = server.remote_mut(core);
        (remote.sessions, remote.outstanding) = (1, 8);
        remote.has_said(true, 0);
        for _ in 0..4 {
            server.remote_mut(core).has_refused(false);
        }
        let may_go = |server: &Server| server.remote_with_room(Moment::START, |_| true).is_some();
        assert!(!may_go(&server), "half of 8 are under way and more");
        server.remote_mut(core).outstanding = 3;
        assert!(may_go(&server));
        server.remote_mut(core).has_refused(true);
        assert!(!may_go(&server));
    }

    /// Goal: when a core has a place free now and then, few of the many requests that wait here go there in vain; when it
    /// has room again, all may go there soon. Method: 1000 requests wait; in each round all that may go do, and the core
    /// takes one of them, or later all.
    #[test]
    fn refusals_stay_few() {
        let mut server = Server::new(Duration::ZERO, Version::V34, Vec::new());
        server.is_placed = true;
        let core = CoreIndex(1);
        let mut refused_in_round = Vec::new();
        for round in 0..40 {
            let remote = server.remote_mut(core);
            remote.sessions = 1;
            remote.has_said(true, 0);
            let mut sent = 0;
            while sent < 1000 && server.remote_with_room(Moment::START, |_| true).is_some() {
                server.remote_mut(core).outstanding += 1;
                sent += 1;
            }
            let taken = if round < 20 { 1 } else { sent };
            assert!(sent > 0, "some of those who wait must try");
            let remote = server.remote_mut(core);
            for place in 0..sent {
                if place >= taken {
                    remote.has_refused(true);
                }
                remote.outstanding -= 1;
                if place < taken {
                    remote.has_taken();
                }
            }
            refused_in_round.push(sent - taken);
            if round == 39 {
                assert_eq!(sent, 1000, "room is used when it is there");
            }
        }
        assert!(
            refused_in_round[12..].iter().all(|refused| *refused <= 2),
            "{refused_in_round:?}"
        );
    }
}
