//! The command line of `smppmux demo`.

use crate::arguments::text;
use crate::config::texts::CpuList;
use clap::Args;
use std::time::Duration;

/// Longest load that the demo runs: it is a demonstration, not an endurance test.
const DURATION_MAX: Duration = Duration::from_secs(3600);
const RATE_MAX: f64 = 10_000_000.0;

/// The main job on loopback, without files or other programs: two simulated SMSCs, a packet engine on every CPU, and
/// ESMEs of three address ranges; MT and MO together, and every message accounted for.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct DemoArguments {
    /// How long the load lasts.
    #[arg(long, short = 'd', default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// ESME connections in all, spread over six clients [default: 12, or two for each engine if that is more].
    #[arg(long, short = 'c', value_name = "N", value_parser = clap::value_parser!(u32).range(6..=10_000))]
    pub connections: Option<u32>,
    /// Unanswered requests on each connection at most, of the ESMEs (MT) and of the SMSCs (MO).
    #[arg(long, short = 'w', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub window: u32,
    /// CPUs that run a packet engine, such as 0-3; a CPU may repeat [default: every CPU, and one CPU twice].
    #[arg(long, value_name = "LIST", value_parser = text::<CpuList>)]
    pub cores: Option<CpuList>,
    /// Messages per second in each direction; without it, as fast as the windows allow.
    #[arg(long, short = 'r', value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    /// Print the figures and the verdict as JSON on standard output, and nothing else.
    #[arg(long)]
    pub json: bool,
}

const AFTER_HELP: &str = "\
The exit code is 0 only if every request got exactly one answer and every MO message reached a client of its address
range exactly once; 1 if not, 69 if the machine lacks something. Ctrl-C ends the load early; the verdict
is still given. Colours are used on a terminal only, and not where NO_COLOR is set.";

fn duration(argument: &str) -> Result<Duration, String> {
    let duration = text::<Duration>(argument)?;
    if duration.is_zero() || duration > DURATION_MAX {
        return Err("the load may last from 1ms to 1h".to_owned());
    }
    Ok(duration)
}

fn rate(argument: &str) -> Result<f64, String> {
    let rate = argument
        .parse()
        .ok()
        .filter(|rate| (1.0..=RATE_MAX).contains(rate));
    rate.ok_or_else(|| format!("`{argument}` is not a rate from 1 to {RATE_MAX} per second"))
}
