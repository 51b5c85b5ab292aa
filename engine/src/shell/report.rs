//! Figures of one core as the control core gets them: the engine's own and the shell's.

use crate::core::figures::Latency;
use crate::core::report::Report;

/// One core's figures at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreReport {
    /// What the packet engine counted.
    pub engine: Report,
    /// What the shell around it counted.
    pub shell: ShellReport,
    /// How it spreads new connections.
    pub steering: SteeringReport,
}

/// How one core spreads the connections that it accepts. Empty where `distribution` has no buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SteeringReport {
    /// Version of the indirection table in use.
    pub table_version: u64,
    /// Connections that were accepted on this core since its start, by the bucket that said where they belong.
    pub arrivals: Vec<u64>,
}

/// What the shell of one core counted since its start. `links_open` and `mailbox_messages` are gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShellReport {
    /// Sockets that are open on this core, those that are closing included.
    pub links_open: u64,
    /// Connections that this core's listeners accepted.
    pub accepted: u64,
    /// Accepted connections that went to another core.
    pub handed_over: u64,
    /// Accepted connections that belonged to another core and stayed, because its mailbox was full.
    pub hand_overs_refused: u64,
    /// Connections that came from another core's listener.
    pub received_by_hand_over: u64,
    /// Connections that were sent to the core of their account when their bind had come; some may have come back.
    pub moved_to_account: u64,
    /// Connections that stayed though their account may belong to another core: that one took nothing, or too many waited for their
    /// binds.
    pub account_moves_refused: u64,
    /// Connections that came here because this is the core of their account.
    pub received_for_account: u64,
    /// Connections that the engine did not want (its table is full, or a drain is on).
    pub not_admitted: u64,
    /// Connections that a limit of their vserver or address refused.
    pub refused_by_limit: u64,
    /// Connections of addresses that are banned or have to wait.
    pub refused_by_ban: u64,
    /// Connections whose PROXY protocol header was missing, wrong or late.
    pub greetings_failed: u64,
    /// TLS handshakes that came to their end, on both sides.
    pub handshakes: u64,
    /// TLS handshakes and connections that failed or, of clients, took too long.
    pub handshakes_failed: u64,
    /// accept calls that failed for want of a resource of the host.
    pub accept_errors: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// How long the turns took that had something to do: from what the kernel brought to the next look for more. With the glommio
    /// driver, which reads in tasks of their own, without that part.
    pub turn_times: Latency,
    /// Messages of other cores that wait in the mailbox.
    pub mailbox_messages: u64,
    /// Messages that went to other cores.
    pub core_messages_sent: u64,
    /// Messages that came from other cores.
    pub core_messages_received: u64,
    /// Messages to other cores that were refused.
    pub core_messages_refused: u64,
    /// Sleeping cores that this one has woken.
    pub core_wakes: u64,
    /// Notices that were dropped because the reader of the events was too slow.
    pub events_dropped: u64,
}
