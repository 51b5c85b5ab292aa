//! One concatenated message under way.

use super::segment::Owner;
use super::segment_set::SegmentSet;
use crate::core::contract::{ConnectionId, CoreIndex};
use crate::core::core_message::PoolHandle;
use crate::core::settings::ServerIndex;
use crate::core::time::Moment;
use crate::core::wire::ConcatenationKind;

/// Names a pin. A re-used place has another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

#[cfg(test)]
impl PinId {
    pub(in crate::core) const fn numbered(index: u32) -> Self {
        Self { index, generation: 0 }
    }
}

/// Where the segments of a message go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Far {
    /// A session of this core.
    Session(ConnectionId),
    /// Another core's session towards this server; that core keeps to one.
    ServerAt(ServerIndex, CoreIndex),
    /// Another core's member of a pool, by that core's handle; it keeps to one.
    PoolAt(CoreIndex, PoolHandle),
}

/// How a message's segments are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) kind: ConcatenationKind,
    pub(super) reference: u16,
}

/// Sessions that a message's segments came from, as far as is remembered.
pub(super) const ORIGINS_KEPT: usize = 2;

#[derive(Clone, Debug)]
pub(super) struct Pin {
    pub(super) owner: Owner,
    pub(super) addresses: u64,
    pub(super) message: u64,
    /// As its segments came.
    pub(super) came: Mark,
    /// As they leave, once one has left. Reserved among all messages of the same addresses, for [`Owner::Home`] among those that pass here.
    pub(super) leaves: Option<Mark>,
    pub(super) total: u8,
    pub(super) far: Option<Far>,
    /// The far core has answered for a client's session that it has not told of yet, when we took it to have none.
    pub(super) is_vouched_for: bool,
    /// Segments that came, sent or not.
    pub(super) seen: SegmentSet,
    /// Segments that were answered ESME_ROK.
    pub(super) answered: SegmentSet,
    /// Some segment may have reached a peer.
    pub(super) has_reached: bool,
    /// Segments that were sent and not answered yet.
    pub(super) in_flight: u32,
    /// Segments that have come so far.
    pub(super) turns: u32,
    /// Segments that found no room and were not sent since: none of a later turn goes before them while they are waited for.
    pub(super) waiting: SegmentSet,
    pub(super) deadline: Moment,
    /// Hashes of the sessions that sent its last segments.
    pub(super) origins: [u32; ORIGINS_KEPT],
}

impl Pin {
    /// No segment has gone anywhere, as far as is known.
    pub(super) fn is_untouched(&self) -> bool {
        self.in_flight == 0 && !self.has_reached
    }

    /// Every segment was sent and answered ESME_ROK.
    pub(super) fn is_over(&self) -> bool {
        self.answered.len() >= u32::from(self.total)
    }
}
