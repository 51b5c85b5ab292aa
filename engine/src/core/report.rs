//! Figures of one engine for operators: plain numbers, copied out on request, never shared memory.

use super::contract::CoreIndex;
use super::figures::{Exchanges, Latency, Violations};
use super::health::{EjectionReason, HealthState};
use super::settings::{ClientIndex, ServerIndex, VserverIndex};

/// One engine's figures at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Which engine.
    pub core: u16,
    /// Events since the start.
    pub counters: Counters,
    /// Connections from clients, bound or not.
    pub client_connections: u64,
    /// Bound sessions of clients.
    pub client_sessions: u64,
    /// Pools that this core knows, its own and others'.
    pub pools: u64,
    /// Those among them that stand for an address range; the others are the accounts' own, for their receipts.
    pub range_pools: u64,
    /// Lines of the queue that have their home on this core and messages.
    pub queue_lines: u64,
    /// Messages on their way into the store.
    pub queue_appending: u64,
    /// Requests that wait in a hold.
    pub held_requests: u64,
    /// Requests from other cores' sessions and to them that wait for their answer.
    pub core_requests_outstanding: u64,
    /// Concatenated messages under way whose segments this core keeps together.
    pub concatenated: u64,
    /// Entries that wait for their way to their home cores.
    pub entries_waiting: u64,
    /// Memory of the buffers that are kept for output and copies to come; at most 16 MiB.
    pub spare_buffer_octets: u64,
    /// One row for each configured server, in configured order.
    pub servers: Vec<ServerReport>,
    /// What is remembered of message ids.
    pub receipts: ReceiptReport,
    /// One row for each configured vserver, in configured order.
    pub vservers: Vec<VserverReport>,
    /// Violations by rule, in the order of [`Rule::NAMES`](super::figures::Rule::NAMES).
    pub violations: Violations,
    /// Accounts that have, or have had, a session here, if they were wanted. The row without an account is of those whom
    /// a server knows alone (`auth = "forward"`).
    pub clients: Vec<ClientReport>,
    /// Pools with a session on this core, as far as they were wanted.
    pub pool_rows: Vec<PoolReport>,
}

/// Receipts and mapped ids whose home is one engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiptReport {
    /// Messages whose receipt an account waits for.
    pub entries: u64,
    /// Entries that left before their age because the table was full.
    pub entries_evicted: u64,
    /// Ids that clients got instead of tagged ones.
    pub mapped_ids: u64,
    /// Mapped ids that left before their age because the table was full.
    pub mapped_ids_evicted: u64,
    /// Octets of memory that both take.
    pub octets: u64,
    /// Receipts that wait for the answer of their submit.
    pub held: u64,
    /// Receipts whose submitter was found.
    pub matched: u64,
    /// Receipts of ids that nobody is known for.
    pub unknown: u64,
    /// Records written to the log.
    pub log_records: u64,
    /// Records that found no room on their way to the log: a restart does not know them.
    pub log_records_lost: u64,
}

/// What a report shall hold beside the figures of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A row for each account.
    pub clients: bool,
    /// Rows of pools at most.
    pub pools_max: u32,
}

impl Wanted {
    /// What both want.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            clients: self.clients || other.clients,
            pools_max: self.pools_max.max(other.pools_max),
        }
    }

    /// Whether a report of this holds all that the other wants.
    pub fn covers(self, other: Self) -> bool {
        self.and(other) == self
    }
}

impl Report {
    /// The core that this report is of.
    pub const fn core(&self) -> CoreIndex {
        CoreIndex(self.core)
    }
}

/// One server as one engine sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerReport {
    /// Which server.
    pub server: ServerIndex,
    /// Sessions that are bound on this core.
    pub bound_sessions: u64,
    /// Requests that wait for this server's answer on this core.
    pub outstanding: u64,
    /// Requests written to it.
    pub requests: u64,
    /// Answers read from it, whatever their status.
    pub answers: u64,
    /// Answers among them that were not ESME_ROK.
    pub errors: u64,
    /// deliver_sm and data_sm received from it.
    pub mobile_originated: u64,
    /// Room in the windows of its sessions on this core.
    pub window: u64,
    /// Its share among its equals.
    pub weight: u32,
    /// It gets no new submits.
    pub is_draining: bool,
    /// So much of its weight counts, in percent: less than 100 in its slow start.
    pub share_percent: u32,
    /// How it is, by its answers.
    pub health: HealthState,
    /// How often it was left out for them, by reason, in the order of [`EjectionReason::ALL`].
    pub ejections: [u64; EjectionReason::ALL.len()],
    /// Sessions that were bound since the start.
    pub binds: u64,
    /// Sessions that were lost or could not be made.
    pub losses: u64,
    /// Binds that it refused.
    pub refused_binds: u64,
    /// Sessions that it asked for by outbind, since the start.
    pub outbinds: u64,
    /// Connections for an outbind, and outbinds, that were refused.
    pub refused_outbinds: u64,
    /// Requests and answers by kind and status.
    pub exchanges: Exchanges,
    /// Response times.
    pub latency: Latency,
}

/// One vserver as one engine sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VserverReport {
    /// Connections, bound or not.
    pub connections: u64,
    /// Bound sessions.
    pub sessions: u64,
    /// Requests that wait in its hold.
    pub held_requests: u64,
    /// Requests and answers of its clients by kind and status.
    pub exchanges: Exchanges,
}

/// One account as one engine sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientReport {
    /// Which account.
    pub client: Option<ClientIndex>,
    /// Bound sessions.
    pub sessions: u64,
    /// Bound sessions among them that may receive.
    pub receiving_sessions: u64,
    /// Its requests without an answer.
    pub outstanding: u64,
    /// Room in its windows for those.
    pub window: u64,
    /// Messages to it without an answer.
    pub deliveries_outstanding: u64,
    /// Requests that wait in a hold.
    pub held_requests: u64,
    /// Its sessions are being ended and it may not bind.
    pub is_draining: bool,
    /// Requests and answers by kind and status.
    pub exchanges: Exchanges,
}

/// One pool as one engine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolReport {
    /// Which vserver's.
    pub vserver: VserverIndex,
    /// addr_ton of the claim; 0 stands for every one.
    pub addr_ton: u8,
    /// addr_npi of the claim; 0 stands for every one.
    pub addr_npi: u8,
    /// Its addresses, as they were claimed.
    pub range: String,
    /// The account whose plain ranges it stands for, all of those that nobody else may claim.
    pub allowed: Option<ClientIndex>,
    /// Sessions on this core.
    pub sessions: u64,
    /// Sessions on this core with room.
    pub available_sessions: u64,
}

/// Events since the engine's start. Plain integers of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests from clients that a server must answer (submit_sm, data_sm, query_sm …).
    pub client_requests: u64,
    /// Answers written to clients for those, smppmux's own error answers included.
    pub client_answers: u64,
    /// Answers among them that smppmux made itself.
    pub client_answers_own: u64,
    /// deliver_sm and data_sm from servers.
    pub mobile_originated: u64,
    /// Answers written to servers for those.
    pub mobile_originated_answers: u64,
    /// Answers among them that smppmux made itself (nobody could take the message).
    pub mobile_originated_answers_own: u64,
    /// Requests sent to other cores.
    pub core_requests_sent: u64,
    /// Requests received from other cores.
    pub core_requests_received: u64,
    /// Requests that found no credit towards the other core.
    pub core_requests_refused: u64,
    /// Answers from other cores for an entry that was gone.
    pub core_answers_stale: u64,
    /// Segments of concatenated messages, from either side.
    pub segments: u64,
    /// Concatenated messages that got a fresh reference, since theirs was in use.
    pub references_changed: u64,
    /// Concatenated messages whose time was over before every segment was answered ESME_ROK.
    pub concatenated_expired: u64,
    /// Concatenated messages that were forgotten early, since there were too many.
    pub concatenated_evicted: u64,
    /// Entries for another core's maps that found no room: what they were for takes its fallback.
    pub entries_lost: u64,
    /// alert_notification PDUs for an ESME that is bound somewhere, that no core had room for just then.
    pub alerts_lost: u64,
    /// Requests that were held because every window was full.
    pub held: u64,
    /// Requests answered ESME_RTHROTTLED.
    pub throttled: u64,
    /// Answers of servers that said that they were sent too much.
    pub server_throttlings: u64,
    /// Requests that were sent again after a server had them: throttled, or its session lost.
    pub resent: u64,
    /// Messages that were put into the queue and acknowledged.
    pub queued: u64,
    /// Queued messages that a client took.
    pub queue_delivered: u64,
    /// Queued messages whose time was over before a client could take them.
    pub queue_expired: u64,
    /// Queued messages that a client refused for good: they are among the dead letters.
    pub queue_dead_letters: u64,
    /// Deliveries of queued messages that failed for a while and are tried again.
    pub queue_retries: u64,
    /// Messages that the queue had no room for.
    pub queue_full: u64,
    /// Messages that the store could not write.
    pub queue_failed: u64,
    /// Requests that the far side did not answer in time.
    pub timeouts: u64,
    /// Answers that came after the request's timeout.
    pub late_answers: u64,
    /// Answers that match no request.
    pub unmatched_answers: u64,
    /// PDUs that broke a rule, answered with an error.
    pub violations: u64,
    /// Clients' binds accepted.
    pub binds_accepted: u64,
    /// Clients' binds refused.
    pub binds_refused: u64,
    /// Octets read.
    pub received_octets: u64,
    /// Octets handed out for writing.
    pub transmitted_octets: u64,
}
