//! What an ESME session makes of received messages and receipts: check, count, answer.

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    CommandId, Header, MessageIdResponse, Status, write_header_only, write_pdu,
};

use super::arguments::BindKind;
use super::session::{DueAnswer, EsmeSession};
use crate::simulator::check::token_of_id;
use crate::simulator::control::bump;
use crate::simulator::message::Received;
use crate::simulator::value::{Delay, StatusChance};

impl EsmeSession {
    /// A deliver_sm or data_sm came.
    pub(super) fn handle_message(&mut self, now_us: u64, header: Header, pdu: &[u8], output: &mut BytesMut) {
        bump(&self.shared.live.received);
        let status = match Received::parse(header.command_id, pdu) {
            Ok(message) => {
                let status = self.chosen_status();
                self.judge(&message, status == Some(Status::ESME_ROK));
                status
            }
            Err(fault) => {
                self.messages.malformed += 1;
                Some(fault.status)
            }
        };
        let Some(status) = status else {
            self.messages.unanswered += 1;
            return;
        };
        self.messages.refused += u64::from(!status.is_ok());
        let answer = DueAnswer {
            command_id: header.command_id.response(),
            sequence_number: header.sequence_number,
            status,
        };
        if self.arguments().deliver_delay == Delay::NONE {
            return write_answer(answer, output);
        }
        let due_us = now_us + self.plan.arguments.deliver_delay.sample_us(&mut self.random);
        if let Err(answer) = self.due_answers.push(due_us, answer) {
            // Reading stops before the queue is full, so this answers the last of a batch a little early.
            write_answer(answer, output);
        }
    }

    /// Writes the answers whose time has come.
    pub(super) fn write_due_answers(&mut self, now_us: u64, output: &mut BytesMut) {
        while let Some(answer) = self.due_answers.pop_due(now_us) {
            write_answer(answer, output);
        }
    }

    fn judge(&mut self, message: &Received<'_>, is_accepted: bool) {
        if message.is_receipt() {
            return self.judge_receipt(message, is_accepted);
        }
        self.shared
            .messages
            .judge(message, is_accepted, &mut self.messages);
        let is_outside = !self.identity.range.holds(message.destination.addr);
        // A transmitter must not be sent anything.
        let is_transmitter = self.arguments().bind == BindKind::Transmitter;
        self.messages.outside_range += u64::from(is_outside || is_transmitter);
    }

    /// A receipt must report on a message of this session's account.
    fn judge_receipt(&mut self, message: &Received<'_>, is_accepted: bool) {
        self.messages.receipts += 1;
        let named = message
            .receipted_message_id
            .or_else(|| id_in_text(message.user_data))
            .and_then(token_of_id);
        let Some(token) = named else {
            return;
        };
        let is_ours = token.run == self.shared.run
            && self
                .plan
                .identity(token.stream)
                .is_ok_and(|sender| sender.system_id == self.identity.system_id);
        self.messages.misdirected_receipts += u64::from(!is_ours);
        if is_accepted {
            self.messages.duplicate += u64::from(!self.shared.receipts.note(token));
        }
    }

    /// What a received message is answered with; `None` is no answer at all.
    fn chosen_status(&mut self) -> Option<Status> {
        let arguments = &self.plan.arguments;
        if arguments.deliver_unanswered.happens(&mut self.random) {
            return None;
        }
        let random = &mut self.random;
        let error = arguments
            .deliver_error
            .iter()
            .find(|error: &&StatusChance| error.chance.happens(random));
        Some(error.map_or(Status::ESME_ROK, |error| error.status))
    }
}

/// The id in the text of a receipt (SMPP v3.4 appendix B): behind `id:`, up to the next blank.
fn id_in_text(text: &[u8]) -> Option<&[u8]> {
    let at = text
        .windows(3)
        .position(|window| window.eq_ignore_ascii_case(b"id:"))?;
    text.get(at + 3..)?.split(|octet| *octet == b' ').next()
}

fn write_answer(answer: DueAnswer, output: &mut BytesMut) {
    let DueAnswer {
        command_id,
        sequence_number,
        status,
    } = answer;
    let has_body =
        status.is_ok() && matches!(command_id, CommandId::DELIVER_SM_RESP | CommandId::DATA_SM_RESP);
    // An empty id always fits; an error has no body (SMPP v5.0 section 2.8.2).
    if !has_body
        || write_pdu(
            output,
            command_id,
            status,
            sequence_number,
            &MessageIdResponse::default(),
        )
        .is_err()
    {
        write_header_only(output, command_id, status, sequence_number);
    }
}
