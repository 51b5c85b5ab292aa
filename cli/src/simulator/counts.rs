//! Counters of the simulators: plain numbers that add up over sessions.

use std::collections::BTreeMap;

use serde::Serialize;
use smppmux_engine::core::wire::Status;

/// Declares a struct of counters that can be added up.
macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: u64,)*
        }

        impl $name {
            /// Adds another session's counters to these.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}
pub(crate) use counters;

counters! {
    /// What became of the requests that one side sent, by the answers that came back.
    AnswerCounts {
        /// Requests sent.
        sent,
        /// Requests that got their one answer in time, whatever its status.
        answered,
        /// Of those, answered with ESME_ROK.
        accepted,
        /// Of those, answered by a generic_nack.
        nacked,
        /// Requests that got no answer in time.
        expired,
        /// Requests whose session ended before the answer came.
        unanswered_at_close,
        /// Answers that came after their request had expired.
        late,
        /// Second and further answers to a request.
        duplicate,
        /// Answers with a sequence number that no request has.
        unknown,
        /// Answers of another kind than their request.
        wrong_command,
        /// Answers whose message_id names another message than the request carried.
        swapped,
    }
}

impl AnswerCounts {
    /// Every request got exactly one answer, and every answer had its request. Late answers belong to expired requests.
    pub const fn is_exact(&self) -> bool {
        self.expired == 0
            && self.unanswered_at_close == 0
            && self.duplicate == 0
            && self.unknown == 0
            && self.wrong_command == 0
            && self.swapped == 0
            && self.answered == self.sent
    }

    /// Requests that never got their answer in time.
    pub const fn lost(&self) -> u64 {
        self.expired + self.unanswered_at_close
    }

    /// Answers that broke a rule.
    pub const fn mismatched(&self) -> u64 {
        self.unknown + self.wrong_command + self.swapped
    }
}

counters! {
    /// What became of the messages that one side received.
    MessageCounts {
        /// Messages received, receipts not counted.
        received,
        /// Delivery receipts and intermediate notifications received.
        receipts,
        /// Messages and receipts that were answered with an error on purpose.
        refused,
        /// Messages and receipts that were left without an answer on purpose.
        unanswered,
        /// Messages that carried no token: not from a simulator.
        foreign,
        /// Messages whose text does not belong to their addresses.
        damaged,
        /// Messages received again after they had been accepted.
        duplicate,
        /// Messages whose destination is outside of the session's address range.
        outside_range,
        /// Receipts that name a message of another account.
        misdirected_receipts,
        /// Requests whose fields do not parse.
        malformed,
    }
}

impl MessageCounts {
    /// Every message came once, whole, and to the right place.
    pub const fn is_exact(&self) -> bool {
        self.damaged == 0
            && self.duplicate == 0
            && self.outside_range == 0
            && self.misdirected_receipts == 0
            && self.malformed == 0
    }
}

const DISTINCT_STATUSES_MAX: usize = 64;

/// How often each status was seen; beyond 64 distinct ones the rest is counted together.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatusCounts {
    counts: Vec<(Status, u64)>,
    others: u64,
}

impl StatusCounts {
    pub(crate) fn note(&mut self, status: Status) {
        self.note_many(status, 1);
    }

    fn note_many(&mut self, status: Status, times: u64) {
        if let Some((_, count)) = self.counts.iter_mut().find(|(seen, _)| *seen == status) {
            *count += times;
        } else if self.counts.len() < DISTINCT_STATUSES_MAX {
            self.counts.push((status, times));
        } else {
            self.others += times;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (status, count) in &other.counts {
            self.note_many(*status, *count);
        }
        self.others += other.others;
    }

    /// By name, for reports.
    pub(crate) fn by_name(&self) -> StatusTable {
        let mut table: BTreeMap<String, u64> = self
            .counts
            .iter()
            .map(|(status, count)| (status.to_string(), *count))
            .collect();
        if self.others > 0 {
            table.insert("others".to_owned(), self.others);
        }
        StatusTable(table)
    }
}

/// Counts by status name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StatusTable(pub BTreeMap<String, u64>);
