//! Arguments of `smppmux passwd`.

use clap::Args;

/// What a new hash costs.
#[derive(Clone, Copy, Debug, Args)]
pub struct PasswdArguments {
    /// Memory that one verification takes, in KiB: 8 to 262144.
    #[arg(long, value_name = "KIB", default_value_t = 19_456, value_parser = clap::value_parser!(u32).range(8..=262_144))]
    pub memory_kib: u32,
    /// Passes over that memory: 1 to 20.
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub passes: u32,
}
