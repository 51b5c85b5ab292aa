//! The outcome of a message centre's run: per session and in all, and whether anything was wrong.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

use super::centre::Centre;
use super::counts::SessionCounts;
use super::session::SmscSession;
use crate::simulator::counts::{AnswerCounts, MessageCounts, StatusCounts, StatusTable};
use crate::simulator::latency::{Percentiles, Recorded};
use crate::simulator::ledger::{Ledger, SentStream};
use crate::simulator::table::{write_latency, write_statuses};

/// Sessions that a report lists one by one; the totals cover all.
const SESSIONS_LISTED_MAX: usize = 10_000;
/// Sessions whose MO is kept in books.
const STREAMS_MAX: usize = 65_536;
const EXIT_FAILED: u8 = 1;

/// What one session did.
#[derive(Clone, Debug, Serialize)]
pub struct SessionReport {
    /// Where it came from.
    pub peer: String,
    /// Who bound; empty without a bind.
    pub system_id: String,
    /// Messages received.
    pub messages: u64,
    /// Most unanswered requests at one time.
    pub window_peak: u64,
    /// MO sent, by its answers.
    pub mobile_originated: AnswerCounts,
}

/// The sum of the sessions that have ended.
#[derive(Default)]
pub(super) struct Outcomes {
    sessions: Vec<SessionReport>,
    counts: SessionCounts,
    messages: MessageCounts,
    mobile_originated: AnswerCounts,
    submit_statuses: StatusCounts,
    mo_statuses: StatusCounts,
    sent: Vec<SentStream>,
}

impl Outcomes {
    pub(super) fn add(&mut self, session: SmscSession) {
        self.counts.add(&session.counts);
        self.messages.add(&session.messages);
        self.mobile_originated.add(&session.answers.counts);
        self.submit_statuses.add(&session.statuses);
        self.mo_statuses.add(&session.answers.statuses);
        if self.sessions.len() < SESSIONS_LISTED_MAX {
            self.sessions.push(SessionReport {
                peer: session.peer.to_string(),
                system_id: String::from_utf8_lossy(&session.system_id).into_owned(),
                messages: session.counts.messages,
                window_peak: session.counts.window_peak,
                mobile_originated: session.answers.counts,
            });
        }
        if session.answers.counts.sent > 0 && self.sent.len() < STREAMS_MAX {
            self.sent.push(session.answers.into_stream());
        }
    }
}

/// What a simulated message centre saw.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SmscReport {
    /// From start to end of the run.
    pub elapsed_seconds: f64,
    /// All sessions together.
    pub total: SessionCounts,
    /// The messages received.
    pub received: MessageCounts,
    /// Distinct messages received and accepted, by their tokens.
    pub distinct_messages: u64,
    /// What the messages were answered with, where they were answered.
    pub submit_statuses: StatusTable,
    /// MO sent, by its answers.
    pub mobile_originated: AnswerCounts,
    /// What MO was answered with.
    pub mo_statuses: StatusTable,
    /// From the write of an MO message to its answer.
    pub mo_latency: Percentiles,
    /// Each session, up to 10,000.
    pub sessions: Vec<SessionReport>,
    /// Whether MO answered with an error counts as a failure.
    pub allow_errors: bool,
    /// Every MO message got its one answer, and the clients kept the rules.
    pub passed: bool,
    /// What each session sent as MO, to be compared with what the ESMEs received.
    #[serde(skip)]
    pub sent: Vec<SentStream>,
    /// Which messages were received and accepted, to be compared with what the ESMEs sent.
    #[serde(skip)]
    pub received_messages: Ledger,
    /// All response times of MO, to be added to those of other simulators.
    #[serde(skip)]
    pub(crate) recorded: Recorded,
}

impl SmscReport {
    pub(super) fn of(centre: &Centre) -> Self {
        let outcomes = std::mem::take(&mut *centre.outcomes());
        let received_messages = centre.shared.messages.ledger();
        let recorded = centre.shared.recorded();
        let mut report = Self {
            elapsed_seconds: centre.shared.clock.now_us() as f64 / 1e6,
            total: outcomes.counts,
            received: outcomes.messages,
            distinct_messages: received_messages.unique(),
            submit_statuses: outcomes.submit_statuses.by_name(),
            mobile_originated: outcomes.mobile_originated,
            mo_statuses: outcomes.mo_statuses.by_name(),
            mo_latency: recorded.since_write(),
            sessions: outcomes.sessions,
            allow_errors: centre.arguments.allow_errors,
            passed: false,
            sent: outcomes.sent,
            received_messages,
            recorded,
        };
        let refused = report.mobile_originated.answered - report.mobile_originated.accepted;
        report.passed = report.is_exact() && (report.allow_errors || refused == 0);
        report
    }

    /// Every MO message got its one answer, every message came once and whole, and the clients kept the rules.
    pub const fn is_exact(&self) -> bool {
        self.mobile_originated.is_exact() && self.received.is_exact() && self.total.is_exact()
    }

    /// 0 when passed, else 1.
    pub fn exit_code(&self) -> ExitCode {
        if self.passed {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(EXIT_FAILED)
        }
    }
}

impl fmt::Display for SmscReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (total, received, mo) = (&self.total, &self.received, &self.mobile_originated);
        writeln!(
            formatter,
            "binds        {} | refused {} | unbound by client {} | unbound {} | lost {} | elapsed {:.1} s",
            total.bound,
            total.binds_refused,
            total.unbound_by_client,
            total.unbound,
            total.lost,
            self.elapsed_seconds,
        )?;
        writeln!(
            formatter,
            "received     {} messages | distinct {} | duplicate {} | damaged {} | malformed {} | without token {}",
            total.messages,
            self.distinct_messages,
            received.duplicate,
            received.damaged,
            received.malformed,
            received.foreign,
        )?;
        write_statuses(formatter, &self.submit_statuses)?;
        writeln!(
            formatter,
            "faults       unanswered {} | late {} | twice {} | connections dropped {}",
            total.left_unanswered, total.answered_late, total.answered_twice, total.dropped_on_purpose,
        )?;
        writeln!(
            formatter,
            "violations   window {} | sequence number in use {} | out of range {} | wrong state {}",
            total.window_violations,
            total.sequence_numbers_in_use,
            total.out_of_range_sequence_numbers,
            total.wrong_state,
        )?;
        writeln!(
            formatter,
            "receipts     asked {} | sent {} | answered {} | refused {} | unanswered {} | undeliverable {}",
            total.receipts_asked,
            total.receipts_sent,
            total.receipts_answered,
            total.receipts_refused,
            total.receipts_unanswered,
            total.receipts_undeliverable,
        )?;
        writeln!(
            formatter,
            "MO           {} sent | answered {} | lost {} | late {} | duplicate {} | unknown sequence {}",
            mo.sent,
            mo.answered,
            mo.lost(),
            mo.late,
            mo.duplicate,
            mo.unknown,
        )?;
        write_statuses(formatter, &self.mo_statuses)?;
        write_latency(formatter, "MO latency", &self.mo_latency)?;
        write!(
            formatter,
            "verdict      {}",
            if self.passed { "passed" } else { "FAILED" }
        )
    }
}
