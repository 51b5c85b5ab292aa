//! An answer that an engine has heard in time is the one that the requester gets: none is swallowed, or replaced by an error
//! of smppmux's own.

use crate::event::LinkId;
use crate::ledger::{ESME_ERRORS, is_throttling};
use crate::link::{End, Link, Peer};
use crate::pdu::{Pdu, command};
use crate::scenario::DRAIN_TIMEOUT;
use crate::world::World;
use smppmux_engine::core::settings::AllServersDown;
use smppmux_engine::core::time::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Whoever leaves gets errors for what is still due after a while; an answer that came sooner was passed on before.
const LEAVING_TIME: Duration = Duration::from_secs(4);

/// A server that is bound for so long is known to every core.
const KNOWN_TIME: Duration = Duration::from_millis(500);

/// A peer's answer on its way to an engine.
#[derive(Clone, Copy, Debug)]
struct Coming {
    /// Where it ends in the octets that the peer has written.
    end: u64,
    number: usize,
    status: u32,
}

/// The answers to an engine's requests on one link, and the request or message that each is for.
#[derive(Debug, Default)]
pub(crate) struct Answers(VecDeque<Coming>);

/// An answer that an engine has consumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    at: Moment,
    /// What it came on; the request may have gone elsewhere again since.
    pub(crate) on: LinkId,
    status: u32,
    /// The session that it came on was not about to end.
    is_counted: bool,
}

/// An error that its requester must not get, unless it is unbound with it because there is no server any more.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    /// The promise that is broken otherwise.
    broken: String,
    /// When the request was sent: from then on there was no server all the time.
    since: Moment,
}

impl Heard {
    /// It was heard before `moment`, on a session that goes on, and it says that this was the last try.
    pub(crate) fn is_final_before(self, moment: Moment) -> bool {
        self.is_counted && self.at < moment && (self.status == 0 || ESME_ERRORS.contains(&self.status))
    }

    pub(crate) fn is_before(self, moment: Moment) -> bool {
        self.at < moment
    }
}

impl World {
    /// A peer has written an answer to a request of an engine.
    pub(crate) fn answer_written(&mut self, id: LinkId, request: u32, number: usize, answer: &Pdu) {
        let link = &mut self.links[id];
        let is_its_answer =
            answer.command == request | command::RESPONSE || answer.command == command::GENERIC_NACK;
        if is_its_answer && !link.session.is_leaving {
            link.answers.0.push_back(Coming {
                end: link.written_octets,
                number,
                status: answer.status,
            });
        }
    }

    /// An engine has consumed octets of a peer.
    pub(crate) fn answers_heard(&mut self, id: LinkId) {
        let link = &mut self.links[id];
        while let Some(answer) = link.answers.0.front().copied() {
            if answer.end > link.consumed_octets {
                break;
            }
            link.answers.0.pop_front();
            let heard = Heard {
                at: self.now,
                on: id,
                status: answer.status,
                is_counted: link.engine_end == End::Open
                    && !link.is_broken
                    && !link.session.is_leaving
                    && !link.session.has_lost_step,
            };
            let place = match link.peer {
                Peer::Smsc(_) => &mut self.ledger.requests[answer.number].heard,
                Peer::Esme(_) => &mut self.ledger.messages[answer.number].heard,
            };
            place.get_or_insert(heard);
        }
    }

    /// The requester of `number` has an answer, on the link `answered_on`.
    pub(crate) fn check_heard(&mut self, requester: Peer, answered_on: LinkId, number: usize, status: u32) {
        let (heard, reached, sent_at, what) = match requester {
            Peer::Esme(_) => {
                let request = &self.ledger.requests[number];
                (request.heard, request.reached, request.sent_at, "request")
            }
            Peer::Smsc(_) => {
                let message = &self.ledger.messages[number];
                if !message.stored.is_empty() {
                    // The queue has answered before any client did.
                    return;
                }
                (message.heard, message.reached, message.sent_at, "message")
            }
        };
        let Some((_, link)) = reached else { return };
        let Some(heard) = heard else {
            return self.check_drain_waited(requester, number, [link, answered_on], sent_at);
        };
        let may_go_elsewhere = matches!(requester, Peer::Esme(_))
            && self.ledger.resends_throttled
            && is_throttling(heard.status);
        if may_go_elsewhere {
            return;
        }
        // Between cores an answer may be late, or lost with its core.
        let is_calm = self.is_calm_since(sent_at);
        let is_unbound = |let_go_at: Moment| heard.at >= let_go_at + DRAIN_TIMEOUT;
        let in_time = heard.at < sent_at + self.scenario.response_timeout.min(LEAVING_TIME)
            && !self
                .let_go_at(requester, answered_on, sent_at)
                .is_some_and(is_unbound);
        // What an engine has given up since, it may have been about to give up.
        let far = &self.links[link];
        let is_counted = heard.is_counted && far.engine_end == End::Open && !far.session.has_lost_step;
        let holds = status == heard.status || !is_calm || !in_time || !is_counted;
        if !holds {
            let answer = heard.status;
            self.is_suspicious(
                answered_on,
                sent_at,
                format!("{what} {number} got {status:#x}, though the answer {answer:#x} had come in time"),
            );
        }
    }

    /// Since when an ESME's account is drained, or gone: it is unbound when its own time is up. What it asks from then on is refused.
    fn let_go_at(&self, requester: Peer, answered_on: LinkId, sent_at: Moment) -> Option<Moment> {
        let let_go_at = self.links[answered_on].let_go_at;
        let_go_at.filter(|at| matches!(requester, Peer::Esme(_)) && sent_at <= *at)
    }

    /// No answer has been heard, and still the requester has one: a drain must have waited for it as long as it may, be it
    /// that of the core where the answer is due, that of the requester's, or that of the requester's account.
    fn check_drain_waited(
        &mut self,
        requester: Peer,
        number: usize,
        [reached, answered_on]: [LinkId; 2],
        sent_at: Moment,
    ) {
        let link = &self.links[reached];
        let drains = [link.engine, self.links[answered_on].engine];
        let let_go_at = self.let_go_at(requester, answered_on, sent_at);
        let began = drains
            .iter()
            .filter_map(|core| self.hosts[*core].drain_began)
            .chain(let_go_at)
            .min();
        let Some(began) = began else { return };
        let patience =
            (began + DRAIN_TIMEOUT).min(sent_at + self.scenario.response_timeout.min(LEAVING_TIME));
        let is_open = link.engine_end == End::Open && !link.is_broken && !link.session.is_leaving;
        // Where cores stall, or octets wait long with a kernel, the engine's own times say otherwise; and a core that is gone may
        // have been between the two.
        let is_swift = self.hosts.iter().all(|host| !host.has_stalled && !host.is_gone)
            && !link.was_slow
            && !link.session.was_deaf;
        if self.now < patience && is_open && is_swift {
            self.is_suspicious(
                answered_on,
                sent_at,
                format!("{requester:?} got an answer to {number} before its peer's, from a drain that began at {began:?}"),
            );
        }
    }

    /// A client that is unbound because its core knows no server any more (`all-servers-down = "unbind"`) has its answers
    /// before that, also for what another core's or a leaving session would still have answered: an unbind must follow.
    fn is_suspicious(&mut self, answered_on: LinkId, since: Moment, broken: String) {
        let link = &mut self.links[answered_on];
        let may_be_unbound = matches!(link.peer, Peer::Esme(_))
            && !self.scenario.is_forward
            && self.scenario.settings.vservers[0].all_servers_down == AllServersDown::Unbind;
        assert!(may_be_unbound, "{broken}");
        link.session.suspicion.get_or_insert(Suspicion { broken, since });
    }

    /// The engine's next PDU on a link shows whether the suspicion was right: only other errors and the unbind are written in one
    /// turn with it. And there must be a reason for that: a server that was there all the time is none.
    pub(crate) fn check_suspicion(&mut self, id: LinkId, pdu: &Pdu) {
        let is_given_up = pdu.is_response() && pdu.status != 0;
        let Some(suspicion) = self.links[id].session.suspicion.clone() else {
            return;
        };
        let broken = &suspicion.broken;
        if pdu.command == command::UNBIND {
            let server = self.server_since(suspicion.since, self.links[id].engine);
            assert!(
                server.is_none(),
                "{broken}; it was unbound, though there was a server on link {server:?}"
            );
            self.links[id].session.suspicion = None;
        } else {
            assert!(is_given_up, "{broken}");
        }
    }

    /// An engine has closed the connection in an orderly way.
    pub(crate) fn check_no_suspicion_left(&self, id: LinkId) {
        let link = &self.links[id];
        let is_cut_off = link.session.is_excused || link.session.was_deaf || self.hosts[link.engine].is_gone;
        if let Some(suspicion) = link.session.suspicion.as_ref().filter(|_| !is_cut_off) {
            panic!("{}", suspicion.broken);
        }
    }

    /// A session that every core knew of at a moment, and that has been there since, of a server that stands behind the vserver
    /// as this core has heard last: a reload that removes a server reaches each core at a moment of its own.
    fn server_since(&self, moment: Moment, core: usize) -> Option<LinkId> {
        let servers = &self.hosts[core].settings.vservers[0].servers;
        let is_listed = |peer| matches!(peer, Peer::Smsc(index) if servers.iter().any(|server| usize::from(server.0) == index));
        let is_there = |link: &Link| {
            let bound_at = link.session.bound.map(|(_, at)| at);
            is_listed(link.peer)
                && bound_at.is_some_and(|at| at + KNOWN_TIME < moment)
                && link.is_open()
                && !link.is_broken
                && link.let_go_at.is_none()
                && !link.session.is_leaving
                && !link.session.has_lost_step
                && link.session.call.is_none()
        };
        let is_calm = self.is_calm_since(moment);
        self.links.iter().position(|link| is_calm && is_there(link))
    }
}
