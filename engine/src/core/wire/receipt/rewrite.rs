//! Copying a receipt with another message id in it: in the text, in the TLV, and in the lengths that count them.
//!
//! Everything else is copied octet for octet. Never allocates, but for the growth of the caller's buffer.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::{Receipt, TextCarrier};
use crate::core::wire::tlv::TLV_HEADER_OCTETS;
use crate::core::wire::walk::octets;
use crate::core::wire::{Tag, patch_command_length};

/// What the receiver of a rewritten receipt takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewriteLimits {
    /// The longest short_message: 254 octets in v3.4, 255 in v5.0.
    pub short_message_octets_max: u8,
    /// Whether a receipted_message_id TLV may be added where the text cannot take the new id. Not towards v3.3.
    pub may_add_tlv: bool,
}

/// Where the new id stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The text has it; otherwise the text is as it was, since it has no id or the new one does not fit.
    pub in_text: bool,
    /// The receipted_message_id TLV has it.
    pub in_tlv: bool,
    /// Octets that were appended.
    pub octets: usize,
}

/// Octets of the PDU that are replaced.
struct Edit<'a> {
    range: Range<usize>,
    replacement: Replacement<'a>,
}

enum Replacement<'a> {
    Count(u8),
    LongCount(u16),
    Id(&'a [u8]),
    TerminatedId(&'a [u8]),
}

/// The id and the length of its carrier, in two places.
type Edits<'a> = [Option<Edit<'a>>; 4];

impl Receipt<'_> {
    /// Appends the receipt to `buffer` with `message_id` in the place of its id. The id holds no NUL; at most 64 octets
    /// are sent by the book. The sequence number is left to the caller.
    pub fn write_with_id(
        &self,
        message_id: &[u8],
        limits: RewriteLimits,
        buffer: &mut BytesMut,
    ) -> Rewritten {
        let [text_length, text_id] = self.text_edits(message_id, limits);
        let [tlv_length, tlv_id] = self.tlv_edits(message_id);
        let in_text = text_id.is_some();
        let in_old_tlv = tlv_id.is_some();
        let start = buffer.len();
        self.copy_with([text_length, text_id, tlv_length, tlv_id], buffer);
        let in_new_tlv = !in_text && !in_old_tlv && limits.may_add_tlv && append_tlv(message_id, buffer);
        patch_command_length(buffer.get_mut(start..).unwrap_or_default());
        Rewritten {
            in_text,
            in_tlv: in_old_tlv || in_new_tlv,
            octets: buffer.len() - start,
        }
    }

    fn text_edits<'a>(&self, message_id: &'a [u8], limits: RewriteLimits) -> [Option<Edit<'a>>; 2] {
        let Some(id_range) = self.text.id.clone() else {
            return [None, None];
        };
        let value = self.user_data_range.clone();
        let new_octets = value.len() - id_range.len() + message_id.len();
        let length = match self.text_carrier {
            TextCarrier::ShortMessage => u8::try_from(new_octets)
                .ok()
                .filter(|octets| *octets <= limits.short_message_octets_max)
                .map(|octets| Edit {
                    range: value.start - 1..value.start,
                    replacement: Replacement::Count(octets),
                }),
            TextCarrier::MessagePayload => u16::try_from(new_octets).ok().map(|octets| Edit {
                range: value.start - size_of::<u16>()..value.start,
                replacement: Replacement::LongCount(octets),
            }),
        };
        if length.is_none() {
            return [None, None];
        }
        let id = Edit {
            range: id_range,
            replacement: Replacement::Id(message_id),
        };
        [length, Some(id)]
    }

    fn tlv_edits<'a>(&self, message_id: &'a [u8]) -> [Option<Edit<'a>>; 2] {
        let (Some(tlv), Ok(length)) = (self.tlv_range.clone(), u16::try_from(message_id.len() + 1)) else {
            return [None, None];
        };
        let value = tlv.start + TLV_HEADER_OCTETS..tlv.end;
        let length = Edit {
            range: value.start - size_of::<u16>()..value.start,
            replacement: Replacement::LongCount(length),
        };
        let id = Edit {
            range: value,
            replacement: Replacement::TerminatedId(message_id),
        };
        [Some(length), Some(id)]
    }

    /// Copies the PDU with the edits in the order of their places: the TLV may stand before a message_payload.
    fn copy_with(&self, mut edits: Edits<'_>, buffer: &mut BytesMut) {
        edits.sort_unstable_by_key(|edit| edit.as_ref().map(|edit| edit.range.start));
        let mut at = 0;
        for edit in edits.iter().flatten() {
            buffer.put_slice(octets(self.pdu, at..edit.range.start));
            match edit.replacement {
                Replacement::Count(count) => buffer.put_u8(count),
                Replacement::LongCount(count) => buffer.put_u16(count),
                Replacement::Id(id) => buffer.put_slice(id),
                Replacement::TerminatedId(id) => {
                    buffer.put_slice(id);
                    buffer.put_u8(0);
                }
            }
            at = edit.range.end;
        }
        buffer.put_slice(octets(self.pdu, at..self.pdu.len()));
    }
}

fn append_tlv(message_id: &[u8], buffer: &mut BytesMut) -> bool {
    let Ok(length) = u16::try_from(message_id.len() + 1) else {
        return false;
    };
    buffer.put_u16(Tag::RECEIPTED_MESSAGE_ID.0);
    buffer.put_u16(length);
    buffer.put_slice(message_id);
    buffer.put_u8(0);
    true
}

#[cfg(test)]
mod tests {
    use super::super::tests::deliver_sm;
    use super::*;
    use crate::core::wire::{EsmClass, MessageView};

    const LIMITS: RewriteLimits = RewriteLimits {
        short_message_octets_max: 254,
        may_add_tlv: true,
    };

    /// Rewrites and reads back: what the receipt says now, and where its ids stand.
    fn rewrite(pdu: &[u8], message_id: &[u8]) -> (Rewritten, BytesMut) {
        let message = MessageView::parse(pdu).expect("a good PDU");
        let receipt = Receipt::of_message(&message).expect("a receipt");
        let mut buffer = BytesMut::from(&b"before"[..]);
        let rewritten = receipt.write_with_id(message_id, LIMITS, &mut buffer);
        let copy = buffer.split_off(6);
        assert_eq!(&buffer[..], b"before");
        assert_eq!(copy.len(), rewritten.octets);
        assert_eq!(copy[..4], u32::try_from(copy.len()).expect("short").to_be_bytes());
        (rewritten, copy)
    }

    /// Goal: both places change, whatever their order, with all lengths right and all else as it was.
    #[test]
    fn both_places_are_rewritten() {
        let id_tlv = (Tag::RECEIPTED_MESSAGE_ID, &b"77"[..]);
        let other_tlv = (Tag(0x1402), &b"x"[..]);
        let text = b"sub:001 id:77 stat:DELIVRD text:id:77";
        let payload_tlv = (Tag::MESSAGE_PAYLOAD, &text[..]);
        for pdu in [
            deliver_sm(EsmClass::DELIVERY_RECEIPT, text, &[other_tlv, id_tlv]),
            deliver_sm(EsmClass::DELIVERY_RECEIPT, b"", &[id_tlv, other_tlv, payload_tlv]),
            deliver_sm(EsmClass::DELIVERY_RECEIPT, b"", &[payload_tlv, id_tlv, other_tlv]),
        ] {
            let (rewritten, copy) = rewrite(&pdu, b"77#mx-0A");
            assert!(rewritten.in_text && rewritten.in_tlv);
            let message = MessageView::parse(&copy).expect("a good copy");
            let receipt = Receipt::of_message(&message).expect("a receipt");
            assert_eq!(receipt.text_id(), Some(&b"77#mx-0A"[..]));
            assert_eq!(receipt.tlv_id(), Some(&b"77#mx-0A"[..]));
            assert_eq!(
                message.user_data(),
                b"sub:001 id:77#mx-0A stat:DELIVRD text:id:77"
            );
            assert_eq!(
                message.tlvs().find(Tag(0x1402)).map(|tlv| tlv.value),
                Some(&b"x"[..])
            );
            let tags = |view: &MessageView<'_>| view.tlvs().flatten().map(|tlv| tlv.tag).collect::<Vec<_>>();
            assert_eq!(
                tags(&message),
                tags(&MessageView::parse(&pdu).expect("a good PDU"))
            );
        }
    }

    /// Goal: a text that is too full keeps its id, and a TLV carries the new one.
    #[test]
    fn a_full_text_is_left_and_a_tlv_added() {
        let mut text = b"id:77 text:".to_vec();
        text.resize(253, b'.');
        let pdu = deliver_sm(EsmClass::DELIVERY_RECEIPT, &text, &[]);
        let (rewritten, copy) = rewrite(&pdu, b"77#mx-0A");
        assert!(!rewritten.in_text && rewritten.in_tlv);
        let message = MessageView::parse(&copy).expect("a good copy");
        assert_eq!(message.short_message(), text);
        let receipt = Receipt::of_message(&message).expect("a receipt");
        assert_eq!(receipt.message_id(), Some(&b"77#mx-0A"[..]));
        assert!(rewrite(&pdu, b"7").0.in_text);
    }

    /// Goal: an unknown layout is passed on untouched but for the TLV that names the message.
    #[test]
    fn an_unknown_text_is_untouched() {
        let pdu = deliver_sm(
            EsmClass::DELIVERY_RECEIPT,
            b"\x00i\x00d",
            &[(Tag::RECEIPTED_MESSAGE_ID, b"77\0")],
        );
        let (rewritten, copy) = rewrite(&pdu, b"78");
        assert!(!rewritten.in_text && rewritten.in_tlv);
        assert_eq!(copy.len(), pdu.len());
        assert_eq!(
            MessageView::parse(&copy).expect("a good copy").short_message(),
            b"\x00i\x00d"
        );
    }
}
