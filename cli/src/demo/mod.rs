//! `smppmux demo`: the main job on loopback in one process, with live figures and a verdict.
//!
//! Two simulated SMSCs, a packet engine on every CPU, ESMEs of three address ranges; MT and MO run together, and some MO
//! crosses cores. `stage` runs it, `evidence` is what is known at its end, `verdict` judges that, `figures` and `table`
//! show it. It must never pass by not looking: what could not be counted is a fault.

mod arguments;
mod cast;
mod configuration;
mod evidence;
mod figures;
mod live;
mod scenario;
mod stage;
mod table;
#[cfg(test)]
mod tests;
mod verdict;

pub use arguments::DemoArguments;

use crate::check::available_cpus;
use crate::exit::{self, Failure};
use crate::style::Style;
use figures::Figures;
use live::Live;
use scenario::Scenario;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use stage::Stage;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often is looked whether the demo was interrupted.
const TICK: Duration = Duration::from_millis(50);
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Runs the demo and shows its figures. The code is 0 only if every check passed.
///
/// # Errors
/// Exit code 64 for arguments that do not fit together, 69 when the machine lacks something, 1 when not everything could be
/// bound.
pub(crate) fn demo(arguments: &DemoArguments) -> Result<ExitCode, Failure> {
    let available_cpus = available_cpus();
    let scenario = Scenario::new(arguments, &available_cpus)?;
    let interrupted = interruption()?;
    let mut live = Live::new(arguments.json);
    live.announce(&scenario);
    let duration = scenario.duration;
    let stage = Stage::start(scenario, &available_cpus)?;
    let mut next_line = LINE_INTERVAL;
    while stage.elapsed() < duration && !interrupted.load(Ordering::Relaxed) {
        let until = next_line.min(duration);
        std::thread::sleep(until.saturating_sub(stage.elapsed()).min(TICK));
        if stage.elapsed() >= next_line {
            live.show(stage.elapsed(), stage.glance());
            next_line += LINE_INTERVAL;
        }
    }
    live.say("");
    let figures = Figures::of(&stage.finish());
    crate::print(&shown(&figures, arguments.json)?);
    Ok(ExitCode::from(if figures.passed {
        exit::OK
    } else {
        exit::FAILED
    }))
}

fn shown(figures: &Figures, json: bool) -> Result<String, Failure> {
    if !json {
        return Ok(table::render(Style::of(&io::stdout()), figures));
    }
    let text = serde_json::to_string_pretty(figures);
    text.map(|text| text + "\n")
        .map_err(|error| Failure::new(exit::SOFTWARE, format!("smppmux demo: {error}")))
}

/// Set by the first SIGINT or SIGTERM; the second ends the process at once.
fn interruption() -> Result<Arc<AtomicBool>, Failure> {
    /// What a shell reports for a process that a signal has ended, without the signal's number.
    const ENDED_BY_SIGNAL: i32 = 128;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL + signal, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .map_err(|error| {
                Failure::new(exit::UNAVAILABLE, format!("signals cannot be received: {error}"))
            })?;
    }
    Ok(interrupted)
}
