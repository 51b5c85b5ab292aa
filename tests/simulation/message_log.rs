//! The shadow of the message log: every submit, message and receipt that an engine tells of is told an end of, once, by that engine;
//! and nothing is told an end of that was not told of. A core's peers read no more answers than it tells ends.
//!
//! It knows records only, not what they are about.

use crate::event::LinkId;
use crate::host::Host;
use crate::pdu::{Pdu, command};
use crate::store::message_in;
use crate::world::World;
use smppmux_engine::core::message_log::{MessageRecord, Outcome, RecordKind, Requester};
use smppmux_engine::core::wire::CommandId;
use std::collections::BTreeMap;

/// What one core has told of.
#[derive(Debug, Default)]
pub(crate) struct ToldMessages {
    /// Requests without an end, by whose they are: kind of requester, session or line, its use, number.
    open: BTreeMap<(u8, u32, u32, u32), u32>,
    /// Ends of requests of its sessions.
    ends: u64,
    /// Answers to such requests that peers have read.
    answers_read: u64,
    /// Messages that the store has told it have had their time, and that it has not told of.
    expired: Vec<usize>,
}

const fn key(requester: Requester) -> Option<(u8, u32, u32, u32)> {
    match requester {
        Requester::Session {
            connection,
            sequence_number,
        } => Some((0, connection.index, connection.generation, sequence_number)),
        Requester::Queue { place, number } => Some((1, place, 0, number)),
        Requester::Unknown => None,
    }
}

impl ToldMessages {
    fn hear(&mut self, record: &MessageRecord, pdu: &[u8]) {
        if record.outcome == Outcome::Expired {
            let message = message_in(pdu);
            let place = self.expired.iter().position(|expired| *expired == message);
            assert!(
                record.is_from_queue && record.kind != RecordKind::Answer,
                "{record:?}"
            );
            self.expired.swap_remove(place.expect("the store has told of it"));
            return;
        }
        let Some(key) = key(record.requester) else {
            assert_eq!(record.outcome, Outcome::Late, "nobody's answer: {record:?}");
            return;
        };
        if record.kind != RecordKind::Answer {
            *self.open.entry(key).or_default() += 1;
            return;
        }
        let is_queued = matches!(record.requester, Requester::Queue { .. });
        let ends = match record.outcome {
            Outcome::Passed | Outcome::Own | Outcome::Queued | Outcome::RequesterGone => true,
            // A queued message that is tried again is told of again.
            Outcome::TriedAgain => is_queued,
            Outcome::Late | Outcome::Open | Outcome::Expired => false,
        };
        if !ends {
            return;
        }
        self.ends += u64::from(!is_queued);
        let Some(open) = self.open.get_mut(&key) else {
            // A receipt that is refused before it is known whose it is has nothing but its answer.
            let may_be_alone = record.command == CommandId::DELIVER_SM.response() && !record.status.is_ok();
            assert!(may_be_alone, "an answer to nothing: {record:?}");
            return;
        };
        *open -= 1;
        if *open == 0 {
            self.open.remove(&key);
        }
    }
}

impl Host {
    /// The store tells it that this message has had its time.
    pub(crate) fn expect_expired(&mut self, pdu: &[u8]) {
        if self.settings.has_message_log {
            self.told.expired.push(message_in(pdu));
        }
    }
}

impl World {
    /// Takes a turn's records.
    pub(crate) fn hear_message_log(&mut self, core: usize) {
        let host = &mut self.hosts[core];
        if let Some(records) = host.engine.poll_message_log() {
            assert_eq!(
                records.lost(),
                0,
                "a turn with more records than there is room for"
            );
            let (told, trace, now) = (&mut host.told, &self.trace, self.now);
            records.for_each(|record, octets| {
                trace.line(now, || format!("core {core} record {record:?}"));
                told.hear(record, octets.first);
            });
            records.clear();
        }
    }

    /// A peer has read the answer to a request of its own.
    pub(crate) fn answer_read(&mut self, id: LinkId, answer: &Pdu) {
        let is_operation = [command::QUERY_SM, command::CANCEL_SM, command::REPLACE_SM]
            .contains(&(answer.command & !command::RESPONSE));
        if self.is_of_this_life(id) {
            self.hosts[self.links[id].engine].told.answers_read += u64::from(!is_operation);
        }
    }

    /// Nobody is there any more, so nothing is open but what stands in the queue.
    pub(crate) fn check_message_log(&self) {
        for (core, host) in self.hosts.iter().enumerate().filter(|(_, host)| host.serves()) {
            let told = &host.told;
            let open = &told.open;
            assert!(open.is_empty(), "core {core} has told no end of {open:?}");
            let expired = &told.expired;
            assert!(
                expired.is_empty(),
                "core {core} has not told that {expired:?} have had their time"
            );
            assert!(
                !host.settings.has_message_log || told.ends >= told.answers_read,
                "core {core} has told {} ends, and its peers have read {} answers",
                told.ends,
                told.answers_read
            );
        }
    }
}
