//! What the store's thread needs of the place where messages are kept.

use bytes::BytesMut;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The stored key of a line (see `disk_key`); shared by all that speak of it.
pub(super) type LineKey = Arc<[u8]>;

/// A message that goes in.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) key: LineKey,
    pub(super) number: u64,
    pub(super) times: Times,
    pub(super) pdu: BytesMut,
}

/// When a message came and how long it may be delivered, in milliseconds of the wall clock since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) arrived_ms: u64,
    pub(super) expires_ms: u64,
}

/// A message that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Take {
    pub(super) key: LineKey,
    pub(super) number: u64,
    /// It goes to the dead letters, with this command_status, at this time.
    pub(super) buried: Option<(u32, u64)>,
    /// Its PDU is asked for.
    pub(super) is_shown: bool,
}

/// A message that went.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Of its PDU.
    pub(super) octets: usize,
    /// The PDU, where it was asked for.
    pub(super) pdu: Option<BytesMut>,
}

impl Taken {
    pub(super) fn of(take: &Take, pdu: &[u8]) -> Self {
        Self {
            octets: pdu.len(),
            pdu: take.is_shown.then(|| pdu.into()),
        }
    }
}

/// All that one commit makes safe, in this order: what goes in, what goes out, dead letters that are forgotten.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) puts: Vec<Put>,
    pub(super) takes: Vec<Take>,
    pub(super) forgotten_letters: Vec<u64>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.takes.is_empty() && self.forgotten_letters.is_empty()
    }
}

/// One message as it is kept.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) number: u64,
    pub(super) times: Times,
    pub(super) pdu: &'a [u8],
}

/// One dead letter as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LetterRow {
    pub(super) number: u64,
    pub(super) key: LineKey,
    pub(super) status: u32,
    pub(super) buried_ms: u64,
    pub(super) times: Times,
    pub(super) pdu: Vec<u8>,
}

/// A place for messages. After an error it must be opened again.
pub(super) trait Backend: Send {
    /// Makes all changes safe. The answer has, for each of `takes`, the message that went, `None` where there was none.
    fn commit(&mut self, changes: &Changes) -> Result<Vec<Option<Taken>>, BackendError>;

    /// Shows the messages of a line behind a number, in order, until `show` says no. True: there was none behind the last.
    fn load(
        &self,
        key: &[u8],
        after: u64,
        show: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<bool, BackendError>;

    /// Shows every message, line by line.
    fn scan(&self, show: &mut dyn FnMut(&[u8], Row<'_>)) -> Result<(), BackendError>;

    /// Shows the dead letters behind a number, oldest first, until `show` says no.
    fn letters(&self, after: u64, show: &mut dyn FnMut(LetterRow) -> bool) -> Result<(), BackendError>;
}

/// Opens a backend, at the start and again after an error.
pub(super) type OpenBackend = Box<dyn FnMut() -> Result<Box<dyn Backend>, StoreOpenError> + Send>;

/// The backend could not do it.
#[derive(Debug)]
pub(super) struct BackendError(pub(super) String);

impl fmt::Display for BackendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<E: Into<redb::Error>> From<E> for BackendError {
    fn from(error: E) -> Self {
        Self(error.into().to_string())
    }
}

/// Why the store cannot be opened.
#[derive(Debug)]
pub enum StoreOpenError {
    /// Another process has the file.
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// The file cannot be opened or made, or is none of ours.
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What the system or the database says.
        reason: String,
    },
    /// No thread could be started for it.
    NoThread(std::io::Error),
}

impl fmt::Display for StoreOpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path } => write!(
                formatter,
                "the queue's file {} is in use by another process",
                path.display()
            ),
            Self::Unusable { path, reason } => {
                write!(
                    formatter,
                    "the queue's file {} cannot be used: {reason}",
                    path.display()
                )
            }
            Self::NoThread(error) => write!(formatter, "the queue's thread cannot be started: {error}"),
        }
    }
}

impl Error for StoreOpenError {}
