//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Tries an SMPP balancer between ESMEs and two SMSCs of its own, row by row of what breaks in the field.
///
/// Without --target it starts smppmux for each script. With it, any balancer is tried that was configured as
/// --print-setting says.
#[derive(Debug, Parser)]
#[command(name = "smppmux-conformance")]
pub(crate) struct Arguments {
    /// Rows to run: a number, or `malformed`. All without it.
    #[arg(long, value_delimiter = ',', value_name = "ROW")]
    pub(crate) only: Vec<String>,
    /// Say what there is, and run nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// Results as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Scripts at a time, each with a smppmux of its own.
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub(crate) jobs: usize,
    /// Numbers of packet engines to try smppmux with, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1,4", value_name = "N")]
    pub(crate) engines: Vec<usize>,
    /// Run also what smppmux does not claim to pass yet. Other balancers are always tried with all.
    #[arg(long, conflicts_with_all = ["target", "write_document", "check_document"])]
    pub(crate) unclaimed: bool,
    /// The smppmux to try, instead of the one that this program holds.
    #[arg(long, value_name = "PATH", conflicts_with = "target")]
    pub(crate) smppmux: Option<PathBuf>,
    /// The balancer to try: where its clients connect.
    #[arg(long, value_name = "ADDR", requires_all = ["smsc_a", "smsc_b"])]
    pub(crate) target: Option<SocketAddr>,
    /// Where that balancer expects SMSC A.
    #[arg(long, value_name = "ADDR")]
    pub(crate) smsc_a: Option<SocketAddr>,
    /// Where that balancer expects SMSC B.
    #[arg(long, value_name = "ADDR")]
    pub(crate) smsc_b: Option<SocketAddr>,
    /// How that balancer is started, in the foreground, by the shell; it is ended by SIGTERM after each script.
    #[arg(long, value_name = "COMMAND", requires = "target")]
    pub(crate) command: Option<String>,
    /// The setting that balancer is configured for; scripts for others are passed over, and counted.
    #[arg(long, value_name = "NAME", requires = "target", default_value = "standard")]
    pub(crate) setting: String,
    /// Say what a setting asks for, with smppmux's configuration as the pattern.
    #[arg(long, value_name = "NAME", exclusive = true)]
    pub(crate) print_setting: Option<String>,
    /// Write the page of results to this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "target"])]
    pub(crate) write_document: Option<PathBuf>,
    /// Fail unless this file is the page of results.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "target"])]
    pub(crate) check_document: Option<PathBuf>,
    /// Spoil smppmux's work in every known way, and fail unless the scenario for it fails each time.
    #[arg(long, conflicts_with_all = ["target", "write_document", "check_document"])]
    pub(crate) sabotage: bool,
}
