//! Whether a demo has shown what it is to show: each request one answer, each message at its place once, nothing left behind.
//!
//! The books of the simulators decide; the engines' own counters must agree with them. A check that fails says what it found.

use super::evidence::{Direction, Evidence};
use crate::simulator::StatusTable;
use serde::Serialize;
use smppmux_engine::shell::CoreReport;

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What must be so.
    pub(super) claim: &'static str,
    /// Whether it is.
    pub(super) passed: bool,
    /// What was found: numbers if it is so, the faults if not.
    pub(super) found: String,
}

/// A number, and what it counts.
type Count = (u64, &'static str);

/// All checks, in the order in which they are shown.
pub(super) fn checks(evidence: &Evidence) -> Vec<Check> {
    let mt = evidence.mobile_terminated();
    let mo = evidence.mobile_originated();
    vec![
        one_answer("every MT request got exactly one answer", &mt),
        no_refusal(
            "no MT request was refused",
            &mt,
            evidence.esmes.iter().map(|esme| &esme.statuses),
        ),
        arrival("every MT message reached an SMSC, once and whole", &mt),
        one_answer("every MO request got exactly one answer", &mo),
        no_refusal(
            "no MO request was refused",
            &mo,
            evidence.smscs.iter().map(|smsc| &smsc.mo_statuses),
        ),
        arrival(
            "every MO message reached a client of its range, once and whole",
            &mo,
        ),
        sessions(evidence),
        engines_agree(evidence, &mt, &mo),
        everyone_worked(evidence),
        nothing_left(evidence),
    ]
}

fn one_answer(claim: &'static str, direction: &Direction) -> Check {
    let answers = &direction.answers;
    let faults = [
        (answers.lost(), "without an answer"),
        (answers.duplicate, "second answers"),
        (answers.late, "late answers"),
        (answers.unknown, "answers to nothing"),
        (answers.wrong_command, "answers of another command"),
        (answers.swapped, "answers of another message"),
        (
            answers.sent.abs_diff(answers.answered + answers.lost()),
            "unaccounted for",
        ),
    ];
    check(claim, &faults, format!("{} requests", answers.sent))
}

fn no_refusal<'a>(
    claim: &'static str,
    direction: &Direction,
    statuses: impl Iterator<Item = &'a StatusTable>,
) -> Check {
    let refused = direction.answers.answered - direction.answers.accepted;
    let mut names: Vec<&str> = statuses
        .flat_map(|table| table.0.keys())
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut check = check(
        claim,
        &[(refused, "refused")],
        format!("{} accepted", direction.answers.accepted),
    );
    if !check.passed {
        check.found += &format!(" ({})", names.join(", "));
    }
    check
}

fn arrival(claim: &'static str, direction: &Direction) -> Check {
    let Direction {
        messages,
        books,
        answers,
    } = direction;
    let faults = [
        (books.lost, "accepted and lost"),
        (books.duplicated, "received twice"),
        (books.invented, "received and never sent"),
        (messages.outside_range, "at a client of another range"),
        (messages.damaged, "with another message's text"),
        (messages.malformed, "malformed"),
        (messages.foreign, "of unknown origin"),
        (books.untracked, "not tracked"),
        (books.sent.abs_diff(answers.sent), "not in the books"),
    ];
    check(claim, &faults, format!("{} messages", books.received))
}

fn sessions(evidence: &Evidence) -> Check {
    let (mut lost, mut refused, mut broken_rules, mut bound) = (0, 0, 0, 0);
    for esme in &evidence.esmes {
        let connection = &esme.connection;
        bound += connection.bound;
        lost += connection.lost + connection.unbind_unanswered;
        refused += connection.bind_failures + connection.connect_failures;
        broken_rules += connection.bad_lengths + connection.unexpected_requests;
    }
    for smsc in &evidence.smscs {
        let total = &smsc.total;
        bound += total.bound;
        lost += total.lost;
        refused += total.binds_refused;
        broken_rules += total.bad_lengths
            + total.wrong_state
            + total.out_of_range_sequence_numbers
            + total.sequence_numbers_in_use;
    }
    let wanted = u64::from(evidence.scenario.connections + evidence.scenario.server_sessions());
    let faults = [
        (wanted.abs_diff(bound), "sessions too few or too many"),
        (lost, "sessions lost"),
        (refused, "binds refused"),
        (broken_rules, "breaches of the protocol"),
    ];
    check(
        "every session held and kept the protocol",
        &faults,
        format!("{bound} sessions"),
    )
}

fn engines_agree(evidence: &Evidence, mt: &Direction, mo: &Direction) -> Check {
    let missing = evidence
        .scenario
        .engines()
        .abs_diff(evidence.settled.len() as u32);
    let sent = evidence.counted(|counters| counters.core_requests_sent);
    let received = evidence.counted(|counters| counters.core_requests_received);
    let counted = |counter: fn(&_) -> u64| evidence.counted(counter);
    let faults = [
        (missing.into(), "engines that do not answer"),
        (
            counted(|counters| counters.client_requests).abs_diff(mt.answers.sent),
            "MT requests too many or too few",
        ),
        (
            counted(|counters| counters.client_answers).abs_diff(mt.answers.answered),
            "MT answers too many or too few",
        ),
        (
            counted(|counters| counters.mobile_originated).abs_diff(mo.answers.sent),
            "MO requests too many or too few",
        ),
        (
            counted(|counters| counters.mobile_originated_answers).abs_diff(mo.answers.answered),
            "MO answers too many or too few",
        ),
        (
            sent.abs_diff(received),
            "messages that left a core and did not arrive",
        ),
        (
            counted(|counters| counters.client_answers_own + counters.mobile_originated_answers_own),
            "answers of their own",
        ),
        (counted(|counters| counters.timeouts), "timeouts"),
        (counted(|counters| counters.late_answers), "late answers"),
        (
            counted(|counters| counters.unmatched_answers + counters.core_answers_stale),
            "answers to nothing",
        ),
        (
            counted(|counters| counters.violations),
            "breaches of the protocol",
        ),
    ];
    check(
        "the engines counted the same",
        &faults,
        format!("{} engines", evidence.settled.len()),
    )
}

fn everyone_worked(evidence: &Evidence) -> Check {
    let crossings = evidence.counted(|counters| counters.core_requests_sent);
    let idle = |core: &&CoreReport| core.engine.counters.mobile_originated == 0;
    let idle_engines = evidence.settled.iter().filter(idle).count() as u64;
    let without_mt = evidence
        .smscs
        .iter()
        .filter(|smsc| smsc.received.received == 0)
        .count() as u64;
    let without_mo = evidence
        .esmes
        .iter()
        .filter(|esme| esme.received.received == 0)
        .count() as u64;
    let may_cross = evidence.scenario.engines() > 1;
    let faults = [
        (idle_engines, "engines without MO"),
        (without_mt, "SMSCs without MT"),
        (without_mo, "address ranges without MO"),
        (
            u64::from(may_cross && crossings == 0),
            "message too few crossed cores",
        ),
    ];
    check(
        "all engines, SMSCs and ranges had their share",
        &faults,
        format!("{crossings} MO crossed cores"),
    )
}

fn nothing_left(evidence: &Evidence) -> Check {
    let engines = evidence.scenario.engines();
    let settled = |of: fn(&CoreReport) -> u64| evidence.settled.iter().map(of).sum::<u64>();
    let drained = |of: fn(&CoreReport) -> u64| evidence.drained.iter().map(of).sum::<u64>();
    let outstanding = |core: &CoreReport| core.engine.servers.iter().map(|server| server.outstanding).sum();
    let bound = |core: &CoreReport| {
        core.engine
            .servers
            .iter()
            .map(|server| server.bound_sessions)
            .sum()
    };
    let faults = [
        (
            engines.abs_diff(evidence.drain.engines_settled).into(),
            "engines that did not settle",
        ),
        (
            engines.abs_diff(evidence.drain.engines_stopped).into(),
            "engines that did not stop",
        ),
        (
            engines.abs_diff(evidence.drained.len() as u32).into(),
            "engines without figures",
        ),
        (settled(outstanding), "entries in windows"),
        (settled(|core| core.engine.held_requests), "held requests"),
        (
            settled(|core| core.engine.core_requests_outstanding),
            "requests between cores",
        ),
        (drained(outstanding), "entries in windows after the drain"),
        (
            drained(|core| core.engine.client_connections),
            "clients' sessions after the drain",
        ),
        (drained(bound), "servers' sessions after the drain"),
    ];
    check(
        "the engines drained and nothing was left",
        &faults,
        format!("{engines} engines"),
    )
}

fn check(claim: &'static str, faults: &[Count], found: String) -> Check {
    let faults: Vec<String> = faults
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    Check {
        claim,
        passed: faults.is_empty(),
        found: if faults.is_empty() {
            found
        } else {
            faults.join(", ")
        },
    }
}
