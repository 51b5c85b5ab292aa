//! Entries as octets, for the log: written by the engines, read at the next start.
//!
//! A record is one octet of kind and a body of known length. An entry carries the name of its account and the uid of its
//! server, for their numbers are those of one configuration: accounts and vservers by a number that an earlier record of the
//! same batch or file gave a name to. Records of accounts and servers that are no more are skipped. Must never panic on octets that it
//! did not write.

use super::mapped::MappedEntry;
use super::message_id::IdForm;
use super::reading::Spelling;
use super::table::ReceiptEntry;
use crate::core::settings::{ClientIndex, ServerIndex, Settings, VserverIndex};
use bytes::{Buf, BufMut, BytesMut};
use std::collections::HashMap;

const KIND_ACCOUNT: u8 = 1;
/// Of a version that did not keep the vserver; only read.
const KIND_RECEIPT_ANYWHERE: u8 = 2;
const KIND_MAPPED: u8 = 3;
const KIND_VSERVER: u8 = 4;
const KIND_RECEIPT: u8 = 5;

const RECEIPT_ANYWHERE_OCTETS: usize = 8 + 8 + 4 + 4 + 2 + 8;
const RECEIPT_OCTETS: usize = RECEIPT_ANYWHERE_OCTETS + 2;
const MAPPED_HEAD_OCTETS: usize = 8 + 4 + 2 + 8 + 1;
const NO_ACCOUNT: u32 = u32::MAX;
const NO_VSERVER: u16 = u16::MAX;

/// Gives an account's number a name, for all records behind.
pub fn write_account(buffer: &mut BytesMut, account: ClientIndex, system_id: &str) {
    let name = &system_id.as_bytes()[..system_id.len().min(usize::from(u8::MAX))];
    buffer.put_u8(KIND_ACCOUNT);
    buffer.put_u32(account.0);
    buffer.put_u8(name.len() as u8);
    buffer.put_slice(name);
}

/// Gives a vserver's number a name, for all records behind.
pub fn write_vserver(buffer: &mut BytesMut, vserver: VserverIndex, name: &str) {
    let name = &name.as_bytes()[..name.len().min(usize::from(u8::MAX))];
    buffer.put_u8(KIND_VSERVER);
    buffer.put_u16(vserver.0);
    buffer.put_u8(name.len() as u8);
    buffer.put_slice(name);
}

/// `home` is what the entry's home core follows from.
pub(super) fn write_receipt(buffer: &mut BytesMut, made_at_seconds: u64, home: u64, entry: &ReceiptEntry) {
    buffer.put_u8(KIND_RECEIPT);
    buffer.put_u64(made_at_seconds);
    buffer.put_u64(entry.key);
    buffer.put_u32(entry.account.0);
    buffer.put_u32(entry.spelling.bits() | u32::from(entry.form.code()) << Spelling::BITS);
    buffer.put_u16(entry.destination);
    buffer.put_u64(home);
    buffer.put_u16(entry.vserver.map_or(NO_VSERVER, |vserver| vserver.0));
}

pub(super) fn write_mapped(buffer: &mut BytesMut, made_at_seconds: u64, uid: [u8; 2], entry: &MappedEntry) {
    buffer.put_u8(KIND_MAPPED);
    buffer.put_u64(made_at_seconds);
    buffer.put_u32(entry.account.map_or(NO_ACCOUNT, |account| account.0));
    buffer.put_slice(&uid);
    buffer.put_u64(entry.key);
    buffer.put_u8(entry.id().len() as u8);
    buffer.put_slice(entry.id());
}

/// A record that this configuration has a use for.
#[derive(Clone, Debug)]
pub enum LoadedRecord {
    /// An entry of the receipt table.
    Receipt {
        /// Seconds since 1970.
        made_at_seconds: u64,
        /// What its home core follows from.
        home: u64,
        /// The entry, with this run's number of the account.
        entry: ReceiptEntry,
    },
    /// A mapped id.
    Mapped {
        /// Seconds since 1970.
        made_at_seconds: u64,
        /// The entry, with this run's numbers.
        entry: MappedEntry,
    },
}

/// Reads records of one file in order.
#[derive(Debug, Default)]
pub struct RecordReader {
    accounts: HashMap<u32, Option<ClientIndex>>,
    vservers: HashMap<u16, Option<VserverIndex>>,
    servers: HashMap<[u8; 2], ServerIndex>,
    /// Records that this configuration has no use for.
    skipped: u64,
}

/// How many records of each kind there are, and how new they are. No configuration is needed to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Entries of the receipt table.
    pub receipts: u64,
    /// Mapped ids.
    pub mapped: u64,
    /// When the newest was made, in seconds since 1970.
    pub newest_seconds: u64,
}

impl RecordCounts {
    /// Counts the records of a batch.
    ///
    /// # Errors
    /// [`BadRecord`] where the octets are no record; those before it were counted.
    pub fn add(&mut self, mut octets: &[u8]) -> Result<(), BadRecord> {
        while octets.has_remaining() {
            let (body, made_at_seconds) = match octets.get_u8() {
                KIND_ACCOUNT => {
                    let name = octets.get(4).ok_or(BadRecord)?;
                    (5 + usize::from(*name), None)
                }
                KIND_VSERVER => {
                    let name = octets.get(2).ok_or(BadRecord)?;
                    (3 + usize::from(*name), None)
                }
                kind @ (KIND_RECEIPT | KIND_RECEIPT_ANYWHERE) => {
                    self.receipts += 1;
                    (receipt_octets(kind), octets.first_chunk())
                }
                KIND_MAPPED => {
                    self.mapped += 1;
                    let id = octets.get(MAPPED_HEAD_OCTETS - 1).ok_or(BadRecord)?;
                    (MAPPED_HEAD_OCTETS + usize::from(*id), octets.first_chunk())
                }
                _ => return Err(BadRecord),
            };
            if let Some(made_at_seconds) = made_at_seconds {
                self.newest_seconds = self.newest_seconds.max(u64::from_be_bytes(*made_at_seconds));
            }
            octets = octets.get(body..).ok_or(BadRecord)?;
        }
        Ok(())
    }
}

/// Octets that are no record: a fault of the disk that the batch's checksum did not show, or a later version's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRecord;

impl RecordReader {
    /// A reader for one file.
    pub fn new(settings: &Settings) -> Self {
        let servers = (0_u16..).zip(&settings.servers);
        Self {
            servers: servers
                .map(|(index, server)| (server.uid, ServerIndex(index)))
                .collect(),
            ..Self::default()
        }
    }

    /// Records of accounts or servers that are no longer configured.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Reads the records of one batch.
    ///
    /// # Errors
    /// [`BadRecord`] where the octets are no record; those before it were told.
    pub fn read(
        &mut self,
        settings: &Settings,
        mut octets: &[u8],
        mut tell: impl FnMut(LoadedRecord),
    ) -> Result<(), BadRecord> {
        while octets.has_remaining() {
            let record = match octets.get_u8() {
                KIND_ACCOUNT => {
                    self.read_account(settings, &mut octets)?;
                    continue;
                }
                KIND_VSERVER => {
                    self.read_vserver(settings, &mut octets)?;
                    continue;
                }
                kind @ (KIND_RECEIPT | KIND_RECEIPT_ANYWHERE) => self.read_receipt(kind, &mut octets)?,
                KIND_MAPPED => self.read_mapped(&mut octets)?,
                _ => return Err(BadRecord),
            };
            match record {
                Some(record) => tell(record),
                None => self.skipped += 1,
            }
        }
        Ok(())
    }

    fn read_account(&mut self, settings: &Settings, octets: &mut &[u8]) -> Result<(), BadRecord> {
        let number = octets.try_get_u32().map_err(|_| BadRecord)?;
        self.accounts.insert(number, settings.account(read_name(octets)?));
        Ok(())
    }

    fn read_vserver(&mut self, settings: &Settings, octets: &mut &[u8]) -> Result<(), BadRecord> {
        let number = octets.try_get_u16().map_err(|_| BadRecord)?;
        let name = read_name(octets)?;
        let mut vservers = (0_u16..).zip(&settings.vservers);
        let found = vservers.find(|(_, vserver)| vserver.name.as_bytes() == name);
        self.vservers
            .insert(number, found.map(|(index, _)| VserverIndex(index)));
        Ok(())
    }

    /// A vserver that is gone leaves its receipts to the one that gets the server's other messages.
    fn read_receipt(&self, kind: u8, octets: &mut &[u8]) -> Result<Option<LoadedRecord>, BadRecord> {
        if octets.remaining() < receipt_octets(kind) {
            return Err(BadRecord);
        }
        let (made_at_seconds, key, account) = (octets.get_u64(), octets.get_u64(), octets.get_u32());
        let (spelling_and_form, destination, home) = (octets.get_u32(), octets.get_u16(), octets.get_u64());
        let vserver = match kind {
            KIND_RECEIPT => self.vservers.get(&octets.get_u16()).copied().flatten(),
            _ => None,
        };
        let account = self.accounts.get(&account).copied().flatten();
        Ok(account.map(|account| LoadedRecord::Receipt {
            made_at_seconds,
            home,
            entry: ReceiptEntry {
                key,
                spelling: Spelling::from_bits(spelling_and_form),
                account,
                destination,
                form: IdForm::from_code((spelling_and_form >> Spelling::BITS) as u8),
                vserver,
            },
        }))
    }

    fn read_mapped(&self, octets: &mut &[u8]) -> Result<Option<LoadedRecord>, BadRecord> {
        if octets.remaining() < MAPPED_HEAD_OCTETS {
            return Err(BadRecord);
        }
        let (made_at_seconds, account) = (octets.get_u64(), octets.get_u32());
        let uid = [octets.get_u8(), octets.get_u8()];
        let (key, length) = (octets.get_u64(), usize::from(octets.get_u8()));
        let id = octets.get(..length).ok_or(BadRecord)?;
        let server = self.servers.get(&uid).copied();
        let account = match account {
            NO_ACCOUNT => Some(None),
            number => self.accounts.get(&number).copied().flatten().map(Some),
        };
        let entry = server
            .zip(account)
            .map(|(server, account)| MappedEntry::new(key, server, account, id).ok_or(BadRecord))
            .transpose()?;
        octets.advance(length);
        Ok(entry.map(|entry| LoadedRecord::Mapped {
            made_at_seconds,
            entry,
        }))
    }
}

const fn receipt_octets(kind: u8) -> usize {
    if kind == KIND_RECEIPT_ANYWHERE {
        RECEIPT_ANYWHERE_OCTETS
    } else {
        RECEIPT_OCTETS
    }
}

fn read_name<'a>(octets: &mut &'a [u8]) -> Result<&'a [u8], BadRecord> {
    let length = usize::from(octets.try_get_u8().map_err(|_| BadRecord)?);
    let (name, rest) = octets.split_at_checked(length).ok_or(BadRecord)?;
    *octets = rest;
    Ok(name)
}

impl std::fmt::Display for BadRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("octets that are no record")
    }
}

impl std::error::Error for BadRecord {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::settings::VserverSettings;
    use crate::core::settings::samples::{
        client_settings, engine_settings, server_settings, vserver_settings,
    };
    use proptest::prelude::*;

    fn settings(accounts: &[&str]) -> Settings {
        let clients = accounts.iter().map(|name| client_settings(name)).collect();
        Settings::new(
            engine_settings(),
            vec![vserver_settings()],
            vec![server_settings()],
            clients,
            1,
        )
    }

    fn receipt(account: u32) -> ReceiptEntry {
        ReceiptEntry {
            key: 0x0123_4567_89AB_CDEF,
            spelling: Spelling::of(b"00aF"),
            account: ClientIndex(account),
            destination: 77,
            form: IdForm::Mapped,
            vserver: None,
        }
    }

    /// Goal: what was written is read again, with the numbers of a configuration whose accounts stand in another order; and
    /// what belongs to an account or server that is gone is skipped and counted.
    #[test]
    fn records_survive_another_configuration() {
        let mut buffer = BytesMut::new();
        write_account(&mut buffer, ClientIndex(0), "alpha");
        write_account(&mut buffer, ClientIndex(1), "beta");
        let mapped = MappedEntry::new(9, ServerIndex(0), Some(ClientIndex(1)), b"id-1").expect("short");
        write_receipt(&mut buffer, 5, 42, &receipt(1));
        write_mapped(&mut buffer, 6, *b"0A", &mapped);
        write_mapped(&mut buffer, 6, *b"ZZ", &mapped);
        write_receipt(&mut buffer, 7, 42, &receipt(0));
        let settings = settings(&["gamma", "delta", "beta"]);
        let mut reader = RecordReader::new(&settings);
        let mut loaded = Vec::new();
        assert_eq!(
            reader.read(&settings, &buffer, |record| loaded.push(record)),
            Ok(())
        );
        assert_eq!((loaded.len(), reader.skipped()), (2, 2));
        let LoadedRecord::Receipt {
            made_at_seconds: 5,
            home: 42,
            entry,
        } = &loaded[0]
        else {
            panic!("{loaded:?}")
        };
        assert_eq!(*entry, receipt(2));
        let LoadedRecord::Mapped {
            made_at_seconds: 6,
            entry,
        } = &loaded[1]
        else {
            panic!("{loaded:?}")
        };
        assert_eq!(
            (entry.key, entry.account, entry.id()),
            (9, Some(ClientIndex(2)), &b"id-1"[..])
        );
    }

    /// Goal: an entry finds its vserver again by name, wherever it stands now; one without, of a vserver that is gone or of a
    /// version that did not keep it, is kept without.
    #[test]
    fn a_receipt_keeps_its_vserver() {
        let vserver = |name: &str| VserverSettings {
            name: name.into(),
            ..vserver_settings()
        };
        let settings = Settings::new(
            engine_settings(),
            vec![vserver("new"), vserver("two")],
            vec![server_settings()],
            vec![client_settings("alpha")],
            1,
        );
        let mut buffer = BytesMut::new();
        write_account(&mut buffer, ClientIndex(0), "alpha");
        write_vserver(&mut buffer, VserverIndex(0), "one");
        write_vserver(&mut buffer, VserverIndex(1), "two");
        for vserver in [Some(1), Some(0), None] {
            let entry = ReceiptEntry {
                vserver: vserver.map(VserverIndex),
                ..receipt(0)
            };
            write_receipt(&mut buffer, 5, 42, &entry);
        }
        let before = buffer.len();
        write_receipt(&mut buffer, 5, 42, &receipt(0));
        buffer.truncate(buffer.len() - 2);
        buffer[before] = KIND_RECEIPT_ANYWHERE;
        let mut counts = RecordCounts::default();
        assert_eq!((counts.add(&buffer), counts.receipts), (Ok(()), 4));
        let mut found = Vec::new();
        let mut reader = RecordReader::new(&settings);
        let outcome = reader.read(&settings, &buffer, |record| match record {
            LoadedRecord::Receipt { entry, .. } => found.push(entry.vserver),
            LoadedRecord::Mapped { .. } => panic!("{record:?}"),
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(found, [Some(VserverIndex(1)), None, None, None]);
    }

    proptest! {
        /// Goal: no octets make the reader panic.
        #[test]
        fn hostile_octets_are_refused(octets in proptest::collection::vec(prop_oneof![1_u8..7, any::<u8>()], 0..120)) {
            let settings = settings(&["alpha"]);
            let mut reader = RecordReader::new(&settings);
            let read = reader.read(&settings, &octets, |_| {});
            prop_assert_eq!(RecordCounts::default().add(&octets).is_err(), read.is_err());
        }
    }
}
