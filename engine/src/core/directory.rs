//! Which core can take what: every core's picture of all pools and servers.

use super::core_message::PoolHandle;
use super::range::PoolKey;
use super::settings::ServerIndex;
use std::sync::Arc;

/// Changes of one core's pools and servers, in order.
#[derive(Debug)]
pub struct DirectoryUpdate {
    /// The sender's change number that this update brings the receiver to.
    pub version: u64,
    /// The entries that changed, each as it stands now.
    pub entries: Vec<DirectoryEntry>,
}

/// A core has applied an update.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryAcknowledgement {
    /// The version of the update.
    pub version: u64,
}

/// One entry as it stands now at its core.
#[derive(Clone, Debug)]
pub enum DirectoryEntry {
    /// A pool of clients.
    Pool {
        /// Which addresses, of which vserver.
        key: Arc<PoolKey>,
        /// The owner's handle, for requests.
        handle: PoolHandle,
        /// Sessions that may receive; 0 removes the entry.
        sessions: u32,
        /// Sessions among them with room in their window.
        available_sessions: u32,
    },
    /// Sessions towards a server.
    Server {
        /// Which server.
        server: ServerIndex,
        /// Bound sessions; 0 removes the entry.
        sessions: u32,
        /// Free places in their windows, in steps.
        available: bool,
    },
}
