//! Slowing servers down: the rate that is configured, and the pace that a server shows by throttling.
//!
//! A server that may not be sent anything now counts as one without room: messages go to other servers, or into the hold.
//! Invariant: a server that is paced is looked at again by a timer, or when the lease of its rate comes.

use super::engine::PacketEngine;
use super::lease::RateKey;
use super::pace::{Adaptive, Congestion};
use super::settings::ServerIndex;
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::CommandId;
use std::time::Duration;

/// No timer is armed for less: what comes together is let through together.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// A server that has throttled a message and has no pace gets no other for this long, so that messages that are sent again
/// do not come back at once.
const PAUSE: Duration = Duration::from_millis(10);

/// What limits the messages to one server, on one core.
#[derive(Debug)]
pub(super) struct Pacing {
    is_limited: bool,
    adaptive: Option<Adaptive>,
    paused_until: Moment,
    pub(super) armed_at: Moment,
}

impl Pacing {
    pub(super) const fn new(is_limited: bool) -> Self {
        Self {
            is_limited,
            adaptive: None,
            paused_until: Moment::START,
            armed_at: Moment::NEVER,
        }
    }
}

impl PacketEngine {
    /// A message has left for a server that is limited in some way, or on trial.
    #[cold]
    pub(super) fn pace_sent(&mut self, now: Moment, index: ServerIndex, command: CommandId) {
        self.trial_sent(now, index, command);
        let Some(pacing) = &mut self.servers[usize::from(index.0)].pacing else {
            return;
        };
        if let Some(adaptive) = &mut pacing.adaptive {
            adaptive.sent(now);
        }
        if pacing.is_limited {
            self.spend(now, RateKey::Server(index));
        }
        self.update_pace(now, index);
    }

    /// A server has said by the answer to a request that left at `sent_at` how busy it is.
    pub(super) fn adapt_pace(
        &mut self,
        now: Moment,
        index: ServerIndex,
        sent_at: Moment,
        throttles: bool,
        congestion: Option<Congestion>,
    ) {
        let is_adaptive = self.settings.servers[usize::from(index.0)].adaptive_pace;
        let server = &mut self.servers[usize::from(index.0)];
        let is_too_much = throttles || congestion == Some(Congestion::TooHigh);
        if is_too_much {
            let pacing = server.pacing.get_or_insert_with(|| Box::new(Pacing::new(false)));
            match &mut pacing.adaptive {
                _ if !is_adaptive => pacing.paused_until = now + PAUSE,
                Some(adaptive) => adaptive.throttled(now, sent_at),
                // What was under way, in the time that an answer takes (Little's law).
                empty => {
                    let under_way = u128::from(server.outstanding) + 1;
                    let second = Duration::from_secs(1).as_nanos();
                    let per_second = under_way * second / u128::from(server.response_nanoseconds.max(1));
                    *empty = Some(Adaptive::new(now, u64::try_from(per_second).unwrap_or(u64::MAX)));
                }
            }
            self.counters.server_throttlings += 1;
        } else if congestion == Some(Congestion::Optimum)
            && let Some(adaptive) = server.pacing.as_mut().and_then(|pacing| pacing.adaptive.as_mut())
        {
            adaptive.keep(now);
        }
        if server.pacing.is_some() {
            server.update_watch();
            self.update_pace(now, index);
        }
    }

    /// Works out anew whether a server may be sent something now, and else when to look again.
    pub(super) fn update_pace(&mut self, now: Moment, index: ServerIndex) {
        let lease_wait = self.lease_wait(now, RateKey::Server(index));
        let server = &mut self.servers[usize::from(index.0)];
        let Some(pacing) = &mut server.pacing else { return };
        if pacing
            .adaptive
            .as_mut()
            .is_some_and(|adaptive| !adaptive.grow(now))
        {
            pacing.adaptive = None;
        }
        let mut wait = pacing.paused_until.since(now);
        if let Some(adaptive) = &mut pacing.adaptive {
            wait = wait.max(adaptive.wait(now));
        }
        if pacing.is_limited {
            wait = wait.max(lease_wait);
        }
        let is_paced = !wait.is_zero();
        if is_paced {
            let at = now + wait.max(SHORTEST_WAIT);
            self.timers.arm(&mut pacing.armed_at, at, TimerKey::Pacing(index));
        } else if !pacing.is_limited && pacing.adaptive.is_none() {
            server.pacing = None;
            server.update_watch();
        }
        if is_paced != server.is_paced {
            server.is_paced = is_paced;
            self.room_changed_at_server(index);
        }
    }

    /// Looks at a paced server again, and sends what waits for it.
    pub(super) fn pace_again(&mut self, now: Moment, index: ServerIndex) {
        self.update_pace(now, index);
        if !self.servers[usize::from(index.0)].is_paced {
            self.serve_holds_of(now, index);
        }
    }
}
