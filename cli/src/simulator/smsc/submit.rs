//! Messages that clients submit: check, accept or refuse, store, schedule the receipt, answer.

use std::sync::Arc;

use bytes::BytesMut;
use smppmux_engine::core::wire::{Address, CommandId, Header, Status, SubmitMultiView};

use super::answer::Answer;
use super::choice::{FinalState, ReceiptSession};
use super::message_id::MessageId;
use super::receipt::{OwnedAddress, Receipt, now_s};
use super::session::SmscSession;
use super::store::StoredMessage;
use crate::simulator::connection::Flow;
use crate::simulator::control::bump;
use crate::simulator::message::Received;
use crate::simulator::random::mix;
use crate::simulator::token::Token;

impl SmscSession {
    /// A submit_sm, data_sm or submit_multi of a session that may send.
    pub(super) fn handle_submit(
        &mut self,
        now_us: u64,
        header: Header,
        pdu: &[u8],
        output: &mut BytesMut,
    ) -> Flow {
        bump(&self.centre.shared.live.received);
        self.counts.messages += 1;
        let (status, id) = if header.command_id == CommandId::SUBMIT_MULTI {
            self.take_multi(now_us, pdu)
        } else {
            self.take_message(now_us, header.command_id, pdu)
        };
        let arguments = &self.centre.arguments;
        let is_last = arguments.drop_after > 0 && self.counts.messages >= arguments.drop_after;
        if is_last || arguments.drop.happens(&mut self.random) {
            self.counts.dropped_on_purpose += 1;
            return Flow::Abort;
        }
        let answer = Answer {
            command_id: header.command_id,
            sequence_number: header.sequence_number,
            status,
            id,
        };
        self.answer(now_us, answer, output);
        Flow::Continue
    }

    fn take_message(
        &mut self,
        now_us: u64,
        command_id: CommandId,
        pdu: &[u8],
    ) -> (Status, Option<MessageId>) {
        let message = match Received::parse(command_id, pdu) {
            Ok(message) => message,
            Err(fault) => return self.refuse_malformed(fault.status),
        };
        let status = self.chosen_status();
        let token = self
            .centre
            .shared
            .messages
            .judge(&message, status.is_ok(), &mut self.messages);
        if !status.is_ok() {
            self.messages.refused += 1;
            return (status, None);
        }
        let id = self.accept(now_us, token, message.source);
        if wants_receipt(message.registered_delivery, self.centre.arguments.receipt_state) {
            self.schedule_receipt(now_us, id, &message);
        }
        (status, Some(id))
    }

    fn take_multi(&mut self, now_us: u64, pdu: &[u8]) -> (Status, Option<MessageId>) {
        let source = match SubmitMultiView::parse(pdu) {
            Ok(view) => view.source(),
            Err(fault) => return self.refuse_malformed(fault.status),
        };
        self.messages.received += 1;
        self.messages.foreign += 1;
        let status = self.chosen_status();
        if !status.is_ok() {
            self.messages.refused += 1;
            return (status, None);
        }
        (status, Some(self.accept(now_us, None, source)))
    }

    fn refuse_malformed(&mut self, status: Status) -> (Status, Option<MessageId>) {
        self.messages.malformed += 1;
        (status, None)
    }

    fn accept(&mut self, now_us: u64, token: Option<Token>, source: Address<'_>) -> MessageId {
        let number = self.centre.next_message_number();
        let final_us = now_us + self.centre.arguments.receipt_delay.sample_us(&mut self.random);
        self.centre.store.insert(StoredMessage {
            number,
            source_hash: hash_of(source.addr),
            final_us,
            is_deleted: false,
        });
        MessageId { number, token }
    }

    fn schedule_receipt(&mut self, now_us: u64, id: MessageId, message: &Received<'_>) {
        let centre = Arc::clone(&self.centre);
        let due_us = centre
            .store
            .with(id.number, |stored| stored.final_us)
            .unwrap_or(now_us);
        let receipt = Receipt {
            due_us,
            id,
            sender: OwnedAddress::of(message.source),
            recipient: OwnedAddress::of(message.destination),
            submitted_s: now_s(),
        };
        self.counts.receipts_asked += 1;
        let stays = centre.arguments.receipt_session == ReceiptSession::Same && self.receives();
        let posted = if stays {
            self.due_receipts.push(receipt.due_us, receipt)
        } else {
            centre.accounts.post(&self.system_id, receipt)
        };
        self.counts.receipts_undeliverable += u64::from(posted.is_err());
    }

    fn chosen_status(&mut self) -> Status {
        let random = &mut self.random;
        let error = self
            .centre
            .arguments
            .error
            .iter()
            .find(|error| error.chance.happens(random));
        error.map_or(Status::ESME_ROK, |error| error.status)
    }
}

/// Source: SMPP v3.4 section 5.2.17, v5.0 section 4.7.21.
const fn wants_receipt(registered_delivery: u8, state: FinalState) -> bool {
    let is_delivered = matches!(state, FinalState::Delivered);
    match registered_delivery & 0b11 {
        0b01 => true,
        0b10 => !is_delivered,
        0b11 => is_delivered,
        _ => false,
    }
}

/// Tells source addresses apart in the store.
pub(super) fn hash_of(address: &[u8]) -> u64 {
    address
        .iter()
        .fold(0, |hash, octet| mix(hash ^ u64::from(*octet)))
}
