//! The ids that clients see: tagged, signed, or mapped to short ones.
//!
//! Owns writing each form and reading it back. `tagged` is `<id>#<signature>-<uid>`; `signed` has four characters more, a
//! check value over account, id and uid; a mapped id is a keyed hash of uid and id, so that a receipt needs no look-up to
//! carry the id that its submit's answer carried. Invariants: the form of an id depends on the id, the vserver and the
//! client's version alone; a check value is compared in constant time. Must never keep anything: the way back from a
//! mapped id is the mapped ids' table.

use super::keys::IdKeys;
use crate::core::secret::Secret;
use crate::core::settings::{MessageIdMode, VserverSettings};
use crate::core::tag::{fits, tagged_octets, untag, write_tag};
use crate::core::wire::Version;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// Characters of the check value of a signed id.
pub const CHECK_CHARACTERS: usize = 4;

/// Characters of a mapped id for clients of v3.4 and v5.0.
pub(in crate::core) const MAPPED_CHARACTERS: usize = 12;

/// Characters of a mapped id for clients of v3.3, which take no more.
pub(in crate::core) const MAPPED_CHARACTERS_V33: usize = 8;

const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The longest id in any form.
const FORM_OCTETS_MAX: usize = 64;

/// How a client got a message's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdForm {
    /// `<id>#<signature>-<uid>`.
    Tagged,
    /// `<id>#<signature>-<uid><check>`.
    Signed,
    /// Twelve characters.
    Mapped,
    /// Eight characters.
    MappedShort,
}

impl IdForm {
    /// The form's number in tables and in the log.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Tagged => 0,
            Self::Signed => 1,
            Self::Mapped => 2,
            Self::MappedShort => 3,
        }
    }

    pub(super) const fn from_code(code: u8) -> Self {
        match code & 3 {
            1 => Self::Signed,
            2 => Self::Mapped,
            3 => Self::MappedShort,
            _ => Self::Tagged,
        }
    }

    /// The form in which a client of `version` gets an id of `id_octets`.
    pub(in crate::core) fn for_client(vserver: &VserverSettings, version: Version, id_octets: usize) -> Self {
        let octets_max = version.message_id_characters_max();
        let signature = vserver.signature.as_bytes();
        let form = match vserver.message_id.mode {
            MessageIdMode::Tagged if fits(id_octets, signature, octets_max) => Self::Tagged,
            MessageIdMode::Signed if fits(id_octets + CHECK_CHARACTERS, signature, octets_max) => {
                Self::Signed
            }
            _ => Self::Mapped,
        };
        if form == Self::Mapped && octets_max < MAPPED_CHARACTERS {
            Self::MappedShort
        } else {
            form
        }
    }

    /// There must be an entry for the way back.
    pub(in crate::core) const fn is_mapped(self) -> bool {
        matches!(self, Self::Mapped | Self::MappedShort)
    }
}

/// An id as a client sees it; no heap.
#[derive(Clone, Copy)]
pub(in crate::core) struct ClientId {
    octets: [u8; FORM_OCTETS_MAX],
    length: usize,
}

impl ClientId {
    pub(in crate::core) fn as_slice(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    /// A text as it is; `None` where it is longer than any message_id.
    #[cfg(test)]
    pub(in crate::core) fn of(text: &[u8]) -> Option<Self> {
        let mut id = Self::empty(text.len())?;
        id.octets[..text.len()].copy_from_slice(text);
        Some(id)
    }

    fn empty(length: usize) -> Option<Self> {
        (length <= FORM_OCTETS_MAX).then_some(Self {
            octets: [0; FORM_OCTETS_MAX],
            length,
        })
    }
}

/// Writes `id` of the server `uid` in a form. `None`: it does not fit, which [`IdForm::for_client`] rules out.
pub(in crate::core) fn write_id(
    form: IdForm,
    vserver: &VserverSettings,
    keys: &IdKeys,
    account: &[u8],
    id: &[u8],
    uid: [u8; 2],
) -> Option<ClientId> {
    let signature = vserver.signature.as_bytes();
    let check = match form {
        IdForm::Tagged => 0,
        IdForm::Signed => CHECK_CHARACTERS,
        IdForm::Mapped => return Some(mapped(keys, id, uid, MAPPED_CHARACTERS)),
        IdForm::MappedShort => return Some(mapped(keys, id, uid, MAPPED_CHARACTERS_V33)),
    };
    let tagged = tagged_octets(id.len(), signature);
    let mut written = ClientId::empty(tagged + check)?;
    let (place, check_place) = written.octets[..tagged + check].split_at_mut(tagged);
    place[..id.len()].copy_from_slice(id);
    write_tag(&mut place[id.len()..], signature, uid);
    if form == IdForm::Signed {
        check_place.copy_from_slice(&vserver.message_id.key.check(account, id, uid));
    }
    Some(written)
}

/// A client's id as one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum ReadId<'a> {
    /// It names the server's own id and its uid; a check value, if there has to be one, is good.
    Named { id: &'a [u8], uid: [u8; 2] },
    /// It looks like a mapped id: the table knows more.
    Mapped,
}

/// Reads an id that a client sent. `None`: nobody here has given it out: no tag, another signature, a forged check value.
pub(in crate::core) fn read_id<'a>(
    vserver: &VserverSettings,
    account: &[u8],
    id: &'a [u8],
) -> Option<ReadId<'a>> {
    let signature = vserver.signature.as_bytes();
    let named = match vserver.message_id.mode {
        MessageIdMode::Tagged => untag(id, signature),
        MessageIdMode::Signed => id
            .split_last_chunk::<CHECK_CHARACTERS>()
            .and_then(|(tagged, check)| Some((untag(tagged, signature)?, check)))
            .filter(|((own, uid), check)| vserver.message_id.key.is_check(account, own, *uid, check))
            .map(|(named, _)| named),
        MessageIdMode::Mapped => None,
    };
    if let Some((id, uid)) = named {
        return Some(ReadId::Named { id, uid });
    }
    let may_be_mapped = matches!(id.len(), MAPPED_CHARACTERS | MAPPED_CHARACTERS_V33)
        && id.iter().all(|character| ALPHABET.contains(character));
    may_be_mapped.then_some(ReadId::Mapped)
}

fn mapped(keys: &IdKeys, id: &[u8], uid: [u8; 2], characters: usize) -> ClientId {
    let mut written = ClientId {
        octets: [0; FORM_OCTETS_MAX],
        length: characters,
    };
    write_characters(&mut written.octets[..characters], keys.of_mapped_id(uid, id));
    written
}

fn write_characters(place: &mut [u8], mut value: u64) {
    for character in place {
        *character = ALPHABET[(value % 36) as usize];
        value /= 36;
    }
}

/// The key of check values, ready for use. Its `Debug` form hides it.
#[derive(Clone)]
pub struct CheckKey(Hmac<Sha256>);

impl CheckKey {
    /// From the configured text, of any length.
    pub fn new(key: &Secret) -> Self {
        Self::from_octets(key.reveal())
    }

    fn from_octets(key: &[u8]) -> Self {
        // HMAC takes keys of every length, so this cannot fail.
        match Hmac::<Sha256>::new_from_slice(key) {
            Ok(mac) => Self(mac),
            Err(_) => unreachable!("HMAC takes keys of every length"),
        }
    }

    fn check(&self, account: &[u8], id: &[u8], uid: [u8; 2]) -> [u8; CHECK_CHARACTERS] {
        let mut mac = self.0.clone();
        // The account's length goes first, so that no two triples are the same text.
        mac.update(&(account.len() as u64).to_be_bytes());
        mac.update(account);
        mac.update(&uid);
        mac.update(id);
        let digest = mac.finalize().into_bytes();
        let mut value = [0; size_of::<u64>()];
        value.copy_from_slice(&digest[..size_of::<u64>()]);
        let mut check = [0; CHECK_CHARACTERS];
        write_characters(&mut check, u64::from_be_bytes(value));
        check
    }

    /// The time taken does not depend on how much of `check` is right.
    fn is_check(&self, account: &[u8], id: &[u8], uid: [u8; 2], check: &[u8; CHECK_CHARACTERS]) -> bool {
        Secret::new(self.check(account, id, uid)).matches(check)
    }
}

impl Default for CheckKey {
    fn default() -> Self {
        Self::from_octets(b"")
    }
}

impl fmt::Debug for CheckKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CheckKey(…)")
    }
}
