//! Why a message did not leave, and the message itself.

use std::error::Error;
use std::fmt;

/// A message that did not leave. It comes back whole, so that its sender can answer for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<M> {
    /// Why it did not leave.
    pub reason: RefusalReason,
    /// The message, unchanged.
    pub message: M,
}

/// Which rule kept a message from leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalReason {
    /// As many requests to this peer as allowed wait for their answer: back-pressure, try again after one came.
    NoCredit,
    /// The lane holds as much as it can: the sender has more unacknowledged control messages out than it may.
    LaneFull,
    /// The peer has stopped. It does not come back in this mesh.
    PeerGone,
    /// No such core in this mesh, or the sender itself.
    NoSuchPeer,
}

impl RefusalReason {
    /// Every reason, in the order of [`RefusalReason::as_usize`].
    pub const ALL: [Self; 4] = [Self::NoCredit, Self::LaneFull, Self::PeerGone, Self::NoSuchPeer];

    /// As an index into a table that has one row for each reason.
    pub const fn as_usize(self) -> usize {
        self as usize
    }

    /// The reason's name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCredit => "no-credit",
            Self::LaneFull => "lane-full",
            Self::PeerGone => "peer-gone",
            Self::NoSuchPeer => "no-such-peer",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoCredit => "every request allowed to this core waits for its answer",
            Self::LaneFull => "the control lane to this core is full of unacknowledged messages",
            Self::PeerGone => "this core has stopped",
            Self::NoSuchPeer => "the mesh has no such other core",
        })
    }
}

// The message is left out: it may be large, and it may hold what a log must not show.
impl<M> fmt::Debug for Refused<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Refused")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Display for Refused<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(formatter)
    }
}

impl<M> Error for Refused<M> {}
