//! Answers to messages: when they are written, and the faults that are injected on the way.

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    CommandId, MessageIdResponse, PduWriter, Status, write_header_only, write_pdu,
};

use super::message_id::MessageId;
use super::session::SmscSession;
use crate::simulator::value::micros;

/// The answer to a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) command_id: CommandId,
    pub(super) sequence_number: u32,
    pub(super) status: Status,
    /// What it names; `None` in answers with an error.
    pub(super) id: Option<MessageId>,
}

impl SmscSession {
    /// Answers now or later, once, twice or never, as the arguments say.
    pub(super) fn answer(&mut self, now_us: u64, answer: Answer, output: &mut BytesMut) {
        let centre = std::sync::Arc::clone(&self.centre);
        let arguments = &centre.arguments;
        self.statuses.note(answer.status);
        if arguments.unanswered.happens(&mut self.random) {
            self.counts.left_unanswered += 1;
            return;
        }
        let mut delay_us = arguments.delay.sample_us(&mut self.random);
        if arguments.late.happens(&mut self.random) {
            self.counts.answered_late += 1;
            delay_us += micros(arguments.late_by);
        }
        let is_doubled = arguments.duplicate.happens(&mut self.random);
        self.counts.answered_twice += u64::from(is_doubled);
        for _ in 0..=u8::from(is_doubled) {
            let kept = if delay_us == 0 {
                Err(answer)
            } else {
                self.due_answers.push(now_us + delay_us, answer)
            };
            if let Err(answer) = kept {
                // Not delayed, or the last of a batch that filled the queue: reading stops until there is room.
                self.write_answer(answer, output);
            }
        }
    }

    /// Writes the answers whose time has come.
    pub(super) fn write_due_answers(&mut self, now_us: u64, output: &mut BytesMut) {
        while let Some(answer) = self.due_answers.pop_due(now_us) {
            self.write_answer(answer, output);
        }
    }

    fn write_answer(&mut self, answer: Answer, output: &mut BytesMut) {
        self.sequence_numbers.handle_answer(answer.sequence_number);
        let response = answer.command_id.response();
        let Some(id) = answer.id else {
            return write_header_only(output, response, answer.status, answer.sequence_number);
        };
        self.id_text.clear();
        self.centre
            .id_form()
            .towards(self.version)
            .write(id, &mut self.id_text);
        let written = if answer.command_id == CommandId::SUBMIT_MULTI {
            const NO_UNSUCCESS: u8 = 0;
            let mut pdu = PduWriter::begin(output, response, answer.status, answer.sequence_number);
            pdu.text_unchecked(&self.id_text).integer(NO_UNSUCCESS);
            pdu.finish()
        } else {
            let body = MessageIdResponse {
                message_id: &self.id_text,
            };
            write_pdu(output, response, answer.status, answer.sequence_number, &body)
        };
        if let Err(fault) = written {
            tracing::error!("answer: {fault}");
        }
    }
}
