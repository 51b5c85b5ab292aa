//! The command line of `smppmux smsc`; also what programs fill in to run it in-process.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, FromArgMatches};

use super::choice::{
    Account, FinalState, MessageIdFormat, MobileOriginated, ReceiptForm, ReceiptIdFormat, ReceiptSession,
};
use crate::simulator::esme::InterfaceVersion;
use crate::simulator::message::MessageCommand;
use crate::simulator::pattern::Pattern;
use crate::simulator::payload::PayloadArguments;
use crate::simulator::tls::ServerTlsArguments;
use crate::simulator::value::{Chance, Delay, StatusChance, parse_duration};

/// A simulated message centre: answers, delivers MO traffic and receipts, injects faults, and checks what it is sent.
#[derive(Args, Clone, Debug)]
pub struct SmscArguments {
    /// Where to listen; repeatable, port 0 takes any free port.
    #[arg(long, short = 'l', value_name = "ADDRESS", default_value = "127.0.0.1:2776")]
    pub listen: Vec<SocketAddr>,
    /// TLS of whoever connects.
    #[command(flatten)]
    pub tls: ServerTlsArguments,
    /// Who may bind; repeatable. None given: anyone.
    #[arg(long, short = 'a', value_name = "SYSTEM_ID:PASSWORD", help_heading = "Binds")]
    pub account: Vec<Account>,
    /// system_id in the bind response.
    #[arg(long, default_value = "smsc", help_heading = "Binds")]
    pub system_id: String,
    /// Highest SMPP version that this message centre speaks.
    #[arg(long, value_enum, default_value = "3.4", help_heading = "Binds")]
    pub interface_version: InterfaceVersion,
    /// Refuse so many binds, such as 10%=ESME_RBINDFAIL; repeatable.
    #[arg(long, value_name = "PERCENT=STATUS", help_heading = "Binds")]
    pub refuse_bind: Vec<StatusChance>,
    /// Refuse the first N binds with ESME_RBINDFAIL.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Binds")]
    pub refuse_first: u64,
    /// Form of the message ids.
    #[arg(long, value_enum, default_value = "token", help_heading = "Answers")]
    pub message_id: MessageIdFormat,
    /// The first message id's number.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Answers")]
    pub first_message_id: u64,
    /// How long a message waits for its answer: 10ms, 5ms..20ms or exp:10ms.
    #[arg(long, default_value = "0s", help_heading = "Answers")]
    pub delay: Delay,
    /// Answer so many messages with an error, such as 1%=ESME_RTHROTTLED; repeatable.
    #[arg(long, value_name = "PERCENT=STATUS", help_heading = "Faults")]
    pub error: Vec<StatusChance>,
    /// Never answer so many messages.
    #[arg(long, value_name = "PERCENT", default_value = "0%", help_heading = "Faults")]
    pub unanswered: Chance,
    /// Answer so many messages late.
    #[arg(long, value_name = "PERCENT", default_value = "0%", help_heading = "Faults")]
    pub late: Chance,
    /// How late a late answer is.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration, help_heading = "Faults")]
    pub late_by: Duration,
    /// Answer so many messages twice.
    #[arg(long, value_name = "PERCENT", default_value = "0%", help_heading = "Faults")]
    pub duplicate: Chance,
    /// Drop the connection at so many messages, without an answer.
    #[arg(long, value_name = "PERCENT", default_value = "0%", help_heading = "Faults")]
    pub drop: Chance,
    /// Drop each connection after so many messages; 0 never.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Faults")]
    pub drop_after: u64,
    /// Unanswered requests that one session may have; more are counted as violations.
    #[arg(long, value_name = "N", help_heading = "Checks")]
    pub window_max: Option<u64>,
    /// MO traffic: destination pattern, PDUs per second (or max) and how many messages; such as 888765=100 or
    /// 888765{n:06}=max:5000. A destination without a counter gets {n:06}. Repeatable.
    #[arg(long, value_name = "DESTINATION=RATE[:COUNT]", help_heading = "MO")]
    pub mo: Vec<MobileOriginated>,
    /// Send MO to every receiving session, whatever address_range it bound with.
    #[arg(long, help_heading = "MO")]
    pub ignore_ranges: bool,
    /// PDU that carries MO: deliver_sm or data_sm.
    #[arg(long, value_enum, default_value = "deliver_sm", help_heading = "MO")]
    pub mo_command: MessageCommand,
    /// source_addr of MO; a pattern.
    #[arg(
        long,
        value_name = "PATTERN",
        default_value = "4477009{n:06}",
        help_heading = "MO"
    )]
    pub mo_source: Pattern,
    /// source_addr_ton and dest_addr_ton of MO.
    #[arg(long, default_value_t = 1, help_heading = "MO")]
    pub mo_ton: u8,
    /// source_addr_npi and dest_addr_npi of MO.
    #[arg(long, default_value_t = 1, help_heading = "MO")]
    pub mo_npi: u8,
    /// Unanswered MO messages, and as many receipts, on each session at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "MO")]
    pub mo_window: u32,
    /// How long after the first receiving bind MO starts.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration, help_heading = "MO")]
    pub mo_after: Duration,
    /// Hold MO back until [`super::SmscHandle::release_mobile_originated`]; for programs.
    #[arg(skip)]
    pub mo_held: bool,
    /// The text of MO messages.
    #[command(flatten)]
    pub payload: PayloadArguments,
    /// How long after its message a delivery receipt is sent, and a message counts as delivered.
    #[arg(long, value_name = "DELAY", default_value = "1s", help_heading = "Receipts")]
    pub receipt_delay: Delay,
    /// The final state that messages reach.
    #[arg(long, value_enum, default_value = "delivered", help_heading = "Receipts")]
    pub receipt_state: FinalState,
    /// Where a receipt names its message.
    #[arg(long, value_enum, default_value = "both", help_heading = "Receipts")]
    pub receipt_form: ReceiptForm,
    /// Form of the id in receipts.
    #[arg(long, value_enum, default_value = "same", help_heading = "Receipts")]
    pub receipt_id: ReceiptIdFormat,
    /// Which session of the account gets the receipt.
    #[arg(long, value_enum, default_value = "any", help_heading = "Receipts")]
    pub receipt_session: ReceiptSession,
    /// Accepted messages that query_sm, cancel_sm and replace_sm can find; the oldest go first.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000), help_heading = "Store")]
    pub store_max: u32,
    /// Refuse cancel_sm and replace_sm for messages in a final state.
    #[arg(long, help_heading = "Store")]
    pub strict_states: bool,
    /// How long a new connection may take to bind.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration, help_heading = "Session")]
    pub bind_timeout: Duration,
    /// How long to wait for an answer.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration, help_heading = "Session")]
    pub response_timeout: Duration,
    /// Send enquire_link when nothing was received for so long; 0s never.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration, help_heading = "Session")]
    pub enquire_link_interval: Duration,
    /// How long to run; without it, until interrupted.
    #[arg(long, short = 'd', value_parser = parse_duration, help_heading = "Run")]
    pub duration: Option<Duration>,
    /// Threads that drive the sessions.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Run")]
    pub threads: u16,
    /// Seed of the injected faults and delays.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Run")]
    pub seed: u64,
    /// MO that is answered with an error does not make the run a failure.
    #[arg(long, help_heading = "Run")]
    pub allow_errors: bool,
    /// Print the report as JSON on standard output.
    #[arg(long, help_heading = "Run")]
    pub json: bool,
    /// No progress on standard error.
    #[arg(long, short = 'q', help_heading = "Run")]
    pub quiet: bool,
}

impl Default for SmscArguments {
    /// The defaults of the command line.
    fn default() -> Self {
        let command = Self::augment_args(clap::Command::new("smsc"));
        let matches = command.get_matches_from(["smsc"]);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}
