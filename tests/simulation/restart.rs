//! The process is killed and starts again.
//!
//! All engines are gone at once, as by SIGKILL, with their mailboxes, timers and tables; each connection is cut, and what the store
//! had not committed is lost. What it had is there again, and nothing else: no request of before reaches a server any more, no
//! message of before a client, unless it was safe. After a while there are new engines, which know nothing but their settings,
//! those of before or others; servers are bound anew and clients come back by themselves.
//!
//! Drawn beside the other chances, so that a seed without restarts is the run that it would be if there were none.

use crate::between::Asked;
use crate::event::{Event, LinkId};
use crate::link::End;
use crate::random::Random;
use crate::world::{Phase, World};
use smppmux_engine::core::contract::{Command, NewSettings};
use smppmux_engine::core::settings::{ClientIndex, ServerIndex, Settings};
use smppmux_engine::core::time::Moment;
use std::sync::Arc;

/// How long the process is not there.
const DOWN_MS_MAX: usize = 1_500;

/// Which life of the process it is.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) restarts: u64,
    /// When the last one was cut off: what was sent until then is of no use to the present one.
    pub(crate) killed_at: Option<Moment>,
    /// When the present one began; never, while there is none.
    pub(crate) began_at: Moment,
    /// Cores of a former one stood still.
    pub(crate) had_stalls: bool,
}

impl Life {
    pub(crate) const fn first() -> Self {
        Self {
            restarts: 0,
            killed_at: None,
            began_at: Moment::START,
            had_stalls: false,
        }
    }

    /// The process is killed and has not started again.
    pub(crate) fn is_over(&self) -> bool {
        self.began_at == Moment::NEVER
    }

    /// It was sent to a process that is no more.
    pub(crate) fn is_of_before(&self, sent_at: Moment) -> bool {
        self.killed_at.is_some_and(|killed_at| sent_at <= killed_at)
    }
}

/// How often the process is killed in this run, in a thousand of the occasions; mostly never.
pub(crate) fn weight(random: &Random) -> u32 {
    let mut aside = Random::new(random.clone().next() ^ 0x7265_7374_6172_7421);
    if aside.chance(250) {
        aside.between(1, 10) as u32
    } else {
        0
    }
}

impl World {
    /// SIGKILL.
    pub(crate) fn process_is_killed(&mut self) {
        self.exercised.process_kills += 1;
        let time = self.random.milliseconds(0, DOWN_MS_MAX);
        self.trace
            .line(self.now, || format!("the process is killed; again in {time:?}"));
        self.life = Life {
            restarts: self.life.restarts + 1,
            killed_at: Some(self.now),
            began_at: Moment::NEVER,
            had_stalls: self.life.had_stalls || self.hosts.iter().any(|host| host.has_stalled),
        };
        self.events
            .forget(|event| matches!(event, Event::Engine(..) | Event::StoreActs));
        for id in 0..self.links.len() {
            if self.links[id].engine_end != End::Closed {
                self.link_dies(id);
            }
        }
        for host in &mut self.hosts {
            host.is_gone = true;
            host.links.clear();
        }
        self.asked = Asked::default();
        self.buckets_are_lost();
        self.store_is_killed();
        self.ledger.forgotten_until = self.life.killed_at;
        for message in &mut self.ledger.messages {
            message.drained_by = None;
        }
        for group in &mut self.groups {
            group.is_forgotten();
        }
        self.after(time, Event::ProcessStarts);
    }

    /// The kernel closes it. Where it had octets that the process had not read, the peer is told by a reset, and may lose what
    /// it had not read itself.
    fn link_dies(&mut self, id: LinkId) {
        self.segments_cut_off(id);
        let arrives = self.random.between(0, self.links[id].to_peer.octets.len());
        let has_stalled = self.hosts[self.links[id].engine].has_stalled;
        let link = &mut self.links[id];
        if !link.to_engine.octets.is_empty() {
            link.to_peer.octets.truncate(arrives);
        }
        link.to_engine.octets.clear();
        link.engine_end = End::Closed;
        link.ended_at = Some(self.now);
        link.sending = None;
        // What its core was excused for, the next core of that number is not.
        link.was_slow |= has_stalled;
        self.peer_is_cut_off(id);
    }

    /// New engines, which know nothing.
    pub(crate) fn process_starts(&mut self) {
        let settings = self.settings_of_start();
        self.trace.line(self.now, || {
            let are_other = !Arc::ptr_eq(&settings, &self.scenario.settings);
            format!("the process starts; other settings: {are_other}")
        });
        self.life.began_at = self.now;
        self.start_engines(&settings);
    }

    /// As the configuration file says: mostly what it said before.
    fn settings_of_start(&mut self) -> Arc<Settings> {
        let settings = Arc::clone(&self.scenario.settings);
        let may_change = self.phase == Phase::Chaos && self.scenario.faults.operator > 0;
        if !may_change || !self.random.chance(300) {
            return settings;
        }
        match self.other_settings() {
            // Nothing that was taken out stands in a file.
            Command::Reconfigure(NewSettings(other)) if has_all(&other) => {
                self.note_order(&Command::Reconfigure(NewSettings(Arc::clone(&other))));
                other
            }
            _ => settings,
        }
    }

    /// A request has reached a server: not from a process that it was not sent to.
    pub(crate) fn check_request_of_this_life(&self, number: usize, id: LinkId) {
        let sent_at = self.ledger.requests[number].sent_at;
        assert!(
            !self.life.is_of_before(sent_at) || !self.is_of_this_life(id),
            "request {number} was sent to a process that was killed, and reached a server from the next one"
        );
    }

    /// A message has reached an ESME. What was sent to a process that was killed was safe by then, or it is gone. What was taken out of
    /// the queue by a client's word comes to nobody any more; nor does what was answered so that it must leave, unless the process was killed before it had.
    pub(crate) fn check_message_of_this_life(&self, number: usize, id: LinkId) {
        let message = &self.ledger.messages[number];
        let session = &self.links[id].session;
        assert!(
            self.is_of_this_life(message.link) || !message.stored.is_empty() || !self.is_of_this_life(id),
            "message {number} was sent to a process that was killed, was not safe, and came from the next one"
        );
        // Two copies stand in the queue where a core was lost between the two; and where one leaves, the next home of its lines has loaded
        // what is under way from there.
        if message.stored.len() > 1 || !self.hosts.iter().all(|host| host.serves()) {
            return;
        }
        assert!(
            message.taken_out_at.is_none_or(|at| session.began_at <= at),
            "message {number} came on link {id}, which was made when it had been taken out of the queue"
        );
        let Some(heard) = message.heard else { return };
        let is_over = heard.is_final_before(session.began_at) && !heard.is_before(self.life.began_at);
        // In time: what is late or torn apart, its engine may have given up by then.
        let before = &self.links[heard.on];
        let is_swift = self.scenario.faults.split == 0 && !before.was_slow && !before.session.was_deaf;
        let is_settled = is_over && is_swift && !message.was_kept_waiting;
        assert!(
            !is_settled || !self.is_calm_since(message.sent_at),
            "message {number} came on link {id}, which was made when an engine had heard the answer to it"
        );
    }

    /// It was made by the engines that are there now.
    pub(crate) fn is_of_this_life(&self, id: LinkId) -> bool {
        self.links[id].session.began_at >= self.life.began_at
    }
}

/// Nothing was taken out of these settings.
fn has_all(settings: &Settings) -> bool {
    let servers = (0..settings.servers.len()).map(|server| ServerIndex(server as u16));
    let clients = (0..settings.clients.len()).map(|client| ClientIndex(client as u32));
    let has_servers = !servers
        .into_iter()
        .any(|server| settings.is_retired_server(server));
    has_servers
        && !clients
            .into_iter()
            .any(|client| settings.is_retired_client(client))
}
