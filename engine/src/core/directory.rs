//! Which core can take what: every core's picture of all pools, servers and accounts.
//!
//! Each core tells the others what has changed about its own. Entries are states, not events: what changes again before it
//! was told is told once, so at most one update is under way towards each core, and nothing has to be dropped or queued
//! (PITFALLS 35). A version number says up to which change the others know, which is what a bind_resp waits for.

use super::contract::CoreIndex;
use super::core_message::PoolHandle;
use super::queue::Bucket;
use super::range::PoolKey;
use super::settings::{ClientIndex, ServerIndex};
use ahash::RandomState;
use std::collections::HashSet;
use std::sync::Arc;

/// Changes of one core's pools, servers and accounts.
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
        /// Some of them are of a version behind v3.3.
        has_newer: bool,
    },
    /// Sessions towards a server.
    Server {
        /// Which server.
        server: ServerIndex,
        /// Bound sessions that may transmit; 0 removes the entry.
        sessions: u32,
        /// Some session is bound, whatever its kind.
        has_bound: bool,
        /// Some window among them has room.
        has_room: bool,
        /// How often the core has tried in vain and left its turn to another (`connections-total`).
        rounds_given_up: u32,
    },
    /// Bound sessions of an account.
    Account {
        /// Which account.
        client: ClientIndex,
        /// How many; 0 removes the entry.
        sessions: u32,
    },
    /// Lines of the queue.
    Queue {
        /// Which share of all lines.
        bucket: Bucket,
        /// Some of those whose home the sender is have messages.
        has_messages: bool,
    },
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum DirectoryKey {
    Pool(Arc<PoolKey>),
    Server(ServerIndex),
    Account(ClientIndex),
    Queue(Bucket),
}

/// What each other core has been told.
#[derive(Debug)]
pub(super) struct Directory {
    version: u64,
    peers: Vec<Peer>,
    /// Somebody may have to be told something: nobody has looked since something changed.
    may_have_update: bool,
}

#[derive(Debug)]
struct Peer {
    core: CoreIndex,
    /// Changed since the last update, in order of the first change.
    changed: Vec<DirectoryKey>,
    is_changed: HashSet<DirectoryKey, RandomState>,
    /// The version that is under way.
    sent: Option<u64>,
    acknowledged: u64,
}

impl Directory {
    pub(super) fn new(core: CoreIndex, cores: u16) -> Self {
        let peers = (0..cores)
            .map(CoreIndex)
            .filter(|peer| *peer != core)
            .map(|core| Peer {
                core,
                changed: Vec::new(),
                is_changed: HashSet::with_hasher(RandomState::with_seeds(1, 2, 3, 4)),
                sent: None,
                acknowledged: 0,
            })
            .collect();
        Self {
            version: 0,
            peers,
            may_have_update: false,
        }
    }

    /// Notes a change; the answer is its version.
    pub(super) fn changed(&mut self, key: &DirectoryKey) -> u64 {
        self.version += 1;
        self.may_have_update = true;
        for peer in &mut self.peers {
            if peer.is_changed.insert(key.clone()) {
                peer.changed.push(key.clone());
            }
        }
        self.version
    }

    /// Every core knows of all changes up to `version`.
    pub(super) fn everyone_knows(&self, version: u64) -> bool {
        self.peers.iter().all(|peer| peer.acknowledged >= version)
    }

    /// The next core to tell something, and what to look up for it; `None` when all is told or under way.
    pub(super) fn next_update(&mut self) -> Option<(CoreIndex, u64, Vec<DirectoryKey>)> {
        let version = self.version;
        let is_due = |peer: &&mut Peer| peer.sent.is_none() && !peer.changed.is_empty();
        let Some(peer) = self.peers.iter_mut().find(is_due) else {
            self.may_have_update = false;
            return None;
        };
        peer.sent = Some(version);
        peer.is_changed.clear();
        Some((peer.core, version, std::mem::take(&mut peer.changed)))
    }

    /// Whether it is worth looking for the next update.
    #[inline]
    pub(super) const fn may_have_update(&self) -> bool {
        self.may_have_update
    }

    pub(super) fn acknowledged(&mut self, core: CoreIndex, version: u64) {
        self.may_have_update = true;
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.core == core) {
            peer.acknowledged = peer.acknowledged.max(version);
            peer.sent = None;
        }
    }

    /// A core is gone: nothing waits for it any more.
    pub(super) fn forget_core(&mut self, core: CoreIndex) {
        self.peers.retain(|peer| peer.core != core);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: at most one update is under way to each core, changes meanwhile are told once, and a version counts as known
    /// only when every core has acknowledged it.
    #[test]
    fn changes_are_told_once_and_acknowledged() {
        let mut directory = Directory::new(CoreIndex(1), 3);
        let first = directory.changed(&DirectoryKey::Server(ServerIndex(7)));
        assert_eq!(directory.next_update().map(|(core, ..)| core), Some(CoreIndex(0)));
        assert_eq!(directory.next_update().map(|(core, ..)| core), Some(CoreIndex(2)));
        assert!(directory.next_update().is_none());
        for _ in 0..3 {
            directory.changed(&DirectoryKey::Server(ServerIndex(7)));
        }
        assert!(directory.next_update().is_none(), "one is under way already");
        directory.acknowledged(CoreIndex(0), first);
        assert!(!directory.everyone_knows(first));
        let (core, version, keys) = directory.next_update().unwrap();
        assert_eq!((core, version, keys.len()), (CoreIndex(0), 4, 1));
        directory.acknowledged(CoreIndex(2), first);
        assert!(directory.everyone_knows(first) && !directory.everyone_knows(version));
        directory.forget_core(CoreIndex(2));
        directory.acknowledged(CoreIndex(0), version);
        assert!(directory.everyone_knows(version));
    }
}
