//! Messages on disk, in one redb file: crash-safe B-trees, one writer.
//!
//! Two tables. `messages`: the line's key behind its length, then the number (big-endian, so that a line's messages lie in
//! order), to the two times and the PDU. `letters`: the number, to the status, when it was buried, the line's key behind its
//! length, the times and the PDU. `format` says that the file is ours, and of which version.

use super::StoreOpenError;
use super::backend::{Backend, BackendError, Changes, LetterRow, Put, Row, Take, Taken, Times};
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend, Table,
    TableDefinition, TableError,
};
use std::ops::Bound;
use std::path::Path;

const MESSAGES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("messages");
const LETTERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("letters");
const FORMAT: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
const FORMAT_KEY: &str = "smppmux-queue";
const FORMAT_VERSION: u64 = 1;

/// Pages that redb keeps in memory.
const CACHE_OCTETS: usize = 32 * 1024 * 1024;
const KEY_LENGTH_OCTETS: usize = 2;
const NUMBER_OCTETS: usize = 8;
const TIMES_OCTETS: usize = 16;
const LETTER_HEAD_OCTETS: usize = 12;

/// An open file.
#[derive(Debug)]
pub(super) struct DurableBackend {
    database: Database,
}

impl DurableBackend {
    /// Opens or makes the file. Only one process may have it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreOpenError> {
        let unusable = |reason: String| StoreOpenError::Unusable {
            path: path.to_owned(),
            reason,
        };
        let database = builder().create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreOpenError::InUse {
                path: path.to_owned(),
            },
            error => unusable(error.to_string()),
        })?;
        Self::with(database).map_err(|error| unusable(error.to_string()))
    }

    /// Over any storage, so that tests can make it fail.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "only tests bring a storage of their own")
    )]
    pub(super) fn over(storage: impl StorageBackend) -> Result<Self, BackendError> {
        Self::with(builder().create_with_backend(storage)?)
    }

    fn with(database: Database) -> Result<Self, BackendError> {
        let transaction = database.begin_write()?;
        {
            let mut format = transaction.open_table(FORMAT)?;
            let version = format.get(FORMAT_KEY)?.map(|version| version.value());
            match version {
                None => drop(format.insert(FORMAT_KEY, FORMAT_VERSION)?),
                Some(FORMAT_VERSION) => {}
                Some(other) => {
                    return Err(BackendError(format!(
                        "it is of format {other}, and this is a program for format {FORMAT_VERSION}"
                    )));
                }
            }
            transaction.open_table(MESSAGES)?;
            transaction.open_table(LETTERS)?;
        }
        transaction.commit()?;
        Ok(Self { database })
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_OCTETS);
    builder
}

impl Backend for DurableBackend {
    fn commit(&mut self, changes: &Changes) -> Result<Vec<Option<Taken>>, BackendError> {
        let transaction = self.database.begin_write()?;
        let mut taken = Vec::with_capacity(changes.takes.len());
        {
            let mut messages = transaction.open_table(MESSAGES)?;
            let mut letters = transaction.open_table(LETTERS)?;
            let mut row_key = Vec::new();
            for put in &changes.puts {
                put_row(&mut messages, &mut row_key, put)?;
            }
            for take in &changes.takes {
                taken.push(take_row(&mut messages, &mut letters, &mut row_key, take)?);
            }
            for number in &changes.forgotten_letters {
                letters.remove(number)?;
            }
        }
        transaction.commit()?;
        Ok(taken)
    }

    fn load(
        &self,
        key: &[u8],
        after: u64,
        show: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<bool, BackendError> {
        let messages = self.database.begin_read()?.open_table(MESSAGES)?;
        let (mut first, mut last) = (Vec::new(), Vec::new());
        write_row_key(&mut first, key, after);
        write_row_key(&mut last, key, u64::MAX);
        let range = (
            Bound::Excluded(first.as_slice()),
            Bound::Included(last.as_slice()),
        );
        for entry in messages.range::<&[u8]>(range)? {
            let (row_key, value) = entry?;
            let Some((_, row)) = read_row(row_key.value(), value.value()) else {
                continue;
            };
            if !show(row) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn scan(&self, show: &mut dyn FnMut(&[u8], Row<'_>)) -> Result<(), BackendError> {
        let messages = self.database.begin_read()?.open_table(MESSAGES)?;
        for entry in messages.iter()? {
            let (row_key, value) = entry?;
            if let Some((key, row)) = read_row(row_key.value(), value.value()) {
                show(key, row);
            }
        }
        Ok(())
    }

    fn letters(&self, after: u64, show: &mut dyn FnMut(LetterRow) -> bool) -> Result<(), BackendError> {
        let letters = match self.database.begin_read()?.open_table(LETTERS) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            letters => letters?,
        };
        if letters.is_empty()? {
            return Ok(());
        }
        for entry in letters.range((Bound::Excluded(after), Bound::Unbounded))? {
            let (number, value) = entry?;
            if let Some(letter) = read_letter(number.value(), value.value())
                && !show(letter)
            {
                break;
            }
        }
        Ok(())
    }
}

fn put_row(
    messages: &mut Table<'_, &[u8], &[u8]>,
    row_key: &mut Vec<u8>,
    put: &Put,
) -> Result<(), BackendError> {
    write_row_key(row_key, &put.key, put.number);
    let mut value = messages.insert_reserve(row_key.as_slice(), TIMES_OCTETS + put.pdu.len())?;
    let (times, pdu) = value.as_mut().split_at_mut(TIMES_OCTETS);
    times[..8].copy_from_slice(&put.times.arrived_ms.to_be_bytes());
    times[8..].copy_from_slice(&put.times.expires_ms.to_be_bytes());
    pdu.copy_from_slice(&put.pdu);
    Ok(())
}

fn take_row(
    messages: &mut Table<'_, &[u8], &[u8]>,
    letters: &mut Table<'_, u64, &[u8]>,
    row_key: &mut Vec<u8>,
    take: &Take,
) -> Result<Option<Taken>, BackendError> {
    write_row_key(row_key, &take.key, take.number);
    let Some(value) = messages.remove(row_key.as_slice())? else {
        return Ok(None);
    };
    let value = value.value();
    if let Some((status, buried_ms)) = take.buried {
        let mut letter =
            Vec::with_capacity(LETTER_HEAD_OCTETS + KEY_LENGTH_OCTETS + take.key.len() + value.len());
        letter.extend_from_slice(&status.to_be_bytes());
        letter.extend_from_slice(&buried_ms.to_be_bytes());
        letter.extend_from_slice(&short_length(&take.key));
        letter.extend_from_slice(&take.key);
        letter.extend_from_slice(value);
        letters.insert(take.number, letter.as_slice())?;
    }
    Ok(Some(Taken::of(
        take,
        value.get(TIMES_OCTETS..).unwrap_or_default(),
    )))
}

/// Behind its length, so that no key is the start of another one.
fn write_row_key(row_key: &mut Vec<u8>, key: &[u8], number: u64) {
    row_key.clear();
    row_key.extend_from_slice(&short_length(key));
    row_key.extend_from_slice(key);
    row_key.extend_from_slice(&number.to_be_bytes());
}

/// A key is a name, and an address or another name; both are bounded by the configuration.
fn short_length(key: &[u8]) -> [u8; KEY_LENGTH_OCTETS] {
    u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn read_row<'a>(row_key: &'a [u8], value: &'a [u8]) -> Option<(&'a [u8], Row<'a>)> {
    let (key, number) = row_key
        .get(KEY_LENGTH_OCTETS..)?
        .split_last_chunk::<NUMBER_OCTETS>()?;
    let (times, pdu) = read_times(value)?;
    let number = u64::from_be_bytes(*number);
    Some((key, Row { number, times, pdu }))
}

fn read_times(value: &[u8]) -> Option<(Times, &[u8])> {
    let (arrived, rest) = value.split_first_chunk::<8>()?;
    let (expires, pdu) = rest.split_first_chunk::<8>()?;
    let times = Times {
        arrived_ms: u64::from_be_bytes(*arrived),
        expires_ms: u64::from_be_bytes(*expires),
    };
    Some((times, pdu))
}

fn read_letter(number: u64, value: &[u8]) -> Option<LetterRow> {
    let (status, rest) = value.split_first_chunk::<4>()?;
    let (buried, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<KEY_LENGTH_OCTETS>()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (times, pdu) = read_times(rest)?;
    Some(LetterRow {
        number,
        key: key.into(),
        status: u32::from_be_bytes(*status),
        buried_ms: u64::from_be_bytes(*buried),
        times,
        pdu: pdu.to_vec(),
    })
}
