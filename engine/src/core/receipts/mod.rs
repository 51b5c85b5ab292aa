//! Which message an id names, which account waits for its receipt, and what clients see of both.
//!
//! Pure tables and texts first (`reading`, `keys`, `message_id`, `table`, `mapped`, `record`); then what the engine does with
//! them, one file for each way: `remember` makes entries when a submit is answered, `route` brings a receipt to its
//! submitter, `held` lets one wait that came before its answer, `operations` looks after query_sm, cancel_sm, replace_sm,
//! `fence` lets one wait whose id may be on its way, `gather` makes one answer of many, `state` is what one core keeps.

mod fence;
mod gather;
mod held;
mod index;
mod keys;
mod mapped;
mod message_id;
mod operations;
mod reading;
mod record;
mod remember;
mod ring;
mod route;
mod settings;
mod state;
mod table;

pub(in crate::core) use gather::GatherId;
pub use keys::{ID_KEY_OCTETS, IdKeys};
pub use mapped::{MappedEntry, MappedIds};
pub(in crate::core) use message_id::ClientId;
pub use message_id::{CHECK_CHARACTERS, CheckKey, IdForm};
pub use operations::OwnerQuestion;
pub(in crate::core) use operations::{NOTE_OCTETS, noted_server, read_note};
pub use record::{BadRecord, LoadedRecord, RecordCounts, RecordReader, write_account, write_vserver};
pub use route::ReceiptQuestion;
pub use settings::{
    MessageIdFormat, MessageIdMode, MessageIdSettings, ReceiptRoute, ReceiptSettings, ReceiptStore,
    UnknownReceipt,
};
pub(in crate::core) use state::Receipts;
pub use table::{FoundReceipt, ReceiptEntry, ReceiptTable};
