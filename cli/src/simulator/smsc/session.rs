//! One session of the simulated message centre. Bytes in, bytes out; no socket, so tests drive it directly.
//!
//! Invariants: each request gets one answer unless faults are injected; MO and receipts go only to sessions that receive,
//! and never beyond the window; answers, receipts and MO that wait are bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use smppmux_engine::core::wire::{CommandId, Header, Status, Version, write_header_only};

use super::accounts::{INBOX_RECEIPTS_MAX, Inbox};
use super::answer::Answer;
use super::centre::Centre;
use super::counts::SessionCounts;
use super::mobile_originated::Share;
use super::receipt::Receipt;
use super::sequence_check::SequenceCheck;
use crate::simulator::check::AnswerCheck;
use crate::simulator::connection::{End, Flow, Session};
use crate::simulator::control::{bump, drop_one};
use crate::simulator::counts::{MessageCounts, StatusCounts};
use crate::simulator::delay_queue::DelayQueue;
use crate::simulator::ledger::NUMBERS_MAX;
use crate::simulator::message::Scratch;
use crate::simulator::random::{Random, mix};
use crate::simulator::token::Token;

/// Answers that wait for their time at most; then reading stops.
const DELAYED_ANSWERS_MAX: usize = 65_536;
/// MO numbers of one session that are kept in books.
const TRACKED_NUMBERS: u64 = NUMBERS_MAX / 64;
const FIRST_SEQUENCE_NUMBER: u32 = 1;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connected, not bound.
    Open,
    /// Bound.
    Bound,
    /// Bound, and our unbind waits for its answer.
    Unbinding,
    /// Unbound by either side.
    Finished,
}

/// One session of the message centre.
pub(super) struct SmscSession {
    pub(super) centre: Arc<Centre>,
    pub(super) thread: usize,
    pub(super) peer: SocketAddr,
    pub(super) phase: Phase,
    pub(super) phase_since_us: u64,
    pub(super) system_id: Vec<u8>,
    /// The bind's command_id.
    pub(super) bind: Option<CommandId>,
    pub(super) version: Version,
    pub(super) inbox: Arc<Inbox>,
    pub(super) sequence_numbers: SequenceCheck,
    pub(super) answers: AnswerCheck,
    pub(super) counts: SessionCounts,
    pub(super) messages: MessageCounts,
    pub(super) statuses: StatusCounts,
    pub(super) due_answers: DelayQueue<Answer>,
    pub(super) due_receipts: DelayQueue<Receipt>,
    pub(super) receipts_waiting: usize,
    pub(super) shares: Vec<Share>,
    /// The MO stream whose turn it is.
    pub(super) next_stream: usize,
    pub(super) random: Random,
    pub(super) scratch: Scratch,
    pub(super) id_text: Vec<u8>,
    /// Requests that came since all answers had left.
    since_flush: u64,
    pub(super) last_received_us: u64,
    pub(super) enquire_link_waits: bool,
    pub(super) stop_seen_us: Option<u64>,
    pub(super) next_tick_us: u64,
}

impl SmscSession {
    pub(super) fn new(centre: Arc<Centre>, thread: usize, peer: SocketAddr) -> Self {
        let number = centre.next_session();
        let stream = Token {
            run: centre.shared.run,
            stream: number,
            number: 0,
        };
        let now_us = centre.shared.clock.now_us();
        bump(&centre.shared.live.connected);
        // Messages and receipts may be in flight together, and the session's own requests.
        let window = centre.arguments.mo_window as usize * 2;
        let mut answers = AnswerCheck::new(stream, window, FIRST_SEQUENCE_NUMBER, TRACKED_NUMBERS);
        answers.limit_messages(centre.arguments.mo_window as usize);
        Self {
            thread,
            peer,
            phase: Phase::Open,
            phase_since_us: now_us,
            system_id: Vec::new(),
            bind: None,
            version: Version::from_interface_version(0x34),
            inbox: Arc::default(),
            sequence_numbers: SequenceCheck::new(),
            answers,
            counts: SessionCounts::default(),
            messages: MessageCounts::default(),
            statuses: StatusCounts::default(),
            due_answers: DelayQueue::new(DELAYED_ANSWERS_MAX),
            due_receipts: DelayQueue::new(INBOX_RECEIPTS_MAX),
            receipts_waiting: 0,
            shares: vec![Share::default(); centre.mo.len()],
            next_stream: 0,
            random: Random::new(mix(centre.arguments.seed) ^ u64::from(number)),
            scratch: Scratch::default(),
            id_text: Vec::new(),
            since_flush: 0,
            last_received_us: now_us,
            enquire_link_waits: false,
            stop_seen_us: None,
            next_tick_us: 0,
            centre,
        }
    }

    /// Bound as a receiver or transceiver.
    pub(super) fn receives(&self) -> bool {
        matches!(
            self.bind,
            Some(CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER)
        )
    }

    /// Bound as a transmitter or transceiver.
    pub(super) fn transmits(&self) -> bool {
        matches!(
            self.bind,
            Some(CommandId::BIND_TRANSMITTER | CommandId::BIND_TRANSCEIVER)
        )
    }

    pub(super) fn is_bound(&self) -> bool {
        matches!(self.phase, Phase::Bound | Phase::Unbinding)
    }

    pub(super) fn enter(&mut self, phase: Phase, now_us: u64) {
        self.phase = phase;
        self.phase_since_us = now_us;
    }

    /// The connection is gone: settle the books and hand them in.
    pub(super) fn handle_closed(mut self, end: &End) {
        drop_one(&self.centre.shared.live.connected);
        self.counts.lost += u64::from(self.phase == Phase::Bound);
        self.counts.bad_lengths += u64::from(matches!(end, End::BadLength(_)));
        self.counts.out_of_range_sequence_numbers += self.sequence_numbers.out_of_range;
        self.counts.sequence_numbers_in_use += self.sequence_numbers.in_use;
        self.answers.close();
        self.counts.receipts_unanswered += self.receipts_waiting as u64;
        self.leave();
        let centre = Arc::clone(&self.centre);
        centre.outcomes().add(self);
    }

    /// Not bound any more: no MO, and its receipts go elsewhere.
    pub(super) fn leave(&mut self) {
        if self.bind.is_none() {
            return;
        }
        drop_one(&self.centre.shared.live.bound);
        if self.receives() {
            self.centre.receiving.fetch_sub(1, Ordering::Relaxed);
            for (stream, share) in self
                .centre
                .mo
                .iter()
                .zip(&mut self.shares)
                .filter(|(_, share)| share.takes)
            {
                stream.leave();
                share.takes = false;
            }
            let left = std::iter::from_fn(|| self.due_receipts.pop_due(u64::MAX)).collect();
            self.counts.receipts_undeliverable +=
                self.centre.accounts.leave(&self.system_id, &self.inbox, left);
        }
        self.bind = None;
    }

    fn handle_response(&mut self, now_us: u64, header: Header, pdu: &[u8]) -> Flow {
        let centre = Arc::clone(&self.centre);
        let Some(request) = self
            .answers
            .settle(now_us, header, pdu, centre.shared.latencies(self.thread))
        else {
            return Flow::Continue;
        };
        if request.carries_message() {
            bump(&centre.shared.live.answered);
            if !header.command_status.is_ok() {
                bump(&centre.shared.live.failed);
            }
            return Flow::Continue;
        }
        match request.command_id {
            CommandId::DELIVER_SM => {
                self.receipts_waiting -= 1;
                self.counts.receipts_answered += 1;
                self.counts.receipts_refused += u64::from(!header.command_status.is_ok());
            }
            CommandId::UNBIND => {
                self.counts.unbound += 1;
                self.enter(Phase::Finished, now_us);
                return Flow::Close;
            }
            _ => self.enquire_link_waits = false,
        }
        Flow::Continue
    }

    fn handle_request(&mut self, now_us: u64, header: Header, pdu: &[u8], output: &mut BytesMut) -> Flow {
        let sequence_number = header.sequence_number;
        self.sequence_numbers.handle_request(sequence_number);
        self.since_flush += 1;
        let unanswered = self.since_flush + self.due_answers.len() as u64;
        self.counts.window_peak = self.counts.window_peak.max(unanswered);
        if self
            .centre
            .arguments
            .window_max
            .is_some_and(|most| unanswered > most)
        {
            self.counts.window_violations += 1;
        }
        self.counts.note_command(header.command_id);
        match header.command_id {
            CommandId::ENQUIRE_LINK => self.answer_plainly(header, Status::ESME_ROK, output),
            command if command.is_bind() => return self.handle_bind(now_us, header, pdu, output),
            CommandId::UNBIND if self.is_bound() => {
                self.answer_plainly(header, Status::ESME_ROK, output);
                self.counts.unbound_by_client += 1;
                self.enter(Phase::Finished, now_us);
                return Flow::Close;
            }
            CommandId::SUBMIT_SM | CommandId::DATA_SM | CommandId::SUBMIT_MULTI
                if self.is_bound() && self.transmits() =>
            {
                return self.handle_submit(now_us, header, pdu, output);
            }
            CommandId::QUERY_SM | CommandId::CANCEL_SM | CommandId::REPLACE_SM
                if self.is_bound() && self.transmits() =>
            {
                self.handle_ancillary(now_us, header, pdu, output);
            }
            command if command.response().name().is_some() => {
                self.counts.wrong_state += 1;
                self.answer_plainly(header, Status::ESME_RINVBNDSTS, output);
            }
            _ => {
                self.sequence_numbers.handle_answer(sequence_number);
                write_header_only(
                    output,
                    CommandId::GENERIC_NACK,
                    Status::ESME_RINVCMDID,
                    sequence_number,
                );
            }
        }
        Flow::Continue
    }

    /// Answers with a header alone.
    pub(super) fn answer_plainly(&mut self, header: Header, status: Status, output: &mut BytesMut) {
        self.sequence_numbers.handle_answer(header.sequence_number);
        write_header_only(
            output,
            header.command_id.response(),
            status,
            header.sequence_number,
        );
    }
}

impl Session for SmscSession {
    fn handle_pdu(&mut self, now_us: u64, pdu: &[u8], output: &mut BytesMut) -> Flow {
        let Some(header) = Header::read(pdu) else {
            return Flow::Abort;
        };
        self.last_received_us = now_us;
        if header.command_id.is_response() {
            self.handle_response(now_us, header, pdu)
        } else {
            self.handle_request(now_us, header, pdu, output)
        }
    }

    fn handle_flushed(&mut self) {
        self.since_flush = 0;
        self.sequence_numbers.handle_flushed();
    }

    fn produce(&mut self, now_us: u64, output: &mut BytesMut) -> Flow {
        self.write_due_answers(now_us, output);
        if self.phase == Phase::Bound && self.receives() {
            self.deliver(now_us, output);
        }
        if now_us >= self.next_tick_us {
            self.tick(now_us, output)
        } else {
            Flow::Continue
        }
    }

    fn deadline_us(&mut self, now_us: u64) -> u64 {
        let answer_us = self.due_answers.next_due_us().unwrap_or(u64::MAX);
        let deadline_us = self.next_tick_us.min(answer_us);
        if self.phase == Phase::Bound && self.receives() {
            deadline_us.min(self.delivery_deadline_us(now_us))
        } else {
            deadline_us
        }
    }

    fn wants_input(&self) -> bool {
        !self.due_answers.is_full()
    }
}
