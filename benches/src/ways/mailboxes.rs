//! The mailboxes between two cores, without engines: what a message costs that goes to another core and is answered.

use crate::pdus::message;
use crate::way::{BATCH_MESSAGES, Way};
use bytes::BytesMut;
use smppmux_c2c::{CoreIndex, Endpoint, Lane, MeshCapacity, mesh};
use smppmux_engine::core::core_message::{
    CoreAnswer, CoreMessage, CoreOutcome, CoreRequest, CoreTarget, PoolHandle,
};
use smppmux_engine::core::wire::CommandId;

pub(super) const ORIGIN: CoreIndex = CoreIndex(0);
pub(super) const OWNER: CoreIndex = CoreIndex(1);
/// Messages that one drain may take, as many as there are.
pub(super) const BUDGET: usize = 64;

/// The two ends.
pub(super) fn two_ends() -> [Endpoint<CoreMessage>; 2] {
    let capacity = MeshCapacity {
        requests: 1_024,
        control: 2,
    };
    match <[_; 2]>::try_from(mesh(2, capacity)) {
        Ok(ends) => ends,
        Err(ends) => unreachable!("there are {} ends", ends.len()),
    }
}

/// The PDUs of a step, between their journeys.
pub(super) fn letters() -> Vec<BytesMut> {
    vec![message(CommandId::DELIVER_SM); BATCH_MESSAGES as usize]
}

/// Sends all of them as requests and rings once, as a turn does.
pub(super) fn request_all(origin: &mut Endpoint<CoreMessage>, letters: &mut Vec<BytesMut>) {
    for (reference, pdu) in (0..).zip(letters.drain(..)) {
        let request = CoreRequest {
            reference,
            target: CoreTarget::Pool(PoolHandle {
                index: 0,
                generation: 0,
            }),
            pdu,
            leave_out: 0..0,
            receipt: None,
            message: None,
        };
        let sent = origin.try_request(OWNER, CoreMessage::Request(request));
        assert!(sent.is_ok(), "there is a credit for each");
    }
    origin.ring_bells();
}

/// Answers every request that has come, in the order in which they came, each with its own buffer. Gives how many there were.
pub(super) fn answer_all(owner: &mut Endpoint<CoreMessage>, asked: &mut Vec<CoreRequest>) -> usize {
    owner.drain(BUDGET, |_, lane, message| match message {
        CoreMessage::Request(request) if lane == Lane::Request => asked.push(request),
        other => unreachable!("nobody has sent {other:?}"),
    });
    let answered = asked.len();
    for CoreRequest { reference, pdu, .. } in asked.drain(..) {
        let outcome = CoreOutcome::Answered(pdu);
        owner.answer(ORIGIN, CoreMessage::Answer(CoreAnswer { reference, outcome }));
    }
    owner.ring_bells();
    answered
}

/// Takes the answers that have come, and puts their buffers back.
pub(super) fn collect(origin: &mut Endpoint<CoreMessage>, letters: &mut Vec<BytesMut>) {
    origin.drain(BUDGET, |_, _, message| match message {
        CoreMessage::Answer(CoreAnswer {
            reference,
            outcome: CoreOutcome::Answered(pdu),
        }) => {
            assert_eq!(reference as usize, letters.len(), "answers keep their order");
            letters.push(pdu);
        }
        other => unreachable!("nobody has sent {other:?}"),
    });
}

/// Both ends on one thread, so that instructions can be counted.
pub(super) struct Mailboxes {
    ends: [Endpoint<CoreMessage>; 2],
    letters: Vec<BytesMut>,
    asked: Vec<CoreRequest>,
}

impl Mailboxes {
    pub(super) fn new() -> Self {
        Self {
            ends: two_ends(),
            letters: letters(),
            asked: Vec::with_capacity(BATCH_MESSAGES as usize),
        }
    }
}

impl Way for Mailboxes {
    fn run(&mut self) {
        let [origin, owner] = &mut self.ends;
        request_all(origin, &mut self.letters);
        answer_all(owner, &mut self.asked);
        collect(origin, &mut self.letters);
        assert_eq!(self.letters.len(), BATCH_MESSAGES as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each message crosses once as a request and once as an answer, its PDU comes back, and all credits with it.
    #[test]
    fn every_request_is_answered() {
        let mut way = Mailboxes::new();
        for round in 1..=10 {
            way.run();
            assert_eq!(way.letters, letters());
            let [origin, owner] = &way.ends;
            let crossed = round * u64::from(BATCH_MESSAGES);
            assert_eq!(origin.counters().sent(Lane::Request), crossed);
            assert_eq!(owner.counters().sent(Lane::Answer), crossed);
            assert_eq!(origin.unanswered(OWNER), 0);
        }
    }
}
