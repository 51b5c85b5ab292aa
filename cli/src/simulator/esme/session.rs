//! One ESME connection's logic: bind, send, receive, unbind. Bytes in, bytes out; no socket, so tests drive it directly.
//!
//! Invariants: never more than `window` unanswered messages; nothing is sent before the bind was accepted or after the
//! unbind; each received request gets one answer unless faults are injected.

use std::sync::Arc;

use bytes::BytesMut;
use smppmux_engine::core::wire::{CommandId, Header, Status, write_header_only};

use super::arguments::EsmeArguments;
use super::counts::ConnectionCounts;
use super::plan::{Identity, Plan};
use crate::simulator::check::AnswerCheck;
use crate::simulator::connection::{End, Flow, Session};
use crate::simulator::control::{Shared, bump, drop_one};
use crate::simulator::counts::MessageCounts;
use crate::simulator::delay_queue::DelayQueue;
use crate::simulator::message::Scratch;
use crate::simulator::pace::Pace;
use crate::simulator::random::Random;
use crate::simulator::token::Token;

/// Received messages that wait for their answer at most; then reading stops.
const DELAYED_ANSWERS_MAX: usize = 65_536;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connected; the bind is to be sent.
    Open,
    /// The bind waits for its answer.
    Binding,
    /// Bound.
    Bound,
    /// The unbind waits for its answer.
    Unbinding,
    /// The server unbound it.
    Unbound,
    /// Everything was done.
    Finished,
}

/// An answer to a received request that waits for its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct DueAnswer {
    pub(super) command_id: CommandId,
    pub(super) sequence_number: u32,
    pub(super) status: Status,
}

/// One connection of the simulated ESMEs; lives on when it reconnects.
pub(crate) struct EsmeSession {
    pub(super) plan: Arc<Plan>,
    pub(super) shared: Arc<Shared>,
    pub(super) identity: Identity,
    /// Which thread drives it.
    pub(super) thread: usize,
    pub(super) phase: Phase,
    pub(super) phase_since_us: u64,
    pub(super) answers: AnswerCheck,
    pub(super) counts: ConnectionCounts,
    pub(super) messages: MessageCounts,
    pub(super) due_answers: DelayQueue<DueAnswer>,
    pub(super) pace: Option<Pace>,
    pub(super) random: Random,
    pub(super) scratch: Scratch,
    /// The message that is being sent, from 0, and its next segment.
    pub(super) message: u64,
    pub(super) part: usize,
    /// When this connection began to send.
    pub(super) sending_since_us: Option<u64>,
    /// When its last message was sent and answered.
    pub(super) idle_since_us: Option<u64>,
    pub(super) last_received_us: u64,
    pub(super) enquire_link_sent_us: Option<u64>,
    pub(super) enquire_link_misses: u64,
    pub(super) next_tick_us: u64,
}

impl EsmeSession {
    pub(crate) fn new(plan: Arc<Plan>, shared: Arc<Shared>, identity: Identity, thread: usize) -> Self {
        let arguments = &plan.arguments;
        let stream = Token {
            run: shared.run,
            stream: identity.index,
            number: 0,
        };
        let pace = |rate| Pace::new(rate, arguments.connections, identity.index);
        Self {
            phase: Phase::Open,
            phase_since_us: 0,
            answers: AnswerCheck::new(
                stream,
                arguments.window as usize,
                arguments.first_sequence_number,
                plan.tracked_numbers(),
            ),
            counts: ConnectionCounts::default(),
            messages: MessageCounts::default(),
            due_answers: DelayQueue::new(DELAYED_ANSWERS_MAX),
            pace: arguments.rate.map(pace),
            random: Random::new(arguments.seed.wrapping_add(identity.index.into())),
            scratch: Scratch::default(),
            message: 0,
            part: 0,
            sending_since_us: None,
            idle_since_us: None,
            last_received_us: 0,
            enquire_link_sent_us: None,
            enquire_link_misses: 0,
            next_tick_us: 0,
            plan,
            shared,
            identity,
            thread,
        }
    }

    pub(super) fn arguments(&self) -> &EsmeArguments {
        &self.plan.arguments
    }

    /// A new connection is there.
    pub(super) fn handle_connected(&mut self, now_us: u64) {
        self.counts.connected += 1;
        bump(&self.shared.live.connected);
        self.phase = Phase::Open;
        self.last_received_us = now_us;
        self.enquire_link_sent_us = None;
        self.enquire_link_misses = 0;
    }

    /// The connection is gone.
    pub(super) fn handle_closed(&mut self, end: &End) {
        drop_one(&self.shared.live.connected);
        match self.phase {
            Phase::Bound | Phase::Unbinding => {
                drop_one(&self.shared.live.bound);
                self.counts.lost += u64::from(self.phase == Phase::Bound);
                self.counts.unbind_unanswered += u64::from(self.phase == Phase::Unbinding);
            }
            Phase::Unbound => drop_one(&self.shared.live.bound),
            Phase::Open | Phase::Binding => self.counts.bind_failures += 1,
            Phase::Finished => {}
        }
        self.counts.bad_lengths += u64::from(matches!(end, End::BadLength(_)));
        self.answers.close();
        while self.due_answers.pop_due(u64::MAX).is_some() {}
        if let Some(pace) = &mut self.pace {
            pace.pause();
        }
        // A message of which some segments went out is not finished on another connection.
        self.message += u64::from(self.part > 0);
        self.part = 0;
        if self.phase == Phase::Unbinding {
            self.phase = Phase::Finished;
        }
    }

    /// Nothing is left to do on another connection: it was unbound, or sent its share before it was lost.
    pub(super) fn is_finished(&self, now_us: u64) -> bool {
        let is_over = if self.plan.sends() {
            self.is_sending_over(now_us)
        } else {
            self.is_duration_over(now_us)
        };
        self.phase == Phase::Finished || is_over
    }

    pub(super) fn enter(&mut self, phase: Phase, now_us: u64) {
        self.phase = phase;
        self.phase_since_us = now_us;
    }

    fn handle_response(&mut self, now_us: u64, header: Header, pdu: &[u8]) -> Flow {
        let shared = Arc::clone(&self.shared);
        let Some(request) = self
            .answers
            .settle(now_us, header, pdu, shared.latencies(self.thread))
        else {
            return Flow::Continue;
        };
        if request.carries_message() {
            bump(&shared.live.answered);
            if !header.command_status.is_ok() {
                bump(&shared.live.failed);
            }
            return Flow::Continue;
        }
        match request.command_id {
            CommandId::ENQUIRE_LINK => {
                self.enquire_link_sent_us = None;
                self.enquire_link_misses = 0;
                Flow::Continue
            }
            CommandId::UNBIND => {
                drop_one(&shared.live.bound);
                self.counts.unbound += 1;
                self.enter(Phase::Finished, now_us);
                Flow::Close
            }
            _ => self.handle_bind_response(now_us, header.command_status),
        }
    }
}

impl Session for EsmeSession {
    fn handle_pdu(&mut self, now_us: u64, pdu: &[u8], output: &mut BytesMut) -> Flow {
        let Some(header) = Header::read(pdu) else {
            return Flow::Abort;
        };
        self.last_received_us = now_us;
        match header.command_id {
            CommandId::DELIVER_SM | CommandId::DATA_SM => self.handle_message(now_us, header, pdu, output),
            response if response.is_response() => return self.handle_response(now_us, header, pdu),
            CommandId::ENQUIRE_LINK => {
                self.counts.enquire_links_received += 1;
                write_header_only(
                    output,
                    CommandId::ENQUIRE_LINK_RESP,
                    Status::ESME_ROK,
                    header.sequence_number,
                );
            }
            CommandId::UNBIND => {
                self.counts.unbound_by_server += 1;
                if self.phase == Phase::Bound {
                    self.enter(Phase::Unbound, now_us);
                }
                write_header_only(
                    output,
                    CommandId::UNBIND_RESP,
                    Status::ESME_ROK,
                    header.sequence_number,
                );
                return Flow::Close;
            }
            CommandId::OUTBIND | CommandId::ALERT_NOTIFICATION => {}
            _ => {
                self.counts.unexpected_requests += 1;
                let status = Status::ESME_RINVCMDID;
                write_header_only(output, CommandId::GENERIC_NACK, status, header.sequence_number);
            }
        }
        Flow::Continue
    }

    fn produce(&mut self, now_us: u64, output: &mut BytesMut) -> Flow {
        if self.phase == Phase::Open {
            return self.send_bind(now_us, output);
        }
        self.write_due_answers(now_us, output);
        if self.phase == Phase::Bound && self.send_messages(now_us, output) == Flow::Abort {
            return Flow::Abort;
        }
        if now_us >= self.next_tick_us {
            self.tick(now_us, output)
        } else {
            Flow::Continue
        }
    }

    fn deadline_us(&mut self, now_us: u64) -> u64 {
        let mut deadline_us = self.next_tick_us;
        if let Some(due_us) = self.due_answers.next_due_us() {
            deadline_us = deadline_us.min(due_us);
        }
        let may_send = self.phase == Phase::Bound && self.answers.has_room() && self.may_send(now_us);
        if let Some(pace) = self.pace.as_mut().filter(|_| may_send) {
            deadline_us = deadline_us.min(pace.next_due_us(now_us));
        }
        deadline_us
    }

    fn wants_input(&self) -> bool {
        !self.due_answers.is_full()
    }
}
