//! What an operator sees of a running simulator: a live line each second, Ctrl-C, and the report at the end.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::control::Snapshot;
use super::latency::readable_us;

const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_LINE: u32 = 10;
const EXIT_USAGE: u8 = 64;
const EXIT_UNAVAILABLE: u8 = 69;
const EXIT_INTERRUPTED: i32 = 130;

/// A running simulator, as the live line sees it.
pub(super) trait Simulator {
    fn snapshot(&self) -> Snapshot;
    fn is_finished(&self) -> bool;
    fn stop(&self);
    /// PDUs that will be sent in all, where that is known.
    fn expected(&self) -> Option<u64>;
}

/// Shows progress until the simulator has finished. The first SIGINT or SIGTERM ends it gracefully, the second at once.
pub(super) fn watch(name: &str, simulator: &impl Simulator, quiet: bool) {
    let signals = Arc::new(AtomicUsize::new(0));
    install_signal_counter(&signals);
    let bar = (!quiet && io::stderr().is_terminal()).then(|| progress_bar(simulator.expected()));
    let mut last = (Instant::now(), Snapshot::default());
    let mut was_stopped = false;
    for tick in 1_u32.. {
        if simulator.is_finished() {
            break;
        }
        std::thread::sleep(TICK);
        match signals.load(Ordering::Relaxed) {
            0 => {}
            1 if was_stopped => {}
            1 => {
                simulator.stop();
                was_stopped = true;
            }
            _ => std::process::exit(EXIT_INTERRUPTED),
        }
        if tick.is_multiple_of(TICKS_PER_LINE) {
            let now = (Instant::now(), simulator.snapshot());
            let line = live_line(&now.1, &last.1, now.0 - last.0);
            last = now;
            match &bar {
                Some(bar) => {
                    bar.set_position(last.1.answered);
                    bar.set_message(line);
                }
                None => say(name, &line, quiet),
            }
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

/// Prints the final report, as a table or as JSON.
pub(super) fn print(report: &(impl Serialize + Display), json: bool) {
    let text = if json {
        serde_json::to_string_pretty(report).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
    } else {
        report.to_string()
    };
    // A reader that went away is no reason to panic.
    drop(writeln!(io::stdout(), "{text}"));
}

/// Says something on standard error.
pub(super) fn say(name: &str, line: &str, quiet: bool) {
    if !quiet {
        // A closed standard error is no reason to end the run.
        drop(writeln!(io::stderr(), "{name}: {line}"));
    }
}

/// Says why a simulator cannot start, and gives the exit code for it.
pub(super) fn refuse(name: &str, error: &io::Error) -> ExitCode {
    say(name, &error.to_string(), false);
    ExitCode::from(if error.kind() == io::ErrorKind::InvalidInput {
        EXIT_USAGE
    } else {
        EXIT_UNAVAILABLE
    })
}

fn install_signal_counter(signals: &Arc<AtomicUsize>) {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let counter = Arc::clone(signals);
        let count = std::thread::Builder::new().name("signals".to_owned());
        let Ok(mut received) = signal_hook::iterator::Signals::new([signal]) else {
            continue;
        };
        let spawned = count.spawn(move || {
            for _ in received.forever() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        if let Err(error) = spawned {
            tracing::warn!("no thread for signals: {error}");
        }
    }
}

fn progress_bar(expected: Option<u64>) -> ProgressBar {
    let (bar, template) = match expected {
        Some(expected) => (
            ProgressBar::new(expected),
            "{elapsed_precise} [{bar:30}] {percent}% {msg}",
        ),
        None => (ProgressBar::new_spinner(), "{elapsed_precise} {spinner} {msg}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn live_line(now: &Snapshot, before: &Snapshot, elapsed: Duration) -> String {
    let per_second = |now: u64, before: u64| (now.saturating_sub(before)) as f64 / elapsed.as_secs_f64();
    format!(
        "{} bound | sent {:.0}/s | answered {:.0}/s | received {:.0}/s | errors {} | p50 {} p99 {}",
        now.bound,
        per_second(now.sent, before.sent),
        per_second(now.answered, before.answered),
        per_second(now.received, before.received),
        now.failed,
        readable_us(now.latency.p50_us),
        readable_us(now.latency.p99_us),
    )
}
