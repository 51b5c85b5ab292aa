//! Whose connection it is, as its first PDU says: all that the shell ever reads of SMPP.
//!
//! Must never answer, and never wait for more octets than a bind has.

use crate::core::wire::{BindLimits, BindView, CommandId, Frame, next_frame};

/// The longest bind that is waited for. One within the lengths that are accepted has up to 203 octets; the rest is room for TLVs.
pub(super) const BIND_OCTETS_MAX: u32 = 1_024;
/// Where command_id ends in a header.
const COMMAND_ID_END: usize = 8;

/// What stands at the front of a new connection's octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstPdu<'a> {
    /// A part of what may be a bind.
    Incomplete,
    /// A bind of this system_id.
    Bind(&'a [u8]),
    /// Something else; what that means is for the engine to say.
    Other,
}

/// Looks at all that came.
pub(super) fn first_pdu(octets: &[u8]) -> FirstPdu<'_> {
    let is_other = octets
        .get(COMMAND_ID_END - size_of::<u32>()..COMMAND_ID_END)
        .and_then(|octets| octets.first_chunk())
        .is_some_and(|command_id| !is_bind(CommandId(u32::from_be_bytes(*command_id))));
    if is_other {
        return FirstPdu::Other;
    }
    match next_frame(octets, BIND_OCTETS_MAX) {
        Frame::Incomplete { .. } => FirstPdu::Incomplete,
        Frame::BadLength { .. } => FirstPdu::Other,
        Frame::Pdu(pdu) => BindView::parse(pdu, BindLimits::LENIENT)
            .map_or(FirstPdu::Other, |bind| FirstPdu::Bind(bind.system_id())),
    }
}

fn is_bind(command: CommandId) -> bool {
    matches!(
        command,
        CommandId::BIND_RECEIVER | CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::bind_for_tests;
    use bytes::BytesMut;
    use proptest::prelude::*;

    fn bind(command: CommandId, system_id: &[u8]) -> BytesMut {
        bind_for_tests(command, system_id, b"secret")
    }

    proptest! {
        /// Goal: wherever the octets are cut, the account is known when the bind is whole and not before, whatever stands behind it.
        #[test]
        fn a_bind_is_known_when_it_is_whole(
            kind in 0..3_usize,
            system_id in prop::collection::vec(1_u8.., 0..=15),
            behind in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let command = [CommandId::BIND_RECEIVER, CommandId::BIND_TRANSMITTER, CommandId::BIND_TRANSCEIVER][kind];
            let pdu = bind(command, &system_id);
            for cut in 0..pdu.len() {
                prop_assert_eq!(first_pdu(&pdu[..cut]), FirstPdu::Incomplete);
            }
            let all = [&pdu[..], &behind].concat();
            prop_assert_eq!(first_pdu(&all), FirstPdu::Bind(&system_id));
        }

        /// Goal: no octets make it panic, or wait for more than a bind has.
        #[test]
        fn anything_may_come(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let is_short = octets.len() < BIND_OCTETS_MAX as usize;
            prop_assert!(is_short || first_pdu(&octets) != FirstPdu::Incomplete);
        }
    }

    /// Goal: what is no bind is known as soon as its command is, and a length that no bind has at once.
    #[test]
    fn others_are_not_waited_for() {
        let enquire_link = [0, 0, 0, 16, 0, 0, 0, 0x15];
        assert_eq!(first_pdu(&enquire_link), FirstPdu::Other);
        assert_eq!(first_pdu(&enquire_link[..7]), FirstPdu::Incomplete);
        assert_eq!(first_pdu(b"GET "), FirstPdu::Other);
        let mut long = bind(CommandId::BIND_RECEIVER, b"esme");
        long[..4].copy_from_slice(&(BIND_OCTETS_MAX + 1).to_be_bytes());
        assert_eq!(first_pdu(&long), FirstPdu::Other);
        let mut broken = bind(CommandId::BIND_RECEIVER, b"esme");
        broken.iter_mut().skip(16).for_each(|octet| *octet = b'a');
        assert_eq!(first_pdu(&broken), FirstPdu::Other);
    }
}
