//! What settings and documents limit, as far as peers can see it: windows, the share of a window that the queue leaves alone, binds of
//! an account, sessions that a server opens itself, octets that wait or are kept, requests between cores, how often a request is sent
//! again. Where nobody outside sees a limit (tables, the hold) it is an engine's own report that is held to it. Rates are in `rates`,
//! sessions towards servers in `totals`, how long a request is held in `held`.
//!
//! A peer sees late what an engine does. Each check counts only what must be so in the engine as well, so none needs to be excused for a
//! slow network.

use crate::event::LinkId;
use crate::link::{InFlight, Link, Peer};
use crate::pdu::{Pdu, command};
use crate::random::Random;
use crate::scenario::{EsmePlan, LATE_ANSWER_HOLD, LONG_HOLD_TIME};
use crate::world::World;
use smppmux_engine::core::settings::{
    ClientSettings, EngineSettings, OnServerLoss, OnThrottle, Overload, ReceiptStore, VserverSettings,
};
use smppmux_engine::core::time::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// Every core that has not stood still knows of a session after that time.
const KNOWN_TIME: Duration = Duration::from_millis(500);
/// A request whose session was lost is sent so often at most ("three times at most" again).
const ARRIVALS_MAX: u32 = 4;
/// Alerts that a core may have under way at another one, beside its requests.
const ALERTS_MAX: usize = 4;
/// Messages that one core may have on their way to another beside requests and answers: five of its own and five acknowledgements.
const CONTROL_MAX: usize = 10;
/// Requests of our own (enquire_link, unbind) get through a full window: so many.
const OWN_REQUESTS_MAX: usize = 4;
/// The largest PDU here; one may come on top of what may wait for a peer.
const PDU_OCTETS_MAX: usize = 10_000;
/// Answers and what smppmux says itself are not refused: so many octets for each request in a window.
const ANSWER_OCTETS_MAX: usize = 200;
const ESME_RBINDFAIL: u32 = 0x0D;
const ESME_RTHROTTLED: u32 = 0x58;
/// Sessions that clients leave free for servers.
pub(crate) const SESSIONS_FOR_SERVERS: u32 = 64;

/// What a run limits that others do not.
pub(crate) struct Drawn {
    pub(crate) engine: EngineSettings,
    pub(crate) receipts: ReceiptStore,
    /// Requests that the mailbox of a core takes from another one.
    pub(crate) mailbox_requests_max: usize,
    /// Messages that the store takes.
    pub(crate) stored_max: usize,
    /// So much is held that the records of what ends in one turn find no room in the message log.
    pub(crate) is_heavy: bool,
}

/// Messages that the store takes at most, mostly: sometimes it is full.
const STORED_MAX: usize = 400;

/// Draws limits that are reached, each in a share of the runs. Beside the other chances, so that a seed to which none of them falls is
/// the run that it was before there were any.
pub(crate) fn draw(
    seed: u64,
    engine: &EngineSettings,
    vserver: &mut VserverSettings,
    clients: &mut [ClientSettings],
    esmes: &mut [EsmePlan],
    is_forward: bool,
) -> Drawn {
    let mut aside = Random::new(seed ^ 0x006C_696D_6974_7321);
    let mut drawn = Drawn {
        engine: engine.clone(),
        receipts: ReceiptStore::default(),
        mailbox_requests_max: usize::MAX,
        stored_max: STORED_MAX,
        is_heavy: false,
    };
    if aside.chance(120) && !is_forward {
        for client in clients.iter_mut() {
            client.max_binds = Some(aside.between(1, 2) as u32);
        }
    }
    if aside.chance(60) {
        drawn.engine.sessions_max = SESSIONS_FOR_SERVERS + aside.between(2, 12) as u32;
    }
    if aside.chance(80) {
        drawn.receipts.entries_max = aside.between(1, 12) as u64;
    }
    if aside.chance(150) {
        drawn.mailbox_requests_max = aside.between(1, 6);
    }
    if aside.chance(120) {
        drawn.stored_max = aside.between(1, 40);
    }
    // More octets than a client may have in the hold, for long.
    drawn.is_heavy = aside.chance(60);
    if drawn.is_heavy {
        (vserver.overload, vserver.hold_time) = (Overload::Hold, LONG_HOLD_TIME);
        for client in clients.iter_mut() {
            client.window = 100;
        }
        for esme in esmes {
            (esme.window, esme.is_heavy) = (100, true);
        }
    }
    drawn
}

/// A request on its way to a server, from the moment when the engine has handed it out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandedOut {
    /// Which of the buffers of its connection.
    buffer: u64,
    number: usize,
    octets: usize,
}

/// What an engine has handed out on one connection and has no answer to, by sequence_number.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    buffers: u64,
    requests: BTreeMap<u32, HandedOut>,
}

impl Unanswered {
    /// The peer has written an answer.
    pub(crate) fn answered(&mut self, sequence: u32) {
        self.requests.remove(&sequence);
    }
}

impl World {
    /// A request of an engine has reached a peer: the window has room for it.
    pub(crate) fn check_window(&mut self, id: LinkId) {
        let link = &self.links[id];
        if let Peer::Smsc(index) = link.peer {
            let limit = self.scenario.settings.servers[index].window as usize;
            let is_full = link.session.in_flight.len() >= limit;
            self.exercised.full_server_windows += u64::from(is_full);
        }
        let link = &self.links[id];
        let limit = match link.peer {
            Peer::Esme(index) => self.esmes[index].plan.window,
            Peer::Smsc(index) => self.scenario.settings.servers[index].window,
        } as usize;
        // A request keeps its slot until it has gone unanswered for long, and for a late answer after that.
        let timeout = self.scenario.response_timeout;
        let is_fresh = |request: &&InFlight| {
            let is_awaited_late = |at: Moment| self.now.since(at) < timeout + LATE_ANSWER_HOLD;
            self.now.since(request.arrived_at) < timeout || request.taken_at.is_some_and(is_awaited_late)
        };
        let fresh = || link.session.in_flight.values().filter(is_fresh);
        // What it had put on its way before it stalled, and given up since, leaves with what came next.
        if link.session.was_deaf || link.was_slow || self.hosts[link.engine].has_stalled {
            return;
        }
        let under_way = fresh().filter(|request| !request.is_own()).count();
        assert!(
            under_way <= limit,
            "link {id}: {under_way} requests in a window of {limit}"
        );
        let own = fresh().filter(|request| request.is_own()).count();
        assert!(
            own <= OWN_REQUESTS_MAX,
            "link {id}: {own} requests of smppmux itself"
        );
        let queued = fresh().filter(|request| request.is_queued).count();
        assert!(
            queued <= limit - limit / 8,
            "link {id}: {queued} queued messages in a window of {limit}, of which they leave an eighth alone"
        );
    }

    /// A request of an ESME has reached a server: its account's window had room for it when it came. Counted are those that came before
    /// it on its session, that are at servers, and that nobody has answered or given up.
    pub(crate) fn check_client_window(&mut self, number: usize) {
        let request = &self.ledger.requests[number];
        let (Some(from), Some(taken_at)) = (request.link, request.taken_at) else {
            return;
        };
        let Peer::Esme(esme) = self.links[from].peer else {
            return;
        };
        let limit = self.esmes[esme].plan.window as usize;
        let is_before = |other: &&usize| {
            let request = &self.ledger.requests[**other];
            let came_at = request.taken_at.filter(|at| *at <= taken_at);
            let is_in_time = came_at.is_some_and(|at| taken_at.since(at) < self.scenario.response_timeout);
            **other < number
                && is_in_time
                && request
                    .reached
                    .is_some_and(|(_, link)| self.is_at_server(**other, link))
        };
        let before = self.links[from].session.outstanding.values();
        let before = before.filter(is_before).count();
        self.exercised.full_client_windows += u64::from(before + 1 == limit);
        assert!(
            before < limit,
            "request {number} left for a server with {before} before it, of a window of {limit}"
        );
    }

    /// A server has a request and has not answered it, on a session that goes on.
    fn is_at_server(&self, number: usize, id: LinkId) -> bool {
        let link = &self.links[id];
        let mut in_flight = link.session.in_flight.values();
        let goes_on = link.is_open() && !link.session.is_leaving && !link.session.has_lost_step;
        goes_on
            && link.let_go_at.is_none()
            && self.hosts.iter().all(|host| host.serves())
            && in_flight.any(|request| request.message == Some(number))
    }

    /// A request has reached a server once more.
    pub(crate) fn check_arrivals(&mut self, number: usize) {
        let request = &mut self.ledger.requests[number];
        request.arrivals += 1;
        self.exercised.requests_sent_again += u64::from(request.arrivals > 1);
        // One that was throttled is sent again for as long as it may be held.
        let is_limited = self.scenario.settings.vservers[0].on_throttle == OnThrottle::Answer;
        assert!(
            request.arrivals <= ARRIVALS_MAX || !is_limited,
            "request {number} reached servers {} times",
            request.arrivals
        );
    }

    /// An ESME has been bound: its account had fewer sessions than it may have when its bind came. Those of other cores count once
    /// these must have been heard of: binds that come at the same time to several cores may all be taken.
    pub(crate) fn check_max_binds(&mut self, index: usize, id: LinkId) {
        let system_id = &self.esmes[index].plan.system_id;
        let Some(limit) = self.max_binds(system_id).filter(|_| !self.scenario.is_forward) else {
            return;
        };
        let Some(bind_taken_at) = self.links[id].session.bind_taken_at else {
            return;
        };
        let engine = self.links[id].engine;
        let counts = |link: &Link| {
            let is_known = link.session.bound.is_some_and(|(_, bound_at)| {
                let known_at = if link.engine == engine {
                    bound_at
                } else {
                    bound_at + KNOWN_TIME
                };
                known_at < bind_taken_at && (link.engine == engine || self.is_calm_since(bound_at))
            });
            let is_theirs =
                matches!(link.peer, Peer::Esme(other) if self.esmes[other].plan.system_id == *system_id);
            is_theirs && is_known && self.stands(link)
        };
        let others = self
            .links
            .iter()
            .enumerate()
            .filter(|(other, link)| *other != id && counts(link));
        let others = others.count();
        assert!(
            others < limit as usize,
            "{system_id} has bound {} sessions, of {limit}",
            others + 1
        );
    }

    pub(crate) fn max_binds(&self, system_id: &str) -> Option<u32> {
        let settings = &self.scenario.settings;
        let account = settings.account(system_id.as_bytes())?;
        settings.clients[account.0 as usize].max_binds
    }

    /// A client's session that its engine has not begun to end, whatever is under way to the client.
    fn stands(&self, link: &Link) -> bool {
        let session = &link.session;
        // Behind what the kernel has not taken there may be an unbind.
        link.is_open()
            && !link.is_broken
            && link.sending.is_none()
            && !session.is_leaving
            && session.was_unbound.is_none()
            && link.let_go_at.is_none()
            && self.hosts[link.engine].serves()
            && !self.has_unbind_under_way(link)
    }

    fn has_unbind_under_way(&self, link: &Link) -> bool {
        let mut octets = link.session.input.clone();
        octets.extend(&link.to_peer.octets);
        std::iter::from_fn(|| Pdu::take_first(&mut octets)).any(|pdu| pdu.command == command::UNBIND)
    }

    /// A core has let a peer in during the turn that ends now. `came_later`: whether a connection is one that it has asked for, or let
    /// in, since.
    pub(crate) fn check_let_in(&self, core: usize, id: LinkId, came_later: impl Fn(LinkId) -> bool) {
        let settings = &self.scenario.settings;
        let there = || self.hosts[core].links.values().filter(|id| !came_later(**id));
        if !there().any(|other| *other == id) {
            return;
        }
        match self.links[id].peer {
            Peer::Esme(_) => {
                let limit = settings.engine.sessions_max.saturating_sub(SESSIONS_FOR_SERVERS);
                let held = there().count();
                assert!(
                    held <= limit as usize,
                    "core {core} lets a client in as connection {held}, of {limit}"
                );
            }
            Peer::Smsc(index) => {
                let outbind = settings.servers[index].outbind.as_ref();
                let limit = outbind.map_or(0, |outbind| outbind.connections);
                // One that has been unbound may still have its last octets to write.
                let is_called = |id: &&LinkId| {
                    let link = &self.links[**id];
                    let goes_on = !link.session.is_leaving && link.session.was_unbound.is_none();
                    link.peer == Peer::Smsc(index) && link.session.call.is_some() && goes_on
                };
                let called = there().filter(is_called).count();
                assert!(
                    called <= limit as usize,
                    "core {core} lets server {index} open connection {called}, of {limit}"
                );
            }
        }
    }

    /// An engine hands out octets for a peer: no more than may wait, and no request to a server that has more octets unanswered than are
    /// kept to be sent again. What it handed out last may not have been written when the next one was taken in, so that does not count.
    pub(crate) fn check_octets(&mut self, core: usize, id: LinkId, octets: &[u8]) {
        let waits_max = self.waiting_octets_max(id);
        assert!(
            octets.len() <= waits_max,
            "core {core}: {} octets waited for link {id}, of {waits_max}",
            octets.len()
        );
        let Peer::Smsc(index) = self.links[id].peer else {
            return;
        };
        let settings = &self.scenario.settings;
        let vserver = &settings.vservers[0];
        let are_kept =
            vserver.on_server_loss == OnServerLoss::Retry || vserver.on_throttle == OnThrottle::Retry;
        if !are_kept || !self.orders.is_empty() {
            return;
        }
        let limit = settings.servers[index].window_octets;
        let handed_out = &self.links[id].handed_out;
        let buffer = handed_out.buffers + 1;
        // An engine may give up whose peer is gone, in the turn in which it hands out the next request.
        let counts = |request: &&HandedOut| {
            let is_wanted = self.ledger.requests[request.number].link.is_some_and(|from| {
                let from = &self.links[from];
                from.is_open() && !from.session.is_leaving && from.session.was_unbound.is_none()
            });
            request.buffer + 2 <= buffer && is_wanted && self.is_due(request.number)
        };
        let kept: usize = handed_out
            .requests
            .values()
            .filter(counts)
            .map(|request| request.octets)
            .sum();
        let is_calm = self.hosts.iter().all(|host| host.serves());
        let mut rest = octets.to_vec();
        let requests: Vec<_> = std::iter::from_fn(|| Pdu::take_first(&mut rest))
            .filter(|pdu| !pdu.is_response() && pdu.message().is_some())
            .collect();
        assert!(
            requests.is_empty() || kept <= limit || !is_calm,
            "link {id}: {kept} octets without an answer, of {limit} that are kept, and server {index} gets another request"
        );
        let handed_out = &mut self.links[id].handed_out;
        handed_out.buffers = buffer;
        for pdu in requests {
            let request = HandedOut {
                buffer,
                number: pdu.message().expect("it was looked for"),
                octets: pdu.encode().len(),
            };
            handed_out.requests.insert(pdu.sequence, request);
        }
    }

    /// A request's time is not over: it runs from when an engine has taken it in.
    fn is_due(&self, number: usize) -> bool {
        let taken_at = self.ledger.requests[number].taken_at;
        taken_at.is_some_and(|at| self.now.since(at) < self.scenario.response_timeout)
    }

    /// Requests are refused, or their reading pauses, once so much waits; an answer is due for each that was taken before.
    fn waiting_octets_max(&self, id: LinkId) -> usize {
        let settings = &self.scenario.settings;
        let (window, output_octets_max) = match self.links[id].peer {
            Peer::Esme(index) => (self.esmes[index].plan.window, settings.engine.output_octets_max),
            Peer::Smsc(index) => (
                settings.servers[index].window,
                settings.engine.server_output_octets_max,
            ),
        };
        output_octets_max + PDU_OCTETS_MAX + (window as usize + 100) * ANSWER_OCTETS_MAX
    }

    /// A core has so many requests under way at another one, and this is in the mailbox there.
    pub(crate) fn check_mailbox(&self, core: usize, to: usize, lane: usize, waiting: usize) {
        let mut requests_max = self.scenario.settings.engine.core_requests_max as usize;
        if self.scenario.has_rare_commands {
            requests_max += ALERTS_MAX;
        }
        let limit = [requests_max, requests_max, CONTROL_MAX][lane];
        assert!(
            waiting <= limit,
            "{waiting} messages of lane {lane} wait at core {to} from core {core}, of {limit}"
        );
    }

    /// A peer answers.
    pub(crate) fn note_answer(&mut self, command: u32, status: u32) {
        self.exercised.nacks += u64::from(command == command::GENERIC_NACK);
        self.exercised.error_answers += u64::from(status != 0);
        self.exercised.server_throttles += u64::from(status == ESME_RTHROTTLED);
    }

    /// An ESME has its answer to a request.
    pub(crate) fn note_refusal(&mut self, number: usize, status: u32) {
        let has_reached = self.ledger.requests[number].arrivals > 0;
        self.exercised.throttled_requests += u64::from(status == ESME_RTHROTTLED && !has_reached);
    }

    /// An ESME was not bound.
    pub(crate) fn note_refused_bind(&mut self, index: usize, status: u32) {
        let plan = &self.esmes[index].plan;
        let is_limited = !plan.overreaches && self.max_binds(&plan.system_id).is_some();
        self.exercised.full_accounts += u64::from(is_limited && status == ESME_RBINDFAIL);
    }

    /// What nobody sees from outside: each engine's word for it.
    pub(crate) fn check_reports(&mut self) {
        let settings = &self.scenario.settings;
        let cores = self.hosts.len() as u64;
        for (core, host) in self.hosts.iter().enumerate().filter(|(_, host)| !host.is_gone) {
            let report = host.engine.report();
            let windows = host.links.values().map(|id| match self.links[*id].peer {
                Peer::Esme(index) => u64::from(self.esmes[index].plan.window),
                Peer::Smsc(_) => 0,
            });
            let windows: u64 = windows.sum();
            assert!(
                report.held_requests <= windows,
                "core {core} holds {} requests, of clients with windows of {windows}",
                report.held_requests
            );
            self.exercised.held_requests += report.held_requests;
            // A core keeps its part of all, rounded up to that of the ids that it is the home of.
            let limit = settings.receipts.entries_max;
            let kept = report.receipts.entries.max(report.receipts.mapped_ids);
            assert!(
                kept <= limit,
                "core {core} of {cores} remembers {kept} ids, of {limit}"
            );
            self.exercised.full_id_tables += u64::from(kept == limit);
        }
    }
}

impl InFlight {
    /// It carries nothing: it is smppmux's own.
    fn is_own(&self) -> bool {
        matches!(self.command, command::ENQUIRE_LINK | command::UNBIND)
            || Pdu::new(self.command, 0, 0).is_bind()
    }
}
