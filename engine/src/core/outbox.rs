//! What the engine wants done when the turn ends; emptied by the `poll_*` calls.

use super::contract::{Action, ConnectionId, CoreIndex, Notice};
use super::core_message::CoreMessage;
use std::collections::VecDeque;

/// Notices kept at most; more within one turn are counted only.
const NOTICES_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Connections with bytes to write, each once.
    pub(super) writable: VecDeque<ConnectionId>,
    pub(super) core_messages: VecDeque<(CoreIndex, CoreMessage)>,
    pub(super) actions: VecDeque<Action>,
    pub(super) notices: VecDeque<Notice>,
    pub(super) notices_dropped: u64,
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
