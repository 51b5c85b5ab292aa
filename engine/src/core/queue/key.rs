//! Whose line a message stands in: a destination's at a vserver, or an account's (its receipts).

use crate::core::core_message::AccountAt;
use crate::core::server_requests::CheckedMessage;
use crate::core::settings::{ClientIndex, VserverIndex};
use crate::core::wire::Address;
use std::fmt;

/// The longest address that SMPP has (data_sm), without its NUL.
const ADDRESS_OCTETS_MAX: usize = 64;

/// The key of one line of the queue. Messages of one line are delivered in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueKey {
    /// At which vserver.
    pub vserver: VserverIndex,
    /// Whose.
    pub line: Line,
}

/// Who waits for the messages of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// Whoever serves this address.
    Destination(Destination),
    /// This account: its delivery receipts.
    Account(ClientIndex),
}

/// A destination address by value, so that a line needs no memory of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Destination {
    ton: u8,
    npi: u8,
    octets_used: u8,
    /// Zero behind the used ones.
    octets: [u8; ADDRESS_OCTETS_MAX],
}

impl Destination {
    /// `None` for an address that is longer than SMPP allows.
    pub fn new(address: Address<'_>) -> Option<Self> {
        let mut octets = [0; ADDRESS_OCTETS_MAX];
        octets
            .get_mut(..address.addr.len())?
            .copy_from_slice(address.addr);
        Some(Self {
            ton: address.ton,
            npi: address.npi,
            octets_used: u8::try_from(address.addr.len()).ok()?,
            octets,
        })
    }

    /// As a message carries it.
    #[inline]
    pub fn address(&self) -> Address<'_> {
        Address {
            ton: self.ton,
            npi: self.npi,
            addr: &self.octets[..usize::from(self.octets_used)],
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = String::from_utf8_lossy(self.address().addr);
        write!(formatter, "{}/{}/{address}", self.ton, self.npi)
    }
}

impl QueueKey {
    /// The line of a message: its account's where only that may get it, so that nobody who claims the address gets it; else its
    /// destination's. `None`: no address of SMPP, or a vendor command, which is for now and not for later.
    #[inline]
    pub(in crate::core) fn of_message(vserver: VserverIndex, message: &CheckedMessage<'_>) -> Option<Self> {
        match message.account {
            _ if message.command.is_vendor() => None,
            Some(AccountAt { vserver, account }) => Some(Self {
                vserver,
                line: Line::Account(account),
            }),
            None => Self::of_destination(vserver, message.destination),
        }
    }

    /// The account whose receipts stand in the line.
    pub(in crate::core) const fn account(&self) -> Option<AccountAt> {
        match self.line {
            Line::Account(account) => Some(AccountAt {
                vserver: self.vserver,
                account,
            }),
            Line::Destination(_) => None,
        }
    }

    /// The line of a destination. `None`: no address of SMPP.
    pub fn of_destination(vserver: VserverIndex, address: Address<'_>) -> Option<Self> {
        Some(Self {
            vserver,
            line: Line::Destination(Destination::new(address)?),
        })
    }
}
