//! The command line of `simulate`.

use clap::{Args, Parser, Subcommand};
use smppmux_simulation::{Plan, Reduction, fault_names};
use std::path::PathBuf;
use std::time::Duration;

/// Deterministic simulation of packet engines, SMSCs, ESMEs and the network, with faults and a shadow model.
#[derive(Debug, Parser)]
#[command(
    name = "simulate",
    after_help = "Exit codes: 0 every promise held, 1 one was broken, 64 wrong arguments."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run seeds in order, until one fails.
    Run(Runs),
    /// Run one seed, with a trace of every PDU and core message.
    Replay(Replay),
    /// Run seeds for a time; shrink the first run that fails.
    Soak(Soak),
    /// Run the same load on 1, 2, 4 … engines and tell how the work grows.
    Scale(Scale),
}

#[derive(Args, Debug)]
pub(crate) struct Runs {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    /// How many seeds.
    #[arg(long, short = 'n', default_value_t = 200)]
    pub(crate) runs: u64,
    /// Go on behind a run that fails.
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// At least so many of a thousand messages are segments of concatenated ones.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) segments: Option<u32>,
    /// Threads that run seeds side by side.
    #[arg(long, default_value_t = 1, value_parser = threads)]
    pub(crate) threads: usize,
}

#[derive(Args, Debug)]
pub(crate) struct Soak {
    /// How long: 90s, 30min, 8h.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) time: Duration,
    /// At least so many of a thousand messages are segments of concatenated ones.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) segments: Option<u32>,
    /// The first seed.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) first: u64,
    /// Threads that run seeds side by side.
    #[arg(long, default_value_t = 1, value_parser = threads)]
    pub(crate) threads: usize,
    /// How long a run that fails is made smaller.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub(crate) shrink_for: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Scale {
    /// Engines at most, a power of two.
    #[arg(long, default_value_t = 256)]
    pub(crate) engines: usize,
    /// Clients, each bound on one engine with a range of its own.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) clients: usize,
    /// Servers, each with one session on one of the engines.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) servers: usize,
    /// Messages in each direction.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) messages: usize,
    /// Draw the figures.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The seed.
    seed: u64,
    /// Another course of chance for the same scenario.
    #[arg(long, default_value_t = 0)]
    salt: u64,
    /// Faults that never strike.
    #[arg(long, value_delimiter = ',', value_parser = fault)]
    without: Vec<String>,
    /// Engines at most.
    #[arg(long)]
    engines: Option<usize>,
    /// ESMEs at most.
    #[arg(long)]
    esmes: Option<usize>,
    /// Milliseconds during which faults strike at most.
    #[arg(long)]
    chaos_ms: Option<u64>,
    /// At least so many of a thousand messages are segments of concatenated ones.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) segments: Option<u32>,
    /// Print the outcome only.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// If it fails, look for a smaller run that does, for so long.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) shrink_for: Option<Duration>,
}

impl Replay {
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            seed: self.seed,
            salt: self.salt,
            reduction: Reduction {
                without: self.without.clone(),
                engines: self.engines,
                esmes: self.esmes,
                chaos_ms: self.chaos_ms,
                segments: self.segments,
            },
        }
    }
}

fn fault(name: &str) -> Result<String, String> {
    if fault_names().contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "no fault is called so; there are {}",
        fault_names().join(", ")
    ))
}

fn threads(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=256).contains(count));
    count.ok_or_else(|| "1 to 256 threads".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let split = text.find(|character: char| !character.is_ascii_digit());
    let (number, unit) = text.split_at(split.unwrap_or(text.len()));
    let factor = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        _ => return Err("a whole number of s, min or h".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "a whole number of s, min or h".to_owned())?;
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .ok_or_else(|| "too long".to_owned())
}
