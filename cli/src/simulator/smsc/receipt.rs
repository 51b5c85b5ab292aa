//! Delivery receipts: what one says, and how it looks as a deliver_sm.
//!
//! Source: SMPP v3.4 appendix B for the text, section 5.3.2 for the TLVs.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    Address, Body, CommandId, Message, PduWriter, Status, Tag, Version, WriteFault,
};

use crate::calendar::date_of_day;

use super::arguments::SmscArguments;
use super::choice::{FinalState, ReceiptForm};
use super::message_id::{IdForm, MessageId};

/// A receipt that is due some time.
#[derive(Clone, Debug)]
pub(super) struct Receipt {
    pub(super) due_us: u64,
    pub(super) id: MessageId,
    /// Source of the message, destination of the receipt.
    pub(super) sender: OwnedAddress,
    /// Destination of the message, source of the receipt.
    pub(super) recipient: OwnedAddress,
    /// When the message was accepted, in seconds since 1970.
    pub(super) submitted_s: u64,
}

/// An address that outlives its PDU.
#[derive(Clone, Debug)]
pub(super) struct OwnedAddress {
    ton: u8,
    npi: u8,
    addr: Box<[u8]>,
}

impl OwnedAddress {
    pub(super) fn of(address: Address<'_>) -> Self {
        Self {
            ton: address.ton,
            npi: address.npi,
            addr: address.addr.into(),
        }
    }

    fn borrow(&self) -> Address<'_> {
        Address {
            ton: self.ton,
            npi: self.npi,
            addr: &self.addr,
        }
    }
}

impl Receipt {
    /// Appends the receipt as a deliver_sm towards a peer of this version.
    pub(super) fn write(
        &self,
        arguments: &SmscArguments,
        form: IdForm,
        version: Version,
        sequence_number: u32,
        output: &mut BytesMut,
    ) -> Result<usize, WriteFault> {
        const DELIVERY_RECEIPT: u8 = 0x04;
        let mut id = Vec::with_capacity(64);
        form.write_in_receipt(self.id, arguments.receipt_id, &mut id);
        let has_text = arguments.receipt_form != ReceiptForm::Tlv || !version.has_tlvs();
        let text = if has_text {
            self.text(&id, arguments.receipt_state)
        } else {
            Vec::new()
        };
        let mut pdu = PduWriter::begin(output, CommandId::DELIVER_SM, Status::ESME_ROK, sequence_number);
        let body = Message {
            source: self.recipient.borrow(),
            destination: self.sender.borrow(),
            esm_class: DELIVERY_RECEIPT,
            short_message: &text,
            ..Message::default()
        };
        body.write_to(&mut pdu);
        if arguments.receipt_form != ReceiptForm::Text && version.has_tlvs() {
            pdu.text_tlv(Tag::RECEIPTED_MESSAGE_ID, &id);
            pdu.tlv(Tag::MESSAGE_STATE, &[arguments.receipt_state.code()]);
        }
        pdu.finish()
    }

    fn text(&self, id: &[u8], state: FinalState) -> Vec<u8> {
        let delivered = u8::from(state == FinalState::Delivered);
        let (submitted, done) = (minute(self.submitted_s), minute(now_s()));
        let mut text = b"id:".to_vec();
        text.extend_from_slice(id);
        // Writing to a Vec cannot fail.
        let _ = write!(
            text,
            " sub:001 dlvrd:00{delivered} submit date:{submitted} done date:{done} stat:{} err:000 text:",
            state.name()
        );
        text
    }
}

/// Seconds since 1970.
pub(super) fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// `YYMMDDhhmm`, UTC.
fn minute(since_epoch_s: u64) -> String {
    let (year, month, day) = date_of_day(since_epoch_s / 86_400);
    let (hour, minute) = (since_epoch_s / 3_600 % 24, since_epoch_s / 60 % 60);
    format!("{:02}{month:02}{day:02}{hour:02}{minute:02}", year % 100)
}

/// `YYMMDDhhmmsst00+`: an absolute time of SMPP, UTC (v3.4 section 7.1.1).
pub(super) fn absolute_time(since_epoch_s: u64) -> String {
    format!("{}{:02}000+", minute(since_epoch_s), since_epoch_s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: dates are right at the corners of the calendar. Method: expectations were taken from `date -u`.
    #[test]
    fn dates_are_right() {
        for (seconds, expected) in [
            (0, "7001010000"),
            (951_782_399, "0002282359"),
            (951_782_400, "0002290000"),
            (1_709_251_140, "2402292359"),
            (4_102_444_800, "0001010000"),
        ] {
            assert_eq!(minute(seconds), expected);
        }
        assert_eq!(absolute_time(1_709_251_199), "240229235959000+");
    }
}
