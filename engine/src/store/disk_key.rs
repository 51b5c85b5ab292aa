//! The key of a line as it is stored: by names, because places in the configuration may change from run to run.
//!
//! Layout: `d`, the vserver's name, NUL, TON, NPI, address; or `a`, the vserver's name, NUL, system_id.

use crate::core::queue::{Line, QueueKey};
use crate::core::settings::{Settings, VserverIndex};
use crate::core::wire::Address;

const DESTINATION: u8 = b'd';
const ACCOUNT: u8 = b'a';

/// What a stored key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named<'a> {
    Destination(&'a [u8], Address<'a>),
    Account(&'a [u8], &'a [u8]),
}

impl<'a> Named<'a> {
    pub(super) fn read(octets: &'a [u8]) -> Option<Self> {
        let (kind, rest) = octets.split_first()?;
        let end = rest.iter().position(|octet| *octet == 0)?;
        let (vserver, rest) = (&rest[..end], &rest[end + 1..]);
        match (*kind, rest) {
            (DESTINATION, [ton, npi, addr @ ..]) => {
                let (ton, npi) = (*ton, *npi);
                Some(Self::Destination(vserver, Address { ton, npi, addr }))
            }
            (ACCOUNT, system_id) => Some(Self::Account(vserver, system_id)),
            _ => None,
        }
    }

    /// The key in this run's configuration; `None` where vserver or account are no more.
    pub(super) fn resolve(self, settings: &Settings) -> Option<QueueKey> {
        let (Self::Destination(name, _) | Self::Account(name, _)) = self;
        let mut vservers = (0..).map(VserverIndex).zip(&settings.vservers);
        let (vserver, _) = vservers.find(|(_, vserver)| vserver.name.as_bytes() == name)?;
        match self {
            Self::Destination(_, address) => QueueKey::of_destination(vserver, address),
            Self::Account(_, system_id) => {
                let line = Line::Account(settings.account(system_id)?);
                Some(QueueKey { vserver, line })
            }
        }
    }
}

/// Writes a key as it is stored.
pub(super) fn write(key: &QueueKey, settings: &Settings) -> Vec<u8> {
    let vserver = settings.vservers.get(usize::from(key.vserver.0));
    let name = vserver.map_or(&[][..], |vserver| vserver.name.as_bytes());
    let mut octets = Vec::with_capacity(name.len() + 72);
    match &key.line {
        Line::Destination(destination) => {
            let address = destination.address();
            octets.push(DESTINATION);
            octets.extend_from_slice(name);
            octets.extend_from_slice(&[0, address.ton, address.npi]);
            octets.extend_from_slice(address.addr);
        }
        Line::Account(client) => {
            let account = settings.clients.get(client.0 as usize);
            octets.push(ACCOUNT);
            octets.extend_from_slice(name);
            octets.push(0);
            octets.extend_from_slice(account.map_or(&[][..], |account| account.system_id.as_bytes()));
        }
    }
    octets
}
