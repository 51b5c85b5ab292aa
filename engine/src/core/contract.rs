//! What passes between the pure core and its shell: handles, actions, bytes to write, notices.
//!
//! Owns only plain values. The order of calls is on [`PacketEngine`](super::PacketEngine).

use super::health::EjectionReason;
use super::secret::Secret;
use super::settings::{ClientIndex, ServerIndex, Settings, VserverIndex};
use super::wire::{CommandId, Status};
use bytes::BytesMut;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use smppmux_c2c::CoreIndex;

/// A connection of one engine. The engine makes it; a re-used index has another generation, so a stale handle is
/// recognised and its event is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// Place in the engine's table; small and dense, fit to index a table of the shell's own.
    pub index: u32,
    /// Which use of that place.
    pub generation: u32,
}

/// What the engine took of the bytes that it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOutcome {
    /// Octets that are done with. The rest must be shown again, with what arrives behind it.
    pub consumed_octets: usize,
    /// How many more octets the PDU at the front needs; at least 1. A hint for the size of the next read.
    pub missing_octets: usize,
}

/// Bytes for one connection. Until [`handle_transmitted`](super::PacketEngine::handle_transmitted) (or
/// [`handle_closed`](super::PacketEngine::handle_closed)) gives the buffer back there is no second one for it.
#[derive(Debug)]
pub struct Transmit {
    /// Where to.
    pub connection: ConnectionId,
    /// What; never empty.
    pub octets: BytesMut,
}

/// What the shell is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a TCP connection. Answered by `handle_connected`, or by `handle_closed` when it fails.
    Connect {
        /// The handle that all later events carry.
        connection: ConnectionId,
        /// Which server is to be there.
        server: ServerIndex,
        /// What has to secure the connection: the server's `transport`.
        transport: u64,
        /// `host:port`; a name is resolved off the engine's thread.
        address: String,
        /// Source address to bind, if one is configured.
        local_address: Option<IpAddr>,
        /// Give up after this long.
        timeout: Duration,
    },
    /// Write what was handed out for this connection, then close it. The handle is dead: no event for it may follow.
    Close {
        /// Which.
        connection: ConnectionId,
        /// False: drop unwritten bytes and close at once (the peer broke the framing, or does not read).
        after_writing: bool,
    },
    /// Show no more bytes of this connection until `ResumeReading`; keep what was read and not consumed.
    PauseReading(ConnectionId),
    /// Show the kept bytes again, then go on reading.
    ResumeReading(ConnectionId),
    /// Find out whether a password is the one that was hashed, off the engine's thread. Answered by `handle_password`.
    VerifyPassword {
        /// Comes back with the answer.
        question: u32,
        /// What a client sent.
        password: Secret,
        /// What is known of its account's password, in the PHC form.
        hash: Secret,
    },
    /// The drain is over: every session is closed and nothing is under way.
    Drained {
        /// False when the drain's time ran out first.
        settled: bool,
    },
}

/// What came of [`Action::VerifyPassword`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordVerdict {
    /// It is the password.
    Right,
    /// It is not.
    Wrong,
    /// Too many wait already; nobody has looked.
    Busy,
}

/// Why a connection is gone, as the shell saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The peer closed its side in an orderly way (see `handle_read_closed`; the engine's own reason, not the shell's).
    PeerClosed,
    /// The kernel reported an error (reset, time-out, unreachable).
    Error(std::io::ErrorKind),
    /// The connection could not be opened at all.
    ConnectFailed(std::io::ErrorKind),
}

/// What was in the shell's hands when a connection was lost.
#[derive(Debug)]
pub struct Unsent {
    /// The buffer of the last [`Transmit`].
    pub octets: BytesMut,
    /// How many octets of it the kernel had taken.
    pub written_octets: usize,
}

/// An order from the control core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Take no new sessions and requests, settle what is under way, unbind, and report `Action::Drained`.
    Drain,
    /// Close everything now.
    Stop,
    /// Send no new submits to this server. What concerns messages that it has goes on, and so does what it sends.
    DrainServer(ServerIndex),
    /// That is over.
    UndrainServer(ServerIndex),
    /// Accept no binds of this account, refuse its new requests, and unbind its sessions once what is under way is answered,
    /// after `drain_timeout` at the latest.
    DrainClient(ClientIndex),
    /// It may bind again.
    UndrainClient(ClientIndex),
    /// Go on with these settings. Sessions that the change does not concern do not notice.
    Reconfigure(NewSettings),
    /// From now on this is a server's share among its equals, until the configuration is read again.
    SetWeight {
        /// Which server.
        server: ServerIndex,
        /// Its share, from 1.
        weight: u32,
    },
    /// Tell by [`Notice::Traced`] what is read and written on the sessions of a server or account; or no more.
    Trace {
        /// Whose.
        subject: TraceSubject,
        /// Or no more.
        is_on: bool,
    },
}

/// Whose PDUs an operator looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TraceSubject {
    /// Those of a server's sessions.
    Server(ServerIndex),
    /// Those of an account's sessions, from the answer to their bind on.
    Client(ClientIndex),
}

/// Whole PDUs of one connection, one behind the other, without passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct TracedPdus {
    /// Whose.
    pub subject: TraceSubject,
    /// On which connection.
    pub connection: ConnectionId,
    /// They came in; else they leave.
    pub is_received: bool,
    /// The PDUs.
    pub octets: Vec<u8>,
    /// So many reads or writes before this one are missing: there was no room for them.
    pub lost_before: u64,
}

impl std::fmt::Debug for TracedPdus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is in them is nothing for a log.
        write!(
            formatter,
            "TracedPdus({:?}, {} octets)",
            self.subject,
            self.octets.len()
        )
    }
}

/// Settings to go on with. They must [continue](Settings::continues) those that the engine has.
#[derive(Clone)]
pub struct NewSettings(pub Arc<Settings>);

impl PartialEq for NewSettings {
    /// They are the very same.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for NewSettings {}

impl std::fmt::Debug for NewSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // All of it would fill a log.
        formatter.write_str("NewSettings(…)")
    }
}

/// Something that an operator may want to read. Few by design: never one for each message, but where an operator asked for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A server session is bound.
    ServerBound {
        /// Which server.
        server: ServerIndex,
    },
    /// A server session ended or could not be made.
    ServerLost {
        /// Which server.
        server: ServerIndex,
        /// Why.
        reason: CloseReason,
        /// When the next try comes.
        retry_after: Duration,
    },
    /// A server is left out: it does not answer, or says that it is ill.
    ServerEjected {
        /// Which server.
        server: ServerIndex,
        /// Why.
        reason: EjectionReason,
        /// For how long.
        lasts: Duration,
    },
    /// A server that was left out gets a few requests, to see how it answers.
    ServerOnTrial {
        /// Which server.
        server: ServerIndex,
    },
    /// A server that was left out is well again.
    ServerWell {
        /// Which server.
        server: ServerIndex,
    },
    /// A server refused our bind. With a credential status this is an alarm: retries are slow until it is mended.
    ServerRefusedBind {
        /// Which server.
        server: ServerIndex,
        /// What it answered.
        status: Status,
        /// When the next try comes.
        retry_after: Duration,
    },
    /// A client bound.
    ClientBound {
        /// At which vserver.
        vserver: VserverIndex,
        /// As whom.
        system_id: String,
        /// How.
        bind: CommandId,
    },
    /// A client's bind was refused.
    ClientRefused {
        /// At which vserver.
        vserver: VserverIndex,
        /// From where.
        peer: IpAddr,
        /// As whom; shortened to 64 octets, control characters replaced.
        system_id: String,
        /// The status that it got.
        status: Status,
    },
    /// A client's session ended.
    ClientLost {
        /// At which vserver.
        vserver: VserverIndex,
        /// From where.
        peer: IpAddr,
        /// Whose; empty when it never bound.
        system_id: String,
        /// Why.
        reason: CloseReason,
    },
    /// An address may not connect for a while, because binds from it failed. (The shell's own; no engine gives it.)
    AddressBanned {
        /// At which vserver.
        vserver: VserverIndex,
        /// Which; of an IPv6 address the whole /64 network is meant.
        peer: IpAddr,
        /// For how long.
        ban: Duration,
    },
    /// A session is bound that the server asked for (outbind).
    OutbindBound {
        /// Which server.
        server: ServerIndex,
        /// From where.
        peer: IpAddr,
    },
    /// Such a session, or its bind, is over.
    OutbindEnded {
        /// Which server.
        server: ServerIndex,
        /// From where.
        peer: IpAddr,
        /// Why.
        reason: CloseReason,
    },
    /// Somebody who came where a server's own connections are accepted was refused. Told now and then only.
    OutbindRefused {
        /// Which server's place it is.
        server: ServerIndex,
        /// From where.
        peer: IpAddr,
        /// What was wrong.
        fault: OutbindFault,
        /// So many more were refused since the last one that was told.
        others: u64,
    },
    /// PDUs that an operator looks at.
    Traced(Box<TracedPdus>),
}

/// What is wrong with a connection that a server opens, or its outbind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutbindFault {
    /// The address lies in no network from which it may come.
    Address,
    /// It has as many as it may have.
    TooMany,
    /// The connection ended, or its time did, without one.
    Missing,
    /// The outbind cannot be read.
    Malformed,
    /// Another system_id than the server is configured to say.
    SystemId,
    /// Another password.
    Password,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Unbound in an orderly way by the peer.
    PeerUnbound,
    /// The connection was lost or could not be opened.
    Connection(ClosedBy),
    /// command_length was impossible; the peer broke the framing.
    BadCommandLength {
        /// What it claimed.
        command_length: u32,
    },
    /// No bind came in time.
    BindTimeout,
    /// The bind was refused.
    BindRefused(Status),
    /// enquire_links went unanswered.
    EnquireLinkTimeout,
    /// The peer did not read what it was sent.
    OutputFull,
    /// The peer kept breaking the protocol.
    ProtocolViolations,
    /// We unbound: drain, stop or configuration.
    WeUnbound,
    /// The outbind was not what its server is configured to say.
    OutbindRefused,
}
