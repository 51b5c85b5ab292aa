//! Who may connect to a vserver, how often, and what becomes of addresses whose binds fail.

use std::net::IpAddr;
use std::time::Duration;

/// What holds for new connections of one vserver, on all cores together. The default limits nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// Networks (address, prefix length) whose connections begin with a PROXY protocol header.
    pub proxy_networks: Vec<(IpAddr, u8)>,
    /// Connections at once.
    pub connections_max: Option<u32>,
    /// Connections at once from one address (IPv6: from one /64 network).
    pub connections_per_address_max: Option<u32>,
    /// New connections in a second from one address; as many may come at once.
    pub connection_rate_per_address: Option<u32>,
    /// Failed binds of an address after which it is banned.
    pub failed_binds_max: Option<u32>,
    /// Failed binds are forgotten when none followed for so long.
    pub failed_bind_window: Duration,
    /// How long an address may not connect after its first failed bind; doubles with each, up to `ban_time`.
    pub failed_bind_back_off: Option<Duration>,
    /// How long a ban lasts.
    pub ban_time: Duration,
    /// Networks to which the limits of an address and bans do not apply.
    pub exempt_networks: Vec<(IpAddr, u8)>,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            proxy_networks: Vec::new(),
            connections_max: None,
            connections_per_address_max: None,
            connection_rate_per_address: None,
            failed_binds_max: None,
            failed_bind_window: Duration::from_secs(60),
            failed_bind_back_off: None,
            ban_time: Duration::from_secs(60),
            exempt_networks: Vec::new(),
        }
    }
}

impl AdmissionSettings {
    /// Whether each address has to be known.
    pub(crate) const fn tracks_addresses(&self) -> bool {
        self.connections_per_address_max.is_some()
            || self.connection_rate_per_address.is_some()
            || self.failed_binds_max.is_some()
            || self.failed_bind_back_off.is_some()
    }

    /// Whether anything at all is to be done for a new connection.
    pub(crate) const fn is_needed(&self) -> bool {
        self.tracks_addresses() || self.connections_max.is_some() || !self.proxy_networks.is_empty()
    }
}
