//! The message log's part in the pure core: one record for each submit, answer, MO and receipt.
//!
//! The hooks in the ways of messages call `requests` and `answers` while the log is on, and cost a branch while it is off.
//! A record is a copy of the PDU and of what the engine knows beside it, in a buffer of fixed room that the shell empties at the
//! end of each turn; nothing is parsed, formatted or allocated here. Invariants: each counted submit, MO and receipt has one
//! record, and each answer to one has one with the same [`Requester`]; what finds no room is counted. Must never change what
//! happens to a message. Why so: `docs/decisions/0013-message-log.md`.

mod answers;
mod record;
mod requests;
#[cfg(test)]
mod tests;

pub use record::{
    FarSession, MessageRecord, MessageRecords, Outcome, Reason, RecordKind, RecordOctets, Requester,
};

use super::client_requests::NoWay;
use super::engine::PacketEngine;
use super::figures::ARE_KEPT;
use super::settings::{ClientIndex, ServerIndex};
use super::time::Moment;
use super::wire::CommandId;

/// Memory for the records of one turn.
const TURN_OCTETS: usize = 2 * 1024 * 1024;

/// The log's state in one engine.
#[derive(Debug, Default)]
pub(super) struct MessageLog {
    /// Records are wanted: ask [`is_on`](Self::is_on).
    is_on: bool,
    records: MessageRecords,
    known: Option<Known>,
}

/// What is known of a request whose answer is about to be made: whoever makes it knows only whose it is.
#[derive(Clone, Copy, Debug)]
struct Known {
    requester: Requester,
    far: Option<FarSession>,
    server: Option<ServerIndex>,
    account: Option<ClientIndex>,
    arrived_at: Moment,
    sent_at: Moment,
    resends: u8,
    reason: Reason,
}

impl Known {
    const fn of(requester: Requester, reason: Reason) -> Self {
        Self {
            requester,
            far: None,
            server: None,
            account: None,
            arrived_at: Moment::NEVER,
            sent_at: Moment::NEVER,
            resends: 0,
            reason,
        }
    }

    /// The same in a record.
    const fn fill(self, record: MessageRecord) -> MessageRecord {
        MessageRecord {
            far: self.far,
            server: self.server,
            account: self.account,
            arrived_at: self.arrived_at,
            sent_at: self.sent_at,
            resends: self.resends,
            reason: self.reason,
            ..record
        }
    }
}

impl From<NoWay> for Reason {
    fn from(way: NoWay) -> Self {
        match way {
            NoWay::NoRoom => Self::NoRoom,
            NoWay::NoServer => Self::NoServer,
        }
    }
}

impl MessageLog {
    /// Records are wanted.
    #[inline(always)]
    pub(super) const fn is_on(&self) -> bool {
        ARE_KEPT && self.is_on
    }

    /// Records are wanted from now on, or no more. Memory is taken the first time.
    pub(super) fn turn(&mut self, is_on: bool) {
        self.is_on = is_on;
        if !is_on {
            *self = Self::default();
        } else if self.records.memory_octets() == 0 {
            self.records = MessageRecords::with_room(TURN_OCTETS);
        }
    }

    /// What is known of a request, once.
    fn take_known(&mut self, requester: Requester) -> Known {
        let known = self.known.take().filter(|known| known.requester == requester);
        known.unwrap_or(Known::of(requester, Reason::None))
    }
}

impl PacketEngine {
    /// The records since the last turn, to be taken out of their buffer; `None` when there are none.
    #[inline]
    pub fn poll_message_log(&mut self) -> Option<&mut MessageRecords> {
        let log = &mut self.message_log;
        (log.is_on() && !log.records.is_empty()).then_some(&mut log.records)
    }
}

/// Requests and their answers that the log is about: those that carry a message.
const fn is_message(command: CommandId) -> bool {
    matches!(
        command.request(),
        CommandId::SUBMIT_SM
            | CommandId::SUBMIT_MULTI
            | CommandId::DATA_SM
            | CommandId::BROADCAST_SM
            | CommandId::DELIVER_SM
    )
}
