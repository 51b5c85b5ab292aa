//! Servers that a core leaves out for their answers: it says so by notices, and keeps to what it says.
//!
//! Whether it was right to find a server ill is for the engine's own tests: here SMSCs fall ill for a while, and what must hold is
//! that the last well one of a vserver is never left out, nor more than may be, and that one that is left out gets no new submit
//! while a well one can have it. That no message is lost by it is what all other checks are for.

use crate::event::LinkId;
use crate::link::{Link, Peer};
use crate::versions::{V34, V50};
use crate::world::{Phase, World};
use smppmux_engine::core::contract::Notice;
use smppmux_engine::core::health::EjectionReason;
use smppmux_engine::core::settings::EjectionSettings;
use smppmux_engine::core::time::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// Nothing ejects a server: the runs that are about something else.
pub(crate) const NEVER: EjectionSettings = EjectionSettings {
    timeouts: 0,
    errors_percent: 0,
    ..EAGER
};

/// Few signs are enough, and a run sees many ejections.
pub(crate) const EAGER: EjectionSettings = EjectionSettings {
    timeouts: 2,
    errors_percent: 50,
    answers_min: 4,
    window: Duration::from_secs(2),
    min: Duration::from_millis(300),
    max: Duration::from_millis(1_200),
    rise: 2,
};

/// What an SMSC answers that is ill.
pub(crate) const ESME_RX_T_APPN: u32 = 0x64;

/// How long each SMSC is well or ill before that may change.
const SPELL_MS: u64 = 1_500;
/// A server that is bound, or well, for so long is known to be.
const KNOWN_TIME: Duration = Duration::from_millis(500);

/// What a core has said of a server's health last.
#[derive(Clone, Copy, Debug)]
enum Told {
    EjectedFromTo(Moment, Moment),
    OnTrial,
    WellSince(Moment),
}

/// By server; one that nothing was said of is well.
#[derive(Debug, Default)]
pub(crate) struct Healths(BTreeMap<usize, Told>);

impl Healths {
    fn is_out(&self, server: usize) -> bool {
        matches!(self.0.get(&server), Some(Told::EjectedFromTo(..) | Told::OnTrial))
    }

    fn is_well_since(&self, server: usize, moment: Moment) -> bool {
        match self.0.get(&server) {
            None => true,
            Some(Told::WellSince(since)) => *since + KNOWN_TIME < moment,
            Some(_) => false,
        }
    }
}

impl World {
    /// What is wrong with an SMSC just now: every third spell of each is a bad one.
    pub(crate) fn is_ill(&self, index: usize) -> bool {
        let spell = self.now.as_nanoseconds() / 1_000_000 / SPELL_MS;
        let is_judged = self.scenario.settings.servers[index].ejection != NEVER;
        is_judged && self.phase == Phase::Chaos && (spell + index as u64).is_multiple_of(3)
    }

    /// A core says how it finds a server.
    pub(crate) fn health_told(&mut self, core: usize, notice: &Notice) {
        let (server, told) = match notice {
            Notice::ServerEjected {
                server,
                reason,
                lasts,
            } => {
                let server = usize::from(server.0);
                self.check_ejection(core, server, *reason, *lasts);
                (server, Told::EjectedFromTo(self.now, self.now + *lasts))
            }
            Notice::ServerOnTrial { server } => {
                let server = usize::from(server.0);
                assert!(
                    self.hosts[core].healths.is_out(server),
                    "a trial of a server that is well"
                );
                (server, Told::OnTrial)
            }
            Notice::ServerWell { server } => (usize::from(server.0), Told::WellSince(self.now)),
            _ => return,
        };
        self.hosts[core].healths.0.insert(server, told);
    }

    fn check_ejection(&self, core: usize, server: usize, reason: EjectionReason, lasts: Duration) {
        let settings = &self.scenario.settings.servers[server].ejection;
        assert!(
            *settings != NEVER && (settings.min..=settings.max).contains(&lasts),
            "core {core} ejects server {server} for {lasts:?}"
        );
        let healths = &self.hosts[core].healths;
        let vserver = &self.scenario.settings.vservers[0];
        let servers = vserver.servers.len();
        // A reload may have taken servers away since, or put them back.
        if reason == EjectionReason::Trial || !self.orders.is_empty() {
            return;
        }
        // One that is down is not left out.
        let is_out =
            |other: &usize| healths.is_out(*other) && self.transmitter_since(*other, self.now).is_some();
        let out = 1 + (0..servers).filter(is_out).count();
        let most = (servers * vserver.eject_limit_percent as usize / 100).max(1);
        assert!(
            out < servers && out <= most,
            "core {core} ejects server {server}: {out} of {servers} are out, {most} may be"
        );
    }

    /// A request has reached a server: none that its core has ejected, where that core knew of a well one all the time.
    pub(crate) fn check_not_left_out(&self, server: usize, number: usize) {
        let request = &self.ledger.requests[number];
        // What belongs to a message that the server has goes there in any case.
        if self.scenario.is_forward || request.segment.is_some() || request.about.is_some() {
            return;
        }
        // The core that chooses is the one that the client is at.
        let Some(client) = self.esmes[request.esme].link else {
            return;
        };
        let core = self.links[client].engine;
        self.check_trials_come(core);
        let bound_at = self.links[client].session.bound.map(|(_, at)| at);
        let sent_at = request.sent_at;
        let healths = &self.hosts[core].healths;
        let Some(Told::EjectedFromTo(ejected_at, _)) = healths.0.get(&server).copied() else {
            return;
        };
        let is_since = ejected_at < sent_at && bound_at.is_some_and(|at| at <= sent_at);
        let is_free = !self.scenario.rules.confines(&request.pdu);
        let servers = &self.scenario.settings.servers;
        // Then each may have any request.
        let are_alike = [V34, V50]
            .iter()
            .any(|version| servers.iter().all(|server| server.interface_version == *version));
        if !is_since || !is_free || !are_alike || !self.orders.is_empty() || !self.is_calm_since(sent_at) {
            return;
        }
        let well = (0..servers.len())
            .filter(|other| *other != server && healths.is_well_since(*other, sent_at))
            .find_map(|other| self.transmitter_since(other, sent_at));
        assert!(
            well.is_none(),
            "request {number} went to server {server}, which core {core} has ejected at {ejected_at:?}, though there was link {well:?}"
        );
    }

    /// What a core has ejected it tries when the time is over, if there is a session by then.
    fn check_trials_come(&self, core: usize) {
        for (server, told) in &self.hosts[core].healths.0 {
            let Told::EjectedFromTo(from, to) = *told else {
                continue;
            };
            let is_over = to + KNOWN_TIME < self.now && self.orders.is_empty() && self.is_calm_since(to);
            assert!(
                !is_over || self.transmitter_since(*server, to).is_none(),
                "core {core} has ejected server {server} at {from:?} until {to:?}, and goes on"
            );
        }
    }

    /// A session of a server that may be sent requests, which every core knew of at a moment, and that has been there since.
    fn transmitter_since(&self, server: usize, moment: Moment) -> Option<LinkId> {
        let is_there = |link: &Link| {
            let bound = link.session.bound;
            let is_known =
                bound.is_some_and(|(kind, at)| crate::esme::transmits(kind) && at + KNOWN_TIME < moment);
            let goes_on = !link.session.is_leaving && !link.session.has_lost_step;
            let stays = link.is_open() && !link.is_broken && goes_on;
            link.peer == Peer::Smsc(server)
                && is_known
                && stays
                && link.let_go_at.is_none()
                && link.session.call.is_none()
        };
        self.links.iter().position(is_there)
    }
}
