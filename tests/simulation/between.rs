//! What cores may ask of each other: nobody asks a core again at once that has just refused, or one that has told everybody
//! that it takes no more.

use crate::pdu::Pdu;
use crate::world::World;
use smppmux_engine::core::core_message::{CoreAnswer, CoreMessage, CoreOutcome, CoreTarget};
use smppmux_engine::core::directory::DirectoryEntry;
use smppmux_engine::core::settings::ServerIndex;
use smppmux_engine::core::time::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// What was decided before a refusal came may leave so much later, with the end of a turn.
const TURN: Duration = Duration::from_millis(1);
/// So long a core that had no room is left alone.
const REFUSAL_PAUSE: Duration = Duration::from_millis(10);
/// Every core that has not stalled knows of a drain by then: what is under way to it, its word that this has come, and the news take
/// 20 ms each at most, and turns end.
const TELLING_TIME: Duration = Duration::from_millis(70);

/// Requests for servers between cores.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Which server each message under way is for, by asking core, asked core and reference.
    under_way: BTreeMap<(usize, usize, u32), ServerIndex>,
    /// When each request under way left, by the same.
    open: BTreeMap<(usize, usize, u32), Moment>,
    /// When a core heard that another one had no room at a server: asking core, asked core.
    refused: BTreeMap<(usize, usize, u16), Moment>,
    /// How many sessions it was told of last there, by the same.
    sessions: BTreeMap<(usize, usize, u16), u32>,
}

impl World {
    /// A core's message leaves for another core.
    pub(crate) fn core_asks(&mut self, from: usize, to: usize, message: &CoreMessage) {
        let CoreMessage::Request(request) = message else {
            return;
        };
        if let CoreTarget::Queued(..) = request.target
            && let Some(number) = Pdu::take_first(&mut request.pdu.to_vec()).and_then(|pdu| pdu.message())
        {
            self.ledger.messages[number].drained_by = Some(from);
        }
        let key = (from, to, request.reference);
        if let CoreTarget::Alert(_) = request.target {
            // It has room of its own beside what is counted by credits.
            return;
        }
        self.asked.open.insert(key, self.now);
        self.check_credits(from, to);
        let CoreTarget::Server(server) = request.target else {
            self.asked.under_way.remove(&key);
            return;
        };
        if self.hosts.iter().any(|host| host.has_stalled) {
            return;
        }
        let now = self.now;
        // What a core has said and is gone itself is not heard any more.
        let drains_since = self.hosts[to].drain_began.filter(|_| !self.hosts[to].is_gone);
        assert!(
            drains_since.is_none_or(|began| now < began + TELLING_TIME),
            "core {from} asks core {to}, which drains since {drains_since:?}"
        );
        let refused_at = self.asked.refused.get(&(from, to, server.0));
        assert!(
            refused_at.is_none_or(|at| now <= *at + TURN || now >= *at + REFUSAL_PAUSE),
            "core {from} asks core {to} for server {} again, which refused at {refused_at:?}",
            server.0
        );
        self.asked.under_way.insert(key, server);
    }

    /// A core hears of another one's sessions at servers. What a lost one refused says nothing of the next.
    fn servers_told(&mut self, core: usize, from: usize, entries: &[DirectoryEntry]) {
        for entry in entries {
            let DirectoryEntry::Server { server, sessions, .. } = entry else {
                continue;
            };
            let key = (core, from, server.0);
            let before = self.asked.sessions.insert(key, *sessions);
            if before == Some(0) && *sessions > 0 {
                self.asked.refused.remove(&key);
            }
        }
    }

    /// A core takes in a message of another one.
    pub(crate) fn core_hears(&mut self, core: usize, from: usize, message: &CoreMessage) {
        if let CoreMessage::Directory(update) = message {
            self.servers_told(core, from, &update.entries);
        }
        let CoreMessage::Answer(CoreAnswer { reference, outcome }) = message else {
            return;
        };
        self.asked.open.remove(&(core, from, *reference));
        let server = self.asked.under_way.remove(&(core, from, *reference));
        let is_refusal = matches!(outcome, CoreOutcome::Refused { .. });
        if let Some(server) = server.filter(|_| is_refusal) {
            self.asked.refused.insert((core, from, server.0), self.now);
        }
    }

    /// A core has no room for what it asked.
    pub(crate) fn core_refuses(&mut self, core: usize, to: usize, message: &CoreMessage) {
        if let CoreMessage::Request(request) = message {
            self.asked.open.remove(&(core, to, request.reference));
        }
    }

    /// A core has asked another one for something: not for more at once than there are credits. What is not answered for long may have
    /// been given up.
    fn check_credits(&self, from: usize, to: usize) {
        let limit = self.scenario.settings.engine.core_requests_max as usize;
        let patience = self.scenario.response_timeout;
        let open = self.asked.open.range((from, to, 0)..=(from, to, u32::MAX));
        let open = open.filter(|(_, at)| self.now.since(**at) < patience).count();
        assert!(
            open <= limit,
            "core {from} has {open} requests under way at core {to}, of {limit}"
        );
    }
}
