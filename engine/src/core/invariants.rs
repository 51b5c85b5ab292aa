//! What must hold after every event; checked in debug builds, and by tests whenever they like.

use super::engine::PacketEngine;
use super::hold::{HELD_OCTETS_PER_SESSION_MAX, JOURNEY_OCTETS};
use super::session::{SessionState, Side};
use super::wire::CommandId;

impl PacketEngine {
    /// Panics where the engine's books contradict each other.
    pub fn check_invariants(&self) {
        self.buffers.check_invariants();
        self.pools.check_invariants();
        self.receipts.held.check_invariants();
        self.receipts.fence.check_invariants();
        self.entries.check_invariants();
        self.check_servers();
        self.queue.check_invariants();
        let mut held = vec![0_usize; self.vservers.len()];
        for (id, session) in self.sessions.iter() {
            session.window.check_invariants();
            let unanswered = |position| session.window.unanswered_behind(position);
            session.output.check_invariants(unanswered);
            match &session.side {
                Side::Client(client) => {
                    held[usize::from(client.vserver.0)] += client.held_requests as usize;
                    assert!(
                        client.held_requests <= client.unanswered,
                        "held requests are unanswered"
                    );
                    assert!(
                        client.held.len() <= HELD_OCTETS_PER_SESSION_MAX + JOURNEY_OCTETS,
                        "a session holds no more octets than it may"
                    );
                    assert!(
                        client.unanswered == 0 || !session.window.has_own(CommandId::UNBIND),
                        "whom we have unbound has had its answers"
                    );
                    for pool in &client.pools {
                        let pool = self.pools.get(*pool).expect("a member's pool exists");
                        assert!(pool.local.contains(&id), "membership is mutual");
                    }
                }
                Side::Server(side) => {
                    assert!(
                        self.servers[usize::from(side.server.0)].sessions.contains(&id),
                        "a server knows its sessions"
                    );
                }
                Side::Gone => assert_eq!(
                    session.state,
                    SessionState::Closing,
                    "settled sessions are closing"
                ),
            }
        }
        let links = self.links.iter().flat_map(|link| link.window.iter());
        let sessions = self.sessions.iter();
        let entries = sessions
            .flat_map(|(_, session)| session.window.iter())
            .chain(links);
        self.pins
            .check_invariants(entries.filter(|(_, pending)| pending.note.is_some()).count());
        for (vserver, held) in self.vservers.iter().zip(held) {
            assert_eq!(vserver.hold.requests(), held, "the hold and its sessions agree");
        }
        let held: usize = self.vservers.iter().map(|vserver| vserver.hold.requests()).sum();
        assert_eq!(self.held_requests, held, "all holds together");
    }

    fn check_servers(&self) {
        for server in &self.servers {
            let windows = server
                .transmitting
                .iter()
                .filter_map(|id| self.sessions.get(*id))
                .map(|session| &session.window);
            let (outstanding, capacity) = windows.fold((0, 0), |sums, window| {
                (sums.0 + window.outstanding(), sums.1 + window.limit())
            });
            assert_eq!(
                (server.outstanding, server.capacity),
                (outstanding, capacity),
                "a server's load is its sessions'"
            );
            assert!(
                server.sessions.iter().all(|id| self.sessions.get(*id).is_some()),
                "a server's sessions exist"
            );
        }
    }

    #[inline]
    pub(super) fn check_invariants_in_debug_builds(&self) {
        if cfg!(debug_assertions) && self.sessions.len() <= SESSIONS_CHECKED_MAX {
            self.check_invariants();
        }
    }
}

/// With more sessions than this a check after every event would make debug builds useless.
const SESSIONS_CHECKED_MAX: usize = 64;
