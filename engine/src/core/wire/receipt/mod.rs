//! Delivery receipts: recognised by esm_class, read from TLVs and from the text that most message centres send.
//!
//! Tolerant: fields of the text come in any order and letter case, some are missing, ids are of any form and never
//! altered. What is not understood is left out, never refused.
//! Source: SMPP v3.4 appendix B, v5.0 sections 2.10 and 4.8.4.47.

mod rewrite;
mod text;

use std::ops::Range;

pub use rewrite::{RewriteLimits, Rewritten};
pub use text::ReceiptText;

use super::value::{EsmClass, Finality, MessageState};
use super::walk::octets;
use super::{DataView, MessageView, Tag, Tlvs, UserDataHeader};

/// What a receipt reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptKind {
    /// esm_class type 0001: an outcome.
    Delivery,
    /// esm_class type 1000: a step on the way.
    Intermediate,
}

/// Which field carries the text of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextCarrier {
    /// `short_message`, counted by the octet before it.
    ShortMessage,
    /// The `message_payload` TLV, counted by the two octets before it.
    MessagePayload,
}

/// A delivery receipt or intermediate notification. All ranges are octets of the PDU.
#[derive(Clone, Debug)]
pub struct Receipt<'a> {
    pdu: &'a [u8],
    /// What it reports.
    pub kind: ReceiptKind,
    /// Where the id stands in the receipted_message_id TLV, without its NUL.
    pub tlv_id_range: Option<Range<usize>>,
    /// Where the whole receipted_message_id TLV stands.
    pub tlv_range: Option<Range<usize>>,
    /// Which field carries the text.
    pub text_carrier: TextCarrier,
    /// Where that field's value stands: the user data, header included.
    pub user_data_range: Range<usize>,
    /// The fields of the text.
    pub text: ReceiptText,
    state: Option<MessageState>,
}

impl<'a> Receipt<'a> {
    /// Reads a deliver_sm; `None` where its esm_class is that of another message.
    #[inline]
    pub fn of_message(message: &MessageView<'a>) -> Option<Self> {
        let kind = receipt_kind(message.esm_class())?;
        let short_message = message.short_message_range();
        Some(Self::read(
            message.pdu(),
            kind,
            message.esm_class(),
            short_message,
            message.tlvs(),
        ))
    }

    /// Reads a data_sm from a message centre; `None` where its esm_class is that of another message.
    pub fn of_data(data: &DataView<'a>) -> Option<Self> {
        let kind = receipt_kind(data.esm_class())?;
        Some(Self::read(data.pdu(), kind, data.esm_class(), 0..0, data.tlvs()))
    }

    /// Reads a data_sm that its esm_class does not mark as a receipt: `None` where no receipted_message_id says that it is one.
    pub fn of_unmarked_data(data: &DataView<'a>) -> Option<Self> {
        let is_marked = receipt_kind(data.esm_class()).is_some();
        let names_message = || data.tlvs().find(Tag::RECEIPTED_MESSAGE_ID).is_some();
        if is_marked || !names_message() {
            return None;
        }
        let kind = ReceiptKind::Delivery;
        let receipt = Self::read(data.pdu(), kind, data.esm_class(), 0..0, data.tlvs());
        receipt.tlv_id_range.is_some().then_some(receipt)
    }

    /// Reads a deliver_sm that its esm_class does not mark as a receipt, as some message centres leave it: `None` where
    /// neither a receipted_message_id nor the layout of the text (an id first, and a state) says that it is one.
    pub fn of_unmarked_message(message: &MessageView<'a>) -> Option<Self> {
        let names_message = || message.tlvs().find(Tag::RECEIPTED_MESSAGE_ID).is_some();
        let begins_with_id = || {
            let user_data = message.user_data();
            user_data
                .first_chunk()
                .is_some_and(|start: &[u8; 3]| start.eq_ignore_ascii_case(b"id:"))
        };
        if receipt_kind(message.esm_class()).is_some() || !(names_message() || begins_with_id()) {
            return None;
        }
        let (kind, short_message) = (ReceiptKind::Delivery, message.short_message_range());
        let receipt = Self::read(
            message.pdu(),
            kind,
            message.esm_class(),
            short_message,
            message.tlvs(),
        );
        let has_layout = receipt.text.stat.is_some() && receipt.text.id.is_some();
        (receipt.tlv_id_range.is_some() || has_layout).then_some(receipt)
    }

    /// The id of the message that is reported on, as the server wrote it: the TLV's, else the text's.
    pub fn message_id(&self) -> Option<&'a [u8]> {
        self.tlv_id().or_else(|| self.text_id())
    }

    /// The id in the receipted_message_id TLV.
    pub fn tlv_id(&self) -> Option<&'a [u8]> {
        self.tlv_id_range.clone().map(|range| octets(self.pdu, range))
    }

    /// The id in the text.
    pub fn text_id(&self) -> Option<&'a [u8]> {
        self.text.id.clone().map(|range| octets(self.pdu, range))
    }

    /// How far the message came: the message_state TLV, else the text's `stat`.
    pub const fn state(&self) -> Option<MessageState> {
        self.state
    }

    /// Whether no other receipt is to follow. A delivery receipt without a state that says otherwise is final.
    pub fn is_final(&self) -> bool {
        self.kind == ReceiptKind::Delivery
            && self
                .state
                .is_none_or(|state| state.finality() != Finality::Intermediate)
    }

    fn read(
        pdu: &'a [u8],
        kind: ReceiptKind,
        esm_class: u8,
        short_message: Range<usize>,
        tlvs: Tlvs<'a>,
    ) -> Self {
        let mut receipt = Self {
            pdu,
            kind,
            tlv_id_range: None,
            tlv_range: None,
            text_carrier: TextCarrier::ShortMessage,
            user_data_range: short_message,
            text: ReceiptText::default(),
            state: None,
        };
        receipt.read_tlvs(tlvs);
        receipt.read_text(EsmClass(esm_class));
        receipt
    }

    /// The first of repeats counts.
    fn read_tlvs(&mut self, tlvs: Tlvs<'a>) {
        for tlv in tlvs.map_while(Result::ok) {
            match tlv.tag {
                Tag::RECEIPTED_MESSAGE_ID if self.tlv_range.is_none() => {
                    let from = tlv.value_range().start;
                    let id = from..from + tlv.text().len();
                    self.tlv_id_range = Some(id).filter(|id| !id.is_empty());
                    self.tlv_range = Some(tlv.range);
                }
                Tag::MESSAGE_STATE if self.state.is_none() => {
                    self.state = tlv.value.first().copied().map(MessageState);
                }
                Tag::MESSAGE_PAYLOAD if self.text_carrier == TextCarrier::ShortMessage => {
                    self.text_carrier = TextCarrier::MessagePayload;
                    self.user_data_range = tlv.value_range();
                }
                _ => {}
            }
        }
    }

    fn read_text(&mut self, esm_class: EsmClass) {
        let mut text = self.user_data_range.clone();
        if esm_class.has_user_data_header()
            && let Some(header) = UserDataHeader::read(octets(self.pdu, text.clone()))
        {
            text.start += header.octets();
        }
        self.text = ReceiptText::read(self.pdu, text);
        let stat = self.text.stat.clone().map(|range| octets(self.pdu, range));
        self.state = self.state.or_else(|| MessageState::from_receipt_text(stat?));
    }
}

fn receipt_kind(esm_class: u8) -> Option<ReceiptKind> {
    match EsmClass(esm_class).message_type() {
        EsmClass::DELIVERY_RECEIPT => Some(ReceiptKind::Delivery),
        EsmClass::INTERMEDIATE_NOTIFICATION => Some(ReceiptKind::Intermediate),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::{Body, CommandId, Message, PduWriter, Status, udh_8_bit};
    use bytes::BytesMut;

    pub(super) fn deliver_sm(esm_class: u8, short_message: &[u8], tlvs: &[(Tag, &[u8])]) -> BytesMut {
        let mut buffer = BytesMut::new();
        let mut pdu = PduWriter::begin(&mut buffer, CommandId::DELIVER_SM, Status::ESME_ROK, 1);
        Message {
            esm_class,
            short_message,
            ..Message::default()
        }
        .write_to(&mut pdu);
        for (tag, value) in tlvs {
            pdu.tlv(*tag, value);
        }
        pdu.finish().expect("it fits");
        buffer
    }

    /// Goal: the TLV names the message where it differs from the text, and both places are known.
    #[test]
    fn the_tlv_counts_before_the_text() {
        let pdu = deliver_sm(
            EsmClass::DELIVERY_RECEIPT,
            b"id:10 stat:ENROUTE",
            &[(Tag::RECEIPTED_MESSAGE_ID, b"0A\0\0"), (Tag::MESSAGE_STATE, &[2])],
        );
        let message = MessageView::parse(&pdu).expect("a good PDU");
        let receipt = Receipt::of_message(&message).expect("a receipt");
        assert_eq!(receipt.message_id(), Some(&b"0A"[..]));
        assert_eq!(receipt.text_id(), Some(&b"10"[..]));
        assert_eq!(receipt.state(), Some(MessageState::DELIVERED));
        assert!(receipt.is_final());
    }

    /// Goal: the text is found behind a user data header and in message_payload, and an empty TLV does not hide its id.
    #[test]
    fn the_text_is_found_in_every_carrier() {
        let mut short_message = udh_8_bit(42, 2, 1).to_vec();
        short_message.extend_from_slice(b"id:7 stat:EXPIRED");
        let in_short_message = deliver_sm(
            EsmClass::DELIVERY_RECEIPT | EsmClass::UDHI,
            &short_message,
            &[(Tag::RECEIPTED_MESSAGE_ID, b"\0")],
        );
        let in_payload = deliver_sm(
            EsmClass::DELIVERY_RECEIPT,
            b"",
            &[(Tag::MESSAGE_PAYLOAD, b"id:7 stat:EXPIRED")],
        );
        for pdu in [in_short_message, in_payload] {
            let message = MessageView::parse(&pdu).expect("a good PDU");
            let receipt = Receipt::of_message(&message).expect("a receipt");
            assert_eq!(receipt.message_id(), Some(&b"7"[..]));
            assert_eq!(receipt.state(), Some(MessageState::EXPIRED));
        }
    }

    /// Goal: only the two receipt types are receipts, and intermediate ones are never final.
    #[test]
    fn other_message_types_are_no_receipts() {
        for esm_class in [0x00, 0x08, 0x0C, 0x10, 0x18, 0x3C] {
            let pdu = deliver_sm(esm_class, b"id:1 stat:DELIVRD", &[]);
            let message = MessageView::parse(&pdu).expect("a good PDU");
            assert!(Receipt::of_message(&message).is_none(), "{esm_class}");
        }
        let pdu = deliver_sm(EsmClass::INTERMEDIATE_NOTIFICATION, b"id:1 stat:DELIVRD", &[]);
        let message = MessageView::parse(&pdu).expect("a good PDU");
        assert!(!Receipt::of_message(&message).expect("a notification").is_final());
    }
}
