//! The outcome of an ESME run: what was sent, answered and received, and whether anything was wrong.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

use super::counts::ConnectionCounts;
use super::plan::Plan;
use super::session::EsmeSession;
use crate::simulator::control::Shared;
use crate::simulator::counts::{AnswerCounts, MessageCounts, StatusCounts, StatusTable};
use crate::simulator::latency::{Percentiles, Recorded};
use crate::simulator::ledger::{Ledger, SentStream};
use crate::simulator::table::{write_latency, write_statuses};

const EXIT_FAILED: u8 = 1;
const EXIT_UNAVAILABLE: u8 = 69;

/// What simulated ESMEs saw.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EsmeReport {
    /// From start to end of the run.
    pub elapsed_seconds: f64,
    /// Connections that were asked for.
    pub connections: u32,
    /// What happened to them.
    pub connection: ConnectionCounts,
    /// The messages sent, by their answers.
    pub answers: AnswerCounts,
    /// Messages that --count asked for and that were never sent.
    pub not_sent: u64,
    /// PDUs that the schedule of --rate wanted and that were given up because the run was more than a second behind.
    pub behind_schedule: u64,
    /// Answers by status.
    pub statuses: StatusTable,
    /// Answers per second, from the first message to the last answer.
    pub answers_per_second: f64,
    /// From the write of a message to its answer.
    pub latency: Percentiles,
    /// From the moment the schedule wanted the message to its answer; as `latency` without --rate.
    pub latency_from_schedule: Percentiles,
    /// The messages and receipts received.
    pub received: MessageCounts,
    /// Whether errors count as a failure.
    pub allow_errors: bool,
    /// Nothing was lost, duplicated or mismatched, and no error was answered unless these are allowed.
    pub passed: bool,
    /// What each connection sent, to be compared with what the message centres received.
    #[serde(skip)]
    pub sent: Vec<SentStream>,
    /// Which messages were received, to be compared with what the message centres sent.
    #[serde(skip)]
    pub received_messages: Ledger,
    /// Which messages a receipt was received for.
    #[serde(skip)]
    pub received_receipts: Ledger,
    /// All response times, to be added to those of other simulators.
    #[serde(skip)]
    pub(crate) recorded: Recorded,
}

impl EsmeReport {
    pub(super) fn of(plan: &Plan, shared: &Shared, sessions: Vec<EsmeSession>, now_us: u64) -> Self {
        let recorded = shared.recorded();
        let mut report = Self {
            elapsed_seconds: now_us as f64 / 1e6,
            connections: plan.arguments.connections,
            connection: ConnectionCounts::default(),
            answers: AnswerCounts::default(),
            not_sent: 0,
            behind_schedule: 0,
            statuses: StatusTable::default(),
            answers_per_second: 0.0,
            latency: recorded.since_write(),
            latency_from_schedule: recorded.since_schedule(),
            received: MessageCounts::default(),
            allow_errors: plan.arguments.allow_errors,
            passed: false,
            sent: Vec::with_capacity(sessions.len()),
            received_messages: shared.messages.ledger(),
            received_receipts: shared.receipts.ledger(),
            recorded,
        };
        let mut statuses = StatusCounts::default();
        let (mut first_us, mut last_us) = (u64::MAX, 0);
        for session in sessions {
            report.connection.add(&session.counts);
            report.answers.add(&session.answers.counts);
            report.received.add(&session.messages);
            report.not_sent += session
                .identity
                .messages
                .map_or(0, |share| share.saturating_sub(session.message));
            report.behind_schedule += session.pace.as_ref().map_or(0, |pace| pace.given_up());
            statuses.add(&session.answers.statuses);
            first_us = first_us.min(session.answers.first_sent_us.unwrap_or(u64::MAX));
            last_us = last_us.max(session.answers.last_answer_us);
            report.sent.push(session.answers.into_stream());
        }
        report.statuses = statuses.by_name();
        if last_us > first_us {
            report.answers_per_second = report.answers.answered as f64 * 1e6 / (last_us - first_us) as f64;
        }
        report.passed = report.is_exact() && (report.allow_errors || report.refused() == 0);
        report
    }

    /// Every request got its one answer, every message came once, whole and to the right place.
    pub const fn is_exact(&self) -> bool {
        self.answers.is_exact()
            && self.received.is_exact()
            && self.connection.bad_lengths == 0
            && self.connection.unexpected_requests == 0
            && self.connection.bound > 0
    }

    /// Messages that were answered with an error.
    pub const fn refused(&self) -> u64 {
        self.answers.answered - self.answers.accepted
    }

    /// 0 when passed, 69 when nothing could be bound, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match (self.passed, self.connection.bound) {
            (true, _) => ExitCode::SUCCESS,
            (false, 0) => ExitCode::from(EXIT_UNAVAILABLE),
            (false, _) => ExitCode::from(EXIT_FAILED),
        }
    }
}

impl fmt::Display for EsmeReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (connection, answers, received) = (&self.connection, &self.answers, &self.received);
        writeln!(
            formatter,
            "connections  {} bound of {} | failed {} | lost {} | unbound {} | elapsed {:.1} s",
            connection.bound,
            self.connections,
            connection.connect_failures + connection.bind_failures,
            connection.lost,
            connection.unbound,
            self.elapsed_seconds,
        )?;
        writeln!(
            formatter,
            "sent         {} | answered {} ({:.0}/s) | accepted {} | not sent {} | behind schedule {}",
            answers.sent,
            answers.answered,
            self.answers_per_second,
            answers.accepted,
            self.not_sent,
            self.behind_schedule,
        )?;
        writeln!(
            formatter,
            "wrong        lost {} | late {} | duplicate {} | unknown sequence {} | other command {} | swapped {}",
            answers.lost(),
            answers.late,
            answers.duplicate,
            answers.unknown,
            answers.wrong_command,
            answers.swapped,
        )?;
        write_statuses(formatter, &self.statuses)?;
        write_latency(formatter, "latency", &self.latency)?;
        writeln!(
            formatter,
            "received     {} messages | {} receipts | outside range {} | duplicate {} | damaged {} | malformed {} | misdirected {}",
            received.received,
            received.receipts,
            received.outside_range,
            received.duplicate,
            received.damaged,
            received.malformed,
            received.misdirected_receipts,
        )?;
        write!(
            formatter,
            "verdict      {}",
            if self.passed { "passed" } else { "FAILED" }
        )
    }
}
