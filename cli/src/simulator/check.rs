//! The checks that make the simulators an oracle: every answer has its request, every message comes once and whole.
//!
//! Both simulators use the same two checkers: [`AnswerCheck`] for the requests that a session sent, [`MessageCheck`] for
//! the messages that all sessions of a simulator received.

use std::sync::{Mutex, MutexGuard, PoisonError};

use smppmux_engine::core::wire::{CommandId, Header, MessageIdRespView, Status};

use super::counts::{AnswerCounts, MessageCounts, StatusCounts};
use super::latency::Latencies;
use super::ledger::{Ledger, NumberSet, SentStream};
use super::message::Received;
use super::outstanding::{Answer, NO_MESSAGE, Outstanding, Request};
use super::payload::behind_user_data_header;
use super::token::{Marked, Token};

/// Judges the answers to one session's requests; lives on when the session reconnects.
pub(crate) struct AnswerCheck {
    outstanding: Outstanding,
    window: usize,
    message_window: usize,
    first_sequence_number: u32,
    /// Run and stream of this session's messages; the number is the next one's.
    next: Token,
    messages_waiting: usize,
    accepted: NumberSet,
    /// Only this many numbers of the stream are kept in books.
    tracked_numbers: u64,
    pub(crate) counts: AnswerCounts,
    pub(crate) statuses: StatusCounts,
    /// When the first message was sent and the last answer came.
    pub(crate) first_sent_us: Option<u64>,
    pub(crate) last_answer_us: u64,
}

impl AnswerCheck {
    pub(crate) fn new(
        stream: Token,
        window: usize,
        first_sequence_number: u32,
        tracked_numbers: u64,
    ) -> Self {
        Self {
            outstanding: Outstanding::new(window, first_sequence_number),
            window,
            message_window: window,
            first_sequence_number,
            next: stream,
            messages_waiting: 0,
            accepted: NumberSet::default(),
            tracked_numbers,
            counts: AnswerCounts::default(),
            statuses: StatusCounts::default(),
            first_sent_us: None,
            last_answer_us: 0,
        }
    }

    /// Allows fewer messages than the ring has room for.
    pub(crate) const fn limit_messages(&mut self, messages: usize) {
        self.message_window = messages;
    }

    /// Messages without an answer.
    pub(crate) const fn messages_waiting(&self) -> usize {
        self.messages_waiting
    }

    /// Whether another message may be sent.
    pub(crate) const fn has_room(&self) -> bool {
        self.messages_waiting < self.message_window
    }

    /// Takes a sequence number for a message, and the token that it must carry.
    pub(crate) fn open_message(
        &mut self,
        command_id: CommandId,
        due_us: u64,
        now_us: u64,
    ) -> Option<(u32, Token)> {
        let request = Request {
            command_id,
            number: self.next.number.into(),
            due_us,
            sent_us: now_us,
        };
        let sequence_number = self.outstanding.open(request)?;
        let token = self.next;
        self.next.number = self.next.number.wrapping_add(1);
        self.messages_waiting += 1;
        self.counts.sent += 1;
        self.first_sent_us.get_or_insert(now_us);
        Some((sequence_number, token))
    }

    /// Takes a sequence number for a request of the session itself: bind, enquire_link, unbind, receipts.
    pub(crate) fn open_request(&mut self, command_id: CommandId, now_us: u64) -> Option<u32> {
        self.outstanding.open(Request {
            command_id,
            number: NO_MESSAGE,
            due_us: now_us,
            sent_us: now_us,
        })
    }

    /// Judges an answer; gives its request where that was still waiting for it.
    pub(crate) fn settle(
        &mut self,
        now_us: u64,
        header: Header,
        pdu: &[u8],
        latencies: &Latencies,
    ) -> Option<Request> {
        match self.outstanding.settle(header.command_id, header.sequence_number) {
            Answer::First(request) => {
                if request.carries_message() {
                    self.settle_message(now_us, request, header, pdu, latencies);
                }
                return Some(request);
            }
            Answer::WrongCommand(request) => {
                self.messages_waiting -= usize::from(request.carries_message());
                self.counts.wrong_command += 1;
            }
            Answer::Late(_) => self.counts.late += 1,
            Answer::Duplicate => self.counts.duplicate += 1,
            Answer::Unknown => self.counts.unknown += 1,
        }
        None
    }

    fn settle_message(
        &mut self,
        now_us: u64,
        request: Request,
        header: Header,
        pdu: &[u8],
        latencies: &Latencies,
    ) {
        self.messages_waiting -= 1;
        self.counts.answered += 1;
        self.counts.nacked += u64::from(header.command_id == CommandId::GENERIC_NACK);
        self.statuses.note(header.command_status);
        self.last_answer_us = now_us;
        latencies.note(
            now_us.saturating_sub(request.sent_us),
            now_us.saturating_sub(request.due_us),
        );
        if header.command_status != Status::ESME_ROK {
            return;
        }
        self.counts.accepted += 1;
        if request.number < self.tracked_numbers {
            self.accepted.insert(request.number);
        }
        let named = MessageIdRespView::parse(pdu)
            .ok()
            .and_then(|answer| token_of_id(answer.message_id()));
        if let Some(named) = named {
            let carried = Token {
                number: request.number as u32,
                ..self.next
            };
            self.counts.swapped += u64::from(named != carried);
        }
    }

    /// Gives up on requests that were sent before `sent_before_us`, and tells `own` of those of the session itself.
    pub(crate) fn expire(&mut self, sent_before_us: u64, mut own: impl FnMut(CommandId)) {
        let mut messages = 0;
        self.outstanding.expire(sent_before_us, |request| {
            if request.carries_message() {
                messages += 1;
            } else {
                own(request.command_id);
            }
        });
        self.counts.expired += messages;
        self.messages_waiting -= messages as usize;
    }

    /// The connection is gone: what waits will never be answered, and the next connection starts anew.
    pub(crate) fn close(&mut self) {
        self.counts.unanswered_at_close += self.messages_waiting as u64;
        self.messages_waiting = 0;
        self.outstanding = Outstanding::new(self.window, self.first_sequence_number);
    }

    /// This session's books.
    pub(crate) fn into_stream(self) -> SentStream {
        SentStream {
            key: self.next.stream_key(),
            sent: self.counts.sent.min(self.tracked_numbers),
            accepted: self.accepted,
        }
    }
}

/// Reads the token in a message id of the form `tTOKEN.COUNTER`, whatever tag follows.
pub(crate) fn token_of_id(message_id: &[u8]) -> Option<Token> {
    const TOKEN_ID_OCTETS: usize = 18;
    let rest = message_id.strip_prefix(b"t")?;
    let (token, rest) = rest.split_at_checked(TOKEN_ID_OCTETS)?;
    rest.starts_with(b".").then(|| Token::read_id(token)).flatten()
}

/// Judges the messages that all sessions of one simulator receive.
#[derive(Debug, Default)]
pub(crate) struct MessageCheck {
    ledger: Mutex<Ledger>,
}

impl MessageCheck {
    /// Judges a message; `is_accepted` says that it is going to be answered with ESME_ROK. Gives the token of an intact one.
    pub(crate) fn judge(
        &self,
        message: &Received<'_>,
        is_accepted: bool,
        counts: &mut MessageCounts,
    ) -> Option<Token> {
        let text = behind_user_data_header(message.esm_class, message.user_data);
        counts.received += 1;
        match Token::read(text, message.source.addr, message.destination.addr) {
            Marked::Token(token) => {
                if is_accepted && !self.lock().insert(token) {
                    counts.duplicate += 1;
                }
                Some(token)
            }
            Marked::Damaged => {
                counts.damaged += 1;
                None
            }
            Marked::Foreign => {
                counts.foreign += 1;
                None
            }
        }
    }

    /// Notes that a message was reported on; false when it was already.
    pub(crate) fn note(&self, token: Token) -> bool {
        self.lock().insert(token)
    }

    /// What was received so far.
    pub(crate) fn ledger(&self) -> Ledger {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
