//! Telling the other cores what has changed here, taking in what they tell, and serving those who wait for room.

use super::contract::{ConnectionId, CoreIndex};
use super::core_message::{CoreMessage, PoolHandle};
use super::directory::{DirectoryAcknowledgement, DirectoryEntry, DirectoryKey, DirectoryUpdate};
use super::engine::PacketEngine;
use super::report::{Report, ServerReport};
use super::session::{Session, Side};
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

    /// Serves the holds of all vservers that a server stands behind.
    #[inline]
    pub(super) fn serve_holds_of(&mut self, now: Moment, server: ServerIndex) {
        for place in 0..self.servers[usize::from(server.0)].vservers.len() {
            let vserver = self.servers[usize::from(server.0)].vservers[place];
            self.serve_hold(now, vserver);
        }
    }

    /// Other cores may send here: they are told when the room is gone, and when a quarter is free again.
    #[inline]
    pub(super) fn room_changed_at_server(&mut self, index: ServerIndex) {
        let server = &mut self.servers[usize::from(index.0)];
        let limit = if server.reported_room {
            server.capacity
        } else {
            server.capacity - server.capacity / 4
        };
        let has_room = server.outstanding < limit && !(server.is_choked | server.is_paced);
        if has_room != server.reported_room {
            server.reported_room = has_room;
            if self.cores > 1 {
                self.directory.changed(&DirectoryKey::Server(index));
            }
        }
    }

    /// A request of another core was refused: whatever it believes, there is no room now.
    pub(super) fn report_no_room(&mut self, index: ServerIndex) {
        if let Some(server) = self.servers.get_mut(usize::from(index.0)) {
            server.reported_room = false;
            self.directory.changed(&DirectoryKey::Server(index));
        }
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
        let mut changed_servers = Vec::new();
        for entry in update.entries {
            match entry {
                DirectoryEntry::Pool {
                    key,
                    handle,
                    sessions,
                    available_sessions,
                } => {
                    let pools_before = self.pools.len();
                    self.pools
                        .update_remote(from, &key, handle, sessions, available_sessions);
                    self.remote_pool_updated(now, &key, pools_before);
                }
                DirectoryEntry::Server {
                    server,
                    sessions,
                    has_bound,
                    has_room,
                    rounds_given_up,
                } => {
                    if let Some(state) = self.servers.get_mut(usize::from(server.0)) {
                        let remote = state.remote_mut(from);
                        (remote.sessions, remote.has_bound) = (sessions, has_bound);
                        (remote.has_room, remote.rounds_given_up) = (has_room, rounds_given_up);
                        changed_servers.push(server);
                    }
                }
                DirectoryEntry::Account { client, sessions } => {
                    self.account_sessions.set(client, from, sessions);
                }
                DirectoryEntry::Queue { bucket, has_messages } => {
                    self.queue.marks.tell(from, bucket, has_messages);
                }
            }
        }
        let applied = DirectoryAcknowledgement {
            version: update.version,
        };
        self.outbox
            .core_messages
            .push_back((from, CoreMessage::DirectoryApplied(applied)));
        for server in changed_servers {
            self.connect_server(now, server);
            self.serve_holds_of(now, server);
            self.unbind_clients_without_server(now, server);
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
                let available_sessions = count(members.iter().filter(is_available).count());
                DirectoryEntry::Pool {
                    handle,
                    sessions: count(members.len()),
                    available_sessions,
                    key,
                }
            }
            DirectoryKey::Server(server) => {
                let state = &self.servers[usize::from(server.0)];
                let is_bound = |id: &ConnectionId| {
                    self.sessions.get(*id).is_some_and(|session| {
                        session.bound().is_some()
                            && session.server().is_some_and(|side| side.identity.is_none())
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

    pub(super) fn make_report(&self) -> Report {
        let mut report = Report {
            core: self.core.0,
            counters: self.counters,
            receipts: self.receipts.report(),
            ..Report::default()
        };
        let mut bound_sessions = vec![0_u64; self.servers.len()];
        for (_, session) in self.sessions.iter() {
            match &session.side {
                Side::Client(_) => {
                    report.client_connections += 1;
                    report.client_sessions += u64::from(session.bound().is_some());
                }
                Side::Server(side) => {
                    bound_sessions[usize::from(side.server.0)] += u64::from(session.bound().is_some());
                }
                Side::Gone => {}
            }
        }
        report.held_requests = self
            .vservers
            .iter()
            .map(|vserver| vserver.hold.requests() as u64)
            .sum();
        report.core_requests_outstanding = self
            .links
            .iter()
            .map(|link| u64::from(link.window.outstanding()))
            .sum();
        report.entries_waiting = self.entries.waiting() as u64;
        report.pools = self.pools.len() as u64;
        report.queue_lines = self.queue.lines.len() as u64;
        report.queue_appending = u64::from(self.queue.appends.outstanding());
        report.servers = (0_u16..)
            .zip(self.servers.iter().zip(bound_sessions))
            .map(|(index, (server, bound_sessions))| ServerReport {
                server: ServerIndex(index),
                bound_sessions,
                outstanding: u64::from(server.load()),
                requests: server.figures.requests,
                answers: server.figures.answers,
                errors: server.figures.errors,
                mobile_originated: server.figures.mobile_originated,
            })
            .collect();
        report
    }
}

/// Sessions are bounded by a u32.
fn count(sessions: usize) -> u32 {
    u32::try_from(sessions).unwrap_or(u32::MAX)
}
