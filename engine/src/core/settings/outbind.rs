//! Connections that a server opens itself (outbind).

use super::Secret;
use std::net::{IpAddr, SocketAddr};

/// Where a server's own connections are accepted, and what is asked of them. Who passes is told our system_id and password
/// there, so a password or networks should be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutbindSettings {
    /// The address to listen on; the server alone connects there.
    pub listen: SocketAddr,
    /// The system_id that its outbind must say; `None` takes any.
    pub system_id: Option<String>,
    /// The password that its outbind must say; `None` takes any.
    pub password: Option<Secret>,
    /// Networks it may come from (address, prefix length); empty means any.
    pub allow: Vec<(IpAddr, u8)>,
    /// Connections that it may have open on each core.
    pub connections: u32,
}
