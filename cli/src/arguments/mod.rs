//! The command line: every subcommand, flag, unit and default, and the exit code of a wrong one.

mod ctl;
mod help;
mod passwd;
mod route;
mod serve;

pub use ctl::{CtlArguments, CtlCommand, CtlSubject, CtlTarget, QueueCommand, TraceFormat};
pub use passwd::PasswdArguments;
pub use route::{MessageArguments, RouteArguments};
pub use serve::{CheckArguments, LogFormat, LogLevel, ServeArguments};

use crate::config::value::Text;
use crate::demo::DemoArguments;
use crate::exit;
use crate::simulator::esme::EsmeArguments;
use crate::simulator::smsc::SmscArguments;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// SMPP load balancer and message router.
///
/// smppmux stands between many ESMEs (applications that send and receive short messages) and many SMSCs
/// (message centres): to an ESME it is an SMSC, to an SMSC it is an ESME. One packet engine runs on each
/// core.
#[derive(Debug, Parser)]
#[command(name = "smppmux", version, after_help = help::EXAMPLES, max_term_width = 110)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What smppmux can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the load balancer until SIGTERM or SIGINT.
    Serve(Box<ServeArguments>),
    /// Check a configuration file and tell how many binds each server will see.
    Check(CheckArguments),
    /// Tell what the routing rules of a configuration would do with a message.
    Route(Box<RouteArguments>),
    /// Show the main job on loopback: two SMSCs, an engine on every CPU, ESMEs; live figures and a verdict.
    Demo(DemoArguments),
    /// Load ESMEs: send messages at a rate or as fast as the window allows, and check every answer.
    Esme(Box<EsmeArguments>),
    /// A simulated message centre: answers, delivers MO and receipts, injects faults, checks its clients.
    Smsc(Box<SmscArguments>),
    /// Make the hash of a password, for `password-hash` of an account. The password is asked for, or read from standard input.
    #[command(after_help = help::PASSWD)]
    Passwd(PasswdArguments),
    /// Look into a running smppmux and change it.
    Ctl(Box<CtlArguments>),
    /// Watch a running smppmux in the terminal: rates, response times, cores, servers, clients, queue.
    #[command(after_help = help::TOP)]
    Top(Box<CtlTarget>),
    /// Decode PDUs, explain names and numbers of SMPP.
    #[command(subcommand)]
    Pdu(PduCommand),
    /// Write completions of these commands for a shell to standard output.
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell.
        #[arg(value_name = "SHELL", value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write manual pages of these commands into a folder.
    Man {
        /// The folder; it is made if it is not there.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

/// Work on single PDUs.
#[derive(Debug, Subcommand)]
pub enum PduCommand {
    /// Show a PDU field by field, with offsets and the names of all values.
    #[command(after_help = help::PDU_DECODE)]
    Decode {
        /// The PDU in hexadecimal; blanks, colons and 0x are skipped. "-" reads it from standard input.
        #[arg(value_name = "HEX", required = true)]
        hex: Vec<String>,
    },
    /// Explain a command, status or TLV by its name or number.
    #[command(after_help = help::PDU_EXPLAIN)]
    Explain {
        /// A name or part of it (submit_sm, ESME_RTHROTTLED, message_payload) or a number (0x00000058, 88,
        /// 0x0424).
        #[arg(value_name = "NAME|NUMBER")]
        word: String,
    },
}

impl Arguments {
    /// Reads the process's arguments. On `--help`, `--version` and usage errors the text has been written,
    /// and the exit code comes back.
    ///
    /// # Errors
    ///
    /// The code to exit with: 0 for `--help` and `--version`, 64 for wrong arguments.
    pub fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // A closed standard output is no reason to fail over a help text.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK })
        })
    }
}

/// Lets clap read any text value of the configuration.
pub(crate) fn text<T: Text>(argument: &str) -> Result<T, String> {
    T::parse_text(argument)
}
