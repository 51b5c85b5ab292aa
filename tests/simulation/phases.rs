//! How a run ends: everything heals, everything must work, everyone leaves, nothing may be left.

use crate::esme::receives;
use crate::event::{Event, Input};
use crate::pdu::command;
use crate::ranges::DESTINATIONS;
use crate::scenario::{
    AUTH_RETRY, CONCAT_TIMEOUT, DRAIN_TIMEOUT, FORWARD_CACHE, LATE_ANSWER_HOLD, RECONNECT_MAX,
};
use crate::weights::Faults;
use crate::world::{Phase, World};
use smppmux_engine::core::time::Moment;
use std::time::Duration;

/// The engine's own patience with an unbind or a closing session.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// One probe at a time, so that a window of one has room for it.
const PROBE_STEP: Duration = Duration::from_millis(150);
/// When all is well an enquire_link is answered in less than that.
const ENQUIRY_ANSWER_TIME: Duration = Duration::from_secs(1);

/// More sessions of one engine than any run has.
const SESSIONS_ENOUGH: u32 = 1_000;

/// After the last segment that a queue still delivers a message is remembered for so long.
const PINS_GONE_TIME: Duration = Duration::from_secs(CONCAT_TIMEOUT.as_secs() + 1);

impl World {
    pub(crate) fn next_phase(&mut self) {
        let timeout = self.scenario.response_timeout;
        let (next, lasts) = match self.phase {
            Phase::Chaos => (
                Phase::Healing,
                CLOSING_TIME + AUTH_RETRY * 2 + RECONNECT_MAX * 4 + timeout * 4,
            ),
            Phase::Healing => (Phase::Settling, timeout * 2 + LATE_ANSWER_HOLD),
            Phase::Settling => (
                Phase::Probing,
                timeout * 2 + PROBE_STEP * (self.esmes.len() + DESTINATIONS.len() + 1) as u32,
            ),
            Phase::Probing => (
                Phase::Leaving,
                (timeout + LATE_ANSWER_HOLD + FORWARD_CACHE + CLOSING_TIME * 2).max(PINS_GONE_TIME),
            ),
            Phase::Leaving => (Phase::Draining, DRAIN_TIMEOUT + CLOSING_TIME * 3),
            Phase::Draining | Phase::Over => (Phase::Over, Duration::ZERO),
        };
        self.trace
            .line(self.now, || format!("{:?} ends, {next:?} begins", self.phase));
        let ended = std::mem::replace(&mut self.phase, next);
        match ended {
            Phase::Chaos => self.heal(),
            Phase::Healing => {}
            Phase::Settling => self.probe(),
            Phase::Probing => {
                self.check_everything_answered();
                self.check_queue_drained();
            }
            Phase::Leaving => {
                self.check_nothing_left();
                self.check_message_log();
                self.drain_all();
            }
            Phase::Draining | Phase::Over => {
                self.check_drained();
                self.check_rates();
            }
        }
        self.after(lasts, Event::NextPhase);
    }

    fn heal(&mut self) {
        self.scenario.faults = Faults::none();
        self.operator_undoes();
        let now = self.now;
        // Who is stuck is through with it by itself: what ends meanwhile must not take its time.
        for link in self.links.iter_mut().filter(|link| !link.is_stuck(now)) {
            link.capacity = link.capacity.max(100_000);
            link.session.deaf_until = now;
        }
        for id in 0..self.links.len() {
            self.schedule_writable(id);
            self.schedule_peer(id);
        }
        for smsc in &mut self.smscs {
            smsc.down_until = self.now;
        }
        let settings = std::sync::Arc::clone(&self.scenario.settings);
        for (index, _) in (0..)
            .zip(&settings.servers)
            .filter(|(_, server)| server.outbind.is_some())
        {
            self.after(CLOSING_TIME * 2, Event::SmscCalls(index));
        }
    }

    /// Now that nothing is wrong, every client is bound, every server has its sessions, and every request succeeds.
    fn probe(&mut self) {
        for index in 0..self.esmes.len() {
            let esme = &self.esmes[index];
            let bound = esme.link.and_then(|link| self.links[link].session.bound);
            let may_fail = esme.plan.overreaches || self.has_bind_limit(index) || self.has_few_sessions();
            assert!(
                bound.is_some() || may_fail,
                "ESME {index} is not bound though all is well"
            );
        }
        if !self.scenario.is_forward {
            for index in 0..self.smscs.len() {
                self.check_server_sessions(index);
            }
            self.check_calls();
        }
        for turn in 0..self.esmes.len() + DESTINATIONS.len() {
            self.after(PROBE_STEP * turn as u32, Event::Probe(turn));
        }
    }

    /// A request of one of the ESMEs, or a message to one of the destinations.
    pub(crate) fn probe_one(&mut self, turn: usize) {
        let Some(destination) = turn
            .checked_sub(self.esmes.len())
            .map(|place| DESTINATIONS[place])
        else {
            return self.probe_request(turn);
        };
        if self.scenario.is_forward {
            return;
        }
        let smsc = self.random.below(self.smscs.len());
        let sessions = self.bound_sessions(smsc);
        let Some((id, _)) = sessions.into_iter().find(|(_, kind)| receives(*kind)) else {
            return;
        };
        let is_claimed = (0..self.esmes.len()).any(|index| self.serves_now(index, destination));
        self.smsc_sends(id, destination, is_claimed);
    }

    /// An ESME is bound and may get messages for an address.
    pub(crate) fn serves_now(&self, index: usize, address: &str) -> bool {
        self.receives_now(index) && self.specificity(index, address).is_some()
    }

    /// An ESME has a session that receives.
    pub(crate) fn receives_now(&self, index: usize) -> bool {
        let link = self.esmes[index].link;
        let bound = link.and_then(|link| self.links[link].session.bound);
        bound.is_some_and(|(kind, _)| receives(kind))
    }

    fn probe_request(&mut self, index: usize) {
        let Some(id) = self.esmes[index].link else { return };
        let session = &self.links[id].session;
        let transmits = session
            .bound
            .is_some_and(|(kind, _)| kind != command::BIND_RECEIVER);
        if transmits && session.outstanding.is_empty() && !session.is_leaving {
            self.esme_submits_one(index, id, true);
        }
    }

    fn has_bind_limit(&self, index: usize) -> bool {
        self.max_binds(&self.esmes[index].plan.system_id).is_some()
    }

    fn has_few_sessions(&self) -> bool {
        self.scenario.settings.engine.sessions_max < SESSIONS_ENOUGH
    }

    fn check_everything_answered(&self) {
        for (id, link) in self.links.iter().enumerate() {
            let session = &link.session;
            assert!(
                session.suspicion.is_none() || !link.is_open(),
                "{:?}",
                session.suspicion
            );
            assert!(
                session.outstanding.is_empty() || !link.is_open() || session.is_excused,
                "link {id}: never answered: {:?}",
                session.outstanding
            );
            let is_overdue = |(_, since): &(u32, Moment)| self.now.since(*since) > ENQUIRY_ANSWER_TIME;
            assert!(
                !session.enquiries.iter().any(is_overdue) || !link.is_open() || session.is_excused,
                "link {id}: enquire_links never answered: {:?}",
                session.enquiries
            );
        }
    }

    fn check_nothing_left(&self) {
        for (core, host) in self.hosts.iter().enumerate().filter(|(_, host)| host.serves()) {
            let report = host.engine.report();
            let left = (
                report.client_connections,
                report.client_sessions,
                report.pools,
                report.held_requests,
                report.core_requests_outstanding + report.receipts.held,
                report.concatenated + report.entries_waiting + report.queue_appending,
                report
                    .servers
                    .iter()
                    .map(|server| server.outstanding)
                    .sum::<u64>(),
            );
            assert_eq!(
                left,
                (0, 0, 0, 0, 0, 0, 0),
                "core {core} keeps connections, sessions, pools, held, core requests, pins and entries, outstanding"
            );
            if self.scenario.is_forward {
                let bound: u64 = report.servers.iter().map(|server| server.bound_sessions).sum();
                assert_eq!(
                    bound, 0,
                    "core {core} keeps the sessions of identities that are gone"
                );
                assert!(
                    host.links.is_empty(),
                    "core {core} keeps connections of identities that are gone"
                );
            }
        }
    }

    fn drain_all(&mut self) {
        for core in 0..self.hosts.len() {
            if self.hosts[core].serves() {
                self.hosts[core].is_draining = true;
                self.input_after(Duration::ZERO, core, Input::Drain);
            }
        }
    }

    fn check_drained(&self) {
        for (core, host) in self.hosts.iter().enumerate().filter(|(_, host)| !host.is_gone) {
            assert_eq!(host.drained, Some(true), "core {core} has not drained");
        }
    }
}
