//! Arguments of `serve` and `check`.

use super::{help, text};
use crate::config::addresses::HostPort;
use crate::config::flags::{Credentials, EngineFlags};
use crate::config::texts::{CpuList, Octets};
use clap::{ArgGroup, Args, ValueEnum};
use smppmux_engine::shell::IoDriver;
use smppmux_flow_distributor::{PinRule, RssHash, RssKey, Scheme};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = help::CHECK)]
pub struct CheckArguments {
    /// The configuration file to check.
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = help::SERVE)]
#[command(group = ArgGroup::new("configuration").required(true).multiple(true).args(["config", "listen"]))]
pub struct ServeArguments {
    /// Configuration file (TOML). Instead of it, --listen, --server and --client make a configuration.
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["listen", "server", "client"])]
    pub config: Option<PathBuf>,
    /// Address and port to listen on for clients; may repeat.
    #[arg(long, value_name = "ADDR", value_parser = text::<SocketAddr>, requires = "server")]
    pub listen: Vec<SocketAddr>,
    /// Host and port of an SMSC; may repeat.
    #[arg(long, value_name = "ADDR", value_parser = text::<HostPort>, requires = "listen")]
    pub server: Vec<HostPort>,
    /// An account that clients may bind with; may repeat. Other users of this machine can see it in the list
    /// of processes.
    #[arg(long, value_name = "ID:PASSWORD", value_parser = text::<Credentials>, requires = "listen")]
    pub client: Vec<Credentials>,
    /// Flags that override keys under `[engine]`.
    #[command(flatten)]
    pub engine: EngineArguments,
    /// Address of the HTTP interface for metrics, health and control
    #[arg(long, value_name = "ADDR", value_parser = text::<SocketAddr>, help_heading = "Control")]
    pub admin_listen: Option<SocketAddr>,
    /// Path of the control socket, which `smppmux ctl` speaks to
    #[arg(long, value_name = "PATH", help_heading = "Control")]
    pub admin_socket: Option<String>,
    /// How log lines look on standard error.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, help_heading = "Logging")]
    pub log_format: LogFormat,
    /// Least important lines to log.
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info, help_heading = "Logging")]
    pub log_level: LogLevel,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Importance of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Only what must be mended.
    Error,
    /// And what may have to be.
    Warn,
    /// And what has changed.
    Info,
    /// And what may help to find a fault.
    Debug,
    /// Everything.
    Trace,
}

/// Per-core flags; each is also a key under `[engine]`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Per-core flags (each also a key under [engine])")]
pub struct EngineArguments {
    /// CPUs that run a packet engine, such as 0-3 or 0,2,4-7; a CPU may repeat [default: every CPU that the
    /// process may use]
    #[arg(long, value_name = "LIST", value_parser = text::<CpuList>)]
    cores: Option<CpuList>,
    /// CPU that the control core is pinned to [default: not pinned]
    #[arg(long, value_name = "N")]
    control_core: Option<u16>,
    /// Driver between the engines and the kernel: auto, glommio, ring or epoll [default: auto]
    #[arg(long, value_name = "DRIVER", value_parser = text::<IoDriver>)]
    io: Option<IoDriver>,
    /// How long an idle engine looks for work before it sleeps; costs CPU, saves latency [default: 0us]
    #[arg(long, value_name = "DURATION", value_parser = text::<Duration>)]
    spin_before_park: Option<Duration>,
    /// Entries of each engine's io_uring submission ring, where the driver has one, a power of two [default: 1024]
    #[arg(long, value_name = "ENTRIES")]
    ring_depth: Option<u32>,
    /// Memory that each engine registers with io_uring, with --io glommio [default: 64KiB]
    #[arg(long, value_name = "OCTETS", value_parser = text::<Octets>)]
    io_memory: Option<Octets>,
    /// The most that one read takes from a connection [default: 64KiB]
    #[arg(long, value_name = "OCTETS", value_parser = text::<Octets>)]
    read_buffer: Option<Octets>,
    /// Octets that one turn of an engine reads before it looks at other cores' messages again [default:
    /// 256KiB]
    #[arg(long, value_name = "OCTETS", value_parser = text::<Octets>)]
    turn_budget: Option<Octets>,
    /// Requests under way from one core to another at most [default: 1024]
    #[arg(long, value_name = "REQUESTS")]
    c2c_capacity: Option<u32>,
    /// Which core gets a new connection: rss, rss-2-tuple, least-loaded, round-robin or account [default:
    /// rss]
    #[arg(long, value_name = "SCHEME", value_parser = text::<Scheme>)]
    distribution: Option<Scheme>,
    /// Hash of the rss schemes: ahash or toeplitz [default: ahash]
    #[arg(long, value_name = "HASH", value_parser = text::<RssHash>)]
    rss_hash: Option<RssHash>,
    /// Key of that hash, 80 hexadecimal digits [default: random for ahash, Microsoft's for toeplitz]
    #[arg(long, value_name = "HEX", value_parser = text::<RssKey>)]
    rss_key: Option<RssKey>,
    /// Low bits of the hash that index the table of cores, 1 to 7 [default: 7]
    #[arg(long, value_name = "BITS")]
    rss_bits: Option<u8>,
    /// Send connections of a source network or a vserver to some engines only, such as 10.0.0.0/8=0,2 or
    /// listener:sms=1; may repeat
    #[arg(long, value_name = "RULE", value_parser = text::<PinRule>)]
    pin: Vec<PinRule>,
    /// Sessions that every core keeps towards each server [default: 1]
    #[arg(long, value_name = "SESSIONS")]
    connections_per_server: Option<u32>,
    /// Requests in flight on one server session at most [default: 1000]
    #[arg(long, value_name = "REQUESTS")]
    window: Option<u32>,
    /// How long a drain waits for answers that are due [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = text::<Duration>)]
    drain_timeout: Option<Duration>,
}

impl From<EngineArguments> for EngineFlags {
    fn from(arguments: EngineArguments) -> Self {
        Self {
            cores: arguments.cores,
            control_core: arguments.control_core,
            io: arguments.io,
            spin_before_park: arguments.spin_before_park,
            ring_depth: arguments.ring_depth,
            io_memory: arguments.io_memory,
            read_buffer: arguments.read_buffer,
            turn_budget: arguments.turn_budget,
            c2c_capacity: arguments.c2c_capacity,
            distribution: arguments.distribution,
            rss_hash: arguments.rss_hash,
            rss_key: arguments.rss_key,
            rss_bits: arguments.rss_bits,
            pins: arguments.pin,
            connections_per_server: arguments.connections_per_server,
            window: arguments.window,
            drain_timeout: arguments.drain_timeout,
        }
    }
}
