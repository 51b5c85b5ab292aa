//! Telling the other cores what has changed here, taking in what they tell, and serving those who wait for room.

use super::contract::{ConnectionId, CoreIndex};
use super::core_message::{CoreMessage, PoolHandle};
use super::directory::{DirectoryAcknowledgement, DirectoryEntry, DirectoryKey, DirectoryUpdate};
use super::engine::PacketEngine;
use super::session::{ServerSide, Session};
use super::settings::ServerIndex;
use super::time::Moment;
use std::sync::Arc;

impl PacketEngine {
    /// A slot of a server's window has come free, or it has just been bound.
    #[inline]
    pub(super) fn room_at_server(&mut self, now: Moment, server: ServerIndex) {
        self.room_changed_at_server(server);
        self.serve_holds_of(now, server);
    }

    /// The same where it is known whether other cores have to be told.
    #[inline]
    pub(super) fn room_after_answer(&mut self, now: Moment, server: ServerIndex, has_changed: bool) {
        if has_changed {
            self.tell_room(server);
        }
        self.serve_holds_of(now, server);
    }

    /// Serves the holds of all vservers that a server stands behind.
    #[inline]
    pub(super) fn serve_holds_of(&mut self, now: Moment, server: ServerIndex) {
        if self.held_requests > 0 {
            self.serve_holds_with_requests(now, server);
        }
    }

    #[cold]
    fn serve_holds_with_requests(&mut self, now: Moment, server: ServerIndex) {
        for place in 0..self.servers[usize::from(server.0)].vservers.len() {
            let vserver = self.servers[usize::from(server.0)].vservers[place];
            self.serve_hold(now, vserver);
        }
    }

    /// Other cores may send here: they are told when the room is gone, and when a quarter is free again.
    #[inline(always)]
    pub(super) fn room_changed_at_server(&mut self, index: ServerIndex) {
        if self.servers[usize::from(index.0)].room_has_changed() {
            self.tell_room(index);
        }
    }

    #[cold]
    pub(super) fn tell_room(&mut self, index: ServerIndex) {
        if self.cores > 1 {
            self.directory.changed(&DirectoryKey::Server(index));
        }
    }

    /// A request of another core was refused: whatever it believes, there is no room now. The answer is the version of the
    /// entry that says so.
    pub(super) fn report_no_room(&mut self, index: ServerIndex) -> Option<u64> {
        let server = self.servers.get_mut(usize::from(index.0))?;
        server.reported_room = false;
        Some(self.directory.changed(&DirectoryKey::Server(index)))
    }

    /// A message was sent to a client: when that was its last slot, the other cores look elsewhere.
    #[inline]
    pub(super) fn room_taken_at_client(&mut self, id: ConnectionId) {
        if self.cores > 1
            && let Some(session) = self.sessions.get_mut(id)
            && session.window.is_full()
        {
            self.report_full(id, true);
        }
    }

    /// A client answered: when a quarter of its window is free again, the other cores are told.
    #[inline]
    pub(super) fn room_at_client(&mut self, id: ConnectionId) {
        if self.cores > 1
            && let Some(session) = self.sessions.get(id)
            && session.client().is_some_and(|client| client.reported_full)
            && session.window.outstanding() <= session.window.limit() - session.window.limit().div_ceil(4)
        {
            self.report_full(id, false);
        }
    }

    #[cold]
    fn report_full(&mut self, id: ConnectionId, is_full: bool) {
        let Some(client) = self.sessions.get_mut(id).and_then(Session::client_mut) else {
            return;
        };
        if client.reported_full == is_full {
            return;
        }
        client.reported_full = is_full;
        for pool in &client.pools {
            if let Some(pool) = self.pools.get(*pool) {
                self.directory.changed(&DirectoryKey::Pool(Arc::clone(&pool.key)));
            }
        }
    }

    /// What another core says about its pools, servers and accounts.
    pub(super) fn directory_update(&mut self, now: Moment, from: CoreIndex, update: DirectoryUpdate) {
        if !self.core_is_known(from) {
            return;
        }
        self.links[from.as_usize()].directory_version = update.version;
        for entry in update.entries {
            self.directory_entry_of(now, from, entry);
        }
        let applied = DirectoryAcknowledgement {
            version: update.version,
        };
        self.outbox
            .core_messages
            .push_back((from, CoreMessage::DirectoryApplied(applied)));
    }

    /// One thing that another core says.
    pub(super) fn directory_entry_of(&mut self, now: Moment, from: CoreIndex, entry: DirectoryEntry) {
        match entry {
            DirectoryEntry::Pool {
                key,
                handle,
                sessions,
                available_sessions,
                has_newer,
            } => {
                let pools_before = self.pools.len();
                self.pools
                    .update_remote(from, &key, handle, (sessions, available_sessions), has_newer);
                if self.pools.len() > pools_before {
                    self.pool_came(&key);
                }
                self.remote_pool_updated(now, &key, pools_before);
            }
            DirectoryEntry::Server {
                server,
                sessions,
                has_bound,
                has_room,
                rounds_given_up,
            } => {
                let Some(state) = self.servers.get_mut(usize::from(server.0)) else {
                    if self.early_server_entries.len() < EARLY_ENTRIES_MAX {
                        self.early_server_entries.push((from, entry));
                    }
                    return;
                };
                let remote = state.remote_mut(from);
                (remote.sessions, remote.has_bound) = (sessions, has_bound);
                remote.has_said(has_room, rounds_given_up);
                self.connect_server(now, server);
                self.serve_holds_of(now, server);
                self.unbind_clients_without_server(now, server);
            }
            DirectoryEntry::Account { client, sessions } => {
                self.account_sessions.set(client, from, sessions);
            }
            DirectoryEntry::Queue { bucket, has_messages } => {
                self.queue.marks.tell(from, bucket, has_messages);
            }
        }
    }

    /// The next thing to tell another core.
    pub(super) fn next_directory_update(&mut self) -> Option<(CoreIndex, CoreMessage)> {
        let (core, version, keys) = self.directory.next_update()?;
        let entries = keys.into_iter().map(|key| self.directory_entry(key)).collect();
        Some((core, CoreMessage::Directory(DirectoryUpdate { version, entries })))
    }

    fn directory_entry(&self, key: DirectoryKey) -> DirectoryEntry {
        match key {
            DirectoryKey::Pool(key) => {
                let (handle, members) = match self.pools.handle(&key) {
                    Some((handle, pool)) => (handle, pool.local.as_slice()),
                    None => (
                        PoolHandle {
                            index: 0,
                            generation: 0,
                        },
                        &[][..],
                    ),
                };
                let is_available = |id: &&ConnectionId| {
                    self.sessions
                        .get(**id)
                        .and_then(Session::client)
                        .is_some_and(|client| !client.reported_full)
                };
                let is_newer = |id: &ConnectionId| {
                    let session = self.sessions.get(*id);
                    session.is_some_and(|session| session.version.has_tlvs())
                };
                let has_newer = members.iter().any(is_newer);
                let available_sessions = count(members.iter().filter(is_available).count());
                DirectoryEntry::Pool {
                    handle,
                    sessions: count(members.len()),
                    available_sessions,
                    has_newer,
                    key,
                }
            }
            DirectoryKey::Server(server) => {
                let state = &self.servers[usize::from(server.0)];
                let is_bound = |id: &ConnectionId| {
                    self.sessions.get(*id).is_some_and(|session| {
                        let is_shared = |side: &ServerSide| side.identity.is_none() && side.caller.is_none();
                        session.bound().is_some() && session.server().is_some_and(is_shared)
                    })
                };
                DirectoryEntry::Server {
                    server,
                    // A drain takes no new requests.
                    sessions: if self.drain.is_some() {
                        0
                    } else {
                        count(state.transmitting.len())
                    },
                    has_bound: state.sessions.iter().any(is_bound),
                    has_room: state.reported_room,
                    rounds_given_up: state.reconnect.rounds_given_up,
                }
            }
            DirectoryKey::Queue(bucket) => DirectoryEntry::Queue {
                bucket,
                has_messages: self.queue.marks.has_lines(bucket),
            },
            DirectoryKey::Account(client) => DirectoryEntry::Account {
                client,
                sessions: self.account_sessions.at(client, self.core),
            },
        }
    }
}

/// Entries of servers that are not known yet; they come while the cores get new settings one after the other.
const EARLY_ENTRIES_MAX: usize = 65_536;

/// Sessions are bounded by a u32.
fn count(sessions: usize) -> u32 {
    u32::try_from(sessions).unwrap_or(u32::MAX)
}
