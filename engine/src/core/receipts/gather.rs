//! One answer of many: a cancel_sm or cancel_broadcast_sm without an id goes to every server of its vserver that knows it.
//!
//! Invariants: a gather ends when the last of its parts has, with one answer; a client's window bounds how many there are.
//! ESME_ROK means that every server has taken it or had nothing to cancel; where one could not be asked, or failed, its
//! status is the answer, so that the client tries again.

use crate::core::checked_request::CheckedRequest;
use crate::core::choice::Way;
use crate::core::contract::ConnectionId;
use crate::core::engine::PacketEngine;
use crate::core::relay::Relay;
use crate::core::route::RouteGroups;
use crate::core::sequence::{Origin, Pending};
use crate::core::session::Session;
use crate::core::settings::ServerIndex;
use crate::core::time::Moment;
use crate::core::wire::{CommandId, Header, Status, Version};

/// Names a gather; a place that is used again has another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct GatherId {
    index: u32,
    generation: u32,
}

/// The gathers of one core.
#[derive(Debug, Default)]
pub(in crate::core) struct Gathers {
    places: Vec<(u32, Option<Gather>)>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Gather {
    connection: ConnectionId,
    header: Header,
    /// Parts without an answer, and one for the time in which parts are still being sent.
    left: u32,
    any_done: bool,
    /// The first that says more than that there was nothing to do.
    failure: Option<Status>,
}

impl Gathers {
    fn begin(&mut self, connection: ConnectionId, header: Header) -> GatherId {
        let gather = Gather {
            connection,
            header,
            left: 1,
            any_done: false,
            failure: None,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.places[index as usize];
        place.1 = Some(gather);
        GatherId {
            index,
            generation: place.0,
        }
    }

    fn get_mut(&mut self, id: GatherId) -> Option<&mut Gather> {
        let place = self.places.get_mut(id.index as usize)?;
        place.1.as_mut().filter(|_| place.0 == id.generation)
    }

    fn take(&mut self, id: GatherId) -> Option<Gather> {
        self.get_mut(id)?;
        let place = &mut self.places[id.index as usize];
        place.0 = place.0.wrapping_add(1);
        self.free.push(id.index);
        place.1.take()
    }

    fn of(&self, connection: ConnectionId) -> Vec<GatherId> {
        let places = (0_u32..).zip(&self.places);
        places
            .filter(|(_, (_, gather))| gather.is_some_and(|gather| gather.connection == connection))
            .map(|(index, (generation, _))| GatherId {
                index,
                generation: *generation,
            })
            .collect()
    }
}

/// There was nothing to cancel.
const fn means_nothing_there(status: Status) -> bool {
    matches!(
        status,
        Status::ESME_RCANCELFAIL | Status::ESME_RBCASTCANCELFAIL | Status::ESME_RINVMSGID
    )
}

/// What a request of this kind is answered when it cancels nothing.
pub(super) const fn cancel_failed(command: CommandId) -> Status {
    match command {
        CommandId::CANCEL_BROADCAST_SM => Status::ESME_RBCASTCANCELFAIL,
        _ => Status::ESME_RCANCELFAIL,
    }
}

impl PacketEngine {
    /// Sends a counted request to every server of its client's vserver.
    pub(super) fn send_to_all_servers(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        pdu: &[u8],
    ) {
        let Some(client) = self.sessions.get(from).and_then(Session::client) else {
            return;
        };
        let vserver = &self.settings.vservers[usize::from(client.vserver.0)];
        let allowed = client
            .client
            .map_or(&[][..], |index| &self.settings.clients[index.0 as usize].servers);
        let may_use = |server: &ServerIndex| allowed.is_empty() || allowed.contains(server);
        // An identity's operations go where its own sessions are.
        let servers: Vec<Option<ServerIndex>> = match client.identity {
            Some(_) => vec![None],
            None => vserver
                .servers
                .iter()
                .copied()
                .filter(|server| may_use(server) && self.may_know(*server, header.command_id))
                .map(Some)
                .collect(),
        };
        if servers.is_empty() {
            return self.answer_client(now, from, header, Status::ESME_RINVCMDID);
        }
        let gather = self.receipts.gathers.begin(from, header);
        for server in servers {
            if let Some(gather) = self.receipts.gathers.get_mut(gather) {
                gather.left += 1;
            }
            let request = CheckedRequest::to_server(header.command_id, pdu, server);
            if let Err(status) = self.send_part(now, from, &header, &request, gather) {
                self.part_answered(now, gather, status);
            }
        }
        self.part_sent(now, gather);
    }

    /// Whether a server's version has this command, as far as is known: it has nothing to cancel otherwise.
    fn may_know(&self, server: ServerIndex, command: CommandId) -> bool {
        let state = &self.servers[usize::from(server.0)];
        let version = if state.is_bound_somewhere() {
            state.version
        } else {
            let configured = &self.settings.servers[usize::from(server.0)];
            Version::from_interface_version(configured.interface_version)
        };
        version.knows(command)
    }

    fn send_part(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        request: &CheckedRequest<'_>,
        gather: GatherId,
    ) -> Result<(), Status> {
        let origin = Origin::Gathered(gather);
        let sent = match self.choose_way(now, from, header.command_id, request, RouteGroups::NOT_ROUTED) {
            // v3.3 knows no TLVs.
            Way::Session(server, to) if self.servers[usize::from(server.0)].version == Version::V33 => self
                .send_request_translated(now, to, request.pdu, 0..0, origin)
                .unwrap_or(true),
            Way::Session(_, to) => self.send_request(
                now,
                to,
                Relay::whole(request.pdu),
                origin,
                header.command_id,
                false,
            ),
            Way::Core(server, core) => {
                let pending = Pending::new(origin, header.command_id, now);
                self.send_core_request_to_server(now, core, server, request, pending, None)
            }
            Way::NoRoom => false,
            Way::NoServer => return Err(Status::ESME_RSYSERR),
        };
        if sent {
            Ok(())
        } else {
            Err(Status::ESME_RTHROTTLED)
        }
    }

    /// One server has answered its part, or will not.
    pub(in crate::core) fn part_answered(&mut self, now: Moment, id: GatherId, status: Status) {
        if let Some(gather) = self.receipts.gathers.get_mut(id) {
            gather.any_done |= status.is_ok();
            if !status.is_ok() && !means_nothing_there(status) {
                gather.failure.get_or_insert(status);
            }
        }
        self.part_sent(now, id);
    }

    /// One part less to wait for.
    fn part_sent(&mut self, now: Moment, id: GatherId) {
        let Some(gather) = self.receipts.gathers.get_mut(id) else {
            return;
        };
        gather.left -= 1;
        if gather.left == 0 {
            self.end_gather(now, id);
        }
    }

    fn end_gather(&mut self, now: Moment, id: GatherId) {
        let Some(gather) = self.receipts.gathers.take(id) else {
            return;
        };
        let status = match gather.failure {
            Some(failure) => failure,
            None if gather.any_done => Status::ESME_ROK,
            None => cancel_failed(gather.header.command_id),
        };
        self.fail_for_session(now, gather.connection, gather.header, status);
    }

    /// A client is about to be told that all is over: its gathers are answered with what is known.
    pub(in crate::core) fn end_gathers_of(&mut self, now: Moment, connection: ConnectionId) {
        for id in self.receipts.gathers.of(connection) {
            if let Some(gather) = self.receipts.gathers.get_mut(id) {
                gather.failure.get_or_insert(Status::ESME_RSYSERR);
            }
            self.end_gather(now, id);
        }
    }
}

impl CheckedRequest<'_> {
    /// It is to cancel, and names no message.
    pub(super) const fn is_cancel_all(command: CommandId, message_id: &[u8]) -> bool {
        matches!(command, CommandId::CANCEL_SM | CommandId::CANCEL_BROADCAST_SM) && message_id.is_empty()
    }
}
