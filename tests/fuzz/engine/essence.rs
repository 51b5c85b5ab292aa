//! What a request has in common at its client and at its server.

use smppmux_engine::core::wire::{
    BroadcastView, CancelBroadcastView, CancelView, CommandId, Concatenation, DataView, HEADER_OCTETS,
    MessageView, QueryView, ReplaceView, SubmitMultiView, Tag, Tlvs,
};
use std::ops::Range;

/// A request without its number, cut at what smppmux may change on the way:
/// - a destination gets another digit behind a prefix (the rules that the simulation draws);
/// - the reference of a segment is another one where two messages would share it (it is 0 here);
/// - the id that an operation names loses its tag, or is one that stands for the server's;
/// - a server of v3.3 gets no TLVs, and a message_payload in short_message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Essence {
    /// The body up to its message or TLVs, without what follows.
    head: Vec<u8>,
    /// One or more.
    destinations: Vec<u8>,
    message_id: Option<Vec<u8>>,
    user_data: Vec<u8>,
    /// sm_length and all behind it.
    tail: Vec<u8>,
    has_tlvs: bool,
}

/// Where these stand in a PDU.
#[derive(Default)]
struct Places {
    destinations: Range<usize>,
    message_id: Option<Range<usize>>,
    user_data: Range<usize>,
    tail: usize,
    tlvs: Range<usize>,
}

impl Essence {
    pub(super) fn of(command: CommandId, pdu: &[u8]) -> Self {
        let mut pdu = pdu.to_vec();
        if let Some(segment) = Concatenation::of_pdu(command, &pdu) {
            pdu[segment.reference_range()].fill(0);
        }
        let places = Places::of(command, &pdu).unwrap_or(Places {
            tail: pdu.len(),
            ..Places::default()
        });
        let message_id = places.message_id.clone();
        let left_out = |at: &usize| {
            !places.destinations.contains(at) && !message_id.as_ref().is_some_and(|range| range.contains(at))
        };
        Self {
            head: (HEADER_OCTETS..places.tail)
                .filter(left_out)
                .map(|at| pdu[at])
                .collect(),
            destinations: pdu[places.destinations.clone()].to_vec(),
            message_id: message_id.map(|range| pdu[range].to_vec()),
            user_data: pdu[places.user_data.clone()].to_vec(),
            tail: pdu[places.tail..].to_vec(),
            has_tlvs: !places.tlvs.is_empty(),
        }
    }

    /// What has left with these octets was read with those.
    pub(super) fn is_of(&self, read: &Self) -> bool {
        let is_stripped = read.has_tlvs && !self.has_tlvs && self.user_data == read.user_data;
        self.head == read.head
            && (self.tail == read.tail || is_stripped)
            && is_renamed(&self.destinations, &read.destinations)
            && match (&self.message_id, &read.message_id) {
                // Without a tag it may stand for any.
                (Some(own), Some(tagged)) => !tagged.contains(&b'#') || is_without_tag(own, tagged),
                (own, tagged) => own == tagged,
            }
    }

    /// What it names is what was named where it was read, perhaps without the tag.
    pub(super) fn has_id_of(&self, read: &Self) -> bool {
        match (&self.message_id, &read.message_id) {
            (Some(own), Some(tagged)) => is_without_tag(own, tagged),
            (own, tagged) => own == tagged,
        }
    }

    /// A cancel without an id: for all messages between two addresses, wherever they are.
    pub(super) fn is_for_every_server(&self, command: CommandId) -> bool {
        matches!(command, CommandId::CANCEL_SM | CommandId::CANCEL_BROADCAST_SM)
            && self.message_id.as_ref().is_some_and(Vec::is_empty)
    }
}

impl Places {
    /// `None`: it is not well-formed, or a command of which nothing is changed.
    fn of(command: CommandId, pdu: &[u8]) -> Option<Self> {
        Some(match command {
            CommandId::SUBMIT_SM => {
                let view = MessageView::parse(pdu).ok()?;
                let short_message = view.short_message_range();
                Self::with_user_data(view.destination_addr_range(), short_message, &view.tlvs())
            }
            CommandId::SUBMIT_MULTI => {
                let view = SubmitMultiView::parse(pdu).ok()?;
                Self::with_user_data(
                    view.destinations_range(),
                    view.short_message_range(),
                    &view.tlvs(),
                )
            }
            CommandId::DATA_SM => {
                let view = DataView::parse(pdu).ok()?;
                Self {
                    destinations: view.destination_addr_range(),
                    ..Self::without_message(None, &view.tlvs())
                }
            }
            CommandId::REPLACE_SM => {
                let view = ReplaceView::parse(pdu).ok()?;
                Self {
                    message_id: Some(view.message_id_range()),
                    ..Self::with_user_data(0..0, view.short_message_range(), &view.tlvs())
                }
            }
            CommandId::QUERY_SM | CommandId::QUERY_BROADCAST_SM => {
                let view = QueryView::parse(pdu).ok()?;
                Self::without_message(Some(view.message_id_range()), &view.tlvs())
            }
            CommandId::CANCEL_SM => {
                let view = CancelView::parse(pdu).ok()?;
                Self::without_message(Some(view.message_id_range()), &view.tlvs())
            }
            CommandId::CANCEL_BROADCAST_SM => {
                let view = CancelBroadcastView::parse(pdu).ok()?;
                Self::without_message(Some(view.message_id_range()), &view.tlvs())
            }
            CommandId::BROADCAST_SM => {
                let view = BroadcastView::parse(pdu).ok()?;
                Self::without_message(Some(view.message_id_range()), &view.tlvs())
            }
            _ => return None,
        })
    }

    fn with_user_data(destinations: Range<usize>, short_message: Range<usize>, tlvs: &Tlvs<'_>) -> Self {
        let payload = tlvs.clone().find(Tag::MESSAGE_PAYLOAD);
        Self {
            destinations,
            message_id: None,
            tail: short_message.start - 1,
            user_data: payload.map_or(short_message, |payload| payload.value_range()),
            tlvs: tlvs.range(),
        }
    }

    fn without_message(message_id: Option<Range<usize>>, tlvs: &Tlvs<'_>) -> Self {
        Self {
            message_id,
            tail: tlvs.range().start,
            tlvs: tlvs.range(),
            ..Self::default()
        }
    }
}

/// The same, or with a digit more.
fn is_renamed(left: &[u8], read: &[u8]) -> bool {
    let with_a_digit = |at| [&read[..at], b"0", &read[at..]].concat() == left;
    left == read || left.len() == read.len() + 1 && (0..=read.len()).any(with_a_digit)
}

fn is_without_tag(own: &[u8], tagged: &[u8]) -> bool {
    tagged == own || tagged.strip_prefix(own).is_some_and(|tag| tag.starts_with(b"#"))
}
