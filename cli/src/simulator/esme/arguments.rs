//! The command line of `smppmux esme`; also what programs fill in to run it in-process.

use std::time::Duration;

use clap::{Args, FromArgMatches, ValueEnum};
use smppmux_engine::core::wire::{CommandId, Version};

use crate::simulator::message::MessageCommand;
use crate::simulator::pattern::Pattern;
use crate::simulator::payload::PayloadArguments;
use crate::simulator::tls::ClientTlsArguments;
use crate::simulator::value::{Chance, Delay, StatusChance, parse_duration};

/// Load ESMEs: bind, send messages at a rate or as fast as the window allows, and check every answer.
///
/// Patterns may hold counters: {n} is the account (in accounts and ranges) or the message (in addresses), {c} the
/// connection; {n:06} pads to six digits.
#[derive(Args, Clone, Debug)]
pub struct EsmeArguments {
    /// Where to connect; repeat it to spread the connections.
    #[arg(long, short = 't', value_name = "ADDRESS", default_value = "127.0.0.1:2775")]
    pub target: Vec<String>,
    /// TLS towards the targets.
    #[command(flatten)]
    pub tls: ClientTlsArguments,
    /// Account; a pattern such as esme{n}, or repeated.
    #[arg(
        long,
        short = 'u',
        value_name = "PATTERN",
        default_value = "esme1",
        help_heading = "Bind"
    )]
    pub system_id: Vec<Pattern>,
    /// Password; a pattern, or repeated as often as --system-id.
    #[arg(
        long,
        short = 'p',
        value_name = "PATTERN",
        default_value = "secret",
        help_heading = "Bind"
    )]
    pub password: Vec<Pattern>,
    /// Accounts that {n} counts through; the connections take them in turn [default: as many as connections].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Bind")]
    pub accounts: Option<u32>,
    /// system_type of the bind.
    #[arg(long, default_value = "", help_heading = "Bind")]
    pub system_type: String,
    /// Kind of bind.
    #[arg(long, value_enum, default_value = "transceiver", help_heading = "Bind")]
    pub bind: BindKind,
    /// SMPP version of the bind.
    #[arg(long, value_enum, default_value = "3.4", help_heading = "Bind")]
    pub interface_version: InterfaceVersion,
    /// address_range of the bind; a pattern, or repeated for the connections in turn.
    #[arg(long, value_name = "PATTERN", help_heading = "Bind")]
    pub address_range: Vec<Pattern>,
    /// addr_ton of the bind.
    #[arg(long, default_value_t = 0, help_heading = "Bind")]
    pub addr_ton: u8,
    /// addr_npi of the bind.
    #[arg(long, default_value_t = 0, help_heading = "Bind")]
    pub addr_npi: u8,
    /// Connections.
    #[arg(long, short = 'c', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Load")]
    pub connections: u32,
    /// Unanswered messages on each connection at most.
    #[arg(long, short = 'w', value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Load")]
    pub window: u32,
    /// PDUs per second over all connections, on a fixed schedule; without it, as fast as the window allows.
    #[arg(long, short = 'r', value_name = "PER_SECOND", value_parser = parse_rate, help_heading = "Load")]
    pub rate: Option<f64>,
    /// Messages in all, shared evenly by the connections.
    #[arg(long, short = 'n', value_name = "N", help_heading = "Load")]
    pub count: Option<u64>,
    /// How long to send; without --count and --duration, until interrupted.
    #[arg(long, short = 'd', value_parser = parse_duration, help_heading = "Load")]
    pub duration: Option<Duration>,
    /// How long to stay bound for messages and receipts after the last answer.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration, help_heading = "Load")]
    pub linger: Duration,
    /// PDU that carries the messages: submit_sm or data_sm.
    #[arg(long, value_enum, default_value = "submit_sm", help_heading = "Messages")]
    pub command: MessageCommand,
    /// source_addr; a pattern.
    #[arg(
        long,
        value_name = "PATTERN",
        default_value = "888765",
        help_heading = "Messages"
    )]
    pub source: Pattern,
    /// source_addr_ton.
    #[arg(long, default_value_t = 1, help_heading = "Messages")]
    pub source_ton: u8,
    /// source_addr_npi.
    #[arg(long, default_value_t = 1, help_heading = "Messages")]
    pub source_npi: u8,
    /// destination_addr; a pattern.
    #[arg(
        long,
        value_name = "PATTERN",
        default_value = "4477009{n:06}",
        help_heading = "Messages"
    )]
    pub destination: Pattern,
    /// dest_addr_ton.
    #[arg(long, default_value_t = 1, help_heading = "Messages")]
    pub destination_ton: u8,
    /// dest_addr_npi.
    #[arg(long, default_value_t = 1, help_heading = "Messages")]
    pub destination_npi: u8,
    /// service_type.
    #[arg(long, default_value = "", help_heading = "Messages")]
    pub service_type: String,
    /// registered_delivery: 1 asks for a delivery receipt.
    #[arg(long, default_value_t = 0, help_heading = "Messages")]
    pub registered_delivery: u8,
    /// The text of the messages.
    #[command(flatten)]
    pub payload: PayloadArguments,
    /// How long a received message waits for its answer: 10ms, 5ms..20ms or exp:10ms.
    #[arg(
        long,
        value_name = "DELAY",
        default_value = "0s",
        help_heading = "Received messages"
    )]
    pub deliver_delay: Delay,
    /// Answer so many received messages with an error, such as 1%=ESME_RX_T_APPN; repeatable.
    #[arg(long, value_name = "PERCENT=STATUS", help_heading = "Received messages")]
    pub deliver_error: Vec<StatusChance>,
    /// Never answer so many received messages.
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "0%",
        help_heading = "Received messages"
    )]
    pub deliver_unanswered: Chance,
    /// How long to wait for an answer.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration, help_heading = "Session")]
    pub response_timeout: Duration,
    /// Send enquire_link when nothing was received for so long; 0s never.
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = parse_duration, help_heading = "Session")]
    pub enquire_link_interval: Duration,
    /// Pause before a lost connection is opened again; 0s leaves it closed.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = parse_duration, help_heading = "Session")]
    pub reconnect: Duration,
    /// Tries in a row without a successful bind before a connection gives up; 0 is no limit.
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Session")]
    pub attempts: u32,
    /// First sequence number of each connection, 1 to 2147483647.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=0x7FFF_FFFF), help_heading = "Session")]
    pub first_sequence_number: u32,
    /// Threads that drive the connections.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Run")]
    pub threads: u16,
    /// Seed of the injected faults and delays.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Run")]
    pub seed: u64,
    /// Answers with an error status do not make the run a failure.
    #[arg(long, help_heading = "Run")]
    pub allow_errors: bool,
    /// Print the report as JSON on standard output.
    #[arg(long, help_heading = "Run")]
    pub json: bool,
    /// No progress on standard error.
    #[arg(long, short = 'q', help_heading = "Run")]
    pub quiet: bool,
}

impl Default for EsmeArguments {
    /// The defaults of the command line.
    fn default() -> Self {
        let command = Self::augment_args(clap::Command::new("esme"));
        let matches = command.get_matches_from(["esme"]);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// Kind of bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BindKind {
    /// bind_transmitter: sends only.
    Transmitter,
    /// bind_receiver: receives only.
    Receiver,
    /// bind_transceiver: both.
    Transceiver,
}

impl BindKind {
    pub(crate) const fn command_id(self) -> CommandId {
        match self {
            Self::Transmitter => CommandId::BIND_TRANSMITTER,
            Self::Receiver => CommandId::BIND_RECEIVER,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }
}

/// interface_version of a bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InterfaceVersion {
    /// SMPP v3.3: no TLVs, no transceiver.
    #[value(name = "3.3")]
    V3_3,
    /// SMPP v3.4.
    #[value(name = "3.4")]
    V3_4,
    /// SMPP v5.0.
    #[value(name = "5.0")]
    V5_0,
}

impl InterfaceVersion {
    pub(crate) const fn version(self) -> Version {
        match self {
            Self::V3_3 => Version::from_interface_version(0x33),
            Self::V3_4 => Version::from_interface_version(0x34),
            Self::V5_0 => Version::from_interface_version(0x50),
        }
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    const RATE_MAX: f64 = 10_000_000.0;
    let rate = text.parse().ok().filter(|rate| (0.001..=RATE_MAX).contains(rate));
    rate.ok_or_else(|| format!("`{text}` is not a rate between 0.001 and {RATE_MAX} per second"))
}
