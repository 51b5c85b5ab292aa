//! What the engine wants done when the turn ends; emptied by the `poll_*` calls.

use super::contract::{Action, ConnectionId, CoreIndex, Notice};
use super::core_message::CoreMessage;
use std::collections::VecDeque;

/// Notices kept at most; more within one turn are counted only.
const NOTICES_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Connections with bytes to write, each once.
    pub(super) writable: Writable,
    pub(super) core_messages: VecDeque<(CoreIndex, CoreMessage)>,
    pub(super) actions: VecDeque<Action>,
    pub(super) notices: VecDeque<Notice>,
    pub(super) notices_dropped: u64,
    /// Something waits for octets that were handed out to be written.
    pub(super) awaits_transmitted: bool,
}

/// Connections with bytes to write, in the order in which they got them. All are taken before the next turn begins.
#[derive(Debug, Default)]
pub(super) struct Writable {
    connections: Vec<ConnectionId>,
    taken: usize,
}

impl Writable {
    #[inline]
    pub(super) fn push(&mut self, connection: ConnectionId) {
        self.connections.push(connection);
    }

    #[inline]
    pub(super) fn take_first(&mut self) -> Option<ConnectionId> {
        let first = *self.connections.get(self.taken)?;
        self.taken += 1;
        if self.taken == self.connections.len() {
            self.taken = 0;
            self.connections.clear();
        }
        Some(first)
    }
}

impl Outbox {
    pub(super) fn notice(&mut self, notice: Notice) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push_back(notice);
        } else {
            self.notices_dropped += 1;
        }
    }
}
