//! Runs scripts, several at a time where each has a balancer of its own, and gathers what they say.

use std::any::Any;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::balancer::Source;
use crate::failure::Failure;
use crate::rows;
use crate::sabotage::Sabotage;
use crate::scenario::{Part, Scenario};
use crate::stage::{Centres, Stage};

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// As it should.
    Pass,
    /// A balancer did the wrong thing.
    Fail,
    /// The balancer is configured for another setting.
    OtherSetting,
    /// smppmux does not claim to pass it yet.
    NotClaimed,
}

impl Verdict {
    /// As the page of results has it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::OtherSetting => "other setting",
            Self::NotClaimed => "not yet claimed",
        }
    }
}

/// What came of one script.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PartResult {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it needs.
    pub(crate) setting: &'static str,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) what: Option<String>,
    /// The offending octets in hex.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) octets: String,
    /// What could not be measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// The end of the balancer's log, of a script that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) log: Vec<String>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Where and how scripts are run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) source: Source,
    /// The setting that a standing balancer has; smppmux gets whichever a script needs.
    pub(crate) setting: Option<crate::setting::Setting>,
    /// Scripts at a time.
    pub(crate) jobs: usize,
    pub(crate) sabotage: Option<&'static crate::sabotage::Fault>,
    /// Scripts that smppmux does not claim to pass are run too.
    pub(crate) runs_unclaimed: bool,
}

thread_local! {
    /// Where the last panic of this thread was.
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes where a script panics; what it says is reported as its failure.
pub(crate) fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        PANICKED_AT.with_borrow_mut(|place| *place = at);
    }));
}

/// Runs one script against a smppmux of its own.
pub(crate) fn run_alone(run: &Run, part: &'static Part) -> PartResult {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    match Centres::start([free, free]) {
        Ok(centres) => run_part(run, part, centres).0,
        Err(failure) => result_of(part, Err(failure), Duration::ZERO),
    }
}

/// Runs all parts of these scenarios; results are in their order.
pub(crate) fn run(run: &Run, scenarios: &[&'static Scenario]) -> Vec<Vec<PartResult>> {
    let parts: Vec<(usize, &'static Part)> = scenarios
        .iter()
        .enumerate()
        .flat_map(|(place, scenario)| scenario.parts.iter().map(move |part| (place, part)))
        .collect();
    let results: Vec<PartResult> = match run.source {
        Source::Smppmux { .. } => {
            let unclaimed: Vec<usize> = parts
                .iter()
                .enumerate()
                .filter(|(_, (scenario, part))| !rows::is_claimed(scenarios[*scenario], part))
                .map(|(place, _)| place)
                .filter(|_| !run.runs_unclaimed)
                .collect();
            run_side_by_side(run, &parts, &unclaimed)
        }
        Source::Other { smscs, .. } => run_one_by_one(run, &parts, smscs),
    };
    let mut by_scenario: Vec<Vec<PartResult>> = scenarios.iter().map(|_| Vec::new()).collect();
    for ((place, _), result) in parts.iter().zip(results) {
        by_scenario[*place].push(result);
    }
    by_scenario
}

fn run_side_by_side(run: &Run, parts: &[(usize, &'static Part)], unclaimed: &[usize]) -> Vec<PartResult> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, PartResult)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..run.jobs {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((_, part)) = parts.get(place) else {
                        return;
                    };
                    let result = if unclaimed.contains(&place) {
                        not_run(part, Verdict::NotClaimed)
                    } else {
                        run_alone(run, part)
                    };
                    if let Ok(mut done) = done.lock() {
                        done.push((place, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// One balancer serves all scripts, so the SMSCs stay too.
fn run_one_by_one(run: &Run, parts: &[(usize, &'static Part)], smscs: [SocketAddr; 2]) -> Vec<PartResult> {
    let mut centres = Centres::start(smscs);
    let mut results = Vec::new();
    for (_, part) in parts {
        if run.setting.is_some_and(|setting| setting != part.setting) {
            results.push(not_run(part, Verdict::OtherSetting));
            continue;
        }
        centres = match centres {
            Ok(pair) => {
                let (result, pair) = run_part(run, part, pair);
                results.push(result);
                pair.map_or_else(|| Centres::start(smscs), Ok)
            }
            Err(failure) => {
                results.push(result_of(part, Err(failure), Duration::ZERO));
                Centres::start(smscs)
            }
        };
    }
    results
}

fn run_part(run: &Run, part: &'static Part, centres: Centres) -> (PartResult, Option<Centres>) {
    let start = Instant::now();
    let sabotage = run.sabotage.map(Sabotage::new);
    let stage = catch_unwind(AssertUnwindSafe(|| {
        Stage::start(&run.source, part.setting, centres, sabotage)
    }));
    let mut stage = match stage {
        Ok(Ok(stage)) => stage,
        Ok(Err(failure)) => return (result_of(part, Err(failure), start.elapsed()), None),
        Err(panic) => {
            let failure = failure_of(panic.as_ref());
            return (result_of(part, Err(failure), start.elapsed()), None);
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| (part.script)(&mut stage)));
    let outcome = outcome.unwrap_or_else(|panic| Err(failure_of(panic.as_ref())));
    let mut result = result_of(part, outcome, start.elapsed());
    result.notes = stage.notes().to_vec();
    if result.verdict == Verdict::Fail {
        result.log = stage.log();
    }
    (result, Some(stage.into_centres()))
}

fn result_of(part: &Part, outcome: Result<(), Failure>, took: Duration) -> PartResult {
    let (verdict, what, octets) = match outcome {
        Ok(()) => (Verdict::Pass, None, String::new()),
        Err(failure) => (Verdict::Fail, Some(failure.what.clone()), failure.hex()),
    };
    PartResult {
        name: part.name,
        setting: part.setting.name(),
        verdict,
        what,
        octets,
        notes: Vec::new(),
        log: Vec::new(),
        seconds: (took.as_secs_f64() * 10.0).round() / 10.0,
    }
}

fn not_run(part: &Part, verdict: Verdict) -> PartResult {
    let mut result = result_of(part, Ok(()), Duration::ZERO);
    result.verdict = verdict;
    result
}

fn failure_of(panic: &(dyn Any + Send)) -> Failure {
    let words = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "the script panicked".into());
    let place = PANICKED_AT.with_borrow(Clone::clone);
    Failure {
        what: format!("{words} ({place})"),
        octets: Vec::new(),
    }
}
