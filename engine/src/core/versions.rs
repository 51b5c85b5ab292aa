//! Between versions: what a peer of an older version can read of what a newer one sent.
//!
//! Version is per hop (WIRE 13): a v3.3 peer gets no TLVs, and no peer a status that its version does not have. Invariants: the
//! user's text is never cut: a `message_payload` moves into `short_message` where it fits, and else the message is refused;
//! what both sides can read passes untouched. It must cost nothing where there is nothing to translate.

use super::contract::ConnectionId;
use super::engine::PacketEngine;
use super::output::Buffers;
use super::pool::PoolIndex;
use super::queue::drain::refuse_later;
use super::receipts::NOTE_OCTETS;
use super::relay::Relay;
use super::sequence::{Origin, Pending};
use super::server_requests::CheckedMessage;
use super::time::Moment;
use super::wire::{
    CancelView, CommandId, HEADER_OCTETS, Header, MessageIdRespView, MessageView, QueryView, ReplaceView,
    Status, SubmitMultiRespView, SubmitMultiView, Tag, Tlvs, Version, patch_command_length,
    patch_sequence_number,
};
use bytes::BytesMut;
use std::ops::Range;

/// The longest short_message that every version has.
pub(super) const SHORT_MESSAGE_OCTETS_MAX: usize = 254;

/// Whether the user data stands in a message_payload that is too long for a short_message.
#[inline(always)]
pub(super) fn needs_tlvs(tlvs: Tlvs<'_>) -> bool {
    let payload = tlvs.seldom_find(Tag::MESSAGE_PAYLOAD);
    payload.is_some_and(|payload| payload.value.len() > SHORT_MESSAGE_OCTETS_MAX)
}

/// Which members of a pool can be tried with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Any: all can read it, or none anywhere.
    Anywhere,
    /// Only those of a version behind v3.3: those of other cores that have some, and of this core if it has.
    Newer {
        /// It has.
        here: bool,
    },
}

impl Readers {
    pub(super) const fn may_be_here(self) -> bool {
        matches!(self, Self::Anywhere | Self::Newer { here: true })
    }

    /// Whether a core can be tried that has members of a version behind v3.3, or has none.
    pub(super) const fn may_be_there(self, has_newer: bool) -> bool {
        has_newer || matches!(self, Self::Anywhere)
    }
}

impl CheckedMessage<'_> {
    /// Every version can read it.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        !self.needs_tlvs && self.command == CommandId::DELIVER_SM
    }
}

/// A request as a v3.3 peer gets it.
#[derive(Debug)]
pub(super) enum ForV33<'a> {
    /// Without its TLVs.
    Shorter(Relay<'a>),
    /// With its message_payload as short_message.
    Copy(BytesMut),
}

impl ForV33<'_> {
    pub(super) fn relay(&self) -> Relay<'_> {
        match self {
            Self::Shorter(relay) => *relay,
            Self::Copy(copy) => Relay::whole(copy),
        }
    }

    pub(super) fn give_back(self, buffers: &mut Buffers) {
        if let Self::Copy(copy) = self {
            buffers.give(copy);
        }
    }
}

/// Translates a checked request for a peer that does not know its TLVs: one of v3.3, for replace_sm with a message_payload
/// one of v3.4 too. `None`: its text would not fit, or it would lose its mark as a segment.
#[cold]
pub(super) fn for_v33<'a>(command: CommandId, pdu: &'a [u8], buffers: &mut Buffers) -> Option<ForV33<'a>> {
    let Some((short_message, tlvs)) = parts_of(command, pdu) else {
        return Some(ForV33::Shorter(Relay::whole(pdu)));
    };
    if is_marked_segment(&tlvs) {
        return None;
    }
    let payload = tlvs.clone().find(Tag::MESSAGE_PAYLOAD);
    let payload = payload.filter(|payload| !payload.value.is_empty());
    let (Some(payload), Some(short_message)) = (payload, short_message) else {
        return Some(ForV33::Shorter(Relay::without(pdu, tlvs.range())));
    };
    let length = u8::try_from(payload.value.len())
        .ok()
        .filter(|length| usize::from(*length) <= SHORT_MESSAGE_OCTETS_MAX)?;
    let mut copy = buffers.take();
    copy.extend_from_slice(pdu.get(..short_message.start.checked_sub(1)?)?);
    copy.extend_from_slice(&[length]);
    copy.extend_from_slice(payload.value);
    patch_command_length(&mut copy);
    Some(ForV33::Copy(copy))
}

/// Whether only TLVs say that this is a part of a message. Without them it would arrive as a message of its own.
fn is_marked_segment(tlvs: &Tlvs<'_>) -> bool {
    let total = tlvs.clone().find(Tag::SAR_TOTAL_SEGMENTS);
    total
        .and_then(|total| total.integer())
        .is_some_and(|total| total > 1)
}

/// Where short_message, if there is one, and TLVs of a request stand that v3.3 knows.
fn parts_of(command: CommandId, pdu: &[u8]) -> Option<(Option<Range<usize>>, Tlvs<'_>)> {
    Some(match command {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
            let view = MessageView::parse(pdu).ok()?;
            (Some(view.short_message_range()), view.tlvs())
        }
        CommandId::SUBMIT_MULTI => {
            let view = SubmitMultiView::parse(pdu).ok()?;
            (Some(view.short_message_range()), view.tlvs())
        }
        CommandId::REPLACE_SM => {
            let view = ReplaceView::parse(pdu).ok()?;
            (Some(view.short_message_range()), view.tlvs())
        }
        CommandId::QUERY_SM => (None, QueryView::parse(pdu).ok()?.tlvs()),
        CommandId::CANCEL_SM => (None, CancelView::parse(pdu).ok()?.tlvs()),
        _ => return None,
    })
}

/// The first version that knows the TLVs of an operation on a message, our note behind them not counted.
#[cold]
pub(super) fn operation_known_from(command: CommandId, pdu: &[u8]) -> Version {
    let Some((text, tlvs)) = parts_of(command, pdu).filter(|(_, tlvs)| tlvs.range().len() > NOTE_OCTETS)
    else {
        return Version::V33;
    };
    if text.is_some() && tlvs.find(Tag::MESSAGE_PAYLOAD).is_some() {
        Version::V50
    } else {
        Version::V34
    }
}

/// Whether a request's text is too long for every v3.3 peer.
pub(super) fn is_too_long_for_v33(command: CommandId, pdu: &[u8]) -> bool {
    parts_of(command, pdu).is_some_and(|(text, tlvs)| text.is_some() && needs_tlvs(tlvs))
}

/// Where a response ends for a peer that knows no TLVs.
pub(super) fn response_end_for_v33(command: CommandId, pdu: &[u8]) -> usize {
    let end = match command {
        CommandId::SUBMIT_SM_RESP | CommandId::DELIVER_SM_RESP => {
            MessageIdRespView::parse(pdu).map(|view| view.tail_range().start)
        }
        CommandId::SUBMIT_MULTI_RESP => SubmitMultiRespView::parse(pdu).map(|view| view.tlvs().range().start),
        _ => return pdu.len(),
    };
    end.unwrap_or(HEADER_OCTETS)
        .clamp(HEADER_OCTETS.min(pdu.len()), pdu.len())
}

/// The status for a peer of `version`: the nearest one that it knows.
pub(super) const fn status_for(version: Version, status: Status) -> Status {
    match (version, status.0) {
        (Version::V50, _) => status,
        // Service types: the old code for all that is wrong with one.
        (_, 0x100 | 0x102 | 0x103) => Status::ESME_RINVSERTYP,
        // Never worth another try, as ESME_RSYSERR would be.
        (_, 0x101 | 0x104..=0x112) | (Version::V33, 0xC0..=0xC4) => Status::ESME_RSUBMITFAIL,
        _ => status,
    }
}

impl PacketEngine {
    /// Passes a peer's response on, as far as the receiver's version can read it.
    #[inline]
    pub(super) fn send_response_copy(
        &mut self,
        to: ConnectionId,
        pdu: &[u8],
        header: &Header,
        sequence_number: u32,
    ) {
        let Some(session) = self.sessions.get(to) else {
            return;
        };
        let version = session.version;
        if version.has_tlvs() && header.command_status.is_ok() {
            self.send_copy(to, pdu, sequence_number);
        } else {
            self.send_translated(to, version, pdu, header, sequence_number);
        }
    }

    #[cold]
    fn send_translated(
        &mut self,
        to: ConnectionId,
        version: Version,
        pdu: &[u8],
        header: &Header,
        sequence_number: u32,
    ) {
        let end = if version.has_tlvs() {
            pdu.len()
        } else {
            response_end_for_v33(header.command_id, pdu)
        };
        let status = status_for(version, header.command_status);
        self.write_to(to, |output| {
            let start = output.len();
            output.extend_from_slice(&pdu[..end]);
            let copy = &mut output[start..];
            patch_command_length(copy);
            patch_sequence_number(copy, sequence_number);
            if let Some(field) = copy.get_mut(8..12) {
                field.copy_from_slice(&status.0.to_be_bytes());
            }
        });
    }

    /// Sends a request to a server of v3.3, or an operation on a message to any, without its note (`leave_out`). `None`: its text does
    /// not fit, which the core that chose the server could not know (it is older than its configuration says), and it was refused.
    #[cold]
    pub(super) fn send_request_translated(
        &mut self,
        now: Moment,
        to: ConnectionId,
        pdu: &[u8],
        leave_out: Range<usize>,
        origin: Origin,
    ) -> Option<bool> {
        let command = Header::read(pdu)?.command_id;
        let version = self.sessions.get(to)?.version;
        if !leave_out.is_empty() && version >= operation_known_from(command, pdu) {
            let relay = Relay::without(pdu, leave_out);
            return Some(self.send_request(now, to, relay, origin, command, false));
        }
        let Some(translated) = for_v33(command, pdu, &mut self.buffers) else {
            let pending = Pending::new(origin, command, now);
            self.fail_request(now, &pending, Status::ESME_RINVMSGLEN);
            return None;
        };
        let sent = self.send_request(now, to, translated.relay(), origin, command, false);
        translated.give_back(&mut self.buffers);
        Some(sent)
    }

    /// Whether a session can read a message as it is, or shortened to its version.
    #[inline]
    pub(super) fn can_read(&self, id: ConnectionId, message: &CheckedMessage<'_>) -> bool {
        self.sessions.get(id).is_some_and(|session| {
            session.version.has_tlvs() || !message.needs_tlvs && session.version.knows(message.command)
        })
    }

    /// Whether a message may go to a member of a pool: one that can read it, or, where none here can, any: it is refused then, once
    /// and for all, instead of waiting for ever.
    #[inline]
    pub(super) fn may_get(&self, pool: PoolIndex, id: ConnectionId, message: &CheckedMessage<'_>) -> bool {
        self.can_read(id, message) || self.nobody_reads(pool, message)
    }

    /// No member on any core can read a message. Where everybody knows the command, and its text fits, nobody is asked.
    #[inline]
    pub(super) fn nobody_reads(&self, pool: PoolIndex, message: &CheckedMessage<'_>) -> bool {
        !message.is_plain() && self.no_member_reads(pool, message)
    }

    #[cold]
    fn no_member_reads(&self, pool: PoolIndex, message: &CheckedMessage<'_>) -> bool {
        !self.member_here_reads(pool, message) && !self.pools.has_newer_elsewhere(pool)
    }

    fn member_here_reads(&self, pool: PoolIndex, message: &CheckedMessage<'_>) -> bool {
        let members = self.pools.get(pool).map_or(&[][..], |pool| &pool.local);
        members.iter().any(|member| self.can_read(*member, message))
    }

    /// Where a message can be tried.
    #[inline]
    pub(super) fn readers_of(&self, pool: PoolIndex, message: &CheckedMessage<'_>) -> Readers {
        if message.is_plain() {
            return Readers::Anywhere;
        }
        match self.member_here_reads(pool, message) {
            false if !self.pools.has_newer_elsewhere(pool) => Readers::Anywhere,
            here => Readers::Newer { here },
        }
    }

    /// Refuses a message for good that its receiver's version cannot read: this one alone (ESME_RX_R_APPN).
    #[cold]
    pub(super) fn refuse_untranslatable(
        &mut self,
        now: Moment,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) {
        let status = Status::ESME_RX_R_APPN;
        match origin {
            Origin::Queue { place, number } => refuse_later(&mut self.queue, place, number),
            _ => self.fail_request(now, &Pending::new(origin, message.command, now), status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::{Address, Message, write_pdu};

    fn with_payload(command: CommandId, octets: usize) -> (BytesMut, Vec<u8>) {
        let text: Vec<u8> = (0..octets).map(|octet| octet as u8).collect();
        let address = Address {
            ton: 1,
            npi: 1,
            addr: b"4477",
        };
        let message = Message {
            source: address,
            destination: address,
            ..Message::default()
        };
        let mut buffer = BytesMut::new();
        write_pdu(&mut buffer, command, Status::ESME_ROK, 7, &message).unwrap();
        for (tag, value) in [(0x0204_u16, &[0, 1][..]), (0x0424, &text)] {
            buffer.extend_from_slice(&tag.to_be_bytes());
            buffer.extend_from_slice(&(value.len() as u16).to_be_bytes());
            buffer.extend_from_slice(value);
        }
        patch_command_length(&mut buffer);
        (buffer, text)
    }

    /// Goal: a message_payload of up to 254 octets arrives whole as short_message, without any TLV; a longer one is refused.
    #[test]
    fn a_payload_moves_or_is_refused() {
        for command in [CommandId::SUBMIT_SM, CommandId::DELIVER_SM] {
            for octets in [0, 1, 254, 255, 300, 65_000] {
                let (pdu, text) = with_payload(command, octets);
                let translated = for_v33(command, &pdu, &mut Buffers::default());
                assert_eq!(translated.is_none(), octets > 254, "{octets}");
                assert_eq!(is_too_long_for_v33(command, &pdu), octets > 254);
                let Some(translated) = translated else { continue };
                let mut out = BytesMut::new();
                translated.relay().append_to(&mut out, 9);
                let view = MessageView::parse(&out).unwrap();
                assert_eq!(view.short_message(), text);
                assert!(view.tlvs().range().is_empty());
            }
        }
    }

    /// Goal: no peer gets a status that came with a later version, and what it knows stays as it is.
    #[test]
    fn statuses_are_known_to_their_receiver() {
        for status in Status::ALL {
            let (old, new) = (
                status_for(Version::V34, *status),
                status_for(Version::V50, *status),
            );
            assert_eq!(new, *status);
            assert!(old.0 < 0x100 && (old == *status || status.0 >= 0x100));
            assert_eq!(old.is_ok(), status.is_ok());
        }
        assert_eq!(
            status_for(Version::V34, Status(0x0410)),
            Status(0x0410),
            "a vendor's"
        );
    }

    /// Goal: responses for v3.3 end before their TLVs: behind the id, or behind the list of unsuccessful destinations.
    #[test]
    fn responses_end_before_their_tlvs() {
        let tlv = b"\x04\x20\0\x01\x05";
        let cases: [(CommandId, &[u8]); 4] = [
            (CommandId::DELIVER_SM_RESP, b"\0"),
            (CommandId::SUBMIT_SM_RESP, b"12AB\0"),
            (CommandId::SUBMIT_MULTI_RESP, b"12AB\0\0"),
            (
                CommandId::SUBMIT_MULTI_RESP,
                b"12AB\0\x01\x01\x014477\0\0\0\0\x0B",
            ),
        ];
        for (command, body) in cases {
            let pdu = [&[0; HEADER_OCTETS][..], body, tlv].concat();
            assert_eq!(
                response_end_for_v33(command, &pdu),
                HEADER_OCTETS + body.len(),
                "{command:?}"
            );
            let without = &pdu[..pdu.len() - tlv.len()];
            assert_eq!(response_end_for_v33(command, without), without.len());
        }
    }
}
