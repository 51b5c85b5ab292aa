//! What passes between an engine and the store: the thread (or, in a simulation, the model) that keeps queued messages.
//!
//! The engine gives orders ([`StoreCommand`]) and hears of what became of them ([`StoreEvent`]); the store handles the orders
//! of one engine in their order, and its events come in the order of the orders. Owns only plain values. Buffers travel with
//! the orders and come back with the events.

use super::queue::QueueKey;
use super::wire::Status;
use bytes::BytesMut;
use std::time::Duration;

/// What the store is told by one engine.
#[derive(Debug)]
pub enum StoreCommand {
    /// Keep this message behind the others of its line. Answered by exactly one [`StoreEvent::Stored`], once it is safe, or
    /// [`StoreEvent::Refused`].
    Append {
        /// Comes back with the answer.
        reference: u32,
        /// Whose line.
        key: QueueKey,
        /// The whole deliver_sm or data_sm.
        pdu: BytesMut,
    },
    /// Show the next messages of a line. Answered by exactly one [`StoreEvent::Loaded`].
    Load {
        /// Whose line.
        key: QueueKey,
        /// Only messages with a higher number.
        after: u64,
        /// Messages at most.
        messages_max: usize,
        /// Octets of PDUs at most; one message is always shown.
        octets_max: usize,
    },
    /// This message is done with.
    Remove {
        /// Whose line.
        key: QueueKey,
        /// Which.
        number: u64,
        /// What became of it.
        fate: Fate,
    },
    /// Name the lines that have messages, in an order of the store's own. Answered by one [`StoreEvent::Lines`].
    ListLines {
        /// The last line that was named; `None` starts from the first.
        after: Option<QueueKey>,
    },
}

/// What became of a message that leaves the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A client took it.
    Delivered,
    /// Its time was over.
    Expired,
    /// A client refused it for good: it goes to the dead letters.
    Refused(Status),
}

/// What an engine hears from the store.
#[derive(Debug)]
pub enum StoreEvent {
    /// The message is safe and may be acknowledged.
    Stored {
        /// Of the order.
        reference: u32,
        /// Whose line it stands in.
        key: QueueKey,
        /// The buffer, for re-use.
        pdu: BytesMut,
    },
    /// The message is not kept.
    Refused {
        /// Of the order.
        reference: u32,
        /// Whose line it should have stood in.
        key: QueueKey,
        /// The buffer, for re-use.
        pdu: BytesMut,
        /// Why.
        reason: StoreRefusal,
    },
    /// The next messages of a line.
    Loaded {
        /// Whose line.
        key: QueueKey,
        /// In the order of the line.
        messages: Vec<StoredMessage>,
        /// There are none behind these now.
        is_end: bool,
    },
    /// Lines that have messages: the answer to [`StoreCommand::ListLines`].
    Lines {
        /// Whose lines.
        keys: Vec<QueueKey>,
        /// There are more behind these: ask on.
        has_more: bool,
    },
    /// The time of a message was over and it has left the store: a record for the message log. One engine hears of it, and only while
    /// messages are logged.
    Expired {
        /// Whose line it stood in; `None`: nobody's that is configured now.
        key: Option<QueueKey>,
        /// The message.
        pdu: BytesMut,
    },
    /// Lines that have messages which the engine may not know of: an operator put some back, or the store was opened again.
    MoreLines {
        /// Whose lines.
        keys: Vec<QueueKey>,
    },
}

/// Why a message is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreRefusal {
    /// A limit is reached: of the queue, or of the account.
    Full,
    /// Its validity period is over already.
    Expired,
    /// It could not be written.
    Failed,
}

/// One message of a line.
#[derive(Debug)]
pub struct StoredMessage {
    /// Higher than that of every message before it, in any line.
    pub number: u64,
    /// The whole PDU.
    pub pdu: BytesMut,
    /// How long it may still be delivered.
    pub expires_in: Duration,
}
