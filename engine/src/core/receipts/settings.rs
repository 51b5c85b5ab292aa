//! What the configuration says about message ids and receipts.

use super::keys::{ID_KEY_OCTETS, IdKeys};
use super::message_id::CheckKey;
use std::time::Duration;

/// How a server writes the ids in its answers; its receipts may write the same number otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageIdFormat {
    /// Either way, with any zeros in front and in any letter case, where the receipt's source is the submit's destination.
    #[default]
    Auto,
    /// Octet for octet.
    Opaque,
    /// Decimal numbers; its receipts may have them in hexadecimal.
    Decimal,
    /// Hexadecimal numbers; its receipts may have them in decimal.
    Hex,
}

/// The ids that clients get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageIdMode {
    /// `<id>#<signature>-<uid>`.
    #[default]
    Tagged,
    /// The same with a check value over account, id and uid.
    Signed,
    /// Short opaque ids.
    Mapped,
}

/// Message ids of one vserver.
#[derive(Clone, Debug, Default)]
pub struct MessageIdSettings {
    /// Which form.
    pub mode: MessageIdMode,
    /// The key of check values; used by [`MessageIdMode::Signed`] alone.
    pub key: CheckKey,
}

/// Where delivery receipts go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiptRoute {
    /// To the account that submitted.
    #[default]
    Submitter,
    /// By their destination address, like any MO.
    Address,
}

/// What happens to a receipt of an unknown id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownReceipt {
    /// By its destination address, like any MO.
    #[default]
    Address,
    /// The same, and where nobody can take it, even where no configured account may claim its address, it is acknowledged and
    /// waits in the queue.
    Queue,
    /// ESME_RX_P_APPN to the server: it shall not try again.
    Refuse,
}

/// Receipts at one vserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptSettings {
    /// Where they go.
    pub route: ReceiptRoute,
    /// How long one waits whose submit has not been answered.
    pub hold: Duration,
    /// What happens when that is over.
    pub unknown: UnknownReceipt,
}

impl Default for ReceiptSettings {
    fn default() -> Self {
        Self {
            route: ReceiptRoute::default(),
            hold: Duration::from_secs(10),
            unknown: UnknownReceipt::default(),
        }
    }
}

/// The tables of receipts and mapped ids, over all cores.
#[derive(Clone, Debug)]
pub struct ReceiptStore {
    /// False: nothing is remembered, receipts are routed by address.
    pub is_kept: bool,
    /// Entries go to the log too.
    pub is_logged: bool,
    /// Entries at most, of each of the two kinds.
    pub entries_max: u64,
    /// How long an entry is kept.
    pub age_max: Duration,
    /// The hashes, keyed by the log's key.
    pub keys: IdKeys,
    /// Seconds since 1970 at the engines' start: entries outlive a run, the engines' own clock does not.
    pub started_at_seconds: u64,
}

impl ReceiptStore {
    /// Entries of `old` are found and dated by this one just as well.
    pub(in crate::core) fn continues(&self, old: &Self) -> bool {
        (self.is_kept, self.is_logged) == (old.is_kept, old.is_logged)
            && self.started_at_seconds == old.started_at_seconds
            && self.keys.of_client_id(&[]) == old.keys.of_client_id(&[])
    }
}

impl Default for ReceiptStore {
    /// Kept in memory.
    fn default() -> Self {
        Self {
            is_kept: true,
            is_logged: false,
            entries_max: 1_000_000,
            age_max: Duration::from_secs(3 * 24 * 3600),
            keys: IdKeys::new(&[0; ID_KEY_OCTETS]),
            started_at_seconds: 1_000_000_000,
        }
    }
}
