//! Keyed hashes of ids and addresses.
//!
//! SipHash, which is defined octet for octet, so that the log of one run is good in the next; keyed, so that nobody outside
//! can choose ids that meet in one place, or guess a mapped id. Must never be seeded by anything but the log's own key.

use super::reading::{CLASSES, READINGS_MAX, Spelling, canonical, home_class, other_readings};
use crate::core::settings::MessageIdFormat;
use siphasher::sip::{SipHasher13, SipHasher24};
use std::hash::Hasher;

/// Octets of the key.
pub const ID_KEY_OCTETS: usize = 16;

/// What the hashes are for: equal texts give other hashes for another purpose.
const PURPOSE_RECEIPT: u8 = 1;
const PURPOSE_MAPPED: u8 = 2;
const PURPOSE_ADDRESS: u8 = 3;
const PURPOSE_CLIENT_ID: u8 = 4;

/// The hashes of one log, or of one run where there is no log.
#[derive(Clone)]
pub struct IdKeys {
    receipts: SipHasher13,
    mapped: SipHasher24,
}

/// An id's place in the receipt table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct IdKey {
    pub(in crate::core) key: u64,
    pub(in crate::core) spelling: Spelling,
    /// What its home core follows from: the same for all readings of the id.
    pub(in crate::core) home: u64,
}

impl IdKeys {
    /// Hashes with this key.
    pub fn new(key: &[u8; ID_KEY_OCTETS]) -> Self {
        Self {
            receipts: SipHasher13::new_with_key(key),
            mapped: SipHasher24::new_with_key(key),
        }
    }

    /// Where the entry of an id is, as the server's answer spells it.
    pub(in crate::core) fn of_id(&self, uid: [u8; 2], id: &[u8], format: MessageIdFormat) -> IdKey {
        let key = match canonical(id, format) {
            Some(text) => self.hash(PURPOSE_RECEIPT, uid, text.as_slice()),
            None => self.hash(PURPOSE_RECEIPT, uid, id),
        };
        let home = match home_class(id, format) {
            Some(class) => class_home(uid, class),
            None => key,
        };
        IdKey {
            key,
            spelling: Spelling::of(id),
            home,
        }
    }

    /// The places where the entry of a receipt's id may be: of the id as it stands, and of its other readings.
    pub(in crate::core) fn of_readings(
        &self,
        uid: [u8; 2],
        id: &[u8],
        format: MessageIdFormat,
    ) -> [Option<u64>; READINGS_MAX] {
        let Some(text) = canonical(id, format) else {
            return [Some(self.hash(PURPOSE_RECEIPT, uid, id)), None, None];
        };
        let [one, other] = other_readings(text.as_slice(), format)
            .map(|reading| reading.map(|reading| self.hash(PURPOSE_RECEIPT, uid, reading.as_slice())));
        [Some(self.hash(PURPOSE_RECEIPT, uid, text.as_slice())), one, other]
    }

    /// A hash of an address, never 0. A leading `+` or `00` does not count.
    pub(in crate::core) fn of_address(&self, address: &[u8]) -> u16 {
        let digits = address
            .strip_prefix(b"+")
            .or_else(|| address.strip_prefix(b"00"))
            .unwrap_or(address);
        (self.hash(PURPOSE_ADDRESS, [0; 2], digits) as u16).max(1)
    }

    /// The number that a mapped id is the writing of.
    pub(super) fn of_mapped_id(&self, uid: [u8; 2], id: &[u8]) -> u64 {
        let mut hasher = self.mapped;
        hasher.write(&[PURPOSE_MAPPED, uid[0], uid[1]]);
        hasher.write(id);
        hasher.finish()
    }

    /// The place of a mapped id in its table, by the text that the client has.
    pub(in crate::core) fn of_client_id(&self, id: &[u8]) -> u64 {
        self.hash(PURPOSE_CLIENT_ID, [0; 2], id)
    }

    fn hash(&self, purpose: u8, uid: [u8; 2], text: &[u8]) -> u64 {
        let mut hasher = self.receipts;
        hasher.write(&[purpose, uid[0], uid[1]]);
        hasher.write(text);
        hasher.finish()
    }
}

/// The home hash of a class of a server's ids. Steps of the golden ratio lie apart as evenly as can be, however many there
/// are, so that few servers still use all cores that there are classes for.
pub(in crate::core) fn class_home(uid: [u8; 2], class: u8) -> u64 {
    let place = u64::from(u16::from_be_bytes(uid)) * CLASSES + u64::from(class);
    place.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl std::fmt::Debug for IdKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("IdKeys(…)")
    }
}
