//! Operations on an id that its home does not know: they wait until every core has handed over what it had put before.
//!
//! An entry leaves for its home beside the answer that carries the id, so an operation that follows the answer on another
//! engine's session may be there first. Whoever reads an answer has put the entry before the answer left. So the home asks
//! every other core for its word, which comes behind all entries that the core had for this home (`entry_lanes`): then what is not
//! known is nobody's. One round of questions is under way at a time, for all operations that came before it; those that come
//! meanwhile wait for the next one. So a flood of made-up ids costs a round trip, not one each.
//!
//! Invariants: each operation that waits ends in exactly one way; what waits is bounded in count and octets; to each core at
//! most one question is open. It must never make an operation wait whose id is known.

use super::operations::OwnerQuestion;
use crate::core::contract::CoreIndex;
use crate::core::core_message::{CoreMessage, CoreOutcome};
use crate::core::engine::PacketEngine;
use crate::core::sequence::{Origin, Pending};
use crate::core::time::Moment;
use crate::core::timer::TimerKey;
use bytes::BytesMut;

/// Operations that wait on one core at most, and their octets; the next one is throttled.
const WAITING_MAX: usize = 1_024;
const WAITING_OCTETS_MAX: usize = 1024 * 1024;

/// The operations that wait, and the round of questions that is under way for the first of them.
#[derive(Debug)]
pub(in crate::core) struct Fence {
    /// In the order of their arrival.
    waiting: Vec<WaitingOperation>,
    /// How many of them the round under way is for.
    in_round: usize,
    octets: usize,
    /// The cores whose word is still missing; none when no round is under way.
    missing: Vec<CoreIndex>,
    pub(in crate::core) armed_at: Moment,
}

#[derive(Debug)]
struct WaitingOperation {
    pending: Pending,
    question: OwnerQuestion,
    pdu: BytesMut,
}

impl Default for Fence {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            in_round: 0,
            octets: 0,
            missing: Vec::new(),
            armed_at: Moment::NEVER,
        }
    }
}

impl Fence {
    pub(in crate::core) fn check_invariants(&self) {
        let octets: usize = self.waiting.iter().map(|waiting| waiting.pdu.len()).sum();
        assert_eq!(self.octets, octets, "octets of waiting operations");
        assert!(
            self.waiting.len() <= WAITING_MAX,
            "waiting operations are bounded"
        );
        assert!(
            self.waiting.is_empty() || !self.missing.is_empty(),
            "operations wait for a round that is under way"
        );
    }

    fn take(&mut self, at: usize) -> WaitingOperation {
        let operation = self.waiting.remove(at);
        self.in_round -= usize::from(at < self.in_round);
        self.octets -= operation.pdu.len();
        operation
    }
}

impl PacketEngine {
    /// Lets a counted operation wait for the words of the other cores. `Err` gives the PDU back: too many wait.
    pub(super) fn wait_for_words(
        &mut self,
        now: Moment,
        pending: Pending,
        question: OwnerQuestion,
        pdu: BytesMut,
    ) -> Result<(), BytesMut> {
        let fence = &mut self.receipts.fence;
        if fence.waiting.len() >= WAITING_MAX || fence.octets + pdu.len() > WAITING_OCTETS_MAX {
            return Err(pdu);
        }
        fence.octets += pdu.len();
        fence.waiting.push(WaitingOperation {
            pending,
            question,
            pdu,
        });
        let until = now + self.settings.response_timeout_max();
        self.timers.arm(&mut fence.armed_at, until, TimerKey::Fence);
        self.start_round(now);
        Ok(())
    }

    /// Asks every other core for its word, unless a round is under way.
    fn start_round(&mut self, now: Moment) {
        let fence = &mut self.receipts.fence;
        if !fence.missing.is_empty() || fence.waiting.is_empty() {
            return;
        }
        let others = (0..self.cores)
            .map(CoreIndex)
            .filter(|core| *core != self.core && !self.links[core.as_usize()].is_gone);
        fence.missing.extend(others);
        fence.in_round = fence.waiting.len();
        let questions = fence.missing.iter().map(|core| (*core, CoreMessage::WordWanted));
        self.outbox.core_messages.extend(questions);
        if fence.missing.is_empty() {
            self.end_round(now);
        }
    }

    /// A core has handed over what it had put before it was asked, or is gone.
    pub(in crate::core) fn word_came(&mut self, now: Moment, from: CoreIndex) {
        let missing = &mut self.receipts.fence.missing;
        let before = missing.len();
        missing.retain(|core| *core != from);
        if before > 0 && missing.is_empty() {
            self.end_round(now);
            self.start_round(now);
        }
    }

    /// All words are here: what is not known now is nobody's.
    fn end_round(&mut self, now: Moment) {
        while self.receipts.fence.in_round > 0 {
            let WaitingOperation {
                pending,
                question,
                mut pdu,
            } = self.receipts.fence.take(0);
            let may_use = self.may_use_after_all(now, question, &mut pdu);
            self.tell_owner(now, &pending, may_use, pdu);
        }
    }

    /// Whether another core can have an entry of this home under way.
    pub(super) fn has_other_cores(&self) -> bool {
        (0..self.cores)
            .map(CoreIndex)
            .any(|core| core != self.core && !self.links[core.as_usize()].is_gone)
    }

    /// Operations that will not be waited for any longer: their requesters are about to be told that all is over.
    pub(in crate::core) fn take_waiting(&mut self, is_wanted: impl Fn(&Pending) -> bool) -> Vec<Pending> {
        let mut taken = Vec::new();
        let mut at = 0;
        while let Some(waiting) = self.receipts.fence.waiting.get(at) {
            if is_wanted(&waiting.pending) {
                let operation = self.receipts.fence.take(at);
                taken.push(operation.pending);
                self.buffers.give(operation.pdu);
            } else {
                at += 1;
            }
        }
        taken
    }

    /// Operations whose words have not come in time: their requesters get what the time-out policy says.
    pub(in crate::core) fn expire_fence(&mut self, now: Moment) {
        let patience = self.settings.response_timeout_max();
        while let Some(first) = self.receipts.fence.waiting.first()
            && first.pending.sent_at + patience <= now
        {
            let operation = self.receipts.fence.take(0);
            self.counters.timeouts += 1;
            match operation.pending.origin {
                Origin::Core { core, reference } => {
                    self.send_core_answer(core, reference, CoreOutcome::TimedOut);
                }
                _ => self.request_timed_out(now, &operation.pending),
            }
            self.buffers.give(operation.pdu);
        }
        let fence = &mut self.receipts.fence;
        if let Some(first) = fence.waiting.first() {
            let next = first.pending.sent_at + patience;
            self.timers.arm(&mut fence.armed_at, next, TimerKey::Fence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::ConnectionId;
    use crate::core::engine::tests::{binding_client, engine};
    use crate::core::wire::{Address, CommandId, Frame, Header, Query, Status, next_frame, write_pdu};

    fn pdu(command: CommandId, number: u32, body: &impl crate::core::wire::Body) -> BytesMut {
        let mut pdu = BytesMut::new();
        write_pdu(&mut pdu, command, Status::ESME_ROK, number, body).expect("it fits");
        pdu
    }

    fn bound(engine: &mut PacketEngine, now: Moment) -> ConnectionId {
        let client = binding_client(engine, now);
        // It waits for no other core.
        engine.release_bind(now, client);
        client
    }

    /// Asks for messages until one of the operations waits for another core's word; gives how many were asked for.
    fn query_until_one_waits(engine: &mut PacketEngine, now: Moment, client: ConnectionId) -> u32 {
        for number in 0..64_u32 {
            let query = Query {
                message_id: format!("{number}#mx-0A").as_bytes().to_vec().leak(),
                source: Address {
                    ton: 1,
                    npi: 1,
                    addr: b"4477",
                },
            };
            engine.handle_bytes(now, client, &pdu(CommandId::QUERY_SM, number + 2, &query));
            if !engine.receipts.fence.waiting.is_empty() {
                return number + 1;
            }
        }
        panic!("this core is the home of no id");
    }

    fn commands_written(engine: &mut PacketEngine) -> Vec<CommandId> {
        let mut commands = Vec::new();
        while let Some(transmit) = engine.poll_transmit() {
            let mut octets = &transmit.octets[..];
            while let Frame::Pdu(pdu) = next_frame(octets, u32::MAX) {
                octets = &octets[pdu.len()..];
                commands.extend(Header::read(pdu).map(|header| header.command_id));
            }
        }
        commands
    }

    /// Goal: an operation that waits for the words of other cores has its one answer before its session is unbound, whether the
    /// session's time or the engine's is up; the words that come later answer nothing.
    #[test]
    fn who_is_unbound_has_its_answer_before() {
        let ways: [fn(&mut PacketEngine, ConnectionId); 2] = [
            |engine, client| engine.unbind_peer(Moment::START, client),
            |engine, client| {
                engine.answer_all_that_is_due(Moment::START);
                engine.unbind_peer(Moment::START, client);
            },
        ];
        for way in ways {
            let (mut engine, now) = (engine(2), Moment::START);
            let client = bound(&mut engine, now);
            let asked = query_until_one_waits(&mut engine, now, client);
            way(&mut engine, client);
            engine.check_invariants();
            engine.word_came(now, CoreIndex(1));
            let written = commands_written(&mut engine);
            let answers = written
                .iter()
                .filter(|command| **command == CommandId::QUERY_SM.response());
            assert_eq!(answers.count(), asked as usize, "{written:?}");
            assert_eq!(written.last(), Some(&CommandId::UNBIND));
        }
    }
}
