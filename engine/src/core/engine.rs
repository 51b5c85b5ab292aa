//! The packet engine: the whole SMPP logic of one core behind `handle_*` and `poll_*`.
//!
//! This file owns the engine's parts and the two ends of the contract; what happens to a PDU stands in one file for each
//! way: `client_requests` (MT), `server_requests` (MO), `answers`, `core_link` (between cores), `client_bind`,
//! `server_link`, `session_end`, `timeouts`.

use super::balance::Balancer;
use super::choice::Batch;
use super::concatenation::Pins;
use super::contract::{
    Action, ClosedBy, Command, ConnectionId, CoreIndex, Notice, PasswordVerdict, ReadOutcome, Transmit,
    Unsent,
};
use super::core_link::CoreLink;
use super::core_message::{CoreMessage, MapEntry};
use super::directory::{Directory, DirectoryEntry};
use super::drain::Drain;
use super::entry_lanes::{EntryLanes, WAITING_ENTRIES_MAX};
use super::figures::{PastExchanges, Violations, count};
use super::hold::Hold;
use super::identities::Identities;
use super::lease::Leases;
use super::message_log::MessageLog;
use super::operator::Operator;
use super::outbox::Outbox;
use super::output::Buffers;
use super::passwords::Passwords;
use super::pool::Pools;
use super::queue::Queue;
use super::random::Random;
use super::receipts::Receipts;
use super::report::{Counters, Report, Wanted};
use super::routing::Routing;
use super::server::Server;
use super::session::{Session, Sessions};
use super::settings::{ClientIndex, ServerIndex, Settings, VserverIndex};
use super::store_message::{StoreCommand, StoreEvent};
use super::time::Moment;
use super::timer::Timers;
use super::trace::Traces;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// The packet engine of one core.
///
/// # Order of calls
///
/// Something happens: call the matching `handle_*`. Several may follow each other; together they are one *turn*.
/// When the turn ends, call until each says `None`, in this order: [`poll_notice`](Self::poll_notice),
/// [`poll_transmit`](Self::poll_transmit), [`poll_core_message`](Self::poll_core_message), [`poll_store`](Self::poll_store),
/// [`poll_action`](Self::poll_action); and [`poll_message_log`](Self::poll_message_log) once. (Notice before transmit: what counts
/// against an address counts before its client hears of it. Transmit before action: a `Close` must find its last bytes handed out.)
/// Then wait for the next event, or until [`next_timeout`](Self::next_timeout), and call
/// [`handle_timeout`](Self::handle_timeout).
///
/// `now` must never go back. A handle that is no longer known is ignored.
#[derive(Debug)]
pub struct PacketEngine {
    pub(super) core: CoreIndex,
    pub(super) cores: u16,
    pub(super) settings: Arc<Settings>,
    pub(super) sessions: Sessions,
    /// In configured order.
    pub(super) servers: Vec<Server>,
    /// In configured order.
    pub(super) vservers: Vec<Vserver>,
    /// Where the requests of the present read go.
    pub(super) batch: Option<Batch>,
    /// Requests that wait for room, at all vservers.
    pub(super) held_requests: usize,
    pub(super) pools: Pools,
    /// Bound sessions of each account on this core, and on the others by the directory.
    pub(super) account_sessions: AccountSessions,
    pub(super) identities: Identities,
    pub(super) passwords: Passwords,
    /// One for each core; the own core's is never used.
    pub(super) links: Vec<CoreLink>,
    pub(super) directory: Directory,
    pub(super) queue: Queue,
    /// Entries on their way to their home cores.
    pub(super) entries: EntryLanes<MapEntry>,
    /// Rates that hold over all cores.
    pub(super) leases: Leases,
    /// Accepted binds whose pools not every core knows: version of the change, session.
    pub(super) unreleased_binds: VecDeque<(u64, ConnectionId)>,
    pub(super) drain: Option<Drain>,
    /// Concatenated messages under way.
    pub(super) pins: Pins,
    pub(super) timers: Timers,
    pub(super) outbox: Outbox,
    pub(super) buffers: Buffers,
    /// Which account waits for which receipt, and what mapped ids stand for.
    pub(super) receipts: Receipts,
    pub(super) counters: Counters,
    pub(super) violations: Violations,
    pub(super) past: PastExchanges,
    pub(super) operator: Operator,
    pub(super) traces: Traces,
    pub(super) message_log: MessageLog,
    /// What other cores have said of servers that this core does not know yet: they have their new settings already.
    pub(super) early_server_entries: Vec<(CoreIndex, DirectoryEntry)>,
    pub(super) random: Random,
}

/// One vserver as one core sees it.
#[derive(Debug)]
pub(super) struct Vserver {
    pub(super) balancer: Balancer,
    pub(super) hold: Hold,
    /// Its rules; `None` while nothing has to be looked at.
    pub(super) routing: Option<Box<Routing>>,
}

/// How many sessions an account has, by core.
#[derive(Debug, Default)]
pub(super) struct AccountSessions {
    counts: std::collections::BTreeMap<(ClientIndex, CoreIndex), u32>,
}

impl AccountSessions {
    pub(super) fn total(&self, client: ClientIndex) -> u32 {
        self.counts
            .range((client, CoreIndex(0))..=(client, CoreIndex(u16::MAX)))
            .map(|(_, count)| count)
            .sum()
    }

    pub(super) fn at(&self, client: ClientIndex, core: CoreIndex) -> u32 {
        self.counts.get(&(client, core)).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, client: ClientIndex, core: CoreIndex, sessions: u32) {
        if sessions == 0 {
            self.counts.remove(&(client, core));
        } else {
            self.counts.insert((client, core), sessions);
        }
    }

    pub(super) fn forget_core(&mut self, gone: CoreIndex) {
        self.counts.retain(|(_, core), _| *core != gone);
    }
}

impl PacketEngine {
    /// An engine for core `core` of `cores`. The first turn may follow at once: it asks for the connections to servers.
    /// `seed` feeds jitter and hashing; the same seed and events give the same actions.
    pub fn new(core: CoreIndex, cores: u16, settings: Arc<Settings>, seed: u64, now: Moment) -> Self {
        let servers = (0_u16..)
            .zip(&settings.servers)
            .map(|(index, _)| Server::configured(&settings, ServerIndex(index)))
            .collect();
        let vservers = (0_u16..)
            .zip(&settings.vservers)
            .map(|(index, vserver)| Vserver {
                balancer: Balancer::new(vserver, &settings.servers),
                hold: Hold::default(),
                routing: Routing::new(&settings, VserverIndex(index), seed),
            })
            .collect();
        let mut engine = Self {
            core,
            cores,
            sessions: Sessions::default(),
            servers,
            vservers,
            batch: None,
            held_requests: 0,
            pools: Pools::new(settings.vservers.len(), seed),
            account_sessions: AccountSessions::default(),
            identities: Identities::new(seed),
            passwords: Passwords::new(seed),
            links: (0..cores)
                .map(|_| CoreLink::new(settings.engine.core_requests_max))
                .collect(),
            directory: Directory::new(core, cores),
            queue: Queue::new(settings.engine.has_queue),
            entries: EntryLanes::new(cores, WAITING_ENTRIES_MAX),
            leases: Leases::new(cores, seed),
            unreleased_binds: VecDeque::new(),
            drain: None,
            pins: Pins::new(&settings, seed),
            timers: Timers::default(),
            outbox: Outbox::default(),
            buffers: Buffers::default(),
            receipts: Receipts::new(core, cores, &settings),
            counters: Counters::default(),
            violations: Violations::default(),
            past: PastExchanges::new(settings.vservers.len()),
            operator: Operator::default(),
            traces: Traces::default(),
            message_log: MessageLog::default(),
            early_server_entries: Vec::new(),
            random: Random::new(seed ^ u64::from(core.0)),
            settings,
        };
        engine.message_log.turn(engine.settings.has_message_log);
        engine.connect_all_servers(now);
        engine
    }

    /// A connection was accepted for a vserver. `None`: the session table is full or a drain is on; close it.
    pub fn handle_accepted(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        peer: SocketAddr,
    ) -> Option<ConnectionId> {
        let accepted = self.accept_client(now, vserver, peer, None);
        self.check_invariants_in_debug_builds();
        accepted
    }

    /// The same for a connection that somebody else has kept until its bind came in: the time that it has to bind has begun
    /// before, and ends at `bind_deadline`.
    pub fn handle_handed_over(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        peer: SocketAddr,
        bind_deadline: Moment,
    ) -> Option<ConnectionId> {
        let accepted = self.accept_client(now, vserver, peer, Some(bind_deadline));
        self.check_invariants_in_debug_builds();
        accepted
    }

    /// A connection was accepted where a server may open some (`outbind-listen`). `None`: it may not just now; close it.
    pub fn handle_called(
        &mut self,
        now: Moment,
        server: ServerIndex,
        peer: SocketAddr,
    ) -> Option<ConnectionId> {
        let accepted = self.accept_call(now, server, peer);
        self.check_invariants_in_debug_builds();
        accepted
    }

    /// A client has shown a certificate, which was verified, for these DNS names. Called once, before any bytes.
    pub fn handle_certificate(&mut self, _now: Moment, connection: ConnectionId, names: Vec<String>) {
        if let Some(client) = self.sessions.get_mut(connection).and_then(Session::client_mut) {
            client.certificate_names = names;
        }
    }

    /// The connection that `Action::Connect` asked for is open.
    pub fn handle_connected(&mut self, now: Moment, connection: ConnectionId) {
        self.server_connected(now, connection);
        self.check_invariants_in_debug_builds();
    }

    /// Bytes arrived. `bytes` starts where the last call's consumed octets ended.
    pub fn handle_bytes(&mut self, now: Moment, connection: ConnectionId, bytes: &[u8]) -> ReadOutcome {
        let outcome = self.read_pdus(now, connection, bytes);
        self.check_invariants_in_debug_builds();
        outcome
    }

    /// All octets of the last [`Transmit`] were taken by the kernel; the buffer comes back for re-use.
    pub fn handle_transmitted(&mut self, now: Moment, connection: ConnectionId, buffer: BytesMut) {
        self.output_written(now, connection, buffer);
        self.check_invariants_in_debug_builds();
    }

    /// The peer closed its sending side in an orderly way (end of file). Writing goes on: the engine answers what it
    /// still can and then asks for `Action::Close` itself.
    pub fn handle_read_closed(&mut self, now: Moment, connection: ConnectionId) {
        self.read_closed(now, connection);
        self.check_invariants_in_debug_builds();
    }

    /// The connection is gone, or could not be opened. Not called for connections that `Action::Close` ended.
    pub fn handle_closed(
        &mut self,
        now: Moment,
        connection: ConnectionId,
        by: ClosedBy,
        unsent: Option<Unsent>,
    ) {
        self.connection_lost(now, connection, by, unsent);
        self.check_invariants_in_debug_builds();
    }

    /// A message from another core.
    pub fn handle_core_message(&mut self, now: Moment, from: CoreIndex, message: CoreMessage) {
        match message {
            CoreMessage::Request(request) => self.core_request(now, from, request),
            CoreMessage::Answer(answer) => self.core_answer(now, from, answer),
            CoreMessage::Directory(update) => self.directory_update(now, from, update),
            CoreMessage::DirectoryApplied(acknowledgement) => {
                self.directory.acknowledged(from, acknowledgement.version);
                self.release_binds(now);
            }
            CoreMessage::Entries(batch) => self.entries_came(now, from, batch),
            CoreMessage::EntriesTaken(taken) => self.entries.taken(from, taken.emptied),
            CoreMessage::WordWanted => self.entries.owe_word(from),
            CoreMessage::LeaseQuestion(question) => self.lease_question(now, from, question),
            CoreMessage::LeaseGrants(grants) => self.lease_grants(now, from, grants),
        }
        self.check_invariants_in_debug_builds();
    }

    /// A message that `poll_core_message` gave could not be delivered: the mailbox refused it or the core is gone.
    pub fn handle_core_refused(&mut self, now: Moment, to: CoreIndex, message: CoreMessage) {
        self.core_message_refused(now, to, message);
        self.check_invariants_in_debug_builds();
    }

    /// What the store has to say: the answer to an order that `poll_store` gave, or news.
    pub fn handle_store(&mut self, now: Moment, event: StoreEvent) {
        self.store_event(now, event);
        self.check_invariants_in_debug_builds();
    }

    /// The answer to [`Action::VerifyPassword`].
    pub fn handle_password(&mut self, now: Moment, question: u32, verdict: PasswordVerdict) {
        self.password_verified(now, question, verdict);
        self.check_invariants_in_debug_builds();
    }

    /// Another core has stopped for good: what it owned is gone, and nothing waits for it any more.
    pub fn handle_core_gone(&mut self, now: Moment, core: CoreIndex) {
        self.forget_core(now, core);
        self.check_invariants_in_debug_builds();
    }

    /// `next_timeout` has come (or passed; or not yet: harmless).
    pub fn handle_timeout(&mut self, now: Moment) {
        self.run_due_timers(now);
        self.check_invariants_in_debug_builds();
    }

    /// An order from the control core.
    pub fn handle_command(&mut self, now: Moment, command: Command) {
        match command {
            Command::Drain => self.start_drain(now),
            Command::Stop => self.stop(now),
            Command::DrainServer(server) => self.drain_server(now, server, true),
            Command::UndrainServer(server) => self.drain_server(now, server, false),
            Command::DrainClient(client) => self.drain_client(now, client),
            Command::UndrainClient(client) => self.operator.undrain_client(client),
            Command::Reconfigure(settings) => self.reconfigure(now, &settings.0),
            Command::SetWeight { server, weight } => self.set_weight(server, weight),
            Command::Trace { subject, is_on } => self.set_trace(subject, is_on),
        }
        self.check_invariants_in_debug_builds();
    }

    /// The next connection that has bytes to write.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some(connection) = self.outbox.writable.take_first() {
            let Some(session) = self.sessions.get_mut(connection) else {
                continue;
            };
            session.output.listed = false;
            if session.output.may_hand_out() {
                if session.is_traced() {
                    return self.transmit_traced(connection);
                }
                let octets = session.output.hand_out();
                count(&mut self.counters.transmitted_octets, octets.len() as u64);
                return Some(Transmit { connection, octets });
            }
        }
        None
    }

    /// Whether something waits for octets to be written that were handed out by [`poll_transmit`](Self::poll_transmit): more
    /// octets, a session that reads too slowly, the end of one. Told once; a shell that learns of writing late may hurry then.
    pub fn poll_awaits_transmitted(&mut self) -> bool {
        std::mem::take(&mut self.outbox.awaits_transmitted) || !self.queue.rings.is_empty()
    }

    /// The next message for another core.
    pub fn poll_core_message(&mut self) -> Option<(CoreIndex, CoreMessage)> {
        if !self.outbox.core_messages.is_empty() {
            return self.outbox.core_messages.pop_front();
        }
        if self.directory.may_have_update() || self.entries.may_have_batch() || self.may_have_lease_question()
        {
            return self.next_batch_for_a_core();
        }
        None
    }

    /// What accumulates for other cores while they have not acknowledged the last of it.
    #[inline(never)]
    fn next_batch_for_a_core(&mut self) -> Option<(CoreIndex, CoreMessage)> {
        self.next_directory_update()
            .or_else(|| self.next_entries())
            .or_else(|| self.next_lease_question())
    }

    /// The next order for the store, which answers with `handle_store`. The orders of an engine are handled in their order.
    pub fn poll_store(&mut self) -> Option<StoreCommand> {
        self.queue.commands.pop_front()
    }

    /// The next thing for the shell to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.outbox.actions.pop_front()
    }

    /// The next notice for the log.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        let notice = self.outbox.notices.pop_front();
        if let Some(Notice::Traced(traced)) = &notice {
            self.traces.taken(traced.octets.len());
        }
        notice
    }

    /// When `handle_timeout` wants to be called; [`Moment::NEVER`] for not at all.
    pub fn next_timeout(&self) -> Moment {
        self.timers.next()
    }

    /// Figures for operators, taken without changing anything.
    pub fn report(&self) -> Report {
        self.make_report(Wanted::default())
    }

    /// The same with as many details as are wanted.
    pub fn detailed_report(&self, wanted: Wanted) -> Report {
        self.make_report(wanted)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::core::settings::samples::{client_settings, server_settings, vserver_settings};
    use crate::core::settings::{EngineSettings, ServerSettings, VserverSettings};
    use crate::core::wire::{
        Address, Bind, CommandId, Header, Message, Status, Version, write_header_only, write_pdu,
    };
    use std::time::Duration;

    /// One of `cores` engines, with a server, the account `esme`, and nobody connected.
    pub(crate) fn engine(cores: u16) -> PacketEngine {
        let settings = Arc::new(settings(vserver_settings()));
        PacketEngine::new(CoreIndex(0), cores, settings, 1, Moment::START)
    }

    /// The same with these servers, all behind one vserver.
    pub(crate) fn engine_of(cores: u16, servers: Vec<ServerSettings>) -> PacketEngine {
        let settings = Arc::new(settings_of(servers));
        PacketEngine::new(CoreIndex(0), cores, settings, 1, Moment::START)
    }

    /// One vserver with these servers.
    pub(crate) fn settings_of(servers: Vec<ServerSettings>) -> Settings {
        let indices = (0_u16..).zip(&servers).map(|(index, _)| ServerIndex(index));
        let vserver = VserverSettings {
            servers: indices.collect(),
            ..vserver_settings()
        };
        let of_one = settings(vserver_settings());
        Settings::new(of_one.engine, vec![vserver], servers, of_one.clients, 1)
    }

    /// The engine binds its next session to a server, which is this connection.
    pub(crate) fn bind_server(engine: &mut PacketEngine, now: Moment) -> ConnectionId {
        engine.handle_timeout(now);
        let Some(Action::Connect { connection, .. }) = engine.poll_action() else {
            panic!("a connection is asked for");
        };
        engine.handle_connected(now, connection);
        let bind = engine.poll_transmit().expect("a bind");
        let header = Header::read(&bind.octets).expect("a whole header");
        engine.handle_transmitted(now, connection, bind.octets);
        let mut answer = BytesMut::new();
        let command = header.command_id.response();
        write_header_only(&mut answer, command, Status::ESME_ROK, header.sequence_number);
        engine.handle_bytes(now, connection, &answer);
        connection
    }

    /// A client that has sent the bind of `esme`, for no range.
    pub(crate) fn binding_client(engine: &mut PacketEngine, now: Moment) -> ConnectionId {
        binding_client_from(engine, now, "192.0.2.1", b"secret")
    }

    /// The same from this address, with this password.
    pub(crate) fn binding_client_from(
        engine: &mut PacketEngine,
        now: Moment,
        peer: &str,
        password: &[u8],
    ) -> ConnectionId {
        let peer = SocketAddr::new(peer.parse().unwrap(), 40_000);
        let client = engine.handle_accepted(now, VserverIndex(0), peer).unwrap();
        let pdu = bind(CommandId::BIND_TRANSCEIVER, b"esme", password);
        engine.handle_bytes(now, client, &pdu);
        client
    }

    /// A bind of v3.4 without an address_range.
    pub(crate) fn bind(command: CommandId, system_id: &[u8], password: &[u8]) -> BytesMut {
        let bind = Bind {
            system_id,
            password,
            system_type: b"",
            version: Version::V34,
            addr_ton: 0,
            addr_npi: 0,
            address_range: b"",
        };
        let mut pdu = BytesMut::new();
        write_pdu(&mut pdu, command, Status::ESME_ROK, 1, &bind).expect("it fits");
        pdu
    }

    /// A message from 1000 to 4477 without a text.
    pub(crate) fn message(command: CommandId) -> BytesMut {
        let address = |addr| Address { ton: 1, npi: 1, addr };
        let message = Message {
            source: address(b"1000"),
            destination: address(b"4477"),
            ..Message::default()
        };
        let mut pdu = BytesMut::new();
        write_pdu(&mut pdu, command, Status::ESME_ROK, 9, &message).expect("it fits");
        pdu
    }

    /// Core 1 says that it has a session at the server, with room.
    pub(crate) fn serve_by_another_core(engine: &mut PacketEngine, now: Moment) {
        let entry = DirectoryEntry::Server {
            server: ServerIndex(0),
            sessions: 1,
            has_bound: true,
            has_room: true,
            rounds_given_up: 0,
        };
        engine.directory_entry_of(now, CoreIndex(1), entry);
    }

    /// The settings of [`engine`] with another vserver.
    pub(crate) fn settings(vserver: VserverSettings) -> Settings {
        let engine = EngineSettings {
            max_pdu_octets: 81_920,
            first_sequence_number: 1,
            drain_timeout: Duration::from_secs(1),
            core_requests_max: 10,
            sessions_max: 1_000,
            output_octets_max: 65_536,
            server_output_octets_max: 65_536,
            has_queue: true,
            strict_lengths: false,
        };
        let clients = vec![client_settings("esme")];
        Settings::new(engine, vec![vserver], vec![server_settings()], clients, 1)
    }
}
