//! The verdict can fail: each kind of fault is planted in the evidence of a perfect demo, and must be named.

use super::DemoArguments;
use super::cast;
use super::evidence::{Drain, Evidence};
use super::figures::Figures;
use super::scenario::{RANGES, Scenario};
use super::table;
use super::verdict::{Check, checks};
use crate::simulator::esme::{EsmeReport, EsmeSimulator};
use crate::simulator::smsc::{SmscReport, SmscSimulator};
use crate::simulator::{AnswerCounts, Ledger, NumberSet, SentStream, Token};
use crate::style::Style;
use smppmux_engine::core::report::{Counters, Report, ServerReport};
use smppmux_engine::core::settings::ServerIndex;
use smppmux_engine::shell::{CoreReport, ShellReport};
use std::time::{Duration, Instant};

/// Messages of each stream.
const MESSAGES: u32 = 60;
const ESME_RUN: u16 = 1;
const SMSC_RUN: u16 = 2;

fn scenario() -> Scenario {
    let arguments = DemoArguments {
        duration: Duration::from_secs(1),
        connections: Some(6),
        window: 10,
        cores: None,
        rate: None,
        json: false,
    };
    Scenario::new(&arguments, &[0, 1]).expect("it fits")
}

/// One stream's messages that `is_here` says of; streams are numbered over all simulators of a side.
fn receive(ledger: &mut Ledger, run: u16, stream: u32, is_here: impl Fn(u32) -> bool) {
    for number in (0..MESSAGES).filter(|number| is_here(*number)) {
        assert!(ledger.insert(Token { run, stream, number }));
    }
}

fn sent(run: u16, stream: u32) -> SentStream {
    let mut accepted = NumberSet::default();
    for number in 0..MESSAGES {
        accepted.insert(number.into());
    }
    let number = 0;
    SentStream {
        key: Token { run, stream, number }.stream_key(),
        sent: MESSAGES.into(),
        accepted,
    }
}

fn all_answered(sent: u64) -> AnswerCounts {
    AnswerCounts {
        sent,
        answered: sent,
        accepted: sent,
        ..AnswerCounts::default()
    }
}

/// ESMEs of one range: one stream of MT; every third MO message is for this range.
fn esme(range: u32) -> EsmeReport {
    let mut report = EsmeReport {
        connections: 2,
        answers: all_answered(MESSAGES.into()),
        sent: vec![sent(ESME_RUN, range)],
        ..EsmeReport::default()
    };
    for stream in 0..2 {
        receive(&mut report.received_messages, SMSC_RUN, stream, |number| {
            number % 3 == range
        });
    }
    report.received.received = report.received_messages.unique();
    report.connection.bound = 2;
    report.connection.unbound_by_server = 2;
    report
}

/// One SMSC: one stream of MO, half of the MT.
fn smsc(number: u32) -> SmscReport {
    let mut report = SmscReport {
        mobile_originated: all_answered(MESSAGES.into()),
        sent: vec![sent(SMSC_RUN, number)],
        ..SmscReport::default()
    };
    for stream in 0..3 {
        receive(&mut report.received_messages, ESME_RUN, stream, |message| {
            message % 2 == number
        });
    }
    report.received.received = report.received_messages.unique();
    report.total.bound = 2;
    report
}

fn core(core: u16) -> CoreReport {
    let counters = Counters {
        client_requests: 90,
        client_answers: 90,
        mobile_originated: 60,
        mobile_originated_answers: 60,
        core_requests_sent: 30,
        core_requests_received: 30,
        ..Counters::default()
    };
    let server = |number| ServerReport {
        server: ServerIndex(number),
        bound_sessions: 1,
        outstanding: 0,
        requests: 45,
        answers: 45,
        errors: 0,
        mobile_originated: 30,
        ..ServerReport::default()
    };
    CoreReport {
        engine: Report {
            core,
            counters,
            client_sessions: 3,
            client_connections: 3,
            servers: vec![server(0), server(1)],
            ..Report::default()
        },
        shell: ShellReport::default(),
        ..CoreReport::default()
    }
}

/// A demo in which everything went well.
fn perfect() -> Evidence {
    let settled = vec![core(0), core(1)];
    let mut drained = settled.clone();
    for report in &mut drained {
        report.engine.client_connections = 0;
        report.engine.client_sessions = 0;
        report
            .engine
            .servers
            .iter_mut()
            .for_each(|server| server.bound_sessions = 0);
    }
    Evidence {
        scenario: scenario(),
        load: Duration::from_secs(1),
        esmes: (0..3).map(esme).collect(),
        smscs: (0..2).map(smsc).collect(),
        settled,
        drained,
        drain: Drain {
            engines_settled: 2,
            engines_stopped: 2,
        },
        notices: Vec::new(),
    }
}

fn failed(evidence: &Evidence) -> Vec<Check> {
    checks(evidence)
        .into_iter()
        .filter(|check| !check.passed)
        .collect()
}

/// A fault, what it does to a perfect demo, and what must be found then, by one check and no other.
type Plant = (&'static str, fn(&mut Evidence), &'static str);

const PLANTS: [Plant; 19] = [
    (
        "every MT request got",
        |demo| {
            demo.esmes[0].answers.answered -= 1;
            demo.esmes[0].answers.accepted -= 1;
            demo.esmes[0].answers.unanswered_at_close += 1;
            demo.settled[0].engine.counters.client_answers -= 1;
        },
        "1 without an answer",
    ),
    (
        "every MT request got",
        |demo| demo.esmes[2].answers.duplicate += 1,
        "1 second answers",
    ),
    (
        "every MT request got",
        |demo| demo.esmes[2].answers.swapped += 3,
        "3 answers of another message",
    ),
    (
        "every MO request got",
        |demo| demo.smscs[1].mobile_originated.unknown += 1,
        "1 answers to nothing",
    ),
    (
        "every MO request got",
        |demo| demo.smscs[1].mobile_originated.late += 1,
        "1 late answers",
    ),
    (
        "no MT request was refused",
        |demo| {
            demo.esmes[1].answers.accepted -= 2;
            demo.esmes[1].statuses.0.insert("ESME_RTHROTTLED".to_owned(), 2);
        },
        "2 refused (ESME_RTHROTTLED)",
    ),
    (
        "no MO request was refused",
        |demo| demo.smscs[0].mobile_originated.accepted -= 1,
        "1 refused ()",
    ),
    (
        "every MT message reached",
        |demo| {
            demo.smscs[0].received_messages = Ledger::default();
            receive(&mut demo.smscs[0].received_messages, ESME_RUN, 0, |number| {
                number % 2 == 0 && number != 8
            });
            receive(&mut demo.smscs[0].received_messages, ESME_RUN, 1, |number| {
                number % 2 == 0
            });
            receive(&mut demo.smscs[0].received_messages, ESME_RUN, 2, |number| {
                number % 2 == 0
            });
        },
        "1 accepted and lost",
    ),
    (
        "every MT message reached",
        |demo| {
            receive(&mut demo.smscs[1].received_messages, ESME_RUN, 2, |number| {
                number == 4
            });
        },
        "1 received twice",
    ),
    (
        "every MT message reached",
        |demo| demo.smscs[0].received.damaged += 1,
        "1 with another message's text",
    ),
    (
        "every MO message reached",
        |demo| {
            demo.esmes[1].received_messages = Ledger::default();
            receive(&mut demo.esmes[1].received_messages, SMSC_RUN, 0, |number| {
                number % 3 == 1
            });
        },
        "20 accepted and lost",
    ),
    (
        "every MO message reached",
        |demo| {
            receive(&mut demo.esmes[0].received_messages, SMSC_RUN, 0, |number| {
                number == 1
            });
        },
        "1 received twice",
    ),
    (
        "every MO message reached",
        |demo| demo.esmes[0].received.outside_range += 1,
        "1 at a client of another range",
    ),
    (
        "every session held",
        |demo| demo.esmes[0].connection.lost += 1,
        "1 sessions lost",
    ),
    (
        "the engines counted",
        |demo| demo.settled[1].engine.counters.timeouts += 1,
        "1 timeouts",
    ),
    (
        "the engines counted",
        |demo| drop(demo.settled.pop()),
        "1 engines that do not answer, 90 MT requests too many",
    ),
    (
        "all engines, SMSCs",
        |demo| {
            for core in &mut demo.settled {
                core.engine.counters.core_requests_sent = 0;
                core.engine.counters.core_requests_received = 0;
            }
        },
        "1 message too few crossed cores",
    ),
    (
        "the engines drained",
        |demo| demo.settled[1].engine.servers[0].outstanding += 1,
        "1 entries in windows",
    ),
    (
        "the engines drained",
        |demo| demo.drain.engines_settled -= 1,
        "1 engines that did not settle",
    ),
];

/// Goal: a perfect demo passes; each planted fault fails the check that is about it, which names and counts it.
#[test]
fn every_planted_fault_is_found() {
    assert_eq!(failed(&perfect()), Vec::new());
    for (claim, plant, found) in PLANTS {
        let mut evidence = perfect();
        plant(&mut evidence);
        let failed = failed(&evidence);
        assert_eq!(failed.len(), 1, "{claim}: {failed:?}");
        assert!(failed[0].claim.starts_with(claim), "{claim}: {failed:?}");
        assert!(failed[0].found.starts_with(found), "{found}: {failed:?}");
        let figures = Figures::of(&evidence);
        assert!(!figures.passed);
        let text = table::render(Style::PLAIN, &figures);
        assert!(text.contains(&format!("FAIL  {}", failed[0].claim)), "{text}");
        assert!(text.ends_with("verdict FAILED\n"), "{text}");
    }
}

/// Goal: real messages that go to clients of the wrong range are found. Method: the demo's SMSC and ESMEs without smppmux
/// between them, so that every session gets MO of all ranges.
#[test]
fn real_messages_at_the_wrong_clients_are_found() {
    let scenario = scenario();
    let mut arguments = cast::smsc(&scenario, "smsc-a").expect("right arguments");
    arguments.account.clear();
    arguments.ignore_ranges = true;
    let smsc = SmscSimulator::start(arguments).expect("it starts");
    let target = smsc.addresses()[0];
    let ranges = 0..RANGES.len();
    let arguments = ranges.map(|range| cast::esmes(&scenario, range, target).expect("right arguments"));
    let esmes: Vec<_> = arguments
        .map(|arguments| EsmeSimulator::start(arguments).expect("it starts"))
        .collect();
    smsc.release_mobile_originated();
    let limit = Instant::now() + Duration::from_secs(20);
    while smsc.snapshot().answered < 1000 || esmes.iter().any(|esme| esme.snapshot().answered < 100) {
        assert!(Instant::now() < limit, "messages flow");
        std::thread::sleep(Duration::from_millis(5));
    }
    smsc.stop_sending();
    esmes.iter().for_each(|esme| esme.stop());
    let esmes = esmes.into_iter().map(|esme| esme.join()).collect();
    smsc.stop();
    let evidence = Evidence {
        esmes,
        smscs: vec![smsc.join()],
        ..perfect()
    };
    let checks = checks(&evidence);
    let check = |claim: &str| {
        checks
            .iter()
            .find(|check| check.claim.starts_with(claim))
            .expect("a check")
    };
    for claim in [
        "every MT request",
        "no MT",
        "every MT message",
        "every MO request",
        "no MO",
    ] {
        assert!(check(claim).passed, "{checks:?}");
    }
    let misrouted = check("every MO message");
    assert!(
        misrouted.found.ends_with("at a client of another range"),
        "{misrouted:?}"
    );
}

/// Goal: the tables and the JSON show the same figures, and these add up.
#[test]
fn the_figures_add_up() {
    let figures = Figures::of(&perfect());
    let total = |of: fn(&super::figures::Core) -> u64| figures.cores.iter().map(of).sum::<u64>();
    assert_eq!(figures.mobile_terminated.sent, 180);
    assert_eq!(figures.mobile_terminated.received, 180);
    assert_eq!(figures.mobile_originated.received, 120);
    assert_eq!(total(|core| core.mobile_terminated), 180);
    assert_eq!(total(|core| core.crossings_out), figures.crossings.messages);
    assert_eq!(
        figures.servers.iter().map(|server| server.received).sum::<u64>(),
        180
    );
    assert_eq!(
        figures
            .ranges
            .iter()
            .map(|range| range.mobile_originated)
            .sum::<u64>(),
        120
    );
    let text = table::render(Style::PLAIN, &figures);
    assert!(
        text.contains("C2C: 60 MO messages (50.0 %) crossed cores"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "{text}");
    assert!(text.ends_with("verdict PASSED\n"), "{text}");
    assert!(table::render(Style::COLOURED, &figures).contains("\x1b[32mPASSED"));
}
