//! What the shell is told: which CPUs, how much room, how connections are spread. The rest is the core's `Settings`.

use super::io_driver::IoDriver;
use super::message_log::MessageLogLanes;
use super::receipt_log::ReceiptLog;
use super::tls::TlsSettings;
use crate::store::StoreSettings;
use smppmux_flow_distributor as flow_distributor;
use std::time::Duration;

/// The shell's settings, the same for every engine.
#[derive(Clone, Debug)]
pub struct ShellSettings {
    /// The CPU of each engine, one engine for each entry (`--cores`). A CPU may repeat.
    pub cpus: Vec<usize>,
    /// How the engines talk to the kernel (`--io`).
    pub io_driver: IoDriver,
    /// How long an engine with nothing to do looks for work before it sleeps (`--spin-before-park`). Costs a whole CPU
    /// and saves the time to wake up.
    pub spin_before_park: Duration,
    /// Entries of each io_uring (`--ring-depth`), 1 to 4096. Not less than the connections that end at the same time
    /// by the hundred; memory is about 300 octets for each.
    pub ring_depth: usize,
    /// Memory registered with each io_uring for I/O of files, which the engines do not do (`--io-memory`); small.
    pub io_memory_octets: usize,
    /// The most that one read takes from a connection (`--read-buffer`). One such buffer serves all connections of a
    /// core; what a connection has left of an incomplete PDU is kept apart.
    pub read_buffer_octets: usize,
    /// Octets that one turn reads from all connections together before it looks at the other cores' messages again
    /// (`--turn-budget`).
    pub turn_budget_octets: usize,
    /// Requests that may be under way from one core to another (`--c2c-capacity`). Not less than
    /// `EngineSettings::core_requests_max`.
    pub core_requests_max: usize,
    /// How new connections are spread over the engines (`--distribution`, `--rss-hash`, `--rss-key`, `--rss-bits`).
    /// Its `cores` must be the number of `cpus`.
    pub distribution: flow_distributor::Settings,
    /// TLS on both sides.
    pub tls: TlsSettings,
    /// Where receipts and mapped ids are kept over a restart, opened; `None`: nowhere.
    pub receipt_log: Option<ReceiptLog>,
    /// Where records of messages go; `None`: nowhere, whatever `Settings::has_message_log` says.
    pub message_log: Option<MessageLogLanes>,
    /// Where queued messages are kept; goes with `EngineSettings::has_queue`.
    pub store: Option<StoreSettings>,
}

impl ShellSettings {
    /// The defaults, with one engine on each of these CPUs.
    pub fn for_cpus(cpus: Vec<usize>) -> Self {
        let distribution = flow_distributor::Settings::for_cores(cpus.len());
        Self {
            cpus,
            io_driver: IoDriver::Auto,
            spin_before_park: Duration::ZERO,
            ring_depth: 1024,
            io_memory_octets: 64 * 1024,
            read_buffer_octets: 64 * 1024,
            turn_budget_octets: 256 * 1024,
            core_requests_max: 1024,
            distribution,
            tls: TlsSettings::default(),
            receipt_log: None,
            message_log: None,
            store: None,
        }
    }
}
