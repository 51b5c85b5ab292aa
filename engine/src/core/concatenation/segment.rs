//! Recognising a segment: which message it belongs to, and what it says.

use super::pin::PinId;
use crate::core::contract::CoreIndex;
use crate::core::settings::{ClientIndex, ServerIndex, Settings, VserverIndex};
use crate::core::wire::{
    CommandId, Concatenation, ConcatenationKind, DataView, MessageView, SubmitMultiView,
};

/// Whose message it is. Segments of one owner only are one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::core) enum Owner {
    /// MT: an account, whatever sessions it uses.
    Account(VserverIndex, Option<ClientIndex>),
    /// MO: a server, whatever sessions it uses. `None`: from the queue.
    Server(VserverIndex, Option<ServerIndex>),
    /// An identity of `auth = "forward"`: its sessions on this core, in either direction.
    Identity(VserverIndex, u32),
    /// Another core has pinned it, and this one only keeps to a session.
    Home,
}

/// A segment, with what its message is known by.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct Segment {
    pub(super) place: Concatenation,
    /// Hash of source and destination: names the home core, and who shares the space of references.
    pub(super) addresses: u64,
    /// Hash of all that its message's segments have in common.
    pub(super) message: u64,
    /// Hash of the user data.
    pub(super) content: u32,
}

impl Segment {
    /// `None`: a whole message, however it looked.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn of(
        settings: &Settings,
        owner: Owner,
        command: CommandId,
        pdu: &[u8],
    ) -> Option<Self> {
        let place = Concatenation::of_pdu(command, pdu)?;
        let (source, destination, user_data) = fields(command, pdu)?;
        let addresses = match owner {
            // Clients and servers never have each other's messages.
            Owner::Server(vserver, _) => settings.key_hash((source, destination, vserver)),
            _ => settings.key_hash((source, destination)),
        };
        // A segment from the queue may have another reference than it came with.
        let starts_at = user_data.as_ptr() as usize - pdu.as_ptr() as usize;
        let reference = place.reference_range();
        let (header, text) = match place.kind {
            ConcatenationKind::Sar => (&[][..], user_data),
            ConcatenationKind::Udh8 | ConcatenationKind::Udh16 => (
                user_data.get(..reference.start.checked_sub(starts_at)?)?,
                user_data.get(reference.end.checked_sub(starts_at)?..)?,
            ),
        };
        Some(Self {
            place,
            addresses,
            message: settings.key_hash((owner, addresses, place.kind, place.reference, place.total)),
            content: settings.key_hash((header, text)) as u32,
        })
    }

    /// A segment of a message that another core has pinned: its pin there says which message it is.
    pub(super) fn relayed(
        settings: &Settings,
        from: CoreIndex,
        pin: PinId,
        command: CommandId,
        pdu: &[u8],
    ) -> Option<Self> {
        let segment = Self::of(settings, Owner::Home, command, pdu)?;
        // Where that core had to change the mark, the segments that follow are another message here.
        let (kind, reference) = (segment.place.kind, segment.place.reference);
        Some(Self {
            message: settings.key_hash((from.0, pin.index, pin.generation, kind, reference)),
            content: 0,
            ..segment
        })
    }
}

/// Source, destination (of a submit_multi: all of them) and user data.
fn fields(command: CommandId, pdu: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    match command {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
            let view = MessageView::parse(pdu).ok()?;
            Some((view.source().addr, view.destination().addr, view.user_data()))
        }
        CommandId::DATA_SM => {
            let view = DataView::parse(pdu).ok()?;
            Some((view.source().addr, view.destination().addr, view.user_data()))
        }
        CommandId::SUBMIT_MULTI => {
            let view = SubmitMultiView::parse(pdu).ok()?;
            let destinations = pdu.get(view.destinations_range())?;
            Some((view.source().addr, destinations, view.user_data()))
        }
        _ => None,
    }
}
