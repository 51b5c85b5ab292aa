//! The configuration as the engines see it: checked, complete, immutable.
//!
//! Built off the engines (from a file or from flags), shared as one [`std::sync::Arc`] by all cores, never changed in
//! place: a reload brings a new one. Every limit that the engines rely on has been checked before a `Settings` exists;
//! names are unique and every index points at something.

mod admission;
mod continuing;
mod ejection;
mod lookups;
mod outbind;
mod policies;
pub mod samples;

pub use admission::AdmissionSettings;
pub use ejection::EjectionSettings;
pub use outbind::OutbindSettings;
pub use policies::*;

use self::lookups::{id_tags, receipts_need_owner, takes_everything};
use super::range::{AddressRange, AllowedIndex};
use super::rate::RateLimit;
use super::route::{HopGuard, RouteGroups, RouteRule};
use super::secret::Secret;
use super::tag::IdTag;
use super::wire::Status;
use ahash::RandomState;
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::Duration;

pub use super::receipts::{
    MessageIdFormat, MessageIdMode, MessageIdSettings, ReceiptRoute, ReceiptSettings, ReceiptStore,
    UnknownReceipt,
};

/// Which vserver of [`Settings::vservers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VserverIndex(pub u16);

/// Which server of [`Settings::servers`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerIndex(pub u16);

/// Which account of [`Settings::clients`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientIndex(pub u32);

/// Everything that the packet engines are told.
#[derive(Debug)]
pub struct Settings {
    /// Limits that hold for every engine.
    pub engine: EngineSettings,
    /// The listening virtual servers.
    pub vservers: Vec<VserverSettings>,
    /// The SMSCs.
    pub servers: Vec<ServerSettings>,
    /// The accounts that ESMEs bind with.
    pub clients: Vec<ClientSettings>,
    /// What is remembered of message ids; kept in memory unless [`Settings::with_receipts`] says otherwise.
    pub receipts: ReceiptStore,
    /// Routing rules; the first that matches wins.
    pub routes: Vec<RouteRule>,
    /// Every message is logged (see [`message_log`](super::message_log)).
    pub has_message_log: bool,
    lookups: Lookups,
}

/// What is worked out once, for all cores.
#[derive(Debug)]
struct Lookups {
    /// Accounts by system_id.
    accounts: Vec<ClientIndex>,
    /// For each vserver, what some account may claim there.
    claimable: Vec<AllowedIndex>,
    /// For each vserver, whether a bind there may get all there is.
    takes_everything: Vec<bool>,
    late_answer_hold_max: Duration,
    receipt_hold_max: Duration,
    client_response_timeout_max: Duration,
    response_timeout_max: Duration,
    /// For each server.
    receipts_need_owner: Vec<bool>,
    /// The tag of each server's ids for each vserver, a vserver's in a row; `None` where ids take another form.
    id_tags: Vec<Option<IdTag>>,
    /// The same on all cores.
    key_hasher: RandomState,
    seed: u64,
    /// Kept in their places so that the others keep theirs; sorted.
    retired_servers: Vec<ServerIndex>,
    retired_clients: Vec<ClientIndex>,
    route_groups: RouteGroups,
}

impl Settings {
    /// Puts checked settings together. `seed` is a random number from outside, for hashing.
    pub fn new(
        engine: EngineSettings,
        vservers: Vec<VserverSettings>,
        servers: Vec<ServerSettings>,
        clients: Vec<ClientSettings>,
        seed: u64,
    ) -> Self {
        let mut accounts: Vec<_> = (0_u32..)
            .zip(&clients)
            .map(|(index, _)| ClientIndex(index))
            .collect();
        accounts.sort_by(|one, other| {
            clients[one.0 as usize]
                .system_id
                .cmp(&clients[other.0 as usize].system_id)
        });
        let claimable = (0_u16..)
            .zip(&vservers)
            .map(|(index, _)| {
                let may_bind =
                    |(_, client): &(ClientIndex, &ClientSettings)| client.may_bind_at(VserverIndex(index));
                let accounts = (0..).map(ClientIndex).zip(&clients).filter(may_bind);
                let grants = accounts.flat_map(|(index, client)| {
                    client.address_ranges.iter().map(move |range| (index, range))
                });
                AllowedIndex::new(seed, grants)
            })
            .collect();
        let takes_everything = takes_everything(&vservers, &clients);
        let receipt_hold_max = vservers
            .iter()
            .map(|vserver| vserver.receipts.hold)
            .max()
            .unwrap_or_default();
        let late_answer_hold_max = vservers
            .iter()
            .map(|vserver| vserver.late_answer_hold)
            .max()
            .unwrap_or_default();
        let client_response_timeout_max = vservers
            .iter()
            .map(|vserver| vserver.response_timeout)
            .max()
            .unwrap_or_default();
        let response_timeout_max = servers
            .iter()
            .map(|server| server.response_timeout)
            .max()
            .unwrap_or_default()
            .max(client_response_timeout_max);
        let id_tags = id_tags(&vservers, &servers);
        let receipts_need_owner = receipts_need_owner(&vservers, servers.len());
        Self {
            engine,
            vservers,
            servers,
            clients,
            receipts: ReceiptStore::default(),
            routes: Vec::new(),
            has_message_log: false,
            lookups: Lookups {
                accounts,
                claimable,
                takes_everything,
                late_answer_hold_max,
                receipt_hold_max,
                client_response_timeout_max,
                response_timeout_max,
                receipts_need_owner,
                id_tags,
                key_hasher: RandomState::with_seeds(seed, 0x6B65_7900, 0x6861_7368, 0x686F_6D65),
                seed,
                retired_servers: Vec::new(),
                retired_clients: Vec::new(),
                route_groups: RouteGroups::default(),
            },
        }
    }

    /// The same with another store of receipts and mapped ids.
    #[must_use]
    pub fn with_receipts(self, receipts: ReceiptStore) -> Self {
        Self { receipts, ..self }
    }

    /// The same with or without a log of all messages.
    #[must_use]
    pub fn with_message_log(self, has_message_log: bool) -> Self {
        Self {
            has_message_log,
            ..self
        }
    }

    /// The same with routing rules.
    #[must_use]
    pub fn with_routes(self, routes: Vec<RouteRule>) -> Self {
        let groups = RouteGroups::default().with_rules(&routes);
        debug_assert!(groups.is_some(), "there are more rules than marks");
        self.with_routes_in(routes, groups.unwrap_or_default())
    }

    /// The same with routing rules, and the lists of servers that they (and rules before them) name.
    #[must_use]
    pub fn with_routes_in(mut self, routes: Vec<RouteRule>, groups: RouteGroups) -> Self {
        self.lookups.route_groups = groups;
        Self { routes, ..self }
    }

    /// The lists of servers that rules name, and have named.
    pub const fn route_groups(&self) -> &RouteGroups {
        &self.lookups.route_groups
    }

    /// How many accounts are configured.
    pub fn accounts(&self) -> usize {
        self.lookups.accounts.len()
    }

    /// What is put behind a server's ids for the clients of a vserver; `None` where they take another form.
    #[inline]
    pub(super) fn id_tag(&self, vserver: VserverIndex, server: ServerIndex) -> Option<&IdTag> {
        let place = usize::from(vserver.0) * self.servers.len() + usize::from(server.0);
        self.lookups.id_tags.get(place)?.as_ref()
    }

    /// Whether it matters whose a receipt of this server is.
    pub(super) fn receipts_need_owner(&self, server: ServerIndex) -> bool {
        self.lookups.receipts_need_owner[usize::from(server.0)]
    }

    /// The account with this system_id.
    pub fn account(&self, system_id: &[u8]) -> Option<ClientIndex> {
        let accounts = &self.lookups.accounts;
        let place = accounts
            .binary_search_by(|index| self.clients[index.0 as usize].system_id.as_bytes().cmp(system_id));
        place.ok().map(|place| accounts[place])
    }

    /// Whether some account may claim this destination at a vserver. With `auth = "forward"` the servers decide, so any may.
    pub fn may_be_claimed(&self, vserver: VserverIndex, address: &[u8]) -> bool {
        let place = usize::from(vserver.0);
        let is_forwarded = self
            .vservers
            .get(place)
            .is_some_and(|vserver| vserver.auth == Auth::Forward);
        is_forwarded
            || self.lookups.takes_everything.get(place) == Some(&true)
            || self
                .lookups
                .claimable
                .get(place)
                .is_some_and(|index| index.may_be_claimed(address))
    }

    /// Who may claim what at a vserver.
    pub(super) fn allowed(&self, vserver: VserverIndex) -> Option<&AllowedIndex> {
        self.lookups.claimable.get(usize::from(vserver.0))
    }

    /// Whether an account may ever bind to receive.
    pub(super) fn may_receive(&self, account: ClientIndex) -> bool {
        self.clients
            .get(account.0 as usize)
            .is_some_and(ClientSettings::may_receive)
    }

    /// The vservers that a server stands behind.
    pub(super) fn vservers_of(&self, server: ServerIndex) -> Vec<VserverIndex> {
        let listing = (0_u16..)
            .zip(&self.vservers)
            .filter(|(_, vserver)| vserver.servers.contains(&server));
        listing.map(|(index, _)| VserverIndex(index)).collect()
    }

    /// The hash of a key whose state lives on the core that it hashes to. All cores of a process get the same; another
    /// process gets another one, so it must not be stored.
    #[inline]
    pub(super) fn key_hash(&self, key: impl Hash) -> u64 {
        self.lookups.key_hasher.hash_one(key)
    }

    /// The longest time that any client may take to answer.
    pub(super) const fn client_response_timeout_max(&self) -> Duration {
        self.lookups.client_response_timeout_max
    }

    /// The longest time that any peer may take to answer.
    pub(super) const fn response_timeout_max(&self) -> Duration {
        self.lookups.response_timeout_max
    }

    /// The longest time that any vserver lets a receipt wait for its submit's answer.
    pub(super) const fn receipt_hold_max(&self) -> Duration {
        self.lookups.receipt_hold_max
    }

    /// The longest time that any vserver waits for a late answer.
    pub(super) const fn late_answer_hold_max(&self) -> Duration {
        self.lookups.late_answer_hold_max
    }
}

/// Limits of one engine; each core has its own engine with these.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Largest command_length to accept, in octets.
    pub max_pdu_octets: u32,
    /// The first sequence number on a server session, 1 to 0x7FFFFFFF.
    pub first_sequence_number: u32,
    /// How long a drain waits for answers that are still due.
    pub drain_timeout: Duration,
    /// Requests under way to each other core at most (credits for its answers).
    pub core_requests_max: u32,
    /// Sessions (connections) of this engine at most, both sides together.
    pub sessions_max: u32,
    /// Octets that may wait in a client session's output buffer before its requests are refused or its reading pauses.
    pub output_octets_max: usize,
    /// The same for a session towards a server: behind so much it gets no more requests. What it has not read costs less here than in a
    /// hold (decision 19).
    pub server_output_octets_max: usize,
    /// MO that nobody can take goes to the store (`[queue] store` is not `off`).
    pub has_queue: bool,
    /// system_id and password over 15 and 8 octets are refused at bind (false: up to 63 octets are accepted).
    pub strict_lengths: bool,
}

/// A listening virtual server.
#[derive(Clone, Debug)]
pub struct VserverSettings {
    /// Unique name.
    pub name: String,
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// How a server is chosen for a message from a client.
    pub method: Method,
    /// So many messages that a client sends together may go to one server together, which `method` has chosen for the first; more
    /// than 16 only up to 1/32 of the window of the server's session (times the part of its share that a starting server has).
    pub method_batch: u32,
    /// So many of its servers may be left out for their answers at once, in percent; if any, then one in any case.
    pub eject_limit_percent: u32,
    /// What `Method::Hash` hashes.
    pub hash_key: HashKey,
    /// Who checks a client's password.
    pub auth: Auth,
    /// The SMSCs behind this vserver, in configured order.
    pub servers: Vec<ServerIndex>,
    /// What happens to a message while every server's window is full.
    pub overload: Overload,
    /// How long an overloaded message is held before ESME_RTHROTTLED.
    pub hold_time: Duration,
    /// What happens to a message while no server is bound.
    pub all_servers_down: AllServersDown,
    /// What happens to written, unanswered requests of a server session that died.
    pub on_server_loss: OnServerLoss,
    /// What happens to a request that the server answered ESME_RTHROTTLED or ESME_RMSGQFUL.
    pub on_throttle: OnThrottle,
    /// Messages that pass too many gateways are refused.
    pub hop_guard: Option<HopGuard>,
    /// How a session is chosen inside a pool.
    pub pool_method: PoolMethod,
    /// What a bind with an empty address_range gets.
    pub empty_range: EmptyRange,
    /// The signature in tagged message ids (`<id>#<signature>-<uid>`).
    pub signature: String,
    /// The ids that clients get.
    pub message_id: MessageIdSettings,
    /// Where delivery receipts go.
    pub receipts: ReceiptSettings,
    /// How long an unanswered request keeps its slot after its timeout, so that a late answer is recognised.
    pub late_answer_hold: Duration,
    /// How long the keyed hash of a forwarded bind's password is kept (`auth = "forward"`).
    pub forward_cache: Duration,
    /// Status that a client gets for a submit that the server did not answer in time.
    pub timeout_status: Status,
    /// How long a new connection may take to bind.
    pub bind_timeout: Duration,
    /// Nothing received from a client for so long: send enquire_link.
    pub enquire_link_interval: Duration,
    /// Unanswered enquire_links in a row after which the client's connection is closed.
    pub enquire_link_misses: u32,
    /// How long a client may take to answer a deliver_sm.
    pub response_timeout: Duration,
    /// Who may connect, and how often.
    pub admission: AdmissionSettings,
    /// How long a concatenated message keeps its session and reference, from its first segment on.
    pub concat_timeout: Duration,
}

/// One SMSC.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Unique name.
    pub name: String,
    /// Two characters `[0-9A-Z]`, unique; part of tagged message ids.
    pub uid: [u8; 2],
    /// Where to connect, tried in turn; a host name is resolved by the shell at each connect.
    pub addresses: Vec<String>,
    /// Where transmitter binds connect instead, when the SMSC splits its ports.
    pub transmitter_address: Option<String>,
    /// Where receiver binds connect instead, when the SMSC splits its ports.
    pub receiver_address: Option<String>,
    /// Source address of our connections.
    pub local_address: Option<std::net::IpAddr>,
    /// Stands for what secures our connections, 0 for nothing. With another number they have to be opened anew; what it stands
    /// for is the shell's affair.
    pub transport: u64,
    /// Our system_id there.
    pub system_id: String,
    /// Our password there.
    pub password: Secret,
    /// Our system_type there.
    pub system_type: String,
    /// interface_version of our bind: 0x33, 0x34 or 0x50.
    pub interface_version: u8,
    /// Which kind of sessions to bind.
    pub bind: ServerBind,
    /// address_range of our bind.
    pub address_range: String,
    /// addr_ton of our bind.
    pub addr_ton: u8,
    /// addr_npi of our bind.
    pub addr_npi: u8,
    /// How many sessions, per core or in all.
    pub connections: Connections,
    /// Requests in flight on one session at most, towards the server.
    pub window: u32,
    /// Octets of written, unanswered requests that one session keeps to send them again, where a vserver wants that; a
    /// session that keeps more has no room.
    pub window_octets: usize,
    /// Requests in time, on all cores together.
    pub rate: Option<RateLimit>,
    /// A server that throttles is slowed down.
    pub adaptive_pace: bool,
    /// How long a server that comes back takes to its full share; zero: it has that at once.
    pub slow_start: Duration,
    /// When it is left out for its answers.
    pub ejection: EjectionSettings,
    /// Share of this server in weighted-round-robin, from 1.
    pub weight: u32,
    /// Priority group, 0 first; later groups serve only when no earlier one can.
    pub priority: u32,
    /// How long the server may take to answer.
    pub response_timeout: Duration,
    /// Nothing received for so long: send enquire_link.
    pub enquire_link_interval: Duration,
    /// Unanswered enquire_links in a row after which the session is closed.
    pub enquire_link_misses: u32,
    /// First pause before a reconnect; doubles up to `reconnect_max`.
    pub reconnect_min: Duration,
    /// Longest pause before a reconnect.
    pub reconnect_max: Duration,
    /// Pause after a refused system_id or password.
    pub auth_retry: Duration,
    /// How segments of concatenated messages are marked for it.
    pub concat_reference: ConcatReference,
    /// The vserver whose clients get this server's deliver_sm; `None` when no vserver lists the server.
    pub mobile_originated_vserver: Option<VserverIndex>,
    /// How it writes message ids.
    pub message_id_format: MessageIdFormat,
    /// Its own connections, where it may open some.
    pub outbind: Option<OutbindSettings>,
}

/// How many sessions to keep towards a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// So many on every core.
    PerCore(u32),
    /// So many in all, spread over the cores; the other cores reach the server by C2C.
    Total(u32),
}

/// One account.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Unique system_id.
    pub system_id: String,
    /// How a bind's password is checked, where it has no hash.
    pub password: Secret,
    /// The hash of its password, in the PHC form, instead of the password.
    pub password_hash: Option<Secret>,
    /// Vservers this account may bind at; empty means all.
    pub vservers: Vec<VserverIndex>,
    /// Kinds of bind allowed.
    pub binds: BindKinds,
    /// What the account may claim by address_range; empty means no deliver_sm other than its receipts.
    pub address_ranges: Vec<AddressRange>,
    /// DNS names, one of which its certificate must be for; empty means that none is needed.
    pub certificate_names: Vec<String>,
    /// Networks it may come from (address, prefix length); empty means any.
    pub allow: Vec<(std::net::IpAddr, u8)>,
    /// Sessions at once on all cores together; `None` is no limit.
    pub max_binds: Option<u32>,
    /// Requests in flight per session, counted for each direction on its own.
    pub window: u32,
    /// Requests in time, on all cores together.
    pub rate: Option<RateLimit>,
    /// Servers its messages may go to; empty means all of the vserver.
    pub servers: Vec<ServerIndex>,
}

impl ClientSettings {
    /// The account may bind at this vserver.
    pub fn may_bind_at(&self, vserver: VserverIndex) -> bool {
        self.vservers.is_empty() || self.vservers.contains(&vserver)
    }

    /// The account may ever bind to receive.
    pub const fn may_receive(&self) -> bool {
        self.binds.receiver || self.binds.transceiver
    }
}

/// Which of the three kinds of bind an account may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindKinds {
    /// bind_transmitter is allowed.
    pub transmitter: bool,
    /// bind_receiver is allowed.
    pub receiver: bool,
    /// bind_transceiver is allowed.
    pub transceiver: bool,
}

impl BindKinds {
    /// Every kind.
    pub const ALL: Self = Self {
        transmitter: true,
        receiver: true,
        transceiver: true,
    };
}

/// The kind of session that we bind at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerBind {
    /// One transceiver session.
    Transceiver,
    /// Transmitter sessions only: no MO.
    Transmitter,
    /// Receiver sessions only: no MT.
    Receiver,
    /// A transmitter and a receiver session for each connection.
    Both,
}
