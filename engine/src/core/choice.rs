//! Where a request goes: the server, by what it may go to and by the balancer, and the session of it whose turn it is.
//!
//! Owns nothing but where the requests of the present read, or of one round of those that are held, go. It must never name a session without room, or a server that the request may not go to.

use super::balance::{BalanceKey, Balancer};
use super::checked_request::CheckedRequest;
use super::contract::{ConnectionId, CoreIndex};
use super::core_link::CoreLink;
use super::engine::{PacketEngine, Vserver};
use super::route::RouteGroups;
use super::server::Server;
use super::session::{Session, Sessions};
use super::settings::{ClientIndex, ServerIndex, Settings, VserverIndex};
use super::slow_start::WHOLE;
use super::time::Moment;
use super::wire::{CommandId, Version};

/// A batch that every session gets whole, as far as it has room.
const SMALL_BATCH: u32 = 16;
/// A larger one takes no more than one such part of its session's window: a server with a small window is slow, and one would wait
/// for work while another has a queue of it. One that has a part of its share has that part of a window.
const WINDOW_PARTS: u32 = 32;

/// The way a request takes.
pub(super) enum Way {
    Session(ServerIndex, ConnectionId),
    Core(ServerIndex, CoreIndex),
    /// Servers are up, but no window has room.
    NoRoom,
    NoServer,
}

/// Requests that a client has sent together go to one session of one server, so that they leave in one write and their
/// answers come back in one. Each counts for the balancer like one that was chosen.
#[derive(Debug)]
pub(super) struct Batch {
    from: ConnectionId,
    route: u16,
    vserver: VserverIndex,
    server: ServerIndex,
    to: ConnectionId,
    /// How many more may follow.
    left: u32,
}

impl PacketEngine {
    /// The way of the request before this one, where both came in the same read, or were held, and this one may go there as well.
    #[inline(always)]
    fn way_of_batch(&mut self, from: ConnectionId, request: &CheckedRequest<'_>, route: u16) -> Option<Way> {
        let batch = self.batch.as_mut()?;
        let server = &self.servers[usize::from(batch.server.0)];
        let may_follow = batch.left > 0
            && batch.from == from
            && batch.route == route
            && request.server.is_none()
            && !server.is_aside
            && server.version >= request.version
            && server.has_local_room();
        let session = self.sessions.get(batch.to)?;
        if !may_follow || !takes_request(session, self.settings.engine.server_output_octets_max) {
            return None;
        }
        batch.left -= 1;
        self.vservers[usize::from(batch.vserver.0)]
            .balancer
            .followed(batch.server);
        Some(Way::Session(batch.server, batch.to))
    }

    /// The server of a request, and the session of it whose turn it is.
    #[inline(always)]
    pub(super) fn choose_way(
        &mut self,
        now: Moment,
        from: ConnectionId,
        command: CommandId,
        request: &CheckedRequest<'_>,
        route: u16,
    ) -> Way {
        if let Some(way) = self.way_of_batch(from, request, route) {
            return way;
        }
        let Some(client) = self.sessions.get(from).and_then(|session| session.client()) else {
            return Way::NoServer;
        };
        if let Some(identity) = client.identity {
            return self.choose_identity_session(identity, request.server, command);
        }
        let Vserver { balancer, .. } = &mut self.vservers[usize::from(client.vserver.0)];
        let allowed = match client.client {
            Some(index) => self.settings.clients[index.0 as usize].servers.as_slice(),
            None => &[],
        };
        let group = match route {
            RouteGroups::NOT_ROUTED => &[],
            mark => self.settings.route_groups().servers(mark),
        };
        let eligible = Eligible {
            wanted: request.server,
            allowed,
            group,
            version: request.version,
            is_last_resort: false,
        };
        let octets_max = self.settings.engine.server_output_octets_max;
        // Where there is nothing to choose between, nothing is weighed.
        if let Some(only) = balancer.only_server() {
            let server = &mut self.servers[usize::from(only.0)];
            if server.has_local_room()
                && eligible.may_take(only, server)
                && let Some(session) = session_with_room(server, &self.sessions, octets_max)
            {
                if server.transmitting.len() > 1 && request.server.is_none() {
                    let vserver = client.vserver;
                    self.begin_batch(from, route, vserver, only, session);
                }
                return Way::Session(only, session);
            }
        }
        let key = BalanceKey {
            source: request.source(),
            destination: request.destination(),
            system_id: &client.system_id,
        };
        let mut choice = Choice {
            settings: &self.settings,
            sessions: &self.sessions,
            links: &self.links,
            servers: &mut self.servers,
            eligible,
        };
        let vserver = client.vserver;
        let way = choice.choose(now, balancer, vserver, key);
        if let (Way::Session(server, to), None) = (&way, request.server) {
            self.begin_batch(from, route, vserver, *server, *to);
        }
        way
    }

    /// Those that the client has sent together with a request that was chosen may follow it.
    #[inline]
    fn begin_batch(
        &mut self,
        from: ConnectionId,
        route: u16,
        vserver: VserverIndex,
        server: ServerIndex,
        to: ConnectionId,
    ) {
        let window = self.sessions.get(to).map_or(0, |session| session.window.limit());
        let batch_max = batch_max(window, self.servers[usize::from(server.0)].part);
        let followers_max = self.vservers[usize::from(vserver.0)].balancer.followers_max();
        self.batch = Some(Batch {
            from,
            route,
            vserver,
            server,
            to,
            left: followers_max.min(batch_max - 1),
        });
    }

    /// The way of a request of an account, whatever core its session is on: for those that are not chosen for where they come in.
    #[cold]
    #[inline(never)]
    pub(super) fn choose_way_of(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        account: Option<ClientIndex>,
        request: &CheckedRequest<'_>,
        route: u16,
    ) -> Way {
        let account = account.map(|index| &self.settings.clients[index.0 as usize]);
        let eligible = Eligible {
            wanted: request.server,
            allowed: account.map_or(&[], |account| account.servers.as_slice()),
            group: match route {
                RouteGroups::NOT_ROUTED => &[],
                mark => self.settings.route_groups().servers(mark),
            },
            version: request.version,
            is_last_resort: false,
        };
        let key = BalanceKey {
            source: request.source(),
            destination: request.destination(),
            system_id: account.map_or(&[], |account| account.system_id.as_bytes()),
        };
        let Vserver { balancer, .. } = &mut self.vservers[usize::from(vserver.0)];
        let mut choice = Choice {
            settings: &self.settings,
            sessions: &self.sessions,
            links: &self.links,
            servers: &mut self.servers,
            eligible,
        };
        choice.choose(now, balancer, vserver, key)
    }
}

/// What may go together to a session with this window, of a server that has this part of its share.
#[inline]
const fn batch_max(window: u32, part: u32) -> u32 {
    let large = window.saturating_mul(part) / WHOLE / WINDOW_PARTS;
    if large > SMALL_BATCH { large } else { SMALL_BATCH }
}

/// Which servers a request may go to at all.
#[derive(Clone, Copy)]
struct Eligible<'a> {
    /// The only one.
    wanted: Option<ServerIndex>,
    /// One of its account's; any if empty.
    allowed: &'a [ServerIndex],
    /// One of those that a rule has named; any if empty.
    group: &'a [ServerIndex],
    /// One that speaks this version.
    version: Version,
    /// One that is left out for its health too: nobody else can have it.
    is_last_resort: bool,
}

impl Eligible<'_> {
    #[inline(always)]
    fn may_take(&self, index: ServerIndex, server: &Server) -> bool {
        // A server that drains or is left out still gets what concerns a message that it has.
        self.wanted
            .map_or(!server.is_aside || self.may_take_as_last(server), |wanted| {
                wanted == index
            })
            && (self.allowed.is_empty() || self.allowed.contains(&index))
            && (self.group.is_empty() || self.group.contains(&index))
            && server.version >= self.version
    }

    const fn may_take_as_last(&self, server: &Server) -> bool {
        self.is_last_resort && !server.is_draining
    }
}

/// What a choice between servers looks at.
struct Choice<'a> {
    settings: &'a Settings,
    sessions: &'a Sessions,
    links: &'a [CoreLink],
    servers: &'a mut [Server],
    eligible: Eligible<'a>,
}

impl Choice<'_> {
    #[inline(never)]
    fn choose(
        &mut self,
        now: Moment,
        balancer: &mut Balancer,
        vserver: VserverIndex,
        key: BalanceKey<'_>,
    ) -> Way {
        let Self {
            settings,
            sessions,
            links,
            servers,
            eligible,
        } = self;
        let usable = |core: CoreIndex| links[core.as_usize()].is_usable(now);
        let has_room = |index: ServerIndex, server: &Server| {
            server.has_room(now, usable) && eligible.may_take(index, server)
        };
        let servers_of = &settings.vservers[usize::from(vserver.0)].servers;
        // Each try that fails finds a server choked, which is not chosen again.
        for _ in 0..servers_of.len() + 1 {
            // An operation on a message has its server already; it must not use up a turn.
            let chosen = match eligible.wanted {
                Some(wanted) => {
                    Some(wanted).filter(|wanted| has_room(*wanted, &servers[usize::from(wanted.0)]))
                }
                None => balancer.choose(servers, &settings.servers, key, has_room),
            };
            let Some(index) = chosen else { break };
            let server = &mut servers[usize::from(index.0)];
            if server.has_local_room() {
                if let Some(session) =
                    session_with_room(server, sessions, settings.engine.server_output_octets_max)
                {
                    return Way::Session(index, session);
                }
                server.is_choked = true;
            } else if let Some(core) = server.remote_with_room(now, usable) {
                return Way::Core(index, core);
            }
        }
        let is_up = |index: &ServerIndex| {
            let server = &servers[usize::from(index.0)];
            server.is_bound_somewhere() && eligible.may_take(*index, server)
        };
        if servers_of.iter().any(is_up) {
            return Way::NoRoom;
        }
        let is_left_out = |index: &ServerIndex| {
            let server = &servers[usize::from(index.0)];
            server.is_aside && !server.is_draining
        };
        if eligible.is_last_resort || eligible.wanted.is_some() || !servers_of.iter().any(is_left_out) {
            return Way::NoServer;
        }
        self.choose_last_resort(now, balancer, vserver, key)
    }

    /// Nobody is well who could have it: then those who are not have it.
    #[cold]
    fn choose_last_resort(
        &mut self,
        now: Moment,
        balancer: &mut Balancer,
        vserver: VserverIndex,
        key: BalanceKey<'_>,
    ) -> Way {
        let eligible = Eligible {
            is_last_resort: true,
            ..self.eligible
        };
        let mut choice = Choice {
            settings: self.settings,
            sessions: self.sessions,
            links: self.links,
            servers: &mut *self.servers,
            eligible,
        };
        choice.choose(now, balancer, vserver, key)
    }
}

/// The next transmitting session in turn that can take a request.
#[inline(always)]
pub(super) fn session_with_room(
    server: &mut Server,
    sessions: &Sessions,
    output_octets_max: usize,
) -> Option<ConnectionId> {
    let count = server.transmitting.len();
    let mut place = server.cursor;
    for _ in 0..count {
        if place >= count {
            place = 0;
        }
        let candidate = server.transmitting[place];
        place += 1;
        let has_room = sessions
            .get(candidate)
            .is_some_and(|session| takes_request(session, output_octets_max));
        if has_room {
            server.cursor = place;
            return Some(candidate);
        }
    }
    None
}

/// A session can take one more request.
#[inline(always)]
pub(super) fn takes_request(session: &Session, output_octets_max: usize) -> bool {
    !session.window.is_full()
        && session.output.waiting_octets() <= output_octets_max
        && session.output.may_retain_more()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::{Command, NewSettings};
    use crate::core::engine::tests::{bind_server, binding_client, engine_of, message, settings_of};
    use crate::core::settings::samples::server_settings;
    use crate::core::settings::{Connections, ServerSettings};
    use std::sync::Arc;

    /// Goal: what was held does not follow what was read before it, for that session may take no more. Method: two sessions with room for
    /// one request each, and a third request, which is held; then settings with more room and one session less.
    #[test]
    fn what_was_held_follows_nothing_that_was_read() {
        let now = Moment::START;
        let server = |connections, window| ServerSettings {
            connections: Connections::PerCore(connections),
            window,
            ..server_settings()
        };
        let mut engine = engine_of(1, vec![server(2, 1)]);
        let sessions = [(); 2].map(|()| bind_server(&mut engine, now));
        let client = binding_client(&mut engine, now);
        let submit = message(CommandId::SUBMIT_SM);
        engine.handle_bytes(now, client, &[&submit[..]; 3].concat());
        let written = |engine: &mut PacketEngine| {
            let mut counts = [0; 2];
            while let Some(sent) = engine.poll_transmit() {
                if let Some(session) = sessions.iter().position(|id| *id == sent.connection) {
                    counts[session] += sent.octets.len() / submit.len();
                }
                engine.handle_transmitted(now, sent.connection, sent.octets);
            }
            counts
        };
        assert_eq!(written(&mut engine), [1, 1]);
        let settings = Arc::new(settings_of(vec![server(1, 10)]));
        engine.handle_command(now, Command::Reconfigure(NewSettings(settings)));
        let staying = engine.servers[0].transmitting.clone();
        assert_eq!(
            written(&mut engine),
            sessions.map(|id| usize::from(staying == [id]))
        );
    }

    /// Goal: a large batch is for a large window, and for a server that has all of its share.
    #[test]
    fn a_batch_grows_with_the_window() {
        let of_whole = [1, 512, 1_000, 4_096, 65_535].map(|window| batch_max(window, WHOLE));
        assert_eq!(of_whole, [16, 16, 31, 128, 2_047]);
        assert_eq!(batch_max(65_535, WHOLE / 10), 199);
        assert_eq!(batch_max(u32::MAX, WHOLE), u32::MAX / WHOLE / WINDOW_PARTS);
    }
}
