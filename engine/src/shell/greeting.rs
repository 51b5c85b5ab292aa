//! What a connection is while the engine knows nothing of it: it has not said who it is, or not whose its bind is.

use super::steering::PinOfFlow;
use crate::core::contract::CoreIndex;
use crate::core::settings::VserverIndex;
use std::net::SocketAddr;

/// Connections of one core that may be greeting at the same time; one more is closed.
pub(super) const GREETINGS_MAX: usize = 2048;
/// Connections of one core that may be waiting for their bind at the same time, where it says their core; one more is the
/// engine's at once, and stays.
pub(super) const BINDS_AWAITED_MAX: usize = 4096;

/// A connection that the engine does not know.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(super) vserver: VserverIndex,
    /// Who connected, or whom the header named.
    pub(super) peer: SocketAddr,
    /// It speaks TLS, or will behind its header.
    pub(super) is_tls: bool,
    /// What counts beside its account for the core that it belongs to.
    pub(super) pin: Option<PinOfFlow>,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its header is to come, or its handshake.
    Introducing,
    /// Its bind is to come, which says the core of its account.
    AwaitingBind,
    /// It belongs to this core and goes there when the turn ends.
    Moving(CoreIndex),
    /// The driver was asked for its socket. Nothing may be written any more.
    Leaving(CoreIndex),
}

impl Greeting {
    /// The driver gives its socket up: nothing may be written.
    pub(super) const fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Leaving(_))
    }
}
