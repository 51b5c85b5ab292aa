//! What engines say to each other. The shell carries these as they are; only their lane matters to it.
//!
//! A request takes a credit that reserves the room for its answer, so only requests may be refused. Buffers travel with
//! the messages and are re-used where they arrive: no allocation per message in a steady state.

pub use super::concatenation::PinId;
use super::contract::ConnectionId;
use super::directory::{DirectoryAcknowledgement, DirectoryUpdate};
use super::entry_lanes::KeyedEntry;
use super::lease::{LeaseGrants, LeaseQuestion};
use super::receipts::{FoundReceipt, MappedEntry, OwnerQuestion, ReceiptEntry, ReceiptQuestion};
use super::sequence::SubmitNote;
use super::settings::{ClientIndex, ServerIndex, VserverIndex};
use super::wire::Status;
use bytes::BytesMut;
use smppmux_c2c::Lane;
use std::ops::Range;

/// A message between two engines.
#[derive(Debug)]
pub enum CoreMessage {
    /// Please forward this PDU; exactly one answer must follow.
    Request(CoreRequest),
    /// The answer to a request.
    Answer(CoreAnswer),
    /// What has changed about the sender's pools and servers.
    Directory(DirectoryUpdate),
    /// An update has been applied.
    DirectoryApplied(DirectoryAcknowledgement),
    /// Entries whose home is the receiver.
    Entries(MapEntries),
    /// A batch of entries has been taken in.
    EntriesTaken(MapEntriesTaken),
    /// Please say when every entry that was put for the sender has been sent; at most one is open.
    WordWanted,
    /// Which rates the sender needs tokens of; at most one is under way.
    LeaseQuestion(LeaseQuestion),
    /// The tokens that the receiver has asked for.
    LeaseGrants(LeaseGrants),
}

impl CoreMessage {
    /// The lane that this message must take.
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Request(_) => Lane::Request,
            Self::Answer(_) => Lane::Answer,
            Self::Directory(_)
            | Self::DirectoryApplied(_)
            | Self::Entries(_)
            | Self::EntriesTaken(_)
            | Self::WordWanted
            | Self::LeaseQuestion(_)
            | Self::LeaseGrants(_) => Lane::Control,
        }
    }
}

/// A request PDU that another core's session must get.
#[derive(Debug)]
pub struct CoreRequest {
    /// Names the sender's entry; comes back in the answer.
    pub reference: u32,
    /// Who shall get it.
    pub target: CoreTarget,
    /// The whole PDU as it arrived, with the original sequence number (a receipt with its id tagged).
    pub pdu: BytesMut,
    /// Octets of the PDU to leave out when it is sent: the tag of its message_id. Empty for none.
    pub leave_out: Range<u32>,
    /// The account that waits for a submit's receipt: whoever reads the answer makes the entry.
    pub receipt: Option<SubmitNote>,
    /// The concatenated message that it belongs to, whose segments must all get to the same session there.
    pub message: Option<PinId>,
}

/// Who shall get a request at the other core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreTarget {
    /// Some session of this pool (the owner's own handle).
    Pool(PoolHandle),
    /// A queued message, for the session of this pool that its line stands for: the same one as long as the members stay.
    Queued(PoolHandle, QueuedLine),
    /// Some session towards this server.
    Server(ServerIndex),
    /// Some session of this pool, an alert_notification: it has no response, so the answer says only that it came.
    Alert(PoolHandle),
    /// Nobody yet: the receiver is the home of a key, and what it knows decides what becomes of the PDU.
    Home(HomeQuestion),
}

/// The line of a queued message, so that its messages stay in order at another core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedLine {
    /// Names the line at the core that drains it.
    pub place: u32,
    /// Which of the members.
    pub turn: u32,
    /// When one message finds no room, or no way to the other core, those behind it with the same number are refused too.
    pub run: u32,
    /// How many messages of the run were sent before this one.
    pub step: u32,
}

/// What the home core of a key is asked about the PDU that travels along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HomeQuestion {
    /// Which account waits for this receipt? One that came before its submit's answer waits at the home for a while.
    Receipt(ReceiptQuestion),
    /// May this account use this message id?
    Owner(OwnerQuestion),
    /// A message for a destination that may have a backlog, or that nobody can take: deliver it, or queue it.
    Queue(QueueWish),
    /// A client's segment of a concatenated message: forward it with the others of its message.
    Submit {
        /// Whose client.
        vserver: VserverIndex,
        /// Its account.
        client: Option<ClientIndex>,
        /// A hash of its session.
        sender: u32,
        /// Who waits for its receipt.
        receipt: Option<SubmitNote>,
        /// What the routing rules said of it.
        route: u16,
    },
}

/// An account where it is bound: its receipts go to the vserver that it submitted at, whichever vserver has the server's MO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountAt {
    /// Where.
    pub vserver: VserverIndex,
    /// Who.
    pub account: ClientIndex,
}

/// A message that shall be delivered, or queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueWish {
    /// Whose clients it is for.
    pub vserver: VserverIndex,
    /// Only this account may get it: its receipt.
    pub account: Option<AccountAt>,
    /// A client was found and then had no room, or nobody is to be looked for: it is queued now.
    pub is_tried: bool,
    /// Who sent it.
    pub sender: MessageSender,
}

/// Who sent a message to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageSender {
    /// The server; `None`: not known, it comes from the queue.
    pub server: Option<ServerIndex>,
    /// A hash of its session; 0: not known.
    pub session: u32,
}

/// What the home core of a key says about a PDU, which it sends back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HomeVerdict {
    /// Whose receipt it is; `None`: nobody's that is known.
    Receipt(Option<FoundReceipt>, ReceiptQuestion),
    /// Whether the account may use the id. The PDU comes back with the server's own id in place of a mapped one.
    Owner(bool),
    /// The message stands in the queue, and is safe there.
    Queued,
    /// Where it must go there is no room now.
    NoRoom,
    /// No server is up.
    NoServer,
}

/// Something that the home core of a key shall know; nobody waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapEntry {
    /// An account waits for the receipt of a message.
    Receipt {
        /// Seconds since 1970.
        made_at_seconds: u64,
        /// Which message, which account.
        entry: ReceiptEntry,
    },
    /// A client got a mapped id.
    Mapped {
        /// Seconds since 1970.
        made_at_seconds: u64,
        /// What it stands for.
        entry: MappedEntry,
    },
}

/// Entries for the core that gets them. At most one batch is under way from one core to another.
#[derive(Debug)]
pub struct MapEntries {
    /// In the order they were made.
    pub entries: Vec<KeyedEntry<MapEntry>>,
    /// The answer to [`CoreMessage::WordWanted`]: none that was put before the question is missing now.
    pub is_word: bool,
}

/// A batch has been taken in.
#[derive(Debug)]
pub struct MapEntriesTaken {
    /// Its vector, emptied, for the next batch.
    pub emptied: Vec<KeyedEntry<MapEntry>>,
}

/// A pool at the core that owns it. A re-used index has another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolHandle {
    /// Place in the owner's table.
    pub index: u32,
    /// Which use of that place.
    pub generation: u32,
}

/// The one answer to a [`CoreRequest`].
#[derive(Debug)]
pub struct CoreAnswer {
    /// The request's reference.
    pub reference: u32,
    /// How it went.
    pub outcome: CoreOutcome,
}

/// Whose answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnsweredFor {
    /// The account, where it is a configured one.
    pub account: Option<ClientIndex>,
    /// Its session at the core that answers.
    pub connection: ConnectionId,
    /// The number that the request had there.
    pub sequence_number: u32,
}

/// How a request to another core went.
#[derive(Debug)]
pub enum CoreOutcome {
    /// The far peer answered; the PDU is its answer (its sequence number is to be replaced).
    Answered(BytesMut),
    /// The same from a server, which the asking core may not have known.
    AnsweredBy(ServerIndex, BytesMut),
    /// The same from a client, where the message log wants to know which.
    AnsweredFor(AnsweredFor, BytesMut),
    /// Nothing was written to any peer; the request comes back and may be tried elsewhere.
    Refused {
        /// The request as it came.
        pdu: BytesMut,
        /// For want of room at a server: the directory's version whose entry says so. An entry that is newer counts before
        /// this, whichever comes first: answers and the directory take different lanes.
        no_room_as_of: Option<u64>,
    },
    /// What the home core knows; the PDU of the question comes back with it.
    Verdict(HomeVerdict, BytesMut),
    /// The core that was asked is leaving and no home any more; the question comes back, for the next one.
    Leaving(HomeQuestion, BytesMut),
    /// It was written and the server did not take it, or its session was lost before it answered; the request comes back,
    /// and the asking core's policy says whether it is sent again.
    Returned {
        /// The request as it was written.
        pdu: BytesMut,
        /// The server's status, or ESME_RSYSERR for a loss.
        status: Status,
    },
    /// It was written, but no answer will come; the status says why.
    Failed(Status),
    /// It was written and the far peer did not answer in time: the asking core's policy names the status.
    TimedOut,
}

impl CoreOutcome {
    /// A request comes back, and nothing is said about room.
    pub(super) const fn refused(pdu: BytesMut) -> Self {
        Self::Refused {
            pdu,
            no_room_as_of: None,
        }
    }
}
