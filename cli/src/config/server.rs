//! `[[server]]`: one SMSC.

use super::addresses::{HostPort, Network};
use super::choices::InterfaceVersion;
use super::key::Key;
use super::section::Section;
use super::texts::{Octets, Uid};
use super::tls::Tls;
use serde::Deserialize;
use smppmux_engine::core::secret::Secret;
use smppmux_engine::core::settings::{ConcatReference, EjectionSettings, MessageIdFormat, ServerBind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The keys of `[[server]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServerSection {
    /// Unique name. Required.
    pub name: Key<Option<String>>,
    /// Two characters 0-9 and A-Z, unique; part of tagged message ids. Required.
    pub uid: Key<Option<Uid>>,
    /// Host and port to connect to. Required, unless `addresses` is there.
    pub address: Key<Option<HostPort>>,
    /// Several hosts and ports, tried in turn. Default: none.
    pub addresses: Key<Option<Vec<HostPort>>>,
    /// Our system_id there. Required.
    pub system_id: Key<Option<String>>,
    /// Our password there. Required.
    pub password: Key<Option<Secret>>,
    /// Our system_type there. Default: empty.
    pub system_type: Key<String>,
    /// SMPP version of our bind. Default: `"3.4"`.
    pub interface_version: Key<InterfaceVersion>,
    /// Kind of session. Default: `"transceiver"`.
    pub bind: Key<ServerBind>,
    /// address_range of our bind. Default: empty.
    pub address_range: Key<String>,
    /// addr_ton of our bind. Default: 0.
    pub addr_ton: Key<u8>,
    /// addr_npi of our bind. Default: 0.
    pub addr_npi: Key<u8>,
    /// Source address of our connections. Default: the kernel's choice.
    pub local_address: Key<Option<IpAddr>>,
    /// Where transmitter binds connect instead. Default: `address`.
    pub transmitter_address: Key<Option<HostPort>>,
    /// Where receiver binds connect instead. Default: `address`.
    pub receiver_address: Key<Option<HostPort>>,
    /// Where the server's own connections (outbind) are accepted. Default: nowhere.
    pub outbind_listen: Key<Option<SocketAddr>>,
    /// The system_id that its outbind must say. Default: any.
    pub outbind_system_id: Key<Option<String>>,
    /// The password that its outbind must say. Default: any.
    pub outbind_password: Key<Option<Secret>>,
    /// Networks from which it may connect there. Default: any.
    pub outbind_allow: Key<Vec<Network>>,
    /// Connections that it may have open there on each core. Default: 4.
    pub outbind_connections: Key<u32>,
    /// Pause after a refused system_id or password. Default: `"5min"`.
    pub auth_retry: Key<Duration>,
    /// Sessions on every core. Default: `connections-per-server` of `[engine]`.
    pub connections: Key<Option<u32>>,
    /// Sessions in all, spread over the cores. Default: none.
    pub connections_total: Key<Option<u32>>,
    /// Requests in flight on one session at most. Default: `window` of `[engine]`.
    pub window: Key<Option<u32>>,
    /// Octets of unanswered requests that a session keeps to send them again. Default: `"4MiB"`.
    pub window_octets: Key<Octets>,
    /// Share in the methods that weigh. Default: 1.
    pub weight: Key<u32>,
    /// Priority group, 0 first. Default: 0.
    pub priority: Key<u32>,
    /// Messages per second at most. Default: no limit.
    pub rate: Key<Option<u32>>,
    /// Messages that may come at once. Default: a tenth of `rate`.
    pub burst: Key<Option<u32>>,
    /// Whether a server that throttles is slowed down. Default: true.
    pub adaptive_pace: Key<bool>,
    /// How long a server that comes back takes to its full share. Default: `"0s"`, at once.
    pub slow_start: Key<Duration>,
    /// Requests in a row without an answer after which the server is left out; 0, the default: never.
    pub eject_timeouts: Key<u32>,
    /// Percent of its answers that say that it is ill, or do not come, with which it is left out; 0, the default: never.
    pub eject_errors: Key<u32>,
    /// Fewer answers than this say nothing. Default: 20.
    pub eject_answers: Key<u32>,
    /// For how long answers count. Default: `"10s"`.
    pub eject_window: Key<Duration>,
    /// How long it is left out the first time; doubles. Default: `"30s"`.
    pub eject_min: Key<Duration>,
    /// How long it is left out at most. Default: `"5min"`.
    pub eject_max: Key<Duration>,
    /// Good answers in a row after which it is well again. Default: 3.
    pub eject_rise: Key<u32>,
    /// How long the server may take to answer. Default: `"10s"`.
    pub response_timeout: Key<Duration>,
    /// Nothing received for so long: enquire_link. Default: `"25s"`.
    pub enquire_link_interval: Key<Duration>,
    /// Unanswered enquire_links after which the session is closed. Default: 2.
    pub enquire_link_misses: Key<u32>,
    /// First pause before a reconnect; doubles. Default: `"500ms"`.
    pub reconnect_min: Key<Duration>,
    /// Longest pause before a reconnect. Default: `"30s"`.
    pub reconnect_max: Key<Duration>,
    /// How the server writes its message ids. Default: `"auto"`.
    pub message_id_format: Key<MessageIdFormat>,
    /// How segments of concatenated messages are marked for the server. Default: `"keep"`.
    pub concat_reference: Key<ConcatReference>,
    /// TLS towards the server. Default: false.
    pub tls: Key<Tls>,
    /// Name of the vserver whose clients get this server's messages. Required when several vservers list the
    /// server.
    pub mobile_originated_vserver: Key<Option<String>>,
}

impl Section for ServerSection {
    const NAME: &'static str = "[[server]]";
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            name: Key::unset(),
            uid: Key::unset(),
            address: Key::unset(),
            addresses: Key::unset(),
            system_id: Key::unset(),
            password: Key::unset(),
            system_type: Key::by_default(String::new()),
            interface_version: Key::by_default(InterfaceVersion(0x34)),
            bind: Key::by_default(ServerBind::Transceiver),
            address_range: Key::by_default(String::new()),
            addr_ton: Key::by_default(0),
            addr_npi: Key::by_default(0),
            local_address: Key::unset(),
            transmitter_address: Key::unset(),
            receiver_address: Key::unset(),
            outbind_listen: Key::unset(),
            outbind_system_id: Key::unset(),
            outbind_password: Key::unset(),
            outbind_allow: Key::by_default(Vec::new()),
            outbind_connections: Key::by_default(4),
            auth_retry: Key::by_default(Duration::from_secs(300)),
            connections: Key::unset(),
            connections_total: Key::unset(),
            window: Key::unset(),
            window_octets: Key::by_default(Octets(4 << 20)),
            weight: Key::by_default(1),
            priority: Key::by_default(0),
            rate: Key::unset(),
            burst: Key::unset(),
            adaptive_pace: Key::by_default(true),
            slow_start: Key::by_default(Duration::ZERO),
            eject_timeouts: Key::by_default(EjectionSettings::DEFAULT.timeouts),
            eject_errors: Key::by_default(EjectionSettings::DEFAULT.errors_percent),
            eject_answers: Key::by_default(EjectionSettings::DEFAULT.answers_min),
            eject_window: Key::by_default(EjectionSettings::DEFAULT.window),
            eject_min: Key::by_default(EjectionSettings::DEFAULT.min),
            eject_max: Key::by_default(EjectionSettings::DEFAULT.max),
            eject_rise: Key::by_default(EjectionSettings::DEFAULT.rise),
            response_timeout: Key::by_default(Duration::from_secs(10)),
            enquire_link_interval: Key::by_default(Duration::from_secs(25)),
            enquire_link_misses: Key::by_default(2),
            reconnect_min: Key::by_default(Duration::from_millis(500)),
            reconnect_max: Key::by_default(Duration::from_secs(30)),
            message_id_format: Key::by_default(MessageIdFormat::Auto),
            concat_reference: Key::by_default(ConcatReference::Keep),
            tls: Key::by_default(Tls::default()),
            mobile_originated_vserver: Key::unset(),
        }
    }
}
