//! The shell of one simulated core: hands events to the real engine and carries out what it asks for.
//!
//! It keeps to the engine's contract (order of calls, one buffer under way for each connection) and checks the engine's part
//! of it: no deadline in the past, nothing asked for a connection that is closed, bounded buffers.

use crate::event::{Event, Input, LinkId};
use crate::health::Healths;
use crate::link::{End, Link, Peer, Sending};
use crate::message_log::ToldMessages;
use crate::pdu::Pdu;
use crate::scenario::HASH_OF;
use crate::world::{Phase, World};
use smppmux_engine::core::PacketEngine;
use smppmux_engine::core::contract::{
    Action, CloseReason, ClosedBy, Command, ConnectionId, CoreIndex, Notice, PasswordVerdict, Transmit,
    Unsent,
};
use smppmux_engine::core::core_message::{CoreMessage, CoreOutcome};
use smppmux_engine::core::secret::Secret;
use smppmux_engine::core::settings::{ServerIndex, Settings, VserverIndex};
use smppmux_engine::core::time::Moment;
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// So long after a core stood still or left, the others are done with what that has held up: they know within 200 ms, and the longest
/// wait for a peer is the one of requests that were under way.
const TROUBLE_TIME: Duration = Duration::from_secs(2);

pub(crate) struct Host {
    pub(crate) engine: PacketEngine,
    /// What the engine was told last.
    pub(crate) settings: Arc<Settings>,
    pub(crate) links: BTreeMap<ConnectionId, LinkId>,
    pub(crate) is_gone: bool,
    pub(crate) is_draining: bool,
    /// When the engine was told to.
    pub(crate) drain_began: Option<Moment>,
    pub(crate) drained: Option<bool>,
    pub(crate) has_stalled: bool,
    /// Peers that it has let in during this turn, and the first connection of any host that was made after that.
    let_in: Vec<(LinkId, LinkId)>,
    /// When it was gone.
    left_at: Option<Moment>,
    stalled_until: Moment,
    deferred: VecDeque<Input>,
    turn_is_open: bool,
    timer_at: Moment,
    /// Messages to this core, by sender and lane, with the time of the last one's arrival.
    mailboxes: BTreeMap<(usize, usize), (VecDeque<CoreMessage>, Moment)>,
    /// When the engine last gave up a client of its own accord, by system_id.
    pub(crate) gave_up: BTreeMap<String, Moment>,
    /// When the engine last said that a server's session is lost: its connection may be closed a little later.
    pub(crate) server_lost_at: Option<Moment>,
    /// Whose last session the engine has unbound, and when.
    pub(crate) unbound: BTreeMap<String, Moment>,
    /// By the message log.
    pub(crate) told: ToldMessages,
    /// How it finds the servers.
    pub(crate) healths: Healths,
}

impl Host {
    pub(crate) fn new(core: usize, engines: usize, settings: &Arc<Settings>, seed: u64, now: Moment) -> Self {
        let index = CoreIndex(core as u16);
        Self {
            engine: PacketEngine::new(index, engines as u16, Arc::clone(settings), seed, now),
            settings: Arc::clone(settings),
            links: BTreeMap::new(),
            is_gone: false,
            is_draining: false,
            drain_began: None,
            drained: None,
            has_stalled: false,
            let_in: Vec::new(),
            left_at: None,
            stalled_until: Moment::START,
            deferred: VecDeque::new(),
            turn_is_open: false,
            timer_at: Moment::NEVER,
            mailboxes: BTreeMap::new(),
            gave_up: BTreeMap::new(),
            server_lost_at: None,
            unbound: BTreeMap::new(),
            told: ToldMessages::default(),
            healths: Healths::default(),
        }
    }

    pub(crate) const fn serves(&self) -> bool {
        !self.is_gone && !self.is_draining
    }

    /// It neither stands still nor leaves, and if ever it did, all that this has held up is over since `moment`.
    fn is_calm_since(&self, moment: Moment) -> bool {
        match self.left_at {
            Some(left_at) => left_at + TROUBLE_TIME < moment,
            None => !self.is_draining && (!self.has_stalled || self.stalled_until + TROUBLE_TIME < moment),
        }
    }
}

impl World {
    /// No core has stood still or left, but long before `moment`, and the process was there.
    pub(crate) fn is_calm_since(&self, moment: Moment) -> bool {
        self.life.began_at <= moment && self.hosts.iter().all(|host| host.is_calm_since(moment))
    }

    pub(crate) fn engine_input(&mut self, core: usize, input: Input) {
        let host = &mut self.hosts[core];
        if host.is_gone {
            if let Input::Accepted(link) = input {
                self.links[link].engine_end = End::Closed;
                self.peer_is_cut_off(link);
            }
            return;
        }
        if matches!(input, Input::StallEnds) {
            for input in std::mem::take(&mut self.hosts[core].deferred) {
                self.engine_input(core, input);
            }
            return;
        }
        if host.stalled_until > self.now {
            host.deferred.push_back(input);
            return;
        }
        // The engine has asked for an earlier time since, and for another one then: that one is under way.
        if matches!(input, Input::Timeout) && host.timer_at > self.now {
            return;
        }
        let ends_turn = matches!(input, Input::TurnEnds);
        self.dispatch(core, input);
        if !ends_turn && self.random.chance(self.scenario.faults.merged_turn) {
            if !self.hosts[core].turn_is_open {
                self.hosts[core].turn_is_open = true;
                let wait = self.random.microseconds(0, 300);
                self.input_after(wait, core, Input::TurnEnds);
            }
        } else {
            self.end_turn(core);
        }
    }

    pub(crate) fn stall(&mut self, core: usize, time: Duration) {
        self.trace
            .line(self.now, || format!("core {core} stalls for {time:?}"));
        self.exercised.core_stalls += 1;
        self.hosts[core].stalled_until = self.now + time;
        self.input_after(time, core, Input::StallEnds);
    }

    fn dispatch(&mut self, core: usize, input: Input) {
        let now = self.now;
        match input {
            Input::Accepted(link) => self.accept(core, link),
            Input::Connected(link, is_open) => self.connected(core, link, is_open),
            Input::Readable(link) => self.engine_readable(core, link),
            Input::Writable(link) => self.engine_writable(core, link),
            Input::Lost(link) => self.engine_loses(core, link),
            Input::CoreMessage { from, lane } => {
                let mailbox = self.hosts[core].mailboxes.get_mut(&(from, lane));
                if let Some(message) = mailbox.and_then(|(messages, _)| messages.pop_front())
                    && !self.hosts[from].is_gone
                {
                    self.core_hears(core, from, &message);
                    self.hosts[core]
                        .engine
                        .handle_core_message(now, CoreIndex(from as u16), message);
                }
            }
            Input::CoreGone(gone) => self.hosts[core]
                .engine
                .handle_core_gone(now, CoreIndex(gone as u16)),
            Input::Store => self.store_tells(core),
            Input::Password(question, verdict) => {
                self.hosts[core].engine.handle_password(now, question, verdict);
            }
            Input::Timeout => {
                self.hosts[core].timer_at = Moment::NEVER;
                self.excuse_unread_binds(core);
                self.hosts[core].engine.handle_timeout(now);
                let next = self.hosts[core].engine.next_timeout();
                assert!(next > now, "core {core}: next_timeout stays in the past");
            }
            Input::Drain => {
                self.trace.line(now, || format!("core {core} drains"));
                self.excuse_unread_binds(core);
                // A second order changes nothing.
                self.hosts[core].drain_began.get_or_insert(now);
                self.buckets_are_lost();
                self.hosts[core].engine.handle_command(now, Command::Drain);
            }
            Input::Order(order) => {
                self.excuse_unread_binds(core);
                self.obey(core, order);
            }
            Input::TurnEnds | Input::StallEnds => {}
        }
        if !cfg!(debug_assertions) {
            self.hosts[core].engine.check_invariants();
        }
    }

    /// A core that stood still for longer than a bind may take, or until a server's login was another one, gives the bind up before it has
    /// read the answer that waits, and reads what waits behind that for nothing.
    fn excuse_unread_binds(&mut self, core: usize) {
        if !self.hosts[core].has_stalled {
            return;
        }
        let its = |link: &&mut Link| link.engine == core && link.consumed_octets < link.bind_answer_end;
        for link in self.links.iter_mut().filter(its) {
            link.session.is_excused = true;
        }
    }

    /// Polls everything that the engine wants, in the order that it documents.
    pub(crate) fn end_turn(&mut self, core: usize) {
        self.hosts[core].turn_is_open = false;
        while let Some(notice) = self.hosts[core].engine.poll_notice() {
            self.note(core, notice);
        }
        while let Some(transmit) = self.hosts[core].engine.poll_transmit() {
            self.transmit(core, transmit);
        }
        while let Some((to, message)) = self.hosts[core].engine.poll_core_message() {
            self.post(core, to.as_usize(), message);
        }
        while let Some(command) = self.hosts[core].engine.poll_store() {
            self.store_ordered(core, command);
        }
        let links_before = self.links.len();
        while let Some(action) = self.hosts[core].engine.poll_action() {
            self.act(core, action);
        }
        let let_in = std::mem::take(&mut self.hosts[core].let_in);
        for (place, (id, first_new)) in let_in.iter().enumerate() {
            let came_later =
                |other: LinkId| other >= *first_new || let_in[place + 1..].iter().any(|(id, _)| *id == other);
            self.check_let_in(core, *id, came_later);
        }
        for id in links_before..self.links.len() {
            if let Peer::Smsc(index) = self.links[id].peer {
                self.check_connections(index, core);
            }
        }
        self.hear_message_log(core);
        let next = self.hosts[core].engine.next_timeout();
        if next < self.hosts[core].timer_at {
            self.hosts[core].timer_at = next;
            let at = next.max(self.now);
            self.events.at(at, Event::Engine(core, Input::Timeout));
        }
    }

    fn transmit(&mut self, core: usize, transmit: Transmit) {
        let Transmit { connection, octets } = transmit;
        assert!(!octets.is_empty(), "an empty transmit");
        let id = self.hosts[core].links[&connection];
        self.check_octets(core, id, &octets);
        let link = &mut self.links[id];
        assert!(link.sending.is_none(), "a second buffer for one connection");
        link.sending = Some(Sending { octets, written: 0 });
        self.schedule_writable(id);
    }

    fn post(&mut self, core: usize, to: usize, message: CoreMessage) {
        let lane = message.lane().as_usize();
        assert!(to != core, "a message to nobody");
        self.core_asks(core, to, &message);
        let is_refused = lane == 0 && self.random.chance(self.scenario.faults.core_refusal);
        let waiting = self.hosts[to].mailboxes.get(&(core, lane));
        let is_full =
            waiting.is_some_and(|(messages, _)| messages.len() >= self.scenario.mailbox_requests_max);
        let is_full = is_full && lane == 0 && self.phase == Phase::Chaos;
        self.exercised.core_refusals += u64::from(is_refused);
        self.exercised.mailbox_full_refusals += u64::from(is_full);
        let is_refused = is_refused || is_full;
        if is_refused && let CoreMessage::Request(request) = &message {
            self.segment_refused_between_cores(&request.pdu, true);
        }
        if is_refused || self.hosts[to].is_gone {
            self.core_refuses(core, to, &message);
            self.hosts[core]
                .engine
                .handle_core_refused(self.now, CoreIndex(to as u16), message);
            return;
        }
        if let CoreMessage::Answer(answer) = &message
            && let CoreOutcome::Refused { pdu, .. } = &answer.outcome
        {
            self.segment_refused_between_cores(pdu, false);
        }
        let delay = self
            .random
            .microseconds(10, self.scenario.faults.core_delay_us.max(20) as usize);
        self.trace.line(self.now, || {
            format!("core {core} → core {to}: {}", describe(&message))
        });
        let mailbox = self.hosts[to].mailboxes.entry((core, lane)).or_default();
        let at = (self.now + delay).max(mailbox.1);
        mailbox.0.push_back(message);
        mailbox.1 = at;
        let waiting = mailbox.0.len();
        self.check_mailbox(core, to, lane, waiting);
        self.events
            .at(at, Event::Engine(to, Input::CoreMessage { from: core, lane }));
    }

    fn act(&mut self, core: usize, action: Action) {
        self.trace.line(self.now, || format!("core {core} {action:?}"));
        match action {
            Action::Connect {
                connection, address, ..
            } => self.connect(core, connection, &address),
            Action::Close {
                connection,
                after_writing,
            } => {
                // None: it was lost after the engine asked and before the turn ended.
                if let Some(id) = self.hosts[core].links.remove(&connection) {
                    self.engine_closes(id, after_writing);
                }
            }
            Action::PauseReading(connection) => {
                if let Some(id) = self.hosts[core].links.get(&connection) {
                    self.links[*id].reading_paused = true;
                }
            }
            Action::ResumeReading(connection) => {
                if let Some(id) = self.hosts[core].links.get(&connection).copied() {
                    self.links[id].reading_paused = false;
                    self.input_after(Duration::ZERO, core, Input::Readable(id));
                }
            }
            Action::VerifyPassword {
                question,
                password,
                hash,
            } => self.verify_password(core, question, &password, &hash),
            Action::Drained { settled } => {
                assert!(self.hosts[core].drained.is_none(), "a second Drained");
                assert!(self.hosts[core].links.is_empty(), "Drained with open connections");
                self.hosts[core].drained = Some(settled);
                // A drained core's shell stops; the others learn of it.
                if self.phase < Phase::Draining {
                    self.lose_core(core);
                }
            }
        }
    }

    /// The thread that verifies passwords: what stands for a hash here is the password behind a word. It takes its time.
    fn verify_password(&mut self, core: usize, question: u32, password: &Secret, hash: &Secret) {
        let is_right = hash.reveal().strip_prefix(HASH_OF) == Some(password.reveal());
        let verdict = if is_right {
            PasswordVerdict::Right
        } else {
            PasswordVerdict::Wrong
        };
        let time = Duration::from_millis(1 + u64::from(question) * 7 % 40);
        self.input_after(time, core, Input::Password(question, verdict));
    }

    fn note(&mut self, core: usize, notice: Notice) {
        self.trace
            .line(self.now, || format!("core {core} notice {notice:?}"));
        match notice {
            Notice::ServerLost { server, reason, .. } | Notice::OutbindEnded { server, reason, .. } => {
                self.hosts[core].server_lost_at = Some(self.now);
                if matches!(
                    reason,
                    CloseReason::OutputFull | CloseReason::EnquireLinkTimeout | CloseReason::BindTimeout
                ) {
                    self.hosts[core]
                        .gave_up
                        .insert(format!("smsc{}", server.0), self.now);
                }
            }
            Notice::ClientLost {
                system_id, reason, ..
            } => self.note_lost_client(core, system_id, reason),
            other => self.health_told(core, &other),
        }
    }

    fn note_lost_client(&mut self, core: usize, system_id: String, reason: CloseReason) {
        assert!(
            !matches!(
                reason,
                CloseReason::BadCommandLength { .. } | CloseReason::ProtocolViolations
            ),
            "a client that keeps to the protocol was given up: {reason:?}"
        );
        let host = &mut self.hosts[core];
        if matches!(reason, CloseReason::OutputFull | CloseReason::EnquireLinkTimeout) {
            host.gave_up.insert(system_id, self.now);
        } else if reason == CloseReason::WeUnbound {
            host.unbound.insert(system_id, self.now);
        }
    }

    fn accept(&mut self, core: usize, id: LinkId) {
        if self.moves_to_account(core, id) {
            return;
        }
        let peer = "192.0.2.1:40000".parse().expect("an address");
        let engine = &mut self.hosts[core].engine;
        let link = &self.links[id];
        let accepted = match (link.peer, link.kept) {
            (Peer::Esme(_), None) => engine.handle_accepted(self.now, VserverIndex(0), peer),
            (Peer::Esme(_), Some(kept)) => {
                engine.handle_handed_over(self.now, VserverIndex(0), peer, kept.bind_deadline)
            }
            (Peer::Smsc(index), _) => engine.handle_called(self.now, ServerIndex(index as u16), peer),
        };
        match accepted {
            Some(connection) => {
                let link = &mut self.links[id];
                link.connection = Some(connection);
                link.engine_end = End::Open;
                self.hosts[core].links.insert(connection, id);
                self.hosts[core].let_in.push((id, self.links.len()));
                self.schedule_readable(id);
            }
            None if self.hands_back(core, id) => {}
            None => {
                self.links[id].engine_end = End::Closed;
                self.links[id].to_peer.is_finished = true;
                self.links[id].session.is_excused = true;
                self.schedule_peer(id);
            }
        }
    }

    fn connect(&mut self, core: usize, connection: ConnectionId, address: &str) {
        let index = address
            .strip_prefix("smsc")
            .and_then(|digits| digits.parse().ok());
        let smsc: usize = index.expect("a configured address");
        let id = self.new_link(core, Peer::Smsc(smsc));
        self.links[id].connection = Some(connection);
        self.hosts[core].links.insert(connection, id);
        let is_open = self.smscs[smsc].down_until <= self.now
            && !self.random.chance(self.scenario.faults.connect_failure);
        self.exercised.failed_connects += u64::from(!is_open);
        let delay = self.network_delay();
        self.input_after(delay, core, Input::Connected(id, is_open));
    }

    fn connected(&mut self, core: usize, id: LinkId, is_open: bool) {
        if self.links[id].engine_end == End::Closed {
            return;
        }
        let connection = self.links[id].connection.expect("it was asked for");
        if is_open {
            self.links[id].engine_end = End::Open;
            self.links[id].peer_end = End::Open;
            self.hosts[core].engine.handle_connected(self.now, connection);
        } else {
            self.links[id].engine_end = End::Closed;
            self.links[id].peer_end = End::Closed;
            self.hosts[core].links.remove(&connection);
            let by = ClosedBy::ConnectFailed(ErrorKind::ConnectionRefused);
            self.hosts[core]
                .engine
                .handle_closed(self.now, connection, by, None);
        }
    }

    fn engine_loses(&mut self, core: usize, id: LinkId) {
        let link = &mut self.links[id];
        if link.engine_end != End::Open {
            return;
        }
        link.engine_end = End::Closed;
        link.ended_at = Some(self.now);
        link.lost_at = Some(self.now);
        let connection = link.connection.expect("an open link has a handle");
        let unsent = link.sending.take().map(|sending| Unsent {
            octets: sending.octets,
            written_octets: sending.written,
        });
        self.hosts[core].links.remove(&connection);
        let by = ClosedBy::Error(ErrorKind::ConnectionReset);
        self.trace
            .line(self.now, || format!("core {core} loses link {id}"));
        self.hosts[core]
            .engine
            .handle_closed(self.now, connection, by, unsent);
    }

    /// A core vanishes with all that it has; the others learn of it a little later.
    pub(crate) fn lose_core(&mut self, gone: usize) {
        self.trace.line(self.now, || format!("core {gone} is gone"));
        self.hosts[gone].is_gone = true;
        self.exercised.cores_gone += 1;
        self.buckets_are_lost();
        self.hosts[gone].left_at = Some(self.now);
        for id in std::mem::take(&mut self.hosts[gone].links).into_values() {
            self.links[id].engine_end = End::Closed;
            self.links[id].ended_at = Some(self.now);
            self.links[id].sending = None;
            self.peer_is_cut_off(id);
        }
        // What it had not heard of yet, it never will.
        for input in std::mem::take(&mut self.hosts[gone].deferred) {
            self.engine_input(gone, input);
        }
        for core in 0..self.hosts.len() {
            let wait = self.random.milliseconds(0, 200);
            self.input_after(wait, core, Input::CoreGone(gone));
        }
    }
}

fn describe(message: &CoreMessage) -> String {
    match message {
        CoreMessage::Request(request) => {
            let pdu = Pdu::take_first(&mut request.pdu.to_vec());
            let number = pdu.as_ref().and_then(Pdu::message);
            format!(
                "request {} with message {number:?} to {:?}",
                request.reference, request.target
            )
        }
        CoreMessage::Answer(answer) => {
            let outcome = match &answer.outcome {
                CoreOutcome::Answered(_) | CoreOutcome::AnsweredBy(..) | CoreOutcome::AnsweredFor(..) => {
                    "answered".to_owned()
                }
                CoreOutcome::Refused { .. } => "refused".to_owned(),
                CoreOutcome::Returned { status, .. } => format!("returned {status:?}"),
                CoreOutcome::Failed(status) => format!("failed {status:?}"),
                CoreOutcome::TimedOut => "timed out".to_owned(),
                CoreOutcome::Verdict(verdict, _) => format!("verdict {verdict:?}"),
                CoreOutcome::Leaving(question, _) => format!("leaving, asked {question:?}"),
            };
            format!("answer to {}: {outcome}", answer.reference)
        }
        CoreMessage::Directory(update) => format!("directory {} {:?}", update.version, update.entries),
        CoreMessage::DirectoryApplied(applied) => format!("applied {}", applied.version),
        CoreMessage::Entries(batch) => format!("{} entries, word {}", batch.entries.len(), batch.is_word),
        CoreMessage::EntriesTaken(_) => "entries taken".to_owned(),
        CoreMessage::WordWanted => "word wanted".to_owned(),
        CoreMessage::LeaseQuestion(question) => format!("wants {} leases", question.wanted.len()),
        CoreMessage::LeaseGrants(grants) => format!("grants {} leases", grants.grants.len()),
    }
}
