//! `[engine]`: limits and tuning that hold for every packet engine. Each per-core flag of `serve` is a key
//! here too.

use super::choices::Rebalance;
use super::key::Key;
use super::section::Section;
use super::texts::{CpuList, Octets};
use serde::Deserialize;
use smppmux_engine::shell::IoDriver;
use smppmux_flow_distributor::{PinRule, RssHash, RssKey, Scheme};
use std::time::Duration;

/// The keys of `[engine]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct EngineSection {
    /// CPUs that run a packet engine, one engine for each entry. Default: every CPU that the process may use.
    pub cores: Key<Option<CpuList>>,
    /// CPU that the control core is pinned to. Default: not pinned.
    pub control_core: Key<Option<u16>>,
    /// How the engines talk to the kernel. Default: `"auto"`.
    pub io: Key<IoDriver>,
    /// How long an idle engine looks for work before it sleeps. Default: `"0us"`.
    pub spin_before_park: Key<Duration>,
    /// Entries of each engine's io_uring submission ring, a power of two. Default: 1024.
    pub ring_depth: Key<u32>,
    /// Memory that each engine registers with io_uring, in octets. Default: `"64KiB"`.
    pub io_memory: Key<Octets>,
    /// The most that one read takes from a connection, in octets. Default: `"64KiB"`.
    pub read_buffer: Key<Octets>,
    /// Octets that one turn reads before it looks at the other cores' messages again. Default: `"256KiB"`.
    pub turn_budget: Key<Octets>,
    /// Requests under way from one core to another at most. Default: 1024.
    pub c2c_capacity: Key<u32>,
    /// Which core gets a new connection. Default: `"rss"`.
    pub distribution: Key<Scheme>,
    /// The hash of the `rss` distributions. Default: `"ahash"`.
    pub rss_hash: Key<RssHash>,
    /// Key of that hash: 80 hexadecimal digits. Default: Microsoft's published key for `toeplitz`, a random
    /// one for `ahash`.
    pub rss_key: Key<Option<RssKey>>,
    /// Low bits of the hash that index the table of 2^bits places. Default: 7.
    pub rss_bits: Key<u8>,
    /// Rules that come before `distribution`: connections of a network or a vserver go to these engines only.
    /// Default: none.
    pub pins: Key<Vec<Key<PinRule>>>,
    /// Whether the table of the `rss` distributions is rewritten when the engines are uneven. Default: `"off"`.
    pub rebalance: Key<Rebalance>,
    /// How often the load of the engines is looked at for that. Default: `"5s"`.
    pub rebalance_interval: Key<Duration>,
    /// How far above the mean the busiest engine may be, in percent of the mean. Default: 20.
    pub rebalance_threshold: Key<u32>,
    /// Sessions that every core keeps towards a server that does not say otherwise. Default: 1.
    pub connections_per_server: Key<u32>,
    /// Requests in flight on a session of a server that does not say otherwise. Default: 1000.
    pub window: Key<u32>,
    /// The first sequence number on each server session. Default: 1.
    pub first_sequence_number: Key<u32>,
    /// How long a drain waits for answers that are due. Default: `"30s"`.
    pub drain_timeout: Key<Duration>,
    /// Largest command_length that is accepted, in octets. Default: 81920.
    pub max_pdu: Key<Octets>,
    /// Connections of one engine at most, clients and servers together. Default: 20000.
    pub max_sessions: Key<u32>,
    /// Octets that may wait to be written to a client. Default: `"1MiB"`.
    pub output_buffer: Key<Octets>,
    /// Octets that may wait to be written to a session of a server before it gets no more requests, at least `output-buffer`. Default: 256 for each request of
    /// the largest window, at most `"8MiB"`.
    pub server_output_buffer: Key<Option<Octets>>,
    /// Refuse a client's system_id over 15 and password over 8 octets, as the specification has it. Default:
    /// false.
    pub strict_lengths: Key<bool>,
}

impl Section for EngineSection {
    const NAME: &'static str = "[engine]";
}

impl Default for EngineSection {
    fn default() -> Self {
        Self {
            cores: Key::unset(),
            control_core: Key::unset(),
            io: Key::by_default(IoDriver::Auto),
            spin_before_park: Key::by_default(Duration::ZERO),
            ring_depth: Key::by_default(1024),
            io_memory: Key::by_default(Octets(64 << 10)),
            read_buffer: Key::by_default(Octets(64 << 10)),
            turn_budget: Key::by_default(Octets(256 << 10)),
            c2c_capacity: Key::by_default(1024),
            distribution: Key::by_default(Scheme::Rss),
            rss_hash: Key::by_default(RssHash::Ahash),
            rss_key: Key::unset(),
            rss_bits: Key::by_default(7),
            pins: Key::by_default(Vec::new()),
            rebalance: Key::by_default(Rebalance::Off),
            rebalance_interval: Key::by_default(Duration::from_secs(5)),
            rebalance_threshold: Key::by_default(20),
            connections_per_server: Key::by_default(1),
            window: Key::by_default(1000),
            first_sequence_number: Key::by_default(1),
            drain_timeout: Key::by_default(Duration::from_secs(30)),
            max_pdu: Key::by_default(Octets(81_920)),
            max_sessions: Key::by_default(20_000),
            output_buffer: Key::by_default(Octets(1 << 20)),
            server_output_buffer: Key::unset(),
            strict_lengths: Key::by_default(false),
        }
    }
}
