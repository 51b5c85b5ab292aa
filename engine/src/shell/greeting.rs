//! What a connection is while it has not said who it is: the engine knows nothing of it.

use crate::core::settings::VserverIndex;
use std::net::SocketAddr;

/// Connections of one core that may be greeting at the same time; one more is closed.
pub(super) const GREETINGS_MAX: usize = 2048;

/// A connection whose client is not known yet.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(super) vserver: VserverIndex,
    /// Who connected, or whom the header named.
    pub(super) peer: SocketAddr,
    /// TLS follows the header.
    pub(super) is_tls: bool,
}
