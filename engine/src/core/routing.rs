//! Routing rules on a message's way: the first rule that matches rejects it, changes it, or says who may take it.
//!
//! Invariants: a message meets the rules once: what is sent again or moved goes where its rule said and is not changed a
//! second time; one that waits in the hold has not met them yet. A vserver without rules and hop guard never comes here.

use super::checked_request::{Refusal, check};
use super::client_requests::NoWay;
use super::contract::ConnectionId;
use super::core_message::AccountAt;
use super::engine::{PacketEngine, Vserver};
use super::message_log::Reason;
use super::output::Buffers;
use super::route::{
    CannotRewrite, Direction, Hop, HopGuard, RouteAction, RouteGroups, RouteQuery, RouteTable,
    SeveralDestinations,
};
use super::sequence::{Journey, Mark, Origin};
use super::server_requests::CheckedMessage;
use super::session::Side;
use super::settings::{ClientIndex, ServerIndex, Settings, VserverIndex};
use super::time::Moment;
use super::wire::{
    Address, BroadcastView, CommandId, DataView, Header, MessageView, Status, SubmitMultiView,
};
use bytes::BytesMut;

/// The marks of routing fill what a window has room for.
const _: () = assert!(RouteGroups::NO_GROUP == Mark::ROUTE_MAX && RouteGroups::NOT_ROUTED == 0);

/// An address would not fit its field after a rule has changed it.
const CANNOT_REWRITE: Status = Status::ESME_RINVDSTADR;
/// A message has passed too many gateways.
const TOO_MANY_HOPS: Status = Status::ESME_RSUBMITFAIL;

/// The rules of one vserver, compiled for one core.
#[derive(Debug)]
pub(super) struct Routing {
    to_servers: Option<RouteTable>,
    to_clients: Option<RouteTable>,
    hop_guard: Option<HopGuard>,
}

/// What became of a client's request at the rules.
pub(super) enum Routed {
    Sent,
    Rejected(Status),
    NoWay(NoWay),
}

/// What the rules say of a message.
struct Judged {
    /// The message as it goes on, where it was changed.
    changed: Option<BytesMut>,
    /// The mark for [`Journey::route`]: the servers that may take it.
    route: u16,
    /// Whose clients get it (MO).
    vserver: Option<VserverIndex>,
    /// The account that gets it (vendor commands, MO).
    account: Option<ClientIndex>,
}

impl Judged {
    /// Does what the first rule that matches says of a message with one destination, or none.
    fn meet_one(
        &mut self,
        groups: &RouteGroups,
        buffers: &mut Buffers,
        table: &RouteTable,
        query: &RouteQuery<'_>,
        pdu: &[u8],
    ) -> Result<(), Status> {
        let Some((number, rule)) = table.first_match(query) else {
            return Ok(());
        };
        self.route = groups.mark_of(number);
        match &rule.action {
            RouteAction::Reject(status) => Err(*status),
            RouteAction::Forward {
                vserver,
                client,
                rewrite,
                ..
            } => {
                (self.vserver, self.account) = (*vserver, *client);
                if rewrite.is_empty() || query.is_vendor_command {
                    return Ok(());
                }
                self.change(buffers, |changed| rewrite.append(changed, pdu))
            }
        }
    }

    /// Does what the rules say of all destinations of a submit_multi.
    fn meet_several(
        &mut self,
        groups: &RouteGroups,
        buffers: &mut Buffers,
        several: &SeveralDestinations<'_>,
        pdu: &[u8],
    ) -> Result<(), Status> {
        let joined = several.join(groups)?;
        self.route = joined.mark;
        if !joined.is_changed {
            return Ok(());
        }
        self.change(buffers, |changed| several.append(changed, pdu, &joined))
    }

    fn change(
        &mut self,
        buffers: &mut Buffers,
        append: impl FnOnce(&mut BytesMut) -> Result<(), CannotRewrite>,
    ) -> Result<(), Status> {
        let mut changed = buffers.take();
        if append(&mut changed).is_err() {
            buffers.give(changed);
            return Err(CANNOT_REWRITE);
        }
        self.changed = Some(changed);
        Ok(())
    }
}

impl Routing {
    /// `None` where there is nothing to look at.
    pub(super) fn new(settings: &Settings, vserver: VserverIndex, seed: u64) -> Option<Box<Self>> {
        let routing = Self {
            to_servers: settings.route_table(vserver, Direction::MobileTerminated, seed),
            to_clients: settings.route_table(vserver, Direction::MobileOriginated, seed),
            hop_guard: settings.vservers.get(usize::from(vserver.0))?.hop_guard,
        };
        let is_needed =
            routing.to_servers.is_some() || routing.to_clients.is_some() || routing.hop_guard.is_some();
        is_needed.then(|| Box::new(routing))
    }

    const fn table(&self, direction: Direction) -> Option<&RouteTable> {
        match direction {
            Direction::MobileTerminated => self.to_servers.as_ref(),
            Direction::MobileOriginated => self.to_clients.as_ref(),
        }
    }
}

/// A message of this session needs a closer look before it goes on: its account has a rate, or there are rules.
pub(super) fn is_curbed(settings: &Settings, vservers: &[Vserver], side: &Side) -> bool {
    let has_rules = |vserver: VserverIndex| vservers[usize::from(vserver.0)].routing.is_some();
    match side {
        Side::Client(client) => settings.has_rate(client.client) || has_rules(client.vserver),
        Side::Server(side) => settings.servers[usize::from(side.server.0)]
            .mobile_originated_vserver
            .is_some_and(has_rules),
        Side::Gone => false,
    }
}

impl Settings {
    /// The rules for one vserver and direction, compiled.
    pub fn route_table(&self, vserver: VserverIndex, direction: Direction, seed: u64) -> Option<RouteTable> {
        let rules = (0_u16..).zip(&self.routes).filter(|(_, rule)| {
            rule.matches.direction == direction
                && (rule.matches.vservers.is_empty() || rule.matches.vservers.contains(&vserver))
        });
        RouteTable::new(rules, seed)
    }
}

impl PacketEngine {
    /// Requests of a client of this vserver meet rules.
    pub(super) fn has_routing(&self, vserver: VserverIndex) -> bool {
        self.vservers[usize::from(vserver.0)].routing.is_some()
    }

    /// A checked and counted request of a client that has to meet the rules; `journey` says whether it has already.
    pub(super) fn route_request(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        pdu: &[u8],
        mut journey: Journey,
    ) -> Routed {
        let Some(session) = self.sessions.get(from) else {
            return Routed::NoWay(NoWay::NoServer);
        };
        let Some(client) = session.client() else {
            return Routed::NoWay(NoWay::NoServer);
        };
        let (vserver, version, account) = (client.vserver, session.version, client.client);
        let mut changed = None;
        if journey.mark.route() == RouteGroups::NOT_ROUTED {
            let query = query_of(header.command_id, pdu, account, None);
            match self.judge(vserver, Direction::MobileTerminated, query, pdu) {
                Ok(judged) => {
                    journey.mark = Mark::new(journey.mark.resends(), judged.route);
                    changed = judged.changed;
                }
                Err(status) => return Routed::Rejected(status),
            }
        }
        let octets = changed.as_deref().unwrap_or(pdu);
        let routed = match check(&self.settings, vserver, version, header.command_id, octets) {
            Ok(request) => match self.send_to_server(now, from, header, &request, journey) {
                Ok(()) => Routed::Sent,
                Err(way) => Routed::NoWay(way),
            },
            // Only what a rule has made of it can be wrong: it was checked when it came.
            Err(Refusal::Status(status)) => Routed::Rejected(status),
            Err(Refusal::Fault(fault)) => Routed::Rejected(fault.status),
        };
        if let Some(changed) = changed {
            self.buffers.give(changed);
        }
        routed
    }

    /// Answers a client's request that a rule rejects.
    #[cold]
    pub(super) fn answer_rejected(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        journey: Journey,
        status: Status,
    ) {
        self.know_reason(from, &header, journey.arrived_at, Reason::Rule);
        self.answer_client(now, from, header, status);
    }

    /// A checked and counted message of a server that has to meet the rules: sends it on, or answers it.
    #[cold]
    pub(super) fn route_message(
        &mut self,
        now: Moment,
        from: ConnectionId,
        server: ServerIndex,
        header: &Header,
        pdu: &[u8],
        vserver: VserverIndex,
    ) {
        let query = query_of(header.command_id, pdu, None, Some(server));
        let judged = match self.judge(vserver, Direction::MobileOriginated, query, pdu) {
            Ok(judged) => judged,
            Err(status) => return self.answer_mobile_originated(now, from, header, status),
        };
        let origin = Origin::Session {
            connection: from,
            sequence_number: header.sequence_number,
        };
        let octets = judged.changed.as_deref().unwrap_or(pdu);
        let outcome = match CheckedMessage::check(header.command_id, octets) {
            Ok(message) => {
                let vserver = judged.vserver.unwrap_or(vserver);
                let account = judged.account.map(|account| AccountAt { vserver, account });
                let message = CheckedMessage { account, ..message };
                self.deliver_or_queue(now, vserver, &message, origin)
            }
            Err(fault) => Err(fault.status),
        };
        if let Some(changed) = judged.changed {
            self.buffers.give(changed);
        }
        if let Err(status) = outcome {
            self.answer_mobile_originated(now, from, header, status);
        }
    }

    /// A vendor command: a rule may let it through, untouched, to one of the servers, or to an account.
    pub(super) fn vendor_command_may_pass(&self, from: ConnectionId) -> bool {
        let Some(session) = self.sessions.get(from) else {
            return false;
        };
        let (vserver, direction, query) = match &session.side {
            Side::Client(client) => (
                Some(client.vserver),
                Direction::MobileTerminated,
                vendor_query(client.client, None),
            ),
            Side::Server(side) => (
                self.settings.servers[usize::from(side.server.0)].mobile_originated_vserver,
                Direction::MobileOriginated,
                vendor_query(None, Some(side.server)),
            ),
            Side::Gone => return false,
        };
        let routing = vserver.and_then(|vserver| self.vservers[usize::from(vserver.0)].routing.as_ref());
        let table = routing.and_then(|routing| routing.table(direction));
        let rule = table.and_then(|table| table.first_match(&query));
        rule.is_some_and(|(_, rule)| matches!(rule.action, RouteAction::Forward { .. }))
    }

    /// Looks for the first rule that matches and does what it says; `Err`: the message is answered with this status.
    fn judge(
        &mut self,
        vserver: VserverIndex,
        direction: Direction,
        query: Option<RouteQuery<'_>>,
        pdu: &[u8],
    ) -> Result<Judged, Status> {
        let Self {
            vservers,
            buffers,
            settings,
            ..
        } = self;
        let mut judged = Judged {
            changed: None,
            route: RouteGroups::NO_GROUP,
            vserver: None,
            account: None,
        };
        let (Some(routing), Some(query)) = (&vservers[usize::from(vserver.0)].routing, query) else {
            return Ok(judged);
        };
        if let Some(table) = routing.table(direction) {
            let met = match submit_multi(pdu) {
                Some(view) => {
                    let several = SeveralDestinations { table, query, view };
                    judged.meet_several(settings.route_groups(), buffers, &several, pdu)
                }
                None => judged.meet_one(settings.route_groups(), buffers, table, &query, pdu),
            };
            met?;
        }
        if let Some(guard) = routing.hop_guard.filter(|_| !query.is_vendor_command) {
            let mut counted = buffers.take();
            let hop = guard.append(&mut counted, judged.changed.as_deref().unwrap_or(pdu));
            let uncounted = judged.changed.replace(counted);
            if let Some(uncounted) = uncounted {
                buffers.give(uncounted);
            }
            if hop != Ok(Hop::Counted) {
                if let Some(counted) = judged.changed {
                    buffers.give(counted);
                }
                return Err(TOO_MANY_HOPS);
            }
        }
        Ok(judged)
    }
}

/// A checked message that has several destinations, or may have them.
fn submit_multi(pdu: &[u8]) -> Option<SubmitMultiView<'_>> {
    let command = Header::read(pdu)?.command_id;
    let is_submit_multi = command == CommandId::SUBMIT_MULTI;
    is_submit_multi
        .then(|| SubmitMultiView::parse(pdu).ok())
        .flatten()
}

/// What rules can know of a message; `None` for what no rule is about: operations on a message belong to its server.
fn query_of<'a>(
    command: CommandId,
    pdu: &'a [u8],
    client: Option<ClientIndex>,
    server: Option<ServerIndex>,
) -> Option<RouteQuery<'a>> {
    let plain = RouteQuery {
        client,
        server,
        source: Address::default(),
        destination: None,
        service_type: &[],
        data_coding: 0,
        esm_class: 0,
        is_vendor_command: false,
    };
    Some(match command {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
            let view = MessageView::parse(pdu).ok()?;
            RouteQuery {
                source: view.source(),
                destination: Some(view.destination()),
                service_type: view.service_type(),
                data_coding: view.data_coding(),
                esm_class: view.esm_class(),
                ..plain
            }
        }
        CommandId::DATA_SM => {
            let view = DataView::parse(pdu).ok()?;
            RouteQuery {
                source: view.source(),
                destination: Some(view.destination()),
                service_type: view.service_type(),
                data_coding: view.data_coding(),
                esm_class: view.esm_class(),
                ..plain
            }
        }
        CommandId::SUBMIT_MULTI => {
            let view = SubmitMultiView::parse(pdu).ok()?;
            RouteQuery {
                source: view.source(),
                service_type: view.service_type(),
                data_coding: view.data_coding(),
                esm_class: view.esm_class(),
                ..plain
            }
        }
        CommandId::BROADCAST_SM => {
            // One that takes another's place belongs to that one's server.
            let view = BroadcastView::parse(pdu)
                .ok()
                .filter(|view| view.message_id().is_empty())?;
            RouteQuery {
                source: view.source(),
                service_type: view.service_type(),
                data_coding: view.data_coding(),
                ..plain
            }
        }
        command if command.is_vendor() => vendor_query(client, server),
        _ => return None,
    })
}

const fn vendor_query<'a>(client: Option<ClientIndex>, server: Option<ServerIndex>) -> RouteQuery<'a> {
    RouteQuery {
        client,
        server,
        source: Address {
            ton: 0,
            npi: 0,
            addr: &[],
        },
        destination: None,
        service_type: &[],
        data_coding: 0,
        esm_class: 0,
        is_vendor_command: true,
    }
}
