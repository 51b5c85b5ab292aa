//! `simulate`: many runs of the simulation, a soak for a given time, one run again, the shrinking of a run that
//! fails, and one run at full size.
//!
//! Exit code: 0 when every promise held, 1 when one was broken, 64 for wrong arguments.

mod arguments;
mod scale;

use arguments::{Arguments, Command, Replay, Runs, Soak};
use clap::Parser as _;
use smppmux_simulation::{Plan, Summary, Trace, run, shrink};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a soak says that it is still at work.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { 64 } else { 0 });
    });
    // A broken promise is told once, by what it says, and not as the panic that it travels as.
    if !matches!(arguments.command, Command::Scale(_)) {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let held = match arguments.command {
        Command::Run(runs) => run_seeds(&runs),
        Command::Replay(replay) => replay_one(&replay),
        Command::Soak(soak) => soak_for(&soak),
        Command::Scale(arguments) => scale::scale(&arguments),
    };
    if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Seeds in order, each told when it fails.
fn run_seeds(runs: &Runs) -> bool {
    let begin = Instant::now();
    let campaign = Campaign {
        keep_going: runs.keep_going,
        segments: runs.segments,
        ..Campaign::over(runs.first, Some(runs.runs), None)
    };
    let outcome = campaign.work(runs.threads);
    outcome.say(begin.elapsed());
    outcome.failed.is_empty()
}

fn soak_for(soak: &Soak) -> bool {
    let begin = Instant::now();
    println!("soaking for {:?} from seed {}", soak.time, soak.first);
    let campaign = Campaign {
        segments: soak.segments,
        ..Campaign::over(soak.first, None, Some(begin + soak.time))
    };
    let outcome = campaign.work(soak.threads);
    outcome.say(begin.elapsed());
    let Some((seed, reason)) = outcome.failed.first() else {
        return true;
    };
    let shrunk = shrink(
        &Plan::of(*seed).with_segments(soak.segments),
        reason,
        soak.shrink_for,
    );
    println!("after {} tries: simulate replay {}", shrunk.tries, shrunk.plan);
    println!("  {}", shrunk.reason);
    false
}

fn replay_one(replay: &Replay) -> bool {
    let plan = replay.plan();
    let trace = if replay.quiet { Trace::Off } else { Trace::Printed };
    match run(&plan, &trace) {
        Ok(summary) => {
            println!("held: {}", describe(&summary));
            true
        }
        Err(reason) => {
            println!("broken: {reason}");
            if let Some(patience) = replay.shrink_for {
                let shrunk = shrink(&plan, &reason, patience);
                println!("after {} tries: simulate replay {}", shrunk.tries, shrunk.plan);
                println!("  {}", shrunk.reason);
            }
            false
        }
    }
}

/// Seeds that several threads take in turn.
struct Campaign {
    next: AtomicU64,
    end: u64,
    ends_at: Option<Instant>,
    keep_going: bool,
    segments: Option<u32>,
    is_over: AtomicBool,
    done: AtomicU64,
}

struct Outcome {
    runs: u64,
    total: Summary,
    failed: Vec<(u64, String)>,
}

impl Campaign {
    fn over(first: u64, runs: Option<u64>, ends_at: Option<Instant>) -> Self {
        Self {
            next: AtomicU64::new(first),
            end: runs.map_or(u64::MAX, |runs| first.saturating_add(runs)),
            ends_at,
            keep_going: false,
            segments: None,
            is_over: AtomicBool::new(false),
            done: AtomicU64::new(0),
        }
    }

    fn work(&self, threads: usize) -> Outcome {
        let outcomes: Vec<Outcome> = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.work_alone())).collect();
            if self.ends_at.is_some() {
                scope.spawn(|| self.report());
            }
            let joined = workers.into_iter().map(|worker| worker.join());
            let outcomes = joined.map(|outcome| outcome.expect("a run's panic is caught"));
            let outcomes = outcomes.collect();
            self.is_over.store(true, Ordering::Relaxed);
            outcomes
        });
        let mut all = Outcome {
            runs: 0,
            total: Summary::default(),
            failed: Vec::new(),
        };
        for outcome in outcomes {
            all.runs += outcome.runs;
            all.total += outcome.total;
            all.failed.extend(outcome.failed);
        }
        all.failed.sort();
        all
    }

    fn work_alone(&self) -> Outcome {
        let mut outcome = Outcome {
            runs: 0,
            total: Summary::default(),
            failed: Vec::new(),
        };
        while !self.is_over.load(Ordering::Relaxed) && self.ends_at.is_none_or(|at| Instant::now() < at) {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.end {
                break;
            }
            outcome.runs += 1;
            match run(&Plan::of(seed).with_segments(self.segments), &Trace::Off) {
                Ok(summary) => outcome.total += summary,
                Err(reason) => {
                    println!("seed {seed}: {reason}");
                    outcome.failed.push((seed, reason));
                    if !self.keep_going {
                        self.is_over.store(true, Ordering::Relaxed);
                    }
                }
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// A line now and then, until the work is over.
    fn report(&self) {
        let mut due_at = Instant::now() + REPORT_INTERVAL;
        while !self.is_over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(100));
            if Instant::now() >= due_at {
                due_at += REPORT_INTERVAL;
                println!("{} runs", self.done.load(Ordering::Relaxed));
            }
        }
    }
}

impl Outcome {
    fn say(&self, took: Duration) {
        println!(
            "{} runs in {:.1} s: {}, {} failed",
            self.runs,
            took.as_secs_f64(),
            describe(&self.total),
            self.failed.len()
        );
        println!("{}", self.total.exercised.describe());
    }
}

fn describe(summary: &Summary) -> String {
    let Summary {
        events,
        requests,
        messages,
        concatenated,
        ..
    } = summary;
    format!("{events} events, {requests} requests, {messages} messages, {concatenated} concatenated")
}
