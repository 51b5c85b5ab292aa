//! Changing the addresses of a message: TON, NPI, and the prefix that a rule matched.
//!
//! Writes a whole new PDU with all lengths right, into a buffer that is given. Never touches anything but the two addresses.

use crate::core::wire::{BroadcastView, CommandId, DataView, Header, MessageView, patch_command_length};
use bytes::{BufMut, BytesMut};
use std::ops::Range;

/// Characters of an address, without its NUL (SMPP v5.0 sections 4.7.8 and 4.7.29; 64 in a data_sm).
pub(super) const ADDRESS_CHARACTERS_MAX: usize = 20;
const LONG_ADDRESS_CHARACTERS_MAX: usize = 64;

/// What a rule changes in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// In the source.
    pub source: AddressChange,
    /// In the destination.
    pub destination: AddressChange,
}

/// What a rule changes in one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressChange {
    /// The new TON.
    pub ton: Option<u8>,
    /// The new NPI.
    pub npi: Option<u8>,
    /// So many characters at the front are taken away, and these put in their place.
    pub prefix: Option<(usize, Box<[u8]>)>,
}

impl AddressChange {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The address as it will be.
    pub fn apply(&self, addr: &[u8]) -> Vec<u8> {
        match &self.prefix {
            Some((octets, with)) => [with, addr.get(*octets..).unwrap_or_default()].concat(),
            None => addr.to_vec(),
        }
    }
}

/// The message cannot be changed so: an address would be too long, or the PDU has none such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct CannotRewrite;

impl Rewrite {
    /// Nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.source.is_empty() && self.destination.is_empty()
    }

    /// Appends a copy of a checked message with its addresses changed. `out` may hold a part of it after an error.
    pub(in crate::core) fn append(&self, out: &mut BytesMut, pdu: &[u8]) -> Result<(), CannotRewrite> {
        let command = Header::read(pdu).ok_or(CannotRewrite)?.command_id;
        let (source, destination) = places(command, pdu).ok_or(CannotRewrite)?;
        let characters_max = if command == CommandId::DATA_SM {
            LONG_ADDRESS_CHARACTERS_MAX
        } else {
            ADDRESS_CHARACTERS_MAX
        };
        let start = out.len();
        let mut at = 0;
        for (place, change) in [(Some(source), &self.source), (destination, &self.destination)] {
            // What has no destination passes a rule that would change one.
            if let Some(place) = place.filter(|_| !change.is_empty()) {
                append_changed(out, pdu, &mut at, place, change, characters_max)?;
            }
        }
        out.extend_from_slice(&pdu[at..]);
        patch_command_length(&mut out[start..]);
        Ok(())
    }
}

/// Appends what stands between octet `at` and the end of the address at `place`, the address changed; `at` moves there.
pub(super) fn append_changed(
    out: &mut BytesMut,
    pdu: &[u8],
    at: &mut usize,
    place: Range<usize>,
    change: &AddressChange,
    characters_max: usize,
) -> Result<(), CannotRewrite> {
    let numbering = place.start.checked_sub(2).ok_or(CannotRewrite)?;
    out.extend_from_slice(pdu.get(*at..numbering).ok_or(CannotRewrite)?);
    out.put_u8(change.ton.unwrap_or(pdu[numbering]));
    out.put_u8(change.npi.unwrap_or(pdu[numbering + 1]));
    let addr = pdu.get(place.clone()).ok_or(CannotRewrite)?;
    let (cut, with) = change
        .prefix
        .as_ref()
        .map_or((0, &[][..]), |(cut, with)| (*cut, with));
    let kept = addr.get(cut..).ok_or(CannotRewrite)?;
    if with.len() + kept.len() > characters_max {
        return Err(CannotRewrite);
    }
    out.extend_from_slice(with);
    out.extend_from_slice(kept);
    *at = place.end;
    Ok(())
}

/// Where the source and the only destination of a message stand, without their NULs; TON and NPI are before them.
fn places(command: CommandId, pdu: &[u8]) -> Option<(Range<usize>, Option<Range<usize>>)> {
    match command {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
            let view = MessageView::parse(pdu).ok()?;
            Some((view.source_addr_range(), Some(view.destination_addr_range())))
        }
        CommandId::DATA_SM => {
            let view = DataView::parse(pdu).ok()?;
            Some((view.source_addr_range(), Some(view.destination_addr_range())))
        }
        CommandId::BROADCAST_SM => Some((BroadcastView::parse(pdu).ok()?.source_addr_range(), None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::{Address, Data, Message, Status, write_pdu};
    use proptest::prelude::*;

    fn any_change() -> impl Strategy<Value = AddressChange> {
        (
            proptest::option::of(any::<u8>()),
            proptest::option::of(any::<u8>()),
            proptest::option::of((0_usize..4, "[0-9]{0,6}")),
        )
            .prop_map(|(ton, npi, prefix)| AddressChange {
                ton,
                npi,
                prefix: prefix.map(|(cut, with)| (cut, with.into_bytes().into())),
            })
    }

    fn changed<'a>(address: Address<'a>, change: &AddressChange, addr: &'a [u8]) -> Address<'a> {
        Address {
            ton: change.ton.unwrap_or(address.ton),
            npi: change.npi.unwrap_or(address.npi),
            addr,
        }
    }

    proptest! {
        /// Goal: a rewritten message is the message that would have been written with the new addresses; one that would not
        /// fit is refused. Method: against the writers, for messages and data_sm.
        #[test]
        fn only_the_addresses_change(
            source in "[0-9]{0,20}", destination in "[0-9]{1,20}", text in "[a-z]{0,40}", is_data: bool,
            source_change in any_change(), destination_change in any_change(),
        ) {
            let address = |text: &'_ str| Address { ton: 1, npi: 2, addr: Box::leak(text.as_bytes().to_vec().into_boxed_slice()) };
            let write = |source, destination, out: &mut BytesMut| {
                if is_data {
                    let body = Data { source, destination, data_coding: 3, ..Data::default() };
                    write_pdu(out, CommandId::DATA_SM, Status::ESME_ROK, 9, &body)
                } else {
                    let body = Message { source, destination, short_message: text.as_bytes(), ..Message::default() };
                    write_pdu(out, CommandId::SUBMIT_SM, Status::ESME_ROK, 9, &body)
                }
            };
            let (source, destination) = (address(&source), address(&destination));
            let mut pdu = BytesMut::new();
            write(source, destination, &mut pdu).expect("it fits");
            let rewrite = Rewrite { source: source_change.clone(), destination: destination_change.clone() };
            let mut out = BytesMut::new();
            let outcome = rewrite.append(&mut out, &pdu);
            let cuts_too_much = |change: &AddressChange, address: &Address<'_>| change.prefix.as_ref().is_some_and(|(cut, _)| *cut > address.addr.len());
            if cuts_too_much(&source_change, &source) || cuts_too_much(&destination_change, &destination) {
                prop_assert!(outcome.is_err());
            } else {
                let (new_source, new_destination) = (source_change.apply(source.addr), destination_change.apply(destination.addr));
                let mut expected = BytesMut::new();
                let written = write(changed(source, &source_change, &new_source), changed(destination, &destination_change, &new_destination), &mut expected);
                prop_assert_eq!(outcome.is_ok(), written.is_ok());
                if written.is_ok() {
                    prop_assert_eq!(out, expected);
                }
            }
        }
    }
}
