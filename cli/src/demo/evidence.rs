//! What is known when a demo is over: the books of both sides, and the engines' own figures.

use super::scenario::Scenario;
use crate::simulator::esme::EsmeReport;
use crate::simulator::smsc::SmscReport;
use crate::simulator::{AnswerCounts, Comparison, Ledger, MessageCounts};
use smppmux_engine::core::report::Counters;
use smppmux_engine::shell::CoreReport;
use std::time::Duration;

/// Everything that the verdict rests on.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) scenario: Scenario,
    /// How long MT and MO ran together.
    pub(super) load: Duration,
    /// In the order of the ranges.
    pub(super) esmes: Vec<EsmeReport>,
    /// In the order of the servers.
    pub(super) smscs: Vec<SmscReport>,
    /// The engines when the last answer that was due had come, or was waited for no longer; all sessions are still bound.
    pub(super) settled: Vec<CoreReport>,
    /// The engines after their drain.
    pub(super) drained: Vec<CoreReport>,
    pub(super) drain: Drain,
    /// What the engines told and should not have had to.
    pub(super) notices: Vec<String>,
}

/// How the engines ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Drain {
    /// Engines whose drain ended with nothing under way.
    pub(super) engines_settled: u32,
    /// Engines that stopped in time and in an orderly way.
    pub(super) engines_stopped: u32,
}

/// One direction's messages, from the side that sent them and the side that received them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Direction {
    /// What the senders were answered.
    pub(super) answers: AnswerCounts,
    /// What the receivers saw.
    pub(super) messages: MessageCounts,
    /// Both sides' books, message by message.
    pub(super) books: Comparison,
}

impl Evidence {
    /// From the ESMEs to the SMSCs.
    pub(super) fn mobile_terminated(&self) -> Direction {
        let mut received = Ledger::default();
        let mut direction = Direction::default();
        for smsc in &self.smscs {
            received.merge(&smsc.received_messages);
            direction.messages.add(&smsc.received);
        }
        for esme in &self.esmes {
            direction.answers.add(&esme.answers);
        }
        let sent = self.esmes.iter().flat_map(|esme| &esme.sent);
        direction.books = Comparison::of(sent, &received);
        direction
    }

    /// From the SMSCs to the ESMEs.
    pub(super) fn mobile_originated(&self) -> Direction {
        let mut received = Ledger::default();
        let mut direction = Direction::default();
        for esme in &self.esmes {
            received.merge(&esme.received_messages);
            direction.messages.add(&esme.received);
        }
        for smsc in &self.smscs {
            direction.answers.add(&smsc.mobile_originated);
        }
        let sent = self.smscs.iter().flat_map(|smsc| &smsc.sent);
        direction.books = Comparison::of(sent, &received);
        direction
    }

    /// One counter, summed up over the engines.
    pub(super) fn counted(&self, counter: impl Fn(&Counters) -> u64) -> u64 {
        self.settled
            .iter()
            .map(|core| counter(&core.engine.counters))
            .sum()
    }
}
