//! Arguments of `ctl`.

use super::{MessageArguments, help, text};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `ctl`.
#[derive(Debug, Args)]
#[command(after_help = help::CTL, subcommand_required = true, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub struct CtlArguments {
    /// Which smppmux.
    #[command(flatten)]
    pub target: CtlTarget,
    /// File with the token that changes need over HTTP [default: `token-file` of the configuration]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SMPPMUX_TOKEN_FILE",
        help_heading = "Which smppmux"
    )]
    pub token_file: Option<PathBuf>,
    /// Show the answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Show it again and again, every second or so often; with rates from the second time on.
    #[arg(long, global = true, value_name = "INTERVAL", value_parser = text::<Duration>, num_args = 0..=1,
        require_equals = true, default_missing_value = "1s")]
    pub watch: Option<Duration>,
    /// What to show or change.
    #[command(subcommand)]
    pub command: CtlCommand,
}

/// Which smppmux to speak to.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which smppmux")]
pub struct CtlTarget {
    /// Path of its control socket.
    #[arg(long, global = true, value_name = "PATH", env = "SMPPMUX_SOCKET", conflicts_with_all = ["url", "config"])]
    pub socket: Option<PathBuf>,
    /// Its HTTP interface, such as http://127.0.0.1:9775.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "SMPPMUX_URL",
        conflicts_with = "config"
    )]
    pub url: Option<String>,
    /// Its configuration file: the socket or the address is read from there.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to show or change.
#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// The whole at a glance.
    Status,
    /// The servers: sessions, load, requests and answers.
    Servers,
    /// The accounts that have, or have had, a session: sessions, load, requests and answers.
    Clients {
        /// Only those whose system_id starts so.
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
        /// Also those that have had no session since the start.
        #[arg(long)]
        idle: bool,
        /// So many at most.
        #[arg(long, value_name = "ROWS", default_value_t = 1000)]
        limit: u64,
    },
    /// The address ranges that have receiving sessions.
    Pools,
    /// Which routing rule a message would meet, and what it does with it.
    Route {
        /// Tell it, without sending anything.
        #[arg(long, required = true)]
        explain: bool,
        /// The message.
        #[command(flatten)]
        message: Box<MessageArguments>,
    },
    /// The packet engines and the traffic between them.
    Cores,
    /// The queue: what waits for clients, and what they refused for good.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Send no new submits to a server; or end an account's sessions and let it not bind; or, with neither, drain smppmux
    /// and end it, as SIGTERM does.
    Drain(CtlSubject),
    /// End the drain of a server or an account.
    #[command(group = clap::ArgGroup::new("subject").required(true).args(["server", "client"]))]
    Undrain(CtlSubject),
    /// Show the PDUs of a server or an account as they come and go, without passwords.
    #[command(group = clap::ArgGroup::new("subject").required(true).args(["server", "client"]))]
    Trace {
        /// Whose.
        #[command(flatten)]
        subject: CtlSubject,
        /// How: field by field, or for Wireshark.
        #[arg(long, value_enum, default_value_t)]
        format: TraceFormat,
        /// Where to write it [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// For how long.
        #[arg(long = "for", value_name = "DURATION", value_parser = text::<Duration>, default_value = "60s")]
        duration: Duration,
    },
    /// Read the configuration file again, as SIGHUP does.
    Reload,
    /// Change a server's share among its equals, until the configuration is read again.
    Weight {
        /// Name of the server.
        #[arg(value_name = "SERVER")]
        server: String,
        /// Its share, from 1.
        #[arg(value_name = "WEIGHT")]
        weight: u32,
    },
}

/// How a trace is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    /// Field by field.
    #[default]
    Text,
    /// A capture for Wireshark and tshark.
    Pcapng,
}

/// A server or an account.
#[derive(Clone, Debug, Default, Args)]
pub struct CtlSubject {
    /// Name of the server.
    #[arg(long, value_name = "NAME", conflicts_with = "client")]
    pub server: Option<String>,
    /// The account.
    #[arg(long, value_name = "SYSTEM_ID")]
    pub client: Option<String>,
}

/// What to show or change of the queue.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Destinations with messages that wait: how many, how many octets, the age of the oldest.
    List,
    /// Messages that a client refused for good.
    DeadLetters,
    /// Put dead letters back behind the messages of their destinations.
    Redrive {
        /// Number of the dead letter [default: all]
        number: Option<u64>,
    },
    /// Forget dead letters.
    PurgeDeadLetters {
        /// Number of the dead letter [default: all]
        number: Option<u64>,
    },
    /// Forget messages that wait.
    Purge {
        /// Those of this destination address.
        #[arg(required_unless_present = "all")]
        destination: Option<String>,
        /// All of them.
        #[arg(long, conflicts_with = "destination")]
        all: bool,
    },
}
